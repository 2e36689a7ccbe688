"""Building blocks that the three networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn import init

from bicyclegan.config import Activation, Norm, Upsample
from bicyclegan.models.rearranged import UpsampleConv

MODULATION_STD = 0.2
"""First weights of `Modulation`: with 8 dims a code scales channels by 1 +- 0.57, enough to be seen at once."""


def make_norm(kind: Norm, channels: int) -> nn.Module:
    """Instance norm without parameters or statistics, batch norm with both, or nothing: as in the official code."""
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=False, track_running_stats=False)
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.Identity()


def make_activation(kind: Activation) -> nn.Module:
    """The non-linearities that the official options `relu`, `lrelu` and `elu` name."""
    return {"relu": nn.ReLU, "leaky_relu": lambda: nn.LeakyReLU(0.2), "elu": nn.ELU}[kind]()


def make_upsample(kind: Upsample, in_channels: int, out_channels: int) -> nn.Sequential:
    """(N, in, H, W) -> (N, out, 2H, 2W)."""
    if kind == "transposed":
        return nn.Sequential(nn.ConvTranspose2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1))
    return UpsampleConv(
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.ReflectionPad2d(1),
        nn.Conv2d(in_channels, out_channels, kernel_size=3),
    )


def append_code(x: Tensor, z: Tensor) -> Tensor:
    """Write each code on a plane of its own behind the picture: (N, C, H, W), (N, D) -> (N, C + D, H, W)."""
    planes = z[:, :, None, None].expand(-1, -1, *x.shape[2:])
    return torch.cat([x, planes], dim=1)


class OwnConv2d(nn.Conv2d):
    """A convolution with first weights of its own, which `init_weights` leaves: they keep the variance (Glorot 2010).

    For layers with no norm behind them, which the small official weights would silence for hundreds of steps.
    """

    def reset_parameters(self) -> None:
        init.xavier_normal_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class ZeroConv2d(OwnConv2d):
    """The last convolution of what is added to something: it starts at 0, and the sum as the identity."""

    def reset_parameters(self) -> None:
        init.zeros_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class Modulation(nn.Module):
    """Scale and shift of each channel as a linear function of z: the affine part of AdaIN (Huang & Belongie 2017).

    Instance norm takes a constant away, and with it most of what a plane of z adds to a convolution before it;
    what is multiplied and added behind the norm stays.
    """

    def __init__(self, latent_dim: int, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2 * channels, latent_dim) * MODULATION_STD)
        self.bias = nn.Parameter(torch.zeros(2 * channels))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(N or 1, C, H, W), (N, latent_dim) -> (N, C, H, W)."""
        scale, shift = exact_linear(z, self.weight, self.bias)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(x + shift, x, scale)


class CodeMap(nn.Module):
    """A linear map of z, at first the identity: (N, latent_dim) -> (N, latent_dim)."""

    def __init__(self, latent_dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(latent_dim))
        self.bias = nn.Parameter(torch.zeros(latent_dim))

    def forward(self, z: Tensor) -> Tensor:
        return exact_linear(z, self.weight, self.bias)


def exact_linear(z: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`F.linear` in double precision, rounded to z's: (N, D), (C, D), (C,) -> (N, C).

    In single precision the last bit of a matrix product depends on where its rows lie in memory and how many there
    are, and norms amplify that to other pixels: a recipe would not rebuild its picture.
    """
    return F.linear(z.double(), weight.double(), bias.double()).to(z.dtype)
