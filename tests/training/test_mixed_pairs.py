"""The pairs that a run with a mix reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bicyclegan.data import open_data
from bicyclegan.data.mix import Pair
from bicyclegan.data.pairs import PairDataset
from bicyclegan.training.config import AugmentConfig, RegularConfig, TrainConfig


@pytest.fixture
def mixed(run_config: Callable[..., TrainConfig]) -> Callable[..., PairDataset]:
    """`mixed(**fields of RegularConfig)`: training data of a few coloured boxes, not augmented otherwise."""
    return lambda **fields: open_data(run_config(augment=AugmentConfig(flip=0), regular=RegularConfig(**fields))).train


@pytest.mark.parametrize("kind", ["mixup", "cutmix", "augmix"])
def test_a_run_mixes_the_share_it_is_asked_to_and_always_in_the_same_way(mixed: Callable, kind: str) -> None:
    plain, data = mixed(), mixed(mix=kind, mix_share=0.5, mix_alpha=1.0)
    pairs = [data[epoch, index] for epoch in range(6) for index in range(len(data))]
    again = [data[epoch, index] for epoch in range(6) for index in range(len(data))]
    assert all(
        np.array_equal(a, b) for one, two in zip(pairs, again, strict=True) for a, b in zip(one, two, strict=True)
    )
    unmixed = [plain[epoch, index] for epoch in range(6) for index in range(len(data))]
    changed = np.mean([not np.array_equal(one[1], two[1]) for one, two in zip(pairs, unmixed, strict=True)])
    assert 0.25 < changed < 0.6
    assert {(side.shape, side.dtype) for pair in pairs for side in pair} == {
        (side.shape, side.dtype) for side in unmixed[0]
    }


def test_what_is_not_mixed_is_as_it_was(mixed: Callable) -> None:
    plain, data = mixed(), mixed(mix="mixup", mix_share=0.01)
    same = [np.array_equal(plain[0, k][1], data[0, k][1]) for k in range(len(data))]
    assert np.mean(same) > 0.8


def test_validation_pictures_are_never_mixed(run_config: Callable[..., TrainConfig]) -> None:
    config = run_config(regular=RegularConfig(mix="cutmix", mix_share=1.0))
    one, two = (open_data(each).validation.plain(0) for each in (config, replace(config, regular=RegularConfig())))
    assert all(np.array_equal(*sides) for sides in zip(one, two, strict=True))


def test_a_cut_pair_is_a_place_by_place_choice_of_two_pairs(mixed: Callable) -> None:
    """Every pixel of sketch and photo comes from the pair itself or, both together, from one other pair."""
    plain, data = mixed(), mixed(mix="cutmix", mix_share=1.0, mix_alpha=1.0)
    pairs = [plain[0, k] for k in range(len(plain))]
    for index in range(len(data)):
        sketch, photo = data[0, index]
        assert any(_made_of(sketch, photo, pairs[index], other) for other in pairs)


def _made_of(sketch: np.ndarray, photo: np.ndarray, one: Pair, other: Pair) -> bool:
    kept, taken = ((sketch == source[0]).all(axis=2) & (photo == source[1]).all(axis=2) for source in (one, other))
    return bool((kept | taken).all())
