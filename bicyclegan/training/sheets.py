"""Pictures that a run writes: sheets of samples, and where the encoder puts photos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from bicyclegan.images import fit_square, make_sheet, to_pil
from bicyclegan.latent import sample_codes
from bicyclegan.metrics.latent import active
from bicyclegan.projection import Pca

MAX_ROWS, MAX_WIDTH = 8, 1600
MIN_TILE = 96
"""Smaller pictures are enlarged to this, in px: captions need the room."""
GAP, MARGIN, CAPTION = 4, 16, 24
GROUP_GAP = 16
"""Between what is given and what is painted with random codes."""
WHITE, INK, MUTED = (255, 255, 255), (32, 36, 44), (112, 118, 130)

PLOT = 720
"""Side of the latent picture's square in px; its captions stand above and below."""
SMOOTH = 3
"""Drawn so much larger, then reduced: PIL draws without antialiasing."""
RINGS = (1, 2, 3)
PRIOR_POINTS = 1000
CODE_COLOUR, PRIOR_COLOUR, RING_COLOUR = (37, 99, 235), (150, 158, 172), (203, 208, 217)


def sample_sheet(
    a: Tensor,
    b: Tensor | None,
    reconstruction: Tensor | None,
    samples: Tensor,
    *,
    title: str = "",
    max_rows: int = MAX_ROWS,
) -> Image.Image:
    """One row a sketch: sketch, photo, reconstruction, samples. At most `MAX_WIDTH` px wide.

    Args:
        a: (N, 1 or 3, H, W) sketches in [-1, 1].
        b: (N, 3, H, W) photos; None leaves the column out, as for drawings.
        reconstruction: (N, 3, H, W) G(A, E(B)); None leaves the column out.
        samples: (N, S, 3, H, W) G(A, z), with the same z down a column (`metrics.outputs.paint_each`).
        title: a line above all, such as the step.
        max_rows: sketches that are shown, the first ones.
    """
    given = {"sketch": to_pil(a[:max_rows])}
    if b is not None:
        given["photo"] = to_pil(b[:max_rows])
    if reconstruction is not None:
        given["reconstruction"] = to_pil(reconstruction[:max_rows])
    painted = {f"z {k + 1}": to_pil(samples[:max_rows, k]) for k in range(samples.shape[1])}
    size = _tile_size(a.shape[-1], len(given) + len(painted))
    return _draw_columns([*given.items()], [*painted.items()], size, title)


def photo_sheet(photos: Tensor, samples: Tensor, *, columns: int, title: str = "") -> Image.Image:
    """Samples of a model without sketches in a grid, below a strip of photos as it should paint them.

    Args:
        photos: (N, 3, H, W) in [-1, 1], the first `columns` of them are shown.
        samples: (M, 3, H, W), in reading order.
        title: in the corner above, such as the step.
    """
    size = _tile_size(photos.shape[-1], columns)
    strips = [("photos", to_pil(photos[:columns])), ("samples", to_pil(samples))]
    grids = [make_sheet([fit_square(each, size) for each in pictures], columns, GAP) for _, pictures in strips]
    height = MARGIN + sum(CAPTION + grid.height + GAP for grid in grids) + MARGIN
    page = Image.new("RGB", (max(grid.width for grid in grids) + 2 * MARGIN, height), WHITE)
    draw, top = ImageDraw.Draw(page), MARGIN
    for (caption, _), grid in zip(strips, grids, strict=True):
        draw.text((MARGIN, top + CAPTION - 8), caption, MUTED, _font(15), anchor="ls")
        page.paste(grid, (MARGIN, top + CAPTION))
        top += CAPTION + grid.height + GAP
    if title:
        draw.text((page.width - MARGIN, MARGIN + CAPTION - 8), title, INK, _font(15), anchor="rs")
    return page


def latent_picture(mu: np.ndarray, prior: np.ndarray | None = None, *, title: str = "") -> Image.Image:
    """Codes of photos on the two directions in which they vary most, over N(0, I) with rings at 1, 2, 3 sigma.

    The middle is z = 0, so a shifted posterior stands beside it. A collapsed one is a dot there.

    Args:
        mu: (N, D) posterior means, N and D at least 1, finite.
        prior: (M, D) codes from N(0, I) to show behind; by default 1,000 with a fixed seed.
        title: a word before the caption, such as the step.
    """
    mu = np.asarray(mu, dtype=np.float64)
    pca = Pca.fit(mu)
    if prior is None:
        prior = sample_codes(0, PRIOR_POINTS, mu.shape[1], stratify=False)
    points, behind = (_on_plane(codes, pca) for codes in (mu, prior))
    reach = max(3.5, 1.05 * float(np.abs(points).max()))
    page = Image.new("RGB", (PLOT + 2 * MARGIN, PLOT + 2 * MARGIN + 3 * CAPTION), WHITE)
    page.paste(fit_square(_draw_plane(points, behind, reach), PLOT), (MARGIN, MARGIN + CAPTION))
    _write_captions(page, mu, pca, title)
    return page


def _tile_size(size: int, columns: int) -> int:
    """Side of a tile in px: as it is, enlarged if tiny, reduced if the sheet would get too wide."""
    room = (MAX_WIDTH - 2 * MARGIN - GROUP_GAP) // columns - GAP
    return max(1, min(max(size, MIN_TILE), room))


