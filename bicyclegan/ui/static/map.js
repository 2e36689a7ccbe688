// The latent map: where the encoder puts photos. Press a point, or any place, to paint your drawing in that style.

const colourMenu = find(".colour select");
const tune = find(".tune");
const ticket = studio.freshId();
const chosen = { method: "pca", dims: 2, neighbours: 15, min_dist: 0.1, perplexity: 30, joint: false };
// Texts by what Python calls a thing.
const DOING = { waiting: "waiting", loading: "loading", neighbours: "finding", layout: "layout" };
const BY = { photo: "by_photo", class: "by_class", cluster: "by_cluster", kl: "by_kl" };
const HOW = { pca: "how_pca", umap: "how_umap", tsne: "how_tsne" };
const HOW_DEEP = { pca: "how_pca_deep", umap: "how_umap_deep", tsne: "how_tsne_deep" };
const TUNE = { umap: "tune_umap", tsne: "tune_tsne" };
const COUNTED = { photos: "layer_photos", prior: "layer_prior", own: "layer_own" };
const layers = { photos: true, prior: true, own: true };

let points = null; // of the model: what `map_points` answers, unpacked
let map = null; // what is shown: {settings, photos, prior, own, exact, centre, shares}
let sprite = null;
let run = null; // {name, steps, moments, ...} while a training run is shown

const own = () => (studio.get("own")?.hash === studio.get("model").hash ? studio.get("own") : null);

/** What every question about a map starts with; own photos come along where they are needed. `joint`: they are laid out
    with the others. */
function question(settings, withOwn = settings.joint || points.count === 0) {
  return { ...model(), ...settings, joint: settings.joint && own() !== null, own: withOwn ? own()?.codes ?? null : null };
}

// ---- the model's points

/** Nothing of the model before may stay: its points would be taken for those of this one. */
function forget() {
  turn += 1;
  leaveRun();
  [points, map, sprite, mean, pressed] = [null, null, null, null, null];
  marked = { here: null, pins: [] };
  chosen.joint = false;
  clearPlot();
  showWorking(null);
  setLasso(false);
  find(".lassoed").hidden = true;
  find(".key").hidden = true;
}

async function openModel() {
  const since = performance.now();
  forget();
  studio.startStyle();
  const mine = turn;
  showWorking({ share: 0, what: "loading", ahead: 0 });
  const answer = await ask("map_points", model());
  if (mine !== turn) return;
  showWorking(null);
  if (!answer) return void (opened = null); // asked again when the map comes into sight
  points = { ...answer, codes: unpack(answer.codes), prior: unpack(answer.prior) };
  showColourings();
  showRuns(points.runs);
  if (colourMenu.value === "cluster") fetchClusters().then(draw);
  await layOut();
  window.dispatchEvent(new CustomEvent("studio:mapped", { detail: { milliseconds: performance.now() - since } }));
  if (points.sprite) fetchSprite();
  fetchReadings();
}

async function fetchSprite() {
  const { hash } = studio.get("model");
  const answer = await studio.ask("map_sprite", model());
  if (!answer.error && hash === studio.get("model").hash) sprite = { url: answer.url, ...points.sprite };
}

const isEmpty = () => !points || (points.count === 0 && !own());

function showBlank() {
  const able = studio.get("model").encoder && studio.get("model").dim > 0;
  find(".blank").hidden = !points || !isEmpty();
  find(".blank p").textContent = t(able ? "unmeasured" : "noEncoder", studio.get("model"));
  for (const part of [".tools", ".layers", ".how", ".readings"]) find(part).hidden = isEmpty();
}

// ---- laying out

let turn = 0; // of the last wish: answers to earlier ones come too late

/** Ask until the map is there. What is shown stays until then, and when it cannot be had. */
async function layOut() {
  const mine = ++turn;
  showBlank();
  if (isEmpty()) return cancel();
  for (;;) {
    const answer = await studio.ask("map_places", { ...question(chosen, true), ticket });
    if (mine !== turn) return;
    showWorking(answer.waiting);
    if (answer.error) return await keepMap(answer.error);
    if (!answer.waiting) return await showMap(answer);
    await new Promise((resolve) => setTimeout(resolve, 400));
    if (mine !== turn) return;
  }
}

/** The map that was asked for cannot be had: the one that is shown stays, or there is that of PCA. */
async function keepMap(why) {
  if (map) {
    Object.assign(chosen, map.settings);
    showSettings(false);
  } else if (chosen.method !== "pca") {
    Object.assign(chosen, { method: "pca", joint: false });
    await layOut();
  }
  showError(why);
}

async function showMap({ coords, prior, own: mine, ...facts }) {
  showError("");
  pressed = null;
  marked = { here: null, pins: [] }; // until they are found on this map
  map = { settings: { ...chosen }, photos: unpack(coords), prior: unpack(prior), own: unpack(mine), ...facts };
  showSettings();
  await draw();
  await locate();
}

function showWorking(waiting) {
  find(".working").hidden = !waiting;
  if (!waiting) return;
  const { share, what, ahead } = waiting;
  find(".working p").textContent = ahead ? t("ahead", { count: ahead }) : t(DOING[what]);
  if (share > 0) find(".working progress").value = share;
  else find(".working progress").removeAttribute("value");
}

function cancel() {
  turn += 1;
  studio.ask("map_cancel", { ticket });
  showWorking(null);
  if (map) Object.assign(chosen, map.settings);
  if (points) showSettings(false);
}

// ---- drawing

function colouring() {
  const [kind, dim] = colourMenu.value.split("-");
  if (kind === "dim") {
    const values = Float32Array.from(points.codes, (code) => code[dim - 1]);
    const high = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
    return { key: "dim", kind: "around zero", values, low: -high, high };
  }
  return points.colourings.find(({ key }) => key === colourMenu.value) ?? { kind: "own", values: "#6366f1" };
}

