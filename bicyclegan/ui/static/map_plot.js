// The map itself: points with Plotly, marks of the style in use and of pins over them, a picture under the pointer.

const [frame, plot, marks, tip] = [".frame", ".plot", ".marks", ".tip"].map(find);
plot.selection = 0;
const GREY = { color: "#8891a5", opacity: 0.45 };
const GRID = "rgba(136, 145, 165, 0.2)";
const ACCENT = "#6366f1";
const isDark = () => document.body.classList.contains("dark");
const OWN = "#f59e0b";
const SCALES = { rising: "Viridis", "around zero": "RdBu" };
const GROUPS = ["#4f46e5", "#d97706", "#059669", "#db2777", "#0284c7", "#65a30d", "#7c3aed", "#475569"];
const LAYERS = ["photos", "prior", "own"];
const isTouch = () => matchMedia("(pointer: coarse)").matches;

/** Little-endian float32 out of Python: {rows, columns, data} -> rows of numbers. */
function unpack({ rows, columns, data }) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const numbers = new Float32Array(bytes.buffer);
  return Array.from({ length: rows }, (_, row) => numbers.subarray(row * columns, (row + 1) * columns));
}

/** Gradio brings Plotly when the first of its own charts comes into sight; an empty one stands beside this panel. */
async function plotly() {
  for (let waited = 0; !window.Plotly && waited < 20_000; waited += 30) {
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  return window.Plotly;
}

// ---- traces

const column = (places, axis) => Float32Array.from(places, (place) => place[axis]);

function pointTrace(name, places, dims, marker) {
  const trace = { name, mode: "markers", hoverinfo: "none", marker, x: column(places, 0), y: column(places, 1) };
  return dims === 3 ? { ...trace, type: "scatter3d", z: column(places, 2) } : { ...trace, type: "scattergl" };
}

const pointSize = (count, dims) => (count > 4000 ? 4 : count > 1200 ? 6 : 8) * (dims === 3 ? 0.4 : 1);

/** What points of a colouring look like. */
function markerOf({ kind, values, groups, low, high }, count, dims) {
  const size = pointSize(count, dims);
  const line = { width: count > 1200 ? 0 : 0.8, color: isDark() ? "rgba(190, 198, 215, 0.9)" : "rgba(120, 130, 150, 0.7)" };
  if (kind === "own") return { size, line, color: values };
  if (kind === "groups") return { size, line, color: values.map((group) => groupColour(group, groups.length)) };
  return { size, line, color: values, cmin: low, cmax: high, colorscale: SCALES[kind] };
}

const groupColour = (group, count) => (count <= GROUPS.length ? GROUPS[group] : `hsl(${(group * 360) / count} 65% 50%)`);

function traces({ dims, photos, prior, own, colouring, layers, history }) {
  if (history) return [pointTrace("history", photos, dims, { size: pointSize(photos.length, dims), color: history })];
  const shown = [];
  if (layers.prior) shown.push(pointTrace("prior", prior, dims, { size: pointSize(prior.length, dims) * 0.8, ...GREY }));
  if (layers.photos) shown.push(pointTrace("photos", photos, dims, markerOf(colouring, photos.length, dims)));
  if (layers.own && own.length) {
    const marker = { size: dims === 3 ? 5 : 11, symbol: "diamond", color: OWN, line: { width: 1.2, color: "#fff" } };
    shown.push(pointTrace("own", own, dims, marker));
  }
  return dims === 3 && marked.here ? [...shown, marksTrace()] : shown;
}

/** In three dimensions marks are points of the plot. */
function marksTrace() {
  const places = [...marked.pins.map(([, place]) => place), marked.here];
  const symbol = places.map((_, k) => (k < marked.pins.length ? "square" : "cross"));
  const size = places.map((_, k) => (k < marked.pins.length ? 4 : 7));
  const marker = { size, symbol, color: ACCENT, line: { width: 1.5, color: "#fff" } };
  return { ...pointTrace("marks", places, 3, marker), hoverinfo: "skip" };
}

// ---- layout

/** One, two and three standard deviations of random codes, which in any two directions lie around the origin. */
function rings(centre) {
  const ring = (radius) => ({
    type: "circle", layer: "below", line: { color: "rgba(136, 145, 165, 0.55)", width: 1, dash: "dot" },
    x0: centre[0] - radius, x1: centre[0] + radius, y0: centre[1] - radius, y1: centre[1] + radius,
  });
  return centre ? [1, 2, 3].map(ring) : [];
}

function axis(title, numbers) {
  return {
    title: { text: title, font: { size: 12 } }, showgrid: numbers, gridcolor: GRID, zeroline: false,
    showticklabels: numbers, ticks: "", automargin: true,
  };
}

/** Holds everything there is, whichever layers are shown: nothing jumps when one is hidden. */
function wholeRange(...layers) {
  const all = layers.flat();
  return [0, 1].map((axis) => {
    const [low, high] = all.reduce(([a, b], place) => [Math.min(a, place[axis]), Math.max(b, place[axis])], [Infinity, -Infinity]);
    const room = 0.06 * (high - low) || 1;
    return [low - room, high + room];
  });
}

function layoutOf({ dims, names, numbers, key, range, centre }) {
  const common = {
    uirevision: key, selectionrevision: plot.selection, selections: [], showlegend: false, hovermode: "closest", margin: { l: 14, r: 10, t: 10, b: 14 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: "#8891a5", size: 11 },
  };
  if (dims === 3) {
    const deep = (name) => ({
      ...axis(name, numbers), showbackground: false, showspikes: false, showgrid: true,
      gridcolor: isDark() ? "#39425a" : "#d5dae4", // WebGL knows no transparent grid
    });
    const scene = { xaxis: deep(names[0]), yaxis: deep(names[1]), zaxis: deep(names[2]), dragmode: "turntable", camera: { eye: START } };
    return { ...common, scene: { ...scene, aspectmode: numbers ? "data" : "cube" } };
  }
  return {
    ...common, dragmode: dragMode(), shapes: rings(centre),
    xaxis: { ...axis(names[0], numbers), range: range[0], autorange: false },
    yaxis: { ...axis(names[1], numbers), range: range[1], autorange: false, scaleanchor: "x" },
  };
}

/** Fingers scroll the page, unless they draw a lasso, or the map is larger than its frame. */
const dragMode = () => (isLasso() ? "lasso" : isTouch() && !plot.zoomed ? false : "pan");

const START = { x: 1.05, y: 1.05, z: 0.85 }; // where one looks from
const CONFIG = { displayModeBar: false, responsive: false, doubleClick: "reset", scrollZoom: false };

let drawn = 0; // drawings that were begun: Plotly may have to be waited for

async function drawPlot(picture) {
  const mine = ++drawn;
  tip.hidden = true;
  const library = await plotly();
  if (!library) return showError(t("noPlotly"));
  if (mine !== drawn) return;
  if (picture.dims !== plot.dims) library.purge(plot); // a flat and a deep plot have nothing in common
  if (picture.key !== plot.key) plot.zoomed = false;
  Object.assign(plot, { dims: picture.dims, key: picture.key, whole: picture.range, hovered: null });
  await library.react(plot, traces(picture), layoutOf(picture), CONFIG);
  listen();
  placeMarks();
}

function clearPlot() {
  drawn += 1;
  tip.hidden = true;
  plot.selection += 1;
  if (plot.dims) window.Plotly.purge(plot);
  plot.dims = 0;
  placeMarks();
}

/** Plotly's events; purging takes listeners away. */
function listen() {
  if (plot.heard === plot._ev) return;
  plot.heard = plot._ev;
  plot.on("plotly_hover", ({ points: [point], event }) => {
    plot.hovered = point;
    showTip(point, event);
  });
  plot.on("plotly_unhover", () => {
    plot.hovered = null;
    tip.hidden = true;
  });
  plot.on("plotly_click", ({ points: [point], event }) => {
    if (plot.dims === 3 && !isTouch()) return; // see `pressHovered`
    plot.pressed = performance.now();
    pressPoint(point.data.name, point.pointNumber);
    if (isTouch()) flashTip(point, event);
  });
  plot.on("plotly_selected", (event) => event && selectPoints(event.points));
  for (const change of ["plotly_relayout", "plotly_relayouting", "plotly_afterplot"]) plot.on(change, placeMarks);
}

new ResizeObserver(() => { if (window.Plotly && plot.dims && isShown()) window.Plotly.Plots.resize(plot); }).observe(frame);

// ---- looking closer

/** Closer (below 1) or farther. about: the place of the map that stays where it is, its middle by default. */
function zoom(factor, about = null) {
  if (!plot.dims) return null;
  const { xaxis, yaxis, scene } = plot._fullLayout;
  if (plot.dims === 3) {
    const { eye } = scene.camera;
    return window.Plotly.relayout(plot, { "scene.camera.eye": { x: eye.x * factor, y: eye.y * factor, z: eye.z * factor } });
  }
  const around = ({ range: [a, b] }, middle = (a + b) / 2) => [middle + (a - middle) * factor, middle + (b - middle) * factor];
  const ranges = { "xaxis.range": around(xaxis, about?.[0]), "yaxis.range": around(yaxis, about?.[1]) };
  plot.zoomed = ranges["xaxis.range"][1] - ranges["xaxis.range"][0] < plot.whole[0][1] - plot.whole[0][0];
  return window.Plotly.relayout(plot, { ...ranges, dragmode: dragMode() });
}

function showWhole() {
  if (!plot.dims) return;
  plot.zoomed = false;
  const flat = () => ({ "xaxis.range": [...plot.whole[0]], "yaxis.range": [...plot.whole[1]], dragmode: dragMode() });
  window.Plotly.relayout(plot, plot.dims === 3 ? { "scene.camera.eye": START } : flat());
}

/** Ctrl and the wheel look closer, as in other maps; the wheel alone scrolls the page, also over a deep plot. */
plot.addEventListener("wheel", (event) => {
  event.stopPropagation();
  if (!event.ctrlKey && !event.metaKey) return;
  event.preventDefault();
  zoom(event.deltaY < 0 ? 0.8 : 1.25, plot.dims === 2 ? placeAt(event.clientX, event.clientY) : null);
}, { capture: true, passive: false });

// ---- places on the page

/** Where a place of the map is inside of the frame, in px; null where it is out of sight. */
function pixelOf([x, y]) {
  const { xaxis, yaxis } = plot._fullLayout ?? {};
  if (!xaxis || plot.dims !== 2) return null;
  const [left, top] = [xaxis.d2p(x), yaxis.d2p(y)];
  const inside = left >= 0 && left <= xaxis._length && top >= 0 && top <= yaxis._length;
  return inside ? [left + xaxis._offset, top + yaxis._offset] : null;
}

/** The place of the map under a point of the page. */
function placeAt(clientX, clientY) {
  const { xaxis, yaxis } = plot._fullLayout;
  const box = plot.getBoundingClientRect();
  const [left, top] = [clientX - box.left - xaxis._offset, clientY - box.top - yaxis._offset];
  if (left < 0 || left > xaxis._length || top < 0 || top > yaxis._length) return null;
  return [xaxis.p2d(left), yaxis.p2d(top)];
}

let marked = { here: null, pins: [] }; // places of the style in use and of [pin, place]

async function showMarks() {
  if (plot.dims !== 3) return placeMarks();
  const number = plot.data.findIndex(({ name }) => name === "marks");
  const { x, y, z } = marksTrace();
  if (number < 0 || plot.data[number].x.length !== x.length) return draw();
  return window.Plotly.restyle(plot, { x: [x], y: [y], z: [z] }, [number]);
}

/** Marks over the plot stay while their pins do: one that is built anew loses the focus. */
function placeMarks() {
  const there = new Map([...marks.children].map((mark) => [mark.dataset.id, mark]));
  const wanted = plot.dims === 2 ? marked.pins.map(([pin, place]) => [pin.id, pixelOf(place), pin]) : [];
  if (plot.dims === 2 && marked.here) wanted.push(["here", pixelOf(marked.here)]);
  const shown = wanted.filter(([, pixel]) => pixel).map(([id, pixel, pin]) => {
    const mark = there.get(id) ?? (pin ? pinMark(pin) : hereMark());
    [mark.style.left, mark.style.top] = pixel.map((value) => `${value}px`);
    return mark;
  });
  for (const mark of [...marks.children]) if (!shown.includes(mark)) mark.remove();
  for (const mark of shown) if (!mark.isConnected) marks.append(mark);
}

function hereMark() {
  const mark = document.createElement("span");
  mark.className = "mark here";
  mark.dataset.id = "here";
  return mark;
}

function pinMark({ id, name, thumb, z }) {
  const mark = document.createElement("button");
  mark.type = "button";
  mark.className = "mark pin";
  mark.dataset.id = id;
  mark.title = name;
  mark.setAttribute("aria-label", t("usePin", { name }));
  mark.style.backgroundImage = `url("${thumb}")`;
  mark.addEventListener("click", () => studio.setStyle(z));
  return mark;
}

// ---- the picture under the pointer

let pointer = null; // Plotly does not tell where it is over a deep plot
frame.addEventListener("pointermove", ({ clientX, clientY }) => { pointer = { clientX, clientY }; });

/** sprite: {url, columns, size} of the layer that the point is of, or none. */
function showTip(point, event) {
  const { name } = point.data;
  const { label, sprite, tile } = describePoint(name, point.pointNumber);
  if (!label) return;
  const thumb = tip.querySelector(".thumb");
  thumb.hidden = !sprite;
  if (sprite) {
    const side = 96;
    thumb.style.backgroundImage = `url("${sprite.url}")`;
    thumb.style.backgroundSize = `${side * sprite.columns}px auto`;
    thumb.style.backgroundPosition = `-${(tile % sprite.columns) * side}px -${Math.floor(tile / sprite.columns) * side}px`;
  }
  tip.querySelector(".name").textContent = label;
  tip.dataset.layer = name;
  tip.dataset.index = point.pointNumber;
  tip.hidden = false;
  const box = frame.getBoundingClientRect();
  const { clientX = box.left, clientY = box.top } = event?.clientX === undefined ? pointer ?? {} : event;
  const [x, y] = [clientX - box.left, clientY - box.top];
  const fit = (at, size, room) => Math.max(4, at + 16 + size > room ? at - size - 16 : at + 16);
  tip.style.left = `${Math.min(fit(x, tip.offsetWidth, box.width), box.width - tip.offsetWidth - 4)}px`;
  tip.style.top = `${Math.min(fit(y, tip.offsetHeight, box.height), box.height - tip.offsetHeight - 4)}px`;
}

/** For fingers, which point at nothing. */
function flashTip(point, event) {
  showTip(point, event);
  setTimeout(() => { tip.hidden = true; }, 1500);
}
