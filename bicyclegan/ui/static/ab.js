// Two models, one drawing, one style: which style, and when to paint again. The pictures are Gradio's own slider.

let chosen = null; // id of a pin; null is the style of Explore

const pins = () => studio.get("pins").filter(studio.fits);
const style = () => pins().find(({ id }) => id === chosen)?.z ?? studio.get("style");

function showStyles() {
  if (!pins().some(({ id }) => id === chosen)) chosen = null;
  find(".styles").replaceChildren(
    styleButton(null, t("current")),
    ...pins().map((pin) => styleButton(pin.id, pin.name, pin.thumb)),
  );
}

function styleButton(id, label, picture) {
  const button = document.createElement("button");
  button.type = "button";
  button.title = label;
  button.setAttribute("aria-label", label);
  button.setAttribute("aria-pressed", id === chosen);
  if (picture) {
    const image = new Image();
    image.src = picture;
    image.alt = "";
    button.append(image);
  } else button.textContent = label;
  button.addEventListener("click", () => {
    chosen = id;
    refresh();
  });
  return button;
}

function refresh() {
  studio.startStyle();
  showStyles();
  showError("");
  if (studio.get("sketch") && style()) trigger("compare", { sketch: studio.get("sketch"), z: style() });
  else showError(t("drawFirst"));
}

window.addEventListener("studio:compare", () => element.isConnected && isShown() && refresh());
watch("value", () => showError(props.value?.error));
keepFresh(["model", "sketch", "style", "pins"], refresh);
