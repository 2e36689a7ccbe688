// The lesson that is open: its sick and its healthy run side by side, what the doctor says, and the cure. Last of the
// lab's files, so that all of them are there.

const HEADS = { sick: "sick", healthy: "healthy", before: "before" };
const CHANCE = Math.sqrt(2 / Math.PI); // E|z|: what an encoder scores that recovers nothing
const LEVELS = { latent_l1: { value: CHANCE, text: "levelChance" }, "inputs.b_min": { value: -1, text: "levelBlack" } };

/** What is known of a side: numbers and sheets as they came, and what the doctor said. */
const newSide = () => ({ id: null, data: null, report: null, state: "", asked: -DOCTOR_MS, sheet: null, before: null });
let sides = { sick: newSide(), healthy: newSide() };

function forgetSides() {
  sides = { sick: newSide(), healthy: newSide() };
  find(".sides").replaceChildren();
  find(".curves").replaceChildren();
  find(".verdicts").replaceChildren();
}

// ---- news of both sides

async function lookAtLesson() {
  const name = opened;
  if (!pairOf(name)) return;
  await Promise.all(SIDES.map((side) => lookAtSide(name, side)));
  if (name === opened) showLesson();
}

async function lookAtSide(name, side) {
  const id = pairOf(name)[side];
  const status = statusOf(name, side);
  if (sides[side].id !== id) sides[side] = { ...newSide(), id };
  const mine = sides[side];
  const state = status && [status.state, status.step, status.cured].join(" ");
  if (!status || (mine.state === state && !isAlive(status))) return; // it has ended, and all of it is known
  const news = await studio.ask("run_watch", { run: id, token: mine.data?.token ?? "" });
  if (news.error) return;
  const fresh = !mine.data || isNews(news);
  mine.data = withNews(mine.data, news);
  await Promise.all([sheetOf(mine, "sheet", mine.data.samples.at(-1)?.step), sheetOf(mine, "before", lastBefore(mine, status.cured)), hearDoctor(mine, status, fresh)]);
  mine.state = state;
}

/** Step of the last sheet before the cure. */
const lastBefore = ({ data }, cured) => (cured === null ? undefined : data.samples.findLast(({ step }) => step <= cured)?.step);

async function sheetOf(mine, place, step) {
  if (step === undefined || mine[place]?.step === step) return;
  const answer = await studio.ask("run_sample", { run: mine.id, step });
  if (!answer.error) mine[place] = answer;
}

/** Often enough while it goes on, and once more when it has ended. */
async function hearDoctor(mine, status, fresh) {
  const now = performance.now();
  if (isAlive(status) && (!fresh || now - mine.asked < DOCTOR_MS)) return;
  mine.asked = now;
  const answer = await studio.ask("run_doctor", { run: mine.id, language: studio.language });
  if (!answer.error) mine.report = answer;
}

// ---- what is shown

function showLesson() {
  const lesson = lessonOf(opened);
  find(".lesson").hidden = !lesson;
  if (!lesson) return;
  const pair = pairOf(opened);
  find(".head h3").textContent = lesson.title;
  find(".lesson .what").textContent = lesson.what;
  find(".look span").textContent = lesson.look;
  find(".ready").hidden = Boolean(pair) || elsewhere;
  find(".ready p").textContent = t("ready", { time: aboutTime(lesson.minutes) });
  const living = pair ? livingSides(opened) : [];
  const stopping = living.length > 0 && living.every((side) => statusOf(opened, side).state === "stopping");
  find("[data-action=stop]").hidden = !living.length || stopping;
  find("[data-action=resume]").hidden = !pair || living.length > 0 || !resumable(opened).length || elsewhere;
  find("[data-action=discard]").hidden = !pair;
  for (const part of [".sides", ".story", ".verdicts"]) find(part).hidden = !pair;
  const painted = pair && SIDES.some((side) => sides[side].sheet);
  find(".painted").hidden = !painted || !lesson.sketches;
  find(".dreamt").hidden = !painted || lesson.sketches;
  find(".cure").hidden = true;
  if (!pair) return;
  showSides();
  showCurves(lesson);
  showVerdicts();
  showCure(lesson);
}

