"""What the events of a run tell: its numbers, how it went on, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal, TypeAlias

from bicyclegan.metrics.reading import plain
from bicyclegan.training.comparison.track import Clock, Row, Track, number, read_row, thinned
from bicyclegan.training.config import MAX_STEPS
from bicyclegan.training.events import (
    DataChecked,
    Event,
    Finding,
    Number,
    RunEnded,
    RunStarted,
    StepLogged,
    Validated,
    from_line,
)
from bicyclegan.training.run_folder import RunFolder

State: TypeAlias = Literal["completed", "stopped", "failed", "running", "cut off"]
END_STATES: tuple[State, ...] = ("completed", "stopped", "failed")
MAX_FINDINGS = 20
"""Of a run that are shown, the newest."""
MAX_TEXT = 600


@dataclass(frozen=True)
class Problem:
    """A finding of a run, as a page shows it."""

    step: int
    name: str
    severity: str
    text: str


@dataclass(frozen=True)
class Story:
    """A run from its first line to its last."""

    state: State = "cut off"
    """running: a process holds the run. cut off: none does, and no line says how it ended."""
    message: str = ""
    """With which it ended: a signal, or what failed."""
    last_step: int = 0
    seconds: Number = None
    """Of training in all."""
    resumed_at: tuple[int, ...] = ()
    """Updates after which it was resumed."""
    started: dict[str, Any] = field(default_factory=dict)
    """Of its first line: device, precision, processes, parameters, version, torch."""
    data: dict[str, Any] = field(default_factory=dict)
    """What the check of the data found."""
    training: Track = field(default_factory=Track)
    """Thinned if it is long."""
    validations: Track = field(default_factory=Track)
    """All of them."""
    speed: Number = None
    """Images per second: median over all lines."""
    memory: Number = None
    """Most that was taken, in MB."""
    findings: tuple[Problem, ...] = ()
    more_findings: int = 0
    """Findings that are left out."""
    events: int = 0
    """Lines that could be read."""
    unread: int = 0
    """Lines that could not."""


def read_story(folder: RunFolder) -> Story:
    """Read the events of a run. Lines that cannot be read are counted and left out."""
    reader = _Reader()
    for event in _events(folder.events_file):
        reader.take(event)
    return reader.story(is_held(folder))


def is_held(folder: RunFolder) -> bool:
    """Whether a process on this machine trains this run right now. Changes nothing in the folder."""
    try:
        import fcntl

        with (folder.root / ".lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):  # Windows; never locked, or on a disk without locks
        return False
    return False


class _Reader:
    """Takes events in the order of their file."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.starts: list[RunStarted] = []
        self.end: RunEnded | None = None
        self.data: dict[str, Any] = {}
        self.rows: dict[type, list[Row]] = {StepLogged: [], Validated: []}
        self.findings: list[Finding] = []
        self.last_step, self.seconds = 0, None
        self.events = self.unread = 0

    def take(self, event: Event | None) -> None:
        if event is None or not 0 <= event.step <= MAX_STEPS:
            self.unread += 1
            return
        self.events += 1
        seconds = self.clock.read(event)
        self.seconds = self.seconds if seconds is None else seconds
        self.last_step = max(self.last_step, event.step)
        self.end = event if isinstance(event, RunEnded) else None  # a run that goes on has not ended
        if isinstance(event, (StepLogged, Validated)):
            self.rows[type(event)].append(read_row(event, seconds))
        elif isinstance(event, RunStarted):
            self.starts.append(event)
        elif isinstance(event, Finding):
            self.findings.append(event)
        elif isinstance(event, DataChecked) and isinstance(event.report, dict):
            self.data = event.report

    def story(self, held: bool) -> Story:
        rows = Track(tuple(self.rows[StepLogged]))
        return Story(
            state=self._state(held),
            message=plain(self.end.message, MAX_TEXT) if self.end else "",
            last_step=self.last_step,
            seconds=self.seconds,
            resumed_at=tuple(start.step for start in self.starts if start.resumed is True),
            started=vars(self.starts[0]) if self.starts else {},
            data=self.data,
            training=thinned(rows.rows),
            validations=Track(tuple(self.rows[Validated])),
            speed=median(rows.known("speed")) if rows.known("speed") else None,
            memory=max(rows.known("memory"), default=None),
            findings=tuple(map(_problem, self.findings[-MAX_FINDINGS:])),
            more_findings=max(0, len(self.findings) - MAX_FINDINGS),
            events=self.events,
            unread=self.unread,
        )

    def _state(self, held: bool) -> State:
        if held:
            return "running"
        reason = self.end.reason if self.end else ""
        return next((state for state in END_STATES if state == reason), "cut off")


def _events(path: Path) -> Iterator[Event | None]:
    """Events of a file, None for each line that is none; nothing if there is no file."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        yield from (from_line(line) for line in file if line.strip())


def _problem(finding: Finding) -> Problem:
    parts = (finding.evidence, finding.cause, finding.remedy)
    text = " ".join(plain(part, MAX_TEXT) for part in parts if isinstance(part, str) and part.strip())
    return Problem(finding.step, plain(finding.name, 60), plain(finding.severity, 20), text)


def positive(value: object) -> int | None:
    """A count that came from a file, if it is one."""
    found = number(value)
    return int(found) if found is not None and found >= 1 else None
