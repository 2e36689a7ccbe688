"""The moving average of weights."""

from __future__ import annotations

import pytest
import torch

from bicyclegan.config import ModelConfig
from bicyclegan.models import Encoder, Generator
from bicyclegan.training.ema import Ema
from bicyclegan.training.networks import Networks


@pytest.fixture
def networks(tiny_config: ModelConfig) -> Networks:
    return Networks(Generator(tiny_config), Encoder(tiny_config))


def first_weight(networks: Networks) -> torch.Tensor:
    return next(networks.generator.parameters())


def test_the_average_follows_by_its_decay(networks: Networks) -> None:
    ema = Ema(networks, decay=0.9)
    start = first_weight(networks).detach().clone()
    with torch.no_grad():
        first_weight(networks).add_(1.0)
    ema.update(updates=10_000)  # the warm-up is over
    torch.testing.assert_close(first_weight(ema.networks), start + 0.1, rtol=0, atol=1e-6)


def test_it_follows_fast_at_first(networks: Networks) -> None:
    ema = Ema(networks, decay=0.999)
    start = first_weight(networks).detach().clone()
    with torch.no_grad():
        first_weight(networks).add_(1.0)
    ema.update(updates=1)
    torch.testing.assert_close(first_weight(ema.networks), start + 9 / 11, rtol=0, atol=1e-6)


def test_the_live_networks_are_left_alone(networks: Networks) -> None:
    ema = Ema(networks, decay=0.5)
    before = [weight.detach().clone() for weight in networks.generator.parameters()]
    ema.update(1)
    for weight, old in zip(networks.generator.parameters(), before, strict=True):
        assert torch.equal(weight, old)
    assert not any(weight.requires_grad for weight in ema.networks.generator.parameters())
    assert all(weight.requires_grad for weight in networks.generator.parameters())


def test_without_decay_it_is_the_networks_themselves(networks: Networks) -> None:
    assert Ema(networks, decay=0).networks.generator is networks.generator


def test_buffers_are_copied(tiny_config: ModelConfig) -> None:
    from dataclasses import replace

    networks = Networks(Generator(replace(tiny_config, norm="batch")))
    ema = Ema(networks, decay=0.999)
    networks.generator(torch.randn(2, 1, 32, 32), torch.randn(2, 8))
    ema.update(1)
    live, averaged = dict(networks.generator.named_buffers()), dict(ema.networks.generator.named_buffers())
    assert any(value.dtype == torch.long for value in live.values()), "counters of batches are buffers too"
    assert all(torch.equal(averaged[name], value) for name, value in live.items())


def test_a_model_without_encoder(tiny_config: ModelConfig) -> None:
    ema = Ema(Networks(Generator(tiny_config)), decay=0.9)
    ema.update(1)
    assert [name for name, _ in ema.networks.named()] == ["generator"]
