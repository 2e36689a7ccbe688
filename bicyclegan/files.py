"""Files that are either whole or not there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape as glob_escape
from pathlib import Path


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file in one step: readers see the old content or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """Fill the yielded empty folder; it takes the place of `folder` when the block ends without an error.

    What was written is on the disk before it takes that place. A process that is killed between the two renames
    leaves no `folder`: see `recover_folder`.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        (new := work / "new").mkdir()
        yield new
        for path in (*new.rglob("*"), new):
            _sync(path)
        if folder.exists():
            folder.replace(work / "old")
        try:
            new.replace(folder)
        except OSError:
            if (work / "old").exists():
                (work / "old").replace(folder)
            raise
        _sync(folder.parent)  # or a power cut might undo the renaming, but not what is removed after it
    finally:
        shutil.rmtree(work, ignore_errors=True)


def recover_folder(folder: Path) -> None:
    """Finish or undo a `replace_folder` that was cut off by the death of its process, and remove what it left.

    Only for the one process that writes `folder`: it takes any replacement under way for a dead one.
    """
    for work in sorted(folder.parent.glob(f".{glob_escape(folder.name)}.*")):
        for part in (work / "new", work / "old"):
            # `old` is only there once `new` was complete.
            if (work / "old").is_dir() and part.is_dir() and not folder.exists():
                part.replace(folder)
        shutil.rmtree(work, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
