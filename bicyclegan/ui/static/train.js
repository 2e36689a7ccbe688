// Runs of training: a list of those that this browser knows, and the one that is looked at. A run goes on in a process
// of its own; this page only watches, and may be closed.

const STORED_RUNS = "bicyclegan.runs";
const POLL_MS = 2000;
const NEWS_MS = 400;
const RETRIES = 20; // of news, while the server cannot be reached
const IN_A_ROW = 50; // runs that are asked after
const ALIVE = ["waiting", "starting", "training", "stopping"];
const STATES = {
  draft: "stateDraft",
  waiting: "stateWaiting",
  starting: "stateStarting",
  training: "stateTraining",
  stopping: "stateStopping",
  finishing: "stateFinishing",
  stopped: "stateStopped",
  completed: "stateCompleted",
  failed: "stateFailed",
  died: "stateDied",
};
const TOLD = {
  draft: "toldDraft",
  starting: "toldStarting",
  training: "toldTraining",
  stopping: "toldStopping",
  finishing: "toldFinishing",
  stopped: "toldStopped",
  completed: "toldCompleted",
  died: "toldDied",
};

let runs = []; // {id, title, state, step, steps, ...} as Python tells of them
let chosen = null; // id of the run that is looked at
let elsewhere = false; // whether this server cannot train

function storedRuns() {
  try {
    const ids = JSON.parse(localStorage.getItem(STORED_RUNS));
    return Array.isArray(ids) ? ids.filter((id) => typeof id === "string").slice(0, IN_A_ROW) : [];
  } catch {
    return [];
  }
}

function storeRuns(ids) {
  try {
    localStorage.setItem(STORED_RUNS, JSON.stringify(ids.slice(0, IN_A_ROW)));
  } catch {
    studio.say(t("notStored")); // it is known as long as this page is open
  }
  knownRuns = ids.slice(0, IN_A_ROW);
}

let knownRuns = storedRuns();
/** Where there are too many, those that are gone make room first. */
function remember(id) {
  const others = knownRuns.filter((each) => each !== id);
  const there = others.length < IN_A_ROW ? others : others.filter(runOf);
  storeRuns([id, ...there]);
}
const forget = (id) => storeRuns(knownRuns.filter((each) => each !== id));
const runOf = (id) => runs.find((run) => run.id === id);
const isAlive = (run) => ALIVE.includes(run?.state);

window.addEventListener("storage", ({ key }) => {
  if (key !== STORED_RUNS) return;
  knownRuns = storedRuns();
  refreshRuns();
});

const ticket = studio.freshId(); // what this page calls its tasks: ids of public runs are known to all

/** Ask without the progress bar: nobody waits for this. */
async function quietly(name, wanted) {
  const answer = await studio.ask(name, { ...wanted, ticket });
  if (answer.error) showError(answer.error);
  return answer.error ? null : answer;
}

/** `ask` of other panels forgets answers when the model changes. Runs and pictures have nothing to do with that. */
async function askAnyway(name, wanted) {
  startBusy();
  const answer = await studio.ask(name, { ...wanted, ticket });
  endBusy();
  showError(answer.error);
  return answer.error ? null : answer;
}

const refreshRuns = studio.newestOnly(async () => {
  const answer = await studio.ask("train_runs", { ids: knownRuns });
  if (answer.error) return;
  runs = answer.runs;
  elsewhere = answer.elsewhere;
  find(".elsewhere").hidden = !elsewhere;
  find(".disk").textContent = answer.used > 1e6 ? t("disk", { used: gigabytes(answer.used), limit: gigabytes(answer.limit) }) : "";
  if (chosen && !runOf(chosen)) choose(null);
  showList();
  showChosen();
});

const gigabytes = (bytes) => (bytes / 1e9).toFixed(bytes < 1e10 ? 1 : 0);

// ---- the list

function showList() {
  const shown = runs.filter((run) => run.state !== "draft");
  find(".none").hidden = shown.length > 0 || elsewhere || !find(".setup").hidden;
  findAll("[data-action=new]").forEach((button) => { button.hidden = elsewhere || !find(".setup").hidden; });
  find(".list .row [data-action=new]").hidden ||= !find(".none").hidden;
  find(".list").hidden = !shown.length && !find(".setup").hidden;
  keepFocus(() => find(".cards").replaceChildren(...shown.map(runCard)));
}

