// A model in the list: what it is, and what can be done with it. More is behind the button with the dots.

const numbers = new Intl.NumberFormat(studio.language);
const NO_PICTURE = "data:image/svg+xml," + encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="M4 17l5-6 4 4 3-3 4 5" fill="none" stroke="#9aa1b1"/></svg>');

function modelRow({ id }) {
  const row = make("li", "model");
  row.dataset.id = id;
  const image = new Image();
  image.alt = "";
  const about = make("div", "about");
  about.append(make("strong", "name"), make("span", "badge"), make("span", "quiet facts"));
  const use = textButton("main use", t("use"), () => useRow(row));
  const more = textButton("more", "⋯", () => toggle(row));
  more.setAttribute("aria-expanded", "false");
  row.append(image, about, use, more);
  return row;
}

/** What can change while a row stays. */
function showFacts(row, facts) {
  const inUse = facts.id === studio.get("model")?.name;
  const own = facts.source !== "shipped";
  const kept = studio.modelIds().includes(facts.id);
  row.querySelector("img").src = facts.thumb || NO_PICTURE;
  row.querySelector(".name").textContent = facts.name;
  row.querySelector(".badge").textContent = t(!own ? "shipped" : kept ? "yours" : "fromLink");
  row.querySelector(".badge").classList.toggle("own", own);
  row.querySelector(".facts").textContent = describe(facts);
  const use = row.querySelector(".use");
  use.textContent = t(inUse ? "inUse" : "use");
  use.disabled = inUse;
  row.classList.toggle("on", inUse);
  const more = row.querySelector(".more");
  more.title = t("more", { name: facts.name });
  more.setAttribute("aria-label", more.title);
}

function describe({ size, dim, steps, data, bytes, created, measured, encoder, origin }) {
  const parts = [
    t("size", { size }),
    t("dims", { dim }),
    steps ? t("steps", { steps: numbers.format(steps) }) : "",
    data ? t("data", { data }) : "",
    origin ? t("origin", { origin }) : "",
    t("megabytes", { megabytes: (bytes / 1e6).toFixed(1) }),
    created ? new Date(created * 1000).toLocaleDateString(studio.language) : "",
    encoder ? "" : t("noEncoder"),
    measured || !dim ? "" : t("unmeasured"),
  ];
  return parts.filter(Boolean).join(" · ");
}

function useRow(row) {
  studio.useModel(row.dataset.id);
  dialog.close();
}

// ---- what is behind the dots

/** Open a row's drawer with its buttons, or close it. Only one is open. */
function toggle(row, open = !row.querySelector(".drawer")) {
  for (const each of dialog.querySelectorAll(".drawer")) {
    each.parentElement.querySelector(".more").setAttribute("aria-expanded", "false");
    each.remove();
  }
  row.querySelector(".more").setAttribute("aria-expanded", String(open));
  if (!open) return;
  const facts = factsOf(row);
  const kept = studio.modelIds().includes(facts.id);
  const drawer = make("div", "drawer");
  const buttons = make("div", "row");
  const content = make("div", "content");
  const show = (build) => () => content.replaceChildren(...[build(row, content)].flat());
  buttons.append(
    textButton("", t("card"), () => showCard(row, content)),
    textButton("save", t("export"), (button) => exportModel(row, button)),
    textButton("", t("push"), show(pushForm)),
  );
  if (kept) {
    buttons.append(
      textButton("", t("rename"), show(renameForm)),
      textButton("", t("delete"), show(deleteForm)),
    );
  } else if (facts.source !== "shipped") {
    buttons.append(textButton("", t("keep"), () => keepModel(row)));
  }
  drawer.append(buttons, content);
  row.append(drawer);
  drawer.scrollIntoView({ block: "nearest" });
}

async function showCard(row, content) {
  const answer = await question("models_card", { id: row.dataset.id });
  if (!answer) return;
  const text = make("pre", "card");
  text.tabIndex = 0;
  text.textContent = answer.text || t("noCard"); // never as HTML: it may come from anywhere
  content.replaceChildren(text);
}

const exportModel = (row, button) => resting(button, async () => {
  const answer = await question("models_export", { id: row.dataset.id });
  if (answer) saveFile(gradioUrl(`file=${answer.path}`), answer.name);
})();

async function keepModel(row) {
  const { id } = row.dataset;
  await studio.addModel(id);
  await refreshList();
  toggle(row, false);
}

function renameForm(row) {
  const { name } = factsOf(row);
  const input = textInput("name", name, 64);
  const form = makeForm(t("renameGo"), [labelled(t("name"), input)], async () => {
    const answer = await question("models_rename", { id: row.dataset.id, name: input.value });
    if (!answer) return;
    tell(t(answer.name === input.value ? "renamed" : "renamedTo", { name: answer.name }));
    toggle(row, false);
    row.querySelector(".more").focus();
    await studio.addModel(row.dataset.id); // pickers show its new name
    await refreshList();
    if (row.dataset.id === studio.get("model").name) studio.useModel(row.dataset.id);
  });
  requestAnimationFrame(() => input.select());
  return form;
}

function deleteForm(row) {
  const { id, name } = factsOf(row);
  const sure = make("p", "sure", t("deleteSure", { name }));
  const form = makeForm(t("deleteGo"), [sure], async () => {
    if (!(await question("models_delete", { id }))) return;
    tell(t("deleted", { name }));
    await studio.forgetModel(id); // the page leaves it where it is in use
    await refreshList();
    find(".body").focus();
  });
  form.querySelector(".button").classList.add("danger");
  requestAnimationFrame(() => form.querySelector(".button").focus());
  return form;
}

function pushForm(row) {
  const { id, name } = factsOf(row);
  const repo = textInput("repo", "", 200);
  repo.placeholder = `${t("hubUser")}/${/^[\w.-]+$/.test(name) ? name : "my-model"}`;
  const token = textInput("token", "", 200);
  token.type = "password";
  token.autocomplete = "off";
  const secret = Object.assign(make("input"), { type: "checkbox", checked: true });
  const box = make("label", "check");
  box.append(secret, t("private"));
  const fields = [labelled(t("hubName"), repo), labelled(t("token"), token), box, make("p", "quiet", t("pushNote"))];
  return makeForm(t("pushGo"), fields, async () => {
    const sent = { id, repo: repo.value, token: token.value, private: secret.checked };
    token.value = ""; // sent once, kept nowhere
    const answer = await doTask("models_push", sent, t("uploadingModel"));
    if (!answer) return;
    tell(t("pushed"));
    const link = Object.assign(make("a", "", answer.url), { href: answer.url, target: "_blank", rel: "noopener" });
    find(".told").append(" ", link);
  });
}

// ---- parts

function make(tag, className = "", text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

function textButton(kind, label, onPress) {
  const button = make("button", `button ${kind}`, label);
  button.type = "button";
  button.addEventListener("click", () => onPress(button));
  return button;
}

function textInput(name, value, limit) {
  return Object.assign(make("input"), { type: "text", name, value, maxLength: limit, required: true, spellcheck: false });
}

function labelled(text, input) {
  const label = make("label", "wide");
  label.append(make("span", "", text), input);
  return label;
}

/** A small form whose button rests while what it started goes on. */
function makeForm(go, parts, work) {
  const form = make("form");
  const button = make("button", "button main", go);
  button.type = "submit";
  const row = make("div", "row");
  row.append(button);
  form.append(...parts, row);
  const run = resting(button, work);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    tell("");
    run();
  });
  return form;
}
