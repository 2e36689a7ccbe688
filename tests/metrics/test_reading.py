"""How measurements read: digits, names, and texts that came from outside."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from evaluation_example import example_result, measured, ours, without_code

from bicyclegan.metrics.reading import base_name, first, label, model_labels, number, plain, shown_value, with_error


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.15234, "0.152"),
        (58.31, "58.3"),
        (6.0, "6"),
        (0, "0"),
        (11773, "11,773"),
        (1234.5, "1,234"),
        (0.0123, "0.0123"),
        (0.00000123, "1.2e−6"),
        (-0.0421, "−0.0421"),
        (math.nan, "not a number"),
        (-math.inf, "infinite"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "error", "texts"),
    [
        (0.15234, 0.0021, ("0.1523", "0.0021")),
        (58.3123, 1.34, ("58.3", "1.3")),
        (1234.5, 27.0, ("1,234", "27")),
        (0.4, None, ("0.400", "")),
        (0.4, 0.0, ("0.400", "")),
        (0.4, math.nan, ("0.400", "")),
        (math.nan, 0.1, ("not a number", "")),
    ],
)
def test_the_error_decides_the_digits(value: float, error: float | None, texts: tuple[str, str]) -> None:
    assert with_error(value, error) == texts


def test_a_count_of_dims_says_of_how_many() -> None:
    facts = ours()
    assert shown_value(facts.find("active_dims"), facts) == ("6 of 8", "")


def test_names_lose_network_and_version() -> None:
    assert base_name("lpips_diversity_alex_v0.1") == "lpips_diversity"
    assert base_name("pr768_precision") == "pr768_precision"
    assert label(measured("reconstruction_lpips_squeeze_v0.1", "reconstruction", 0.2)) == "Reconstruction (LPIPS)"
    assert label(measured("new_thing", "new", 0.2)) == "new thing"


def test_the_first_name_that_was_measured_is_found() -> None:
    facts = ours(measurements=[measured("fid768", "fid", 1.0), measured("fid", "fid", 2.0)])
    assert first(facts, "fid", "fid768").value == 2.0
    assert first(facts, "kid", "fid768").value == 1.0
    assert first(facts, "kid") is None


def test_models_of_one_name_are_told_apart() -> None:
    twin = without_code(name="edges2shoes")
    names = model_labels(example_result(compared=[twin, twin, without_code(name=" \n")]))
    assert names == ["edges2shoes · a1b2c3d4", "edges2shoes · 0f9e8d7c", "edges2shoes · 0f9e8d7c (2)", "unnamed"]
    assert model_labels(replace(example_result(), compared=[]))[0] == "edges2shoes"


def test_text_from_outside_is_one_printable_line() -> None:
    assert plain("a\n\tb\u202egnp.exe\ud800\x00") == "a bgnp.exe"
    assert plain("x" * 100, 10) == "x" * 9 + "…"
    assert plain("鞋子 été") == "鞋子 été"
