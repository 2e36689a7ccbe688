"""A run's events in the form in which they are judged: lines of numbers in order, and what could not be read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any, TypeVar

from bicyclegan.config import EVENTS_FILE
from bicyclegan.errors import UserError
from bicyclegan.training.checks import flat_options
from bicyclegan.training.config import MAX_STEPS, RecordConfig, TrainConfig
from bicyclegan.training.events import (
    KINDS,
    DataChecked,
    Event,
    Finding,
    RunEnded,
    RunStarted,
    StepLogged,
    Validated,
    from_line,
)
from bicyclegan.training.watch import spread

USUAL_RATE = 2e-4
"""Learning rate of Adam for GANs (Radford et al. 2016)."""
MAX_LINES = 1500
"""Lines of losses that are judged, evenly spread over the run."""
LARGEST_NUMBER = 1e300
MAX_BYTES = 512 << 20
"""Of a file of events that is read."""
EVENTS = "events.jsonl"
Kind = TypeVar("Kind")
Point = tuple[int, float]
"""Step and value."""


@dataclass(frozen=True)
class Problem:
    """Something in the file that could not be read; the rest was."""

    code: str
    """no_events, cut_off, damaged, unknown_kinds, other_program."""
    count: int = 0
    """Lines."""
    line: int = 0
    """The first of them, counted from 1."""


@dataclass(frozen=True)
class RunLog:
    """What a run wrote down. Lines hold nothing but finite numbers (None in losses) and settings of their types."""

    steps: tuple[StepLogged, ...] = ()
    validations: tuple[Validated, ...] = ()
    findings: tuple[Finding, ...] = ()
    starts: tuple[RunStarted, ...] = ()
    data: DataChecked | None = None
    ended: RunEnded | None = None
    """How it ended, unless it goes on since."""
    problems: tuple[Problem, ...] = ()
    since: int = 0
    """The update at which the settings last changed: what was before belongs to another run."""

    @property
    def last(self) -> int:
        """Updates made, as far as they are written down."""
        return max((each.step for each in (*self.steps[-1:], *self.validations[-1:])), default=0)

    @property
    def young(self) -> int:
        """Updates since the settings changed."""
        return self.last - self.since

    @cached_property
    def lines(self) -> tuple[StepLogged, ...]:
        """Lines of training since the settings changed."""
        return tuple(each for each in self.steps if each.step > self.since)

    @cached_property
    def learnt(self) -> float:
        """Updates since then in units of the usual learning rate, `USUAL_RATE`: ten small steps are one large one."""
        total, before = 0.0, self.since
        for each in self.lines:
            rate = each.learning_rates.get("generator")
            total += (each.step - before) * (rate / USUAL_RATE if is_number(rate) else 1.0)
            before = each.step
        return total

    @property
    def options(self) -> dict[str, Any]:
        """Settings of the run by name; empty for runs of older versions."""
        return self.starts[-1].options if self.starts else {}

    def number(self, option: str) -> float | None:
        """A setting that is a number; None where it is not known."""
        value = self.options.get(option)
        return value if is_number(value) else None

    def below(self, usual: dict[str, float]) -> dict[str, float]:
        """Those of these settings that are known and set lower."""
        return {name: value for name, value in usual.items() if (now := self.number(name)) is not None and now < value}

    @property
    def adversarial(self) -> str:
        """The adversarial loss. Of a run that does not tell, least squares where its scores look like it."""
        told = self.options.get("adversarial")
        if told:
            return told
        scores = [value for each in self.steps for value in each.scores.values() if is_number(value)]
        return "lsgan" if scores and -0.5 < min(scores) <= max(scores) < 1.6 else ""

    def series(self, group: str, name: str) -> list[Point]:
        """A number of the lines of training, since the settings changed: `series("losses", "l1")`."""
        return [(each.step, value) for each in self.lines if is_number(value := getattr(each, group).get(name))]

    def metric(self, *names: str) -> list[Point]:
        """A number of the validations, since the settings changed; of several names the first that is there.

        A name that ends with _ stands for all that begin so.
        """
        for name in names:
            found = [
                (each.step, value)
                for each in self.validations
                if each.step > self.since
                for key, value in each.metrics.items()
                if (key == name or (name.endswith("_") and key.startswith(name))) and is_number(value)
            ]
            if found:
                return found
        return []

    def dims(self, name: str) -> list[tuple[int, list[float]]]:
        """Numbers of each dim of the code: mu_mean, mu_variance or kl_per_dim."""
        return [
            (each.step, values)
            for each in self.lines
            if (values := getattr(each, name)) and all(is_number(value) for value in values)
        ]

    def shares(self, term: str) -> list[Point]:
        """Share of G's gradient that a loss had where it had a weight, since the settings changed.

        Not where none of several had any: then G is dead, and no single loss is to blame.
        """
        return [
            (each.step, value)
            for each in self.lines
            if is_number(value := each.gradient_shares.get(term))
            and (each.weights.get(term) or 0) > 0
            and (len(each.gradient_shares) == 1 or any(each.gradient_shares.values()))
        ]

    def adversarial_shares(self) -> list[Point]:
        """Share of G's gradient that comes from discriminators, since the settings changed."""
        return [
            (each.step, sum(parts))
            for each in self.lines
            if each.gradient_shares
            and all(map(is_number, each.gradient_shares.values()))
            and (parts := [value for name, value in each.gradient_shares.items() if name.startswith("gan")])
        ]

    def weight(self, term: str) -> float:
        """Newest weight of a loss; 0 for one that is off or unknown."""
        return (self.steps[-1].weights.get(term) or 0.0) if self.steps else 0.0

    @property
    def epoch(self) -> float:
        """How often every training picture was seen."""
        return self.steps[-1].epoch if self.steps else 0.0


