"""PCA finds planted directions and comes back exactly; neighbours stay neighbours on the other maps; what cannot be
laid out says so."""

from __future__ import annotations

import numpy as np
import pytest

from bicyclegan.errors import UserError
from bicyclegan.projection import (
    MAX_CODES,
    NEAREST,
    CodeMap,
    MapSettings,
    Pca,
    fit_map,
    map_key,
    map_of,
    nearest,
    pca_map,
    prior_codes,
)


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


# Maps


@pytest.fixture(scope="module")
def islands() -> np.ndarray:
    """120 codes of 8 dims in three far islands of 40."""
    random = np.random.RandomState(5)
    centres = np.eye(8)[:3] * 12
    return np.concatenate([centre + 0.3 * random.randn(40, 8) for centre in centres])


@pytest.fixture(scope="module")
def tsne(islands: np.ndarray) -> CodeMap:
    return fit_map(islands, MapSettings("tsne", perplexity=10))


def neighbours_kept(found: CodeMap, count: int = 40) -> float:
    """Share of codes whose nearest code on the map is of the same island."""
    nearest_one = nearest(found.coords, found.coords, 2)[0][:, 1]
    islands = np.arange(len(found.coords)) // count
    return float((islands == islands[nearest_one]).mean())


@pytest.mark.parametrize("dims", [2, 3])
def test_the_map_of_pca_is_the_shadow_of_the_codes(codes: np.ndarray, dims: int) -> None:
    found = fit_map(codes, MapSettings("pca", dims))
    assert found.coords == pytest.approx(Pca.fit(codes).transform(codes, dims), abs=1e-5)
    assert found.prior_coords == pytest.approx(Pca.fit(codes).transform(found.prior, dims), abs=1e-5)
    assert found.is_exact
    new = np.random.RandomState(1).randn(5, 4)
    assert found.place(new) == pytest.approx(Pca.fit(codes).transform(new, dims))
    places = np.random.RandomState(2).randn(5, dims) * 4
    assert found.place(found.code_at(places)) == pytest.approx(places), "and back, in the plane"


def test_codes_of_fewer_dims_than_the_map_get_zeros() -> None:
    codes = np.random.RandomState(0).randn(30, 1)
    found = fit_map(codes, MapSettings("pca", 3))
    assert found.coords.shape == (30, 3)
    assert (found.coords[:, 1:] == 0).all()
    assert found.code_at(found.coords) == pytest.approx(codes, abs=1e-6)


def test_one_code_and_equal_codes_have_a_map_of_pca() -> None:
    assert fit_map(np.ones((1, 4)), MapSettings()).coords.tolist() == [[0, 0]]
    assert (fit_map(np.ones((9, 4)), MapSettings()).coords == 0).all()


def test_tsne_keeps_islands_apart_and_is_the_same_again(islands: np.ndarray, tsne: CodeMap) -> None:
    assert tsne.coords.shape == (120, 2)
    assert tsne.prior_coords.shape == (120, 2)
    assert neighbours_kept(tsne) > 0.98
    again = fit_map(islands, MapSettings("tsne", perplexity=10, neighbours=99))
    assert np.array_equal(again.coords, tsne.coords)


@pytest.mark.slow
@pytest.mark.parametrize("dims", [2, 3])
def test_umap_keeps_islands_apart_tells_its_progress_and_is_the_same_again(islands: np.ndarray, dims: int) -> None:
    shares = []
    settings = MapSettings("umap", dims, neighbours=10)
    found = fit_map(islands, settings, lambda share, what: shares.append(share))
    assert neighbours_kept(found) > 0.98
    assert np.array_equal(fit_map(islands, settings).coords, found.coords)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(shares) >= 4, "loading, neighbours, and some of the layout's steps"


