"""python -m bicyclegan compare: a page, lines and JSON, and one line for every mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from run_example import story, write_run

from bicyclegan.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parent.parent
pytest.importorskip("plotly")


@pytest.fixture(autouse=True)
def in_a_folder_with_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(Path("runs/A"), story(reconstruction_l1=0.2))
    write_run(Path("runs/B"), story(steps=20, end="stopped", reconstruction_l1=0.1), samples=(20,), lambda_l1=5.0)


def compare(*arguments: object) -> None:
    main(["compare", *map(str, arguments)])


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """`refused("runs/A")` -> the one line that says why; nothing was written."""

    def refused(*arguments: object) -> str:
        before = sorted(Path().rglob("*"))
        with pytest.raises(SystemExit) as caught:
            compare(*arguments)
        assert caught.value.code == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1, "one line"
        assert sorted(Path().rglob("*")) == before, "nothing is written"
        return err

    return refused


def test_a_page_and_lines_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    compare("runs/A", "runs/B")
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines() == [
        "A  Completed: all 40 updates.",
        "B  Stopped early, on request: 20 of 40 updates.",
        "Diversity (colour) ↑  A 0.100, B 0.100",
        "Reconstruction (L1) ↓  A 0.200, B 0.100 (best)",
        "Latent L1 ↓  A 0.700, B 0.700",
        "compare.html",
    ]
    page = Path("compare.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "lambda_l1" in page and page.count("data:image/webp") == 3


def test_json_is_the_result_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    compare("runs/A", "runs/B", "--out", "deep/page.html", "--json")
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    told = json.loads(out)
    assert told["files"] == ["deep/page.html"] and Path("deep/page.html").is_file()
    assert [(run["name"], run["state"], run["steps"], run["images"]) for run in told["runs"]] == [
        ("A", "completed", 40, 160),
        ("B", "stopped", 20, 80),
    ]
    assert told["differences"] == {"lambda_l1": ["10.0", "5.0"]}
    assert (told["common_step"], told["not_comparable"]) == (20, "")
    [metric] = [metric for metric in told["metrics"] if metric["name"] == "reconstruction_l1"]
    assert (metric["better"], metric["best_leaders"]) == ("lower", [1])
    assert metric["best"] == [
        {"value": 0.2, "step": 20, "images": 80, "seconds": 20.0},
        {"value": 0.1, "step": 10, "images": 40, "seconds": 10.0},
    ]


def test_a_second_page_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    compare("runs/A", "runs/B")
    first = Path("compare.html").read_bytes()
    compare("runs/A", "runs/B")
    assert Path("compare.html").read_bytes() == first, "the same runs, the same bytes"
    write_run(Path("runs/C"))
    compare("runs/A", "runs/C")
    assert Path("compare.html").read_bytes() != first


def test_runs_of_one_name_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    write_run(Path("old/A"))
    compare("runs/A", "old/A", "--json")
    assert [run["name"] for run in json.loads(capsys.readouterr().out)["runs"]] == ["runs/A", "old/A"]


def test_what_is_damaged_is_said_and_the_rest_compared(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/B/config.json").write_text("{", "utf-8")
    with Path("runs/A/events.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"kind": "step", "ste')
    compare("runs/A", "runs/B")
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("A  1 line of events.jsonl could not be read") for line in lines)
    assert any(line.startswith("B  config.json is damaged") for line in lines)
    assert lines[-1] == "compare.html"


def test_the_runs_are_left_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*")}
    compare("runs/A", "runs/B")
    assert {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*")} == before


def file_at(name: str) -> Path:
    Path(name).touch()
    return Path(name)


MISTAKES = {
    "none": (lambda: [], "compare takes 2 to 8 runs, not 0"),
    "one": (lambda: ["runs/A"], "compare takes 2 to 8 runs, not 1: give their folders, as in compare runs/A runs/B."),
    "nine": (lambda: [f"runs/{k}" for k in range(9)], "compare takes 2 to 8 runs, not 9"),
    "missing": (
        lambda: ["runs/A", "runs/typo"],
        "There is no folder runs/typo; give run folders that train --out made",
    ),
    "twice": (lambda: ["runs/A", "runs/../runs/A"], "runs/A is given twice"),
    "empty": (lambda: Path("no").mkdir() or ["runs/A", "no"], "no is no run: neither its config.json nor its events"),
    "name": (lambda: ["runs/A", "runs/B", "--out", "report"], "--out is report; it must be an HTML file"),
    "folder": (lambda: Path("x.html").mkdir() or ["runs/A", "runs/B", "--out", "x.html"], "it must be an HTML file"),
    "events": (lambda: ["runs/A", "runs/B", "--out", "runs/A/events.jsonl"], "it must be an HTML file"),
    "below a file": (
        lambda: ["runs/A", "runs/B", "--out", file_at("taken") / "a" / "compare.html"],
        "taken is no folder that may be written to. Choose another file with --out.",
    ),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_one_line(refused: Callable[..., str], kind: str) -> None:
    make, message = MISTAKES[kind]
    assert message in refused(*make())


def test_a_folder_that_may_not_be_written_to(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # a mode would not keep root out
    assert "is no folder that may be written to" in refused("runs/A", "runs/B")


def test_help_needs_no_torch() -> None:
    assert "compare" in COMMANDS
    code = (
        "import sys\nfrom bicyclegan.cli import main\n"
        "try:\n    main(['compare', '--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'torch', 'cv2', 'gradio', 'pydantic', 'plotly', 'jinja2', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "1000"}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert shown.returncode == 0, shown.stderr
    for word in ("2 to 8", "--out", "default: compare.html", "--json"):
        assert word in shown.stdout, word
