// The pitfall lab: lessons, and the pairs of runs that this browser started for them. A lesson goes on in processes of
// its own; this page only watches, and may be closed.

const STORED_LESSONS = "bicyclegan.lessons";
const OPEN_LESSON = "bicyclegan.lesson"; // of this window, see also train.js
const LAB_MS = 2000;
const DOCTOR_MS = 4000; // at most so often the doctor is asked about a living run
const SIDES = ["sick", "healthy"];
const ALIVE = ["waiting", "starting", "training", "stopping"];
const STATES = {
  waiting: "stateWaiting",
  starting: "stateStarting",
  training: "stateTraining",
  stopping: "stateStopping",
  stopped: "stateStopped",
  completed: "stateCompleted",
  failed: "stateFailed",
  died: "stateDied",
};

let lessons = []; // {name, title, what, look, minutes, series, sketches, remedy, changes} as Python tells of them
let elsewhere = false; // whether this server cannot train
let kept = storedLessons(); // name of a lesson -> {sick, healthy, finding}: ids of runs, the doctor's finding before the cure
let statuses = new Map(); // id -> as `train_runs` tells of it
const judgedIll = new Map(); // id of a sick run that ended early, and its step -> whether the doctor calls it ill
let opened = null; // name of the lesson that is looked at
let looking = null; // timer

function storedLessons() {
  try {
    const pairs = Object.entries(JSON.parse(localStorage.getItem(STORED_LESSONS)) ?? {});
    return Object.fromEntries(pairs.filter(([, pair]) => SIDES.every((side) => typeof pair?.[side] === "string")).slice(0, 20));
  } catch {
    return {};
  }
}

function keepLessons(pairs) {
  kept = pairs;
  try {
    localStorage.setItem(STORED_LESSONS, JSON.stringify(pairs));
  } catch {
    studio.say(t("notStored")); // it is known as long as this page is open
  }
}

window.addEventListener("storage", ({ key }) => {
  if (key !== STORED_LESSONS) return;
  kept = storedLessons();
  look();
});

const pairOf = (name) => kept[name] ?? null;
const statusOf = (name, side) => statuses.get(pairOf(name)?.[side]) ?? null;
const isAlive = (status) => ALIVE.includes(status?.state);
const livingSides = (name) => SIDES.filter((side) => isAlive(statusOf(name, side)));
const lessonOf = (name) => lessons.find((lesson) => lesson.name === name);
const number = (value) => value.toLocaleString(studio.language);

/** `ask` of other panels forgets answers when the model changes. Lessons have nothing to do with that. */
async function askAnyway(name, wanted) {
  startBusy();
  const answer = await studio.ask(name, wanted);
  endBusy();
  showError(answer.error);
  return answer.error ? null : answer;
}

// ---- how they are

async function loadLessons() {
  const answer = await askAnyway("lab_lessons", { language: studio.language });
  if (!answer) return;
  ({ lessons, elsewhere } = answer);
  opened = lessonOf(opened) ? opened : null;
  await look();
}

/** Ask after the lessons, and again as long as one goes on and somebody sees it. */
const look = studio.newestOnly(async () => {
  clearTimeout(looking);
  if (!isShown() || document.hidden) return;
  const ids = Object.values(kept).flatMap((pair) => SIDES.map((side) => pair[side]));
  const answer = ids.length ? await studio.ask("train_runs", { ids }) : { runs: [] };
  if (!answer.error) {
    statuses = new Map(answer.runs.map((run) => [run.id, run]));
    const gone = Object.keys(kept).filter((name) => !SIDES.some((side) => statusOf(name, side)) && SIDES.every((side) => ids.includes(kept[name][side])));
    if (gone.length) keepLessons(Object.fromEntries(Object.entries(kept).filter(([name]) => !gone.includes(name))));
  }
  await Promise.all(Object.keys(kept).map(judgeEarlyEnd));
  showAll();
  await lookAtLesson();
  if (answer.error || Object.keys(kept).some((name) => livingSides(name).length)) looking = setTimeout(look, LAB_MS);
});

// ---- the list

function showAll() {
  find(".all").hidden = opened !== null;
  find(".elsewhere").hidden = !elsewhere;
  const name = opened ?? lessons[0]?.name;
  find(".elsewhere pre").textContent = `python -m bicyclegan lab ${name} --out lessons/${name}`;
  keepFocus(() => find(".lessons").replaceChildren(...lessons.map(lessonCard)));
  showLesson();
}

function lessonCard(lesson) {
  const { name, title, what } = lesson;
  const item = document.createElement("div");
  item.setAttribute("role", "listitem");
  const card = document.createElement("button");
  card.type = "button";
  card.className = "lesson-card";
  card.dataset.key = name;
  const foot = textIn("span", "row", "");
  const [kind, text] = cardState(lesson);
  if (lesson === lessons[0] && !pairOf(name)) foot.append(textIn("span", "chip first", t("startHere")));
  foot.append(textIn("span", kind, text));
  card.append(textIn("b", "", title), textIn("span", "what", what), foot);
  card.addEventListener("click", () => openLesson(name));
  item.append(card);
  return item;
}

