"""Learning rate over time, by name. A schedule is a pure function of the step, so nothing of it is saved."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a run stands."""

    step: int
    """Updates made so far."""
    steps: int
    """Updates to make in all."""
    steps_per_epoch: float
    """Updates in which every training picture is seen once."""
    decay_start: float = 0.0
    """Share of the run after which the learning rate falls."""
    decay_every: int = 1
    """Updates between two falls."""
    decay_factor: float = 1.0
    """What the learning rate is multiplied by at each."""
    plateaus: int = 0
    """How often validation has stopped getting better."""


def constant(progress: Progress) -> float:
    """1 for ever."""
    return 1.0


def linear(progress: Progress) -> float:
    """1, then straight down to 0 at the end."""
    start = progress.decay_start * progress.steps
    if progress.step <= start:
        return 1.0
    return max(0.0, (progress.steps - progress.step) / (progress.steps - start))


def linear_epochs(progress: Progress) -> float:
    """`linear`, changed once an epoch: niter and niter_decay epochs of the official code."""
    epochs = math.ceil(progress.steps / progress.steps_per_epoch)
    niter = round(progress.decay_start * epochs)
    epoch = int(progress.step / progress.steps_per_epoch)
    return 1.0 - max(0, epoch + 1 - niter) / (epochs - niter + 1)


def step(progress: Progress) -> float:
    """Times `decay_factor` every `decay_every` updates."""
    return progress.decay_factor ** (progress.step // progress.decay_every)


def plateau(progress: Progress) -> float:
    """Times `decay_factor` whenever validation has stopped getting better."""
    return progress.decay_factor**progress.plateaus


def warmup(done: int, updates: int) -> float:
    """Factor of the update after `done` others: up to 1 on a straight line over the first ones (Goyal et al. 2017)."""
    return min(1.0, (done + 1) / updates) if updates else 1.0


def cosine(progress: Progress) -> float:
    """1, then half a cosine down to 0 at the end (Loshchilov & Hutter 2017, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * (1 - linear(progress))))


SCHEDULES: dict[str, Callable[[Progress], float]] = {
    "constant": constant,
    "linear": linear,
    "linear-epochs": linear_epochs,
    "step": step,
    "cosine": cosine,
    "plateau": plateau,
}
"""Factors on the learning rate by the name that the option `schedule` gives."""
