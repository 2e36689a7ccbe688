"""Edges of a photo as imperfect as drawings of people: sparse, open, wobbly, of any width, or an outline alone.

`ink` is bool (H, W), True = line of one pixel.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bicyclegan.config import EdgeStyle
from bicyclegan.sketch.edges import photo_to_edges
from bicyclegan.sketch.foreground import find_object
from bicyclegan.sketch.lines import draw_ink, widen

if TYPE_CHECKING:
    from bicyclegan.training.config import StrokeConfig

LEAST_INK = 2.2
"""Ink pixels per pixel of the side below which a photo has lost its shape: its thresholds are not raised then."""
SHORTEST_OUTLINE = 0.5
"""The same for the outline of what is taken for an object."""
WAVES = (4, 10)
"""Wobble: number of independent shifts along a side, from and below; the lines bend smoothly between them."""
RING = np.array([[1, 2, 4], [128, 0, 8], [64, 32, 16]], np.float32)
"""Bit of each neighbour of a pixel, in the order of a walk around it."""
CHANGES = np.array([bin(code & ~(code << 1 | code >> 7)).count("1") for code in range(256)], np.uint8)
"""For each pattern of neighbours: changes from paper to ink on that walk, the number of lines that leave the pixel."""
STAIRS = np.array(
    [
        [code >> side & 1 and code >> (side + 2) % 8 & 1 and not any(code >> (side + k) % 8 & 1 for k in (1, 4, 5, 6))
         for code in range(256)]
        for side in (1, 3, 5, 7)
    ],
    bool,
)  # fmt: skip
"""For each corner (north-east, and so on clockwise) and pattern of neighbours: a line goes round that corner, and only
that: the two beside it are ink, the one between them and those opposite are paper."""
ANY_STAIRS = STAIRS.any(axis=0)
OUTLINE_BLUR = (0.004, 0.02)
"""Share of the side by which an outline is smoothed, as a hand leaves out laces and seams."""


def amateur_edges(
    photo: np.ndarray,
    style: EdgeStyle,
    strokes: StrokeConfig,
    random: np.random.RandomState,
    paper: np.ndarray | None = None,
    wipe: np.ndarray | None = None,
) -> np.ndarray:
    """Edges (H, W) uint8 in the style, drawn with all imperfections of `strokes` in random measure.

    photo: uint8 (H, W, 3). paper: (3,) colour of its background if that is plain: the object's outline can be told
    from it. wipe: bool (H, W), where no edge may be, such as beside the filling around a photo.
    With all of `strokes` at 0 it is `photo_to_edges` in the style.
    """
    ink = None
    if strokes.silhouette and random.uniform() < strokes.silhouette and paper is not None:
        ink = outline(find_object(photo, paper), random.uniform(*OUTLINE_BLUR))
    if ink is None:
        ink = _jittered_edges(photo, style, random.uniform(-1, 1) * strokes.threshold_jitter)
        if wipe is not None:
            ink &= ~wipe
        ink = drop_strokes(ink, random.uniform() * strokes.drop_strokes, random)
    if strokes.wobble:
        ink = wobble(ink, random.uniform() * strokes.wobble, random)
    width = style.line_width + random.uniform() * strokes.width_jitter
    return draw_ink(widen(ink, width), style.antialias)


def outline(mask: np.ndarray, blur: float = 0.0) -> np.ndarray | None:
    """Ink of the closed outer border of an object, bool (H, W); None where there is no object with a border.

    blur: share of the side by which it is smoothed. Where the frame cuts the object there is no line.
    """
    import cv2

    solid = mask.astype(np.uint8)
    if blur:
        solid = (cv2.GaussianBlur(255 * solid, (0, 0), blur * len(mask)) > 127).astype(np.uint8)
    contours, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    ink = cv2.drawContours(np.zeros_like(solid), contours, -1, 1, 1) > 0
    ink[[0, -1]] = ink[:, [0, -1]] = False
    return ink if np.count_nonzero(ink) >= SHORTEST_OUTLINE * len(mask) else None


def drop_strokes(ink: np.ndarray, share: float, random: np.random.RandomState) -> np.ndarray:
    """The ink without up to `share` of it, 0 to 1: whole strokes, that is lines between crossings.

    Short strokes are the likelier to go, in proportion to 1 / length**2, so that the shape survives
    (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).
    """
    import cv2

    if share <= 0:
        return ink
    # With all their neighbours: lines that meet would touch at their ends.
    crossing = ink & _near(ink & (_branches(ink) > 2), 1)
    _, labels, stats, _ = cv2.connectedComponentsWithStats((ink & ~crossing).astype(np.uint8), connectivity=8)
    lengths = stats[1:, cv2.CC_STAT_AREA].astype(np.float64)
    order = np.argsort(np.log(random.uniform(1e-9, 1, len(lengths))) * lengths**2)[::-1]
    gone = order[np.cumsum(lengths[order]) <= share * lengths.sum()]
    keep = np.ones(len(lengths) + 1, bool)
    keep[0] = keep[gone + 1] = False
    kept = keep[labels]
    return kept | (crossing & _near(kept, 2))


def wobble(ink: np.ndarray, reach: float, random: np.random.RandomState) -> np.ndarray:
    """The lines bent smoothly by up to about `reach` pixels, still one pixel wide."""
    import cv2

    height, width = ink.shape
    waves = random.randint(*WAVES)
    coarse = random.uniform(-reach, reach, (waves, waves, 2)).astype(np.float32)
    # Half as fine as the picture: shifts of neighbours hardly differ.
    shifts = cv2.resize(coarse, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.nonzero(ink)
    across, down = shifts[rows // 2, columns // 2].T
    return move_ink(ink, columns + across, rows + down, ink.shape)


def move_ink(ink: np.ndarray, x: np.ndarray, y: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Each pixel of the lines somewhere else, bool of `shape`; neighbours stay joined, lines stay thin.

    x, y: float (n,), the new place of each pixel of the ink in reading order. What leaves the picture is lost.
    Resampling the picture instead would break lines or double them.
    """
    first, second = _neighbour_pairs(ink)
    across, down = x[second] - x[first], y[second] - y[first]
    apart = np.maximum(np.abs(across), np.abs(down))
    torn = apart > 1
    first, across, down = first[torn], across[torn], down[torn]
    steps = int(np.ceil(apart.max())) if torn.any() else 0
    between = np.arange(1, steps)[:, None] / max(steps, 1)
    xs = np.concatenate([x, (x[first] + between * across).ravel()])
    ys = np.concatenate([y, (y[first] + between * down).ravel()])
    columns, rows = (np.rint(each).astype(np.int64) for each in (xs, ys))
    inside = (columns >= 0) & (columns < shape[1]) & (rows >= 0) & (rows < shape[0])
    moved = np.zeros(shape, bool)
    moved[rows[inside], columns[inside]] = True
    return _without_stairs(moved)


