"""Pictures decoded once: squares of the size that training needs, in one file that is mapped into memory.

Beside `<key>.npy`, uint8 (N, bytes of sketch and photo), lies `<key>.npz` with facts about each picture; it is
written last, so that where it is both are whole. Each has a temporary name until then: two runs may build the same
pictures at once. Nothing is ever deleted.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import json
import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Literal
from zipfile import BadZipFile

import numpy as np
from PIL import Image

from bicyclegan.config import EdgeStyle
from bicyclegan.data.files import Entry, FoundLayout
from bicyclegan.errors import UserError
from bicyclegan.files import write_atomic
from bicyclegan.images import border_colour, fit_box, fit_square, load_image
from bicyclegan.sketch.edges import prepare_drawing
from bicyclegan.sketch.kind import Kind

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

VERSION = 1
"""Raised when the same files become other pixels."""
THUMB = 16
"""Side of the thumbnails that duplicates are found by."""
CONSTANT = 8
"""Levels between the darkest and the lightest part of a thumbnail up to which a picture shows nothing."""
CHUNK = 128
"""Pictures that are decoded before they are written."""
HEADER = 128
"""Bytes of the .npy header."""


@dataclass(frozen=True)
class PixelSpec:
    """Everything that decides what a file becomes."""

    size: int
    """Side of the squares in pixels."""
    layout: FoundLayout
    sketch: Kind | Literal["computed"]
    """computed: there is no sketch, edges are found in the photo while training."""
    sketch_left: bool = True
    """side-by-side: which half is the sketch."""
    style: EdgeStyle = dataclasses.field(default_factory=EdgeStyle)
    """What lines must look like."""

    @property
    def sketch_channels(self) -> int:
        """Channels of the stored sketch: none, grey lines, or colours."""
        return {"computed": 0, "lines": 1}.get(self.sketch, 3)

    @property
    def row(self) -> int:
        """Bytes of one example."""
        return self.size**2 * (self.sketch_channels + 3)


@dataclass(frozen=True)
class Pictures:
    """The decoded examples of one split. Arrays have one entry for each."""

    path: Path
    spec: PixelSpec
    names: tuple[str, ...]
    sizes: np.ndarray
    """int32 (N, 2): width and height of the photo on disk."""
    boxes: np.ndarray
    """int32 (N, 4): where the photo lies in its square: left, top, width, height."""
    papers: np.ndarray
    """uint8 (N, 3): colour of its border, and of the filling around it."""
    plainness: np.ndarray
    """float32 (N,): share of its border in that colour."""
    thumbs: np.ndarray
    """uint8 (N, 16, 16, 3): the photo, tiny."""
    constant: np.ndarray
    """uint8 (N,): 1 where the photo shows nothing, 2 where the sketch does, 3 where both do."""
    unreadable: tuple[str, ...]
    """What was left out, and why."""

    def __len__(self) -> int:
        return len(self.names)

    def __getstate__(self) -> dict[str, object]:
        """Without the mapped pixels: a process started for loading maps them itself."""
        return {key: value for key, value in self.__dict__.items() if key != "rows"}

    @cached_property
    def rows(self) -> np.ndarray:
        """uint8 (N, bytes), mapped: pages are read when they are used."""
        return np.load(self.path, mmap_mode="r")

    def read(self, index: int) -> tuple[np.ndarray | None, np.ndarray]:
        """Sketch (S, S, 1 | 3) or None if it is computed, and photo (S, S, 3), uint8, read-only."""
        size, channels = self.spec.size, self.spec.sketch_channels
        row, split = self.rows[index], size**2 * channels
        sketch = np.asarray(row[:split]).reshape(size, size, channels) if channels else None
        return sketch, np.asarray(row[split:]).reshape(size, size, 3)


def load_pictures(
    entries: Sequence[Entry], spec: PixelSpec, folder: Path, progress: Progress | None = None
) -> Pictures:
    """Decode the entries, or find them decoded in `folder`.

    What cannot be read is left out and named in `unreadable`. Raises `UserError` when the folder cannot be written
    or the disk is full.
    """
    path = folder / f"{_key(entries, spec)}.npy"
    found = _open_cached(path, spec)
    if found is not None:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_space(folder, len(entries) * spec.row)
        facts = _build(path, entries, spec, progress)
        write_atomic(path.with_suffix(".npz"), _as_npz(facts))
    except OSError as error:
        raise _not_written(folder, error, len(entries) * spec.row) from error
    found = _open_cached(path, spec)
    assert found is not None, path
    return found


def split_pair(entry: Entry, sketch_left: bool) -> tuple[Image.Image, Image.Image]:
    """Sketch and photo of one example of pairs, RGB. Raises `UserError` if they cannot belong together."""
    if entry.sketch is not None:
        sketch, photo = load_image(entry.sketch, entry.name), load_image(entry.photo, entry.name)
    else:
        both = load_image(entry.photo, entry.name)
        width, height = both.width // 2, both.height
        if both.width <= height:
            raise UserError(
                "data_not_wide",
                "{name} is {width} x {height} px: two pictures side by side are wider than high.",
                name=entry.name,
                width=both.width,
                height=height,
            )
        halves = (both.crop((left, 0, left + width, height)) for left in (0, both.width - width))
        sketch, photo = (load_image(half, entry.name) for half in halves)
        if not sketch_left:
            sketch, photo = photo, sketch
    if abs(sketch.width * photo.height - sketch.height * photo.width) > 0.01 * sketch.width * photo.height:
        raise UserError(
            "data_shapes",
            "{name}: sketch ({sketch} px) and photo ({photo} px) differ in shape; crop them alike.",
            name=entry.name,
            sketch=f"{sketch.width} x {sketch.height}",
            photo=f"{photo.width} x {photo.height}",
        )
    return sketch, photo


@dataclass(frozen=True)
class _Decoded:
    pixels: bytes
    facts: tuple[tuple[int, int], tuple[int, ...], np.ndarray, float, np.ndarray, int]
    """In the order of `Pictures`: size, box, paper, plainness, thumb, constant."""


def _decode(entry: Entry, spec: PixelSpec) -> _Decoded | str:
    """The squares of one example, or why there are none."""
    try:
        if spec.sketch == "computed":
            sketch, photo = None, load_image(entry.photo, entry.name)
        else:
            sketch, photo = split_pair(entry, spec.sketch_left)
        paper, plainness = border_colour(np.asarray(photo))
        square = fit_square(photo, spec.size, fill=tuple(paper.tolist()))
        drawn = None if sketch is None else _sketch_square(sketch, spec)
    except UserError as error:
        return str(error)
    thumb = np.asarray(square.resize((THUMB, THUMB), Image.Resampling.BOX))
    constant = int(_is_constant(thumb)) + 2 * int(drawn is not None and _is_constant(drawn))
    pixels = (b"" if drawn is None else drawn.tobytes()) + square.tobytes()
    return _Decoded(pixels, (photo.size, fit_box(*photo.size, spec.size), paper, plainness, thumb, constant))


def _sketch_square(sketch: Image.Image, spec: PixelSpec) -> np.ndarray:
    """The sketch (S, S, 1 | 3): as inference makes it of a picture of a drawing, or of a label map."""
    if spec.sketch == "lines":
        return prepare_drawing(sketch, spec.size, spec.style)[..., None]
    paper = _commonest(np.asarray(sketch))
    return np.asarray(fit_square(sketch, spec.size, fill=paper, flat=spec.sketch == "labels"))


def _commonest(pixels: np.ndarray) -> tuple[int, int, int]:
    """The most frequent colour of a picture's border: a mean would be a label of its own."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    colours, counts = np.unique(border, axis=0, return_counts=True)
    red, green, blue = colours[counts.argmax()].tolist()
    return red, green, blue


