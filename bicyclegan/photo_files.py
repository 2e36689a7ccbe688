"""Photos that somebody hands over: pictures, and ZIPs of them, read one at a time and never unpacked to disk.

Nothing about them is believed: not their names, which are only shown, and not the sizes that a ZIP tells of.
"""

from __future__ import annotations

import io
import re
import stat
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from bicyclegan.data.files import PICTURES, UNKNOWN_PICTURES
from bicyclegan.errors import UserError
from bicyclegan.images import FORMAT_NAMES
from bicyclegan.latent import check_integer
from bicyclegan.photo_codes import MAX_LIMIT, spread

MAX_PHOTOS = 1000
MAX_NAME = 120
"""Characters. The end of a longer path is shown: it tells more than the beginning."""
MAX_FILE_BYTES = 25_000_000
MAX_BYTES = 2_000_000_000
"""Of everything that is handed over, unpacked."""
MAX_ENTRIES = 100_000
MAX_ZIPS = 50
"""ZIPs at once: each stays open."""
MAX_DIRECTORY_BYTES = 32 << 20
"""A ZIP's list of its entries: 320 bytes for each of as many as are allowed."""
MAX_EXAMPLES = 3
SYSTEM_FILES = ("__MACOSX", "Thumbs.db", "desktop.ini")
UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
"""Control characters, line ends, marks that turn the direction of text around, halves of characters."""


@dataclass(frozen=True)
class PhotoFile:
    """A file that has the name of a picture. Whether it is one shows when it is decoded."""

    name: str
    """What a person sees: path inside the ZIP or file name, parts separated by '/', 1 to 120 characters."""
    opened: Callable[[], BinaryIO] = field(repr=False, compare=False)
    path: str = ""
    """All of the name, however long."""
    archive: int | None = None
    """Which of the files handed over is the ZIP that holds it, from 0; None for one that was handed over itself."""

    def read(self) -> bytes:
        """Its contents. Raises `UserError` where they are damaged or, whatever was promised, too large."""
        try:
            with self.opened() as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except Exception as error:  # broken archives raise many kinds
            raise UserError(
                "image_damaged",
                "{name} is damaged or cut short ({reason}); download or save it again.",
                name=self.name,
                reason=_reason(error),
            ) from error
        if len(data) > MAX_FILE_BYTES:
            raise UserError(
                "photo_file_large",
                "{name} has more than {limit} MB; make it smaller.",
                name=self.name,
                limit=MAX_FILE_BYTES // 1_000_000,
            )
        return data


@dataclass(frozen=True)
class PhotoFiles:
    """What was handed over."""

    photos: tuple[PhotoFile, ...]
    """Sorted by name; names may repeat."""
    skipped: int
    """Files that are no pictures, or too large for one. Hidden files and those of systems do not count."""
    left_out: int
    """Photos above the limit."""
    examples: tuple[str, ...] = ()
    """Names of some that were skipped."""


@dataclass
class _Found:
    """What was found so far."""

    photos: list[PhotoFile] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    skipped: int = 0
    entries: int = 0
    bytes: int = 0

    def count(self, entries: int, size: int) -> None:
        """Raise `UserError` once it is too much."""
        self.entries += entries
        self.bytes += size
        if self.entries > MAX_ENTRIES:
            raise _too_many()
        if self.bytes > MAX_BYTES:
            raise UserError(
                "photo_files_large",
                "The files have {gigabytes} GB unpacked; at most {limit} GB are allowed: give fewer of them at once.",
                gigabytes=f"{self.bytes / 1e9:.1f}",
                limit=MAX_BYTES // 1_000_000_000,
            )

    def add(
        self, label: str, size: int, usable: bool, opened: Callable[[], BinaryIO], archive: int | None = None
    ) -> None:
        """One file of any kind but a ZIP that was handed over itself. label: its `shown_name`."""
        if not label or _is_hidden(label):
            return
        if usable and size <= MAX_FILE_BYTES and _suffix(label) in (*PICTURES, *UNKNOWN_PICTURES):
            self.photos.append(PhotoFile(_shortened(label), opened, label, archive))
            return
        self.skipped += 1
        if len(self.examples) < MAX_EXAMPLES:
            large = f" ({size / 1e6:.0f} MB)" if size > MAX_FILE_BYTES else ""
            self.examples.append(_shortened(label) + large)

    def chosen(self, limit: int) -> PhotoFiles:
        """At most `limit` of the photos, from all over."""
        if not self.photos:
            raise UserError(
                "photo_files_none",
                "There are no photos among {count} files ({found}). Give pictures ({formats}) of at most {limit} MB "
                "each, or ZIPs of them.",
                count=self.skipped,
                found=", ".join(self.examples) or "–",
                formats=FORMAT_NAMES,
                limit=MAX_FILE_BYTES // 1_000_000,
            )
        photos = sorted(self.photos, key=lambda photo: photo.name)
        kept = spread(len(photos), limit)
        chosen = tuple(photos[index] for index in kept)
        return PhotoFiles(chosen, self.skipped, len(photos) - len(kept), tuple(self.examples))


