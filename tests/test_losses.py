"""The losses: values worked out by other means, where gradients point, and what a batch size does to them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from bicyclegan import losses
from bicyclegan.errors import UserError
from bicyclegan.losses import ADVERSARIAL

REAL, FAKE = 0.8, 0.3
LOG_ODDS = {score: math.log(score / (1 - score)) for score in (REAL, FAKE)}
"""Scores whose sigmoid is 0.8 and 0.3."""


def scores(*values: float) -> Tensor:
    """One map of 2x2 patches a sample, all of one value."""
    return torch.tensor(values)[:, None, None, None].expand(-1, 1, 2, 2).clone()


def codes(count: int = 6, dim: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, dim, generator=generator), torch.randn(count, dim, generator=generator)


# Adversarial


def test_least_squares_by_hand() -> None:
    loss = ADVERSARIAL["lsgan"]
    assert loss.real(scores(REAL)).item() == pytest.approx((REAL - 1) ** 2)
    assert loss.fake(scores(FAKE)).item() == pytest.approx(FAKE**2)
    assert loss.generator(scores(FAKE)).item() == pytest.approx((FAKE - 1) ** 2)


def test_cross_entropy_by_hand() -> None:
    loss = ADVERSARIAL["vanilla"]
    assert loss.real(scores(LOG_ODDS[REAL])).item() == pytest.approx(-math.log(REAL))
    assert loss.fake(scores(LOG_ODDS[FAKE])).item() == pytest.approx(-math.log(1 - FAKE))
    assert loss.generator(scores(LOG_ODDS[FAKE])).item() == pytest.approx(-math.log(FAKE)), "the non-saturating one"


@pytest.mark.parametrize("loss", ADVERSARIAL.values(), ids=ADVERSARIAL)
def test_each_side_pulls_scores_its_way(loss: losses.AdversarialLoss) -> None:
    """Of the discriminator real up and fake down, of the generator fake up: minimising goes against the gradient."""
    for side, direction in ((loss.real, 1), (loss.fake, -1), (loss.generator, 1)):
        given = scores(0.5).requires_grad_()
        side(given).backward()
        assert torch.equal(-given.grad.sign(), torch.full_like(given, direction))


def test_cross_entropy_of_extreme_scores_is_finite_and_still_teaches() -> None:
    given = scores(-200.0).requires_grad_()
    loss = ADVERSARIAL["vanilla"].generator(given)
    loss.backward()
    assert loss.item() == pytest.approx(200)
    assert given.grad.sum().item() == pytest.approx(-1)


def test_an_unknown_adversarial_loss_names_those_there_are() -> None:
    with pytest.raises(
        UserError, match=r"There is no adversarial loss 'ns'; use one of lsgan, vanilla, hinge, wgan, wgan-gp\."
    ):
        losses.adversarial_loss("ns")
    assert losses.adversarial_loss("lsgan") is ADVERSARIAL["lsgan"]


def test_scales_are_added_and_samples_averaged() -> None:
    fine, coarse = scores(0.1, 0.5), scores(0.9, 0.7)
    loss = losses.over_scales(losses.squared_distance(1), [fine, coarse])
    assert loss.item() == pytest.approx((0.9**2 + 0.5**2) / 2 + (0.1**2 + 0.3**2) / 2)
    assert torch.equal(loss, losses.over_scales(losses.squared_distance(1), [fine, coarse], "official"))


def test_a_single_scale_is_summed_over_samples_only_officially() -> None:
    """The official loop over scales walks over samples when it is given one map in place of a list."""
    [single] = batch = [scores(0.1, 0.5, 0.2)]
    loss = losses.squared_distance(1)
    by_sample = sum(loss(each).item() for each in single)
    assert losses.over_scales(loss, batch).item() == pytest.approx(by_sample / 3)
    assert losses.over_scales(loss, batch, "official").item() == pytest.approx(by_sample)


# KL


def test_kl_is_that_of_the_distributions() -> None:
    mu, logvar = codes()
    expected = kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0, 1))
    torch.testing.assert_close(losses.kl_per_dim(mu, logvar), expected)
    torch.testing.assert_close(losses.kl_loss(mu, logvar), expected.sum(dim=1).mean())
    torch.testing.assert_close(losses.kl_loss(mu, logvar, "official"), expected.sum())


def test_kl_is_nothing_at_the_prior_and_nowhere_else() -> None:
    assert losses.kl_per_dim(torch.zeros(1, 3), torch.zeros(1, 3)).abs().max() == 0
    assert losses.kl_per_dim(*codes()).min() > 0


def test_kl_does_not_know_the_batch_size_but_officially_does() -> None:
    mu, logvar = (each.requires_grad_() for each in codes())
    gradients = []
    for times in (1, 3):
        mu.grad = None
        losses.kl_loss(mu.repeat(times, 1), logvar.repeat(times, 1)).backward()
        gradients.append(mu.grad)
    torch.testing.assert_close(*gradients)
    once, thrice = (losses.kl_loss(mu.repeat(n, 1), logvar.repeat(n, 1), "official") for n in (1, 3))
    torch.testing.assert_close(thrice, 3 * once)


def test_free_bits_tax_only_dims_that_tell_more() -> None:
    mu = torch.tensor([[0.1, 2.0], [-0.1, -2.0]], requires_grad=True)
    logvar = torch.zeros(2, 2)
    silent, loud = losses.kl_per_dim(mu, logvar).mean(dim=0).tolist()
    assert silent < 0.5 < loud
    kl = losses.kl_loss(mu, logvar, free_bits=0.5)
    assert kl.item() == pytest.approx(0.5 + loud)
    kl.backward()
    assert mu.grad[:, 0].abs().max() == 0
    torch.testing.assert_close(mu.grad[:, 1], mu.detach()[:, 1] / 2)
    assert losses.kl_loss(mu, logvar, "official", free_bits=0.5).item() == pytest.approx(2 * kl.item())


# Pixels and codes


def test_pixel_and_latent_losses_are_means() -> None:
    one, two = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    two[0] = 0.5
    assert losses.pixel_l1(one, two).item() == pytest.approx(0.25)
    assert losses.latent_l1(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, -2.0]])).item() == pytest.approx(2.5)


def test_an_encoder_that_recovers_nothing_scores_the_chance_line() -> None:
    z = torch.randn(20_000, 8, generator=torch.Generator().manual_seed(0))
    chance = losses.latent_l1(torch.zeros_like(z), z).item()
    assert chance == pytest.approx(math.sqrt(2 / math.pi), abs=0.005)
    assert round(math.sqrt(2 / math.pi), 3) == 0.798


def test_a_code_is_drawn_with_the_mean_and_spread_that_were_read() -> None:
    mu, logvar = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, math.log(9)]])
    noise = torch.randn(50_000, 2, generator=torch.Generator().manual_seed(0))
    z = losses.reparameterise(mu, logvar, noise)
    torch.testing.assert_close(z.mean(dim=0), mu[0], atol=0.05, rtol=0)
    torch.testing.assert_close(z.std(dim=0), torch.tensor([1.0, 3.0]), atol=0.05, rtol=0)
    assert torch.equal(losses.reparameterise(mu, logvar, torch.zeros(1, 2)), mu)


def test_a_code_passes_gradients_to_mean_and_spread() -> None:
    mu, logvar = torch.zeros(1, 2, requires_grad=True), torch.zeros(1, 2, requires_grad=True)
    noise = torch.tensor([[3.0, -1.0]])
    losses.reparameterise(mu, logvar, noise).sum().backward()
    assert torch.equal(mu.grad, torch.ones(1, 2))
    assert torch.equal(logvar.grad, noise / 2)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: losses.over_scales(losses.squared_distance(1), [x[:, None]]),
        lambda x: losses.kl_loss(x[0], x[1]),
        lambda x: losses.pixel_l1(x, -x),
        lambda x: losses.latent_l1(x[0], x[1]),
        lambda x: losses.reparameterise(x[0], x[1], x[0].float()).sum(),
    ],
    ids=["adversarial", "kl", "pixel", "latent", "reparameterise"],
)
def test_half_precision_is_computed_in_single(loss: Callable[[Tensor], Tensor]) -> None:
    x = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    computed = loss(x)
    assert computed.dtype == torch.float32
    torch.testing.assert_close(computed, loss(x.float()))


# Remedies


def test_hinge_by_hand() -> None:
    loss = ADVERSARIAL["hinge"]
    assert loss.real(scores(0.4, 1.5)).item() == pytest.approx(0.6 / 2)
    assert loss.fake(scores(0.4, -1.5)).item() == pytest.approx(1.4 / 2)
    assert loss.generator(scores(0.4, -1.5)).item() == pytest.approx(1.1 / 2)


@pytest.mark.parametrize("name", ["wgan", "wgan-gp"])
def test_a_critic_widens_the_distance_and_the_generator_closes_it(name: str) -> None:
    loss = ADVERSARIAL[name]
    real, fake = scores(3.0, 1.0), scores(-1.0, 0.0)
    assert (loss.real(real) + loss.fake(fake)).item() == pytest.approx(-2.5), "minus the distance of the means"
    assert loss.generator(fake).item() == pytest.approx(0.5)


def slope_critic(slope: float) -> Callable[[Tensor], list[Tensor]]:
    """Two scales that together rise by `slope` along the first pixel, and by nothing else."""
    return lambda photo: [slope / 4 * photo[:, :1, :1, :1].expand(-1, 1, 3, 3), 3 * slope / 4 * photo[:, :1, :1, :1]]


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0, 3.0])
def test_the_gradient_penalty_is_the_distance_of_the_slope_from_one(slope: float) -> None:
    real, fake = torch.rand(3, 3, 8, 8), torch.rand(3, 3, 8, 8)
    penalty = losses.gradient_penalty(slope_critic(slope), real, fake, torch.rand(3))
    assert penalty.item() == pytest.approx((slope - 1) ** 2, abs=1e-5)


def test_the_gradient_penalty_looks_between_the_real_and_the_fake() -> None:
    """The slope of x^2 / 2 is x: at the fake 0, at the real one 1, half way 0.5."""
    real, fake = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
    values = [
        losses.gradient_penalty(lambda photo: [photo.square() / 2], real, fake, torch.tensor([place])).item()
        for place in (0.0, 0.5, 1.0)
    ]
    assert values == pytest.approx([1.0, 0.25, 0.0])


def test_the_gradient_penalty_teaches_the_critic_and_leaves_pictures_alone() -> None:
    weight = torch.tensor(3.0, requires_grad=True)
    fake = torch.rand(2, 1, 2, 2, requires_grad=True)
    losses.gradient_penalty(
        lambda p: [weight * p[:, :, :1, :1]], torch.rand(2, 1, 2, 2), fake, torch.rand(2)
    ).backward()
    assert weight.grad.item() == pytest.approx(2 * (3 - 1))
    assert fake.grad is None


def test_squared_losses_by_hand() -> None:
    fake, real = torch.tensor([[[[0.5, -1.0]]]]), torch.tensor([[[[0.0, 1.0]]]])
    assert losses.pixel_l2(fake, real).item() == pytest.approx((0.25 + 4) / 2)
    z = torch.randn(4000, 8, generator=torch.Generator().manual_seed(0))
    assert losses.latent_l2(torch.zeros_like(z), z).item() == pytest.approx(1, abs=0.02)
    assert losses.latent_l2(z, z).item() == 0


def test_the_best_answer_to_doubt_is_a_blur_in_l2_and_a_choice_in_l1() -> None:
    """Three photos of one sketch, two black and one white: L1 paints black, L2 paints grey."""
    photos = torch.tensor([-1.0, -1.0, 1.0]).view(3, 1, 1, 1)
    answers = torch.linspace(-1, 1, 61)
    best = {
        name: answers[torch.stack([loss(answer.expand_as(photos), photos) for answer in answers]).argmin()].item()
        for name, loss in losses.PIXEL.items()
    }
    assert best["l1"] == -1
    assert best["l2"] == pytest.approx(-1 / 3, abs=0.04)


def test_mode_seeking_falls_when_pictures_move_apart_and_rises_when_codes_do() -> None:
    one, (z, other_z) = torch.zeros(6, 3, 4, 4), codes()
    values = [losses.mode_seeking(one, one + apart, z, other_z).item() for apart in (0.0, 0.1, 0.5, 2.0)]
    assert values == sorted(values, reverse=True)
    assert values[1] == pytest.approx((z - other_z).abs().mean().item() / (0.1 + losses.LEAST_DIFFERENCE), rel=1e-4)
    assert losses.mode_seeking(one, one + 0.1, 2 * z, 2 * other_z).item() == pytest.approx(2 * values[1])


def test_mode_seeking_of_equal_pictures_is_finite_and_leaves_codes_alone() -> None:
    fake, (z, other_z) = torch.zeros(6, 3, 4, 4, requires_grad=True), codes()
    z.requires_grad_()
    loss = losses.mode_seeking(fake, fake.detach() + 1e-6, z, other_z)
    loss.backward()
    assert loss.isfinite()
    assert fake.grad.isfinite().all()
    assert fake.grad.abs().max() > 0
    assert z.grad is None


def test_mode_seeking_of_a_sample_does_not_know_its_neighbours() -> None:
    pictures, others, (z, other_z) = torch.rand(6, 3, 4, 4), torch.rand(6, 3, 4, 4), codes()
    each = [losses.mode_seeking(pictures[[k]], others[[k]], z[[k]], other_z[[k]]) for k in range(6)]
    torch.testing.assert_close(losses.mode_seeking(pictures, others, z, other_z), torch.stack(each).mean())


def test_perceptual_adds_up_layers_and_holds_the_photo_still() -> None:
    def features(pictures: Tensor) -> list[Tensor]:
        return [pictures, 10 * pictures.mean(dim=1)]

    fake, real = torch.zeros(2, 3, 4, 4, requires_grad=True), torch.full((2, 3, 4, 4), 0.5, requires_grad=True)
    loss = losses.perceptual(features, fake, real)
    assert loss.item() == pytest.approx(0.5 + 5)
    loss.backward()
    assert fake.grad.abs().max() > 0
    assert real.grad is None
    assert losses.perceptual(features, real, real).item() == 0
