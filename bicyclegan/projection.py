"""Codes seen in few dimensions: PCA, UMAP and t-SNE, the way back, and the codes nearest to a place."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np

from bicyclegan.errors import UserError
from bicyclegan.latent import check_integer, check_number, sample_codes

Method: TypeAlias = Literal["pca", "umap", "tsne"]
Progress: TypeAlias = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and what is being done."""

METHODS: tuple[Method, ...] = ("pca", "umap", "tsne")
MIN_DIMS, MAX_DIMS = 2, 3
"""Coordinates of a map: two to click on, a third to turn around."""
MIN_NEIGHBOURS, MAX_NEIGHBOURS = 2, 200
MIN_PERPLEXITY, MAX_PERPLEXITY = 2, 100
MAX_MIN_DIST = 0.99
MAX_CODES = 20_000
PRIOR_SEED = 2017
MIN_PRIOR, MAX_PRIOR = 100, 1000
"""Random codes that are laid on a map beside those of photos: as many as photos, within these limits."""
NEAREST = 8
"""Points between which a new code is placed, or whose codes are mixed for a place, where a method cannot invert."""
TSNE_STEPS = 1000
MAP_VERSION = 1
"""Raised when the same codes and settings become another map."""


@dataclass(frozen=True, eq=False)
class Pca:
    """Principal components: directions in which codes vary most, orthonormal, all D of them. float64."""

    mean: np.ndarray
    """(D,) centre of the codes."""
    components: np.ndarray
    """(D, D), one direction a row, by falling variance. Each points to where its largest entry is positive."""
    variances: np.ndarray
    """(D,) variance of the codes along each direction, divided by N."""

    @classmethod
    def fit(cls, codes: np.ndarray) -> Pca:
        """Find the directions of (N, D) codes, N and D at least 1. Raises `UserError` for anything else, or NaN."""
        codes = _check(codes)
        mean = codes.mean(axis=0)
        # The triangle R of codes = QR has the same right singular vectors, and needs no N x N matrix beside it.
        triangle = np.linalg.qr(codes - mean, mode="r")
        _, singular, components = np.linalg.svd(triangle, full_matrices=True)
        variances = np.zeros(codes.shape[1])
        variances[: len(singular)] = singular**2 / len(codes)
        largest = np.abs(components).argmax(axis=1)
        signs = np.sign(components[np.arange(len(components)), largest])
        return cls(mean, components * signs[:, None], variances)

    @property
    def shares(self) -> np.ndarray:
        """(D,) share of the whole variance along each direction; zeros when all codes are equal."""
        total = self.variances.sum()
        return self.variances / total if total > 0 else np.zeros_like(self.variances)

    def transform(self, codes: np.ndarray, dims: int = 2) -> np.ndarray:
        """Coordinates along the first directions: (N, D) -> (N, dims), dims at most D."""
        assert 1 <= dims <= len(self.mean), (dims, len(self.mean))
        return (_check(codes) - self.mean) @ self.components[:dims].T

    def inverse(self, coords: np.ndarray) -> np.ndarray:
        """Codes at coordinates: (N, d) -> (N, D); exact when d is D, else in the plane of the first d directions."""
        coords = _check(coords)
        return self.mean + coords @ self.components[: coords.shape[1]]


