"""Sheets show what belongs where, at a size that fits a page; the latent picture puts codes where they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from bicyclegan.errors import UserError
from bicyclegan.projection import Pca
from bicyclegan.training.sheets import (
    CAPTION,
    CODE_COLOUR,
    MARGIN,
    MAX_WIDTH,
    PLOT,
    describe_codes,
    latent_picture,
    sample_sheet,
)


def flat(colours: list[tuple[float, float, float]], size: int) -> torch.Tensor:
    """One plain picture a colour, (N, 3, size, size); colours in [-1, 1]."""
    return torch.tensor(colours, dtype=torch.float32)[:, :, None, None].expand(-1, -1, size, size)


def colours_across(sheet: Image.Image, y: int) -> list[tuple[int, ...]]:
    """Colours that fill at least 60 px of a line of pixels, from left to right, without the paper."""
    row = np.asarray(sheet.convert("RGB"))[y]
    cuts = np.flatnonzero((row[1:] != row[:-1]).any(axis=1)) + 1
    parts = [part for part in np.split(row, cuts) if len(part) >= 60]
    return [tuple(part[0].tolist()) for part in parts if tuple(part[0].tolist()) != (255, 255, 255)]


def test_every_picture_stands_in_its_row_and_column() -> None:
    a = torch.zeros(2, 1, 128, 128) - 1
    b = flat([(1, -1, -1), (-1, 1, -1)], 128)
    reconstruction = flat([(0.5, -1, -1), (-1, 0.5, -1)], 128)
    samples = torch.stack([flat([(-1, -1, 1), (1, 1, -1), (-1, 1, 1)], 128)] * 2)
    samples[1] *= 0.5
    sheet = sample_sheet(a, b, reconstruction, samples)
    top = sheet.height - MARGIN - 2 * 128 - 4
    first, second = colours_across(sheet, top + 64), colours_across(sheet, top + 132 + 64)
    assert first == [(0, 0, 0), (255, 0, 0), (191, 0, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)]
    assert second == [(0, 0, 0), (0, 255, 0), (0, 191, 0), (64, 64, 191), (191, 191, 64), (64, 191, 191)]


@pytest.mark.parametrize(
    ("size", "samples", "tile"), [(32, 1, 96), (128, 5, 128), (128, 8, 128), (256, 8, 137), (256, 30, 43)]
)
def test_sheets_fit_a_page(size: int, samples: int, tile: int) -> None:
    """Tiny pictures are enlarged, many large ones reduced, the usual size stays; eight rows of twelve."""
    pictures = torch.zeros(12, 3, size, size)
    sheet = sample_sheet(pictures, pictures, pictures, pictures[:, None].expand(-1, samples, -1, -1, -1), title="step")
    assert sheet.width <= MAX_WIDTH
    assert sheet.height == 2 * MARGIN + 2 * CAPTION + 8 * tile + 7 * 4


def test_captions_and_title_are_there() -> None:
    pictures = torch.ones(1, 3, 128, 128)
    plain = sample_sheet(pictures, pictures, pictures, pictures[:, None])
    titled = sample_sheet(pictures, pictures, pictures, pictures[:, None], title="step 500")
    assert titled.height == plain.height + CAPTION
    above = np.asarray(plain.convert("L"))[: MARGIN + CAPTION]
    for left in (MARGIN, MARGIN + 132, MARGIN + 264, MARGIN + 412):
        assert above[:, left : left + 128].min() < 160, "a caption over each column"


def test_without_encoder_there_is_no_column_for_it() -> None:
    pictures = torch.zeros(1, 3, 128, 128)
    with_it = sample_sheet(pictures, pictures, pictures, pictures[:, None])
    without = sample_sheet(pictures, pictures, None, pictures[:, None])
    assert with_it.width - without.width == 132


def place(x: float, y: float, reach: float = 3.5) -> tuple[int, int]:
    """Where a point of the plane is in the latent picture, px."""
    return round(MARGIN + (1 + x / reach) * PLOT / 2), round(MARGIN + CAPTION + (1 - y / reach) * PLOT / 2)


def is_blue(picture: Image.Image, x: float, y: float, reach: float = 3.5) -> bool:
    red, _, blue = picture.getpixel(place(x, y, reach))
    return blue - red > 60


def test_codes_are_where_they_belong() -> None:
    mu = np.array([[2.0, 0.3], [-2.0, 0.3], [0.5, 1.3], [0.5, -0.7]])
    picture = latent_picture(mu, prior=np.zeros((1, 2)))
    assert all(is_blue(picture, x, y) for x, y in mu)
    assert not any(is_blue(picture, *spot) for spot in [(0, 0), (2, -0.3), (0.5, 0.7), (1, 1)])
    assert not is_blue(picture, 0.1, 0.3), "the middle is z = 0, not the mean of the codes"


def test_far_codes_stay_inside() -> None:
    mu = np.array([[20.0, 0.5], [-20.0, 0.5], [0.0, 0.5]])
    picture = latent_picture(mu, prior=np.zeros((1, 2)))
    assert is_blue(picture, 20, 0.5, reach=21)
    assert is_blue(picture, -20, 0.5, reach=21)


def test_the_prior_lies_behind_the_codes() -> None:
    mu = np.array([[1.5, 0.0], [-1.5, 0.0]])
    empty = latent_picture(mu, prior=np.zeros((1, 2)))
    full = latent_picture(mu)
    grey = [np.asarray(each.convert("L"))[place(0, 2.9)[1] : place(0, 0.5)[1]] for each in (empty, full)]
    assert (grey[1] < 250).sum() > (grey[0] < 250).sum() + 1000
    assert is_blue(full, 1.5, 0)


def test_the_caption_says_what_is_used() -> None:
    random = np.random.RandomState(0)
    mu = random.randn(1000, 8) * [1, 1, 0, 0, 0, 0, 0, 0.01]
    counts, axes = describe_codes(mu, Pca.fit(mu))
    assert counts == "1,000 codes, 2 of 8 dims active"
    assert axes in {f"The axes hold {x}% and {100 - x}% of the codes' variance." for x in range(50, 54)}


@pytest.mark.parametrize("shape", [(1, 1), (1, 8), (3, 2), (5000, 2)])
def test_any_number_of_codes_can_be_shown(shape: tuple[int, int]) -> None:
    picture = latent_picture(np.random.RandomState(0).randn(*shape).astype(np.float32), title="step 1")
    assert picture.width == PLOT + 2 * MARGIN
    assert CODE_COLOUR in {colour for _, colour in picture.getcolors(1 << 20)}, "the legend at least"


def test_equal_codes_are_a_dot() -> None:
    assert is_blue(latent_picture(np.zeros((50, 8))), 0, 0)


def test_codes_that_failed_are_refused() -> None:
    with pytest.raises(UserError, match="NaN"):
        latent_picture(np.full((4, 2), np.nan))
