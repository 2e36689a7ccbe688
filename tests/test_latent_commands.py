"""`map` and `latent-stats`: one page, or words, about the codes that were asked for; mistakes come before any file."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from latent_example import COLOURS, example_codes, plant_latents, write_code_run
from PIL import Image
from safetensors.torch import load_file, save_file

from bicyclegan.cli import main
from bicyclegan.config import MODEL_FILE
from bicyclegan.latent_commands import summary
from bicyclegan.latents_file import load_latents, save_latents
from bicyclegan.map_page.code_set import CodeSet
from bicyclegan.metrics.posterior import read_posterior
from bicyclegan.photo_codes import photo_colour
from bicyclegan.pipeline import Pipeline
from bicyclegan.prepare import prepare_from
from bicyclegan.projection import MapSettings, Pca

ROOT = Path(__file__).resolve().parent.parent
MU, LOGVAR = example_codes()
COMMANDS = ("map", "latent-stats")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Callable[..., Path]) -> Path:
    """A checkpoint with the codes of 40 photos."""
    return plant_latents(make_checkpoint(tmp_path_factory.mktemp("stored") / "stored"), MU, LOGVAR)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six photos."""
    random = np.random.RandomState(0)
    (tmp_path / "photos").mkdir()
    for k in range(6):
        pixels = np.full((32, 32, 3), 255, np.uint8)
        pixels[6:26, 4:28] = random.randint(0, 200, 3)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{k}.png")
    return tmp_path / "photos"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict]:
    """`run("map", "--checkpoint", folder, ...)` -> what `--json` prints."""

    def run(*arguments: object) -> dict:
        main([*map(str, arguments), "--json"])
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """`refused("map", ...)` -> the one line that says why. An older map.html stays, and nothing else is written."""

    def refused(*arguments: object) -> str:
        Path("map.html").write_text("older")
        before = sorted(Path().rglob("*"))
        with pytest.raises(SystemExit) as caught:
            main([*map(str, arguments)])
        assert caught.value.code == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1, "one line"
        assert sorted(Path().rglob("*")) == before, "nothing is written"
        assert Path("map.html").read_text() == "older"
        return err

    return refused


def page_data(path: str | Path = "map.html") -> dict:
    """What the page's script is given."""
    text = Path(path).read_text("utf-8")
    return json.loads(text.split('<script type="application/json" id="data">')[1].split("</script>")[0])


def sprite(path: str | Path = "map.html") -> Image.Image:
    data = Path(path).read_text("utf-8").split('id="sprite" src="data:image/webp;base64,')[1].split('"')[0]
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


# map


def test_a_map_of_stored_codes_is_their_pca(run: Callable[..., dict], stored: Path) -> None:
    told = run("map", "--checkpoint", stored)
    assert told["files"] == ["map.html"]
    assert told["checkpoint"] == "stored"
    assert told["settings"] == {"method": "pca", "dims": 2}
    places = Pca.fit(MU).transform(MU, 2)
    assert np.allclose(told["coords"], places, atol=1e-4)
    data = page_data()
    assert np.allclose(np.transpose(data["moments"][0]), places, atol=1e-3)
    assert data["names"] == [f"photo {k}.png" for k in range(40)]
    assert len(data["prior"][0]) == len(told["prior_coords"]) == 100
    assert data["steps"] == []
    assert told["stats"] == read_posterior(MU, LOGVAR).to_json()


def test_all_points_are_within_the_axes(run: Callable[..., dict], stored: Path) -> None:
    for dims in (2, 3):
        run("map", "--checkpoint", stored, "--dims", dims)
        data = page_data()
        for d, (low, high) in enumerate(data["ranges"]):
            values = data["moments"][0][d] + data["prior"][d]
            assert low < min(values)
            assert max(values) < high


def test_thumbnails_are_those_of_the_checkpoint(run: Callable[..., dict], stored: Path) -> None:
    run("map", "--checkpoint", stored)
    tiles, picture = page_data()["tiles"], sprite()
    assert tiles["places"] == [*range(40)]
    for photo in (0, 7, 39):
        row, column = divmod(photo, tiles["columns"])
        middle = ((column + 0.5) * tiles["size"], (row + 0.5) * tiles["size"])
        assert np.abs(np.subtract(picture.getpixel(tuple(map(int, middle))), COLOURS[photo].astype(int))).max() < 12


def test_rings_are_around_the_middle_of_the_prior(run: Callable[..., dict], stored: Path) -> None:
    run("map", "--checkpoint", stored)
    data = page_data()
    middle = np.mean(data["prior"], axis=1)
    assert np.allclose(data["centre"], Pca.fit(MU).transform(np.zeros((1, 8)), 2)[0], atol=1e-3)
    assert np.linalg.norm(middle - data["centre"]) < 0.5
    run("map", "--checkpoint", stored, "--dims", 3)
    assert page_data()["centre"] is None


