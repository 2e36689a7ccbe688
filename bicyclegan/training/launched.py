"""Which of several processes this one is, where torchrun or accelerate started it; known before torch is loaded."""

from __future__ import annotations

import os
import signal
import sys
import time

PATIENCE = 60.0
"""Seconds that a process waits for another one to say what went wrong."""


def launched() -> bool:
    """Whether a launcher started this process together with others."""
    return "LOCAL_RANK" in os.environ and _number("WORLD_SIZE", 1) > 1


def is_main() -> bool:
    """Whether this process speaks and writes for all."""
    return not launched() or _number("RANK", 0) == 0


def is_first_here() -> bool:
    """Whether this process speaks for those of its machine."""
    return not launched() or _number("LOCAL_RANK", 0) == 0


def processes_here() -> int:
    """How many processes share this machine's cores and GPUs."""
    return _number("LOCAL_WORLD_SIZE", 1) if launched() else 1


def leave_the_word_to_the_first(code: int) -> None:
    """In a process that fails, but for the first of its machine: wait for the launcher to end it with this exit code.

    Most mistakes are those of all processes, and one message is enough. But a launcher ends all as soon as one is
    gone, so the others stay until the first has spoken. If nobody ends this one, it is alone with its mistake.
    """
    if is_first_here():
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(code))
    time.sleep(PATIENCE)


def _number(name: str, default: int) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() else default
