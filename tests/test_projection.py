"""PCA finds planted directions, comes back exactly, and says so when codes cannot be projected."""

from __future__ import annotations

import numpy as np
import pytest

from bicyclegan.errors import UserError
from bicyclegan.projection import Pca


@pytest.fixture
def codes() -> np.ndarray:
    """500 codes of 4 dims: most variance along (1, 1, 0, 0), some along (0, 0, 1, -1), around (5, 0, -2, 1)."""
    random = np.random.RandomState(0)
    along = random.randn(500, 4) * [3, 1, 0.1, 0.1]
    axes = np.array([[1, 1, 0, 0], [0, 0, 1, -1], [1, -1, 0, 0], [0, 0, 1, 1]]) / np.sqrt(2)
    return along @ axes + [5, 0, -2, 1]


def test_planted_directions_are_found_in_order(codes: np.ndarray) -> None:
    pca = Pca.fit(codes)
    assert pca.mean == pytest.approx(codes.mean(axis=0))
    assert pca.components[0] == pytest.approx(np.array([1, 1, 0, 0]) / np.sqrt(2), abs=0.02)
    assert abs(pca.components[1]) == pytest.approx(np.array([0, 0, 1, 1]) / np.sqrt(2), abs=0.02)
    assert pca.variances == pytest.approx([9, 1, 0.01, 0.01], rel=0.15)
    assert pca.shares.sum() == pytest.approx(1)
    assert pca.variances.sum() == pytest.approx(codes.var(axis=0).sum()), "as the variances of the dims"


def test_coordinates_have_the_variances_it_names(codes: np.ndarray) -> None:
    pca = Pca.fit(codes)
    coords = pca.transform(codes, dims=4)
    assert coords.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-12)
    assert np.cov(coords.T, bias=True) == pytest.approx(np.diag(pca.variances), abs=1e-12)
    assert pca.transform(codes).shape == (500, 2)
    assert np.array_equal(pca.transform(codes), coords[:, :2])


def test_the_inverse_is_exact_with_all_dims(codes: np.ndarray) -> None:
    pca = Pca.fit(codes)
    new = np.random.RandomState(1).randn(20, 4) * 10
    assert pca.inverse(pca.transform(new, 4)) == pytest.approx(new, abs=1e-12)
    flat = pca.inverse(pca.transform(new, 2))
    assert pca.transform(flat, 4)[:, :2] == pytest.approx(pca.transform(new, 2))
    assert pca.transform(flat, 4)[:, 2:] == pytest.approx(np.zeros((20, 2)), abs=1e-12)


def test_signs_do_not_depend_on_the_order_of_codes(codes: np.ndarray) -> None:
    pca = Pca.fit(codes)
    for seed in range(5):
        again = Pca.fit(np.random.RandomState(seed).permutation(codes))
        assert again.components == pytest.approx(pca.components, abs=1e-6)
    largest = np.abs(pca.components).argmax(axis=1)
    assert (pca.components[np.arange(4), largest] > 0).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_codes_still_give_all_directions(count: int) -> None:
    codes = np.random.RandomState(0).randn(count, 8)
    pca = Pca.fit(codes)
    assert pca.components @ pca.components.T == pytest.approx(np.eye(8), abs=1e-12)
    assert pca.variances[count:] == pytest.approx(np.zeros(8 - count), abs=1e-12)
    assert pca.inverse(pca.transform(codes, 8)) == pytest.approx(codes)


def test_equal_codes_have_no_directions_but_do_no_harm() -> None:
    pca = Pca.fit(np.full((10, 3), 0.1, dtype=np.float32))
    assert pca.variances == pytest.approx(np.zeros(3), abs=1e-12)
    assert np.isfinite(pca.components).all()
    assert np.isfinite(pca.shares).all()
    assert Pca.fit(np.ones((4, 2))).shares.tolist() == [0, 0]


def test_float32_codes_are_computed_in_float64() -> None:
    codes = np.random.RandomState(0).randn(50, 4).astype(np.float32)
    assert Pca.fit(codes).transform(codes, 4).dtype == np.float64


@pytest.mark.parametrize("shape", [(0, 4), (4,), (3, 0), (2, 2, 2)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="at least one of each") as caught:
        Pca.fit(np.zeros(shape))
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_none_are_refused(value: float) -> None:
    with pytest.raises(UserError, match="NaN or infinite"):
        Pca.fit(np.array([[0.0, 1.0], [value, 0.0]]))
