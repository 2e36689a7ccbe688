"""How a run is, as its files and locks tell it: the same for all who look, also after a restart of the studio."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bicyclegan.errors import UserError
from bicyclegan.training.events import Event, RunEnded, RunStarted, StepLogged, from_line
from bicyclegan.training.job_files import JobFiles, JobNotes, read_json, read_tail
from bicyclegan.training.job_queue import WAITS, count_ahead
from bicyclegan.training.process_lock import Holder, holder
from bicyclegan.training.run_folder import RunFolder

State = Literal["draft", "waiting", "starting", "training", "stopping", "stopped", "completed", "failed", "died"]
ALIVE = ("waiting", "starting", "training", "stopping")
"""States in which a run has a process."""
TAIL_BYTES = 65_536
"""That are read of the events, whose number grows with the run: about the last thirty lines of losses."""


@dataclass(frozen=True)
class JobStatus:
    """A run at one moment."""

    state: State
    """draft: has pictures at most. waiting: for other runs to end. starting: reads pictures and makes networks.
    stopping: writes its checkpoint. stopped: somebody asked it to. failed: `error` says why. died: nobody knows why."""
    step: int = 0
    """Updates made, as far as they are written down."""
    steps: int = 0
    """Updates to make."""
    ahead: int = 0
    """waiting: runs that go before."""
    error: UserError | None = None
    """failed, died: what went wrong and what helps."""
    tail: str = ""
    """failed, died: the last lines that its process said."""
    resumable: bool = False
    """Whether it can go on: from its newest checkpoint, or from the beginning where there is none."""
    title: str = ""
    created: float = 0.0
    """Seconds since 1970; 0 where nobody knows."""
    lesson: str = ""
    """Of the pitfall lab."""
    side: str = ""
    """sick or healthy, of a lesson."""
    group: str = ""
    """The same for both sides of a lesson."""
    cured: int | None = None
    """Updates that were made when the doctor's remedy was applied last."""

    @property
    def alive(self) -> bool:
        """Whether it has a process."""
        return self.state in ALIVE


@dataclass(frozen=True)
class _Story:
    """What the end of the events tells."""

    step: int = 0
    started: RunStarted | None = None
    logged: StepLogged | None = None
    """Since it started or went on."""
    ended: RunEnded | None = None


def read_status(folder: Path) -> JobStatus:
    """The status of a run or draft. Cheap: it reads the end of the events, not all."""
    files, run = JobFiles(folder), RunFolder(folder)
    notes = files.notes()
    story = _read_story(run.events_file)
    if who := holder(files.lock_file) or holder(run.lock_file):
        state, ahead = _living_state(folder, notes, story, who)
        return _status(folder, notes, story.step, state, ahead=ahead)
    if notes is not None and notes.config is None and not run.config_file.exists():
        return _status(folder, notes, 0, "draft")
    state, error = _end(files, run, notes, story)
    tail = files.log_tail() if error else ""
    return _status(folder, notes, story.step, state, error=error, tail=tail, resumable=True)


def _status(folder: Path, notes: JobNotes | None, step: int, state: State, **fields: object) -> JobStatus:
    steps = read_json(RunFolder(folder).config_file).get("steps")
    if not isinstance(steps, int):
        steps = notes.steps if notes else 0
    title = (notes.title if notes else "") or folder.name
    notes = notes or JobNotes()
    about = {name: getattr(notes, name) for name in ("created", "lesson", "side", "group", "cured")}
    return JobStatus(state, step, steps, title=title, **about, **fields)


def _living_state(folder: Path, notes: JobNotes | None, story: _Story, who: Holder) -> tuple[State, int]:
    asked, _ = JobFiles(folder).stopping()
    if asked and asked == who.pid:
        return "stopping", 0
    if who.word == WAITS and notes is not None:
        return "waiting", count_ahead(folder.parent, folder.name, notes)
    # A run that goes on finds the events of its life before.
    since = notes.queued if notes else 0.0
    if story.ended and story.ended.time >= since and story.logged:
        return "stopping", 0
    return ("training" if story.logged and story.logged.time >= since and not story.ended else "starting"), 0


def _end(files: JobFiles, run: RunFolder, notes: JobNotes | None, story: _Story) -> tuple[State, UserError | None]:
    """How it ended, and what went wrong. Only what came after its last start counts."""
    begun = max(notes.queued if notes else 0.0, story.started.time if story.started else 0.0)
    ended = story.ended if story.ended and story.ended.time >= begun else None
    told = files.error()
    if told and told[1] >= max(begun, ended.time if ended else 0.0):
        return "failed", told[0]
    if ended:
        if ended.reason != "failed":
            return ended.reason, None
        return "failed", UserError("job_failed", "The training ended with an error: {why}", why=ended.message)
    if files.stopping()[1] >= begun > 0:
        return "stopped", None
    return "died", _death(bool(run.checkpoints()))


def _death(goes_on: bool) -> UserError:
    if goes_on:
        return UserError(
            "job_died",
            "The training was cut off: its process was ended from outside, for want of memory or with the machine. "
            "It can go on from its last checkpoint.",
        )
    return UserError(
        "job_died_early",
        "The training was cut off before its first checkpoint: its process was ended from outside, for want of memory "
        "or with the machine. It can begin again.",
    )


def _read_story(path: Path) -> _Story:
    try:
        text = read_tail(path, TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return _Story()
    events = [event for line in text.splitlines() if (event := from_line(line))]  # the first may be half a line
    starts = [place for place, event in enumerate(events) if isinstance(event, RunStarted)]
    since = events[starts[-1] if starts else 0 :]
    return _Story(
        step=events[-1].step if events else 0,
        started=_last(since, RunStarted),
        logged=_last(since, StepLogged),
        ended=_last(since, RunEnded),
    )


def _last(events: list[Event], kind: type) -> Event | None:
    return next((event for event in reversed(events) if isinstance(event, kind)), None)
