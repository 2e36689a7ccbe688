"""Pictures that somebody uploads, taken into the folder that a run learns from: all of a drop, or nothing of it.

Nothing about the files is believed (see `photo_files`). What is kept is kept byte for byte.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from bicyclegan.data.files import PICTURES, UNKNOWN_PICTURES
from bicyclegan.errors import UserError
from bicyclegan.images import count_pixels, load_image
from bicyclegan.photo_files import PhotoFile, PhotoFiles, open_photo_files, shown_name
from bicyclegan.training.upload_names import find_names

MAX_PICTURES = 20_000
MAX_BYTES = 2_000_000_000
"""Of all pictures in a folder."""
MAX_PROBLEMS = 20
DECODED = 1_000_000
"""Pixels up to which a picture is decoded to see whether it is whole. Larger ones take long: the data check does it."""
ROOM_STEP = 16_000_000
"""Bytes that are asked for at once when a drop unpacks to more than was uploaded."""
STAGING = ".drop-"
"""How the folder begins in which a drop waits until it is whole. Hidden: no data check looks inside."""

_locks: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
_locks_guard = threading.Lock()


@dataclass(frozen=True)
class Received:
    """What became of the files of a drop."""

    kept: int
    """Pictures that were added."""
    known: int
    """Pictures that were there already, byte for byte."""
    skipped: int
    """Files that are no pictures by their names, or too large for one."""
    examples: tuple[str, ...]
    """Names of some of those."""
    problems: tuple[UserError, ...]
    """What is wrong with those that have the name of a picture and are none: the first 20."""
    left_out: int
    """How many those are in all."""


@dataclass
class _Drop:
    """A drop on its way in."""

    folder: Path
    staging: Path
    max_bytes: int
    room: Callable[[int], None]
    bytes: int
    """Of the pictures that are there, and of those that have come in."""
    granted: int
    """Bytes of this drop for which there is room."""
    written: int = 0
    staged: list[tuple[Path, str]] = field(default_factory=list)
    """File, and path within the folder where it belongs."""
    problems: list[UserError] = field(default_factory=list)
    left_out: int = 0

    def take(self, photo: PhotoFile, path: str) -> None:
        """One picture. Raises `UserError` when there is no room for it."""
        try:
            data = photo.read()
            check_picture(data, photo.name)
        except UserError as problem:
            self.left_out += 1
            if len(self.problems) < MAX_PROBLEMS:
                self.problems.append(copy(problem))  # the original holds the picture in its traceback
            return
        self._ask_room(len(data))
        file = self.staging / str(len(self.staged))
        file.write_bytes(data)
        self.staged.append((file, path))

    def _ask_room(self, size: int) -> None:
        self.bytes += size
        if self.bytes > self.max_bytes:
            raise UserError(
                "upload_large",
                "The pictures have more than {limit} MB in all: give fewer, or make them smaller.",
                limit=self.max_bytes // 1_000_000,
            )
        self.written += size
        if self.written > self.granted:
            more = max(ROOM_STEP, self.written - self.granted)
            self.room(more)
            self.granted += more

    def publish(self) -> None:
        """Everything to its place, or nothing."""
        moved: list[Path] = []
        try:
            for file, path in self.staged:
                target = self.folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                moved.append(target)
                file.rename(target)
        except BaseException:
            for target in moved:
                target.unlink(missing_ok=True)
                _prune(target.parent, self.folder)
            raise


def receive(
    paths: Sequence[str | Path],
    names: Sequence[str],
    folder: Path,
    *,
    limit: int = MAX_PICTURES,
    max_bytes: int = MAX_BYTES,
    room: Callable[[int], None] = lambda size: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Received:
    """Add uploaded pictures, and those in uploaded ZIPs, to the pictures of a run. The uploaded files are left alone.

    Folders are kept, as they mean something; but not those that only wrap all the rest. Names stay, made safe.

    Args:
        paths: the files.
        names: what they are called where they come from, such as path/in/folder.png; by default, or where their
            number is another, their file names.
        folder: is made where it is missing.
        limit: most pictures that the folder may hold, up to 20,000.
        max_bytes: the same in bytes.
        room: called with a number of bytes before so many are written; raises `UserError` when that is too much.
        progress: called with the number of files that are done and of all. What it raises ends the drop.
        stopped: asked before each file.

    Raises:
        UserError: for what `open_photo_files` refuses, too many pictures, no room, a stop, or not a single picture
            that can be used. Whatever is raised, nothing of the drop stays.
    """
    folder = Path(folder)
    try:
        with _alone(folder, stopped), open_photo_files(paths, names, MAX_PICTURES) as files, _made(folder):
            labels = names if len(names) == len(paths) else [Path(path).name for path in paths]
            archives = {place: shown_name(label) for place, label in enumerate(labels)}
            uploaded = sum(Path(path).stat().st_size for path in paths)
            room(uploaded)
            with _staged(folder) as staging:
                there = _pictures(folder)
                drop = _Drop(folder, staging, max_bytes, room, sum(there.values()), uploaded)
                found = _find_places(drop, files, archives, there, progress, stopped)
                _check_count(len(there) + len(found) + files.left_out, limit)
                known = len(files.photos) - len(found)
                _take_all(drop, found, progress, stopped)
                if not drop.staged and not known:
                    raise _none(drop.problems[0], drop.left_out)
                drop.publish()
    except OSError as error:
        raise UserError(
            "upload_disk",
            "The pictures cannot be kept ({reason}): the disk may be full. Remove old runs, or try fewer pictures.",
            reason=error.strerror or str(error),
        ) from error
    return Received(len(drop.staged), known, files.skipped, files.examples, tuple(drop.problems), drop.left_out)


def check_picture(data: bytes, name: str) -> None:
    """Raise `UserError` for what is no picture to learn from; of a large one only the header is looked at."""
    if count_pixels(data, name) <= DECODED:
        load_image(data, name)


def _find_places(
    drop: _Drop,
    files: PhotoFiles,
    archives: dict[int, str],
    there: dict[str, int],
    progress: Callable[[int, int], None],
    stopped: Callable[[], bool],
) -> list[tuple[PhotoFile, str]]:
    """Pictures that are not there yet, each with its path."""

    def is_there(photo: PhotoFile, path: str) -> bool:
        _check_stopped(stopped)
        progress(0, len(files.photos))
        return path in there and _is_same(photo, drop.folder / path)

    paths = find_names(files.photos, archives, there, is_there)
    return [(photo, path) for photo, path in zip(files.photos, paths, strict=True) if path]


def _take_all(
    drop: _Drop,
    found: list[tuple[PhotoFile, str]],
    progress: Callable[[int, int], None],
    stopped: Callable[[], bool],
) -> None:
    for place, (photo, path) in enumerate(found):
        _check_stopped(stopped)
        progress(place, len(found))
        drop.take(photo, path)
    progress(len(found), len(found))


def _is_same(photo: PhotoFile, path: Path) -> bool:
    with suppress(UserError):  # it is named when it is taken
        return photo.read() == path.read_bytes()
    return False


def _pictures(folder: Path) -> dict[str, int]:
    """Path within the folder -> bytes, of all pictures that earlier drops have brought."""
    found: dict[str, int] = {}
    for at, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(at, name) for name in files):
            if path.suffix.lower() in (*PICTURES, *UNKNOWN_PICTURES):
                found[path.relative_to(folder).as_posix()] = path.stat().st_size
    return found


def _check_count(count: int, limit: int) -> None:
    if count > limit:
        raise UserError(
            "upload_many",
            "There are {count:,} pictures; at most {limit:,} are taken here. Give fewer, or train from the command "
            "line.",
            count=count,
            limit=limit,
        )


def _check_stopped(stopped: Callable[[], bool]) -> None:
    if stopped():
        raise UserError("upload_stopped", "Taking the pictures in was stopped; none of them was kept.")


@contextmanager
def _alone(folder: Path, stopped: Callable[[], bool]) -> Iterator[None]:
    """One drop at a time comes into a folder."""
    with _locks_guard:
        lock = _locks.setdefault(str(folder.absolute()), threading.Lock())
    while not lock.acquire(timeout=0.2):
        _check_stopped(stopped)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """The folder is there; one that was made for nothing goes again."""
    missing = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if missing:
            with suppress(OSError):
                folder.rmdir()
        raise


@contextmanager
def _staged(folder: Path) -> Iterator[Path]:
    """A folder inside that is gone after the block. Those that a killed process left go as well."""
    for old in folder.glob(f"{STAGING}*"):
        shutil.rmtree(old, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=folder))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _prune(folder: Path, root: Path) -> None:
    """Remove a folder and those above it, below the root, that are empty."""
    with suppress(OSError):
        while folder != root:
            folder.rmdir()
            folder = folder.parent


def _none(first: UserError, count: int) -> UserError:
    if count == 1:
        return first
    return UserError(
        "upload_none",
        "None of the {count} pictures can be used. The first: {problem}",
        count=count,
        problem=first,
    )
