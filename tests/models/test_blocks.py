"""Parts that G may have beyond the paper's: residual blocks that start as nothing, a last layer that reads no zeros."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch.nn import functional as F

from bicyclegan.config import ModelConfig, OutputLayer
from bicyclegan.models import Generator
from bicyclegan.models.blocks import PAINTERS, RefiningBlock, make_painter, make_refinement
from bicyclegan.models.init import INITS, init_weights


def blocks(network: Generator) -> list[RefiningBlock]:
    return [module for module in network.modules() if isinstance(module, RefiningBlock)]


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize("name", [*INITS, "default"])
def test_residual_blocks_start_as_the_identity(tiny_config: ModelConfig, norm: str, name: str) -> None:
    config = replace(tiny_config, residual_blocks=2, norm=norm)
    refinement = make_refinement(config, level=1, channels=6)
    init_weights(refinement, name, 0.02)
    x = torch.randn(2, 6, 8, 8)
    assert torch.equal(refinement(x), x)


def test_residual_blocks_learn_from_the_first_step(tiny_config: ModelConfig) -> None:
    network = Generator(replace(tiny_config, residual_blocks=1))
    init_weights(network, "xavier", 0.02)
    network(torch.randn(2, 1, 32, 32).sign(), torch.randn(2, 8)).square().mean().backward()
    assert all(block.conv2.weight.grad.abs().max() > 0 for block in blocks(network))


def test_residual_blocks_stand_behind_every_up_block_but_the_last(tiny_config: ModelConfig) -> None:
    network = Generator(replace(tiny_config, residual_blocks=2))
    assert [len(blocks(part)) for part in network.refine] == [0, 2, 2, 2, 2]


@torch.no_grad()
def test_a_residual_block_reads_no_zeros_beyond_the_border(tiny_config: ModelConfig) -> None:
    block = RefiningBlock(replace(tiny_config, norm="none"), 4)
    block.conv2.weight.normal_()
    made = block(torch.ones(1, 4, 8, 8))
    assert (made != 1).all()
    torch.testing.assert_close(made, made[..., 4:5, 4:5].expand_as(made))


def test_options_are_the_painters_there_are() -> None:
    assert set(get_args(OutputLayer)) == set(PAINTERS)


@torch.no_grad()
def test_constant_features_are_painted_constant_up_to_the_border(tiny_config: ModelConfig) -> None:
    """Zeros around them would show as a frame of three pixels."""
    paint = make_painter(replace(tiny_config, output_layer="conv7"))
    features = torch.rand(1, 4, 1, 1).expand(-1, -1, 16, 16)
    picture = paint(features)
    assert picture.shape == (1, 3, 16, 16)
    torch.testing.assert_close(picture, picture[..., 8:9, 8:9].expand_as(picture))
    framed = F.conv2d(features, paint[-1].weight, paint[-1].bias, padding=3)
    assert (framed[..., 0, :] - picture[..., 0, :]).abs().mean() > 0.01


def test_the_block_before_the_painter_is_one_like_the_others(tiny_config: ModelConfig) -> None:
    """As wide as G's widest maps, normalised, and modulated by z: norm would take away what codes shifted before."""
    network = Generator(replace(tiny_config, output_layer="conv7", inject="adain"))
    x, z = torch.randn(1, 1, 32, 32).sign(), torch.randn(1, 8)
    seen = []
    network.up[0].norm.register_forward_hook(lambda _, __, made: seen.append(made))
    network(x, z)
    assert seen[0].shape == (1, 4, 32, 32)
    assert seen[0].mean(dim=(2, 3)).abs().max() < 1e-4
    assert network.up[0].modulation is not None
    assert Generator(replace(tiny_config, inject="adain")).up[0].modulation is None