def test_t_sne_has_its_own_words_and_no_axes(run: Callable[..., dict], stored: Path) -> None:
    told = run("map", "--checkpoint", stored, "--method", "tsne", "--perplexity", 5, "--seed", 3, "--out", "t.html")
    assert told["settings"] == MapSettings("tsne", perplexity=5, seed=3).used
    assert np.shape(told["coords"]) == (40, 2)
    assert np.isfinite(told["coords"]).all()
    assert page_data("t.html")["axes"] == ["", ""]
    assert "keeps neighbours only" in Path("t.html").read_text("utf-8")


def test_a_stored_map_is_not_computed_again(
    run: Callable[..., dict], tmp_path: Path, make_checkpoint: Callable[..., Path]
) -> None:
    folder = plant_latents(make_checkpoint(tmp_path / "model"), MU, LOGVAR)
    latents = load_latents(folder)
    settings = MapSettings("umap")  # computing it would take twenty seconds
    places = np.random.RandomState(0).standard_normal((140, 2)).astype(np.float32)
    vars(latents)["maps"] = ((settings, places),)
    save_latents(folder, latents)
    told = run("map", "--checkpoint", folder, "--method", "umap")
    assert np.array_equal(np.float32(told["coords"]), places[:40])
    assert np.array_equal(np.float32(told["prior_coords"]), places[40:])


@pytest.mark.slow
def test_umap_is_computed_where_it_is_not_stored(run: Callable[..., dict], stored: Path) -> None:
    pytest.importorskip("umap")
    told = run("map", "--checkpoint", stored, "--method", "umap", "--neighbours", 5)
    assert np.isfinite(told["coords"]).all()
    assert "UMAP keeps neighbours only" in Path("map.html").read_text("utf-8")


def test_photos_are_read_anew(run: Callable[..., dict], stored: Path, photos: Path) -> None:
    told = run("map", "--checkpoint", stored, "--data", photos, "--device", "cpu")
    pipe = Pipeline.from_pretrained(stored, device="cpu")
    mu = np.concatenate([pipe.encode(photos / f"{k}.png") for k in range(6)])
    assert told["names"] == [f"{k}.png" for k in range(6)]
    assert np.allclose(told["coords"], Pca.fit(mu).transform(mu, 2), atol=1e-3)
    data = page_data()
    colours = next(each for each in data["colourings"] if each["key"] == "photo")["values"]
    red, green, blue = photo_colour(np.asarray(Image.open(photos / "0.png")))
    assert colours[0] == f"#{red:02x}{green:02x}{blue:02x}"
    assert sprite().size == (192, 128)
    assert told["stats"] is None
    assert "there are no verdicts" in Path("map.html").read_text("utf-8")


def test_a_limit_takes_fewer_photos(run: Callable[..., dict], stored: Path, photos: Path) -> None:
    told = run("map", "--checkpoint", stored, "--data", photos, "--limit", 3, "--device", "cpu")
    assert len(told["names"]) == 3


def test_what_prepare_wrote_is_what_a_map_reads(
    run: Callable[..., dict], tmp_path: Path, photos: Path, make_checkpoint: Callable[..., Path]
) -> None:
    folder = make_checkpoint(tmp_path / "model", latent_dim=3)
    prepare_from(photos, folder, device="cpu")
    told = run("map", "--checkpoint", folder)
    assert told["names"] == list(load_latents(folder).names)
    assert sprite().size == (192, 128)


