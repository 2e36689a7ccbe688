"""What the doctor's box and the pitfall lab may ask: what ails a run and what mends it, lessons and their cure."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal

from bicyclegan.errors import UserError
from bicyclegan.training import lab
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.cure import apply, can_apply, changes_of
from bicyclegan.training.doctor_report import problem_text, settings
from bicyclegan.training.health import RULES, Diagnosis, RunLog, diagnose, read_log, words
from bicyclegan.training.job_changes import with_changes
from bicyclegan.training.job_files import JobFiles, JobNotes
from bicyclegan.training.jobs import newest_step
from bicyclegan.training.pitfalls import healthy_options, read_option
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.ui.i18n import text
from bicyclegan.ui.run_rights import refuse_elsewhere
from bicyclegan.ui.studio import has_shared_gpu
from bicyclegan.ui.train_answers import TrainAnswers, told_without_paths
from bicyclegan.ui.train_tasks import Progress, Tell
from bicyclegan.ui.wanted import Wanted

LAB_QUESTIONS = ("run_doctor", "train_apply", "lab_lessons", "lab_start", "lab_cure", "lab_discard")
"""Methods that scripts may call."""
Language = Literal["en", "zh"]
KEPT_REPORTS = 16
"""Runs whose report is kept: every page that watches one asks for the same."""
ENOUGH = 0.7
"""Share of the rules that must have seen enough before silence is good news."""
END_SECONDS = 20.0
"""For which the end of a run that is thrown away is waited for."""


SERIES = {
    "detach": ("share.gan_random", "gan_random", "high_frequency"),
    "unit-range": ("inputs.b_min",),
    "no-latent-loss": ("diversity_rgb", "share.gan_random"),
    "no-kl": ("kl", "random_l1"),
    "fast-discriminator": ("score.fake_random", "d_random", "gan_random"),
    "no-l1": ("reconstruction_l1", "kl"),
    "wgan-no-clipping": ("gradient.discriminator", "score.real_random", "gan_random"),
    "dcgan-detach": ("share.gan_random", "gradient.generator", "diversity_rgb"),
    "dcgan-unit-range": ("inputs.b_min", "score.fake_random"),
}
"""Numbers that tell what goes wrong in a lesson, as `watch` calls them."""
QUICK, SLOW = (10, 0.07), (20, 0.3)
"""Seconds that a lesson takes on two cores, to load PyTorch and for every step of both sides: on a machine that has
nothing else to do, and on a busy one."""


class LabAnswers:
    """Every method raises `UserError` for what cannot be done. Rights are those of the Train tab."""

    def __init__(self, train: TrainAnswers):
        self.train, self.jobs, self.rights = train, train.jobs, train.rights
        self._reports: OrderedDict[tuple[str, int, int], tuple[RunLog, list[Diagnosis]]] = OrderedDict()
        self._lock = Lock()

    # The doctor

    def run_doctor(self, wanted: Wanted) -> dict[str, Any]:
        """What was found in a run, worst first; what each change would be, and whether this visitor may make it.

        steps: were looked at. checks: rules that have seen enough of them, of `rules`; the next one needs `more` steps.
        problems: what of the log cannot be read. resumes_at: the step from which the run would go on.
        """
        run, lang = self.jobs.folder(wanted.text("run")), _language(wanted)
        log, found = self._report(run)
        patient = self._patient(run, log, wanted.visitor)
        checks = sum(log.young >= rule.least for rule in RULES)
        return {
            "findings": [_finding(each, lang, patient) for each in found],
            **{"steps": log.last, "checks": checks, "rules": len(RULES), "enough": checks >= ENOUGH * len(RULES)},
            "more": min((rule.least - log.young for rule in RULES if rule.least > log.young), default=0),
            "problems": [problem_text(each, lang) for each in log.problems],
            "resumes_at": newest_step(run),
        }

    def _report(self, run: RunFolder) -> tuple[RunLog, list[Diagnosis]]:
        """Looked at anew when the log has grown."""
        try:
            about = run.events_file.stat()
        except OSError:  # it has not begun to write
            return RunLog(), []
        key = (str(run.root), about.st_size, about.st_mtime_ns)
        with self._lock:
            known = self._reports.get(key)
        if known is None:
            try:
                log = read_log(run.events_file)
            except UserError as error:
                raise told_without_paths(error, run.root) from None
            known = log, diagnose(log)  # not under the lock: others wait for their own
        with self._lock:
            self._reports[key] = known
            self._reports.move_to_end(key)
            while len(self._reports) > KEPT_REPORTS:
                self._reports.popitem(last=False)
        return known

    def _patient(self, run: RunFolder, log: RunLog, visitor: str) -> Patient:
        options, _ = settings(run.root, log.options)
        try:
            config = self.jobs.config(run.root.name)
        except UserError:  # nothing of it can be read
            config = None
        notes = JobFiles(run.root).notes()
        may = config is not None and self.rights.may_steer(run.root.name, visitor) and not has_shared_gpu()
        treated = notes is not None and notes.cured is not None and log.last <= notes.cured
        return Patient(config, options, notes, may, treated)

    def train_apply(self, wanted: Wanted) -> dict[str, Any]:
        """Task: stop the run if it goes on, then go on with what the doctor advises. Its answer are the changes."""
        refuse_elsewhere()
        run, name = self.rights.steered(wanted), wanted.text("name")

        def work(tell: Tell) -> dict[str, Any]:
            tell(Progress("stopping"))
            return {"changes": apply(self.jobs, run, name)}

        self.train.tasks.start(self.rights.task_key(wanted), "apply", work)
        return {}

    # The lab

    def lab_lessons(self, wanted: Wanted) -> dict[str, Any]:
        """All lessons, in the order in which they are shown."""
        lang = _language(wanted)
        return {"lessons": [_lesson(name, lang) for name in lab.LESSONS], "elsewhere": has_shared_gpu()}

    def lab_start(self, wanted: Wanted) -> dict[str, Any]:
        """Train both sides of a lesson. Its answer are their ids: nobody else is told them."""
        refuse_elsewhere()
        name = lab.lesson(wanted.text("name")).name
        self.jobs.sweep()
        self.train.count_start(wanted.visitor)
        sick, healthy = lab.start(self.jobs, name, owner=self.rights.owner(wanted.visitor))
        return {"sick": sick, "healthy": healthy}

    def lab_cure(self, wanted: Wanted) -> dict[str, Any]:
        """Go on with the sick side as if it had been healthy from now on."""
        refuse_elsewhere()
        run = self.rights.steered(wanted)
        if self.jobs.status(run).alive:  # nobody should wait here for its end
            raise UserError("lab_going", "The sick run still goes on: the cure comes when it has ended.")
        lab.cure(self.jobs, run)
        return {}

    def lab_discard(self, wanted: Wanted) -> dict[str, Any]:
        """Throw both sides away. The page has asked whether that is meant."""
        sides = [self._side(wanted.text(side), wanted.visitor) for side in lab.SIDES]
        runs = [run for run in sides if run is not None]
        for run in runs:
            self.jobs.stop(run)
        for run in runs:
            self.jobs.end(run, END_SECONDS)
            self.jobs.delete(run)
        return {}

    def _side(self, run: str, visitor: str) -> str | None:
        """A run of the lab; None where it is gone already. Raises `UserError` for any other, and for others' runs."""
        try:
            folder = self.jobs.folder(run)
        except UserError:
            return None
        notes = JobFiles(folder.root).notes()
        if notes is None or not notes.lesson:
            raise UserError("lab_no_side", "This run is no part of a lesson: it is deleted among the runs.")
        if notes.public or not self.rights.may_steer(run, visitor):
            raise UserError("train_public", "This run was started on the studio's own machine: it is steered there.")
        return run


