"""Pairs as the networks see them, small, in one picture for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from bicyclegan.config import EdgeStyle
from bicyclegan.images import encode_data_url, fit_square, make_sheet
from bicyclegan.sketch.lines import resize_lines

SIZE = 96
"""Side of a thumbnail in pixels."""
COLUMNS = 8
QUALITY = 80


@dataclass(frozen=True)
class Thumbs:
    """N pairs in one picture: rows of sketches and rows of photos below them, by turns."""

    sprite: str
    """`data:image/webp;base64,...`, `columns` tiles wide and 2 * ceil(count / columns) high."""
    count: int
    columns: int
    size: int
    """Side of a tile in px."""
    names: tuple[str, ...]
    """Path of each photo."""


def make_thumbs(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], names: Sequence[str], kind: str, style: EdgeStyle
) -> Thumbs:
    """Thumbnails of at least one pair.

    pairs: sketch (S, S) or (S, S, 1 | 3) and photo (S, S, 1 | 3), uint8. kind: as `DataReport.sketches` has it: lines
    stay visible however small they become, label maps keep their colours.
    """
    columns = min(COLUMNS, len(pairs))
    blank = Image.new("RGB", (SIZE, SIZE), (255, 255, 255))
    tiles: list[Image.Image] = []
    for start in range(0, len(pairs), columns):
        row = pairs[start : start + columns]
        rest = [blank] * (columns - len(row))
        tiles += [*(_small_sketch(sketch, kind, style) for sketch, _ in row), *rest]
        tiles += [*(fit_square(_picture(photo), SIZE) for _, photo in row), *rest]
    sprite = encode_data_url(make_sheet(tiles, columns, gap=0), quality=QUALITY)
    return Thumbs(sprite, len(pairs), columns, SIZE, tuple(names))


def _small_sketch(sketch: np.ndarray, kind: str, style: EdgeStyle) -> Image.Image:
    if kind in ("computed", "lines"):
        grey = sketch if sketch.ndim == 2 else np.ascontiguousarray(sketch[..., 0])
        return Image.fromarray(resize_lines(grey, SIZE, SIZE, style))
    return fit_square(_picture(sketch), SIZE, flat=kind == "labels")


def _picture(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
