"""Runs that a studio starts, stops, resumes and removes: each a process of its own, which needs no studio to go on.

Nothing is remembered here: folders, locks and `job.json` say all, so that a restarted studio finds every run as it is.
Who knows the name of a run that was started here may do anything with it; nobody is told the names of others' runs.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bicyclegan.errors import UserError
from bicyclegan.training.checks import check_config
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.dcgan_config import DcganConfig, read_config
from bicyclegan.training.disk_quota import LIMIT_BYTES, DiskQuota
from bicyclegan.training.job_changes import placed, with_changes
from bicyclegan.training.job_files import JobFiles, JobNotes
from bicyclegan.training.job_queue import WAITS, living, run_folders
from bicyclegan.training.job_status import JobStatus, read_status
from bicyclegan.training.process_lock import HAS_LOCKS, Holder, alone, holder, release, take, terminate
from bicyclegan.training.run_folder import RunFolder

MAX_WAITING = 8
"""Jobs that wait for their turn."""
MAX_OF_ONE = 2
"""Jobs of one address that wait or train."""
NAME = re.compile(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,199}")
"""A plain name of a folder that is not hidden."""
SECRET_LENGTH, MAX_SLUG, MAX_TITLE = 12, 32, 80
GONE = ".gone-"
"""How names of folders begin that are being removed."""
DRAFT_SECONDS, LESSON_SECONDS = 24 * 3600.0, 7 * 24 * 3600.0
PID_SECONDS = 15.0
"""In which a new process says its number."""
END_SECONDS, END_PAUSE = 120.0, 0.1
"""For which the end of a run is waited for, and between two looks."""


class Jobs:
    """The runs below one folder. For many threads, and for several studios at once."""

    def __init__(self, root: Path, device: str = "cpu", limit_bytes: int = LIMIT_BYTES):
        self.root, self.device = Path(root).absolute(), device
        self.quota = DiskQuota(self.root, limit_bytes)

    # Finding

    def folder(self, id: str) -> RunFolder:
        """The folder of a run or draft. Raises `UserError` where there is none, and for what is no name of one."""
        if isinstance(id, str) and NAME.fullmatch(id):
            path = self.root / id
            run = RunFolder(path)
            # Neither may a link lead elsewhere.
            if path.resolve().parent == self.root.resolve() and (
                JobFiles(path).notes_file.is_file() or run.config_file.is_file()
            ):
                return run
        raise UserError("run_gone", "This run is not here any more.")

    def status(self, id: str) -> JobStatus:
        """How it is now. Cheap enough to be asked every second."""
        return read_status(self.folder(id).root)

    def public(self) -> list[str]:
        """Runs of the command line, newest first: they are for all."""
        found = [path for path in run_folders(self.root) if RunFolder(path).config_file.is_file() and is_public(path)]
        found = [path for path in found if path.resolve().parent == self.root.resolve()]
        return [path.name for path in sorted(found, key=_age)]

    def usage(self) -> tuple[int, int]:
        """Bytes that all runs take, and that they may."""
        return self.quota.used(), self.quota.limit

    def check_room(self, extra_bytes: int = 0) -> None:
        """Raise `UserError` where so many bytes more are too many for the limit or the disk."""
        self.quota.check(extra_bytes)

    # Making and removing

    def new_draft(self, title: str, notes: JobNotes | None = None) -> str:
        """A folder for pictures, and its name, which is the key to it.

        notes: what else to note about it, such as its lesson.
        """
        self.check_room()
        title = _clean(title)
        secret = base64.b32encode(secrets.token_bytes(SECRET_LENGTH)).decode("ascii").lower()[:SECRET_LENGTH]
        name = f"{_slug(title)}-{secret}"
        (self.root / name).mkdir(parents=True)
        JobFiles(self.root / name).save(replace(notes or JobNotes(), title=title, created=time.time()))
        return name

    def rename(self, id: str, title: str) -> None:
        """Another title. The folder keeps its name. Raises `UserError` for a run of the command line."""
        files = JobFiles(self.folder(id).root)
        with self._alone():
            files.save(replace(_own(files), title=_clean(title)))

    def delete(self, id: str) -> None:
        """Remove a run and its pictures. Raises `UserError` for one that has a process, or of the command line."""
        run = self.folder(id)
        files = JobFiles(run.root)
        with self._alone():
            _own(files)
            locks = [take(path, pid=0) for path in (files.lock_file, run.lock_file)]
            try:
                if None in locks:
                    raise UserError("job_alive", "This run is waiting or training: stop it first.")
                gone = self.root / f"{GONE}{id}"
                shutil.rmtree(gone, ignore_errors=True)  # of an earlier attempt
                run.root.rename(gone)
            finally:
                for lock in locks:
                    if lock is not None:
                        release(lock)
        shutil.rmtree(gone, ignore_errors=True)
        self.quota.used(fresh=True)

    def sweep(self) -> None:
        """Remove drafts that nobody has touched for a day, lessons after a week, and what is left of removed runs."""
        for path in self.root.glob(f"{GONE}*"):
            shutil.rmtree(path, ignore_errors=True)
        for path in run_folders(self.root):
            if _is_old_draft(path) or _is_old_lesson(path):
                try:
                    self.delete(path.name)
                except UserError:  # it has just been started
                    continue

    # Processes

    def start(self, id: str, config: TrainConfig | DcganConfig, *, owner: str = "", bytes_needed: int = 0) -> None:
        """Train a draft as soon as it is its turn.

        Args:
            config: pictures, cache, folder and device are set here.
            owner: address of whoever asks, for everybody's share of the queue.
            bytes_needed: about what the run will take on the disk.

        Raises:
            UserError: for a config that cannot be trained, a run that has begun, and for want of room.
        """
        self.start_together({id: config}, owner=owner, bytes_needed=bytes_needed)

    def start_together(
        self, configs: Mapping[str, TrainConfig | DcganConfig], *, owner: str = "", bytes_needed: int = 0
    ) -> None:
        """Train drafts, by their names, of one group: no other run gets between them in the queue. See `start`.

        Where one of them cannot be started, those before it may have been.
        """
        owner = hashlib.sha256(owner.encode()).hexdigest()[:16] if owner else ""
        runs = {id: self.folder(id) for id in configs}
        with self._alone():
            ready = [(runs[id], self._begun_notes(runs[id], config)) for id, config in configs.items()]
            self._check_queue(owner, ready[0][1].group)
            self.check_room(bytes_needed)
            for run, notes in ready:
                self._launch(run, replace(notes, queued=time.time(), owner=owner))

    def _begun_notes(self, run: RunFolder, config: TrainConfig | DcganConfig) -> JobNotes:
        """Notes of a draft that is to train. Raises `UserError` where it cannot."""
        notes = _own(JobFiles(run.root))
        self._check_idle(run)
        if run.config_file.exists():
            raise UserError("job_begun", "This run has begun already: resume it, or make a new one.")
        # Lessons are so small that nothing else is faster than a CPU, and everybody gets the same figures.
        config = placed(config, run.root, "cpu" if notes.lesson else self.device)
        check_config(config.pictures() if isinstance(config, DcganConfig) else config, run, resume=False)
        return replace(notes, config=config.to_json())

    def resume(self, id: str, changes: Mapping[str, Any] | None = None, *, cured: bool = False) -> None:
        """Go on from the newest checkpoint, or from the beginning where there is none.

        Args:
            changes: fields of the config to change, by name; see `job_changes`. More steps let a completed run go on.
            cured: these are the doctor's: note after which update, and plant no pitfall any more.

        Raises:
            UserError: for a draft, a run that has a process, changes that cannot be, and for want of room.
        """
        run = self.folder(id)
        with self._alone():
            notes = JobFiles(run.root).notes() or JobNotes(created=_begun(run), public=True)
            self._check_idle(run)
            config = with_changes(_config(run, notes), changes or {})
            config = placed(config, run.root, self.device, own_pictures=not notes.public)
            self._check_queue(notes.owner, notes.group)
            self.check_room()
            if cured:
                notes = replace(notes, pitfall="", cured=newest_step(run))
            if run.config_file.exists():
                run.save_config(config)
            self._launch(run, replace(notes, config=config.to_json(), queued=time.time()), resume=True)

    def stop(self, id: str) -> None:
        """Ask a run to end in good order, with a checkpoint; one that waits just leaves. Nothing where it has ended.

        Raises:
            UserError: when its process cannot be reached from here.
        """
        run = self.folder(id)
        files = JobFiles(run.root)
        for path in (files.lock_file, run.lock_file):
            if who := _introduced(path):
                _ask_to_stop(files, path, who.pid)
                return

    def end(self, id: str, seconds: float = END_SECONDS) -> None:
        """Stop a run and wait until its process has gone, at most so many seconds. Nothing where it has ended.

        Raises:
            UserError: when its process cannot be reached from here, or takes longer.
        """
        end = time.monotonic() + seconds
        self.stop(id)
        while self.status(id).alive:
            if time.monotonic() >= end:
                raise UserError(
                    "job_ends_slowly",
                    "The run has not ended within {seconds:.0f} seconds; it may be writing its checkpoint. Try again.",
                    seconds=seconds,
                )
            time.sleep(END_PAUSE)

    def config(self, id: str) -> TrainConfig | DcganConfig:
        """What a run was set to, or will be. Raises `UserError` for a draft, and where it cannot be read."""
        run = self.folder(id)
        return _config(run, JobFiles(run.root).notes() or JobNotes())

    # With all other studios waiting

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with alone(self.root / ".jobs.lock"):
            yield

    def _check_idle(self, run: RunFolder) -> None:
        if not HAS_LOCKS:
            raise UserError(
                "jobs_unsupported",
                "Training from the browser needs Linux or macOS. Here use the command line: "
                "python -m bicyclegan train --help",
            )
        if holder(JobFiles(run.root).lock_file) or holder(run.lock_file):
            raise UserError("job_running", "This training is under way already.")

    def _check_queue(self, owner: str, group: str = "") -> None:
        """Raise `UserError` where there is no place for one more; those of its group have one already."""
        others = [each for each in living(self.root) if not group or each.group != group]
        if owner and len({each.place for each in others if each.owner == owner}) >= MAX_OF_ONE:
            raise UserError(
                "job_owner",
                "You have {count} trainings that wait or run: stop one, or start this one after them.",
                count=MAX_OF_ONE,
            )
        if len({each.place for each in others if not each.trains}) >= MAX_WAITING:
            raise UserError(
                "job_queue_full", "{count} trainings are waiting already. Try again later.", count=MAX_WAITING
            )

    def _launch(self, run: RunFolder, notes: JobNotes, resume: bool = False) -> None:
        """Start the process. It is given the job's lock, so that at no moment the job looks dead."""
        files = JobFiles(run.root)
        before, lock = files.notes(), None
        try:
            lock = take(files.lock_file, word=WAITS, pid=0)
            if lock is None:
                raise UserError("job_running", "This training is under way already.")
            files.forget()
            files.save(notes)
            threads = 1 if notes.group else max(1, _cores() - 1)  # one core is left to those who draw
            process = _start_worker(files, resume, lock, threads)
        except OSError as error:
            if before:
                files.save(before)
            raise UserError(
                "job_start", "The training could not be started ({why}). Try again later.", why=error.strerror or error
            ) from None
        finally:
            if lock is not None:
                release(lock)
        threading.Thread(target=process.wait, daemon=True).start()  # or it stays a zombie when it has ended


