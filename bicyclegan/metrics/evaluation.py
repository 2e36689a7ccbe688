"""What a checkpoint is worth: all measurements on one data set, several checkpoints side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from bicyclegan.checkpoints import Checkpoint, load_checkpoint
from bicyclegan.config import CheckpointConfig, EdgeStyle
from bicyclegan.data import open_data
from bicyclegan.data.files import find_files
from bicyclegan.errors import UserError
from bicyclegan.latent import MAX_SEED, check_integer
from bicyclegan.metrics.distance import RGB, Distance, best_distance, download_backbone, missing_packages
from bicyclegan.metrics.drawn_sets import ALONE, compare_sets
from bicyclegan.metrics.features import (
    NEEDS,
    NEEDS_FULL,
    Extractor,
    Features,
    download_inception,
    find_inception,
    load_extractor,
)
from bicyclegan.metrics.groups import GROUPS as OWN_GROUPS
from bicyclegan.metrics.measurement import CheckpointFacts, EvaluationResult, Skipped
from bicyclegan.metrics.realism import GROUPS as SET_GROUPS
from bicyclegan.metrics.realism import MIN_PICTURES, groups_of
from bicyclegan.metrics.subject import Photos, Progress, Protocol, Subject, quiet
from bicyclegan.photo_codes import PlainPairs
from bicyclegan.pipeline import Device, choose_device
from bicyclegan.training.config import DataConfig, LossConfig, TrainConfig

GROUPS = (*OWN_GROUPS, *SET_GROUPS)
"""All that can be asked for."""
PACKAGE = "torch_fidelity"
"""What sets of pictures are compared with."""
DEFAULT_LIMIT, MAX_LIMIT = 500, 50_000
"""Validation pictures that are measured."""


@dataclass(frozen=True)
class Request:
    """What to measure, and how."""

    data: Path
    """Photos or pairs, as for training: its validation part is measured, its training part is the floor."""
    groups: tuple[str, ...] = ()
    """Of `GROUPS`; by default all that can be measured here."""
    protocol: Protocol = field(default_factory=Protocol)
    limit: int = DEFAULT_LIMIT
    """Most validation pictures, evenly spread, 1 to 50,000."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    inception: Path | None = None
    """File with Inception weights; by default the one in $TORCH_HOME/hub/checkpoints."""
    device: Device = "auto"

    def __post_init__(self) -> None:
        check_integer("limit", self.limit, 1, MAX_LIMIT)
        check_integer("seed", self.protocol.seed, 0, MAX_SEED)
        for name in ("inputs", "samples", "draws"):
            check_integer(name, getattr(self.protocol, name), 1 if name == "draws" else 2, 1000)
        if unknown := [name for name in self.groups if name not in GROUPS]:
            raise UserError(
                "evaluate_group",
                "There is no group of metrics {name!r}; use some of {known}.",
                name=unknown[0],
                known=", ".join(GROUPS),
            )


@dataclass(frozen=True, eq=False)
class Evaluated:
    """An evaluation, and the measured checkpoint with its photos for those who want pictures of it."""

    result: EvaluationResult
    subject: Subject


def evaluate_checkpoints(
    checkpoint: Path, request: Request, compare: Sequence[Path] = (), progress: Progress = quiet
) -> Evaluated:
    """Measure a checkpoint, and others beside it on the same pictures.

    A group that was asked for by name and cannot be measured ends it; for `compare`, and by default, it is skipped.

    Raises:
        UserError: for a broken checkpoint or data, and for a group that was asked for and cannot be measured here.
    """
    models = [load_checkpoint(folder) for folder in (checkpoint, *compare)]  # what is broken ends it before
    split = _has_validation(request)  # anything is downloaded or decoded
    distance, extractor = _distance(request), _extractor(request)
    groups = request.groups or GROUPS
    draws = request.protocol.floor_draws if split and extractor and {*groups} & {*SET_GROUPS} - {ALONE} else 0
    data = _photos_of_all(models, request, split, draws, progress)
    subjects = [
        Subject(_placed(model, request), photos, distance, request.protocol, progress)
        for model, photos in zip(models, data, strict=True)
    ]
    for name in request.groups:
        if missing := _missing(name, subjects[0], extractor):
            raise _cannot(name, missing)
    seen: dict[str, Features] = {}
    facts = [_facts(subject, groups, extractor, seen) for subject in subjects]
    result = EvaluationResult(
        data=request.data.resolve().name,
        validation_images=len(subjects[0].data.photos),
        training_images=len(subjects[0].data.train),
        seed=request.protocol.seed,
        checkpoint=facts[0],
        compared=facts[1:],
    )
    return Evaluated(result, subjects[0])


def _has_validation(request: Request) -> bool:
    """Whether the data has a validation part; else all pictures are measured, and there are no others for a floor."""
    files = find_files(DataConfig(direction=request.direction), str(request.data))
    return files.validation_source.startswith("folder ")


