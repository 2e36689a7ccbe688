"""Measure a checkpoint's latent space once: codes of photos, their map and thumbnails, what each slider does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bicyclegan.checkpoints import Checkpoint, load_checkpoint, load_config
from bicyclegan.config import CheckpointConfig, EdgeStyle
from bicyclegan.data import PairDataset, open_data
from bicyclegan.data.files import find_files
from bicyclegan.errors import UserError
from bicyclegan.images import fit_square, make_sheet, to_float, to_pil, to_uint8, webp_bytes
from bicyclegan.latent import check_integer, move_slider
from bicyclegan.latents_file import EFFECT_STEPS, MAP_DIMS, Latents, save_latents
from bicyclegan.metrics.distance import Distance, best_distance
from bicyclegan.metrics.latent import active
from bicyclegan.metrics.outputs import draw_codes, encode, paint, paint_each
from bicyclegan.models import Generator
from bicyclegan.object_colour import delta_e, lab_to_rgb, object_mask, typical_colour
from bicyclegan.pipeline import Device, choose_device
from bicyclegan.projection import Pca
from bicyclegan.training.config import DataConfig, LossConfig, TrainConfig

Pair: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Sketch (H, W, C) and photo (H, W, 3), uint8, at the model's size."""
Progress: TypeAlias = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and what is being done."""

DEFAULT_LIMIT, MAX_LIMIT = 500, 20_000
"""Photos that are read. Every 500 make a quarter to one megabyte of thumbnails."""
CHUNK = 16
THUMB_SIZE = 64
THUMB_QUALITIES = (90, 80, 65, 50)
THUMB_BYTES = 2400
"""Tried in this order until the sprite has at most so many bytes a tile: 1.2 MB for 500."""
SLIDERS = 8
"""That are painted at a time: a call has its costs, pictures of many sliders need memory."""
EFFECT_SKETCHES, EFFECT_PICTURES = 8, 640
"""Sketches that are painted for it, fewer when the sliders are so many that it takes more pictures than that."""


@dataclass(frozen=True)
class PrepareReport:
    """What `prepare` found and wrote."""

    checkpoint: str
    hash: str
    codes: int
    """Photos that were read; 0 for a model without encoder."""
    active_dims: int
    effect: tuple[float, ...]
    """For each dim, in units of `effect_metric`."""
    effect_metric: str
    colour_effect: tuple[float, ...]
    """For each dim, in Delta E (CIE76)."""
    files: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class SliderEffects:
    """What D sliders do to a picture."""

    effect: np.ndarray
    """(D,) float32: how much a picture changes when a slider moves by 1: mean distance of neighbouring steps."""
    colours: np.ndarray
    """(D, S, 3) uint8 RGB: the object's typical colour at each of S steps, the mean in Lab over all sketches."""
    colour_effect: np.ndarray
    """(D,) float32: mean Delta E between neighbouring steps of one picture's typical colour.

    A slider that makes some pictures redder and others greener changes colours, though their mean stays.
    """


NO_SLIDERS = SliderEffects(
    np.zeros(0, np.float32), np.zeros((0, len(EFFECT_STEPS), 3), np.uint8), np.zeros(0, np.float32)
)
"""Of a model whose codes have no directions."""


def prepare(
    checkpoint: str | Path,
    pairs: Sequence[Pair],
    names: Sequence[str],
    *,
    limit: int = DEFAULT_LIMIT,
    device: Device = "auto",
    progress: Progress | None = None,
) -> PrepareReport:
    """Write `latents.npz` and `thumbs.webp` into a checkpoint folder; a second time replaces them.

    A model without encoder gets the effects of its sliders alone: no codes, no thumbnails.

    Args:
        checkpoint: folder of the checkpoint, whose weights stay untouched.
        pairs: validation pairs; each is asked for at most twice, so they may be read from disk.
        names: a name for each.
        limit: most pairs to read, evenly spread over all of them, 1 to 20,000.

    Raises:
        UserError: for a broken checkpoint, no pairs, or a model without z (latent_dim 0), which has nothing to show.
    """
    say = progress or (lambda share, what: None)
    assert len(pairs) == len(names), (len(pairs), len(names))
    model = load_checkpoint(checkpoint)
    kept = _check(model, pairs, limit)
    model.generator.to(choose_device(device))
    mu, logvar, tiles = _read_photos(model, pairs, kept, lambda share: say(0.6 * share, "reading photos"))
    latents = Latents(
        **_slider_fields(model, _effect_sketches(model, pairs, kept), mu, say),
        checkpoint_hash=model.hash,
        names=tuple(names[index] for index in kept[: len(mu)]),
        mu=mu,
        logvar=logvar,
        thumb_columns=_columns(len(tiles)),
        thumb_size=THUMB_SIZE if tiles else 0,
    )
    files = save_latents(model.folder, latents, make_sprite(tiles) if tiles else b"")
    return _report(model, latents, files)