def _jittered_edges(photo: np.ndarray, style: EdgeStyle, doublings: float) -> np.ndarray:
    """Ink of the photo with both thresholds times 2**doublings, to the next eighth."""
    ink = photo_to_edges(photo, _thin_style(style, round(8 * doublings))) == 0
    if doublings > 0 and np.count_nonzero(ink) < LEAST_INK * len(ink):
        return photo_to_edges(photo, _thin_style(style, 0)) == 0
    return ink


@lru_cache(maxsize=256)  # checking a style takes as long as finding the edges
def _thin_style(style: EdgeStyle, eighths: int) -> EdgeStyle:
    low, high = (min(level * 2 ** (eighths / 8), 10_000.0) for level in (style.low_threshold, style.high_threshold))
    return dataclasses.replace(style, low_threshold=low, high_threshold=high, line_width=1.0, antialias=False)


def _near(ink: np.ndarray, reach: int) -> np.ndarray:
    import cv2

    side = 2 * reach + 1
    return cv2.dilate(ink.astype(np.uint8), np.ones((side, side), np.uint8)) > 0


def _branches(ink: np.ndarray) -> np.ndarray:
    """How many lines leave each pixel: changes from paper to ink on a walk around it, uint8 (H, W)."""
    return CHANGES[_ring(ink)]


def _ring(ink: np.ndarray) -> np.ndarray:
    """Neighbours of each pixel as the bits of `RING`, uint8 (H, W)."""
    import cv2

    return cv2.filter2D(ink.astype(np.uint8), cv2.CV_8U, RING, borderType=cv2.BORDER_CONSTANT)


def _without_stairs(ink: np.ndarray) -> np.ndarray:
    """The ink without the corners of stairs, which make slanting lines thicker than Canny's."""
    padded = np.pad(ink, 1)
    flat, width = padded.ravel(), padded.shape[1]
    around = np.array([-width - 1, -width, -width + 1, 1, width + 1, width, width - 1, -1])  # in the order of RING
    places = np.flatnonzero(padded & ANY_STAIRS[_ring(padded)])
    for corners in STAIRS:  # one kind after the other: without both corners of a step, the line would break
        patterns = np.packbits(flat[places[:, None] + around], axis=1, bitorder="little")[:, 0]
        flat[places[corners[patterns]]] = False
    return padded[1:-1, 1:-1]


def _neighbour_pairs(ink: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the pixels, in reading order, of all pairs of ink pixels that touch."""
    padded = np.pad(ink, 1)
    places, width = np.flatnonzero(padded), padded.shape[1]
    numbers = np.full(padded.size, -1, np.int32)
    numbers[places] = np.arange(len(places))
    beside = numbers[places + np.array([[1], [width - 1], [width], [width + 1]])]  # east, and the row below
    which, first = np.nonzero(beside >= 0)
    return first, beside[which, first]
