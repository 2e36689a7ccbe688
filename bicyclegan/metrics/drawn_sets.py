"""Whole sets of pictures against whole sets of photos: what FID, KID and precision/recall are measured on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bicyclegan import images
from bicyclegan.metrics.features import Extractor, Features
from bicyclegan.metrics.measurement import Measurement
from bicyclegan.metrics.realism import SetMetric, measure_sets
from bicyclegan.metrics.subject import Subject

ALONE = "inception_score"
"""The one group that looks at the painted pictures alone."""


def compare_sets(
    subject: Subject, extractor: Extractor, groups: Sequence[str], seen: dict[str, Features] | None = None
) -> list[Measurement]:
    """Every sketch painted once with a random code, several times over, against the validation photos.

    The floor beside it: draws of as many training photos, against the same validation photos.

    seen: features of photos that another subject was compared with, by the hash of their pixels; those seen here are
        added. Looking at pictures is what takes the time.
    """
    seen = {} if seen is None else seen
    real = _extract_photos(subject, extractor, subject.data.photos, "looking at photos", seen)
    metrics = measure_sets(_generated(subject, extractor), real, groups)
    floors = {metric.name: metric for metric in _floor(subject, extractor, real, groups, seen)}
    return [_measurement(subject, extractor, metric, floors.get(metric.name)) for metric in metrics]


def _generated(subject: Subject, extractor: Extractor) -> list[Features]:
    """Of each draw; a model without code paints the same in all of them."""
    draws = []
    for draw in range(subject.protocol.draws if subject.latent_dim else 1):
        what = f"painting set {draw + 1}"
        parts = [images.to_uint8(pictures) for _, pictures in subject.paint_all(subject.random_codes(draw), what)]
        draws.append(_extract(subject, extractor, np.concatenate(parts), f"looking at set {draw + 1}"))
    return draws


def _floor(
    subject: Subject, extractor: Extractor, real: Features, groups: Sequence[str], seen: dict[str, Features]
) -> list[SetMetric]:
    """How far photos are from photos."""
    train, count = subject.data.train, len(real)
    compared = [group for group in groups if group != ALONE]
    if len(train) < count or not compared:
        return []
    random = np.random.RandomState([subject.protocol.seed, count])
    order = random.permutation(len(train))
    draws = [order[start : start + count] for start in range(0, len(train) - count + 1, count)]
    what = "looking at training photos"
    features = [_extract_photos(subject, extractor, train[rows], what, seen) for rows in draws]
    return measure_sets(features, real, compared)


def _extract_photos(
    subject: Subject, extractor: Extractor, photos: np.ndarray, what: str, seen: dict[str, Features]
) -> Features:
    key = hashlib.sha256(photos.tobytes()).hexdigest()
    if key not in seen:
        seen[key] = _extract(subject, extractor, photos, what)
    return seen[key]


def _extract(subject: Subject, extractor: Extractor, pictures: np.ndarray, what: str) -> Features:
    channels_first = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2)
    return extractor.extract(
        _three_channels(channels_first), progress=lambda done, total: subject.progress(what, done / total)
    )


def _three_channels(pictures: Tensor) -> Tensor:
    return pictures.expand(-1, 3, -1, -1)


def _measurement(subject: Subject, extractor: Extractor, metric: SetMetric, floor: SetMetric | None) -> Measurement:
    count, side, draws = len(subject.data.photos), subject.data.photos.shape[1], subject.protocol.draws
    # The same words for a model without code, so that both stand in one row of a table.
    told = f"{count} pictures, each sketch with one random code (draws: {draws}; 1 for a model without code)"
    against = "" if metric.group == ALONE else f", against the {count} validation photos"
    network = f" at {side} px; {extractor.name}; {metric.protocol}."
    error = " Mean over draws, and its standard error."
    reference = f" Reference: {len(floor.values)} draws of {count} training photos." if floor else ""
    return Measurement(
        name=metric.name,
        group=metric.group,
        value=metric.mean,
        standard_error=metric.standard_error,
        count=count,
        protocol=told + against + network + error + reference,
        checkpoint_hash=subject.checkpoint.hash,
        better=metric.better,
        references={"train_photos": floor.mean} if floor else {},
    )
