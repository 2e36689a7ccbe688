"""What the Train tab's script may ask: take pictures in, check them, measure what a run costs, start it, steer it.

Whoever knows a run's id may do all this with it; nobody is told the ids of others. What takes longer than a moment is
a task: the question begins it, and `train_news` says how far it is and, in the end, what came out.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
import time
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from bicyclegan.config import CONFIG_FILE, DEFAULT_CHECKPOINT
from bicyclegan.errors import UserError
from bicyclegan.training.advice import RUN, Advice, about_group, advice
from bicyclegan.training.config import DataConfig, TrainConfig
from bicyclegan.training.data_preview import Preview, PreviewProgress, edges_preview
from bicyclegan.training.data_readings import DataReading
from bicyclegan.training.job_files import JobFiles
from bicyclegan.training.options import bytes_on_disk, defaults, open_fields, with_options
from bicyclegan.training.presets import PRESETS
from bicyclegan.training.uploads import receive
from bicyclegan.ui.run_rights import RunRights, is_here, refuse_elsewhere
from bicyclegan.ui.studio import Studio, has_shared_gpu
from bicyclegan.ui.train_tasks import Progress, Tell, TrainTasks, Work
from bicyclegan.ui.uploaded import Uploaded, check_uploaded, discard_uploaded
from bicyclegan.ui.wanted import Wanted

TRAIN_QUESTIONS = (
    "train_runs",
    "train_new",
    "train_options",
    "train_receive",
    "train_empty",
    "train_check",
    "train_edges",
    "train_plan",
    "train_news",
    "train_cancel",
    "train_start",
    "train_stop",
    "train_resume",
    "train_delete",
    "train_rename",
    "train_use",
)
"""Methods that scripts may call."""
MAX_RUNS = 50
"""Runs that one page asks after."""
MAX_FILES = 20_000
DRAFTS_AN_HOUR = 10
MAX_OPTIONS = 120
NEWS_SECONDS = 0.3
"""For which news are waited for: short work is answered at once."""
MAIN_FIELDS = ("steps", "batch_size", "learning_rate", "lambda_l1", "lambda_z", "lambda_kl")
"""Options that matter most, in the order in which they are shown."""
ASIDE, MOST_ASIDE = 8, 0.2
"""Pictures to validate on that are wanted at least, and the largest part that may be taken for it."""
FIRST_STEPS = 1000
"""Updates that the page proposes on a CPU: some ten minutes."""


class TrainAnswers:
    """Every method raises `UserError` for what cannot be done."""

    def __init__(self, studio: Studio):
        self.studio, self.jobs = studio, studio.jobs
        self.rights, self.tasks = RunRights(studio.jobs), TrainTasks()
        self.preview = Preview()
        self._drafts: dict[str, list[float]] = {}
        """When visitors began new runs, by their address."""

    # Runs

    def train_runs(self, wanted: Wanted) -> dict[str, Any]:
        """Those of this browser that are still there, and those of the command line, which are for all."""
        mine = wanted.items("ids", MAX_RUNS, least=0)
        public = self.jobs.public()[:MAX_RUNS]
        used, limit = self.jobs.usage()
        return {
            "runs": [about for run in mine if run not in public and (about := self._about(run, True, True))]
            + [about for run in public if (about := self._about(run, False, is_here(wanted.visitor)))],
            "used": used,
            "limit": limit,
            "elsewhere": has_shared_gpu(),
        }

    def train_new(self, wanted: Wanted) -> dict[str, Any]:
        """A place for pictures, and later for the run that learns from them."""
        self.jobs.sweep()
        self.count_start(wanted.visitor)
        return {"id": self.jobs.new_draft(wanted.text("title", "my pictures"))}

    def count_start(self, visitor: str) -> None:
        """Raise `UserError` for a stranger who makes one draft after the other: each may fill the disk for a day."""
        now = time.monotonic()
        lately = [when for when in self._drafts.get(visitor, []) if now - when < 3600]
        if len(lately) >= DRAFTS_AN_HOUR and not is_here(visitor):
            raise UserError(
                "train_drafts", "That were {count} new runs within an hour: go on with one of them.", count=len(lately)
            )
        self._drafts[visitor] = [*lately, now]

    def train_rename(self, wanted: Wanted) -> dict[str, Any]:
        """Another title."""
        self.jobs.rename(self.rights.known(wanted), wanted.text("title"))
        return {}

    def train_stop(self, wanted: Wanted) -> dict[str, Any]:
        """End in good order, with a checkpoint."""
        self.jobs.stop(self.rights.steered(wanted))
        return {}

    def train_resume(self, wanted: Wanted) -> dict[str, Any]:
        """Go on, with more steps if they are given."""
        changes = {} if wanted.data.get("steps") is None else {"steps": wanted.integer("steps", 1, 1_000_000)}
        refuse_elsewhere()
        self.jobs.resume(self.rights.steered(wanted), changes or None)
        return {}

    def train_delete(self, wanted: Wanted) -> dict[str, Any]:
        """The run and its pictures. The page has asked whether that is meant."""
        run = self.rights.known(wanted)
        self.tasks.end(run)
        self.jobs.delete(run)
        return {}

    def _about(self, run: Any, yours: bool, may: bool) -> dict[str, Any] | None:
        """None for a run that is gone. may: whether it may be stopped and resumed from here."""
        try:
            folder, status = self.jobs.folder(run), self.jobs.status(run)
        except UserError:
            return None
        return {
            "id": run,
            "yours": yours,
            "may": may,
            "usable": (folder.latest / CONFIG_FILE).is_file(),
            **vars(status),
            "tail": _without_paths(status.tail, folder.root),
            "error": status.error and told_without_paths(status.error, folder.root),
            "pictures": _count_files(self._pictures(run)) if status.state == "draft" else 0,
        }

    def _draft(self, wanted: Wanted) -> str:
        """The id of a run that has not begun, and now counts as in use."""
        run = self.rights.known(wanted)
        if self.jobs.status(run).state != "draft":
            raise UserError("train_pictures_used", "This run has begun with its pictures: start a new one for others.")
        os.utime(JobFiles(self.jobs.folder(run).root).notes_file)
        return run

    # Pictures

    def train_receive(self, wanted: Wanted) -> dict[str, Any]:
        """Task: take uploaded files in. Its answer counts what was kept and says what was not."""
        uploaded = check_uploaded(wanted.items("paths", MAX_FILES), wanted.items("names", MAX_FILES))
        try:
            run = self._draft(wanted)
            self.jobs.check_room(sum(each.path.stat().st_size for each in uploaded))
            self.tasks.start(run, "receive", self._receiving(run, uploaded))
        except BaseException:
            discard_uploaded(uploaded)
            raise
        return {}

    def _receiving(self, run: str, uploaded: list[Uploaded]) -> Work:
        folder = self._pictures(run)

        def work(tell: Tell) -> dict[str, Any]:
            try:
                got = receive(
                    [each.path for each in uploaded],
                    [each.name for each in uploaded],
                    folder,
                    room=self.jobs.check_room,
                    progress=lambda done, total: tell(Progress("receiving", done, total)),
                )
            finally:
                discard_uploaded(uploaded)
            return {
                "kept": got.kept,
                "skipped": got.skipped,
                "examples": list(got.examples),
                "left_out": got.left_out,
                "problems": list(got.problems[:5]),
            }

        return work

    def train_empty(self, wanted: Wanted) -> dict[str, Any]:
        """Throw the pictures of a draft away, to begin again."""
        run = self._draft(wanted)
        self.tasks.end(run)
        shutil.rmtree(self._pictures(run), ignore_errors=True)
        return {}

    def train_check(self, wanted: Wanted) -> dict[str, Any]:
        """Task: decode all pictures and say what is wrong with them."""
        run = self._draft(wanted)
        config, fixed = self._config(run, wanted), list(map(str, wanted.items("fixed", 10, least=0)))

        def work(tell: Tell) -> dict[str, Any]:
            found = self._previewed("check", config, tell, fixed)
            readings = [DataReading(each["code"], each["values"]) for each in found["readings"]]
            return {**found, "readings": readings}

        self.tasks.start(run, "check", work)
        return {}

    def train_edges(self, wanted: Wanted) -> dict[str, Any]:
        """Some photos with the edges that these thresholds find."""
        run = self._draft(wanted)
        config = self._config(run, wanted)
        with self.studio.beside.turn():
            thumbs = edges_preview(self._pictures(run), config.edge_style, config.model.image_size)
        return dataclasses.asdict(thumbs)

    def train_plan(self, wanted: Wanted) -> dict[str, Any]:
        """Task: measure ten steps."""
        run = self._draft(wanted)
        config = self._config(run, wanted)
        self.tasks.start(run, "plan", lambda tell: self._previewed("plan", config, tell))
        return {}

    def train_news(self, wanted: Wanted) -> dict[str, Any]:
        """How far a run's task is; what came out of it; nothing where there is none."""
        return self.tasks.news(self.rights.task_key(wanted), NEWS_SECONDS)

    def train_cancel(self, wanted: Wanted) -> dict[str, Any]:
        """Give the task up."""
        self.tasks.stop(self.rights.task_key(wanted))
        return {}

    def _previewed(
        self, task: Literal["check", "plan"], config: TrainConfig, tell: Tell, fixed: Collection[str] = ()
    ) -> dict[str, Any]:
        with closing(self.preview.run(task, config, fixed)) as words:
            for word in words:
                if isinstance(word, PreviewProgress):
                    tell(Progress(word.what, word.done, word.total))
                else:
                    return word
        raise AssertionError("a preview ends with its result")

    def _pictures(self, run: str) -> Path:
        return self.jobs.folder(run).root / "pictures"

    # Options

    def train_options(self, wanted: Wanted) -> dict[str, Any]:
        """What can be set: for each field its default from this start and preset, its limits and advice on it."""
        config, lang = self._start(wanted), "zh" if wanted.text("language", "en") == "zh" else "en"
        groups = [
            {
                "name": group,
                "about": about_group(group, lang),
                "fields": [_field(advice(name, lang), config) for name in names],
            }
            for group, names in open_fields().items()
            if names
        ]
        return {
            "groups": groups,
            "main": list(MAIN_FIELDS),
            "presets": list(PRESETS),
            "starts": list(self.studio.names),
            "size": config.model.image_size,
            "labels": config.edge_style is None,
        }

    def train_start(self, wanted: Wanted) -> dict[str, Any]:
        """Begin, or wait for the turn."""
        refuse_elsewhere()
        run = self._draft(wanted)
        if not _count_files(self._pictures(run)):
            raise UserError("train_no_pictures", "There are no pictures to learn from yet: bring some first.")
        config = self._config(run, wanted)
        if wanted.data.get("title"):
            self.jobs.rename(run, wanted.text("title"))
        self.tasks.end(run)
        self.jobs.start(run, config, owner=self.rights.owner(wanted.visitor), bytes_needed=bytes_on_disk(config))
        return {}

    def _start(self, wanted: Wanted) -> TrainConfig:
        """Defaults of the chosen start: a checkpoint's name, or nothing for none."""
        start, preset = wanted.text("start", DEFAULT_CHECKPOINT), wanted.text("preset", "fast")
        size = None if start or wanted.data.get("size") is None else wanted.integer("size", 32, 512)
        config = defaults(preset, self.studio.folder(start).absolute() if start else "", size)
        steps = min(config.steps, FIRST_STEPS) if self.jobs.device == "cpu" else config.steps
        return with_options(config, {"steps": steps})

    def _config(self, run: str, wanted: Wanted) -> TrainConfig:
        options = wanted.data.get("options", {})
        if not isinstance(options, dict) or len(options) > MAX_OPTIONS:
            raise UserError("train_options", "The options of the run cannot be read. Reload the page.")
        config = with_options(self._start(wanted), options)
        root = self.jobs.folder(run).root
        source = dataclasses.replace(config.source, cache_dir=str(root / ".cache"))
        if "val_share" not in options:
            source = dataclasses.replace(source, val_share=_share_aside(_count_files(self._pictures(run))))
        return dataclasses.replace(
            config, data=str(self._pictures(run)), out=str(root), source=source, device=self.jobs.device
        )

    # The result

    def train_use(self, wanted: Wanted) -> dict[str, Any]:
        """Task: make the run's model one that every tab can use. Its answer is the model's id."""
        run = self.rights.known(wanted)
        which, name = wanted.text("which", "latest"), wanted.text("name")
        if which not in ("latest", "best"):
            raise UserError("train_which", "{which!r} is no checkpoint of a run: latest or best.", which=which)

        def work(tell: Tell) -> dict[str, Any]:
            def progress(what: str, done: int = 0, total: int = 0) -> None:
                tell(Progress(what, done, total))

            folder = self.jobs.folder(run)
            return {"model": self.studio.models.add_from_run(folder, name, which=which, progress=progress)}

        self.tasks.start(self.rights.task_key(wanted), "use", work)
        return {}


