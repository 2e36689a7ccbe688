"""Numbers of a run: read from lines that may hold anything, and fewer of them where a run is long."""

from __future__ import annotations

from dataclasses import replace

import pytest
from run_example import BEGIN, step_line, validation

from bicyclegan.training.comparison.track import Clock, Row, Track, number, read_row, thinned
from bicyclegan.training.events import RunStarted


def test_numbers_are_told_by_kind_and_name() -> None:
    row = read_row(step_line(10, losses={"l1": 0.25, "penalty_random": 2}), 10.0)
    assert (row.step, row.seconds) == (10, 10.0)
    assert row.values["loss.l1"] == 0.25
    assert row.values["loss.penalty_random"] == 2.0
    assert row.values["score.real_encoded"] == 0.8
    assert row.values["norm.generator"] == 12.0
    assert row.values["rate.discriminator"] == 2e-4
    assert row.values["kl"] == 3.0, "the sum over dims"
    assert Track((row,)).names("loss") == ["l1", "penalty_random"]


def test_validation_has_single_numbers_only() -> None:
    row = read_row(validation(5, word="no number"), None)
    assert row.values == {
        "metric.reconstruction_l1": 0.2,
        "metric.diversity_rgb": 0.1,
        "metric.latent_l1": 0.7,
        "metric.encoded_random_gap": 0.02,
        "pictures": 64.0,
    }


@pytest.mark.parametrize("value", [None, True, "1", [1], {}, float("nan"), float("inf"), 10**400, -1e31])
def test_what_is_no_number_to_show_is_none(value: object) -> None:
    assert number(value) is None


@pytest.mark.parametrize("field", ["losses", "scores", "kl_per_dim", "gradient_norms", "learning_rates"])
@pytest.mark.parametrize("value", [None, 3, "text", [[1]], {"a": {"b": []}}])
def test_lines_may_hold_anything(field: str, value: object) -> None:
    row = read_row(replace(step_line(10), **{field: value}), None)
    assert all(each is None or isinstance(each, float) for each in row.values.values())
    assert row.values["memory"] == 910.0, "the rest is read"


def test_a_sum_over_dims_with_a_gap_is_unknown() -> None:
    assert read_row(step_line(10, kl_per_dim=[1.0, None]), None).values["kl"] is None


def test_a_long_run_becomes_means_of_neighbours() -> None:
    rows = [Row(step, float(step), {"loss.l1": float(step % 2)}) for step in range(1, 1001)]
    track = thinned(rows, most=100)
    assert len(track.rows) == 100
    assert track.line("loss.l1") == [0.5] * 100, "every tenth value alone would say 0, or 1"
    steps = [row.step for row in track.rows]
    assert steps == sorted(steps) and steps[0] <= 10 and steps[-1] >= 991
    assert thinned(rows[:100], most=100).rows == tuple(rows[:100])


def test_means_leave_out_what_is_missing() -> None:
    rows = [
        Row(1, 1.0, {"loss.l1": 1.0, "loss.kl": None}),
        Row(2, 2.0, {"loss.l1": None}),
        Row(3, 3.0, {"loss.l1": 3.0}),
    ]
    [row] = thinned(rows, most=1).rows
    assert row.values == {"loss.l1": 2.0, "loss.kl": None}


def test_a_pause_between_stop_and_resume_is_no_training() -> None:
    clock = Clock()
    events = [
        RunStarted(step=0, time=BEGIN),
        step_line(10, seconds=60),
        RunStarted(step=10, resumed=True, time=BEGIN + 9000),
        step_line(20, seconds=9030),
    ]
    assert [clock.read(event) for event in events] == [0.0, 60.0, 60.0, 90.0]


def test_a_clock_that_was_set_back_does_not_run_backwards() -> None:
    clock = Clock()
    times = [
        clock.read(event) for event in (step_line(1, seconds=50), step_line(2, seconds=20), step_line(3, seconds=60))
    ]
    assert times == [0.0, 0.0, 10.0]


@pytest.mark.parametrize("time", [0.0, None, "noon", float("nan")])
def test_lines_without_time_have_none(time: object) -> None:
    assert Clock().read(replace(step_line(1), time=time)) is None
