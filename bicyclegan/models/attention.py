"""Self-attention: every place of a feature map looks at all others (SAGAN, Zhang et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bicyclegan.models.layers import OwnConv2d


class SelfAttention(nn.Module):
    """x + gamma * attention(x), with gamma 0 at first: the identity, until it is of use.

    Keys and values are pooled by 2, as in SAGAN, and scores divided by the root of their length (Vaswani et al.
    2017), since nothing else bounds them here. h w places make h w * h w / 4 scores a sample.

    Args:
        channels: of the feature map.
        conv: class of the 1x1 convolutions.
    """

    def __init__(self, channels: int, conv: type[nn.Conv2d] = OwnConv2d):
        super().__init__()
        short, inner = max(1, channels // 8), max(1, channels // 2)
        self.query = conv(channels, short, kernel_size=1, bias=False)
        self.key = conv(channels, short, kernel_size=1, bias=False)
        self.value = conv(channels, inner, kernel_size=1, bias=False)
        self.out = conv(inner, channels, kernel_size=1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W); H and W at least 2."""
        query = self.query(x).flatten(2).transpose(1, 2)  # (N, h w, short)
        key, value = (F.max_pool2d(each(x), 2).flatten(2) for each in (self.key, self.value))  # (N, .., h w / 4)
        scores = torch.bmm(query, key) * key.shape[1] ** -0.5
        shares = scores.softmax(dim=-1, dtype=torch.float32).to(value.dtype)  # of each place's attention
        attended = torch.bmm(value, shares.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.gamma * self.out(attended)
