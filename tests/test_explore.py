"""`sweep`, `grid`, `interpolate`, `style`: what they write shows what was asked; mistakes come before any file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bicyclegan.cli import main
from bicyclegan.config import EdgeStyle
from bicyclegan.images import fit_photo
from bicyclegan.latent import even_steps, grid, mix, morph, sample_codes, sweep
from bicyclegan.latents_file import Latents, load_latents, save_latents
from bicyclegan.pins import Pin, pins_to_json
from bicyclegan.pipeline import Pipeline
from bicyclegan.projection import Pca
from bicyclegan.recipe import read_recipe
from bicyclegan.sketch import Sketch, Stroke
from bicyclegan.style_search import TOTAL

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("sweep", "grid", "interpolate", "style")
BOX = Sketch((Stroke(((40.0, 40.0), (200.0, 200.0)), tool="rect"),))


@pytest.fixture(autouse=True)
def two_sketches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shoe: Sketch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("shoe.json").write_text(shoe.to_json(), "utf-8")
    Path("box.json").write_text(BOX.to_json(), "utf-8")


@pytest.fixture(scope="module")
def pipe(tiny_checkpoint: Path) -> Pipeline:
    return Pipeline.from_pretrained(tiny_checkpoint, device="cpu")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Callable[..., Path]) -> Path:
    """A checkpoint whose sliders 5, 2 and 7 do most, and whose directions 1, 0 and 3."""
    folder = make_checkpoint(tmp_path_factory.mktemp("measured") / "measured")
    mu = sample_codes(1, 12, 8)
    pca = Pca.fit(mu)
    effect, direction_effect = np.zeros(8, np.float32), np.zeros(8, np.float32)
    effect[[5, 2, 7]] = direction_effect[[1, 0, 3]] = [3, 2, 1]
    save_latents(
        folder,
        Latents(
            Pipeline.from_pretrained(folder, device="cpu").hash,
            tuple("abcdefghijkl"),
            mu,
            np.zeros_like(mu),
            pca,
            pca.transform(mu, 3).astype(np.float32),
            effect,
            direction_effect,
            "rgb",
        ),
    )
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path) -> Callable[..., dict]:
    """`run("sweep", "shoe.json", ...)` with the tiny checkpoint -> what `--json` prints."""

    def run(command: str, *arguments: object, checkpoint: Path = tiny_checkpoint) -> dict:
        main([command, *map(str, arguments), "--checkpoint", str(checkpoint), "--json"])
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path) -> Callable[..., str]:
    """`refused("sweep", "shoe.json", ...)` -> the one line that says why; nothing was written."""

    def refused(command: str, *arguments: object, checkpoint: object = tiny_checkpoint) -> str:
        before = sorted(Path().rglob("*"))
        with pytest.raises(SystemExit) as caught:
            main([command, *map(str, arguments), "--checkpoint", str(checkpoint)])
        assert caught.value.code == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1, "one line"
        assert sorted(Path().rglob("*")) == before, "nothing is written"
        return err

    return refused


def pixels(path: str | Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def frames(path: str) -> list[np.ndarray]:
    with Image.open(path) as film:
        found = []
        for k in range(film.n_frames):
            film.seek(k)
            found.append(np.asarray(film.convert("RGB")).astype(int))
        return found


# Sheets


def test_a_sweep_of_sliders_is_one_sheet_a_sketch(run, pipe: Pipeline, shoe: Sketch) -> None:
    result = run("sweep", "shoe.json", "box.json", "--sliders", 4, 0, "--steps", 3, "--limit", 2, "--seed", 9)
    assert result["files"] == ["out/shoe-sweep.png", "out/box-sweep.png"]
    assert (result["checkpoint"], result["hash"]) == ("tiny", pipe.hash)
    assert (result["sliders"], result["values"]) == ([4, 0], [-2, 0, 2])
    z = sample_codes(9, 1, 8)[0]
    expected = np.concatenate([sweep(z, slider, [-2, 0, 2]) for slider in (4, 0)])
    assert np.float32(result["z"]).tobytes() == expected.tobytes()
    recipe = read_recipe(Path("out/shoe-sweep.png"))
    assert recipe.z.tobytes() == expected.tobytes()
    assert recipe.columns == 3
    assert (pixels("out/shoe-sweep.png") == np.asarray(recipe.render({pipe.hash: pipe}))).all()
    assert read_recipe(Path("out/box-sweep.png")).rows[0].sketch == BOX
    tile = pixels("out/shoe-sweep.png")[36:68, 3 * 36 : 3 * 36 + 32]  # second strip, third picture
    assert (tile == np.asarray(pipe.prepare(shoe).render(expected).images[5])).all()


def test_render_rebuilds_sheets(run) -> None:
    made = run("sweep", "shoe.json", "--steps", 2)["files"] + run("grid", "shoe.json", "--side", 2)["files"]
    again = run("render", *made, "--out", "again")["files"]
    for old, new in zip(made, again, strict=True):
        assert (pixels(old) == pixels(new)).all()


def test_a_sweep_shows_all_sliders_of_a_model_that_was_not_measured(run) -> None:
    assert run("sweep", "shoe.json")["sliders"] == list(range(8))
    result = run("sweep", "shoe.json", "--steps", 16)
    assert result["sliders"] == [0, 1, 2, 3], "as many as a sheet holds"
    assert len(result["z"]) == 64


def test_defaults_are_the_strongest_sliders(run, measured: Path) -> None:
    assert run("sweep", "shoe.json", checkpoint=measured)["sliders"] == [5, 2, 7]
    assert run("sweep", "shoe.json", "--directions", checkpoint=measured)["sliders"] == [1, 0, 3]

    def axes(*options: object) -> tuple[int, int]:
        result = run("grid", "shoe.json", "--side", 2, *options, checkpoint=measured)
        return result["across"], result["down"]

    assert axes() == (5, 2)
    assert axes("--across", 2) == (2, 5)
    assert axes("--down", 5) == (2, 5)
    assert axes("--across", 0, "--down", 6) == (0, 6)
    assert axes("--directions") == (1, 0)


def test_sliders_of_other_weights_do_not_count(run, measured: Path, make_checkpoint, tmp_path: Path) -> None:
    other = make_checkpoint(tmp_path / "other", seed=5)
    save_latents(other, load_latents(measured))
    assert run("sweep", "shoe.json", "--steps", 2, checkpoint=other)["sliders"] == list(range(8))


def test_a_grid_runs_across_and_down(run, pipe: Pipeline, shoe: Sketch) -> None:
    result = run("grid", "shoe.json", "--across", 3, "--down", 1, "--side", 3, "--limit", 1.5, "--seed", 4)
    assert result["files"] == ["out/shoe-grid.png"]
    assert result["values"] == [-1.5, 0, 1.5]
    expected = grid(sample_codes(4, 1, 8)[0], (3, 1), even_steps(3, 1.5), even_steps(3, 1.5))
    recipe = read_recipe(Path("out/shoe-grid.png"))
    assert recipe.z.tobytes() == expected.tobytes() == np.float32(result["z"]).tobytes()
    assert (recipe.columns, recipe.rows[0].sketch) == (3, shoe)
    assert (pixels("out/shoe-grid.png") == np.asarray(recipe.render({pipe.hash: pipe}))).all()


def test_directions_are_those_of_the_measured_photos(run, measured: Path) -> None:
    result = run("grid", "shoe.json", "--directions", "--side", 2, checkpoint=measured)
    pca = load_latents(measured).pca
    coords = pca.transform(np.float32(result["z"]), 8)
    np.testing.assert_allclose(coords[:, 1], [-3, 3, -3, 3], atol=1e-4)  # across is direction 1
    np.testing.assert_allclose(coords[:, 0], [-3, -3, 3, 3], atol=1e-4)
    assert np.ptp(coords[:, 2:], axis=0).max() < 1e-4


# Films


def test_the_film_is_a_loop_through_three_random_codes(run, pipe: Pipeline, shoe: Sketch) -> None:
    result = run("interpolate", "shoe.json", "box.json", "--frames", 6)
    assert result["files"] == ["out/shoe-interpolate.gif", "out/box-interpolate.gif"]
    stops = sample_codes(0, 3, 8)
    assert np.float32(result["stops"]).tobytes() == stops.tobytes()
    with Image.open(result["files"][0]) as film:
        assert film.info["loop"] == 0
        assert film.info["duration"] in (80, 90)  # a twelfth of a second in hundredths
    shown = frames(result["files"][0])
    painted = pipe.prepare(shoe).render(morph(stops, 6, loop=True)).images
    assert len(shown) == 6
    for frame, picture in zip(shown, painted, strict=True):
        assert np.abs(frame - np.asarray(picture)).mean() < 6, "but for the palette"


def test_a_film_from_seeds_ends_at_the_last(run, pipe: Pipeline, shoe: Sketch) -> None:
    options = ("--seeds", 5, 6, "--frames", 4, "--no-loop", "--format", "webp", "--fps", 4)
    result = run("interpolate", "shoe.json", *options)
    stops = np.concatenate([sample_codes(5, 1, 8), sample_codes(6, 1, 8)])
    assert np.float32(result["stops"]).tobytes() == stops.tobytes()
    last = frames(result["files"][0])[-1]
    assert np.abs(last - np.asarray(pipe.prepare(shoe).render(stops[1:]).images[0])).mean() < 6


def test_a_film_from_a_file_of_codes(run, pipe: Pipeline) -> None:
    for name, colour in (("red.png", "red"), ("blue.png", "blue")):
        Image.new("RGB", (50, 40), colour).save(name)
    run("encode", "red.png", "blue.png", "--out", "codes.npz")
    stops = np.float32(run("interpolate", "shoe.json", "--codes", "codes.npz", "--frames", 2)["stops"])
    assert stops.tobytes() == np.concatenate([pipe.encode("red.png"), pipe.encode("blue.png")]).tobytes()
    pins = [Pin(f"style {k}", sample_codes(k, 1, 8)[0], "tiny", pipe.hash) for k in range(3)]
    Path("pins.json").write_text(pins_to_json(pins), "utf-8")
    result = run("interpolate", "shoe.json", "--codes", "pins.json", "--frames", 3, "--format", "mp4")
    assert np.float32(result["stops"]).tobytes() == np.stack([pin.z for pin in pins]).tobytes()
    assert Path(result["files"][0]).read_bytes()[4:8] == b"ftyp"


# Styles


def photo(name: str, colour: str) -> Path:
    picture = Image.new("RGB", (60, 40), "white")
    picture.paste(Image.new("RGB", (30, 20), colour), (15, 10))
    picture.save(name)
    return Path(name)


def test_the_style_of_photos_is_their_mean(run, pipe: Pipeline, shoe: Sketch) -> None:
    photos = [photo("red.png", "red"), photo("blue.png", "blue")]
    result = run("style", "shoe.json", "box.json", "--photo", *photos)
    assert result["files"] == [
        *("out/shoe-style-0.png", "out/shoe-style-sheet.png", "out/box-style-0.png", "out/box-style-sheet.png"),
        *("out/red-reconstruction.png", "out/blue-reconstruction.png"),
    ]
    z = mix(np.concatenate([pipe.encode(path) for path in photos]))[None]
    assert np.float32(result["z"]["shoe"]).tobytes() == z.tobytes()
    recipe = read_recipe(Path("out/shoe-style-0.png"))
    assert (recipe.sketch, recipe.z.tobytes()) == (shoe, z.tobytes())
    assert (pixels("out/shoe-style-0.png") == np.asarray(recipe.render(pipe))).all()


def test_the_reconstruction_stands_beside_its_photo(run, pipe: Pipeline) -> None:
    run("style", "shoe.json", "--photo", photo("red.png", "red"))
    shown = pixels("out/red-reconstruction.png")
    assert shown.shape == (32, 3 * 36 - 4, 3)
    assert (shown[:, :32] == np.asarray(fit_photo(Image.open("red.png"), 32))).all()
    assert (shown[:, 36:68] == pipe.edges("red.png")[..., None]).all()
    assert (shown[:, 72:] == np.asarray(pipe.reconstruct("red.png").images[0])).all()


def test_a_style_by_colour(run, pipe: Pipeline) -> None:
    result = run("style", "shoe.json", "box.json", "--colour", "Forest Green", "--count", 3, "--seed", 2)
    assert result["colour"] == "#228b22"
    for name in ("shoe", "box"):
        assert result["distance"][name] == sorted(result["distance"][name])
        assert len(result["colours"][name]) == 3
        assert all(len(colour) == 7 and colour.startswith("#") for colour in result["colours"][name])
        recipe = read_recipe(Path(f"out/{name}-style-2.png"))
        assert recipe.z.tobytes() == np.float32(result["z"][name]).tobytes()
        assert (pixels(f"out/{name}-style-2.png") == np.asarray(recipe.render(pipe))).all()
        assert Path(f"out/{name}-style-sheet.png").is_file()
    assert (
        run("style", "shoe.json", "--colour", "#228b22", "--count", 3, "--seed", 2)["z"]["shoe"] == result["z"]["shoe"]
    )


def test_a_blank_drawing_has_no_colour(refused, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the first sketch could have been painted."""
    painted = []

    def paint(self: Pipeline, features: object, z: np.ndarray) -> list[Image.Image]:
        painted.extend(z)
        blank = Image.new("RGB", (32, 32), "white")
        coloured = blank.copy()
        coloured.paste(Image.new("RGB", (16, 16), "red"), (8, 8))
        return [coloured if len(painted) <= TOTAL else blank] * len(z)

    monkeypatch.setattr(Pipeline, "_paint", paint)
    assert "box: There is nothing in the pictures" in refused("style", "shoe.json", "box.json", "--colour", "red")


