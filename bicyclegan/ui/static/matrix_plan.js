// What the table holds: rows (drawing and model) and columns (styles). Decisions only; matrix.js shows them.

const FIRST_STYLES = 6;
const FIRST_SEED = 1; // not that of the photos in Draw, some of which may be pinned

let plan = { rows: [], columns: [] };

/** The drawing of a row: the one on the canvas, or the one that was put down. */
const sketchOf = (row) => (row.live ? studio.get("sketch") : row.sketch);
const modelOf = (row) => row.checkpoint ?? studio.get("model").name;

/** The stored table of this model or null, without what cannot be one: others can write into a browser's storage. */
function storedPlan() {
  const { dim, hash } = studio.get("model");
  const { rows: maxRows, columns: maxColumns } = studio.get("limits");
  const stored = studio.get("matrix")[hash];
  if (!stored) return null;
  const isRow = (row) => row?.live === true || typeof row?.sketch === "string";
  const isColumn = (column) =>
    Array.isArray(column?.z) && column.z.length === dim && column.z.every(Number.isFinite) && typeof column.name === "string";
  return { rows: stored.rows.filter(isRow).slice(0, maxRows), columns: stored.columns.filter(isColumn).slice(0, maxColumns) };
}

/** Whoever made no table yet finds one: the drawing and two examples, in the pinned styles and random ones. */
async function firstPlan() {
  const rows = [{ id: studio.freshId(), live: true }, ...(await exampleRows(2))];
  return { rows, columns: await firstColumns() };
}

async function exampleRows(count) {
  const answer = await ask("examples", model());
  return (answer?.examples ?? []).slice(0, count).map(({ sketch }) => ({ id: studio.freshId(), sketch }));
}

async function firstColumns() {
  const pins = studio.get("pins").filter((pin) => studio.fits(pin) && !studio.isForeign(pin)).slice(0, FIRST_STYLES);
  const others = pins.length < FIRST_STYLES ? await randomColumns(FIRST_STYLES - pins.length, FIRST_SEED) : [];
  return [...pins.map(pinColumn), ...others];
}

async function randomColumns(count, seed) {
  const answer = await ask("random_styles", { ...model(), count, seed });
  return (answer?.z ?? []).map((z) => ({ id: studio.freshId(), z, name: t("randomStyle") }));
}

const pinColumn = ({ z, name, checkpoint, hash }) => ({ id: studio.freshId(), z, name, checkpoint, hash });
/** A style that was pinned with another model. */
const isForeign = ({ hash }) => hash !== undefined && hash !== studio.get("model").hash;

function addRow(row) {
  const { rows: limit } = studio.get("limits");
  if (plan.rows.length >= limit) return studio.say(t("rowsFull", { limit }));
  change({ rows: [...plan.rows, { id: studio.freshId(), ...row }] });
}

function addColumn(column) {
  const { columns: limit } = studio.get("limits");
  if (plan.columns.length >= limit) return studio.say(t("columnsFull", { limit }));
  change({ columns: [...plan.columns, { id: studio.freshId(), ...column }] });
}

const dropRow = (id) => change({ rows: plan.rows.filter((row) => row.id !== id) });
const dropColumn = (id) => change({ columns: plan.columns.filter((column) => column.id !== id) });

function toggleLock(id) {
  change({ columns: plan.columns.map((each) => (each.id === id ? { ...each, locked: !each.locked } : each)) });
}

/** New random styles for all columns that are not locked. */
async function reroll() {
  const open = plan.columns.filter(({ locked }) => !locked);
  if (open.length === 0) return studio.say(t(plan.columns.length ? "allLocked" : "emptyTable"));
  const fresh = await randomColumns(open.length, randomSeed());
  if (fresh.length) change({ columns: plan.columns.map((each) => (each.locked ? each : (fresh.shift() ?? each))) });
}

function change(parts) {
  plan = { ...plan, ...parts };
  studio.keepTable(plan);
  fill();
}
