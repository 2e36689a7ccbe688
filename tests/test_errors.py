"""Mistakes keep their message short, whatever the value, and survive a way to another process."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from bicyclegan.errors import MAX_QUOTED, MAX_TEXT, UserError


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def test_ordinary_values_stand_as_they_are() -> None:
    values = {"a": "x", "b": ["y", 2], "c": 1500, "d": 0.25, "e": None, "f": np.float32(0.5), "g": (3, 4)}
    error = UserError("code", "{a!r} {a} {b} {b!r} {c:,} {d:.0%} {e} {f} {g}", **values)
    assert str(error) == "'x' x ['y', 2] ['y', 2] 1,500 25% None 0.5 (3, 4)"


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10**7,
        b"x" * 10**7,
        ["x" * 10**6] * 9,
        nested(3000),
        {"a": nested(3000)},
        10**4000,
        -(10**9000),
        list(range(10**6)),
        [[["x" * 300] * 12] * 12] * 12,
        ValueError("x" * 10**6),
    ],
    ids=lambda value: type(value).__name__,
)
def test_huge_values_make_short_messages(value: object) -> None:
    quoted = str(UserError("code", "It is {value!r}.", value=value))
    assert len(quoted) <= MAX_QUOTED + len("It is ''….")
    assert len(str(UserError("code", "It is {value}.", value=value))) <= MAX_TEXT + len("It is ….")


def test_a_number_of_many_digits_has_any_format() -> None:
    assert str(UserError("code", "{value!r} {value:,} {value:g}", value=-(10**5000))) == "≈-10^5000 ≈-10^5000 ≈-10^5000"


def test_the_beginning_of_a_long_name_is_shown() -> None:
    assert str(UserError("code", "No {name!r}.", name="shoes" * 1000)).startswith("No 'shoesshoes")


def test_lists_of_what_is_allowed_are_not_cut() -> None:
    allowed = ", ".join(f"metric_number_{k}" for k in range(60))
    assert str(UserError("code", "Use one of {allowed}.", allowed=allowed)) == f"Use one of {allowed}."


@pytest.mark.parametrize("error", [UserError("a", "{x} of {y!r}", x=1, y=["z"]), UserError.retold("b", "{no field}")])
def test_a_mistake_travels_whole(error: UserError) -> None:
    make, arguments = error.__reduce__()  # what pickling between processes calls
    for again in (make(*arguments), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is UserError
        assert (str(again), again.code, again.template) == (str(error), error.code, error.template)
        assert again.values.keys() == error.values.keys()
