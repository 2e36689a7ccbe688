"""The generator again, rearranged for many samples of one sketch on a CPU: same function, less arithmetic.

Three identities, exact up to rounding (measured: up to 2e-5 in a picture that spans [-1, 1]):

1. A 3x3 convolution after a bilinear upsampling is linear in the small picture. Upsampling acts on
   positions, the weights of one kernel tap on channels, so they commute: first mix channels at the small
   size (one matrix product for all nine taps, a quarter of the multiplications), then upsample, pad and
   shift each tap by a fixed matrix along y and one along x. Those matrices are made by running the real
   operators on unit vectors, so the reflected border is right by construction.
2. A code z lies on constant planes, so its share of a convolution is a per-sample bias: one value a
   channel, except where the kernel reaches over the zero-padded border, hence 3x3 values.
3. Until z joins, all samples are equal: the sketch's own share of the first convolution is computed once, and
   with `inject="adain"` the whole down path and what its skips add to the up path.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bicyclegan.models.generator import DownBlock, Generator, UpBlock, check_inputs
from bicyclegan.models.rearranged import upsample_operator


class FastGenerator(nn.Module):
    """Inference-only view of a `Generator` (weights are copied and rearranged when it is made)."""

    def __init__(self, generator: Generator):
        super().__init__()
        self.config = generator.config
        self.injects = generator.injects
        self.modulated = generator.modulated
        self.code_map = deepcopy(generator.code_map)
        self.skip = generator._skip
        self.down = nn.ModuleList(
            _FastDown(block, self.config.latent_dim if self.injects(level) else 0)
            for level, block in enumerate(generator.down)
        )
        self.up = nn.ModuleList(_FastUp(block) for block in generator.up)
        self.refine = deepcopy(generator.refine)
        self.paint = deepcopy(generator.paint)
        self.eval().requires_grad_(False)

    def prepare(self, x: Tensor) -> tuple[Tensor, ...]:
        """What all samples of a sketch share, of (N, input_channels, H, W): what goes into the first skips.

        One tensor (N, base_channels, H/2, W/2), or all skips where z enters behind them.
        """
        check_inputs(self.config, x, x.new_zeros(x.shape[0], self.config.latent_dim))
        first = self.down[0].conv_x(x)
        return tuple(self._skips(first, None)) if self.modulated else (first,)

    def forward(self, prepared: tuple[Tensor, ...], z: Tensor) -> Tensor:
        """Paint what `prepare` returned: one sketch in N styles, or N sketches in a style each; (N, latent_dim) ->
        (N, 3, H, W)."""
        if self.code_map is not None:
            z = self.code_map(z)
        skips = prepared
        if not self.modulated:
            first = prepared[0].expand(len(z), -1, -1, -1).clone()
            skips = self._skips(self.down[0].add_code(first, z), z)
        parts = [skips[-1]]
        for level in reversed(range(len(self.up))):
            x = self.refine[level](self.up[level](parts, z))
            parts = [x, self.skip(skips[level - 1])]
        return F.tanh(self.paint(x))

    def _skips(self, first: Tensor, z: Tensor | None) -> list[Tensor]:
        """Outputs of all down blocks, outermost first."""
        skips = [first]
        for level, block in enumerate(self.down[1:], start=1):
            x = block.conv_x(F.leaky_relu(skips[-1], 0.2))
            # Planes of z pass the block's activation like all of its input.
            skips.append(block.norm(block.add_code(x, F.leaky_relu(z, 0.2)) if self.injects(level) else x))
        return skips


class _FastDown(nn.Module):
    """A down block whose convolution is split into the picture's and the code's share."""

    def __init__(self, block: DownBlock, latent_dim: int):
        super().__init__()
        weight = block.conv.weight.detach()
        channels = weight.shape[1] - latent_dim
        self.register_buffer("weight_x", weight[:, :channels].clone())
        self.register_buffer("weight_z", weight[:, channels:].clone())
        self.register_buffer("bias", block.conv.bias.detach().clone())
        self.norm = deepcopy(block.norm)  # a generator that is still learning keeps its own

    def conv_x(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight_x, self.bias, stride=2, padding=1)

    def add_code(self, x: Tensor, z: Tensor) -> Tensor:
        """Add z's share to x (N, C, h, w) in place: interior, then what differs along the border."""
        if self.weight_z.shape[1] == 0:
            return x
        height, width = (min(side, 3) for side in x.shape[2:])
        planes = z[:, :, None, None].expand(-1, -1, 2 * height, 2 * width)
        share = F.conv2d(planes, self.weight_z, stride=2, padding=1)  # (N, C, <=3, <=3): first, inner, last
        rows = _nearest_rows(x.shape[2], height, x.device)
        columns = _nearest_rows(x.shape[3], width, x.device)
        inner = share[:, :, height // 2, width // 2, None, None]
        x += inner
        for row in {0, x.shape[2] - 1}:
            x[:, :, row] += share[:, :, rows[row]][..., columns] - inner[..., 0]
        for column in {0, x.shape[3] - 1}:
            x[:, :, 1:-1, column] += share[:, :, :, columns[column]][..., rows[1:-1]] - inner[..., 0]
        return x


def _nearest_rows(size: int, stored: int, device: torch.device) -> Tensor:
    """Which of the stored rows (first, inner, last) stands for each of `size` rows."""
    rows = torch.full((size,), stored // 2, device=device)
    rows[0], rows[-1] = 0, stored - 1
    return rows


class _FastUp(nn.Module):
    """An up block that mixes channels before it upsamples."""

    def __init__(self, block: UpBlock):
        super().__init__()
        self.activation = deepcopy(block.activation)
        self.norm = deepcopy(block.norm)
        self.modulation = deepcopy(block.modulation)
        self.bilinear = isinstance(block.upsample[0], nn.Upsample)
        self.upsample = None if self.bilinear else deepcopy(block.upsample)
        self._operators: dict[int, Tensor] = {}
        if self.bilinear:
            conv = block.upsample[-1]
            out_channels, in_channels = conv.weight.shape[:2]
            taps = conv.weight.detach().permute(3, 0, 2, 1)  # (x tap, out, y tap, in)
            self.register_buffer("taps", taps.reshape(9 * out_channels, in_channels).clone())
            self.register_buffer("bias", conv.bias.detach().clone())

    def forward(self, parts: list[Tensor], z: Tensor) -> Tensor:
        """Parts of the input along its channels, never joined: (N, C_i, h, w)... -> (N, C', 2h, 2w).

        A part of one sample is the same for all of them.
        """
        parts = [self.activation(part) for part in parts]
        if self.bilinear:
            x = self.norm(self._spread(self._mix(parts), *parts[0].shape[2:]))
        else:
            x = self.norm(self.upsample(_join(parts)))
        return x if self.modulation is None else self.modulation(x, z)

    def _mix(self, parts: list[Tensor]) -> Tensor:
        """All nine taps at the small size: (N, 9 C', h w)."""
        first = 0
        mixed = None
        for part in parts:
            weight = self.taps[:, first : first + part.shape[1]]
            product = torch.matmul(weight, part.flatten(2))
            mixed = product if mixed is None else mixed.add_(product)  # the first part has all samples
            first += part.shape[1]
        return mixed

    def _spread(self, mixed: Tensor, height: int, width: int) -> Tensor:
        """Upsample, pad and shift every tap, and add them up: (N, 9 C', h w) -> (N, C', 2h, 2w)."""
        along_y, along_x = self._operator(height, mixed), self._operator(width, mixed)
        columns = mixed.view(-1, 3 * height, width)  # (N * 3 x taps * C', 3 y taps * h, w)
        columns = torch.matmul(along_y, columns)  # (..., 2h, w)
        rows = columns.view(-1, 3, len(self.bias), 2 * height, width).permute(0, 2, 3, 1, 4)
        rows = rows.reshape(-1, 3 * width)  # (N * C' * 2h, 3 x taps * w)
        out = torch.matmul(rows, along_x.T).view(-1, len(self.bias), 2 * height, 2 * width)
        return out.add_(self.bias[:, None, None])

    def _operator(self, size: int, like: Tensor) -> Tensor:
        """Matrix (2 size, 3 size) of one axis; kept, since a generator meets few sizes."""
        if size not in self._operators:
            self._operators[size] = upsample_operator(size).to(like)
        return self._operators[size]


def _join(parts: list[Tensor]) -> Tensor:
    """Side by side along the channels: (N or 1, C_i, h, w)... -> (N, sum of C_i, h, w)."""
    return torch.cat([part.expand(len(parts[0]), -1, -1, -1) for part in parts], dim=1)
