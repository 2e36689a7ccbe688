"""What the points of a map can be coloured by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

from bicyclegan.losses import kl_per_dim
from bicyclegan.metrics.reading import plain

Kind: TypeAlias = Literal["own", "groups", "rising", "around zero"]

MAX_CLUSTERS = 8
MIN_CLASSES, MAX_CLASSES = 2, 20
"""Folders that are taken for classes: one says nothing, many cannot be told apart by colour."""
MAX_DIMS = 64
"""Dims of z that are offered."""
CLUSTER_SEED = 0
NO_FOLDER = "no folder"


@dataclass(frozen=True)
class Colouring:
    """One number, group or colour for each of N photos."""

    key: str
    """Of its entry in the page."""
    title: str
    """Of its entry, and of its key beside the map."""
    kind: Kind
    """own: colours themselves. groups: places in `groups`. rising: numbers from 0. around zero: of either sign."""
    values: tuple[Any, ...]
    """N colours as #rrggbb, places, or numbers."""
    note: str
    """How to read it."""
    groups: tuple[str, ...] = ()
    moves: bool = True
    """Whether it follows from the codes, which change while a model is trained."""

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest number of the scale; a scale around zero has 0 in its middle."""
        highest = max((abs(value) for value in self.values), default=0.0) or 1.0
        return (-highest if self.kind == "around zero" else 0.0), highest

    def to_json(self) -> dict[str, Any]:
        """For the page's script."""
        scale = {"low": self.limits[0], "high": self.limits[1]} if self.kind in ("rising", "around zero") else {}
        words = {"key": self.key, "title": self.title, "kind": self.kind, "note": self.note}
        return {**words, "moves": self.moves, "values": list(self.values), "groups": list(self.groups), **scale}


def colourings(
    mu: np.ndarray, logvar: np.ndarray, names: Sequence[str], colours: np.ndarray | None = None
) -> list[Colouring]:
    """All that say something about these photos, the most telling first. Clusters take a second, the others no time.

    Args:
        mu, logvar: (N, D) finite.
        names: N names of photos; a first folder in them is taken for a class.
        colours: (N, 3) uint8 RGB of what is on them.
    """
    groups = clusters(mu)
    found = [*_of_photos(names, colours), *([groups] if groups else []), *_by_kl(mu, logvar)]
    return [*found, *_by_dims(np.asarray(mu, np.float64))]


def quick_colourings(
    mu: np.ndarray, logvar: np.ndarray, names: Sequence[str], colours: np.ndarray | None
) -> list[Colouring]:
    """`colourings` without clusters, and without dims, which are the codes themselves."""
    return [*_of_photos(names, colours), *_by_kl(mu, logvar)]


def _of_photos(names: Sequence[str], colours: np.ndarray | None) -> Iterator[Colouring]:
    if colours is not None:
        hexes = tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colours.tolist())
        note = "The typical colour of what is on each photo."
        yield Colouring("photo", "colour of the photo", "own", hexes, note, moves=False)
    if classes := _classes(names):
        yield classes


def _by_kl(mu: np.ndarray, logvar: np.ndarray) -> Iterator[Colouring]:
    kl = kl_per_dim(*(torch.from_numpy(np.asarray(part, np.float64)) for part in (mu, logvar))).sum(dim=1).numpy()
    if np.isfinite(kl).all():
        note = "Nats over all dims: how much the code says about its photo. Near 0 it says nothing."
        yield Colouring("kl", "KL of the photo", "rising", _short(kl.clip(min=0)), note)


def _by_dims(mu: np.ndarray) -> Iterator[Colouring]:
    for dim in range(min(mu.shape[1], MAX_DIMS)):
        note = f"The mean of z{dim + 1} for each photo; random codes have 0 ± 1."
        yield Colouring(f"dim-{dim + 1}", f"dim {dim + 1} of z", "around zero", _short(mu[:, dim]), note)


def _classes(names: Sequence[str]) -> Colouring | None:
    """By the first folder in the names, where there are several but not too many."""
    folders = [name.replace("\\", "/").partition("/") for name in names]
    words = [plain(folder, 40) or "unnamed" if slash else NO_FOLDER for folder, slash, _ in folders]
    known = sorted(set(words))
    if not MIN_CLASSES <= len(known) <= MAX_CLASSES:
        return None
    places = tuple(known.index(word) for word in words)
    note = "The folder that holds the photo."
    return Colouring("class", "folder of the photo", "groups", places, note, tuple(known), moves=False)


def clusters(mu: np.ndarray) -> Colouring | None:
    """By k-means (Lloyd 1982) in all dims, the largest group first; None where all codes are the same."""
    count = min(MAX_CLUSTERS, len(np.unique(mu.astype(np.float32), axis=0)))
    if count < 2:
        return None
    from sklearn.cluster import KMeans

    labels = KMeans(count, n_init=10, random_state=CLUSTER_SEED).fit_predict(mu)
    order = np.argsort(-np.bincount(labels, minlength=count), kind="stable")
    places = tuple(np.argsort(order)[labels].tolist())
    note = "k-means in all dims. It always finds as many groups, in an even cloud too: they are a help to the eye."
    return Colouring("cluster", "cluster", "groups", places, note, tuple(f"cluster {k + 1}" for k in range(count)))


def _short(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.4g}") for value in values)
