// What the table holds: rows (drawing and model) and columns (styles). Pure decisions; matrix.js shows them.

const MAX_ROWS = 8;
const MAX_COLUMNS = 8;
const FIRST_STYLES = 6;
const FIRST_SEED = 1; // not that of the photos in Draw, some of which may be pinned

let plan = { rows: [], columns: [] };
let named = 0;

const freshId = () => `${Date.now().toString(36)}${(named += 1)}`;

/** The drawing of a row: the one on the canvas, or the one that was put down. */
const sketchOf = (row) => (row.live ? studio.get("sketch") : row.sketch);
const modelOf = (row) => row.checkpoint ?? studio.get("model").name;
const keyOf = (row, column) => `${modelOf(row)}\n${column.z}\n${sketchOf(row)}`;

/** Keep what was stored where it still makes sense. What nobody chose belongs to the model it was made for. */
function soundPlan(stored) {
  const { dim, hash } = studio.get("model");
  const stays = ({ given } = {}) => !given || stored.hash === hash;
  const isRow = (row) => row?.live === true || typeof row?.sketch === "string";
  const isColumn = ({ z, name } = {}) =>
    Array.isArray(z) && z.length === dim && z.every(Number.isFinite) && typeof name === "string";
  return {
    rows: (stored?.rows ?? []).filter(stays).filter(isRow).slice(0, MAX_ROWS),
    columns: (stored?.columns ?? []).filter(stays).filter(isColumn).slice(0, MAX_COLUMNS),
  };
}

/** The table that somebody finds who never made one: the drawing, two examples; pins, else random styles. */
async function firstPlan() {
  const { rows: [...rows], columns: [...columns] } = plan;
  if (rows.length === 0) rows.push({ id: freshId(), live: true });
  if (rows.every(({ live }) => live)) rows.push(...(await exampleRows(2)));
  if (columns.length === 0) columns.push(...(await firstColumns()));
  return { rows, columns };
}

async function firstColumns() {
  const pins = studio.get("pins").filter((pin) => studio.fits(pin) && !studio.isForeign(pin)).slice(0, FIRST_STYLES);
  const others = pins.length < FIRST_STYLES ? await randomColumns(FIRST_STYLES - pins.length, FIRST_SEED) : [];
  return [...pins.map(pinColumn), ...others].map((column) => ({ ...column, given: true }));
}

async function exampleRows(count) {
  const answer = await studio.ask("examples", { checkpoint: studio.get("model").name });
  return (answer.examples ?? []).slice(0, count).map(({ sketch }) => ({ id: freshId(), sketch, given: true }));
}

async function randomColumns(count, seed) {
  const answer = await ask("random_styles", { checkpoint: studio.get("model").name, count, seed });
  return (answer?.z ?? []).map((z) => ({ id: freshId(), z, name: t("randomStyle") }));
}

const pinColumn = (pin) => ({ id: freshId(), z: pin.z, name: pin.name });

function addRow(row) {
  if (plan.rows.length >= MAX_ROWS) return studio.say(t("rowsFull", { limit: MAX_ROWS }));
  change({ rows: [...plan.rows, { id: freshId(), ...row }] });
}

function addColumn(column) {
  if (plan.columns.length >= MAX_COLUMNS) return studio.say(t("columnsFull", { limit: MAX_COLUMNS }));
  change({ columns: [...plan.columns, { id: freshId(), ...column }] });
}

const dropRow = (id) => change({ rows: plan.rows.filter((row) => row.id !== id) });
const dropColumn = (id) => change({ columns: plan.columns.filter((column) => column.id !== id) });

function toggleLock(id) {
  change({ columns: plan.columns.map((each) => (each.id === id ? { ...each, locked: !each.locked } : each)) });
}

/** New random styles for all columns that are not locked. */
async function reroll() {
  const open = plan.columns.filter(({ locked }) => !locked);
  if (open.length === 0) return studio.say(t("allLocked"));
  const fresh = await randomColumns(open.length, Math.floor(Math.random() * 2 ** 32));
  change({ columns: plan.columns.map((each) => (each.locked ? each : (fresh.shift() ?? each))) });
}

function change(parts) {
  plan = { ...plan, ...parts, hash: studio.get("model").hash };
  studio.set("matrix", plan);
  fill();
}
