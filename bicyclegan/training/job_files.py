"""What lies in a run's folder when the studio started it, beside what the run itself writes (`run_folder`).

job.json       title, place in the queue, config          .job.lock    held from the start to the end of its process
job.log        what the process says                      .stopping    somebody asked it to stop
pictures/      what is learnt from                        .error.json  what ended it before its time
.cache/        the same, decoded
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bicyclegan.errors import UserError
from bicyclegan.files import write_atomic

NOTES_FILE = "job.json"
FILES = (NOTES_FILE, "job.log", ".job.lock", ".stopping", ".error.json", "pictures", ".cache")
"""All of them."""
TEMPORARY = re.compile(r"\.(job\.json|config\.json|\.error\.json|\.stopping)\.\w+")
"""Names of what is written before it takes its place, and may be left by a process that was killed."""
VERSION = 1
MAX_LOG = 5_000_000
"""Bytes of job.log after which the next start begins it anew."""
TAIL_LINES, TAIL_BYTES, LINE_LENGTH = 20, 16_384, 400
BEGINS = "=== "
"""How the line begins that a start writes into the log."""


@dataclass(frozen=True)
class JobNotes:
    """The content of job.json."""

    title: str = ""
    created: float = 0.0
    queued: float = 0.0
    """When it was last started or resumed, seconds since 1970: its ticket in the queue. 0: never."""
    config: dict[str, Any] | None = None
    """`TrainConfig` as JSON; None for a draft."""
    owner: str = ""
    """Hash of the address that started it."""
    public: bool = False
    """A run of the command line that the studio has resumed: still everybody's."""
    lesson: str = ""
    """Of the pitfall lab, see `lab`; empty for all other runs."""
    side: str = ""
    """sick or healthy, of a lesson."""
    pitfall: str = ""
    """What the worker plants into the program before it trains, see `pitfalls`; empty once it is cured."""
    group: str = ""
    """Runs that belong together have one: they train at the same time and take one place in the queue."""
    cured: int | None = None
    """Updates that were made when the doctor's remedy was applied last."""

    @property
    def device(self) -> str:
        """Where it trains."""
        return str((self.config or {}).get("device", "auto"))

    @property
    def steps(self) -> int:
        """Updates to make; 0 for a draft."""
        steps = (self.config or {}).get("steps", 0)
        return steps if isinstance(steps, int) else 0


@dataclass(frozen=True)
class JobFiles:
    """Paths of one job. Making this object touches nothing."""

    root: Path

    @property
    def notes_file(self) -> Path:
        return self.root / NOTES_FILE

    @property
    def log_file(self) -> Path:
        return self.root / "job.log"

    @property
    def lock_file(self) -> Path:
        return self.root / ".job.lock"

    @property
    def pictures(self) -> Path:
        return self.root / "pictures"

    @property
    def cache(self) -> Path:
        return self.root / ".cache"

    @property
    def _stop_file(self) -> Path:
        return self.root / ".stopping"

    @property
    def _error_file(self) -> Path:
        return self.root / ".error.json"

    def notes(self) -> JobNotes | None:
        """None for a folder that is no job. What cannot be read is an empty note: a job stays private."""
        if not self.notes_file.is_file():
            return None
        data = read_json(self.notes_file)
        known = {each.name for each in dataclasses.fields(JobNotes)}
        notes = JobNotes(**{name: value for name, value in data.items() if name in known})
        return notes if _is_sound(notes) else JobNotes()

    def save(self, notes: JobNotes) -> None:
        """Write job.json in one step."""
        _write_json(self.notes_file, {"schema_version": VERSION, **dataclasses.asdict(notes)})

    # Why it ended

    def mark_stopping(self, pid: int) -> None:
        """Note that a process was asked to stop."""
        if self.root.is_dir():  # else somebody has removed the job
            _write_json(self._stop_file, {"pid": pid, "time": time.time()})

    def unmark(self) -> None:
        """Nobody asked it to stop, after all."""
        self._stop_file.unlink(missing_ok=True)

    def stopping(self) -> tuple[int, float]:
        """The process that was asked to stop, and when; 0, 0 where none was."""
        data = read_json(self._stop_file)
        return _number(data, "pid", int), _number(data, "time", float)

    def save_error(self, error: UserError) -> None:
        """Note what ended the process, if the disk still takes it."""
        with suppress(OSError):
            if self.root.is_dir():
                _write_json(self._error_file, {**error.to_json(), "time": time.time()})

    def error(self) -> tuple[UserError, float] | None:
        """What ended a process, and when."""
        data = read_json(self._error_file)
        when = _number(data, "time", float)
        return (UserError.from_json(data), when) if when else None

    def forget(self) -> None:
        """A new start: the end of the one before no longer counts."""
        self.unmark()
        self._error_file.unlink(missing_ok=True)

    # The log

    def begin_log(self) -> int:
        """A descriptor to append to job.log by, after a line that tells of a new start."""
        with suppress(OSError):
            if self.log_file.stat().st_size > MAX_LOG:
                self.log_file.unlink()
        descriptor = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(descriptor, f"{BEGINS}{datetime.now().isoformat(' ', 'seconds')}\n".encode())
        return descriptor

    def log_tail(self) -> str:
        """The last lines since the last start."""
        try:
            text = read_tail(self.log_file, TAIL_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""
        lines = [line.rstrip() for line in text.splitlines()]
        starts = [place for place, line in enumerate(lines) if line.startswith(BEGINS)]
        ours = [line for line in lines[starts[-1] + 1 if starts else 0 :] if line]
        return "\n".join(line[:LINE_LENGTH] for line in ours[-TAIL_LINES:])


def read_tail(path: Path, size: int) -> bytes:
    """The last bytes of a file."""
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - size))
        return file.read(size)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty where there is none or it cannot be read."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _is_sound(notes: JobNotes) -> bool:
    texts = (notes.title, notes.owner, notes.lesson, notes.side, notes.pitfall, notes.group)
    numbers = (notes.created, notes.queued, notes.cured or 0)
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(number, (int, float)) for number in numbers)
        and (notes.config is None or isinstance(notes.config, dict))
        and isinstance(notes.public, bool)
    )


def _number(data: dict[str, Any], name: str, kind: Callable[[Any], Any]) -> Any:
    value = data.get(name)
    return kind(value) if isinstance(value, (int, float)) else kind(0)


def _write_json(path: Path, data: dict[str, Any]) -> None:
    write_atomic(path, (json.dumps(data, ensure_ascii=False, indent=1) + "\n").encode())
