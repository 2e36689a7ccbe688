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
  const foreign = studio.isForeign(pin);
  const fit = studio.fits(pin);
  item.className = ["item", foreign && "foreign", !fit && "unfit", sameStyle(pin.z) && "on"].filter(Boolean).join(" ");
  item.setAttribute("role", "listitem");
  const { name } = pin;
  const use = useButton(pin.thumb, foreign ? t("foreign", { name, checkpoint: pin.checkpoint }) : t("usePin", { name }));
  use.addEventListener("click", () => usePin(pin));
  const label = document.createElement("input");
  label.type = "text";
  label.maxLength = 40;
  label.value = pin.name;
  label.setAttribute("aria-label", t("rename", { name }));
  label.addEventListener("change", () => rename(pin, label.value));
  item.append(use, label, iconButton("remove", t("remove", { name }), () => studio.remove("pins", pin.id)));
  if (foreign) item.insertAdjacentHTML("beforeend", '<span class="badge" aria-hidden="true">!</span>');
  return item;
}

function useButton(picture, label) {
  const use = document.createElement("button");
  use.type = "button";
  use.className = "use";
  use.title = label;
  use.setAttribute("aria-label", label);
  const image = new Image();
  image.src = picture;
  image.alt = "";
  use.append(image);
  return use;
}

const sameStyle = (z) => studio.get("style")?.length === z.length && z.every((x, k) => x === studio.get("style")[k]);

function usePin(pin) {
  const { checkpoint } = pin;
  if (!studio.fits(pin)) {
    const { name: here, dim: other } = studio.get("model");
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

function showPins() {
  if (!studio.get("model")) return;
  const pins = studio.get("pins");
  pinItems.replaceChildren(...pins.map(pinItem));
  find(".hint").hidden = pins.length > 0;
  for (const action of ["export", "clear"]) find(`[data-action=${action}]`).disabled = pins.length === 0;
}

function markStyle() {
  studio.get("pins").forEach((pin, k) => pinItems.children[k]?.classList.toggle("on", sameStyle(pin.z)));
}

// ---- drawings

function drawingItem(drawing, index) {
  const item = document.createElement("div");
  item.className = "item";
  item.setAttribute("role", "listitem");
  const name = t("drawing", { number: index + 1 });
  const use = useButton(drawing.thumb, t("useDrawing", { name }));
  use.addEventListener("click", () => loadDrawing(drawing.sketch));
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
  const known = new Set(studio.get("pins").map((pin) => pin.hash + pin.z));
  const fresh = found.filter((pin) => !known.has(pin.checkpoint_hash + pin.z.map(Math.fround)));
  const thumbs = await paintThumbs(fresh);
  const free = Math.max(0, studio.MAX_PINS - studio.get("pins").length);
  const made = fresh.slice(0, free).map(({ name, z, checkpoint, checkpoint_hash: hash }, k) => ({
    id: `${Date.now().toString(36)}${k}`, name, z: z.map(Math.fround), checkpoint, hash, thumb: thumbs[k] ?? PLACEHOLDER,
  }));
  studio.set("pins", [...studio.get("pins"), ...made]);
  if (fresh.length > free) return studio.say(t("noRoom", { count: made.length, limit: studio.MAX_PINS }));
  studio.say(t(made.length === 1 ? "importedOne" : "imported", { count: made.length }));
}

async function paintThumbs(pins) {
  const thumbs = [];
  for (const checkpoint of new Set(pins.map((pin) => pin.checkpoint))) {
    const places = [...pins.keys()].filter((k) => pins[k].checkpoint === checkpoint);
    const z = places.map((k) => pins[k].z);
    const answer = await studio.ask("paint", { checkpoint, sketch: studio.get("sketch"), z, example: true });
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
  const text = decodeURIComponent(location.hash.slice(LINK_START.length));
  history.replaceState(null, "", location.pathname + location.search); // a reload must not undo what is done from now on
  trigger("open", { text });
}

// ---- from Python

let seen = null; // stamp of the link that was shown last

async function receive() {
  const value = props.value;
  if (!value?.model) return;
  studio.set("models", value.models);
  studio.setModel(value.model);
  showError(value.error);
  const { restored } = value;
  if (!restored || restored.stamp === seen) return;
  seen = restored.stamp;
  if (restored.z) studio.setStyle(restored.z);
  studio.openTab(restored.tab);
  if (restored.pins.length) await addPins(restored.pins);
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
document.addEventListener("click", (event) => {
  if (!menu.contains(event.target)) menu.open = false;
});

let quiet = 0;
window.addEventListener("studio:say", ({ detail }) => {
  if (!element.isConnected) return;
  const line = find(".message");
  line.textContent = detail.message;
  line.classList.add("shown");
  clearTimeout(quiet);
  quiet = setTimeout(() => line.classList.remove("shown"), 4500);
});

studio.on(["pins", "model"], showPins, element);
studio.on("style", markStyle, element);
studio.on("drawings", showDrawings, element);
studio.on("sketch", showKeep, element);
watch("value", receive);
receive();
showPins();
showDrawings();
showKeep();
// Gradio hears events a moment after the page is there.
const whenHeard = () => setTimeout(openLink, 300);
if (window.studioReady) whenHeard();
else window.addEventListener("studio:ready", whenHeard, { once: true });
window.addEventListener("hashchange", () => element.isConnected && openLink());