@dataclass(frozen=True)
class Patient:
    """The run that is looked at, as far as it can be treated."""

    config: Any
    """None where it cannot be read."""
    options: Mapping[str, Any]
    """Its fields without their groups, as far as they are known."""
    notes: JobNotes | None
    may: bool
    """Whether whoever asks may steer it, here."""
    treated: bool
    """Whether a change was made after which nothing has been learnt yet: what was found is of the time before."""

    def takes(self, diagnosis: Diagnosis) -> bool:
        """Whether there is a change, and one that this run can go on with."""
        if not self.may or not can_apply(diagnosis, self.notes):
            return False
        try:
            return with_changes(self.config, changes_of(diagnosis, self.notes)) is not None
        except UserError:
            return False


def _finding(diagnosis: Diagnosis, lang: Language, patient: Patient) -> dict[str, Any]:
    told, before = words(diagnosis, lang), patient.options
    patch = [
        {"name": name, "before": before.get(name), "after": value}
        for name, value in diagnosis.patch.items()
        if before.get(name) != value
    ]
    done = patient.treated or (bool(diagnosis.patch) and not patch)
    return {
        **{"name": diagnosis.name, "severity": diagnosis.severity, "step": diagnosis.step},
        **{part: getattr(told, part) for part in ("title", "evidence", "cause", "remedy")},
        **{"patch": patch, "applied": done, "can_apply": not done and patient.takes(diagnosis)},
        "chart": diagnosis.chart and dataclasses.asdict(diagnosis.chart),
    }


def _lesson(name: str, lang: Language) -> dict[str, Any]:
    taught, key = lab.LESSONS[name], name.replace("-", "_")
    parts = {part: text(lang, f"lesson.{key}_{part}") for part in ("title", "what", "look", "remedy")}
    minutes = [max(1, round((start + step * taught.config.steps) / 60)) for start, step in (QUICK, SLOW)]
    sketches = isinstance(taught.config, TrainConfig)
    about = {"series": list(SERIES[name]), "minutes": minutes, "sketches": sketches, "changes": _cure(taught)}
    return {"name": name, **parts, **about}


def _cure(taught: lab.Lesson) -> list[dict[str, Any]]:
    """The settings that are put right; none where the mistake is in the code."""
    sick, _ = taught.side("sick")
    after = healthy_options(taught.pitfall, taught.config)
    return [{"name": name, "before": read_option(sick, name), "after": value} for name, value in after.items()]


def _language(wanted: Wanted) -> Language:
    return "zh" if wanted.text("language", "en") == "zh" else "en"
