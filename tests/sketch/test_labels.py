"""Pictures of label maps become areas in pure colours, however they were saved."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from bicyclegan.config import CheckpointConfig, EdgeStyle, ModelConfig
from bicyclegan.sketch.labels import fit_labels, is_label_map, prepare_picture, snap

PALETTE = ("#0000aa", "#0000ff", "#0055ff", "#00aaff", "#00ffff", "#55ffaa", "#ffff00", "#ff5500", "#ff0000", "#aa0000")
COLOURS = np.array([list(bytes.fromhex(colour[1:])) for colour in PALETTE], np.uint8)


def label_map(side: int = 96, width: int | None = None, seed: int = 0) -> np.ndarray:
    """Rectangles of all colours on the first one, (side, width, 3)."""
    random, width = np.random.RandomState(seed), width or side
    pixels = np.tile(COLOURS[0], (side, width, 1))
    for colour in COLOURS[1:]:
        top, left = random.randint(4, side - 24), random.randint(4, width - 24)
        pixels[top : top + random.randint(8, 20), left : left + random.randint(8, 20)] = colour
    return pixels


def saved(pixels: np.ndarray, format: str, **options) -> Image.Image:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return Image.open(file).convert("RGB")


def photo(side: int = 96) -> Image.Image:
    noise = np.random.RandomState(1).randint(0, 256, (6, 6, 3)).astype(np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)


def test_pure_colours_are_left_alone() -> None:
    pixels = label_map()
    assert np.array_equal(snap(pixels, PALETTE), pixels)
    assert np.array_equal(fit_labels(Image.fromarray(pixels), 96, PALETTE), pixels)


@pytest.mark.parametrize(("quality", "share"), [(95, 0.99), (75, 0.97), (40, 0.95)])
def test_noise_of_compression_goes(quality: int, share: float) -> None:
    pixels = label_map()
    found = fit_labels(saved(pixels, "JPEG", quality=quality), 96, PALETTE)
    assert {tuple(colour) for colour in found.reshape(-1, 3)} <= {tuple(colour) for colour in COLOURS}
    assert np.mean((found == pixels).all(axis=2)) >= share


def test_soft_borders_get_no_fringe_in_a_third_colour() -> None:
    """Half way from #0000aa to #00ffff lies something close to #0055ff, which is another class."""
    pixels = np.tile(COLOURS[0], (64, 64, 1))
    pixels[:, 32:] = COLOURS[4]
    soft = pixels.copy()
    soft[:, 32] = (COLOURS[0].astype(int) + COLOURS[4]) // 2
    found = snap(soft, PALETTE)
    assert {tuple(colour) for colour in found.reshape(-1, 3)} == {tuple(COLOURS[0]), tuple(COLOURS[4])}
    assert np.mean((found == pixels).all(axis=2)) >= 63 / 64


def test_what_is_not_square_gets_the_commonest_colour_of_its_border() -> None:
    found = fit_labels(Image.fromarray(label_map(48, 96)), 96, PALETTE)
    assert (found[:24] == COLOURS[0]).all() and (found[72:] == COLOURS[0]).all()
    assert np.array_equal(found[24:72], label_map(48, 96))


def test_large_pictures_are_quickly_read() -> None:
    large = Image.fromarray(label_map()).resize((5000, 2500), Image.Resampling.NEAREST)
    found = fit_labels(large, 64, PALETTE)
    assert found.shape == (64, 64, 3)
    assert {tuple(colour) for colour in found.reshape(-1, 3)} <= {tuple(colour) for colour in COLOURS}


def test_label_maps_are_told_from_photos_and_from_those_of_others() -> None:
    assert is_label_map(Image.fromarray(label_map()), PALETTE)
    assert is_label_map(saved(label_map(), "JPEG", quality=50), PALETTE)
    assert not is_label_map(photo(), PALETTE)
    assert not is_label_map(Image.fromarray(label_map()), ("#ffffff", "#808080", "#40c040"))
    assert not is_label_map(Image.new("RGB", (32, 32), "white"), PALETTE)


def described(**fields: object) -> CheckpointConfig:
    return CheckpointConfig(ModelConfig(image_size=256, input_channels=3), **fields)


def test_each_model_takes_pictures_as_it_was_trained() -> None:
    lines = prepare_picture(photo(256), described(edge_style=EdgeStyle()))
    assert lines.shape == (256, 256)
    labels = described(edge_style=None, palette=PALETTE)
    assert labels.takes_label_maps
    assert {tuple(c) for c in prepare_picture(photo(256), labels).reshape(-1, 3)} <= {tuple(c) for c in COLOURS}
    shades = described(edge_style=None, palette=PALETTE, shades=True)
    assert not shades.takes_label_maps
    assert np.array_equal(prepare_picture(photo(256), shades), np.asarray(photo(256)))
    assert not described(edge_style=None).takes_label_maps, "one colour"
