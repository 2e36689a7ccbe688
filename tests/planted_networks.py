"""Networks that paint and read what a test says, in front of the examiners of an evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bicyclegan.checkpoints import Checkpoint
from bicyclegan.config import CheckpointConfig, ModelConfig
from bicyclegan.metrics.distance import RGB, Distance
from bicyclegan.metrics.subject import Photos, Progress, Protocol, Subject, quiet

TINY = ModelConfig(image_size=32, depth=5, encoder_blocks=3, discriminator_layers=2)
HASH = "0123456789abcdef" * 4
SCALE = 0.1
"""Of the pictures that `colour_of_code` paints: codes of 10 sigma stay within [-1, 1]."""


class Planted(nn.Module):
    """A network that is a function. Counts the pictures that went in."""

    def __init__(self, function: Callable[..., Any]):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))  # says on which device it is
        self.function = function
        self.seen = 0

    def forward(self, *inputs: Tensor) -> Any:
        self.seen += len(inputs[0])
        return self.function(*inputs)


def colour_of_code(x: Tensor, z: Tensor) -> Tensor:
    """A plain picture whose three channels are three dims of z, scaled: the sketch does nothing."""
    return (SCALE * z)[:, :, None, None].expand(-1, -1, *x.shape[2:])


def lines_of_sketch(x: Tensor, z: Tensor) -> Tensor:
    """The sketch itself: the code does nothing."""
    return x[:, :1].expand(-1, 3, -1, -1)


def code_of_colour(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Reads what `colour_of_code` painted, and is quite sure of it."""
    mu = pictures.mean(dim=(2, 3)) / SCALE
    return mu, torch.full_like(mu, -60.0)


def plain_photos(*levels: float, side: int = 8) -> np.ndarray:
    """uint8 (N, side, side, 3): plain grey photos, levels in [0, 1]."""
    return (np.array(levels)[:, None, None, None] * np.full((1, side, side, 3), 255)).round().astype(np.uint8)


def plant_subject(
    paint: Callable[[Tensor, Tensor], Tensor],
    read: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None,
    *,
    photos: np.ndarray | None = None,
    sketches: np.ndarray | None = None,
    train: np.ndarray | None = None,
    latent_dim: int = 3,
    protocol: Protocol = Protocol(),  # noqa: B008 - it never changes
    distance: Distance = RGB,
    progress: Progress = quiet,
    **config: Any,
) -> Subject:
    """A checkpoint of planted networks and its photos: by default 5 grey ones of 8 px, with white sketches.

    config: fields of `CheckpointConfig`.
    """
    photos = plain_photos(0, 0.25, 0.5, 0.75, 1) if photos is None else photos
    sketches = np.full((*photos.shape[:3], 1), 255, np.uint8) if sketches is None else sketches
    model = replace(TINY, latent_dim=latent_dim, encoder="resnet" if read else "none", input_channels=sketches.shape[3])
    generator, encoder = Planted(paint), Planted(read) if read else None
    generator.config = model
    names = tuple(f"{k}.png" for k in range(len(photos)))
    return Subject(
        Checkpoint(CheckpointConfig(model, **{"name": "planted", **config}), generator, encoder, HASH, Path()),
        Photos(sketches, photos, names, photos[:0] if train is None else train),
        distance,
        protocol,
        progress,
    )
