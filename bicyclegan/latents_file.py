"""`latents.npz` of a checkpoint folder: what `prepare` measured, written whole and read with suspicion."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bicyclegan.checkpoints import content_hash, load_config
from bicyclegan.config import LATENTS_FILE, THUMBS_FILE
from bicyclegan.errors import UserError
from bicyclegan.files import write_atomic
from bicyclegan.projection import MAX_CODES, CodeMap, MapSettings, Pca, map_of, pca_map, prior_codes

PLAIN_VERSION, COLOUR_VERSION, FORMAT_VERSION = 1, 2, 3
"""Raised when an older program could misread a newer file, or fails on arrays that it does not know: 2 has colours of
sliders, 3 has maps and colours of photos.

A file without them is written as the version before, so that an older program still reads what it can.
"""
MAX_BYTES = 256 << 20
"""Unpacked size that is read: a checkpoint may come from anywhere."""
MAP_DIMS = 3
"""Coordinates that are kept of a map: two to click on, a third to turn around."""
EFFECT_STEPS = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Where a slider is put to see what it does, one unit apart."""
COLOUR_FIELDS = ("colours", "colour_effect", "direction_colours", "direction_colour_effect")
"""Fields of `Latents` that came with version 2: all there, or none."""
DEAD_SHARE = 0.05
"""A slider that does less than so much of what the strongest does is as good as dead."""


@dataclass(frozen=True, eq=False)
class Latents:
    """Codes of N photos under one checkpoint, and what its D sliders do. N is 0 for a model without encoder."""

    checkpoint_hash: str
    """`content_hash` of the checkpoint that was measured."""
    names: tuple[str, ...]
    """N names of photos, below the data folder."""
    mu: np.ndarray
    """(N, D) float32, means of E(B)."""
    logvar: np.ndarray
    """(N, D) float32, log variances of E(B)."""
    pca: Pca | None
    """Principal directions of mu; None where N is 0."""
    map_pca: np.ndarray
    """(N, up to 3) float32: mu along the first directions."""
    effect: np.ndarray
    """(D,) float32: how much a picture changes when z_d moves by 1."""
    direction_effect: np.ndarray
    """(D,) float32: the same along the directions of `pca`; (0,) where there are none."""
    effect_metric: str
    """What changes are measured by: the `name` of a `metrics.distance.Distance`."""
    thumb_columns: int = 0
    """Tiles in a row of the sprite, which shows reconstruction k at row k // columns; 0 where there is no sprite."""
    thumb_size: int = 0
    """Side of a tile in px."""
    thumbs_hash: str = ""
    """SHA-256 of the sprite's file: both belong together."""
    colours: np.ndarray | None = None
    """(D, 5, 3) uint8 RGB: the object's typical colour with z_d at each of `EFFECT_STEPS`; None in older files."""
    colour_effect: np.ndarray | None = None
    """(D,) float32: by how much (Delta E, CIE76) the typical colour of a picture changes when z_d moves by 1."""
    direction_colours: np.ndarray | None = None
    """(D, 5, 3) uint8: `colours` along the directions of `pca`; (0, 5, 3) where there are none."""
    direction_colour_effect: np.ndarray | None = None
    """(D,) float32: `colour_effect` along the directions of `pca`; (0,) where there are none."""
    photo_colours: np.ndarray | None = None
    """(N, 3) uint8 RGB: the typical colour of what is on each photo; None in older files."""
    maps: tuple[tuple[MapSettings, np.ndarray], ...] = ()
    """Maps that were computed, and the places (N + P, dims) float32 of codes and random codes on each."""
    stale: bool = False
    """Whether the checkpoint has changed since. Not stored."""

    def map_for(self, settings: MapSettings) -> CodeMap | None:
        """The map with these settings, where it takes no time: that of PCA, or one that is in the file."""
        if self.pca is None:
            return None
        if settings.method == "pca":
            return pca_map(self.mu, settings, self.pca)
        found = (coords for stored, coords in self.maps if stored.used == settings.used)
        coords = next(found, None)
        return None if coords is None else map_of(self.mu, settings, coords)


