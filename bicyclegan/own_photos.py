"""Somebody's own photos on the map of a model: what its encoder says of them, and which it cannot read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from bicyclegan.errors import UserError
from bicyclegan.images import fit_photo, fit_square, load_image
from bicyclegan.photo_codes import THUMB_SIZE, photo_colour
from bicyclegan.photo_files import PhotoFile, PhotoFiles
from bicyclegan.pipeline import Pipeline
from bicyclegan.sketch.kind import is_line_drawing

BATCH = 8
"""Photos that are decoded and encoded at once."""
MAX_PROBLEMS = 20


@dataclass(frozen=True, eq=False)
class OwnPhotos:
    """N photos as one model sees them, N at least 1."""

    names: tuple[str, ...]
    mu: np.ndarray
    """(N, D) float32, means of E(B)."""
    logvar: np.ndarray
    """(N, D) float32, log variances of E(B)."""
    colours: np.ndarray
    """(N, 3) uint8 RGB: the typical colour of what is on each photo."""
    tiles: list[Image.Image]
    """The photos themselves, `THUMB_SIZE` px."""
    problems: tuple[UserError, ...]
    """What is wrong with those that cannot be used: the first 20."""
    left_out: int
    """How many those are in all."""


@dataclass
class _Read:
    """What was read so far: one value, or one array of a batch, each."""

    names: list[str] = field(default_factory=list)
    mu: list[np.ndarray] = field(default_factory=list)
    logvar: list[np.ndarray] = field(default_factory=list)
    colours: list[np.ndarray] = field(default_factory=list)
    tiles: list[Image.Image] = field(default_factory=list)
    problems: list[UserError] = field(default_factory=list)
    left_out: int = 0

    def leave_out(self, problem: UserError) -> None:
        """Count a photo, and keep why for the first ones: a copy, as the original holds the photo in its traceback."""
        self.left_out += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(copy(problem))

    def finished(self) -> OwnPhotos:
        """All of it. Raises `UserError` where no photo can be used."""
        if not self.names:
            raise _none_usable(self.problems[0], self.left_out)
        mu, logvar = (np.concatenate(parts).astype(np.float32) for parts in (self.mu, self.logvar))
        colours, problems = np.stack(self.colours), tuple(self.problems)
        return OwnPhotos(tuple(self.names), mu, logvar, colours, self.tiles, problems, self.left_out)


def read_own_photos(
    pipe: Pipeline,
    files: PhotoFiles,
    encode: Callable[[list[Image.Image]], tuple[np.ndarray, np.ndarray]],
    progress: Callable[[int, int], None] = lambda done, total: None,
    turn: Callable[[], AbstractContextManager] = nullcontext,
) -> OwnPhotos:
    """Decode and encode photos, a few at a time; those that cannot be used are left out and say why.

    Args:
        pipe: whose size and code are asked for; its networks are not used.
        encode: k pictures of its size, k up to 8 -> mu and logvar, (k, D) each: `Pipeline.encode_distribution`,
            wherever it runs.
        progress: called with the files that are done and their number, 0 of them first.
        turn: waits for the CPU, where others want it too; what is decoded at once is decoded within.

    Raises:
        UserError: when none of the photos can be used, or the encoder fails.
    """
    read, total = _Read(), len(files.photos)
    progress(0, total)
    for start in range(0, total, BATCH):
        some = files.photos[start : start + BATCH]
        with turn():
            pairs = list(_squares(some, pipe.config.model.image_size, read))
            colours = [photo_colour(np.asarray(square)) for _, square in pairs]
        if pairs:
            _add(read, pairs, encode, pipe.config.model.latent_dim)
            read.colours += colours
        progress(start + len(some), total)
    return read.finished()


def _squares(files: Sequence[PhotoFile], size: int, read: _Read) -> Iterator[tuple[str, Image.Image]]:
    """Names and pictures of `size` px of the photos that can be used; `read` hears why of the others."""
    for file in files:
        try:
            square = fit_photo(load_image(file.read(), file.name), size)
            if is_line_drawing(np.asarray(square)):
                raise UserError(
                    "own_photo_drawing",
                    "{name} is a line drawing, of which the encoder can say nothing: use the photo.",
                    name=file.name,
                )
        except UserError as problem:
            read.leave_out(problem)
        else:
            yield file.name, square


def _add(
    read: _Read,
    pairs: list[tuple[str, Image.Image]],
    encode: Callable[[list[Image.Image]], tuple[np.ndarray, np.ndarray]],
    dim: int,
) -> None:
    """Encode a batch. pairs: names and pictures, at least one."""
    names = [name for name, _ in pairs]
    squares = [square for _, square in pairs]
    mu, logvar = (np.asarray(part) for part in encode(squares))
    assert mu.shape == logvar.shape == (len(pairs), dim), (mu.shape, logvar.shape, dim)
    fine = np.isfinite(mu).all(axis=1) & np.isfinite(logvar).all(axis=1)
    if not fine.all():
        raise UserError(
            "own_photo_value",
            "The code of {name} is NaN or infinite: the encoder has failed. Use an earlier checkpoint.",
            name=names[int(fine.argmin())],
        )
    read.names += names
    read.mu.append(mu)
    read.logvar.append(logvar)
    read.tiles += [fit_square(square, THUMB_SIZE) for square in squares]


def _none_usable(first: UserError, count: int) -> UserError:
    if count == 1:
        return first
    return UserError(
        "own_photos_none",
        "None of the {count} photos can be used. The first: {problem}",
        count=count,
        problem=first,
    )
