"""Sheets of samples of the runs at equal updates, as many as fit into a page."""

from __future__ import annotations

import base64
import re
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from bicyclegan.errors import UserError
from bicyclegan.images import load_image, read_size, webp_bytes
from bicyclegan.training.comparison.runs import Run

BUDGET = 8_000_000
"""Characters that all pictures together may take in the page."""
MAX_MOMENTS, FEW_MOMENTS = 24, 6
"""Updates to choose from; below the second number pictures are rather made smaller than left out."""
SMALLEST = 0.3
"""Scale below which a sheet shows nothing any more."""
MAX_DAMAGED = 10
"""Damaged sheets that are named."""
SHEET = re.compile(r"step-(\d{1,9})\.webp")


@dataclass(frozen=True)
class Sheet:
    """One picture in the page."""

    step: int
    source: str
    """As a data URL."""
    size: tuple[int, int]


@dataclass(frozen=True)
class Moment:
    """An update, and which sheet of each run shows it: its own, or the nearest earlier one. None: none is so early."""

    step: int
    shown: tuple[int | None, ...]
    """Updates of the sheets."""


@dataclass(frozen=True)
class Samples:
    """What the page shows of samples."""

    moments: tuple[Moment, ...] = ()
    start: int = 0
    """Place of the moment that is shown first: the last for which every run has a sheet of its own, if there is one."""
    sheets: tuple[tuple[Sheet, ...], ...] = ()
    """Of each run, in order; empty for a run without samples."""
    notes: tuple[str, ...] = ()
    """What was left out."""


@dataclass(frozen=True)
class _File:
    """A sheet on the disk."""

    path: Path
    size: tuple[int, int] | None
    """None for one that cannot be read."""
    bytes: int


def collect_samples(runs: Sequence[Run], budget: int = BUDGET) -> Samples:
    """Choose and read sheets.

    Args:
        budget: characters that their data URLs may take together. Over it first moments are left out, then pictures
            are made smaller.
    """
    files = [_sheet_files(run) for run in runs]
    while moments := find_moments([[step for step, file in found.items() if file.size] for found in files]):
        kept, scale = fit_budget(moments, files, budget)
        sheets = [{step: _read(found[step], step, scale) for step in _needed(kept, k)} for k, found in enumerate(files)]
        damaged = [(k, step) for k, read in enumerate(sheets) for step, sheet in read.items() if sheet is None]
        if not damaged:
            shown = tuple(tuple(read.values()) for read in sheets)
            notes = (*_left_out(runs, files), *_told(moments, kept, scale))
            return Samples(tuple(kept), kept.index(start_moment(kept)), shown, notes)
        for k, step in damaged:
            files[k][step] = replace(files[k][step], size=None)
    return Samples(sheets=((),) * len(runs), notes=_left_out(runs, files))


def find_moments(steps: Sequence[Sequence[int]]) -> list[Moment]:
    """Updates at which some run has a sheet, from the first at which every run that has any can show one.

    Args:
        steps: of the sheets of each run, ascending.
    """
    first = max((found[0] for found in steps if found), default=0)
    moments = sorted({step for found in steps for step in found if step >= first})
    return [
        Moment(moment, tuple(found[bisect_right(found, moment) - 1] if found else None for found in steps))
        for moment in moments
    ]


def start_moment(moments: Sequence[Moment]) -> Moment:
    """The last at which all runs with samples have a sheet of exactly that update; else the last before one ends."""
    last = {place: step for place, step in enumerate(moments[-1].shown) if step is not None}
    equal = [each for each in moments if all(each.shown[place] == each.step for place in last)]
    before = [each for each in moments if each.step <= min(last.values())]
    return (equal or before or moments[:1])[-1]