def _photos_of_all(
    models: Sequence[Checkpoint], request: Request, split: bool, draws: int, progress: Progress
) -> list[Photos]:
    """What each model is measured on. Models that take the same pictures share them, for they fill the memory."""
    read: dict[object, Photos] = {}
    keys: list[object] = []
    with tempfile.TemporaryDirectory(prefix="bicyclegan-", ignore_cleanup_errors=True) as cache:
        for config in (model.config for model in models):
            networks = config.model
            keys.append((networks.image_size, networks.input_channels, networks.output_channels, config.edge_style))
            if keys[-1] not in read:
                read[keys[-1]] = _photos(config, request, split, draws, cache, progress)
    return [read[key] for key in keys]


def _photos(
    config: CheckpointConfig, request: Request, split: bool, draws: int, cache: str, progress: Progress
) -> Photos:
    """Validation pairs for a model, and training photos for so many draws, decoded and in memory."""
    source = DataConfig(
        direction=request.direction,
        max_images=max(2, draws * request.limit),  # `open_data` refuses fewer than 2
        val_data="" if split else str(request.data),
        cache_dir=cache,
    )
    opened = open_data(_data_config(config, request, source), lambda what, done, total: progress(what, done / total))
    if config.edge_style is None and opened.report.layout == "photos":
        raise UserError("no_edges", "{name} draws from label maps, not edges.", name=config.name)
    pairs, train = PlainPairs(opened.validation), PlainPairs(opened.train)
    kept = _spread(len(pairs), request.limit)
    sketches, photos = (np.stack(side) for side in zip(*(pairs[index] for index in kept), strict=True))
    others = _spread(len(train), draws * len(kept))
    floor = np.empty((len(others), *photos.shape[1:]), np.uint8)  # stacking would take the memory twice
    for place, index in enumerate(others):
        floor[place] = train[index][1]
    return Photos(sketches, photos, tuple(pairs.names[index] for index in kept), floor)


def _spread(count: int, limit: int) -> list[int]:
    """Up to `limit` different indices below `count`, evenly spaced: files are often sorted by class."""
    return np.linspace(0, count - 1, min(count, limit)).round().astype(int).tolist()


def _data_config(config: CheckpointConfig, request: Request, source: DataConfig) -> TrainConfig:
    """What `open_data` must know to make pairs for this model; nothing is trained."""
    objective = "pix2pix+noise" if config.model.latent_dim else "pix2pix"
    style = config.edge_style or EdgeStyle()
    return TrainConfig(
        str(request.data), source=source, edge_style=style, model=config.model, loss=LossConfig(objective)
    )


def _placed(model: Checkpoint, request: Request) -> Checkpoint:
    device = choose_device(request.device)
    for network in filter(None, (model.generator, model.encoder)):
        network.to(device)
    return model


def _distance(request: Request) -> Distance:
    """LPIPS where its weights are here, or where it was asked for by name and they can be had."""
    if "lpips_diversity" in request.groups and best_distance() is RGB:
        if packages := missing_packages():
            raise _cannot("lpips_diversity", f"the Python package {' and '.join(packages)}")
        download_backbone()
    return best_distance()


def _extractor(request: Request) -> Extractor | None:
    """The Inception network, if anything asked for needs it; fetched only for what was asked for by name."""
    wanted = set(request.groups or SET_GROUPS) & set(SET_GROUPS)
    if not wanted or not find_spec(PACKAGE):
        return None
    path = find_inception(request.inception)
    asked = wanted if request.groups else set()
    if asked and (path is None or (request.inception is None and "inception_score" in asked)):
        path = download_inception()
    return load_extractor(path, choose_device(request.device)) if path else None


def _missing(group: str, subject: Subject, extractor: Extractor | None) -> str:
    """What a group lacks here; empty if nothing."""
    if group in OWN_GROUPS:
        return OWN_GROUPS[group].needs(subject)
    if len(subject.data.photos) < MIN_PICTURES:
        return f"at least {MIN_PICTURES} validation photos"
    if extractor is None:
        return NEEDS if find_spec(PACKAGE) else f"the Python package {PACKAGE.replace('_', '-')}"
    return "" if group in groups_of(extractor.suffix) else NEEDS_FULL


def _cannot(group: str, missing: str) -> UserError:
    return UserError(
        "evaluate_needs",
        "{group} cannot be measured here: it needs {missing}. Leave it out, or provide that.",
        group=group,
        missing=missing,
    )


def _facts(
    subject: Subject, groups: Sequence[str], extractor: Extractor | None, seen: dict[str, Features]
) -> CheckpointFacts:
    """All measurements of one checkpoint, and what could not be measured."""
    missing = {name: _missing(name, subject, extractor) for name in groups}
    possible = [name for name, what in missing.items() if not what]
    measurements = [each for name in possible if name in OWN_GROUPS for each in OWN_GROUPS[name].measure(subject)]
    sets = [name for name in possible if name in SET_GROUPS]
    if sets and extractor:
        measurements += compare_sets(subject, extractor, sets, seen)
    checkpoint, config = subject.checkpoint, subject.checkpoint.config
    networks = filter(None, (checkpoint.generator, checkpoint.encoder))
    return CheckpointFacts(
        name=config.name,
        hash=checkpoint.hash,
        image_size=config.model.image_size,
        latent_dim=config.model.latent_dim,
        parameters=sum(weight.numel() for network in networks for weight in network.parameters()),
        training=config.training,
        measurements=measurements,
        skipped=[Skipped(name, f"needs {what}") for name, what in missing.items() if what],
    )
