"""Maps that take time, computed one after the other in a process beside this one, for whoever asks until they come.

Asking is polling: the same question gives the progress, and in the end the map. Who stops asking has left, and what
nobody waits for is stopped.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bicyclegan.errors import UserError
from bicyclegan.map_cache import MapCache
from bicyclegan.map_worker import read_message, write_message
from bicyclegan.projection import CodeMap, MapSettings, check_map, map_key, map_of, pca_map

MAX_JOBS = 12
"""Maps that wait or are computed. Each may take a minute."""
MAX_OF_ONE = 4
"""The same of one owner: whoever asks for many leaves room for others."""
MAX_FAILED = 50
MAX_DONE = 16
"""Maps that are kept here, of up to 250 kB: those who wait get theirs even where the cache cannot be written."""
PATIENCE = 90.0
"""Seconds without a question after which somebody has left. Pages ask twice a second, hidden ones once a minute."""
IDLE_SECONDS = 300.0
"""For which a worker without work is kept: it has UMAP compiled, and 300 MB of memory."""
WATCH_SECONDS = 0.5
END_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Waiting:
    """A map that is not there yet."""

    share: float
    """Of the work that is done, 0 to 1."""
    what: str
    """What is being done: waiting, loading, neighbours, layout."""
    ahead: int
    """Maps that come before it."""


@dataclass(eq=False)
class _Job:
    codes: np.ndarray
    settings: MapSettings
    owner: str
    private: bool
    share: float = 0.0
    what: str = "waiting"
    seen: dict[str, float] = field(default_factory=dict)
    """Who waits, and when they asked last."""


class MapJobs:
    """One worker, one queue. For many threads."""

    def __init__(self, cache: MapCache | None = None):
        self.cache = cache or MapCache()
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        """By `map_key`; the first one is being computed."""
        self._done: OrderedDict[str, np.ndarray] = OrderedDict()
        self._failed: OrderedDict[tuple[str, str], str] = OrderedDict()
        """By `map_key` and ticket: everybody who waited is told once, and nobody who comes later."""
        self._worker: subprocess.Popen | None = None
        self._idle_since = time.monotonic()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []

    def ask(
        self, codes: np.ndarray, settings: MapSettings, ticket: str, *, owner: str = "", private: bool = False
    ) -> CodeMap | Waiting:
        """The map, or how far it is. PCA and what was computed before are there at once.

        Args:
            codes: (N, D).
            ticket: who asks. One map a ticket: asking for another gives up the one before.
            owner: where from, for everybody's share of the queue.
            private: whether the map holds what belongs to somebody: it is kept for a while, but not on disk.

        Raises:
            UserError: for codes and settings that do not go together, for a map that failed, or when too many wait.
        """
        codes = check_map(codes, settings)
        if settings.method == "pca":
            self.cancel(ticket)
            return pca_map(codes, settings)
        key = map_key(codes, settings)
        found = self.known(codes, settings)
        with self._changed:
            self._leave(ticket, but="" if found else key)
            if found or key in self._done:  # of just now, after it was looked for
                return found or map_of(codes, settings, self._done[key])
            if why := self._failed.pop((key, ticket), ""):
                raise UserError("map_worker", "The map could not be computed: {why}.", why=why)
            return self._join(key, ticket, _Job(codes, settings, owner, private))

    def known(self, codes: np.ndarray, settings: MapSettings) -> CodeMap | None:
        """A map that was computed before, or None. codes: checked, see `check_map`."""
        key = map_key(codes, settings)
        with self._changed:
            coords = self._done.get(key)
        if coords is None:
            coords = self.cache.get(key)
        try:
            return None if coords is None else map_of(codes, settings, coords)
        except UserError:  # somebody has changed the file
            return None

    def cancel(self, ticket: str) -> None:
        """Wait no more. What nobody else waits for is stopped."""
        with self._changed:
            self._leave(ticket)

    def close(self) -> None:
        """Stop the worker and forget all that waits."""
        with self._changed:
            self._jobs.clear()
            self._stop_worker()

    # With the lock

    def _join(self, key: str, ticket: str, new: _Job) -> Waiting:
        if key not in self._jobs:
            mine = sum(job.owner == new.owner for job in self._jobs.values())
            if len(self._jobs) >= MAX_JOBS or mine >= MAX_OF_ONE:
                raise UserError("busy", "The studio is busy: too many are waiting. Try again in a moment.")
            self._jobs[key] = new
            self._start_threads()
            self._changed.notify_all()
        job = self._jobs[key]
        job.seen[ticket] = time.monotonic()
        return Waiting(job.share, job.what, [*self._jobs].index(key))

    def _leave(self, ticket: str, but: str = "") -> None:
        for key, job in self._jobs.items():
            if key != but:
                job.seen.pop(ticket, None)
        self._drop_unwanted()

    def _drop_unwanted(self) -> None:
        for key in [key for key, job in self._jobs.items() if not job.seen]:
            running = key == next(iter(self._jobs))
            del self._jobs[key]
            if running:
                self._stop_worker()

    def _ready_worker(self) -> subprocess.Popen | None:
        """The worker, a new one where the old one has ended; None where the system starts no more processes."""
        if self._worker is None or self._worker.poll() is not None:
            try:
                self._worker = _start_worker()
            except OSError as error:
                log.warning("no process for maps can be started: %s", error)
                self._worker = None
        return self._worker

    def _stop_worker(self) -> None:
        if self._worker is not None:
            _end(self._worker)  # whoever reads from it finds the end
            self._worker = None

    def _start_threads(self) -> None:
        if not self._threads:
            self._threads = [threading.Thread(target=each, daemon=True) for each in (self._work, self._watch)]
            for thread in self._threads:
                thread.start()

    # Threads

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs)
                key, job = next(iter(self._jobs.items()))
                worker = self._ready_worker()
            answer = self._computed(worker, job) if worker else "no process could be started for it"
            if isinstance(answer, np.ndarray) and not job.private:
                self.cache.put(key, answer)
            with self._changed:
                self._finish(key, job, answer)

    def _computed(self, worker: subprocess.Popen, job: _Job) -> np.ndarray | str:
        """Places, or why there are none."""
        with suppress(Exception):  # of a worker that ends, or says what is no answer: this thread goes on
            head = {"settings": job.settings.used, "shape": list(job.codes.shape)}
            write_message(worker.stdin, head, job.codes.astype(np.float64).tobytes())
            while message := read_message(worker.stdout, item_size=4):
                head, data = message
                if "error" in head:
                    return str(head["error"])
                if data:
                    return np.frombuffer(data, np.float32).reshape(head["shape"])
                job.share, job.what = head["share"], head["what"]
        _end(worker)  # or what it says next might be taken for the next map's
        return "the process that computed it was ended, perhaps for want of memory"

    def _finish(self, key: str, job: _Job, answer: np.ndarray | str) -> None:
        self._idle_since = time.monotonic()
        if self._jobs.get(key) is job:  # or everybody has left, and the worker was stopped for that
            del self._jobs[key]
            if isinstance(answer, str):
                _keep(self._failed, {(key, ticket): answer for ticket in job.seen}, MAX_FAILED)
        if isinstance(answer, np.ndarray):
            _keep(self._done, {key: answer}, MAX_DONE)

    def _watch(self) -> None:
        while True:
            time.sleep(WATCH_SECONDS)
            with self._changed:
                now = time.monotonic()
                for job in self._jobs.values():
                    job.seen = {who: when for who, when in job.seen.items() if now - when < PATIENCE}
                self._drop_unwanted()
                if not self._jobs and now - self._idle_since > IDLE_SECONDS:
                    self._stop_worker()


def _start_worker() -> subprocess.Popen:
    root = str(Path(__file__).parents[1])
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-m", "bicyclegan.map_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **one_thread, "PYTHONPATH": path},
    )


def _end(worker: subprocess.Popen) -> None:
    worker.kill()
    with suppress(subprocess.TimeoutExpired):  # one that hangs in the system is left to it
        worker.wait(END_SECONDS)


def _keep(kept: OrderedDict, new: dict, most: int) -> None:
    """Add to what is kept; the oldest goes where it is too much."""
    kept.update(new)
    while len(kept) > most:
        kept.popitem(last=False)
