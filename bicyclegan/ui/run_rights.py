"""Who may do what with a run. Its id is the key to it: whoever knows one may do anything; those of others are not told.

Runs of the command line are everybody's to look at, and are steered from the studio's own machine alone.
"""

from __future__ import annotations

from ipaddress import ip_address

from bicyclegan.errors import UserError
from bicyclegan.training.jobs import Jobs, is_public
from bicyclegan.ui.studio import has_shared_gpu
from bicyclegan.ui.wanted import Wanted


class RunRights:
    """Every method raises `UserError` for what is no run, or not for this visitor."""

    def __init__(self, jobs: Jobs):
        self.jobs = jobs

    def known(self, wanted: Wanted) -> str:
        """The id of a run that is there."""
        run = wanted.text("id")
        self.jobs.folder(run)
        return run

    def steered(self, wanted: Wanted) -> str:
        """The id of a run that this visitor may stop and resume."""
        run = self.known(wanted)
        if not self.may_steer(run, wanted.visitor):
            raise UserError("train_public", "This run was started on the studio's own machine: it is steered there.")
        return run

    def may_steer(self, run: str, visitor: str) -> bool:
        """Whether they may stop and resume it."""
        return is_here(visitor) or not is_public(self.jobs.folder(run).root)

    def task_key(self, wanted: Wanted) -> str:
        """Of a run's task. Everybody knows the ids of public runs, but not what this page calls its task."""
        run = self.known(wanted)
        return f"{run} {wanted.text('ticket')}" if is_public(self.jobs.folder(run).root) else run

    @staticmethod
    def owner(visitor: str) -> str:
        """Whose share of the queue a run takes: nobody's on the studio's own machine."""
        return "" if is_here(visitor) else visitor


def is_here(address: str) -> bool:
    """Whether somebody sits at the studio's own machine."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def refuse_elsewhere() -> None:
    """Raise `UserError` where nothing can be trained."""
    if has_shared_gpu():
        raise UserError(
            "train_elsewhere",
            "This Space borrows its GPU for moments only: train on a machine of your own and import the result.",
        )
