"""Small generated pictures and folders of them, for the tests of everything that reads data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from bicyclegan.training.config import TrainConfig

WHITE, GREY = (255, 255, 255), (128, 128, 128)


def photo(seed: int = 0, width: int = 48, height: int = 48, paper: tuple[int, ...] | None = WHITE) -> Image.Image:
    """An ellipse in a random colour with a band across it, on plain paper; None: on noise of its own."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[:height, :width]
    reach = random.uniform(0.25, 0.4, 2)
    inside = ((x / width - 0.5) / reach[0]) ** 2 + ((y / height - 0.5) / reach[1]) ** 2 < 1
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = random.randint(60, 200, (height, width, 3)) if paper is None else paper
    pixels[inside] = random.randint(0, 160, 3)
    pixels[inside & (np.abs(y / height - random.uniform(0.4, 0.6)) < 0.06)] = random.randint(0, 160, 3)
    return Image.fromarray(pixels)


def drawing(seed: int = 0, side: int = 48) -> Image.Image:
    """The outline of `photo(seed)`: black on white."""
    from bicyclegan.sketch import photo_to_edges

    return Image.fromarray(photo_to_edges(photo(seed, side, side)))


def labels(seed: int = 0, side: int = 48) -> Image.Image:
    """Rectangles in red, green and yellow on blue."""
    random = np.random.RandomState(seed)
    pixels = np.full((side, side, 3), (0, 0, 200), np.uint8)
    for colour in ((220, 0, 0), (0, 220, 0), (220, 220, 0)):
        left, top = random.randint(0, side // 2, 2)
        width, height = random.randint(side // 4, side // 2, 2)
        pixels[top : top + height, left : left + width] = colour
    return Image.fromarray(pixels)


def scene(seed: int = 0, side: int = 48) -> Image.Image:
    """Smooth colours everywhere, as in a photo."""
    small = np.random.RandomState(seed).randint(0, 256, (6, 6, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two pictures in one, as pix2pix stores pairs."""
    return Image.fromarray(np.concatenate([np.asarray(side.convert("RGB")) for side in (left, right)], axis=1))


def save(image: Image.Image, path: Path) -> Path:
    """Write a picture and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def save_photos(folder: Path, count: int = 6, first: int = 0, **options) -> Path:
    """`count` photos named 0.png, 1.png, ..."""
    for seed in range(first, first + count):
        save(photo(seed, **options), folder / f"{seed}.png")
    return folder


def train_config(tiny, data: Path, **options) -> TrainConfig:
    """A run on a folder with its cache beside it. options: fields of TrainConfig."""
    return TrainConfig(data=str(data), out=str(data.parent / "runs" / "test"), model=tiny, batch_size=4, **options)