def _without_paths(text: str, root: Path) -> str:
    """What a run tells, without where things lie on this machine."""
    for place in (root, root.parent, Path(__file__).parents[2], Path(sys.prefix), Path.home()):
        text = text.replace(f"{place}{os.sep}", "").replace(str(place), place.name)
    return text


def told_without_paths(error: UserError, root: Path) -> UserError:
    """The same mistake, without where things lie on this machine."""
    texts = {name: str(value) for name, value in error.values.items() if isinstance(value, (str, Path))}
    shown = {name: _without_paths(text, root) for name, text in texts.items()}
    told = error.to_json()
    return UserError.from_json({**told, "values": {**told["values"], **shown}})


def _share_aside(count: int) -> float:
    """Of so many pictures, how large a part validates: of few a larger one, or sheets and measurements tell nothing."""
    return min(MOST_ASIDE, max(DataConfig.val_share, ASIDE / max(1, count)))


def _count_files(folder: Path) -> int:
    """In it and below."""
    return sum(len(files) for _, _, files in os.walk(folder))


def _field(about: Advice, config: TrainConfig) -> dict[str, Any]:
    """An option for the page. Its default is that of this start, not of the preset alone."""
    holder = config if about.group == RUN else getattr(config, about.group)
    return {
        "name": about.field,
        "kind": about.kind,
        "choices": list(about.choices),
        "limits": about.limits,
        "value": getattr(holder, about.field),
        "purpose": about.purpose,
        "advised": about.advised,
        "price": about.price,
    }
