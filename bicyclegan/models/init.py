"""First weights of a network, by name (official `init_weights`)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import init

from bicyclegan.models.encoder import Encoder
from bicyclegan.models.layers import OwnConv2d
from bicyclegan.models.spectral import learnt_weight, settle

FIRST_LOGVAR = -2.0
"""Where `init_informative` puts log variances: noise of 0.37."""
BATCH = 32

INITS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "xavier": lambda weight, gain: init.xavier_normal_(weight, gain=gain),
    "normal": lambda weight, gain: init.normal_(weight, 0.0, gain),
    "kaiming": lambda weight, gain: init.kaiming_normal_(weight, a=0, mode="fan_in"),
    "orthogonal": lambda weight, gain: init.orthogonal_(weight, gain=gain),
}
"""Distributions of the weights of convolutions and linear layers; the number is their scale."""


def init_weights(network: nn.Module, name: str, gain: float) -> None:
    """Fill a network in place: weights by `INITS[name]`, biases 0, batch norm around 1; "default" leaves PyTorch's.

    Layers with first weights of their own (`OwnConv2d`, plain parameters) keep them.
    """
    if name == "default":
        return
    for module in network.modules():
        if isinstance(module, OwnConv2d):
            continue
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            INITS[name](learnt_weight(module), gain)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            init.normal_(module.weight, 1.0, gain)
            init.zeros_(module.bias)
    settle(network)


@torch.no_grad()
def init_informative(encoder: Encoder, photos: Tensor) -> None:
    """Let an encoder tell much about every photo from the first step, in place.

    With the official scale of 0.02 its means start within 1e-5 of each other under noise of 1: until its layers
    have grown, each of them many times too small, the generator learns that the code is noise. Kaiming's scale
    passes differences on; the head for mu then takes the principal components of what comes out, so that the codes
    of `photos` have mean 0 and no correlation, as the prior has; and a posterior that starts narrow lets them be
    heard. Components are scaled by the root of their strength, the first to variance 1: all to 1 would amplify the
    weakest so much that codes run away as soon as the layers learn. (Weights set by data: Salimans & Kingma 2016.)

    Args:
        encoder: fresh, on any device.
        photos: (N, output_channels, H, W) in [-1, 1] to learn from, N more than latent_dim, better some hundred.
    """
    init_weights(encoder, "kaiming", 1.0)
    device = encoder.mu.weight.device
    h = torch.cat([encoder.features(part.to(device)) for part in photos.split(BATCH)]).double()
    mean = h.mean(dim=0)
    _, spread, directions = torch.linalg.svd(h - mean, full_matrices=False)  # spread falls
    dims = min(encoder.config.latent_dim, len(spread))
    spread = spread[:dims] / len(h) ** 0.5  # standard deviations
    scale = (spread[0] * spread).clamp(min=1e-12).rsqrt()
    weight = torch.zeros_like(encoder.mu.weight, dtype=torch.float64)
    weight[:dims] = directions[:dims] * scale[:, None]
    encoder.mu.weight.copy_(weight)
    encoder.mu.bias.copy_(-weight @ mean)
    init.zeros_(encoder.logvar.weight)
    init.constant_(encoder.logvar.bias, FIRST_LOGVAR)
