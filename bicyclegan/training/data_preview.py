"""What a run's pictures are and what a run would cost, for a server that paints meanwhile.

`Preview` asks a process of its own (`preview_worker`); `edges_preview` is quick and answers here.
"""

from __future__ import annotations

import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bicyclegan.config import EdgeStyle
from bicyclegan.data.files import find_files
from bicyclegan.data.pairs import NO_STROKES, SEAM_BACKGROUND, seam_mask
from bicyclegan.errors import UserError
from bicyclegan.images import border_colour, fit_box, fit_square, load_image
from bicyclegan.map_worker import read_message, write_message
from bicyclegan.photo_codes import spread
from bicyclegan.sketch.amateur import amateur_edges
from bicyclegan.training.config import DataConfig, TrainConfig
from bicyclegan.training.thumbs import Thumbs, make_thumbs

MOST = 2
"""Processes at once."""
SECONDS = 1800.0
"""Time that one may take: enough for 20,000 pictures on a slow machine."""
HEARTBEAT = 0.5
"""Seconds after which the last news is told again, so that whoever waits can leave."""
END_SECONDS = 5.0
PHOTOS = 8

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreviewProgress:
    """How far a preview is."""

    what: str
    """starting, reading, checking or measuring."""
    done: int = 0
    total: int = 0
    """0 where nobody knows how much there is."""


class Preview:
    """Looks through data sets and measures runs, a few at once. For many threads."""

    def __init__(self, most: int = MOST, seconds: float = SECONDS):
        self._places = threading.BoundedSemaphore(most)
        self.seconds = seconds

    def run(
        self, task: Literal["check", "plan"], config: TrainConfig, fixed: Collection[str] = ()
    ) -> Iterator[PreviewProgress | dict[str, Any]]:
        """News again and again, and in the end the answer of `preview_tasks.check` or `preview_tasks.plan`.

        Closing the generator ends the process. `contextlib.closing` does it at once.

        Args:
            config: with its paths set. What is wrong with the pictures is not known yet.
            fixed: see `preview_tasks.check`.

        Raises:
            UserError: when too many previews run, for pictures or options that do not work, or when the process ends
                or takes too long.
        """
        end = time.monotonic() + self.seconds
        while not self._places.acquire(timeout=HEARTBEAT):  # others go first
            if time.monotonic() > end:
                raise UserError("busy", "The studio is busy: too many are waiting. Try again in a moment.")
            yield PreviewProgress("waiting")
        worker = None
        try:
            worker = _start()
            yield from self._listen(worker, {"task": task, "config": config.to_json(), "fixed": list(fixed)})
        finally:
            if worker is not None:
                _end(worker)
            self._places.release()

    def _listen(self, worker: subprocess.Popen, request: dict[str, Any]) -> Iterator[PreviewProgress | dict[str, Any]]:
        told: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=_read, args=(worker, told), daemon=True).start()
        end = time.monotonic() + self.seconds
        with suppress(BrokenPipeError):  # of a process that has ended: there will be no answer
            write_message(worker.stdin, request)
        news: dict[str, Any] | None = {"what": "starting", "done": 0, "total": 0}
        while news and "what" in news:
            if time.monotonic() > end:
                raise UserError(
                    "preview_slow",
                    "This took more than {minutes:.0f} minutes and was given up: try fewer or smaller pictures.",
                    minutes=self.seconds / 60,
                )
            yield PreviewProgress(news["what"], news["done"], news["total"])
            with suppress(queue.Empty):
                news = told.get(timeout=HEARTBEAT)
        yield _result(news)


def edges_preview(folder: Path, style: EdgeStyle, size: int, count: int = PHOTOS) -> Thumbs:
    """Some photos below a folder, from all over, with the edges that training finds in them with this style.

    size: of the model's pictures in px. Raises `UserError` where there are no photos, or none that can be read.
    """
    entries = find_files(DataConfig(layout="photos"), str(folder)).train
    pairs, names, problem = [], [], None
    for place in spread(len(entries), count):
        path = entries[place].photo
        try:
            photo, wipe = _fitted(path, path.stat().st_mtime_ns, size)
        except UserError as error:
            problem = error
            continue
        pairs.append((amateur_edges(photo, style, NO_STROKES, np.random.RandomState(0), wipe=wipe), photo))
        names.append(entries[place].name)
    if problem and not pairs:
        raise problem
    return make_thumbs(pairs, names, "computed", style)


@lru_cache(maxsize=64)
def _fitted(path: Path, _changed: int, size: int) -> tuple[np.ndarray, np.ndarray | None]:
    """A photo (S, S, 3) as training fits it, and where no edge may be, bool (S, S)."""
    photo = load_image(path, path.name)
    paper, plainness = border_colour(np.asarray(photo))
    wipe = seam_mask(fit_box(*photo.size, size), size) if plainness <= SEAM_BACKGROUND else None
    return np.asarray(fit_square(photo, size, fill=tuple(paper.tolist()))), wipe


def _result(news: dict[str, Any] | None) -> dict[str, Any]:
    """What came out. Raises `UserError` where nothing did."""
    if news is None:
        why = "its process was ended, perhaps for want of memory"
    elif "result" in news:
        return news["result"]
    elif "error" in news:
        raise UserError.from_json(news["error"])
    else:
        why = str(news.get("failed"))
        log.error("a preview failed: %s", news.get("trace", why))
    raise UserError("preview_failed", "This could not be found out: {why}.", why=why)


def _read(worker: subprocess.Popen, told: queue.Queue) -> None:
    with suppress(Exception), worker.stdout:  # of a process that is killed, or says what is no answer
        while message := read_message(worker.stdout, item_size=1):
            told.put(message[0])
    told.put(None)


def _start() -> subprocess.Popen:
    package = str(Path(__file__).parents[2])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(max(1, cores - 1)))
    environment = {
        **os.environ,
        **threads,  # as many as a run will have, see `jobs`
        "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "10000"),  # see `command`
        "PYTHONPATH": os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH")))),
    }
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "bicyclegan.training.preview_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
    except OSError as error:
        raise UserError(
            "preview_failed", "This could not be found out: {why}.", why=error.strerror or str(error)
        ) from error


def _end(worker: subprocess.Popen) -> None:
    worker.kill()
    with suppress(OSError):
        worker.stdin.close()
    with suppress(subprocess.TimeoutExpired):  # one that hangs in the system is left to it
        worker.wait(END_SECONDS)
