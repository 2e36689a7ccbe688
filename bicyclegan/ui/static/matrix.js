// The table on the page: rows are drawings, columns are styles, the same z down a column. Fills row by row; what was
// painted is kept, and the next change stops what is under way.

const MAX_KEPT = 600; // pictures, and as many of anything else that is kept
const BLANK = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=";
const kept = new Map(); // keyOf(row, column) -> picture
const seen = new Map(); // number of a drawing and model -> the drawing as the model sees it
const spreads = new Map(); // keyOf(row) and all styles -> how different the pictures of the row are
const numbers = new Map(); // drawing -> a short name for it in keys
const problems = new Map(); // row id -> why it cannot be painted
let turn = 0;
let opened = null; // {row, column} in the large view
let measured = null; // {row, asked} of the numbers below the table

const [head, body] = [find("thead"), find("tbody")];
const dialog = find(".large");
findAll("[data-tip]").forEach((node) => { node.title = t(node.dataset.tip); });

// ---- what was painted: the oldest goes first, what is looked at stays

function remember(map, key, value) {
  map.delete(key);
  map.set(key, value);
  while (map.size > MAX_KEPT) map.delete(map.keys().next().value);
}

function recall(map, key) {
  if (map.has(key)) remember(map, key, map.get(key));
  return map.get(key);
}

function numberOf(sketch) {
  if (!numbers.has(sketch)) remember(numbers, sketch, studio.freshId());
  return numbers.get(sketch);
}

const rowKey = (row) => `${modelOf(row)} ${numberOf(sketchOf(row))}`;
const keyOf = (row, column) => `${rowKey(row)} ${column.z}`;
const spreadKey = (row) => `${rowKey(row)} ${plan.columns.map(({ z }) => z).join(" ")}`;

// ---- painting

async function fill() {
  turn += 1;
  const mine = turn;
  problems.clear();
  show();
  for (const row of [...plan.rows]) {
    const missing = plan.columns.filter((column) => !kept.has(keyOf(row, column)));
    const known = seen.has(rowKey(row));
    if (!sketchOf(row) || plan.columns.length === 0 || (missing.length === 0 && known)) continue;
    await paintRow(row, missing.length ? missing : plan.columns.slice(0, 1));
    if (mine !== turn) return; // something newer is on its way
    show();
  }
  window.dispatchEvent(new CustomEvent("studio:filled"));
  await measureRows(mine);
}

async function paintRow(row, columns) {
  const wanted = { checkpoint: modelOf(row), sketch: sketchOf(row), z: columns.map(({ z }) => z), seen: true };
  const keys = columns.map((column) => keyOf(row, column));
  const place = rowKey(row);
  startBusy();
  const answer = await studio.ask("paint", wanted);
  endBusy();
  if (answer.error) return problems.set(row.id, answer.error);
  remember(seen, place, answer.seen);
  answer.tiles.forEach((source, k) => remember(kept, keys[k], source));
}

/** How different the pictures of each row are, once all are there. */
async function measureRows(mine) {
  if (plan.columns.length < 2) return;
  for (const row of [...plan.rows]) {
    const key = spreadKey(row);
    if (!sketchOf(row) || problems.has(row.id) || spreads.has(key)) continue;
    const z = plan.columns.map((column) => column.z);
    const answer = await studio.ask("spread", { checkpoint: modelOf(row), sketch: sketchOf(row), z });
    if (mine !== turn) return;
    if (answer.error) continue;
    remember(spreads, key, answer);
    show();
  }
}

// ---- showing: built anew only when rows or columns change; pictures are swapped in place

let built = "";

function show() {
  const empty = plan.rows.length === 0 || plan.columns.length === 0;
  const shape = JSON.stringify([
    studio.get("model").hash,
    plan.rows.map(({ id }) => id),
    plan.columns.map(({ id, locked }) => [id, locked]),
  ]);
  if (shape !== built) {
    built = shape;
    find(".table").style.setProperty("--styles", plan.columns.length);
    keepFocus(() => {
      head.replaceChildren(headRow());
      body.replaceChildren(...plan.rows.map(tableRow));
    });
  }
  plan.rows.forEach((row, index) => refreshRow(body.children[index], row));
  showNumbers();
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
  const lock = smallButton("lock", t(column.locked ? "unlock" : "lock"), () => toggleLock(column.id), column.id);
  lock.setAttribute("aria-pressed", Boolean(column.locked));
  box.append(name, lock, smallButton("remove", t("removeColumn"), () => dropColumn(column.id), column.id));
  if (isForeign(column)) {
    name.textContent = `! ${name.textContent}`;
    name.title = t("foreign", { name: column.name, checkpoint: studio.label(column.checkpoint) });
    box.classList.add("foreign");
  }
  cell.append(box);
  return cell;
}

