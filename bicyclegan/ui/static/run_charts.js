// Charts of a run: which there are, and how each is drawn. Numbers come from run_view.js as {steps, series}.

const PARTS = 50; // a moving average is taken of one of so many parts of a line
const CUT = 0.99; // of the values must fit in: single peaks would flatten all the rest
const FEW = 25; // so few are never cut off
const COLOURS = { light: ["#4f46e5", "#d97706", "#0d9488", "#be185d"], dark: ["#8b8cf8", "#f5a524", "#2dd4bf", "#f472b6"] };
const CHANCE = Math.sqrt(2 / Math.PI); // E|z|: what an encoder scores that recovers nothing
const isDark = () => document.body.classList.contains("dark");

/** What is shown, in this order. lines: [name, text] of numbers of training; dots: of validations, a name may end in *. */
const CHARTS = [
  { key: "pixel", title: "pixel", tells: "pixelTells", lines: [["l1", "training"]], dots: [["reconstruction_l1", "validation"]] },
  { key: "pixel2", title: "pixel2", tells: "pixelTells", lines: [["l2", "training"]], dots: [] },
  { key: "kl", title: "kl", tells: "klTells", lines: [["kl", "training"]], dots: [["kl", "validation"]] },
  { key: "latent", title: "latent", tells: "latentTells", lines: [["latent_l1", "training"]], dots: [["latent_l1", "validation"]], level: CHANCE },
  { key: "latent2", title: "latent2", tells: "latentTells", lines: [["latent_l2", "training"]], dots: [], level: 1 },
  { key: "discriminators", title: "discriminators", tells: "discriminatorsTells", lines: [["d_encoded", "encoded"], ["d_random", "random"]], dots: [] },
  { key: "generator", title: "generator", tells: "generatorTells", lines: [["gan_encoded", "encoded"], ["gan_random", "random"]], dots: [] },
  {
    key: "gradients", title: "gradients", tells: "gradientsTells", log: true, dots: [],
    lines: [["gradient.generator", "G"], ["gradient.encoder", "E"], ["gradient.discriminator", "D"], ["gradient.discriminator2", "D2"]],
  },
  { key: "diversity", title: "diversity", tells: "diversityTells", lines: [], dots: [["diversity_*", ""]] },
  { key: "reconstruction", title: "reconstruction", tells: "reconstructionTells", lines: [], dots: [["reconstruction_*", "own"], ["random_l1", "other"]] },
  { key: "perceptual", title: "perceptual", tells: "perceptualTells", lines: [["perceptual", "training"]], dots: [] },
  { key: "modes", title: "modes", tells: "modesTells", lines: [["mode_seeking", "training"]], dots: [] },
  { key: "penalties", title: "penalties", tells: "penaltiesTells", lines: [["penalty_encoded", "encoded"], ["penalty_random", "random"]], dots: [] },
];

/** Gradio brings Plotly when a chart of its own comes into sight; an empty one stands beside this panel. */
async function plotly() {
  for (let waited = 0; !window.Plotly && waited < 20_000; waited += 50) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return window.Plotly;
}

// ---- numbers

/** Mean of neighbours, of fewer at the ends: as far to both sides, or slopes would bend there. Never across a gap. */
function smoothed(values, window) {
  const reach = (window - 1) / 2;
  const result = new Array(values.length).fill(null);
  for (let start = 0; start < values.length; start += 1) {
    if (values[start] === null) continue;
    let end = start;
    while (end < values.length && values[end] !== null) end += 1;
    const sums = [0];
    for (let k = start; k < end; k += 1) sums.push(sums.at(-1) + values[k]);
    for (let k = start; k < end; k += 1) {
      const side = Math.min(reach, k - start, end - 1 - k);
      result[k] = (sums[k + side + 1 - start] - sums[k - side - start]) / (2 * side + 1);
    }
    start = end;
  }
  return result;
}

const smoothingWindow = (count) => 2 * Math.round(count / PARTS / 2) + 1;

