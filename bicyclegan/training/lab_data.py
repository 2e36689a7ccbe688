"""Pictures of the pitfall lab, there at once without a download: shapes that are drawn, garments that are shipped."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from bicyclegan.config import THUMBS_FILE
from bicyclegan.errors import UserError
from bicyclegan.photo_codes import THUMB_SIZE

Kind = Literal["shapes", "garments"]
SHAPES, HELD_OUT = 256, 24
"""Pictures to learn from, and to validate on."""
SMOOTH = 4
"""Shapes are drawn so many times larger, then reduced."""
NEARLY_WHITE = 200
"""A place of the sheet without any darker pixel holds no photo."""
CLOTHES = Path(__file__).parents[2] / "checkpoints" / "edges2clothes"
"""Its thumbnails are the validation photos of the Clothing Dataset (CC0 1.0)."""


def write_pictures(kind: Kind, folder: Path, size: int = 64) -> None:
    """Write the pictures of a lesson as PNG into `folder`/train and `folder`/val, always the same ones.

    shapes: pairs side by side, an outline left, the same shape in one of many colours right. garments: photos on white,
    whose edges the training computes.

    Args:
        size: side of a picture in px.

    Raises:
        UserError: when the shipped garments are missing, or `kind` is neither.
    """
    if kind not in PICTURES:
        raise UserError(
            "lab_data", "There are no pictures {kind!r}; use one of {known}.", kind=kind, known=", ".join(PICTURES)
        )
    pictures = list(PICTURES[kind](size))
    for place, picture in enumerate(pictures):
        part = folder / ("val" if place < HELD_OUT else "train")
        part.mkdir(parents=True, exist_ok=True)
        picture.save(part / f"{kind}-{place:03}.png")


def draw_shape(seed: int, size: int) -> Image.Image:
    """A pair of (2 * size, size) px: black outline on white, and the shape filled with a colour it does not tell.

    One outline has as many right pictures as there are colours: what the code of a BicycleGAN is for.
    """
    random, big = np.random.RandomState(seed), size * SMOOTH
    points = _corners(random, big)
    hue, bright = random.rand(), 0.55 + 0.4 * random.rand()
    colour = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.85, bright))
    pair = Image.new("RGB", (2 * big, big), "white")
    pen = ImageDraw.Draw(pair)
    pen.line([*points, points[0], points[1]], fill="black", width=round(big / 24), joint="curve")
    moved = [(x + big, y) for x, y in points]
    pen.polygon(moved, fill=colour)
    dark = tuple(round(0.55 * part) for part in colour)
    pen.line([*moved, moved[0], moved[1]], fill=dark, width=round(big / 40), joint="curve")
    return pair.resize((2 * size, size), Image.Resampling.BOX)


def _corners(random: np.random.RandomState, big: int) -> list[tuple[float, float]]:
    """Of a polygon with three to six corners, or of one with so many that it is an ellipse."""
    count = int(random.choice([3, 4, 5, 6, 48]))
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False) + random.rand() * 2 * np.pi
    centre = big * (0.5 + 0.08 * random.uniform(-1, 1, 2))
    radius = big * random.uniform(0.22, 0.38, 2)
    return [(float(x), float(y)) for x, y in centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)]


def _shapes(size: int) -> Iterator[Image.Image]:
    return (draw_shape(seed, size) for seed in range(SHAPES + HELD_OUT))


def _garments(size: int) -> Iterator[Image.Image]:
    """Cut out of the sheet of thumbnails, row by row; places that hold none are white."""
    path = CLOTHES / THUMBS_FILE
    if not path.is_file():
        raise UserError(
            "lab_garments", "The shipped garments are missing ({path}): get the whole repository.", path=path
        )
    with Image.open(path) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    for top in range(0, pixels.shape[0], THUMB_SIZE):
        for left in range(0, pixels.shape[1], THUMB_SIZE):
            tile = pixels[top : top + THUMB_SIZE, left : left + THUMB_SIZE]
            if tile.min() < NEARLY_WHITE:
                yield Image.fromarray(tile).resize((size, size), Image.Resampling.LANCZOS)


PICTURES: dict[Kind, Callable[[int], Iterator[Image.Image]]] = {"shapes": _shapes, "garments": _garments}
