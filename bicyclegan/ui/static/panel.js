// Before the script of every panel: finding, texts, tiles, progress. Gradio runs the joined files once per component,
// as the body of a function with `element`, `props`, `trigger`, `server` and `watch`.

const root = element.querySelector(".panel");
const find = (selector) => root.querySelector(selector);
const findAll = (selector) => [...root.querySelectorAll(selector)];
const texts = props.texts[studio.language];
const shared = props.shared[studio.language];
const t = (key, words) => studio.fill(texts[key] ?? key, words);
const isShown = () => root.offsetParent !== null;

findAll("[data-text]").forEach((node) => { node.textContent = t(node.dataset.text); });
findAll("[data-label]").forEach((node) => {
  node.title = t(node.dataset.label);
  node.setAttribute("aria-label", node.title);
});
findAll("[data-hint]").forEach((node) => { node.placeholder = t(node.dataset.hint); });

const ICONS = {
  pin: '<path d="M12 15v6M7 15h10l-1.5-4V5.5h1V3h-9v2.5h1V11z"/>',
  save: '<path d="M12 4v11m0 0 5-5m-5 5-5-5M5 20h14"/>',
  use: '<path d="M5 12h13m0 0-5-5m5 5-5 5"/>',
  remove: '<path d="M6 6l12 12M18 6 6 18"/>',
  lock: '<path d="M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3"/>',
  chart: '<path d="M5 20V11M10 20V5M15 20v-7M20 20V8"/>',
};
const icon = (name) => `<svg viewBox="0 0 24 24" aria-hidden="true">${ICONS[name]}</svg>`;

/** A small round button with a picture. */
function iconButton(name, label, onPress) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = `icon ${name}`;
  button.innerHTML = icon(name);
  button.title = label;
  button.setAttribute("aria-label", label);
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    onPress(button);
  });
  return button;
}

/** A picture that can be pressed, with buttons over its lower edge. */
function makeTile({ source, label, press, actions = [] }) {
  const tile = document.createElement("div");
  tile.className = "tile";
  const open = document.createElement("button");
  open.type = "button";
  open.className = "open";
  open.title = label;
  open.setAttribute("aria-label", label);
  const image = new Image();
  image.alt = "";
  if (source) image.src = source;
  open.append(image);
  open.addEventListener("click", () => press(tile));
  const bar = document.createElement("div");
  bar.className = "actions";
  bar.append(...actions);
  tile.append(open, bar);
  return tile;
}

const pinButton = (z, source) => iconButton("pin", shared.pin, () => studio.pin(z, source));

/** Pictures to choose a style from: a press paints with it, the needle pins it. */
function styleTile(z, source, label) {
  return makeTile({ source, label, press: () => studio.setStyle(z), actions: [pinButton(z, source)] });
}

// ---- progress and mistakes

const PATIENCE_MS = 200; // what is faster than this needs no progress bar
let busy = 0;
let busyTimer = null;

function startBusy() {
  busy += 1;
  clearTimeout(busyTimer);
  busyTimer = setTimeout(() => root.classList.add("busy"), PATIENCE_MS);
}

function endBusy() {
  busy -= 1;
  if (busy > 0) return;
  clearTimeout(busyTimer);
  root.classList.remove("busy");
}

function showError(message) {
  const line = find(".error");
  line.textContent = message ?? "";
  line.hidden = !message;
}

/** Ask the server, with progress and the panel's line for mistakes. Null when it did not work. */
async function ask(name, wanted) {
  startBusy();
  const answer = await studio.ask(name, wanted);
  endBusy();
  showError(answer.error);
  return answer.error ? null : answer;
}

/** What every question about pictures starts with. */
const subject = () => ({ checkpoint: studio.get("model").name, sketch: studio.get("sketch") });

/** Run `update` when one of the keys changes, and when the panel comes into sight after such a change. */
function keepFresh(keys, update) {
  let stale = true;
  const refresh = () => {
    if (!isShown()) { stale = true; return; }
    stale = false;
    update();
  };
  studio.on(keys, refresh, element);
  new IntersectionObserver(() => { if (stale && isShown()) refresh(); }).observe(root);
  refresh();
}

/** Let the browser save a file. */
function saveFile(url, name) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}

/** A picked or dropped file as a data URL. */
function readFile(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

/** Buttons of which one is on: `data-value` of each is its value. */
function segmented(selector, onChange) {
  const buttons = findAll(`${selector} button`);
  const select = (value) => {
    for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.value === value);
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      select(button.dataset.value);
      onChange(button.dataset.value);
    });
  }
  return select;
}

/** Gradio would take events of inner fields for those of the component. */
for (const type of ["input", "change"]) root.addEventListener(type, (event) => event.stopPropagation());
