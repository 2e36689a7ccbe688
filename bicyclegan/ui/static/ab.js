// Two models, one drawing, one style: which style, and when to paint again. The pictures are Gradio's own slider.

let chosen = null; // id of a pin; null is the style of Explore

const pins = () => studio.get("pins").filter(studio.fits);
const style = () => pins().find(({ id }) => id === chosen)?.z ?? studio.get("style");

function showStyles() {
  if (!pins().some(({ id }) => id === chosen)) chosen = null;
  const current = pictureButton("", t("current"), () => choose(null));
  current.textContent = t("current");
  const buttons = [current, ...pins().map((pin) => pictureButton(pin.thumb, pin.name, () => choose(pin)))];
  [null, ...pins().map(({ id }) => id)].forEach((id, k) => {
    buttons[k].setAttribute("aria-pressed", id === chosen);
    buttons[k].dataset.key = id ?? "current";
  });
  keepFocus(() => find(".styles").replaceChildren(...buttons));
}

function choose(pin) {
  chosen = pin?.id ?? null;
  if (pin) studio.warnIfForeign(pin);
  refresh();
}

const PATIENCE = 20_000; // ms until the next question is asked although the last one was not answered
let answered = () => {};
let asked = ""; // what is shown or on its way

/** Gradio paints the pictures; while it does, only the newest wish waits. */
const compare = studio.newestOnly(async () => {
  const answer = new Promise((resolve) => { answered = () => resolve(true); });
  const tooLate = new Promise((resolve) => setTimeout(resolve, PATIENCE, false));
  startBusy();
  trigger("compare", { sketch: studio.get("sketch"), z: style() });
  if (!await Promise.race([answer, tooLate])) asked = "";
  endBusy();
});

function refresh() {
  studio.startStyle();
  showStyles();
  if (!studio.get("sketch") || !style()) return showError(t("drawFirst"));
  const wish = JSON.stringify([studio.get("model").hash, studio.get("sketch"), style()]);
  if (wish === asked) return;
  asked = wish;
  compare();
}

function askAgain() {
  asked = "";
  refresh();
}

window.addEventListener("studio:compare", () => element.isConnected && isShown() && askAgain());
watch("value", () => {
  answered();
  showError(props.value?.error);
  if (props.value?.error) asked = "";
});
keepFresh(["model", "sketch", "style", "pins"], refresh);
