"""python -m bicyclegan evaluate: files, lines and JSON of an evaluation, and one line for every mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from evaluation_example import measured, ours, without_code
from picture_sets import beside, drawing, photo, save, save_photos
from PIL import Image

from bicyclegan.checkpoints import content_hash
from bicyclegan.cli import main
from bicyclegan.evaluate import RESULT_FILE, summary
from bicyclegan.metrics import evaluation
from bicyclegan.sketch import Sketch, Stroke

ROOT = Path(__file__).resolve().parent.parent
QUICKDRAW = ROOT / "tests" / "fixtures" / "quickdraw_shoes.ndjson"
QUICK = ["--inputs", "3", "--samples", "2", "--draws", "1", "--device", "cpu"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With photos in it, on a machine without weights or network."""

    def forbidden(*args: object, **options: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr(torch.hub, "download_url_to_file", forbidden)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    save_photos(Path("photos/val"), 4)
    save_photos(Path("photos/train"), 4, first=10)


def evaluate(checkpoint: Path, *arguments: object) -> None:
    main(["evaluate", "--checkpoint", str(checkpoint), "--data", "photos", *QUICK, *map(str, arguments)])


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path) -> Callable[..., str]:
    """`refused("--limit", 0)` -> the one line that says why; nothing was measured or written."""

    def refused(*arguments: object, checkpoint: Path = tiny_checkpoint) -> str:
        before = sorted(Path().rglob("*"))
        with pytest.raises(SystemExit) as caught:
            evaluate(checkpoint, *arguments)
        assert caught.value.code == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1, "one line"
        assert sorted(Path().rglob("*")) == before, "nothing is written"
        return err

    return refused


# What is written


