"""events.jsonl: the contract between the trainer and its readers."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from bicyclegan.training.events import (
    KINDS,
    CheckpointWritten,
    EventLog,
    Finding,
    RunEnded,
    RunStarted,
    StepLogged,
    Validated,
    from_line,
    read_events,
    to_line,
)


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    return EventLog(tmp_path / "run" / "events.jsonl")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_makes_the_round_trip(kind: type) -> None:
    event = kind(step=7)
    assert from_line(to_line(event)) == event
    assert json.loads(to_line(event))["kind"] == kind.kind


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_is_documented_and_can_be_read_from_less(kind: type) -> None:
    assert kind.__doc__ and "(" not in kind.__doc__[: len(kind.__name__) + 1], "dataclass's own text is no document"
    assert from_line(json.dumps({"kind": kind.kind, "step": 3})) == kind(step=3)


def test_events_are_appended_with_their_time(log: EventLog) -> None:
    log.append(RunStarted(step=0, device="cpu"))
    log.append(StepLogged(step=20, losses={"l1": 0.25}))
    first, second = read_events(log.path)
    assert (first.device, second.losses) == ("cpu", {"l1": 0.25})
    assert 0 < first.time <= second.time


def test_what_is_not_finite_becomes_null(log: EventLog) -> None:
    log.append(StepLogged(step=1, losses={"l1": float("nan"), "kl": float("inf")}, mu_mean=[float("-inf"), 1.0]))
    assert "NaN" not in log.path.read_text() and "Infinity" not in log.path.read_text()
    [event] = read_events(log.path)
    assert event.losses == {"l1": None, "kl": None}
    assert event.mu_mean == [None, 1.0]


def test_damaged_lines_unknown_kinds_and_fields_are_skipped(log: EventLog) -> None:
    log.append(Validated(step=5, images=3))
    with log.path.open("a") as file:
        file.write('{"kind": "from-the-future", "step": 6}\n')
        file.write('{"kind": "validation", "step": 7, "images": 4, "new_field": 1}\n')
        file.write("[1, 2]\n\n\x00\x01\n" + '{"kind": "validation"}\n' + '{"kind": "validation", "step": "8"}\n')
        file.write('{"kind": "validation", "step": 9, "ima')  # cut off in the middle
    assert [(event.step, event.images) for event in read_events(log.path)] == [(5, 3), (7, 4)]


def test_no_file_has_no_events(tmp_path: Path) -> None:
    assert list(read_events(tmp_path / "none.jsonl")) == []


def test_rewind_forgets_what_came_later_and_how_it_ended(log: EventLog) -> None:
    for event in (RunStarted(step=0), StepLogged(step=10), StepLogged(step=20), CheckpointWritten(step=20)):
        log.append(event)
    for event in (StepLogged(step=30), Finding(step=30), RunEnded(step=20)):
        log.append(event)
    with log.path.open("a") as file:
        file.write('{"kind": "st')
    before = list(read_events(log.path))[:4]
    log.rewind(20)
    assert list(read_events(log.path)) == before, "times are kept"
    log.append(StepLogged(step=30))
    assert log.path.read_text().endswith("\n")
    assert [event.step for event in read_events(log.path)] == [0, 10, 20, 20, 30]


def test_a_line_the_disk_has_no_room_for_is_taken_back(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append(StepLogged(step=1))
    whole = log.path.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:10]))
    with pytest.raises(OSError, match="No space"):
        log.append(StepLogged(step=2))
    assert log.path.read_bytes() == whole


def test_numbers_are_plain_json(log: EventLog) -> None:
    log.append(StepLogged(step=1, learning_rates={"generator": 2e-4}))
    line = json.loads(log.path.read_text())
    assert set(line) == {"kind", *(field.name for field in dataclasses.fields(StepLogged))}


@pytest.mark.parametrize("kind", [["step"], {"step": 1}, None, 3])
def test_a_kind_that_is_no_word_is_no_event(kind: object) -> None:
    assert from_line(json.dumps({"kind": kind, "step": 3})) is None
