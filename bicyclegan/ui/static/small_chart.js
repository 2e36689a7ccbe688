// Small charts that tell one thing: lines over steps, a level, marks. Plain SVG, so that a page may hold many of them.

const TOP_SHARE = 0.99; // of the values must fit in: a single peak would flatten all the rest
const FEW_VALUES = 25; // so few are never cut off
const SVG = "http://www.w3.org/2000/svg";

const short = (value) => (Math.abs(value) >= 1000 ? Math.round(value).toLocaleString(studio.language) : String(Number(value.toPrecision(3))));

/** An end of the axis: what is next to nothing beside its length is 0. */
const axisText = (value, length) => (Math.abs(value) < length / 1000 ? "0" : short(value));

const known = (values) => values.filter((value) => value !== null);

/** Lowest and highest value that is shown: of all lines, and the level. */
function spanOf(lines, level) {
  const [bottoms, tops] = level === null ? [[], []] : [[level], [level]];
  for (const { values } of lines) {
    const sorted = known(values).sort((a, b) => a - b);
    if (!sorted.length) continue;
    const kept = sorted.length < FEW_VALUES ? sorted.length : Math.ceil(TOP_SHARE * sorted.length);
    bottoms.push(sorted[sorted.length - kept]);
    tops.push(sorted[kept - 1]);
  }
  const [low, high] = [Math.min(0, ...bottoms), Math.max(0, ...tops)];
  return high > low ? [low, high] : [low, low + 1];
}

/** A line as paths in a square of 100: its strokes, and dots for values without neighbours. */
function pathsOf({ steps, values }, x, y) {
  let [strokes, dots] = ["", ""];
  values.forEach((value, k) => {
    if (value === null) return;
    const [before, after] = [k > 0 && values[k - 1] !== null, k + 1 < values.length && values[k + 1] !== null];
    const place = `${x(steps[k]).toFixed(2)} ${y(value).toFixed(2)}`;
    if (before || after) strokes += `${before ? "L" : "M"}${place}`;
    else dots += `M${place}h0`;
  });
  return { strokes, dots };
}

function svgLine(kind, path, parent) {
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("class", kind);
  line.setAttribute("d", path);
  parent.append(line);
}

function textIn(tag, kind, text) {
  const node = document.createElement(tag);
  node.className = kind;
  node.textContent = text;
  return node;
}

function keyOf(kind, text) {
  const item = document.createElement("span");
  item.append(textIn("i", kind, ""), text);
  return item;
}

/**
 * A chart. lines: [{kind, text, steps, values}], kind: class of the colour; level: where a dashed line lies, or null;
 * levelText: what it is; marks: [{step, text}], vertical lines; end: the last step that there is room for.
 */
function smallChart({ title, lines, level = null, levelText = "", marks = [], end = 0 }) {
  const chart = document.createElement("figure");
  chart.className = "small-chart";
  const [low, high] = spanOf(lines, level);
  const last = Math.max(1, end, ...lines.map(({ steps }) => steps.at(-1) ?? 0));
  const x = (step) => (100 * step) / last;
  const y = (value) => 100 - (94 * (value - low)) / (high - low) - 3;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const { step } of marks) svgLine("mark", `M${x(step)} 0V100`, svg);
  if (level !== null) svgLine("level", `M0 ${y(level)}H100`, svg);
  for (const line of lines) {
    const { strokes, dots } = pathsOf(line, x, y);
    if (strokes) svgLine(line.kind, strokes, svg);
    if (dots) svgLine(`${line.kind} dot`, dots, svg);
  }
  const plot = document.createElement("div");
  plot.className = "plot";
  plot.append(textIn("span", "high", axisText(high, high - low)), textIn("span", "low", axisText(low, high - low)), svg, textIn("span", "end", t("chartSteps", { steps: last.toLocaleString(studio.language) })));
  const key = document.createElement("div");
  key.className = "key";
  const items = lines.map(({ kind, text, values }) => keyOf(kind, `${text} ${known(values).length ? short(known(values).at(-1)) : "–"}`));
  if (level !== null) items.push(keyOf("level", levelText || t("chartLevel", { value: short(level) })));
  items.push(...marks.map(({ text }) => keyOf("mark", text)));
  key.append(...items);
  const caption = document.createElement("figcaption");
  caption.append(textIn("b", "", title), key);
  chart.append(caption, plot);
  return chart;
}