/** Lines of a chart for which a run has numbers: {name, text, steps, values, dots}. */
function linesOf(chart, data) {
  const found = [];
  for (const [names, { steps, series }, dots] of [[chart.lines, data, false], [chart.dots, data.validations, true]]) {
    for (const [name, text] of names) {
      for (const [full, values] of Object.entries(series)) {
        const matches = name.endsWith("*") ? full.startsWith(name.slice(0, -1)) : full === name;
        if (matches && values.some((value) => value !== null)) found.push({ name: full, text: lineText(chart, full, text), steps, values, dots });
      }
    }
  }
  return found;
}

const LINE_TEXTS = { training: "training", validation: "validation", encoded: "encoded", random: "random", own: "own", other: "other", G: "networkG", E: "networkE", D: "networkD", D2: "networkD2" };

/** Distances are called by their measure: LPIPS, colours. */
function lineText(chart, name, text) {
  const measure = name.replace(/^[a-z]+_/, "");
  if (chart.key === "diversity") return measure.startsWith("lpips") ? "LPIPS" : measure.toUpperCase();
  if (chart.key === "reconstruction" && text === "own" && measure !== "l1") return `${t("own")} (${measure.startsWith("lpips") ? "LPIPS" : measure})`;
  return t(LINE_TEXTS[text]);
}

function lastOf({ values, dots }) {
  const known = values.filter((value) => value !== null);
  const last = known.slice(dots ? -1 : -smoothingWindow(values.length));
  return last.reduce((sum, value) => sum + value, 0) / last.length;
}

// ---- drawing

function traceOf(line, colour, dashed, isLog) {
  const { steps, values, dots, text } = line;
  const drawn = isLog ? values.map((value) => (value > 0 ? value : null)) : values;
  const shared = { x: steps, type: "scatter", name: text, hovertemplate: "%{y:.4~g}" };
  const dash = dashed ? "dash" : "solid";
  if (dots) {
    const marker = { color: colour, size: steps.length > FEW ? 4 : 6, symbol: dashed ? "circle-open" : "circle" };
    return [{ ...shared, y: drawn, mode: "lines+markers", connectgaps: true, marker, line: { color: colour, width: 1.2, dash } }];
  }
  const window = smoothingWindow(values.length);
  const dark = { ...shared, y: smoothed(drawn, window), mode: steps.length > 1 ? "lines" : "markers", line: { color: colour, width: 2, dash }, marker: { color: colour } };
  if (window === 1 || dashed) return [dark];
  return [
    { ...shared, y: drawn, mode: "lines", opacity: 0.3, line: { color: colour, width: 1 } },
    { ...dark, hoverinfo: "skip", hovertemplate: null },
  ];
}

/** From 0, or the lowest value if that is negative, to a little above what must fit in. */
function rangeOf(lines, level, isLog) {
  const [tops, bottoms] = level ? [[level], [level]] : [[], []];
  for (const { values, dots } of lines) {
    const known = values.filter((value) => value !== null && (!isLog || value > 0)).sort((a, b) => a - b);
    if (!known.length) continue;
    const kept = dots || known.length < FEW ? known.length : Math.ceil(CUT * known.length);
    tops.push(known[kept - 1]);
    bottoms.push(known[0]);
  }
  const [low, high] = [Math.min(...bottoms), Math.max(...tops)];
  if (isLog) return [Math.log10(low) - 0.15, Math.log10(high) + 0.15];
  const bottom = Math.min(0, low);
  return [bottom, high > bottom ? high + 0.08 * (high - bottom) : bottom + 1];
}

/** The healthy band, from the first tenth of the run on, and the line of chance. */
function shapesOf(chart, data, end) {
  const shapes = [];
  const band = data.bands[chart.key];
  const begin = (data.plan?.steps ?? 0) / 10;
  if (band && begin < end) {
    const fillcolor = isDark() ? "rgba(52, 211, 153, 0.13)" : "rgba(16, 185, 129, 0.12)";
    shapes.push({ type: "rect", layer: "below", x0: begin, x1: end, y0: band[0] || 0, y1: band[1], fillcolor, line: { width: 0 } });
  }
  if (chart.level) {
    const line = { color: isDark() ? "#f87171" : "#b91c1c", width: 1.3, dash: "dash" };
    shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: chart.level, y1: chart.level, line });
  }
  return shapes;
}

