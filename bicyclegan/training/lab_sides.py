"""Both sides of a lesson as two processes of the command line: side by side in one folder, ended together.

DIR/sick, DIR/healthy    run folders, as any other
DIR/pictures             what both learn from, unless somebody brings other ones
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import close
from pathlib import Path

from bicyclegan.errors import UserError
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.events import StepLogged, from_line
from bicyclegan.training.job_changes import with_changes
from bicyclegan.training.job_files import JobFiles, JobNotes, read_tail
from bicyclegan.training.job_status import JobStatus, read_status
from bicyclegan.training.jobs import newest_step, worker_environment
from bicyclegan.training.lab import SIDES, Config, Lesson, Side
from bicyclegan.training.lab_data import write_pictures
from bicyclegan.training.pitfalls import read_option
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.training.stop import StopRequest

POLL_SECONDS = 0.5
TOLD_SHARE = 0.1
"""Of a run, that passes between two lines about it."""
TAIL_BYTES = 16_384
MAX_LOSSES = 5
DEVICE = "cpu"
"""Lessons are so small that nothing else is faster; and everybody gets the same figures."""


@dataclass(frozen=True)
class SideRun:
    """One side of a lesson in its folder."""

    side: Side
    root: Path

    @property
    def files(self) -> JobFiles:
        return JobFiles(self.root)

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.root)

    @property
    def status(self) -> JobStatus:
        return read_status(self.root)

    @property
    def share(self) -> float:
        """Of its updates that are made, 0 to 1."""
        status = self.status
        return status.step / max(1, status.steps)

    @property
    def began(self) -> bool:
        """Whether it came to its first update."""
        return newest_line(self.run.events_file) is not None

    def progress(self) -> str:
        """How far it is, in one line."""
        line, status = newest_line(self.run.events_file), self.status
        numbers = [(name, value) for name, value in line.losses.items() if value is not None] if line else []
        losses = "  ".join(f"{name} {value:.3f}" for name, value in numbers[:MAX_LOSSES])
        return f"{self.side:<8} step {status.step}/{status.steps}  {losses}".rstrip()


@contextmanager
def made_sides(lesson: Lesson, out: Path, seed: int, data: Path | None = None) -> Iterator[dict[Side, SideRun]]:
    """Both sides, ready to train in `out`. Where the block ends with an error before any update, nothing is left.

    Args:
        data: pictures to learn from; the lesson's own without it.

    Raises:
        UserError: for a folder that is in use, a seed out of range and pictures that are not there.
    """
    if data and not data.expanduser().is_dir():
        raise UserError("lab_no_data", "There is no folder {path} with pictures.", path=data)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(
            "lab_out", "{path} is in use already: choose another --out, a folder that is new or empty.", path=out
        )
    configs = {side: lesson.side(side, seed) for side in SIDES}
    new = not out.exists()
    try:
        yield {side: _make(lesson, side, out, configs[side], data) for side in SIDES}
    except BaseException:
        if not any(SideRun(side, out / side).began for side in SIDES):
            _remove(out, new)
        raise


def train_sides(sides: Iterable[SideRun], stop: StopRequest, tell: Callable[[str], None], resume: bool = False) -> None:
    """Train until all have ended. A signal that `stop` has got ends them in good order.

    Args:
        tell: gets a line about a side now and then.

    Raises:
        UserError: what ended a side before its first update; the others are ended then.
    """
    processes = {side: _spawn(side, resume) for side in sides}
    told = {side.side: side.share if resume else 0.0 for side in processes}
    asked = False
    try:
        while any(process.poll() is None for process in processes.values()):
            if stop.signal and not asked:
                asked = True
                _terminate(processes.values())
            for side in processes:
                _tell_progress(side, told, tell)
            for side, process in processes.items():
                if process.poll() and not side.began:
                    raise _why(side)
            time.sleep(POLL_SECONDS)
        for side, process in processes.items():
            _tell_progress(side, told, tell)
            if process.returncode and not side.began:
                raise _why(side)
    finally:
        _end(processes.values())


def prepare_cure(lesson: Lesson, sick: SideRun) -> tuple[int, dict[str, object]]:
    """Write the remedy into the folder of the sick side, which then goes on with it.

    Returns:
        The update it goes on from, and the fields of the config that change.
    """
    config, made = sick.run.load_any_config(), newest_step(sick.run)
    remedy = lesson.remedy(made, config.steps)
    changes = {name: value for name, value in remedy.items() if read_option(config, name) != value}
    cured = with_changes(config, changes)
    sick.run.save_config(cured)
    notes = sick.files.notes() or JobNotes()
    sick.files.save(replace(notes, config=cured.to_json(), queued=time.time(), pitfall="", cured=made))
    return made, changes


def newest_line(path: Path) -> StepLogged | None:
    """The last line of losses of a file of events."""
    try:
        text = read_tail(path, TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    events = map(from_line, reversed(text.splitlines()))
    return next((event for event in events if isinstance(event, StepLogged)), None)


def _remove(out: Path, itself: bool) -> None:
    """Everything in a folder that was new or empty."""
    for path in out.iterdir() if out.is_dir() else ():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if itself and out.is_dir():
        out.rmdir()


def _make(lesson: Lesson, side: Side, out: Path, given: tuple[Config, str], data: Path | None) -> SideRun:
    config, pitfall = given
    made = SideRun(side, out / side)
    made.root.mkdir(parents=True)
    pictures = data.expanduser().absolute() if data else out.absolute() / "pictures"
    if not pictures.exists():
        size = config.model.image_size if isinstance(config, TrainConfig) else config.image_size
        write_pictures(lesson.data, pictures, size)
    config = _placed(config, made.files, pictures, own=data is not None)
    now = time.time()
    title = f"{lesson.name} {side}"
    about = {"lesson": lesson.name, "side": side, "pitfall": pitfall, "group": lesson.name}
    made.files.save(JobNotes(title, created=now, queued=now, config=config.to_json(), public=True, **about))
    return made


def _placed(config: Config, files: JobFiles, pictures: Path, own: bool) -> Config:
    where = {"data": str(pictures), "out": str(files.root.absolute()), "device": DEVICE}
    cache = str(files.cache.absolute())
    if isinstance(config, TrainConfig):
        layout = "auto" if own else config.source.layout
        return replace(config, **where, source=replace(config.source, cache_dir=cache, layout=layout))
    return replace(config, **where, cache_dir=cache)


def _spawn(side: SideRun, resume: bool) -> subprocess.Popen:
    """In a session of its own: Ctrl+C comes from here, once, as a second signal would cut it off."""
    side.files.forget()
    log = side.files.begin_log()
    try:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "bicyclegan.training.job_worker", str(side.root)),
                *(["--resume"] if resume else []),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=worker_environment(threads=1),
            start_new_session=True,
        )
    finally:
        close(log)


def _tell_progress(side: SideRun, told: dict[Side, float], tell: Callable[[str], None]) -> None:
    share = side.share
    if side.began and (share - told[side.side] >= TOLD_SHARE or share == 1 > told[side.side]):
        told[side.side] = share
        tell(side.progress())


def _why(side: SideRun) -> UserError:
    """What ended a side."""
    return side.status.error or UserError(
        "lab_side_ended", "The {side} run has ended before its first update.", side=side.side
    )


def _terminate(processes: Iterable[subprocess.Popen]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()


def _end(processes: Iterable[subprocess.Popen]) -> None:
    """None outlives the command, whatever ended it."""
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
