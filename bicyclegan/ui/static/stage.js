// Explore's picture: the current drawing in the current style, and the way back to earlier styles.

const [image, blank] = [find(".picture img"), find(".picture .blank")];

let painted = null; // the code of the picture on show

const paint = studio.newestOnly(async () => {
  const z = studio.get("style");
  if (!studio.get("model") || !z) return;
  if (!studio.get("sketch")) return showBlank();
  const since = performance.now();
  const answer = await ask("paint", { ...subject(), z: [z] });
  if (!answer) return;
  if (answer.tiles.length === 0) return showBlank(); // erased all over
  image.src = answer.tiles[0];
  painted = z;
  await image.decode().catch(() => {});
  image.hidden = false;
  blank.hidden = true;
  showButtons();
  const detail = { milliseconds: performance.now() - since };
  window.dispatchEvent(new CustomEvent("studio:styled", { detail }));
});

function showBlank() {
  image.hidden = true;
  blank.hidden = false;
  showButtons();
}

function showButtons() {
  const off = { back: !studio.canStep(-1), forward: !studio.canStep(1), save: image.hidden, pin: image.hidden };
  for (const [name, disabled] of Object.entries(off)) find(`[data-action=${name}]`).disabled = disabled;
}

function refresh() {
  studio.startStyle();
  image.alt = t("picture");
  showButtons();
  paint();
}

async function save() {
  const answer = await ask("picture", { ...subject(), z: studio.get("style") });
  if (answer) saveFile(answer.url, answer.name);
}

async function random() {
  const answer = await ask("random_styles", { ...model(), count: 1, seed: randomSeed() });
  if (answer) studio.setStyle(answer.z[0]);
}

const actions = {
  back: () => studio.step(-1),
  forward: () => studio.step(1),
  centre: () => studio.setStyle(new Array(studio.get("model").dim).fill(0)),
  random,
  save,
  pin: () => studio.pin(painted, image.src),
  example: () => window.dispatchEvent(new CustomEvent("studio:load-example", { detail: { index: 0 } })),
  draw: () => studio.openTab("draw"),
};
root.addEventListener("click", (event) => {
  const action = event.target.closest("[data-action]")?.dataset.action;
  if (action) actions[action]();
});

keepFresh(["model", "sketch", "style"], refresh);
