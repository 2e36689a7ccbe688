"""What the Inception network sees in pictures: the features by which sets of pictures are compared.

The network is the one that FID is defined on (TensorFlow, 2015-12-05). With the whole of it, metrics bear their plain
names; a file that is cut off behind layer 768 gives other numbers, and those carry `768` in their names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor, nn

from bicyclegan.errors import UserError

if TYPE_CHECKING:
    from torch_fidelity import FeatureExtractorInceptionV3

URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
"""Where torch-fidelity itself gets the network from. The name ends with the start of the file's SHA-256."""
FULL_FILE = URL.rpartition("/")[2]
CUT_FILE = "inception_v3_2015_to_mixed6e_fp16.pth"
"""The same weights in half precision, without the layers behind 768."""
NEEDS = f"{FULL_FILE} or {CUT_FILE} in $TORCH_HOME/hub/checkpoints"
"""What must be there to measure anything here, for messages."""
NEEDS_FULL = f"{FULL_FILE} in $TORCH_HOME/hub/checkpoints (from {URL})"
"""What must be there for what only the whole network gives."""
BATCH = 16

Suffix: TypeAlias = Literal["", "768"]
"""What a metric's name gets behind it. Numbers of two suffixes cannot be compared."""


@dataclass(frozen=True, eq=False)
class Features:
    """What an extractor makes of N pictures. float32 on the CPU."""

    suffix: Suffix
    pool: Tensor
    """(N, D) activations averaged over the picture: layer 2048 of the whole network, else 768."""
    logits: Tensor | None = None
    """(N, C) class scores without their bias, as the Inception Score takes them; None if the network is cut off."""

    def __post_init__(self) -> None:
        for values in (self.pool, self.logits):
            if values is not None:
                assert values.dtype == torch.float32 and values.shape == (len(self.pool), values.shape[-1]), (
                    values.shape
                )
                assert values.isfinite().all(), "features are NaN or infinite"

    def __len__(self) -> int:
        """Pictures."""
        return len(self.pool)


@dataclass(frozen=True, eq=False)
class Extractor:
    """A network that makes features of pictures."""

    name: str
    """Network and layer, for protocols."""
    suffix: Suffix
    network: Callable[[Tensor], tuple[Tensor, ...]]
    """uint8 (B, 3, H, W) -> (pool,) or (pool, logits), see `Features`."""
    device: torch.device | str = "cpu"
    """Where the network is."""

    @torch.inference_mode()
    def extract(
        self, pictures: Tensor, *, batch: int = BATCH, progress: Callable[[int, int], None] | None = None
    ) -> Features:
        """Features of pictures, uint8 (N, 3, H, W) in [0, 255], N at least 1.

        batch: pictures in one forward pass; it changes values by rounding only.
        progress: called with the number done and N after each pass.
        """
        assert pictures.dtype == torch.uint8, pictures.dtype
        assert pictures.ndim == 4 and pictures.shape[1] == 3 and len(pictures), tuple(pictures.shape)
        parts: list[tuple[Tensor, ...]] = []
        for start in range(0, len(pictures), batch):
            # cuDNN's default rounds to TF32: the same pictures would score differently than on a CPU.
            with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
                found = self.network(pictures[start : start + batch].to(self.device))
            parts.append(tuple(values.float().cpu() for values in found))
            if progress is not None:
                progress(min(start + batch, len(pictures)), len(pictures))
        return Features(self.suffix, *(torch.cat(values) for values in zip(*parts, strict=True)))


