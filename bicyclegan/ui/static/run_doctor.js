// The doctor's box in the view of a run: what is wrong with it, and the change that mends it.

const DOCTOR_MS = 6000; // at most so often while a run goes on
let report = null; // what `run_doctor` said of the run that is watched
let doctorAsked = -DOCTOR_MS;
let doctorTimer = null;
let sent = null; // what a button asked for: {id, name}

function forgetDoctor() {
  clearTimeout(doctorTimer);
  [report, doctorAsked, sent] = [null, -DOCTOR_MS, null];
  find(".doctor").hidden = true;
}

/** There are news of the run: ask soon. now: do not wait, nothing more comes. */
function askDoctorSoon(now = false) {
  clearTimeout(doctorTimer);
  doctorTimer = setTimeout(askDoctor, now ? 0 : Math.max(0, doctorAsked + DOCTOR_MS - performance.now()));
}

const askDoctor = studio.newestOnly(async () => {
  if (!watched || !data || !isShown()) return;
  const { id } = watched;
  doctorAsked = performance.now();
  const answer = await studio.ask("run_doctor", { run: id, language: studio.language });
  if (watched?.id !== id) return;
  if (answer.error) return void showError(answer.error);
  report = answer;
  showDoctor();
});

function showDoctor() {
  const box = find(".doctor");
  box.hidden = !report || !data?.steps.length;
  if (box.hidden) return;
  const { findings, problems, steps: looked } = report;
  find(".doctor .looked").textContent = findings.length ? t("lookedAt", { steps: looked.toLocaleString(studio.language) }) : "";
  find(".doctor .calm").hidden = findings.length > 0;
  find(".doctor .calm b").textContent = calmText(report, !isAlive());
  find(".doctor .calm .quiet").hidden = !report.enough;
  find(".doctor .calm").classList.toggle("well", report.enough);
  find(".doctor .problems").hidden = !problems.length;
  find(".doctor .problems").textContent = problems.join(" ");
  keepFocus(() => find(".doctor .findings").replaceChildren(...findings.map((each) => findingCard(each, applyPart(each)))));
}

/** The button that makes the change, where somebody may press it. */
function applyPart(finding) {
  if (finding.applied) return [textIn("p", "quiet", t("applied"))];
  if (!finding.can_apply) return [];
  const button = textIn("button", "button", isAlive() ? t("applyNow") : t("applyFrom", { step: report.resumes_at.toLocaleString(studio.language) }));
  button.type = "button";
  button.dataset.key = `apply ${finding.name}`;
  button.disabled = sent?.id === watched.id || watched.status?.state === "stopping";
  button.addEventListener("click", () => {
    sent = { id: watched.id, name: finding.name };
    showDoctor();
    window.dispatchEvent(new CustomEvent("studio:run-apply", { detail: sent }));
  });
  return [button];
}

/** The page has done it, or could not. */
window.addEventListener("studio:run-applied", ({ detail }) => {
  if (sent?.id !== detail.id) return;
  sent = null;
  askDoctorSoon(true);
});
