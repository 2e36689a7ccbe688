"""The codes that a map or its readings are of: what `prepare` stored, photos read anew, or what a run left behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bicyclegan.checkpoints import content_hash, load_config
from bicyclegan.config import THUMBS_FILE
from bicyclegan.errors import UserError
from bicyclegan.latents_file import Latents, load_latents
from bicyclegan.photo_codes import THUMB_SIZE, Direction, Progress, make_sprite, read_photos_of, sprite_columns
from bicyclegan.pipeline import Device
from bicyclegan.projection import CodeMap, MapSettings, fit_map
from bicyclegan.training.code_history import CodeHistory, read_code_history
from bicyclegan.training.run_folder import RunFolder


@dataclass(frozen=True)
class Tiles:
    """Thumbnails of photos in one picture."""

    sprite: bytes
    """A WebP file."""
    columns: int
    """Tiles in a row."""
    size: int
    """Side of a tile in px."""
    places: tuple[int | None, ...]
    """Which tile shows photo k, counted row by row; None where there is none of it."""


@dataclass(frozen=True, eq=False)
class CodeSet:
    """Codes of N photos in D dims, all finite, with what is known of the photos."""

    name: str
    """Of the checkpoint or the run."""
    names: tuple[str, ...]
    """N names of photos, below the data folder."""
    mu: np.ndarray
    """(N, D) float32, means of E(B); of a run those of its last step."""
    logvar: np.ndarray
    """(N, D) float32, log variances of E(B)."""
    hash: str = ""
    """Of the checkpoint's content; empty for a run."""
    tiles: Tiles | None = None
    colours: np.ndarray | None = None
    """(N, 3) uint8 RGB: the typical colour of what is on each photo."""
    latents: Latents | None = None
    """Where the codes were stored, with maps of them."""
    history: CodeHistory | None = None
    """Of a run: codes of the same photos at all steps."""

    def lay_out(self, settings: MapSettings, progress: Progress) -> CodeMap:
        """A map of the codes, a stored one where there is one. Raises `UserError`, see `fit_map`."""
        settings.check(len(self.names))
        stored = self.latents.map_for(settings) if self.latents else None
        return stored or fit_map(self.mu, settings, progress)


def read_stored(folder: Path) -> CodeSet:
    """What `prepare` wrote into a checkpoint folder. Raises `UserError` where there is nothing that can be used."""
    config = load_config(folder)
    _check_encoder(config.name, config.model.encoder, config.model.latent_dim)
    latents = load_latents(folder)
    if latents is None or not latents.names:
        raise UserError(
            "codes_unmeasured",
            "No codes of photos are stored with {name}. Give photos with --data DIR, or store their codes once: "
            "python -m bicyclegan prepare {folder} --data DIR.",
            name=config.name,
            folder=folder,
        )
    if latents.stale:
        raise UserError(
            "codes_stale",
            "The codes that are stored with {name} are those of other weights: it has changed since. Give photos with "
            "--data DIR, or store their codes again: python -m bicyclegan prepare {folder} --data DIR.",
            name=config.name,
            folder=folder,
        )
    return CodeSet(
        name=config.name,
        names=latents.names,
        mu=latents.mu,
        logvar=latents.logvar,
        hash=latents.checkpoint_hash,
        tiles=_stored_tiles(folder, latents, latents.names),
        colours=latents.photo_colours,
        latents=latents,
    )


def read_anew(
    folder: Path, data: Path, *, direction: Direction, limit: int, device: Device, progress: Progress
) -> CodeSet:
    """Encode the photos of a data folder. Arguments and `UserError` as for `read_photos_of`."""
    config = load_config(folder)
    _check_encoder(config.name, config.model.encoder, config.model.latent_dim)
    photos = read_photos_of(data, folder, direction=direction, limit=limit, device=device, progress=progress)
    count = len(photos.names)
    return CodeSet(
        name=config.name,
        names=photos.names,
        mu=photos.mu,
        logvar=photos.logvar,
        hash=content_hash(folder),
        tiles=Tiles(make_sprite(photos.tiles), sprite_columns(count), THUMB_SIZE, tuple(range(count))),
        colours=photos.colours,
    )


def read_run(run: Path) -> CodeSet:
    """Codes of a run's fixed validation pictures, with thumbnails where its newest model has been prepared.

    Raises `UserError`, see `read_code_history`.
    """
    history = read_code_history(run)
    codes = CodeSet(run.resolve().name, history.names, history.mu[-1], history.logvar[-1], history=history)
    return _with_pictures(codes, RunFolder(run).latest)


def _with_pictures(codes: CodeSet, folder: Path) -> CodeSet:
    """The same with what a checkpoint knows of photos of these names. It is no fault if it knows nothing."""
    try:
        latents = load_latents(folder)
    except (UserError, OSError):
        return codes
    if latents is None:
        return codes
    place = {name: k for k, name in enumerate(latents.names)}
    colours = None
    if latents.photo_colours is not None and all(name in place for name in codes.names):
        colours = latents.photo_colours[[place[name] for name in codes.names]]
    return replace(codes, tiles=_stored_tiles(folder, latents, codes.names), colours=colours)


def _stored_tiles(folder: Path, latents: Latents, names: Sequence[str]) -> Tiles | None:
    """The sprite of a checkpoint folder, for photos of these names."""
    if not latents.thumb_columns:
        return None
    place = {name: k for k, name in enumerate(latents.names)}
    # Names may occur twice: photos that were stored have their own tile, others that of their name.
    own = tuple(range(len(names))) if tuple(names) == latents.names else tuple(place.get(name) for name in names)
    if not any(tile is not None for tile in own):
        return None
    return Tiles((folder / THUMBS_FILE).read_bytes(), latents.thumb_columns, latents.thumb_size, own)


def _check_encoder(name: str, encoder: str, latent_dim: int) -> None:
    if encoder == "none" or not latent_dim:
        raise UserError("no_encoder", "{name} has no encoder: it cannot read photos.", name=name)