@contextmanager
def open_photo_files(
    paths: Sequence[str | Path], names: Sequence[str] = (), limit: int = MAX_PHOTOS
) -> Iterator[PhotoFiles]:
    """The photos among some files and ZIPs, to be read while the block runs.

    Args:
        paths: pictures, ZIPs of pictures (not ZIPs inside of ZIPs), and whatever else lay beside them.
        names: what to call each of them, such as its path in a folder; by default, or where their number is another,
            its file name.
        limit: most photos to take, evenly spread over all of them, 1 to 20,000.

    Raises:
        UserError: for a file that is not there, a damaged or locked ZIP, too much of anything, or no photo at all.
    """
    check_integer("limit", limit, 1, MAX_LIMIT)
    files = [Path(path) for path in paths]
    labels = [shown_name(name) for name in (names if len(names) == len(files) else [path.name for path in files])]
    found = _Found()
    with ExitStack() as opened:
        zips = 0
        for index, (path, label) in enumerate(zip(files, labels, strict=True)):
            size = _size(path)
            if _suffix(label) == ".zip" and not _is_hidden(label):
                zips += 1
                _check_zips(zips)
                _add_zip(found, opened.enter_context(_opened_zip(path, _shortened(label))), index)
            else:
                found.count(1, size)
                found.add(label, size, True, lambda path=path: path.open("rb"))
        yield found.chosen(limit)


def shown_name(name: str) -> str:
    """A path from anywhere as a label: parts separated by '/', without '..' and what shows nothing. May be empty."""
    text = unicodedata.normalize("NFC", UNSHOWN.sub(" ", name).replace("\\", "/"))
    parts = (" ".join(part.split()) for part in text.split("/"))
    return "/".join(part for part in parts if part not in ("", ".", ".."))


def _add_zip(found: _Found, packed: ZipFile, index: int) -> None:
    entries = packed.infolist()
    found.count(len(entries), sum(entry.file_size for entry in entries))
    for entry in entries:
        if not entry.filename.endswith(("/", "\\")):  # folders
            label = shown_name(_entry_name(entry))
            found.add(label, entry.file_size, _is_plain(entry), lambda entry=entry: packed.open(entry), index)


@contextmanager
def _opened_zip(path: Path, name: str) -> Iterator[ZipFile]:
    with ExitStack() as opened:
        try:
            guard = opened.enter_context(_GuardedFile(path))
            packed = opened.enter_context(ZipFile(guard))
            guard.guarding = False
        except UserError:
            raise
        except Exception as error:  # broken archives raise many kinds
            raise UserError(
                "photo_zip_damaged",
                "{name} is no ZIP that can be opened, or is damaged ({reason}); make or download it again.",
                name=name,
                reason=_reason(error),
            ) from error
        if any(entry.flag_bits & 0x1 for entry in packed.infolist()):
            raise UserError("photo_zip_locked", "{name} is locked with a password: make a ZIP without one.", name=name)
        yield packed


class _GuardedFile(io.BufferedReader):
    """A file whose reader takes the list of a ZIP's entries into memory whole: not without a limit."""

    def __init__(self, path: Path):
        super().__init__(io.FileIO(path))
        self.guarding = True

    def read(self, size: int | None = -1, /) -> bytes:
        """As ever; raises `UserError` for a list of too many entries."""
        if self.guarding and (size or 0) > MAX_DIRECTORY_BYTES:
            raise _too_many()
        data = super().read(size)
        if self.guarding and data.count(b"PK\x01\x02") > MAX_ENTRIES:  # what each of them begins with
            raise _too_many()
        return data


def _entry_name(entry: ZipInfo) -> str:
    """The name as it was meant: without the flag of UTF-8 it was read as if of an American PC of 1981."""
    if entry.flag_bits & 0x800:
        return entry.filename
    for encoding in ("utf-8", "gbk"):
        try:
            return entry.filename.encode("cp437").decode(encoding)
        except UnicodeError:
            continue
    return entry.filename


def _is_plain(entry: ZipInfo) -> bool:
    """Whether an entry is a file, no link or device, packed in a way whose reading can be limited."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    return kind in (0, stat.S_IFREG) and entry.compress_type in (ZIP_STORED, ZIP_DEFLATED)


def _is_hidden(label: str) -> bool:
    return any(part.startswith(".") or part in SYSTEM_FILES for part in label.split("/"))


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _shortened(label: str) -> str:
    return label if len(label) <= MAX_NAME else "…" + label[1 - MAX_NAME :]


def _size(path: Path) -> int:
    """In bytes. Raises `UserError` for what is no file."""
    try:
        facts = path.stat()
    except (OSError, ValueError):  # a name that no file can have
        facts = None
    if facts is None or not stat.S_ISREG(facts.st_mode):
        raise UserError("image_missing", "There is no file {name}; check the path.", name=str(path)[:200])
    return facts.st_size


def _check_zips(count: int) -> None:
    if count > MAX_ZIPS:
        raise UserError(
            "photo_zips_many", "There are more than {limit} ZIPs; pack the photos into one.", limit=MAX_ZIPS
        )


def _too_many() -> UserError:
    return UserError(
        "photo_files_many",
        "There are more than {limit} files in all; give fewer of them at once.",
        limit=MAX_ENTRIES,
    )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
