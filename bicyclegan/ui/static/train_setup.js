// A new run: pictures, what is wrong with them, what they are, and the start. A draft on the server holds the pictures;
// a reload finds it again.

const SPRITE_COLUMNS = 8; // pairs beside each other
const EDGES_MS = 250; // of rest before edges are found anew

let draft = null; // id of the run that is being prepared
let uploading = null; // what can be aborted while files travel
let report = null; // what the check found
let fixed = new Set(); // names of those that the person decided about
let pictureOptions = {}; // layout, direction, thresholds, input_channels: what belongs to the pictures

const stepOf = (name) => find(`.step[data-step=${name}]`);

async function openSetup() {
  showError("");
  choose(null);
  find(".setup").hidden = false;
  if (offered) fillStarts(); // models may have come or gone
  showList();
  const waiting = runs.find((run) => run.state === "draft" && run.yours);
  if (waiting && waiting.id !== draft) {
    draft = waiting.id;
    find("[name=title]").value = waiting.title;
    showPictures(waiting.pictures);
    if (waiting.pictures) await checkPictures();
  }
  find(".setup").scrollIntoView({ block: "nearest" });
}

function closeSetup() {
  find(".setup").hidden = true;
  showList();
}

findAll("[data-action=new]").forEach((button) => button.addEventListener("click", openSetup));
find("[data-action=close]").addEventListener("click", closeSetup);

// ---- 1: pictures

const pick = { files: find("input.files"), folder: find("input.folder") };
find(".drop").addEventListener("click", () => pick.files.click());
find("[data-action=folder]").addEventListener("click", () => pick.folder.click());
for (const input of Object.values(pick)) {
  input.addEventListener("change", () => {
    sendPictures([...input.files]);
    input.value = "";
  });
}
takeDrops(find(".drop"), (files) => {
  if (find(".setup").hidden) openSetup();
  sendPictures(files);
});

async function sendPictures(files) {
  if (!files.length) return;
  if (uploading) {
    studio.say(t("stillUploading"));
    return;
  }
  showError("");
  if (!draft && !(await newDraft(files[0]))) return;
  suggested = titleOf(files[0]);
  const id = draft;
  const box = find(".working[data-task=receive]");
  showProgress(box, { what: "" });
  uploading = new AbortController();
  try {
    const share = (done) => {
      box.querySelector("span").textContent = t("uploading", { percent: Math.round(100 * done) });
      box.querySelector("progress").value = done;
    };
    const paths = await uploadFiles(files, share, uploading.signal);
    const names = files.map((file) => file.webkitRelativePath || file.name);
    if (paths && (await askAnyway("train_receive", { id, paths, names }))) await followTask(id);
  } catch (error) {
    if (error.name !== "AbortError") showError(error.message);
  } finally {
    uploading = null;
    box.hidden = true;
  }
}

let suggested = ""; // title, by what was sent last
const titleOf = (file) => (file.webkitRelativePath?.split("/")[0] || file.name.replace(/\.\w+$/, "")).slice(0, 60);

async function newDraft(file) {
  const answer = await askAnyway("train_new", { title: titleOf(file) || t("untitled") });
  if (!answer) return false;
  draft = answer.id;
  remember(draft);
  find("[name=title]").value = titleOf(file);
  return true;
}

finished.receive = async (id, got) => {
  const lines = [];
  if (got.left_out) lines.push(`${t("leftOut", { count: got.left_out })} ${got.problems.join(" ")}`);
  if (got.skipped) lines.push(t("skipped", { count: got.skipped, examples: got.examples.join(", ") }));
  find(".left-out").hidden = !lines.length;
  find(".left-out").textContent = lines.join(" ");
  await refreshRuns();
  if (id !== draft) return;
  forgetPlan();
  if (find(".got").textContent === "" && suggested) find("[name=title]").value = suggested; // not of files refused before
  showPictures(Math.max(runOf(id)?.pictures ?? 0, got.kept));
  checkPictures(); // not waited for: this is the end of one task, that is another
};

function showPictures(count) {
  find(".got").textContent = count ? t("got", { count }) : "";
  find("[data-action=empty]").hidden = !count;
  for (const name of ["check", "options", "start"]) stepOf(name).hidden = !count;
  if (count) fillOptions();
}

find("[data-action=empty]").addEventListener("click", async () => {
  if (!(await askAnyway("train_empty", { id: draft }))) return;
  pictureOptions = {};
  fixed.clear();
  report = null;
  find(".left-out").hidden = true;
  showPictures(0);
});

// ---- 2: what they are, and what is wrong with them

/** What every question about the run that is being prepared starts with. */
const setup = () => ({ id: draft, ...startWords(), options: { ...chosenOptions(), ...pictureOptions } });

let checking = Promise.resolve(); // the newest check, for who presses on before it is done

function checkPictures() {
  checking = askForCheck();
  return checking;
}

async function askForCheck() {
  report = null; // until it is known again: nothing starts unchecked
  stepOf("check").classList.add("stale");
  find("[data-action=check]").hidden = true;
  if (await askAnyway("train_check", { ...setup(), fixed: [...fixed] })) await followTask(draft);
  if (!report) find("[data-action=check]").hidden = false;
}

finished.check = async (id, found) => {
  if (id !== draft) return;
  report = found;
  stepOf("check").classList.remove("stale");
  Object.assign(pictureOptions, found.suggest ?? {});
  showReport();
};

