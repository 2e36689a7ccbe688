// How the codes are, in words; and how those of a training run became so.

// ---- readings

const list = find(".readings ul");
const VERDICTS = { healthy: "verdict_healthy", watch: "verdict_watch", collapsed: "verdict_collapsed" };
const TITLES = {
  kl: "reading_kl", active_dims: "reading_active_dims", mean: "reading_mean", variance: "reading_variance",
  distance: "reading_distance", overlap: "reading_overlap", modes: "reading_modes", correlation: "reading_correlation",
};
const MOST_BARS = 12; // with numbers; more have no room for them
const whose = find(".whose");
let readingsOf = "model";

const selectWhose = segmented(".whose", (value) => {
  readingsOf = value;
  fetchReadings();
});

async function fetchReadings() {
  if (!own() || !points.count) readingsOf = own() && !points.count ? "own" : "model";
  selectWhose(readingsOf);
  whose.hidden = !own() || !points.count;
  find(".readings .verdict").hidden = true;
  if (isEmpty()) return;
  const { hash } = studio.get("model");
  const mine = readingsOf === "own" ? { own: own().codes, logvar: own().logvar } : {};
  const answer = await studio.ask("map_readings", { ...model(), ...mine });
  if (hash !== studio.get("model").hash) return;
  if (answer.error) {
    const line = document.createElement("li");
    const text = document.createElement("span");
    text.className = "plain";
    text.textContent = answer.error;
    line.append(text);
    return list.replaceChildren(line);
  }
  const { verdict, readings } = answer.report;
  setVerdict(find(".readings > summary .verdict"), verdict);
  list.replaceChildren(...readings.map(showReading));
}

function setVerdict(badge, verdict) {
  badge.textContent = t(VERDICTS[verdict]);
  badge.className = `verdict ${verdict}`;
  badge.hidden = false;
}

function showReading({ name, verdict, sentence, remedy, per_dim: perDim }) {
  const line = document.createElement("li");
  line.dataset.name = name;
  const badge = document.createElement("span");
  setVerdict(badge, verdict);
  const text = document.createElement("span");
  const title = document.createElement("b");
  title.textContent = TITLES[name] ? t(TITLES[name]) : name;
  text.append(title, document.createElement("br"), sentence);
  line.append(badge, text);
  if (new Set(perDim).size > 1) line.append(bars(perDim));
  if (remedy) {
    const advice = document.createElement("span");
    advice.className = "remedy";
    advice.textContent = remedy;
    line.append(advice);
  }
  return line;
}

/** A bar for each dim, with its number where there is room. */
function bars(values) {
  const box = document.createElement("span");
  box.className = "bars";
  const most = Math.max(...values.map(Math.abs), 1e-9);
  box.append(...values.map((value, d) => {
    const bar = document.createElement("span");
    bar.className = value < 0 ? "bar below" : "bar";
    bar.title = `z${d + 1}: ${value.toFixed(3)}`;
    const column = document.createElement("i");
    column.style.height = `${(26 * Math.abs(value)) / most}px`;
    const words = values.length > MOST_BARS ? [] : [value.toFixed(2).replace("-", "−"), `z${d + 1}`].map((word) => {
      const text = document.createElement("span");
      text.textContent = word;
      return text;
    });
    bar.append(column, ...words);
    return bar;
  }));
  return box;
}

// ---- a training run

const FRAME_MS = 350;
const runMenu = find("select.run");
const moment = find(".moment");
const history = find(".history");
let film = null;

function showRuns(names) {
  history.hidden = names.length === 0;
  runMenu.replaceChildren(new Option(t("noRun"), ""), ...names.map((name) => new Option(name, name)));
}

async function openRun(name) {
  const mine = ++turn; // what is being laid out comes too late
  showWorking(null);
  if (!name) {
    leaveRun();
    await draw();
    return locate();
  }
  const answer = await ask("map_run", { ...model(), run: name, dims: 2 });
  if (mine !== turn) return;
  if (!answer) return void (runMenu.value = run?.name ?? "");
  setLasso(false);
  const { rows, columns, data } = answer.coords;
  const all = unpack({ rows, columns, data });
  const count = answer.names.length;
  const moments = answer.steps.map((_, k) => all.slice(k * count, (k + 1) * count));
  run = { ...answer, name, moments, range: runRange(all), colours: moments.at(-1).map(colourOfPlace) };
  Object.assign(moment, { max: moments.length - 1, value: 0, disabled: false });
  find("[data-action=play]").disabled = false;
  marked = { here: null, pins: [] };
  for (const part of [".layers", ".key", ".joint"]) find(part).hidden = true;
  find(".how").textContent = t("how_run");
  await showMoment(moments.length - 1);
}

/** Each photo keeps its colour, by where it ends, so that one can follow it. */
const colourOfPlace = ([x, y]) => `hsl(${Math.round((Math.atan2(y, x) * 180) / Math.PI)} 65% 52%)`;

function runRange(places) {
  const most = places.reduce((found, [x, y]) => Math.max(found, Math.abs(x), Math.abs(y)), 0.5) * 1.08;
  return [[-most, most], [-most, most]];
}

async function showMoment(k) {
  moment.value = k;
  const { steps, moments, numbers, colours, range, name } = run;
  const { kl, active, dims } = numbers[k];
  find(".history .step").textContent = t("step", { step: steps[k], kl: kl?.toFixed(2) ?? "–", active, dims });
  const names = [t("along", { number: 1 }), t("along", { number: 2 })];
  await drawPlot({ dims: 2, photos: moments[k], history: colours, names, numbers: true, key: `run ${name}`, range });
}

function leaveRun() {
  clearInterval(film);
  runMenu.value = "";
  if (!run) return;
  [run, film] = [null, null];
  moment.disabled = true;
  find("[data-action=play]").disabled = true;
  find(".history .step").textContent = "";
  find(".layers").hidden = false;
}

function play() {
  clearInterval(film);
  const start = Number(moment.value) >= run.moments.length - 1 ? 0 : Number(moment.value);
  let k = start;
  showMoment(k);
  film = setInterval(() => {
    k += 1;
    if (!run || k >= run.moments.length) return clearInterval(film);
    showMoment(k);
  }, FRAME_MS);
}

runMenu.addEventListener("change", () => openRun(runMenu.value));
moment.addEventListener("input", () => {
  clearInterval(film);
  if (run) showMoment(moment.valueAsNumber);
});

// ---- keeping up: last of the files, so that all of them are there

let opened = null; // the model whose map this is
const modelKey = () => `${studio.get("model").name} ${studio.get("model").hash}`;
keepFresh(["model", "own"], () => {
  if (!studio.get("model")) return;
  if (opened !== modelKey()) return open();
  if (!points) return;
  chosen.joint = false;
  leaveRun();
  layOut().then(fetchReadings);
}, () => { if (opened !== modelKey()) open(); });

function open() {
  opened = modelKey();
  openModel();
}

keepFresh(["style", "pins"], locate);
