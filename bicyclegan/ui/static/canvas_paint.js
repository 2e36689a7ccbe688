// Painting: finished strokes live on a layer of their own, the screen shows it with the live stroke on top. Lines have
// the screen's pixels and soft borders; label maps have the model's pixels, as canvas_labels.js paints them.

const THUMB_SIZE = 112; // px

const layer = document.createElement("canvas");
const finished = layer.getContext("2d");
const rasters = new Map();
let areas = null; // the finished strokes of a label map

/** A drawing brought from a label map keeps its fills with any model. */
const isCrisp = () => hasLabels || doc.strokes.some(({ tool }) => tool in LABEL_TOOLS && !(tool in TOOLS));

function rasterImage(address) {
  if (!rasters.has(address)) {
    const image = new Image();
    image.onload = repaint;
    image.onerror = () => say("unreadable", true);
    image.src = address;
    rasters.set(address, image);
  }
  return rasters.get(address);
}

function inkOf(stroke) {
  return stroke.tool === "eraser" ? props.paper : (props.palette[stroke.color] ?? props.palette[0]);
}

function show() {
  if (isCrisp()) return showAreas(areas);
  screen.drawImage(layer, 0, 0, SIZE, SIZE);
  refreshControls();
}

function showAreas({ side, pixels }) {
  finished.putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), side), 0, 0);
  screen.imageSmoothingEnabled = false;
  screen.drawImage(layer, 0, 0, SIZE, SIZE);
  screen.imageSmoothingEnabled = true;
  refreshControls();
}

function repaint() {
  if (!layer.width) return; // in a hidden tab: painted when it comes back
  const side = isCrisp() ? props.resolution : canvas.width;
  if (layer.width !== side) resize(finished, side);
  const image = doc.raster && rasterImage(doc.raster);
  const under = image?.complete && image.naturalWidth ? image : null;
  if (isCrisp()) paintMap(side, under);
  else paintLines(under);
  show();
  if (live) paintLive(live.straight);
}

function paintLines(under) {
  finished.fillStyle = props.paper;
  finished.fillRect(0, 0, SIZE, SIZE);
  if (under) finished.drawImage(under, 0, 0, SIZE, SIZE);
  for (const stroke of doc.strokes) paintStroke(finished, stroke, inkOf(stroke));
}

function paintMap(side, under) {
  areas = makeAreas(side, packed(props.paper));
  if (under) coverAreas(areas, under);
  for (const stroke of doc.strokes) paintAreas(areas, stroke, packed(inkOf(stroke)));
}

function paintLive(straight) {
  if (isCrisp()) paintLiveAreas(straight);
  else paintLiveLine(straight);
}

/** Freehand adds its newest points to the screen; a straight line moves, so the finished layer comes back first. */
function paintLiveLine(straight) {
  if (live.straight || straight) {
    live.straight = straight;
    show();
    live.painted = 0;
  }
  const stroke = liveStroke();
  paintStroke(screen, stroke, inkOf(stroke), Math.min(live.painted, stroke.points.length - 1));
  live.painted = stroke.points.length - 1;
}

function paintLiveAreas(straight) {
  live.straight = straight;
  showAreas(withStroke(liveStroke()));
}

function withStroke(stroke) {
  const painted = copyAreas(areas);
  if (!isNothing(stroke)) paintAreas(painted, stroke, packed(inkOf(stroke)));
  return painted;
}

/** A press of the rectangle that did not become one. */
function isNothing({ tool, points }) {
  return tool === "rect" && distance(points[0], points.at(-1)) < 1;
}

/** Add a stroke to what is finished. False when it is none: no rectangle, or a fill that changes nothing. */
function paintFinished(stroke) {
  if (!isCrisp()) {
    paintStroke(finished, stroke, inkOf(stroke));
    return true;
  }
  const painted = withStroke(stroke);
  if (isNothing(stroke) || (stroke.tool === "fill" && sameAreas(painted, areas))) return false;
  areas = painted;
  return true;
}

function resize(context, pixels) {
  context.canvas.width = context.canvas.height = pixels;
  context.scale(pixels / SIZE, pixels / SIZE);
  context.imageSmoothingQuality = "high";
}

/** One canvas pixel per device pixel, so that lines are crisp on every screen. */
function fit() {
  const pixels = Math.round(canvas.clientWidth * devicePixelRatio);
  if (!pixels || pixels === canvas.width) return;
  resize(screen, pixels);
  repaint();
}

/** The drawing as a small picture, a data URL. */
function thumbnail() {
  if (!layer.width) return null; // never shown yet
  const small = document.createElement("canvas");
  small.width = small.height = THUMB_SIZE;
  const context = small.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(layer, 0, 0, THUMB_SIZE, THUMB_SIZE);
  return small.toDataURL("image/png");
}
