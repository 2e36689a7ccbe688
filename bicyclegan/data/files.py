"""Which files of a data folder are learnt from, which belong together, and which are set aside for validation."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from bicyclegan.errors import UserError
from bicyclegan.images import FORMAT_NAMES, read_size
from bicyclegan.training.config import DataConfig

FoundLayout = Literal["photos", "side-by-side", "folders"]

VALIDATION_FOLDERS = ("val", "valid", "validation", "test")
"""Names of a validation folder beside train, the preferred first."""
SIDES = (("A", "B"), ("edges", "photos"), ("sketches", "photos"), ("labels", "photos"))
"""Names of two parallel folders: sketches, photos."""
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz")
PICTURES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif")
"""File names that `images.load_image` is tried on."""
UNKNOWN_PICTURES = (".heic", ".heif", ".jxl", ".jp2", ".svg", ".psd", ".ppm", ".pgm", ".dng", ".cr2", ".nef", ".arw")
"""Names of pictures that it refuses: they are tried as well, so that they are listed and not passed over."""
DOCUMENTS = (".txt", ".md", ".json", ".csv", ".tsv", ".yaml", ".yml", ".xml", ".html", ".pdf", ".url", ".log")
"""Files that come with data sets and are not worth a word."""
HEADERS_READ = 64
"""Files whose size decides whether a folder holds side-by-side pairs."""


@dataclass(frozen=True)
class Entry:
    """One example: where its picture or its two pictures lie."""

    name: str
    """Path of the photo within its folder, with / between parts."""
    photo: Path
    """The photo, or the file with both pictures."""
    sketch: Path | None = None
    """The sketch, where it is a file of its own."""


@dataclass(frozen=True)
class DataFiles:
    """What a data folder holds."""

    layout: FoundLayout
    train: tuple[Entry, ...]
    validation: tuple[Entry, ...]
    validation_source: str
    """Where the validation pictures come from, in words."""
    unpaired: tuple[str, ...] = ()
    """Files that lack their other half."""
    others: tuple[str, ...] = ()
    """Files that are neither pictures nor documents."""
    links: tuple[str, ...] = ()
    """Links that lead out of the folder, which are not followed."""
    set_aside: bool = False
    """Whether the validation pictures were taken from the training pictures."""


@dataclass(frozen=True)
class _Place:
    """Where the pictures of one split lie: a folder, or two parallel ones (sketches, photos)."""

    folder: Path
    sides: tuple[Path, Path] | None = None
    without: tuple[Path, ...] = ()
    """Folders inside that belong to another split."""


@dataclass(frozen=True)
class _LeftOut:
    """What is in the folders and no part of an example."""

    unpaired: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)


def find_files(config: DataConfig, data: str, without: Collection[str] = ()) -> DataFiles:
    """All examples under the folder `data`, but for those with the names in `without`.

    Raises `UserError` where there is no such folder or nothing in it.
    """
    train_place, place, source = _places(config, _existing_folder(data))
    left_out, folders = _LeftOut(), train_place.sides is not None
    train = [each for each in _entries(train_place, folders, config.direction, left_out) if each.name not in without]
    if not train:
        raise _nothing_found(train_place, left_out)
    layout = "folders" if folders else _layout(config, train)
    validation = _entries(place, folders, config.direction, left_out) if place else []
    if not validation and config.val_data:
        raise _nothing_found(place, left_out)
    aside = not validation
    if aside:
        train, validation = set_aside(train, config.val_share)
        source = f"{100 * config.val_share:g} % set aside"
    if config.max_images:
        train = choose(train, config.max_images)
    others = (tuple(names) for names in (left_out.unpaired, left_out.others, left_out.links))
    return DataFiles(layout, tuple(train), tuple(validation), source, *others, set_aside=aside)


def set_aside(entries: Sequence[Entry], share: float) -> tuple[list[Entry], list[Entry]]:
    """Entries to train on and to validate on: by a hash of the name, so that new files leave old ones in place.

    At least one for validation, and where that leaves any, at least two for training.
    """
    ranked = sorted(entries, key=lambda entry: _rank(entry.name))
    count = sum(_rank(entry.name) < share for entry in entries)
    count = max(1, min(count, len(entries) - 2))
    aside = {entry.name for entry in ranked[:count]}
    return [each for each in entries if each.name not in aside], [each for each in entries if each.name in aside]


def choose(entries: Sequence[Entry], count: int) -> list[Entry]:
    """At most `count` entries from all over, in their order; a larger count only adds to them."""
    chosen = {entry.name for entry in sorted(entries, key=lambda entry: _rank("choose " + entry.name))[:count]}
    return [entry for entry in entries if entry.name in chosen]


def _rank(name: str) -> float:
    """A number from 0 to 1 that looks random and depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48


