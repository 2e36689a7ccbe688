"""Somebody's own photos: the codes are the encoder's, and what cannot be read says why."""

from __future__ import annotations

import gc
import io
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from picture_sets import drawing, photo, scene
from PIL import Image

from bicyclegan import own_photos
from bicyclegan.errors import UserError
from bicyclegan.images import fit_photo, fit_square
from bicyclegan.own_photos import OwnPhotos, read_own_photos
from bicyclegan.photo_codes import THUMB_SIZE, photo_colour
from bicyclegan.photo_files import PhotoFile, PhotoFiles
from bicyclegan.pipeline import Pipeline
from bicyclegan.sketch import Sketch
from bicyclegan.sketch.kind import describe_sketches, is_line_drawing


@pytest.fixture(scope="module")
def pipe(tiny_checkpoint: Path) -> Pipeline:
    return Pipeline.from_pretrained(tiny_checkpoint, device="cpu")


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Callable[..., Path]) -> Pipeline:
    """Of a size at which lines are thin."""
    folder = make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "larger", image_size=128)
    return Pipeline.from_pretrained(folder, device="cpu")


def data(picture: Image.Image, format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format)
    return buffer.getvalue()


def files(contents: dict[str, bytes]) -> PhotoFiles:
    photos = [PhotoFile(name, lambda each=each: io.BytesIO(each)) for name, each in contents.items()]
    return PhotoFiles(tuple(photos), 0, 0)


def read(pipe: Pipeline, contents: dict[str, bytes], **options: object) -> OwnPhotos:
    return read_own_photos(pipe, files(contents), **{"encode": pipe.encode_distribution, **options})


