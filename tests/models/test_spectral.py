"""Spectral norm: D's convolutions amplify nothing, whatever their weights, and survive all that networks go through."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from bicyclegan.checkpoints import load_discriminators, save_checkpoint
from bicyclegan.config import CheckpointConfig, ModelConfig
from bicyclegan.models import Discriminator, Generator
from bicyclegan.models.init import INITS, init_weights
from bicyclegan.models.spectral import SpectralConv2d, learnt_weight, settle


@pytest.fixture
def spectral_config(tiny_config: ModelConfig) -> ModelConfig:
    return replace(tiny_config, discriminator_channels=16, spectral_norm=True, attention=8, minibatch="statistics")


@pytest.fixture
def critic(spectral_config: ModelConfig) -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(spectral_config)


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


@torch.no_grad()
def singular_values(network: nn.Module) -> torch.Tensor:
    """The largest of each convolution, as it is applied."""
    network.eval()
    found = [torch.linalg.matrix_norm(each.weight.flatten(1), 2) for each in convolutions(network)]
    network.train()
    return torch.stack(found)


def test_every_convolution_of_d_is_normalised_and_none_of_g(spectral_config: ModelConfig, critic: nn.Module) -> None:
    assert len(convolutions(critic)) == 2 * 4 + 4, "two scales and attention"
    assert all(isinstance(each, SpectralConv2d) for each in convolutions(critic))
    assert not any(isinstance(each, SpectralConv2d) for each in Generator(spectral_config).modules())


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_largest_singular_values_come_to_one_whatever_the_weights(critic: Discriminator, scale: float) -> None:
    with torch.no_grad():
        for each in convolutions(critic):
            learnt_weight(each).normal_().mul_(scale)
        for _ in range(40):
            critic(torch.rand(1, 3, 32, 32))
    assert ((singular_values(critic) - 1).abs() < 0.05).all()


@pytest.mark.parametrize("name", [*INITS, "default"])
def test_first_weights_are_normalised_from_the_first_step(critic: Discriminator, name: str) -> None:
    before = [learnt_weight(each).clone() for each in convolutions(critic)]
    init_weights(critic, name, 0.02)
    changed = [
        not torch.equal(learnt_weight(each), old) for each, old in zip(convolutions(critic), before, strict=True)
    ]
    assert set(changed) == {name != "default"}
    assert ((singular_values(critic) - 1).abs() < 0.2).all()


def test_what_learns_is_the_weight_before(critic: Discriminator) -> None:
    sum(scores.mean() for scores in critic(torch.rand(2, 3, 32, 32))).backward()
    learning = dict(critic.named_parameters())
    assert not any("_u" in name or "_v" in name for name in learning)
    first = learnt_weight(critic.scales[0][0])
    assert first is learning["scales.0.0.parametrizations.weight.original"]
    assert first.grad.abs().max() > 0


def test_a_gradient_of_earlier_scores_survives_later_ones(critic: Discriminator) -> None:
    """D is asked about fakes, then about photos, and only then learns from both; singular vectors moved on."""
    fake, real = torch.rand(2, 3, 32, 32, requires_grad=True), torch.rand(2, 3, 32, 32)
    first = critic(fake)
    critic(real)
    sum(scores.mean() for scores in first).backward()
    assert fake.grad.abs().max() > 0


def test_scoring_in_eval_mode_changes_nothing(critic: Discriminator) -> None:
    before = {key: value.clone() for key, value in critic.state_dict().items()}
    critic.eval()(torch.rand(1, 3, 32, 32))
    assert all(torch.equal(value, before[key]) for key, value in critic.state_dict().items())


def test_copies_and_states_go_on_to_the_same_bits(spectral_config: ModelConfig, critic: Discriminator) -> None:
    restored = Discriminator(spectral_config)
    restored.load_state_dict(critic.state_dict())
    copied = deepcopy(critic)
    photo = torch.rand(2, 3, 32, 32)
    for _ in range(2):
        expected = critic(photo)
        for other in (restored, copied):
            assert all(torch.equal(*pair) for pair in zip(other(photo), expected, strict=True))


def test_it_survives_a_checkpoint(tmp_path: Path, spectral_config: ModelConfig, critic: Discriminator) -> None:
    config = replace(spectral_config, encoder="none")
    described = CheckpointConfig(config, name="sharp")
    save_checkpoint(tmp_path / "sharp", described, Generator(config), None, discriminators={"discriminator": critic})
    loaded = load_discriminators(tmp_path / "sharp", config)["discriminator"]
    photo = torch.rand(2, 3, 32, 32)
    for ours, theirs in zip(loaded(photo), critic.eval()(photo), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0.01)  # half precision
    assert ((singular_values(loaded) - 1).abs() < 0.2).all()


def test_settling_leaves_the_mode_and_other_layers_alone(critic: Discriminator) -> None:
    plain = nn.Sequential(nn.Conv2d(1, 1, 1), critic.eval())
    weight = plain[0].weight.clone()
    settle(plain)
    assert torch.equal(plain[0].weight, weight)
    assert not any(module.training for module in critic.modules())


def test_singular_vectors_stay_float32_in_bf16(critic: Discriminator) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        critic(torch.rand(2, 3, 32, 32))
    assert all(value.dtype == torch.float32 for value in critic.state_dict().values())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_singular_values_are_as_exact_in_bf16_on_a_gpu(critic: Discriminator) -> None:
    """There autocast takes products of matrix and vector too."""
    exact, rough = critic.cuda(), deepcopy(critic).cuda()
    photo = torch.rand(1, 3, 32, 32, device="cuda")
    with torch.no_grad():
        for _ in range(10):
            exact(photo)
            with torch.autocast("cuda", torch.bfloat16):
                rough(photo)
    torch.testing.assert_close(singular_values(rough), singular_values(exact), rtol=0, atol=1e-5)
