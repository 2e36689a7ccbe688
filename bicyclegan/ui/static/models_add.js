// Models from elsewhere: the Hub, and files of the official code. What takes long is a task of the server's.

const NEWS_MS = 700;
const working = find(".working");

let stopWork = null; // gives up what is under way

function showWork(text, share = null) {
  working.hidden = false;
  working.querySelector("span").textContent = text;
  const bar = working.querySelector("progress");
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}

function endWork() {
  working.hidden = true;
  stopWork = null;
}

const newTicket = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const rest = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Begin a task and wait for what comes out of it; null after a mistake, or when it was given up. */
async function doTask(name, wanted, text) {
  if (stopWork) return void tell(t("oneAtATime"), true);
  const ticket = newTicket();
  let stopped = false;
  stopWork = () => {
    stopped = true;
    studio.ask("models_cancel", { ticket });
    endWork();
  };
  showWork(text);
  try {
    if (!(await question(name, { ...wanted, ticket }))) return null;
    while (!stopped) {
      const news = await question("models_news", { ticket });
      if (stopped || !news) return null;
      if (news.answer) return news.answer;
      if (!news.task) return void tell(t("lost"), true);
      await rest(NEWS_MS);
    }
    return null;
  } finally {
    if (!stopped) endWork();
  }
}

working.querySelector("[data-action=stop]").addEventListener("click", () => stopWork?.());

async function added({ id, name }) {
  await studio.addModel(id);
  await refreshList();
  tell(t("added", { name }));
  lists.mine.querySelector(`[data-id="${id}"] .use`)?.focus();
}

/** A form's button rests while its work goes on; the form is emptied when it was done. */
function onSubmit(form, work) {
  const run = resting(form.querySelector("[type=submit]"), async () => {
    if (await work(new FormData(form))) form.reset();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    tell("");
    run();
  });
}

onSubmit(find(".from-hub form"), async (fields) => {
  const answer = await doTask("models_hub", { repo: fields.get("repo") }, t("downloading"));
  if (answer) await added(answer);
  return answer;
});

// ---- official files

onSubmit(find(".official form"), async (fields) => {
  const files = ["generator", "encoder"].map((name) => fields.get(name)).filter(({ size }) => size > 0);
  const options = await optionsOf(fields);
  if (!options) return void tell(t("noOptions"), true);
  const paths = await sendFiles(files);
  if (!paths) return null;
  const wanted = { paths, names: files.map(({ name }) => name), options, name: fields.get("name") };
  const answer = await doTask("models_import", wanted, t("converting"));
  if (answer) await added(answer);
  return answer;
});

const optionsOf = async (fields) => (fields.get("file").size ? await fields.get("file").text() : fields.get("options").trim());

async function sendFiles(files) {
  if (stopWork) return void tell(t("oneAtATime"), true);
  const sending = new AbortController();
  stopWork = () => sending.abort();
  try {
    return await uploadFiles(files, (share) => showWork(t("sending", { percent: Math.round(100 * share) }), share), sending.signal);
  } catch (error) {
    if (error.name !== "AbortError") tell(error.message, true);
    return null;
  } finally {
    endWork();
  }
}
