// What a press on the map does: on a point, between points, on a button; and where the style in use and pins lie.

let mean = null; // of the codes inside of the lasso
let pressed = null; // {z, place} of the last press between points

// ---- pressing points and places

const codesOf = { photos: () => points.codes, prior: () => points.prior, own: () => unpack(own().codes) };

function pressPoint(layer, index) {
  if (run || !codesOf[layer]) return;
  studio.setStyle(codesOf[layer]()[index]);
}

/** A press between points: no event of Plotly tells of it. */
let down = null;
plot.addEventListener("pointerdown", ({ clientX, clientY }) => { down = [clientX, clientY]; }, { capture: true });
plot.addEventListener("click", ({ clientX, clientY }) => {
  if (!down || Math.hypot(clientX - down[0], clientY - down[1]) > 5 || run || !map || isLasso()) return;
  if (plot.dims === 3) return pressHovered();
  const since = performance.now();
  setTimeout(() => { if (!(plot.pressed >= since - 50)) pressPlace(placeAt(clientX, clientY)); }, 60);
}, { capture: true });

/** In a deep plot Plotly tells of a mouse when its button goes down, also where that only turns the plot. */
function pressHovered() {
  const point = plot.hovered;
  if (point && !isTouch()) pressPoint(point.data.name, point.pointNumber);
}

const pressPlace = studio.newestOnly(async (place) => {
  if (!place) return;
  const answer = await ask("map_code", { ...question(map.settings), place });
  if (!answer) return;
  pressed = { z: answer.z.map(Math.fround), place };
  studio.setStyle(answer.z);
});

plot.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  if (!step || !marked.here || plot.dims === 3 || run) return;
  event.preventDefault();
  const { range: [low, high] } = plot._fullLayout.xaxis;
  marked.here = marked.here.map((value, k) => value + (step[k] * (high - low)) / 40);
  placeMarks();
  pressPlace(marked.here);
});

function describePoint(layer, index) {
  if (layer === "history") return { label: run.names[index] };
  if (layer === "prior") return { label: t("randomCode") };
  if (layer === "own") return { label: own().names[index], sprite: own().sprite, tile: index };
  return { label: points.names[index], sprite, tile: index };
}

// ---- the style in use and pins

const pinsHere = () => studio.get("pins").filter((pin) => !studio.isForeign(pin) && studio.fits(pin)).slice(0, 63);

/** Where the style in use and the pins lie. Asked while sliders move: no progress bar, and no message if it fails. */
const locate = studio.newestOnly(async () => {
  if (!map || run) return;
  const [style, pins] = [studio.get("style"), pinsHere()];
  if (!style) return;
  const there = map;
  const { places } = await studio.ask("map_place", { ...question(map.settings), z: [style, ...pins.map(({ z }) => z)] });
  if (!places || run || map !== there) return;
  const isPressed = pressed && style.every((value, d) => value === pressed.z[d]); // where one pressed, it stays
  marked = { here: isPressed ? pressed.place : places[0], pins: pins.map((pin, k) => [pin, places[k + 1]]) };
  showMarks();
});

// ---- lasso

const isLasso = () => find("[data-action=lasso]").getAttribute("aria-pressed") === "true";

function setLasso(on) {
  find("[data-action=lasso]").setAttribute("aria-pressed", on);
  marks.classList.toggle("through", on);
  if (plot.dims === 2) window.Plotly.relayout(plot, { dragmode: dragMode() });
}

function selectPoints(found) {
  const photos = found.filter(({ data }) => data.name !== "prior");
  const meant = photos.length ? photos : found; // random codes are only behind them
  const selected = meant.map(({ data, pointNumber }) => codesOf[data.name]?.()[pointNumber]).filter(Boolean);
  if (!selected.length) return unselect();
  find(".lassoed").hidden = false;
  find(".lassoed .count").textContent = t(selected.length === 1 ? "lassoedOne" : "lassoed", { count: selected.length });
  mean = Array.from(selected[0], (_, d) => selected.reduce((sum, code) => sum + code[d], 0) / selected.length);
  studio.setStyle(mean);
}

function unselect() {
  mean = null;
  find(".lassoed").hidden = true;
  plot.selection += 1; // Plotly keeps what was chosen from one drawing to the next, unless this changes
  draw();
}

/** Whatever was done to the style since. */
async function pinMean() {
  const z = mean;
  const answer = await ask("paint", { ...subject(), z: [z], example: true });
  if (answer?.tiles.length) studio.pin(z, answer.tiles[0]);
}

const actions = {
  lasso: () => setLasso(!isLasso()),
  closer: () => zoom(0.7),
  farther: () => zoom(1 / 0.7),
  whole: showWhole,
  cancel,
  joint: () => choose({ joint: true }),
  "pin-mean": pinMean,
  unselect: () => {
    setLasso(false);
    unselect();
  },
  play,
};
root.addEventListener("keydown", (event) => { if (event.key === "Escape" && plot.dims === 2) actions.unselect(); });
root.addEventListener("click", (event) => {
  const action = event.target.closest("[data-action]")?.dataset.action;
  if (action) actions[action]();
});
