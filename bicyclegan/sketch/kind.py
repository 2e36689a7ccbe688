"""What the sketches of pairs are: lines, label maps or pictures; and the colours they are drawn in.

`sketches` are uint8 (H, W, 3), a few of them, as they lie on disk: JPEG files included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bicyclegan.object_colour import object_mask

Kind = Literal["lines", "labels", "pictures"]
"""lines: dark on light or light on dark. labels: areas in a few colours. pictures: anything else."""

COLOURED = 32
"""Difference of the channels from which a pixel is coloured: the lossy colours of a grey JPEG stay below."""
FEW_COLOURED = 0.01
"""Share of coloured pixels up to which sketches are grey."""
INK_AND_PAPER = 0.9
"""Share of pixels near black or white from which grey sketches are lines."""
FLAT = 24
"""Range of levels in 3 x 3 pixels up to which they lie inside of an area, not on its border."""
MOST_COLOURS = 32
"""Colours that a palette holds at most."""
LEAST_AREA = 0.0005
"""Share of an area below which it is no colour of the palette but a trace of compression."""
SAME_COLOUR = 30
"""Levels between two colours that count as one."""
SHARP_COLOUR = 8
"""The same when telling label maps from photos: areas of one colour vary less, even after JPEG."""
LABELLED = 0.93
"""Share of area, without the commonest colour, in `LABEL_COLOURS` sharp colours from which sketches are label maps."""
LABEL_COLOURS = 16
STROKE = 1 / 16
"""Width of a thick stroke, as a share of a picture's side."""
SOLID = 0.05
"""Share of what is not paper that lies inside of areas wider than a stroke, from which it is no drawing."""


@dataclass(frozen=True)
class SketchKind:
    """What the sketches of a data set are, judged by some of them together."""

    kind: Kind
    grey: bool
    """Whether there is hardly any colour in them."""
    palette: tuple[str, ...]
    """Colours '#rrggbb' of their areas, the most frequent first; black for grey sketches."""


def describe_sketches(sketches: Sequence[np.ndarray]) -> SketchKind:
    """Look at some sketches, at least one."""
    coloured = [np.mean(_largest(sketch) - _smallest(sketch) >= COLOURED) for sketch in sketches]
    if np.mean(coloured) <= FEW_COLOURED:
        levels = np.concatenate([sketch[..., 1].ravel() for sketch in sketches])
        lines = np.mean((levels < 64) | (levels > 192)) >= INK_AND_PAPER
        return SketchKind("lines" if lines else "pictures", True, ("#000000",))
    areas = _areas(sketches)
    sharp = [share for _, share in _peaks(areas, LABEL_COLOURS, SHARP_COLOUR)]
    labels = not sharp or sum(sharp[1:]) >= LABELLED * (1 - sharp[0])
    palette = tuple("#" + bytes(np.rint(colour).astype(np.uint8)).hex() for colour, _ in _palette(areas))
    return SketchKind("labels" if labels else "pictures", False, palette)


def is_line_drawing(picture: np.ndarray) -> bool:
    """Whether a single picture, uint8 (H, H, 3), is lines and nothing else.

    Its levels do not tell: of 3,600 fitted photos of shoes on white, which are often black or white themselves, 30 %
    have those of lines. But lines are thin: what is not paper all but vanishes when a stroke's width is taken off. So
    0.2 % of these photos are taken for drawings, and of outlines nine in ten at 128 px and nearly all at 256 px; fewer
    at 64 px, or with strokes wider than that.
    """
    import cv2

    if describe_sketches([picture]).kind != "lines":
        return False
    ink = object_mask(picture[None]).astype(np.uint8)
    width = max(3, round(STROKE * len(picture)))
    inside = cv2.erode(ink, np.ones((width, width), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return inside.sum() < SOLID * ink.sum()


def flat_pixels(picture: np.ndarray) -> np.ndarray:
    """Which pixels lie inside of an area, not on its border: bool (H, W)."""
    import cv2

    window = np.ones((3, 3), np.uint8)
    return _largest(cv2.dilate(picture, window) - cv2.erode(picture, window)) <= FLAT


def texture(picture: np.ndarray) -> float:
    """Share of pixels that differ a little from their neighbour, 0 to 1: shading and grain of photos.

    In lines and label maps neighbours are equal or very different.
    """
    levels = picture.astype(np.int16)
    steps = _largest(np.abs(levels[:, 1:] - levels[:, :-1]))
    return float(np.mean((steps >= 6) & (steps <= 40)))


def _areas(sketches: Sequence[np.ndarray]) -> np.ndarray:
    """Colours (N, 3) of all pixels inside of areas; of all pixels if there are no areas."""
    flat = np.concatenate([sketch[flat_pixels(sketch)] for sketch in sketches])
    return flat if len(flat) else np.concatenate([sketch.reshape(-1, 3) for sketch in sketches])


def _palette(areas: np.ndarray) -> list[tuple[np.ndarray, float]]:
    return _peaks(areas, MOST_COLOURS, SAME_COLOUR) or [(areas.mean(axis=0), 1.0)]


def _largest(pixels: np.ndarray) -> np.ndarray:
    """Of the three channels. Much faster than a maximum over an axis of three."""
    return np.maximum(np.maximum(pixels[..., 0], pixels[..., 1]), pixels[..., 2])


def _smallest(pixels: np.ndarray) -> np.ndarray:
    return np.minimum(np.minimum(pixels[..., 0], pixels[..., 1]), pixels[..., 2])


def _peaks(colours: np.ndarray, count: int, reach: int) -> list[tuple[np.ndarray, float]]:
    """The most frequent colours (3,) and their shares: of all that differs by at most `reach` in each channel."""
    codes = (colours >> 4).astype(np.int64) @ np.array([256, 16, 1])
    counts = np.bincount(codes, minlength=4096)
    sums = np.stack([np.bincount(codes, colours[:, channel], minlength=4096) for channel in range(3)], axis=1)
    used = np.flatnonzero(counts)
    means, left = sums[used] / counts[used, None], counts[used] / len(colours)
    peaks: list[tuple[np.ndarray, float]] = []
    while len(peaks) < count and left.max() > LEAST_AREA:
        best = means[left.argmax()]
        near = np.abs(means - best).max(axis=1) <= reach
        peaks.append((best, float(left[near].sum())))
        left[near] = 0
    return peaks
