"""Layers that compute with less arithmetic while training: the same values and gradients, and only where asked for."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from bicyclegan.config import ModelConfig
from bicyclegan.models import Encoder, Generator
from bicyclegan.models.layers import make_upsample
from bicyclegan.models.rearranged import UpsampleConv, _operator, mean_pooled, rearranged


def value_and_gradients(network: nn.Module, run: Callable[[], Tensor], *inputs: Tensor) -> list[Tensor]:
    """The output, and the gradients of a random sum of it to weights and inputs."""
    out = run()
    total = (out * torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=out.dtype)).sum()
    return [out.detach(), *torch.autograd.grad(total, [*network.parameters(), *inputs])]


def multiplications(run: Callable[[], Tensor]) -> int:
    """In forward and backward."""
    with FlopCounterMode(display=False) as counter:
        run().sum().backward()
    return counter.get_total_flops() // 2


def up(in_channels: int = 6, out_channels: int = 4, dtype: torch.dtype = torch.float64) -> UpsampleConv:
    torch.manual_seed(0)
    layers = make_upsample("bilinear", in_channels, out_channels).to(dtype)
    assert isinstance(layers, UpsampleConv)
    return layers


class Pooled(nn.Module):
    """The part of E's block that is rearranged."""

    def __init__(self, in_channels: int = 5, out_channels: int = 3):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return mean_pooled(self.conv, x)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 3), (2, 2), (5, 3), (8, 16)])
def test_an_upsampling_block_computes_the_same_at_every_size(height: int, width: int) -> None:
    layers = up()
    x = torch.randn(3, 6, height, width, dtype=torch.float64, requires_grad=True)
    expected = value_and_gradients(layers, lambda: layers[2](layers[1](layers[0](x))), x)
    with rearranged():
        ours = value_and_gradients(layers, lambda: layers(x), x)
    assert ours[0].shape == (3, 4, 2 * height, 2 * width)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(2, 2), (4, 10), (7, 5)])
def test_a_pooled_convolution_computes_the_same_at_every_size(height: int, width: int) -> None:
    block = Pooled()
    x = torch.randn(3, 5, height, width, dtype=torch.float64, requires_grad=True)
    expected = value_and_gradients(block, lambda: F.avg_pool2d(block.conv(x), 2), x)
    with rearranged():
        ours = value_and_gradients(block, lambda: block(x), x)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


def test_both_multiply_less() -> None:
    layers, block = up(64, 16, torch.float32), Pooled(16, 24).float()
    small, fine = torch.randn(2, 64, 8, 8), torch.randn(2, 16, 16, 16)
    plain = multiplications(lambda: layers(small)), multiplications(lambda: block(fine))
    with rearranged():
        ours = multiplications(lambda: layers(small)), multiplications(lambda: block(fine))
    assert ours[0] < plain[0] / 2.5, "a quarter for the channels, and something for the positions"
    assert 36 * ours[1] == 16 * plain[1]


def test_elsewhere_layers_compute_as_they_are_written() -> None:
    layers, block = up(dtype=torch.float32), Pooled().float()
    small, fine = torch.randn(2, 6, 8, 8), torch.randn(2, 5, 8, 8)
    written = layers[2](layers[1](layers[0](small))), F.avg_pool2d(block.conv(fine), 2)
    with pytest.raises(KeyError), rearranged():
        assert not all(map(torch.equal, (layers(small), block(fine)), written)), "rounding is all there is to see"
        with rearranged(False):
            assert all(map(torch.equal, (layers(small), block(fine)), written))
        raise KeyError
    assert all(map(torch.equal, (layers(small), block(fine)), written))


def test_what_was_first_used_for_painting_can_be_learnt_through() -> None:
    _operator.cache_clear()
    layers = up()
    x = torch.randn(1, 6, 3, 3, dtype=torch.float64)
    with rearranged():
        with torch.inference_mode():
            layers(x)
        layers(x).sum().backward()
    assert layers[2].weight.grad.abs().max() > 0


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_whole_networks_have_the_same_gradients(tiny_config: ModelConfig, norm: str) -> None:
    torch.manual_seed(0)
    config = replace(tiny_config, depth=4, norm=norm)
    generator, encoder = Generator(config).double(), Encoder(config).double()
    x, z, photo = (torch.randn(2, *shape, dtype=torch.float64) for shape in ((1, 32, 32), (8,), (3, 32, 32)))
    runs = (generator, lambda network: network(x, z)), (encoder, lambda network: torch.cat(network(photo), dim=1))
    for network, run in runs:
        twin = deepcopy(network)
        expected = value_and_gradients(network, lambda network=network, run=run: run(network))
        with rearranged():
            ours = value_and_gradients(twin, lambda twin=twin, run=run: run(twin))
            fewer = multiplications(lambda twin=twin, run=run: run(twin))
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)
        assert fewer < multiplications(lambda network=network, run=run: run(network))
