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
  if (chosen === null) return pins.filter((pin) => !studio.isForeign(pin)).slice(0, MOST_AT_FIRST);
  return chosen.map((id) => pins.find((pin) => pin.id === id)).filter(Boolean);
}

function showStops() {
  const order = stops();
  keepFocus(() => find(".stops").replaceChildren(...usable().map((pin) => stopButton(pin, order.indexOf(pin)))));
}

function stopButton(pin, index) {
  const button = pictureButton(pin.thumb, pin.name, () => toggle(pin));
  button.className = "stop";
  button.dataset.key = pin.id;
  button.setAttribute("aria-pressed", index >= 0);
  if (index >= 0) button.insertAdjacentHTML("beforeend", `<span>${index + 1}</span>`);
  return button;
}

function toggle(pin) {
  const ids = stops().map(({ id }) => id);
  chosen = ids.includes(pin.id) ? ids.filter((id) => id !== pin.id) : [...ids, pin.id];
  if (chosen.includes(pin.id)) studio.warnIfForeign(pin);
  refresh();
}

// ---- painting

const wanted = () => ({ codes: stops().map(({ z }) => z), frames: numberIn(frames), loop: loop.checked });
/** What stands in a field, or what stood there at first while it is empty. */
const numberIn = (field) => (Number.isFinite(field.valueAsNumber) ? field.valueAsNumber : Number(field.defaultValue));

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
  const path = await ask("blend_path", { ...model(), ...wanted() });
  if (!path || mine !== turn) return;
  film = [];
  wantedFrames = path.z.length;
  slider.max = wantedFrames - 1;
  for (let start = 0; start < path.z.length; start += CHUNK) {
    const z = path.z.slice(start, start + CHUNK);
    const answer = await ask("paint", { ...subject(), z });
    if (mine === turn && !answer) stop();
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
  tick();
}

function stop() {
  clearTimeout(timer);
  playing = false;
  showPlay();
}

function tick() {
  if (!playing || !isShown() || film.length === 0) return;
  show(place);
  const last = place + 1 >= wantedFrames;
  if (last && !loop.checked) {
    place = 0;
    return stop();
  }
  if (last || place + 1 < film.length) place = (place + 1) % wantedFrames; // what is not painted yet is waited for
  const rate = Math.min(60, Math.max(1, numberIn(fps)));
  timer = setTimeout(tick, 1000 / rate);
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
  button.addEventListener("click", resting(button, async () => {
    const settings = { ...subject(), ...wanted(), fps: numberIn(fps), format: button.dataset.format };
    const answer = await ask("blend_file", settings);
    if (answer) saveFile(answer.url, answer.name);
  }));
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
}, () => playing && play());
