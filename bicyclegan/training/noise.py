"""Random numbers of training as pure functions of (seed, what for, step, sample): nothing has to be remembered.

A run that is resumed, or spread over processes, draws the same numbers. NumPy's `RandomState` is used because
its streams are frozen; torch's may change between releases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

ENCODER, RANDOM, LAYERS, BETWEEN = 101, 102, 103, 104
"""What a stream is for. Tags below 100 belong to `data`."""


@dataclass(frozen=True)
class Noise:
    """Random numbers of one step: standard normal for codes."""

    encoder: Tensor
    """(n, latent_dim): multiplies sigma in the encoded path."""
    random: Tensor
    """(n, latent_dim): the codes of the random path."""
    between: Tensor
    """(n,) uniform in [0, 1]: where a gradient penalty looks, between fake and real."""

    def to(self, device: torch.device) -> Noise:
        """The same numbers elsewhere."""
        return Noise(self.encoder.to(device), self.random.to(device), self.between.to(device))

    def part(self, rows: slice) -> Noise:
        """That of some samples."""
        return Noise(self.encoder[rows], self.random[rows], self.between[rows])


def draw_noise(seed: int, step: int, samples: range, latent_dim: int) -> Noise:
    """Noise of a step for samples numbered over all processes; float32 on the CPU."""
    encoder, random = (_normal(seed, purpose, step, samples, latent_dim) for purpose in (ENCODER, RANDOM))
    between = [np.random.RandomState([seed, BETWEEN, step, k]).uniform() for k in samples]
    return Noise(encoder, random, torch.tensor(between, dtype=torch.float32))


def seed_layers(seed: int, step: int, rank: int = 0) -> None:
    """Restart torch's own generators, which dropout uses, for one step."""
    torch.manual_seed(int(np.random.RandomState([seed, LAYERS, step, rank]).randint(2**31)))


def _normal(seed: int, purpose: int, step: int, samples: range, latent_dim: int) -> Tensor:
    rows = [np.random.RandomState([seed, purpose, step, k]).standard_normal(latent_dim) for k in samples]
    return torch.from_numpy(np.array(rows, dtype=np.float32).reshape(len(samples), latent_dim))
