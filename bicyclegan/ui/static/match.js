// A style from photos, read by the encoder; or from a colour, by searching for codes that paint in it.

const [fileInput, drop, photos, found] = [find("input[type=file]"), find(".drop"), find(".photos"), find(".found")];
const [colour, word] = [find("input[type=color]"), find(".word")];

// ---- photos

async function readPhotos(files) {
  const { photos: limit } = studio.get("limits");
  const picked = [...files].slice(0, limit);
  if (picked.length === 0) return;
  if (files.length > limit) studio.say(t("photosMany", { limit }));
  const sent = await Promise.all(picked.map(sendable));
  if (sent.includes(null)) return;
  const answer = await ask("read_photos", { ...model(), photos: sent });
  if (!answer) return;
  showError(answer.skipped?.join(" "));
  photos.replaceChildren(...answer.photos.map(showPhoto));
  if (answer.photos.length > 1) photos.append(averageButton(answer));
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

function averageButton({ z }) {
  const row = document.createElement("div");
  row.className = "row";
  row.append(textButton(t("useAverage"), () => studio.setStyle(z)));
  return row;
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
takeDrops(drop, readPhotos);
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
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = answer.colours[k];
    tile.append(swatch);
    return tile;
  }));
  box.codes = answer.z;
  const note = document.createElement("p");
  note.className = "quiet";
  note.textContent = answer.distances[0] > 25 ? t("farAway") : t("foundNote");
  found.replaceChildren(box, note);
  studio.setStyle(answer.z[0]);
}

/** The same styles on another drawing. */
const repaintFound = studio.newestOnly(async () => {
  const box = found.querySelector(".tiles");
  if (!box || !studio.get("sketch")) return;
  const answer = await ask("paint", { ...subject(), z: box.codes });
  answer?.tiles.forEach((source, k) => { box.children[k].querySelector("img").src = source; });
});

const search = resting(find("form button"), findColour);
find("form").addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
colour.addEventListener("input", () => { word.value = ""; });

keepFresh("sketch", repaintFound);
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