# Mistakes


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("sweep", ["--steps", 1], "steps is 1; use a whole number from 2 to 16"),
        ("sweep", ["--steps", 17], "steps is 17"),
        ("sweep", ["--limit", 0], "use a number above 0, up to 3"),
        ("sweep", ["--limit", "nan"], "use a number above 0, up to 3"),
        ("sweep", ["--sliders", 8], "slider is 8; use a whole number from 0 to 7"),
        (
            "sweep",
            ["--sliders", *range(8), "--steps", 9],
            "8 strips of 9 pictures are too many: a sheet holds 64, here 7",
        ),
        ("sweep", ["--seed", -1], "seed is -1"),
        ("sweep", ["--directions"], "There are no principal directions of tiny"),
        ("grid", ["--directions"], "python -m bicyclegan prepare"),
        ("grid", ["--side", 8], "side is 8; use a whole number from 2 to 7"),
        ("grid", ["--side", 1], "side is 1"),
        ("grid", ["--across", 2, "--down", 2], "needs two different sliders; both are 2"),
        ("grid", ["--across", -1], "slider is -1"),
        ("grid", ["--seed", 2**32], "seed is 4294967296"),
        ("interpolate", ["--frames", 1], "frames is 1; use a whole number from 2 to 240"),
        ("interpolate", ["--frames", 241], "frames is 241"),
        ("interpolate", ["--frames", 2], "2 frames cannot show 3 codes"),
        ("interpolate", ["--fps", 0.5], "fps is 0.5; use a number from 1 to 60"),
        ("interpolate", ["--fps", "nan"], "fps is nan"),
        ("interpolate", ["--seeds", 3], "needs two codes or more; there is 1"),
        ("interpolate", ["--seeds", 3, -4], "seed is -4"),
        ("interpolate", ["--seeds", 3, 4, "--codes", "x.npz"], "from --seeds or from --codes, not both"),
        ("interpolate", ["--codes", "x.npz"], "There is no file x.npz"),
        ("interpolate", ["--codes", "x.json"], "There is no file x.json"),
        ("interpolate", ["--codes", "shoe.json"], "shoe.json: This is no file of pins"),
        ("interpolate", ["--format", "avi"], "invalid choice"),
        ("style", [], "from --photo or from --colour: give one of the two"),
        ("style", ["--photo", "x.png", "--colour", "red"], "give one of the two"),
        ("style", ["--photo", "x.png"], "There is no file x.png"),
        ("style", ["--photo", "shoe.json"], "shoe.json is not a picture"),
        ("style", ["--colour", "mustrad"], "Near it: mustard"),
        ("style", ["--colour", "red", "--count", 0], "count is 0; use a whole number from 1 to 32"),
        ("style", ["--colour", "red", "--seed", -1], "seed is -1"),
    ],
)
def test_values_that_are_refused(refused, command: str, options: list[object], message: str) -> None:
    assert message in refused(command, "shoe.json", *options)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_all_commands_refuse(refused, make_checkpoint, tmp_path: Path, command: str) -> None:
    option = ["--colour", "red"] if command == "style" else []
    Path("bad.json").write_text("{", "utf-8")
    assert "No sketch was given" in refused(command, *option)
    assert "bad.json" in refused(command, "shoe.json", "bad.json", *option)
    assert "There is no file none.png" in refused(command, "shoe.json", "none.png", *option)
    assert "no checkpoint folder" in refused(command, "shoe.json", *option, checkpoint="typo")
    codeless = make_checkpoint(tmp_path / "codeless", latent_dim=0, encoder="none")
    assert "no latent code (latent_dim 0)" in refused(command, "shoe.json", *option, checkpoint=codeless)
    Path("taken").touch()
    assert "taken" in refused(command, "shoe.json", *option, "--out", "taken")


