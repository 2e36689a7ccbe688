"""What a rule is made of, and what it says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from bicyclegan.training.run_log import Point, RunLog
from bicyclegan.training.watch import spread

Severity = Literal["note", "watch", "ill"]
SEVERITIES: tuple[Severity, ...] = ("ill", "watch", "note")
"""Worst first."""
MAX_POINTS = 80
"""Of a line in a small chart."""


@dataclass(frozen=True)
class Line:
    """One line of a small chart."""

    name: str
    """As in `watch`: score.real_random, share.gan_random, latent_l1, or the name of a metric."""
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Chart:
    """The evidence as a picture."""

    lines: tuple[Line, ...]
    level: float | None = None
    """A value to compare with."""


@dataclass(frozen=True)
class Diagnosis:
    """One thing that goes wrong, with what shows it and what helps."""

    name: str
    severity: Severity
    step: int
    """The update up to which the log was read."""
    values: dict[str, Any] = field(default_factory=dict)
    """Numbers and words of the sentences."""
    patch: dict[str, Any] = field(default_factory=dict)
    """Fields of the config to change, by name; empty where the fault is in the code or the pictures."""
    chart: Chart | None = None
    variant: str = ""
    """Which of several sentences are meant, words with blanks between."""
    follows: str = ""
    """Name of the finding that it follows from: to be mended first, and alone."""


Judge: TypeAlias = Callable[[RunLog], "Diagnosis | None"]


@dataclass(frozen=True)
class Rule:
    """Looks for one thing."""

    name: str
    least: int
    """Updates since the settings last changed before which it says nothing: a young run looks like a sick one."""
    judge: Judge

    def __call__(self, log: RunLog) -> Diagnosis | None:
        return self.judge(log) if log.young >= self.least else None


def rule(name: str, least: int) -> Callable[[Judge], Rule]:
    """Make a function of a log a rule. The fields are those of `Rule`."""
    return lambda judge: Rule(name, least, judge)


def line(name: str, points: list[Point]) -> Line:
    """A line of a chart, of no more points than it can show."""
    places = spread([step for step, _ in points], MAX_POINTS)
    chosen = [points[place] for place in places]
    return Line(name, tuple(step for step, _ in chosen), tuple(short(value) for _, value in chosen))


def chart(*lines: Line, level: float | None = None) -> Chart | None:
    """A chart of the lines that have any point."""
    found = tuple(each for each in lines if each.steps)
    return Chart(found, level) if found else None


def short(value: float) -> float:
    """Three digits: more are no evidence."""
    return float(f"{value:.3g}")


def sigmoid(value: float) -> float:
    """What a logit says as a probability."""
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, value))))
