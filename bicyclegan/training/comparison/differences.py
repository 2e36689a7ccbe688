"""In what the configs of runs differ, and what keeps their numbers from being compared."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from bicyclegan.metrics.reading import plain
from bicyclegan.training.comparison.runs import Run
from bicyclegan.training.thinned import without_paths

OWN = ("out", "schema_version")
"""Fields that say nothing about the training."""
UNKNOWN = "–"
MAX_VALUE = 200


@dataclass(frozen=True)
class Setting:
    """One field of the config across runs."""

    name: str
    values: tuple[str, ...]
    """As they read, one for each run."""
    assumed: tuple[bool, ...]
    """Whether the value is a default, because the config was written before there was this field."""
    differs: bool


def settings(runs: Sequence[Run]) -> list[Setting]:
    """All fields of the configs, in the order of the config."""
    names = dict.fromkeys(name for run in runs for name in run.config)
    leaves = Counter(name.rpartition(".")[2] for name in names)
    return [_setting(runs, name, leaves) for name in names if name not in OWN]


def incomparable(runs: Sequence[Run]) -> str:
    """Why no validation number of these runs can be held against another; empty where they can."""
    for what, read in COMMON_GROUND:
        values = [value for value in map(read, runs) if value not in (None, "")]
        if len(set(values)) > 1:
            found = ", ".join(dict.fromkeys(plain(value, 60) for value in values))
            return f"The runs were validated on {what} ({found})"
    return ""


def incomparable_metric(runs: Sequence[Run], metric: str) -> str:
    """The same for one metric."""
    encoders = {run.config["model.encoder"] == "none" for run in runs if "model.encoder" in run.config}
    if metric.startswith("reconstruction") and len(encoders) > 1:
        return "one run reads the photo's code before it paints the photo again, another has no encoder to read it"
    dims = {repr(run.config["model.latent_dim"]) for run in runs if run.config.get("model.latent_dim")}
    if metric in ("latent_l1", "kl", "active_dims") and len(dims) > 1:
        return "the codes have different numbers of dims"
    return ""


def _setting(runs: Sequence[Run], name: str, leaves: Counter[str]) -> Setting:
    known = {json.dumps(_plain_number(run.config[name]), sort_keys=True) for run in runs if name in run.config}
    missing = any(run.config and name not in run.config for run in runs)
    leaf = name.rpartition(".")[2]
    return Setting(
        name=leaf if leaves[leaf] == 1 else name,
        values=_texts(runs, name),
        assumed=tuple(name in run.assumed for run in runs),
        differs=len(known) > 1 or missing,
    )


def _texts(runs: Sequence[Run], name: str) -> tuple[str, ...]:
    """Without paths of one machine, unless they are all that differs."""
    raw = [run.config.get(name) for run in runs]
    short = [without_paths(value) for value in raw]
    same = len(set(map(repr, short))) < len(set(map(repr, raw)))
    shown = raw if same else short
    return tuple(_text(value) if name in run.config else UNKNOWN for run, value in zip(runs, shown, strict=True))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return "(none)"
    return plain(f"{value:,}" if type(value) is int else value, MAX_VALUE)


def _plain_number(value: Any) -> Any:
    """10.0 for 10: JSON files of other hands may have either."""
    return float(value) if type(value) is int and abs(value) < 2**53 else value


def _data(run: Run) -> str | None:
    source = run.config.get("data")
    return PurePosixPath(source.replace("\\", "/")).name if isinstance(source, str) else None


def _picture_size(run: Run) -> str | None:
    size = run.config.get("model.image_size")
    return f"{size} px" if size else None


def _validation_pictures(run: Run) -> str | None:
    """How many there are, and how many of them were measured: evenly chosen, so both decide which."""
    known = run.story.validations.known("pictures")
    return f"{known[-1]:.0f} of {run.story.data.get('validation', '?')}" if known else None


COMMON_GROUND: tuple[tuple[str, Callable[[Run], str | None]], ...] = (
    ("different data", _data),
    ("pictures of different sizes", _picture_size),
    ("different pictures", _validation_pictures),
    ("different sides of pairs", lambda run: run.config.get("source.direction")),
)
"""What must be the same for numbers of validation to be on one scale."""
