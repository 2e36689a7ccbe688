"""Two pairs of linear layers computed as one while training on a CPU: same function and gradient, less arithmetic.

Both identities are exact up to rounding, and autograd works out their gradients:

1. A 3x3 convolution after a bilinear upsampling (G's up path): upsampling acts on positions, the weights of one kernel
   tap on channels, so they commute. First mix channels at the small size, one matrix product for all nine taps and a
   quarter of the multiplications; then upsample, pad and shift every tap by a fixed matrix along each axis.
   `models/inference.py` does the same for painting.
2. Means over 2x2 pixels of a 3x3 convolution (E's residual blocks): a 4x4 convolution with stride 2, whose kernel is
   the mean of the four shifted kernels. 16 multiplications in the place of 36.

Only inside of `rearranged()`, which `TrainStep` enters; everywhere else layers compute as they are written, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_ACTIVE: ContextVar[bool] = ContextVar("rearranged", default=False)


@contextmanager
def rearranged(active: bool = True) -> Iterator[None]:
    """Let layers on a CPU compute with less arithmetic in here; the gradients of what is computed follow."""
    token = _ACTIVE.set(active)
    try:
        yield
    finally:
        _ACTIVE.reset(token)


class UpsampleConv(nn.Sequential):
    """Bilinear upsampling by 2, reflection padding by 1, a 3x3 convolution: these three modules, in this order."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', 2H, 2W)."""
        return self._mix_first(x) if _applies(x) else super().forward(x)

    def _mix_first(self, x: Tensor) -> Tensor:
        conv = self[-1]
        out_channels, in_channels = conv.weight.shape[:2]
        count, _, height, width = x.shape
        taps = conv.weight.permute(0, 2, 3, 1).reshape(-1, in_channels)  # (C' * y taps * x taps, C)
        mixed = taps @ x.transpose(0, 1).reshape(in_channels, -1)  # (C' * 9, N * H * W)
        mixed = mixed.view(out_channels, 3, 3, count, height, width)
        mixed = mixed.permute(3, 0, 1, 4, 2, 5).reshape(count, out_channels, 3 * height, 3 * width)
        along_y, along_x = (_operator(size, x.dtype) for size in (height, width))
        return along_y @ (mixed @ along_x.T) + conv.bias[:, None, None]


def mean_pooled(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """2x2 means of a 3x3 convolution with padding 1: (N, C, H, W) -> (N, C', H/2, W/2)."""
    if not _applies(x):
        return F.avg_pool2d(conv(x), 2)
    kernel = F.avg_pool2d(F.pad(conv.weight, (1, 1, 1, 1)), kernel_size=2, stride=1)  # (C', C, 4, 4)
    return F.conv2d(x, kernel, conv.bias, stride=2, padding=1)


def upsample_operator(size: int) -> Tensor:
    """Bilinear upsampling by 2, reflection padding by 1 and a shift by each tap of a 3-kernel, along one axis.

    Made by running the real operators on unit vectors, so the reflected border is right by construction.

    Returns:
        (2 size, 3 size): column block t holds what tap t contributes to each output position.
    """
    unit = torch.eye(size)[:, None]  # (position, 1, size)
    fine = F.pad(F.interpolate(unit, scale_factor=2, mode="linear"), (1, 1), mode="reflect")  # (.., 2 size + 2)
    taps = [fine[:, 0, tap : tap + 2 * size].T for tap in range(3)]
    return torch.cat(taps, dim=1).contiguous()


@lru_cache(maxsize=64)
def _operator(size: int, dtype: torch.dtype) -> Tensor:
    """`upsample_operator`, kept: training meets few sizes."""
    with torch.inference_mode(False):  # else one that was made while painting could not be learnt through
        return upsample_operator(size).to(dtype)


def _applies(x: Tensor) -> bool:
    """Whether to rearrange. Not on a GPU, where nobody has measured that it helps."""
    return _ACTIVE.get() and x.device.type == "cpu"
