"""Lines, label maps and pictures are told apart, and the colours of label maps are found, even after JPEG."""

from __future__ import annotations

import io

import numpy as np
import pytest
from picture_sets import drawing, labels, photo, scene
from PIL import Image, ImageOps

from bicyclegan.sketch.kind import describe_sketches, texture

COLOURS = {(0, 0, 200), (220, 0, 0), (0, 220, 0), (220, 220, 0)}


def some(make, count: int = 8, quality: int = 0) -> list[np.ndarray]:
    """Pictures of 128 px as arrays; quality: of JPEG, 0 for none."""
    pictures = [make(seed, 128).convert("RGB") for seed in range(count)]
    if quality:
        buffers = [io.BytesIO() for _ in pictures]
        for image, buffer in zip(pictures, buffers, strict=True):
            image.save(buffer, "JPEG", quality=quality)
        pictures = [Image.open(buffer) for buffer in buffers]
    return [np.asarray(image) for image in pictures]


def shaded(seed: int, side: int) -> Image.Image:
    return scene(seed, side).convert("L")


def inverted(seed: int, side: int) -> Image.Image:
    return ImageOps.invert(drawing(seed, side))


@pytest.mark.parametrize("quality", [0, 90, 60])
@pytest.mark.parametrize(
    ("make", "kind", "grey"),
    [
        (drawing, "lines", True),
        (inverted, "lines", True),
        (labels, "labels", False),
        (scene, "pictures", False),
        (shaded, "pictures", True),
    ],
)
def test_kinds_are_told_apart(make, kind, grey, quality):
    found = describe_sketches(some(make, quality=quality))
    assert (found.kind, found.grey) == (kind, grey)


@pytest.mark.parametrize("quality", [0, 90, 75])
def test_the_palette_holds_the_colours_of_the_areas(quality):
    found = describe_sketches(some(labels, quality=quality))
    colours = [tuple(bytes.fromhex(colour[1:])) for colour in found.palette]
    assert len(colours) == len(COLOURS)
    for colour in COLOURS:
        assert min(np.abs(np.subtract(colour, other)).max() for other in colours) <= 6
    assert np.abs(np.subtract(colours[0], (0, 0, 200))).max() <= 6  # the most frequent first


def test_grey_sketches_are_drawn_in_black():
    assert describe_sketches(some(drawing)).palette == describe_sketches(some(shaded)).palette == ("#000000",)


def test_label_maps_of_one_colour_are_label_maps():
    flat = [np.full((32, 32, 3), (0, 90, 200), np.uint8)] * 3
    found = describe_sketches(flat)
    assert (found.kind, found.palette) == ("labels", ("#005ac8",))


def test_noise_without_areas_has_a_palette_too():
    noise = [np.random.RandomState(0).randint(0, 256, (32, 32, 3)).astype(np.uint8)]
    found = describe_sketches(noise)
    assert found.kind == "pictures"
    assert 1 <= len(found.palette) <= 32


@pytest.mark.parametrize("quality", [0, 90])
def test_photos_have_more_texture_than_sketches(quality):
    by_make = {
        make: np.mean([texture(each) for each in some(make, quality=quality)]) for make in (drawing, labels, scene)
    }
    assert by_make[drawing] < 0.02
    assert by_make[scene] > 1.5 * by_make[labels] + 0.02


def test_texture_is_a_share():
    ramp = np.tile((np.arange(64) * 8 % 256).astype(np.uint8)[None, :, None], (64, 1, 3))
    assert texture(ramp) > 0.9
    assert texture(np.asarray(photo(1, 64, 64))) < 0.01
