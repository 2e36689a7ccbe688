// What `run_watch` told of a run so far, with what is new: for all panels that watch one.

const MOST_POINTS = 3000; // then all is asked for anew, which is thinned

const table = () => ({ steps: [], series: {} });
const nothing = () => ({ token: "", ...table(), validations: table(), samples: [], latents: [], plan: null, bands: {} });

/** Columns of equal lengths, with null where there was no number. */
function append(columns, { steps: fresh, series }) {
  const count = columns.steps.length;
  columns.steps.push(...fresh);
  for (const name of new Set([...Object.keys(columns.series), ...Object.keys(series)])) {
    columns.series[name] ??= new Array(count).fill(null);
    columns.series[name].push(...(series[name] ?? new Array(fresh.length).fill(null)));
  }
}

/** What was told before, with the news. */
function withNews(before, news) {
  const found = news.reset || !before ? nothing() : before;
  append(found, news);
  append(found.validations, news.validations);
  found.samples.push(...news.samples);
  found.latents.push(...news.latents);
  if (news.started) found.ended = null;
  for (const [key, value] of Object.entries(news)) {
    if (["started", "ended", "speed", "eta", "seconds", "memory_mb", "plan", "bands"].includes(key) && value !== null) found[key] = value;
  }
  found.token = found.steps.length > MOST_POINTS ? "" : news.token;
  return found;
}

const isNews = ({ reset, steps: fresh, validations, samples, latents, started, ended }) =>
  reset || fresh.length + validations.steps.length + samples.length + latents.length > 0 || started || ended;
