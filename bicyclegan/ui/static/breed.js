// Breeding: choose favourites among eight children, and they have eight children; endless, with a way back.

const strength = find(".strength input");
const tilesBox = find(".tiles");
let generations = []; // {z, tiles or none while they are painted, favourites: Set of indices}
let origin = null; // hash of the model that the codes belong to
let breeding = false;

const current = () => generations.at(-1);

/** Parents of the next generation: the favourites, else the current style. */
function parents() {
  const chosen = current() ? [...current().favourites].map((k) => current().z[k]) : [];
  return chosen.length ? chosen : [studio.get("style")];
}

async function next() {
  if (!studio.get("sketch") || breeding) return;
  breeding = true;
  const wanted = { parents: parents(), strength: strength.valueAsNumber, seed: randomSeed() };
  const answer = await ask("breed", { ...subject(), ...wanted });
  breeding = false;
  if (!answer) return;
  if (current()) current().tiles = []; // codes are enough to paint them again
  generations.push({ ...answer, favourites: new Set() });
  show();
}

function back() {
  if (generations.length < 2 || breeding) return;
  generations.pop();
  repaint();
}

/** The same children again, on whatever is drawn. */
const repaint = studio.newestOnly(async () => {
  const mine = current();
  if (!mine || !studio.get("sketch")) return show();
  show();
  const answer = await ask("paint", { ...subject(), z: mine.z });
  if (answer) mine.tiles = answer.tiles;
  if (mine === current()) show();
});

function show() {
  find(".blank").hidden = Boolean(studio.get("sketch"));
  tilesBox.hidden = !studio.get("sketch");
  find("[data-action=back]").disabled = generations.length < 2;
  find("[data-action=next]").disabled = !studio.get("sketch");
  find(".count").textContent = generations.length ? t("generation", { number: generations.length }) : "";
  if (!current()) return tilesBox.replaceChildren();
  keepFocus(() => tilesBox.replaceChildren(...current().z.map((z, k) => childTile(z, k))));
}

function childTile(z, k) {
  const { tiles, favourites } = current();
  const source = tiles[k];
  const tile = makeTile({
    source,
    label: t("child", { number: k + 1 }),
    press: () => {
      favourites[favourites.has(k) ? "delete" : "add"](k);
      mark();
    },
    actions: source ? [iconButton("use", t("use"), () => studio.setStyle(z)), pinButton(z, source)] : [],
  });
  tile.querySelector(".open").dataset.key = k;
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
  const { hash } = studio.get("model") ?? {};
  if (!hash) return;
  studio.startStyle();
  if (origin !== hash) generations = [];
  origin = hash;
  if (generations.length) repaint();
  else if (studio.get("sketch")) next();
  else show();
});
