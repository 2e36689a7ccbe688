"""The command line: every kind of picture goes in, recipes come out, a mistake is one line and exit code 2."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bicyclegan import checkpoints
from bicyclegan.checkpoints import content_hash, load_checkpoint
from bicyclegan.cli import main
from bicyclegan.command_io import MAX_DRAWINGS, unique_names
from bicyclegan.pipeline import Pipeline
from bicyclegan.recipe import read_recipe
from bicyclegan.sketch import EdgeStyle, Sketch, photo_to_edges

ROOT = Path(__file__).resolve().parent.parent
OFFICIAL = ROOT / "tests" / "fixtures" / "official"
QUICKDRAW = ROOT / "tests" / "fixtures" / "quickdraw_shoes.ndjson"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path):
    """`run("translate", "a.png")` with the tiny checkpoint -> what `--json` prints."""

    def run(command: str, *arguments: object) -> dict:
        main([command, *map(str, arguments), "--checkpoint", str(tiny_checkpoint), "--json"])
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path):
    """`refused("translate", ...)` -> the one line that says why; nothing was written."""

    def refused(command: str, *arguments: object, checkpoint: object = tiny_checkpoint) -> str:
        before = sorted(Path().rglob("*"))
        option = ["--checkpoint", str(checkpoint)] if checkpoint else []
        with pytest.raises(SystemExit) as caught:
            main([command, *map(str, arguments), *option])
        assert caught.value.code == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1, "one line"
        assert sorted(Path().rglob("*")) == before, "nothing is written"
        return err

    return refused


def drawing(mode: str = "L", size: tuple[int, int] = (60, 40)) -> Image.Image:
    """A black L on white, without symmetry."""
    pixels = np.full(size[::-1], 255, np.uint8)
    pixels[5:35, 10:13] = 0
    pixels[32:35, 10:50] = 0
    return Image.fromarray(pixels).convert(mode)


def save(name: str, image: Image.Image | None = None, **options: object) -> Path:
    (image or drawing()).save(name, **options)
    return Path(name)


def pixels(path: str | Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


# translate


def rgba() -> Image.Image:
    """Black lines on nothing."""
    grey = np.asarray(drawing())
    return Image.fromarray(np.stack([grey * 0] * 3 + [255 - grey], axis=2))


def sixteen_bits() -> Image.Image:
    return Image.fromarray(np.asarray(drawing()).astype(np.uint16) * 257)


def turned() -> tuple[Image.Image, Image.Exif]:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    return drawing("RGB").rotate(90, expand=True), exif


SOURCES = {
    "png": lambda: save("a.png"),
    "jpeg": lambda: save("a.jpg", drawing("RGB"), quality=95),
    "webp": lambda: save("a.webp", drawing("RGB"), lossless=True),
    "rgba": lambda: save("a.png", rgba()),
    "grey and alpha": lambda: save("a.png", rgba().convert("LA")),
    "palette": lambda: save("a.png", drawing("P")),
    "one bit": lambda: save("a.png", drawing("1")),
    "16 bit": lambda: save("a.png", sixteen_bits()),
    "cmyk": lambda: save("a.jpg", drawing("CMYK"), quality=95),
    "exif": lambda: save("a.jpg", turned()[0], exif=turned()[1], quality=95),
    "upper case": lambda: save("A.PNG"),
    "large": lambda: save("a.png", drawing().resize((1200, 800), Image.Resampling.NEAREST)),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_translate_takes_every_kind_of_picture(run, tiny_checkpoint: Path, kind: str) -> None:
    path = SOURCES[kind]()
    result = run("translate", path, "--samples", 2)
    photos, sheet = [Path(name) for name in result["files"][:-1]], Path(result["files"][-1])
    assert photos == [Path("out") / f"{path.stem}-{k}.png" for k in range(2)]
    assert sheet == Path("out") / f"{path.stem}-sheet.png"
    assert all(Image.open(photo).size == (32, 32) for photo in photos)
    # All of them hold the same drawing, up to the artefacts of JPEG.
    pipe = Pipeline.from_pretrained(tiny_checkpoint, device="cpu")
    expected, found = (pipe.prepare(sketch).raster for sketch in (drawing(), read_recipe(photos[0]).sketch))
    assert (found == 0).any()
    assert (found != expected).mean() < 0.03


def test_translate_equals_the_pipeline(run, tiny_checkpoint: Path, shoe: Sketch) -> None:
    Path("shoe.json").write_text(shoe.to_json(), "utf-8")
    result = run("translate", "shoe.json", "--samples", 3, "--seed", 7, "--truncation", 0.5, "--out", "photos")
    expected = Pipeline.from_pretrained(tiny_checkpoint, device="cpu")(shoe, 3, 7, truncation=0.5)
    assert result["checkpoint"] == "tiny"
    assert result["hash"] == content_hash(tiny_checkpoint)
    for k, name in enumerate(result["files"][:-1]):
        assert (pixels(name) == np.asarray(expected.images[k])).all()
        recipe = read_recipe(Path(name))
        assert (recipe.sketch, recipe.index, recipe.seed, recipe.truncation) == (shoe, k, 7, 0.5)


def test_translate_takes_quickdraw_and_a_checkpoints_own_examples(run, shoe: Sketch) -> None:
    count = len(QUICKDRAW.read_text("utf-8").splitlines())
    result = run("translate", QUICKDRAW, "--samples", 1)
    assert len(result["files"]) == 2 * count
    assert Path("out/quickdraw_shoes-0-0.png").is_file()
    Path("examples.ndjson").write_text(f"{QUICKDRAW.read_text('utf-8').splitlines()[0]}\n\n{shoe.to_json()}\n", "utf-8")
    run("translate", "examples.ndjson", "--samples", 1)
    assert read_recipe(Path("out/examples-1-0.png")).sketch == shoe


def test_the_default_checkpoint_is_the_shipped_one(capsys: pytest.CaptureFixture[str]) -> None:
    main(["translate", str(save("a.png")), "--samples", "1"])
    assert capsys.readouterr().out.split() == ["out/a-0.png", "out/a-sheet.png"]
    assert read_recipe(Path("out/a-0.png")).checkpoint == "edges2shoes"
    main(["render", "out/a-0.png"])
    assert (pixels("out/a-0-rendered.png") == pixels("out/a-0.png")).all()


def test_files_of_one_name_do_not_overwrite_each_other(run) -> None:
    for folder in ("x", "y"):
        Path(folder).mkdir()
        save(f"{folder}/a.png")
    save("a~2.png")
    result = run("translate", "x/a.png", "y/a.png", "a~2.png", "--samples", 1)
    assert len(set(result["files"])) == 6
    assert all(Path(name).is_file() for name in result["files"])


def test_unique_names() -> None:
    names = ["a", "a", "a~2", "b", "a", "b~2", "b"]
    found = unique_names([(name, k) for k, name in enumerate(names)])
    assert [item for _, item in found] == list(range(7))
    assert [name for name, _ in found] == ["a", "a~3", "a~2", "b", "a~4", "b~2", "b~3"]


# render


def test_render_rebuilds_the_same_pixels(run) -> None:
    made = run("translate", save("a.png"), QUICKDRAW, "--samples", 9, "--seed", 5)["files"]
    photos = [name for name in made if "sheet" not in name]
    chosen = [photos[0], photos[8], photos[12]]
    rendered = run("render", *chosen, "--out", "again")["files"]
    assert [Path(name).name for name in rendered] == [f"{Path(name).stem}-rendered.png" for name in chosen]
    for old, new in zip(chosen, rendered, strict=True):
        assert (pixels(old) == pixels(new)).all()
        assert read_recipe(Path(new)).to_json() == read_recipe(Path(old)).to_json()


def test_render_finds_the_checkpoint_by_its_hash(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    made = run("translate", save("a.png"), "--samples", 1)["files"][0]
    root = tmp_path / "zoo"
    for seed, name in enumerate(("other", "same")):
        make_checkpoint(root / name, seed=1 - seed)
    (make_checkpoint(root / "broken") / "config.json").write_text("{", "utf-8")
    monkeypatch.setattr(checkpoints.list_checkpoints, "__defaults__", (root,))
    main(["render", made, "--json"])
    [rendered] = json.loads(capsys.readouterr().out)["files"]
    assert (pixels(rendered) == pixels(made)).all()


def test_render_refuses_what_it_cannot_rebuild(run, refused, make_checkpoint, tmp_path: Path) -> None:
    good = run("translate", save("a.png"), "--samples", 1)["files"][0]
    assert "no recipe" in refused("render", good, save("b.png")).lower()
    assert "b.png" in refused("render", good, "b.png")
    assert "There is no file c.png" in refused("render", good, "c.png")
    other = make_checkpoint(tmp_path / "other", seed=9)
    assert "made by checkpoint tiny" in refused("render", good, checkpoint=other)
    shipped = "edges2clothes, edges2shoes, labels2facades"
    assert f"none of {shipped} has that hash" in refused("render", good, checkpoint=None)


# edges, encode


def test_edges_are_in_the_style_of_the_checkpoint(run) -> None:
    photo = save("photo.jpg", drawing("RGB", (200, 120)), quality=95)
    result = run("edges", photo)
    assert result["files"] == ["out/photo-edges.png"]
    expected = photo_to_edges(photo, EdgeStyle(), 32)
    assert (np.asarray(Image.open(result["files"][0])) == expected).all()
    assert (expected == 0).any()


def test_edges_with_more_and_less_detail(run) -> None:
    bars = np.repeat([255, 235, 255, 190, 255, 60, 255, 255], 4)[None].repeat(32, 0).astype(np.uint8)
    save("bars.png", Image.fromarray(bars))
    counts = [(pixels(run("edges", "bars.png", "--detail", d)["files"][0]) == 0).sum() for d in (-1, 0, 1)]
    assert counts[0] < counts[1] < counts[2]


def test_encode_writes_codes(run, tiny_checkpoint: Path) -> None:
    for name, colour in (("red.png", "red"), ("blue.jpg", "blue")):
        save(name, Image.new("RGB", (50, 40), colour))
    result = run("encode", "red.png", "blue.jpg", "--out", "deep/codes.npz")
    assert result["files"] == ["deep/codes.npz"]
    with np.load("deep/codes.npz", allow_pickle=False) as codes:
        assert codes["z"].shape == (2, 8)
        assert codes["z"].dtype == np.float32
        assert codes["names"].tolist() == ["red.png", "blue.jpg"]
        assert str(codes["checkpoint_hash"]) == content_hash(tiny_checkpoint)
        expected = Pipeline.from_pretrained(tiny_checkpoint, device="cpu").encode("blue.jpg")
        np.testing.assert_array_equal(codes["z"][1:], expected)
        assert result["z"]["red.png"] == [round(float(value), 4) for value in codes["z"][0]]


# import-official


def test_import_official_end_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    generator, encoder = (OFFICIAL / name for name in ("g_unet128_all_bilinear_legacy", "e_conv128_instance"))
    parts = {
        key: json.loads((path / "options.json").read_text())
        for key, path in zip("ge", (generator, encoder), strict=True)
    }
    options = {"generator": parts["g"], "encoder": parts["e"], "data": "made up", "training": {"steps": 3}}
    options["edge_style"] = {"line_width": 2, "antialias": True}
    Path("options.json").write_text(json.dumps(options), "utf-8")
    Path("card.md").write_text("# Mine\n", "utf-8")
    command = ["import-official", "--generator", str(generator / "latest_net_G.pth")]
    command += ["--encoder", str(encoder / "latest_net_E.pth"), "--options", "options.json"]
    command += ["--card", "card.md", "--out", "zoo/mine", "--json"]
    main(command)
    result = json.loads(capsys.readouterr().out)
    loaded = load_checkpoint("zoo/mine")
    assert (result["checkpoint"], result["hash"], result["files"]) == ("mine", loaded.hash, ["zoo/mine"])
    assert loaded.config.training == {"data": "made up", "steps": 3}
    assert loaded.config.edge_style == EdgeStyle(line_width=2.0, antialias=True)
    weights = torch.load(generator / "latest_net_G.pth", weights_only=True)
    assert torch.equal(loaded.generator.down[0].conv.weight, weights["model.down.0.weight"])
    main(["translate", str(save("a.png")), "--checkpoint", "zoo/mine", "--samples", "2"])
    assert Image.open("out/a-1.png").size == (128, 128)
    with pytest.raises(SystemExit) as caught:
        main(command)
    assert caught.value.code == 2
    assert "zoo/mine exists already" in capsys.readouterr().err
    main([*command, "--overwrite", "--half"])
    assert load_checkpoint("zoo/mine").half


def test_import_official_refuses(refused) -> None:
    generator = OFFICIAL / "g_unet128_all_bilinear_legacy" / "latest_net_G.pth"

    def message(*arguments: object) -> str:
        return refused("import-official", "--out", "mine", *arguments, checkpoint=None)

    assert "There is no file nothing.pth" in message("--generator", "nothing.pth")
    Path("bad.json").write_text("{", "utf-8")
    assert "bad.json is not valid JSON" in message("--generator", generator, "--options", "bad.json")
    Path("list.json").write_text("[]", "utf-8")
    assert "list.json must hold a JSON object" in message("--generator", generator, "--options", "list.json")
    assert "no file card.md" in message("--generator", generator, "--card", "card.md")
    Path("bad.pth").write_bytes(b"\x00" * 100)
    options = generator.parent / "options.json"
    assert "bad.pth cannot be read" in message("--generator", "bad.pth", "--options", options)


# Mistakes


def bomb() -> Path:
    """A PNG that announces 20,000 x 20,000 pixels in 100 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    Path("bad.png").write_bytes(data)
    return Path("bad.png")