def weights_folder() -> Path:
    """Where torch.hub keeps weights: below TORCH_HOME."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def find_inception(path: str | Path | None = None) -> Path | None:
    """The file to load: `path` if given, else the whole network in `weights_folder()`, else the cut one, else None.

    Raises `UserError` if `path` is no file. Nothing is downloaded.
    """
    if path is None:
        return next((file for name in (FULL_FILE, CUT_FILE) if (file := weights_folder() / name).is_file()), None)
    if not Path(path).is_file():
        raise UserError(
            "inception_missing",
            "There is no file {path}; give {full} or {cut}, or leave the path out to look in {folder}.",
            path=path,
            full=FULL_FILE,
            cut=CUT_FILE,
            folder=weights_folder(),
        )
    return Path(path)


def download_inception(progress: bool = True) -> Path:
    """Fetch the whole network (91 MiB) into `weights_folder()` unless it is there, check its hash, return its path.

    progress: draw a bar on standard error.
    Raises `UserError` when it cannot be had, with the way to do it by hand. Nothing incomplete is left behind.
    """
    path = weights_folder() / FULL_FILE
    if path.is_file():
        return path
    [hash_prefix] = re.findall(r"-([0-9a-f]{8,})\.pth$", FULL_FILE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(URL, str(path), hash_prefix, progress=progress)
    except Exception as error:  # no network, no space, no permission, another file under this address
        raise UserError(
            "inception_download",
            "The Inception network could not be downloaded ({why}). By hand: download {url} and put it, "
            "under the same name, into {folder}.",
            why=_first_line(error),
            url=URL,
            folder=path.parent,
        ) from error
    return path


def load_extractor(path: Path, device: torch.device | str = "cpu") -> Extractor:
    """The extractor that a file holds: the whole network or the cut one, told apart by the layers that are in it.

    Weights of any precision are computed with in float32. Raises `UserError` for a damaged file or another network's.
    """
    weights = _read(path)
    whole = any(key.startswith(("Mixed_7", "fc.")) for key in weights)
    network = _inception(["2048", "logits_unbiased"] if whole else ["768"])
    _fill(network, weights, path)
    # Channels last: 1.4 times as fast on a CPU.
    network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
    suffix: Suffix = "" if whole else "768"
    name = f"Inception v3 (TensorFlow 2015-12-05), layer {'2048' if whole else '768'}"
    return Extractor(name, suffix, network, device)


def _read(path: Path) -> dict[str, Tensor]:
    """Tensors by name. torch-fidelity itself would unpickle the file, which can run code."""
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged files
        raise _wrong(path, _first_line(error)) from error
    if not isinstance(weights, dict):
        raise _wrong(path, f"it holds a {type(weights).__name__}, not weights by name")
    return {key: value for key, value in weights.items() if isinstance(key, str) and isinstance(value, Tensor)}


def _inception(layers: list[str]) -> FeatureExtractorInceptionV3:
    """torch-fidelity's network with no more layers than it takes to get to `layers`; shapes only, no memory.

    Its own constructor makes all of them, and downloads or unpickles. Its `forward` stops behind the last of `layers`.
    """
    from torch_fidelity import FeatureExtractorBase, FeatureExtractorInceptionV3

    class Inception(FeatureExtractorInceptionV3):
        def __init__(self) -> None:
            FeatureExtractorBase.__init__(self, "inception-v3-compat", layers)
            self.feature_extractor_internal_dtype = torch.float32
            _add_layers_to_768(self)
            if layers != ["768"]:
                _add_layers_behind_768(self)

    with torch.device("meta"):
        return Inception()


def _add_layers_to_768(network: nn.Module) -> None:
    """Names as in the weight files; sizes of Szegedy et al. 2016, with torch-fidelity's TensorFlow-like blocks."""
    from torch_fidelity.feature_extractor_inceptionv3 import BasicConv2d, InceptionA, InceptionB, InceptionC

    layers = {
        "Conv2d_1a_3x3": BasicConv2d(3, 32, kernel_size=3, stride=2),
        "Conv2d_2a_3x3": BasicConv2d(32, 32, kernel_size=3),
        "Conv2d_2b_3x3": BasicConv2d(32, 64, kernel_size=3, padding=1),
        "MaxPool_1": nn.MaxPool2d(kernel_size=3, stride=2),
        "Conv2d_3b_1x1": BasicConv2d(64, 80, kernel_size=1),
        "Conv2d_4a_3x3": BasicConv2d(80, 192, kernel_size=3),
        "MaxPool_2": nn.MaxPool2d(kernel_size=3, stride=2),
        "Mixed_6a": InceptionB(288),
    }
    layers |= {f"Mixed_5{x}": InceptionA(*size) for x, size in {"b": (192, 32), "c": (256, 64), "d": (288, 64)}.items()}
    layers |= {f"Mixed_6{x}": InceptionC(768, width) for x, width in zip("bcde", (128, 160, 160, 192), strict=True)}
    for name, layer in layers.items():
        network.add_module(name, layer)


def _add_layers_behind_768(network: nn.Module) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import InceptionD, InceptionE_1, InceptionE_2

    network.add_module("Mixed_7a", InceptionD(768))
    network.add_module("Mixed_7b", InceptionE_1(1280))
    network.add_module("Mixed_7c", InceptionE_2(2048))
    network.add_module("AvgPool", nn.AdaptiveAvgPool2d(1))
    network.add_module("fc", nn.Linear(2048, 1008))


def _fill(network: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Put weights in place of the network's shapes, in float32. Raises `UserError` for what is missing or wrong."""
    state: dict[str, Tensor] = {}
    for key, expected in network.state_dict().items():
        if key.endswith(".num_batches_tracked"):  # matters to training only; files leave it out
            state[key] = torch.zeros((), dtype=torch.long)
            continue
        found = weights.get(key)
        if found is None:
            raise _wrong(path, f"it has no {key}")
        if found.shape != expected.shape:
            raise _wrong(path, f"{key} is {tuple(found.shape)}, not {tuple(expected.shape)}")
        if not found.isfinite().all():
            raise _wrong(path, f"{key} holds NaN or infinity")
        state[key] = found.float()
    network.load_state_dict(state, assign=True)


def _wrong(path: Path, why: str) -> UserError:
    return UserError(
        "inception_weights",
        "{path} is not the Inception network that FID and KID need ({why}): copy it again, or delete it and put "
        "{url} into its folder.",
        path=path,
        why=why,
        url=URL,
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:120] or type(error).__name__
