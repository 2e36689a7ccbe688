"""A queue for work that takes the whole machine: first come, first served, one at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from bicyclegan.errors import UserError

MAX_WAITING = 24
"""Who comes when so many wait is sent away: some seconds later there is room, and threads are not without end."""
MAX_LONG = 12
"""The same for work of several turns: who floods the studio with it leaves room for the strokes of others."""


class Lane:
    """A plain lock promises no order: who asks again at once may get it again and again."""

    def __init__(self, max_waiting: int = MAX_WAITING, max_long: int = MAX_LONG):
        self.max_waiting, self.max_long = max_waiting, max_long
        self._changed = Condition()
        self._queue: deque[object] = deque()
        """The first one works, the others wait."""

    @contextmanager
    def turn(self, again: bool = False, long: bool = False) -> Iterator[None]:
        """Wait, work, and let the next one in. No turn within a turn.

        again: somebody who was let in before comes with the next portion of the same work and is never sent away.
        long: more portions will follow.
        Raises `UserError` when too many wait.
        """
        ticket = object()
        with self._changed:
            if len(self._queue) > (self.max_long if long else self.max_waiting) and not again:
                raise UserError("busy", "The studio is busy: too many are waiting. Try again in a moment.")
            self._queue.append(ticket)
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._queue[0] is ticket)
            yield
        finally:
            with self._changed:
                self._queue.remove(ticket)
                self._changed.notify_all()