@pytest.mark.parametrize(
    ("z", "message"),
    [
        (np.zeros((3, 7)), "bad.npz: Latent codes have shape (3, 7); this model takes (N, 8)"),
        (np.full((3, 8), np.nan), "must be finite"),
        (np.array(["a", "b"]), "must be numbers"),
        (np.array([{}], dtype=object), "bad.npz holds no codes"),
        (None, "bad.npz holds no codes"),
        (np.zeros((1 << 17, 8)), "it unpacks to 8,388,"),
    ],
)
def test_files_of_codes_that_are_refused(refused, z: np.ndarray | None, message: str) -> None:
    np.savez_compressed("bad.npz", **({"z": z} if z is not None else {"codes": np.zeros((2, 8))}))
    assert message in refused("interpolate", "shoe.json", "--codes", "bad.npz")
    Path("bad.npz").write_bytes(b"PK\x03\x04 damaged")
    assert "bad.npz holds no codes" in refused("interpolate", "shoe.json", "--codes", "bad.npz")


def test_models_that_read_no_photos(refused, make_checkpoint, tmp_path: Path) -> None:
    blind = make_checkpoint(tmp_path / "blind", encoder="none", style=EdgeStyle())
    red = photo("red.png", "red")
    assert "blind has no encoder" in refused("style", "shoe.json", "--photo", red, checkpoint=blind)


# Defaults


@pytest.mark.parametrize("command", ["sweep", "grid", "interpolate"])
def test_a_sketch_is_enough(capsys: pytest.CaptureFixture[str], command: str) -> None:
    main([command, "shoe.json"])
    [file] = capsys.readouterr().out.split()
    assert Path(file).parent == Path("out")
    with Image.open(file) as made:
        assert min(made.size) >= 128


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_units_and_needs_no_torch(command: str) -> None:
    code = (
        "import sys\nfrom bicyclegan.cli import main\n"
        f"try:\n    main(['{command}', '--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "assert not {'torch', 'cv2', 'av', 'gradio'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert shown.returncode == 0, shown.stderr
    for word in ("Example: python -m bicyclegan", "default:", "2 to" if command != "style" else "1 to 32"):
        assert word in " ".join(shown.stdout.split())
