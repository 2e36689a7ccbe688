"""Pairs made of others: more than there are, so that discriminators cannot learn a small set by heart.

A pair is a sketch (S, S, C) and a photo (S, S, C'), uint8. Whatever happens to a place of one happens to the same place
of the other, so that a mixed sketch still is the sketch of its mixed photo.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from bicyclegan.data.augment import Geometry

Pair: TypeAlias = "tuple[np.ndarray, np.ndarray]"
Move: TypeAlias = "Callable[[Pair, Geometry], Pair]"
"""Moves both pictures of a pair alike."""

CHAINS, MOST_CHANGES = 3, 3
"""Ways in which augmix changes a pair, and changes on each (Hendrycks et al. 2020, section 3)."""
DEGREES, ZOOM, SHIFT = 10.0, 0.1, 0.06
"""Largest rotation, zoom and shift of a change; the shift as a share of the side."""


def mixup(one: Pair, other: Pair, share: float) -> Pair:
    """Both pairs laid over each other, `share` of it the first (Zhang et al. 2018)."""
    return blend([one, other], [share, 1 - share])


def cutmix(one: Pair, other: Pair, share: float, random: np.random.RandomState) -> Pair:
    """The first pair with a rectangle of the other, of the same shape as the picture (Yun et al. 2019).

    share: of the area that stays; less is covered where the rectangle reaches over the border.
    """
    size = len(one[0])
    reach = round(size * np.sqrt(1 - share)) / 2
    box = tuple(_around(middle, reach, size) for middle in random.randint(0, size, 2))
    mixed = one[0].copy(), one[1].copy()
    for side, source in zip(mixed, other, strict=True):
        side[box] = source[box]
    return mixed


def augmix(pair: Pair, move: Move, share: float, alpha: float, random: np.random.RandomState) -> Pair:
    """The pair laid over itself, changed in several ways (AugMix, Hendrycks et al. 2020).

    Args:
        pair: as it is.
        move: for geometry.
        share: of it that stays as it is.
        alpha: how evenly the ways share the rest: all parameters of a Dirichlet distribution.
        random: where all choices come from.
    """
    ways = [_changed(pair, move, random) for _ in range(CHAINS)]
    weights = (1 - share) * random.dirichlet([alpha] * CHAINS)
    return blend([pair, *ways], [share, *weights])


def blend(pairs: Sequence[Pair], weights: Sequence[float]) -> Pair:
    """The weighted sum of pairs, side by side; weights add up to 1."""
    sketch, photo = (
        sum(weight * side.astype(np.float32) for weight, side in zip(weights, sides, strict=True))
        for sides in zip(*pairs, strict=True)
    )
    return _to_uint8(sketch), _to_uint8(photo)


def _changed(pair: Pair, move: Move, random: np.random.RandomState) -> Pair:
    """A few changes, one after the other; those of geometry in one step, so that nothing is interpolated twice."""
    geometry, colours = Geometry(len(pair[0])), []
    for change in random.choice(len(CHANGES), random.randint(1, MOST_CHANGES + 1), replace=False):
        kind, amount = CHANGES[change], random.uniform(-1, 1)
        if callable(kind):
            colours.append((kind, amount))
        else:
            geometry = _geometry(geometry, kind, amount, random)
    sketch, photo = pair if geometry.whole and not geometry.left else move(pair, geometry)
    for change_colours, amount in colours:
        photo = change_colours(photo, amount)
    return sketch, photo


def _geometry(geometry: Geometry, kind: str, amount: float, random: np.random.RandomState) -> Geometry:
    if kind == "turn":
        return replace(geometry, degrees=DEGREES * amount)
    if kind == "zoom":
        return replace(geometry, zoom=1 + ZOOM * amount)
    most = max(1, round(SHIFT * geometry.size))
    left, top = (int(random.choice([-1, 1])) * int(random.randint(1, most + 1)) for _ in range(2))
    return replace(geometry, left=left, top=top, zoom=geometry.zoom * 1.0001)  # by a warp, which fills what comes in


def _contrast(photo: np.ndarray, amount: float) -> np.ndarray:
    x = photo / np.float32(255)
    return _to_uint8(255 * (x + amount * x * (1 - x) * (2 * x - 1)))


def _brightness(photo: np.ndarray, amount: float) -> np.ndarray:
    return _to_uint8(255 * (photo / np.float32(255)) ** 2.0**-amount)


def _saturation(photo: np.ndarray, amount: float) -> np.ndarray:
    grey = photo.mean(axis=2, keepdims=True)
    return _to_uint8(grey + (1 + amount / 2) * (photo - grey))


CHANGES: tuple[str | Callable[[np.ndarray, float], np.ndarray], ...] = (
    "turn",
    "zoom",
    "shift",
    _contrast,
    _brightness,
    _saturation,
)
"""What may happen to a pair. Geometry by name; colours by functions of the photo and an amount from -1 to 1 that leave
black black and white paper white."""


def _around(middle: int, reach: float, size: int) -> slice:
    return slice(max(0, round(middle - reach)), min(size, round(middle + reach)))


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return values.round().clip(0, 255).astype(np.uint8)
