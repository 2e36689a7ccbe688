"""`matrix`: sketches down, styles across; what it writes is rebuilt, mistakes are named before anything is written."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bicyclegan.cli import main
from bicyclegan.latent import sample_codes
from bicyclegan.pins import Pin, pins_to_json
from bicyclegan.pipeline import Pipeline
from bicyclegan.recipe import read_recipe
from bicyclegan.sketch import Sketch, Stroke

BOX = Sketch((Stroke(((40.0, 40.0), (200.0, 200.0)), tool="rect"),))


@pytest.fixture(autouse=True)
def two_sketches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shoe: Sketch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shoe.json").write_text(shoe.to_json(), "utf-8")
    Path("box.json").write_text(BOX.to_json(), "utf-8")


@pytest.fixture(scope="module")
def pipe(tiny_checkpoint: Path) -> Pipeline:
    return Pipeline.from_pretrained(tiny_checkpoint, device="cpu")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path) -> Callable[..., dict]:
    """`run("shoe.json", ...)` with the tiny checkpoint -> what `--json` prints."""

    def run(*arguments: object, checkpoints: tuple[Path, ...] = (tiny_checkpoint,)) -> dict:
        main(["matrix", *map(str, arguments), "--checkpoint", *map(str, checkpoints), "--json"])
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path) -> Callable[..., str]:
    """`refused("shoe.json", ...)` -> the one line that says why; nothing was written."""

    def refused(*arguments: object, checkpoints: tuple[Path, ...] = (tiny_checkpoint,)) -> str:
        before = sorted(Path().rglob("*"))
        with pytest.raises(SystemExit) as caught:
            main(["matrix", *map(str, arguments), "--checkpoint", *map(str, checkpoints)])
        assert caught.value.code == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert sorted(Path().rglob("*")) == before
        return message

    return refused


def pins(*dims: int) -> Path:
    made = [Pin(f"style {k}", sample_codes(k, 1, dim)[0], "tiny", "ab" * 32) for k, dim in enumerate(dims)]
    Path("pins.json").write_text(pins_to_json(made), "utf-8")
    return Path("pins.json")


def pixels(path: str | Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_six_random_styles_by_default(run, pipe: Pipeline, shoe: Sketch) -> None:
    result = run("shoe.json", "box.json")
    assert result["files"] == ["out/matrix.png"]
    assert result["rows"] == ["shoe (tiny)", "box (tiny)"]
    assert result["columns"][5] == "seed 0, 5"
    assert result["checkpoints"] == {pipe.hash: "tiny"}
    recipe = read_recipe(Path("out/matrix.png"))
    assert recipe.z.tobytes() == sample_codes(0, 6, 8).tobytes()
    assert [row.sketch for row in recipe.rows] == [shoe, BOX]
    found = pixels("out/matrix.png")
    assert found.shape == (2 * 36 - 4, 7 * 36 - 4, 3)
    assert (found[36:, 216:] == np.asarray(pipe(BOX, 6, 0).images[5])).all()


def test_samples_seed_and_truncation(run) -> None:
    run("shoe.json", "--samples", 2, "--seed", 9, "--truncation", 0.5, "--out", "deep/er")
    assert read_recipe(Path("deep/er/matrix.png")).z.tobytes() == sample_codes(9, 2, 8, truncation=0.5).tobytes()


def test_styles_of_pins(run) -> None:
    assert run("shoe.json", "--pins", pins(8, 8, 8))["columns"] == ["style 0", "style 1", "style 2"]
    z = read_recipe(Path("out/matrix.png")).z
    assert z.tobytes() == np.concatenate([sample_codes(k, 1, 8) for k in range(3)]).tobytes()


def test_styles_of_photos(run, pipe: Pipeline) -> None:
    for colour in ("red", "blue"):
        Image.new("RGB", (50, 40), colour).save(f"{colour}.png")
    assert run("shoe.json", "--photos", "red.png", "blue.png")["columns"] == ["red.png", "blue.png"]
    expected = np.concatenate([pipe.encode("red.png"), pipe.encode("blue.png")])
    np.testing.assert_array_equal(read_recipe(Path("out/matrix.png")).z, expected)


def test_several_checkpoints_paint_every_sketch(run, tiny_checkpoint: Path, make_checkpoint, tmp_path: Path) -> None:
    other = make_checkpoint(tmp_path / "zoo" / "other", seed=7)
    Image.fromarray(np.asarray(Image.new("L", (60, 40), 255))).save("paper.png")
    result = run("shoe.json", "paper.png", "--samples", 2, checkpoints=(tiny_checkpoint, other))
    assert result["rows"] == ["shoe (tiny)", "shoe (other)", "paper (tiny)", "paper (other)"]
    assert list(result["checkpoints"].values()) == ["tiny", "other"]
    found = pixels("out/matrix.png")
    assert found.shape == (4 * 36 - 4, 3 * 36 - 4, 3)
    expected = Pipeline.from_pretrained(other, device="cpu")(Path("paper.png"), 2, 0).images[1]
    assert (found[108:, 72:] == np.asarray(expected)).all()


def test_what_it_writes_is_rebuilt(run, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = run("shoe.json", "box.json", "--samples", 3, "--zip")["files"]
    assert files == ["out/matrix.png", "out/matrix.zip"]
    with zipfile.ZipFile("out/matrix.zip") as packed:
        assert len(packed.namelist()) == 6 + 2
        packed.extract("row2-style3.png")
        assert packed.read("sheet.png") == Path("out/matrix.png").read_bytes()
    main(["render", "out/matrix.png", "row2-style3.png", "--checkpoint", str(tiny_checkpoint), "--out", "again"])
    assert capsys.readouterr().out.split() == ["again/matrix-rendered.png", "again/row2-style3-rendered.png"]
    assert (pixels("again/matrix-rendered.png") == pixels("out/matrix.png")).all()
    assert (pixels("again/row2-style3-rendered.png") == pixels("row2-style3.png")).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "sketch"),
        (["none.json"], "no file none.json"),
        (["shoe.json"] * 9, "9 sketches by 1 checkpoints make 9 rows; a matrix has 1 to 8"),
        (["shoe.json", "--samples", "9"], "1 to 8 styles, not 9"),
        (["shoe.json", "--samples", "0"], "1 to 8 styles, not 0"),
        (["shoe.json", "--seed", "-1"], "seed is -1"),
        (["shoe.json", "--photos", *["red.png"] * 9], "1 to 8 styles, not 9"),
        (["shoe.json", "--photos", "none.png"], "no file none.png"),
        (["shoe.json", "--pins", "none.json"], "no file none.json"),
        (["shoe.json", "--pins", "shoe.json"], "shoe.json: This is no file of pins"),
        (["shoe.json", "--pins", "x.json", "--photos", "y.png"], "from --pins or from --photos, not both"),
    ],
)
def test_mistakes(refused, arguments: list[str], message: str) -> None:
    assert message in refused(*arguments)


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        ((), "1 to 8 styles, not 0"),
        ((8,) * 9, "1 to 8 styles, not 9"),
        ((8, 5), "codes of different lengths (5, 8)"),
        ((5, 5), "styles of this sheet have 5 entries, but checkpoint tiny takes 8"),
    ],
)
def test_pins_that_do_not_fit(refused, dims: tuple[int, ...], message: str) -> None:
    assert message in refused("shoe.json", "--pins", pins(*dims))


def test_checkpoints_of_other_codes_do_not_share_a_matrix(
    refused, tiny_checkpoint: Path, make_checkpoint, tmp_path: Path
) -> None:
    other = make_checkpoint(tmp_path / "zoo" / "short", latent_dim=3)
    message = refused("shoe.json", "--out", "new", checkpoints=(tiny_checkpoint, other))
    assert "have 8 entries, but checkpoint short takes 3" in message