def write(name: str, data: bytes) -> Path:
    Path(name).write_bytes(data)
    return Path(name)


def truncated() -> Path:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(buffer, "PNG")
    return write("bad.png", buffer.getvalue()[:2000])


def animated() -> Path:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "green", "blue")]
    return save("bad.gif", frames[0], save_all=True, append_images=frames[1:])


def million_points() -> Path:
    points = ",".join(["[1,2]"] * 300_000)
    return write("bad.json", f'{{"version":1,"strokes":[{{"points":[{points}]}}]}}'.encode())


BAD_FILES = {
    "missing": (lambda: Path("none.png"), "There is no file none.png"),
    "not an image": (lambda: write("bad.png", b"hello"), "bad.png is not a picture"),
    "empty": (lambda: write("bad.png", b""), "bad.png is not a picture"),
    "truncated": (truncated, "bad.png is damaged or cut short"),
    "1 x 1": (lambda: save("bad.png", Image.new("L", (1, 1))), "bad.png is 1 x 1 px; each side"),
    "bomb": (bomb, "bad.png has 400.0 megapixels; at most 64"),
    "animated": (animated, "bad.gif holds 3 frames"),
    "folder": (lambda: Path().resolve(), "There is no file"),
}
BAD_SKETCHES = {
    "json": (lambda: write("bad.json", b"{"), "bad.json: The sketch is not valid JSON"),
    "missing json": (lambda: Path("none.json"), "There is no file none.json"),
    "folder.json": (lambda: Path("x.json").mkdir() or Path("x.json"), "x.json"),
    "not text": (lambda: write("bad.json", b"\xff\xfe"), "bad.json is not a text file in UTF-8"),
    "nan": (
        lambda: write("bad.json", b'{"version":1,"strokes":[{"points":[[NaN,1]]}]}'),
        "strokes[0].points[0][0] is NaN",
    ),
    "many points": (million_points, "300000 points; at most 200000"),
    "50 MB": (lambda: write("bad.json", b'{"version":1,"strokes":"' + b"x" * (50 << 20) + b'"}'), "50.0 MB of text"),
    "line": (
        lambda: write("bad.ndjson", b'{"drawing":[[[1,2],[3,4]]]}\n\n{"drawing":3}\n'),
        "bad.ndjson, line 3: This is no record of Quick, Draw!",
    ),
    "no lines": (lambda: write("bad.ndjson", b"\n"), "bad.ndjson holds 0 drawings; use 1 to 1000"),
    "too many lines": (lambda: write("bad.ndjson", b"{}\n" * (MAX_DRAWINGS + 1)), "bad.ndjson holds 1001 drawings"),
}


