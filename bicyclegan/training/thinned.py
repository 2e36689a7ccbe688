"""The events of a run as they are shared with its model: fewer, shorter, and without paths of one machine."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from bicyclegan.training.events import (
    CheckpointWritten,
    DataChecked,
    Event,
    LatentsWritten,
    SamplesWritten,
    StepLogged,
    Validated,
)

MAX_STEP_LINES, MAX_VALIDATIONS = 200, 100
DIGITS = 6
"""Significant digits of a number: a line of losses is half as long."""
POINTING = (SamplesWritten, LatentsWritten, CheckpointWritten)
"""Events that are nothing but the path of a file which is not shared."""
SHARED_REPORT = ("layout", "direction", "sketches", "train", "validation", "validation_source", "smallest", "largest")
"""Fields of a data report without names of files."""
MACHINE_PATH = re.compile(r"""(?<![\w/.~-])/(?=[^\s/])(?:[^\s/'"]+/)*|\b[A-Za-z]:\\(?:[^\s\\'"]+\\)*""")
"""An absolute path but for its last part; addresses (https://...) and relative paths are none."""


def thin_events(events: Sequence[Event]) -> list[Event]:
    """Events of one run to share: all that is rare, and of the lines of losses and the validations an even choice."""
    kept: set[int] = set()
    for kind, most in ((StepLogged, MAX_STEP_LINES), (Validated, MAX_VALIDATIONS)):
        kept |= set(_choose(events, [k for k, event in enumerate(events) if isinstance(event, kind)], most))
    rare = {k for k, event in enumerate(events) if not isinstance(event, (StepLogged, Validated, *POINTING))}
    return [public_event(events[k]) for k in sorted(kept | rare)]


def public_event(event: Event) -> Event:
    """The same event without machine paths, its numbers rounded to `DIGITS` digits."""
    fields = {each.name: _short(getattr(event, each.name)) for each in dataclasses.fields(event)}
    fields["time"] = round(event.time)
    if isinstance(event, DataChecked):
        fields["report"] = {name: fields["report"][name] for name in SHARED_REPORT if name in fields["report"]}
    return without_paths(type(event)(**fields))


def without_paths(value: Any) -> Any:
    """Plain data, or an event of it, with absolute paths in its texts cut down to their last part."""
    if isinstance(value, str):
        return MACHINE_PATH.sub("", value)
    if dataclasses.is_dataclass(value):
        return type(value)(**{name: without_paths(item) for name, item in vars(value).items()})
    if isinstance(value, dict):
        return {without_paths(key): without_paths(item) for key, item in value.items()}
    return [without_paths(item) for item in value] if isinstance(value, (list, tuple)) else value


def _choose(events: Sequence[Event], places: list[int], most: int) -> list[int]:
    """At most `most` of the places, evenly spread, the first and the last among them.

    Of neighbours one with shares of gradients is preferred: few lines have them.
    """
    if len(places) <= most:
        return places
    groups = [group.tolist() for group in np.array_split(places[1:-1], most - 2)]
    chosen = [next((k for k in group if getattr(events[k], "gradient_shares", None)), group[-1]) for group in groups]
    return [places[0], *chosen, places[-1]]


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    return [_short(item) for item in value] if isinstance(value, (list, tuple)) else value
