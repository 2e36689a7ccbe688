// What a sketch is, and how one stroke looks on a 2-D context. Pure functions; the files that make the canvas
// (sketch.js, canvas_labels.js, canvas.js, canvas_paint.js, canvas_tools.js) are joined in this order and run as one
// function.

const SIZE = 256; // the paper is 256 x 256 units, however many pixels the screen gives it
const TOOLS = { pen: { min: 1, max: 16, width: 2 }, eraser: { min: 2, max: 48, width: 16 } };
/** Label maps are areas: wider pens, and two tools that need no width. */
const LABEL_TOOLS = {
  pen: { min: 2, max: 48, width: 12 },
  rect: { width: 2 },
  fill: { width: 2 },
  eraser: { min: 2, max: 64, width: 24 },
};
const EMPTY = Object.freeze({ raster: null, strokes: [] });

// A document is a raster picture or none, and strokes over it. It is never changed in place: history shares it.

function isStroke(stroke) {
  const isPoint = (point) => Array.isArray(point) && point.length === 2 && point.every(Number.isFinite);
  return stroke?.width > 0 && Array.isArray(stroke.points) && stroke.points.length > 0 && stroke.points.every(isPoint);
}

function scale(stroke, factor) {
  const points = stroke.points.map(([x, y]) => [x * factor, y * factor]);
  return { ...stroke, width: stroke.width * factor, points };
}

/** The document that a text describes, or null if it is no sketch. */
function parse(text) {
  if (!text) return EMPTY;
  try {
    const { version, size, strokes, raster } = JSON.parse(text);
    if (version !== 1 || !(size > 0) || !Array.isArray(strokes) || !strokes.every(isStroke)) return null;
    const isPng = typeof raster === "string" && raster.startsWith("data:image/png;base64,");
    const scaled = size === SIZE ? strokes : strokes.map((stroke) => scale(stroke, SIZE / size));
    return { raster: isPng ? raster : null, strokes: scaled }; // any other address could make the browser fetch it
  } catch {
    return null;
  }
}

function isEmpty({ raster, strokes }) {
  return !raster && strokes.length === 0;
}

function stringify(doc) {
  if (isEmpty(doc)) return "";
  return JSON.stringify({ version: 1, size: SIZE, strokes: doc.strokes, raster: doc.raster });
}

/** Draw a stroke, or what follows its point number `from`, and its reflection. */
function paintStroke(context, stroke, ink, from = 0) {
  if (!(stroke.tool in TOOLS)) return;
  const points = stroke.points.slice(from);
  context.strokeStyle = ink;
  context.lineWidth = stroke.width;
  context.lineCap = context.lineJoin = "round";
  for (const reflect of stroke.mirror ? [(x) => x, (x) => SIZE - x] : [(x) => x]) {
    context.beginPath();
    context.moveTo(reflect(points[0][0]), points[0][1]);
    for (const [x, y] of points) context.lineTo(reflect(x), y);
    if (points.length === 1) context.lineTo(reflect(points[0][0]) + 0.01, points[0][1]); // a dot has no length
    context.stroke();
  }
}
