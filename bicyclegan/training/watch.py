"""What is new in the events of a run since somebody looked last, as plain data for charts.

Nothing is kept between two looks: a token says how far the file was read, and what stood there. A run that goes on
after a stop writes its events anew, so then all is told anew. The file is not trusted.
"""

from __future__ import annotations

import math
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from bicyclegan.errors import UserError
from bicyclegan.training.bands import healthy_bands
from bicyclegan.training.config import MAX_STEPS
from bicyclegan.training.dcgan_config import DcganConfig
from bicyclegan.training.events import (
    CheckpointWritten,
    Event,
    Finding,
    LatentsWritten,
    Number,
    RunEnded,
    RunStarted,
    SamplesWritten,
    StepLogged,
    Validated,
    from_line,
)
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.training.thinned import without_paths

MAX_POINTS, MAX_VALIDATIONS, MAX_FILES, MAX_FINDINGS = 1500, 500, 300, 50
"""That are told of at once: of lines of losses, validations, sheets or codes, findings."""
MAX_LINE = 1 << 20
"""Bytes of a line. The longest of real runs, with 128 dims, take 8 KB."""
MAX_READ = 256 << 20
"""Bytes that are read at once; the rest comes with the next look."""
MAX_SHEET = 16 << 20
MAX_SERIES, MAX_TEXT, MAX_VALUE, DIGITS = 80, 1000, 1e30, 5
MAX_PLACE = 1 << 50
HEAD = re.compile(rb'\{"kind": "step", "step": (\d{1,9}),')
"""How the trainer begins a line of losses: most need not be parsed to be left out."""
NO_SHARES = b'"gradient_shares": {}'
NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")
TOKEN = re.compile(r"([0-9a-f]{1,20})-([0-9a-f]{1,16})-([0-9a-f]{8})")
MARK = 64
"""Bytes before the place of a token that must still be the same."""
STARTED = ("device", "precision", "version", "torch", "processes", "resumed")

Numbers: TypeAlias = "dict[str, Number]"


@dataclass
class _News:
    """What a look found."""

    steps: list[StepLogged] = field(default_factory=list)
    others: list[Event] = field(default_factory=list)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.others if isinstance(event, kind)]


def watch(run: RunFolder, token: str = "") -> dict[str, Any]:
    """What happened since the look that gave `token`; everything without one.

    At most `MAX_POINTS` lines of losses are told of, evenly spread over the steps, the last among them.

    Returns:
        token: for the next look. reset: what was told before is void.
        steps, series: lines of losses, and by name a number or None for each: losses by their names (kl: sum over
            dims), `score.*`, `gradient.*`, `share.*`, `rate.*`, `inputs.*`. validations: the same of metrics.
        samples: [{step, path}]. latents: steps. checkpoints, findings, started, ended: as in events, or None.
        speed (images per second), eta and seconds, memory_mb: the newest, or None.
        plan, bands: with a reset; see `_plan` and `healthy_bands`.
    """
    try:
        with run.events_file.open("rb") as file:
            begin = _place(file, token)
            news, end = _read(file, begin or 0)
            next_token = _token(file, end)
    except OSError:
        begin, news, next_token = None, _News(), ""
    answer = {"token": next_token, "reset": begin is None, **_told(news)}
    return {**answer, **_plan(run)} if begin is None else answer


def read_sheet(run: RunFolder, step: int) -> bytes:
    """The sheet of samples of a step, a WebP file. Raises `UserError` where there is none."""
    path = run.samples(step)
    try:
        inside = path.resolve().is_relative_to(run.root.resolve())
        data = path.read_bytes() if inside and path.stat().st_size <= MAX_SHEET else b""
    except OSError:
        data = b""
    if not (data.startswith(b"RIFF") and data[8:12] == b"WEBP"):
        raise UserError("run_no_sheet", "The samples of step {step} are not there any more.", step=step)
    return data


# Reading