def test_tsne_tells_its_progress(islands: np.ndarray) -> None:
    told = []
    fit_map(islands, MapSettings("tsne", perplexity=10), lambda share, what: told.append((share, what)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert [*dict.fromkeys(what for _, what in told)] == ["loading", "neighbours", "layout"]


def test_new_codes_lie_between_their_nearest(islands: np.ndarray, tsne: CodeMap) -> None:
    assert not tsne.is_exact
    assert tsne.place(islands[:7]) == pytest.approx(tsne.coords[:7], abs=1e-4), "a known code keeps its place"
    middle = islands[:40].mean(axis=0, keepdims=True)
    own = tsne.coords[:40]
    assert (own.min(axis=0) <= tsne.place(middle)[0]).all()
    assert (tsne.place(middle)[0] <= own.max(axis=0)).all()


def test_a_place_gives_a_mix_of_the_codes_around_it(islands: np.ndarray, tsne: CodeMap) -> None:
    assert tsne.code_at(tsne.coords[50:53]) == pytest.approx(islands[50:53], abs=1e-3), "at a point, its own code"
    found = tsne.code_at(tsne.coords[40:80].mean(axis=0, keepdims=True))[0]
    assert np.linalg.norm(found - islands[40:80].mean(axis=0)) < 2
    assert np.linalg.norm(found - islands[:40].mean(axis=0)) > 8


def test_the_nearest_come_first() -> None:
    points = np.array([[0.0, 0], [3, 0], [1, 0], [0, 2]])
    found, distances = nearest(points, np.array([[0.1, 0], [3, 0]]), 3)
    assert found.tolist() == [[0, 2, 3], [1, 2, 0]]
    assert distances[1].tolist() == [0, 2, 3]
    assert nearest(points, points[:1], NEAREST)[0].shape == (1, 4), "no more than there are"


def test_keys_tell_maps_apart_and_nothing_else(islands: np.ndarray) -> None:
    key = map_key(islands, MapSettings("umap"))
    assert key == map_key(islands.astype(np.float32), MapSettings("umap", perplexity=9))
    others = [
        MapSettings("umap", 3),
        MapSettings("umap", neighbours=9),
        MapSettings("umap", seed=1),
        MapSettings("tsne"),
    ]
    keys = {key, map_key(islands + 1, MapSettings("umap")), *(map_key(islands, each) for each in others)}
    assert len(keys) == 6


def test_random_codes_are_always_the_same() -> None:
    assert np.array_equal(prior_codes(150, 8), prior_codes(500, 8)[:150])
    assert [len(prior_codes(count, 2)) for count in (1, 150, 9999)] == [100, 150, 1000]


def test_known_places_make_a_map(islands: np.ndarray, tsne: CodeMap) -> None:
    coords = np.concatenate([tsne.coords, tsne.prior_coords])
    again = map_of(islands, tsne.settings, coords)
    assert np.array_equal(again.place(islands[:3] + 0.1), tsne.place(islands[:3] + 0.1))
    for wrong in (coords[:-1], np.full_like(coords, np.nan)):
        with pytest.raises(UserError, match="no places"):
            map_of(islands, tsne.settings, wrong)


def test_directions_may_be_those_of_others(codes: np.ndarray) -> None:
    pca = Pca.fit(codes)
    assert pca_map(codes[:9], MapSettings(), pca).coords == pytest.approx(pca.transform(codes[:9]), abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "count", "code"),
    [
        (MapSettings("magic"), 50, "map_method"),
        (MapSettings(dims=4), 50, "integer_range"),
        (MapSettings(dims=True), 50, "integer_range"),
        (MapSettings("umap", neighbours=1), 50, "integer_range"),
        (MapSettings("umap", neighbours=201), 500, "integer_range"),
        (MapSettings("umap", neighbours="15"), 50, "integer_range"),
        (MapSettings("umap", min_dist=float("nan")), 50, "number_range"),
        (MapSettings("umap", min_dist=1), 50, "number_range"),
        (MapSettings("umap", seed=-1), 50, "integer_range"),
        (MapSettings("tsne", perplexity=1), 50, "number_range"),
        (MapSettings("tsne", perplexity=[30]), 50, "number_range"),
        (MapSettings("umap", neighbours=15), 15, "map_few"),
        (MapSettings("tsne", perplexity=30), 90, "map_few"),
        (MapSettings("umap"), 1, "map_few"),
        (MapSettings("pca"), 0, "projection_shape"),
        (MapSettings("pca"), MAX_CODES + 1, "integer_range"),
    ],
)
def test_settings_that_cannot_be_met(settings: MapSettings, count: int, code: str) -> None:
    with pytest.raises(UserError) as caught:
        fit_map(np.random.RandomState(0).randn(count, 2), settings)
    assert caught.value.code == code


@pytest.mark.parametrize("method", ["umap", "tsne"])
def test_codes_without_neighbours_say_so(method: str) -> None:
    codes = np.repeat(np.random.RandomState(0).randn(4, 8), 50, axis=0)
    with pytest.raises(UserError, match="Only 4 of 200 codes differ"):
        fit_map(codes, MapSettings(method))
    codes[7, 3] = np.nan
    with pytest.raises(UserError, match="NaN"):
        fit_map(codes, MapSettings(method))
