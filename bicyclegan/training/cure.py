"""Applying what the doctor advises: a run stops where it is, and goes on from there with the change."""

from __future__ import annotations

from typing import Any

from bicyclegan.errors import UserError
from bicyclegan.training.health import Diagnosis, diagnose, read_log
from bicyclegan.training.job_changes import with_changes
from bicyclegan.training.job_files import JobFiles, JobNotes
from bicyclegan.training.jobs import Jobs, newest_step
from bicyclegan.training.lab import lesson_of

MORE_STEPS, MORE_SHARE = 500, 0.25
"""Updates that a completed run goes on for: so many, or this share of those it has made."""


def apply(jobs: Jobs, id: str, finding: str) -> dict[str, Any]:
    """Go on with a run from its newest checkpoint, with the change that belongs to one of the doctor's findings.

    A living run is stopped first, which takes as long as its checkpoint. The sick side of a lesson is rid of what was
    planted into it, too. `steps` stay as they are, but a completed run gets more.

    Args:
        finding: its name.

    Returns:
        The fields of the config that were changed, by name.

    Raises:
        UserError: where the run is gone or its log does not show the finding any more, for a finding without a change
            and a change that this run cannot take (nothing is stopped then), and where it cannot be stopped or go on.
    """
    run = jobs.folder(id)
    config = jobs.config(id)
    changes = changes_of(_found(diagnose(read_log(run.events_file)), finding), JobFiles(run.root).notes())
    with_changes(config, changes)
    jobs.end(id)
    made = newest_step(run)
    changes |= _steps(JobFiles(run.root).notes(), made, config.steps)
    try:
        jobs.resume(id, changes, cured=True)
    except UserError as error:
        raise UserError(
            "cure_stopped",
            "The run has stopped after step {step}, but could not go on with the change: {why} Try again later.",
            step=made,
            why=error,
        ) from None
    return changes


def can_apply(diagnosis: Diagnosis, notes: JobNotes | None) -> bool:
    """Whether a finding has anything that `apply` could change about a run with these notes."""
    return bool(diagnosis.patch) or lesson_of(notes) is not None


def changes_of(diagnosis: Diagnosis, notes: JobNotes | None) -> dict[str, Any]:
    """Fields of the config to change, without the number of updates. Raises `UserError` where there is nothing."""
    if not can_apply(diagnosis, notes):
        raise UserError(
            "cure_none",
            "There is no setting that mends {finding!r}: its remedy is to be carried out by hand.",
            finding=diagnosis.name,
        )
    if diagnosis.patch or (taught := lesson_of(notes)) is None:
        return dict(diagnosis.patch)
    return {name: value for name, value in taught.remedy(0, 0).items() if name != "steps"}


def _found(diagnoses: list[Diagnosis], name: str) -> Diagnosis:
    for each in diagnoses:
        if each.name == name:
            return each
    raise UserError("cure_gone", "The doctor does not find {finding!r} in this run (any more).", finding=name)


def _steps(notes: JobNotes | None, made: int, steps: int) -> dict[str, int]:
    """The number of updates, where it changes."""
    if taught := lesson_of(notes):
        return {"steps": taught.remedy(made, steps)["steps"]}
    return {"steps": made + max(MORE_STEPS, round(MORE_SHARE * made))} if made >= steps else {}
