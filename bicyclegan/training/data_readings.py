"""What a data set's check means for whoever brought the pictures, as codes and numbers for any language.

The sentences are the page's: `check.<code>` and `check.<code>_remedy` in its locale files, and speak of its controls.
(`DataReport.warnings` say much of this for the command line, with its options.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bicyclegan.checkpoints import load_config, resolve
from bicyclegan.config import CheckpointConfig
from bicyclegan.data import Data
from bicyclegan.data.check import ENLARGED, FEW, Sketches
from bicyclegan.data.files import PICTURES, UNKNOWN_PICTURES, DataFiles
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.upload_names import SIDE_FOLDERS

Severity = Literal["note", "watch", "ill"]
"""note: good to know. watch: the result will suffer. ill: it will not work."""
SEVERITIES: dict[str, Severity] = {
    "few_pictures": "watch",
    "small_pictures": "watch",
    "unreadable": "watch",
    "unpaired": "watch",
    "unused": "watch",
    "duplicates": "note",
    "leaks": "watch",
    "constant": "watch",
    "flipped": "note",
    "exchanged": "watch",
    "coloured": "note",
    "coloured_start": "watch",
    "lines_start": "watch",
    "shaded": "note",
    "few_edges": "watch",
    "many_edges": "watch",
    "few_lines": "watch",
    "many_lines": "watch",
}
"""How bad each of the readings is."""
NEARLY_EMPTY, NEARLY_FULL = 0.005, 0.25
"""Shares of black below and above which lines show no shape."""
SOME = 0.25
"""Share of the sketches from which that is worth a word."""
EXAMPLES = 3
MAX_EXAMPLE = 160


@dataclass(frozen=True)
class DataReading:
    """One thing to know about a data set."""

    code: str
    """One of `SEVERITIES`."""
    values: dict[str, Any] = field(default_factory=dict)
    """For the placeholders of its texts: numbers, and names of files."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dump`."""
        return {"code": self.code, "severity": SEVERITIES[self.code], "values": self.values}


def start_of(config: TrainConfig) -> CheckpointConfig | None:
    """What the checkpoint is that a run starts from; None where it starts from scratch."""
    return load_config(resolve(config.init_from)) if config.init_from else None


def read_data(
    config: TrainConfig,
    data: Data,
    files: DataFiles,
    sketches: Sketches,
    shown: Sequence[np.ndarray],
    flipped: bool = False,
) -> Iterator[DataReading]:
    """All that there is to say, the most important first.

    Args:
        config: with which the data were opened.
        sketches: what `check_sketches` says of them.
        shown: some sketches as the networks get them, uint8 (S, S, C).
        flipped: whether the sides were exchanged by ourselves.
    """
    yield from _about_start(config, sketches)
    yield from _about_sides(config, sketches, flipped)
    if data.report.sketches in ("computed", "lines"):
        yield from _about_ink(data.report.sketches, shown)
    yield from _about_files(config, data, files)
    yield from _about_pictures(config, data)


def _about_start(config: TrainConfig, sketches: Sketches) -> Iterator[DataReading]:
    coloured, start = sketches.kind in ("labels", "pictures"), start_of(config)
    if start and start.model.input_channels != config.model.input_channels:
        yield DataReading("coloured_start" if coloured else "lines_start")
    elif start and start.edge_style is None and not coloured:
        yield DataReading("lines_start")
    elif coloured:
        yield DataReading("coloured")


def _about_sides(config: TrainConfig, sketches: Sketches, flipped: bool) -> Iterator[DataReading]:
    if flipped:
        yield DataReading("flipped")
    elif sketches.exchanged:
        yield DataReading("exchanged")
    if sketches.shaded:
        yield DataReading("shaded")


def _about_ink(kind: str, shown: Sequence[np.ndarray]) -> Iterator[DataReading]:
    """Lines of which nothing is to be seen, because there are hardly any or they cover all."""
    ink = np.array([np.mean(sketch < 128) for sketch in shown])
    what = "edges" if kind == "computed" else "lines"
    for how, odd in (("few", ink < NEARLY_EMPTY), ("many", ink > NEARLY_FULL)):
        if odd.sum() >= max(1, SOME * len(ink)):
            yield DataReading(f"{how}_{what}", {"count": int(odd.sum()), "total": len(ink)})


def _about_files(config: TrainConfig, data: Data, files: DataFiles) -> Iterator[DataReading]:
    report = data.report
    for code, names in (("unreadable", report.unreadable), ("unpaired", report.unpaired)):
        if names:
            yield _listed(code, names)
    unused = _unused(config, files)
    if unused:
        yield _listed("unused", unused)


def _about_pictures(config: TrainConfig, data: Data) -> Iterator[DataReading]:
    report, size = data.report, config.model.image_size
    if report.train < FEW:
        yield DataReading("few_pictures", {"count": report.train})
    sizes = np.concatenate([data.train.pictures.sizes, data.validation.pictures.sizes])
    small = int(np.sum(sizes.max(axis=1) < size))
    if small >= ENLARGED * len(sizes):
        yield DataReading("small_pictures", {"count": small, "total": len(sizes), "size": size})
    if report.constant:
        yield _listed("constant", report.constant)
    leaks = sum(other.endswith(" (validation)") > one.endswith(" (validation)") for one, other in report.duplicates)
    if leaks:
        yield DataReading("leaks", {"count": leaks})
    if len(report.duplicates) > leaks:
        twins = [" = ".join(pair) for pair in report.duplicates]
        yield DataReading("duplicates", {**_listed("duplicates", twins).values, "count": len(twins) - leaks})


def _unused(config: TrainConfig, files: DataFiles) -> list[str]:
    """Pictures that are no part of the data set: beside a folder train, or beside the two sides of pairs."""
    if config.source.max_images:
        return []
    root = Path(config.data)
    used = {path for each in (*files.train, *files.validation) for path in (each.photo, each.sketch) if path}
    unused = []
    for at, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        parts = Path(at).relative_to(root).parts
        if files.layout == "folders" and any(part.lower() in SIDE_FOLDERS for part in parts):
            continue  # these lack their other half
        inside = (Path(at, name) for name in names if not name.startswith("."))
        pictures = (path for path in inside if path.suffix.lower() in (*PICTURES, *UNKNOWN_PICTURES))
        unused += [path.relative_to(root).as_posix() for path in pictures if path not in used]
    return sorted(unused)


def _listed(code: str, names: Sequence[str]) -> DataReading:
    examples = "; ".join(name.rstrip(".")[:MAX_EXAMPLE] for name in names[:EXAMPLES])
    return DataReading(code, {"count": len(names), "examples": examples + (" …" if len(names) > EXAMPLES else "")})
