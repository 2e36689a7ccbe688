// Breeding: choose favourites among eight children, and they have eight children; endless, with a way back.

const strength = find(".strength input");
const tilesBox = find(".tiles");
let generations = []; // {z, tiles, favourites: Set of indices}
let origin = null; // model and drawing that the pictures belong to

const current = () => generations.at(-1);

/** Parents of the next generation: the favourites, else the current style. */
function parents() {
  const chosen = current() ? [...current().favourites].map((k) => current().z[k]) : [];
  return chosen.length ? chosen : [studio.get("style")];
}

async function next() {
  if (!studio.get("sketch")) return;
  const wanted = { parents: parents(), strength: strength.valueAsNumber, seed: Math.floor(Math.random() * 2 ** 32) };
  const answer = await ask("breed", { ...subject(), ...wanted });
  if (!answer) return;
  generations.push({ ...answer, favourites: new Set() });
  show();
}

function back() {
  if (generations.length < 2) return;
  generations.pop();
  repaint();
}

/** The same children on another drawing. */
async function repaint() {
  if (!current() || !studio.get("sketch")) return show();
  const answer = await ask("paint", { ...subject(), z: current().z });
  if (answer) current().tiles = answer.tiles;
  show();
}

function show() {
  find(".blank").hidden = Boolean(studio.get("sketch"));
  tilesBox.hidden = !studio.get("sketch");
  find("[data-action=back]").disabled = generations.length < 2;
  find("[data-action=next]").disabled = !studio.get("sketch");
  find(".count").textContent = generations.length ? t("generation", { number: generations.length }) : "";
  if (!current()) return tilesBox.replaceChildren();
  tilesBox.replaceChildren(...current().tiles.map(childTile));
}

function childTile(source, k) {
  const { z, favourites } = current();
  const tile = makeTile({
    source,
    label: t("child", { number: k + 1 }),
    press: () => {
      favourites[favourites.has(k) ? "delete" : "add"](k);
      mark();
    },
    actions: [iconButton("use", t("use"), () => studio.setStyle(z[k])), pinButton(z[k], source)],
  });
  const mark = () => {
    tile.classList.toggle("on", favourites.has(k));
    tile.querySelector(".open").setAttribute("aria-pressed", favourites.has(k));
  };
  mark();
  return tile;
}

find("[data-action=next]").addEventListener("click", next);
find("[data-action=back]").addEventListener("click", back);

keepFresh(["model", "sketch"], () => {
  const model = studio.get("model");
  if (!model) return;
  studio.startStyle();
  if (origin !== model.hash) generations = [];
  origin = model.hash;
  if (generations.length) repaint();
  else if (studio.get("sketch")) next();
  else show();
});
