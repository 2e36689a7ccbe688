// The paper: document, history, painting, pointer. Gradio runs the joined files once per component, as the body of a
// function with `element`, `trigger`, `props` and `watch`; so nothing here is global.

const MIN_STEP = 0.5; // points of a stroke keep at least this distance
const HISTORY_LIMIT = 200;
const THUMB_SIZE = 112; // px
// While Gradio mounts the page it takes back values that are set here and hears no events. It is over soon after the
// page's own load event, which the app passes on as "studio:ready"; without one, after PATIENCE.
const MOUNT_DELAY = 150; // ms
const PATIENCE = 1500; // ms

const $ = (selector) => element.querySelector(selector);
const canvas = $("canvas");
const stage = $(".stage");
const screen = canvas.getContext("2d");

// ---- State, history, and the draft that survives a reload

let doc = EMPTY;
let past = [];
let future = [];
let own = props.value || ""; // the value as this script last saw or wrote it: anything else comes from Python
let live = null; // the stroke under the pointer
let settled = false; // whether Python can hear
let untold = false; // whether there is something that Python has not heard

let tool = "pen";
let color = 0;
let mirror = false;
const widths = { pen: TOOLS.pen.width, eraser: TOOLS.eraser.width };

const draft = {
  read() {
    try {
      return localStorage.getItem(props.storage_key) || "";
    } catch {
      return ""; // storage is blocked: the draft lives as long as the page
    }
  },
  write(text) {
    try {
      if (text) localStorage.setItem(props.storage_key, text);
      else localStorage.removeItem(props.storage_key);
    } catch {
      // blocked or full: drawing goes on
    }
  },
};

function edit(next) {
  past = [...past.slice(1 - HISTORY_LIMIT), doc];
  future = [];
  doc = next;
}

/** Tell Python, once. */
function emit() {
  own = stringify(doc);
  draft.write(own);
  share();
  untold = true;
  tell();
}

/** What other parts of the page see of the drawing. */
function share() {
  window.studio?.set("sketch", stringify(doc));
}

function tell() {
  if (!settled || !untold) return;
  untold = false;
  props.value = own;
  trigger("input");
}

function settle() {
  setTimeout(() => {
    settled = true;
    tell();
  }, MOUNT_DELAY);
}

function step(from, to, message) {
  if (live) return cancelStroke();
  if (from.length === 0) return;
  to.push(doc);
  doc = from.pop();
  repaint();
  emit();
  say(message);
}

const undo = () => step(past, future, "undone");
const redo = () => step(future, past, "redone");

function clear() {
  cancelStroke();
  if (isEmpty(doc)) return;
  edit(EMPTY);
  repaint();
  emit();
  say("cleared");
}

function receive() {
  const text = props.value || "";
  if (text === own) return;
  untold = false;
  own = text;
  const next = parse(text);
  if (!next) return say("unreadable", true);
  live = null;
  edit(next);
  draft.write(stringify(doc));
  share();
  repaint();
  say("");
}

/** A drawing that another part of the page brings, such as a kept one. Undo brings the old one back. */
function load(text) {
  const next = parse(text);
  if (!next) return say("unreadable", true);
  cancelStroke();
  edit(next);
  repaint();
  emit();
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

function restore() {
  doc = parse(own) ?? EMPTY;
  if (own) return share();
  const saved = parse(draft.read());
  if (!saved) return draft.write("");
  if (isEmpty(saved)) return;
  doc = saved;
  emit();
}

// ---- Painting: finished strokes live on a layer of their own, the screen shows it with the live stroke on top

const layer = document.createElement("canvas");
const finished = layer.getContext("2d");
const rasters = new Map();

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
  screen.drawImage(layer, 0, 0, SIZE, SIZE);
  refreshControls();
}

function repaint() {
  if (!layer.width) return; // in a hidden tab: painted when it comes back
  finished.fillStyle = props.paper;
  finished.fillRect(0, 0, SIZE, SIZE);
  const image = doc.raster && rasterImage(doc.raster);
  if (image?.complete && image.naturalWidth) finished.drawImage(image, 0, 0, SIZE, SIZE);
  for (const stroke of doc.strokes) paintStroke(finished, stroke, inkOf(stroke));
  show();
  if (live) paintLive(live.straight);
}

