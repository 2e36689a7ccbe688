// What the doctor found in a run, as cards. Answers of `run_doctor`:
// {findings, steps, checks, rules, more, enough, problems, resumes_at}.

const SEVERITIES = { ill: "severityIll", watch: "severityWatch", note: "severityNote" };

/** Numbers of a run that people meet in charts, by how the events call them. */
const SERIES = {
  l1: "seriesPixel",
  l2: "seriesPixelSquared",
  kl: "seriesKl",
  latent_l1: "seriesLatent",
  gan_encoded: "seriesLossEncoded",
  gan_random: "seriesLossRandom",
  d_encoded: "seriesJudgeEncoded",
  d_random: "seriesJudgeRandom",
  "score.real_encoded": "seriesReal",
  "score.fake_encoded": "seriesFake",
  "score.real_random": "seriesRealRandom",
  "score.fake_random": "seriesFakeRandom",
  "share.gan_encoded": "seriesShareEncoded",
  "share.gan_random": "seriesShareRandom",
  "gradient.generator": "seriesGradientG",
  "gradient.discriminator": "seriesGradientD",
  "gradient.encoder": "seriesGradientE",
  diversity_rgb: "seriesDiversity",
  reconstruction_l1: "seriesReconstruction",
  random_l1: "seriesRandom",
  encoded_random_gap: "seriesGap",
  active_dims: "seriesActive",
  high_frequency: "seriesSharpness",
  "inputs.b_min": "seriesInputMin",
  "inputs.b_max": "seriesInputMax",
  "share.gan": "seriesShare",
  "share.l1": "seriesSharePixel",
  "share.latent_l1": "seriesShareLatent",
  "validation.real_encoded": "seriesRealKept",
  "validation.real_random": "seriesRealKept",
  diversity: "seriesDiversity",
  kl_per_dim: "seriesKlDim",
  learnt: "seriesLearnt",
  border_excess: "seriesBorder",
};
const seriesText = (name) => (SERIES[name] ? t(SERIES[name]) : name);

/** A number as a config holds it, or a word. */
const settingText = (value) => (value === true ? t("settingOn") : value === false ? t("settingOff") : String(value));

function paragraph(kind, name, text) {
  const line = textIn("p", kind, "");
  line.append(textIn("b", "", t(name)), ` ${text}`);
  return line;
}

/** "lambda_z 0 → 0.5". */
function changeList(patch) {
  const list = textIn("ul", "changes", "");
  for (const { name, before, after } of patch) {
    const item = textIn("li", "", "");
    item.append(textIn("code", "", name), textIn("span", "before", settingText(before)), " → ", textIn("b", "", settingText(after)));
    list.append(item);
  }
  return list;
}

function evidenceChart({ chart }) {
  const lines = chart.lines.map((line, k) => ({ ...line, kind: `line${k}`, text: seriesText(line.name) }));
  return smallChart({ title: t("evidence"), lines, level: chart.level });
}

/** One finding. foot: what stands below it, or nothing. */
function findingCard(finding, foot = []) {
  const card = textIn("article", `finding ${finding.severity}`, "");
  card.dataset.finding = finding.name;
  const head = textIn("div", "row", "");
  head.append(
    textIn("span", "severity", t(SEVERITIES[finding.severity] ?? "severityNote")),
    textIn("h4", "", finding.title),
    textIn("span", "quiet spring", t("foundAt", { step: finding.step.toLocaleString(studio.language) })),
  );
  const words = textIn("div", "words", "");
  words.append(textIn("p", "proof", finding.evidence), paragraph("", "cause", finding.cause), paragraph("", "remedy", finding.remedy));
  if (finding.patch.length) words.append(changeList(finding.patch));
  words.append(...foot);
  const body = textIn("div", "body", "");
  body.append(words);
  if (finding.chart?.lines.length) body.append(evidenceChart(finding));
  card.append(head, body);
  return card;
}

/** What is said where nothing was found, or not yet. ended: no more steps come. */
function calmText({ steps, checks, rules, more, enough }, ended) {
  const words = { steps: steps.toLocaleString(studio.language), checks, rules, more: more.toLocaleString(studio.language) };
  if (!checks || !steps) return t(ended ? "tooFewSteps" : "needsSteps", words);
  if (enough) return t("nothingFound", words);
  return t(ended ? "nothingFoundEnded" : "nothingSoFar", words);
}
