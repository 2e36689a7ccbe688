"""What the runs are, how far they came and how they ended, as a person reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bicyclegan.metrics.reading import number, plain
from bicyclegan.training.comparison.differences import UNKNOWN
from bicyclegan.training.comparison.runs import Run
from bicyclegan.training.comparison.story import positive
from bicyclegan.training.comparison.words import network_name
from bicyclegan.training.events import Number

COSTS = ("images seen", "time of training", "images per second", "memory, at most")
"""Rows that say what a run cost."""


def ending(run: Run) -> str:
    """How a run ended, in a sentence."""
    story, made = run.story, _made(run)
    because = f" ({story.message})" if story.message else ""
    whole = run.planned is not None and story.last_step >= run.planned
    return {
        "completed": f"Completed: {made}.",
        "stopped": f"Stopped early, on request{because}: {made}.",
        "failed": f"Failed: {made}. {story.message}".strip(),
        "running": f"Still running: {made} so far.",
        "cut off": (
            f"{made[0].upper()}{made[1:]}, then no line about its end: "
            + ("cut off in its last work." if whole else "its process was killed, or runs on another machine.")
        ),
    }[story.state]


def resumed(run: Run) -> str:
    """Where it was resumed; empty if it never was."""
    places = run.story.resumed_at
    if not places:
        return ""
    shown = ", ".join(f"{step:,}" for step in places[:5]) + (", ..." if len(places) > 5 else "")
    return f"after {shown} updates" + (f" ({len(places)} times)" if len(places) > 1 else "")


def run_facts(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Rows of the table of runs: a word, then what holds for each. Rows that nothing is known for are left out."""
    rows = [(word, [read(run) or UNKNOWN for run in runs]) for word, read in FACTS]
    return [(word, values) for word, values in rows if set(values) != {UNKNOWN}]


def duration(seconds: Number) -> str:
    """2 h 05 min; empty where it is not known."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{days:,} d {hours_left} h"
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min" if minutes else f"{rest} s"


def _made(run: Run) -> str:
    done, planned = run.story.last_step, run.planned
    if planned is None:
        return f"{done:,} updates"
    return f"all {planned:,} updates" if done >= planned else f"{done:,} of {planned:,} updates"


def _images(run: Run) -> str:
    seen = run.images(run.story.last_step)
    return "" if seen is None else f"{seen:,}"


def _data(run: Run) -> str:
    source, data = run.config.get("data"), run.story.data
    name = plain(source.replace("\\", "/").rstrip("/").rpartition("/")[2], 60) if isinstance(source, str) else ""
    train, validation = positive(data.get("train")), positive(data.get("validation"))
    counts = f"{train:,} to train on, {validation:,} to validate" if train and validation else ""
    return ": ".join(filter(None, (name, counts)))


def _weights(run: Run) -> str:
    counts = run.story.started.get("parameters")
    if not isinstance(counts, dict):
        return ""
    known = [(network_name(str(name)), positive(count)) for name, count in list(counts.items())[:8]]
    return ", ".join(f"{name} {_count(count)}" for name, count in known if count)


def _machine(run: Run) -> str:
    started = run.story.started
    processes = positive(started.get("processes")) or 1
    parts = [plain(started.get(name) or "", 40) for name in ("device", "precision")]
    return ", ".join(filter(None, (*parts, f"{processes} processes" if processes > 1 else "")))


def _program(run: Run) -> str:
    started = run.story.started
    version, torch = (plain(started.get(name) or "", 40) for name in ("version", "torch"))
    return ", ".join(filter(None, (version, torch and f"torch {torch}")))


def _size(run: Run) -> str:
    size = positive(run.config.get("model.image_size"))
    return f"{size} × {size} px" if size else ""


def _rounded(value: Number, unit: str = "") -> str:
    return "" if value is None else f"{number(float(f'{value:.3g}'))}{unit}"


def _count(value: int) -> str:
    if value < 10_000:
        return f"{value:,}"
    return f"{value / 1e6:.1f} M" if value >= 1e6 else f"{value / 1e3:.0f} k"


FACTS: tuple[tuple[str, Callable[[Run], str]], ...] = (
    ("how it ended", ending),
    ("resumed", resumed),
    ("images seen", _images),
    ("time of training", lambda run: duration(run.story.seconds)),
    ("images per second", lambda run: _rounded(run.story.speed)),
    ("memory, at most", lambda run: _rounded(run.story.memory, " MB")),
    ("data", _data),
    ("picture size", _size),
    ("weights", _weights),
    ("machine", _machine),
    ("program", _program),
)
