// The dialog with models: opening it, its list, and what the pickers of the page follow. Rows are in models_rows.js,
// new models in models_add.js. value: {labels: names of this browser's models by id, stamp}.

const dialog = find("dialog.library");
const lists = { mine: find(".mine .rows"), shared: find(".shared .rows") };

let found = { mine: [], shared: [] }; // facts of models, from Python
let waiting = []; // who waits until the pickers have followed

// ---- messages: above the list, where the dialog's reader looks first

function tell(message, isError = false) {
  for (const [line, shown] of [[find(".error"), isError], [find(".told"), !isError]]) {
    line.textContent = shown ? message ?? "" : "";
    line.hidden = !line.textContent;
  }
  if (message) find(".body").scrollTop = 0;
}

/** Ask the server; null after a mistake, which the dialog tells. */
async function question(name, wanted) {
  const answer = await studio.ask(name, wanted);
  if (!answer.error) return answer;
  tell(answer.error, true);
  return null;
}

// ---- the list

/** Own models, and the one in use if a link brought it. */
function knownIds() {
  const { name } = studio.get("model") ?? {};
  const ids = studio.modelIds();
  return studio.isOwn(name) && !ids.includes(name) ? [...ids, name] : ids;
}

/** Show the list as it is now on the server. */
const refreshList = studio.newestOnly(async () => {
  const answer = await question("models_list", { ids: knownIds() });
  if (!answer) return;
  found = answer;
  showList();
});

function showList() {
  for (const [kind, list] of Object.entries(lists)) {
    const rows = new Map([...list.children].map((row) => [row.dataset.id, row]));
    const facts = kind === "mine" ? [...found.mine].sort((a, b) => b.created - a.created) : found.shared;
    list.replaceChildren(...facts.map((each) => {
      const row = rows.get(each.id) ?? modelRow(each);
      showFacts(row, each);
      return row;
    }));
  }
  find(".mine .none").hidden = found.mine.length > 0;
}

const factsOf = (row) => [...found.mine, ...found.shared].find(({ id }) => id === row.dataset.id);

function openDialog() {
  tell("");
  dialog.showModal();
  find(".body").scrollTop = 0;
  refreshList();
}

find(".open-models").addEventListener("click", openDialog);
dialog.addEventListener("click", (event) => {
  const action = event.target.closest("[data-action]")?.dataset.action;
  if (event.target === dialog || action === "close") dialog.close();
});
// Keys of the page (undo, other tabs) are not meant while the dialog is open.
dialog.addEventListener("keydown", (event) => event.stopPropagation());

// ---- pickers: their choices are this browser's. Refreshed when the page is there, and when the list has changed

function refreshPickers(done = () => {}) {
  waiting.push(done);
  trigger("refresh", { mine: knownIds() });
}

function follow() {
  const { labels } = props.value ?? {};
  if (!labels) return;
  studio.nameModels(labels);
  const gone = studio.isOwn(studio.get("model")?.name) && !(studio.get("model").name in labels);
  if (gone && knownAtLast.includes(studio.get("model").name)) leaveModel();
  knownAtLast = Object.keys(labels);
  waiting.forEach((done) => done());
  waiting = [];
  if (dialog.open) refreshList();
}

function leaveModel() {
  const [here] = studio.get("models");
  studio.say(t("gone", { name: studio.get("model").label, here }));
  studio.useModel(here);
}

let knownAtLast = []; // a model that another window deleted was there before

window.addEventListener("studio:models", ({ detail }) => {
  if (element.isConnected) refreshPickers(detail.done);
});
studio.on("model", () => {
  const { name } = studio.get("model");
  if (studio.isOwn(name) && !knownAtLast.includes(name)) refreshPickers(); // one that a link brought
  if (dialog.open) showList();
}, element);
watch("value", follow);

// Gradio hears events a moment after the page is there.
const begin = () => setTimeout(() => refreshPickers(), 300);
if (window.studioReady) begin();
else window.addEventListener("studio:ready", begin, { once: true });
