"""How a training came about: its runs, one after the other, read from their folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from bicyclegan.checkpoints import load_config
from bicyclegan.config import EVENTS_FILE, MODEL_FILE, from_json
from bicyclegan.errors import UserError
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.events import Event, RunStarted, read_events
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.training.stages import ROLES, Role, Stage, folder_name, local_start, read_stage


@dataclass(frozen=True)
class History:
    """All stages of a training, in order."""

    stages: tuple[Stage, ...] = ()
    runs: tuple[tuple[Event, ...], ...] = ()
    """Events of each, up to the checkpoint that was taken from it."""

    @property
    def starts(self) -> list[int]:
        """Updates made before each stage."""
        return [0, *accumulate(stage.steps for stage in self.stages)][:-1]

    def __add__(self, other: History) -> History:
        return History(self.stages + other.stages, self.runs + other.runs)


def read_history(runs: Sequence[Path], which: Role = "latest") -> History:
    """All stages of a training.

    Args:
        runs: run folders in order, at least one; the first may be a published checkpoint that was trained on since.
        which: what was taken from the last run. Of the others it is what the next one started from.

    Raises:
        UserError: when a folder is no run, has no such checkpoint yet, or did not start from the one before.
    """
    history = History()
    for index, folder in enumerate(runs):
        last = index == len(runs) - 1
        if (folder / MODEL_FILE).is_file():
            history += _published_history(folder, misplaced=index > 0 or last)
            continue
        config = _run_config(folder)
        start = _start_folder(folder, runs[index - 1], history.stages[-1]) if index else local_start(config.init_from)
        role = which if last else _role_of(runs[index + 1])
        history += _run_history(folder, config, role, start, first=not index)
    names = [stage.run for stage in history.stages]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise UserError(
            "publish_twice",
            "Two stages are runs called {name}: give each run once, and rename one of two different runs.",
            name=twice,
        )
    return history


def _run_config(folder: Path) -> TrainConfig:
    run = RunFolder(folder)
    if not run.config_file.is_file():
        raise UserError(
            "publish_no_run",
            "{folder} is no run (it has no config.json): give the folder that train --out made, such as runs/shoes.",
            folder=folder,
        )
    return run.load_config()


def _run_history(folder: Path, config: TrainConfig, role: Role, start: Path | None, first: bool) -> History:
    if not (folder / role / MODEL_FILE).is_file():
        raise UserError(
            "publish_no_checkpoint",
            "{run} has no checkpoint {role}/ yet: wait until the run has written one, or take the other with "
            "--which {other}.",
            run=folder,
            role=role,
            other=next(name for name in ROLES if name != role),
        )
    steps = load_config(folder / role).training.get("steps", config.steps)
    events = tuple(event for event in read_events(RunFolder(folder).events_file) if event.step <= steps)
    name = folder.resolve().name
    stage = read_stage(name, config, events, steps=steps, role=role, start=start, first=first)
    return History((stage,), (events,))


def _published_history(folder: Path, misplaced: bool) -> History:
    """That of a checkpoint that was published before and trained on since."""
    training = load_config(folder).training
    if misplaced or not training.get("stages"):
        raise UserError(
            "publish_checkpoint",
            "{folder} is a checkpoint. Give run folders; only the first may be a published checkpoint that the next "
            "run started from.",
            folder=folder,
        )
    stages = tuple(from_json(Stage, stage) for stage in training["stages"])
    runs: list[list[Event]] = []
    for event in read_events(folder / EVENTS_FILE):
        if not runs or (isinstance(event, RunStarted) and not event.resumed):
            runs.append([])
        runs[-1].append(event)
    if len(runs) != len(stages):  # somebody edited it: better no curves than wrong ones
        runs = [[] for _ in stages]
    return History(stages, tuple(map(tuple, runs)))


def _role_of(next_run: Path) -> Role:
    """Which checkpoint the next run started from, as its config tells."""
    role = Path(_run_config(next_run).init_from).name
    return next((each for each in ROLES if each == role), "latest")


def _start_folder(run: Path, before: Path, stage: Stage) -> Path:
    """The checkpoint folder of the stage before, on this machine. Raises `UserError` if that was not the start."""
    source = _run_config(run).init_from
    start = Path(source)
    if (before / MODEL_FILE).is_file():  # a published checkpoint: or, before it was published, its last run
        known = {folder_name(str(before)), stage.run}
        folder = before
    else:
        known = {before.resolve().name, folder_name(_run_config(before).out)}
        folder = before / stage.checkpoint
    name = folder_name(str(start.parent)) if start.name in ROLES else start.name
    if not source or name not in known:
        raise UserError(
            "publish_order",
            "{run} did not start from {before}, but from {start}. Give the stages of one training in their order, "
            "without a gap.",
            run=run,
            before=before,
            start=source or "random weights",
        )
    return folder
