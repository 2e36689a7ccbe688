// Everything around the paper: toolbar, keyboard, photos, texts; and at the end the wiring that starts it all.

const PHOTO_LIMIT = 25 * 1024 * 1024; // bytes

// ---- Toolbar

const slider = $("input[type=range]");
const dot = $(".dot");
const labelTools = $(".label-tools");
let shownPalette = ""; // whose swatches are there
const actions = { undo, redo, clear, mirror: toggleMirror, photo: () => $("input[type=file]").click() };

function selectTool(name) {
  tool = name;
  refreshControls();
}

function selectColor(index) {
  color = index;
  selectTool(tool === "eraser" ? "pen" : tool);
}

function setWidth(value) {
  const { min, max } = tools()[tool];
  if (!max) return;
  toolWidths()[tool] = Math.min(Math.max(value, min), max);
  refreshControls();
}

function toggleMirror() {
  mirror = !mirror;
  refreshControls();
}

function refreshControls() {
  const name = tools()[tool].max ? tool : "pen"; // whose width the slider shows
  const { min, max } = tools()[name];
  const share = (toolWidths()[name] - min) / (max - min);
  for (const button of element.querySelectorAll("[data-tool]")) press(button, button.dataset.tool === tool);
  for (const button of element.querySelectorAll("[data-color]")) press(button, Number(button.dataset.color) === color);
  press($("[data-action=mirror]"), mirror);
  const idle = { undo: !past.length, redo: !future.length, clear: isEmpty(doc) };
  for (const [name, off] of Object.entries(idle)) $(`[data-action=${name}]`).setAttribute("aria-disabled", off);
  Object.assign(slider, { min, max, value: toolWidths()[name], disabled: name !== tool });
  slider.style.setProperty("--filled", `${100 * share}%`);
  dot.className = `dot ${tool}`;
  dot.style.width = dot.style.height = name === tool ? `${3 + 17 * share}px` : "";
  dot.style.setProperty("--ink", props.palette[color] ?? props.palette[0]);
  if (hasLabels) $(".chosen").textContent = props.names?.[color] ?? "";
  $(".axis").hidden = !mirror;
  $(".hint").hidden = Boolean(live) || !isEmpty(doc);
}

function press(button, on) {
  button.setAttribute("aria-pressed", on);
}

/** Colours come from the checkpoint, so Python may change them at any time. */
function applyColors() {
  hasLabels = props.palette.length > 1;
  $(".sketch").style.setProperty("--paper", props.paper);
  $(".sketch").classList.toggle("labels", hasLabels);
  if (!(tool in tools())) tool = "pen";
  showLabelTools();
  showSwatches();
  localise();
  repaint();
  refreshControls();
}

/** Rectangle and fill, beside the pen; models of lines have no use for them. */
function showLabelTools() {
  const there = $("[data-tool=rect]");
  if (hasLabels && !there) labelTools.after(labelTools.content.cloneNode(true));
  if (!hasLabels && there) for (const name of ["rect", "fill"]) $(`[data-tool=${name}]`).remove();
}

function showSwatches() {
  const palette = JSON.stringify([props.palette, props.names, props.paper]);
  if (palette === shownPalette) return;
  shownPalette = palette;
  color = Math.max(0, props.palette.findIndex((ink) => ink.toLowerCase() !== props.paper.toLowerCase()));
  const swatches = $(".swatches");
  swatches.hidden = !hasLabels;
  const chosen = document.createElement("span");
  chosen.className = "chosen";
  swatches.replaceChildren(...(swatches.hidden ? [] : [...props.palette.map(swatch), chosen]));
}

function swatch(ink, index) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.color = index;
  button.style.setProperty("--swatch", ink);
  const name = props.names?.[index];
  button.title = button.ariaLabel = name ? `${index + 1}: ${name}` : `${texts.color} ${index + 1} (${ink})`;
  return button;
}

// ---- Keyboard

const keys = {
  b: () => selectTool("pen"),
  e: () => selectTool("eraser"),
  m: toggleMirror,
  "[": () => setWidth(toolWidths()[tool] - 1),
  "]": () => setWidth(toolWidths()[tool] + 1),
  delete: clear,
  escape: cancelStroke,
};

const labelKeys = { r: () => selectTool("rect"), f: () => selectTool("fill") };

/** What a key does; with label maps there are more. */
function actionOf(key) {
  if (!hasLabels) return keys[key];
  if (/^[1-9]$/.test(key) && key <= props.palette.length) return () => selectColor(key - 1);
  return keys[key] ?? labelKeys[key];
}

function isTextField(target) {
  const field = target.closest?.("input, textarea, select, [contenteditable]");
  return Boolean(field) && !["range", "checkbox", "radio", "button", "submit", "file"].includes(field.type);
}

/** Whether something that happened on the page is for this canvas: visible, and no other one is in use. */
function concerns(event) {
  if (event.defaultPrevented || !canvas.clientWidth || isTextField(event.target)) return false;
  if (document.querySelector("dialog[open]")) return false; // something lies over the page
  const active = document.activeElement?.closest(".sketch");
  return !active || element.contains(active);
}

