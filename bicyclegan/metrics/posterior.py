"""Whether the codes of photos look like the prior N(0, I), in words: eight readings, each with a verdict.

A reading warns only about what matters and is no accident: it must be beyond a limit of practice, and so far beyond
what healthy codes give that not one in `1 / FALSE_ALARM` sets of as many photos would show it by chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
import torch

from bicyclegan.errors import UserError
from bicyclegan.losses import kl_per_dim
from bicyclegan.metrics.latent import active, sliced_wasserstein
from bicyclegan.projection import Pca

Verdict = Literal["healthy", "watch", "collapsed"]
VERDICTS: tuple[Verdict, ...] = ("healthy", "watch", "collapsed")
"""From the best to the worst."""

MIN_PHOTOS = 30
"""Fewer say next to nothing: the standard error of a variance is then a quarter of it."""
MAX_MU, MAX_LOGVAR = 1e6, 30.0
"""Codes beyond are no codes of a working encoder, and their squares soon no numbers."""
FALSE_ALARM = 1e-4
"""How often a reading may warn of healthy codes, over all of its dims. Eight readings: one report in 1,250 at most."""

COLLAPSED_KL = 0.1
"""Nats, summed over dims. KL bounds what a code can tell about its photo: exp(0.1) = 1.1 styles told apart, one."""
LOW_KL = 0.3
"""Nats, summed over dims: exp(0.3) = 1.3 styles told apart, not yet two."""
DEAD_KL = 0.01
"""Nats of a dim that say nothing: as mu^2 / 2 it is a mu that strays from 0 by 0.14, where random codes stray by 1."""
SHIFT = 0.5
"""Mean of mu in standard deviations of the prior: a medium effect (Cohen 1988)."""
SPREAD = 1.25
"""Standard deviation of the aggregate posterior over the prior's, or the inverse: a quarter too wide or narrow."""
NORMAL, HEAVY = 3.0, 5.0
"""Kurtosis of normal codes, and one as codes of real photos have it (those of the shipped models: 2 to 7). Of few codes
with heavy tails most have none beyond, which look narrow and sure of it."""
FAR = 0.25
"""Distance from the prior beyond chance: that of codes which are a quarter too wide in all dims, `SPREAD` - 1."""
OVERLAP = 0.7
"""Of codes that are a quarter too wide or narrow in 8 dims it is about as much (simulated)."""
VALLEY = 0.5
"""Density between two groups, over that of the lower peak: two normal groups of equal size whose centres are 3.3
standard deviations apart have as much."""
GROUP = 0.1
"""Share of the codes that makes a group: fewer are outliers."""
GAP_BY_CHANCE = 1e-3
"""Of the sign test of gaps, over all lines of a report. `VALLEY` and `GROUP` come on top: of 48,000 lines of 30 to 500
normal or uniform codes none was found to have a gap (simulated)."""
SAME = 0.7
"""Correlation |r| of dims that say the same: half of the variance of either is that of the other, r^2 = 0.5."""

NEIGHBOURS = 10
"""Of each code, that are asked which set they come from."""
OVERLAP_CODES, DISTANCE_CODES = 400, 2000
"""Photos that are compared at most, chosen at random: the work grows with the square for one, with draws for both."""
PERMUTATIONS, SIMULATIONS = 60, 20
"""Draws that tell what chance does."""
GRID = 512
"""Places along a line at which the density is estimated."""
NARROWER = 0.7
"""Times Silverman's bandwidth, which is made for one normal group and blurs two."""
SEED = 271_828_182
"""Of all that is drawn here. No seed that others are likely to use: equal noise would look like a pattern."""

