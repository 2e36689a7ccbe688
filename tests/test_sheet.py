"""Sheets: many pictures and one recipe that rebuilds them all, from the PNG, by the command, or one by one."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bicyclegan import checkpoints
from bicyclegan.cli import main
from bicyclegan.errors import UserError
from bicyclegan.latent import sample_codes
from bicyclegan.pipeline import Pipeline
from bicyclegan.recipe import KEY, Recipe, read_recipe
from bicyclegan.sheet import GAP, SheetRecipe, SheetRow, check_zip, rebuild, zip_of
from bicyclegan.sketch import Sketch, Stroke

BOX = Sketch((Stroke(((40.0, 40.0), (200.0, 200.0)), tool="rect"),))


@pytest.fixture(scope="module")
def pipe(tiny_checkpoint: Path) -> Pipeline:
    return Pipeline.from_pretrained(tiny_checkpoint, device="cpu")


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Callable[..., Path]) -> Path:
    """Two checkpoints beside each other, one of them with larger pictures."""
    root = tmp_path_factory.mktemp("zoo")
    make_checkpoint(root / "first", seed=3)
    make_checkpoint(root / "larger", seed=4, image_size=64, depth=6)
    return root


def row(pipe: Pipeline, sketch: Sketch) -> SheetRow:
    return SheetRow(pipe.config.name, pipe.hash, sketch)


def matrix(pipe: Pipeline, shoe: Sketch, styles: int = 3, **changes: object) -> SheetRecipe:
    rows = (row(pipe, shoe), row(pipe, BOX))
    return SheetRecipe(**{"rows": rows, "z": sample_codes(5, styles, 8), "columns": styles, **changes})


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).astype(int)


def png(data: object) -> bytes:
    info = PngInfo()
    info.add_text(KEY, json.dumps(data))
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def refused(make: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What is on it


def test_the_same_codes_go_down_a_column(pipe: Pipeline, shoe: Sketch) -> None:
    recipe = matrix(pipe, shoe)
    pictures = recipe.paint({pipe.hash: pipe})
    for sketch, painted in zip((shoe, BOX), pictures, strict=True):
        expected = pipe(sketch, z=recipe.z).images
        assert all((pixels(a) == pixels(b)).all() for a, b in zip(expected, painted, strict=True))


def test_a_matrix_has_the_sketch_in_front_of_its_row(pipe: Pipeline, shoe: Sketch) -> None:
    recipe = matrix(pipe, shoe)
    pictures, rasters = recipe.paint({pipe.hash: pipe}), recipe.rasters({pipe.hash: pipe})
    found = pixels(recipe.layout(pictures, rasters))
    step = 32 + GAP
    assert found.shape == (2 * step - GAP, 4 * step - GAP, 3)
    assert (found[:32, :32] == pipe.prepare(shoe).raster[..., None]).all()
    assert (found[step:, :32] == pipe.prepare(BOX).raster[..., None]).all()
    assert (found[step:, 3 * step :] == pixels(pictures[1][2])).all()
    assert (found == pixels(recipe.render({pipe.hash: pipe}))).all()


def test_a_sheet_without_sketches(pipe: Pipeline, shoe: Sketch) -> None:
    recipe = matrix(pipe, shoe, with_sketches=False)
    pictures = recipe.paint({pipe.hash: pipe})
    found = pixels(recipe.layout(pictures))
    assert found.shape == (68, 3 * 36 - 4, 3)
    assert (found[36:, :32] == pixels(pictures[1][0])).all()


def test_a_grid_breaks_one_row_into_lines(pipe: Pipeline, shoe: Sketch) -> None:
    recipe = SheetRecipe((row(pipe, shoe),), sample_codes(1, 8, 8), columns=3, with_sketches=True)
    pictures = recipe.paint({pipe.hash: pipe})
    found = pixels(recipe.render({pipe.hash: pipe}))
    assert found.shape == (3 * 36 - 4, 4 * 36 - 4, 3)
    assert (found[36:, :32] == 255).all(), "the sketch stands in front of the first line only"
    assert (found[36:68, 36:68] == pixels(pictures[0][3])).all()
    assert (found[72:, 108:] == 255).all(), "the last line is not full"


def test_several_checkpoints_of_several_sizes(zoo: Path, shoe: Sketch) -> None:
    first, larger = (Pipeline.from_pretrained(zoo / name, device="cpu") for name in ("first", "larger"))
    pipes = {each.hash: each for each in (first, larger)}
    recipe = SheetRecipe((row(first, shoe), row(larger, shoe)), sample_codes(0, 2, 8), columns=2)
    assert recipe.checkpoints == {first.hash: "first", larger.hash: "larger"}
    pictures = recipe.paint(pipes)
    found = pixels(recipe.render(pipes))
    assert found.shape == (2 * 68 - 4, 3 * 68 - 4, 3)
    assert (found[16:48, 68 + 16 : 68 + 48] == pixels(pictures[0][0])).all(), "in the middle of its place"
    assert (found[68:, 68:132] == pixels(pictures[1][0])).all()


# Recipes


def test_json_round_trip(pipe: Pipeline, shoe: Sketch) -> None:
    recipe = matrix(pipe, shoe, with_sketches=False)
    again = SheetRecipe.from_json(json.loads(json.dumps(recipe.to_json())))
    assert again.z.tobytes() == recipe.z.tobytes()
    assert (again.rows, again.columns, again.with_sketches) == (recipe.rows, 3, False)


def test_a_png_rebuilds_its_own_pixels(pipe: Pipeline, shoe: Sketch) -> None:
    recipe = matrix(pipe, shoe, styles=11)  # more than one pass through the network
    sheet = recipe.render({pipe.hash: pipe})
    data = recipe.to_png(sheet)
    again = rebuild(read_recipe(data), {pipe.hash: pipe})
    assert (pixels(again) == pixels(sheet)).all()
    assert (pixels(Image.open(io.BytesIO(data))) == pixels(sheet)).all()


def test_both_kinds_are_told_apart(pipe: Pipeline, shoe: Sketch) -> None:
    made = pipe(shoe, 2)
    single, sheet = made.recipe(1).to_json(), matrix(pipe, shoe).to_json()
    assert isinstance(read_recipe(png(single)), Recipe)
    assert isinstance(read_recipe(png(sheet)), SheetRecipe)
    assert (pixels(rebuild(read_recipe(png(single)), {pipe.hash: pipe})) == pixels(made.images[1])).all()
    assert "not a JSON object of kind sheet" in refused(lambda: SheetRecipe.from_json(single))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "its version is 2, this program reads 1"),
        ({"rows": []}, "rows is 0; use a whole number from 1 to 8"),
        ({"rows": [{}] * 9}, "rows is 9"),
        ({"rows": [{}]}, "KeyError at 'checkpoint'"),
        ({"rows": {"a": 1}}, "TypeError"),
        ({"rows": 3}, "TypeError"),
        ({"rows": [{"checkpoint": 1, "checkpoint_hash": "", "sketch": {}}]}, "which should be text"),
        ({"rows": [{"checkpoint": "a", "checkpoint_hash": "b", "sketch": 3}]}, "A sketch must be a JSON object"),
        ({"z": []}, "IndexError"),
        ({"z": [[0.0] * 8] * 65}, "styles is 65; use a whole number from 1 to 64"),
        ({"z": [[1.0], [1.0, 2.0]]}, "must be numbers"),
        ({"z": [[float("nan")]]}, "must be finite"),
        ({"z": None}, "TypeError"),
        ({"columns": 0}, "columns is 0; use a whole number from 1 to 16"),
        ({"columns": 17}, "columns is 17"),
        ({"columns": True}, "columns is True"),
        ({"columns": "3"}, "columns is '3'"),
        ({"with_sketches": 1}, "with_sketches is 1, which should be true or false"),
    ],
)
def test_recipes_with_wrong_values(pipe: Pipeline, shoe: Sketch, changes: dict[str, object], message: str) -> None:
    assert message in refused(lambda: read_recipe(png({**matrix(pipe, shoe).to_json(), **changes})))


@pytest.mark.parametrize("field", ["rows", "z", "columns", "with_sketches"])
def test_recipes_that_lack_a_field(pipe: Pipeline, shoe: Sketch, field: str) -> None:
    data = matrix(pipe, shoe).to_json()
    del data[field]
    assert f"KeyError at '{field}'" in refused(lambda: read_recipe(png(data)))


@pytest.mark.parametrize("data", [None, [], "sheet", {}, {"kind": "sheet"}])
def test_no_sheet_at_all(data: object) -> None:
    assert "No recipe could be read" in refused(lambda: SheetRecipe.from_json(data))


# What cannot be painted


def test_checkpoints_that_do_not_fit(pipe: Pipeline, shoe: Sketch) -> None:
    recipe = matrix(pipe, shoe)
    assert "needs checkpoint tiny with hash" in refused(lambda: recipe.paint({}))
    others = tuple(replace(each, checkpoint="roses", checkpoint_hash="ab" * 32) for each in recipe.rows)
    other = matrix(pipe, shoe, rows=others)
    assert "made by checkpoint roses with hash abababababab" in refused(lambda: other.render({"ab" * 32: pipe}))
    short = matrix(pipe, shoe, z=sample_codes(0, 3, 5))
    message = "styles of this sheet have 5 entries, but checkpoint tiny takes 8"
    assert message in refused(lambda: short.paint({pipe.hash: pipe}))


def test_a_sheet_too_large_to_be_read_again(pipe: Pipeline, shoe: Sketch) -> None:
    recipe = matrix(pipe, shoe, rows=(row(pipe, shoe),) * 8, z=sample_codes(0, 64, 8), columns=16)
    pictures = [[Image.new("RGB", (300, 300))] * 64] * 8
    message = refused(lambda: recipe.layout(pictures, [np.zeros((300, 300), np.uint8)] * 8))
    assert "5164 x 9724 px; at most 40 megapixels" in message


# The command


def test_render_rebuilds_a_sheet_of_several_checkpoints(
    zoo: Path, shoe: Sketch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, larger = (Pipeline.from_pretrained(zoo / name, device="cpu") for name in ("first", "larger"))
    recipe = SheetRecipe((row(first, shoe), row(larger, BOX)), sample_codes(0, 3, 8), columns=3)
    sheet = recipe.render({each.hash: each for each in (first, larger)})
    (tmp_path / "sheet.png").write_bytes(recipe.to_png(sheet))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoints.list_checkpoints, "__defaults__", (zoo,))
    for options in ([], ["--checkpoint", str(zoo / "larger")]):
        main(["render", "sheet.png", "--out", "again", *options, "--json"])
        [name] = json.loads(capsys.readouterr().out)["files"]
        assert name == "again/sheet-rendered.png"
        assert (pixels(Image.open(name)) == pixels(sheet)).all()
        assert read_recipe(Path(name)).to_json() == recipe.to_json()
        Path(name).unlink()


def test_render_says_which_checkpoint_of_a_sheet_is_missing(
    zoo: Path, pipe: Pipeline, shoe: Sketch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = Pipeline.from_pretrained(zoo / "first", device="cpu")
    recipe = SheetRecipe((row(first, shoe), row(pipe, shoe)), sample_codes(0, 1, 8), columns=1)
    (tmp_path / "sheet.png").write_bytes(recipe.to_png(Image.new("RGB", (32, 32))))
    with pytest.raises(SystemExit):
        main(["render", str(tmp_path / "sheet.png"), "--checkpoint", str(zoo / "first"), "--out", str(tmp_path / "x")])
    assert "made by checkpoint tiny with hash" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


# ZIP


def test_a_zip_holds_every_picture_with_its_own_recipe(pipe: Pipeline, shoe: Sketch) -> None:
    recipe = matrix(pipe, shoe)
    pictures, rasters = recipe.paint({pipe.hash: pipe}), recipe.rasters({pipe.hash: pipe})
    data = zip_of(recipe, pictures, rasters)
    assert data == zip_of(recipe, pictures, rasters), "the same bytes every time"
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        assert packed.testzip() is None
        singles = [f"row{i}-style{k}.png" for i in (1, 2) for k in (1, 2, 3)]
        assert packed.namelist() == ["sheet.png", *singles, "recipe.json"]
        assert {entry.date_time for entry in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        single = read_recipe(packed.read("row2-style3.png"))
        assert (single.sketch, single.index, single.z.tobytes()) == (BOX, 2, recipe.z.tobytes())
        assert (pixels(single.render(pipe)) == pixels(pictures[1][2])).all()
        assert (pixels(Image.open(packed.open("row2-style3.png"))) == pixels(pictures[1][2])).all()
        again = SheetRecipe.from_json(json.loads(packed.read("recipe.json")))
        sheet = read_recipe(packed.read("sheet.png"))
        assert again.to_json() == sheet.to_json() == recipe.to_json()
        assert (pixels(Image.open(packed.open("sheet.png"))) == pixels(recipe.render({pipe.hash: pipe}))).all()


def large_sketch(points: int) -> Sketch:
    zigzag = tuple((float(k % 256) + 0.25, float(k * 7 % 256) + 0.75) for k in range(points))
    return Sketch((Stroke(zigzag),))


def test_a_zip_that_would_be_huge_is_refused_before_anything_is_painted(pipe: Pipeline) -> None:
    rows = (row(pipe, large_sketch(20_000)),) * 8  # 300 KB each: legal, and 20 MB in 64 pictures
    recipe = SheetRecipe(rows, sample_codes(0, 8, 8), columns=8)
    message = refused(lambda: check_zip(recipe))
    assert message == refused(lambda: zip_of(recipe, [], []))
    assert re.search(r"carries its sketch, [12]\d MB in all; at most 16 MB", message)
    check_zip(replace(recipe, rows=rows[:4]))


def test_a_zip_writes_the_sketch_of_a_row_once(pipe: Pipeline, shoe: Sketch, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = matrix(pipe, shoe, styles=8)
    pictures, rasters = recipe.paint({pipe.hash: pipe}), recipe.rasters({pipe.hash: pipe})
    written, original = [], Sketch.to_json
    monkeypatch.setattr(Sketch, "to_json", lambda sketch: written.append(sketch) or original(sketch))
    zip_of(recipe, pictures, rasters)
    assert len(written) <= 2 * 4  # for the limit, the sheet, its pictures, recipe.json
