"""How the runs stand in each metric of validation: best value, newest value, and that at an update which all have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bicyclegan.metrics import METRICS
from bicyclegan.metrics.registry import Better
from bicyclegan.training.comparison.differences import incomparable, incomparable_metric
from bicyclegan.training.comparison.runs import Run
from bicyclegan.training.comparison.words import METRIC_ORDER, metric_words, place_among
from bicyclegan.training.events import Number


@dataclass(frozen=True)
class Reached:
    """A value, and what it took."""

    value: float
    step: int
    images: int | None
    seconds: Number


Reach = tuple["Reached | None", ...]
"""One for each run; None where it was not measured."""


@dataclass(frozen=True)
class Standing:
    """One metric across runs."""

    name: str
    title: str
    sentence: str
    better: Better
    best: Reach
    """The best value of each run; nowhere any where neither direction is better."""
    newest: Reach
    common: Reach
    """At `common_step`."""
    why_not: str
    """Why values of different runs cannot be held against each other; empty where they can."""

    def leaders(self, reached: Reach) -> list[int]:
        """Places of the runs with the best of some values; none where all are equal or cannot be compared."""
        values = {place: each.value for place, each in enumerate(reached) if each}
        if not self.better or self.why_not or len(set(values.values())) < 2:
            return []
        top = _better(self.better)(values.values())
        return [place for place, value in values.items() if value == top]


def standings(runs: Sequence[Run]) -> list[Standing]:
    """All metrics that are single numbers, those with a better direction first, else in the order of the charts."""
    names = dict.fromkeys(name for run in runs for name in run.story.validations.names("metric"))
    order = sorted(names, key=place_among(METRIC_ORDER))  # that of METRICS depends on who was imported first
    everywhere = incomparable(runs)
    found = [_standing(runs, name, everywhere) for name in order]
    return sorted(found, key=lambda standing: not standing.better)  # stable


def common_step(runs: Sequence[Run]) -> int | None:
    """The last update at which all runs that were validated were so."""
    steps = [{row.step for row in run.story.validations.rows} for run in runs if run.story.validations.rows]
    return max(set.intersection(*steps), default=None) if len(steps) > 1 else None


def standing_json(standing: Standing) -> dict[str, Any]:
    """Plain data, with the places of the best runs."""
    leaders = {f"{part}_leaders": standing.leaders(getattr(standing, part)) for part in ("best", "newest", "common")}
    return {**asdict(standing), **leaders}


def _standing(runs: Sequence[Run], name: str, everywhere: str) -> Standing:
    words, better = metric_words(name), METRICS[name].better if name in METRICS else ""
    shared = common_step(runs)
    values = [_values(run, name) for run in runs]
    return Standing(
        name=name,
        title=words.title,
        sentence=words.sentence,
        better=better,
        best=tuple(_best(each, better) for each in values),
        newest=tuple(each[-1] if each else None for each in values),
        common=tuple(next((one for one in reversed(each) if one.step == shared), None) for each in values),
        why_not=everywhere or incomparable_metric(runs, name),
    )


def _values(run: Run, name: str) -> list[Reached]:
    """All measurements of a metric, in order."""
    rows = run.story.validations.rows
    return [
        Reached(value, row.step, run.images(row.step), row.seconds)
        for row in rows
        if (value := row.values.get(f"metric.{name}")) is not None
    ]


def _best(values: Sequence[Reached], better: Better) -> Reached | None:
    """The first of the best."""
    return _better(better)(values, key=lambda each: each.value) if values and better else None


def _better(better: Better) -> Callable[..., Any]:
    return min if better == "lower" else max
