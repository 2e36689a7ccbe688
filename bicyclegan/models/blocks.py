"""Parts that G may have beyond the paper's: what refines the output of an up block, and what paints the picture.

Another part is one function here and one field of `ModelConfig`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn

from bicyclegan.config import ModelConfig
from bicyclegan.models.attention import SelfAttention
from bicyclegan.models.layers import ZeroConv2d, make_activation, make_norm


class RefiningBlock(nn.Module):
    """x + two 3x3 convolutions of it, reflection-padded, activated before each (He et al. 2016); at first x alone.

    No norm behind the second: it would blow up the zeros that it starts with.
    """

    def __init__(self, config: ModelConfig, channels: int):
        super().__init__()
        same_size = {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"}
        self.conv1 = nn.Conv2d(channels, channels, **same_size)
        self.norm = make_norm(config.norm, channels)
        self.conv2 = ZeroConv2d(channels, channels, **same_size)
        self.activation = make_activation(config.activation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W); H and W at least 2."""
        h = self.norm(self.conv1(self.activation(x)))
        return x + self.conv2(self.activation(h))


def _residual(config: ModelConfig, level: int, channels: int) -> nn.Module | None:
    blocks = [RefiningBlock(config, channels) for _ in range(config.residual_blocks)]
    return nn.Sequential(*blocks) if blocks else None


def _attention(config: ModelConfig, level: int, channels: int) -> nn.Module | None:
    return SelfAttention(channels) if level == config.attention_level else None


REFINEMENTS: dict[str, Callable[[ModelConfig, int, int], nn.Module | None]] = {
    "residual": _residual,
    "attention": _attention,
}
"""What may follow the up block of a level with so many channels, in this order; each starts as the identity."""


def make_refinement(config: ModelConfig, level: int, channels: int) -> nn.Sequential:
    """What follows the up block of a level: (N, C, H, W) -> (N, C, H, W). Nothing behind the last one, level 0."""
    made = {name: make(config, level, channels) for name, make in REFINEMENTS.items() if level > 0}
    return nn.Sequential(OrderedDict((name, part) for name, part in made.items() if part is not None))


def _conv7(config: ModelConfig) -> nn.Module:
    conv = nn.Conv2d(config.base_channels, config.output_channels, kernel_size=7, padding=3, padding_mode="reflect")
    return nn.Sequential(make_activation(config.activation), conv)


PAINTERS: dict[str, Callable[[ModelConfig], nn.Module]] = {"upsample": lambda config: nn.Identity(), "conv7": _conv7}
"""What makes a picture, before tanh, of the last up block's output, by the name of `output_layer`."""


def make_painter(config: ModelConfig) -> nn.Module:
    """(N, C, H, W) -> (N, output_channels, H, W), where C is `painted_channels`."""
    return PAINTERS[config.output_layer](config)


def painted_channels(config: ModelConfig) -> int:
    """Channels that the last up block makes."""
    return config.output_channels if config.output_layer == "upsample" else config.base_channels
