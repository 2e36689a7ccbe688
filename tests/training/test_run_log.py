"""Logs as they are found: cut off, damaged, of newer programs and of others. What can be read is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bicyclegan.errors import UserError
from bicyclegan.training.events import RunEnded, RunStarted, StepLogged, to_line
from bicyclegan.training.run_log import make_log, read_log


def write(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "events.jsonl").write_text(text, "utf-8")
    return folder


def lines(*steps: int) -> str:
    return "".join(to_line(StepLogged(step=step, losses={"l1": 0.5})) for step in steps)


def problems(log: object) -> dict[str, tuple[int, int]]:
    return {each.code: (each.count, each.line) for each in log.problems}


def test_a_whole_log_has_no_problems(tmp_path: Path) -> None:
    log = read_log(write(tmp_path / "run", to_line(RunStarted(step=0)) + lines(10, 20)))
    assert (log.last, len(log.steps), log.problems) == (20, 2, ())


def test_a_line_cut_off_in_the_middle_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    log = read_log(write(tmp_path / "run", lines(10, 20) + lines(30)[:40]))
    assert log.last == 20
    assert problems(log) == {"cut_off": (1, 3)}


def test_damaged_lines_are_counted(tmp_path: Path) -> None:
    log = read_log(write(tmp_path / "run", lines(10) + "\x00\x00\n{broken\n" + lines(20)))
    assert log.last == 20
    assert problems(log) == {"damaged": (2, 2)}


def test_kinds_of_a_newer_schema_are_passed_over(tmp_path: Path) -> None:
    newer = '{"kind": "weather", "step": 5, "sun": true}\n'
    log = read_log(write(tmp_path / "run", newer + lines(10)))
    assert log.last == 10
    assert problems(log) == {"unknown_kinds": (1, 1)}


def test_the_log_of_another_program(tmp_path: Path) -> None:
    log = read_log(write(tmp_path / "run", '{"loss": 0.5, "iter": 3}\n' * 4))
    assert problems(log) == {"other_program": (4, 1), "no_events": (0, 0)}


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_log(tmp_path: Path, text: str) -> None:
    log = read_log(write(tmp_path / "run", text))
    assert log.last == 0
    assert "no_events" in problems(log)


def test_no_run_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no run in"):
        read_log(tmp_path)
    with pytest.raises(UserError, match="There is no run in"):
        read_log(tmp_path / "nowhere")


def test_events_whose_groups_are_something_else_are_left_out(tmp_path: Path) -> None:
    odd = '{"kind": "step", "step": 5, "losses": [1, 2]}\n{"kind": "finding", "step": 1, "name": 7}\n'
    log = read_log(write(tmp_path / "run", odd + lines(10)))
    assert [each.step for each in log.steps] == [10]
    assert not log.findings


def test_only_the_last_of_several_trainings_is_judged() -> None:
    first = [RunStarted(step=0), StepLogged(step=900)]
    second = [RunStarted(step=0), StepLogged(step=10), RunEnded(step=10)]
    log = make_log([*first, *second])
    assert log.last == 10
    assert log.ended


def test_a_run_that_goes_on_has_not_ended() -> None:
    log = make_log([RunStarted(step=0), StepLogged(step=10), RunEnded(step=10), RunStarted(step=10, resumed=True)])
    assert log.ended is None


def test_what_came_before_a_change_of_settings_is_another_run() -> None:
    log = make_log(
        [
            RunStarted(step=0, options={"lambda_kl": 0.0}),
            StepLogged(step=10, losses={"l1": 0.5}),
            RunStarted(step=10, resumed=True, options={"lambda_kl": 0.01}),
            StepLogged(step=20, losses={"l1": 0.4}),
        ]
    )
    assert (log.since, log.young) == (10, 10)
    assert log.series("losses", "l1") == [(20, 0.4)]