function layoutOf(chart, data, lines, key) {
  const grid = isDark() ? "rgba(148, 163, 184, 0.16)" : "rgba(100, 116, 139, 0.16)";
  const ink = isDark() ? "#94a3b8" : "#64748b";
  const last = Math.max(1, ...lines.map(({ steps }) => steps.at(-1)));
  const end = Math.max(last, 0.2 * (data.plan?.steps ?? 0)); // room for what comes next
  const range = rangeOf(lines, chart.level, chart.log);
  const axis = { gridcolor: grid, zeroline: false, linecolor: grid, ticks: "", automargin: true, tickfont: { size: 11 } };
  return {
    uirevision: key, showlegend: false, hovermode: "x unified", dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    margin: { l: 42, r: 10, t: 6, b: 26 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink, size: 11 }, shapes: shapesOf(chart, data, end),
    hoverlabel: { bgcolor: isDark() ? "#1e293b" : "#ffffff", bordercolor: ink, font: { color: isDark() ? "#e2e8f0" : "#1e293b", size: 12 } },
    xaxis: { ...axis, range: [0, end], showgrid: false, nticks: 5, hoverformat: ",", unifiedhovertitle: { text: `${t("stepTitle")} %{x:,}` }, tickformat: "~s" },
    yaxis: { ...axis, range, fixedrange: true, type: chart.log ? "log" : "linear", nticks: 5, dtick: chart.log && range[1] - range[0] > 1.5 ? 1 : undefined, tickformat: chart.log ? "~g" : "" },
  };
}

const CONFIG = { displayModeBar: false, responsive: false, doubleClick: "reset", scrollZoom: false };

function cardOf(chart) {
  const card = document.createElement("figure");
  card.className = "chart";
  card.dataset.chart = chart.key;
  const [caption, title, tells, key, plot] = ["figcaption", "h4", "p", "div", "div"].map((tag) => document.createElement(tag));
  [title.textContent, tells.textContent] = [t(chart.title), t(chart.tells)];
  [tells.className, key.className, plot.className] = ["quiet", "key", "plot"];
  plot.setAttribute("role", "img");
  caption.append(title, tells, key);
  card.append(caption, plot);
  return card;
}

function keyItem(kind, colour, text) {
  const item = document.createElement("span");
  const mark = document.createElement("i");
  mark.className = kind;
  if (colour) mark.style.color = colour;
  item.append(mark, text);
  return item;
}

/** The legend: lines with their last values, the band, the line of chance. */
function showKeyOf(card, chart, lines, data, colourOf) {
  const items = lines.map((line) => keyItem(line.dots ? "dot" : "line", colourOf(line), `${line.text} ${short(lastOf(line))}`));
  const band = data.bands[chart.key];
  const words = { low: short(band?.[0] ?? 0), high: short(band?.[1] ?? 0) };
  if (band) items.push(keyItem("band", "", t(band[0] ? "healthy" : "healthyBelow", words)));
  if (chart.level) items.push(keyItem("level", "", t("chance", { value: chart.level.toFixed(chart.level === 1 ? 0 : 3) })));
  card.querySelector(".key").replaceChildren(...items);
  card.querySelector(".plot").setAttribute("aria-label", `${t(chart.title)}: ${items.map((item) => item.textContent).join(", ")}`);
}

/** Draw one chart. other: the numbers of another run to compare with, or null. key: keeps a zoom as long as it is. */
async function drawChart(card, chart, data, other, key) {
  const library = await plotly();
  if (!library) return showError(t("noPlotly"));
  const lines = linesOf(chart, data);
  if (!lines.length) return null;
  const palette = COLOURS[isDark() ? "dark" : "light"];
  const names = [...new Set(lines.map(({ name, dots }) => `${dots} ${name}`))];
  const colourOf = ({ name, dots }) => palette[Math.max(0, names.indexOf(`${dots} ${name}`)) % palette.length];
  const others = other ? linesOf(chart, other).map((line) => ({ ...line, text: `${t("second")}: ${line.text}` })) : [];
  const traces = [[lines, false], [others, true]].flatMap(([drawn, dashed]) => drawn.flatMap((line) => traceOf(line, colourOf(line), dashed, chart.log)));
  showKeyOf(card, chart, lines, data, colourOf);
  return library.react(card.querySelector(".plot"), traces, layoutOf(chart, data, [...lines, ...others], key), CONFIG);
}
