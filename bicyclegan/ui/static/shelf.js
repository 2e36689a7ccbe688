// The shelf: pinned styles and kept drawings, at the foot of every tab; and what the page shares with Python.
// value: {model, models, restored: what a link brought or null, error}.

const [pinItems, drawingItems] = findAll(".items");
const file = find("input[type=file]");
const menu = find(".more");
const linkDialog = find(".show-link");
const LINK_START = "#studio=";
const PLACEHOLDER = "data:image/svg+xml," + encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="M5 5l14 14M19 5L5 19" stroke="#c4c9d4"/></svg>');
const MAX_PINS_BYTES = 1 << 20;

studio.connect(server, props.session);

// ---- pins

function pinItem(pin) {
  const item = document.createElement("div");
  item.className = "item";
  item.dataset.id = pin.id;
  item.setAttribute("role", "listitem");
  const use = pictureButton(pin.thumb, "", () => usePin(pinOf(item)));
  use.className = "use";
  const label = document.createElement("input");
  label.type = "text";
  label.maxLength = 40;
  label.addEventListener("change", () => rename(pinOf(item), label.value));
  label.addEventListener("keydown", (event) => {
    if (event.key === "Escape") label.value = pinOf(item).name;
    if (event.key === "Enter" || event.key === "Escape") use.focus();
  });
  const badge = document.createElement("span");
  badge.className = "badge";
  badge.textContent = "!";
  badge.setAttribute("aria-hidden", "true");
  item.append(use, label, iconButton("remove", "", () => studio.remove("pins", pin.id)), badge);
  return item;
}

const pinOf = (item) => studio.get("pins").find(({ id }) => id === item.dataset.id);

/** What can change while a pin stays: its name, the model, the style in use. */
function refreshPin(item) {
  const { name, z, checkpoint, ...pin } = { ...pinOf(item) };
  const foreign = studio.isForeign(pin);
  const title = foreign ? t("foreign", { name, checkpoint: studio.label(checkpoint) }) : t("usePin", { name });
  const titles = { ".use": title, input: t("rename", { name }), ".remove": t("remove", { name }) };
  for (const [selector, text] of Object.entries(titles)) {
    item.querySelector(selector).title = text;
    item.querySelector(selector).setAttribute("aria-label", text);
  }
  item.querySelector("input").value = name;
  item.querySelector(".badge").hidden = !foreign;
  const marks = { foreign, unfit: !studio.fits({ z }), on: sameStyle(z) };
  for (const [mark, on] of Object.entries(marks)) item.classList.toggle(mark, on);
}

const sameStyle = (z) => studio.get("style")?.length === z.length && z.every((x, k) => x === studio.get("style")[k]);

function usePin(pin) {
  if (!studio.fits(pin)) {
    const checkpoint = studio.label(pin.checkpoint);
    const { label: here, dim: other } = studio.get("model");
    return studio.say(t("unfit", { checkpoint, dim: pin.z.length, here, other }));
  }
  studio.warnIfForeign(pin);
  studio.setStyle(pin.z);
  if (studio.currentTab() === "draw") studio.openTab("explore");
}

function rename(pin, typed) {
  const name = typed.trim().slice(0, 40) || pin.name;
  studio.set("pins", studio.get("pins").map((each) => (each.id === pin.id ? { ...each, name } : each)));
}

/** Items stay while their pins do: one that is built anew loses the focus. */
function showPins() {
  if (!studio.get("model")) return;
  const pins = studio.get("pins");
  const there = new Map([...pinItems.children].map((item) => [item.dataset.id, item]));
  const items = pins.map((pin) => there.get(pin.id) ?? pinItem(pin));
  for (const item of [...pinItems.children]) if (!items.includes(item)) item.remove();
  items.forEach((item, k) => { if (pinItems.children[k] !== item) pinItems.insertBefore(item, pinItems.children[k] ?? null); });
  items.forEach(refreshPin);
  find(".hint").hidden = pins.length > 0;
  for (const action of ["export", "clear"]) find(`[data-action=${action}]`).disabled = pins.length === 0;
}

