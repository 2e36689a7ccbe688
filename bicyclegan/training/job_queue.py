"""One training at a time on a device: who trains or waits below a folder of runs, and who comes next.

All of it is read from locks and files, so that every process sees the same, and a dead one is in nobody's way.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bicyclegan.training.job_files import JobFiles, JobNotes, read_json
from bicyclegan.training.process_lock import holder, take
from bicyclegan.training.run_folder import RunFolder

WAITS, TRAINS = "waits", "trains"
"""Words of a job about itself, in its lock."""
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Living:
    """A run that has a process now."""

    id: str
    """Name of its folder."""
    queued: float = 0.0
    trains: bool = True
    """Whether it has its turn. A run of the command line asks nobody and always has."""
    device: str = "auto"
    owner: str = ""
    group: str = ""

    @property
    def place(self) -> str:
        """What it takes in the queue: runs of one group share theirs."""
        return f"group {self.group}" if self.group else self.id

    @property
    def ticket(self) -> tuple[float, str]:
        """The lower one goes first."""
        return self.queued, self.id

    def on(self, device: str) -> bool:
        """Whether it may compute there; auto may be any device."""
        return device == self.device or "auto" in (device, self.device)


def living(root: Path) -> list[Living]:
    """All runs below a folder that train or wait."""
    return [found for folder in run_folders(root) if (found := _living(folder))]


def run_folders(root: Path) -> Iterator[Path]:
    """Folders that may be runs."""
    try:
        yield from (path for path in root.iterdir() if not path.name.startswith(".") and path.is_dir())
    except OSError:
        return


def count_ahead(root: Path, name: str, notes: JobNotes) -> int:
    """Places that go before a waiting run's."""
    ticket = (notes.queued, name)
    others = _others(root, name, notes)
    return len({each.place for each in others if not _together(each, notes) and (each.trains or each.ticket < ticket)})


def await_turn(folder: Path) -> None:
    """Wait until this job may train; its turn then lasts as long as this process.

    Raises:
        FileNotFoundError: when somebody has removed the job meanwhile.
    """
    files = JobFiles(folder)
    while True:
        notes = files.notes()
        if notes is None:
            raise FileNotFoundError(files.notes_file)
        # The lock decides, so that no two begin at once; the count only says who may try.
        if count_ahead(folder.parent, folder.name, notes) == 0:
            turn = take(folder.parent / f".training-{notes.device}.lock", patience=0)
            # Where another one of its group trains, it has the lock: for those after it this one counts like it.
            if turn is not None or _group_trains(folder, notes):
                return
        time.sleep(POLL_SECONDS)


def _others(root: Path, name: str, notes: JobNotes) -> list[Living]:
    """Those that compute where it will."""
    return [each for each in living(root) if each.id != name and each.on(notes.device)]


def _together(other: Living, notes: JobNotes) -> bool:
    return bool(notes.group) and other.group == notes.group


def _group_trains(folder: Path, notes: JobNotes) -> bool:
    others = _others(folder.parent, folder.name, notes)
    return any(each.trains and _together(each, notes) for each in others)


def _living(folder: Path) -> Living | None:
    files = JobFiles(folder)
    if who := holder(files.lock_file):
        notes = files.notes() or JobNotes()
        return Living(folder.name, notes.queued, who.word == TRAINS, notes.device, notes.owner, notes.group)
    run = RunFolder(folder)
    if holder(run.lock_file):
        return Living(folder.name, device=str(read_json(run.config_file).get("device", "auto")))
    return None