function showSides() {
  const cured = statusOf(opened, "sick")?.cured ?? null;
  const order = cured === null ? SIDES : ["before", ...SIDES];
  const box = find(".sides");
  box.classList.toggle("three", order.length === 3);
  if ([...box.children].map(({ dataset }) => dataset.side).join() !== order.join()) box.replaceChildren(...order.map(sideBox));
  for (const each of box.children) {
    if (each.dataset.side === "before") showBefore(each, cured);
    else showSide(each, each.dataset.side, cured);
  }
}

function sideBox(side) {
  const box = textIn("article", "side", "");
  box.dataset.side = side;
  const head = textIn("div", "row", "");
  head.append(textIn("h4", "", t(HEADS[side])), textIn("span", "chip", ""), textIn("span", "quiet spring", ""));
  const bar = document.createElement("progress");
  const sheet = textIn("div", "sheet", "");
  sheet.append(new Image(), textIn("p", "quiet", ""));
  box.append(head, bar, sheet, textIn("p", "told", ""));
  return box;
}

function showSheet(box, found, side) {
  const image = box.querySelector("img");
  image.hidden = !found;
  box.querySelector(".sheet p").hidden = Boolean(found);
  if (!found || image.dataset.step === String(found.step)) return;
  image.dataset.step = found.step;
  image.alt = t("sheetOf", { side: t(HEADS[side]), step: number(found.step) });
  image.src = found.url;
}

const stepText = (step) => t("step", { step: number(step) });

function showBefore(box, cured) {
  showSheet(box, sides.sick.before, "before");
  box.querySelector(".chip").hidden = true;
  box.querySelector("progress").value = 1;
  box.querySelector(".spring").textContent = stepText(sides.sick.before?.step ?? cured);
}

/** Instead of a sheet. */
function noSheetText(status, state, isCure) {
  if (!isAlive(status)) return t("noSheet");
  if (state === "waiting") return t("waits", { ahead: status.ahead });
  return t(isCure ? "firstCured" : "firstSheet");
}

function showSide(box, side, cured) {
  const status = statusOf(opened, side);
  const { data } = sides[side];
  const isCure = side === "sick" && cured !== null;
  const sheet = isCure && sides.sick.sheet?.step <= cured ? null : sides[side].sheet;
  box.querySelector("h4").textContent = isCure ? t("curedSide") : t(HEADS[side]);
  const state = status?.state === "waiting" && status.ahead === 0 ? "starting" : status?.state;
  const chip = box.querySelector(".chip");
  chip.className = `chip ${state ?? ""}`;
  chip.textContent = status ? t(STATES[state] ?? "stateDied") : t("stateGone");
  box.querySelector(".spring").textContent = status ? t("stepOf", { step: number(status.step), steps: number(status.steps) }) : "";
  Object.assign(box.querySelector("progress"), { max: Math.max(1, status?.steps ?? 1), value: status?.step ?? 0 });
  showSheet(box, sheet, side);
  box.querySelector(".sheet p").textContent = noSheetText(status, state, isCure);
  const told = box.querySelector(".told");
  told.textContent = ["failed", "died"].includes(state) ? status.error ?? "" : "";
  told.hidden = !told.textContent;
  if (data?.samples.length && sheet) box.querySelector(".sheet img").title = stepText(sheet.step);
}

/** A series of a side, of its training or its validations. */
function lineOf(side, name) {
  const { data } = sides[side];
  for (const { steps, series } of data ? [data, data.validations] : []) {
    if (series[name]?.some((value) => value !== null)) {
      const told = series[name].map((value, k) => [steps[k], value]).filter(([, value]) => value !== null); // shares come now and then
      const isCure = side === "sick" && (statusOf(opened, "sick")?.cured ?? null) !== null;
      return { kind: side, text: t(isCure ? "curedCurve" : HEADS[side]), steps: told.map(([step]) => step), values: told.map(([, value]) => value) };
    }
  }
  return null;
}

/** What to compare a series with, if there is something. */
function levelOf(name) {
  const { value, text } = LEVELS[name] ?? {};
  return text ? { level: value, levelText: t(text, { value: short(value) }) } : {};
}

function showCurves({ series }) {
  const cured = statusOf(opened, "sick")?.cured ?? null;
  const marks = cured === null ? [] : [{ step: cured, text: t("cureMark") }];
  const end = Math.max(...SIDES.map((side) => statusOf(opened, side)?.steps ?? 0));
  const charts = series.flatMap((name) => {
    const lines = SIDES.map((side) => lineOf(side, name)).filter(Boolean);
    return lines.length ? [smallChart({ title: seriesText(name), lines, ...levelOf(name), marks, end })] : [];
  });
  find(".story").hidden = !charts.length;
  find(".curves").replaceChildren(...charts);
}

