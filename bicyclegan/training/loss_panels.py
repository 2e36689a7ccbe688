"""What of a training is worth a curve, read from the events of its runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from bicyclegan.metrics.latent import LATENT_CHANCE
from bicyclegan.training.curves import Panel, Series
from bicyclegan.training.events import Event, Number, StepLogged, Validated

LATENT_L2_CHANCE = 1.0
"""E z^2: what an encoder scores that recovers nothing."""
DIVERSITY = "diversity_"
"""How the names of metrics of diversity begin; the distance follows."""
Runs = Sequence[Sequence[Event]]
"""Events of one run after the other."""


def loss_panels(runs: Runs, starts: Sequence[int]) -> list[Panel]:
    """Panels for which there are numbers: pixel L1, KL, latent L1, losses of D and of G, remedies, diversity.

    Args:
        runs: stages of a training, in order.
        starts: step of the whole training at which each begins.
    """
    joined = _Joined(runs, starts)
    panels = [
        Panel("Pixel L1, pictures in [-1, 1]", joined.both(_loss("l1"), "reconstruction_l1")),
        Panel("KL of the code to N(0, I), in nats", joined.both(_kl, "kl")),
        Panel(
            "Latent L1: |z - E(G(A, z))|",
            joined.both(_loss("latent_l1"), "latent_l1"),
            level=LATENT_CHANCE,
            level_name=f"chance {LATENT_CHANCE:.3f}",
        ),
        Panel("Losses of the discriminators", joined.paths("d_encoded", "d_random")),
        Panel("Adversarial losses of G", joined.paths("gan_encoded", "gan_random")),
        Panel("Pixel L2, pictures in [-1, 1]", joined.series("training", StepLogged, _loss("l2"))),
        Panel(
            "Latent L2: (z - E(G(A, z)))\u00b2",
            joined.series("training", StepLogged, _loss("latent_l2")),
            level=LATENT_L2_CHANCE,
            level_name=f"chance {LATENT_L2_CHANCE:g}",
        ),
        Panel("Perceptual loss", joined.series("training", StepLogged, _loss("perceptual"))),
        Panel(
            "Mode seeking: codes apart / pictures apart", joined.series("training", StepLogged, _loss("mode_seeking"))
        ),
        Panel("Gradient penalties", joined.paths("penalty_encoded", "penalty_random")),
        Panel("Diversity of samples of one sketch", joined.diversities()),
    ]
    return [panel for panel in panels if panel.series]


class _Joined:
    """The stages on one axis of steps."""

    def __init__(self, runs: Runs, starts: Sequence[int]):
        self.runs, self.starts = runs, starts

    def series(self, name: str, kind: type, read: Callable[[Event], Number], *, dots: bool = False) -> list[Series]:
        """One line, interrupted between stages; none at all without a number."""
        steps: list[float] = []
        values: list[Number] = []
        for run, start in zip(self.runs, self.starts, strict=True):
            if values:
                steps.append(start)
                values.append(None)
            for event in run:
                if isinstance(event, kind):
                    steps.append(start + event.step)
                    values.append(_number(read(event)))
        return [Series(name, steps, values, dots)] if any(value is not None for value in values) else []

    def both(self, read: Callable[[StepLogged], Number], metric: str) -> list[Series]:
        """A loss while training, and what validation measures of it."""
        return [
            *self.series("training", StepLogged, read),
            *self.series("validation", Validated, lambda event: event.metrics.get(metric), dots=True),
        ]

    def paths(self, encoded: str, random: str) -> list[Series]:
        """A loss of each of the two paths."""
        return [
            *self.series("encoded path", StepLogged, _loss(encoded)),
            *self.series("random path", StepLogged, _loss(random)),
        ]

    def diversities(self) -> list[Series]:
        """By what they are measured: a run without LPIPS weights has another unit."""
        names = dict.fromkeys(
            name for run in self.runs for event in run if isinstance(event, Validated) for name in event.metrics
        )
        return [
            line
            for name in names
            if name.startswith(DIVERSITY)
            for line in self.series(name.removeprefix(DIVERSITY), Validated, _metric(name), dots=True)
        ]


def _loss(name: str) -> Callable[[StepLogged], Number]:
    return lambda event: event.losses.get(name)


def _metric(name: str) -> Callable[[Validated], Number]:
    return lambda event: event.metrics.get(name)


def _kl(event: StepLogged) -> Number:
    """Summed over dims: the loss itself may be cut at free bits, or summed over samples."""
    return None if _missing(event.kl_per_dim) else math.fsum(event.kl_per_dim)


def _missing(values: Iterable[Number]) -> bool:
    values = list(values)
    return not values or any(value is None for value in values)


def _number(value: object) -> Number:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