@pytest.mark.parametrize("kind", {**BAD_FILES, **BAD_SKETCHES})
def test_translate_refuses_bad_files(refused, kind: str) -> None:
    make, message = {**BAD_FILES, **BAD_SKETCHES}[kind]
    good = save("good.png")
    assert message in refused("translate", good, make(), "--samples", 1)


@pytest.mark.parametrize("command", ["edges", "encode"])
@pytest.mark.parametrize("kind", BAD_FILES)
def test_photos_that_are_refused(refused, command: str, kind: str) -> None:
    make, message = BAD_FILES[kind]
    good = save("good.png")
    assert message in refused(command, good, make())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", -1], "seed is -1; use a whole number from 0 to 4294967295"),
        (["--seed", 2**32], "seed is 4294967296"),
        (["--samples", 0], "num_samples is 0; use a whole number from 1 to 1024"),
        (["--samples", 1025], "num_samples is 1025"),
        (["--truncation", 5], "use a number from 0 to 3"),
        (["--truncation", "nan"], "use a number from 0 to 3"),
    ],
)
def test_values_that_are_refused(refused, options: list[object], message: str) -> None:
    assert message in refused("translate", save("a.png"), *options)


def test_detail_that_is_refused(refused) -> None:
    assert "Edge detail is 2.0; it must be a number from -1 to 1" in refused("edges", save("a.png"), "--detail", 2)


