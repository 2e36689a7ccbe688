"""Codes that paint a sketch in a wanted colour, found by painting and looking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bicyclegan.errors import UserError
from bicyclegan.images import border_colour
from bicyclegan.latent import MAX_SEED, check_has_code, check_integer, mutate, sample_codes
from bicyclegan.object_colour import PLAIN_BORDER, lab_to_rgb, object_mask, rgb_to_lab, typical_colour

if TYPE_CHECKING:
    from PIL import Image

Paint: TypeAlias = "Callable[[np.ndarray], list[Image.Image]]"
"""Codes (N, D) float32 -> N pictures of one sketch, RGB."""

MAX_FOUND = 32
"""Codes that are asked for at once."""
FIRST = 96
"""Codes of the prior that are tried at first."""
ROUNDS = (0.5, 0.35, 0.25)
"""Strength of the mutations in each round of refinement."""
CHILDREN = 32
TOTAL = FIRST + len(ROUNDS) * CHILDREN
"""Pictures painted for one colour: about a second on two cores."""
PARENTS = 6
"""Best codes that each round starts from."""
BATCH = 16
"""Codes painted at once."""
POOL = 3
"""The codes that are returned are chosen among so many times their number, the nearest in colour."""
RELAX = 0.8
"""Factor on the distance that chosen codes keep, until there are enough of them."""
CHROMA_TOLERANCE = 0.01
"""How much less a difference in chroma counts for each unit of it that is wanted; CIE94 has 0.045.

Of what the shipped models cannot paint as vividly as wanted, this gives red for red and yellow for yellow. At 0 (CIE76)
vivid neighbours come before the right hue (orange for red), at 0.045 pale ones before vivid ones (cream for yellow).
"""


@dataclass(frozen=True, eq=False)
class ColourMatch:
    """N codes and what colour they paint, the nearest first."""

    z: np.ndarray
    """(N, D) float32."""
    colours: np.ndarray
    """(N, 3) uint8 RGB: `typical_colour` of each picture."""
    distance: np.ndarray
    """(N,) float32: `colour_distance` from the wanted colour: about 2 is just seen, 20 another shade."""


def find_colour(
    paint: Paint,
    latent_dim: int,
    rgb: Sequence[int],
    count: int = 8,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> ColourMatch:
    """Codes near a colour, but no copies of each other, in 192 painted pictures.

    96 codes of the prior are painted; then three times 32 mutations of the best, in smaller and smaller steps.

    Args:
        paint: paints one sketch; called with 16 codes at a time.
        latent_dim: length of a code.
        rgb: wanted colour, 0 to 255 each.
        count: codes to return, 1 to 32.
        seed: 0 to 2**32 - 1. The same seed finds the same codes.
        progress: called with the share that is done, 0 to 1.

    Raises:
        UserError: for values out of range, a model without code, or pictures of nothing but paper.
    """
    check_has_code(latent_dim)
    wanted = _check_wanted(rgb)
    count = check_integer("count", count, 1, MAX_FOUND)
    codes = sample_codes(seed, FIRST, latent_dim)
    tell = _counting(progress)
    pictures = _paint_all(paint, codes, tell)
    mask = _find_mask(pictures)
    colours = typical_colour(pictures, mask)
    for strength in ROUNDS:
        parents = codes[pick_apart(codes, colour_distance(colours, wanted), PARENTS)]
        # Their number makes the seed another one in each round.
        children = mutate(parents, CHILDREN, strength, (int(seed) + len(codes)) % (MAX_SEED + 1))
        pictures = _paint_all(paint, children, tell)
        codes = np.concatenate([codes, children])
        colours = np.concatenate([colours, typical_colour(pictures, mask)])
    distance = colour_distance(colours, wanted)
    chosen = pick_apart(codes, distance, count)
    return ColourMatch(codes[chosen], lab_to_rgb(colours[chosen]), distance[chosen])


def colour_distance(colours: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How far colours are from the wanted one: Lab (N, 3) and (3,) -> (N,) float32.

    Differences in lightness, chroma and hue as in CIE94, with weights 1, 1 / (1 + `CHROMA_TOLERANCE` C) and 1.
    """
    chroma = np.hypot(wanted[1], wanted[2])
    lightness, a, b = (colours - wanted).T
    more = np.hypot(colours[:, 1], colours[:, 2]) - chroma
    hue_squared = np.maximum(a**2 + b**2 - more**2, 0)  # what is left of the difference in a and b
    return np.sqrt(lightness**2 + (more / (1 + CHROMA_TOLERANCE * chroma)) ** 2 + hue_squared)


def pick_apart(codes: np.ndarray, distance: np.ndarray, count: int) -> np.ndarray:
    """Indices of `count` codes near the colour and far from each other, the nearest in colour first.

    codes: (N, D), N at least count. distance: (N,) in colour. Of the nearest 3 * count each is taken that keeps a
    distance in z from those taken before; the distance shrinks until there are enough.
    """
    pool = np.argsort(distance, kind="stable")[: POOL * count]
    apart = np.linalg.norm(codes[pool, None] - codes[None, pool], axis=-1)  # (P, P)
    radius = float(apart.max())
    chosen = _greedy(apart, radius)
    while len(chosen) < count:
        radius = radius * RELAX if radius > 1e-6 else 0.0  # 0 takes all, even equal ones
        chosen = _greedy(apart, radius)
    return pool[chosen[:count]]


def _greedy(apart: np.ndarray, radius: float) -> list[int]:
    """The first one, and each that is at least `radius` from all taken before it. apart: (P, P) distances."""
    chosen: list[int] = []
    for index, row in enumerate(apart):
        if (row[chosen] >= radius).all():
            chosen.append(index)
    return chosen


def _paint_all(paint: Paint, codes: np.ndarray, tell: Callable[[int], None]) -> np.ndarray:
    """Pictures of codes (N, D) as uint8 (N, H, W, 3). tell: called with how many were added."""
    pictures: list[np.ndarray] = []
    for start in range(0, len(codes), BATCH):
        batch = [np.asarray(image.convert("RGB")) for image in paint(codes[start : start + BATCH])]
        pictures += batch
        tell(len(batch))
    return np.stack(pictures)


def _counting(progress: Callable[[float], None] | None) -> Callable[[int], None]:
    """Add up pictures and pass on which share of all is painted."""
    painted = 0

    def tell(count: int) -> None:
        nonlocal painted
        painted += count
        if progress:
            progress(painted / TOTAL)

    return tell


def _find_mask(pictures: np.ndarray) -> np.ndarray:
    """Where the object is, bool (H, W). Raises `UserError` for pictures of paper."""
    mask = object_mask(pictures)
    plain = border_colour(pictures.mean(axis=0).round().astype(np.uint8))[1] >= PLAIN_BORDER
    if plain and mask.all():  # on a plain border, the object is everywhere only if it is nowhere
        raise UserError("colour_blank", "There is nothing in the pictures to give a colour to: draw something first.")
    return mask


def _check_wanted(rgb: Sequence[int]) -> np.ndarray:
    """A colour from outside as Lab (3,). Raises `UserError`."""
    if not isinstance(rgb, (tuple, list, np.ndarray)) or len(rgb) != 3:
        raise UserError("colour_rgb", "A colour has three values, red, green and blue; this is {value!r}.", value=rgb)
    return rgb_to_lab(np.array([check_integer("rgb", level, 0, 255) for level in rgb], np.uint8))
