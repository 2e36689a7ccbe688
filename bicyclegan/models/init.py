"""First weights of a network, by name (official `init_weights`)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import init

from bicyclegan.models.encoder import Encoder

FIRST_LOGVAR = -2.0
"""Where `init_informative` puts log variances: noise of 0.37."""

INITS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "xavier": lambda weight, gain: init.xavier_normal_(weight, gain=gain),
    "normal": lambda weight, gain: init.normal_(weight, 0.0, gain),
    "kaiming": lambda weight, gain: init.kaiming_normal_(weight, a=0, mode="fan_in"),
    "orthogonal": lambda weight, gain: init.orthogonal_(weight, gain=gain),
}
"""Distributions of the weights of convolutions and linear layers; the number is their scale."""


def init_weights(network: nn.Module, name: str, gain: float) -> None:
    """Fill a network in place: weights by `INITS[name]`, biases 0, batch norm around 1; "default" leaves PyTorch's."""
    if name == "default":
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            INITS[name](module.weight, gain)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            init.normal_(module.weight, 1.0, gain)
            init.zeros_(module.bias)


def init_informative(encoder: Encoder) -> None:
    """Let an encoder tell much about every photo from the first step, in place.

    With the official scale of 0.02 its means start within 1e-5 of each other under noise of 1: until its layers
    have grown, each of them thousands of times too small, the generator learns that the code is noise. Kaiming's
    scale passes differences on, and a posterior that starts narrow lets them be heard.
    """
    init_weights(encoder, "kaiming", 1.0)
    init.zeros_(encoder.logvar.weight)
    init.constant_(encoder.logvar.bias, FIRST_LOGVAR)
