// What the parts of the page share: model, drawing, current style, pins, kept drawings. It lives in this browser
// alone. In the page's head, so that it is there before any component.

window.studio = (() => {
  const STORED = { pins: "bicyclegan.pins", drawings: "bicyclegan.drawings", matrix: "bicyclegan.matrix" };
  const MAX_TRAIL = 200;
  const MAX_PINS = 48;
  const MAX_DRAWINGS = 24;

  // ---- values that anybody may read, set and listen to

  const values = {
    model: null, // {name, hash, dim, size, sliders, directions, ...}, from Python; null until it is known
    models: [], // names of all that can be chosen
    sketch: "", // Sketch JSON, "" for empty paper
    style: null, // the code z that Explore paints with, an array of model.dim numbers
    pins: [], // [{id, name, z, checkpoint, hash, thumb}]
    drawings: [], // [{id, sketch, thumb}]
    matrix: null, // rows and columns of Compare
    wall: null, // {z, checkpoint} of the photos in Draw
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
    pins: (list) => list.length <= MAX_PINS && list.every((pin) => isPin(pin) && isPicture(pin.thumb)),
    drawings: (list) => list.length <= MAX_DRAWINGS && list.every((d) => typeof d.sketch === "string" && isPicture(d.thumb)),
    matrix: (plan) => Array.isArray(plan.rows) && Array.isArray(plan.columns),
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

  /** Paint with this code from now on. `passing` for those of a drag: they replace each other on the trail. */
  function setStyle(z, passing = false) {
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

  const fits = (pin) => pin.z.length === values.model?.dim;
  const isForeign = (pin) => pin.hash !== values.model?.hash;

  /** Codes of another model may be used where they fit, but nobody should wonder. */
  function warnIfForeign(pin) {
    if (isForeign(pin)) say(t("otherModel", { checkpoint: pin.checkpoint, here: values.model.name }));
  }

  // ---- pins and drawings

  const freshId = () => Date.now().toString(36) + Math.random().toString(36).slice(2, 6);

  function pin(z, thumb, origin = values.model) {
    if (values.pins.length >= MAX_PINS) return say(t("pinsFull", { limit: MAX_PINS }));
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
  }

  const remove = (key, id) => set(key, values[key].filter((item) => item.id !== id));

  // ---- the server

  let server = null; // functions of Python by name, brought by the component that stays on the page

  /** Ask Python. Always answers with an object; `error` says in words what went wrong. */
  async function ask(name, wanted) {
    try {
      return await server[name](wanted);
    } catch {
      return { error: t("offline") };
    }
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

  const TABS = ["draw", "explore", "compare"];
  const tabButtons = () => [...document.querySelectorAll("#tabs > .tab-wrapper [role=tab]")];

  function openTab(name) {
    tabButtons()[TABS.indexOf(name)]?.click();
  }

  function currentTab() {
    const index = tabButtons().findIndex((button) => button.getAttribute("aria-selected") === "true");
    return TABS[Math.max(index, 0)];
  }

  const language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
  const fill = (text, words = {}) => text.replace(/\{(\w+)\}/g, (all, name) => words[name] ?? all);
  let texts = {};
  const t = (key, words) => fill(texts[language]?.[key] ?? key, words);

  /** A short message at the foot of the page. */
  function say(message) {
    window.dispatchEvent(new CustomEvent("studio:say", { detail: { message } }));
  }

  return {
    on, set, setStyle, step, canStep, setModel, startStyle, fits, isForeign, warnIfForeign, pin, keepDrawing, remove, ask, newestOnly,
    openTab, currentTab, language, fill, say, MAX_PINS,
    get: (key) => values[key],
    connect: (functions, messages) => { server = functions; texts = messages; },
  };
})();