SENTENCES: dict[str, str] = {
    "kl_healthy": "A photo's code differs from random ones (the prior) by {kl:.2f} nats (KL, sum of all dims): it says "
    "something about its photo.",
    "kl_watch": "A photo's code differs from random ones (the prior) by only {kl:.2f} nats (KL, sum of all dims; below "
    "{limit} is little), so that it can hardly tell two styles apart.",
    "kl_collapsed": "A photo's code is nearly a random one (KL to the prior {kl:.3f} nats, sum of all dims; below "
    "{limit} is nothing), so that it tells nothing about its photo: posterior collapse.",
    "kl_idle": "A photo's code differs from random ones (the prior) by {kl:.2f} nats (KL, sum of all dims), but hardly "
    "from that of other photos, so that it tells nothing about its photo: posterior collapse.",
    "active_dims_healthy": "Dims in use, which differ from photo to photo: {active} of {dims}; none is dead.",
    "active_dims_watch": "Dims in use: {active} of {dims}; dead, because nearly the same for every photo: {dead}.",
    "active_dims_collapsed": "Dims in use: {active} of {dims}; the code is nearly the same for every photo, so that "
    "it tells nothing about any of them.",
    "mean_healthy": "Codes of photos are centred about like random ones: the mean farthest from 0 is {mean:+.2f}, in "
    "dim {dim}.",
    "mean_watch": "Codes of photos lie off centre in dim {shifted} (mean {mean:+.2f} in dim {dim}; random codes: 0), "
    "so that random codes miss some styles and make up others.",
    "variance_healthy": "Codes of photos spread about as wide as random ones: the variance farthest from 1 is "
    "{variance:.2f}, in dim {dim}.",
    "variance_wide": "Codes of photos spread wider than random ones in dim {wide} (variance {variance:.2f} in dim "
    "{dim}; random codes: 1), so that random codes never reach the outer styles.",
    "variance_narrow": "Codes of photos spread less than random ones in dim {narrow} (variance {variance:.2f} in dim "
    "{dim}; random codes: 1), so that many random codes fall where no photo was.",
    "variance_mixed": "Codes of photos spread wider than random ones in dim {wide} and less in dim {narrow} "
    "(variance {variance:.2f} in dim {dim}; random codes: 1), so that random codes are not like them.",
    "distance_healthy": "All codes of photos together are {distance:.2f} away from the prior, where {count} random "
    "codes have {chance:.2f} by chance (sliced Wasserstein distance, 1 if all codes were 0).",
    "distance_watch": "All codes of photos together are {distance:.2f} away from the prior, far more than the "
    "{chance:.2f} that {count} random codes have by chance (sliced Wasserstein distance, 1 if all codes were 0).",
    "overlap_healthy": "Codes of photos and random codes overlap by {overlap:.0%}, counted by whose neighbours are "
    "whose (100% if nobody could tell them apart, 0% if they never met).",
    "overlap_watch": "Codes of photos and random codes overlap by only {overlap:.0%}, counted by whose neighbours are "
    "whose (100% if nobody could tell them apart), so that random codes ask for styles that no photo had.",
    "modes_healthy": "Codes of photos form one cloud, without a gap along any dim or principal direction.",
    "modes_watch": "Codes of photos fall into groups along dim {split} ({modes} in dim {dim}; between them are "
    "{valley:.0%} of the density of the lower peak), and random codes land in the gap.",
    "modes_oblique": "Codes of photos fall into {modes} groups along principal direction {direction}, across several "
    "dims (between them are {valley:.0%} of the density of the lower peak), and random codes land in the gap.",
    "correlation_healthy": "No two dims say the same: the strongest correlation is {correlation:+.2f}, between dims "
    "{first} and {second}.",
    "correlation_none": "Dims in use: {active}; with fewer than two there are none that could say the same.",
    "correlation_watch": "Some dims say the same: {same} (the strongest correlation is {correlation:+.2f}, between "
    "dims {first} and {second}; random codes: 0), so that their sliders do one thing and random codes others.",
}
"""English by the code of a reading; Chinese is `reading.<code>` in the UI's locale file."""

