// What the parts of the page share: model, drawing, current style, pins, kept drawings. It lives in this browser
// alone. In the page's head, so that it is there before any component.

window.studio = (() => {
  const STORED = { pins: "bicyclegan.pins", drawings: "bicyclegan.drawings", matrix: "bicyclegan.matrix" };
  const MAX_TRAIL = 200;
  const MAX_DRAWINGS = 24;
  const MAX_TABLES = 8; // models whose table in Compare is kept

  // ---- values that anybody may read, set and listen to

  const values = {
    model: null, // {name, label, hash, dim, size, sliders, directions, ...}, from Python; null until it is known
    models: [], // names of all that everybody can choose; see session_models.js
    limits: { pins: 48 }, // {rows, columns, pins, photos, photo_bytes, upload_bytes}, from Python
    sketch: "", // Sketch JSON, "" for empty paper
    style: null, // the code z that Explore paints with, an array of model.dim numbers
    pins: [], // [{id, name, z, checkpoint, hash, thumb}]
    drawings: [], // [{id, sketch, thumb}]
    matrix: {}, // hash of a model -> {rows, columns} of its table in Compare
    wall: null, // {z, checkpoint} of the photos in Draw
    own: null, // {hash, checkpoint, names, codes, logvar, sprite} of somebody's own photos on the map
  };
  const listeners = [];

  /** Call `handler(value, key)` whenever one of the keys is set, as long as `element` is on the page. */
  function on(keys, handler, element) {
    listeners.push({ keys: [keys].flat(), handler, element });
  }

  function set(key, value) {
    values[key] = value;
    if (key in STORED) store(key, value);
    for (const listener of [...listeners]) {
      if (listener.element && !listener.element.isConnected) listeners.splice(listeners.indexOf(listener), 1);
      else if (listener.keys.includes(key)) listener.handler(value, key);
    }
  }

  function store(key, value) {
    try {
      localStorage.setItem(STORED[key], JSON.stringify(value));
    } catch {
      say(t("storageFull")); // or blocked: it lasts as long as this page
    }
  }

  function restore(key) {
    try {
      const value = JSON.parse(localStorage.getItem(STORED[key]));
      if (isSound[key](value)) values[key] = value;
    } catch {
      // nothing was stored, or something else under this name
    }
  }

  const isPicture = (text) => typeof text === "string" && text.startsWith("data:image/");
  const isCode = (z) => Array.isArray(z) && z.length > 0 && z.every((x) => Number.isFinite(x) && Math.abs(x) <= 100);
  const isPin = (pin) => isCode(pin?.z) && [pin.name, pin.checkpoint, pin.hash].every((x) => typeof x === "string");
  const isSound = {
    pins: (list) => list.length <= values.limits.pins && list.every((pin) => isPin(pin) && isPicture(pin.thumb)),
    drawings: (list) => list.length <= MAX_DRAWINGS && list.every((d) => typeof d.sketch === "string" && isPicture(d.thumb)),
    matrix: (tables) => Object.values(tables).every(({ rows, columns }) => Array.isArray(rows) && Array.isArray(columns)),
  };
  Object.keys(STORED).forEach(restore);
  window.addEventListener("storage", ({ key }) => {
    const name = Object.keys(STORED).find((each) => STORED[each] === key);
    if (!name || name === "matrix") return; // another window's table is its own
    restore(name);
    set(name, values[name]);
  });

  // ---- the style and the way back to earlier ones

  let trail = [];
  let place = -1;

  const isSame = (a, b) => a?.length === b?.length && a.every((value, k) => value === b[k]);

  const fitsModel = (z) => isCode(z) && z.length === values.model?.dim;

  /** Paint with this code from now on, if the model can. `passing` for those of a drag: the next one takes its place. */
  function setStyle(z, passing = false) {
    if (!fitsModel(Array.from(z))) return say(t("noStyle"));
    const style = Array.from(z, Math.fround);
    if (!isSame(style, trail[place]?.z)) {
      if (trail[place]?.passing) place -= 1;
      trail = [...trail.slice(0, place + 1), { z: style, passing }].slice(-MAX_TRAIL);
      place = trail.length - 1;
    } else if (!passing) {
      trail[place].passing = false;
    }
    set("style", style);
  }

  function step(by) {
    if (!canStep(by)) return;
    place += by;
    set("style", trail[place].z);
  }

  const canStep = (by) => place + by >= 0 && place + by < trail.length;

  function forgetTrail() {
    trail = [];
    place = -1;
  }

  // ---- the model

  /** Another model: codes of the old one mean nothing to it, unless it was only looked up again. */
  function setModel(model) {
    const changed = values.model?.hash !== model.hash;
    if (changed && values.model) {
      forgetTrail();
      values.style = null;
      values.wall = null;
    }
    set("model", model);
    if (changed) set("style", values.style);
  }

  /** The style to start from: what was chosen, else the first photo in Draw, else the middle. */
  function startStyle() {
    if (values.style || !values.model) return;
    const first = values.wall?.checkpoint === values.model.name ? values.wall.z[0] : null;
    setStyle(first ?? new Array(values.model.dim).fill(0));
  }

  const fits = (pin) => fitsModel(pin.z);
  const isForeign = (pin) => pin.hash !== values.model?.hash;

  /** Codes of another model may be used where they fit, but nobody should wonder. */
  function warnIfForeign(pin) {
    if (isForeign(pin)) say(t("otherModel", { checkpoint: studio.label(pin.checkpoint), here: values.model.label }));
  }

  // ---- pins and drawings

  const freshId = () => Date.now().toString(36) + Math.random().toString(36).slice(2, 8);

  function pin(z, thumb, origin = values.model) {
    const { pins: limit } = values.limits;
    const twin = values.pins.find((each) => each.hash === origin.hash && isSame(each.z, Array.from(z, Math.fround)));
    if (twin) return say(t("pinnedAlready", { name: twin.name }));
    if (values.pins.length >= limit) return say(t("pinsFull", { limit }));
    const made = { id: freshId(), name: freeName(), z: Array.from(z, Math.fround), thumb };
    set("pins", [...values.pins, { ...made, checkpoint: origin.name, hash: origin.hash }]);
    say(t("pinned"));
  }

  function freeName() {
    const taken = new Set(values.pins.map(({ name }) => name));
    let number = values.pins.length + 1;
    while (taken.has(t("pin", { number }))) number += 1;
    return t("pin", { number });
  }

  function keepDrawing(sketch, thumb) {
    if (values.drawings.some((drawing) => drawing.sketch === sketch)) return;
    if (values.drawings.length >= MAX_DRAWINGS) return say(t("drawingsFull", { limit: MAX_DRAWINGS }));
    set("drawings", [...values.drawings, { id: freshId(), sketch, thumb }]);
    say(t("kept"));
  }

  /** Keep the table of the model in use, and those of the models used last. */
  function keepTable(table) {
    const { hash } = values.model;
    const others = Object.entries(values.matrix).filter(([each]) => each !== hash);
    set("matrix", Object.fromEntries([...others.slice(1 - MAX_TABLES), [hash, table]]));
  }

  /** Take a pin or a drawing away; for a while it can be taken back. */
  function remove(key, id) {
    const place = values[key].findIndex((item) => item.id === id);
    const item = values[key][place];
    set(key, values[key].filter((each) => each.id !== id));
    say(t("removed"), () => set(key, [...values[key].slice(0, place), item, ...values[key].slice(place)]));
  }

  // ---- the server

  let server = null; // functions of Python by name, brought by the component that stays on the page

  let patience = 60_000; // ms until a question counts as lost
  const SLOW = { blend_file: 5, matrix_file: 5 }; // times as long: films and ZIPs

  /** Ask Python. Always answers with an object; `error` says in words what went wrong. */
  async function ask(name, wanted) {
    const lost = new Promise((resolve) => setTimeout(resolve, patience * (SLOW[name] ?? 1)));
    const answer = await Promise.race([server[name](wanted), lost]).catch(() => null);
    return answer ?? { error: t("offline"), lost: true }; // Gradio gives undefined when the server cannot be reached
  }

  /** A function of which one call runs at a time and only the newest of those that wait comes next. */
  function newestOnly(work) {
    let running = false;
    let waiting = null;
    return async function run(...args) {
      if (running) {
        waiting = args;
        return;
      }
      running = true;
      try {
        await work(...args);
      } finally {
        running = false;
        const next = waiting;
        waiting = null;
        if (next) run(...next);
      }
    };
  }

  // ---- tabs and messages

  const TABS = ["draw", "explore", "compare", "map", "train"];
  const tabButtons = () => [...document.querySelectorAll("#tabs > .tab-wrapper [role=tab]")];

  let choices = 0; // of a tab, by the person at the page
  window.addEventListener("click", ({ isTrusted, target }) => {
    if (isTrusted && target.closest("#tabs > .tab-wrapper [role=tab]")) choices += 1;
  }, { capture: true });

  function openTab(name) {
    tabButtons()[TABS.indexOf(name)]?.click();
  }

  /** Opens a tab later, unless the person chooses one before: `const open = tabLater(); await ...; open(name)`. */
  function tabLater() {
    const before = choices;
    return (name) => before === choices && openTab(name);
  }

  function currentTab() {
    const index = tabButtons().findIndex((button) => button.getAttribute("aria-selected") === "true");
    return TABS[Math.max(index, 0)];
  }

  /** Which tab is open, for styles of the page: `:root[data-tab="train"]`. */
  const markTab = () => { document.documentElement.dataset.tab = currentTab(); };
  new MutationObserver(markTab).observe(document.documentElement, { attributeFilter: ["aria-selected"], subtree: true });

  const language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
  const fill = (text, words = {}) => text.replace(/\{(\w+)\}/g, (all, name) => words[name] ?? all);
  let texts = {};
  const t = (key, words) => fill(texts[language]?.[key] ?? key, words);

  /** A short message at the foot of the page, with a button that takes back what it tells of. */
  function say(message, undo = null) {
    window.dispatchEvent(new CustomEvent("studio:say", { detail: { message, undo } }));
  }

  // ---- where one was, for a reload of this window

  const PLACE = "bicyclegan.place";

  function keepPlace() {
    if (!values.model) return;
    try {
      sessionStorage.setItem(PLACE, JSON.stringify({ checkpoint: values.model.name, tab: currentTab(), style: values.style }));
    } catch {
      // blocked: a reload starts at the beginning
    }
  }

  function lastPlace() {
    try {
      return JSON.parse(sessionStorage.getItem(PLACE)) ?? {};
    } catch {
      return {};
    }
  }

  window.addEventListener("pagehide", keepPlace);

  // A file that misses its target must not replace the page and all that is on it.
  for (const type of ["dragover", "drop"]) {
    window.addEventListener(type, (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
  }

  return {
    on, set, setStyle, step, canStep, setModel, startStyle, fits, isForeign,
    warnIfForeign, pin, keepDrawing, keepTable, freshId, remove, ask, newestOnly,
    openTab, tabLater, currentTab, lastPlace, language, fill, say,
    get: (key) => values[key],
    setPatience: (milliseconds) => { patience = milliseconds; },
    connect: (functions, messages) => { server = functions; texts = messages; },
  };
})();
