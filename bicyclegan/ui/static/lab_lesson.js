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
  find(".ready p").textContent = t("ready", { time: aboutTime(lesson.seconds) });
  const living = pair ? livingSides(opened) : [];
  const stopping = living.length > 0 && living.every((side) => statusOf(opened, side).state === "stopping");
  find("[data-action=stop]").hidden = !living.length || stopping;
  find("[data-action=resume]").hidden = !pair || living.length > 0 || !resumable(opened).length || elsewhere;
  find("[data-action=discard]").hidden = !pair;
  for (const part of [".sides", ".story", ".verdicts"]) find(part).hidden = !pair;
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

function showSide(box, side, cured) {
  const status = statusOf(opened, side);
  const { data, sheet } = sides[side];
  box.querySelector("h4").textContent = side === "sick" && cured !== null ? t("curedSide") : t(HEADS[side]);
  const state = status?.state === "waiting" && status.ahead === 0 ? "starting" : status?.state;
  const chip = box.querySelector(".chip");
  chip.className = `chip ${state ?? ""}`;
  chip.textContent = status ? t(STATES[state] ?? "stateDied") : t("stateGone");
  box.querySelector(".spring").textContent = status ? t("stepOf", { step: number(status.step), steps: number(status.steps) }) : "";
  Object.assign(box.querySelector("progress"), { max: Math.max(1, status?.steps ?? 1), value: status?.step ?? 0 });
  showSheet(box, sheet, side);
  box.querySelector(".sheet p").textContent = state === "waiting" ? t("waits", { ahead: status.ahead }) : t("firstSheet");
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
      return { kind: side, text: t(HEADS[side]), steps: told.map(([step]) => step), values: told.map(([, value]) => value) };
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
  const now = [opened, statusOf(opened, "sick")?.cured, ...SIDES.map((side) => sides[side].report)];
  if (find(".verdicts").children.length && now.every((value, k) => value === judged[k])) return;
  judged = now;
  const open = new Set(findAll(".verdict details[open]").map((details) => details.closest(".verdict").dataset.side));
  const boxes = SIDES.map((side) => verdictOf(side, open.has(side)));
  keepFocus(() => find(".verdicts").replaceChildren(...boxes));
}

function doctorHead(side) {
  if (side === "healthy") return t("doctorHealthy");
  return (statusOf(opened, "sick")?.cured ?? null) === null ? t("doctorSick") : t("doctorCured");
}

function verdictOf(side, isOpen) {
  const box = textIn("div", "verdict", "");
  box.dataset.side = side;
  box.append(textIn("h4", "", doctorHead(side)));
  const { report } = sides[side];
  if (!report) return box;
  const [first, ...others] = report.findings;
  if (!first) box.append(textIn("p", `calm ${report.enough ? "well" : ""}`, calmText(report)));
  else box.append(findingCard(first));
  if (others.length) {
    const more = textIn("details", "more", "");
    const summary = textIn("summary", "", t("moreFindings", { count: others.length }));
    summary.dataset.key = `more ${side}`;
    more.open = isOpen;
    more.append(summary, ...others.map((finding) => findingCard(finding)));
    box.append(more);
  }
  return box;
}

// ---- the cure

/** Offered once the sick run has ended; done is done. */
function showCure({ remedy, changes }) {
  const sick = statusOf(opened, "sick");
  find(".cure").hidden = !sick || isAlive(sick) || sick.cured !== null || !sick.step || elsewhere;
  find(".cure p").textContent = remedy;
  find(".cure .put-right").replaceChildren(...(changes.length ? [changeList(changes)] : []));
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
