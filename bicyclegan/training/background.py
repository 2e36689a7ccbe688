"""Codes that colour the paper around what is drawn, and a generator that is kept away from them.

A code may come to say how much of a photo its object fills. Drawn at random it then colours the paper of a small
drawing, and a discriminator that sees patches without the sketch does not mind. How much it does is all but linear in
the code, so one direction can be narrowed; the price is what else that direction said.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bicyclegan.data import PairDataset
from bicyclegan.errors import UserError
from bicyclegan.images import border_colour, to_float
from bicyclegan.metrics.outputs import draw_codes, paint_each
from bicyclegan.models import Generator
from bicyclegan.sketch.foreground import find_object

SKETCHES, CODES = 24, 64
MARGIN = 4
"""Pixels beside an object that may be coloured: soft borders are no leak."""
FLOOR = 1e-3
"""Mean darkness of paper below which nobody sees anything."""
MIDDLE, WIDTH = -1.2, 0.6
"""Where codes are kept along the direction, in units of the prior: clean for all but a few, at little loss of style."""


@dataclass(frozen=True)
class Leak:
    """How codes colour the paper."""

    direction: np.ndarray
    """(D,) of length 1, towards more colour."""
    explained: float
    """Share of the variance of log darkness that this direction explains, 0 to 1."""
    darkness: float
    """Mean distance of the paper from white over random codes, 0 to 1."""


def find_leak(generator: Generator, sketches: Tensor, outside: Tensor, seed: int = 0) -> Leak:
    """Least squares of the log darkness of paper on random codes.

    Args:
        sketches: (N, input_channels, H, W) in [-1, 1].
        outside: bool (N, H, W), True where there is nothing but paper.
    """
    z = draw_codes(seed, 1, CODES, generator.config.latent_dim)[0]
    darkness = paper_darkness(generator, sketches, outside, z).mean(dim=0).double().numpy()
    log, codes = np.log(darkness + FLOOR), np.c_[np.ones(len(z)), z.numpy()]
    weights = np.linalg.lstsq(codes, log, rcond=None)[0]
    left = log - codes @ weights
    direction = weights[1:] / max(np.linalg.norm(weights[1:]), 1e-12)
    return Leak(direction, float(1 - left.var() / max(log.var(), 1e-12)), float(darkness.mean()))


def paper_darkness(generator: Generator, sketches: Tensor, outside: Tensor, z: Tensor) -> Tensor:
    """How far the paper is from white, mean over its pixels, 0 to 1: codes (S, D) -> (N, S)."""
    dark = (1 - paint_each(generator, sketches, z).amin(dim=2)) / 2
    paper = outside[:, None].float()
    return (dark * paper).sum(dim=(2, 3)) / paper.sum(dim=(2, 3)).clamp(min=1)


@torch.no_grad()
def narrow(generator: Generator, direction: np.ndarray, middle: float = MIDDLE, width: float = WIDTH) -> None:
    """Let z reach only `middle` + `width` times its own coordinate along a direction, in place; others stay.

    Raises `UserError` for a generator without a map of z, in which this is folded.
    """
    if generator.code_map is None:
        raise UserError(
            "background_no_map",
            "This model has no map of z (map_code) to fold the narrowing into: train on from it with --map-code.",
        )
    code_map, d = generator.code_map, torch.from_numpy(direction).double()
    weight = code_map.weight.double().cpu()
    code_map.bias.copy_(code_map.bias.double().cpu() + weight @ (middle * d))
    code_map.weight.copy_(weight @ (torch.eye(len(d)).double() - (1 - width) * torch.outer(d, d)))


def clean_background(generator: Generator, pairs: PairDataset) -> tuple[Leak, float]:
    """Find the leak on pictures of objects on plain paper and narrow it; returns it, and the darkness that is left."""
    places = np.linspace(0, len(pairs) - 1, min(len(pairs), SKETCHES)).round().astype(int).tolist()
    sketches, photos = zip(*(pairs.plain(place) for place in places), strict=True)
    outside = torch.from_numpy(np.stack([~_with_margin(photo) for photo in photos]))
    a = to_float(np.stack(sketches))
    leak = find_leak(generator, a, outside)
    narrow(generator, leak.direction)
    z = draw_codes(1, 1, CODES, generator.config.latent_dim)[0]
    return leak, float(paper_darkness(generator, a, outside, z).mean())


def _with_margin(photo: np.ndarray) -> np.ndarray:
    """Bool (H, W): the object and a few pixels around it."""
    import cv2

    mask = find_object(photo, border_colour(photo)[0]).astype(np.uint8)
    return cv2.dilate(mask, np.ones((2 * MARGIN + 1,) * 2, np.uint8)) > 0