def read_log(path: Path) -> RunLog:
    """The log of a run folder, or of a file of events. Lines that cannot be read are counted, never trusted.

    Raises:
        UserError: when there is no such folder or file, or nothing in it that could be the events of a run.
    """
    file = path / EVENTS if path.is_dir() else path
    if path.is_dir() and not file.is_file() and (path / EVENTS_FILE).is_file():
        file = path / EVENTS_FILE  # a published checkpoint
    if not file.is_file():
        raise UserError(
            "doctor_missing",
            "There is no run in {path}: no {name}. Name the folder of a run, such as runs/shoes.",
            path=path,
            name=f"{EVENTS} or {EVENTS_FILE}",
        )
    if file.stat().st_size > MAX_BYTES:
        raise UserError(
            "doctor_large",
            "{path} has {size} MB; up to {limit} MB are read. Is it the log of a run?",
            path=file,
            size=file.stat().st_size >> 20,
            limit=MAX_BYTES >> 20,
        )
    text = file.read_text(encoding="utf-8", errors="replace")
    events, problems = _read(text)
    return make_log(events, problems)


def make_log(events: Iterable[Event], problems: Iterable[Problem] = ()) -> RunLog:
    """The log of events in the order in which they were written."""
    sound = [cleaned(event) for event in events if 0 <= event.step <= MAX_STEPS and is_sound(event)]
    events = _newest_stage(sound)
    starts, ends = of(events, RunStarted), of(events, RunEnded)
    ended = ends[-1] if ends and (not starts or events.index(ends[-1]) > _last_place(events, starts[-1])) else None
    data, lines = of(events, DataChecked), sorted(of(events, StepLogged), key=lambda each: each.step)
    places = spread([each.step for each in lines], MAX_LINES, [bool(each.gradient_shares) for each in lines])
    return RunLog(
        steps=tuple(lines[place] for place in places),
        validations=tuple(sorted(of(events, Validated), key=lambda each: each.step)),
        findings=tuple(of(events, Finding)),
        starts=tuple(starts),
        data=data[-1] if data else None,
        ended=ended,
        problems=tuple(problems),
        since=max((after.step for before, after in pairwise(starts) if learns_otherwise(before, after)), default=0),
    )


def learns_otherwise(before: RunStarted, after: RunStarted) -> bool:
    """Whether settings that decide what is learnt have changed between two starts; not where one does not tell any."""
    learning = [
        {key: value for key, value in start.options.items() if key not in NOT_LEARNING} for start in (before, after)
    ]
    return all(learning) and learning[0] != learning[1]


def of(events: Iterable[Event], kind: type[Kind]) -> list[Kind]:
    """Those of one kind."""
    return [event for event in events if isinstance(event, kind)]


