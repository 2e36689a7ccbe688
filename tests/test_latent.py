"""Codes of a seed never change, are normal, and spread every eight of them."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from bicyclegan.errors import UserError
from bicyclegan.latent import MAX_SAMPLES, MAX_SEED, check_codes, check_integer, sample_codes


def eighths(codes: np.ndarray) -> np.ndarray:
    """Which of eight equally likely intervals each entry lies in."""
    borders = [NormalDist().inv_cdf(k / 8) for k in range(1, 8)]
    return np.searchsorted(borders, codes)


# Seeds


@pytest.mark.parametrize("stratify", [True, False])
def test_a_sample_is_the_same_alone_and_in_any_batch(stratify: bool) -> None:
    batch = sample_codes(7, 64, 8, stratify=stratify)
    assert batch.shape == (64, 8)
    assert batch.dtype == np.float32
    for count in (1, 3, 8, 9, 63):
        assert sample_codes(7, count, 8, stratify=stratify).tobytes() == batch[:count].tobytes()


def test_codes_of_a_seed_are_these_forever() -> None:
    """Recipes and links hold seeds: another value here would change everybody's pictures."""
    assert sample_codes(7, 2, 4).tolist() == [
        [-0.6791045069694519, 0.15537719428539276, 0.8355505466461182, 0.5650319457054138],
        [2.975161075592041, -0.15924476087093353, 1.4275974035263062, -1.3471002578735352],
    ]
    assert sample_codes(7, 10, 2)[9].tolist() == [1.424942135810852, 1.7436513900756836]
    assert sample_codes(MAX_SEED, 1, 3)[0].tolist() == [0.6279517412185669, 0.04873684421181679, -1.073545217514038]
    independent = [-0.1000841036438942, 0.2541996240615845, -0.6358714699745178, -1.2343865633010864]
    assert sample_codes(7, 2, 2, stratify=False).ravel().tolist() == independent


def test_seeds_and_samples_differ() -> None:
    codes = np.concatenate([sample_codes(seed, 64, 8) for seed in range(5)])
    assert len(np.unique(codes, axis=0)) == len(codes)
    assert len(np.unique(sample_codes(0, 64, 8, stratify=False), axis=0)) == 64


def test_the_global_generator_is_left_alone() -> None:
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    sample_codes(3, 8, 8)
    assert (np.random.get_state()[1] == before).all()


# Distribution


@pytest.fixture(scope="module", params=[True, False], ids=["stratified", "independent"])
def many(request: pytest.FixtureRequest) -> np.ndarray:
    """Nine codes of each of 400 seeds: (400, 9, 8)."""
    return np.stack([sample_codes(seed, 9, 8, stratify=request.param) for seed in range(400)])


@pytest.mark.parametrize("row", [0, 5, 8])
def test_each_code_is_standard_normal(many: np.ndarray, row: int) -> None:
    values = np.sort(many[:, row].ravel())
    expected = np.array([NormalDist().cdf(value) for value in values])
    observed = (np.arange(len(values)) + 0.5) / len(values)
    # Kolmogorov and Smirnov: 3,200 values stay below this with a probability of 99.9 %.
    assert np.abs(observed - expected).max() < 1.95 / np.sqrt(len(values))


def test_dimensions_are_independent(many: np.ndarray) -> None:
    correlation = np.corrcoef(many[:, 0], rowvar=False) - np.eye(8)
    assert np.abs(correlation).max() < 0.2  # four standard deviations


def test_every_eight_codes_take_each_interval_once() -> None:
    codes = sample_codes(11, 64, 8)
    for start in range(0, 64, 8):
        assert (np.sort(eighths(codes[start : start + 8]), axis=0) == np.arange(8)[:, None]).all()


def test_neighbours_of_an_eight_never_meet() -> None:
    for seed in range(50):
        ordered = np.sort(sample_codes(seed, 8, 1), axis=0)
        assert np.diff(ordered, axis=0).min() > 0.3  # an eighth of probability in the middle of the bell


def test_independent_codes_do_repeat_intervals() -> None:
    codes = sample_codes(11, 8, 8, stratify=False)
    assert (np.sort(eighths(codes), axis=0) != np.arange(8)[:, None]).any()


@pytest.mark.parametrize("truncation", [0, 0.5, np.float32(0.5), 3])
def test_truncation_scales(truncation: float) -> None:
    scaled = sample_codes(5, 8, 8, truncation=truncation)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, float(truncation) * sample_codes(5, 8, 8), rtol=1e-6)


def test_a_model_without_codes_gets_codes_without_entries() -> None:
    assert sample_codes(0, 9, 0).shape == (9, 0)
    assert check_codes(np.zeros((9, 0)), 0).shape == (9, 0)


# Bad input


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1, 1.5, "7", None, True, float("nan"), float("inf")])
def test_bad_seeds(seed: object) -> None:
    with pytest.raises(UserError, match=r"^seed is .*; use a whole number from 0 to 4294967295\.$"):
        sample_codes(seed, 1, 8)


@pytest.mark.parametrize("count", [0, -1, MAX_SAMPLES + 1, 1.5, "8"])
def test_bad_numbers_of_samples(count: object) -> None:
    with pytest.raises(UserError, match=r"^num_samples is .*; use a whole number from 1 to 1024\.$"):
        sample_codes(0, count, 8)


@pytest.mark.parametrize("truncation", [-0.1, 3.1, float("nan"), "1", None, 1j])
def test_bad_truncation(truncation: object) -> None:
    with pytest.raises(UserError, match=r"use a number from 0 to 3\.$"):
        sample_codes(0, 1, 8, truncation=truncation)


@pytest.mark.parametrize("value", [7, 7.0, np.int64(7), np.uint8(7), np.float64(7)])
def test_whole_numbers_of_any_type_are_integers(value: object) -> None:
    found = check_integer("seed", value, 0, 9)
    assert type(found) is int
    assert found == 7


@pytest.mark.parametrize(
    ("z", "message"),
    [
        (np.zeros((2, 7)), r"shape \(2, 7\); this model takes \(N, 8\) with N from 1 to 1024"),
        (np.zeros((0, 8)), r"shape \(0, 8\)"),
        (np.zeros((1025, 8)), r"shape \(1025, 8\)"),
        (np.zeros((1, 1, 8)), r"shape \(1, 1, 8\)"),
        (None, r"shape \(1, 1\)"),
        ([[1, 2], [3]], "must be numbers"),
        ("red", "must be numbers"),
        ([{}] * 8, "must be numbers"),
        ([10**400] * 8, "must be numbers"),
        (np.full((1, 8), np.nan), "finite and within ±100"),
        (np.full((1, 8), np.inf), "finite and within ±100"),
        (np.full((1, 8), 1e39), "finite and within ±100"),
        ([100.1] * 8, "finite and within ±100"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_bad_codes(z: object, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        check_codes(z, 8)
    assert "\n" not in str(caught.value)


def test_codes_are_copied() -> None:
    """So that a result's codes stay those it was painted with."""
    given = np.zeros((2, 8), np.float32)
    checked = check_codes(given, 8)
    given += 1
    assert (checked == 0).all()


def test_one_code_may_come_as_a_plain_list() -> None:
    assert check_codes([0.5] * 8, 8).tolist() == [[0.5] * 8]
