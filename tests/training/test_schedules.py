"""Learning rates over time."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest

from bicyclegan.training.config import ScheduleName
from bicyclegan.training.schedules import SCHEDULES, Progress, warmup


def factors(name: str, steps: int = 100, steps_per_epoch: float = 10, decay_start: float = 0.5) -> list[float]:
    return [SCHEDULES[name](Progress(step, steps, steps_per_epoch, decay_start)) for step in range(steps)]


def test_every_name_that_can_be_chosen_has_a_schedule() -> None:
    assert set(get_args(ScheduleName)) == set(SCHEDULES)


@pytest.mark.parametrize("name", SCHEDULES)
def test_all_start_at_one_and_never_rise(name: str) -> None:
    values = factors(name)
    assert values[0] == 1
    assert all(later <= earlier for earlier, later in pairwise(values))
    assert values[-1] > 0, "the last update would do nothing"


def test_constant_stays() -> None:
    assert set(factors("constant")) == {1.0}


def test_linear_falls_in_the_second_half_to_zero() -> None:
    values = factors("linear")
    assert values[50] == 1
    assert values[75] == pytest.approx(0.5)
    assert SCHEDULES["linear"](Progress(100, 100, 10, 0.5)) == 0


def test_linear_that_never_falls() -> None:
    assert set(factors("linear", decay_start=1)) == {1.0}


def test_linear_epochs_is_the_official_rule() -> None:
    """lr_l = 1 - max(0, epoch + 1 - niter) / (niter_decay + 1), with epochs counted from 0."""
    values = factors("linear-epochs")
    for epoch in range(10):
        expected = 1 - max(0, epoch + 1 - 5) / (5 + 1)
        assert values[10 * epoch : 10 * epoch + 10] == pytest.approx([expected] * 10)


def test_linear_epochs_with_broken_epochs() -> None:
    values = factors("linear-epochs", steps=25, steps_per_epoch=7.5)
    assert values[0] == 1
    assert len(set(values)) > 1


def test_step_falls_by_the_same_factor_again_and_again() -> None:
    values = [SCHEDULES["step"](Progress(k, 100, 10, decay_every=30, decay_factor=0.5)) for k in range(100)]
    assert [values[k] for k in (0, 29, 30, 59, 60, 90)] == [1, 1, 0.5, 0.5, 0.25, 0.125]


def test_plateau_falls_with_every_plateau_and_not_with_time() -> None:
    values = [SCHEDULES["plateau"](Progress(99, 100, 10, decay_factor=0.5, plateaus=k)) for k in range(3)]
    assert values == [1, 0.5, 0.25]


def test_warm_up_rises_on_a_straight_line_and_does_something_at_once() -> None:
    assert [warmup(done, 4) for done in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert warmup(0, 0) == 1


def test_cosine_is_half_way_down_in_the_middle_of_its_decay() -> None:
    assert factors("cosine")[75] == pytest.approx(0.5)
