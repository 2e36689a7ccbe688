"""Which metrics there are, which of them apply, and how one is added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch

from bicyclegan.errors import UserError
from bicyclegan.metrics.outputs import Outputs

Value: TypeAlias = "float | list[float]"
"""One number, or one for each dim of z."""
Measure: TypeAlias = Callable[[Outputs], Value]
Better: TypeAlias = Literal["lower", "higher", ""]


@dataclass(frozen=True)
class Metric:
    """A measurement. Its name says the protocol: another network or another version is another name."""

    name: str
    measure: Measure
    applies: Callable[[Outputs], bool]
    """Whether these outputs hold what it needs."""
    needs: str
    """What that is, for messages: "an encoder"."""
    better: Better
    """Which values are better; empty where neither is, as for a statistic."""
    group: str
    """Of a group only the first metric that applies is measured unless others are asked for by name."""


METRICS: dict[str, Metric] = {}
"""All metrics by name, in the order in which they are measured."""


def register(
    name: str,
    *,
    applies: Callable[[Outputs], bool] = lambda outputs: True,
    needs: str = "",
    better: Better = "",
    group: str = "",
) -> Callable[[Measure], Measure]:
    """Make a function of `Outputs` a metric. The fields are those of `Metric`."""
    assert name not in METRICS, f"two metrics are called {name}"

    def add(measure: Measure) -> Measure:
        METRICS[name] = Metric(name, measure, applies, needs, better, group)
        return measure

    return add


def evaluate(outputs: Outputs, names: Sequence[str] | None = None) -> dict[str, Value]:
    """Measure.

    Args:
        outputs: what `compute_outputs` returns.
        names: metrics to measure, in this order; by default all that apply, of each group the first.

    Returns:
        Plain numbers by name, ready for JSON.

    Raises:
        UserError: for a name that is unknown, or a metric that these outputs do not allow.
    """
    chosen = _usual(outputs) if names is None else [_asked(name, outputs) for name in names]
    with torch.inference_mode():
        return {metric.name: metric.measure(outputs) for metric in chosen}


def rankable(name: str) -> Metric:
    """The metric of this name, if it can decide which of two checkpoints is better. Raises `UserError`."""
    metric = METRICS.get(name)
    if metric is None or not metric.better:
        raise UserError(
            "metric_rank",
            "Checkpoints cannot be ranked by {name!r}; use one of {known}.",
            name=name,
            known=", ".join(each.name for each in METRICS.values() if each.better),
        )
    return metric


def _usual(outputs: Outputs) -> list[Metric]:
    chosen: list[Metric] = []
    for metric in METRICS.values():
        taken = bool(metric.group) and metric.group in {each.group for each in chosen}
        if not taken and metric.applies(outputs):
            chosen.append(metric)
    return chosen


def _asked(name: str, outputs: Outputs) -> Metric:
    metric = METRICS.get(name)
    if metric is None:
        raise UserError(
            "metric_unknown",
            "There is no metric {name!r}; use one of {known}.",
            name=name,
            known=", ".join(METRICS),
        )
    if not metric.applies(outputs):
        raise UserError(
            "metric_needs",
            "{name} cannot be measured here: it needs {needs}. Leave it out, or provide that.",
            name=name,
            needs=metric.needs,
        )
    return metric