function smallButton(name, label, onPress, id) {
  const button = iconButton(name, label, onPress);
  button.className = "small";
  button.dataset.key = `${name} ${id}`;
  return button;
}

function tableRow(row, index) {
  const line = document.createElement("tr");
  const problem = document.createElement("td");
  problem.className = "problem";
  problem.colSpan = Math.max(1, plan.columns.length);
  line.append(rowHead(row, index), problem, ...plan.columns.map((column, k) => pictureCell(row, column, index, k)));
  return line;
}

function rowHead(row, index) {
  const cell = document.createElement("th");
  const box = document.createElement("div");
  box.className = "side";
  const picture = new Image();
  picture.alt = "";
  picture.src = BLANK;
  const name = document.createElement("span");
  name.className = "name";
  const called = row.live ? t("liveRow") : t("rowName", { number: plan.rows.slice(0, index).filter(({ live }) => !live).length + 1 });
  const model = row.checkpoint && studio.label(row.checkpoint);
  name.textContent = model ?? called;
  name.title = [called, model].filter(Boolean).join(" · ");
  const spread = document.createElement("span");
  spread.className = "spread";
  const chart = smallButton("chart", t("numbers"), () => measure(row, index), row.id);
  box.append(picture, chart, smallButton("remove", t("removeRow"), () => dropRow(row.id), row.id), name, spread);
  cell.append(box);
  return cell;
}

function pictureCell(row, column, index, k) {
  const cell = document.createElement("td");
  cell.classList.toggle("locked", Boolean(column.locked));
  const pin = iconButton("pin", shared.pin, () => studio.pin(column.z, kept.get(keyOf(row, column))));
  const press = () => kept.has(keyOf(row, column)) && open(row, column);
  cell.append(makeTile({ label: t("cell", { row: index + 1, column: k + 1 }), press, actions: [pin] }));
  return cell;
}

/** A row's pictures, numbers and problem, as far as they are known. */
function refreshRow(line, row) {
  const problem = problems.get(row.id) ?? (sketchOf(row) ? "" : t("drawFirst"));
  line.querySelector(".problem").textContent = problem;
  line.classList.toggle("failed", Boolean(problem));
  line.classList.toggle("waits", !sketchOf(row));
  line.querySelector(".side img").src = recall(seen, rowKey(row)) ?? BLANK;
  const spread = spreads.get(spreadKey(row));
  line.querySelector(".spread").textContent = spread ? `⌀ ${spread.mean.toFixed(3)} ${spread.metric}` : "";
  line.querySelector(".spread").title = spread ? t("spread") : "";
  line.querySelector("[data-key^=chart]").disabled = Boolean(problem) || plan.columns.length < 2;
  plan.columns.forEach((column, k) => {
    const tile = line.querySelectorAll("td:not(.problem) .tile")[k];
    const source = recall(kept, keyOf(row, column));
    tile.classList.toggle("waiting", !source);
    if (source && tile.querySelector("img").src !== source) tile.querySelector("img").src = source;
  });
}

// ---- one picture large

function open(row, column) {
  opened = { row, column };
  dialog.querySelector("img").src = kept.get(keyOf(row, column));
  dialog.querySelector(".caption").textContent = `${studio.label(modelOf(row))} · ${column.name}`;
  dialog.showModal();
}

async function saveOpened() {
  const { row, column } = opened;
  const answer = await ask("picture", { checkpoint: modelOf(row), sketch: sketchOf(row), z: column.z });
  if (answer) saveFile(answer.url, answer.name);
  else dialog.close(); // the message stands above the table
}

// ---- numbers and files

const questionOf = (row, index) => ({
  checkpoint: modelOf(row), sketch: sketchOf(row), z: plan.columns.map(({ z }) => z), row: index + 1,
});

function measure(row, index) {
  measured = questionOf(row, index);
  showNumbers();
  trigger("measure", measured);
}

/** Numbers of what is no longer in the table would mislead. */
function showNumbers() {
  const row = plan.rows[measured?.row - 1];
  const current = row && JSON.stringify(questionOf(row, measured.row - 1)) === JSON.stringify(measured);
  document.querySelector("#numbers")?.classList.toggle("gone", !current);
}

async function save(zip) {
  const rows = plan.rows.filter(sketchOf).map((row) => ({ checkpoint: modelOf(row), sketch: sketchOf(row) }));
  const answer = await ask("matrix_file", { rows, z: plan.columns.map(({ z }) => z), zip });
  if (answer) saveFile(answer.url, answer.name);
}