def test_files_of_an_evaluation(
    tiny_checkpoint: Path, make_checkpoint: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_checkpoint(Path("other"), encoder="none", latent_dim=4)
    evaluate(tiny_checkpoint, "--compare", other, "--drawings", QUICKDRAW, "--out", "deep/report", "--seed", 7)
    out, err = capsys.readouterr()
    names = ["metrics.json", "report.html", "sheet-validation.webp", "sheet-drawings.webp"]
    assert sorted(path.name for path in Path("deep/report").iterdir()) == sorted(names)
    assert out.splitlines()[-4:] == [f"deep/report/{name}" for name in names]
    assert err == "", "a bar is for people who look"
    result = json.loads(Path("deep/report", RESULT_FILE).read_text("utf-8"))
    assert (result["schema_version"], result["data"], result["seed"]) == (1, "photos", 7)
    assert result["checkpoint"]["hash"] == content_hash(tiny_checkpoint)
    assert [each["name"] for each in result["compared"]] == ["other"]
    assert all(Image.open(f"deep/report/{name}").format == "WEBP" for name in names[2:])
    report = Path("deep/report/report.html").read_text("utf-8")
    assert report.count("data:image/webp") == 2
    assert content_hash(tiny_checkpoint)[:10] in report
    assert "Drawings by people" in report
    assert "chart-kl" in report, "charts of the codes"


def test_lines_for_people(tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(tiny_checkpoint, "--metrics", "latent", "faithfulness")
    lines = capsys.readouterr().out.splitlines()
    found = {line.split()[0]: line for line in lines[:-3]}
    assert "chance 0.7979" in found["latent_l1"]
    assert "all 8" in found["active_dims"]
    assert "±" in found["edge_f1"]
    assert lines[-3:] == ["report/metrics.json", "report/report.html", "report/sheet-validation.webp"]


def test_json_is_the_result_and_nothing_else(tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(tiny_checkpoint, "--metrics", "reconstruction", "--json")
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    told = json.loads(out)
    assert told.pop("files") == ["report/metrics.json", "report/report.html", "report/sheet-validation.webp"]
    assert told == json.loads(Path("report/metrics.json").read_text("utf-8"))
    [l1, rgb] = told["checkpoint"]["measurements"]
    assert (l1["name"], rgb["name"], l1["count"]) == ("reconstruction_l1", "reconstruction_rgb", 4)


def test_a_second_time_replaces_the_first(tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for group in ("latent", "reconstruction"):
        evaluate(tiny_checkpoint, "--metrics", group)
    result = json.loads(Path("report/metrics.json").read_text("utf-8"))
    assert {each["group"] for each in result["checkpoint"]["measurements"]} == {"reconstruction"}
    assert len([*Path("report").iterdir()]) == 3


def test_options_reach_the_measurements(tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(4):
        save(beside(photo(seed), drawing(seed)), Path("pairs") / f"{seed}.png")
    options = ["--direction", "BtoA", "--limit", 3, "--inputs", 2, "--samples", 4, "--metrics", "latent", "--json"]
    evaluate(tiny_checkpoint, "--data", "pairs", *options)
    result = json.loads(capsys.readouterr().out)
    assert (result["data"], result["validation_images"]) == ("pairs", 3)
    counts = {each["name"]: each["count"] for each in result["checkpoint"]["measurements"]}
    assert (counts["latent_l1"], counts["kl"]) == (2 * 4, 3)


def test_numbers_are_kept_when_their_report_cannot_be_made(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device", "report/report.html")

    monkeypatch.setattr("bicyclegan.metrics.report.write_report", full)
    with pytest.raises(SystemExit) as caught:
        evaluate(tiny_checkpoint, "--metrics", "reconstruction")
    assert caught.value.code == 2
    assert json.loads(Path("report/metrics.json").read_text("utf-8"))["checkpoint"]["measurements"]


def test_ctrl_c_leaves_nothing(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "_facts", stop)
    with pytest.raises(SystemExit) as caught:
        evaluate(tiny_checkpoint)
    assert caught.value.code == 130
    assert capsys.readouterr() == ("", "")
    assert not Path("report").exists()


# The summary


def test_a_line_has_the_number_its_error_and_what_to_hold_it_against() -> None:
    lines = summary(ours(), [without_code()])
    assert lines[0].split() == [
        "lpips_diversity_alex_v0.1", "0.1523", "±", "0.0021", "(real_pairs", "0.4212,", "same_code", "0.2874)"
    ]  # fmt: skip
    assert lines[1].endswith("41.7 ± 0.31  (train_photos 14.2, pix2pix 58.3)")
    assert lines[-1].split(maxsplit=1) == ["fid", "not measured: " + ours().skipped[0].why]


def test_a_number_of_another_name_does_not_stand_beside() -> None:
    one, other = measured("fid", "fid", 30.0), measured("fid768", "fid", 5.0)
    [line] = summary(ours(measurements=[one], skipped=[]), [without_code(measurements=[other])])
    assert line.split() == ["fid", "30"]


# Mistakes


def broken_drawings() -> Path:
    Path("bad.ndjson").write_text('{"drawing":[[[1,2],[3,4]]]}\n\n{"drawing":3}\n', "utf-8")
    return Path("bad.ndjson")


def coloured_drawing() -> Path:
    red = Sketch((Stroke(((30.0, 30.0), (200.0, 200.0)), color=3),))
    Path("red.ndjson").write_text(red.to_json() + "\n", "utf-8")
    return Path("red.ndjson")


def file_at(name: str) -> Path:
    Path(name).touch()
    return Path(name)


MISTAKES = {
    "data": (lambda: ["--data", "nothing"], "There is no folder nothing; check the path."),
    "empty data": (lambda: Path("no").mkdir() or ["--data", "no"], "There are no pictures in no."),
    "group": (
        lambda: ["--metrics", "latent", "lpips"],
        "There is no group of metrics 'lpips'; use some of lpips_diversity, reconstruction, latent, faithfulness, fid,",
    ),
    "compare": (lambda: ["--compare", "checkpoints/typo"], "There is no checkpoint folder"),
    "drawings": (lambda: ["--drawings", "nothing.ndjson"], "There is no file nothing.ndjson."),
    "drawings folder": (lambda: ["--drawings", "photos"], "There is no file photos."),
    "broken drawings": (lambda: ["--drawings", broken_drawings()], "bad.ndjson, line 3: This is no record of Quick"),
    "coloured drawings": (lambda: ["--drawings", coloured_drawing()], "red.ndjson: "),
    "out": (
        lambda: ["--out", file_at("taken")],
        "The report cannot be written to taken: taken is no folder that may be written to. Choose another with --out.",
    ),
    "out below a file": (lambda: ["--out", file_at("taken") / "a" / "b"], "taken is no folder that may be written to"),
    "inception": (lambda: ["--metrics", "fid", "--inception", "nothing.pth"], "There is no file nothing.pth; give"),
    "limit": (lambda: ["--limit", 0], "limit is 0; use a whole number from 1 to 50000."),
    "seed": (lambda: ["--seed", -1], "seed is -1; use a whole number from 0 to 4294967295."),
    "samples": (lambda: ["--samples", 1], "samples is 1; use a whole number from 2 to 1000."),
    "word": (lambda: ["--samples", "many"], "--samples"),
    "direction": (lambda: ["--direction", "left"], "--direction"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_one_line(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    def measure(*args: object) -> None:
        raise AssertionError("it must be found before anything is measured")

    monkeypatch.setattr(evaluation, "_facts", measure)
    make, message = MISTAKES[kind]
    assert message in refused(*make())


def test_checkpoints_that_are_not_there(refused: Callable[..., str]) -> None:
    assert "There is no checkpoint folder" in refused(checkpoint=Path("typo"))
    assert "photos has no config.json" in refused(checkpoint=Path("photos"))


def test_what_the_model_lacks(
    refused: Callable[..., str], make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_checkpoint(tmp_path / "noise", encoder="none")
    message = "error: latent cannot be measured here: it needs an encoder, which this model does not have."
    assert message in refused("--metrics", "latent", checkpoint=folder)


def test_a_folder_that_may_not_be_written_to(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # a mode would not keep root out
    assert "is no folder that may be written to" in refused("--out", "photos")


def test_weights_that_cannot_be_had(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: object, **options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    for group, file in (("lpips_diversity", "alexnet-owt-7be5be79.pth"), ("fid", "weights-inception-2015")):
        error = refused("--metrics", group)
        assert "could not be downloaded (no network). By hand: download https://" in error
        assert file in error


def test_data_must_be_named(capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", "--checkpoint", str(tiny_checkpoint)])
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert "--data" in err
    assert err.count("\n") == 1


# Start-up


def test_help_names_all_groups_and_needs_no_torch() -> None:
    code = (
        "import sys\nfrom bicyclegan.cli import main\n"
        "try:\n    main(['evaluate', '--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'torch', 'cv2', 'gradio', 'pydantic', 'huggingface_hub', 'plotly', 'lpips'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "1000"}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert shown.returncode == 0, shown.stderr
    for word in (*evaluation.GROUPS, "--inputs", "the paper: 100", "the paper: 20", "default: edges2shoes"):
        assert word in shown.stdout, word
