"""Measure a checkpoint's latent space once: codes of photos, their map and thumbnails, what each slider does."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bicyclegan.checkpoints import Checkpoint, load_checkpoint, load_config
from bicyclegan.errors import UserError
from bicyclegan.images import to_uint8
from bicyclegan.latent import check_integer, move_slider
from bicyclegan.latents_file import EFFECT_STEPS, MAP_DIMS, Latents, save_latents
from bicyclegan.metrics.distance import Distance, best_distance
from bicyclegan.metrics.latent import active
from bicyclegan.metrics.outputs import draw_codes, paint_each
from bicyclegan.models import Generator
from bicyclegan.object_colour import delta_e, lab_to_rgb, object_mask, typical_colour
from bicyclegan.photo_codes import (
    CHUNK,
    DEFAULT_LIMIT,
    MAX_LIMIT,
    THUMB_SIZE,
    Direction,
    Pair,
    Progress,
    check_code,
    make_sprite,
    open_pairs,
    read_photos,
    sketch_tensor,
    spread,
    sprite_columns,
)
from bicyclegan.pipeline import Device, choose_device
from bicyclegan.projection import SHIPPED_MAPS, MapSettings, Pca, fit_map

SLIDERS = 8
"""That are painted at a time: a call has its costs, pictures of many sliders need memory."""
EFFECT_SKETCHES, EFFECT_PICTURES = 8, 640
"""Sketches that are painted for it, fewer when the sliders are so many that it takes more pictures than that."""
LEAST_MAPPED = 50
"""Photos from which on UMAP and t-SNE are worth their time; of fewer, PCA shows all there is."""


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
    maps: tuple[str, ...]
    """Methods whose maps were computed; that of PCA needs no computing."""
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
    photos = read_photos(model, pairs, names, kept, lambda share: say(0.4 * share, "reading photos"))
    fields = _slider_fields(model, _effect_sketches(model, pairs, kept), photos.mu, say)
    latents = Latents(
        **fields,
        checkpoint_hash=model.hash,
        names=photos.names,
        mu=photos.mu,
        logvar=photos.logvar,
        thumb_columns=sprite_columns(len(photos.tiles)),
        thumb_size=THUMB_SIZE if photos.tiles else 0,
        photo_colours=photos.colours if photos.tiles else None,
        maps=make_maps(photos.mu, lambda share, what: say(0.6 + 0.4 * share, what)),
    )
    say(1.0, "writing")
    files = save_latents(model.folder, latents, make_sprite(photos.tiles) if photos.tiles else b"")
    return _report(model, latents, files)


def make_maps(
    codes: np.ndarray, progress: Progress = lambda share, what: None
) -> tuple[tuple[MapSettings, np.ndarray], ...]:
    """The maps that take time, where there is something to see: for `Latents.maps`.

    None for few photos, for codes that are all but equal, and where umap-learn is not installed.
    """
    if len(codes) < LEAST_MAPPED or not importlib.util.find_spec("umap"):
        return ()
    maps = []
    for k, settings in enumerate(SHIPPED_MAPS):
        say = lambda share, what, k=k: progress((k + share) / len(SHIPPED_MAPS), "laying out maps")  # noqa: E731
        try:
            found = fit_map(codes, settings, say)
        except UserError:
            continue
        maps.append((settings, np.concatenate([found.coords, found.prior_coords])))
    return tuple(maps)


def prepare_from(
    data: str | Path,
    checkpoint: str | Path,
    *,
    direction: Direction = "AtoB",
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
    with open_pairs(data, load_config(checkpoint), direction=direction, limit=limit) as pairs:
        return prepare(checkpoint, pairs, pairs.names, limit=limit, device=device, progress=progress)


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
    dims = measure(progress=lambda share: say(0.4 + 0.1 * share, "measuring sliders"))
    pca, map_pca, along = None, np.zeros((len(mu), 0), np.float32), NO_SLIDERS
    if len(mu):
        pca = Pca.fit(mu)
        map_pca = pca.transform(mu, min(MAP_DIMS, mu.shape[1])).astype(np.float32)
        along = measure(pca, lambda share: say(0.5 + 0.1 * share, "measuring directions"))
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
        maps=tuple(dict.fromkeys(settings.method for settings, _ in latents.maps)),
        files=tuple(files),
    )


def _check(model: Checkpoint, pairs: Sequence[Pair], limit: int) -> list[int]:
    """Indices of the pairs to read. Raises `UserError`."""
    limit = check_integer("limit", limit, 1, MAX_LIMIT)
    check_code(model.config)
    if not len(pairs):
        raise UserError("prepare_no_pairs", "There are no validation pictures to read: give a folder with some.")
    return spread(len(pairs), limit)


def _effect_sketches(model: Checkpoint, pairs: Sequence[Pair], kept: list[int]) -> Tensor:
    count = EFFECT_PICTURES // (len(EFFECT_STEPS) * model.config.model.latent_dim)
    chosen = spread(len(kept), max(1, min(EFFECT_SKETCHES, count)))
    return sketch_tensor(model, [pairs[kept[index]] for index in chosen])
