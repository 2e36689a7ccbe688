"""What the commands share: reading sketches and texts, naming files, writing pictures."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from bicyclegan.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

    from bicyclegan.pipeline import Output, Pipeline
    from bicyclegan.sketch import Sketch

Device: TypeAlias = Literal["auto", "cpu", "cuda"]
PAGE_SUFFIXES = (".html", ".htm")
MAX_DRAWINGS = 1000
"""Read from one .ndjson file. Those of Quick, Draw! hold a hundred thousand."""


def load_pipeline(checkpoint: str, device: Device) -> Pipeline:
    """A pipeline for a command. The import waits until here, so that `--help` needs no torch."""
    from bicyclegan.pipeline import Pipeline

    return Pipeline.from_pretrained(checkpoint, device=device)


def read_sketches(path: Path) -> list[tuple[str, Sketch | Image.Image]]:
    """Sketches in a file with a name for each. Raises `UserError`."""
    from bicyclegan.images import load_image
    from bicyclegan.sketch import Sketch

    if path.suffix.lower() == ".ndjson":
        return read_drawings(path)
    if path.suffix.lower() == ".json":
        text = read_text(path)
        with naming(path):
            return [(path.stem, Sketch.from_json(text))]
    return [(path.stem, load_image(path))]


def read_drawings(path: Path) -> list[tuple[str, Sketch | Image.Image]]:
    """One Quick, Draw! record or sketch a line, as in a checkpoint's examples.ndjson. Raises `UserError`."""
    from bicyclegan.checkpoints import read_example

    lines = [(n, line) for n, line in enumerate(read_text(path).split("\n"), start=1) if line.strip()]
    if not 1 <= len(lines) <= MAX_DRAWINGS:
        raise UserError(
            "drawings_count",
            "{path} holds {count} drawings; use 1 to {limit} at a time: head -n {limit} cuts a file.",
            path=path,
            count=len(lines),
            limit=MAX_DRAWINGS,
        )
    drawings = []
    for n, line in lines:
        with naming(f"{path}, line {n}"):
            drawings.append((f"{path.stem}-{len(drawings)}", read_example(line)))
    return drawings


@contextmanager
def naming(place: str | Path) -> Iterator[None]:
    """Say which of several files a mistake is in, where its message does not."""
    try:
        yield
    except UserError as error:
        if str(place) not in str(error):
            error.args = (f"{place}: {error}",)
        raise


def at_least_one(what: str, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Commands without anything to work on end here."""
    if not paths:
        raise UserError("nothing_given", "No {what} was given. Name one or more files; --help has examples.", what=what)
    return paths


def unique_names(items: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Number names that occur again, so that files from different folders do not overwrite each other."""
    given = {name for name, _ in items}
    taken: set[str] = set()
    result = []
    for name, item in items:
        free, n = name, 1
        while free in taken or (n > 1 and free in given):
            n += 1
            free = f"{name}~{n}"
        taken.add(free)
        result.append((free, item))
    return result


def save_output(output: Output, folder: Path, name: str) -> list[str]:
    """One PNG a photo with its recipe, and one sheet of the sketch and all photos."""
    from PIL import Image

    from bicyclegan.files import write_atomic
    from bicyclegan.images import make_sheet

    files = []
    for k, image in enumerate(output.images):
        path = folder / f"{name}-{k}.png"
        write_atomic(path, output.recipe(k).to_png(image))
        files.append(str(path))
    sheet = make_sheet([Image.fromarray(output.prepared.raster), *output.images])
    return [*files, save_png(sheet, folder / f"{name}-sheet.png")]


def save_png(image: Image.Image, path: Path) -> str:
    """Write a PNG in one step and return its path."""
    from bicyclegan.files import write_atomic

    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    write_atomic(path, buffer.getvalue())
    return str(path)


def check_page(path: Path, example: str) -> None:
    """Raise `UserError` at once where no page could be written in the end. example: a name for it."""
    if path.suffix.lower() not in PAGE_SUFFIXES or path.is_dir():
        raise UserError(
            "page_out_name", "--out is {path}; it must be an HTML file, such as {example}.", path=path, example=example
        )
    place = next(parent for parent in path.absolute().parents if parent.exists())
    if not (place.is_dir() and os.access(place, os.W_OK)):
        raise UserError(
            "page_out",
            "The page cannot be written to {path}: {place} is no folder that may be written to. Choose another file "
            "with --out.",
            path=path,
            place=place,
        )


def find_by_hash(name: str, wanted: str) -> Path:
    """The checkpoint folder in checkpoints/ with this content hash. Raises `UserError` with those there are."""
    from bicyclegan.checkpoints import content_hash, list_checkpoints

    folders = list_checkpoints()
    for folder in folders:
        with suppress(UserError):  # a damaged neighbour is not in the way
            if content_hash(folder) == wanted:
                return folder
    raise UserError(
        "recipe_no_checkpoint",
        "This picture was made by checkpoint {name} with hash {hash}, and none of {available} has that hash: it is "
        "missing, or was changed since. Give its folder or Hub id with --checkpoint.",
        name=name,
        hash=wanted[:12],
        available=", ".join(folder.name for folder in folders) or "no checkpoints",
    )


def read_text(path: Path) -> str:
    """A UTF-8 text file. Raises `UserError`."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise UserError("file_missing", "There is no file {path}.", path=path) from None
    except UnicodeDecodeError:
        raise UserError("file_encoding", "{path} is not a text file in UTF-8.", path=path) from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises `UserError`."""
    try:
        data = json.loads(read_text(path))
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError("file_json", "{path} is not valid JSON: {why}.", path=path, why=error) from None
    if not isinstance(data, dict):
        raise UserError("file_object", "{path} must hold a JSON object.", path=path)
    return data
