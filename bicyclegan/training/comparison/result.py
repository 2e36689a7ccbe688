"""The comparison as numbers for programs, and as lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bicyclegan.metrics.reading import ARROWS, number
from bicyclegan.training.comparison.differences import incomparable, settings
from bicyclegan.training.comparison.facts import ending
from bicyclegan.training.comparison.runs import Run
from bicyclegan.training.comparison.standings import Standing, common_step, standing_json, standings

SCHEMA_VERSION = 1


def to_json(runs: Sequence[Run]) -> dict[str, Any]:
    """What the page shows, as plain data. Lists are in the order of the runs."""
    return {
        "schema_version": SCHEMA_VERSION,
        "runs": [_run_json(run) for run in runs],
        "differences": {field.name: list(field.values) for field in settings(runs) if field.differs},
        "not_comparable": incomparable(runs),
        "common_step": common_step(runs),
        "metrics": [standing_json(standing) for standing in standings(runs)],
    }


def summary(runs: Sequence[Run]) -> list[str]:
    """A line for each run and for each metric that has a better direction."""
    width = max(len(run.label) for run in runs)
    lines = [f"{run.label:{width}}  {ending(run)}" for run in runs]
    lines += [f"{run.label:{width}}  {note}" for run in runs for note in run.notes]
    lines += [_line(runs, standing) for standing in standings(runs) if any(standing.best)]
    why = incomparable(runs)
    return [*lines, f"{why}: none is called better."] if why else lines


def _run_json(run: Run) -> dict[str, Any]:
    story = run.story
    return {
        "name": run.label,
        "folder": str(run.folder),
        "state": story.state,
        "message": story.message,
        "steps": story.last_step,
        "planned_steps": run.planned,
        "images": run.images(story.last_step),
        "seconds": story.seconds,
        "resumed_at": list(story.resumed_at),
        "images_per_second": story.speed,
        "memory_mb": story.memory,
        "findings": [vars(finding) for finding in story.findings],
        "notes": list(run.notes),
    }


def _line(runs: Sequence[Run], standing: Standing) -> str:
    leaders = standing.leaders(standing.best)
    told = [
        f"{run.label} {number(each.value)}{' (best)' if place in leaders else ''}"
        for place, (run, each) in enumerate(zip(runs, standing.best, strict=True))
        if each
    ]
    return f"{standing.title} {ARROWS[standing.better]}  {', '.join(told)}"
