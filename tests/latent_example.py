"""Made-up codes of photos, planted in checkpoint folders and runs. For tests of what draws and reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bicyclegan.checkpoints import content_hash
from bicyclegan.latents_file import Latents, save_latents
from bicyclegan.photo_codes import THUMB_SIZE, make_sprite, sprite_columns
from bicyclegan.projection import Pca
from bicyclegan.training.events import Event, LatentsWritten, RunStarted, to_line
from bicyclegan.training.run_folder import RunFolder

COLOURS = np.random.RandomState(5).randint(0, 256, (1000, 3)).astype(np.uint8)
"""Of photos, and of their thumbnails."""


def example_codes(count: int = 40, dim: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """mu and logvar (N, D) of a healthy encoder: the aggregate posterior is the prior."""
    mu = 0.8 * np.random.RandomState(seed).standard_normal((count, dim))
    return mu.astype(np.float32), np.full((count, dim), 2 * np.log(0.6), np.float32)


def plant_latents(
    folder: Path, mu: np.ndarray, logvar: np.ndarray | None = None, names: Sequence[str] = (), colours: bool = True
) -> Path:
    """Store codes with a checkpoint as `prepare` does. Thumbnail k has `COLOURS[k]`."""
    count, dim = mu.shape
    pca = Pca.fit(mu)
    tiles = [Image.new("RGB", (THUMB_SIZE, THUMB_SIZE), tuple(colour)) for colour in COLOURS[:count].tolist()]
    latents = Latents(
        checkpoint_hash=content_hash(folder),
        names=tuple(names or (f"photo {k}.png" for k in range(count))),
        mu=mu,
        logvar=np.full_like(mu, -1) if logvar is None else logvar,
        pca=pca,
        map_pca=pca.transform(mu, min(3, dim)).astype(np.float32),
        effect=np.ones(dim, np.float32),
        direction_effect=np.ones(dim, np.float32),
        effect_metric="rgb",
        thumb_columns=sprite_columns(count),
        thumb_size=THUMB_SIZE,
        photo_colours=COLOURS[:count] if colours else None,
    )
    save_latents(folder, latents, make_sprite(tiles))
    return folder


def write_codes(path: Path, mu: np.ndarray, logvar: np.ndarray | None = None, names: Sequence[str] = ()) -> Path:
    """A file as a validation leaves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = np.array(names or [f"photo {k}.png" for k in range(len(mu))])
    with path.open("wb") as file:
        np.savez_compressed(file, mu=mu, logvar=np.full_like(mu, -1) if logvar is None else logvar, names=known)
    return path


def write_code_run(folder: Path, moments: dict[int, np.ndarray], more: Sequence[Event] = ()) -> Path:
    """A run that was validated at some steps, with mu (N, D) at each. more: events at its end."""
    run = RunFolder(folder)
    events: list[Event] = [RunStarted(step=0)]
    for step, mu in moments.items():
        path = write_codes(run.latents(step), mu)
        events.append(LatentsWritten(step=step, path=run.relative(path)))
    folder.mkdir(parents=True, exist_ok=True)
    run.events_file.write_text("".join(map(to_line, [*events, *more])), "utf-8")
    return folder
