// The table on the page: rows are drawings, columns are styles, the same z down a column. Fills row by row; what was
// painted is kept, and the next change stops what is under way.

const MAX_KEPT = 600; // pictures
const kept = new Map(); // keyOf(row, column) -> picture
const seen = new Map(); // drawing -> the drawing as a small picture
const problems = new Map(); // row id -> why it cannot be painted
let turn = 0;
let opened = null; // {row, column} in the large view

const [head, body] = [find("thead"), find("tbody")];
const dialog = find(".large");
findAll("[data-tip]").forEach((node) => { node.title = t(node.dataset.tip); });

// ---- painting

async function fill() {
  turn += 1;
  const mine = turn;
  problems.clear();
  show();
  for (const row of [...plan.rows]) {
    const missing = plan.columns.filter((column) => !kept.has(keyOf(row, column)));
    const known = seen.has(sketchOf(row));
    if (!sketchOf(row) || (missing.length === 0 && known)) continue;
    await paintRow(row, missing.length ? missing : plan.columns.slice(0, 1));
    if (mine !== turn) return; // something newer is on its way
    show();
  }
  window.dispatchEvent(new CustomEvent("studio:filled"));
}

async function paintRow(row, columns) {
  if (columns.length === 0) return;
  const wanted = { checkpoint: modelOf(row), sketch: sketchOf(row), z: columns.map(({ z }) => z), seen: true };
  const keys = columns.map((column) => keyOf(row, column));
  startBusy();
  const answer = await studio.ask("paint", wanted);
  endBusy();
  if (answer.error) return problems.set(row.id, answer.error);
  seen.set(wanted.sketch, answer.seen);
  answer.tiles.forEach((source, k) => kept.set(keys[k], source));
  while (kept.size > MAX_KEPT) kept.delete(kept.keys().next().value);
}

// ---- showing

function show() {
  const empty = plan.rows.length === 0 || plan.columns.length === 0;
  find(".table").style.setProperty("--styles", plan.columns.length);
  head.replaceChildren(headRow());
  body.replaceChildren(...plan.rows.map(tableRow));
  find(".foot").textContent = t(empty ? "emptyTable" : "foot");
  for (const action of ["sheet", "zip"]) find(`[data-action=${action}]`).disabled = empty;
}

function headRow() {
  const line = document.createElement("tr");
  line.append(document.createElement("th"), ...plan.columns.map(columnHead));
  return line;
}

function columnHead(column, index) {
  const cell = document.createElement("th");
  const box = document.createElement("div");
  box.className = "head";
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = `${index + 1} · ${column.name}`;
  name.title = column.name;
  const lock = smallButton("lock", t(column.locked ? "unlock" : "lock"), () => toggleLock(column.id));
  lock.setAttribute("aria-pressed", Boolean(column.locked));
  box.append(name, lock, smallButton("remove", t("removeColumn"), () => dropColumn(column.id)));
  cell.append(box);
  return cell;
}

function smallButton(name, label, onPress) {
  const button = iconButton(name, label, onPress);
  button.className = "small";
  return button;
}

function tableRow(row, index) {
  const line = document.createElement("tr");
  line.append(rowHead(row, index));
  const problem = problems.get(row.id) ?? (sketchOf(row) ? "" : t("drawFirst"));
  if (problem) {
    const cell = document.createElement("td");
    cell.colSpan = Math.max(1, plan.columns.length);
    cell.innerHTML = '<div class="problem"></div>';
    cell.firstChild.textContent = problem;
    line.append(cell);
  } else line.append(...plan.columns.map((column, k) => pictureCell(row, column, index, k)));
  return line;
}

function rowHead(row, index) {
  const cell = document.createElement("th");
  const box = document.createElement("div");
  box.className = "side";
  const picture = new Image();
  picture.alt = "";
  picture.src = seen.get(sketchOf(row)) ?? "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=";
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = [row.live ? t("liveRow") : t("rowName", { number: index + 1 }), row.checkpoint].filter(Boolean).join(" · ");
  name.title = name.textContent;
  const numbers = smallButton("chart", t("numbers"), () => measure(row, index));
  numbers.disabled = !sketchOf(row) || plan.columns.length < 2;
  box.append(picture, numbers, smallButton("remove", t("removeRow"), () => dropRow(row.id)), name);
  cell.append(box);
  return cell;
}

function pictureCell(row, column, index, k) {
  const source = kept.get(keyOf(row, column));
  const cell = document.createElement("td");
  cell.classList.toggle("locked", Boolean(column.locked));
  const label = t("cell", { row: index + 1, column: k + 1 });
  const tile = makeTile({ source, label, press: () => source && open(row, column), actions: source ? [pinButton(column.z, source)] : [] });
  tile.classList.toggle("waiting", !source);
  cell.append(tile);
  return cell;
}

// ---- one picture large

function open(row, column) {
  opened = { row, column };
  dialog.querySelector("img").src = kept.get(keyOf(row, column));
  dialog.querySelector(".caption").textContent = `${modelOf(row)} · ${column.name}`;
  dialog.showModal();
}

async function saveOpened() {
  const { row, column } = opened;
  const answer = await ask("picture", { checkpoint: modelOf(row), sketch: sketchOf(row), z: column.z });
  if (answer) saveFile(answer.url, answer.name);
  else dialog.close(); // the message stands above the table
}

// ---- numbers and files

function measure(row, index) {
  const labels = plan.columns.map((_, k) => String(k + 1));
  const z = plan.columns.map((column) => column.z);
  trigger("measure", { checkpoint: modelOf(row), sketch: sketchOf(row), z, labels, row: index + 1 });
}

async function save(zip) {
  const rows = plan.rows.filter(sketchOf).map((row) => ({ checkpoint: modelOf(row), sketch: sketchOf(row) }));
  const answer = await ask("matrix_file", { rows, z: plan.columns.map(({ z }) => z), zip });
  if (answer) saveFile(answer.url, answer.name);
}