/** One canvas pixel per device pixel, so that lines are crisp on every screen. */
function fit() {
  const pixels = Math.round(canvas.clientWidth * devicePixelRatio);
  if (!pixels || pixels === canvas.width) return;
  for (const context of [screen, finished]) {
    context.canvas.width = context.canvas.height = pixels;
    context.scale(pixels / SIZE, pixels / SIZE);
    context.imageSmoothingQuality = "high";
  }
  repaint();
}

// ---- Pointer: one stroke at a time, by mouse, pen or one finger

function pointAt(event) {
  const box = canvas.getBoundingClientRect();
  const limited = (units) => Math.min(Math.max(units, -SIZE), 2 * SIZE); // strokes may run off the paper
  const unit = (offset) => Math.round(limited((offset / box.width) * SIZE) * 100) / 100;
  return [unit(event.clientX - box.left), unit(event.clientY - box.top)];
}

function distance(a, b) {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}

function startStroke(event) {
  if (live) return interrupt(event);
  const erases = event.button === 5 || (event.buttons & 32) !== 0; // the other end of a pen
  if (!event.isPrimary || (event.button !== 0 && !erases)) return;
  canvas.focus({ preventScroll: true, focusVisible: false });
  canvas.setPointerCapture(event.pointerId);
  const kind = erases ? "eraser" : tool;
  const start = pointAt(event);
  live = { pointer: event.pointerId, type: event.pointerType, tool: kind, trail: [start], end: start, painted: 0 };
  Object.assign(live, { width: widths[kind], color: kind === "pen" ? color : 0, mirror, straight: event.shiftKey });
  paintLive(live.straight);
  refreshControls();
}

/** A second pointer while drawing: two fingers mean no stroke, a pen beats the palm that lay down first. */
function interrupt(event) {
  if (live.type !== "touch" || event.pointerId === live.pointer) return;
  cancelStroke();
  if (event.pointerType === "pen") startStroke(event);
}

function liveStroke() {
  const { tool, width, color, trail, end, straight, mirror } = live;
  const points = straight ? [trail[0], end] : [...trail];
  if (points.length > 1 && distance(points.at(-1), points.at(-2)) === 0) points.pop();
  return { tool, width, color, points, mirror };
}

function extendStroke(event) {
  moveRing(event);
  if (event.pointerId !== live?.pointer) return;
  const moves = event.getCoalescedEvents?.() ?? [];
  for (const move of moves.length ? moves : [event]) {
    live.end = pointAt(move);
    if (distance(live.end, live.trail.at(-1)) >= MIN_STEP) live.trail.push(live.end);
  }
  paintLive(event.shiftKey);
}

/** Freehand adds its newest points to the screen; a straight line moves, so the finished layer comes back first. */
function paintLive(straight) {
  if (live.straight || straight) {
    live.straight = straight;
    show();
    live.painted = 0;
  }
  const stroke = liveStroke();
  paintStroke(screen, stroke, inkOf(stroke), Math.min(live.painted, stroke.points.length - 1));
  live.painted = stroke.points.length - 1;
}

function finishStroke(event) {
  if (event.pointerId !== live?.pointer) return;
  const last = live.trail.length - 1;
  if (last > 0) live.trail[last] = live.end; // closer than a step to the last point kept, or that point itself
  const stroke = liveStroke();
  live = null;
  edit({ ...doc, strokes: [...doc.strokes, stroke] });
  paintStroke(finished, stroke, inkOf(stroke));
  show();
  emit();
}

function cancelStroke() {
  if (!live) return;
  live = null;
  show();
}

const ring = $(".ring");

/** The ring around a mouse shows how wide the tool is. */
function moveRing(event) {
  const side = (widths[tool] / SIZE) * canvas.clientWidth;
  ring.hidden = event.pointerType !== "mouse" || side < 8; // smaller than the cross of the cursor
  const box = canvas.getBoundingClientRect();
  ring.style.width = ring.style.height = `${side}px`;
  ring.style.translate = `${event.clientX - box.left - side / 2}px ${event.clientY - box.top - side / 2}px`;
}