@pytest.mark.parametrize("command", ["translate", "edges", "encode"])
def test_missing_checkpoints(refused, command: str) -> None:
    path = save("a.png")
    assert "no checkpoint folder" in refused(command, path, checkpoint="typo")
    assert "edges2shoes" in refused(command, path, checkpoint="checkpoints/typo"), "what there is"
    Path("empty").mkdir()
    assert "empty has no config.json (it holds: nothing)" in refused(command, path, checkpoint="empty")


@pytest.mark.parametrize("command", ["translate", "edges", "encode", "render"])
def test_commands_without_files(refused, command: str) -> None:
    assert "was given. Name one or more files" in refused(command)


def test_a_folder_that_cannot_be_made(refused) -> None:
    path = save("a.png")
    Path("taken").touch()
    assert "taken" in refused("translate", path, "--samples", 1, "--out", "taken")


# Start-up


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=120)


def test_help_lists_all_commands() -> None:
    shown = python("-m", "bicyclegan", "--help")
    assert shown.returncode == 0
    assert shown.stderr == ""
    for command in ("translate", "edges", "encode", "render", "import-official", "deploy"):
        assert command in shown.stdout


@pytest.mark.parametrize("command", [[], ["translate"], ["edges"], ["encode"], ["render"], ["import-official"]])
def test_help_needs_no_torch(command: list[str]) -> None:
    code = (
        "import sys\nfrom bicyclegan.cli import main\n"
        f"try:\n    main({[*command, '--help']})\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'torch', 'cv2', 'gradio', 'pydantic', 'huggingface_hub'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    shown = python("-c", code)
    assert shown.returncode == 0, shown.stderr
    if command:
        assert "default" in shown.stdout
        assert f"bicyclegan {command[0]}" in shown.stdout
