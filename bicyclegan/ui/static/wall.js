// The wall of photos: shows what Python puts into `props.value`, enlarges a tile, saves it with its recipe.
// value: null, or {tiles: [data URL], seen: data URL, status: text, error: text or null, request: {...},
// z: codes, hash: of the checkpoint}.

const wall = element.querySelector(".wall");
const texts = props.texts[navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en"];
const t = (key) => texts[key] ?? key;
const find = (selector) => wall.querySelector(selector);
const [progress, errorLine, empty, tiles, foot, dialog, dialogError] = [
  ".progress", ".error", ".empty", ".tiles", ".foot", ".large", ".large .error",
].map(find);
const ICONS = {
  pin: '<path d="M12 15v6M7 15h10l-1.5-4V5.5h1V3h-9v2.5h1V11z"/>',
  explore: '<path d="M4 8h9M18 8h2M4 16h2M11 16h9"/><circle cx="15.5" cy="8" r="2.5"/><circle cx="8.5" cy="16" r="2.5"/>',
  save: '<path d="M12 4v11m0 0 5-5m-5 5-5-5M5 20h14"/>',
};
const PATIENCE_MS = 200; // what is faster than this needs no progress bar

let good = null; // the last value with pictures: what tiles, large view and downloads belong to
let shown = 0; // tile in the large view
let busySince = null;
let busyTimer = null;

// ---- texts

wall.querySelectorAll("[data-text]").forEach((node) => { node.textContent = t(node.dataset.text); });
wall.querySelectorAll("[data-label]").forEach((node) => { node.setAttribute("aria-label", t(node.dataset.label)); });
progress.setAttribute("aria-label", t("busy"));

/** Models of label maps know no outlines. */
function showHint() {
  find(".empty p").textContent = t(studio.get("model")?.label_maps ? "emptyHintLabels" : "emptyHint");
}

studio.on(["model"], showHint, element);
showHint();

// ---- progress: the tab says when a request starts, a new value says when it ends

function startBusy() {
  busySince = performance.now();
  clearTimeout(busyTimer);
  busyTimer = setTimeout(() => { progress.hidden = false; }, PATIENCE_MS);
}

function endBusy() {
  clearTimeout(busyTimer);
  progress.hidden = true;
  const since = busySince;
  busySince = null;
  return since;
}

window.addEventListener("studio:busy", startBusy);

// ---- painting

/** Any number of tiles stays within the same height, half the width: what lies below must not jump. */
function columnsFor(count) {
  if (count <= 2) return 2;
  return count <= 8 ? 4 : 6;
}

function makeTile(index) {
  const tile = document.createElement("div");
  tile.className = "tile";
  const name = t("tile").replace("{number}", index + 1);
  tile.innerHTML = '<button type="button" class="open"><img alt=""></button><div class="actions"></div>';
  tile.querySelector(".open").setAttribute("aria-label", name);
  tile.querySelector("img").alt = name;
  tile.querySelector(".open").addEventListener("click", () => openLarge(index));
  tile.querySelector(".actions").append(
    tileButton("pin", t("pin"), name, () => pin(index)),
    tileButton("explore", t("explore"), name, () => explore(index)),
    tileButton("save", t("download"), name, () => download(index)),
  );
  return tile;
}

function tileButton(kind, label, name, onPress) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = kind;
  button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true">${ICONS[kind]}</svg>`;
  button.title = label;
  button.setAttribute("aria-label", `${label}: ${name}`);
  button.addEventListener("click", onPress);
  return button;
}

/** Keep a tile's style, whatever is drawn next. */
function pin(index) {
  studio.pin(good.z[index], good.tiles[index], { name: good.request.checkpoint, hash: good.hash });
}

function explore(index) {
  dialog.close();
  studio.setStyle(good.z[index]);
  studio.openTab("explore");
}

function paintTiles(sources) {
  tiles.style.setProperty("--columns", columnsFor(sources.length));
  while (tiles.children.length > sources.length) tiles.lastChild.remove();
  while (tiles.children.length < sources.length) tiles.append(makeTile(tiles.children.length));
  // Pictures are swapped in place: a wall that is rebuilt flickers.
  sources.forEach((source, index) => { tiles.children[index].querySelector("img").src = source; });
}

async function paint() {
  const value = props.value;
  const since = endBusy();
  const sources = value?.tiles ?? [];
  wall.dataset.state = value?.error ? "error" : sources.length ? "full" : "empty";
  errorLine.hidden = !value?.error;
  errorLine.textContent = value?.error ?? "";
  if (value?.error) return; // the last pictures stay, pale, until the mistake is mended
  good = value;
  studio.set("wall", sources.length ? { z: value.z, checkpoint: value.request.checkpoint } : null);
  empty.hidden = sources.length > 0;
  foot.hidden = sources.length === 0;
  paintTiles(sources);
  if (sources.length === 0) { dialog.close(); return; }
  find(".seen").src = value.seen;
  find(".seen").alt = t("seen");
  if (dialog.open) showLarge(Math.min(shown, sources.length - 1));
  await Promise.all([...tiles.querySelectorAll("img")].map((image) => image.decode().catch(() => {})));
  const milliseconds = since === null ? null : performance.now() - since;
  find(".status").textContent = value.status + (since === null ? "" : ` · ${(milliseconds / 1000).toFixed(2)} s`);
  const detail = { milliseconds, server: value.server_ms };
  window.dispatchEvent(new CustomEvent("studio:painted", { detail }));
}

// ---- large view

function showLarge(index) {
  shown = index;
  dialog.querySelector("img").src = good.tiles[index];
  dialog.querySelector("img").alt = t("tile").replace("{number}", index + 1);
  dialog.querySelector(".place").textContent = `${index + 1} / ${good.tiles.length}`;
}

function openLarge(index) {
  dialogError.hidden = true;
  showLarge(index);
  dialog.showModal();
}

function step(by) {
  const count = good.tiles.length;
  showLarge((shown + by + count) % count);
}

dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
dialog.querySelector(".actions").addEventListener("click", (event) => {
  const action = event.target.closest("button")?.dataset.action;
  if (action === "previous") step(-1);
  if (action === "next") step(1);
  if (action === "pin") pin(shown);
  if (action === "explore") explore(shown);
  if (action === "download") download(shown);
  if (action === "close") dialog.close();
});

// ---- download: the server paints the tile again at full quality and puts its recipe into the PNG

async function download(index) {
  const answer = await server.make_png({ request: good.request, index }).catch(() => null);
  const problem = answer?.url ? "" : (answer?.error ?? t("downloadFailed"));
  const line = dialog.open ? dialogError : errorLine;
  line.textContent = problem;
  line.hidden = !problem;
  if (problem) return;
  const link = document.createElement("a");
  link.href = answer.url;
  link.download = answer.name;
  link.click();
}

watch("value", paint);
paint();
