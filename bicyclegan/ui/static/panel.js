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

/** A picture that is a button. */
function pictureButton(source, label, onPress) {
  const button = document.createElement("button");
  button.type = "button";
  button.title = label;
  button.setAttribute("aria-label", label);
  const image = new Image();
  image.alt = "";
  if (source) image.src = source;
  button.append(image);
  button.addEventListener("click", onPress);
  return button;
}

/** A picture that can be pressed, with buttons over its lower edge. */
function makeTile({ source, label, press, actions = [] }) {
  const tile = document.createElement("div");
  tile.className = "tile";
  const open = pictureButton(source, label, () => press(tile));
  open.className = "open";
  const bar = document.createElement("div");
  bar.className = "actions";
  bar.append(...actions);
  tile.append(open, bar);
  return tile;
}

const pinButton = (z, source) => iconButton("pin", shared.pin, () => studio.pin(z, source));

/** Pictures to choose a style from: a press paints with it, the needle pins it. */
function styleTile(z, source, label) {
  const pin = iconButton("pin", shared.pin, () => studio.pin(z, tile.querySelector("img").src));
  const tile = makeTile({ source, label, press: () => studio.setStyle(z), actions: [pin] });
  return tile;
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
  if (message && isShown()) line.scrollIntoView({ block: "nearest" });
}

// What was wrong with another drawing or model is wrong no more.
studio.on(["sketch", "model"], () => showError(""), element);

/** Ask the server, with progress and the panel's line for mistakes. Null when it did not work, or came too late. */
async function ask(name, wanted) {
  const model = studio.get("model");
  startBusy();
  const answer = await studio.ask(name, wanted);
  endBusy();
  if (model !== studio.get("model")) return null; // codes and pictures of a model that was left
  showError(answer.error);
  return answer.error ? null : answer;
}

const model = () => ({ checkpoint: studio.get("model").name });
/** What every question about pictures of the drawing starts with. */
const subject = () => ({ ...model(), sketch: studio.get("sketch") });
const randomSeed = () => Math.floor(Math.random() * 2 ** 32);

/** Build parts of the panel anew without taking the focus away: `data-key` says which button is which. */
function keepFocus(build) {
  const { key } = root.contains(document.activeElement) ? document.activeElement.dataset : {};
  build();
  if (key) root.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

/** Run `update` when one of the keys changes, and when the panel comes into sight after such a change. */
function keepFresh(keys, update, onShow = () => {}) {
  let stale = true;
  const refresh = () => {
    if (!isShown()) { stale = true; return; }
    stale = false;
    update();
  };
  studio.on(keys, refresh, element);
  new IntersectionObserver(() => {
    if (!isShown()) return;
    if (stale) refresh();
    else onShow();
  }).observe(root);
  refresh();
}

/** Menus that open on a press close on Escape and on a press elsewhere. */
function closing(menu) {
  document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

/** A button that rests while what it started goes on. */
function resting(button, work) {
  return async (...args) => {
    if (button.disabled) return;
    button.disabled = true;
    try {
      await work(...args);
    } finally {
      button.disabled = false;
    }
  };
}

/** Let the browser save a file. */
function saveFile(url, name) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}

const SENT_AS_IT_IS = 1 << 20; // bytes
const SENT_SIDE = 1024; // px of a larger picture's longer side: no model sees more

/** A picked or dropped picture as a data URL; a large one is made smaller before it travels. */
async function readPicture(file) {
  if (file.size > SENT_AS_IT_IS) {
    const small = await shrink(file).catch(() => null); // a kind that this browser cannot open
    if (small) return small;
  }
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

async function shrink(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, SENT_SIDE / Math.max(bitmap.width, bitmap.height));
  const paper = document.createElement("canvas");
  paper.width = Math.round(bitmap.width * scale);
  paper.height = Math.round(bitmap.height * scale);
  const context = paper.getContext("2d");
  context.fillStyle = "#fff"; // under what is transparent
  context.fillRect(0, 0, paper.width, paper.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, paper.width, paper.height);
  return paper.toDataURL("image/jpeg", 0.95);
}

/** The picture as the server wants it, or null with a message when it is too large. */
async function sendable(file) {
  if (file.size > studio.get("limits").photo_bytes) {
    showError(studio.fill(shared.fileLarge, { name: file.name, limit: studio.get("limits").photo_bytes >> 20 }));
    return null;
  }
  return { name: file.name, data_url: await readPicture(file) };
}

/** Files that are dropped on the panel; `target` is highlighted while they hover. */
function takeDrops(target, use) {
  for (const type of ["dragover", "dragleave", "drop"]) {
    root.addEventListener(type, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      target.classList.toggle("over", type === "dragover");
      if (type === "drop") use([...event.dataTransfer.files]);
    });
  }
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
