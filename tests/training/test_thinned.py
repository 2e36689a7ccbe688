"""Events to share: fewer and shorter, still readable, and nothing of the machine."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from bicyclegan.training.events import (
    CheckpointWritten,
    DataChecked,
    Event,
    Finding,
    LatentsWritten,
    RunEnded,
    RunStarted,
    SamplesWritten,
    StepLogged,
    Validated,
    read_events,
    to_line,
)
from bicyclegan.training.thinned import MAX_STEP_LINES, MAX_VALIDATIONS, public_event, thin_events, without_paths

ROOT = "/" + "root"  # in parts: no file of the project names a path of one machine


def of(kind: type, events: list[Event]) -> list:
    return [event for event in events if isinstance(event, kind)]


def long_run(count: int = 1000) -> list[Event]:
    run: list[Event] = [RunStarted(step=0)]
    for step in range(1, count + 1):
        run.append(StepLogged(step=step, gradient_shares={"l1": 0.5} if step % 10 == 0 else {}))
        run.append(Validated(step=step))
        run.append(CheckpointWritten(step=step, path="latest"))
        if step % 300 == 0:
            run.append(Finding(step=step, name="kl"))
    return [*run, RunEnded(step=count)]


def test_a_long_run_is_thinned_evenly() -> None:
    thin = thin_events(long_run())
    for kind, most in ((StepLogged, MAX_STEP_LINES), (Validated, MAX_VALIDATIONS)):
        steps = [event.step for event in of(kind, thin)]
        gaps = {after - before for before, after in pairwise(steps)}
        assert len(steps) == most
        assert (steps[0], steps[-1]) == (1, 1000)
        assert max(gaps) <= 2 * 1000 / most


def test_what_is_rare_is_kept_in_order() -> None:
    thin = thin_events(long_run())
    assert isinstance(thin[0], RunStarted) and isinstance(thin[-1], RunEnded)
    assert [event.step for event in of(Finding, thin)] == [300, 600, 900]
    assert [event.step for event in thin] == sorted(event.step for event in thin)


def test_shares_of_gradients_survive() -> None:
    """One line in ten has them: a plain choice of every fifth would keep few."""
    kept = sum(bool(event.gradient_shares) for event in of(StepLogged, thin_events(long_run())))
    assert kept > 90


@pytest.mark.parametrize("count", [0, 1, 2, MAX_STEP_LINES])
def test_a_short_run_stays_whole(count: int) -> None:
    run = [StepLogged(step=step) for step in range(count)]
    assert [event.step for event in thin_events(run)] == list(range(count))


def test_thinned_events_stay_as_they_are_when_thinned_again() -> None:
    once = thin_events(long_run())
    assert thin_events(once) == once


def test_events_that_point_to_files_are_left_out() -> None:
    run = [SamplesWritten(1, "samples/1.webp"), LatentsWritten(1, "a", "b"), CheckpointWritten(1, "latest")]
    assert thin_events([*run, StepLogged(1)]) == [StepLogged(1)]


def test_numbers_are_shorter_but_times_are_not() -> None:
    event = public_event(StepLogged(step=123456789, losses={"l1": 0.123456789, "kl": None}, time=1795286359.213713))
    assert event == StepLogged(step=123456789, losses={"l1": 0.123457, "kl": None}, time=1795286359)


def test_they_are_read_as_events_are(tmp_path: Path) -> None:
    thin = thin_events(long_run(30))
    (tmp_path / "training.jsonl").write_text("".join(map(to_line, thin)), "utf-8")
    assert list(read_events(tmp_path / "training.jsonl")) == thin


def test_of_a_data_report_numbers_are_shared_and_names_of_files_are_not() -> None:
    report = {"layout": "photos", "train": 9, "cache": f"{ROOT}/.cache", "unreadable": ["ada.png: damaged"]}
    assert public_event(DataChecked(step=0, report=report)).report == {"layout": "photos", "train": 9}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{ROOT}/runs/shoes could not be written", "shoes could not be written"),
        (f"in '{ROOT}/a b/c'", "in 'a b/c'"),
        (f"({ROOT}/x)", "(x)"),
        (f"cache:{ROOT}/x", "cache:x"),
        ("/data", "data"),
        ("D:\\ada\\runs\\x.png", "x.png"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("runs/shoes64/latest", "runs/shoes64/latest"),
        ("8 images/s, 3 / 4", "8 images/s, 3 / 4"),
        ("~/runs/x and ../x and ./x", "~/runs/x and ../x and ./x"),
    ],
)
def test_paths_lose_what_belongs_to_one_machine(text: str, expected: str) -> None:
    assert without_paths(text) == expected


def test_paths_are_found_wherever_they_stand() -> None:
    event = public_event(Finding(step=1, evidence=f"{ROOT}/a/b", patch={f"{ROOT}/k": [f"{ROOT}/v", 1, True]}))
    assert event == Finding(step=1, evidence="b", patch={"k": ["v", 1, True]}, time=0)
    assert ROOT not in json.dumps(without_paths({"a": ({"b": ROOT + "/c"},)}))
