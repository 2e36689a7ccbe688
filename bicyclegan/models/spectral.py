"""Spectral norm: a convolution divided by its largest singular value, as a matrix with a row for each channel it makes.

The value is estimated by power iteration, one step at every forward in train mode (Miyato et al. 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

SINGULAR_VECTORS = ("parametrizations.weight.0._u", "parametrizations.weight.0._v")
"""How their names end in a state dict."""
SETTLING = 15
"""Steps of power iteration after weights were set from outside, as many as PyTorch makes for a new layer."""


class SpectralConv2d(nn.Conv2d):
    """`nn.Conv2d` with spectral norm. What learns is `parametrizations.weight.original`; see `learnt_weight`."""

    def __init__(self, *args: object, **options: object):
        super().__init__(*args, **options)
        spectral_norm(self)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # singular vectors in float32
            weight = self.weight
        return self._conv_forward(x, weight, self.bias)


def learnt_weight(module: nn.Module) -> nn.Parameter:
    """The parameter behind `module.weight`, to be set in place: what spectral norm shows is made anew each time."""
    return module.parametrizations.weight.original if isinstance(module, SpectralConv2d) else module.weight


@torch.no_grad()
def settle(network: nn.Module) -> None:
    """Bring all singular vectors up to date after weights were set from outside, in place."""
    for module in network.modules():
        if isinstance(module, SpectralConv2d):
            norm = module.parametrizations.weight
            was_training = norm.training
            norm.train()
            for _ in range(SETTLING):
                norm()
            norm.train(was_training)
