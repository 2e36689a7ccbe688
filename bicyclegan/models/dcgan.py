"""DCGAN (Radford et al. 2016): photos out of nothing but a code, by strided convolutions. For the lessons.

Both networks have as many levels as halve the picture to 4 px; channels double a level from `channels` on. Weights
are drawn from N(0, 0.02), batch norm scales from N(1, 0.02), as in the paper and in all tutorials after it.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import init

SMALLEST = 4
"""Side in px at which G begins and D ends."""
INIT = 0.02


class DcganGenerator(nn.Module):
    """A code (N, latent_dim) to photos (N, 3, S, S) in [-1, 1]."""

    def __init__(self, image_size: int, latent_dim: int, channels: int):
        super().__init__()
        widths = _widths(image_size, channels)[::-1]
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent_dim, widths[0], SMALLEST, bias=False)]
        for before, after in pairwise(widths):
            layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(widths[-1]), nn.ReLU(), nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        _init(self)

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent_dim) -> (N, 3, S, S) in [-1, 1]."""
        return self.layers(z[:, :, None, None])


class DcganDiscriminator(nn.Module):
    """Photos (N, 3, S, S) in [-1, 1] to one score each, before any sigmoid."""

    def __init__(self, image_size: int, channels: int):
        super().__init__()
        widths = _widths(image_size, channels)
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 2, 1), nn.LeakyReLU(0.2)]
        for before, after in pairwise(widths):
            # No running statistics: they would mix real photos with fakes, which are batches of their own.
            norm = nn.BatchNorm2d(after, track_running_stats=False)
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), norm, nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, SMALLEST))
        _init(self)

    def forward(self, photo: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N,) scores. In any mode the photos of a batch are judged against each other."""
        return self.layers(photo).flatten()


def _widths(image_size: int, channels: int) -> list[int]:
    """Channels of D's levels: of pictures halved once, twice, ..., down to `SMALLEST` px."""
    halvings = (image_size // SMALLEST).bit_length() - 1
    assert halvings > 0 and SMALLEST * 2**halvings == image_size, image_size
    return [channels * 2**level for level in range(halvings)]


def _init(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            init.normal_(module.weight, 0.0, INIT)
        elif isinstance(module, nn.BatchNorm2d):
            init.normal_(module.weight, 1.0, INIT)
        if getattr(module, "bias", None) is not None:
            init.zeros_(module.bias)
