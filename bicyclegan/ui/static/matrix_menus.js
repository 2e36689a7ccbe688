// The menus that add rows and columns, and the wiring of the whole table.

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
  box.append(...pictures.map(({ source, label, press }) => pictureButton(source, label, () => {
    closeMenus();
    press();
  })));
  return [heading, box];
}

/** Close what is open; the keyboard goes on from where it was opened. */
function closeMenus() {
  for (const menu of [rowMenu, columnMenu]) {
    if (menu.open) menu.querySelector("summary").focus();
    menu.open = false;
  }
}

async function openRowMenu() {
  const answer = await studio.ask("examples", model());
  const named = (items) => items.map((item, k) => ({ ...item, label: t("rowName", { number: k + 1 }) }));
  const asRow = ({ sketch, thumb, label }) => ({ source: thumb, label, press: () => addRow({ sketch }) });
  const others = studio.allModels().filter((name) => name !== studio.get("model").name);
  rowMenu.querySelector(".menu").replaceChildren(
    menuButton(t("addLive"), () => addRow({ live: true })),
    ...(studio.get("sketch") ? [menuButton(t("addCopy"), () => addRow({ sketch: studio.get("sketch") }))] : []),
    ...others.map((checkpoint) => menuButton(t("addModel", { checkpoint: studio.label(checkpoint) }), () => addRow({ live: true, checkpoint }))),
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
  const [column] = await randomColumns(1, randomSeed());
  if (column) addColumn(column);
}

async function addDrawing(file) {
  const picture = file && (await sendable(file));
  const answer = picture && (await ask("read_drawing", { ...model(), ...picture }));
  if (answer) addRow({ sketch: answer.sketch });
}

async function addPhoto(file) {
  const picture = file && (await sendable(file));
  const answer = picture && (await ask("read_photos", { ...model(), photos: [picture] }));
  if (answer) addColumn({ z: answer.z, name: file.name.slice(0, 40) });
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
for (const menu of [rowMenu, columnMenu]) closing(menu);
for (const [input, use] of [[drawingFile, addDrawing], [photoFile, addPhoto]]) {
  input.addEventListener("change", async () => {
    await use(input.files[0]);
    input.value = "";
  });
}
takeDrops(root, ([file]) => addDrawing(file));
window.addEventListener("studio:measure-again", () => element.isConnected && measured && trigger("measure", measured));

let started = null; // hash of the model whose table is shown

/** Show the table of the model: the stored one, else a first one, for which the server is asked. */
async function start() {
  const { hash } = studio.get("model") ?? {};
  if (!hash) return;
  if (started === hash) return fill();
  started = hash;
  const isNew = !(hash in studio.get("matrix"));
  plan = storedPlan() ?? { rows: [], columns: [] };
  if (isNew) {
    const first = await firstPlan();
    if (started !== hash) return;
    // What somebody put into it meanwhile stays.
    plan = { rows: [...first.rows, ...plan.rows], columns: plan.columns.length ? plan.columns : first.columns };
    if (plan.columns.length === 0) started = null; // the server did not answer: the next look tries again
  }
  fill();
}

keepFresh(["model", "sketch"], start, () => started === null && start());
