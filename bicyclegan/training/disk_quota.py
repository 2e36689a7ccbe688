"""How much of the disk all runs together may take."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

from bicyclegan.errors import UserError

LIMIT_BYTES = 20 * 10**9
KEEP_FREE = 10**9
"""Bytes of the disk that are left for all else."""
FRESH_SECONDS = 5.0
"""For which a count is good: a large folder takes a tenth of a second."""


class DiskQuota:
    """Counts what lies below a folder. For many threads."""

    def __init__(self, root: Path, limit: int = LIMIT_BYTES):
        self.root, self.limit = root, limit
        self._used, self._counted = 0, -FRESH_SECONDS
        self._lock = threading.Lock()

    def used(self, fresh: bool = False) -> int:
        """Bytes of all files; hard links count once, links to elsewhere not at all.

        fresh: count now. Else the number may be some seconds old.
        """
        with self._lock:
            if fresh or time.monotonic() - self._counted >= FRESH_SECONDS:
                self._used, self._counted = count_bytes(self.root), time.monotonic()
            return self._used

    def check(self, extra: int = 0) -> None:
        """Raise `UserError` where so many bytes more are too many for the limit, or for the disk."""
        used = self.used()
        if used + extra > self.limit:
            raise UserError(
                "disk_quota",
                "All runs together take {used:.1f} of {limit:.1f} GB, and this takes {extra:.1f} GB. Delete runs that "
                "you need no more.",
                used=used / 1e9,
                limit=self.limit / 1e9,
                extra=extra / 1e9,
            )
        free = shutil.disk_usage(_existing(self.root)).free
        if free - extra < KEEP_FREE:
            raise UserError(
                "disk_low",
                "The disk has {free:.1f} GB left, and {keep:.1f} GB stay free for all else; this takes {extra:.1f} GB. "
                "Delete runs that you need no more.",
                free=free / 1e9,
                keep=KEEP_FREE / 1e9,
                extra=extra / 1e9,
            )


def count_bytes(folder: Path) -> int:
    """Bytes of all files below a folder, which may change meanwhile."""
    total, linked, folders = 0, set(), [str(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                        continue
                    about = entry.stat(follow_symlinks=False)
                    if about.st_nlink > 1 and (about.st_dev, about.st_ino) in linked:
                        continue
                    if about.st_nlink > 1:
                        linked.add((about.st_dev, about.st_ino))
                    total += about.st_size
        except OSError:  # it has just been removed
            continue
    return total


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