/** Class and text of what a card says of its lesson. */
function cardState({ name, minutes }) {
  if (!pairOf(name)) return ["quiet", aboutTime(minutes)];
  const sick = statusOf(name, "sick");
  const living = livingSides(name);
  if (!sick) return ["chip", t("cardOver")];
  if (isCureWaiting(sick)) return ["chip going", t("cardCureWaits")];
  if (sick.cured !== null && isAlive(sick)) return ["chip going", t("cardCureGoing", { percent: percentOf([sick], sick.cured) })];
  if (isCured(sick)) return ["chip cured", t("cardCured")];
  if (living.length && living.every((side) => statusOf(name, side).state === "waiting" && statusOf(name, side).ahead > 0)) return ["chip", t("cardWaiting")];
  if (living.length) return ["chip going", t("cardGoing", { percent: percentOf(SIDES.map((side) => statusOf(name, side)).filter(Boolean)) })];
  return isReady(name) ? ["chip ready", t("cardEnded")] : ["chip", t(STATES[sick.state] ?? "stateStopped")];
}

/** How much of the steps after `from` is done by some runs together. */
function percentOf(runs, from = 0) {
  const sum = (values) => values.reduce((total, value) => total + value - from, 0);
  return Math.floor((100 * sum(runs.map(({ step }) => step))) / Math.max(1, sum(runs.map(({ steps }) => steps))));
}

const aboutTime = ([low, high]) => (low === high ? t("aboutMinutes", { count: low }) : t("aboutMinutesRange", { low, high }));

// ---- what a sick run is ready for

const isCureWaiting = (sick) => sick.cured !== null && isAlive(sick) && sick.step <= sick.cured;
const isCured = (sick) => sick.cured !== null && !isAlive(sick) && hasAllSteps(sick);
const hasAllSteps = ({ step, steps }) => step > 0 && step >= steps;
const stateKey = (id, { step }) => `${id} ${step}`;

/** A run that ended early may show its illness all the same: the doctor is asked once. */
async function judgeEarlyEnd(name) {
  const sick = statusOf(name, "sick");
  if (!sick || isAlive(sick) || sick.cured !== null || !sick.step || hasAllSteps(sick)) return;
  const { sick: id } = pairOf(name);
  if (judgedIll.has(stateKey(id, sick))) return;
  const report = await studio.ask("run_doctor", { run: id, language: studio.language });
  if (!report.error) judgedIll.set(stateKey(id, sick), report.findings.some(({ severity }) => severity === "ill"));
}

/** Whether the cure makes sense: both sides have ended, and the sick one has shown what it can. */
function isReady(name) {
  const sick = statusOf(name, "sick");
  if (!sick || sick.cured !== null || livingSides(name).length) return false;
  return hasAllSteps(sick) || judgedIll.get(stateKey(pairOf(name).sick, sick)) === true;
}

// ---- what can be done with a lesson

/** For a reload of this window. */
function keepOpened() {
  try {
    if (opened) sessionStorage.setItem(OPEN_LESSON, opened);
    else sessionStorage.removeItem(OPEN_LESSON);
  } catch {
    // blocked: a reload begins with the list
  }
}

function openLesson(name) {
  opened = name;
  keepOpened();
  find(".confirm").hidden = true;
  showError("");
  forgetSides();
  showAll();
  if (name) find(".head h3").focus({ preventScroll: true });
  else find(`.lessons [data-key]`)?.focus({ preventScroll: true });
  root.scrollIntoView({ block: "nearest" });
  look();
}

/** A button that rests until what it does is done and seen. */
function act(action, work) {
  const button = find(`[data-action=${action}]`);
  button.addEventListener("click", resting(button, async () => {
    await work(opened);
    await look();
  }));
}

act("start", async (name) => {
  const pair = await askAnyway("lab_start", { name });
  if (pair) keepLessons({ ...kept, [name]: { sick: pair.sick, healthy: pair.healthy } });
});

/** Both sides, or those of them that are meant; whether all could be asked for. */
async function askSides(question, name, sides) {
  for (const side of sides) if (!(await askAnyway(question, { id: pairOf(name)[side] }))) return false;
  return true;
}

const resumable = (name) => SIDES.filter((side) => ["stopped", "died"].includes(statusOf(name, side)?.state));

act("stop", (name) => askSides("train_stop", name, livingSides(name)));
act("resume", (name) => askSides("train_resume", name, resumable(name)));
act("cure", async (name) => {
  const finding = sides.sick.report?.findings[0] ?? null;
  if (!(await askAnyway("lab_cure", { id: pairOf(name).sick }))) return;
  keepLessons({ ...kept, [name]: { ...pairOf(name), finding } });
  if (name === opened) sides.sick.report = null; // it is of the time before
});

find("[data-action=back]").addEventListener("click", () => openLesson(null));
find("[data-action=discard]").addEventListener("click", () => {
  find(".confirm").hidden = false;
  find("[data-action=keep]").focus();
});
find("[data-action=keep]").addEventListener("click", () => {
  find(".confirm").hidden = true;
  find("[data-action=discard]").focus();
});
act("discard-now", async (name) => {
  const { sick, healthy } = pairOf(name);
  if (!(await askAnyway("lab_discard", { sick, healthy }))) return;
  keepLessons(Object.fromEntries(Object.entries(kept).filter(([each]) => each !== name)));
  find(".confirm").hidden = true;
  forgetSides();
  find(".head h3").focus({ preventScroll: true });
});