def newest_step(run: RunFolder) -> int:
    """Updates after which it would go on."""
    return max((step for step, _ in run.checkpoints()), default=0)


def worker_environment(threads: int) -> dict[str, str]:
    """Variables for a process that trains with so many threads."""
    package = str(Path(__file__).parents[2])
    return {
        **os.environ,
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)),
        "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "10000"),  # see `command`
        "PYTHONPATH": os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH")))),
    }


def _start_worker(files: JobFiles, resume: bool, lock: int, threads: int) -> subprocess.Popen:
    """In a session of its own, so that neither Ctrl+C nor the end of the studio reaches it."""
    log = files.begin_log()
    try:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "bicyclegan.training.job_worker", str(files.root), "--lock", str(lock)),
                *(["--resume"] if resume else []),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=worker_environment(threads),
            pass_fds=[lock],
            start_new_session=True,
        )
    finally:
        os.close(log)


def _introduced(path: Path) -> Holder | None:
    """Who holds a lock, with its number unless it keeps that to itself."""
    end = time.monotonic() + PID_SECONDS
    while (who := holder(path)) and not who.pid and time.monotonic() < end:
        time.sleep(0.05)
    return who


def _ask_to_stop(files: JobFiles, lock: Path, pid: int) -> None:
    if pid and pid == files.stopping()[0]:  # it knows
        return
    files.mark_stopping(pid)  # first, or it might end before anybody knows why
    if not (pid and terminate(lock, pid)):
        files.unmark()
        raise UserError(
            "job_elsewhere", "The process of this run cannot be reached from here: stop it where it was started."
        )