def prepare_from(
    data: str | Path,
    checkpoint: str | Path,
    *,
    direction: Literal["AtoB", "BtoA"] = "AtoB",
    limit: int = DEFAULT_LIMIT,
    device: Device = "auto",
    progress: Progress | None = None,
) -> PrepareReport:
    """`prepare` with the pictures of a folder: its validation part if it has one (val, test), else all of them.

    Args:
        data: photos or pairs, as for training. Photos become edges in the checkpoint's style.
        direction: pairs: which side is the sketch, as in `DataConfig`.

    Raises:
        UserError: as `prepare`, and when the folder is wrong or its pictures do not fit the model.
    """
    config = load_config(checkpoint)
    _check_code(config)
    check_integer("limit", limit, 1, MAX_LIMIT)  # before pictures are decoded
    with tempfile.TemporaryDirectory(prefix="bicyclegan-", ignore_cleanup_errors=True) as cache:
        # Training pictures are not needed: the fewest that are allowed.
        source = DataConfig(direction=direction, max_images=2, cache_dir=cache)
        if not find_files(source, str(data)).validation_source.startswith("folder "):
            source = replace(source, val_data=str(data))
        opened = open_data(_data_config(config, str(data), source))
        if config.edge_style is None and opened.report.layout == "photos":
            raise UserError("no_edges", "{name} draws from label maps, not edges.", name=config.name)
        pairs = PlainPairs(opened.validation)
        return prepare(checkpoint, pairs, pairs.names, limit=limit, device=device, progress=progress)


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


