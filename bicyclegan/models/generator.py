"""G(x, z): a U-Net that paints a sketch in the style that a latent code names (paper, section 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bicyclegan.config import ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.models.blocks import make_painter, make_refinement, painted_channels
from bicyclegan.models.layers import CodeMap, Modulation, append_code, make_activation, make_norm, make_upsample

MAX_WIDTH = 8
"""Channels grow by 2 a level, up to this many times `base_channels`."""


class DownBlock(nn.Module):
    """Leaky ReLU (not at the input), 4x4 convolution with stride 2, norm: (N, C, H, W) -> (N, C', H/2, W/2)."""

    def __init__(self, in_channels: int, out_channels: int, *, norm: nn.Module, activate: bool):
        super().__init__()
        self.activate = activate
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1)
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(F.leaky_relu(x, 0.2) if self.activate else x))


class UpBlock(nn.Module):
    """Activation, upsampling by 2, norm, modulation by z, dropout: (N, C, H, W) -> (N, C', 2H, 2W)."""

    def __init__(
        self,
        upsample: nn.Sequential,
        *,
        activation: nn.Module,
        norm: nn.Module,
        dropout: float,
        modulation: Modulation | None = None,
    ):
        super().__init__()
        self.activation = activation
        self.upsample = upsample
        self.norm = norm
        self.modulation = modulation
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        x = self.norm(self.upsample(self.activation(x)))
        return self.dropout(x if self.modulation is None else self.modulation(x, z))


class Generator(nn.Module):
    """U-Net with `depth` down and up blocks and a skip at every level.

    z is written on constant planes beside the input of every down block (`inject="all"`) or of the first
    one (`"input"`), or it scales and shifts the features of every up block but the one that paints (`"adain"`).
    With `latent_dim=0` this is the generator of pix2pix.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.code_map = CodeMap(config.latent_dim) if config.map_code and config.latent_dim else None
        widths = level_widths(config)  # channels after down block 0, 1, ...
        self.down = nn.ModuleList(self._down_block(level, widths) for level in range(config.depth))
        self.up = nn.ModuleList(self._up_block(level, widths) for level in range(config.depth))
        outputs = [painted_channels(config), *widths]  # of up block 0, 1, ...
        self.refine = nn.ModuleList(make_refinement(config, level, outputs[level]) for level in range(config.depth))
        self.paint = make_painter(config)

    def injects(self, level: int) -> bool:
        """Whether z enters the down block of this level."""
        wanted = self.config.inject == "all" or (self.config.inject == "input" and level == 0)
        return self.config.latent_dim > 0 and wanted

    @property
    def modulated(self) -> bool:
        """Whether z enters the up blocks."""
        return self.config.latent_dim > 0 and self.config.inject == "adain"

    def _down_block(self, level: int, widths: list[int]) -> DownBlock:
        config = self.config
        channels = config.input_channels if level == 0 else widths[level - 1]
        outer = level in (0, config.depth - 1)  # neither end of the path is normalised
        return DownBlock(
            channels + (config.latent_dim if self.injects(level) else 0),
            widths[level],
            norm=make_norm("none" if outer else config.norm, widths[level]),
            activate=level > 0,
        )

    def _up_block(self, level: int, widths: list[int]) -> UpBlock:
        config = self.config
        innermost = level == config.depth - 1
        paints = level == 0 and config.output_layer == "upsample"
        out_channels = painted_channels(config) if level == 0 else widths[level - 1]
        return UpBlock(
            make_upsample(config.upsample, widths[level] * (1 if innermost else 2), out_channels),
            activation=make_activation(config.activation),
            norm=make_norm("none" if paints else config.norm, out_channels),
            dropout=config.dropout if 4 <= level < config.depth - 1 else 0.0,
            modulation=Modulation(config.latent_dim, out_channels) if self.modulated and not paints else None,
        )

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        """Paint.

        Args:
            x: (N, input_channels, H, W) sketches in [-1, 1]; H and W multiples of 2**depth.
            z: (N, latent_dim) codes; leave out when latent_dim is 0.

        Returns:
            (N, output_channels, H, W) photos in [-1, 1].
        """
        check_inputs(self.config, x, z)
        if self.code_map is not None:
            z = self.code_map(z)
        skips = []
        for level, block in enumerate(self.down):
            x = block(append_code(x, z) if self.injects(level) else x)
            skips.append(x)
        return self.decode(skips, z)

    def decode(self, skips: list[Tensor], z: Tensor | None = None) -> Tensor:
        """Up path: outputs of all down blocks, outermost first, and codes where they enter here -> photos."""
        x = skips[-1]
        for level in reversed(range(len(self.up))):
            x = self.refine[level](self.up[level](x, z))
            if level > 0:
                x = torch.cat([x, self._skip(skips[level - 1])], dim=1)
        return F.tanh(self.paint(x))

    def _skip(self, x: Tensor) -> Tensor:
        # Official quirk: without z beside it, the next block's in-place leaky ReLU reaches the skip too.
        # It only matters for activations other than ReLU.
        return x if self.injects(1) or self.modulated else F.leaky_relu(x, 0.2)


def level_widths(config: ModelConfig) -> list[int]:
    """Channels after each down block: base, 2 base, 4 base, 8 base, 8 base, ..."""
    return [config.base_channels * min(2**level, MAX_WIDTH) for level in range(config.depth)]


def check_inputs(config: ModelConfig, x: Tensor, z: Tensor | None) -> None:
    """Raise `UserError` when shapes do not fit the network, before PyTorch says so in its own words."""
    multiple = 2**config.depth
    if x.ndim != 4 or x.shape[1] != config.input_channels or x.shape[2] % multiple or x.shape[3] % multiple:
        raise UserError(
            "generator_input",
            "The generator takes sketches of shape (N, {channels}, H, W) with H and W multiples of {multiple}, "
            "not {shape}.",
            channels=config.input_channels,
            multiple=multiple,
            shape=tuple(x.shape),
        )
    expected = (x.shape[0], config.latent_dim)
    if config.latent_dim and (z is None or tuple(z.shape) != expected):
        raise UserError(
            "generator_code",
            "The generator takes latent codes of shape {expected}, not {shape}.",
            expected=expected,
            shape=None if z is None else tuple(z.shape),
        )
