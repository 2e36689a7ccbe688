"""What was computed last, kept up to a number of bytes: the one unused for longest goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock

import numpy as np


class Kept:
    """Arrays by key, for many threads. They are shared: what is kept can no longer be written to."""

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self.bytes = 0
        self._arrays: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> np.ndarray | None:
        """The array, or None where it was never kept, or is no longer."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
            return self._arrays.get(key)

    def put(self, key: Hashable, array: np.ndarray) -> None:
        """Keep an array; larger than all room together, it would only drive out the others."""
        if array.nbytes > self.max_bytes:
            return
        array.setflags(write=False)
        with self._lock:
            if key in self._arrays:
                self.bytes -= self._arrays.pop(key).nbytes
            self._arrays[key] = array
            self.bytes += array.nbytes
            while self.bytes > self.max_bytes:
                self.bytes -= self._arrays.popitem(last=False)[1].nbytes
