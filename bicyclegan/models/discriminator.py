"""D(B) or D(A, B): PatchGAN critics at several scales (pix2pixHD, as in the official BicycleGAN code)."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from bicyclegan.config import ModelConfig
from bicyclegan.models.attention import SelfAttention
from bicyclegan.models.layers import OwnConv2d, make_norm
from bicyclegan.models.minibatch import make_minibatch
from bicyclegan.models.spectral import SpectralConv2d

MAX_WIDTH = 8
"""Channels grow by 2 a layer, up to this many times `discriminator_channels`."""


class Discriminator(nn.Module):
    """One PatchGAN a scale; the picture is halved between scales, the width too."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.scales = nn.ModuleList(patch_gan(config, scale) for scale in range(config.num_discriminators))

    def forward(self, photo: Tensor) -> list[Tensor]:
        """Judge patches.

        Args:
            photo: (N, C, H, W) in [-1, 1]; C is output_channels, with input_channels in front if conditional.

        Returns:
            One map of scores (N, 1, h, w) a scale, finest first, before any sigmoid.
        """
        scores = []
        for scale, net in enumerate(self.scales):
            if scale > 0:
                photo = F.avg_pool2d(photo, kernel_size=3, stride=2, padding=1, count_include_pad=False)
            scores.append(net(photo))
        return scores


def patch_gan(config: ModelConfig, scale: int) -> nn.Sequential:
    """A 4x4 PatchGAN: stride 2 `discriminator_layers` times, then two layers with stride 1."""
    conv = SpectralConv2d if config.spectral_norm else nn.Conv2d
    base = max(1, round(config.discriminator_channels / 2**scale))
    widths = [base * min(2**n, MAX_WIDTH) for n in range(config.discriminator_layers + 1)]
    channels = config.output_channels + (config.input_channels if config.conditional_discriminator else 0)
    layers: list[nn.Module] = [
        conv(channels, base, kernel_size=4, stride=2, padding=1),
        make_activation(config, scale, halvings=1, channels=base),
    ]
    for n in range(1, len(widths)):
        stride = 2 if n < config.discriminator_layers else 1
        layers += [
            conv(widths[n - 1], widths[n], kernel_size=4, stride=stride, padding=1),
            make_norm(config.norm, widths[n]),
            make_activation(config, scale, halvings=n + 1 if stride == 2 else 0, channels=widths[n]),
        ]
    batch = make_minibatch(config.minibatch, widths[-1])
    planes = sum(layer.planes for layer in batch)
    return nn.Sequential(*layers, *batch, conv(widths[-1] + planes, 1, kernel_size=4, stride=1, padding=1))


def make_activation(config: ModelConfig, scale: int, halvings: int, channels: int) -> nn.Module:
    """Leaky ReLU, on the finest scale followed by attention where the picture was halved as often as G's there.

    Both in one place of the PatchGAN, so that its other layers keep their names when attention is new.
    """
    activation = nn.LeakyReLU(0.2)
    if scale > 0 or not halvings or halvings != config.attention_level:
        return activation
    attention = SelfAttention(channels, SpectralConv2d if config.spectral_norm else OwnConv2d)
    return nn.Sequential(OrderedDict(activation=activation, attention=attention))