def _own(files: JobFiles) -> JobNotes:
    """Notes of a job. Raises `UserError` for a run of the command line, which belongs to all."""
    notes = files.notes()
    if notes is None or notes.public:
        raise UserError(
            "job_public", "{name} was made with the command line: it can only be changed there.", name=files.root.name
        )
    return notes


def _config(run: RunFolder, notes: JobNotes) -> TrainConfig | DcganConfig:
    """Of a run as it is, or of a job that was ended before it became one."""
    if run.config_file.exists():
        return run.load_any_config()
    if notes.config is None:
        raise UserError("job_draft", "This run has not been started yet.")
    return read_config(notes.config)


def is_public(folder: Path) -> bool:
    """Whether a run is everybody's: one of the command line, not of a visitor of the studio."""
    notes = JobFiles(folder).notes()
    return notes is None or notes.public


def _is_old_draft(folder: Path) -> bool:
    """Whether there is nothing in it but pictures, and nobody has added any for a day."""
    files, run = JobFiles(folder), RunFolder(folder)
    notes = files.notes()
    if notes is None or notes.config is not None or run.config_file.exists() or run.checkpoints():
        return False
    places = (files.notes_file, files.root, files.pictures)
    return time.time() - max(path.stat().st_mtime for path in places if path.exists()) > DRAFT_SECONDS


def _is_old_lesson(folder: Path) -> bool:
    """Whether it is a side of a lesson that has written nothing for a week: it can be had again in a minute."""
    files, run = JobFiles(folder), RunFolder(folder)
    notes = files.notes()
    if notes is None or not notes.lesson or notes.public:
        return False
    places = (files.notes_file, run.events_file)
    return time.time() - max(path.stat().st_mtime for path in places if path.exists()) > LESSON_SECONDS


def _begun(run: RunFolder) -> float:
    return run.config_file.stat().st_mtime if run.config_file.exists() else 0.0


def _age(folder: Path) -> tuple[float, str]:
    return -_begun(RunFolder(folder)), folder.name


def _clean(title: str) -> str:
    """A title on one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in title[: 4 * MAX_TITLE]).split())
    return line[:MAX_TITLE] or "run"


def _slug(title: str) -> str:
    """What of a title a folder's name may hold anywhere."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:MAX_SLUG].strip("-") or "run"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
