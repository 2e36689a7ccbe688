"""What is in a data set, and what is wrong with it, before anything is trained on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bicyclegan.data.cache import Pictures, split_pair
from bicyclegan.data.files import DataFiles, Entry
from bicyclegan.errors import UserError
from bicyclegan.sketch.kind import Kind, describe_sketches, texture
from bicyclegan.training.config import TrainConfig

FEW = 50
"""Training pictures below which a model only repeats them."""
LISTED = 5
"""Names that `DataReport.lines` spells out of each list."""
SAME_LEVELS, SAME_MEAN = 12, 1.5
"""Levels by which thumbnails of one picture, saved twice, may differ at most, and on average."""
REACH = 18.0
"""Distance of those along a principal component of 8 x 8 x 3 values: if all were off by a level, it would be 14."""
PAIRS_LOOKED_AT = 32
"""Pairs that decide what kind of sketches these are."""
LARGEST_LOOK = 1024
"""Side in pixels above which only every n-th pixel is looked at."""
ENLARGED = 0.1
"""Share of pictures smaller than the model's from which a warning is given."""
SKETCH_TEXTURE = (1.3, 0.02)
"""Factor and offset by which sketches may hold more texture than photos before they look exchanged."""


@dataclass(frozen=True)
class DataReport:
    """The check of a data set. Plain data: `to_json`; for people: `lines`."""

    layout: str
    """photos, side-by-side or folders."""
    direction: str
    """AtoB or BtoA; empty for photos."""
    sketches: str
    """computed, lines, labels or pictures."""
    train: int
    """Training pictures that can be read."""
    validation: int
    """Validation pictures that can be read."""
    validation_source: str
    """Where those come from."""
    smallest: tuple[int, int]
    """Width and height in px of the photo with the fewest pixels."""
    largest: tuple[int, int]
    """The same, of the one with the most."""
    unreadable: tuple[str, ...] = ()
    """Files that were skipped, each with the reason."""
    unpaired: tuple[str, ...] = ()
    """Files that lack their other half."""
    duplicates: tuple[tuple[str, str], ...] = ()
    """Pairs of names with the same picture."""
    constant: tuple[str, ...] = ()
    """Pictures that show nothing."""
    warnings: tuple[str, ...] = ()
    """What should be mended or known, one sentence each."""
    cache: str = ""
    """Folder of the decoded pictures."""
    cache_bytes: int = 0
    """Size of those of this data set."""
    cache_total_bytes: int = 0
    """Size of all that lies in that folder, older data sets included."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dump`."""
        return dataclasses.asdict(self)

    def lines(self) -> list[str]:
        """What a person should read, one line each, warnings last."""
        direction = f", {self.direction}" if self.direction else ""
        small, large = (f"{width} x {height}" for width, height in (self.smallest, self.largest))
        lines = [
            f"data: {self.layout}{direction}, sketches: {self.sketches}",
            f"{self.train:,} pictures to train on, {self.validation:,} to validate on ({self.validation_source})",
            f"sizes: {small} px" + ("" if small == large else f" to {large} px"),
            f"decoded: {self.cache_bytes / 1e6:,.0f} MB of {self.cache_total_bytes / 1e6:,.0f} MB in {self.cache}",
        ]
        lists = {
            "skipped": [each.rstrip(".") for each in self.unreadable],
            "without their other half": self.unpaired,
            "twice": [" = ".join(pair) for pair in self.duplicates],
            "showing nothing": self.constant,
        }
        lines += [f"{len(names):,} {what}: {_some(names, '; ')}" for what, names in lists.items() if names]
        return lines + [f"warning: {warning}" for warning in self.warnings]


@dataclass(frozen=True)
class Sketches:
    """What the sketches of a data set are."""

    kind: Kind | Literal["computed"]
    """computed: found in the photos."""
    palette: tuple[str, ...] = ("#000000",)
    """Colours '#rrggbb' they are drawn in, the most frequent first."""
    warnings: tuple[str, ...] = ()
    exchanged: bool = False
    """Whether they look more like photos than the photos do."""
    shaded: bool = False
    """Whether they hold many shades of grey, of which pure lines remain."""


