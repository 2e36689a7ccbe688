"""Noise is a function of seed, step and sample alone, whoever asks for it, and whenever."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bicyclegan.training.noise import Noise, draw_noise, seed_layers

ALL = range(6)


def numbers(noise: Noise) -> tuple[Tensor, Tensor, Tensor]:
    return noise.encoder, noise.random, noise.between


def same(one: Noise, two: Noise) -> bool:
    return all(torch.equal(*pair) for pair in zip(numbers(one), numbers(two), strict=True))


def test_the_same_question_has_the_same_answer_whatever_was_drawn_before() -> None:
    first = draw_noise(7, 3, ALL, 8)
    torch.manual_seed(99)
    draw_noise(7, 4, ALL, 8)
    assert same(first, draw_noise(7, 3, ALL, 8))


def test_drawing_leaves_torchs_own_generator_alone() -> None:
    before = torch.get_rng_state()
    draw_noise(0, 0, ALL, 8)
    assert torch.equal(before, torch.get_rng_state())


def test_the_shares_of_two_processes_join_to_the_whole() -> None:
    whole = draw_noise(1, 5, ALL, 4)
    one, two = draw_noise(1, 5, range(3), 4), draw_noise(1, 5, range(3, 6), 4)
    assert same(whole, Noise(*(torch.cat(pair) for pair in zip(numbers(one), numbers(two), strict=True))))


def test_seed_step_sample_and_purpose_each_change_every_number() -> None:
    noise = draw_noise(1, 5, ALL, 8)
    others = [draw_noise(2, 5, ALL, 8).random, draw_noise(1, 6, ALL, 8).random, noise.encoder]
    assert not any((noise.random == other).any() for other in others)
    assert len(noise.random.unique()) == noise.random.numel(), "two samples share numbers"


def test_places_between_are_uniform() -> None:
    places = draw_noise(0, 0, range(1000), 8).between
    assert places.dtype == torch.float32
    assert 0 <= places.min() < 0.01 < 0.99 < places.max() <= 1
    assert abs(places.mean().item() - 0.5) < 0.03


def test_numbers_for_codes_are_standard_normal() -> None:
    noise = draw_noise(0, 0, range(500), 8)
    for numbers in (noise.encoder, noise.random):
        assert numbers.dtype == torch.float32
        assert abs(numbers.mean().item()) < 0.05
        assert abs(numbers.std().item() - 1) < 0.05
        assert numbers.abs().max() > 2.5, "a bounded distribution"


@pytest.mark.parametrize("dim", [0, 1, 8])
def test_shapes(dim: int) -> None:
    assert draw_noise(0, 0, range(2, 5), dim).random.shape == (3, dim)
    assert draw_noise(0, 0, range(0), dim).encoder.shape == (0, dim)


def test_the_numbers_of_old_runs_stay() -> None:
    """NumPy promises that this stream never changes; a run that is resumed after an update depends on it."""
    noise = draw_noise(0, 0, range(1), 2)
    torch.testing.assert_close(noise.encoder, torch.tensor([[-0.6493397, 0.3128571]]))
    torch.testing.assert_close(noise.random, torch.tensor([[-0.1338236, 1.1267372]]))


def test_the_largest_seed_and_step_are_taken() -> None:
    assert torch.isfinite(draw_noise(2**32 - 1, 100_000_000, range(1), 8).random).all()


def dropped() -> Tensor:
    return F.dropout(torch.ones(200))


def test_dropout_repeats_for_a_step_and_differs_between_steps_and_processes() -> None:
    seed_layers(3, 10)
    first = dropped()
    dropped()
    seed_layers(3, 10)
    assert torch.equal(first, dropped())
    for seed, step, rank in ((4, 10, 0), (3, 11, 0), (3, 10, 1)):
        seed_layers(seed, step, rank)
        assert not torch.equal(first, dropped())
