// Label maps: areas of pure colours, painted pixel by pixel at the model's own size by the rules of
// bicyclegan/sketch/raster.py. So the paper shows what the model will see, and a fill ends where it will end there.
// Pure functions. An area map is { side, pixels }, its pixels packed as `packed` does; points are in canvas units.

const FAT_PEN = 8; // px from which OpenCV draws a line as it is; narrower ones are drawn three times as large

/** '#rrggbb' as one number of an ImageData's buffer. */
function packed(colour) {
  const channel = (start) => Number.parseInt(colour.slice(start, start + 2), 16);
  return new Uint32Array(new Uint8ClampedArray([channel(1), channel(3), channel(5), 255]).buffer)[0];
}

function makeAreas(side, ground) {
  return { side, pixels: new Uint32Array(side * side).fill(ground) };
}

const copyAreas = ({ side, pixels }) => ({ side, pixels: pixels.slice() });

const sameAreas = (one, other) => one.pixels.every((pixel, place) => pixel === other.pixels[place]);

/** Put a picture under everything, each pixel from the nearest of the picture's. */
function coverAreas({ side, pixels }, image) {
  const { naturalWidth: width, naturalHeight: height } = image;
  const sheet = document.createElement("canvas");
  Object.assign(sheet, { width, height });
  const context = sheet.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff"; // under what is transparent
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0);
  const found = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
  for (let y = 0; y < side; y += 1) {
    const row = Math.floor(((y + 0.5) * height) / side) * width;
    for (let x = 0; x < side; x += 1) pixels[y * side + x] = found[row + Math.floor(((x + 0.5) * width) / side)];
  }
}

/** Paint one stroke and its reflection, in place. */
function paintAreas(areas, stroke, ink) {
  const unit = areas.side / SIZE;
  const points = stroke.points.map(([x, y]) => [x * unit, y * unit]);
  if (stroke.tool === "fill") {
    flood(areas, points[0], ink);
    if (stroke.mirror) flood(areas, [(SIZE - stroke.points[0][0]) * unit, points[0][1]], ink);
    return;
  }
  const run = runPainter(areas, ink, stroke.mirror);
  if (stroke.tool === "rect") paintRectangle(points, run);
  else paintLine(points, Math.max(1, Math.floor(stroke.width * unit + 0.5)), areas.side, run);
}

/** run(y, from, to) paints pixels of a row up to, not including, `to`; where they are off the paper, nothing. */
function runPainter({ side, pixels }, ink, mirror) {
  return (y, from, to) => {
    const [left, right] = [Math.max(from, 0), Math.min(to, side)];
    if (y < 0 || y >= side || left >= right) return;
    const start = y * side;
    pixels.fill(ink, start + left, start + right);
    if (mirror) pixels.fill(ink, start + side - right, start + side - left);
  };
}