def check_sketches(config: TrainConfig, files: DataFiles) -> Sketches:
    """Look at some pairs. Raises `UserError` when the sketches are in colour and the model reads grey ones."""
    if files.layout == "photos":
        return Sketches("computed")
    pairs = list(_look_at_pairs(files.train, config.source.direction == "AtoB"))
    if not pairs:  # all of them are broken: the report says so
        return Sketches("lines")
    found = describe_sketches([sketch for sketch, _ in pairs])
    textures = (float(np.mean([texture(side) for side in sides])) for sides in zip(*pairs, strict=True))
    exchanged, one_channel = looks_exchanged(*textures), config.model.input_channels == 1
    if one_channel and not found.grey:
        raise _coloured(config, found.palette, exchanged)
    warnings, shaded = [], one_channel and found.kind == "pictures"
    if exchanged:
        warnings.append(
            "Sketches and photos look exchanged: the sketches hold more texture than the photos. If so, use "
            f"--direction {_other_direction(config)}."
        )
    if shaded:
        warnings.append(
            "The sketches hold many shades of grey and become pure lines, as drawings do: --input-channels 3 keeps "
            "their shades."
        )
    return Sketches("lines" if one_channel else found.kind, found.palette, tuple(warnings), exchanged, shaded)


def make_report(
    config: TrainConfig,
    files: DataFiles,
    train: Pictures,
    validation: Pictures,
    notes: Sequence[str] = (),
    skipped: Sequence[str] = (),
) -> DataReport:
    """Look through the decoded pictures. notes, skipped: warnings, and unreadable files, that are known already.

    Raises `UserError` when there is too little to train on or to validate on.
    """
    skipped = (*train.unreadable, *validation.unreadable, *skipped)
    check_enough(config, len(train), len(validation), skipped)
    names = (*train.names, *(f"{name} (validation)" for name in validation.names))
    shows_nothing = {0: "", 1: "", 2: " (sketch)", 3: " (both)"}
    kinds = np.concatenate([train.constant, validation.constant]).tolist()
    constant = tuple(name + shows_nothing[kind] for name, kind in zip(names, kinds, strict=True) if kind)
    twins = find_duplicates(np.concatenate([train.thumbs, validation.thumbs]))
    leaks = sum(one < len(train) <= other for one, other in twins)
    sizes = np.concatenate([train.sizes, validation.sizes])
    order = np.argsort(sizes.prod(axis=1), kind="stable")
    return DataReport(
        layout=files.layout,
        direction="" if files.layout == "photos" else config.source.direction,
        sketches=train.spec.sketch,
        train=len(train),
        validation=len(validation),
        validation_source=files.validation_source,
        smallest=tuple(sizes[order[0]].tolist()),
        largest=tuple(sizes[order[-1]].tolist()),
        unreadable=skipped,
        unpaired=files.unpaired,
        duplicates=tuple((names[one], names[other]) for one, other in twins),
        constant=constant,
        warnings=(
            *notes,
            *_size_warnings(config.model.image_size, sizes, len(train)),
            *_content_warnings(files, len(twins), leaks, constant),
        ),
        cache=str(train.path.parent),
        cache_bytes=sum(_size(each.path) for each in (train, validation)),
        cache_total_bytes=sum(_size(path) for path in train.path.parent.glob("*.npy")),
    )


def check_enough(config: TrainConfig, train: int, validation: int, skipped: Sequence[str] = ()) -> None:
    """Raise `UserError` unless there are two pictures to train on and one to validate on."""
    if train >= 2 and validation >= 1:
        return
    raise UserError(
        "data_too_few",
        "{data} gives {train} picture(s) to train on and {validation} to validate on; at least 2 and 1 are needed, "
        "some hundreds are better. Skipped: {skipped}.",
        data=config.data,
        train=train,
        validation=validation,
        skipped=_some([each.rstrip(".") for each in skipped], "; ") if skipped else 0,
    )


def find_duplicates(thumbs: np.ndarray) -> list[tuple[int, int]]:
    """Indices of pictures that look the same: each, in order, with the first that is like it (first, later).

    thumbs: uint8 (N, 16, 16, 3).
    """
    first: dict[int, int] = {}
    for one, other in _similar_pairs(thumbs):
        first[other] = min(first.get(other, one), one)
    return [(one, other) for other, one in sorted(first.items())]


def looks_exchanged(sketch_texture: float, photo_texture: float) -> bool:
    """Whether the sketches look more like photos than the photos do."""
    factor, offset = SKETCH_TEXTURE
    return sketch_texture > factor * photo_texture + offset


