// A row of small drawings to start from. value: list of picture URLs; reports the index of the one that is chosen.

const strip = element.querySelector(".strip");
const items = strip.querySelector(".items");
const texts = props.texts[navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en"];

strip.querySelector(".name").textContent = texts.examples;
items.setAttribute("aria-label", texts.examples);

function paint() {
  const sources = props.value ?? [];
  strip.hidden = sources.length === 0;
  items.replaceChildren(...sources.map((source, index) => {
    const button = document.createElement("button");
    const name = texts.example.replace("{number}", index + 1);
    button.type = "button";
    button.title = name;
    button.setAttribute("aria-label", name);
    const image = new Image();
    image.src = source;
    image.alt = "";
    button.append(image);
    button.addEventListener("click", () => trigger("select", { index }));
    return button;
  }));
}

window.addEventListener("studio:load-example", ({ detail }) => {
  if (element.isConnected && props.value?.length) trigger("select", { index: detail.index });
});
watch("value", paint);
paint();
