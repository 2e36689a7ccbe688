"""Photos and pictures of drawings -> edge maps: the same edges that training uses.

All edge maps are uint8, 0 = edge, 255 = paper.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from bicyclegan.config import EdgeStyle
from bicyclegan.errors import UserError
from bicyclegan.images import ImageSource, fit_box, fit_square, load_image
from bicyclegan.sketch.lines import DEFAULT_STYLE, draw_ink, resize_lines, widen

CONTRAST_QUANTILE = 0.97
"""An outline covers a few per cent of a photo: this quantile of the gradient lies on it, not on noise or texture."""
CONTRAST_REFERENCE = 540.0
"""Median of that quantile over product photos on white at 128 px (L1 norm of the Sobel gradient): scale 1."""
CONTRAST_LIMITS = (0.25, 2.0)
"""The most that adaptive thresholds shrink or grow."""
FAINTEST_DRAWING = 24
"""Grey levels between paper and ink below which a scan counts as empty."""


def photo_to_edges(photo: ImageSource, style: EdgeStyle = DEFAULT_STYLE, size: int | None = None) -> np.ndarray:
    """Edges of a photo in a checkpoint's style: (H, W), or (size, size) with the whole photo centred.

    photo: anything that `load_image` opens. size: pixels of the square it is fitted into first.
    Bilateral filter, then Canny, "A Computational Approach to Edge Detection" (1986).
    """
    image = load_image(photo)
    pixels = np.asarray(image)
    border = _border(pixels)
    paper = np.median(border, axis=0)
    square = fit_square(image, size, fill=tuple(int(level) for level in paper)) if size else image
    ink = _canny(_smooth_grey(np.asarray(square), style), style)
    plain_background = np.mean(np.abs(border - paper).max(axis=1) <= 24) > 0.5
    if size and not plain_background:
        _wipe_seams(ink, fit_box(*image.size, size))
    return draw_ink(widen(ink, style.line_width), style.antialias)


def with_detail(style: EdgeStyle, detail: float) -> EdgeStyle:
    """The style with more edges (up to 1) or fewer (down to -1): both thresholds times 4**-detail."""
    if not -1 <= detail <= 1:
        raise UserError("edge_detail", "Edge detail is {detail}; it must be a number from -1 to 1.", detail=detail)
    factor = 4.0**-detail
    low, high = (min(level * factor, 10_000.0) for level in (style.low_threshold, style.high_threshold))
    return dataclasses.replace(style, low_threshold=low, high_threshold=high)


def prepare_drawing(image: ImageSource, size: int, style: EdgeStyle = DEFAULT_STYLE) -> np.ndarray:
    """A picture of a drawing (scan, photo of paper, lines of any size) -> (size, size) lines in the style.

    Light lines on a dark ground are inverted, shading of the paper is evened out, thin lines survive.
    A black-on-white picture of this size with no other values is returned as it is.
    """
    grey = np.asarray(load_image(image).convert("L"))
    # Both: an object that fills the frame is dark inside, a scan's shadow is dark at its border.
    if np.median(_border(grey[..., None])) < 128 and np.median(grey) < 128:
        grey = 255 - grey
    if grey.shape == (size, size) and np.isin(grey, (0, 255)).all():
        return grey.copy()
    left, top, width, height = fit_box(grey.shape[1], grey.shape[0], size)
    canvas = np.full((size, size), 255, np.uint8)
    lines = resize_lines(_full_contrast(grey), width, height, style)
    canvas[top : top + height, left : left + width] = lines
    return canvas


def _smooth_grey(pixels: np.ndarray, style: EdgeStyle) -> np.ndarray:
    import cv2

    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    if style.bilateral_diameter == 0:
        return grey
    return cv2.bilateralFilter(grey, style.bilateral_diameter, style.bilateral_sigma_color, style.bilateral_sigma_space)


def _canny(grey: np.ndarray, style: EdgeStyle) -> np.ndarray:
    """Grey (H, W) -> bool edges of one pixel."""
    import cv2

    scale = _contrast(grey) if style.adaptive else 1.0
    return cv2.Canny(grey, style.low_threshold * scale, style.high_threshold * scale, L2gradient=False) > 0


def _contrast(grey: np.ndarray) -> float:
    """How strong the outline of this photo is, 1 for a usual product photo, within `CONTRAST_LIMITS`.

    Thresholds times this number find the outline of a pale photo, and only the outline of a harsh one.
    """
    import cv2

    across, down = (cv2.Sobel(grey, cv2.CV_32F, dx, dy, ksize=3) for dx, dy in ((1, 0), (0, 1)))
    strength = np.quantile(np.abs(across) + np.abs(down), CONTRAST_QUANTILE)
    return float(np.clip(strength / CONTRAST_REFERENCE, *CONTRAST_LIMITS))


def _border(pixels: np.ndarray) -> np.ndarray:
    """(H, W, C) -> (pixels of the outermost frame, C), signed so that differences work."""
    frame = (pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1])
    return np.concatenate(frame).astype(np.int16)


def _wipe_seams(ink: np.ndarray, box: tuple[int, int, int, int]) -> None:
    """Remove the line between a photo without a plain background and the filling around it, in place."""
    left, top, width, height = box
    size = ink.shape[0]
    for seams, along in (((left, left + width), ink.T), ((top, top + height), ink)):
        for seam in seams:
            if 0 < seam < size:
                along[max(0, seam - 2) : seam + 2] = False


def _full_contrast(grey: np.ndarray) -> np.ndarray:
    """Paper becomes 255 although its light is uneven, the darkest ink 0. A sheet without ink becomes all paper."""
    paper = _paper(grey)
    even = np.minimum(grey / paper, 1)
    darkest = float(even.min())
    if 255 * (1 - darkest) < FAINTEST_DRAWING:
        return np.full_like(grey, 255)
    return np.rint(255 * (even - darkest) / (1 - darkest)).astype(np.uint8)


def _paper(grey: np.ndarray) -> np.ndarray:
    """Brightness of the paper at each pixel, float32 (H, W): the brightest in a wide window, smoothed."""
    import cv2

    small = cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA)
    bright = cv2.GaussianBlur(cv2.dilate(small, np.ones((9, 9), np.uint8)), (9, 9), 0).astype(np.float32)
    # Inside a large black area the window holds no paper: shade beyond a half is taken for ink.
    bright = np.maximum(bright, max(1.0, 0.5 * float(bright.max())))
    return cv2.resize(bright, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
