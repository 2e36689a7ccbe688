"""Exponential moving average of weights: what users see (Yazici et al., "The Unusual Effectiveness of Averaging")."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from bicyclegan.training.networks import Networks


class Ema:
    """Averages of G and E. With decay 0 these are the networks themselves.

    The decay grows as (1 + n) / (10 + n) over the first n updates, so that the random start is soon forgotten.
    """

    def __init__(self, networks: Networks, decay: float):
        self.decay = decay
        self._live = Networks(networks.generator, networks.encoder)
        self.networks = self._live
        if decay > 0:
            self.networks = Networks(_frozen_copy(networks.generator), _frozen_copy(networks.encoder))

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Take in the weights after `updates` updates; buffers are copied."""
        if self.decay == 0:
            return
        weight = 1 - min(self.decay, (1 + updates) / (10 + updates))
        for (_, average), (_, live) in zip(self.networks.named(), self._live.named(), strict=True):
            torch._foreach_lerp_(list(average.parameters()), list(live.parameters()), weight)
            for ours, theirs in zip(average.buffers(), live.buffers(), strict=True):
                ours.copy_(theirs)


def _frozen_copy(network: nn.Module | None) -> nn.Module | None:
    return None if network is None else deepcopy(network).requires_grad_(False).eval()
