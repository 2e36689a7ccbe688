"""How a run went on and ended, read from its events."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_example import BEGIN, step_line, story, validation, write_run

from bicyclegan.training.comparison.story import MAX_FINDINGS, Story, is_held, read_story
from bicyclegan.training.events import Event, Finding, RunEnded, RunStarted, to_line
from bicyclegan.training.run_folder import RunFolder


def read(tmp_path: Path, events: list[Event]) -> Story:
    return read_story(RunFolder(write_run(tmp_path / "run", events)))


def test_a_run_from_start_to_end(tmp_path: Path) -> None:
    found = read(tmp_path, story(steps=40))
    assert (found.state, found.last_step, found.seconds) == ("completed", 40, 40.0)
    assert found.started["device"] == "cpu"
    assert found.data == {"train": 14, "validation": 4}
    assert [row.step for row in found.training.rows] == [10, 20, 30, 40]
    assert [row.step for row in found.validations.rows] == [20, 40]
    assert (found.speed, found.memory) == (8.0, 940.0)
    assert (found.unread, found.resumed_at) == (0, ())


def test_speed_is_a_median(tmp_path: Path) -> None:
    speeds = [1.0, 8.0, 9.0]  # the first line of a run is slow
    found = read(tmp_path, [step_line(k + 1, images_per_second=each) for k, each in enumerate(speeds)])
    assert found.speed == 8.0


@pytest.mark.parametrize("reason", ["completed", "stopped", "failed"])
def test_how_it_ended(tmp_path: Path, reason: str) -> None:
    found = read(tmp_path, [step_line(10), RunEnded(step=10, reason=reason, message="why", time=BEGIN)])
    assert (found.state, found.message) == (reason, "why")


@pytest.mark.parametrize("end", [[], [RunEnded(step=10, reason="exploded")], [RunEnded(step=10, reason=["x"])]])
def test_no_end_that_is_known_is_no_end(tmp_path: Path, end: list[Event]) -> None:
    assert read(tmp_path, [step_line(10), *end]).state == "cut off"


def test_a_resumed_run_has_not_ended_before(tmp_path: Path) -> None:
    events = [
        *story(steps=20, end="stopped"),
        RunStarted(step=20, resumed=True, time=BEGIN + 500),
        step_line(30, seconds=510),
    ]
    found = read(tmp_path, events)
    assert (found.state, found.message, found.last_step) == ("cut off", "", 30)
    assert found.resumed_at == (20,)
    assert found.seconds == 30.0


def test_a_run_that_a_process_holds_is_running(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    run = RunFolder(write_run(tmp_path / "run", story(steps=20)))
    assert not is_held(run)
    assert not (run.root / ".lock").exists(), "looking changes nothing"
    with run.lock():
        assert is_held(run)
        assert read_story(run).state == "running"
        with pytest.raises(ValueError, match="Another process"), run.lock():
            pass
    assert not is_held(run)
    assert read_story(run).state == "completed"


def test_a_line_that_was_cut_off_is_counted_and_left_out(tmp_path: Path) -> None:
    run = RunFolder(write_run(tmp_path / "run", story()))
    lines = run.events_file.read_text("utf-8")
    run.events_file.write_text(lines + to_line(step_line(50))[:80], "utf-8")
    found = read_story(run)
    assert (found.unread, found.last_step) == (1, 40)


@pytest.mark.parametrize(
    "line",
    ["{}", "[]", "null", "\x00\xff", '{"kind": "weather", "step": 1}', '{"kind": "step", "step": -1}', "[" * 9000],
)
def test_lines_of_other_programs_are_left_out(tmp_path: Path, line: str) -> None:
    run = RunFolder(write_run(tmp_path / "run", story()))
    run.events_file.write_text(line + "\n" + run.events_file.read_text("utf-8"), "utf-8")
    found = read_story(run)
    assert (found.unread, found.last_step, found.state) == (1, 40, "completed")


def test_fields_of_the_wrong_kind_do_no_harm(tmp_path: Path) -> None:
    kinds = ("start", "data", "step", "validation", "finding", "end")
    names = (
        "time",
        "resumed",
        "parameters",
        "report",
        "losses",
        "metrics",
        "name",
        "evidence",
        "reason",
        "message",
        "images",
    )
    run = RunFolder(write_run(tmp_path / "run", [step_line(10)]))
    for value in (None, [], {}, "text", 1e300, {"deep": [{}]}):
        lines = (json.dumps({"kind": kind, "step": 20, **dict.fromkeys(names, value)}) for kind in kinds)
        run.events_file.write_text(to_line(step_line(10)) + "\n".join(lines), "utf-8")
        assert read_story(run).last_step == 20


def test_findings_are_told_and_the_newest_kept(tmp_path: Path) -> None:
    many = [
        Finding(step=k, name=f"n{k}", evidence="seen", cause="because", remedy="do") for k in range(MAX_FINDINGS + 3)
    ]
    found = read(tmp_path, [step_line(10), *many])
    assert found.more_findings == 3
    assert len(found.findings) == MAX_FINDINGS
    assert (found.findings[-1].name, found.findings[-1].text) == (f"n{MAX_FINDINGS + 2}", "seen because do")


def test_no_file_is_an_empty_story(tmp_path: Path) -> None:
    assert read_story(RunFolder(tmp_path)) == Story()


def test_validations_are_all_kept(tmp_path: Path) -> None:
    found = read(tmp_path, [validation(step) for step in range(1, 1001)])
    assert len(found.validations.rows) == 1000, "the best one must not be thinned away"