@dataclass(frozen=True)
class MapSettings:
    """How codes are laid out. What a method does not use is not looked at and does not tell maps apart."""

    method: Method = "pca"
    """pca: a shadow along the directions of most variance; keeps distances, comes back exactly.
    umap: keeps neighbours together, and roughly the large shape. tsne: keeps neighbours together, nothing else."""
    dims: int = 2
    """2, to click on, or 3, to turn around."""
    neighbours: int = 15
    """UMAP: how many nearest codes count as near, 2 to 200. Few show detail, many the large shape."""
    min_dist: float = 0.1
    """UMAP: how close points may lie, 0 to 0.99."""
    perplexity: float = 30.0
    """t-SNE: about how many codes count as near, 2 to 100."""
    seed: int = 0
    """Of the random parts of UMAP and t-SNE, 0 to 4294967295."""

    @property
    def used(self) -> dict[str, Any]:
        """The settings that this method looks at."""
        names = {"pca": (), "umap": ("neighbours", "min_dist", "seed"), "tsne": ("perplexity", "seed")}
        return {name: getattr(self, name) for name in ("method", "dims", *names.get(self.method, ()))}

    def check(self, count: int) -> None:
        """Raise `UserError` for settings that are out of range, or ask for more neighbours than `count` codes have."""
        if self.method not in METHODS:
            raise UserError(
                "map_method",
                "There is no map by {method!r}; use {known}.",
                method=self.method,
                known=", ".join(METHODS),
            )
        check_integer("dims", self.dims, MIN_DIMS, MAX_DIMS)
        if self.method == "pca":
            return
        check_integer("seed", self.seed, 0, 2**32 - 1)
        if self.method == "umap":
            check_integer("neighbours", self.neighbours, MIN_NEIGHBOURS, MAX_NEIGHBOURS)
            check_number("min_dist", self.min_dist, 0, MAX_MIN_DIST)
            _check_enough(count, "neighbours", self.neighbours, self.neighbours + 1)
        else:
            check_number("perplexity", self.perplexity, MIN_PERPLEXITY, MAX_PERPLEXITY)
            # Van der Maaten's own code asks for three times the perplexity: each code looks at so many neighbours.
            _check_enough(count, "perplexity", self.perplexity, int(np.ceil(3 * self.perplexity)) + 1)


SHIPPED_MAPS = tuple(MapSettings(method, dims) for method in ("umap", "tsne") for dims in (2, 3))
"""Maps that `prepare` computes, so that nobody waits for them. PCA takes no time."""


@dataclass(frozen=True, eq=False)
class CodeMap:
    """Codes of photos and random codes, laid out together."""

    settings: MapSettings
    codes: np.ndarray
    """(N, D) float64 codes of photos."""
    prior: np.ndarray
    """(P, D) float64 random codes: `prior_codes` of N and D."""
    coords: np.ndarray
    """(N, dims) float32 places of the codes."""
    prior_coords: np.ndarray
    """(P, dims) float32 places of the random codes."""
    pca: Pca | None = None
    """Of the codes, where the map is theirs."""

    @property
    def is_exact(self) -> bool:
        """Whether any code has a place and any place a code. UMAP and t-SNE have neither: neighbours stand in."""
        return self.pca is not None

    def place(self, z: np.ndarray) -> np.ndarray:
        """Where codes lie: (M, D) -> (M, dims) float64.

        PCA: exactly. Else between their nearest codes, photos' or random, the nearer the more (Shepard 1968).
        """
        if self.pca is not None:
            return _padded(self.pca.transform(z, min(self.settings.dims, z.shape[1])), self.settings.dims)
        return _between(_check(z), *self._points, NEAREST)

    def code_at(self, places: np.ndarray) -> np.ndarray:
        """Codes for places: (M, dims) -> (M, D) float64.

        PCA: exactly, in the plane (or space) of the map. Else a mix of the codes that lie nearest.
        """
        if self.pca is not None:
            places = _check(places)
            return self.pca.inverse(places[:, : self.codes.shape[1]])
        codes, coords = self._points
        return _between(_check(places), coords, codes, NEAREST)

    @property
    def _points(self) -> tuple[np.ndarray, np.ndarray]:
        """Codes and places of all points."""
        coords = np.concatenate([self.coords, self.prior_coords]).astype(np.float64)
        return np.concatenate([self.codes, self.prior]), coords


