// A style from photos, read by the encoder; or from a colour, by searching for codes that paint in it.

const MAX_PHOTOS = 8;
const MAX_BYTES = 25 * 1024 * 1024;
const [fileInput, drop, photos, found] = [find("input[type=file]"), find(".drop"), find(".photos"), find(".found")];
const [colour, word] = [find("input[type=color]"), find(".word")];

// ---- photos

async function readPhotos(files) {
  const picked = [...files].slice(0, MAX_PHOTOS);
  if (picked.length === 0) return;
  if (files.length > MAX_PHOTOS) studio.say(t("photosMany", { limit: MAX_PHOTOS }));
  const large = picked.find((file) => file.size > MAX_BYTES);
  if (large) return showError(t("photoLarge", { name: large.name }));
  const sent = await Promise.all(picked.map(async (file) => ({ name: file.name, data_url: await readFile(file) })));
  const answer = await ask("read_photos", { ...subject(), photos: sent });
  if (!answer) return;
  photos.replaceChildren(...answer.photos.map(showPhoto));
  if (answer.photos.length > 1) photos.append(...averageButtons(answer));
  studio.setStyle(answer.z);
}

function showPhoto({ photo, edges, reconstruction, z, name }) {
  const box = document.createElement("div");
  box.className = "triple";
  box.title = name;
  const parts = [["photo", photo], ["edges", edges], ["kept", reconstruction]].filter(([, source]) => source);
  box.append(...parts.map(([kind, source]) => figure(t(kind), source)));
  const buttons = document.createElement("div");
  buttons.className = "row";
  buttons.append(textButton(t("useThis"), () => studio.setStyle(z)), pinButton(z, reconstruction ?? photo));
  box.append(buttons);
  return box;
}

function averageButtons({ z }) {
  const row = document.createElement("div");
  row.className = "row";
  row.append(textButton(t("useAverage"), () => studio.setStyle(z)));
  return [row];
}

function figure(caption, source) {
  const box = document.createElement("figure");
  const image = new Image();
  image.src = source;
  image.alt = caption;
  const text = document.createElement("figcaption");
  text.textContent = caption;
  box.append(image, text);
  return box;
}

function textButton(label, onPress) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = label;
  button.addEventListener("click", onPress);
  return button;
}

drop.addEventListener("click", () => fileInput.click());
fileInput.addEventListener("change", async () => {
  await readPhotos(fileInput.files);
  fileInput.value = "";
});
for (const type of ["dragover", "dragleave", "drop"]) {
  root.addEventListener(type, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", type === "dragover");
    if (type === "drop") readPhotos(event.dataTransfer.files);
  });
}
document.addEventListener("paste", (event) => {
  if (!element.isConnected || !isShown() || event.target.closest?.("input, textarea")) return;
  readPhotos([...(event.clipboardData?.files ?? [])].filter(({ type }) => type.startsWith("image/")));
});

// ---- colours

async function findColour() {
  const answer = await ask("find_colour", { ...subject(), colour: word.value.trim() || colour.value });
  if (!answer) return;
  colour.value = answer.colour;
  const box = document.createElement("div");
  box.className = "tiles";
  box.append(...answer.z.map((z, k) => {
    const tile = styleTile(z, answer.tiles[k], t("useColour", { distance: answer.distances[k].toFixed(0) }));
    tile.insertAdjacentHTML("beforeend", `<span class="swatch" style="background:${answer.colours[k]}"></span>`);
    return tile;
  }));
  const note = document.createElement("p");
  note.className = "quiet";
  note.textContent = answer.distances[0] > 25 ? t("farAway") : t("foundNote");
  found.replaceChildren(box, note);
  studio.setStyle(answer.z[0]);
}

find("form").addEventListener("submit", (event) => {
  event.preventDefault();
  findColour();
});
colour.addEventListener("input", () => { word.value = ""; });

studio.on("model", () => {
  photos.replaceChildren();
  found.replaceChildren();
  showAbility();
}, element);

function showAbility() {
  const able = studio.get("model")?.encoder ?? true;
  drop.disabled = !able;
  drop.querySelector("span").textContent = t(able ? "drop" : "noEncoder");
}
showAbility();
