"""Whether a picture has its edges where the sketch has its lines."""

from __future__ import annotations

import numpy as np

TOLERANCE = 2
"""How far a line may lie from its place, in pixels: about as far as a blurred edge moves."""


def edge_f1(found: np.ndarray, drawn: np.ndarray, tolerance: float = TOLERANCE) -> float:
    """Harmonic mean of two shares: lines of `found` that lie near a line of `drawn`, and the other way round.

    Boundary F-measure (Martin, Fowlkes, Malik 2004) without one-to-one matching: lines of one pixel need none.

    Args:
        found, drawn: uint8 (H, W), 0 = line, 255 = paper.
        tolerance: distance in pixels that counts as near.

    Returns:
        0 to 1; 1 for two empty pictures, 0 when one of them is empty.
    """
    assert found.shape == drawn.shape, (found.shape, drawn.shape)
    lines, wanted = found < 128, drawn < 128
    if not lines.any() or not wanted.any():
        return float(lines.any() == wanted.any())
    precision, recall = _near(lines, wanted, tolerance), _near(wanted, lines, tolerance)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _near(lines: np.ndarray, others: np.ndarray, tolerance: float) -> float:
    """Share of `lines` that has one of `others` within the tolerance."""
    import cv2

    distance = cv2.distanceTransform((~others).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((distance[lines] <= tolerance).mean())