function onKey(event) {
  if (live && event.key === "Shift") return paintLive(event.type === "keydown");
  if (event.type === "keyup" || event.altKey || !concerns(event)) return;
  const key = event.key.toLowerCase();
  let action = null;
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") action = event.shiftKey ? redo : undo;
    if (key === "y" && !event.shiftKey) action = redo;
  } else if (key !== "delete" || document.activeElement === canvas) {
    action = actionOf(key);
  }
  if (!action) return;
  event.preventDefault();
  action();
}

// ---- Photos: sent as they are, the server finds the edges and answers with a value

function sendPhoto(file) {
  if (!file) return;
  if (file.type && !file.type.startsWith("image/")) return say("photo_kind", true);
  if (file.size > PHOTO_LIMIT) return say("photo_size", true);
  const reader = new FileReader();
  reader.onerror = () => say("photo_kind", true);
  reader.onload = () => {
    say("photo_sent", true);
    trigger("photo", { data_url: reader.result, name: file.name });
  };
  reader.readAsDataURL(file);
}

function onPaste(event) {
  const file = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
  if (!file || !concerns(event)) return;
  event.preventDefault();
  sendPhoto(file);
}

/** Anywhere on the page: a photo that misses the paper must not replace the page. */
function onDrag(event) {
  if (!event.dataTransfer?.types.includes("Files") || !canvas.clientWidth) return;
  event.preventDefault();
  stage.classList.toggle("dropping", event.type === "dragover");
  if (event.type === "drop") sendPhoto(event.dataTransfer.files[0]);
}

// ---- Texts

const language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
const texts = { ...props.texts?.en, ...props.texts?.[language] };
/** Texts that are others where label maps are drawn. */
const LABEL_TEXTS = {
  canvas: "canvas_labels",
  hint: "hint_labels",
  photo: "photo_labels",
  photo_label: "photo_label_labels",
  photo_sent: "photo_sent_labels",
};
const wordsOf = (key) => texts[(hasLabels && LABEL_TEXTS[key]) || key];
const status = $(".status");
let quiet = 0; // timer that takes a visible message away

/** Announce a message to screen readers; a loud one is seen too, for a while. */
function say(key, loud = false) {
  clearTimeout(quiet);
  if (key) status.textContent = wordsOf(key);
  status.classList.toggle("loud", loud);
  if (loud) quiet = setTimeout(() => status.classList.remove("loud"), 6000);
}

function localise() {
  const onMac = (text = "") => (/Mac|iP/.test(navigator.platform) ? text.replaceAll("Ctrl+", "⌘") : text);
  for (const node of element.querySelectorAll("[data-text]")) {
    node.ariaLabel = onMac(wordsOf(node.dataset.text));
    if (node.matches("button, label")) node.title = node.ariaLabel;
  }
  for (const node of element.querySelectorAll("[data-label]")) node.textContent = wordsOf(node.dataset.label);
  slider.ariaLabel = texts.width;
  $(".hint").textContent = wordsOf(props.hint) ?? "";
}

// ---- Wiring

const life = new AbortController();
const listen = (target, types, handler) => {
  for (const type of types.split(" ")) target.addEventListener(type, handler, { signal: life.signal });
};
/** For listeners on the page, which outlives the component. */
const whileMounted = (handler) => (event) => (element.isConnected ? handler(event) : life.abort());

listen(canvas, "pointerdown", startStroke);
listen(canvas, "pointermove", extendStroke);
listen(canvas, "pointerup lostpointercapture", finishStroke);
listen(canvas, "pointercancel", (event) => event.pointerId === live?.pointer && cancelStroke());
listen(canvas, "pointerleave", () => (ring.hidden = true));
listen(canvas, "contextmenu", (event) => live && event.preventDefault());

listen($(".toolbar"), "click", (event) => {
  const { tool: name, action, color: index } = event.target.closest("button")?.dataset ?? {};
  if (name) selectTool(name);
  if (action) actions[action]();
  if (index) selectColor(Number(index));
});
listen($(".toolbar"), "input change", (event) => {
  event.stopPropagation(); // these belong to the controls; Gradio would take them for the component's own
  if (event.target === slider) return setWidth(Number(slider.value));
  if (event.type === "change") sendPhoto(event.target.files[0]);
  if (event.type === "change") event.target.value = ""; // so that the same photo can be chosen again
});

listen(document, "keydown keyup", whileMounted(onKey));
listen(document, "paste", whileMounted(onPaste));
listen(document, "dragover dragleave drop", whileMounted(onDrag));
listen(window, "studio:photo-failed", whileMounted(() => status.classList.remove("loud")));
listen(window, "studio:load-sketch", whileMounted(({ detail }) => load(detail.sketch)));
listen(window, "resize", whileMounted(fit));
new ResizeObserver(fit).observe(canvas);
watch("value", receive);
watch(["palette", "paper", "names", "resolution"], applyColors);

if (window.studioReady) settle();
else listen(window, "studio:ready", settle);
setTimeout(settle, PATIENCE);

if (window.studio) window.studio.sketchThumb = thumbnail;
restore();
applyColors();
fit();
