// A run over time: the sheet of samples and the places of the codes at the step of the slider.

const KEPT_SHEETS = 24; // each some hundred KB
const FRAME_MS = 450;
const CODES_MS = 10_000; // at most so often codes are asked for while a run goes on
const FEWEST = 3; // photos whose codes are shown
const moment = find(".moment");
const sheet = find(".sheet");
const map = find(".codes svg");
const playButton = find("[data-action=play]");
const newestButton = find("[data-action=newest]");

let steps = []; // that the slider goes through
let follows = true; // the newest step, unless somebody went to another one
let film = null; // stands for the film that runs
let codes = null; // {steps, count, places, until} of the validation photos
let codesAsked = -CODES_MS;
const sheets = new Map(); // step -> data URL, those looked at last at the end

/** Another run, or what was told of this one is void. */
function forgetMoments(isOther) {
  sheets.clear();
  codes = null;
  codesAsked = -CODES_MS;
  if (!isOther) return;
  stopFilm();
  find(".moments").hidden = true;
  [steps, follows] = [[], true];
  sheet.querySelector("img").removeAttribute("src");
  map.replaceChildren();
}

/** After every look at the run. */
function showMoments() {
  const samples = data.samples.map(({ step }) => step);
  const before = steps[moment.valueAsNumber];
  const known = steps.length && steps.length === (samples.length || data.latents.length) && steps.at(-1) === (samples.at(-1) ?? data.latents.at(-1));
  steps = samples.length ? samples : data.latents;
  find(".moments").hidden = steps.length === 0;
  find(".samples").hidden = samples.length === 0;
  showCodesAtAll();
  findAll(".coded").forEach((line) => { line.hidden = data.plan?.dims === 0; });
  if (!steps.length) return;
  moment.max = steps.length - 1;
  playButton.disabled = steps.length < 2;
  if (!known) showMoment(follows ? steps.length - 1 : Math.max(0, steps.findLastIndex((step) => step <= before)));
  if (codes?.until !== data.latents.at(-1)) refreshCodes();
}

function showMoment(k) {
  const step = steps[k];
  moment.value = k;
  find(".when").textContent = t("when", { step: step.toLocaleString(studio.language) });
  moment.setAttribute("aria-valuetext", find(".when").textContent);
  newestButton.hidden = follows;
  if (!find(".samples").hidden) showSheet(step);
  showCodes();
}

// ---- sheets

async function sheetOf(step) {
  const { id } = watched;
  if (!sheets.has(step)) {
    const answer = await studio.ask("run_sample", { run: id, step });
    if (answer.error || watched?.id !== id) return answer;
    sheets.set(step, answer);
    if (sheets.size > KEPT_SHEETS) sheets.delete(sheets.keys().next().value);
  }
  const found = sheets.get(step);
  sheets.delete(step);
  sheets.set(step, found);
  return found;
}

const showSheet = studio.newestOnly(async (step) => {
  if (!watched) return;
  const { url, error } = await sheetOf(step);
  if (steps[moment.valueAsNumber] !== step) return;
  const image = sheet.querySelector("img");
  image.alt = error ?? t("sheetOf", { step });
  if (url) image.src = url;
  else image.removeAttribute("src");
  image.dataset.step = step;
});

// ---- codes

/** Little-endian float32 out of Python: {rows, columns, data} -> rows of numbers. */
function unpack({ rows, columns, data: packed }) {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const numbers = new Float32Array(bytes.buffer);
  return Array.from({ length: rows }, (_, row) => numbers.subarray(row * columns, (row + 1) * columns));
}

/** A photo or two say nothing. */
function showCodesAtAll() {
  find(".codes").hidden = data.latents.length === 0 || !codes || codes.count < FEWEST;
}

const refreshCodes = studio.newestOnly(async () => {
  const now = performance.now();
  if (!watched || (isAlive() && now - codesAsked < CODES_MS)) return;
  codesAsked = now;
  const [{ id }, until] = [watched, data.latents.at(-1)];
  const answer = await studio.ask("run_codes", { run: id });
  if (answer.error || watched?.id !== id) return;
  const all = unpack(answer.coords);
  const places = answer.steps.map((_, k) => all.slice(k * answer.count, (k + 1) * answer.count));
  codes = { steps: answer.steps, count: answer.count, places, until };
  showCodesAtAll();
  drawCodes();
});

/** Each photo keeps its colour, by where it ends, so that one can follow it. */
const colourOfPlace = ([x, y]) => `hsl(${Math.round((Math.atan2(y, x) * 180) / Math.PI)} 65% 52%)`;

function drawCodes() {
  const parts = codes.places.at(-1).map((place) => {
    const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    dot.setAttribute("r", codes.count > 200 ? 0.018 : 0.028);
    dot.setAttribute("fill", colourOfPlace(place));
    return dot;
  });
  map.replaceChildren(...parts);
  codes.reach = 1.1 * codes.places.flat().reduce((most, [x, y]) => Math.max(most, Math.abs(x), Math.abs(y)), 0.5);
  showCodes();
}

function showCodes() {
  if (!codes || find(".codes").hidden) return;
  const step = steps[moment.valueAsNumber];
  const k = Math.max(0, codes.steps.findLastIndex((each) => each <= step));
  codes.places[k].forEach(([x, y], index) => {
    map.children[index].style.transform = `translate(${x / codes.reach}px, ${-y / codes.reach}px)`;
  });
  const text = t("codesAt", { step: codes.steps[k].toLocaleString(studio.language), count: codes.count });
  const used = activeAt(codes.steps[k]);
  find(".codes .count").textContent = used === null ? text : `${text} · ${t("dimsUsed", { used, dims: data.plan?.dims ?? used })}`;
  map.setAttribute("aria-label", find(".codes .count").textContent);
}

/** How many dims of the code were in use at a validation. */
function activeAt(step) {
  const k = data.validations.steps.indexOf(step);
  return data.validations.series.active_dims?.[k] ?? null;
}

// ---- the slider

moment.addEventListener("input", () => {
  stopFilm();
  follows = moment.valueAsNumber === steps.length - 1;
  showMoment(moment.valueAsNumber);
});
newestButton.addEventListener("click", () => {
  stopFilm();
  follows = true;
  showMoment(steps.length - 1);
  moment.focus();
});

function stopFilm() {
  film = null;
  playButton.textContent = t("play");
}

/** From the step that is shown to the newest; from the first one if that is shown. */
async function play() {
  if (film) return stopFilm();
  const mine = {};
  film = mine;
  playButton.textContent = t("pause");
  follows = false;
  let k = moment.valueAsNumber >= steps.length - 1 ? 0 : moment.valueAsNumber;
  for (; film === mine && isShown() && k < steps.length; k += 1) {
    if (!find(".samples").hidden) await sheetOf(steps[k]);
    if (film !== mine) return null;
    follows = k === steps.length - 1;
    showMoment(k);
    await new Promise((resolve) => setTimeout(resolve, FRAME_MS));
  }
  if (film === mine) stopFilm();
  return null;
}

playButton.addEventListener("click", play);
stopFilm();
