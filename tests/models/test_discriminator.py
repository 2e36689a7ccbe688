"""Every kind of discriminator: maps of the same size, and gradients of gradients, which penalties need."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bicyclegan.config import ModelConfig
from bicyclegan.models import Discriminator
from bicyclegan.models.attention import SelfAttention

VARIANTS = [
    {},
    {"norm": "none"},
    {"attention": 8},
    {"attention": 16, "spectral_norm": True},
    {"spectral_norm": True, "norm": "none"},
    {"minibatch": "statistics"},
    {"minibatch": "discrimination", "conditional_discriminator": True},
    {"attention": 8, "spectral_norm": True, "minibatch": "statistics"},
    {"attention": 8, "spectral_norm": True, "minibatch": "discrimination", "norm": "batch"},
]
each_variant = pytest.mark.parametrize("fields", VARIANTS, ids=lambda fields: "-".join(map(str, fields.values())))


@each_variant
def test_maps_have_the_size_that_they_had(tiny_config: ModelConfig, fields: dict[str, object]) -> None:
    config = replace(tiny_config, **fields)
    photo = torch.rand(3, 4 if config.conditional_discriminator else 3, 32, 32)
    with torch.no_grad():
        scores = Discriminator(config)(photo)
    assert [tuple(each.shape) for each in scores] == [(3, 1, 6, 6), (3, 1, 2, 2)]
    assert all(each.isfinite().all() and each.std() > 0 for each in scores)


@each_variant
def test_a_penalty_on_its_gradient_reaches_every_weight(tiny_config: ModelConfig, fields: dict[str, object]) -> None:
    """Gulrajani et al. 2017 differentiate D's gradient once more; not every operator of PyTorch can."""
    torch.manual_seed(0)
    config = replace(tiny_config, **fields)
    network = Discriminator(config)
    for module in network.modules():
        if isinstance(module, SelfAttention):
            torch.nn.init.ones_(module.gamma)
    photo = torch.rand(3, 4 if config.conditional_discriminator else 3, 32, 32, requires_grad=True)
    total = sum(each.sum() for each in network(photo))
    [gradient] = torch.autograd.grad(total, photo, create_graph=True)
    (gradient.flatten(1).norm(dim=1) - 1).square().mean().backward()
    weights = {name: weight for name, weight in network.named_parameters() if weight.ndim > 1}
    for name, weight in weights.items():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().max() > 0, name
