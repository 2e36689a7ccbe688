"""Work that takes longer than a request: a task for each key, in a thread of its own, asked after until it is done."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bicyclegan.errors import UserError

PATIENCE = 60.0
"""Seconds without a question after which whoever began a task has left: it is stopped."""
KEPT = 900.0
"""Seconds for which an answer waits to be fetched."""
MOST = 6
"""Tasks that run at once."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far a task is."""

    what: str
    """What is being done, a word that the page knows."""
    done: int = 0
    total: int = 0
    """0 where nobody knows how much there is."""


Tell = Callable[[Progress], None]
"""Says how far a task is. Raises `LeftError` when nobody waits any more: the task cleans up and lets it pass."""
Work = Callable[[Tell], "dict[str, Any]"]
"""Does it all and returns the answer."""


class LeftError(Exception):
    """Nobody waits for this any more."""


@dataclass(eq=False)
class _Task:
    what: str
    begun: float
    seen: float
    progress: Progress
    answer: dict[str, Any] | None = None
    error: Exception | None = None
    stopped: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)


class TrainTasks:
    """For many threads. A new task takes the place of the old one with its key."""

    def __init__(self) -> None:
        self._tasks: dict[str, _Task] = {}
        self._running: set[_Task] = set()
        """Those whose threads have not ended, also where nobody waits for them any more."""
        self._lock = threading.Lock()

    def start(self, key: str, what: str, work: Work) -> None:
        """Begin. Raises `UserError` when too much is going on."""
        now = time.monotonic()
        with self._lock:
            self._tidy(now)
            if len(self._running) >= MOST:
                raise UserError("busy", "The studio is busy: too many are waiting. Try again in a moment.")
            if old := self._tasks.pop(key, None):
                old.stopped.set()
            task = self._tasks[key] = _Task(what, now, now, Progress("starting"))
            self._running.add(task)
        threading.Thread(target=self._run, args=(task, work), daemon=True).start()

    def news(self, key: str, patience: float = 0.0) -> dict[str, Any]:
        """{"task", "progress"} of a task that goes on, {"task", "answer"} of one that is done, {} where there is none.

        patience: seconds to wait for its end. Raises what the task raised. An answer is given as often as it is asked
        for, a mistake once.
        """
        with self._lock:
            task = self._tasks.get(key)
        if task is None:
            return {}
        task.seen = time.monotonic()
        task.done.wait(patience)
        if not task.done.is_set():
            return {"task": task.what, "progress": vars(task.progress)}
        if task.error is None:
            return {"task": task.what, "answer": task.answer}
        with self._lock:
            current = self._tasks.get(key)
            if current is task:
                del self._tasks[key]
        if not isinstance(task.error, LeftError):
            raise task.error
        if current is None or current is task:  # after a long silence somebody asks again
            return {}
        return {"task": current.what, "progress": vars(current.progress)}  # it has taken the place of this one

    def stop(self, key: str) -> None:
        """Forget the task; it ends when it next tells how far it is."""
        with self._lock:
            if task := self._tasks.pop(key, None):
                task.stopped.set()

    def end(self, key: str, seconds: float = 10.0) -> None:
        """Stop the task and wait until it has ended. Raises `UserError` where it does not."""
        with self._lock:
            task = self._tasks.pop(key, None)
        if task is None:
            return
        task.stopped.set()
        if not task.done.wait(seconds):
            raise UserError("busy", "The studio is busy: too many are waiting. Try again in a moment.")

    def _tidy(self, now: float) -> None:
        for key, task in [*self._tasks.items()]:
            if now - task.seen > (KEPT if task.done.is_set() else PATIENCE):
                task.stopped.set()
                del self._tasks[key]

    def _run(self, task: _Task, work: Work) -> None:
        def tell(progress: Progress) -> None:
            if task.stopped.is_set() or time.monotonic() - task.seen > PATIENCE:
                raise LeftError
            task.progress = progress

        try:
            task.answer = work(tell)
        except Exception as error:  # told to whoever asks
            if not isinstance(error, (UserError, LeftError)):
                log.exception("%s failed", task.what)
            task.error = error
        finally:
            with self._lock:
                self._running.discard(task)
            task.done.set()
