"""Locks on files that end with the process that holds them, however it ends; and who that is.

The file holds the number of the process and a word about it. That is only to be believed while the lock is held.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

HAS_LOCKS = fcntl is not None
NO_LOCK = -1
"""In place of a descriptor where the system has no such locks."""
PATIENCE, PAUSE = 0.5, 0.02
"""Seconds for which a lock is tried again: whoever only looks holds it too, for a moment."""
WIDTH = 48
_open: set[int] = set()
"""Descriptors of this process that hold a lock."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    pid: int
    """0 where it has not said so."""
    word: str = ""


def take(path: Path, patience: float = PATIENCE, word: str = "", pid: int | None = None) -> int | None:
    """Hold a lock until `release`, or until this process ends. Makes the file; its folder must be there.

    Args:
        patience: seconds for which it is tried.
        word: about the holder.
        pid: 0 for a holder that nobody should end, in place of this process.

    Returns:
        Its descriptor, which a child process can be given together with the lock; None when another one holds it.
    """
    if fcntl is None:
        return NO_LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    _open.add(descriptor)
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            introduce(descriptor, os.getpid() if pid is None else pid, word)
        except BlockingIOError:
            if time.monotonic() >= end:
                release(descriptor)
                return None
            time.sleep(PAUSE)
        except BaseException:
            release(descriptor)
            raise
        else:
            return descriptor


def introduce(descriptor: int, pid: int, word: str = "") -> None:
    """Write who holds a lock, with one write of one length: a reader sees the old or the new."""
    if descriptor != NO_LOCK:
        os.pwrite(descriptor, f"{pid} {word}".ljust(WIDTH - 1).encode() + b"\n", 0)


def adopt(descriptor: int, word: str = "") -> None:
    """Take over a lock that the parent process has given."""
    os.set_inheritable(descriptor, False)
    _open.add(descriptor)
    introduce(descriptor, os.getpid(), word)


def release(descriptor: int) -> None:
    """Hold it no more. A child that was given it goes on to."""
    if descriptor != NO_LOCK:
        _open.discard(descriptor)
        os.close(descriptor)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait for a lock that is only ever held for moments, and hold it."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    _open.add(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        release(descriptor)


def holder(path: Path) -> Holder | None:
    """Who holds a lock; None where nobody does. Others who look at the same time are no holders."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    _open.add(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        pid, _, word = os.pread(descriptor, WIDTH, 0).decode("ascii", "replace").strip().partition(" ")
        return Holder(int(pid) if pid.isdecimal() else 0, word)
    else:
        return None
    finally:
        release(descriptor)


def terminate(path: Path, pid: int) -> bool:
    """Ask the process that holds a lock to end. False where it cannot be reached: in another container, or not ours."""
    if pid == os.getpid() or not _has_open(pid, path):
        return holder(path) is None
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def _has_open(pid: int, path: Path) -> bool:
    """Whether that process has the file open. Numbers mean other processes in other containers that share the disk.

    True where the system does not tell, as macOS.
    """
    if not Path("/proc/self/fd").is_dir():
        return pid > 0
    with suppress(OSError):
        wanted = path.stat()
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if os.path.samestat(link.stat(), wanted):
                    return True
    return False


def _leave_locks() -> None:
    """In a process made by fork: readers of pictures may outlive a killed run and must not hold it."""
    while _open:
        with suppress(OSError):
            os.close(_open.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_locks)
