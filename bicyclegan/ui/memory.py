"""Memory that the C library keeps when tensors are gone."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from functools import lru_cache

TRIM_EVERY = 200
"""Pictures after which free memory is given back however busy it is; that takes 2 to 5 ms."""
IDLE_SECONDS = 0.5
"""Without a picture, after which it is given back as well."""


class Trimmer:
    """Returns free memory to the system while nobody waits, and now and then while somebody does.

    glibc keeps what was freed in pieces that fit less and less: after hundreds of paintings the process has grown by
    a tenth, while what is in use stays the same.
    """

    def __init__(self, give_back: Callable[[], None], idle: float = IDLE_SECONDS):
        self._give_back, self._idle = give_back, idle
        self._painted = 0
        self._busy = threading.Event()
        self._moved = threading.Event()
        threading.Thread(target=self._watch, name="trimmer", daemon=True).start()

    def count(self, pictures: int) -> None:
        """Say that so many pictures were painted."""
        self._painted += pictures
        if self._painted >= TRIM_EVERY:
            self._painted = 0
            self._give_back()
        self._moved.set()
        self._busy.set()

    def _watch(self) -> None:
        while self._busy.wait():
            self._moved.clear()
            if not self._moved.wait(self._idle):
                self._busy.clear()
                self._give_back()


@lru_cache(maxsize=1)
def trimmer() -> Trimmer:
    """The one of this process: memory is shared by all studios in it."""
    return Trimmer(give_back_memory)


def give_back_memory() -> None:
    """Return free memory to the system, where the C library is glibc; elsewhere do nothing."""
    if trim := _malloc_trim():
        trim(0)


@lru_cache(maxsize=1)
def _malloc_trim() -> ctypes._CFuncPtr | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another C library, or none that can be asked
        return None
