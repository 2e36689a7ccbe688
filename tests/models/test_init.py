"""First weights: each distribution has the spread it promises, biases start at zero, batch norm around one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import nn

from bicyclegan.config import ModelConfig
from bicyclegan.models import Encoder, Generator
from bicyclegan.models.init import FIRST_LOGVAR, INITS, init_informative, init_weights
from bicyclegan.training.config import InitName

WIDE = (64, 48)


def network() -> nn.Sequential:
    """One of every kind of layer that the networks are made of."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(*WIDE, kernel_size=4), nn.ConvTranspose2d(*WIDE, kernel_size=4), nn.Linear(*WIDE), nn.BatchNorm2d(256)
    )


def expected_std(name: str, weight: torch.Tensor, gain: float) -> float:
    """From the fans, channels times the kernel's area; PyTorch counts dimension 1 as going in, transposed or not."""
    area = weight[0, 0].numel()
    fan_in, fan_out = weight.shape[1] * area, weight.shape[0] * area
    return {
        "xavier": gain * math.sqrt(2 / (fan_in + fan_out)),
        "normal": gain,
        "kaiming": math.sqrt(2 / fan_in),
    }[name]


@pytest.mark.parametrize("name", ["xavier", "normal", "kaiming"])
def test_weights_have_the_spread_of_their_distribution(name: str) -> None:
    layers = network()
    init_weights(layers, name, 0.02)
    for layer in layers[:3]:
        assert layer.weight.std().item() == pytest.approx(expected_std(name, layer.weight, 0.02), rel=0.05)
        assert layer.weight.mean().abs() < layer.weight.std() / 10


def test_orthogonal_rows_have_the_length_of_the_gain() -> None:
    layers = network()
    init_weights(layers, "orthogonal", 0.5)
    linear = layers[2].weight  # (48, 64)
    torch.testing.assert_close(linear @ linear.T, 0.25 * torch.eye(48), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", INITS)
def test_biases_are_zero_and_batch_norm_starts_around_one(name: str) -> None:
    layers = network()
    init_weights(layers, name, 0.02)
    assert all(layer.bias.abs().max() == 0 for layer in layers)
    scale = layers[3].weight
    assert scale.mean().item() == pytest.approx(1, abs=0.01)
    assert scale.std().item() == pytest.approx(0.02, rel=0.2)


def test_default_leaves_what_pytorch_made() -> None:
    layers, untouched = network(), network()
    init_weights(layers, "default", 0.02)
    assert all(torch.equal(*pair) for pair in zip(layers.parameters(), untouched.parameters(), strict=True))


def test_gain_scales_and_the_same_seed_gives_the_same_weights() -> None:
    made = []
    for gain in (0.02, 0.02, 0.2):
        layers = network()
        init_weights(layers, "xavier", gain)
        made.append(layers[0].weight)
    assert torch.equal(made[0], made[1])
    torch.testing.assert_close(made[2], 10 * made[0])


def test_every_layer_of_our_networks_is_reached(tiny_config: ModelConfig) -> None:
    """A kind of layer that `init_weights` does not know would keep PyTorch's bias, which is not zero."""
    for made in (Generator(tiny_config), Encoder(tiny_config)):
        init_weights(made, "xavier", 0.02)
        assert all(weight.abs().max() == 0 for name, weight in made.named_parameters() if name.endswith("bias"))


def test_options_are_the_distributions_there_are() -> None:
    assert set(get_args(InitName)) == {*INITS, "default"}


def coloured_photos(count: int) -> torch.Tensor:
    """One bright square each, of a random colour and place, on white."""
    random = torch.Generator().manual_seed(0)
    photos = torch.ones(count, 3, 32, 32)
    for photo in photos:
        top, left = torch.randint(0, 16, (2,), generator=random).tolist()
        photo[:, top : top + 16, left : left + 16] = 2 * torch.rand(3, 1, 1, generator=random) - 1
    return photos


@pytest.mark.parametrize("seed", range(3))
def test_an_informative_encoder_tells_photos_apart_from_the_first_step(tiny_config: ModelConfig, seed: int) -> None:
    """Against the official start, in which all photos have one code under noise of 1."""
    torch.manual_seed(seed)
    encoder, photos = Encoder(replace(tiny_config, encoder_channels=16)), coloured_photos(64)
    init_weights(encoder, "xavier", 0.02)
    with torch.inference_mode():
        assert encoder(photos)[0].std(dim=0).max() < 1e-3
    init_informative(encoder, photos)
    with torch.inference_mode():
        mu, logvar = encoder(photos)
    spread = mu.std(dim=0, correction=0)
    assert spread[0].item() == pytest.approx(1, abs=1e-3)
    assert spread.min() > 0.05
    assert (spread.diff() <= 1e-4).all(), "the strongest direction comes first"
    torch.testing.assert_close(mu.mean(dim=0), torch.zeros(8), rtol=0, atol=1e-3)
    correlation = torch.corrcoef(mu.T) - torch.eye(8)
    assert correlation.abs().max() < 0.01
    assert torch.equal(logvar, torch.full_like(logvar, FIRST_LOGVAR))


def test_photos_that_are_all_alike_make_codes_of_zero(tiny_config: ModelConfig) -> None:
    encoder, photos = Encoder(tiny_config), torch.zeros(4, 3, 32, 32)
    init_informative(encoder, photos)
    with torch.inference_mode():
        assert encoder(photos)[0].abs().max() < 1e-3


def test_weights_of_a_modulation_are_its_own(tiny_config: ModelConfig) -> None:
    """A scale of 0.02 would silence the code for hundreds of steps."""
    generator = Generator(replace(tiny_config, base_channels=16, inject="adain"))
    init_weights(generator, "xavier", 0.02)
    weight = torch.cat([block.modulation.weight.flatten() for block in generator.up if block.modulation])
    assert weight.std().item() == pytest.approx(0.2, rel=0.1)
