"""Distances between sets of pictures: planted features whose distances are known."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from code_search import ROOT
from torch import Tensor

from bicyclegan.errors import UserError
from bicyclegan.metrics import realism
from bicyclegan.metrics.features import Extractor, Features
from bicyclegan.metrics.realism import GROUPS, MIN_PICTURES, SetMetric, groups_of, measure_sets

pytest.importorskip("torch_fidelity")


def normal(count: int, mean: float = 0.0, seed: int = 0, dims: int = 4) -> Features:
    """Draws from N(mean, I)."""
    return planted(torch.randn(count, dims, generator=torch.Generator().manual_seed(seed)) + mean)


def planted(pool: Tensor, suffix: str = "768") -> Features:
    return Features(suffix, pool.float())


def cross(a: float, b: float, mean: float = 0.0) -> Features:
    """Four points with the covariance diag(2a^2/3, 2b^2/3)."""
    return planted(torch.tensor([[a, 0], [-a, 0], [0, b], [0, -b]]) + mean)


def values(name: str, generated: Features, real: Features) -> float:
    """One metric of one draw."""
    [found] = [metric for metric in measure_sets([generated], real) if metric.name == name]
    return found.values[0]


# FID


@pytest.mark.parametrize("count", [50, 4], ids=["enough pictures", "fewer than features"])
def test_fid_of_a_set_with_itself_is_0(count: int) -> None:
    real = normal(count, dims=8)
    assert values("fid768", real, real) == pytest.approx(0, abs=1e-6)


def test_fid_grows_with_the_distance() -> None:
    found = [values("fid768", normal(200, mean, seed=1), normal(200)) for mean in (0, 0.5, 1, 3)]
    assert found == sorted(found)
    assert found[-1] == pytest.approx(4 * 3**2, rel=0.1)


def test_fid_of_independent_dims_is_the_closed_formula() -> None:
    """Sum over dims of (m1 - m2)^2 + (s1 - s2)^2."""
    expected = 2 * 0.5**2 + (2 / 3) * ((3 - 1) ** 2 + (2 - 5) ** 2)
    assert values("fid768", cross(3, 2, mean=0.5), cross(1, 5)) == pytest.approx(expected)


def test_fid_of_correlated_dims_is_the_closed_formula() -> None:
    """The trace of the root of a 2x2 matrix M is sqrt(Tr M + 2 sqrt(det M))."""
    mix = torch.tensor([[1.0, 0.8], [0.2, 2.0]])
    mixed = [normal(60, seed=1, dims=2).pool @ mix, normal(60, seed=2, dims=2).pool @ mix.T + 1]
    first, second = (pool.double().numpy() for pool in mixed)
    c1, c2 = np.cov(first.T), np.cov(second.T)
    root = np.sqrt(np.trace(c1 @ c2) + 2 * np.sqrt(np.linalg.det(c1 @ c2)))
    expected = np.sum((first.mean(0) - second.mean(0)) ** 2) + np.trace(c1) + np.trace(c2) - 2 * root
    assert values("fid768", *map(planted, mixed)) == pytest.approx(expected)


def test_fewer_pictures_make_fid_larger() -> None:
    """Why both sides, and the floor, need the same number."""
    few, many = (values("fid768", normal(n, seed=1), normal(n)) for n in (10, 1000))
    assert few > 5 * many


# KID


def test_kid_of_points_is_the_closed_formula() -> None:
    """Kernels of two points x and y: k(x, x) + k(y, y) - 2 k(x, y), with k = (x.y / D + 1)^3."""
    x, y = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 3.0]])
    expected = (5 / 2 + 1) ** 3 + (9 / 2 + 1) ** 3 - 2 * (6 / 2 + 1) ** 3
    found = values("kid768", planted(x.expand(6, 2)), planted(y.expand(6, 2)))
    assert found == pytest.approx(expected)


def test_kid_has_no_bias() -> None:
    """Of two samples of one distribution it lies around 0, on both sides; of shifted ones clearly above."""
    same = [values("kid768", normal(50, seed=2 * k + 1), normal(50, seed=2 * k)) for k in range(20)]
    assert min(same) < 0 < max(same)
    assert abs(np.mean(same)) < 3 * np.std(same) / 20**0.5
    shifted = [values("kid768", normal(50, 0.5, seed=2 * k + 1), normal(50, seed=2 * k)) for k in range(3)]
    assert min(shifted) > max(same)


def test_kid_of_a_small_set_takes_all_pictures() -> None:
    """No subset is drawn: the order does not matter, and one changed picture always does."""
    generated, real = normal(40, seed=1), normal(40)
    found = values("kid768", generated, real)
    assert values("kid768", planted(generated.pool.flip(0)), real) == pytest.approx(found, rel=1e-9)
    for k in (0, 17, 39):
        pool = generated.pool.clone()
        pool[k] += 1
        assert values("kid768", planted(pool), real) != pytest.approx(found, rel=1e-6)


def test_kid_of_a_large_set_is_the_mean_of_subsets(monkeypatch: pytest.MonkeyPatch) -> None:
    generated, real = normal(45, 1, seed=1), normal(45)
    whole = values("kid768", generated, real)
    monkeypatch.setattr(realism, "KID_SUBSET", 40)
    assert values("kid768", generated, real) == pytest.approx(whole, rel=0.1)
    assert values("kid768", generated, real) != pytest.approx(whole, rel=1e-6)


# Precision and recall


def clusters(*centres: float) -> Features:
    """Ten points near each centre, a tenth of a unit apart."""
    return planted(torch.cat([torch.stack([c + torch.arange(10) / 10, torch.zeros(10)], dim=1) for c in centres]))


def test_collapse_keeps_precision_and_loses_recall() -> None:
    collapsed, real = clusters(0.01, 0.02), clusters(0, 100)
    assert values("pr768_precision", collapsed, real) == 1
    assert values("pr768_recall", collapsed, real) == 0.5
    assert values("pr768_precision", real, collapsed) == 0.5
    assert values("pr768_recall", real, collapsed) == 1


def test_a_set_covers_itself_and_nothing_far_away() -> None:
    real = normal(20, dims=64)
    assert values("pr768_precision", real, real) == values("pr768_recall", real, real) == 1
    far = planted(real.pool + 100)
    assert values("pr768_precision", far, real) == values("pr768_recall", far, real) == 0


# Inception Score


def classes(*chosen: int, count: int = 6) -> Features:
    """Pictures of which the network is sure: class k for each of `chosen`."""
    return Features("", torch.zeros(len(chosen), 2), torch.eye(count)[list(chosen)] * 50)


@pytest.mark.parametrize(
    ("chosen", "score"), [((0, 1, 2, 3, 4, 5), 6), ((0, 0, 1, 1, 2, 2), 3), ((4, 4, 4, 4, 4, 4), 1)]
)
def test_inception_score_counts_classes(chosen: tuple[int, ...], score: float) -> None:
    """Of the generated pictures alone, in one split: ten would leave splits with one picture, or none."""
    [found] = measure_sets([classes(*chosen)], classes(0, 0, 0, 0, 0, 0), ["inception_score"])
    assert found.name == "inception_score"
    assert found.values[0] == pytest.approx(score)


def test_a_cut_network_has_no_inception_score() -> None:
    assert groups_of("") == GROUPS
    assert groups_of("768") == ("fid", "kid", "precision_recall")
    with pytest.raises(AssertionError):
        measure_sets([normal(5)], normal(5), ["inception_score"])


# What comes back


def test_names_say_the_layer() -> None:
    whole, cut = measure_sets([classes(*range(6))], classes(*range(6))), measure_sets([normal(5)], normal(5))
    assert [each.name for each in whole] == ["fid", "kid", "pr_precision", "pr_recall", "inception_score"]
    assert [each.name for each in cut] == ["fid768", "kid768", "pr768_precision", "pr768_recall"]
    assert [each.group for each in cut] == ["fid", "kid", "precision_recall", "precision_recall"]
    assert [each.better for each in whole] == ["lower", "lower", "higher", "higher", "higher"]


def test_draws_keep_their_order_and_have_an_error() -> None:
    [fid] = measure_sets([cross(1, 1, mean) for mean in (1, 0, 3)], cross(1, 1), ["fid"])
    assert fid.values == pytest.approx((2, 0, 18))
    assert fid.mean == pytest.approx(20 / 3)
    assert fid.standard_error == pytest.approx(np.std([2, 0, 18], ddof=1) / 3**0.5)


def test_one_draw_has_no_error() -> None:
    assert SetMetric("fid", "fid", "lower", "", (1.5,)).standard_error is None


def test_numbers_are_reproducible_and_cost_no_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realism, "KID_SUBSET", 10)
    draws, real = [normal(15, seed=1)], normal(15)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    assert measure_sets(draws, real) == measure_sets(draws, real)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)


def test_pictures_that_differ_are_further_away_with_an_extractor_of_ones_own() -> None:
    extractor = Extractor("colour", "768", lambda pictures: (pictures.float().mean(dim=(2, 3)) / 255,))
    dark, light = (torch.randint(low, low + 100, (12, 3, 8, 8), dtype=torch.uint8) for low in (0, 150))
    real, near, far = (extractor.extract(x) for x in (dark, dark.flip(0), light))
    [fid] = measure_sets([near, far], real, ["fid"])
    assert fid.values[0] < 1e-6 < 0.5 < fid.values[1]


@pytest.mark.parametrize("count", [1, 2, MIN_PICTURES - 1])
def test_too_few_pictures_are_a_users_mistake(count: int) -> None:
    with pytest.raises(UserError, match=rf"{count} photos are too few .* at least {MIN_PICTURES}"):
        measure_sets([normal(count)], normal(count))
    assert measure_sets([normal(MIN_PICTURES)], normal(MIN_PICTURES))


@pytest.mark.parametrize(
    ("generated", "real"),
    [
        ([normal(5)], normal(6)),
        ([normal(6), normal(5)], normal(6)),
        ([normal(5)], normal(5, dims=3)),
        ([normal(5)], planted(normal(5).pool, suffix="")),
        ([], normal(5)),
    ],
    ids=["counts", "a later draw", "layers", "networks", "no draws"],
)
def test_what_cannot_be_compared_is_refused(generated: list[Features], real: Features) -> None:
    with pytest.raises(AssertionError):
        measure_sets(generated, real, ["fid"])


def test_nothing_is_printed_and_the_library_waits() -> None:
    code = (
        "import sys, torch\n"
        "from bicyclegan.metrics.features import Features\n"
        "from bicyclegan.metrics.realism import measure_sets\n"
        "assert 'torch_fidelity' not in sys.modules\n"
        "draw = lambda: Features('', torch.randn(12, 3), torch.randn(12, 4))\n"
        "assert len(measure_sets([draw()], draw())) == 5\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