def _look_at_pairs(entries: tuple[Entry, ...], sketch_left: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pixels of sketch and photo of some pairs from all over."""
    for place in np.unique(np.linspace(0, len(entries) - 1, PAIRS_LOOKED_AT).astype(int)):
        try:
            sides = split_pair(entries[place], sketch_left)
        except UserError:
            continue  # the check names it when all are decoded
        step = max(1, -(-max(sides[0].size) // LARGEST_LOOK))
        sketch, photo = (np.ascontiguousarray(np.asarray(side)[::step, ::step]) for side in sides)
        yield sketch, photo


def _other_direction(config: TrainConfig) -> str:
    return "BtoA" if config.source.direction == "AtoB" else "AtoB"


def _coloured(config: TrainConfig, colours: tuple[str, ...], exchanged: bool) -> UserError:
    """The sketches are in colour, and the model reads grey."""
    seen = ", ".join(colours[:4])
    if exchanged:
        return UserError(
            "data_exchanged",
            "The sketches are in colour ({seen}) and look like the photos: try --direction {direction}; if this is "
            "right as it is, add --input-channels 3.",
            seen=seen,
            direction=_other_direction(config),
        )
    return UserError(
        "data_coloured",
        "The sketches are in colour ({seen}), but input_channels is 1, for black lines: add --input-channels 3, or "
        "--layout photos if these are no pairs.",
        seen=seen,
    )


def _similar_pairs(thumbs: np.ndarray) -> list[tuple[int, int]]:
    """Indices (lower, higher) of thumbnails that hardly differ.

    Pictures that are alike have principal components that are alike: only neighbours on the first are compared,
    by the others, and those that are left in full.
    """
    keys = _principal_components(thumbs)
    order = np.argsort(keys[:, 0], kind="stable")
    keys, pairs = keys[order], []
    for step in range(1, len(order)):
        near = np.flatnonzero(keys[step:, 0] - keys[:-step, 0] <= REACH)
        if not len(near):
            break
        near = near[(np.abs(keys[near + step] - keys[near]) <= REACH).all(axis=1)]
        low, high = order[near], order[near + step]
        differences = np.abs(thumbs[low].astype(np.int16) - thumbs[high]).reshape(len(near), thumbs[0].size)
        same = (differences.max(axis=1) <= SAME_LEVELS) & (differences.mean(axis=1) <= SAME_MEAN)
        pairs += zip(np.minimum(low, high)[same].tolist(), np.maximum(low, high)[same].tolist(), strict=True)
    return pairs


def _principal_components(thumbs: np.ndarray) -> np.ndarray:
    """Coordinates (N, 8) of the thumbnails, at half their size, along the directions they differ in most."""
    half = thumbs.reshape(len(thumbs), 8, 2, 8, 2, 3).mean(axis=(2, 4), dtype=np.float32).reshape(len(thumbs), -1)
    half -= half.mean(axis=0)
    some = half[:: 1 + len(half) // 2000]
    _, directions = np.linalg.eigh(some.T @ some)
    return half @ directions[:, :-9:-1]


def _size_warnings(image_size: int, sizes: np.ndarray, train: int) -> Iterator[str]:
    if train < FEW:
        yield (
            f"Only {train} pictures to train on: the model will repeat them. Some hundreds are better, or start from "
            "a checkpoint with --init-from."
        )
    small = int(np.sum(sizes.max(axis=1) < image_size))
    if small >= ENLARGED * len(sizes):
        yield (
            f"{small:,} of {len(sizes):,} pictures are smaller than {image_size} px and are enlarged, which makes "
            "results soft: a smaller --image-size fits them."
        )


def _content_warnings(files: DataFiles, twins: int, leaks: int, constant: Sequence[str]) -> Iterator[str]:
    if leaks:
        yield f"{leaks:,} validation picture(s) are also trained on: their metrics are flattered."
    if twins > leaks:
        yield f"{twins - leaks:,} picture(s) are there twice: each counts double."
    if constant:
        yield f"{len(constant):,} picture(s) show nothing: {_some(constant)}."
    if files.links:
        yield f"{len(files.links):,} link(s) lead out of the folder and were not followed: {_some(files.links)}."
    if files.others:
        yield f"{len(files.others):,} file(s) are no pictures and were left out: {_some(files.others)}."


def _some(names: Sequence[str], between: str = ", ") -> str:
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return between.join(names[:LISTED]) + more


def _size(path: Path) -> int:
    return path.stat().st_size