def test_codes_are_those_of_the_encoder(pipe: Pipeline) -> None:
    pictures = [photo(k, width=40 + 3 * k, height=60) for k in range(19)]
    batches: list[int] = []
    told: list[tuple[int, int]] = []

    def encode(some: list[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
        assert {each.size for each in some} == {(32, 32)}
        batches.append(len(some))
        return pipe.encode_distribution(some)

    contents = {f"{k}.png": data(each) for k, each in enumerate(pictures)}
    found = read(pipe, contents, encode=encode, progress=lambda done, total: told.append((done, total)))
    mu, logvar = pipe.encode_distribution(pictures)
    np.testing.assert_allclose(found.mu, mu, atol=1e-5)
    np.testing.assert_allclose(found.logvar, logvar, atol=1e-5)
    assert (found.mu.dtype, found.logvar.dtype, found.colours.dtype) == (np.float32, np.float32, np.uint8)
    assert found.names == tuple(contents)
    assert (found.problems, found.left_out) == ((), 0)
    assert batches == [8, 8, 3]
    assert told == [(0, 19), (8, 19), (16, 19), (19, 19)]


def test_tiles_and_colours_are_those_of_the_photos(pipe: Pipeline) -> None:
    pictures = [photo(k, width=90, height=70) for k in range(10)]
    found = read(pipe, {f"{k}.jpg": data(each, "BMP") for k, each in enumerate(pictures)})
    assert found.colours.shape == (10, 3)
    for picture, tile, colour in zip(pictures, found.tiles, found.colours, strict=True):
        square = fit_photo(picture, 32)
        assert tile.size == (THUMB_SIZE, THUMB_SIZE)
        assert np.array_equal(tile, fit_square(square, THUMB_SIZE))
        assert np.array_equal(colour, photo_colour(np.asarray(square)))


def test_what_cannot_be_used_says_why(larger: Pipeline) -> None:
    contents = {
        "a.png": data(photo(0)),
        "b.png": data(photo(1))[:120],
        "c.heic": b"ftypheic",
        "d.png": data(drawing(2)),
        "e.png": data(photo(3, 8, 8)),
        "f.png": data(photo(4)),
    }
    told: list[tuple[int, int]] = []
    found = read(larger, contents, progress=lambda done, total: told.append((done, total)))
    assert found.names == ("a.png", "f.png")
    assert len(found.mu) == len(found.tiles) == len(found.colours) == 2
    assert found.left_out == 4
    codes = [problem.code for problem in found.problems]
    assert codes == ["image_damaged", "image_unknown", "own_photo_drawing", "image_small"]
    assert str(found.problems[2]) == "d.png is a line drawing, of which the encoder can say nothing: use the photo."
    assert all(name in str(problem) for name, problem in zip("bcde", found.problems, strict=True))
    np.testing.assert_allclose(found.mu, larger.encode_distribution([photo(0), photo(4)])[0], atol=1e-5)
    assert told == [(0, 6), (6, 6)]


def test_only_the_first_problems_are_kept(pipe: Pipeline) -> None:
    found = read(pipe, {f"{k}.png": b"nothing" for k in range(33)} | {"z.png": data(photo())})
    assert len(found.problems) == own_photos.MAX_PROBLEMS == 20
    assert found.left_out == 33
    assert found.names == ("z.png",)


def test_none_that_can_be_used(larger: Pipeline) -> None:
    with pytest.raises(UserError, match=r"None of the 2 photos can be used. The first: a\.png is not a picture"):
        read(larger, {"a.png": b"nothing", "b.png": data(drawing())})
    with pytest.raises(UserError, match=r"^b\.png is a line drawing"):
        read(larger, {"b.png": data(drawing())})


@pytest.mark.parametrize("which", [0, 1])
def test_an_encoder_that_has_failed_says_so(pipe: Pipeline, which: int) -> None:
    def encode(some: list[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
        codes = np.zeros((2, len(some), 8), np.float32)
        codes[which, 1, 3] = np.nan
        return codes[0], codes[1]

    with pytest.raises(UserError, match=r"The code of 1\.png is NaN or infinite"):
        read(pipe, {f"{k}.png": data(photo(k)) for k in range(3)}, encode=encode)


def test_few_photos_are_in_memory_at_once(pipe: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large ones one at a time, whether they can be used or not."""
    seen: list[weakref.ref] = []
    most: list[int] = []
    load, fit = own_photos.load_image, own_photos.fit_photo

    def watched(*arguments: object) -> Image.Image:
        picture = load(*arguments)
        seen.append(weakref.ref(picture))
        most.append(sum(each() is not None for each in seen))
        return picture

    def failing(picture: Image.Image, size: int) -> Image.Image:
        square = fit(picture, size)
        if picture.width == 50:
            raise UserError("image_missing", "There is no file {name}; check the path.", name="x")
        return square

    monkeypatch.setattr(own_photos, "load_image", watched)
    monkeypatch.setattr(own_photos, "fit_photo", failing)
    contents = {f"{k}.png": data(photo(k, 50 + k % 2, 40)) for k in range(40)}
    gc.disable()
    try:
        assert len(read(pipe, contents).names) == 20
    finally:
        gc.enable()
    assert len(most) == 40
    assert max(most) <= 2


# Drawings, and photos that look like them


@pytest.mark.parametrize("size", [128, 256])
def test_drawings_are_told_from_photos(size: int, shoe: Sketch) -> None:
    def is_drawing(picture: Image.Image) -> bool:
        return is_line_drawing(np.asarray(fit_photo(picture, size)))

    outline = Image.fromarray(shoe.rasterise(256))
    inverse = Image.fromarray(255 - shoe.rasterise(256))
    jpeg = Image.open(io.BytesIO(data(outline.resize((700, 600)).convert("RGB"), "JPEG")))
    assert all(map(is_drawing, (outline, inverse, jpeg, drawing(1, 200))))
    assert not any(is_drawing(each) for each in (photo(0, 200, 150), scene(0, 200), photo(1, 200, 200, paper=None)))


@pytest.mark.parametrize("grey", [10, 230])
def test_black_and_white_things_on_white_are_photos(grey: int) -> None:
    """Their levels are those of ink and paper."""
    pixels = np.full((128, 128, 3), 255, np.uint8)
    pixels[50:90, 20:110] = grey
    assert describe_sketches([pixels]).kind == "lines"
    assert not is_line_drawing(pixels)


def test_the_encoder_is_asked_for_the_whole_code(pipe: Pipeline) -> None:
    wrong: Callable[..., tuple[np.ndarray, np.ndarray]] = lambda some: (np.zeros((len(some), 7)),) * 2  # noqa: E731
    with pytest.raises(AssertionError):
        read(pipe, {"a.png": data(photo())}, encode=wrong)
