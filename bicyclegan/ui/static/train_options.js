// What a new run starts from and how it learns. The fields, their limits and the advice beside them come from Python.

const SIZES = [32, 64, 128, 256];
const LABELS = {
  steps: "knobSteps",
  batch_size: "knobBatch",
  learning_rate: "knobRate",
  lambda_l1: "knobL1",
  lambda_z: "knobZ",
  lambda_kl: "knobKl",
};
const PRESETS = { fast: "presetFast", quality: "presetQuality", official: "presetOfficial" };

let offered = null; // what Python offers for this start: {groups, main, presets, starts}
let changed = {}; // name of an option -> the value that was set

const startSelect = find("[name=start]");
const presetSelect = find("[name=preset]");
const sizeSelect = find("[name=size]");

/** The start as every question about the run names it. */
function startWords() {
  const start = offered ? startSelect.value : undefined;
  const words = { preset: presetSelect.value || "fast", language: studio.language };
  if (start !== undefined) words.start = start;
  if (start === "") words.size = Number(sizeSelect.value || 128);
  return words;
}

/** Options that differ from what the start has, and can be numbers. */
const chosenOptions = () => ({ ...changed });

const allFields = () => (offered?.groups ?? []).flatMap(({ fields }) => fields);
const optionValue = (name) => changed[name] ?? allFields().find((field) => field.name === name)?.value ?? "";

const fillOptions = studio.newestOnly(async () => {
  const answer = await askAnyway("train_options", startWords());
  if (!answer) return;
  offered = answer;
  fillStarts();
  const main = answer.main.map((name) => allFields().find((field) => field.name === name));
  find(".options").replaceChildren(...main.map((field) => fieldRow(field, true)));
  const pages = answer.groups.map((group) => groupFold(group, answer.main)).filter(Boolean);
  find(".groups").replaceChildren(...pages);
  if (report) showThresholds();
});

function fillStarts() {
  const [start, preset] = [startSelect.value, presetSelect.value];
  const own = studio.allModels().filter(studio.isOwn).map((id) => new Option(studio.label(id), id));
  const shipped = offered.starts.map((name) => new Option(name, name));
  const isNew = !startSelect.options.length;
  startSelect.replaceChildren(...shipped, ...own, new Option(t("scratch"), ""));
  if (!isNew) startSelect.value = start;
  presetSelect.replaceChildren(...offered.presets.map((name) => new Option(t(PRESETS[name] ?? name), name)));
  if (preset) presetSelect.value = preset;
  if (!sizeSelect.options.length) {
    sizeSelect.replaceChildren(...SIZES.map((size) => new Option(`${size} px`, size)));
    sizeSelect.value = 128;
  }
  const scratch = startSelect.value === "";
  find(".field.size").hidden = !scratch;
  find(".start-note").textContent = t(scratch ? "scratchNote" : "startNote", { size: offered.size });
}

function groupFold({ name, about, fields }, main) {
  const rest = fields.filter((field) => !main.includes(field.name));
  if (!rest.length) return null;
  const fold = document.createElement("details");
  fold.className = "group";
  const summary = document.createElement("summary");
  const [title, note] = [document.createElement("b"), document.createElement("span")];
  title.textContent = name;
  note.textContent = about;
  summary.append(title, note);
  fold.append(summary, ...rest.map((field) => fieldRow(field, false)));
  return fold;
}

/** A field with its control and what the tutorials and papers advise. */
function fieldRow(field, isMain) {
  const row = document.createElement("div");
  row.className = "knob";
  const label = document.createElement("label");
  const name = document.createElement("span");
  name.textContent = LABELS[field.name] ? t(LABELS[field.name]) : field.name;
  if (LABELS[field.name]) name.title = field.name;
  const control = fieldControl(field);
  label.append(name, control);
  const advised = document.createElement("p");
  advised.className = "quiet";
  advised.textContent = isMain ? field.advised : field.purpose;
  const more = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = t("why");
  const full = document.createElement("p");
  full.className = "quiet";
  full.textContent = [isMain ? field.purpose : field.advised, field.price].join(" ");
  more.append(summary, full);
  row.append(label, advised, more);
  return row;
}

function fieldControl(field) {
  const control = document.createElement(field.kind === "choice" ? "select" : "input");
  control.dataset.option = field.name;
  const value = changed[field.name] ?? field.value;
  if (field.kind === "choice") {
    control.append(...field.choices.map((choice) => new Option(choice, choice)));
    control.value = value;
  } else if (field.kind === "flag") {
    control.type = "checkbox";
    control.checked = value;
  } else if (field.kind === "text") {
    control.type = "text";
    control.value = value;
  } else {
    control.type = "number";
    control.step = field.kind === "whole number" ? 1 : "any";
    if (field.limits) [control.min, control.max] = field.limits;
    control.required = true;
    control.value = value;
  }
  control.addEventListener("change", () => setOption(field, control));
  return control;
}

function setOption(field, control) {
  const value = control.type === "checkbox" ? control.checked : control.type === "number" ? Number(control.value) : control.value;
  if (control.type === "number" && (control.value === "" || !control.reportValidity())) return;
  if (value === field.value) delete changed[field.name];
  else changed[field.name] = value;
  for (const twin of findAll(`[data-option="${field.name}"]`)) twin.classList.toggle("changed", field.name in changed);
  forgetPlan();
}

for (const select of [startSelect, presetSelect, sizeSelect]) {
  select.addEventListener("change", async () => {
    changed = {};
    forgetPlan();
    await fillOptions();
    checkPictures(); // another size, another style of edges
  });
}