def test_the_page_is_printed_and_replaced(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("new").mkdir()
    for _ in range(2):
        main(["map", "--checkpoint", str(stored), "--out", "new/shoes.HTM"])
        assert capsys.readouterr().out == f"{Path('new/shoes.HTM')}\n"
    assert [path.name for path in Path("new").iterdir()] == ["shoes.HTM"]


def test_the_same_codes_give_the_same_bytes(run: Callable[..., dict], stored: Path) -> None:
    run("map", "--checkpoint", stored, "--out", "a.html")
    run("map", "--checkpoint", stored, "--out", "b.html")
    assert Path("a.html").read_bytes() == Path("b.html").read_bytes()


# map of a run


def test_a_run_is_a_film_along_the_last_directions(run: Callable[..., dict]) -> None:
    write_code_run(Path("run"), {10: 0.1 * MU, 20: 0.5 * MU, 30: MU})
    told = run("map", "--run", "run", "--out", "run.html")
    assert told["run"] == "run"
    assert told["steps"] == [10, 20, 30]
    data = page_data("run.html")
    assert data["steps"] == [10, 20, 30]
    pca = Pca.fit(MU)
    for share, moment in zip((0.1, 0.5, 1), data["moments"], strict=True):
        assert np.allclose(np.transpose(moment), pca.transform(share * MU, 2), atol=1e-3)
    assert data["tiles"] is None
    assert 'id="play"' in Path("run.html").read_text("utf-8")


def test_a_run_of_one_step_has_nothing_to_play(run: Callable[..., dict]) -> None:
    write_code_run(Path("run"), {10: MU})
    run("map", "--run", "run")
    assert 'id="play"' not in Path("map.html").read_text("utf-8")


def test_a_run_borrows_thumbnails_by_name(run: Callable[..., dict], make_checkpoint: Callable[..., Path]) -> None:
    write_code_run(Path("run"), {10: MU[:30]})
    latest = make_checkpoint(Path("run") / "latest")
    plant_latents(latest, MU, names=[f"photo {40 - k}.png" for k in range(40)])  # photo 0 is none of them
    run("map", "--run", "run")
    data = page_data()
    assert data["tiles"]["places"] == [None, *range(39, 10, -1)]
    assert "photo" not in [choice["key"] for choice in data["colourings"]]
    (latest / "latents.npz").write_bytes(b"damaged")
    run("map", "--run", "run")
    assert page_data()["tiles"] is None


def test_left_out_steps_are_told(run: Callable[..., dict]) -> None:
    write_code_run(Path("run"), {10: MU, 20: MU[:3], 30: MU})
    assert run("map", "--run", "run")["skipped"] == 1
    assert "1 step is left out" in " ".join(Path("map.html").read_text("utf-8").split())


# latent-stats


def test_stats_are_readings_of_the_codes(run: Callable[..., dict], stored: Path) -> None:
    told = run("latent-stats", "--checkpoint", stored)
    assert (
        told
        == {"checkpoint": "stored", "hash": load_latents(stored).checkpoint_hash} | read_posterior(MU, LOGVAR).to_json()
    )


def test_stats_of_a_run_are_those_of_its_last_step(run: Callable[..., dict]) -> None:
    write_code_run(Path("run"), {10: 0 * MU, 20: MU})
    told = run("latent-stats", "--run", "run")
    assert told["run"] == "run"
    assert told["steps"] == [10, 20]
    assert told["readings"] == read_posterior(MU, np.full_like(MU, -1)).to_json()["readings"]


def test_stats_of_photos_that_are_read_anew(refused: Callable[..., str], stored: Path, photos: Path) -> None:
    """Six photos are read, and are too few."""
    assert "6 photos" in refused("latent-stats", "--checkpoint", stored, "--data", photos, "--device", "cpu")


def test_stats_for_people_say_what_to_do(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["latent-stats", "--checkpoint", str(stored)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("stored: ")
    assert "40 photos, 8 dims" in lines[0]
    codes = CodeSet("dead", ("a",) * 40, 0 * MU, np.zeros_like(MU))
    report = read_posterior(codes.mu, codes.logvar)
    told = summary(codes, report, width=60)
    assert told[0].startswith("dead: collapsed")
    assert all(len(line) <= 60 for line in told[1:])
    whole = " ".join(" ".join(told).split())
    for reading in report.readings:
        assert " ".join(reading.sentence.split()) in whole
        assert not reading.remedy or f"What to do: {reading.remedy}" in whole


# Mistakes


@pytest.mark.parametrize("command", COMMANDS)
def test_a_checkpoint_that_was_never_prepared(refused: Callable[..., str], command: str, tiny_checkpoint: Path) -> None:
    said = refused(command, "--checkpoint", tiny_checkpoint)
    assert f"python -m bicyclegan prepare {tiny_checkpoint} --data DIR" in said
    assert "--data DIR, or" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_codes_of_other_weights(
    refused: Callable[..., str], command: str, tmp_path: Path, make_checkpoint: Callable[..., Path]
) -> None:
    folder = plant_latents(make_checkpoint(tmp_path / "model"), MU)
    weights = load_file(folder / MODEL_FILE)
    save_file({name: value + 0.01 for name, value in weights.items()}, folder / MODEL_FILE)
    assert "those of other weights" in refused(command, "--checkpoint", folder)


@pytest.mark.parametrize("command", COMMANDS)
def test_models_that_give_photos_no_codes(
    refused: Callable[..., str], command: str, tmp_path: Path, photos: Path, make_checkpoint: Callable[..., Path]
) -> None:
    folder = make_checkpoint(tmp_path / "noise", encoder="none")
    assert "has no encoder" in refused(command, "--checkpoint", folder)
    assert "has no encoder" in refused(command, "--checkpoint", folder, "--data", photos)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--checkpoint", "nowhere/at/all"], "nowhere/at/all"),
        (["--run", "nowhere"], "no run in nowhere"),
        (["--run", "run", "--checkpoint", "edges2clothes"], "Leave out --checkpoint, or --run"),
        (["--run", "run", "--data", "photos"], "Leave out --data, or --run"),
        (["--data", "nowhere"], "nowhere"),
        (["--limit", "many"], "--limit"),
    ],
)
def test_sources_that_are_none(refused: Callable[..., str], command: str, arguments: list[str], words: str) -> None:
    assert words in refused(command, *arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dims", "4"], "dims"),
        (["--dims", "1"], "dims"),
        (["--method", "mds"], "--method"),
        (["--method", "tsne"], "too few for perplexity 30"),
        (["--method", "tsne", "--perplexity", "1"], "perplexity"),
        (["--method", "umap", "--neighbours", "40"], "too few for neighbours 40"),
        (["--method", "umap", "--neighbours", "1"], "neighbours"),
        (["--method", "umap", "--min-dist", "nan"], "min_dist"),
        (["--method", "tsne", "--seed", "-1"], "seed"),
        (["--out", "map.png"], "must be an HTML file"),
        (["--out", "."], "must be an HTML file"),
        (["--out", "map.html/map.html"], "no folder that may be written to"),
    ],
)
def test_maps_that_cannot_be_drawn(refused: Callable[..., str], stored: Path, arguments: list[str], words: str) -> None:
    assert words in refused("map", "--checkpoint", stored, *arguments)


