// Film strips: one slider moves, the rest stays. Or a grid over two of them. A press goes there.

const STEPS = innerWidth < 560 ? 5 : 7; // a phone shows fewer, large enough to tell apart
const DEFAULT_STRIPS = 3;
const MAX_STRIPS = 9; // of 7 pictures: the server paints 64 at once
let shape = "strips";
let space = "dims";
let chosen = []; // axes of the strips
let facts = null; // of the model that chips and menus are for

const list = find(".strips");
const [across, down, side] = [find(".across"), find(".down"), find(".side")];
const sliders = () => (space === "dims" ? facts.sliders : facts.directions.sliders);

/** Axes by effect, the strongest first; by number where nothing was measured. */
function byEffect() {
  return [...sliders().keys()].sort((a, b) => (sliders()[b].effect ?? 0) - (sliders()[a].effect ?? 0));
}

const axisName = (axis) => (space === "dims" ? `z${axis + 1}` : `↗${byEffect().indexOf(axis) + 1}`);

function setUp() {
  facts = studio.get("model");
  if (!facts.directions) space = "dims";
  find(".space").hidden = !facts.directions;
  selectSpace(space);
  const ranked = byEffect();
  chosen = ranked.slice(0, DEFAULT_STRIPS).sort((a, b) => a - b);
  showChips();
  for (const [select, axis] of [[across, ranked[0]], [down, ranked[1] ?? ranked[0]]]) {
    select.replaceChildren(...[...sliders().keys()].map((each) => new Option(axisName(each), each)));
    select.value = select.dataset.last = axis;
  }
}

function showChips() {
  find(".chips").replaceChildren(...[...sliders().keys()].map((axis) => {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.textContent = axisName(axis);
    chip.classList.toggle("dead", sliders()[axis].dead);
    chip.setAttribute("aria-pressed", chosen.includes(axis));
    chip.addEventListener("click", () => {
      if (chosen.includes(axis)) chosen = chosen.filter((each) => each !== axis);
      else if (chosen.length < MAX_STRIPS) chosen = [...chosen, axis].sort((a, b) => a - b);
      chip.setAttribute("aria-pressed", chosen.includes(axis));
      update();
    });
    return chip;
  }));
}

// ---- painting

const update = studio.newestOnly(async () => {
  const [z, sketch] = [studio.get("style"), studio.get("sketch")];
  find(".chips").hidden = shape !== "strips";
  find(".axes").hidden = shape !== "grid";
  find(".blank").hidden = Boolean(sketch);
  list.hidden = !sketch;
  find("[data-action=sheet]").disabled = !sketch || (shape === "strips" && chosen.length === 0);
  if (!sketch || !z) return;
  if (shape === "grid") await paintGrid(z);
  else await paintStrips(z);
});

async function paintStrips(z) {
  const wanted = chosen.map((axis) => ({ axis, strip: stripOf(axis) }));
  list.replaceChildren(...wanted.map(({ strip }) => strip));
  for (const { axis, strip } of wanted) {
    const key = [facts.hash, space, z, studio.get("sketch")].join("\n");
    if (strip.key === key) continue; // painted already
    const answer = await ask("sweep", { ...subject(), z, slider: axis, directions: space === "directions", steps: STEPS });
    if (!answer) return;
    strip.key = key;
    showTiles(strip.querySelector(".tiles"), answer, STEPS);
  }
}

/** The strip of a slider, kept while others come and go. */
function stripOf(axis) {
  const id = `${space}${axis}`;
  const there = [...list.children].find((strip) => strip.dataset.id === id);
  if (there) return there;
  const strip = document.createElement("div");
  strip.className = "strip";
  strip.dataset.id = id;
  strip.innerHTML = '<span class="name"></span><div class="tiles"></div>';
  strip.querySelector(".name").textContent = axisName(axis);
  return strip;
}

async function paintGrid(z) {
  const wanted = { across: Number(across.value), down: Number(down.value), side: Number(side.value) };
  const answer = await ask("grid", { ...subject(), z, ...wanted, directions: space === "directions" });
  if (!answer) return;
  if (list.firstElementChild?.className !== "square") {
    list.innerHTML = '<div class="square"><div class="tiles"></div></div>';
  }
  showTiles(list.querySelector(".tiles"), answer, wanted.side);
}

/** Pictures are swapped in place where their number stays: a strip that is rebuilt flickers. */
function showTiles(box, { z, tiles, values }, columns) {
  box.style.setProperty("--columns", columns);
  box.codes = z;
  if (box.children.length !== tiles.length) {
    box.replaceChildren(...tiles.map((source, k) => makeTile({
      source,
      label: t("go"),
      press: () => studio.setStyle(box.codes[k]),
      actions: [iconButton("pin", shared.pin, () => studio.pin(box.codes[k], box.children[k].querySelector("img").src))],
    })));
  }
  tiles.forEach((source, k) => {
    box.children[k].querySelector("img").src = source;
    box.children[k].querySelector(".open").title = values ? `${t("go")} · ${values[k].toFixed(1)}` : t("go");
    box.children[k].classList.toggle("on", isCurrent(z[k]));
  });
}

const isCurrent = (z) => z.every((value, d) => Math.abs(value - studio.get("style")[d]) < 1e-4);

async function saveSheet() {
  const shapeWanted = shape === "grid"
    ? { across: Number(across.value), down: Number(down.value), side: Number(side.value) }
    : { sliders: chosen, steps: STEPS };
  const answer = await ask("space_sheet", {
    ...subject(), z: studio.get("style"), shape, ...shapeWanted, directions: space === "directions",
  });
  if (answer) saveFile(answer.url, answer.name);
}

// ---- wiring

const selectShape = segmented(".shape", (value) => { shape = value; update(); });
const selectSpace = segmented(".space", (value) => { space = value; setUp(); update(); });
selectShape(shape);
for (const [select, other] of [[across, down], [down, across]]) {
  select.addEventListener("change", () => {
    if (select.value === other.value) other.value = select.dataset.last; // two different ones: they change places
    for (const each of [across, down]) each.dataset.last = each.value;
    update();
  });
}
side.addEventListener("change", () => update());
find("[data-action=sheet]").addEventListener("click", saveSheet);

keepFresh(["model", "sketch", "style"], () => {
  if (!studio.get("model")) return;
  studio.startStyle();
  if (facts !== studio.get("model")) setUp();
  update();
});
