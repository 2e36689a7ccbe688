"""What D knows of the other samples: a collapsed batch looks unlike a varied one, a batch of one like nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch

from bicyclegan.config import Minibatch, ModelConfig
from bicyclegan.models import Discriminator
from bicyclegan.models.minibatch import MINIBATCH, MinibatchDiscrimination, MinibatchStatistics, make_minibatch

KINDS = tuple(MINIBATCH)


def planes(kind: str, x: torch.Tensor) -> torch.Tensor:
    """What the layer adds behind the features: (N, planes). Checks that these are constant and features as before."""
    torch.manual_seed(0)
    [layer] = make_minibatch(kind, x.shape[1])
    made = layer(x).detach()
    assert made.shape == (len(x), x.shape[1] + layer.planes, *x.shape[2:])
    assert torch.equal(made[:, : x.shape[1]], x)
    added = made[:, x.shape[1] :]
    assert torch.equal(added, added[..., :1, :1].expand_as(added))
    return added[..., 0, 0]


def test_options_are_the_layers_there_are() -> None:
    assert set(get_args(Minibatch)) == {*KINDS, "none"}
    assert make_minibatch("none", 4) == []


def test_statistics_are_the_mean_standard_deviation() -> None:
    x = torch.randn(6, 5, 3, 4)
    expected = x.numpy().std(axis=0).mean()
    torch.testing.assert_close(planes("statistics", x), torch.full((6, 1), float(expected)), rtol=0, atol=1e-3)
    torch.testing.assert_close(planes("statistics", 3 * x), torch.full((6, 1), 3 * float(expected)), rtol=0, atol=1e-3)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_equal_samples_have_no_spread(count: int) -> None:
    alike = torch.randn(1, 5, 3, 3).expand(count, -1, -1, -1)
    assert planes("statistics", alike).abs().max() < 1e-6


def test_a_sample_is_close_to_its_copies_and_to_nothing_else() -> None:
    a, b = torch.randn(2, 32, 1, 1) * 100
    close = planes("discrimination", torch.stack([a, a, b]).expand(-1, -1, 3, 3))
    torch.testing.assert_close(close[:2], torch.full_like(close[:2], 0.5))  # to one of two others
    assert close[2].abs().max() < 1e-6
    all_alike = planes("discrimination", a.expand(4, -1, 3, 3))
    torch.testing.assert_close(all_alike, torch.ones_like(all_alike))


def test_closeness_falls_with_the_distance() -> None:
    x, step = torch.randn(1, 32, 1, 1), torch.randn(1, 32, 1, 1)
    close = [float(planes("discrimination", torch.cat([x, x + size * step])).mean()) for size in (0.0, 0.1, 0.5, 2.0)]
    assert close == sorted(close, reverse=True)
    assert close[0] == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 4])
def test_one_sample_and_equal_samples_have_numbers_and_gradients(kind: str, count: int) -> None:
    [layer] = make_minibatch(kind, 6)
    x = torch.randn(1, 6, 3, 3).repeat(count, 1, 1, 1).requires_grad_()
    made = layer(x)
    if count == 1:
        assert (made[:, 6:] == 0).all(), "there is nothing to compare with"
    made.square().sum().backward()
    assert made.isfinite().all()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("kind", ["none", *KINDS])
@torch.inference_mode()
def test_a_score_depends_on_the_other_samples(tiny_config: ModelConfig, kind: str) -> None:
    torch.manual_seed(0)
    network = Discriminator(replace(tiny_config, minibatch=kind))
    one, others = torch.rand(1, 3, 32, 32), torch.rand(3, 3, 32, 32)
    varied = network(torch.cat([one, others]))
    collapsed = network(one.repeat(4, 1, 1, 1))
    for scale in range(2):
        difference = (varied[scale][0] - collapsed[scale][0]).abs().max()
        assert difference < 1e-6 if kind == "none" else difference > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_are_taken_in_float32(kind: str) -> None:
    """In bfloat16 samples that differ by less than 1/256 of their value would be equal."""
    torch.manual_seed(0)
    layer = {"statistics": MinibatchStatistics, "discrimination": MinibatchDiscrimination}[kind](64)
    x = 10 + 0.01 * torch.randn(4, 64, 2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        rough = layer(x)
    torch.testing.assert_close(rough, layer(x), rtol=0, atol=1e-5)