def fit_map(codes: np.ndarray, settings: MapSettings, progress: Progress = lambda share, what: None) -> CodeMap:
    """Lay out codes of photos, with random codes among them.

    PCA takes its directions from the photos alone, and random codes fall where they fall. UMAP and t-SNE cannot place
    a new point, so both kinds are embedded jointly. The same codes and settings give the same map on one machine.

    Args:
        codes: (N, D), N up to 20,000.
        progress: for UMAP and t-SNE, which take seconds to minutes; UMAP's first time in a process compiles for 20 s.

    Raises:
        UserError: for NaN, for no codes, too many, fewer than the settings need, or codes that are all but equal.
    """
    codes = check_map(codes, settings)
    prior = prior_codes(*codes.shape)
    if settings.method == "pca":
        return pca_map(codes, settings)
    embed = _umap if settings.method == "umap" else _tsne
    coords = embed(np.concatenate([codes, prior]).astype(np.float32), settings, progress)
    return map_of(codes, settings, coords)


def pca_map(codes: np.ndarray, settings: MapSettings, pca: Pca | None = None) -> CodeMap:
    """The map of PCA. pca: directions, where they are not those of these codes but known."""
    codes = check_map(codes, settings)
    pca = pca or Pca.fit(codes)
    prior, dims = prior_codes(*codes.shape), min(settings.dims, codes.shape[1])
    places = [_padded(pca.transform(each, dims), settings.dims).astype(np.float32) for each in (codes, prior)]
    return CodeMap(settings, codes, prior, *places, pca)


def map_of(codes: np.ndarray, settings: MapSettings, coords: np.ndarray) -> CodeMap:
    """A map that was computed before. coords: (N + P, dims), photos first. Raises `UserError` where they do not fit."""
    codes = _check(codes)
    prior = prior_codes(*codes.shape)
    coords = np.asarray(coords, np.float32)
    if coords.shape != (len(codes) + len(prior), settings.dims) or not np.isfinite(coords).all():
        raise UserError("map_failed", "{method} found no places for these codes.", method=settings.method)
    return CodeMap(settings, codes, prior, coords[: len(codes)], coords[len(codes) :])


def check_map(codes: np.ndarray, settings: MapSettings) -> np.ndarray:
    """Codes that can be laid out with these settings, as float64. Raises `UserError`, see `fit_map`."""
    codes = _check(codes)
    check_integer("codes", len(codes), 1, MAX_CODES)
    settings.check(len(codes))
    if settings.method != "pca":
        different = len(np.unique(codes.astype(np.float32), axis=0))
        needed = settings.neighbours if settings.method == "umap" else settings.perplexity
        if different <= needed:
            raise UserError(
                "map_constant",
                "Only {different} of {count} codes differ: the encoder says the same of most photos, and neighbours "
                "mean nothing. PCA can show them.",
                different=different,
                count=len(codes),
            )
    return codes


def prior_codes(count: int, dim: int) -> np.ndarray:
    """The random codes that are laid on a map of `count` photos: always the same. (P, dim) float64, not writable."""
    return _all_prior_codes(dim)[: int(np.clip(count, MIN_PRIOR, MAX_PRIOR))]


def map_key(codes: np.ndarray, settings: MapSettings) -> str:
    """The same for the same codes and settings, and for them alone: names a map in caches."""
    codes = np.ascontiguousarray(codes, np.float32)
    used = {name: value if isinstance(value, str) else float(value) for name, value in settings.used.items()}
    facts = json.dumps([MAP_VERSION, list(codes.shape), used], sort_keys=True)
    return hashlib.sha256(facts.encode() + codes.tobytes()).hexdigest()