def _draw_columns(
    given: Sequence[tuple[str, list[Image.Image]]],
    painted: Sequence[tuple[str, list[Image.Image]]],
    size: int,
    title: str,
) -> Image.Image:
    columns = [*given, *painted]
    top = MARGIN + CAPTION * (2 if title else 1)
    lefts = [MARGIN + k * (size + GAP) + (GROUP_GAP if k >= len(given) else 0) for k in range(len(columns))]
    rows = len(columns[0][1])
    page = Image.new("RGB", (lefts[-1] + size + MARGIN, top + rows * (size + GAP) - GAP + MARGIN), WHITE)
    draw = ImageDraw.Draw(page)
    if title:
        draw.text((MARGIN, MARGIN - 4), title, INK, _font(16))
    for left, (caption, pictures) in zip(lefts, columns, strict=True):
        draw.text((left + size // 2, top - 8), caption, MUTED, _fitting_font(caption, size), anchor="ms")
        for row, picture in enumerate(pictures):
            place = left, top + row * (size + GAP)
            page.paste(fit_square(picture, size), place)
            draw.rectangle((*place, place[0] + size - 1, place[1] + size - 1), outline=RING_COLOUR)
    return page


def _on_plane(codes: np.ndarray, pca: Pca) -> np.ndarray:
    """(N, D) -> (N, 2) along the first two directions, measured from z = 0; the second is 0 where D is 1."""
    coords = np.asarray(codes, dtype=np.float64) @ pca.components[:2].T
    return np.pad(coords, ((0, 0), (0, 2 - coords.shape[1])))


def _draw_plane(points: np.ndarray, behind: np.ndarray, reach: float) -> Image.Image:
    """The square alone, `SMOOTH` times too large; its sides are at ±reach."""
    side = PLOT * SMOOTH
    plane = Image.new("RGB", (side, side), WHITE)
    draw = ImageDraw.Draw(plane, "RGBA")  # colours with alpha are laid over what is there

    def place(xy: np.ndarray) -> np.ndarray:
        return (1 + xy * (1, -1) / reach) * side / 2

    middle = side / 2
    draw.line((0, middle, side, middle), RING_COLOUR, SMOOTH)
    draw.line((middle, 0, middle, side), RING_COLOUR, SMOOTH)
    _draw_dots(draw, place(behind), 2.5 * SMOOTH, (*PRIOR_COLOUR, 90))
    radius, alpha = _dot_look(len(points))
    _draw_dots(draw, place(points), radius * SMOOTH, (*CODE_COLOUR, alpha))
    for sigma in RINGS:
        _draw_ring(draw, middle, sigma * middle / reach, str(sigma))
    draw.rectangle((0, 0, side - 1, side - 1), outline=RING_COLOUR, width=SMOOTH)
    return plane


def _draw_dots(draw: ImageDraw.ImageDraw, places: np.ndarray, radius: float, fill: tuple[int, int, int, int]) -> None:
    for x, y in places.tolist():
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def _draw_ring(draw: ImageDraw.ImageDraw, middle: float, radius: float, label: str) -> None:
    draw.ellipse((middle - radius, middle - radius, middle + radius, middle + radius), outline=MUTED, width=SMOOTH)
    corner = middle + radius * math.sqrt(0.5), middle - radius * math.sqrt(0.5)  # where no axis runs
    draw.text(corner, label, INK, _font(14 * SMOOTH), anchor="mm", stroke_width=4 * SMOOTH, stroke_fill=WHITE)


def _dot_look(count: int) -> tuple[float, int]:
    """Radius in px and opacity in 255: fewer codes, larger and darker dots."""
    return (5.0, 150) if count <= 100 else (3.5, 150) if count <= 1000 else (2.0, 80)


def _write_captions(page: Image.Image, mu: np.ndarray, pca: Pca, title: str) -> None:
    """The legend above; figures below."""
    draw = ImageDraw.Draw(page)
    x, middle = float(MARGIN), MARGIN + 6
    for colour, text in ((CODE_COLOUR, "codes of photos"), (PRIOR_COLOUR, "prior N(0, I), rings at 1, 2, 3 sigma")):
        draw.ellipse((x, middle - 5, x + 10, middle + 5), fill=colour)
        draw.text((x + 16, middle), text, INK, _font(15), anchor="lm")
        x += 40 + _font(15).getlength(text)
    if title:
        draw.text((page.width - MARGIN, middle), title, INK, _font(15), anchor="rm")
    for line, (text, colour) in enumerate(zip(describe_codes(mu, pca), (INK, MUTED), strict=True)):
        draw.text((MARGIN, MARGIN + CAPTION * (line + 1) + PLOT + 12), text, colour, _font(15), anchor="lt")


def describe_codes(mu: np.ndarray, pca: Pca) -> tuple[str, str]:
    """Two lines below the latent picture: how many codes and active dims, and what its axes hold."""
    used = sum(active(torch.from_numpy(mu)))
    shares = " and ".join(f"{share:.0%}" for share in pca.shares[:2])
    counts = f"{len(mu):,} codes, {used} of {mu.shape[1]} dims active"
    return counts, f"The axes hold {shares} of the codes' variance."


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _fitting_font(text: str, width: int) -> ImageFont.FreeTypeFont:
    """The largest readable font in which the text is not wider than `width` px."""
    return next((_font(size) for size in range(15, 9, -1) if _font(size).getlength(text) <= width), _font(9))
