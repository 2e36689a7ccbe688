"""How different the samples of one sketch are from each other."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from bicyclegan.metrics.distance import DISTANCES, Distance
from bicyclegan.metrics.outputs import Outputs
from bicyclegan.metrics.registry import register


def diversity(random: Tensor, distance: Distance) -> float:
    """Mean distance of consecutive samples of one sketch (paper, section 5.2): (K, S, 3, H, W), S at least 2."""
    return distance.measure(random[:, :-1].flatten(0, 1), random[:, 1:].flatten(0, 1)).mean().item()


def _register(distance: Distance) -> None:
    def several(outputs: Outputs) -> bool:
        return outputs.random.shape[1] > 1 and distance.available()

    measure: Callable[[Outputs], float] = lambda outputs: diversity(outputs.random, distance)  # noqa: E731
    needs = ", ".join(filter(None, ("a code", "at least 2 samples of each sketch", distance.needs)))
    register(f"diversity_{distance.name}", applies=several, needs=needs, better="higher", group="diversity")(measure)


for _distance in DISTANCES:
    _register(_distance)
