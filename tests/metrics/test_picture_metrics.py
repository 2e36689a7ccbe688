"""Blur, noise and border artefacts are seen, each by its own metric alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bicyclegan.metrics import Outputs, evaluate
from bicyclegan.metrics.pictures import FLOOR, frame_energy, high_energy

Plant = Callable[..., Outputs]


def measure(plant: Plant, photos: Tensor, fakes: Tensor) -> tuple[float, float]:
    """(high_frequency, border_energy) of one fake a photo."""
    found = evaluate(plant(b=photos, random=fakes[:, None]), ["high_frequency", "border_energy"])
    return found["high_frequency"], found["border_energy"]


@pytest.fixture
def photos() -> Tensor:
    """Random detail in the middle of white paper: (4, 3, 64, 64)."""
    pictures = torch.ones(4, 3, 64, 64)
    pictures[..., 12:-12, 12:-12] = torch.rand(4, 3, 40, 40, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return pictures


def test_a_perfect_generator_is_at_1(plant: Plant, photos: Tensor) -> None:
    assert measure(plant, photos, photos.clone()) == (1.0, 1.0)


def test_blur_is_below_1(plant: Plant, photos: Tensor) -> None:
    light, strong = (F.avg_pool2d(photos, k, 1, k // 2, count_include_pad=False) for k in (3, 7))
    assert measure(plant, photos, light)[0] < 0.5
    assert measure(plant, photos, strong)[0] < measure(plant, photos, light)[0]


def test_a_checkerboard_is_above_1(plant: Plant, photos: Tensor) -> None:
    board = torch.ones(64, 64)
    board[::2, ::2] = board[1::2, 1::2] = -1
    smooth = F.avg_pool2d(photos, 5, 1, 2, count_include_pad=False)
    assert measure(plant, smooth, smooth * 0.9 + board * 0.1)[0] > 2


def test_a_bright_or_dark_border_is_above_1_and_no_matter_of_sharpness(plant: Plant, photos: Tensor) -> None:
    framed = photos.clone()
    framed[..., :1, :] = framed[..., -1:, :] = framed[..., :, :1] = framed[..., :, -1:] = 0.5
    high, border = measure(plant, photos, framed)
    assert border > 10
    assert high == pytest.approx(1, abs=0.02)
    assert measure(plant, -photos, -framed)[1] == pytest.approx(border)


def test_what_nobody_can_see_makes_no_ratio(plant: Plant) -> None:
    white = torch.ones(4, 3, 64, 64)
    noise = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * (1 / 255)
    assert measure(plant, white, white) == (1.0, 1.0)
    assert max(measure(plant, white, white - noise.abs())) < 2


def test_energies_have_the_scale_they_claim() -> None:
    """White noise of variance v has energy v in all bands: above 0.25 cycles lies 1 - pi / 16 of the plane."""
    noise = torch.randn(16, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.3
    assert high_energy(noise) == pytest.approx(0.09 * (1 - torch.pi / 16), rel=0.03)
    assert frame_energy(noise) == pytest.approx(2 * 0.09, rel=0.03)  # a difference of two independent values
    assert high_energy(torch.full((1, 3, 64, 64), 0.7)) < FLOOR / 100


def test_sizes_may_be_odd_and_small(plant: Plant) -> None:
    pictures = torch.rand(2, 3, 17, 9) * 2 - 1
    assert measure(plant, pictures, pictures.clone()) == (1.0, 1.0)