/** To the nearest whole number, halves to the even one, as numpy does. */
function evenRound(value) {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

function paintRectangle(points, run) {
  const [one, other] = [points[0], points.at(-1)].map((corner) => corner.map(evenRound));
  const [left, top] = one.map((value, axis) => Math.min(value, other[axis]));
  const [right, bottom] = one.map((value, axis) => Math.max(value, other[axis]));
  for (let y = top; y < Math.max(bottom, top + 1); y += 1) run(y, left, Math.max(right, left + 1));
}

function paintLine(points, thickness, side, run) {
  if (thickness === 1) return paintThinLine(points, run);
  const radius = penWidth(thickness) / 2;
  points.forEach((point, k) => paintCapsule(points[Math.max(0, k - 1)], point, radius, side, run));
}

/** OpenCV's lines have an odd width: of whole pixels if they are fat, else of thirds of a pixel. */
function penWidth(thickness) {
  const odd = (pixels) => 2 * Math.floor((pixels - 1) / 2) + 1;
  return thickness < FAT_PEN ? odd(3 * thickness) / 3 : odd(thickness);
}

/** All pixels whose middle is within `radius` of the way from a to b: in each row one run, for the shape is convex. */
function paintCapsule(a, b, radius, side, run) {
  const along = distance(a, b);
  const [nx, ny] = along ? [((a[1] - b[1]) / along) * radius, ((b[0] - a[0]) / along) * radius] : [0, 0];
  const corners = [[a[0] + nx, a[1] + ny], [b[0] + nx, b[1] + ny], [b[0] - nx, b[1] - ny], [a[0] - nx, a[1] - ny]];
  const first = Math.max(0, Math.floor(Math.min(a[1], b[1]) - radius));
  const last = Math.min(side - 1, Math.ceil(Math.max(a[1], b[1]) + radius));
  for (let y = first; y <= last; y += 1) {
    const crossed = [...discAt(a, radius, y + 0.5), ...discAt(b, radius, y + 0.5), ...quadAt(corners, y + 0.5)];
    if (crossed.length) run(y, Math.ceil(Math.min(...crossed) - 0.5), Math.floor(Math.max(...crossed) - 0.5) + 1);
  }
}

/** Where a level line crosses the border of a disc. */
function discAt([x, y], radius, level) {
  const square = radius ** 2 - (level - y) ** 2;
  return square < 0 ? [] : [x - Math.sqrt(square), x + Math.sqrt(square)];
}

/** Where a level line crosses the sides of a quadrangle. */
function quadAt(corners, level) {
  return corners.flatMap(([x, y], k) => {
    const [endX, endY] = corners[(k + 1) % 4];
    if (Math.min(y, endY) > level || Math.max(y, endY) < level || y === endY) return [];
    return [x + ((endX - x) * (level - y)) / (endY - y)];
  });
}

/** A line of one pixel, and of one in each diagonal step: a fill does not leak through it. */
function paintThinLine(points, run) {
  const path = withoutStairs(points.map((point) => point.map(Math.floor)));
  path.forEach((pixel, k) => paintSteps(path[Math.max(0, k - 1)], pixel, run));
}

/** Whole pixels without repetitions and, in each run of stair corners, without every second one. */
function withoutStairs(pixels) {
  const path = pixels.filter((pixel, k) => k === 0 || distance(pixel, pixels[k - 1]) > 0);
  const steps = path.slice(1).map(([x, y], k) => [x - path[k][0], y - path[k][1]]);
  const short = ([x, y] = [0, 0]) => Math.abs(x) + Math.abs(y) === 1;
  let corners = 0;
  return path.filter((_, k) => {
    const [into, out] = [steps[k - 1], steps[k]];
    const turns = short(into) && short(out) && into[0] * out[0] + into[1] * out[1] === 0;
    corners = turns ? corners + 1 : 0;
    return corners % 2 === 0;
  });
}

/** Bresenham's line, from left to right. */
function paintSteps(from, to, run) {
  const [[x, y], [endX, endY]] = from[0] <= to[0] ? [from, to] : [to, from];
  const count = Math.max(endX - x, Math.abs(endY - y), 1);
  const at = (start, end, k) => start + Math.sign(end - start) * Math.ceil((Math.abs(end - start) * k) / count - 0.5);
  for (let k = 0; k <= count; k += 1) run(at(y, endY, k), at(x, endX, k), at(x, endX, k) + 1);
}

/** Give the area around a point, all that is connected by sides and has exactly its colour, another colour. */
function flood({ side, pixels }, point, ink) {
  const [x, y] = point.map(Math.floor);
  if (x < 0 || x >= side || y < 0 || y >= side) return;
  const old = pixels[y * side + x];
  if (old === ink) return;
  const waiting = [y * side + x];
  while (waiting.length) {
    const place = waiting.pop();
    if (pixels[place] !== old) continue;
    pixels[place] = ink;
    if (place % side > 0) waiting.push(place - 1);
    if (place % side < side - 1) waiting.push(place + 1);
    if (place >= side) waiting.push(place - side);
    if (place < side * (side - 1)) waiting.push(place + side);
  }
}