def _place(file: BinaryIO, token: str) -> int | None:
    """Where to read on; None where the token is not of this file as it is."""
    match = TOKEN.fullmatch(token)
    place = int(match[2], 16) if match else 0
    return place if match and place < MAX_PLACE and _token(file, place) == token else None


def _token(file: BinaryIO, place: int) -> str:
    """Names the file, a place in it, and what stands before: numbers of files are used again."""
    length = min(MARK, place)
    file.seek(place - length)
    mark = file.read(length)
    inode = os.fstat(file.fileno()).st_ino
    return f"{inode:x}-{place:x}-{zlib.crc32(mark):08x}" if len(mark) == length else ""


def _read(file: BinaryIO, begin: int) -> tuple[_News, int]:
    """Whole lines from a place on, and where they end."""
    lines, others = _Lines(), []
    file.seek(begin)
    place = begin
    while place - begin < MAX_READ and (line := file.readline(MAX_LINE)):
        if not line.endswith(b"\n") and len(line) < MAX_LINE:
            break  # it is being written. What is longer than any line is passed over, part by part.
        head = HEAD.match(line)
        event = None if head else from_line(line.decode("utf-8", "replace"))
        if head or isinstance(event, StepLogged):
            step = int(head[1]) if head else event.step
            lines.add(step, place, len(line), NO_SHARES not in line)
        elif event is not None and 0 <= event.step <= MAX_STEPS:
            others.append(event)
        place += len(line)
    return _News(list(lines.read(file)), others), place


@dataclass
class _Lines:
    """Where lines of losses stand."""

    steps: list[int] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)
    """First byte and number of bytes."""
    shares: list[bool] = field(default_factory=list)
    """Whether they tell of shares of gradients, as few do."""

    def add(self, step: int, place: int, length: int, shares: bool) -> None:
        """Steps that do not rise are no honest run's."""
        if step > (self.steps[-1] if self.steps else -1) and step <= MAX_STEPS:
            self.steps.append(step)
            self.places.append((place, length))
            self.shares.append(shares)

    def read(self, file: BinaryIO) -> Iterator[StepLogged]:
        """Those that are told of."""
        for index in spread(self.steps, MAX_POINTS, self.shares):
            place, length = self.places[index]
            file.seek(place)
            event = from_line(file.read(length).decode("utf-8", "replace"))
            if isinstance(event, StepLogged):
                yield event


def spread(steps: Sequence[int], most: int, preferred: Sequence[bool] = ()) -> list[int]:
    """At most `most` places in ascending steps, evenly spread over the steps, the first and the last among them.

    preferred: which of them are rather taken than their neighbours.
    """
    count = len(steps)
    if count <= most:
        return [*range(count)]
    parts = np.searchsorted(np.linspace(steps[0], steps[-1], most - 1)[1:-1], steps)  # most - 2 of them
    chosen: dict[int, int] = {}
    for index, part in enumerate(parts.tolist()):
        rather = not preferred or preferred[index] or not preferred[chosen.get(part, index)]
        if part not in chosen or rather:
            chosen[part] = index
    return sorted({0, count - 1, *chosen.values()})


# Telling


def _told(news: _News) -> dict[str, Any]:
    last = news.steps[-1] if news.steps else None
    started, ended = (next(reversed(news.of(kind)), None) for kind in (RunStarted, RunEnded))
    if started and ended and news.others.index(started) > news.others.index(ended):
        ended = None
    validations = _few(news.of(Validated), MAX_VALIDATIONS)
    return {
        **_table([(event.step, _training_numbers(event)) for event in news.steps]),
        "validations": _table([(event.step, _validation_numbers(event)) for event in validations]),
        "samples": [_about(event, "path") for event in _few(news.of(SamplesWritten), MAX_FILES)],
        "latents": [event.step for event in _few(news.of(LatentsWritten), MAX_FILES)],
        "checkpoints": [
            _about(event, "path", "role", "metric", "value") for event in news.of(CheckpointWritten)[-MAX_FILES:]
        ],
        "findings": [
            _about(event, "name", "severity", "evidence", "cause", "remedy")
            for event in news.of(Finding)[-MAX_FINDINGS:]
        ],
        "started": started and {**_about(started, *STARTED), "parameters": _numbers(started.parameters)},
        "ended": ended and _about(ended, "reason", "message"),
        "speed": last and _number(last.images_per_second),
        "eta": last and _number(last.eta),
        "seconds": last and _number(last.seconds),
        "memory_mb": last and _number(last.memory_mb),
    }


