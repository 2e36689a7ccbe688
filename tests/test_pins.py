"""Pins: names in any language, codes to the last bit, and files from anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from bicyclegan.errors import UserError
from bicyclegan.latent import sample_codes
from bicyclegan.pins import MAX_PINS, Pin, check_pin, pins_from_json, pins_to_json

HASH = "ab" * 32


def pin(name: str = "rot", dim: int = 8, **changes: object) -> Pin:
    return Pin(
        **{"name": name, "z": sample_codes(3, 1, dim)[0], "checkpoint": "shoes", "checkpoint_hash": HASH, **changes}
    )


def document(**changes: object) -> str:
    return json.dumps({"version": 1, "kind": "bicyclegan-pins", "pins": [pin().to_json()], **changes})


def refused(make: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        make()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    return str(caught.value)


def same(a: Pin, b: Pin) -> bool:
    fields = ("name", "checkpoint", "checkpoint_hash")
    return a.z.tobytes() == b.z.tobytes() and all(getattr(a, field) == getattr(b, field) for field in fields)


@pytest.mark.parametrize("count", [0, 1, MAX_PINS])
def test_round_trip(count: int) -> None:
    pins = [pin(f"风格 {k}", dim=1 + k % 9, z=sample_codes(k, 1, 1 + k % 9)[0]) for k in range(count)]
    again = pins_from_json(pins_to_json(pins))
    assert len(again) == count
    assert all(map(same, pins, again))
    assert all(map(same, pins, pins_from_json(pins_to_json(pins).encode("utf-8"))))


def test_values_survive_exactly() -> None:
    z = np.float32([0.1, -1 / 3, 1e-45, -0.0, 100, 16777.217e-3])
    [again] = pins_from_json(pins_to_json([pin(z=z)]))
    assert again.z.tobytes() == z.tobytes()
    assert again.z.dtype == np.float32


def test_the_code_is_a_copy_that_nobody_changes() -> None:
    z = np.zeros(8, np.float32)
    made = pin(z=z)
    z[0] = 1
    assert made.z[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        made.z[0] = 1


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("  red\n shoe\t", "red shoe"),
        ("красный сапог", "красный сапог"),
        ("👩‍🎨 ❤️", "👩‍🎨 ❤️"),
        ("a\x00b\u2028c", "a b c"),
        ("half \ud83d", "half"),
        ("x" * 40, "x" * 40),
        (" " * 500 + "x", "x"),
    ],
)
def test_names(name: str, kept: str) -> None:
    assert check_pin(json.loads(json.dumps({**pin().to_json(), "name": name}))).name == kept


@pytest.mark.parametrize(("name", "count"), [("", 0), (" \n ", 0), ("\ud800", 0), ("x" * 41, 41), ("é" * 5000, 5000)])
def test_names_that_are_refused(name: str, count: int) -> None:
    assert f"has {count} characters; use 1 to 40" in refused(lambda: pin(name))


def test_unknown_fields_are_left_out() -> None:
    assert same(check_pin({**pin().to_json(), "thumb": "data:image/webp;base64,AAAA", "id": 3}), pin())
    assert len(pins_from_json(document(saved="today"))) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"z": []}, "a list of 1 to 512 numbers"),
        ({"z": [0.0] * 513}, "a list of 1 to 512 numbers"),
        ({"z": [[0.0]]}, "numbers"),
        ({"z": ["1"]}, "numbers"),
        ({"z": [True]}, "numbers"),
        ({"z": [None]}, "numbers"),
        ({"z": {"0": 1}}, "z of a pin is a list of numbers, not dict"),
        ({"z": 3}, "z of a pin is a list of numbers, not int"),
        ({"z": [float("nan")]}, "finite and within ±100"),
        ({"z": [float("inf")]}, "finite and within ±100"),
        ({"z": [101]}, "finite and within ±100"),
        ({"z": [10**400]}, "must be numbers"),
        ({"name": 3}, "name is int, not text"),
        ({"name": None}, "name is NoneType"),
        ({"checkpoint": ["x"]}, "checkpoint is ['x'], which should be text"),
        ({"checkpoint_hash": 5}, "checkpoint_hash is 5"),
    ],
)
def test_pins_with_wrong_values(changes: dict[str, object], message: str) -> None:
    text = document(pins=[{**pin().to_json(), **changes}])
    assert message in refused(lambda: pins_from_json(text))


@pytest.mark.parametrize("field", ["name", "z", "checkpoint", "checkpoint_hash"])
def test_pins_that_lack_a_field(field: str) -> None:
    data = pin().to_json()
    del data[field]
    assert f"a pin lacks {field}" in refused(lambda: check_pin(data))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no valid JSON"),
        ("{", "no valid JSON"),
        (b"\xff\xfe\x00", "no valid JSON"),
        ("[" * 500_000, "no valid JSON"),
        ('{"version": ' + "1" * 5000 + "}", "no valid JSON"),
        ("null", '"kind" is not "bicyclegan-pins"'),
        ("[]", '"kind" is not'),
        (document(kind="other"), '"kind" is not'),
        (document(version=2), "have version 2; this program reads up to 1. Update it"),
        (document(version=0), "version is 0"),
        (document(version=True), "version is True"),
        (document(version=None), "version is None"),
        (document(pins={}), "pins is dict, not a list"),
        (document(pins=[3]), "a pin is an object, not int"),
        (document(pins=[pin().to_json()] * 49), "There are 49 pins; at most 48"),
        (" " * ((1 << 20) + 1), "has 1.0 MB; at most 1 MB"),
    ],
    ids=range(16),
)
def test_files_that_are_refused(text: str | bytes, message: str) -> None:
    assert message in refused(lambda: pins_from_json(text))


def test_too_many_are_not_saved() -> None:
    assert "There are 49 pins" in refused(lambda: pins_to_json([pin()] * 49))