def save_latents(folder: Path, latents: Latents, thumbs: bytes = b"") -> list[Path]:
    """Write `latents.npz` and the sprite that belongs to it, each in one step; without one, an old sprite goes.

    Between the two steps a reader sees codes without thumbnails, never codes with those of other photos.
    """
    latents = replace(latents, thumbs_hash=hashlib.sha256(thumbs).hexdigest() if thumbs else "")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **_arrays(latents))
    if thumbs:
        write_atomic(folder / THUMBS_FILE, thumbs)
    write_atomic(folder / LATENTS_FILE, buffer.getvalue())
    if not thumbs:
        (folder / THUMBS_FILE).unlink(missing_ok=True)
    return [folder / LATENTS_FILE] + ([folder / THUMBS_FILE] if thumbs else [])


def load_latents(folder: str | Path, checkpoint_hash: str | None = None) -> Latents | None:
    """What `prepare` measured, or None where it never ran.

    Args:
        folder: a checkpoint folder.
        checkpoint_hash: its `content_hash`, if known: saves reading the weights.

    Returns:
        Checked latents. `stale` when the weights are others by now. `thumb_columns` is 0 when the sprite is not
        there or not the one that was written with them.

    Raises:
        UserError: when the file is damaged, of a newer version, or does not fit the model.
    """
    folder = Path(folder)
    if not (folder / LATENTS_FILE).is_file():
        return None
    latents = _read(folder / LATENTS_FILE)
    if problem := _mismatch(latents, load_config(folder).model.latent_dim):
        raise _damaged(folder / LATENTS_FILE, problem)
    if not _has_its_thumbs(folder, latents):
        latents = replace(latents, thumb_columns=0)
    return replace(latents, stale=latents.checkpoint_hash != (checkpoint_hash or content_hash(folder)))


def dead_sliders(effect: np.ndarray) -> np.ndarray:
    """Which sliders change next to nothing: (D,) of any effect -> bool (D,), True below 5 % of the largest, or at 0."""
    effect = np.asarray(effect)
    return (effect < DEAD_SHARE * effect.max(initial=0)) | (effect <= 0)


def _arrays(latents: Latents) -> dict[str, Any]:
    """What goes into the file: every field but `stale` that is there, with the PCA in its parts."""
    values = {**vars(latents), "version": _version(latents), "names": np.array(latents.names, dtype=str)}
    pca = values.pop("pca")
    values.pop("stale")
    maps = values.pop("maps")
    if maps:
        values["maps"] = np.array([json.dumps(settings.used) for settings, _ in maps])
        values |= {f"map_{k}": coords for k, (_, coords) in enumerate(maps)}
    if pca is not None:
        values |= {"pca_mean": pca.mean, "pca_components": pca.components, "pca_variances": pca.variances}
    return {name: value for name, value in values.items() if value is not None}


def _version(latents: Latents) -> int:
    """The oldest version that has all that is there."""
    if latents.maps or latents.photo_colours is not None:
        return FORMAT_VERSION
    colours = any(getattr(latents, name) is not None for name in COLOUR_FIELDS)
    return COLOUR_VERSION if colours else PLAIN_VERSION


