"""E(B): reads the latent code of a photo as a normal distribution, mu and logvar (paper, section 3.2)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from bicyclegan.config import ModelConfig, Norm
from bicyclegan.errors import UserError
from bicyclegan.models.layers import make_norm
from bicyclegan.models.rearranged import mean_pooled

MAX_WIDTH = 4
"""Channels grow up to this many times `encoder_channels`."""


class ResidualBlock(nn.Module):
    """Pre-activated residual block that halves the picture by mean pooling."""

    def __init__(self, in_channels: int, out_channels: int, norm: Norm):
        super().__init__()
        self.norm1 = make_norm(norm, in_channels)
        self.conv1 = nn.Conv2d(in_channels, in_channels, kernel_size=3, padding=1)
        self.norm2 = make_norm(norm, in_channels)
        self.conv2 = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H/2, W/2)."""
        h = F.leaky_relu(self.norm1(x), 0.2)
        if isinstance(self.norm1, nn.Identity):
            x = h  # the official block activates in place: with no norm between, its shortcut sees the result
        h = self.conv1(h)
        h = F.leaky_relu(self.norm2(h), 0.2)
        return mean_pooled(self.conv2, h) + self.shortcut(F.avg_pool2d(x, 2))


class ConvBlock(nn.Module):
    """4x4 convolution with stride 2, norm, leaky ReLU."""

    def __init__(self, in_channels: int, out_channels: int, norm: Norm):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1)
        self.norm = make_norm(norm, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H/2, W/2)."""
        return F.leaky_relu(self.norm(self.conv(x)), 0.2)


class Encoder(nn.Module):
    """Stem, `encoder_blocks` - 1 blocks, global mean, two linear heads.

    The global mean takes any size that the strides divide; at the trained size it equals the
    official fixed 8x8 pooling.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        if config.encoder == "none":
            raise ValueError("ModelConfig.encoder is 'none': this model has no encoder to build.")
        self.config = config
        residual = config.encoder == "resnet"
        widths = encoder_widths(config)
        make_block = ResidualBlock if residual else ConvBlock
        self.stem = nn.Conv2d(config.output_channels, widths[0], kernel_size=4, stride=2, padding=1)
        self.blocks = nn.ModuleList(make_block(*pair, config.norm) for pair in pairwise(widths))
        self.mu = nn.Linear(widths[-1], config.latent_dim)
        self.logvar = nn.Linear(widths[-1], config.latent_dim)

    def forward(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        """Read codes.

        Args:
            photo: (N, output_channels, H, W) in [-1, 1]; H and W multiples of 2**encoder_blocks.

        Returns:
            mu and logvar of q(z | photo), each (N, latent_dim).
        """
        h = self.features(photo)
        return self.mu(h), self.logvar(h)

    def features(self, photo: Tensor) -> Tensor:
        """What both heads read: (N, output_channels, H, W) -> (N, width)."""
        self._check(photo)
        h = self.stem(photo)
        if self.config.encoder == "conv":
            h = F.leaky_relu(h, 0.2)
        for block in self.blocks:
            h = block(h)
        if self.config.encoder == "resnet":
            h = F.leaky_relu(h, 0.2)
        return F.avg_pool2d(h, h.shape[2:]).flatten(1)  # sums in the order of the official AvgPool2d(8)

    def _check(self, photo: Tensor) -> None:
        multiple, channels = 2**self.config.encoder_blocks, self.config.output_channels
        if photo.ndim != 4 or photo.shape[1] != channels or photo.shape[2] % multiple or photo.shape[3] % multiple:
            raise UserError(
                "encoder_input",
                "The encoder takes photos of shape (N, {channels}, H, W) with H and W multiples of {multiple}, "
                "not {shape}.",
                channels=channels,
                multiple=multiple,
                shape=tuple(photo.shape),
            )


def encoder_widths(config: ModelConfig) -> list[int]:
    """Channels after the stem and after each block: the ResNet grows 1, 2, 3, 4, 4; the plain one 1, 2, 4, 4."""
    growth = [n + 1 if config.encoder == "resnet" else 2**n for n in range(config.encoder_blocks)]
    return [config.encoder_channels * min(g, MAX_WIDTH) for g in growth]
