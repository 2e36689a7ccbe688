// Somebody's own photos on the map. Python reads them and tells of it here; the codes stay in this page alone.

const [state, problems] = [find(".state"), find(".problems")];

function showState(text, { share = null, reading = false, there = false } = {}) {
  state.hidden = !text;
  state.querySelector("span").textContent = text;
  const bar = state.querySelector("progress");
  bar.hidden = !reading;
  if (share !== null) bar.value = share;
  find("[data-action=stop]").hidden = !reading;
  find("[data-action=forget]").hidden = !there;
}

window.addEventListener("studio:own-begun", () => {
  showError("");
  problems.hidden = true;
  showState(t("waiting"), { share: 0, reading: true });
});

function showNews({ done, total, photos, error, left_out: leftOut, problems: why }) {
  if (total) return showState(t("reading", { done, total }), { share: done / total, reading: true });
  showError(error);
  if (!photos) return showOwn();
  studio.set("own", photos);
  showOwn();
  problems.hidden = !leftOut;
  problems.textContent = leftOut ? `${t("leftOut", { count: leftOut })} ${why.join(" ")}` : "";
  return null;
}

function showOwn() {
  const photos = studio.get("own");
  const fits = photos && photos.hash === studio.get("model").hash;
  showState(fits ? t("there", { count: photos.names.length }) : photos ? t("otherModel", { name: studio.label(photos.checkpoint) }) : "", { there: Boolean(photos) });
}

find("[data-action=stop]").addEventListener("click", () => {
  trigger("stop");
  showOwn();
});
find("[data-action=forget]").addEventListener("click", () => {
  problems.hidden = true;
  studio.set("own", null);
  showOwn();
});
watch("value", () => props.value && showNews(props.value));
studio.on("model", showOwn, element);
