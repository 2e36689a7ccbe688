"""What uploaded pictures are called below a run's folder: as their owner called them, so that pairs stay pairs.

Folders mean something (`data/files.py`): train and val, trainA and trainB, edges and photos. So they are kept, but for
those that only wrap all the rest. The two pictures of a pair share their name without its ending: every change here
depends on that name alone, or is made to a whole source (a ZIP, or the files beside the ZIPs): to both sides alike.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from bicyclegan.data.files import PICTURES, SIDES, UNKNOWN_PICTURES, VALIDATION_FOLDERS
from bicyclegan.errors import UserError
from bicyclegan.photo_files import PhotoFile

_SPLITS = ("train", *VALIDATION_FOLDERS)
_SIDES = tuple(side.lower() for pair in SIDES for side in pair)
SIDE_FOLDERS = frozenset((*_SIDES, *(split + side for split in _SPLITS for side in _SIDES)))
"""Names of folders, in lower case, that hold one side of pairs."""
MEANINGFUL = SIDE_FOLDERS.union(_SPLITS)
"""Names of folders, in lower case, that say what is in them."""
MAX_PART = 136
"""Bytes of a folder's or a file's name in UTF-8. With an ending and a number it stays within 150; 255 are allowed."""
MAX_FOLDERS = 8
"""Folders inside of each other: a path of many could be longer than a system takes."""
MAX_NUMBER = 100


@dataclass(frozen=True)
class _Name:
    """A picture's place, safe for a file system: folders, and the file's name in two parts."""

    folders: tuple[str, ...]
    stem: str
    suffix: str
    offset: int = 0
    """Added to every number: tells twins of one source apart."""

    def numbered(self, number: int) -> str:
        """The path, from the second number on with it: shoes/1 (2).png."""
        number += self.offset
        stem = self.stem if number == 1 else f"{self.stem} ({number})"
        return "/".join((*self.folders, stem + self.suffix))

    @property
    def example(self) -> str:
        """What both pictures of a pair have in common."""
        return "/".join((*(each for each in self.folders if each.lower() not in SIDE_FOLDERS), self.stem))


@dataclass(frozen=True)
class _Source:
    """The pictures of one ZIP, or those beside the ZIPs."""

    places: tuple[int, ...]
    """Of each picture among all."""
    names: tuple[_Name, ...]
    there: tuple[bool, ...]
    """Whether the picture is there already by its first name."""

    def paths(self, number: int) -> list[str | None]:
        """None for pictures that need no place."""
        pairs = zip(self.names, self.there, strict=True)
        return [None if there and number == 1 else name.numbered(number) for name, there in pairs]

    def fits(self, number: int, used: Collection[str]) -> bool:
        """Whether all names would be new."""
        paths = [path for path in self.paths(number) if path]
        return len({path.casefold() for path in paths}) == len(paths) and not any(_stem(path) in used for path in paths)


def find_names(
    photos: Sequence[PhotoFile],
    archives: Mapping[int, str],
    taken: Iterable[str] = (),
    is_there: Callable[[PhotoFile, str], bool] = lambda photo, path: False,
) -> list[str | None]:
    """A path for each picture, parts separated by '/', all different even where upper and lower case are one.

    Where another picture has a name already, all of its source get a number. Pictures that are there already need no
    second place, unless others of the same drop take a number: pairs stay together.

    Args:
        archives: what the ZIPs are called, by `PhotoFile.archive`.
        taken: paths in use.
        is_there: whether the file of a path in use is this very picture.

    Returns:
        None for pictures that are there already.

    Raises:
        UserError: when so many names are taken that no number helps.
    """
    used = {_stem(path) for path in taken}
    places: dict[int | None, list[int]] = defaultdict(list)
    for place, photo in enumerate(photos):
        places[photo.archive].append(place)
    sources = []
    for archive, inside in places.items():
        names = _names([photos[place].path for place in inside], archives.get(archive, ""))
        firsts = zip(inside, (name.numbered(1) for name in names), strict=True)
        there = [_stem(path) in used and is_there(photos[place], path) for place, path in firsts]
        sources.append(_Source(tuple(inside), tuple(names), tuple(there)))
    paths: list[str | None] = [None] * len(photos)
    first = _free_number(sources, used)
    for source in sources:
        found = source.paths(_free_number([source], used, first))
        for place, path in zip(source.places, found, strict=True):
            paths[place] = path
        used.update(_stem(path) for path in found if path)
    return paths


def safe_part(part: str) -> str:
    """A part of a label (`shown_name`) as the name of a folder, or of a file without its ending."""
    part = part.replace(":", "_").rstrip(" .") or "_"
    data = part.encode()
    if len(data) <= MAX_PART:
        return part
    digest = hashlib.sha256(data).hexdigest()[:6]  # names that differ only in what is cut off stay different
    return data[: MAX_PART - 7].decode("utf-8", "ignore").rstrip(" .\u200d") + "~" + digest


def _names(paths: Sequence[str], archive: str) -> list[_Name]:
    """Of one source, in order. archive: what the ZIP is called."""
    split = [_split(path) for path in paths]
    tops = _wrapping([folders for folders, _, _ in split])
    names = [_Name(folders[tops:], stem, suffix) for folders, stem, suffix in split]
    title = PurePosixPath(archive).stem
    if title.lower() in SIDE_FOLDERS and not any(part.lower() in MEANINGFUL for each in names for part in each.folders):
        names = [_Name((title, *each.folders), each.stem, each.suffix) for each in names]  # trainA.zip, trainB.zip
    return _apart(names)


def _split(path: str) -> tuple[tuple[str, ...], str, str]:
    """Folders, and the file's name in two parts, all safe."""
    *folders, file = path.split("/")
    if folders and re.fullmatch("[A-Za-z]:", folders[0]):
        folders = folders[1:]
    if len(folders) > MAX_FOLDERS:
        folders = folders[: MAX_FOLDERS // 2] + folders[-MAX_FOLDERS // 2 :]
    suffix = PurePosixPath(file).suffix
    return tuple(map(_safe_folder, folders)), safe_part(file.removesuffix(suffix)), suffix


def _safe_folder(part: str) -> str:
    """Never called like a picture: there may be one of this name."""
    part = safe_part(part)
    return part + "_" if PurePosixPath(part).suffix.lower() in (*PICTURES, *UNKNOWN_PICTURES) else part


def _wrapping(folders: Sequence[tuple[str, ...]]) -> int:
    """How many folders at the top hold all the rest and mean nothing."""
    for depth, parts in enumerate(zip(*folders, strict=False)):  # up to the shortest
        if len(set(parts)) > 1 or parts[0].lower() in MEANINGFUL:
            return depth
    return min(map(len, folders))


def _apart(names: Sequence[_Name]) -> list[_Name]:
    """Twins get an offset: those that differ only by case, by the order of all spellings, alike on both sides."""
    spellings: dict[str, set[str]] = defaultdict(set)
    for name in names:
        spellings[name.example.casefold()].add(name.example)
    seen: Counter[tuple[str, ...]] = Counter()
    apart = []
    for name in names:
        among = sorted(spellings[name.example.casefold()])
        slot = ("/".join(name.folders).casefold(), name.stem, name.suffix.lower())
        offset = among.index(name.example) + seen[slot] * len(among)
        seen[slot] += 1
        apart.append(_Name(name.folders, name.stem, name.suffix, offset))
    return apart


def _free_number(sources: Sequence[_Source], used: Collection[str], first: int = 1) -> int:
    for number in range(first, MAX_NUMBER):
        if all(source.fits(number, used) for source in sources):
            return number
    raise UserError(
        "upload_names",
        "Too many pictures have the same names as others. Give them names of their own, or remove the others first.",
    )


def _stem(path: str) -> str:
    return path.removesuffix(PurePosixPath(path).suffix).casefold()
