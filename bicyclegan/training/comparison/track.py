"""Numbers of a run over its updates, taken from events that may hold anything in their place."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np

from bicyclegan.metrics.reading import plain
from bicyclegan.training.events import Event, Number, RunStarted, StepLogged, Validated

MAX_LINES = 400
"""Rows that are kept of a long run: as many as a chart has px to show."""
MAX_NAMES, NAME_LENGTH = 64, 60
"""Different numbers of one kind that are read from a line, and characters of their names."""
LARGEST = 1e30
"""No chart or table can say more of a larger number than that it is too large."""


@dataclass(frozen=True)
class Row:
    """What was written down after some update."""

    step: int
    seconds: Number
    """Of training until then, without pauses between a stop and a resume; None where lines have no time."""
    values: dict[str, Number] = field(default_factory=dict)
    """By kind and name, as in loss.l1, score.real_encoded, metric.kl. None stands for NaN and infinity."""


@dataclass(frozen=True)
class Track:
    """Rows in the order of their updates."""

    rows: tuple[Row, ...] = ()

    def names(self, kind: str) -> list[str]:
        """Names of one kind for which there is a number, in the order in which they first occur."""
        found = dict.fromkeys(name for row in self.rows for name, value in row.values.items() if value is not None)
        return [name.removeprefix(f"{kind}.") for name in found if name.startswith(f"{kind}.")]

    def line(self, name: str) -> list[Number]:
        """A number for each row, None where it has none."""
        return [row.values.get(name) for row in self.rows]

    def known(self, name: str) -> list[float]:
        """All values that are numbers."""
        return [value for value in self.line(name) if value is not None]


class Clock:
    """Seconds of training: the pause between a stop and a resume is none."""

    def __init__(self) -> None:
        self._before, self._start, self._now = 0.0, None, 0.0

    def read(self, event: Event) -> Number:
        """Seconds until an event of a run, in the order of its file; None if it has no time."""
        time = number(event.time)
        if not time:
            return None
        if isinstance(event, RunStarted) or self._start is None:
            self._before, self._start = self._now, time
        self._now = max(self._now, self._before + time - self._start)  # clocks are set back now and then
        return self._now


def read_row(event: StepLogged | Validated, seconds: Number) -> Row:
    """The numbers of a line that are worth comparing."""
    read = _of_step if isinstance(event, StepLogged) else _of_validation
    return Row(event.step, seconds, read(event))


def thinned(rows: Sequence[Row], most: int = MAX_LINES) -> Track:
    """Rows in order, as they are or, of a long run, means of neighbours: losses are noisy, a choice would be too."""
    if len(rows) <= most:
        return Track(tuple(rows))
    groups = np.array_split(np.arange(len(rows)), most)
    return Track(tuple(_mean([rows[place] for place in group]) for group in groups))


def number(value: object) -> Number:
    """A finite number of a size that can be shown, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) <= LARGEST else None  # not for NaN either


def _of_step(event: StepLogged) -> dict[str, Number]:
    values = {
        **_numbers("loss", event.losses),
        **_numbers("score", event.scores),
        **_numbers("norm", event.gradient_norms),
        **_numbers("rate", event.learning_rates),
        "kl": _sum(event.kl_per_dim),
        "speed": number(event.images_per_second),
        "memory": number(event.memory_mb),
    }
    return {name: value for name, value in values.items() if value != 0 or name not in ("speed", "memory")}


def _of_validation(event: Validated) -> dict[str, Number]:
    gap, pictures = number(event.encoded_random_gap), number(event.images)
    return {
        **_numbers("metric", event.metrics, lambda value: not isinstance(value, (list, dict, str))),
        **({"metric.encoded_random_gap": gap} if gap is not None else {}),
        **({"pictures": pictures} if pictures else {}),
    }


def _numbers(kind: str, values: Any, single: Callable[[object], bool] = lambda value: True) -> dict[str, Number]:
    if not isinstance(values, dict):
        return {}
    named = [(str(name), value) for name, value in values.items() if single(value)][:MAX_NAMES]
    return {f"{kind}.{plain(name, NAME_LENGTH)}": number(value) for name, value in named}


def _sum(values: Any) -> Number:
    """Over dims; None where there are none, or one is no number."""
    numbers = [number(value) for value in values] if isinstance(values, (list, tuple)) else []
    return None if not numbers or None in numbers else number(math.fsum(numbers))


def _mean(rows: Sequence[Row]) -> Row:
    """One row in place of several: means of what is known, at the update in their middle."""
    middle = rows[len(rows) // 2]
    names = dict.fromkeys(name for row in rows for name in row.values)
    known = {name: [row.values[name] for row in rows if row.values.get(name) is not None] for name in names}
    return Row(middle.step, middle.seconds, {name: fmean(part) if part else None for name, part in known.items()})
