"""Ending a run in good order when somebody asks: Ctrl+C, SIGTERM."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class StopRequest:
    """Inside the `with` block the first SIGINT or SIGTERM only sets `signal`; the second one acts as always."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.signal: str = ""
        """Name of the signal that came, or empty."""
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # Python allows handlers nowhere else
            self._before = {number: signal.signal(number, self._on_signal) for number in self.SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
