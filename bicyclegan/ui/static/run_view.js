// Watches one run while it learns. Which one, the page says with the event `studio:run`: {id, status, other}; status as
// `train_runs` tells of it, other: id of a run to compare with. News go on as `studio:run-news`: {id, news}.

const POLL_MS = 2000;
const DRAW_MS = 2000; // charts are drawn no more often
const OTHER_MS = 10_000;
const ALIVE = ["waiting", "starting", "training", "stopping"];

let watched = null; // {id, status, other, otherTitle}
let data = null; // what `run_watch` told of it so far
let second = null; // the same of the run to compare with, with its id
let stale = false; // whether there may be news of a run that has ended
let asked = 0; // when
let isAsking = false;
let timer = null;

const isAlive = () => ALIVE.includes(watched?.status?.state);
const number = (value, digits = 0) => value.toLocaleString(studio.language, { maximumFractionDigits: digits });

// ---- news

/** Look at the run, and again as long as there may be news and somebody sees them. */
async function look() {
  clearTimeout(timer);
  if (isAsking || !watched || !isShown() || document.hidden) return;
  const { id } = watched;
  [isAsking, stale, asked] = [true, false, performance.now()];
  if (!data) startBusy();
  const isFirst = !data;
  const news = await studio.ask("run_watch", { run: id, token: data?.token ?? "" });
  if (isFirst) endBusy();
  isAsking = false;
  if (watched?.id !== id) return void look();
  if (news.error !== find(".error").textContent) showError(news.error);
  if (!news.error && (isFirst || isNews(news))) takeNews(id, news);
  else if (data) showMoments();
  await lookAtOther();
  if (isAlive() || stale) timer = setTimeout(look, POLL_MS);
}

function takeNews(id, news) {
  if (news.reset) forgetMoments(!data);
  data = withNews(data, news);
  showPace();
  showMoments();
  showCharts();
  askDoctorSoon(!isAlive());
  window.dispatchEvent(new CustomEvent("studio:run-news", { detail: { id, news } }));
}

/** Numbers of the run to compare with; those of one that has ended stay as they are. */
async function lookAtOther() {
  const id = watched?.other;
  if (!id) return;
  if (second?.id === id && (second.data?.ended || performance.now() - second.asked < OTHER_MS)) return;
  second = second?.id === id ? second : { id, data: null };
  second.asked = performance.now();
  const mine = second;
  const news = await studio.ask("run_watch", { run: id, token: mine.data?.token ?? "" });
  if (second !== mine || news.error || (mine.data && !isNews(news))) return;
  mine.data = withNews(mine.data, news);
  showCharts(true);
}

// ---- which run

function choose(detail) {
  const before = watched;
  watched = detail?.id ? { other: null, ...detail } : null;
  if (watched?.id !== before?.id) {
    forgetMoments(true);
    forgetDoctor();
    data = null;
    showError("");
    clearCharts();
  }
  if (watched?.other !== before?.other) {
    second = null;
    if (data) showCharts(true);
  }
  const isOther = ["id", "other"].some((key) => watched?.[key] !== before?.[key]);
  const isOtherState = watched?.status?.state !== before?.status?.state;
  stale ||= isOther || isOtherState;
  showPace();
  if (isOtherState && data) askDoctorSoon(true);
  if (isOther) look();
  else wake();
}

/** Look soon if that is due. */
function wake() {
  if (!watched || isAsking || !(stale || isAlive())) return;
  clearTimeout(timer);
  timer = setTimeout(look, Math.max(0, asked + POLL_MS - performance.now()));
}

// ---- how far it is

function duration(seconds) {
  const minutes = Math.round(seconds / 60);
  if (seconds < 60) return t("seconds", { count: Math.round(seconds) });
  if (minutes < 60) return t("minutes", { count: minutes });
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? t("hours", { hours, minutes: minutes % 60 }) : t("days", { days: Math.floor(hours / 24), hours: hours % 24 });
}

function memory(megabytes) {
  return megabytes < 1000 ? t("megabytes", { count: number(megabytes) }) : t("gigabytes", { count: number(megabytes / 1000, 1) });
}

function facts() {
  const { speed, seconds, memory_mb: megabytes, started } = data ?? {};
  const found = [];
  if (speed) found.push([t("speed"), t("speedValue", { count: number(speed, speed < 10 ? 1 : 0) })]);
  if (seconds && isAlive()) found.push([t("since"), duration(seconds)]);
  if (megabytes) found.push([t("memory"), memory(megabytes)]);
  if (started?.device) found.push([t("device"), [started.device.toUpperCase() === "CPU" ? "CPU" : started.device, started.precision].filter(Boolean).join(", ")]);
  return found;
}