def _plan(run: RunFolder) -> dict[str, Any]:
    """What the run is going to do, and where it should lie; nothing while that cannot be read."""
    try:
        config = run.load_any_config()
    except (UserError, OSError):
        return {"plan": None, "bands": {}}
    if isinstance(config, DcganConfig):
        plan = {"steps": config.steps, "batch": config.batch_size, "log_every": config.log_every}
        every = {"sample_every": config.sample_every, "validate_every": config.validate_every}
        return {"plan": {**plan, **every, "dims": 0}, "bands": {}}  # its code is read by nobody
    record = config.record
    plan = {"steps": config.steps, "batch": config.batch_size, "log_every": record.log_every}
    every = {"sample_every": record.sample_every, "validate_every": record.validate_every}
    bands = {chart: [*band] for chart, band in healthy_bands(config).items()}
    return {"plan": {**plan, **every, "dims": config.model.latent_dim}, "bands": bands}


def _training_numbers(event: StepLogged) -> Numbers:
    found = _numbers(event.losses)
    if isinstance(event.kl_per_dim, list) and event.kl_per_dim:
        # Summed over dims: the loss itself may be cut at free bits, or summed over samples.
        found["kl"] = _sum([_number(value) for value in event.kl_per_dim])
    for group, numbers in (
        ("score", event.scores),
        ("gradient", event.gradient_norms),
        ("share", event.gradient_shares),
        ("rate", event.learning_rates),
        ("inputs", event.inputs),
    ):
        found |= {f"{group}.{name}": value for name, value in _numbers(numbers).items()}
    return found


def _validation_numbers(event: Validated) -> Numbers:
    """Metrics that are one number each; also how far pictures with random codes are from the photo."""
    found = {name: value for name, value in _numbers(event.metrics).items() if value is not None}
    gaps = {"encoded_random_gap": _number(event.encoded_random_gap)}
    parts = [found.get("reconstruction_l1"), found.get("encoded_random_l1_gap")]
    return {**found, **gaps, "random_l1": _sum(parts)}


def _table(rows: Sequence[tuple[int, Numbers]]) -> dict[str, Any]:
    """Rows as columns of equal lengths; a name without any number is left out."""
    names = dict.fromkeys(name for _, numbers in rows for name, value in numbers.items() if value is not None)
    series = {name: [numbers.get(name) for _, numbers in rows] for name in [*names][:MAX_SERIES]}
    return {"steps": [step for step, _ in rows], "series": series}


def _few(events: list[Any], most: int) -> list[Any]:
    places = np.linspace(0, len(events) - 1, min(most, len(events))).round().astype(int).tolist()
    return [events[place] for place in places]


def _about(event: Event, *names: str) -> dict[str, Any]:
    """Fields of an event, if they are of a kind that a page can show, without paths of this machine."""
    return {"step": event.step, **{name: _plain(getattr(event, name)) for name in names}}


def _plain(value: object) -> Any:
    if isinstance(value, str):
        return without_paths(value[:MAX_TEXT])
    return value if isinstance(value, bool) else _number(value)


def _numbers(group: object) -> Numbers:
    if not isinstance(group, dict):
        return {}
    return {name: _number(value) for name, value in group.items() if NAME.fullmatch(name)}


def _number(value: object) -> Number:
    """Shortened, unless it is whole: a chart has no more than some hundred px."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < MAX_VALUE:
        return None
    return value if isinstance(value, int) else float(f"{value:.{DIGITS}g}")


def _sum(values: Sequence[Number]) -> Number:
    return None if None in values else _number(math.fsum(values))
