"""Run folders that are compared: which are read, which refused, and what is said of those that are damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_example import step_line, story, write_run

from bicyclegan.errors import UserError
from bicyclegan.training.comparison.runs import Run, flatten, read_runs, run_labels


def pair(tmp_path: Path) -> tuple[Path, Path]:
    return write_run(tmp_path / "a"), write_run(tmp_path / "b", lambda_l1=5.0)


def first(*folders: Path) -> Run:
    return read_runs(folders)[0]


def test_two_runs_are_read(tmp_path: Path) -> None:
    a, b = read_runs(pair(tmp_path))
    assert (a.label, b.label) == ("a", "b")
    assert (a.config["loss.lambda_l1"], b.config["loss.lambda_l1"]) == (10.0, 5.0)
    assert (a.planned, a.batch_size, a.images(30)) == (40, 4, 120)
    assert a.story.state == "completed"
    assert not a.notes and not a.assumed


def test_reading_changes_nothing(tmp_path: Path) -> None:
    folders = pair(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    read_runs(folders)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


# Names


def test_equal_names_get_the_folders_above_that_tell_them_apart(tmp_path: Path) -> None:
    folders = [tmp_path / part for part in ("x/runs/a", "y/runs/a", "x/runs/b")]
    assert run_labels(folders) == ["x/runs/a", "y/runs/a", "b"]


def test_names_that_are_equal_once_cut_are_counted(tmp_path: Path) -> None:
    labels = run_labels([tmp_path / ("a" * 60 + end) for end in "xyz"])
    assert len(set(labels)) == 3
    assert labels[1].endswith(" (2)")
    assert all(len(label) <= 48 for label in labels)


def test_one_folder_under_two_names_is_one_run(tmp_path: Path) -> None:
    a, _ = pair(tmp_path)
    (tmp_path / "link").symlink_to(a)
    for twice in ((a, a), (a, tmp_path / "link"), (a, tmp_path / "b" / ".." / "a")):
        with pytest.raises(UserError, match="is given twice: give each run once"):
            read_runs(twice)


# Refused


@pytest.mark.parametrize("count", [0, 1, 9])
def test_too_few_and_too_many(tmp_path: Path, count: int) -> None:
    with pytest.raises(UserError, match=f"takes 2 to 8 runs, not {count}: give their folders, as in compare runs/A"):
        read_runs([tmp_path / str(k) for k in range(count)])


def test_what_is_no_run(tmp_path: Path) -> None:
    a, _ = pair(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"architectures": ["Bert"], "model_type": "bert"}', "utf-8")
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "model.safetensors").touch()
    wrong = {
        "missing": "There is no folder .*missing; give run folders that train --out made",
        "a/events.jsonl": "There is no folder .*events.jsonl; give run folders",
        "empty": "empty is no run: neither its config.json nor its events.jsonl can be read",
        "other": "other is no run",
        "checkpoint": "checkpoint is a checkpoint, not a run. .* evaluate --checkpoint A --compare B",
    }
    for name, message in wrong.items():
        with pytest.raises(UserError, match=message):
            read_runs([a, tmp_path / name])


# Damaged, but read as far as it goes


def test_a_config_of_an_older_program_is_filled_with_defaults(tmp_path: Path) -> None:
    a, b = pair(tmp_path)
    data = json.loads((a / "config.json").read_text("utf-8"))
    del data["loss"]["free_bits"], data["augment"]
    (a / "config.json").write_text(json.dumps(data), "utf-8")
    run = first(a, b)
    assert (run.config["loss.free_bits"], run.config["augment.flip"]) == (0.0, 0.5)
    assert "loss.free_bits" in run.assumed and "loss.lambda_l1" not in run.assumed


def test_a_config_of_a_newer_program_is_read_and_said_so(tmp_path: Path) -> None:
    a, b = pair(tmp_path)
    data = json.loads((a / "config.json").read_text("utf-8"))
    data |= {"schema_version": 7, "steps": 99}
    data["loss"] |= {"objective": "something-new", "lambda_new": 3}
    (a / "config.json").write_text(json.dumps(data), "utf-8")
    run = first(a, b)
    assert (run.planned, run.config["loss.lambda_new"]) == (99, 3)
    [note] = run.notes
    assert "schema 7; this one knows 1" in note and "git pull" in note


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "[" * 9000, '{"model": 3}'])
def test_a_damaged_config_leaves_the_events(tmp_path: Path, text: str) -> None:
    a, b = pair(tmp_path)
    (a / "config.json").write_text(text, "utf-8")
    run = first(a, b)
    assert run.config == {} and run.planned is None and run.images(10) is None
    assert len(run.story.training.rows) == 4
    assert len(run.notes) == 1 and "its settings are not known" in run.notes[0]


def test_a_missing_config_leaves_the_events(tmp_path: Path) -> None:
    a, b = pair(tmp_path)
    (a / "config.json").unlink()
    assert first(a, b).notes == ("config.json is missing or from another program: its settings are not known.",)


def test_a_run_that_has_written_nothing_yet(tmp_path: Path) -> None:
    a, b = pair(tmp_path)
    (a / "events.jsonl").unlink()
    run = first(a, b)
    assert run.notes == ("There is no events.jsonl: nothing of its training is known yet.",)
    assert run.story.last_step == 0


def test_lines_that_could_not_be_read_are_told(tmp_path: Path) -> None:
    a, b = pair(tmp_path)
    with (a / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"kind": "step", "st')
    assert first(a, b).notes == (
        "1 line of events.jsonl could not be read (cut off, damaged, or of a newer program): left out.",
    )


def test_values_of_a_config_are_single_and_short() -> None:
    fields = flatten({"a": {"b": [1, {"c": 2}]}, "long": "x" * 9000, "deep": {"e": {"f": {"g": {"h": 1}}}}})
    assert fields["a.b"] == '[1, {"c": 2}]'
    assert len(fields["long"]) == 2000
    assert fields["deep.e.f.g"] == '{"h": 1}'
    assert len(flatten({str(k): k for k in range(10_000)})) == 500


def test_a_run_without_losses_says_so(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", story(steps=0))
    assert first(a, write_run(tmp_path / "b", [step_line(1)])).notes == ("No losses were logged yet.",)