def nearest(points: np.ndarray, to: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The points nearest to each of some places, nearest first.

    Args:
        points: (N, D).
        to: (M, D).
        count: how many; all N where there are fewer.

    Returns:
        Indices (M, count) and Euclidean distances (M, count).
    """
    points, to = np.asarray(points, np.float64), np.asarray(to, np.float64)
    count = min(count, len(points))
    indices, distances = np.empty((len(to), count), np.int64), np.empty((len(to), count))
    for row, place in enumerate(to):  # all at once would take M x N numbers
        apart = np.linalg.norm(points - place, axis=1)
        found = np.argpartition(apart, count - 1)[:count]
        indices[row] = found[apart[found].argsort(kind="stable")]
        distances[row] = apart[indices[row]]
    return indices, distances


@lru_cache(maxsize=8)
def _all_prior_codes(dim: int) -> np.ndarray:
    """Drawing them takes a tenth of a second: each has its own generator."""
    codes = sample_codes(PRIOR_SEED, MAX_PRIOR, dim, stratify=False).astype(np.float64)
    codes.setflags(write=False)
    return codes


def _between(queries: np.ndarray, points: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Mean of the values of the nearest points, weighted by 1 / distance**2; at a point, its own value."""
    found, distances = nearest(points, queries, count)
    scale = np.maximum(distances[:, -1:], 1e-12)
    weights = 1 / np.maximum(distances / scale, 1e-6) ** 2
    weights /= weights.sum(axis=1, keepdims=True)
    return (values[found] * weights[..., None]).sum(axis=1)


def _umap(codes: np.ndarray, settings: MapSettings, progress: Progress) -> np.ndarray:
    progress(0.0, "loading")
    from umap import UMAP  # seconds of imports and compiling, for those who ask for it

    progress(0.1, "neighbours")
    steps = _Told(r"(\d+)/(\d+)", lambda done, total: progress(0.5 + 0.5 * done / total, "layout"))
    reducer = UMAP(
        n_components=settings.dims,
        n_neighbors=settings.neighbours,
        min_dist=settings.min_dist,
        random_state=settings.seed,
        n_jobs=1,  # what a seed asks for anyway
        tqdm_kwds={"disable": False, "file": steps, "bar_format": "{n_fmt}/{total_fmt}"},
    )
    return reducer.fit_transform(codes)


def _tsne(codes: np.ndarray, settings: MapSettings, progress: Progress) -> np.ndarray:
    progress(0.0, "loading")
    from sklearn.manifold import TSNE

    progress(0.1, "neighbours")
    steps = _Told(r"Iteration (\d+)()", lambda done, _: progress(0.2 + 0.8 * done / TSNE_STEPS, "layout"))
    reducer = TSNE(
        n_components=settings.dims,
        perplexity=settings.perplexity,
        init="pca",
        max_iter=TSNE_STEPS,
        random_state=settings.seed,
        n_jobs=1,
        verbose=2,  # how it tells of its progress
    )
    with contextlib.redirect_stdout(steps):
        return reducer.fit_transform(codes)


class _Told:
    """A file that listens to what a library prints about its progress."""

    def __init__(self, pattern: str, tell: Callable[[int, int], None]):
        self._pattern, self._tell = re.compile(pattern), tell

    def write(self, text: str) -> int:
        for done, total in self._pattern.findall(text):
            self._tell(int(done), int(total or 1))
        return len(text)

    def flush(self) -> None:
        pass


def _check_enough(count: int, name: str, value: float, needed: int) -> None:
    if count < needed:
        raise UserError(
            "map_few",
            "{count} codes are too few for {name} {value:g}, which needs at least {needed}. Use a smaller {name}, more "
            "photos, or PCA.",
            count=count,
            name=name,
            value=value,
            needed=needed,
        )


def _padded(coords: np.ndarray, dims: int) -> np.ndarray:
    """Zeros for coordinates that codes of fewer dims do not have."""
    return np.pad(coords, ((0, 0), (0, dims - coords.shape[1])))


def _check(codes: np.ndarray) -> np.ndarray:
    codes = np.asarray(codes, dtype=np.float64)
    if codes.ndim != 2 or 0 in codes.shape:
        raise UserError(
            "projection_shape",
            "Codes to project have shape {shape}; expected (N, latent_dim) with at least one of each.",
            shape=codes.shape,
        )
    if not np.isfinite(codes).all():
        raise UserError("projection_value", "Codes to project hold NaN or infinite values: the encoder has failed.")
    return codes