def _is_constant(pixels: np.ndarray) -> bool:
    return int(np.ptp(pixels.reshape(-1, pixels.shape[-1]), axis=0).max()) <= CONSTANT


def _key(entries: Sequence[Entry], spec: PixelSpec) -> str:
    """Changes with the files and with all that decides their pixels."""
    files = [(each.name, *_stat(each.photo), *_stat(each.sketch)) for each in entries]
    text = json.dumps([VERSION, dataclasses.asdict(spec), files])
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _stat(path: Path | None) -> tuple[int, int]:
    try:
        found = path.stat() if path else None
    except OSError:
        found = None
    return (found.st_size, found.st_mtime_ns) if found else (0, 0)


def _build(path: Path, entries: Sequence[Entry], spec: PixelSpec, progress: Progress | None) -> dict[str, np.ndarray]:
    """Write the pixels; returns the facts."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    names: list[str] = []
    facts: list[tuple] = []
    unreadable: list[str] = []
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_header(0, spec.row))
            for entry, decoded in _decode_all(entries, spec, progress):
                if isinstance(decoded, str):
                    unreadable.append(decoded)
                    continue
                file.write(decoded.pixels)
                names.append(entry.name)
                facts.append(decoded.facts)
            _finish(file, _header(len(names), spec.row))
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return _as_arrays(names, facts, unreadable)


def _decode_all(
    entries: Sequence[Entry], spec: PixelSpec, progress: Progress | None
) -> Iterator[tuple[Entry, _Decoded | str]]:
    """All entries in their order, decoded by as many threads as there are cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(min(cores, 16)) as pool:
        for start in range(0, len(entries), CHUNK):
            chunk = entries[start : start + CHUNK]
            yield from zip(chunk, pool.map(lambda entry: _decode(entry, spec), chunk), strict=True)
            if progress:
                progress("reading pictures", start + len(chunk), len(entries))