_WHITEN = "--map-code --whiten-every 10 --encoder-rate 0.1"
REMEDIES: dict[str, str] = {
    "kl_watch": "Train with a lower --lambda-kl (0.001), let it rise slowly with --kl-warmup (a tenth of the steps), "
    "or set --free-bits 0.1.",
    "kl_collapsed": "Train with a lower --lambda-kl (0.001), let it rise slowly with --kl-warmup (a tenth of the "
    "steps), or set --free-bits 0.1; --lambda-z 1 or more makes G use the code.",
    "kl_idle": "Train with a lower --lambda-kl (0.001) and --encoder-init informative; --lambda-z 1 or more makes G "
    "use the code.",
    "active_dims_watch": "Keep dims alive with --free-bits 0.1 to 0.5, a lower --lambda-kl or --kl-warmup (a tenth of "
    "the steps); if {active} dims tell enough, a smaller --latent-dim does too.",
    "active_dims_collapsed": "Start with --encoder-init informative, lower --lambda-kl (0.001), use --kl-warmup (a "
    "tenth of the steps) or --free-bits 0.1; --lambda-z 1 or more makes G use the code.",
    "mean_watch": f"Raise --lambda-kl (twofold), or train with {_WHITEN}, which centres the codes and changes no "
    "picture.",
    "variance_wide": f"Raise --lambda-kl (twofold), or train with {_WHITEN}, which gives every dim variance 1 and "
    "changes no picture.",
    "variance_narrow": f"Train with {_WHITEN}, which gives every dim variance 1 and changes no picture, or raise "
    "--lambda-kl (twofold), which widens the code of each photo.",
    "variance_mixed": f"Train with {_WHITEN}, which gives every dim variance 1 and changes no picture, or raise "
    "--lambda-kl (twofold).",
    "distance_watch": f"Raise --lambda-kl (twofold), or train with {_WHITEN}; mean, variance, groups and correlation "
    "say what is off.",
    "overlap_watch": f"Raise --lambda-kl (twofold), or train with {_WHITEN}; a smaller --latent-dim is easier to fill.",
    "modes_watch": "Raise --lambda-kl (twofold) to close the gap; if the groups are different sorts of photos, train a "
    "model for each or even out their numbers in --data.",
    "modes_oblique": "Raise --lambda-kl (twofold) to close the gap; if the groups are different sorts of photos, train "
    "a model for each or even out their numbers in --data.",
    "correlation_watch": f"Train with {_WHITEN}, which takes correlation away and changes no picture (KL does not see "
    "it), or use a smaller --latent-dim.",
}
"""What tutorials and papers advise, by code; healthy readings have none. Chinese: `reading.<code>_remedy`."""


@dataclass(frozen=True)
class Reading:
    """One answer about the codes."""

    name: str
    """kl, active_dims, mean, variance, distance, overlap, modes or correlation."""
    verdict: Verdict
    value: float
    """The one number that stands for it: nats, dims in use, the mean farthest from 0, the variance farthest from 1,
    the distance, a share, groups, the strongest r."""
    template: str
    """English sentence with placeholders."""
    remedy_template: str
    """What to do, in English with placeholders; empty when healthy."""
    values: dict[str, float | int | str]
    """For the placeholders of both, in any language."""
    per_dim: tuple[float, ...] = ()
    """D numbers: nats, variances of mu, means, variances, groups, the strongest |r|. Empty for distance and overlap."""
    variant: str = ""
    """Which sentence, where a verdict has several: idle, wide, narrow, mixed, oblique, none."""

    @property
    def code(self) -> str:
        """Key of its texts in `SENTENCES`, `REMEDIES` and the locale files: kl_healthy, variance_wide."""
        return f"{self.name}_{self.variant or self.verdict}"

    @property
    def sentence(self) -> str:
        """In English."""
        return self.template.format(**self.values)

    @property
    def remedy(self) -> str:
        """In English; empty when healthy."""
        return self.remedy_template.format(**self.values)


