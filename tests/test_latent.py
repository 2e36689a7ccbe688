"""Codes of a seed never change, are normal, and spread every eight of them; ways between codes keep what they say."""

from __future__ import annotations

from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest

from bicyclegan.errors import UserError
from bicyclegan.latent import (
    MAX_SAMPLES,
    MAX_SEED,
    check_codes,
    check_integer,
    even_steps,
    grid,
    mix,
    morph,
    mutate,
    sample_codes,
    slerp,
    sweep,
)
from bicyclegan.projection import Pca


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


# Sliders


@pytest.fixture(scope="module")
def directions() -> Pca:
    """Of codes that vary along no axis and not around zero."""
    random = np.random.RandomState(0)
    return Pca.fit(random.standard_normal((50, 4)) @ random.standard_normal((4, 4)) + 1)


def test_even_steps() -> None:
    assert even_steps(7).tolist() == [-3, -2, -1, 0, 1, 2, 3]
    assert even_steps(2, 0.5).tolist() == [-0.5, 0.5]
    assert even_steps(16).dtype == np.float64


@pytest.mark.parametrize("count", [1, 17, 2.5, True, None])
def test_bad_numbers_of_steps(count: object) -> None:
    with pytest.raises(UserError, match=r"^steps is .*; use a whole number from 2 to 16\.$"):
        even_steps(count)


@pytest.mark.parametrize("limit", [0, -1, 3.1, float("nan"), True, "1", None])
def test_bad_limits(limit: object) -> None:
    with pytest.raises(UserError, match=r"use a number above 0, up to 3\.$"):
        even_steps(7, limit)


def test_a_sweep_moves_one_entry_alone() -> None:
    z = sample_codes(0, 1, 4)[0]
    codes = sweep(z, 2, [-1, 0, 2.5])
    assert codes.dtype == np.float32
    assert codes[:, 2].tolist() == [-1, 0, 2.5]
    assert (np.delete(codes, 2, axis=1) == np.delete(z, 2)).all()


def test_a_sweep_along_a_direction_moves_one_coordinate_alone(directions: Pca) -> None:
    z = sample_codes(0, 1, 4)[0]
    codes = sweep(z, 1, [-2, 1], directions)
    coords, start = directions.transform(codes, 4), directions.transform(z[None], 4)[0]
    np.testing.assert_allclose(coords[:, 1], [-2, 1], atol=1e-5)
    np.testing.assert_allclose(np.delete(coords, 1, axis=1), [np.delete(start, 1)] * 2, atol=1e-5)
    assert (codes[0] != z).sum() > 1, "not an axis of z"
    np.testing.assert_allclose(sweep(z, 1, [start[1]], directions)[0], z, atol=1e-6)


def test_a_grid_runs_across_and_then_down() -> None:
    z = sample_codes(0, 1, 4)[0]
    codes = grid(z, (3, 1), [-1, 0, 1], [5, 6])
    assert codes.dtype == np.float32
    assert codes[:, [3, 1]].tolist() == [[-1, 5], [0, 5], [1, 5], [-1, 6], [0, 6], [1, 6]]
    assert (codes[:, [0, 2]] == z[[0, 2]]).all()


def test_a_grid_along_directions(directions: Pca) -> None:
    codes = grid(np.zeros(4), (0, 1), [-1, 1], [-2, 2], directions)
    coords = directions.transform(codes, 4)
    np.testing.assert_allclose(coords[:, :2], [[-1, -2], [1, -2], [-1, 2], [1, 2]], atol=1e-5)
    assert np.ptp(coords[:, 2:], axis=0).max() < 1e-5


