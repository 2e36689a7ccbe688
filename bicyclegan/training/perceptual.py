"""Pictures as a network for recognition sees them: the extractors behind the perceptual loss, by name.

Their weights are not ours and not shipped: they are fetched when a run asks for them, with their hash checked.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn

from bicyclegan import losses
from bicyclegan.errors import UserError
from bicyclegan.metrics.distance import BACKBONES, download_backbone, download_weights, lpips_network, weights_path

VGG_FILE = "vgg19-dcbb9e9d.pth"
"""As torchvision names it, 548 MiB. Only its convolutions are used."""
VGG_LAYERS = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1.0}
"""Layers relu1_1 to relu5_1, and how much each counts (pix2pixHD, Wang et al. 2018)."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PerceptualLoss = Callable[[Tensor, Tensor], Tensor]
"""Fakes and photos, (N, 3, H, W) in [-1, 1] -> a scalar."""


class VggFeatures(nn.Module):
    """Some layers of VGG-19 (Simonyan & Zisserman 2015), each times its weight; fixed."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import vgg

        layers = vgg.make_layers(vgg.cfgs["E"])[: max(VGG_LAYERS) + 1]
        for layer in layers:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False  # what is returned must stay as it is
        self.layers = layers
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None])
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """(N, 3, H, W) in [-1, 1], sides of 16 px at least -> features, finest first."""
        x, found = (pictures * 0.5 + 0.5 - self.mean) / self.std, []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in VGG_LAYERS:
                found.append(VGG_LAYERS[index] * x)
        return found


def load_perceptual(name: str, device: torch.device) -> PerceptualLoss:
    """The perceptual loss of a config's `perceptual_network`, on a device.

    Fetches weights that are not there. Raises `UserError` when they cannot be had, with the way to do it by hand.
    """
    return PERCEPTUAL[name](device)


def _vgg19(device: torch.device) -> PerceptualLoss:
    path = download_weights(weights_path(VGG_FILE), "VGG-19, which the perceptual loss needs,")
    with torch.random.fork_rng(devices=[]):  # weights that are replaced at once must not cost random numbers
        network = VggFeatures()
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        found = {key: weights[f"features.{key}"] for key in network.layers.state_dict()}
        network.layers.load_state_dict(found)
    except Exception as error:  # torch raises many kinds for damaged files
        raise UserError(
            "vgg_weights",
            "{path} is not torchvision's VGG-19 ({why}): delete it to have it fetched again, or use "
            "--perceptual-network lpips.",
            path=path,
            why=(str(error).splitlines() or [type(error).__name__])[0][:120],
        ) from None
    return partial(losses.perceptual, network.to(device))


def _lpips(device: torch.device) -> PerceptualLoss:
    net = next(iter(BACKBONES))
    download_backbone(net)
    network = deepcopy(lpips_network(net)).to(device)  # that of the metrics stays on the CPU
    return lambda fake, real: network(fake.float(), real.float()).mean()


PERCEPTUAL: dict[str, Callable[[torch.device], PerceptualLoss]] = {"vgg19": _vgg19, "lpips": _lpips}
"""How each is loaded."""
