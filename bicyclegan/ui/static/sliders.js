// One slider for each dim of the code, or for each principal direction of the codes of photos.

const RANGE = 3; // sigma of the prior to either side
let space = "dims";
let rows = []; // {axis, range, number}, from the top

// ---- coordinates: a direction is a row of `components`, seen from the mean code

function coordinates(z) {
  const { directions } = studio.get("model");
  if (space === "dims") return [...z];
  const moved = z.map((value, d) => value - directions.mean[d]);
  return directions.components.map((row) => row.reduce((sum, weight, d) => sum + weight * moved[d], 0));
}

function codeAt(coords) {
  const { directions, dim } = studio.get("model");
  if (space === "dims") return coords;
  const sum = (d) => coords.reduce((total, value, k) => total + value * directions.components[k][d], directions.mean[d]);
  return Array.from({ length: dim }, (_, d) => sum(d));
}

// ---- rows

const sliders = () => (space === "dims" ? studio.get("model").sliders : studio.get("model").directions.sliders);

/** Which axis stands in which row: dims by number, directions by what they do. */
function order() {
  const axes = [...sliders().keys()];
  if (space === "dims") return axes;
  return axes.sort((a, b) => (sliders()[b].effect ?? 0) - (sliders()[a].effect ?? 0));
}

function makeRow(axis, place) {
  const { effect, colour, ramp, dead } = sliders()[axis];
  const strongest = Math.max(...sliders().map((each) => each.effect ?? 0));
  const name = space === "dims" ? `z${axis + 1}` : `↗${place + 1}`;
  const row = document.createElement("div");
  row.className = dead ? "knob dead" : "knob";
  row.innerHTML = `<span class="label">${name}</span><span class="effect"><span></span>
    <span class="meter"><span></span></span></span><input type="range"><input type="number">`;
  const [range, number] = row.querySelectorAll("input");
  Object.assign(range, { min: -RANGE, max: RANGE, step: 0.01 });
  Object.assign(number, { min: -RANGE, max: RANGE, step: 0.1 });
  range.setAttribute("aria-label", t("slider", { name }));
  number.setAttribute("aria-label", t("number", { name }));
  if (ramp) range.style.setProperty("--ramp", `linear-gradient(to right, ${ramp.join(", ")})`);
  const measured = effect !== null;
  row.querySelector(".effect").hidden = !measured;
  if (measured) {
    row.querySelector(".effect > span").textContent = dead ? t("dead") : `${effect.toFixed(3)} ${studio.get("model").metric}`;
    row.querySelector(".meter > span").style.width = `${(100 * effect) / (strongest || 1)}%`;
    const words = { metric: studio.get("model").metric, effect: effect.toFixed(3), colour: colour?.toFixed(1) ?? "–" };
    row.title = t(dead ? "deadHint" : "effectHint", words);
  }
  range.addEventListener("input", () => move(axis, range.valueAsNumber, true));
  range.addEventListener("change", () => move(axis, range.valueAsNumber));
  range.addEventListener("dblclick", () => move(axis, 0));
  number.addEventListener("input", () => Number.isFinite(number.valueAsNumber) && move(axis, number.valueAsNumber, true));
  number.addEventListener("change", () => {
    move(axis, Number.isFinite(number.valueAsNumber) ? number.valueAsNumber : 0);
    number.value = shown(coordinates(studio.get("style"))[axis]);
  });
  return { row, axis, range, number };
}

function move(axis, value, passing = false) {
  const coords = coordinates(studio.get("style"));
  coords[axis] = Math.min(RANGE, Math.max(-RANGE, value));
  studio.setStyle(codeAt(coords), passing);
}

function build() {
  const model = studio.get("model");
  if (!model) return;
  if (!model.directions) space = "dims";
  find(".space").hidden = !model.directions;
  select(space);
  rows = order().map(makeRow);
  find(".list").replaceChildren(...rows.map(({ row }) => row));
  const measured = model.sliders.some(({ effect }) => effect !== null);
  find(".note").textContent = t(!measured ? "unmeasured" : space === "dims" ? "dimsNote" : "directionsNote");
  showValues();
}

const shown = (value) => Number(value.toFixed(2));

function showValues() {
  const style = studio.get("style");
  if (!style || style.length !== studio.get("model")?.dim) return;
  const coords = coordinates(style);
  for (const { axis, range, number } of rows) {
    if (document.activeElement !== range || Math.abs(range.valueAsNumber - coords[axis]) > 0.006) range.value = coords[axis];
    if (document.activeElement !== number) number.value = shown(coords[axis]);
  }
}

const select = segmented(".space", (value) => {
  space = value;
  build();
});

let built = null; // the model whose rows these are
keepFresh(["model", "style"], () => {
  studio.startStyle();
  if (built === studio.get("model")) return showValues();
  built = studio.get("model");
  build();
});