function showPace() {
  const state = watched?.status?.state;
  const known = data?.steps.length > 0;
  const step = Math.max(data?.steps.at(-1) ?? 0, watched?.status?.step ?? 0);
  const total = Math.max(watched?.status?.steps || data?.plan?.steps || 0, step);
  find(".pace").hidden = !watched || !step;
  find(".pace .step").textContent = t(total ? "stepOf" : "step", { step: number(step), steps: number(total) });
  Object.assign(find(".pace progress"), { max: Math.max(1, total), value: step });
  const { eta, seconds } = data ?? {};
  find(".pace .left").textContent = !known ? "" : !isAlive() ? t("took", { time: duration(seconds ?? 0) }) : eta > 0 ? t("left", { time: duration(eta) }) : "";
  find(".pace dl").replaceChildren(...facts().flatMap(([name, value]) => {
    const pair = document.createElement("div");
    const [dt, dd] = ["dt", "dd"].map((tag) => document.createElement(tag));
    [dt.textContent, dd.textContent] = [name, value];
    pair.append(dt, dd);
    return pair;
  }));
  showFirst(known, state);
}

/** Before there is a number. Whoever waits for others, or has not begun, is told so elsewhere. */
function showFirst(known, state) {
  const box = find(".first");
  box.hidden = !watched || !data || known || ["waiting", "draft"].includes(state);
  if (box.hidden) return;
  const every = data.plan?.log_every;
  const text = !isAlive() ? t("noNumbers") : every ? t("first", { count: number(every) }) : t("starting");
  if (box.querySelector("p").textContent !== text) box.querySelector("p").textContent = text;
  box.querySelector("progress").hidden = !isAlive();
}

// ---- charts: only those in sight are drawn

const charts = find(".charts");
const cards = new Map(CHARTS.map((chart) => [chart.key, cardOf(chart)]));
charts.append(...cards.values());
const inSight = new Set();
const dirty = new Set();
let drawnAt = -DRAW_MS;
let drawTimer = null;

/** now: because somebody changed what is shown, not because numbers came. */
function showCharts(now = false) {
  let any = false;
  for (const chart of CHARTS) {
    const has = data !== null && linesOf(chart, data).length > 0;
    cards.get(chart.key).hidden = !has;
    any ||= has;
    if (has) dirty.add(chart.key);
  }
  find(".curves").hidden = !any;
  showRuns();
  drawSoon(now);
}

function clearCharts() {
  dirty.clear();
  find(".curves").hidden = true;
  for (const card of cards.values()) card.hidden = true;
}

/** Name of the run to compare with: its id without the secret part, unless the page tells. */
const otherName = () => watched?.otherTitle || (watched?.other ?? "").replace(/-[a-z2-7]{12}$/i, "");

function showRuns() {
  const isCompared = Boolean(second?.data);
  const runs = isCompared ? [keyItem("line", "", t("thisRun")), keyItem("line dashed", "", otherName())] : [];
  find(".curves > .key").replaceChildren(...runs);
}

function drawSoon(now = false) {
  clearTimeout(drawTimer);
  drawTimer = setTimeout(draw, now ? 0 : Math.max(0, drawnAt + DRAW_MS - performance.now()));
}

async function draw() {
  if (!data || !isShown()) return;
  drawnAt = performance.now();
  for (const chart of CHARTS) {
    if (!dirty.has(chart.key) || !inSight.has(chart.key) || !data) continue;
    dirty.delete(chart.key);
    await drawChart(cards.get(chart.key), chart, data, second?.data ?? null, watched.id);
  }
}

const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) inSight.add(target.dataset.chart);
    else inSight.delete(target.dataset.chart);
  }
  if ([...dirty].some((key) => inSight.has(key))) drawSoon(true);
}, { rootMargin: "120px" });
cards.forEach((card) => sight.observe(card));

let resizeTimer = null;
new ResizeObserver(() => {
  clearTimeout(resizeTimer);
  resizeTimer = setTimeout(() => {
    if (!window.Plotly || !isShown()) return;
    for (const plot of findAll(".chart:not([hidden]) .js-plotly-plot")) window.Plotly.Plots.resize(plot);
  }, 100);
}).observe(charts);

let wasDark = isDark();
new MutationObserver(() => {
  if (wasDark === isDark()) return;
  wasDark = isDark();
  showCharts(true);
}).observe(document.body, { attributes: true, attributeFilter: ["class"] });

// ---- last of the files, so that all of them are there

clearCharts();
window.addEventListener("studio:run", ({ detail }) => choose(detail));
document.addEventListener("visibilitychange", wake);
new IntersectionObserver(wake).observe(root);
window.dispatchEvent(new CustomEvent("studio:run-view")); // whoever said which run before this was there says it again