def test_a_run_is_drawn_by_pca_alone(refused: Callable[..., str]) -> None:
    write_code_run(Path("run"), {10: MU})
    assert "drawn by pca, not tsne" in refused("map", "--run", "run", "--method", "tsne")


def test_a_film_of_codes_that_are_none(refused: Callable[..., str]) -> None:
    write_code_run(Path("run"), {10: np.full_like(MU, np.nan)})
    assert "can be read" in refused("map", "--run", "run")
    write_code_run(Path("young"), {})
    assert "--validate-every" in refused("latent-stats", "--run", "young")


def test_one_photo_and_none(refused: Callable[..., str], stored: Path, photos: Path) -> None:
    for part, names in (("val", ["0"]), ("train", "12345")):
        (photos / part).mkdir()
        for name in names:
            (photos / f"{name}.png").rename(photos / part / f"{name}.png")
    assert "one photo alone" in refused("map", "--checkpoint", stored, "--data", photos, "--device", "cpu")
    Path("empty").mkdir()
    assert "empty" in refused("map", "--checkpoint", stored, "--data", "empty")


def test_equal_codes_are_a_dot_by_pca_and_nothing_else(
    refused: Callable[..., str], run: Callable[..., dict], tmp_path: Path, make_checkpoint: Callable[..., Path]
) -> None:
    """A collapsed encoder is worth seeing; neighbours it does not have."""
    folder = plant_latents(make_checkpoint(tmp_path / "model"), 0 * MU + 0.25)
    assert "Only 1 of 40 codes differ" in refused("map", "--checkpoint", folder, "--method", "tsne", "--perplexity", 5)
    told = run("map", "--checkpoint", folder)
    assert np.ptp(told["coords"], axis=0).max() < 1e-6
    assert told["stats"]["verdict"] == "collapsed"


def test_an_encoder_that_gives_nan(
    refused: Callable[..., str], tmp_path: Path, photos: Path, make_checkpoint: Callable[..., Path]
) -> None:
    folder = make_checkpoint(tmp_path / "model")
    weights = load_file(folder / MODEL_FILE)
    for name in ("encoder.logvar.weight", "encoder.logvar.bias"):
        weights[name] = torch.full_like(weights[name], 3e38)  # finite, or it would not even be loaded
    save_file(weights, folder / MODEL_FILE)
    for command in COMMANDS:
        said = refused(command, "--checkpoint", folder, "--data", photos, "--device", "cpu")
        assert "Codes of 6 of 6 photos are NaN" in said


def test_an_interruption_leaves_the_old_page(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    Path("map.html").write_text("older")
    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(SystemExit) as caught:
        main(["map", "--checkpoint", str(stored)])
    assert caught.value.code == 130
    assert [path.name for path in Path().iterdir()] == ["map.html"]
    assert Path("map.html").read_text() == "older"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_needs_no_heavy_imports(command: str) -> None:
    code = (
        "import sys\nfrom bicyclegan.cli import main\n"
        f"try: main(['{command}', '--help'])\nexcept SystemExit as end: assert not end.code\n"
        "assert not {'torch', 'plotly', 'sklearn', 'umap', 'PIL'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "--run" in done.stdout