def measure_sliders(
    generator: Generator,
    sketches: Tensor,
    distance: Distance,
    directions: Pca | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> SliderEffects:
    """Put one slider after the other at `EFFECT_STEPS`, and compare what is painted.

    The other sliders stay where a random code of each sketch has them.

    Args:
        sketches: (K, input_channels, H, W) in [-1, 1].
        directions: None for the dims of z themselves; else sliders move along these directions.
    """
    dim, count = generator.config.latent_dim, len(sketches)
    contexts = draw_codes(0, count, 1, dim)[:, 0].numpy()
    effects = np.zeros((count, dim), np.float32)
    colours = np.zeros((count, dim, len(EFFECT_STEPS), 3), np.float32)  # Lab
    for k in range(count):  # sketch by sketch: an object is found in all pictures of it
        painted: list[np.ndarray] = []
        for pictures in _sweeps(generator, sketches[k : k + 1], contexts[k], directions):
            done = len(painted) + len(pictures)
            neighbours = pictures[:, :-1].flatten(0, 1), pictures[:, 1:].flatten(0, 1)
            effects[k, len(painted) : done] = distance.measure(*neighbours).view(len(pictures), -1).mean(dim=1).numpy()
            painted += [to_uint8(sweep) for sweep in pictures]
            progress((k * dim + done) / (count * dim))
        mask = object_mask(np.concatenate(painted))
        colours[k] = [typical_colour(sweep, mask) for sweep in painted]
    return SliderEffects(
        effect=effects.mean(axis=0),
        colours=lab_to_rgb(colours.mean(axis=0)),
        colour_effect=delta_e(colours[:, :, :-1], colours[:, :, 1:]).mean(axis=(0, 2)),
    )


def make_sprite(tiles: Sequence[Image.Image]) -> bytes:
    """All tiles as one WebP in about square layout, at the best quality that keeps it small."""
    sprite = make_sheet(tiles, _columns(len(tiles)), gap=0)
    data = b""
    for quality in THUMB_QUALITIES:
        data = webp_bytes(sprite, quality)
        if len(data) <= THUMB_BYTES * len(tiles):
            break
    return data


def _sweeps(generator: Generator, sketch: Tensor, context: np.ndarray, directions: Pca | None) -> Iterator[Tensor]:
    """Pictures of each slider at `EFFECT_STEPS`, a few sliders at a time: (G, S, 3, H, W).

    sketch: (1, C, H, W) in [-1, 1]. context: (D,) code.
    """
    dim, steps = len(context), len(EFFECT_STEPS)
    for start in range(0, dim, SLIDERS):
        sliders = range(start, min(start + SLIDERS, dim))
        moves = ((d, value) for d in sliders for value in EFFECT_STEPS)
        codes = np.concatenate([move_slider(context[None], d, value, directions) for d, value in moves])
        pictures = paint_each(generator, sketch, torch.from_numpy(codes.astype(np.float32)), CHUNK)
        yield pictures.view(len(sliders), steps, *pictures.shape[2:])


def _slider_fields(model: Checkpoint, sketches: Tensor, mu: np.ndarray, say: Progress) -> dict[str, Any]:
    """Fields of `Latents` that follow from mu (N, D) and the generator: directions, map, effects."""
    distance = best_distance()
    measure = partial(measure_sliders, model.generator, sketches, distance)
    dims = measure(progress=lambda share: say(0.6 + 0.2 * share, "measuring sliders"))
    pca, map_pca, along = None, np.zeros((len(mu), 0), np.float32), NO_SLIDERS
    if len(mu):
        pca = Pca.fit(mu)
        map_pca = pca.transform(mu, min(MAP_DIMS, mu.shape[1])).astype(np.float32)
        along = measure(pca, lambda share: say(0.8 + 0.2 * share, "measuring directions"))
    return {
        **vars(dims),
        **{f"direction_{name}": value for name, value in vars(along).items()},
        "pca": pca,
        "map_pca": map_pca,
        "effect_metric": distance.name,
    }


def _report(model: Checkpoint, latents: Latents, files: list[Path]) -> PrepareReport:
    return PrepareReport(
        checkpoint=model.config.name,
        hash=model.hash,
        codes=len(latents.mu),
        active_dims=sum(active(torch.from_numpy(latents.mu))) if len(latents.mu) else 0,
        effect=tuple(latents.effect.tolist()),
        effect_metric=latents.effect_metric,
        colour_effect=tuple(latents.colour_effect.tolist()),
        files=tuple(files),
    )


def _columns(tiles: int) -> int:
    return int(np.ceil(np.sqrt(tiles)))


def _check(model: Checkpoint, pairs: Sequence[Pair], limit: int) -> list[int]:
    """Indices of the pairs to read. Raises `UserError`."""
    limit = check_integer("limit", limit, 1, MAX_LIMIT)
    _check_code(model.config)
    if not len(pairs):
        raise UserError("prepare_no_pairs", "There are no validation pictures to read: give a folder with some.")
    return _spread(len(pairs), limit)


def _check_code(config: CheckpointConfig) -> None:
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


def _spread(count: int, limit: int) -> list[int]:
    """Up to `limit` different indices below `count`, evenly spaced: files are often sorted by class."""
    return np.linspace(0, count - 1, min(count, limit)).round().astype(int).tolist()


def _read_photos(
    model: Checkpoint, pairs: Sequence[Pair], kept: list[int], progress: Callable[[float], None]
) -> tuple[np.ndarray, np.ndarray, list[Image.Image]]:
    """mu and logvar of photos, (N, D) each, and thumbnails of their reconstructions."""
    dim = model.config.model.latent_dim
    if model.encoder is None:
        return np.zeros((0, dim), np.float32), np.zeros((0, dim), np.float32), []
    encoder = model.encoder.to(next(model.generator.parameters()).device)
    codes: list[tuple[Tensor, Tensor]] = []
    tiles: list[Image.Image] = []
    for start in range(0, len(kept), CHUNK):
        some = [pairs[index] for index in kept[start : start + CHUNK]]
        mu, logvar = encode(encoder, to_float(np.stack([photo for _, photo in some])), CHUNK)
        pictures = to_pil(paint(model.generator, _sketch_tensor(model, some), mu, CHUNK))
        tiles += [fit_square(picture, THUMB_SIZE) for picture in pictures]
        codes.append((mu, logvar))
        progress(min(1.0, (start + CHUNK) / len(kept)))
    mu, logvar = (torch.cat(part).numpy() for part in zip(*codes, strict=True))
    return mu, logvar, tiles


def _effect_sketches(model: Checkpoint, pairs: Sequence[Pair], kept: list[int]) -> Tensor:
    count = EFFECT_PICTURES // (len(EFFECT_STEPS) * model.config.model.latent_dim)
    chosen = _spread(len(kept), max(1, min(EFFECT_SKETCHES, count)))
    return _sketch_tensor(model, [pairs[kept[index]] for index in chosen])


def _sketch_tensor(model: Checkpoint, pairs: Sequence[Pair]) -> Tensor:
    """(N, input_channels, H, W) in [-1, 1]; official models may take grey edges in three equal channels."""
    a = to_float(np.stack([sketch for sketch, _ in pairs]))
    return a.expand(-1, model.config.model.input_channels, -1, -1) if a.shape[1] == 1 else a
