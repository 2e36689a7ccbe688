"""D(B) or D(A, B): PatchGAN critics at several scales (pix2pixHD, as in the official BicycleGAN code)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from bicyclegan.config import ModelConfig
from bicyclegan.models.layers import make_norm

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
    base = max(1, round(config.discriminator_channels / 2**scale))
    widths = [base * min(2**n, MAX_WIDTH) for n in range(config.discriminator_layers + 1)]
    channels = config.output_channels + (config.input_channels if config.conditional_discriminator else 0)
    layers: list[nn.Module] = [nn.Conv2d(channels, base, kernel_size=4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    for n in range(1, len(widths)):
        stride = 2 if n < config.discriminator_layers else 1
        layers += [
            nn.Conv2d(widths[n - 1], widths[n], kernel_size=4, stride=stride, padding=1),
            make_norm(config.norm, widths[n]),
            nn.LeakyReLU(0.2),
        ]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, kernel_size=4, stride=1, padding=1))
