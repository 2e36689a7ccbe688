"""Recipes: what a PNG carries rebuilds its pixels; what is broken is named."""

from __future__ import annotations

import io
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bicyclegan.errors import UserError
from bicyclegan.latent import sample_codes
from bicyclegan.pipeline import Output, Pipeline
from bicyclegan.recipe import KEY, Recipe, read_recipe
from bicyclegan.sketch import Sketch, Stroke


@pytest.fixture(scope="module")
def pipe(tiny_checkpoint: Path) -> Pipeline:
    return Pipeline.from_pretrained(tiny_checkpoint, device="cpu")


@pytest.fixture(scope="module")
def out(pipe: Pipeline, shoe: Sketch) -> Output:
    return pipe(shoe, 5, seed=2, truncation=0.7)


def png(text: str | None, kind: str = "PNG") -> bytes:
    """A picture with this text where recipes are kept."""
    info = PngInfo()
    if text is not None:
        info.add_text(KEY, text)
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, kind, **({"pnginfo": info} if kind == "PNG" else {}))
    return buffer.getvalue()


def refused(source: bytes | Path) -> str:
    with pytest.raises(UserError) as caught:
        read_recipe(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Rebuilding


def scribble() -> np.ndarray:
    pixels = np.full((90, 70), 255, np.uint8)
    pixels[20:70, 30:33] = 0
    return pixels


@pytest.mark.parametrize(
    ("sketch", "options"),
    [
        ("shoe", {"num_samples": 5, "seed": 2, "truncation": 0.7}),
        ("raster", {"num_samples": 3, "seed": 9}),
        ("raster with strokes", {"num_samples": 3}),
        ("shoe", {"z": np.float32([[0.1] * 8, [-1 / 3] * 8])}),
        ("empty", {"num_samples": 1}),
    ],
)
def test_a_png_rebuilds_its_own_pixels(
    pipe: Pipeline, shoe: Sketch, tmp_path: Path, sketch: str, options: dict[str, object]
) -> None:
    layered = replace(Sketch.from_raster(pipe.prepare(scribble()).raster), strokes=shoe.strokes)
    sources = {"shoe": shoe, "raster": scribble(), "raster with strokes": layered, "empty": Sketch()}
    made = pipe(sources[sketch], **options)
    for k, image in enumerate(made.images):
        path = tmp_path / f"{k}.png"
        path.write_bytes(made.recipe(k).to_png(image))
        assert (np.asarray(Image.open(path)) == np.asarray(image)).all(), "the PNG itself holds the picture"
        recipe = read_recipe(path)
        assert (recipe.index, recipe.seed, recipe.truncation) == (k, made.seed, made.truncation)
        assert recipe.z.tobytes() == made.z.tobytes()
        assert recipe.checkpoint_hash == pipe.hash
        assert (np.asarray(recipe.render(pipe)) == np.asarray(image)).all()


def test_a_recipe_goes_through_the_whole_batch(shipped_checkpoint: Path, shoe: Sketch) -> None:
    shipped = Pipeline.from_pretrained(shipped_checkpoint, device="cpu")
    made = shipped(shoe, 11, seed=1)
    for k in (0, 7, 10):
        recipe = read_recipe(made.recipe(k).to_png(made.images[k]))
        assert (np.asarray(recipe.render(shipped)) == np.asarray(made.images[k])).all()


def test_json_round_trip(out: Output) -> None:
    recipe = out.recipe(4)
    again = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
    assert again.z.tobytes() == recipe.z.tobytes()
    assert replace(again, z=recipe.z) == recipe


def test_a_recipe_of_a_sketch_with_thousands_of_points(pipe: Pipeline) -> None:
    points = random.Random(0)
    strokes = tuple(
        Stroke(tuple((points.uniform(0, 256), points.uniform(0, 256)) for _ in range(100))) for _ in range(800)
    )
    made = pipe(Sketch(strokes), 1)
    data = made.recipe(0).to_png(made.images[0])
    assert len(data) > 1 << 20
    assert read_recipe(data).sketch == made.prepared.sketch


def test_another_checkpoint_is_refused(pipe: Pipeline, out: Output) -> None:
    recipe = replace(out.recipe(0), checkpoint="roses", checkpoint_hash="ab" * 32)
    with pytest.raises(UserError, match=r"checkpoint roses with hash abababababab; tiny here has .*--checkpoint"):
        recipe.render(pipe)


def test_codes_of_another_length_are_refused(pipe: Pipeline, out: Output) -> None:
    with pytest.raises(UserError, match=r"shape \(5, 7\); this model takes \(N, 8\)"):
        replace(out.recipe(0), z=out.z[:, :7]).render(pipe)


# Broken files


def test_a_picture_without_a_recipe() -> None:
    assert "there is none: only PNGs downloaded from here carry one" in refused(png(None))


@pytest.mark.parametrize("data", [b"", b"hello", png(None, "JPEG"), png(None, "WEBP")])
def test_not_a_png(data: bytes) -> None:
    message = refused(data)
    assert "it is not a PNG" in message
    assert "0x" not in message


def test_a_png_cut_short(out: Output) -> None:
    data = out.recipe(0).to_png(out.images[0])
    for length in (20, 60, len(data) // 2):
        assert "damaged" in refused(data[:length])


def test_a_png_that_announces_a_huge_picture() -> None:
    buffer = io.BytesIO()
    Image.new("1", (9000, 9000)).save(buffer, "PNG")
    assert "larger than any made here (9000 x 9000 px)" in refused(buffer.getvalue())


def test_a_missing_file(tmp_path: Path) -> None:
    assert f"There is no file {tmp_path / 'x.png'}" in refused(tmp_path / "x.png")


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    with (tmp_path / "x.png").open("wb") as file:
        file.truncate(65 << 20)
    assert "more than 64 MB" in refused(tmp_path / "x.png")


@pytest.mark.parametrize("text", ["{", "", "null", "[1]", "[" * 50_000, '{"version": ' + "1" * 5000 + "}"])
def test_damaged_json(text: str) -> None:
    assert refused(png(text)).startswith("No recipe could be read from this picture: ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "its version is 2, this program reads 1"),
        ({"index": 5}, "index is 5; use a whole number from 0 to 4"),
        ({"index": -1}, "index is -1"),
        ({"index": "0"}, "index is '0'"),
        ({"z": []}, "IndexError"),
        ({"z": 3}, "TypeError"),
        ({"z": [[1, 2], [3]]}, "must be numbers"),
        ({"z": [[1e300]] * 5}, "finite and within"),
        ({"z": [[10**400]] * 5}, "must be numbers"),
        ({"z": [[0.0] * 8] * 1025}, "shape (1025, 8)"),
        ({"z": None}, "TypeError"),
        ({"sketch": None}, "A sketch must be a JSON object"),
        ({"sketch": {"version": 1, "strokes": [{"points": [[0, 0]], "width": -1}]}}, "strokes[0].width is -1"),
        ({"seed": "red"}, "seed is 'red'"),
        ({"truncation": "wide"}, "TypeError"),
        ({"checkpoint": ["x"]}, "TypeError"),
    ],
)
def test_recipes_with_wrong_values(out: Output, changes: dict[str, object], message: str) -> None:
    assert message in refused(png(json.dumps({**out.recipe(0).to_json(), **changes})))


@pytest.mark.parametrize("field", ["checkpoint", "checkpoint_hash", "index", "z", "sketch"])
def test_recipes_that_lack_a_field(out: Output, field: str) -> None:
    data = out.recipe(0).to_json()
    del data[field]
    assert f"'{field}'" in refused(png(json.dumps(data)))


def test_a_renamed_checkpoint_is_still_the_same(pipe: Pipeline, out: Output, tmp_path: Path) -> None:
    renamed = shutil.copytree(pipe.folder, tmp_path / "renamed")
    other = Pipeline.from_pretrained(renamed, device="cpu")
    assert (np.asarray(out.recipe(1).render(other)) == np.asarray(out.images[1])).all()


def test_codes_survive_exactly() -> None:
    z = sample_codes(123, 64, 8)
    recipe = Recipe("a", "0" * 64, Sketch(), z, 0)
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))).z.tobytes() == z.tobytes()