def is_number(value: object) -> bool:
    """Whether it is a finite number: None stands for one that is not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER


def recent(points: list[Point], share: float = 0.4, least: int = 3) -> list[Point]:
    """The newest points: those of the last part of the steps, `least` of them if there are so many."""
    if len(points) <= least:
        return points
    begin = points[-1][0] - share * (points[-1][0] - points[0][0])
    found = [point for point in points if point[0] >= begin]
    return found if len(found) >= least else points[-least:]


def mean_of(points: list[Point]) -> float:
    """Mean of the values; 0 for none."""
    return fmean(value for _, value in points) if points else 0.0


def median_of(points: list[Point]) -> float:
    """Median of the values; 0 for none."""
    return median(value for _, value in points) if points else 0.0


def _read(text: str) -> tuple[list[Event], list[Problem]]:
    events, bad, foreign, unknown = [], [], [], []
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        event = from_line(line)
        if event is not None:
            events.append(event)
        elif (kind := _kind(line)) is None:
            bad.append(number)
        elif kind == "":
            foreign.append(number)
        else:
            unknown.append(number)
    problems = []
    if bad and bad[-1] == len(lines) and not text.endswith("\n"):
        problems.append(Problem("cut_off", 1, bad.pop()))
    for code, places in (("damaged", bad), ("other_program", foreign), ("unknown_kinds", unknown)):
        if places:
            problems.append(Problem(code, len(places), places[0]))
    if not events:
        problems.append(Problem("no_events"))
    return events, problems


def _kind(line: str) -> str | None:
    """Of a line that is no event: None where it is no JSON object, "" where it has no kind of ours."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    kind = data.get("kind")
    if not isinstance(kind, str) or type(data.get("step")) is not int:
        return ""
    return None if kind in KINDS else kind


GROUPS: dict[type, tuple[tuple[str, type], ...]] = {
    StepLogged: (
        *((name, dict) for name in ("losses", "scores", "inputs", "gradient_norms", "gradient_shares", "weights")),
        *((name, list) for name in ("mu_mean", "mu_variance", "kl_per_dim")),
        ("learning_rates", dict),
    ),
    Validated: (("metrics", dict), ("scores", dict)),
    RunStarted: (("options", dict),),
    DataChecked: (("report", dict),),
    Finding: (("name", str), ("severity", str), ("evidence", str), ("patch", dict)),
    RunEnded: (("reason", str), ("message", str)),
}
"""Fields of events that rules read, with their types."""


def is_sound(event: Event) -> bool:
    """Whether its groups are what they should be: files come from anywhere."""
    return all(isinstance(getattr(event, name), kind) for name, kind in GROUPS.get(type(event), ()))


def cleaned(event: Event) -> Event:
    """A sound event with numbers alone where numbers belong; None stands for those that are not finite."""
    if isinstance(event, RunStarted):
        return dataclasses.replace(event, options=_typed(event.options))
    if not isinstance(event, (StepLogged, Validated)):
        return event
    groups: dict[str, Any] = {}
    for name, kind in GROUPS[type(event)]:
        value = getattr(event, name)
        if kind is dict:
            groups[name] = {key: item for key, item in value.items() if item is None or is_number(item)}
        else:
            groups[name] = [item if is_number(item) else None for item in value]
    if isinstance(event, StepLogged):
        groups["epoch"] = event.epoch if is_number(event.epoch) else 0.0
    return dataclasses.replace(event, **groups)


def _typed(options: dict[str, Any]) -> dict[str, Any]:
    """Settings without those whose type is not that of the config's field."""
    known = _usual_options()

    def fits(name: str, value: Any) -> bool:
        usual = known.get(name)
        if isinstance(usual, bool) or usual is None:
            return isinstance(value, (bool, int, float, str))
        return is_number(value) if isinstance(usual, (int, float)) else isinstance(value, type(usual))

    return {name: value for name, value in options.items() if fits(name, value)}


@cache
def _usual_options() -> dict[str, Any]:
    return flat_options(TrainConfig())


def _newest_stage(events: list[Event]) -> list[Event]:
    """What came after the last start from the beginning: a model may tell of several trainings, one after the other."""
    begins = [place for place, event in enumerate(events) if isinstance(event, RunStarted) and not event.resumed]
    return events[begins[-1] :] if begins else events


def _last_place(events: list[Event], event: Event) -> int:
    return next(place for place in range(len(events) - 1, -1, -1) if events[place] is event)


NOT_LEARNING = frozenset(
    (
        *("data", "out", "steps", "device", "precision", "num_workers", "cache_dir", "preset", "init_from"),
        *(each.name for each in dataclasses.fields(RecordConfig)),
    )
)
"""Settings that may change while all goes on as it was."""
