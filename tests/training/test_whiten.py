"""Codes as spread as the prior, and not a pixel changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from bicyclegan.checkpoints import load_checkpoint
from bicyclegan.config import ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.metrics.outputs import encode
from bicyclegan.models import Encoder, Generator
from bicyclegan.models.init import init_weights
from bicyclegan.training import loop
from bicyclegan.training.config import LossConfig, OptimConfig, TrainConfig
from bicyclegan.training.presets import model_for_objective
from bicyclegan.training.whiten import measure_whitening, whiten


@pytest.fixture
def networks(tiny_config: ModelConfig) -> tuple[Encoder, Generator]:
    """An encoder whose dims all tell nearly the same, off the middle, and a generator that hears z."""
    torch.manual_seed(3)
    config = replace(tiny_config, map_code=True)
    encoder, generator = Encoder(config).eval(), Generator(config).eval()
    init_weights(encoder, "kaiming", 1)
    init_weights(generator, "kaiming", 1)
    with torch.no_grad():
        encoder.mu.weight.copy_(encoder.mu.weight[:1] + 0.1 * encoder.mu.weight)
        encoder.mu.bias.fill_(1.5)
        encoder.logvar.weight.mul_(0.1)
        encoder.logvar.bias.copy_(torch.linspace(-4, -1, 8))
    return encoder, generator


@pytest.fixture
def pictures() -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    colours = torch.rand(96, 3, 4, 4, generator=random) * 2 - 1
    return torch.nn.functional.interpolate(colours, size=(32, 32), mode="nearest")


def total_covariance(encoder: Encoder, photos: torch.Tensor) -> torch.Tensor:
    mu, logvar = encode(encoder, photos)
    return torch.cov(mu.T, correction=0) + logvar.exp().mean(dim=0).diag()


def test_codes_of_photos_become_as_spread_as_the_prior(
    networks: tuple[Encoder, Generator], pictures: torch.Tensor
) -> None:
    encoder, generator = networks
    mu = encode(encoder, pictures)[0]
    assert (torch.corrcoef(mu.T) - torch.eye(8)).abs().mean() > 0.3, "the test must start ill"
    whiten(encoder, generator, measure_whitening(encoder, pictures))
    mu, _ = encode(encoder, pictures)
    torch.testing.assert_close(mu.mean(dim=0), torch.zeros(8), rtol=0, atol=1e-3)
    covariance = total_covariance(encoder, pictures)
    torch.testing.assert_close(covariance.diagonal(), torch.ones(8), rtol=0, atol=0.05)
    again = measure_whitening(encoder, pictures)
    assert (again.forward - torch.eye(8)).abs().max() < 0.35, "what is left comes from the noise alone"


def test_no_picture_changes(networks: tuple[Encoder, Generator], pictures: torch.Tensor) -> None:
    encoder, generator = networks
    sketches = torch.randn(4, 1, 32, 32).sign()
    mu = encode(encoder, pictures[:4])[0]
    with torch.inference_mode():
        before = generator(sketches, mu)
    for _ in range(3):
        whiten(encoder, generator, measure_whitening(encoder, pictures))
    moved = encode(encoder, pictures[:4])[0]
    assert (moved - mu).abs().max() > 0.5
    with torch.inference_mode():
        torch.testing.assert_close(generator(sketches, moved), before, rtol=0, atol=2e-4)


def test_variances_are_kept_where_dims_are_only_scaled(
    networks: tuple[Encoder, Generator], pictures: torch.Tensor
) -> None:
    """Then nothing is approximated: log variances move by twice the log of the scale."""
    encoder, generator = networks
    before = encode(encoder, pictures)[1]
    by = measure_whitening(encoder, pictures)
    scale = torch.linspace(0.5, 3, 8, dtype=torch.float64)
    whiten(encoder, generator, replace(by, forward=scale.diag(), inverse=(1 / scale).diag()))
    expected = before + 2 * scale.log().float()
    torch.testing.assert_close(encode(encoder, pictures)[1], expected, rtol=0, atol=1e-4)


def test_a_dim_that_is_all_but_constant_is_not_blown_up(
    networks: tuple[Encoder, Generator], pictures: torch.Tensor
) -> None:
    encoder, generator = networks
    with torch.no_grad():
        encoder.mu.weight[0] = 0
        encoder.logvar.weight[0] = 0
        encoder.logvar.bias[0] = -40
    whiten(encoder, generator, measure_whitening(encoder, pictures))
    assert all(weight.isfinite().all() for each in networks for weight in each.parameters())
    assert encode(encoder, pictures)[0].abs().max() < 50


def test_a_run_whitens_at_its_start_and_then_now_and_then(
    run_config: Callable[..., TrainConfig], tiny_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    whiten_run = loop.Run.whiten
    monkeypatch.setattr(loop.Run, "whiten", lambda run: (steps.append(run.position.step), whiten_run(run))[1])
    config = run_config(
        steps=5, model=replace(tiny_config, map_code=True), optim=OptimConfig(whiten_every=2, ema_decay=0.9)
    )
    result = loop.train(config, report=lambda line: None)
    assert steps == [0, 2, 4]
    assert load_checkpoint(result.folder / "latest").generator.code_map.weight.shape == (8, 8)


@pytest.mark.parametrize("objective", ["clr-gan", "pix2pix"])
def test_objectives_without_kl_are_left_alone(
    run_config: Callable[..., TrainConfig],
    tiny_config: ModelConfig,
    monkeypatch: pytest.MonkeyPatch,
    objective: str,
) -> None:
    """Their codes are drawn from the prior: a map would only change their pictures."""
    monkeypatch.setattr(loop.Run, "whiten", lambda run: pytest.fail("whitened"))
    model = model_for_objective(replace(tiny_config, map_code=True), objective)
    config = run_config(steps=2, model=model, loss=LossConfig(objective), optim=OptimConfig(whiten_every=1))
    assert loop.train(config, report=lambda line: None).reason == "completed"


def test_without_a_map_there_is_nowhere_to_fold_it(tiny_config: ModelConfig) -> None:
    with pytest.raises(UserError, match=r"OptimConfig\.whiten_every is 5; it must be 0 without map_code"):
        TrainConfig(model=tiny_config, optim=OptimConfig(whiten_every=5))