function runCard(run) {
  const item = document.createElement("div");
  item.setAttribute("role", "listitem");
  const card = document.createElement("button");
  card.type = "button";
  card.className = `run ${run.state}`;
  card.dataset.key = run.id;
  card.setAttribute("aria-pressed", run.id === chosen);
  const [name, state] = [document.createElement("b"), document.createElement("span")];
  name.textContent = run.title;
  state.textContent = stateText(run);
  const bar = document.createElement("progress");
  bar.max = Math.max(1, run.steps);
  bar.value = run.step;
  card.append(name, state, bar);
  card.addEventListener("click", () => choose(run.id === chosen ? null : run.id));
  item.append(card);
  return item;
}

/** How a run is, for people: one with nobody before it starts, and one that has made all its steps is not stopped. */
function stateOf(run) {
  if (run.state === "waiting" && run.ahead === 0) return "starting";
  return run.state === "stopping" && run.steps && run.step >= run.steps ? "finishing" : run.state;
}

function stateText(run) {
  const state = t(STATES[stateOf(run)] ?? "stateDied");
  return run.steps ? `${state} · ${run.step} / ${run.steps}` : state;
}

// ---- the run that is looked at

function choose(id) {
  chosen = id;
  find(".confirm").hidden = true;
  if (id) closeSetup();
  showList();
  showChosen();
  if (id) followTask(id);
}

function showChosen() {
  const run = runOf(chosen);
  find(".chosen").hidden = !run || run.state === "draft";
  if (run) showRun(run);
  const other = runOf(find(".other select").value);
  const shown = run?.state === "draft" ? null : run;
  const detail = { id: shown?.id ?? null, status: shown ?? null, other: other?.id ?? null, otherTitle: other?.title };
  window.dispatchEvent(new CustomEvent("studio:run", { detail }));
}

function showRun(run) {
  const name = find(".chosen .name");
  if (document.activeElement !== name) name.value = run.title;
  name.readOnly = !run.yours;
  const chip = find(".chip");
  chip.className = `chip state ${run.state}`;
  chip.textContent = t(STATES[stateOf(run)] ?? "stateDied");
  find(".told").textContent = toldOf(run);
  const tail = find(".tail");
  tail.hidden = !["failed", "died"].includes(run.state) || !run.tail;
  tail.textContent = run.tail;
  find("[data-action=stop]").hidden = !isAlive(run) || !run.may;
  find("[data-action=stop]").disabled = run.state === "stopping";
  find("[data-action=resume]").hidden = !["stopped", "failed", "died"].includes(run.state) || elsewhere || !run.may;
  find("[data-action=use]").hidden = !run.usable;
  find("[data-action=delete]").hidden = isAlive(run) || !run.yours;
  find(".longer").hidden = run.state !== "completed" || elsewhere || !run.may;
  showOthers(run);
}

function toldOf(run) {
  if (stateOf(run) === "waiting") return t(run.ahead > 1 ? "toldWaitingMany" : "toldWaiting", { ahead: run.ahead });
  if (run.state === "failed") return run.error || t("toldFailed");
  if (run.state === "died") return run.error || t("toldDied");
  if (run.state === "stopped" && !run.usable) return t("toldStoppedEarly");
  return t(TOLD[stateOf(run)] ?? "toldDied");
}

function showOthers(run) {
  const others = runs.filter((each) => each.id !== run.id && each.state !== "draft" && each.step > 0);
  const select = find(".other select");
  find(".other").hidden = !others.length;
  const ids = others.map(({ id, title }) => `${id}\n${title}`).join("\n");
  if (select.dataset.ids === ids) return;
  const before = select.value;
  select.dataset.ids = ids;
  select.replaceChildren(new Option(t("otherNone"), ""), ...others.map(({ id, title }) => new Option(title, id)));
  select.value = others.some(({ id }) => id === before) ? before : "";
}

/** Steer the run, then look how it is. */
const steer = (selector, name, words = () => ({})) => {
  const button = find(selector);
  button.addEventListener("click", resting(button, async () => {
    await askAnyway(name, { id: chosen, ...words() });
    await refreshRuns();
  }));
};
steer("[data-action=stop]", "train_stop");
steer("[data-action=resume]", "train_resume");

find("[data-action=delete]").addEventListener("click", () => {
  find(".confirm").hidden = false;
  find("[data-action=keep]").focus();
});
find("[data-action=keep]").addEventListener("click", () => {
  find(".confirm").hidden = true;
  find("[data-action=delete]").focus();
});
find("[data-action=delete-now]").addEventListener("click", resting(find("[data-action=delete-now]"), async () => {
  const id = chosen;
  if (!(await askAnyway("train_delete", { id }))) return;
  forget(id);
  choose(null);
  await refreshRuns();
  find("[data-action=new]:not([hidden])")?.focus();
}));
find(".longer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const more = Number(find("[name=more]").value);
  await askAnyway("train_resume", { id: chosen, steps: runOf(chosen).steps + more });
  await refreshRuns();
});
find(".chosen .name").addEventListener("change", async ({ target }) => {
  const title = target.value.trim();
  if (title) await askAnyway("train_rename", { id: chosen, title });
  await refreshRuns();
});
find(".other select").addEventListener("change", showChosen);
find("[data-action=use]").addEventListener("click", async () => {
  const { id, title } = runOf(chosen);
  if (await askAnyway("train_use", { id, name: title, which: "latest" })) followTask(id);
});

