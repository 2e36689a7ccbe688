"""Geometry of a pair: mirrored, turned, zoomed and cropped, both sides alike and in one step.

Pictures are uint8 (C, C, channels) and become (S, S, channels). `plain`: on a plain background; what lies beyond
the border is then more of the border, else a reflection. Neither makes an edge where the picture ended.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bicyclegan.sketch.amateur import move_ink
from bicyclegan.sketch.lines import draw_ink
from bicyclegan.training.config import AugmentConfig


@dataclass(frozen=True)
class Geometry:
    """A square of `size` px, cut out at (left, top), mirrored, zoomed and turned about its middle."""

    size: int
    left: int = 0
    top: int = 0
    mirrored: bool = False
    degrees: float = 0.0
    """Counterclockwise."""
    zoom: float = 1.0
    """Over 1 enlarges."""

    @property
    def whole(self) -> bool:
        """Whether pixels fall on pixels, so that nothing is interpolated."""
        return self.degrees == 0 and self.zoom == 1

    @property
    def matrix(self) -> np.ndarray:
        """float64 (2, 3): x, y, 1 of a pixel of the result -> x, y of where it comes from."""
        angle, middle = np.radians(self.degrees), (self.size - 1) / 2
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / self.zoom
        turn[:, 0] *= -1 if self.mirrored else 1
        shift = np.array([self.left, self.top]) + middle - turn @ (middle, middle)
        return np.column_stack([turn, shift])


def random_geometry(config: AugmentConfig, source: int, size: int, random: np.random.RandomState) -> Geometry:
    """One change of a picture of `source` px a side to one of `size` px; source is at least size."""
    assert source >= size, (source, size)
    left, top = random.randint(0, source - size + 1, 2).tolist()
    return Geometry(
        size,
        left,
        top,
        mirrored=random.uniform() < config.flip,
        degrees=random.uniform(-1, 1) * config.rotation,
        zoom=1 + random.uniform(-1, 1) * config.scale,
    )


def warp_photo(photo: np.ndarray, geometry: Geometry, plain: bool) -> np.ndarray:
    """Bicubic: linear interpolation would teach the generator to blur."""
    import cv2

    return _warp(photo, geometry, cv2.INTER_CUBIC, plain)


def warp_labels(labels: np.ndarray, geometry: Geometry, plain: bool) -> np.ndarray:
    """The nearest pixel: no colours but those that were there."""
    import cv2

    return _warp(labels, geometry, cv2.INTER_NEAREST, plain)


def warp_lines(lines: np.ndarray, geometry: Geometry, plain: bool, antialias: bool = False) -> np.ndarray:
    """Black lines on white, uint8 (C, C) -> (S, S): thin lines stay thin and whole at any angle."""
    import cv2

    if geometry.whole:
        return _cut(lines, geometry)
    margin = _margin(geometry, len(lines))
    beyond = cv2.BORDER_CONSTANT if plain else _border_mode(plain)  # where an object is cut off, its lines end
    ink = cv2.copyMakeBorder((lines < 128).astype(np.uint8), *[margin] * 4, beyond) > 0
    rows, columns = np.nonzero(ink)
    forward = cv2.invertAffineTransform(geometry.matrix)
    x, y = forward @ np.stack([columns - margin, rows - margin, np.ones_like(rows)])
    return draw_ink(move_ink(ink, x, y, (geometry.size, geometry.size)), antialias)


def _warp(pixels: np.ndarray, geometry: Geometry, interpolation: int, plain: bool) -> np.ndarray:
    import cv2

    if geometry.whole:
        return _cut(pixels, geometry)
    flags = interpolation | cv2.WARP_INVERSE_MAP
    side = (geometry.size, geometry.size)
    return cv2.warpAffine(pixels, geometry.matrix, side, flags=flags, borderMode=_border_mode(plain))


def _cut(pixels: np.ndarray, geometry: Geometry) -> np.ndarray:
    rows = slice(geometry.top, geometry.top + geometry.size)
    columns = slice(geometry.left, geometry.left + geometry.size)
    return np.ascontiguousarray(pixels[rows, columns][:, :: -1 if geometry.mirrored else 1])


def _border_mode(plain: bool) -> int:
    import cv2

    return cv2.BORDER_REPLICATE if plain else cv2.BORDER_REFLECT_101


def _margin(geometry: Geometry, source: int) -> int:
    """Pixels around the source that the result looks at."""
    corners = np.array([[x, y, 1] for x in (0, geometry.size - 1) for y in (0, geometry.size - 1)])
    seen = corners @ geometry.matrix.T
    return max(0, int(np.ceil(max(-seen.min(), seen.max() - (source - 1))))) + 1
