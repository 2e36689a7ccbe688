// From pin to pin on the shortest way over the sphere: preview at once, then a GIF, WebP or MP4.

const MOST_AT_FIRST = 4; // pins that are chosen when nobody chose
const CHUNK = 12; // frames asked for at a time, so that the film runs before all are there
let chosen = null; // ids of pins in their order; null until somebody presses one
let film = []; // {source, z} of each frame that is there
let wantedFrames = 0;
let place = 0;
let playing = true;
let timer = null;
let turn = 0; // number of the film that is being painted: an older one stops

const [screen, slider] = [find(".screen img"), find(".place")];
const [frames, fps, loop] = [find(".frames"), find(".fps"), find(".loop")];

const usable = () => studio.get("pins").filter(studio.fits);

function stops() {
  const pins = usable();
  if (chosen === null) return pins.slice(0, MOST_AT_FIRST);
  return chosen.map((id) => pins.find((pin) => pin.id === id)).filter(Boolean);
}

function showStops() {
  const order = stops();
  find(".stops").replaceChildren(...usable().map((pin) => {
    const index = order.indexOf(pin);
    const button = document.createElement("button");
    button.type = "button";
    button.className = "stop";
    button.title = pin.name;
    button.setAttribute("aria-label", button.title);
    button.setAttribute("aria-pressed", index >= 0);
    const image = new Image();
    image.src = pin.thumb;
    image.alt = "";
    button.append(image);
    if (index >= 0) button.insertAdjacentHTML("beforeend", `<span>${index + 1}</span>`);
    button.addEventListener("click", () => toggle(pin));
    return button;
  }));
}

function toggle(pin) {
  const ids = stops().map(({ id }) => id);
  chosen = ids.includes(pin.id) ? ids.filter((id) => id !== pin.id) : [...ids, pin.id];
  refresh();
}

// ---- painting

const wanted = () => ({ codes: stops().map(({ z }) => z), frames: frames.valueAsNumber, loop: loop.checked });

async function refresh() {
  turn += 1;
  const mine = turn;
  showStops();
  const enough = stops().length >= 2 && Boolean(studio.get("sketch"));
  find(".blank").hidden = enough;
  find(".blank").textContent = t(studio.get("sketch") ? "blank" : "draw");
  find(".player").hidden = !enough;
  for (const button of findAll("[data-format]")) button.disabled = !enough;
  if (!enough) return stop();
  const path = await ask("blend_path", { ...subject(), ...wanted() });
  if (!path || mine !== turn) return;
  film = [];
  wantedFrames = path.z.length;
  slider.max = wantedFrames - 1;
  for (let start = 0; start < path.z.length; start += CHUNK) {
    const z = path.z.slice(start, start + CHUNK);
    const answer = await ask("paint", { ...subject(), z });
    if (!answer || mine !== turn) return;
    film.push(...answer.tiles.map((source, k) => ({ source, z: z[k] })));
    if (start === 0) play();
  }
}

// ---- the player

function play() {
  clearTimeout(timer);
  playing = true;
  showPlay();
  tick(1);
}

function stop() {
  clearTimeout(timer);
  playing = false;
  showPlay();
}

let direction = 1;

function tick(by = direction) {
  if (!playing || !isShown() || film.length === 0) return;
  show(place);
  const last = film.length === wantedFrames ? wantedFrames : film.length; // what is not painted yet waits
  if (loop.checked || film.length < wantedFrames) place = (place + 1) % last;
  else { // there and back again
    direction = place + by >= last ? -1 : place + by < 0 ? 1 : by;
    place = Math.min(Math.max(place + direction, 0), last - 1);
  }
  const rate = Math.min(60, Math.max(1, fps.valueAsNumber || 16));
  timer = setTimeout(() => tick(), 1000 / rate);
}

function show(index) {
  place = Math.min(index, film.length - 1);
  screen.src = film[place].source;
  slider.value = place;
}

const showPlay = () => { find("[data-action=play]").textContent = t(playing ? "pause" : "play"); };

// ---- wiring

find("[data-action=play]").addEventListener("click", () => (playing ? stop() : play()));
find("[data-action=use]").addEventListener("click", () => film[place] && studio.setStyle(film[place].z));
slider.addEventListener("input", () => {
  stop();
  if (film.length) show(slider.valueAsNumber);
});
for (const field of [frames, loop]) field.addEventListener("change", refresh);
for (const button of findAll("[data-format]")) {
  button.addEventListener("click", async () => {
    button.disabled = true;
    const settings = { ...subject(), ...wanted(), fps: fps.valueAsNumber, format: button.dataset.format };
    const answer = await ask("blend_file", settings);
    button.disabled = false;
    if (answer) saveFile(answer.url, answer.name);
  });
}

let seen = null; // what the film on show was made of
keepFresh(["model", "sketch", "pins"], () => {
  const now = JSON.stringify([studio.get("model")?.hash, studio.get("sketch"), usable().map(({ id }) => id)]);
  if (!studio.get("model") || now === seen) {
    showStops();
    if (playing) play();
    return;
  }
  seen = now;
  refresh();
});