def fit_budget(moments: Sequence[Moment], files: Sequence[dict[int, _File]], budget: int) -> tuple[list[Moment], float]:
    """Moments that fit, evenly spread, and the scale of the pictures."""
    start = start_moment(moments)
    kept = _spread(moments, MAX_MOMENTS, start)
    while len(kept) > FEW_MOMENTS and _characters(kept, files) > budget:
        kept = _spread(moments, len(kept) - 1, start)
    while len(kept) > 1 and _scale(kept, files, budget) < SMALLEST:
        kept = _spread(moments, len(kept) - 1, start)
    return kept, max(_scale(kept, files, budget), SMALLEST)


def _spread(moments: Sequence[Moment], most: int, start: Moment) -> list[Moment]:
    """At most so many, evenly spread, the first, the last and the one to start with among them; alone that one."""
    if len(moments) <= most:
        return list(moments)
    if most == 1:
        return [start]
    last = len(moments) - 1
    places = {round(place * last / (most - 1)) for place in range(most)}
    wanted = moments.index(start)
    if wanted not in places:
        nearest = min(places - {0, last} or places, key=lambda place: (abs(place - wanted), place))
        places = places - {nearest} | {wanted}
    return [moments[place] for place in sorted(places)]


def _characters(moments: Sequence[Moment], files: Sequence[dict[int, _File]]) -> int:
    """What the sheets of these moments take as they are."""
    return sum(4 * found[step].bytes // 3 for place, found in enumerate(files) for step in _needed(moments, place))


def _scale(moments: Sequence[Moment], files: Sequence[dict[int, _File]], budget: int) -> float:
    """Of the sides of the pictures: their bytes grow with a little less than the area."""
    share = budget / max(1, _characters(moments, files))
    return 1.0 if share >= 1 else 0.9 * share**0.5


def _needed(moments: Sequence[Moment], place: int) -> list[int]:
    """Updates of the sheets of one run."""
    return sorted({step for each in moments if (step := each.shown[place]) is not None})


def _sheet_files(run: Run) -> dict[int, _File]:
    """Sheets by their update, from their headers. Not those of updates that a resume has taken back."""
    last = run.story.last_step if run.story.events else None
    files: dict[int, _File] = {}
    for path in sorted((run.folder / "samples").glob("step-*.webp")):
        match = SHEET.fullmatch(path.name)
        if match is None or not path.is_file() or (last is not None and int(match[1]) > last):
            continue
        size = None
        with suppress(UserError):
            size = read_size(path)
        files[int(match[1])] = _File(path, size, path.stat().st_size)
    return files


def _read(file: _File, step: int, scale: float) -> Sheet | None:
    """A sheet for the page: the file itself, or a smaller copy. None for one that is not whole."""
    try:
        data = file.path.read_bytes()
        picture = load_image(data, file.path.name)
    except UserError:
        return None
    if scale >= 1 and data[8:12] == b"WEBP":
        return Sheet(step, _data_url(data), picture.size)
    width, height = (max(1, round(side * min(scale, 1.0))) for side in picture.size)
    small = picture.resize((width, height), Image.Resampling.LANCZOS)
    return Sheet(step, _data_url(webp_bytes(small, quality=85)), small.size)


def _data_url(data: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(data).decode('ascii')}"


def _left_out(runs: Sequence[Run], files: Sequence[dict[int, _File]]) -> tuple[str, ...]:
    """Runs without samples, and sheets that cannot be read."""
    without = [f"{run.label} has no samples." for run, found in zip(runs, files, strict=True) if not found]
    damaged = [
        f"{run.label}: its sheet after {step:,} updates is damaged and left out."
        for run, found in zip(runs, files, strict=True)
        for step, file in found.items()
        if not file.size
    ]
    return (*without, *damaged[:MAX_DAMAGED])


def _told(moments: Sequence[Moment], kept: Sequence[Moment], scale: float) -> list[str]:
    """What the budget cost."""
    notes = []
    if len(kept) < len(moments):
        notes.append(
            f"{len(kept)} of {len(moments)} updates with samples are in this page, so that it stays small; all sheets "
            "are in the runs' folders samples/."
        )
    if scale < 1:
        notes.append(f"Sheets are reduced to {100 * scale:.0f} % of their size, so that this page stays small.")
    return notes
