"""How far a set of generated pictures lies from a set of photos: FID, KID, precision, recall, Inception Score.

The numbers are torch-fidelity's own, made of features that are at hand, in double precision. All of them depend on
how many pictures there are, so both sides have the same number, and a floor must be measured with it too.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from bicyclegan.errors import UserError
from bicyclegan.metrics.features import Features, Suffix

NEIGHBOURS = 3
"""Precision and recall: each picture covers what is nearer to it than its third neighbour in its own set."""
MIN_PICTURES = NEIGHBOURS + 1
KID_SUBSET = 1000
KID_SUBSETS = 100
"""Subsets of more than `KID_SUBSET` pictures, both as in the paper."""
SEED = 2020
"""Of KID's subsets; torch-fidelity's default."""


@dataclass(frozen=True)
class SetMetric:
    """One metric of several draws of generated pictures against the same photos."""

    name: str
    """Says the layer of the features too: `fid768`."""
    group: str
    """What it was asked for by: one of `GROUPS`."""
    better: Literal["lower", "higher"]
    protocol: str
    """How it is measured, for a report; without pictures, draws and network."""
    values: tuple[float, ...]
    """One for each draw."""

    @property
    def mean(self) -> float:
        """Over draws."""
        return statistics.fmean(self.values)

    @property
    def standard_error(self) -> float | None:
        """Of the mean; None for a single draw."""
        return statistics.stdev(self.values) / len(self.values) ** 0.5 if len(self.values) > 1 else None


@dataclass(frozen=True)
class _Group:
    measure: Callable[[Features, Features], dict[str, float]]
    """Generated and real features -> values by name."""
    better: Literal["lower", "higher"]
    protocol: str
    needs_logits: bool = False


def measure_sets(generated: Sequence[Features], real: Features, groups: Sequence[str] | None = None) -> list[SetMetric]:
    """Compare sets of pictures with one set of photos.

    Args:
        generated: of each draw the features of N pictures. For a floor, those of N other photos.
        real: features of N photos by the same extractor.
        groups: what to measure; by default all that `groups_of(real.suffix)` names.

    Returns:
        Metrics in the order of `groups`.

    Raises:
        UserError: for fewer than `MIN_PICTURES` pictures.
    """
    groups = groups_of(real.suffix) if groups is None else groups
    assert set(groups) <= set(groups_of(real.suffix)), (groups, real.suffix)
    _check(generated, real)
    return [metric for name in groups for metric in _measure(name, generated, real)]


def groups_of(suffix: Suffix) -> tuple[str, ...]:
    """Which of `GROUPS` an extractor's features allow: a network that is cut off gives no Inception Score."""
    return tuple(name for name, group in _GROUPS.items() if not (suffix and group.needs_logits))


def _check(generated: Sequence[Features], real: Features) -> None:
    assert generated, "no draws"
    for features in generated:
        assert features.suffix == real.suffix, (features.suffix, real.suffix)
        assert features.pool.shape == real.pool.shape, (features.pool.shape, real.pool.shape)
    if len(real) < MIN_PICTURES:
        raise UserError(
            "realism_few",
            "{count} photos are too few to compare sets of pictures; use at least {minimum}, better some hundred.",
            count=len(real),
            minimum=MIN_PICTURES,
        )


def _measure(name: str, generated: Sequence[Features], real: Features) -> list[SetMetric]:
    group = _GROUPS[name]
    draws = [group.measure(features, real) for features in generated]
    return [
        SetMetric(metric, name, group.better, group.protocol, tuple(draw[metric] for draw in draws))
        for metric in draws[0]
    ]


def _fid(generated: Features, real: Features) -> dict[str, float]:
    """Fréchet Inception Distance (Heusel et al. 2017): ||m1 - m2||^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)), at least 0.

    Covariances of fewer pictures than features are singular, and any finite number of pictures makes it too large.
    """
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    first, second = (fid_features_to_statistics(features.pool.double()) for features in (generated, real))
    return {f"fid{real.suffix}": fid_statistics_to_metric(first, second, verbose=False)[KEY_METRIC_FID]}


def _kid(generated: Features, real: Features) -> dict[str, float]:
    """Kernel Inception Distance (Bińkowski et al. 2018): squared MMD with the kernel (x.y / D + 1)^3.

    The estimate has no bias at any size, so it falls below 0 at times. Subsets only save time: up to
    `KID_SUBSET` pictures are compared all at once, which varies least; the spread comes from the draws.
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    subsets = KID_SUBSETS if len(real) > KID_SUBSET else 1
    found = kid_features_to_metric(
        generated.pool.double(),
        real.pool.double(),
        kid_subsets=subsets,
        kid_subset_size=min(len(real), KID_SUBSET),
        rng_seed=SEED,
        verbose=False,
    )
    return {f"kid{real.suffix}": found[KEY_METRIC_KID_MEAN]}


def _precision_recall(generated: Features, real: Features) -> dict[str, float]:
    """Shares of generated pictures among the photos, and of photos among the generated (Kynkäänniemi et al. 2019)."""
    from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

    # Double: distances in float32 leave a picture some way from itself.
    found = prc_features_to_metric(
        generated.pool.double(), real.pool.double(), prc_neighborhood=NEIGHBOURS, verbose=False
    )
    name = f"pr{real.suffix}"
    return {f"{name}_precision": found[KEY_METRIC_PRECISION], f"{name}_recall": found[KEY_METRIC_RECALL]}


def _inception_score(generated: Features, real: Features) -> dict[str, float]:
    """exp of the mean KL(p(y|x) || p(y)) over pictures (Salimans et al. 2016), 1 to the number of classes.

    The usual ten splits are for 50,000 pictures: no split can score more than it has pictures.
    """
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

    assert generated.logits is not None
    return {"inception_score": isc_features_to_metric(generated.logits, splits=1, shuffle=False)[KEY_METRIC_ISC_MEAN]}


_GROUPS = {
    "fid": _Group(
        _fid,
        "lower",
        "Fréchet distance between Gaussians fitted to the features; biased upwards by the number of pictures, "
        "so only comparable at the same number",
    ),
    "kid": _Group(
        _kid,
        "lower",
        f"unbiased squared MMD of the features with the kernel (x·y/D + 1)³, all pictures at once up to {KID_SUBSET}, "
        f"else the mean of {KID_SUBSETS} subsets of {KID_SUBSET}",
    ),
    "precision_recall": _Group(
        _precision_recall,
        "higher",
        "share of the generated (precision) or the photos (recall) that pictures of the other set cover, "
        f"each as far as to its neighbour number {NEIGHBOURS} in its own set",
    ),
    "inception_score": _Group(
        _inception_score, "higher", "Inception Score of one set alone, in one split", needs_logits=True
    ),
}
GROUPS = tuple(_GROUPS)
"""What can be asked for: fid, kid, precision_recall, inception_score."""
