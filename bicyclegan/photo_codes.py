"""What the encoder says of many photos: their codes, thumbnails of what the codes kept, their colours."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bicyclegan.checkpoints import Checkpoint, load_checkpoint
from bicyclegan.config import CheckpointConfig, EdgeStyle
from bicyclegan.data import PairDataset, open_data
from bicyclegan.data.files import find_files
from bicyclegan.errors import UserError
from bicyclegan.images import fit_square, make_sheet, to_float, to_pil, webp_bytes
from bicyclegan.latent import check_integer
from bicyclegan.metrics.outputs import encode, paint
from bicyclegan.object_colour import lab_to_rgb, object_mask, typical_colour
from bicyclegan.pipeline import Device, choose_device
from bicyclegan.training.config import DataConfig, LossConfig, TrainConfig

Pair: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Sketch (H, W, C) and photo (H, W, 3), uint8, at the model's size."""
Progress: TypeAlias = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and what is being done."""
Direction: TypeAlias = Literal["AtoB", "BtoA"]

DEFAULT_LIMIT, MAX_LIMIT = 500, 20_000
"""Photos that are read. Every 500 make a quarter to one megabyte of thumbnails."""
CHUNK = 16
THUMB_SIZE = 64
THUMB_QUALITIES = (90, 80, 65, 50)
THUMB_BYTES = 2400
"""Tried in this order until the sprite has at most so many bytes a tile: 1.2 MB for 500."""


@dataclass(frozen=True, eq=False)
class PhotoCodes:
    """N photos as one checkpoint sees them; N is 0 for a model without encoder."""

    names: tuple[str, ...]
    mu: np.ndarray
    """(N, D) float32, means of E(B)."""
    logvar: np.ndarray
    """(N, D) float32, log variances of E(B)."""
    tiles: list[Image.Image]
    """Reconstructions G(A, mu), `THUMB_SIZE` px."""
    colours: np.ndarray
    """(N, 3) uint8 RGB: the typical colour of what is on each photo."""


def read_photos_of(
    data: str | Path,
    checkpoint: str | Path,
    *,
    direction: Direction = "AtoB",
    limit: int = DEFAULT_LIMIT,
    device: Device = "auto",
    progress: Progress = lambda share, what: None,
) -> PhotoCodes:
    """Codes of the pictures of a folder: its validation part if it has one (val, test), else all of them.

    Args:
        data: photos or pairs, as for training. Photos become edges in the checkpoint's style.
        direction: pairs: which side is the sketch, as in `DataConfig`.
        limit: most pictures to read, evenly spread over all of them, 1 to 20,000.

    Raises:
        UserError: for a broken checkpoint, one without encoder or code, a wrong folder, or pictures that do not fit.
    """
    model = load_checkpoint(checkpoint)
    if model.encoder is None:
        raise UserError("no_encoder", "{name} has no encoder: it cannot read photos.", name=model.config.name)
    with open_pairs(data, model.config, direction=direction, limit=limit) as pairs:
        model.generator.to(choose_device(device))
        kept = spread(len(pairs), limit)
        return read_photos(model, pairs, pairs.names, kept, lambda share: progress(share, "reading photos"))


@contextmanager
def open_pairs(data: str | Path, config: CheckpointConfig, *, direction: Direction, limit: int) -> Iterator[PlainPairs]:
    """Pairs of a folder as this model takes them, while the block runs. Raises `UserError`, see `read_photos_of`."""
    check_code(config)
    check_integer("limit", limit, 1, MAX_LIMIT)  # before pictures are decoded
    with tempfile.TemporaryDirectory(prefix="bicyclegan-", ignore_cleanup_errors=True) as cache:
        # Training pictures are not needed: the fewest that are allowed.
        source = DataConfig(direction=direction, max_images=2, cache_dir=cache)
        if not find_files(source, str(data)).validation_source.startswith("folder "):
            source = replace(source, val_data=str(data))
        opened = open_data(_data_config(config, str(data), source))
        if config.edge_style is None and opened.report.layout == "photos":
            raise UserError("no_edges", "{name} draws from label maps, not edges.", name=config.name)
        yield PlainPairs(opened.validation)


class PlainPairs(Sequence[Pair]):
    """Pairs of a data set as they are, not augmented, each read when it is asked for."""

    def __init__(self, data: PairDataset):
        self.data = data
        self.names = data.names

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Pair:
        if not 0 <= index < len(self.data):
            raise IndexError(index)
        return self.data.plain(index)


def read_photos(
    model: Checkpoint,
    pairs: Sequence[Pair],
    names: Sequence[str],
    kept: Sequence[int],
    progress: Callable[[float], None] = lambda share: None,
) -> PhotoCodes:
    """Codes of some of the pairs, where the generator is. kept: their indices, at least one."""
    dim = model.config.model.latent_dim
    if model.encoder is None:
        none = np.zeros((0, dim), np.float32)
        return PhotoCodes((), none, none, [], np.zeros((0, 3), np.uint8))
    encoder = model.encoder.to(next(model.generator.parameters()).device)
    codes: list[tuple[Tensor, Tensor]] = []
    tiles: list[Image.Image] = []
    colours: list[np.ndarray] = []
    for start in range(0, len(kept), CHUNK):
        some = [pairs[index] for index in kept[start : start + CHUNK]]
        mu, logvar = encode(encoder, to_float(np.stack([photo for _, photo in some])), CHUNK)
        check_finite(mu.numpy(), logvar.numpy())
        pictures = to_pil(paint(model.generator, sketch_tensor(model, some), mu, CHUNK))
        tiles += [fit_square(picture, THUMB_SIZE) for picture in pictures]
        colours += [photo_colour(photo) for _, photo in some]
        codes.append((mu, logvar))
        progress(min(1.0, (start + CHUNK) / len(kept)))
    mu, logvar = (torch.cat(part).numpy() for part in zip(*codes, strict=True))
    return PhotoCodes(tuple(names[index] for index in kept), mu, logvar, tiles, np.stack(colours))


def check_finite(mu: np.ndarray, logvar: np.ndarray) -> None:
    """Raise `UserError` for codes (N, D) of an encoder that gives NaN: nothing could be painted from them."""
    failed = ~(np.isfinite(mu).all(axis=1) & np.isfinite(logvar).all(axis=1))
    if failed.any():
        raise UserError(
            "codes_failed",
            "Codes of {count} of {photos} photos are NaN or infinite: the encoder has failed. Use an earlier "
            "checkpoint.",
            count=int(failed.sum()),
            photos=len(mu),
        )


def photo_colour(photo: np.ndarray) -> np.ndarray:
    """The colour that a person would call that of what is on a photo: uint8 (H, W, 3) -> (3,) uint8 RGB."""
    return lab_to_rgb(typical_colour(photo, object_mask(photo[None])))


def sketch_tensor(model: Checkpoint, pairs: Sequence[Pair]) -> Tensor:
    """(N, input_channels, H, W) in [-1, 1]; official models may take grey edges in three equal channels."""
    a = to_float(np.stack([sketch for sketch, _ in pairs]))
    return a.expand(-1, model.config.model.input_channels, -1, -1) if a.shape[1] == 1 else a


def make_sprite(tiles: Sequence[Image.Image]) -> bytes:
    """All tiles as one WebP in about square layout, at the best quality that keeps it small."""
    sprite = make_sheet(tiles, sprite_columns(len(tiles)), gap=0)
    data = b""
    for quality in THUMB_QUALITIES:
        data = webp_bytes(sprite, quality)
        if len(data) <= THUMB_BYTES * len(tiles):
            break
    return data


def sprite_columns(tiles: int) -> int:
    """Tiles in a row of a sprite."""
    return int(np.ceil(np.sqrt(tiles)))


def spread(count: int, limit: int) -> list[int]:
    """Up to `limit` different indices below `count`, evenly spaced: files are often sorted by class."""
    return np.linspace(0, count - 1, min(count, limit)).round().astype(int).tolist()


def check_code(config: CheckpointConfig) -> None:
    """Raise `UserError` for a model without z."""
    if not config.model.latent_dim:
        raise UserError(
            "prepare_no_code",
            "{name} has no latent code (latent_dim 0): there are no styles to map and no sliders to measure.",
            name=config.name,
        )


def _data_config(config: CheckpointConfig, data: str, source: DataConfig) -> TrainConfig:
    """What `open_data` must know to make pairs for this model; nothing is trained."""
    objective = "pix2pix+noise" if config.model.encoder == "none" else "bicyclegan"
    style = config.edge_style or EdgeStyle()
    return TrainConfig(data, source=source, edge_style=style, model=config.model, loss=LossConfig(objective))