// ---- the doctor

let judged = []; // what the verdicts on the page were made of

function showVerdicts() {
  find(".verdicts").hidden = SIDES.every((side) => !sides[side].report?.steps);
  const now = [opened, statusOf(opened, "sick")?.cured, ...SIDES.flatMap((side) => [sides[side].report, isAlive(statusOf(opened, side))]), doctorWaits("sick")];
  if (find(".verdicts").children.length && now.every((value, k) => value === judged[k])) return;
  judged = now;
  const open = new Set(findAll(".verdict details[open] > summary").map(({ dataset }) => dataset.key));
  const boxes = SIDES.map(verdictOf);
  for (const box of boxes) box.querySelectorAll("details").forEach((each) => { each.open = open.has(each.firstChild.dataset.key); });
  keepFocus(() => find(".verdicts").replaceChildren(...boxes));
}

function doctorHead(side) {
  if (side === "healthy") return t("doctorHealthy");
  return (statusOf(opened, "sick")?.cured ?? null) === null ? t("doctorSick") : t("doctorCured");
}

/** After the cure, as long as all that the doctor knows is of the time before. */
function doctorWaits(side) {
  const { cured = null, step = 0 } = statusOf(opened, side) ?? {};
  return cured !== null && (step <= cured || !(sides[side].report?.steps > cured));
}

/** Findings below a line that opens them. */
function foldedFindings(key, title, findings) {
  const more = textIn("details", "more", "");
  const summary = textIn("summary", "", title);
  summary.dataset.key = key;
  more.append(summary, ...findings.map((finding) => findingCard(finding)));
  return more;
}

function verdictOf(side) {
  const box = textIn("div", "verdict", "");
  box.dataset.side = side;
  box.append(textIn("h4", "", doctorHead(side)));
  const { report } = sides[side];
  const [first, ...others] = report?.findings ?? [];
  if (doctorWaits(side)) box.append(textIn("p", "calm", t("doctorWaits")));
  else if (first) box.append(findingCard(first));
  else if (report) box.append(textIn("p", `calm ${report.enough ? "well" : ""}`, calmText(report, !isAlive(statusOf(opened, side)))));
  if (others.length && !doctorWaits(side)) box.append(foldedFindings(`more ${side}`, t("moreFindings", { count: others.length }), others));
  const { finding } = pairOf(opened);
  if (side === "sick" && finding && (statusOf(opened, "sick")?.cured ?? null) !== null) {
    box.append(foldedFindings("before the cure", t("beforeFinding", { title: finding.title }), [finding]));
  }
  return box;
}

// ---- the cure

/** Offered once both sides have ended; what was changed stays to be seen. */
function showCure({ remedy, changes, series }) {
  const cured = statusOf(opened, "sick")?.cured ?? null;
  const box = find(".cure");
  box.hidden = cured === null && (!isReady(opened) || elsewhere);
  box.classList.toggle("done", cured !== null);
  find(".cure h4").textContent = cured === null ? t("cure") : t("cureDone", { step: number(cured) });
  find(".cure .how").textContent = remedy;
  find("[data-action=cure]").hidden = cured !== null;
  find(".cure .put-right").replaceChildren(...(changes.length ? [changeList(changes)] : []));
  const result = cured === null ? "" : resultText(series[0], cured);
  find(".cure .result").textContent = result;
  find(".cure .result").hidden = !result;
}

/** The number that the lesson is about, before and after the cure; empty while there is none after it. */
function resultText(name, cured) {
  const { steps, values } = lineOf("sick", name) ?? { steps: [], values: [] };
  const before = values[steps.findLastIndex((step) => step <= cured)];
  if (before === undefined || !(steps.at(-1) > cured)) return "";
  return t("cureResult", { series: seriesText(name), before: short(before), now: short(values.at(-1)) });
}

// ---- begin

try {
  opened = sessionStorage.getItem(OPEN_LESSON);
} catch {
  // blocked: it begins with the list
}
document.addEventListener("visibilitychange", () => { if (lessons.length) look(); });
let hasLessons = false;
keepFresh([], () => {
  if (!hasLessons) loadLessons();
  hasLessons = true;
}, () => {
  keepOpened();
  look();
});
