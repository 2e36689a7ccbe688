"""How different two pictures are: LPIPS where its weights are on this machine, else plain colour."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bicyclegan.errors import UserError

if TYPE_CHECKING:
    import lpips

LPIPS_VERSION = "0.1"
PACKAGES = ("lpips", "torchvision")
"""That LPIPS is measured with."""
BACKBONES = {"alex": "alexnet-owt-7be5be79.pth", "squeeze": "squeezenet1_1-b8a52dc0.pth"}
"""Backbone files as torchvision names them, best first: the paper of LPIPS recommends alex for comparisons."""
SOURCE = "https://download.pytorch.org/models/"
"""Where torchvision itself gets them from. Their names end with the start of their SHA-256."""
BATCH = 16


@dataclass(frozen=True)
class Distance:
    """A measure of how different two pictures are."""

    name: str
    """With network and version: numbers of two names cannot be compared."""
    measure: Callable[[Tensor, Tensor], Tensor]
    """Two times (N, 3, H, W) in [-1, 1], float32 on the CPU -> (N,)."""
    available: Callable[[], bool]
    """Whether it can be measured here, without a download."""
    needs: str
    """What must be there, for messages; empty if nothing."""


def best_distance() -> Distance:
    """The first of `DISTANCES` that can be measured on this machine."""
    return next(distance for distance in DISTANCES if distance.available())


def missing_packages() -> list[str]:
    """Those of `PACKAGES` that are not installed."""
    return [package for package in PACKAGES if find_spec(package) is None]


def weights_path(name: str) -> Path:
    """Where torchvision keeps the weights it fetched: below TORCH_HOME."""
    return Path(torch.hub.get_dir()) / "checkpoints" / name


def backbone_path(net: str) -> Path:
    """Where the backbone of LPIPS lies."""
    return weights_path(BACKBONES[net])


def download_backbone(net: str = "alex", progress: bool = True) -> Path:
    """Fetch the backbone of LPIPS (alex: 233 MiB, squeeze: 5 MiB) unless it is there, check its hash, return its path.

    progress: draw a bar on standard error.
    Raises `UserError` when it cannot be had, with the way to do it by hand. Nothing incomplete is left behind.
    """
    return download_weights(backbone_path(net), "The network of LPIPS", progress)


def download_weights(path: Path, what: str, progress: bool = True) -> Path:
    """Fetch weights of torchvision unless they are there, check their hash, return their path.

    Args:
        path: see `weights_path`; the name ends with the start of the SHA-256.
        what: for messages, at the beginning of a sentence.
        progress: draw a bar on standard error.

    Raises `UserError` when they cannot be had, with the way to do it by hand. Nothing incomplete is left behind.
    """
    if path.is_file():
        return path
    url, [prefix] = SOURCE + path.name, re.findall(r"-([0-9a-f]{8,})\.pth$", path.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), prefix, progress=progress)
    except Exception as error:  # no network, no space, no permission, another file under this address
        raise UserError(
            "weights_download",
            "{what} could not be downloaded ({why}). By hand: download {url} and put it, under the same name, into "
            "{folder}.",
            what=what,
            why=_first_line(error),
            url=url,
            folder=path.parent,
        ) from error
    return path


@torch.no_grad()
def rgb_distance(x: Tensor, y: Tensor) -> Tensor:
    """Mean absolute difference over channels and pixels, in units of [0, 1]: (N, 3, H, W) twice -> (N,)."""
    return (x - y).abs().flatten(1).mean(dim=1) / 2


@torch.no_grad()
def lpips_distance(net: str, x: Tensor, y: Tensor) -> Tensor:
    """LPIPS (Zhang et al. 2018) of pictures in [-1, 1]: (N, 3, H, W) twice -> (N,)."""
    network = lpips_network(net)
    return torch.cat([network(*pair).flatten() for pair in zip(x.split(BATCH), y.split(BATCH), strict=True)])


def lpips_network(net: str) -> lpips.LPIPS:
    """LPIPS on the CPU, shared by all who ask; its backbone must be there."""
    return _load_lpips(net, backbone_path(net))


def _lpips_available(net: str) -> bool:
    return backbone_path(net).is_file() and not missing_packages()


@lru_cache(maxsize=2)
def _load_lpips(net: str, path: Path) -> lpips.LPIPS:
    """The network with its backbone from a file. The package itself would download, and unpickle, what is missing."""
    import lpips

    # Weights that are replaced at once must not cost random numbers. lpips asks torchvision in its old words.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        network = lpips.LPIPS(net=net, version=LPIPS_VERSION, pnet_rand=True, verbose=False)
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        # slice2.3.weight there is features.3.weight in the file
        network.net.load_state_dict({key: weights[_in_file(key)] for key in network.net.state_dict()})
    except Exception as error:  # torch raises many kinds for damaged files
        raise UserError(
            "lpips_weights",
            "{path} is not the backbone that LPIPS needs ({why}): download it again, or delete it to measure RGB.",
            path=path,
            why=_first_line(error),
        ) from error
    return network.eval().requires_grad_(False)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:120] or type(error).__name__


def _in_file(key: str) -> str:
    return "features." + key.partition(".")[2]


def _lpips(net: str) -> Distance:
    return Distance(
        name=f"lpips_{net}_v{LPIPS_VERSION}",
        measure=lambda x, y: lpips_distance(net, x, y),
        available=lambda: _lpips_available(net),
        needs=f"the package lpips and {BACKBONES[net]} in $TORCH_HOME/hub/checkpoints",
    )


RGB = Distance("rgb", rgb_distance, lambda: True, "")
DISTANCES = (*(_lpips(net) for net in BACKBONES), RGB)
"""Best first. The last one always works."""
