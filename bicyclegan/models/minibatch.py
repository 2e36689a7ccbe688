"""What a discriminator may know of the other samples of its batch, so that G cannot paint one picture for all.

D judges real photos and fakes in batches of their own, and each process its part of a batch: samples are compared
within such a batch, which should hold at least some four. A batch of one tells nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import init

from bicyclegan.config import Minibatch

EPSILON = 2.0**-26
"""Under the root, whose slope at 0 is infinite. About the paper's 1e-8, but with an exact root: equals differ by 0."""
KERNELS, DIMS = 16, 8
"""Discrimination: projections, and the length of each."""


class MinibatchStatistics(nn.Module):
    """One plane more, with the standard deviation over the batch, averaged over features (Karras et al. 2018)."""

    planes = 1

    def __init__(self, channels: int):
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + 1, H, W)."""
        features = x.float()
        variance = (features - features.mean(dim=0)).square().mean(dim=0)  # on a CPU five times as fast as `var`
        spread = ((variance + EPSILON).sqrt() - EPSILON**0.5).mean()  # 0 where all samples are equal
        return torch.cat([x, spread.to(x.dtype).expand(len(x), self.planes, *x.shape[2:])], dim=1)


class MinibatchDiscrimination(nn.Module):
    """Planes that say how close a sample is to the others (Salimans et al. 2016).

    Features, averaged over the map, are projected; two samples at an L1 distance d are exp(-d) close. The mean over
    the other samples stands in place of the paper's sum, so that it means the same in every batch: 0 far from all,
    1 equal to all.
    """

    planes = KERNELS

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(init.xavier_normal_(torch.empty(channels, KERNELS * DIMS)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + 16, H, W)."""
        with torch.autocast(x.device.type, enabled=False):
            close = self._closeness(x.float().mean(dim=(2, 3)))
        return torch.cat([x, close.to(x.dtype)[:, :, None, None].expand(-1, -1, *x.shape[2:])], dim=1)

    def _closeness(self, features: Tensor) -> Tensor:
        """(N, C) -> (N, KERNELS) in [0, 1]."""
        count = len(features)
        projected = (features @ self.weight).unflatten(1, (KERNELS, DIMS))
        distance = (projected[:, None] - projected).abs().sum(dim=3)  # (N, N, KERNELS)
        others = 1 - torch.eye(count, device=features.device)
        return ((-distance).exp() * others[:, :, None]).sum(dim=1) / max(1, count - 1)


MINIBATCH: dict[str, type[nn.Module]] = {
    "statistics": MinibatchStatistics,
    "discrimination": MinibatchDiscrimination,
}
"""Layers by the name of `ModelConfig.minibatch`. Each is made of a number of channels and adds `planes` to them."""


def make_minibatch(kind: Minibatch, channels: int) -> list[nn.Module]:
    """The layer that is asked for, if any."""
    return [] if kind == "none" else [MINIBATCH[kind](channels)]