async function draw() {
  if (!map || run) return;
  const { photos, prior, own: mine, settings, shares, centre } = map;
  const names = [0, 1, 2].map((k) => (shares?.[k] !== undefined ? t("direction", { number: k + 1, share: Math.round(100 * shares[k]) }) : ""));
  const key = JSON.stringify([settings, studio.get("model").hash]);
  showKey();
  showLayers();
  showHow();
  const shown = { photos, prior, own: mine, colouring: colouring(), layers, centre: layers.prior ? centre : null };
  const range = wholeRange(photos, prior, mine);
  await drawPlot({ ...shown, dims: settings.dims, names, numbers: map.exact, key, range });
}

function showColourings() {
  const options = points.colourings.map(({ key }) => [key, t(BY[key])]);
  if (points.count > 1) options.push(["cluster", t(BY.cluster)]);
  for (let dim = 1; dim <= studio.get("model").dim && points.count; dim += 1) options.push([`dim-${dim}`, t("by_dim", { number: dim })]);
  const before = colourMenu.value;
  colourMenu.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  if (options.some(([value]) => value === before)) colourMenu.value = before;
  find(".colour").hidden = options.length === 0;
}

function showKey() {
  const { kind, key, values, groups = [], low, high } = colouring();
  const parts = [];
  if (kind === "groups") {
    const counts = groups.map((_, k) => values.filter((value) => value === k).length);
    groups.forEach((name, k) => parts.push(dotted(groupColour(k, groups.length), `${key === "cluster" ? k + 1 : name} (${counts[k]})`)));
  } else if (kind !== "own") {
    const scale = document.createElement("span");
    scale.className = `scale ${kind === "rising" ? "rising" : "zero"}`;
    parts.push(low.toFixed(1), scale, high.toFixed(1));
  }
  find(".key").replaceChildren(...parts);
  find(".key").hidden = parts.length === 0;
}

function dotted(colour, text) {
  const item = document.createElement("span");
  const dot = document.createElement("span");
  dot.className = "dot";
  dot.style.background = colour;
  item.append(dot, text);
  return item;
}

function showLayers() {
  const counts = { photos: map.photos.length, prior: map.prior.length, own: map.own.length };
  const there = LAYERS.filter((name) => counts[name]);
  const mine = dotted("var(--color-accent)", t("layer_here"));
  mine.className = "mine";
  keepFocus(() => find(".layers").replaceChildren(...there.map((name) => layerSwitch(name, counts[name])), mine));
  find(".joint").hidden = map.exact || map.settings.joint || !map.own.length || !map.photos.length;
}

function layerSwitch(name, count) {
  const label = document.createElement("label");
  const box = document.createElement("input");
  Object.assign(box, { type: "checkbox", checked: layers[name], name });
  box.dataset.key = name;
  box.addEventListener("change", () => {
    layers[name] = box.checked;
    draw();
  });
  const colour = { photos: "linear-gradient(135deg, #ef4444, #f59e0b, #10b981, #3b82f6)", prior: GREY.color, own: OWN }[name];
  label.append(box, dotted(colour, t(COUNTED[name], { count })));
  return label;
}

function showHow() {
  const { method, dims } = map.settings;
  find(".how").textContent = t((dims === 3 ? HOW_DEEP : HOW)[method]);
}

// ---- what is chosen

const selectMethod = segmented(".method", (method) => choose({ method }));
const selectDims = segmented(".dims", (dims) => choose({ dims: Number(dims) }));

function choose(changes) {
  leaveRun();
  if (changes.dims === 3) {
    setLasso(false);
    mean = null;
    find(".lassoed").hidden = true;
  }
  Object.assign(chosen, changes);
  showSettings();
  layOut();
}

/** typed: whether the fields show what is chosen, or stay as somebody typed them. */
function showSettings(typed = true) {
  selectMethod(chosen.method);
  selectDims(String(chosen.dims));
  tune.hidden = chosen.method === "pca" || !points || isEmpty();
  for (const method of ["umap", "tsne"]) tune.querySelectorAll(`.${method}`).forEach((field) => { field.hidden = chosen.method !== method; });
  for (const name of ["neighbours", "min_dist", "perplexity"]) if (typed) tune.elements[name].value = chosen[name];
  keepChosen();
  tune.querySelector(".note").textContent = chosen.method === "pca" ? "" : t(TUNE[chosen.method]);
  find("[data-action=lasso]").hidden = chosen.dims === 3;
}

tune.addEventListener("submit", (event) => {
  event.preventDefault();
  const numbers = ["neighbours", "min_dist", "perplexity"].map((name) => [name, tune.elements[name].valueAsNumber]);
  choose(Object.fromEntries(numbers.filter(([, value]) => Number.isFinite(value))));
});
colourMenu.addEventListener("change", async () => {
  if (colourMenu.value === "cluster") await fetchClusters();
  draw();
});

/** Asked for when somebody wants to see them: they take a second. */
async function fetchClusters() {
  if (points.colourings.some(({ key }) => key === "cluster")) return;
  const there = points;
  const { clusters } = (await ask("map_clusters", model())) ?? {};
  if (clusters) there.colourings.push(clusters);
}

// What was chosen lasts as long as this window.
const CHOSEN = "bicyclegan.map";

function keepChosen() {
  try {
    sessionStorage.setItem(CHOSEN, JSON.stringify({ ...chosen, joint: false }));
  } catch {
    // blocked: a reload starts with PCA
  }
}

try {
  Object.assign(chosen, JSON.parse(sessionStorage.getItem(CHOSEN)) ?? {});
} catch {
  // nothing, or something else under this name
}
