"""Weights that change over a run: read from one line of text, and right in every update."""

from __future__ import annotations

import pytest

from bicyclegan.errors import UserError
from bicyclegan.training.config import LossConfig
from bicyclegan.training.weights import RunLength, read_schedule, scheduled

LENGTH = RunLength(steps=1000, steps_per_epoch=10)


def at(text: str, *numbers: int | None, base: float = 10.0, length: RunLength | None = LENGTH) -> list[float]:
    return [scheduled(text, "lambda_l1", base, number, length) for number in numbers]


def test_without_an_entry_the_weight_stays() -> None:
    assert at("", 1, 500, None) == at("lambda_kl=0@0", 1, 500, None) == [10, 10, 10]


@pytest.mark.parametrize("time", ["300", "30e", "30%"])
def test_a_jump_comes_after_so_many_updates_epochs_or_that_share(time: str) -> None:
    """The 300th update is still one of the first 300."""
    length = RunLength(1000, 10)
    assert at(f"lambda_l1=5@{time}", 1, 300, 301, 1000, None, length=length) == [10, 10, 5, 5, 5]


def test_a_ramp_is_a_straight_line_from_what_it_was() -> None:
    assert at("lambda_l1=20@100-300", 100, 101, 151, 201, 301, 999) == [10, 10, 12.5, 15, 20, 20]


def test_a_weight_that_starts_at_nothing_and_rises() -> None:
    assert at("lambda_l1=0@0 lambda_l1=4@10%-30%", 1, 101, 201, 301) == [0, 0, 2, 4]


def test_ramps_follow_each_other() -> None:
    assert at("lambda_l1=20@0-100 lambda_l1=0@100-200", 1, 101, 151, 201) == [10, 20, 10, 0]


def test_units_may_be_mixed_and_epochs_broken() -> None:
    length = RunLength(1000, 7.5)
    assert at("lambda_l1=20@2e-50%", 15, 16, 501, length=length) == [10, 10, 20]
    assert 10 < at("lambda_l1=20@2e-50%", 300, length=length)[0] < 20


def test_without_a_length_only_plain_numbers_of_updates_come() -> None:
    assert at("lambda_l1=5@30e lambda_l1=7@90%", 10_000, length=None) == [10]
    assert at("lambda_l1=5@20", 10_000, length=None) == [5]


@pytest.mark.parametrize("value", ["5", "0.5", ".5", "5.", "1e-3", "0"])
def test_values_are_numbers_as_people_write_them(value: str) -> None:
    assert read_schedule(f"lambda_l1={value}@0")[0].value == float(value)


@pytest.mark.parametrize(
    "entry",
    [
        *(
            "lambda_l1",
            "lambda_l1=5",
            "lambda_l1=@5",
            "lambda_l1=5@",
            "=5@5",
            "lambda_l1=-5@5",
            "lambda_l1=5@5s",
            "5@5",
        ),
        *("lambda_l1=1.2.3@5", "lambda_l1=nan@5", "lambda_l1=5@30%-10%", "lambda_l1=5@1-2-3", "lambda_l1 = 5 @ 30e"),
    ],
)
def test_what_cannot_be_read_is_quoted_with_the_way_to_write_it(entry: str) -> None:
    with pytest.raises(UserError, match=r"weight_schedule holds '.*'; entries are NAME=VALUE@TIME") as error:
        LossConfig(weight_schedule=f"lambda_kl=0@0 {entry}")
    assert error.value.code == "weight_schedule"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rate=1@0", r"must be about lambda_gan, .*instance_noise, condition_noise, not learning_rate"),
        ("lambda_l1=2000000@0", r"values from 0 to 1e\+06 for lambda_l1, not 2e\+06"),
        ("instance_noise=3@0", r"values from 0 to 2 for instance_noise, not 3"),
    ],
)
def test_what_cannot_be_scheduled_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        LossConfig(weight_schedule=text)


def test_a_loss_that_only_a_schedule_switches_on_is_used() -> None:
    quiet = LossConfig(lambda_l1=0)
    later = LossConfig(lambda_l1=0, weight_schedule="lambda_l1=3@50%")
    assert not quiet.uses("l1")
    assert later.uses("l1")
    assert [later.weight("l1", number, LENGTH) for number in (1, 501, None)] == [0, 3, 3]
    assert not LossConfig(lambda_l1=0, weight_schedule="lambda_l1=0@5").uses("l1")


def test_the_warm_up_of_kl_and_its_schedule_multiply() -> None:
    loss = LossConfig(lambda_kl=0.1, kl_warmup=100, weight_schedule="lambda_kl=0.2@10")
    assert loss.weight("kl", 50) == pytest.approx(0.1)
    assert loss.weight("kl", 5) == pytest.approx(0.005)