// ---- drawings

function drawingItem(drawing, index) {
  const item = document.createElement("div");
  item.className = "item";
  item.setAttribute("role", "listitem");
  const name = t("drawing", { number: index + 1 });
  const use = pictureButton(drawing.thumb, t("useDrawing", { name }), () => loadDrawing(drawing.sketch));
  use.className = "use";
  item.append(use, iconButton("remove", t("remove", { name }), () => studio.remove("drawings", drawing.id)));
  return item;
}

function loadDrawing(sketch) {
  window.dispatchEvent(new CustomEvent("studio:load-sketch", { detail: { sketch } }));
}

function showDrawings() {
  drawingItems.replaceChildren(...studio.get("drawings").map(drawingItem));
}

function showKeep() {
  find(".keep").disabled = !studio.get("sketch");
}

find(".keep").addEventListener("click", () => {
  studio.keepDrawing(studio.get("sketch"), studio.sketchThumb?.() ?? PLACEHOLDER);
});

// ---- files with pins

async function exportPins() {
  const answer = await ask("export_pins", { pins: plainPins() });
  if (answer) saveFile(answer.url, answer.name);
}

const plainPins = () => studio.get("pins").map(({ name, z, checkpoint, hash }) => ({ name, z, checkpoint, checkpoint_hash: hash }));

async function importPins(picked) {
  if (!picked) return;
  if (picked.size > MAX_PINS_BYTES) return showError(t("pinsLarge"));
  const answer = await ask("import_pins", { text: await picked.text() });
  if (answer) await addPins(answer.pins);
}

/** Add pins that are not here yet, with a picture of each on the current drawing. */
async function addPins(found) {
  const thumbs = await paintThumbs(found);
  const known = new Set(studio.get("pins").map((pin) => pin.hash + pin.z));
  const made = found.map(({ name, z, checkpoint, checkpoint_hash: hash }, k) => ({
    id: studio.freshId(), name, z: z.map(Math.fround), checkpoint, hash, thumb: thumbs[k] ?? PLACEHOLDER,
  })).filter((pin) => !known.has(pin.hash + pin.z));
  const { pins: limit } = studio.get("limits");
  const added = made.slice(0, Math.max(0, limit - studio.get("pins").length));
  studio.set("pins", [...studio.get("pins"), ...added]);
  if (made.length > added.length) return studio.say(t("noRoom", { count: added.length, limit }));
  if (added.length === 0) return studio.say(t("importedNone"));
  studio.say(t(added.length === 1 ? "importedOne" : "imported", { count: added.length }));
}

/** A picture of each pin on the current drawing, by its own model. Codes of one length are asked for together. */
async function paintThumbs(pins) {
  const groups = new Map();
  pins.forEach((pin, k) => {
    const key = `${pin.z.length} ${pin.checkpoint}`;
    groups.set(key, [...(groups.get(key) ?? []), k]);
  });
  const thumbs = [];
  for (const places of groups.values()) {
    const [{ checkpoint }] = places.map((k) => pins[k]);
    const wanted = { checkpoint, sketch: studio.get("sketch"), z: places.map((k) => pins[k].z), example: true };
    const answer = await studio.ask("paint", wanted);
    places.forEach((k, n) => { thumbs[k] = answer.tiles?.[n]; });
  }
  return thumbs;
}

file.addEventListener("change", () => {
  importPins(file.files[0]);
  file.value = "";
});

// ---- links

async function copyLink() {
  const knob = (id) => Number(document.querySelector(`#${id} input[type=number]`)?.value);
  const answer = await ask("pack_link", {
    ...subject(), seed: knob("seed"), count: knob("count"), truncation: knob("variety"), tab: studio.currentTab(),
    z: studio.get("style"), pins: plainPins(),
  });
  if (!answer) return;
  const address = location.href.split("#")[0] + LINK_START + answer.text;
  try {
    await navigator.clipboard.writeText(address);
    studio.say(t("linkCopied"));
  } catch { // no permission, or a page that is not served securely
    linkDialog.querySelector("input").value = address;
    linkDialog.showModal();
    linkDialog.querySelector("input").select();
  }
}

