"""Self-attention: at first the identity, then a look at the whole picture, the same for a sample in any batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bicyclegan.config import ModelConfig
from bicyclegan.models import Discriminator, Generator
from bicyclegan.models.attention import SelfAttention
from bicyclegan.models.inference import FastGenerator
from bicyclegan.models.init import INITS, init_weights


def layer(channels: int = 16, gamma: float = 1.0) -> SelfAttention:
    torch.manual_seed(0)
    attention = SelfAttention(channels).requires_grad_(False)
    attention.gamma.fill_(gamma)
    return attention


def attentions(network: nn.Module) -> list[SelfAttention]:
    return [module for module in network.modules() if isinstance(module, SelfAttention)]


@torch.inference_mode()
def test_every_place_gets_a_mean_of_values_weighted_by_its_scores() -> None:
    attention, x = layer(), torch.randn(1, 16, 4, 6)
    query = attention.query(x)[0].flatten(1)
    key, value = (F.max_pool2d(each(x), 2)[0].flatten(1) for each in (attention.key, attention.value))
    expected = x.clone()
    for place in range(4 * 6):
        scores = torch.stack([query[:, place].dot(other) for other in key.T]) / 2**0.5  # 16 / 8 channels
        mean = sum(weight * column for weight, column in zip(scores.softmax(0), value.T, strict=True))
        expected[0, :, place // 6, place % 6] += attention.out(mean[:, None, None])[:, 0, 0]
    torch.testing.assert_close(attention(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", [*INITS, "default"])
def test_a_generator_starts_as_if_it_did_not_attend(tiny_config: ModelConfig, name: str) -> None:
    attending = Generator(replace(tiny_config, attention=8))
    init_weights(attending, name, 0.02)
    plain = Generator(tiny_config)
    missing, unexpected = plain.load_state_dict(attending.state_dict(), strict=False)
    assert not missing
    assert {key.split(".")[2] for key in unexpected} == {"attention"}
    x, z = torch.randn(2, 1, 32, 32).sign(), torch.randn(2, 8)
    with torch.inference_mode():
        assert torch.equal(attending(x, z), plain(x, z))


def test_first_weights_let_differences_through() -> None:
    """At the official scale of 0.02 what attention adds would be 1e-4 of what comes in, however gamma grows."""
    attention = layer(64)
    init_weights(attention, "xavier", 0.02)
    x = torch.randn(2, 64, 8, 8)
    added = attention(x) - x
    assert 0.1 < added.std() < 2


def test_gamma_learns_from_the_first_step(tiny_config: ModelConfig) -> None:
    network = Generator(replace(tiny_config, attention=8))
    network(torch.randn(2, 1, 32, 32).sign(), torch.randn(2, 8)).square().mean().backward()
    [attention] = attentions(network)
    assert attention.gamma.grad.abs() > 0


@pytest.mark.parametrize("side", [16, 32])
@torch.inference_mode()
def test_a_corner_reaches_the_opposite_one(tiny_config: ModelConfig, side: int) -> None:
    """A U-Net of three levels sees some 20 pixels to each side; norm, which is off here, would tell of the rest."""
    c = replace(tiny_config, image_size=64, depth=3, latent_dim=0, encoder="none", norm="none", attention=side)
    network = Generator(c).eval()
    [attention] = attentions(network)
    x = torch.ones(1, 1, 64, 64)
    marked = x.clone()
    marked[..., :4, :4] = -1
    for gamma, reached in ((0.0, False), (100.0, True)):
        attention.gamma.fill_(gamma)
        corner = (network(x) != network(marked))[..., -8:, -8:]
        assert corner.any() == reached


@torch.inference_mode()
def test_a_discriminator_judges_a_patch_by_the_whole_picture(tiny_config: ModelConfig) -> None:
    c = replace(tiny_config, image_size=64, attention=16, num_discriminators=1, norm="none")
    network = Discriminator(c)
    photo = torch.rand(1, 3, 64, 64) * 2 - 1
    marked = photo.clone()
    marked[..., :8, :8] = 1
    [attention] = attentions(network)
    for gamma, reached in ((0.0, False), (100.0, True)):
        attention.gamma.fill_(gamma)
        [before], [after] = network(photo), network(marked)
        assert (before != after)[..., -3:, -3:].any() == reached


@pytest.mark.parametrize(("side", "judged"), [(16, 1), (8, 2), (4, None)])
def test_both_networks_attend_where_maps_have_the_side(tiny_config: ModelConfig, side: int, judged: int | None) -> None:
    """D of two layers with stride 2 has maps of 16 and 8 pixels; where it has none of the side, G attends alone."""
    c = replace(tiny_config, attention=side)
    sides = {"generator": [], "discriminator": []}
    networks = {"generator": Generator(c), "discriminator": Discriminator(c)}
    for name, network in networks.items():
        for attention in attentions(network):
            attention.register_forward_hook(lambda _, given, __, name=name: sides[name].append(given[0].shape[2:]))
    networks["generator"](torch.randn(1, 1, 32, 32).sign(), torch.randn(1, 8))
    networks["discriminator"](torch.rand(1, 3, 32, 32))
    assert sides["generator"] == [(side, side)]
    assert sides["discriminator"] == ([(side, side)] if judged else [])
    coarser = networks["discriminator"].scales[1]
    assert not attentions(coarser), "only the finest scale"


@pytest.mark.parametrize(("channels", "side"), [(32, 8), (64, 16), (20, 6)])
@torch.inference_mode()
def test_a_sample_does_not_depend_on_the_others_of_its_batch(channels: int, side: int) -> None:
    attention = layer(channels)
    x = torch.randn(5, channels, side, side)
    together = attention(x)
    for k in range(5):
        others = torch.randn_like(x)
        others[k] = x[k]
        assert torch.equal(attention(others)[k], together[k])
        torch.testing.assert_close(attention(x[k : k + 1])[0], together[k], rtol=0, atol=1e-5)


@pytest.mark.parametrize("inject", ["all", "adain"])
@torch.inference_mode()
def test_a_code_paints_the_same_bits_wherever_it_lies_in_memory(tiny_config: ModelConfig, inject: str) -> None:
    """A recipe paints its whole batch again, with codes from a file."""
    network = Generator(replace(tiny_config, attention=8, inject=inject)).eval()
    attentions(network)[0].gamma.fill_(1)
    fast = FastGenerator(network)
    prepared, z = fast.prepare(torch.randn(1, 1, 32, 32).sign()), torch.randn(7, 8)
    expected = fast(prepared, z)
    for offset in range(1, 5):
        moved = torch.empty(7 * 8 + offset)[offset:].view(7, 8).copy_(z)
        assert torch.equal(fast(prepared, moved), expected)


def test_attention_in_bf16_is_nearly_the_same() -> None:
    attention, x = layer(64), torch.randn(2, 64, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        rough = attention(x)
    assert (rough - attention(x)).abs().max() < 0.05
