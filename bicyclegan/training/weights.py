"""Weights that change during a run, as one line of text: `lambda_l1=5@30e lambda_kl=0@0 lambda_kl=0.01@10%-30%`.

Each entry is NAME=VALUE@TIME, from then on, or NAME=VALUE@TIME-TIME, on a straight line from what it was. A TIME is a
number of updates (5000), of epochs (30e) or a share of the run (50%). Pure functions of the update: nothing is saved.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from bicyclegan.errors import UserError

Unit = Literal["", "e", "%"]
NUMBER = r"\d+(?:\.\d*)?|\.\d+"
TIME = rf"({NUMBER})(e|%)?"
ENTRY = re.compile(rf"(\w+)=((?:{NUMBER})(?:[eE]-?\d+)?)@{TIME}(?:-{TIME})?")


@dataclass(frozen=True)
class RunLength:
    """What epochs and shares of a run are counted in."""

    steps: int
    """Updates of the whole run."""
    steps_per_epoch: float
    """Updates in which every training picture is seen once."""


@dataclass(frozen=True)
class Moment:
    """A time of a run."""

    amount: float
    unit: Unit = ""

    def updates(self, length: RunLength | None) -> float:
        """How many updates were made by then. Without a length, which only plain numbers need not know, never."""
        if not self.unit:
            return self.amount
        if length is None:
            return math.inf if self.amount else 0.0
        return self.amount * (length.steps_per_epoch if self.unit == "e" else length.steps / 100)


@dataclass(frozen=True)
class Change:
    """One entry: `name` becomes `value` between two moments."""

    name: str
    value: float
    start: Moment
    end: Moment


@lru_cache(maxsize=64)
def read_schedule(text: str) -> tuple[Change, ...]:
    """All entries, in order; names and values are not checked. Raises `UserError` for anything else."""
    return tuple(map(_read_entry, text.split()))


def scheduled(text: str, name: str, base: float, number: int | None, length: RunLength | None = None) -> float:
    """What a weight is in one update.

    Args:
        text: the schedule.
        name: of the weight.
        base: what it is until something changes.
        number: of the update, counted from 1; None for the end of the run.
        length: of the run; without one, epochs and shares never come.
    """
    value = base
    for change in read_schedule(text):
        if change.name == name:
            value = change.value if number is None else _moved(value, change, number - 1, length)
    return value


def _moved(value: float, change: Change, done: int, length: RunLength | None) -> float:
    """`value` as far towards that of the change as it has come after `done` updates."""
    start, end = change.start.updates(length), change.end.updates(length)
    if done < start:
        return value
    return change.value if done >= end else value + (change.value - value) * (done - start) / (end - start)


def _read_entry(entry: str) -> Change:
    found = ENTRY.fullmatch(entry)
    if not found:
        raise _unreadable(entry)
    name, value, *times = found.groups()
    start = Moment(float(times[0]), times[1] or "")
    end = Moment(float(times[2]), times[3] or "") if times[2] else start
    if start.unit == end.unit and end.amount < start.amount:
        raise _unreadable(entry)
    return Change(name, float(value), start, end)


def _unreadable(entry: str) -> UserError:
    return UserError(
        "weight_schedule",
        "weight_schedule holds {entry!r}; entries are NAME=VALUE@TIME or NAME=VALUE@TIME-TIME, such as "
        "lambda_l1=5@30e or lambda_kl=0.01@10%-30%, where a TIME is updates (5000), epochs (30e) or a share of the run "
        "(50%), and the second is not before the first.",
        entry=entry,
    )
