"""A code that colours the paper is found, and kept away from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from bicyclegan.config import ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.metrics.outputs import draw_codes
from bicyclegan.models import Generator
from bicyclegan.training.background import find_leak, narrow, paper_darkness

DIRECTION = np.array([0.6, 0.0, -0.8, 0, 0, 0, 0, 0])


@pytest.fixture
def leaky(tiny_config: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> Generator:
    """Paints the whole paper the darker the further a code lies along `DIRECTION`, and the red of dim 1."""
    generator = Generator(replace(tiny_config, map_code=True, upsample="transposed")).eval()

    def paint_each(network: Generator, a: Tensor, z: Tensor) -> Tensor:
        z = network.code_map(z)
        along = z @ torch.from_numpy(DIRECTION).float()
        level = 1 - 0.1 * torch.exp(along).clamp(max=15)
        pictures = level[:, None, None, None].expand(-1, 3, 32, 32).clone()
        pictures[:, 0] -= 1e-4 * z[:, 1, None, None].abs()
        return pictures.expand(len(a), *pictures.shape)

    monkeypatch.setattr("bicyclegan.training.background.paint_each", paint_each)
    return generator.requires_grad_(False)


@pytest.fixture
def sketches() -> tuple[Tensor, Tensor]:
    outside = torch.ones(2, 32, 32, dtype=torch.bool)
    outside[:, 8:24, 8:24] = False
    return torch.ones(2, 1, 32, 32), outside


def test_the_direction_is_found(leaky: Generator, sketches: tuple[Tensor, Tensor]) -> None:
    leak = find_leak(leaky, *sketches)
    assert abs(np.linalg.norm(leak.direction) - 1) < 1e-9
    assert leak.direction @ DIRECTION > 0.99
    assert leak.explained > 0.95
    assert 0.03 < leak.darkness < 0.3


def test_narrowing_cleans_the_paper_and_leaves_the_other_dims(
    leaky: Generator, sketches: tuple[Tensor, Tensor]
) -> None:
    z = draw_codes(4, 1, 32, 8)[0]
    before = paper_darkness(leaky, *sketches, z).mean()
    narrow(leaky, DIRECTION, middle=-2.0, width=0.5)
    after = paper_darkness(leaky, *sketches, z).mean()
    assert after < before / 4
    moved = leaky.code_map(z).double() @ torch.from_numpy(DIRECTION)
    torch.testing.assert_close(moved, -2.0 + 0.5 * (z.double() @ torch.from_numpy(DIRECTION)), rtol=0, atol=1e-5)
    across = torch.eye(8).double() - torch.outer(*[torch.from_numpy(DIRECTION)] * 2)
    torch.testing.assert_close(leaky.code_map(z).double() @ across, z.double() @ across, rtol=0, atol=1e-5)


def test_it_adds_to_the_map_that_is_there(leaky: Generator) -> None:
    random = torch.Generator().manual_seed(0)
    leaky.code_map.weight.copy_(torch.randn(8, 8, generator=random))
    leaky.code_map.bias.copy_(torch.randn(8, generator=random))
    z, d = torch.randn(3, 8, generator=random), torch.from_numpy(DIRECTION).float()
    t = (z @ d)[:, None]
    expected = leaky.code_map(z - t * d + (-1.0 + 0.25 * t) * d)
    narrow(leaky, DIRECTION, middle=-1.0, width=0.25)
    torch.testing.assert_close(leaky.code_map(z), expected, rtol=0, atol=1e-5)


def test_only_paper_counts(leaky: Generator, sketches: tuple[Tensor, Tensor]) -> None:
    a, outside = sketches
    assert paper_darkness(leaky, a, torch.zeros_like(outside), torch.ones(1, 8)).max() == 0


def test_a_generator_without_a_map_is_refused(tiny_config: ModelConfig) -> None:
    with pytest.raises(UserError, match="no map of z"):
        narrow(Generator(tiny_config), DIRECTION)