def _read(path: Path) -> Latents:
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size > MAX_BYTES:
            raise _damaged(path, f"it unpacks to {size:,} bytes")
        with np.load(path) as stored:
            arrays = dict(stored)
        version = int(arrays.pop("version"))
        if version > FORMAT_VERSION:
            raise UserError(
                "latents_newer",
                "{path} has version {version}; this program reads up to {known}. Update it: git pull.",
                path=path,
                version=version,
                known=FORMAT_VERSION,
            )
    except UserError:
        raise
    except Exception as error:  # broken archives raise many kinds
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    try:
        return _from_arrays(arrays)
    except Exception as error:  # broken archives raise many kinds
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def _from_arrays(arrays: dict[str, np.ndarray]) -> Latents:
    parts = [arrays.pop(f"pca_{name}", None) for name in ("mean", "components", "variances")]
    pca = None if any(part is None for part in parts) else Pca(*(part.astype(np.float64) for part in parts))
    text = {name: str(arrays.pop(name)) for name in ("checkpoint_hash", "effect_metric", "thumbs_hash")}
    layout = {name: int(arrays.pop(name)) for name in ("thumb_columns", "thumb_size")}
    names = tuple(map(str, arrays.pop("names").tolist()))
    # Bytes stay as they are: converted, wrong values would become wrong colours in silence.
    bytes_ = ("colours", "direction_colours", "photo_colours")
    colours = {name: arrays.pop(name) for name in bytes_ if name in arrays}
    settings = [_settings(text) for text in arrays.pop("maps", np.array([], str)).tolist()]
    maps = tuple((each, arrays.pop(f"map_{k}").astype(np.float32)) for k, each in enumerate(settings))
    floats = {name: value.astype(np.float32) for name, value in arrays.items()}
    return Latents(names=names, pca=pca, maps=maps, **text, **layout, **colours, **floats)


def _settings(text: str) -> MapSettings:
    settings = MapSettings(**json.loads(text))
    settings.check(MAX_CODES)
    return settings


def _mismatch(latents: Latents, dim: int) -> str:
    """What does not fit a model of `dim` dims, or an empty string."""
    count, directions = len(latents.names), dim if latents.pca else 0
    expected = {
        "mu": (count, dim),
        "logvar": (count, dim),
        "map_pca": (count, min(MAP_DIMS, directions)),
        "effect": (dim,),
        "direction_effect": (directions,),
    }
    missing = [name for name in COLOUR_FIELDS if getattr(latents, name) is None]
    if not missing:
        expected |= _colour_shapes(dim, directions)
    elif len(missing) < len(COLOUR_FIELDS):
        return f"{missing[0]} is missing"
    if latents.photo_colours is not None:
        expected["photo_colours"] = (count, 3)
    found = {name: getattr(latents, name) for name in expected}
    if latents.maps:
        places = count + len(prior_codes(count, dim))
        expected |= {f"map_{k}": (places, settings.dims) for k, (settings, _) in enumerate(latents.maps)}
        found |= {f"map_{k}": coords for k, (_, coords) in enumerate(latents.maps)}
    if latents.pca:
        expected |= {"mean": (dim,), "components": (dim, dim), "variances": (dim,)}
        found |= vars(latents.pca)
    for name, shape in expected.items():
        if found[name].shape != shape:
            return f"{name} has shape {found[name].shape}, this model asks for {shape}"
        if name.endswith("colours") and found[name].dtype != np.uint8:
            return f"{name} holds {found[name].dtype}, not bytes"
        if not np.isfinite(found[name]).all():
            return f"{name} holds NaN or infinite values"
    if latents.thumb_columns < 0 or (latents.thumb_columns and not 1 <= latents.thumb_size <= 1024):
        return f"a sprite of {latents.thumb_columns} columns of {latents.thumb_size} px"
    return ""


def _colour_shapes(dim: int, directions: int) -> dict[str, tuple[int, ...]]:
    steps = len(EFFECT_STEPS)
    shapes = ((dim, steps, 3), (dim,), (directions, steps, 3), (directions,))
    return dict(zip(COLOUR_FIELDS, shapes, strict=True))


def _has_its_thumbs(folder: Path, latents: Latents) -> bool:
    path = folder / THUMBS_FILE
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == latents.thumbs_hash


def _damaged(path: Path, why: str) -> UserError:
    return UserError(
        "latents_damaged",
        "{path} cannot be used ({why}). Make it again: python -m bicyclegan prepare {folder} --data DIR.",
        path=path,
        why=" ".join(why.split())[:160],
        folder=path.parent,
    )
