"""Single updates of tiny networks, and what is looked at in them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor, nn

from bicyclegan.config import ModelConfig
from bicyclegan.training.config import LossConfig, OptimConfig, TrainConfig
from bicyclegan.training.networks import Networks, build_networks, make_optimizers
from bicyclegan.training.noise import Noise, draw_noise
from bicyclegan.training.presets import model_for_objective
from bicyclegan.training.step import TrainStep

OFF = {"lambda_gan": 0, "lambda_gan2": 0, "lambda_l1": 0, "lambda_z": 0, "lambda_kl": 0}
Given = tuple[Tensor, Tensor, Noise]


def make_step(
    tiny_config: ModelConfig,
    objective: str = "bicyclegan",
    *,
    model: dict[str, object] | None = None,
    optim: dict[str, object] | None = None,
    options: dict[str, object] | None = None,
    **fields: object,
) -> TrainStep:
    """A step with fresh networks.

    Transposed convolutions, so that the innermost level is more than rounding: bilinear upsampling makes its single
    pixel a constant picture, which instance norm then takes away.

    Args:
        model, optim: fields of these configs.
        options: of the step itself.
        fields: of `LossConfig`.
    """
    config = TrainConfig(
        model=model_for_objective(replace(tiny_config, **{"upsample": "transposed", **(model or {})}), objective),
        loss=LossConfig(objective, **fields),
        optim=OptimConfig(init="kaiming", **(optim or {})),
    )
    networks = build_networks(config)
    return TrainStep(networks, make_optimizers(networks, config.optim), config.loss, **(options or {}))


def batch_for(step: TrainStep, size: int = 4, seed: int = 0) -> Given:
    """Sketches, photos and noise."""
    model, generator = step.networks.generator.config, torch.Generator().manual_seed(seed)
    side = (model.image_size, model.image_size)
    a = torch.randn(size, model.input_channels, *side, generator=generator).sign()
    b = torch.rand(size, 3, *side, generator=generator) * 2 - 1
    painted = size // 2 if step.objective.two_paths else size
    return a, b, draw_noise(seed, 0, range(painted), model.latent_dim)


def used(config: LossConfig) -> set[str]:
    """Losses of G and E that have a weight."""
    return {term for term in config.terms if config.uses(term)}


def states(networks: Networks) -> dict[str, dict[str, Tensor]]:
    return {name: deepcopy(network.state_dict()) for name, network in networks.named()}


def moved(before: dict[str, dict[str, Tensor]], networks: Networks) -> set[str]:
    """Networks of which anything changed, to the bit."""
    after = states(networks)
    return {name for name in before if any(not torch.equal(before[name][k], after[name][k]) for k in before[name])}


def gradients(network: nn.Module) -> dict[str, Tensor | None]:
    return {name: weight.grad for name, weight in network.named_parameters()}


def reached(network: nn.Module) -> bool:
    """Whether any gradient has come here that is not rounding."""
    return any(grad is not None and grad.abs().max() > 1e-7 for grad in gradients(network).values())
