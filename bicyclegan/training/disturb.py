"""Noise on pictures while training: on what D sees (instance noise) and on the sketches that G gets (condition noise).

Each picture's noise is a function of (seed, what for, update, sample), as everything random in a run. It is drawn on
the pictures' device, by torch: other than codes it need not be the same elsewhere or in another release.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bicyclegan.training.config import TrainConfig
from bicyclegan.training.weights import RunLength, read_schedule, scheduled

CONDITION = 111
JUDGED = {"real_encoded": 112, "fake_encoded": 113, "real_random": 114, "fake_random": 115}
"""What a stream is for. Tags below 110 belong to `noise` and `data`."""


@dataclass(frozen=True)
class Disturbance:
    """Noise of one update; without any it changes nothing."""

    seed: int = 0
    number: int = 0
    """Of the update."""
    first: int = 0
    """Number, over all processes, of the first sample that this one paints."""
    condition: float = 0.0
    """Standard deviation on sketches."""
    instance: float = 0.0
    """Standard deviation on what discriminators see."""

    def sketches(self, sketches: Tensor, row: int = 0) -> Tensor:
        """What G gets of them, (N, C, H, W), beginning with sample `row` of this process."""
        return self._noisy(sketches, self.condition, CONDITION, row)

    def judged(self, name: str, pictures: Tensor, row: int = 0) -> Tensor:
        """What D gets to see, (N, C, H, W); `name` is one of `JUDGED`."""
        return self._noisy(pictures, self.instance, JUDGED[name], row)

    def _noisy(self, pictures: Tensor, deviation: float, purpose: int, row: int) -> Tensor:
        if deviation == 0:
            return pictures
        generator = torch.Generator(pictures.device)
        noise = torch.empty_like(pictures)
        for k, picture in enumerate(noise):
            key = [self.seed, purpose, self.number, self.first + row + k]
            generator.manual_seed(int(np.random.RandomState(key).randint(2**31)))
            picture.normal_(0, deviation, generator=generator)
        return pictures + noise


def disturbance(config: TrainConfig, number: int, first: int, length: RunLength) -> Disturbance:
    """That of update `number`, counted from 1, for samples from `first` on."""
    text, regular = config.loss.weight_schedule, config.regular
    condition = scheduled(text, "condition_noise", regular.condition_noise, number, length)
    instance = scheduled(text, "instance_noise", regular.instance_noise, number, length)
    if not any(change.name == "instance_noise" for change in read_schedule(text)):
        instance *= max(0.0, 1 - (number - 1) / length.steps)
    return Disturbance(config.seed, number, first, condition, instance)
