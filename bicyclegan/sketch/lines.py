"""Pictures of lines: shrink them without losing a line, thin, widen and soften them.

`grey` is uint8 (H, W), 0 = line, 255 = paper. `ink` is bool (H, W), True = line.
"""

from __future__ import annotations

import numpy as np

from bicyclegan.config import EdgeStyle

DEFAULT_STYLE = EdgeStyle()
"""Of the shipped checkpoints: crisp lines of one pixel."""
FAINTEST_INK = 0.3
"""Share of black from which a pixel is part of a line; what is paler is paper or the soft border of a line."""
FULL_CELL = 0.6
"""Share of a cell that a fat line must cover. Over a half: a line one cell wide between two cells takes one of them."""
SOFT_SIGMA = 0.5
"""Blur in pixels that gives lines soft borders."""


def resize_lines(grey: np.ndarray, width: int, height: int, style: EdgeStyle) -> np.ndarray:
    """Grey (H, W) -> (height, width), lines as wide in proportion but never below the style's width.

    A thin line survives any reduction. Crisp styles return 0 and 255 only; a picture that has this
    size and only these values already comes back unchanged.
    """
    import cv2

    source_height, source_width = grey.shape
    if width > source_width or height > source_height:
        # 0.45, not 0.5: linear interpolation has exactly half of the ink between two diagonal neighbours.
        ink = cv2.resize(255 - grey, (width, height), interpolation=cv2.INTER_LINEAR) >= 0.45 * 255
    elif (width, height) == (source_width, source_height):
        ink = grey < 128
    else:
        ink = _shrink(grey, width, height, style.line_width)
    return draw_ink(ink, style.antialias)


def draw_ink(ink: np.ndarray, antialias: bool) -> np.ndarray:
    """Bool ink (H, W) -> grey uint8, black on white, with soft borders if asked."""
    import cv2

    grey = np.where(ink, 0, 255).astype(np.uint8)
    if not antialias:
        return grey
    blurred = cv2.GaussianBlur(ink.astype(np.float32), (3, 3), SOFT_SIGMA)
    # The middle of a straight line of one pixel keeps its full black.
    middle = float(cv2.getGaussianKernel(3, SOFT_SIGMA)[1, 0])
    return np.rint(255 * (1 - np.minimum(blurred / middle, 1))).astype(np.uint8)


def widen(ink: np.ndarray, line_width: float) -> np.ndarray:
    """Lines of one pixel -> lines of `line_width`, rounded to whole pixels."""
    import cv2

    pixels = max(1, int(line_width + 0.5))
    if pixels == 1:
        return ink
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (pixels, pixels))
    return cv2.dilate(ink.astype(np.uint8), kernel) > 0


def thin(ink: np.ndarray, passes: int) -> np.ndarray:
    """Peel lines down to one pixel, at most `passes` pixels from each side; keeps connections and line ends.

    Deletes simple border points one side at a time, so that a line of two pixels loses one of them, not both.
    Simple: the 8-connectivity number of Yokoi et al., "An analysis of topological properties of digitized
    binary pictures using local features" (1975), is 1.
    """
    ink = np.pad(ink, 1)
    for _ in range(passes):
        before = ink.sum()
        for side in (0, 4, 2, 6):  # index in `_neighbours`: from the east, west, north, south
            around = _neighbours(ink)
            border = ~around[side] & around[(side + 4) % 8]
            ink[1:-1, 1:-1] &= ~(border & _simple(around) & (around.sum(axis=0) >= 2))
        if ink.sum() == before:
            break
    return ink[1:-1, 1:-1]


def _shrink(grey: np.ndarray, width: int, height: int, line_width: float) -> np.ndarray:
    """Fat lines by the share of each cell they cover, thin ones as the middle of all cells they touch."""
    import cv2

    covered = cv2.resize(255 - grey, (width, height), interpolation=cv2.INTER_AREA) >= 255 * FULL_CELL
    touched = _any_in_cell(grey <= 255 * (1 - FAINTEST_INK), width, height)
    # A line narrower than a cell touches two or three abreast: two peelings leave its middle.
    return covered | widen(thin(touched, passes=2), line_width)


def _any_in_cell(ink: np.ndarray, width: int, height: int) -> np.ndarray:
    """Max-pooling over cells of any size, fractions included."""
    rows = np.arange(height) * ink.shape[0] // height
    columns = np.arange(width) * ink.shape[1] // width
    return np.logical_or.reduceat(np.logical_or.reduceat(ink, rows, axis=0), columns, axis=1)


def _neighbours(padded: np.ndarray) -> np.ndarray:
    """Bool (H+2, W+2) -> (8, H, W): east, north-east, north, and so on counterclockwise."""
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    offsets = ((1, 2), (0, 2), (0, 1), (0, 0), (1, 0), (2, 0), (2, 1), (2, 2))
    return np.stack([padded[y : y + height, x : x + width] for y, x in offsets])


def _simple(around: np.ndarray) -> np.ndarray:
    empty = ~around
    arcs = [empty[k] & ~(empty[k + 1] & empty[(k + 2) % 8]) for k in (0, 2, 4, 6)]
    return np.sum(arcs, axis=0) == 1