@pytest.mark.parametrize("slider", [-1, 4, 0.5, "0", True, None])
def test_bad_sliders(slider: object) -> None:
    for call in (lambda: sweep(np.zeros(4), slider, [0]), lambda: grid(np.zeros(4), (0, slider), [0, 1], [0, 1])):
        with pytest.raises(UserError, match=r"^slider is .*; use a whole number from 0 to 3\.$"):
            call()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "shape"),
        ([[1, 2]], "shape"),
        (3, "shape"),
        ([0, float("nan")], "finite and within ±100"),
        ([101], "finite and within ±100"),
        (["a"], "list of numbers is needed"),
        ([[1], [1, 2]], "list of numbers is needed"),
    ],
)
def test_bad_values(values: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        sweep(np.zeros(4), 0, values)


def test_bad_grids() -> None:
    two = [0, 1]
    with pytest.raises(UserError, match=r"needs two different sliders; both are 1\.$"):
        grid(np.zeros(4), (1, 1), two, two)
    for across, down in (([0], two), (two, [0]), (range(8), two), (two, range(8))):
        with pytest.raises(UserError, match=r"^side is \d; use a whole number from 2 to 7\.$"):
            grid(np.zeros(4), (0, 1), across, down)


def test_one_code_is_one_code() -> None:
    with pytest.raises(UserError, match=r"One latent code is needed here; there are 2\."):
        sweep(np.zeros((2, 4)), 0, [0])
    for z in (None, 0.5, [[1, 2], [3]], ["a"], [float("nan")]):
        with pytest.raises(UserError, match=r"Latent codes"):
            sweep(z, 0, [0])
    with pytest.raises(UserError, match=r"no latent code \(latent_dim 0\)"):
        sweep(np.zeros(0), 0, [0])


# From one code to another


def angle(a: np.ndarray, b: np.ndarray) -> float:
    cosine = a.astype(float) @ b.astype(float) / np.linalg.norm(a.astype(float)) / np.linalg.norm(b.astype(float))
    return float(np.arccos(np.clip(cosine, -1, 1)))


def test_slerp_ends_exactly_and_turns_evenly() -> None:
    a, b = sample_codes(3, 2, 8)
    assert slerp(a, b, 0).tobytes() == a.tobytes()
    assert slerp(a, b, 1).tobytes() == b.tobytes()
    ways = [slerp(a, b, t) for t in (0, 0.25, 0.5, 0.75, 1)]
    assert all(code.dtype == np.float32 for code in ways)
    turns = [angle(first, second) for first, second in pairwise(ways)]
    np.testing.assert_allclose(turns, angle(a, b) / 4, atol=1e-4)
    lengths = np.linalg.norm(ways, axis=1)
    np.testing.assert_allclose(np.diff(lengths), (lengths[-1] - lengths[0]) / 4, atol=1e-5)


def test_slerp_keeps_the_length_that_a_straight_line_loses() -> None:
    a, b = np.eye(8, dtype=np.float32)[:2] * 3
    assert np.linalg.norm(slerp(a, b, 0.5)) == pytest.approx(3)
    assert np.linalg.norm((a + b) / 2) < 2.2


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("t", [0.0, 0.3, 0.5, 1.0])
def test_slerp_where_the_way_around_is_not_defined(t: float) -> None:
    a, zero = np.float32([1, 2, -2, 0]), np.zeros(4, np.float32)
    np.testing.assert_allclose(slerp(zero, a, t), t * a, atol=1e-6)
    np.testing.assert_allclose(slerp(a, zero, t), (1 - t) * a, atol=1e-6)
    assert (slerp(zero, zero, t) == 0).all()
    np.testing.assert_allclose(slerp(a, a, t), a, atol=1e-6)
    np.testing.assert_allclose(slerp(a, 3 * a, t), (1 + 2 * t) * a, atol=1e-5)
    assert np.linalg.norm(slerp(a, -a, t)) == pytest.approx(3, abs=1e-5), "around, not through zero"
    np.testing.assert_allclose(slerp(np.float32([2]), np.float32([-4]), t), [2 - 6 * t], atol=1e-6)


def test_slerp_of_almost_opposite_codes() -> None:
    a, b = np.float32([1, 0, 0]), np.float32([-1, 1e-5, 0])
    assert slerp(a, b, 0.5).tolist() == pytest.approx([0, 1, 0], abs=1e-4)
    assert angle(slerp(a, b, 0.999), b) < 0.01


@pytest.mark.parametrize("t", [-0.1, 1.1, float("nan"), "0", None, True])
def test_bad_places_of_slerp(t: object) -> None:
    with pytest.raises(UserError, match=r"^t is .*; use a number from 0 to 1\.$"):
        slerp(np.zeros(4), np.ones(4), t)


def test_slerp_of_codes_of_two_models() -> None:
    with pytest.raises(UserError, match="Codes of 4 and 5 entries do not belong together"):
        slerp(np.zeros(4), np.zeros(5), 0.5)


def test_morph_passes_all_codes_in_order() -> None:
    codes = sample_codes(1, 4, 8)
    way = morph(codes, 31)
    assert way.shape == (31, 8)
    assert way.dtype == np.float32
    assert way[::10].tobytes() == codes.tobytes(), "exactly, and at even times"
    np.testing.assert_array_equal(way[13], slerp(codes[1], codes[2], 0.3))


def test_morph_ends_exactly_where_frames_do_not_fit_evenly() -> None:
    codes = sample_codes(1, 4, 8)
    for frames in (4, 5, 17, 240):
        way = morph(codes, frames)
        assert len(way) == frames
        assert way[0].tobytes() == codes[0].tobytes()
        assert way[-1].tobytes() == codes[-1].tobytes()


def test_a_loop_comes_back_and_shows_nothing_twice() -> None:
    codes = sample_codes(1, 3, 8)
    way = morph(codes, 30, loop=True)
    assert way[::10].tobytes() == codes.tobytes()
    assert len(np.unique(way, axis=0)) == 30
    np.testing.assert_array_equal(way[29], slerp(codes[2], codes[0], 0.9))
    steps = np.linalg.norm(way - np.roll(way, 1, axis=0), axis=1)
    assert steps[0] < 2 * np.median(steps), "from the last frame to the first is a step like any other"


def test_bad_ways() -> None:
    codes = sample_codes(1, 3, 8)
    for frames in (1, 241, 2.5, None):
        with pytest.raises(UserError, match=r"^frames is .*; use a whole number from 2 to 240\.$"):
            morph(codes, frames)
    with pytest.raises(UserError, match="2 frames cannot show 3 codes; use at least 3 frames"):
        morph(codes, 2)
    with pytest.raises(UserError, match="needs two codes or more; there is 1"):
        morph(codes[:1], 10)


def test_mix_is_a_weighted_mean() -> None:
    codes = sample_codes(2, 3, 8)
    assert mix(codes).dtype == np.float32
    np.testing.assert_allclose(mix(codes), codes.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(mix(codes, [0, 3, 1]), 0.75 * codes[1] + 0.25 * codes[2], atol=1e-6)
    assert mix(codes, [0, 5, 0]).tobytes() == codes[1].tobytes()


@pytest.mark.parametrize("weights", [[1, 1], [1, 1, 1, 1], [1, -1, 1], [0, 0, 0]])
def test_bad_weights(weights: list[float]) -> None:
    with pytest.raises(UserError, match="use 3 numbers, one a code, none below 0 and not all 0"):
        mix(np.zeros((3, 4)), weights)
    with pytest.raises(UserError, match="finite"):
        mix(np.zeros((3, 4)), [1, float("inf"), 1])


# Children


def test_a_child_depends_on_its_seed_and_number_alone() -> None:
    parents = sample_codes(4, 3, 8)
    children = mutate(parents, 20, 0.4, seed=6)
    assert children.shape == (20, 8)
    assert children.dtype == np.float32
    for count in (1, 7, 8, 9):
        assert mutate(parents, count, 0.4, seed=6).tobytes() == children[:count].tobytes()
    assert (mutate(parents, 20, 0.4, seed=7) != children).any(axis=1).all()


def test_children_without_mutation_are_parents_or_blends_of_two() -> None:
    parents = np.eye(3, dtype=np.float32) * 2
    children = mutate(parents, 60, 0)
    np.testing.assert_allclose(np.linalg.norm(children, axis=1), 2, atol=1e-5)
    taken = [sorted(np.flatnonzero(np.abs(child) > 1e-6)) for child in children]
    assert {tuple(map(int, each)) for each in taken} == {(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)}
    assert (mutate(parents[:1], 8, 0) == parents[0]).all()


def test_full_mutation_leaves_nothing_of_the_parents() -> None:
    a = mutate(np.full((1, 8), 9.0), 8, 1, seed=3)
    assert a.tobytes() == mutate(sample_codes(0, 5, 8), 8, 1, seed=3).tobytes()
    assert (np.sort(eighths(a), axis=0) == np.arange(8)[:, None]).all(), "spread like codes of the prior"


@pytest.mark.parametrize("strength", [0.2, 0.5, 0.9])
def test_children_of_normal_codes_are_normal(strength: float) -> None:
    values = np.concatenate([mutate(sample_codes(seed, 1, 8), 8, strength, seed) for seed in range(300)])
    assert abs(values.mean()) < 0.05
    assert values.std() == pytest.approx(1, abs=0.05)


def test_stronger_mutation_goes_further_and_eight_children_differ() -> None:
    parent = sample_codes(5, 1, 8)
    means = [np.linalg.norm(mutate(parent, 8, s, seed=5) - parent, axis=1).mean() for s in (0.1, 0.3, 0.6, 1)]
    assert sorted(means) == means
    children = mutate(parent, 8, 0.5)
    apart = np.linalg.norm(children[:, None] - children[None], axis=-1) + 99 * np.eye(8)
    assert apart.min() > 0.8


def test_a_child_is_no_copy_of_a_parent_with_the_same_seed() -> None:
    """Parents come from seeds, too: noise of the same draw would only make them longer."""
    parents = sample_codes(0, 8, 8)
    noise = mutate(np.zeros((1, 8)), 8, 1, seed=0)
    assert np.abs(noise - parents).max(axis=1).min() > 0.3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "count is 0; use a whole number from 1 to 1024"),
        ({"strength": 1.1}, "strength is 1.1; use a number from 0 to 1"),
        ({"strength": float("nan")}, "strength is nan"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_bad_mutations(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        mutate(np.zeros((1, 8)), **options)
