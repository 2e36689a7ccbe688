// The menus that add rows and columns, and the wiring of the whole table.

const MAX_FILE_BYTES = 25 * 1024 * 1024;
const [rowMenu, columnMenu] = findAll(".adder");
const [drawingFile, photoFile] = [find(".drawing-file"), find(".photo-file")];

function menuButton(label, onPress) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.addEventListener("click", () => {
    closeMenus();
    onPress();
  });
  return button;
}

function menuPictures(title, pictures) {
  if (pictures.length === 0) return [];
  const heading = document.createElement("div");
  heading.className = "title";
  heading.textContent = title;
  const box = document.createElement("div");
  box.className = "pictures";
  box.append(...pictures.map(({ source, label, press }) => {
    const button = menuButton("", press);
    button.title = label;
    button.setAttribute("aria-label", label);
    const image = new Image();
    image.src = source;
    image.alt = "";
    button.append(image);
    return button;
  }));
  return [heading, box];
}

const closeMenus = () => { rowMenu.open = columnMenu.open = false; };

async function openRowMenu() {
  const answer = await studio.ask("examples", { checkpoint: studio.get("model").name });
  const named = (items) => items.map((item, k) => ({ ...item, label: t("rowName", { number: k + 1 }) }));
  const asRow = ({ sketch, thumb, label }) => ({ source: thumb, label, press: () => addRow({ sketch }) });
  const others = studio.get("models").filter((name) => name !== studio.get("model").name);
  rowMenu.querySelector(".menu").replaceChildren(
    menuButton(t("addLive"), () => addRow({ live: true })),
    ...(studio.get("sketch") ? [menuButton(t("addCopy"), () => addRow({ sketch: studio.get("sketch") }))] : []),
    ...others.map((checkpoint) => menuButton(t("addModel", { checkpoint }), () => addRow({ live: true, checkpoint }))),
    menuButton(t("addFile"), () => drawingFile.click()),
    ...menuPictures(t("kept"), named(studio.get("drawings")).map(asRow)),
    ...menuPictures(t("examples"), named(answer.examples ?? []).map(asRow)),
  );
}

function openColumnMenu() {
  const style = studio.get("style");
  const pins = studio.get("pins").filter(studio.fits);
  columnMenu.querySelector(".menu").replaceChildren(
    ...(style ? [menuButton(t("addStyle"), () => addColumn({ z: style, name: t("chosen") }))] : []),
    menuButton(t("addRandom"), addRandom),
    ...(studio.get("model").encoder ? [menuButton(t("addPhoto"), () => photoFile.click())] : []),
    ...menuPictures(t("pins"), pins.map((pin) => ({
      source: pin.thumb,
      label: pin.name,
      press: () => {
        studio.warnIfForeign(pin);
        addColumn(pinColumn(pin));
      },
    }))),
  );
}

async function addRandom() {
  const [column] = await randomColumns(1, Math.floor(Math.random() * 2 ** 32));
  if (column) addColumn(column);
}

async function withFile(input, question, use) {
  const [file] = input.files;
  if (!file) return;
  input.value = "";
  if (file.size > MAX_FILE_BYTES) return showError(t("fileLarge", { name: file.name }));
  const data_url = await readFile(file);
  const answer = await ask(question, { ...subject(), data_url, name: file.name, photos: [{ data_url, name: file.name }] });
  if (answer) use(answer, file.name);
}

// ---- wiring

const actions = {
  reroll,
  sheet: () => save(false),
  zip: () => save(true),
  save: saveOpened,
  close: () => dialog.close(),
  use: () => {
    dialog.close();
    studio.setStyle(opened.column.z);
    studio.openTab("explore");
  },
  pin: () => studio.pin(opened.column.z, kept.get(keyOf(opened.row, opened.column))),
};
root.addEventListener("click", (event) => {
  const action = event.target.closest("[data-action]")?.dataset.action;
  if (action) actions[action]();
  if (event.target === dialog) dialog.close();
});
rowMenu.addEventListener("toggle", () => rowMenu.open && openRowMenu());
columnMenu.addEventListener("toggle", () => columnMenu.open && openColumnMenu());
document.addEventListener("click", (event) => {
  for (const menu of [rowMenu, columnMenu]) if (!menu.contains(event.target)) menu.open = false;
});
drawingFile.addEventListener("change", () => withFile(drawingFile, "read_drawing", ({ sketch }) => addRow({ sketch })));
photoFile.addEventListener("change", () => {
  withFile(photoFile, "read_photos", ({ z }, name) => addColumn({ z, name: name.slice(0, 40) }));
});

let started = null; // hash of the model that the table was made for
keepFresh(["model", "sketch"], async () => {
  const model = studio.get("model");
  if (!model) return;
  if (started === model.hash) return fill();
  const mine = (started = model.hash);
  plan = soundPlan(plan.rows.length ? plan : studio.get("matrix"));
  if (plan.rows.length === 0 || plan.columns.length === 0) plan = await firstPlan();
  if (mine === started) fill();
});
