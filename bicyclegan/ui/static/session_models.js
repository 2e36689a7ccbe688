// Models of this browser: whoever knows the id of one may use it, so the ids stay here. In the page's head, after
// session.js.

Object.assign(window.studio, (() => {
  const STORED = "bicyclegan.models";
  const ID = /^([a-z0-9][a-z0-9-]{0,39})-[a-z2-7]{12}$/;
  const MAX_IDS = 100;

  let ids = read();
  const labels = {}; // what people call a model, by id

  function read() {
    try {
      return JSON.parse(localStorage.getItem(STORED)).filter((id) => ID.test(id)).slice(-MAX_IDS);
    } catch {
      return []; // nothing was stored, or something else under this name
    }
  }

  function keep(list) {
    ids = list.slice(-MAX_IDS);
    try {
      localStorage.setItem(STORED, JSON.stringify(ids));
    } catch {
      // full or blocked: they last as long as this page
    }
    return changed();
  }

  /** Lists and pickers follow. Answers when they have, or after a while. */
  function changed() {
    return new Promise((resolve) => {
      window.dispatchEvent(new CustomEvent("studio:models", { detail: { done: resolve } }));
      setTimeout(resolve, 3000);
    });
  }

  window.addEventListener("storage", ({ key }) => {
    if (key !== STORED) return;
    ids = read();
    changed();
  });

  /** What people call a model. */
  function label(name) {
    if (studio.get("models").includes(name)) return name;
    return labels[name] ?? ID.exec(name)?.[1] ?? name;
  }

  return {
    label,
    modelIds: () => [...ids],
    /** Whether it may be one of somebody's own models. */
    isOwn: (name) => ID.test(name ?? "") && !studio.get("models").includes(name),
    /** All that can be chosen: those of the studio, those of this browser, and the one in use. */
    allModels: () => [...new Set([...studio.get("models"), ...ids.filter((id) => id in labels), studio.get("model")?.name])].filter(Boolean),
    addModel: (id) => keep([...ids.filter((each) => each !== id), id]),
    forgetModel: (id) => keep(ids.filter((each) => each !== id)),
    /** Switch the whole page to a model, as the picker does. */
    useModel(name) {
      const { activeElement } = document; // Gradio's dropdown shows no new value while it has the focus
      if (activeElement?.closest("#picker")) activeElement.blur();
      window.dispatchEvent(new CustomEvent("studio:use-model", { detail: { name } }));
    },
    nameModels: (found) => Object.assign(labels, found),
  };
})());
