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
    decay_start: float
    """Share of the run after which the learning rate falls."""


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


def cosine(progress: Progress) -> float:
    """1, then half a cosine down to 0 at the end (Loshchilov & Hutter 2017, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * (1 - linear(progress))))


SCHEDULES: dict[str, Callable[[Progress], float]] = {
    "constant": constant,
    "linear": linear,
    "linear-epochs": linear_epochs,
    "cosine": cosine,
}
"""Factors on the learning rate by the name that the option `schedule` gives."""