def _header(count: int, row: int) -> bytes:
    """Start of a .npy file, version 1.0, uint8 (count, row): as long for any count, so that it can be corrected."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, {row}), }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", HEADER - 10) + text.ljust(HEADER - 11).encode() + b"\n"


def _finish(file: IO[bytes], header: bytes) -> None:
    file.seek(0)
    file.write(header)
    file.flush()
    os.fsync(file.fileno())


def _as_arrays(names: list[str], facts: list[tuple], unreadable: list[str]) -> dict[str, np.ndarray]:
    sizes, boxes, papers, plainness, thumbs, constant = zip(*facts, strict=True) if facts else ((),) * 6
    return {
        "names": np.array(names, np.str_),
        "sizes": np.array(sizes, np.int32).reshape(-1, 2),
        "boxes": np.array(boxes, np.int32).reshape(-1, 4),
        "papers": np.array(papers, np.uint8).reshape(-1, 3),
        "plainness": np.array(plainness, np.float32),
        "thumbs": np.array(thumbs, np.uint8).reshape(-1, THUMB, THUMB, 3),
        "constant": np.array(constant, np.uint8),
        "unreadable": np.array(unreadable, np.str_),
    }


def _as_npz(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _open_cached(path: Path, spec: PixelSpec) -> Pictures | None:
    """Decoded pictures, or None where there are none that are whole."""
    try:
        with np.load(path.with_suffix(".npz")) as file:
            facts = {key: file[key] for key in file.files}
        names, unreadable = (tuple(facts.pop(key).tolist()) for key in ("names", "unreadable"))
        if path.stat().st_size != HEADER + len(names) * spec.row:
            return None
        return Pictures(path, spec, names, unreadable=unreadable, **facts)
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
        return None


def _check_space(folder: Path, needed: int) -> None:
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, "No space left on device")


def _not_written(folder: Path, error: OSError, needed: int) -> UserError:
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
        return UserError(
            "data_disk_full",
            "The decoded pictures need {needed:,} MB in {folder}, and the disk is full: make room, choose another disk "
            "with --cache-dir, or use fewer pictures with --max-images.",
            needed=1 + needed // 10**6,
            folder=folder,
        )
    return UserError(
        "data_cache",
        "Decoded pictures cannot be written to {folder} ({reason}); choose another folder with --cache-dir.",
        folder=folder,
        reason=error.strerror or str(error),
    )
