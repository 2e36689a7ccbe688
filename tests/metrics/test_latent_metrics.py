"""Metrics of codes, on planted networks whose answers are known."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from bicyclegan.metrics import LATENT_CHANCE, Outputs, evaluate
from bicyclegan.metrics.latent import sliced_wasserstein

Plant = Callable[..., Outputs]


def measure(outputs: Outputs, name: str) -> float | list[float]:
    return evaluate(outputs, [name])[name]


def test_a_perfect_generator_has_no_error(plant: Plant) -> None:
    names = ["reconstruction_l1", "latent_l1", "encoded_random_l1_gap"]
    assert list(evaluate(plant(), names).values()) == [0.0, 0.0, 0.0]


def test_reconstruction_is_measured_in_units_of_the_tensors(plant: Plant) -> None:
    photos = torch.zeros(12, 3, 32, 32)
    assert measure(plant(b=photos, reconstruction=photos + 0.25), "reconstruction_l1") == pytest.approx(0.25)


def test_an_ignored_code_scores_chance(plant: Plant) -> None:
    z = torch.randn(500, 20, 8, generator=torch.Generator().manual_seed(0))
    ignored = plant(z=z, recovered=torch.zeros_like(z))
    assert pytest.approx(0.7979, abs=1e-4) == LATENT_CHANCE
    assert measure(ignored, "latent_l1") == pytest.approx(LATENT_CHANCE, abs=0.01)
    shuffled = plant(z=z, recovered=z.roll(1, dims=0))  # a guess is worse than no answer: E|x - y| = 2 / sqrt(pi)
    assert measure(shuffled, "latent_l1") == pytest.approx(2 / math.sqrt(math.pi), abs=0.01)


def test_dims_are_told_apart(plant: Plant) -> None:
    outputs = plant()
    recovered = outputs.z + torch.tensor([0.0, 0.5, -1.0, 0.0])
    assert measure(plant(recovered=recovered), "latent_l1_per_dim") == pytest.approx([0, 0.5, 1, 0], abs=1e-6)
    assert measure(plant(recovered=recovered), "latent_l1") == pytest.approx(1.5 / 4)


def test_the_gap_shows_what_the_own_code_adds(plant: Plant) -> None:
    photos, random = torch.zeros(12, 3, 32, 32), torch.full((6, 5, 3, 32, 32), 0.4)
    for error, gap in ((0.1, 0.3), (0.4, 0.0)):
        outputs = plant(b=photos, reconstruction=photos + error, random=random)
        assert measure(outputs, "encoded_random_l1_gap") == pytest.approx(gap, abs=1e-6)


def test_kl_of_known_posteriors(plant: Plant) -> None:
    """KL(N(m, s^2) || N(0, 1)) = (m^2 + s^2 - 1) / 2 - ln s."""
    mu = torch.tensor([0.0, 1.0, 0.0, -2.0]).repeat(12, 1)
    logvar = torch.tensor([0.0, 0.0, 2 * math.log(0.5), 0.0]).repeat(12, 1)
    expected = [0.0, 0.5, (0.25 - 1) / 2 + math.log(2), 2.0]
    assert measure(plant(mu=mu, logvar=logvar), "kl_per_dim") == pytest.approx(expected, abs=1e-6)
    assert measure(plant(mu=mu, logvar=logvar), "kl") == pytest.approx(sum(expected))
    twice = plant(mu=mu.repeat(2, 1), logvar=logvar.repeat(2, 1))
    assert measure(twice, "kl") == pytest.approx(sum(expected)), "more photos must not mean more KL"


def test_collapsed_dims_are_counted_out(plant: Plant) -> None:
    generator = torch.Generator().manual_seed(0)
    scale, shift = torch.tensor([1.0, 0.05, 0.0, 0.3]), torch.tensor([0.0, 0.0, 3.0, -1.0])
    mu = torch.randn(4000, 4, generator=generator) * scale + shift
    found = evaluate(plant(mu=mu, logvar=torch.zeros_like(mu)), ["active_dims", "mu_mean", "mu_variance"])
    assert found["active_dims"] == 2.0, "a constant mu far from 0 says nothing about the photo"
    assert found["mu_mean"] == pytest.approx([0, 0, 3, -1], abs=0.05)
    assert found["mu_variance"] == pytest.approx([1, 0.0025, 0, 0.09], rel=0.1, abs=1e-6)


def test_one_photo_has_no_variance(plant: Plant) -> None:
    one = plant(mu=torch.ones(1, 4), logvar=torch.zeros(1, 4))
    assert evaluate(one, ["active_dims", "mu_variance"]) == {"active_dims": 0.0, "mu_variance": [0.0] * 4}


def normal_codes(count: int, dims: int = 3) -> torch.Tensor:
    return torch.randn(count, dims, generator=torch.Generator().manual_seed(1))


def test_distance_of_known_codes_from_the_prior() -> None:
    """2-Wasserstein distances of Gaussians: |mean| along a line, |1 - sigma| for another width."""
    codes = normal_codes(4000)
    small = sliced_wasserstein(codes)
    assert 0 < small < 0.05
    assert sliced_wasserstein(torch.zeros(4000, 3)) == pytest.approx(1, abs=0.01), "collapsed"
    assert sliced_wasserstein(2 * codes) == pytest.approx(1, abs=0.05), "twice as wide"
    assert sliced_wasserstein(0.25 * codes) == pytest.approx(0.75, abs=0.05)


def test_a_shift_counts_along_the_directions() -> None:
    """Mean square of the component of a vector along random directions in D dims: its square / D."""
    codes = normal_codes(4000)
    everywhere, one_dim = (sliced_wasserstein(codes + torch.tensor(shift)) for shift in ([0.5] * 3, [0.5, 0.0, 0.0]))
    assert everywhere == pytest.approx(0.5, abs=0.05)
    assert one_dim == pytest.approx(0.5 / math.sqrt(3), abs=0.05)


def test_more_codes_of_the_prior_are_nearer_to_it() -> None:
    found = [sliced_wasserstein(normal_codes(count)) for count in (1, 20, 200, 2000)]
    assert found == sorted(found, reverse=True)


def test_two_lumps_are_not_the_prior() -> None:
    """Mean 0 and variance 1, and nothing in the middle: E(|z| - 1)^2 = 2 - 2 E|z|."""
    lumps = torch.tensor([[-1.0], [1.0]]).repeat(2000, 1)
    assert sliced_wasserstein(lumps) == pytest.approx(math.sqrt(2 - 2 * LATENT_CHANCE), abs=1e-3)


def test_the_distance_is_the_same_every_time_and_in_any_order() -> None:
    codes = normal_codes(100)
    assert sliced_wasserstein(codes) == sliced_wasserstein(codes.flip(0)) == sliced_wasserstein(codes.double())
