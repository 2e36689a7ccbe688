"""Mixed pairs stay pairs: whatever happens to a place of the photo happens to the same place of its sketch."""

from __future__ import annotations

import numpy as np
import pytest

from bicyclegan.data.augment import Geometry, warp_photo
from bicyclegan.data.mix import CHANGES, Pair, augmix, blend, cutmix, mixup

SIZE = 32


def twin(seed: int) -> Pair:
    """A pair whose sketch is its photo: they must stay the same through everything that treats both alike."""
    photo = np.random.RandomState(seed).randint(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    return photo.copy(), photo


def move(pair: Pair, geometry: Geometry) -> Pair:
    return tuple(warp_photo(side, geometry, plain=True) for side in pair)


def test_mixup_is_the_weighted_mean_of_both_sides() -> None:
    one, other = twin(0), twin(1)
    sketch, photo = mixup(one, other, 0.75)
    expected = 0.75 * one[1].astype(float) + 0.25 * other[1]
    assert np.abs(photo - expected).max() <= 0.5
    assert np.array_equal(sketch, photo)
    assert photo.dtype == np.uint8


def test_cutmix_takes_the_same_rectangle_of_both_sides() -> None:
    one, other = (np.zeros((SIZE, SIZE, 1), np.uint8), np.zeros((SIZE, SIZE, 3), np.uint8)), twin(1)
    other = other[0][..., :1] | 1, other[1] | 1
    for seed in range(20):
        sketch, photo = cutmix(one, other, 0.6, np.random.RandomState(seed))
        taken = sketch[..., 0] > 0
        assert np.array_equal(taken, (photo > 0).all(axis=2))
        assert np.array_equal(photo[taken], other[1][taken])
        rows, columns = np.nonzero(taken)
        assert taken[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all(), "no rectangle"
        assert taken.mean() <= 0.45, "more than its share"


def test_cutmix_covers_its_share_where_nothing_reaches_over_the_border() -> None:
    one, other = (np.zeros((SIZE, SIZE, 1), np.uint8),) * 2, (np.ones((SIZE, SIZE, 1), np.uint8),) * 2
    shares = [cutmix(one, other, 0.75, np.random.RandomState(seed))[0].mean() for seed in range(200)]
    assert max(shares) == pytest.approx(0.25, abs=0.02)
    assert cutmix(one, other, 1.0, np.random.RandomState(0))[0].sum() == 0


def test_mixing_leaves_the_pairs_it_is_made_of() -> None:
    one, other = twin(0), twin(1)
    before = [side.copy() for side in (*one, *other)]
    mixup(one, other, 0.5)
    cutmix(one, other, 0.5, np.random.RandomState(0))
    augmix(one, move, 0.5, 1.0, np.random.RandomState(0))
    assert all(np.array_equal(*sides) for sides in zip(before, (*one, *other), strict=True))


def test_augmix_moves_both_sides_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bicyclegan.data.mix.CHANGES", tuple(each for each in CHANGES if isinstance(each, str)))
    changed = 0
    for seed in range(10):
        sketch, photo = augmix(twin(0), move, 0.2, 1.0, np.random.RandomState(seed))
        assert np.array_equal(sketch, photo)
        changed += not np.array_equal(photo, twin(0)[1])
    assert changed == 10


def test_augmix_colours_the_photo_alone_and_leaves_paper_white(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bicyclegan.data.mix.CHANGES", tuple(each for each in CHANGES if not isinstance(each, str)))
    sketch, photo = twin(0)
    photo[:8], photo[8:16] = 255, 0
    for seed in range(10):
        same, coloured = augmix((sketch, photo), move, 0.2, 1.0, np.random.RandomState(seed))
        assert np.array_equal(same, sketch)
        assert (coloured[:8] >= 254).all()
        assert (coloured[8:16] <= 1).all()
        assert not np.array_equal(coloured, photo)


def test_weights_of_a_blend_add_up() -> None:
    white = (np.full((4, 4, 1), 255, np.uint8),) * 2
    assert (blend([white] * 4, [0.1, 0.2, 0.3, 0.4])[0] == 255).all()
