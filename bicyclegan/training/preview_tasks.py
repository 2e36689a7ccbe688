"""What `preview_worker` finds out: what the pictures of a run are, and what the run would cost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from bicyclegan.data import open_data
from bicyclegan.data.check import Sketches, check_sketches
from bicyclegan.data.files import VALIDATION_FOLDERS, DataFiles, find_files
from bicyclegan.data.pairs import cache_folder
from bicyclegan.errors import UserError
from bicyclegan.photo_codes import spread
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.data_readings import read_data, start_of
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.training.thumbs import make_thumbs

Tell = Callable[[str, int, int], None]
"""Called with what is being done (reading, checking, measuring), how much is done, and how much there is."""
SHOWN = 24
"""Pairs of which there are thumbnails."""
NO_COLOURS = ("#000000",)
"""Palette of grey sketches."""


def check(config: TrainConfig, tell: Tell, fixed: Collection[str] = ()) -> dict[str, Any]:
    """Look through all pictures of a data set, and find out what they are.

    Args:
        fixed: names of fields that a person has decided about: direction, input_channels. Others may be changed where
            the pictures say so; the answer's `suggest` holds what was.

    Raises:
        UserError: where there is nothing to learn from.
    """
    _tidy(config)
    given = config
    config, sketches, files = _settled(config, fixed)
    data = open_data(config, lambda _, done, total: tell("reading", min(done, total), total))
    _tidy(config, {data.train.pictures.path, data.validation.pictures.path})
    kept, pairs = spread(len(data.train), SHOWN), []
    for place, index in enumerate(kept):
        tell("checking", place, len(kept))
        pairs.append(data.train.plain(index))
    flipped = config.source.direction != given.source.direction
    readings = read_data(config, data, files, sketches, [sketch for sketch, _ in pairs], flipped)
    report = replace(data.report, cache=".cache", cache_total_bytes=data.report.cache_bytes)
    thumbs = make_thumbs(pairs, [data.train.names[index] for index in kept], report.sketches, config.edge_style)
    return {
        "report": report.to_json(),
        "lines": report.lines(),
        "readings": [reading.to_json() for reading in readings],
        "thumbs": asdict(thumbs),
        "palette": list(data.palette),
        "input_channels": config.model.input_channels,
        "suggest": _changes(given, config),
    }


def plan(config: TrainConfig, tell: Tell) -> dict[str, Any]:
    """What a run would take, from some measured steps. Raises `UserError` where training would."""
    from bicyclegan.training.plan import make_plan

    open_data(config, lambda _, done, total: tell("reading", min(done, total), total))  # the plan finds them decoded
    tell("measuring", 0, 0)
    return asdict(make_plan(config, lambda line: None))


def _settled(config: TrainConfig, fixed: Collection[str]) -> tuple[TrainConfig, Sketches, DataFiles]:
    """The config that fits the pictures, what their sketches are, and the files.

    Pairs in colour need three channels; and where the sketches look like photos, the other side holds the sketches.
    """
    free = {"direction", "input_channels"} - set(fixed)
    start = start_of(config)
    if "input_channels" in free:  # an earlier answer's, of other pictures, counts no more
        config = _with_channels(config, start.model.input_channels if start else 1)
    while True:
        files = _found(config)
        try:
            sketches = check_sketches(config, files)
            exchanged = sketches.exchanged and sketches.palette != NO_COLOURS
        except UserError as error:
            if error.code not in ("data_coloured", "data_exchanged"):
                raise
            sketches, exchanged = None, error.code == "data_exchanged"
        if exchanged and "direction" in free:
            free.remove("direction")  # once
            other: Literal["AtoB", "BtoA"] = "BtoA" if config.source.direction == "AtoB" else "AtoB"
            config = replace(config, source=replace(config.source, direction=other))
        elif sketches is None:
            config = _with_channels(config, 3)
        else:
            return config, sketches, files


def _found(config: TrainConfig) -> DataFiles:
    try:
        return find_files(config.source, config.data)
    except UserError as error:
        kept = [path.name for path in Path(config.data).glob("*") if path.name.lower().startswith(VALIDATION_FOLDERS)]
        if error.code == "data_empty" and kept:
            raise UserError(
                "data_only_validation",
                "All pictures are in a folder called {name}, and what is in there is kept to test on. Remove them, "
                "give the folder another name and drop it again.",
                name=kept[0],
            ) from None
        raise


def _with_channels(config: TrainConfig, channels: int) -> TrainConfig:
    return replace(config, model=replace(config.model, input_channels=channels))


def _changes(given: TrainConfig, config: TrainConfig) -> dict[str, Any]:
    """Options of `given` that became others, by their names."""
    pairs = {
        "direction": (given.source.direction, config.source.direction),
        "input_channels": (given.model.input_channels, config.model.input_channels),
    }
    return {name: after for name, (before, after) in pairs.items() if before != after}


def _tidy(config: TrainConfig, keep: Iterable[Path] = ()) -> None:
    """Remove decoded pictures that no longer count, and those that a killed process has left half written.

    Only where they belong to this run alone, and it has not begun.
    """
    folder, run = cache_folder(config), RunFolder(Path(config.out))
    if not config.out or not folder.resolve().is_relative_to(run.root.resolve()) or run.config_file.exists():
        return
    kept = {path.with_suffix(suffix).name for path in keep for suffix in (".npy", ".npz")}
    for path in folder.glob("*"):
        half_written = path.name.startswith(".")
        if half_written or (kept and path.name not in kept):
            path.unlink(missing_ok=True)
