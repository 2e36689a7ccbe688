"""Bounds on what an update may do: gradients that are cut back, and weights of a critic that stay small."""

from __future__ import annotations

import torch
from torch import nn

from bicyclegan.training.config import OptimConfig


def clip_gradients(network: nn.Module, optim: OptimConfig) -> None:
    """Cut single gradients back to `clip_value`, then the whole to a norm of `clip_norm` (Pascanu et al. 2013)."""
    if optim.clip_value:
        nn.utils.clip_grad_value_(network.parameters(), optim.clip_value)
    if optim.clip_norm:
        nn.utils.clip_grad_norm_(network.parameters(), optim.clip_norm)


@torch.no_grad()
def bound_weights(network: nn.Module, limit: float) -> None:
    """Move every weight back to within +-limit: so the critic cannot be steep (Arjovsky et al. 2017, algorithm 1)."""
    for weight in network.parameters():
        weight.clamp_(-limit, limit)