function showReport() {
  const { report: data, readings } = report;
  const pairs = data.layout !== "photos";
  const sketches = { computed: "sketchesComputed", lines: "sketchesLines", labels: "sketchesLabels", pictures: "sketchesPictures" };
  const counts = { train: data.train, validation: data.validation };
  find(".found").textContent = `${t("found", counts)} ${t(sketches[data.sketches] ?? "sketchesLines")}`;
  selectLayout(pictureOptions.layout ?? "auto");
  find(".row.direction").hidden = !pairs;
  selectDirection(data.direction || "AtoB");
  find(".thresholds").hidden = data.sketches !== "computed";
  const lines = readings.map(({ sentence, remedy, severity }) => {
    const line = document.createElement("li");
    line.className = severity;
    line.textContent = remedy ? `${sentence} ${remedy}` : sentence;
    return line;
  });
  find(".readings").replaceChildren(...lines);
  showPairs(report.thumbs);
  showThresholds();
}

/** Pairs one above the other: what the network gets, and the photo. Out of one picture with both rows. */
function showPairs({ sprite, count, columns, size, names }) {
  const cells = Array.from({ length: count }, (_, k) => {
    const cell = document.createElement("span");
    cell.className = "pair";
    cell.title = names?.[k] ?? "";
    for (const row of [0, 1]) {
      const half = document.createElement("i");
      const [x, y] = [k % columns, 2 * Math.floor(k / columns) + row];
      half.style.backgroundImage = `url(${sprite})`;
      half.style.backgroundSize = `${100 * columns}% auto`;
      half.style.backgroundPosition = `${columns > 1 ? (100 * x) / (columns - 1) : 0}% ${(100 * y) / Math.max(1, 2 * Math.ceil(count / columns) - 1)}%`;
      cell.append(half);
    }
    return cell;
  });
  find(".thumbs").style.setProperty("--columns", Math.min(SPRITE_COLUMNS, count));
  find(".thumbs").replaceChildren(...cells);
}

const selectLayout = segmented(".segments.layout", (layout) => {
  forgetPlan();
  pictureOptions = { layout }; // what else was found out belonged to the other one
  fixed.clear();
  checkPictures();
});
const selectDirection = segmented(".segments.direction", (direction) => {
  pictureOptions.direction = direction;
  fixed.add("direction");
  forgetPlan();
  checkPictures();
});
find("[data-action=check]").addEventListener("click", checkPictures);

function showThresholds() {
  for (const name of ["low_threshold", "high_threshold"]) {
    const input = find(`.thresholds [name=${name}]`);
    input.value = pictureOptions[name] ?? optionValue(name);
    input.nextElementSibling.textContent = input.value;
  }
}

let edgesTimer = null;
find(".thresholds").addEventListener("input", ({ target }) => {
  const [low, high] = [find("[name=low_threshold]"), find("[name=high_threshold]")];
  if (Number(low.value) > Number(high.value)) (target === low ? high : low).value = target.value;
  for (const input of [low, high]) {
    pictureOptions[input.name] = Number(input.value);
    input.nextElementSibling.textContent = input.value;
  }
  forgetPlan();
  clearTimeout(edgesTimer);
  edgesTimer = setTimeout(findEdges, EDGES_MS);
});
const findEdges = studio.newestOnly(async () => {
  const answer = await askAnyway("train_edges", setup());
  if (answer) showPairs(answer);
});

// ---- 4: what it costs, and the start

finished.plan = async (id, plan) => {
  if (id !== draft || asked !== plans) return; // of other options than those on the page now
  const minutes = Math.max(1, Math.round(plan.seconds / 60));
  const time = minutes < 60 ? t("minutes", { minutes }) : t("hours", { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
  const words = {
    time, speed: plan.images_per_second.toFixed(1), memory: Math.round(plan.memory_mb),
    disk: Math.round(plan.disk_mb), epochs: plan.epochs.toFixed(1), device: plan.device,
  };
  find("p.plan").hidden = false;
  find("p.plan").textContent = t("planned", words);
  find("p.plan").scrollIntoView({ block: "center" }); // the shelf lies over the foot of the window
};

/** Whether the pictures were checked as they are now, and every number on the page is one that can be. */
function isSound() {
  showError("");
  if (!report) {
    showError(t("checkFirst"));
    return false;
  }
  const wrong = find(".options input:invalid") ?? find(".groups input:invalid");
  if (!wrong) return true;
  const { min, max } = wrong;
  showError(t(max ? "numberRange" : "numberWrong", { name: wrong.closest("label").textContent, min, max }));
  wrong.closest("details.group")?.setAttribute("open", "");
  if (wrong.closest(".groups")) find(".more").open = true;
  wrong.focus();
  return false;
}

let plans = 0; // how often options changed
let asked = 0; // of which of them the measured plan is

function forgetPlan() {
  plans += 1;
  find("p.plan").hidden = true;
}

find("[data-action=plan]").addEventListener("click", async () => {
  await checking;
  if (!isSound()) return;
  asked = plans;
  if (await askAnyway("train_plan", setup())) await followTask(draft);
});
find("[data-action=start]").addEventListener("click", resting(find("[data-action=start]"), async () => {
  await checking;
  if (!isSound()) return;
  const [id, title] = [draft, find("[name=title]").value.trim()];
  if (!(await askAnyway("train_start", { ...setup(), title }))) return;
  [draft, report, pictureOptions, changed] = [null, null, {}, {}];
  fixed.clear();
  forgetPlan();
  showPictures(0);
  find(".left-out").hidden = true;
  closeSetup();
  await refreshRuns();
  choose(id);
}));
