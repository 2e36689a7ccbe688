"""Pictures of drawings, above all of label maps, as a generator knows them.

Files of label maps come compressed, enlarged or with soft borders; a generator knows pure colours only.
`palette` are colours '#rrggbb'.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from bicyclegan.config import CheckpointConfig
from bicyclegan.images import fit_square
from bicyclegan.sketch.edges import prepare_drawing
from bicyclegan.sketch.kind import SAME_COLOUR, flat_pixels

LARGEST = 1024
"""Side in px above which only every n-th pixel is looked at: no model sees more."""
LABELLED = 0.8
"""Share of what lies inside of areas that has about a colour of the palette, from which a picture is a map of them.
Of 200 label maps of facades, saved as JPEG, it is 0.99 and more, of their photos 0.001 and less."""


def prepare_picture(picture: Image.Image, config: CheckpointConfig) -> np.ndarray:
    """A picture of a drawing as a checkpoint's generator knows drawings: its lines, its labels in pure colours, or,
    for one that takes pictures in any shades, itself. uint8 (S, S) or (S, S, 3), S being the model's size."""
    size = config.model.image_size
    if config.edge_style is not None:
        return prepare_drawing(picture, size, config.edge_style)
    if config.takes_label_maps:
        return fit_labels(picture, size, config.palette)
    return np.asarray(fit_square(picture, size))


def fit_labels(picture: Image.Image, size: int, palette: Sequence[str]) -> np.ndarray:
    """A label map as training fits it, (size, size, 3) uint8, in colours of the palette alone.

    Around what is not square lies the commonest colour of its border.
    """
    pure = snap(_small(picture, size), palette)
    border = np.concatenate([pure[0], pure[-1], pure[:, 0], pure[:, -1]])
    colours, counts = np.unique(border, axis=0, return_counts=True)
    fill = tuple(colours[counts.argmax()].tolist())
    return np.asarray(fit_square(Image.fromarray(pure), size, fill=fill, flat=True))


def is_label_map(picture: Image.Image, palette: Sequence[str]) -> bool:
    """Whether a picture is areas in about these colours; a photo, or a map in others, is not."""
    pixels = _small(picture)
    areas = pixels[flat_pixels(pixels)]
    return len(areas) > 0 and np.mean(_nearest(areas, palette)[1] <= SAME_COLOUR) >= LABELLED


def snap(pixels: np.ndarray, palette: Sequence[str]) -> np.ndarray:
    """Each pixel of uint8 (H, W, 3) in the nearest colour of the palette.

    Soft borders get no fringe: half way between red and blue may lie somebody else's purple. Pixels that have no
    colour of the palette, not even nearly, take that of the nearest one that has.
    """
    import cv2

    place, distance = _nearest(pixels, palette)
    unsure = distance > SAME_COLOUR
    if unsure.any() and not unsure.all():
        _, owners = cv2.distanceTransformWithLabels(
            unsure.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        place_of = np.zeros(owners.max() + 1, place.dtype)
        place_of[owners[~unsure]] = place[~unsure]
        place = place_of[owners]
    return _colours(palette)[place]


def _small(picture: Image.Image, size: int = LARGEST) -> np.ndarray:
    """Pixels of the picture, uint8 (H, W, 3): only some of them where it is far larger than any model."""
    scale = max(LARGEST, size) / max(picture.size)
    if scale < 1:
        width, height = (max(1, round(scale * side)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(picture.convert("RGB"))


def _nearest(pixels: np.ndarray, palette: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (..., 3) -> place of the nearest colour in the palette, and its distance.

    Nearest by the sum of squares; the distance is that of the channel that differs most, in levels.
    """
    signed, colours = pixels.astype(np.int32), _colours(palette).astype(np.int32)
    place = np.zeros(pixels.shape[:-1], np.uint8)
    least = np.full(pixels.shape[:-1], np.iinfo(np.int32).max, np.int32)
    for index, colour in enumerate(colours):
        squares = ((signed - colour) ** 2).sum(axis=-1)
        closer = squares < least
        place[closer], least[closer] = index, squares[closer]
    return place, np.abs(signed - colours[place]).max(axis=-1)


def _colours(palette: Sequence[str]) -> np.ndarray:
    """(K, 3) uint8."""
    return np.array([list(bytes.fromhex(colour.lstrip("#"))) for colour in palette], np.uint8)