@dataclass(frozen=True)
class PosteriorReport:
    """What the codes of N photos in D dims look like."""

    photos: int
    dims: int
    readings: tuple[Reading, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of all readings."""
        return max((reading.verdict for reading in self.readings), key=VERDICTS.index)

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dump`, with sentences in English."""
        names = ("name", "verdict", "value", "sentence", "remedy")
        readings = [
            {name: getattr(reading, name) for name in names} | {"per_dim": list(reading.per_dim)}
            for reading in self.readings
        ]
        return {"verdict": self.verdict, "photos": self.photos, "dims": self.dims, "readings": readings}


def read_posterior(mu: np.ndarray, logvar: np.ndarray) -> PosteriorReport:
    """What the codes of photos look like beside those of the prior, always the same for the same codes.

    Args:
        mu, logvar: (N, D) each, means and log variances of E(B) for N photos, at least 30.

    Raises:
        UserError: fewer photos, other shapes, NaN, infinite or absurdly large values.
    """
    codes = _Codes(*_check(mu, logvar))
    readings = (
        _kl(codes),
        _active_dims(codes),
        _mean(codes),
        _variance(codes),
        _distance(codes),
        _overlap(codes),
        _modes(codes),
        _correlation(codes),
    )
    return PosteriorReport(codes.count, codes.dims, readings)


@dataclass(frozen=True, eq=False)
class _Codes:
    """Checked codes, (N, D) float64, and what several readings ask of them."""

    mu: np.ndarray
    logvar: np.ndarray

    @property
    def count(self) -> int:
        return len(self.mu)

    @property
    def dims(self) -> int:
        return self.mu.shape[1]

    @cached_property
    def drawn(self) -> np.ndarray:
        """(N, D): one z ~ N(mu, sigma^2) of each photo, a sample of the aggregate posterior."""
        return self.mu + np.exp(self.logvar / 2) * _random(0).standard_normal(self.mu.shape)

    @cached_property
    def kl(self) -> np.ndarray:
        """(N, D) nats."""
        return kl_per_dim(torch.from_numpy(self.mu), torch.from_numpy(self.logvar)).numpy().clip(min=0)

    @cached_property
    def active(self) -> np.ndarray:
        """(D,) bool: which dims differ from photo to photo and from the prior."""
        return np.array(active(torch.from_numpy(self.mu))) & (self.kl.mean(axis=0) > DEAD_KL)


def _check(mu: np.ndarray, logvar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mu, logvar = np.asarray(mu, dtype=np.float64), np.asarray(logvar, dtype=np.float64)
    if mu.shape != logvar.shape or mu.ndim != 2 or mu.shape[1] == 0:
        raise UserError(
            "stats_shape",
            "mu has shape {mu} and logvar {logvar}; both must be (N, latent_dim), one row for each photo.",
            mu=mu.shape,
            logvar=logvar.shape,
        )
    if len(mu) < MIN_PHOTOS:
        raise UserError(
            "stats_few",
            "There are codes of {count} photos, too few to compare with the prior; at least {minimum} are needed, "
            "better hundreds: read more with python -m bicyclegan prepare CHECKPOINT --data DIR.",
            count=len(mu),
            minimum=MIN_PHOTOS,
        )
    # Written so that NaN fails, too.
    if not ((np.abs(mu) <= MAX_MU).all() and np.isfinite(logvar).all() and (logvar <= MAX_LOGVAR).all()):
        raise UserError(
            "stats_value",
            "The codes of photos hold NaN, infinite or absurdly large values (mu must be within ±{most:g}, logvar at "
            "most {widest:g}): the encoder has failed. Use an earlier checkpoint.",
            most=MAX_MU,
            widest=MAX_LOGVAR,
        )
    return mu, logvar


# ---------------------------------------------------------------------------------------------------------------------
# Readings of single dims


def _kl(codes: _Codes) -> Reading:
    """KL(E(B) || N(0, I)), equation 4 of the paper; its upper bound counts, so that few photos raise no alarm."""
    of_photos = codes.kl.sum(axis=1)
    kl, most = float(of_photos.mean()), float(of_photos.mean() + _allowance(codes, 1) * _error(of_photos))
    # Codes that are all alike may be far from the prior: they pay for KL and tell nothing.
    idle = most >= COLLAPSED_KL and not codes.active.any()
    verdict: Verdict = "collapsed" if idle or most < COLLAPSED_KL else "watch" if most < LOW_KL else "healthy"
    values = {"kl": kl, "limit": COLLAPSED_KL if verdict == "collapsed" else LOW_KL}
    return _reading("kl", verdict, kl, values, codes.kl.mean(axis=0), "idle" if idle else "")


def _active_dims(codes: _Codes) -> Reading:
    """Burda et al. 2016, section 5.2, as the metric of that name counts them."""
    count = int(codes.active.sum())
    verdict: Verdict = "healthy" if count == codes.dims else "watch" if count else "collapsed"
    values = {"active": count, "dims": codes.dims, "dead": _listed(~codes.active)}
    return _reading("active_dims", verdict, count, values, codes.mu.var(axis=0))


def _mean(codes: _Codes) -> Reading:
    """Mean of mu; Student's t for each dim, Bonferroni over dims."""
    means = codes.mu.mean(axis=0)
    shifted = np.abs(means) > np.maximum(SHIFT, _allowance(codes, codes.dims) * _error(codes.mu))
    farthest = _farthest(means, shifted)
    values = {"mean": _rounded(means[farthest]), "dim": farthest + 1, "shifted": _listed(shifted)}
    return _reading("mean", "watch" if shifted.any() else "healthy", means[farthest], values, means)


def _variance(codes: _Codes) -> Reading:
    """Variance of z = mu + sigma eps: var(mu) + mean(sigma^2). Compared as logarithms, which are nearly normal."""
    around, within = (codes.mu - codes.mu.mean(axis=0)) ** 2, np.exp(codes.logvar)
    variances = (around + within).mean(axis=0)
    variances_above_0 = np.maximum(variances, np.finfo(float).tiny)  # of constant codes without noise
    logs = np.log(variances_above_0)
    # A few photos that are alike by accident seem surer than they are: no less than what the kurtosis makes of N.
    least = around.mean(axis=0) * np.sqrt((np.where(logs < 0, HEAVY, NORMAL) - 1) / codes.count)
    errors = np.maximum(_error(around + within), least) / variances_above_0
    off = np.abs(logs) > np.maximum(2 * math.log(SPREAD), _allowance(codes, codes.dims) * errors)
    wide, narrow = off & (logs > 0), off & (logs < 0)
    farthest = _farthest(logs, off)
    values = {"variance": float(variances[farthest]), "dim": farthest + 1}
    values |= {"wide": _listed(wide), "narrow": _listed(narrow)}
    variant = "mixed" if wide.any() and narrow.any() else "wide" if wide.any() else "narrow" if narrow.any() else ""
    return _reading("variance", "watch" if variant else "healthy", variances[farthest], values, variances, variant)


def _correlation(codes: _Codes) -> Reading:
    """Pearson's r of mu between dims in use; Fisher's z = artanh(r) has the standard error 1 / sqrt(N - 3)."""
    found = np.flatnonzero(codes.active)
    if len(found) < 2:
        nothing = np.zeros(codes.dims)
        return _reading("correlation", "healthy", 0.0, {"active": len(found)}, nothing, "none")
    matrix = np.zeros((codes.dims, codes.dims))
    matrix[np.ix_(found, found)] = np.corrcoef(codes.mu[:, found], rowvar=False)
    np.fill_diagonal(matrix, 0)
    strongest = np.abs(matrix).max(axis=0)
    first, second = sorted(map(int, np.unravel_index(np.abs(matrix).argmax(), matrix.shape)))
    pairs = len(found) * (len(found) - 1) // 2
    same = strongest > max(SAME, math.tanh(_allowance(codes, pairs) / math.sqrt(codes.count - 3)))
    values = {"correlation": _rounded(matrix[first, second]), "first": first + 1, "second": second + 1}
    values |= {"same": _listed(same)}
    verdict: Verdict = "watch" if same.any() else "healthy"
    return _reading("correlation", verdict, matrix[first, second], values, strongest)


# ---------------------------------------------------------------------------------------------------------------------
# Readings of all dims together


def _distance(codes: _Codes) -> Reading:
    """Of one z per photo from the prior, held against what as many codes of the prior score."""
    drawn = _some(codes.drawn, DISTANCE_CODES)
    distance = sliced_wasserstein(torch.from_numpy(drawn))
    chance, error = _chance_distance(*drawn.shape)
    most = chance * math.exp(_allowance(codes, 1, SIMULATIONS) * error)
    # Squares add up: E d^2 = distance^2 of the distributions + that of as many codes of the prior, nearly.
    beyond = math.sqrt(max(distance**2 - chance**2, 0))
    far = beyond > FAR and distance > most
    values = {"distance": distance, "chance": chance, "count": len(drawn)}
    return _reading("distance", "watch" if far else "healthy", distance, values)


@lru_cache(maxsize=64)
def _chance_distance(count: int, dims: int) -> tuple[float, float]:
    """Mean distance of `count` codes of the prior from itself, and the standard deviation of its logarithm."""
    draws = (_random(100 + k).standard_normal((count, dims)) for k in range(SIMULATIONS))
    distances = [sliced_wasserstein(torch.from_numpy(draw)) for draw in draws]
    return float(np.mean(distances)), float(np.std(np.log(distances), ddof=1))


def _overlap(codes: _Codes) -> Reading:
    """Do the nearest neighbours of a code come from either set (Schilling 1986, Henze 1988)?

    Their statistic is the mean over all codes. The smaller of the means over either set is taken here: in many dims
    all the neighbours of a wide set's codes are in the narrow one, and those of the narrow one's are its own, which
    together would look like a perfect mixture. 1 is what random labels give, which also tell what chance does.
    """
    drawn = _some(codes.drawn, OVERLAP_CODES)
    neighbours = _neighbours(np.concatenate([drawn, _random(1).standard_normal(drawn.shape)]))
    labels, random = np.arange(2 * len(drawn)) < len(drawn), _random(2)
    chance = [_mixed(neighbours, random.permutation(labels)) for _ in range(PERMUTATIONS)]
    share, expected, error = _mixed(neighbours, labels), np.mean(chance), np.std(chance, ddof=1)
    overlap = float(min(share / expected, 1))
    apart = overlap < OVERLAP and share < expected - _allowance(codes, 1, PERMUTATIONS) * error
    return _reading("overlap", "watch" if apart else "healthy", overlap, {"overlap": overlap})


def _neighbours(codes: np.ndarray) -> np.ndarray:
    """Rows of the nearest codes of each: (M, D) -> (M, NEIGHBOURS)."""
    squares = (codes**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * codes @ codes.T
    np.fill_diagonal(distances, np.inf)
    return np.argpartition(distances, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]


def _mixed(neighbours: np.ndarray, labels: np.ndarray) -> float:
    """Share of neighbours from the other set, the smaller one of both sets."""
    others = (labels[neighbours] != labels[:, None]).mean(axis=1)
    return min(others[labels].mean(), others[~labels].mean())


def _modes(codes: _Codes) -> Reading:
    """Groups along each dim and each principal direction of one z per photo."""
    limit = GAP_BY_CHANCE / (2 * codes.dims)
    along_dims = [_valleys(line, limit) for line in codes.drawn.T]
    turned = Pca.fit(codes.drawn).transform(codes.drawn, codes.dims).T if codes.dims > 1 else []
    along_directions = [_valleys(line, limit) for line in turned]
    found, variant = (along_dims, "") if any(along_dims) or not any(along_directions) else (along_directions, "oblique")
    most = max(range(len(found)), key=lambda k: (len(found[k]), -min(found[k], default=1)))
    groups = [len(valleys) + 1 for valleys in along_dims]
    values: dict[str, float | int | str] = {"modes": len(found[most]) + 1, "valley": float(max(found[most], default=1))}
    values |= {"direction": most + 1} if variant else {"dim": most + 1, "split": _listed(np.array(groups) > 1)}
    verdict: Verdict = "watch" if found[most] else "healthy"
    return _reading("modes", verdict, len(found[most]) + 1, values, np.array(groups), variant)


# ---------------------------------------------------------------------------------------------------------------------
# Groups along a line


@dataclass(frozen=True, eq=False)
class _Line:
    """Codes along a line."""

    codes: np.ndarray
    """(N,) sorted."""
    places: np.ndarray
    """(GRID,) evenly spaced."""
    density: np.ndarray
    """(GRID,) estimated there; a multiple of it."""

    def count(self, low: float, high: float) -> int:
        """Codes between two places."""
        return int(np.diff(np.searchsorted(self.codes, [low, high]))[0])


def _valleys(codes: np.ndarray, limit: float) -> list[float]:
    """Density in each valley between groups over that of its lower peak; (N,) codes. limit: chance of false alarm."""
    line = _estimate(np.sort(codes))
    return _split(line, 0, GRID, limit) if line else []


def _estimate(codes: np.ndarray) -> _Line | None:
    """Kernel density estimate (Silverman 1986, section 3.4.2) of sorted codes; None where they are all equal."""
    from scipy.ndimage import gaussian_filter1d

    quarters = np.quantile(codes, [0.25, 0.5, 0.75])
    spread = min(codes.std(), (quarters[2] - quarters[0]) / 1.34) or codes.std()
    if spread <= 1e-12 * max(1.0, np.abs(codes).max()):
        return None
    bandwidth = NARROWER * 0.9 * spread * len(codes) ** -0.2
    # Outliers are no group: they must not take the resolution from the rest.
    low, high = np.clip(codes[[0, -1]], quarters[1] - 8 * codes.std(), quarters[1] + 8 * codes.std())
    counts, edges = np.histogram(codes, GRID, (low, high))
    density = gaussian_filter1d(counts.astype(float), bandwidth / (edges[1] - edges[0]), mode="constant")
    return _Line(codes, (edges[1:] + edges[:-1]) / 2, density)


def _split(line: _Line, low: int, high: int, limit: float) -> list[float]:
    """Valleys among the places low to high: the deepest one, then those on either side."""
    part = line.density[low:high]
    peaks = np.minimum(np.maximum.accumulate(part), np.maximum.accumulate(part[::-1])[::-1])
    depths = np.where(_has_groups(line, low, high), part / np.maximum(peaks, np.finfo(float).tiny), 1.0)
    lowest = np.flatnonzero(depths <= depths.min() + 1e-9)
    at = int(lowest[len(lowest) // 2])  # the middle of an empty gap
    if depths[at] > VALLEY or not _is_gap(line, low, low + at, high, limit):
        return []
    left, right = _split(line, low, low + at, limit), _split(line, low + at, high, limit)
    return [*left, float(depths[at]), *right]


def _has_groups(line: _Line, low: int, high: int) -> np.ndarray:
    """(high - low,) bool: where a cut leaves enough codes of this part on either side."""
    before = np.searchsorted(line.codes, line.places[low:high]) / len(line.codes)
    start = 0.0 if low == 0 else before[0]
    end = 1.0 if high == GRID else before[-1]
    return np.minimum(before - start, end - before) >= GROUP


def _is_gap(line: _Line, low: int, at: int, high: int, limit: float) -> bool:
    """Whether a valley is no accident.

    Windows of one width around the two peaks and, adjacent to the nearer one's, around the valley: were there only one
    group, the middle one would hold at least as many codes as the poorer of the others (sign test).
    """
    from scipy.stats import binom

    peaks = low + int(line.density[low:at].argmax()), at + int(line.density[at:high].argmax())
    half = min(at - peaks[0], peaks[1] - at) * (line.places[1] - line.places[0]) / 2
    left, valley, right = (line.count(line.places[k] - half, line.places[k] + half) for k in (peaks[0], at, peaks[1]))
    poorer = min(left, right)
    return bool(binom.cdf(valley, valley + poorer, 0.5) < limit)


# ---------------------------------------------------------------------------------------------------------------------
# Small parts


def _reading(
    name: str,
    verdict: Verdict,
    value: float,
    values: dict[str, float | int | str],
    per_dim: np.ndarray | None = None,
    variant: str = "",
) -> Reading:
    """With the texts of its code."""
    code = f"{name}_{variant or verdict}"
    numbers = () if per_dim is None else tuple(float(number) for number in per_dim)
    return Reading(name, verdict, float(value), SENTENCES[code], REMEDIES.get(code, ""), values, numbers, variant)


def _allowance(codes: _Codes, looks: int, draws: int | None = None) -> float:
    """Standard errors that chance may take, over so many looks: Student's t, known from N photos or from draws."""
    from scipy.stats import t

    return float(t.isf(FALSE_ALARM / (2 * looks), (draws or codes.count) - 1))


def _error(values: np.ndarray) -> np.ndarray:
    """Standard error of the mean over the first axis."""
    return values.std(axis=0, ddof=1) / math.sqrt(len(values))


def _farthest(values: np.ndarray, off: np.ndarray) -> int:
    """Place of the value farthest from 0, among those that are off where there are any; (D,) and bool (D,)."""
    return int((np.abs(values) * (off if off.any() else 1)).argmax())


def _rounded(value: float) -> float:
    """As two decimals show it, without a minus before 0.00."""
    return round(float(value), 2) + 0.0


def _some(codes: np.ndarray, most: int) -> np.ndarray:
    """At most so many rows, chosen at random."""
    return codes if len(codes) <= most else codes[_random(3).permutation(len(codes))[:most]]


def _random(stream: int) -> np.random.RandomState:
    """A stream of its own for each use; NumPy promises that it never changes."""
    return np.random.RandomState([SEED, stream])


def _listed(chosen: np.ndarray) -> str:
    """Dims counted from 1, runs of three or more written short: bool (D,) -> "2, 5–8"."""
    dims = (np.flatnonzero(chosen) + 1).tolist()
    runs = np.split(dims, np.flatnonzero(np.diff(dims) != 1) + 1) if dims else []
    parts = [f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(parts)