// The doctor's box is in the view of the run.
window.addEventListener("studio:run-apply", async ({ detail: { id, name } }) => {
  if (await askAnyway("train_apply", { id, name })) await followTask(id);
  await refreshRuns();
  window.dispatchEvent(new CustomEvent("studio:run-applied", { detail: { id } }));
});

/** What comes out of the tasks of this tab, by their names; those of the setup are added there. */
const finished = {
  apply: async (id) => {
    await quietly("train_cancel", { id }); // or it would be told again when somebody looks at the run
    studio.say(t("changeMade"));
  },
  use: async (id, { model: made }) => {
    await quietly("train_cancel", { id }); // or it would be used again when somebody looks at the run
    await studio.addModel(made);
    studio.useModel(made);
    studio.say(t("inUse"));
    studio.openTab("draw");
  },
};

// ---- tasks of the server: how far they are, and what came out

const WHATS = {
  starting: "taskStarting",
  waiting: "taskWaiting",
  receiving: "taskReceiving",
  reading: "taskReading",
  checking: "taskChecking",
  measuring: "taskMeasuring",
  loading: "taskLoading",
  stopping: "taskStopping",
};
const followed = new Map(); // id of a run -> the promise that its task is done

/** Watch a run's task until it is done, whichever it is by then: a new one takes the place of the one before. */
function followTask(id) {
  const before = followed.get(id) ?? Promise.resolve();
  const promise = before.catch(() => {}).then(() => watchTask(id));
  followed.set(id, promise);
  return promise;
}

async function watchTask(id) {
  let news = null;
  let lost = 0;
  try {
    for (;;) {
      news = await studio.ask("train_news", { id, ticket });
      lost = news.lost ? lost + 1 : 0;
      const again = lost > 0 && lost <= RETRIES;
      if (news.error && !again) showError(news.error);
      if (!news.progress && !again) break;
      hideProgress();
      if (news.progress) showProgress(find(`.working[data-task=${news.task}]`), news.progress, id);
      await new Promise((resolve) => setTimeout(resolve, NEWS_MS));
    }
  } finally {
    hideProgress();
  }
  if (news.answer) await finished[news.task](id, news.answer);
}

const hideProgress = () => findAll(".working[data-task]").forEach((box) => { box.hidden = true; });

function showProgress(box, { what, done, total }, id = null) {
  box.hidden = false;
  box.dataset.run = id ?? "";
  const text = t(WHATS[what] ?? "taskWorking");
  box.querySelector("span").textContent = total ? `${text} ${done} / ${total}` : text;
  const bar = box.querySelector("progress");
  if (total) bar.value = done / total;
  else bar.removeAttribute("value");
}

findAll("[data-action=cancel]").forEach((button) => button.addEventListener("click", () => {
  const box = button.closest(".working");
  box.hidden = true;
  if (box.dataset.task === "receive") uploading?.abort();
  if (box.dataset.run) quietly("train_cancel", { id: box.dataset.run });
}));

window.addEventListener("studio:run-view", showChosen); // it was not there yet when a run was chosen

find(".elsewhere pre").textContent = [
  "git clone https://huggingface.co/spaces/USER/SPACE studio && cd studio && make run",
  "python -m bicyclegan train --data photos --out runs/mine --init-from edges2shoes",
].join("\n");

// A hidden tab, and one where nothing goes on, ask for nothing.
setInterval(() => {
  if (isShown() && !document.hidden && runs.some(isAlive)) refreshRuns();
}, POLL_MS);
keepFresh(["models"], refreshRuns, refreshRuns);

/** A reload of the page leads back to the lesson that was open, unless somebody went back from it to their runs. */
try {
  const ways = document.querySelectorAll("#train-ways > .tab-wrapper [role=tab]");
  if (sessionStorage.getItem("bicyclegan.lesson")) ways[1]?.click();
  ways[0]?.addEventListener("click", () => sessionStorage.removeItem("bicyclegan.lesson"));
} catch {
  // blocked: it begins with the runs
}