def _layout(config: DataConfig, train: Sequence[Entry]) -> FoundLayout:
    """Of one folder: pictures that are twice as wide as high, most of them, are two pictures side by side."""
    if config.layout in ("photos", "side-by-side"):
        return config.layout
    sizes = []
    for entry in train[:: max(1, len(train) // HEADERS_READ)]:
        with suppress(UserError):  # the check names it when all are decoded
            sizes.append(read_size(entry.photo))
    wide = sum(width == 2 * height for width, height in sizes)
    return "side-by-side" if 2 * wide > len(sizes) else "photos"


def _entries(place: _Place, folders: bool, direction: str, left_out: _LeftOut) -> list[Entry]:
    """All examples of one split, in the order of their names."""
    if not folders:
        return [Entry(name, path) for name, path in _pictures(place.folder, place.without, left_out).items()]
    if not place.sides:
        raise _no_sides(place.folder)
    sides = place.sides if direction == "AtoB" else place.sides[::-1]
    sketches, photos = (_stems(side, place.without, left_out) for side in sides)
    for side, alone in zip(sides, (sketches.keys() - photos.keys(), photos.keys() - sketches.keys()), strict=True):
        left_out.unpaired.extend(f"{side.name}/{stem}" for stem in sorted(alone))
    both = [stem for stem in photos if stem in sketches]
    return [Entry(photos[stem][0], photos[stem][1], sketches[stem][1]) for stem in both]


def _stems(folder: Path, without: tuple[Path, ...], left_out: _LeftOut) -> dict[str, tuple[str, Path]]:
    """Name without its ending -> name, path. A second file of a name has no place."""
    stems: dict[str, tuple[str, Path]] = {}
    for name, path in _pictures(folder, without, left_out).items():
        stem = name.removesuffix(path.suffix)
        if stem in stems:
            left_out.unpaired.append(f"{folder.name}/{name} (beside {stems[stem][0]})")
        else:
            stems[stem] = name, path
    return stems


def _pictures(folder: Path, without: tuple[Path, ...], left_out: _LeftOut) -> dict[str, Path]:
    """Name within the folder -> path of all pictures in it and its sub-folders, in the order of the names."""
    pictures: dict[str, Path] = {}
    for name in _walk(folder, without):
        path = folder / name
        suffix = path.suffix.lower()
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            left_out.links.append(name)
        elif suffix in PICTURES or suffix in UNKNOWN_PICTURES:
            pictures[name] = path
        elif suffix not in DOCUMENTS and not path.is_dir():
            left_out.others.append(name)
    return {name: pictures[name] for name in sorted(pictures)}


def _places(config: DataConfig, root: Path) -> tuple[_Place, _Place | None, str]:
    """Where to train and where to validate, and the latter in words."""
    train = _split(config, root, ("train",))
    home = root  # where the validation folder would be
    if train is None:
        train = _whole(config, root)
        if root.absolute().name.lower() == "train":
            home = root.absolute().parent
    if config.val_data:
        return train, _whole(config, _existing_folder(config.val_data)), f"folder {config.val_data}"
    place = _split(config, home, VALIDATION_FOLDERS)
    if place is None:
        return train, None, ""
    return replace(train, without=place.sides or (place.folder,)), place, f"folder {place.folder.name}"


def _split(config: DataConfig, root: Path, names: Iterable[str]) -> _Place | None:
    """The place of the first of these splits that is there: name, nameA + nameB, name/A + name/B, A/name + B/name."""
    inside = _subfolders(root)
    for name in names:
        if config.layout in ("auto", "folders"):
            for a, b in SIDES:
                sides = _two(inside, name + a, name + b)
                outer = _two(inside, a, b)
                if outer and not sides:
                    sides = _two({at: _subfolders(side).get(name) for at, side in zip("ab", outer, strict=True)}, *"ab")
                if sides:
                    return _Place(sides[1], sides)
        if name in inside:
            return _whole(config, inside[name])
    return None


def _whole(config: DataConfig, folder: Path) -> _Place:
    """All of a folder: two parallel folders in it, else its pictures."""
    if config.layout in ("auto", "folders"):
        inside = _subfolders(folder)
        for a, b in SIDES:
            if sides := _two(inside, a, b):
                return _Place(folder, sides)
    if config.layout == "folders":
        raise _no_sides(folder)
    return _Place(folder)


def _two(folders: dict[str, Path | None], first: str, second: str) -> tuple[Path, Path] | None:
    """Both folders of these names, in any case, if both are there."""
    found = folders.get(first.lower()), folders.get(second.lower())
    return found if found[0] and found[1] else None


def _subfolders(folder: Path) -> dict[str, Path]:
    """Lower-case name -> path of the folders in a folder; links that lead out of it are none."""
    try:
        inside = [Path(entry.path) for entry in os.scandir(folder) if entry.is_dir()]
    except OSError as error:
        raise _unreadable(error) from error
    home = folder.resolve()
    return {path.name.lower(): path for path in sorted(inside) if path.resolve().is_relative_to(home)}


def _walk(folder: Path, without: tuple[Path, ...]) -> Iterator[str]:
    """Names within the folder of all files, and of links to folders, in it and its sub-folders; nothing hidden."""
    for at, folders, files in os.walk(folder, onerror=_refuse):
        here = Path(at)
        prefix = "" if here == folder else here.relative_to(folder).as_posix() + "/"
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = [name for name in folders if _visible(name) and name not in links and here / name not in without]
        yield from (prefix + name for name in (*files, *links) if _visible(name))


def _visible(name: str) -> bool:
    return not name.startswith(".") and name not in ("__MACOSX", "Thumbs.db", "desktop.ini")


def _existing_folder(path: str) -> Path:
    if not path:
        raise UserError("data_unset", "Say what to learn from: --data FOLDER, a folder of photos or pairs.")
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_file() and folder.suffix.lower() in ARCHIVES:
        raise _archive(folder)
    if folder.is_file():
        raise UserError(
            "data_file", "{path} is a file: give the folder that holds the pictures to learn from.", path=folder
        )
    raise UserError("data_missing", "There is no folder {path}; check the path.", path=folder)


def _nothing_found(place: _Place, left_out: _LeftOut) -> UserError:
    """Why a split is empty."""
    if place.sides and left_out.unpaired:
        return UserError(
            "data_no_pairs",
            "{a} and {b} share no file names (there are {examples}): give both pictures of a pair the same name.",
            a=place.sides[0],
            b=place.sides[1],
            examples=", ".join([left_out.unpaired[0], left_out.unpaired[-1]]),
        )
    archives = [name for name in left_out.others if name.lower().endswith(ARCHIVES)]
    if archives:
        return _archive(place.folder / archives[0])
    return UserError(
        "data_empty",
        "There are no pictures in {folder}. Sub-folders are searched, links that lead out of it are not followed; "
        "pictures are files in {formats}.",
        folder=place.folder,
        formats=FORMAT_NAMES,
    )


def _archive(path: Path) -> UserError:
    return UserError("data_archive", "{path} is an archive: unpack it first and give the new folder.", path=path)


def _no_sides(folder: Path) -> UserError:
    return UserError(
        "data_sides",
        "{folder} does not hold two parallel folders; for the layout folders there must be two of {names}.",
        folder=folder,
        names=", ".join(f"{a} + {b}" for a, b in SIDES),
    )


def _refuse(error: OSError) -> None:
    raise _unreadable(error) from error


def _unreadable(error: OSError) -> UserError:
    return UserError(
        "data_unreadable",
        "The folder {folder} cannot be read ({reason}); check its permissions.",
        folder=error.filename,
        reason=error.strerror or str(error),
    )
