"""What colour the object in a picture has, to the eye: CIE Lab, where equal distances look about equally different."""

from __future__ import annotations

import numpy as np

from bicyclegan.images import border_colour

PAPER_TOLERANCE = 16
"""Grey levels, in the channel that differs most, up to which a pixel counts as paper."""
PLAIN_BORDER = 0.5
"""Share of the frame in one colour from which on that colour is paper."""


def object_mask(pictures: np.ndarray) -> np.ndarray:
    """Which pixels are the object, in pictures of one sketch in several styles.

    An object may be as white as its paper in one of them, but not in all: their mean is looked at. Pictures without
    a plain border, such as those of label maps, and pictures of nothing but paper, are object everywhere.

    Args:
        pictures: uint8 (N, H, W, 3), N at least 1; the more different they are, the better.

    Returns:
        Bool (H, W), True = object, at least one of them.
    """
    assert pictures.dtype == np.uint8, pictures.dtype
    assert pictures.ndim == 4, pictures.shape
    mean = pictures.mean(axis=0, dtype=np.float32).round().astype(np.uint8)
    paper, share = border_colour(mean)
    mask = np.abs(mean.astype(np.int16) - paper).max(axis=2) > PAPER_TOLERANCE
    return mask if share >= PLAIN_BORDER and mask.any() else np.ones_like(mask)


def typical_colour(pictures: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The colour that a person would call the object's: uint8 (..., H, W, 3), bool (H, W) -> (..., 3) float32 Lab.

    The median of each channel of Lab: a white sole, highlights and stains beside the object leave no trace in it.
    """
    return np.median(rgb_to_lab(pictures[..., mask, :]), axis=-2)


def delta_e(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How different two colours look (CIE76): Lab (..., 3) twice -> (...); about 2 is just seen, 100 black on white."""
    return np.linalg.norm(np.asarray(a) - np.asarray(b), axis=-1)


def rgb_to_lab(colours: np.ndarray) -> np.ndarray:
    """uint8 sRGB (..., 3) -> float32 Lab (..., 3): L 0 to 100, a and b about -110 to 110."""
    import cv2

    assert colours.dtype == np.uint8, colours.dtype
    pixels = colours.reshape(-1, 1, 3).astype(np.float32) / 255  # uint8 would come back rounded
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2Lab).reshape(colours.shape)


def lab_to_rgb(colours: np.ndarray) -> np.ndarray:
    """Float Lab (..., 3) -> uint8 sRGB (..., 3), the nearest that a screen has."""
    import cv2

    pixels = np.asarray(colours, np.float32).reshape(-1, 1, 3)
    rgb = cv2.cvtColor(pixels, cv2.COLOR_Lab2RGB).reshape(np.shape(colours))
    return (255 * rgb.clip(0, 1)).round().astype(np.uint8)