function openLink() {
  if (!location.hash.startsWith(LINK_START)) return;
  openRestored = studio.tabLater();
  trigger("open", { text: location.hash.slice(LINK_START.length), mine: studio.modelIds() });
}

/** A reload must not undo what is done from now on. */
function forgetLink() {
  if (location.hash.startsWith(LINK_START)) history.replaceState(null, "", location.pathname + location.search);
}

// ---- from Python

let seen = null; // stamp of the link that was shown last
let openRestored = studio.tabLater(); // from now on: what is restored takes a moment

async function receive() {
  const value = props.value;
  if (!value?.model) return;
  studio.set("models", value.models);
  studio.nameModels({ [value.model.name]: value.model.label });
  if (value.limits) studio.set("limits", value.limits);
  studio.setModel(value.model);
  showError(value.error);
  const { restored } = value;
  if (restored || value.error) forgetLink();
  if (!restored || restored.stamp === seen) return;
  seen = restored.stamp;
  if (restored.z) studio.setStyle(restored.z);
  openRestored(restored.tab);
  if (!restored.pins.length) return;
  await new Promise((resolve) => setTimeout(resolve, 500)); // until the canvas has the link's drawing, too
  await addPins(restored.pins);
}

/** After a reload: the model, tab and style of before. A link has its own. */
const place = location.hash.startsWith(LINK_START) ? {} : studio.lastPlace();

/** At once, so that it does not come over a style that somebody chooses. */
function returnToStyle() {
  const model = studio.get("model");
  if (place.checkpoint === model?.name && place.style?.length === model.dim) studio.setStyle(place.style);
}

function returnToPlace() {
  const { checkpoint, tab, style } = place;
  if (!studio.get("models").includes(checkpoint) && !studio.isOwn(checkpoint)) return;
  if (checkpoint !== studio.get("model").name) return trigger("reopen", { checkpoint, tab, z: style, mine: studio.modelIds() });
  if (tab) openRestored(tab);
}

// ---- wiring

const actions = {
  link: copyLink,
  export: exportPins,
  import: () => file.click(),
  clear: () => confirm(t("clearSure")) && studio.set("pins", []),
  close: () => linkDialog.close(),
};
root.addEventListener("click", (event) => {
  const action = event.target.closest("[data-action]")?.dataset.action;
  if (action) {
    menu.open = false;
    actions[action]();
  }
});
closing(menu);

let quiet = 0;
window.addEventListener("studio:say", ({ detail: { message, undo } }) => {
  if (!element.isConnected) return;
  const line = find(".message");
  line.querySelector("span").textContent = message;
  const button = line.querySelector("button");
  button.hidden = !undo;
  button.onclick = () => {
    line.classList.remove("shown");
    undo();
  };
  line.classList.add("shown");
  clearTimeout(quiet);
  quiet = setTimeout(() => line.classList.remove("shown"), undo ? 8000 : 4500);
});

studio.on(["pins", "model"], showPins, element);
studio.on("pins", () => showError(""), element);
studio.on("style", () => [...pinItems.children].forEach(refreshPin), element);
studio.on("drawings", showDrawings, element);
studio.on("sketch", showKeep, element);
watch("value", receive);
receive();
returnToStyle();
showPins();
showDrawings();
showKeep();
// Gradio hears events a moment after the page is there.
const whenHeard = () => setTimeout(() => { openLink(); returnToPlace(); }, 300);
if (window.studioReady) whenHeard();
else window.addEventListener("studio:ready", whenHeard, { once: true });
window.addEventListener("studio:use-model", ({ detail: { name } }) => {
  if (element.isConnected) trigger("use", { checkpoint: name, mine: studio.modelIds() });
});
window.addEventListener("hashchange", () => element.isConnected && openLink());
