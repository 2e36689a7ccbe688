"""Which pixels of a photo on a plain background are the object."""

from __future__ import annotations

import numpy as np

PAPER_TOLERANCE = 10
"""Grey levels, in the channel that differs most, up to which a pixel counts as background."""
GAP = 1 / 64
"""Openings in a pale outline up to this share of the side are closed: a white shoe on white is one object."""
SMALLEST_PIECE = 0.05
"""Share of the largest piece below which another piece is dirt."""


def find_object(photo: np.ndarray, paper: np.ndarray) -> np.ndarray:
    """Bool (H, W), True = object: all that the background does not reach from the border of the picture.

    photo: uint8 (H, W, 3). paper: (3,) colour of its plain background. All False if there is nothing but paper.
    Gaps inside of the object, such as between straps, belong to it.
    """
    import cv2

    low, high = (tuple(float(level) + offset for level in paper) for offset in (-PAPER_TOLERANCE, PAPER_TOLERANCE))
    differs = cv2.bitwise_not(cv2.inRange(photo, low, high))
    reach = max(1, round(photo.shape[0] * GAP / 2))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    margin = reach + 1
    closed = cv2.dilate(cv2.copyMakeBorder(differs, *[margin] * 4, cv2.BORDER_CONSTANT, value=0), kernel)
    cv2.floodFill(closed, None, (0, 0), 1, flags=4)  # what the background reaches; the rest is 0 or 255
    solid = cv2.erode((closed != 1).astype(np.uint8), kernel)
    return _large_pieces(solid[margin:-margin, margin:-margin])


def _large_pieces(mask: np.ndarray) -> np.ndarray:
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(np.ascontiguousarray(mask), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return (areas >= max(1, SMALLEST_PIECE * areas.max()))[labels]
