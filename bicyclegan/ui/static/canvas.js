// The paper: document, history, pointer. Gradio runs the joined files once per component, as the body of a
// function with `element`, `trigger`, `props` and `watch`; so nothing here is global.

const MIN_STEP = 0.5; // points of a stroke keep at least this distance
const HISTORY_LIMIT = 200;
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
const widthsOf = (tools) => Object.fromEntries(Object.entries(tools).map(([name, { width }]) => [name, width]));
const widths = { lines: widthsOf(TOOLS), labels: widthsOf(LABEL_TOOLS) };

let hasLabels = false; // whether the model takes label maps: follows the palette, see applyColors
const tools = () => (hasLabels ? LABEL_TOOLS : TOOLS);
const toolWidths = () => (hasLabels ? widths.labels : widths.lines);

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

function restore() {
  doc = parse(own) ?? EMPTY;
  if (own) return share();
  const saved = parse(draft.read());
  if (!saved) return draft.write("");
  if (isEmpty(saved)) return;
  doc = saved;
  emit();
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
  const ink = kind === "eraser" ? 0 : color;
  Object.assign(live, { width: toolWidths()[kind], color: ink, mirror, straight: event.shiftKey });
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
  const { tool, width, color, mirror } = live;
  const points = livePoints(live);
  if (points.length > 1 && distance(points.at(-1), points.at(-2)) === 0) points.pop();
  return { tool, width, color, points, mirror };
}

function livePoints({ tool, trail, end, straight }) {
  if (tool === "fill") return [trail[0]];
  if (tool === "rect") return [trail[0], straight ? squareCorner(trail[0], end) : end];
  return straight ? [trail[0], end] : [...trail];
}

/** The corner opposite to `start` of a square as large as the way to `end` is far. */
function squareCorner(start, end) {
  const far = Math.max(...start.map((value, axis) => Math.abs(end[axis] - value)));
  return start.map((value, axis) => Math.round((end[axis] < value ? value - far : value + far) * 100) / 100);
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

function finishStroke(event) {
  if (event.pointerId !== live?.pointer) return;
  const last = live.trail.length - 1;
  if (last > 0) live.trail[last] = live.end; // closer than a step to the last point kept, or that point itself
  const stroke = liveStroke();
  live = null;
  if (!paintFinished(stroke)) return show();
  edit({ ...doc, strokes: [...doc.strokes, stroke] });
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
  const side = tools()[tool].max ? (toolWidths()[tool] / SIZE) * canvas.clientWidth : 0;
  ring.hidden = event.pointerType !== "mouse" || side < 8; // smaller than the cross of the cursor
  const box = canvas.getBoundingClientRect();
  ring.style.width = ring.style.height = `${side}px`;
  ring.style.translate = `${event.clientX - box.left - side / 2}px ${event.clientY - box.top - side / 2}px`;
}
