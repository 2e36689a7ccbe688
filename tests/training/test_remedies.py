"""Each remedy does what its name says: what it changes, what it leaves, and where its gradient goes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from small_steps import OFF, batch_for, gradients, make_step, moved, reached, states
from torch import Tensor, nn

from bicyclegan import losses
from bicyclegan.config import ModelConfig
from bicyclegan.training.config import OptimConfig
from bicyclegan.training.disturb import Disturbance
from bicyclegan.training.limits import bound_weights, clip_gradients
from bicyclegan.training.noise import draw_noise
from bicyclegan.training.step import TrainStep, loss_functions
from bicyclegan.training.weights import RunLength

MakeStep = Callable[..., TrainStep]


@pytest.fixture
def start(tiny_config: ModelConfig) -> MakeStep:
    """`start(objective, model={}, optim={}, options={}, **fields of LossConfig)`."""
    return partial(make_step, tiny_config)


def all_gradients(step: TrainStep) -> Tensor:
    """Of all networks, in one row."""
    return torch.cat([grad.flatten() for _, network in step.networks.named() for grad in gradients(network).values()])


def largest_weight(network: nn.Module) -> float:
    return max(weight.abs().max().item() for weight in network.parameters())


# Adversarial losses


@pytest.mark.parametrize("name", ["hinge", "wgan", "wgan-gp"])
@pytest.mark.parametrize("objective", ["bicyclegan", "pix2pix", "clr-gan"])
def test_every_adversarial_loss_trains_every_network(start: MakeStep, name: str, objective: str) -> None:
    step = start(objective, adversarial=name, reduction="sample")
    before = states(step.networks)
    record = step(*batch_for(step))
    assert moved(before, step.networks) == set(before)
    assert all(loss.isfinite() for loss in record.losses.values())


def test_clipping_bounds_every_weight_of_the_critics_and_of_nobody_else(start: MakeStep) -> None:
    step = start(adversarial="wgan", clip_weights=0.02)
    networks = step.networks
    assert largest_weight(networks.discriminator) > 0.02
    step(*batch_for(step))
    for critic in (networks.discriminator, networks.discriminator2):
        assert largest_weight(critic) <= 0.02
    assert largest_weight(networks.generator) > 0.02
    assert largest_weight(networks.encoder) > 0.02


def test_weights_within_the_bound_stay_to_the_bit() -> None:
    network = nn.Linear(4, 4)
    nn.init.uniform_(network.weight, -0.5, 0.5)
    before = network.weight.clone()
    bound_weights(network, 0.25)
    inside = before.abs() <= 0.25
    assert torch.equal(network.weight[inside], before[inside])
    assert (network.weight[~inside].abs() == 0.25).all()


def test_the_penalty_speaks_to_the_critics_alone(start: MakeStep) -> None:
    """G's and E's gradients are those of a run without it; D's are not."""
    batches = []
    for weight in (0.0, 10.0):
        step = start(adversarial="wgan-gp", lambda_gp=weight)
        record = step(*batch_for(step))
        batches.append((step, record))
    (without, first), (penalised, second) = batches
    assert not any(name.startswith("penalty") for name in first.losses)
    assert {"penalty_encoded", "penalty_random"} <= set(second.losses)
    for name in ("generator", "encoder"):
        ours, theirs = (gradients(getattr(step.networks, name)) for step in (without, penalised))
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    ours, theirs = (gradients(step.networks.discriminator) for step in (without, penalised))
    assert any(not torch.allclose(ours[key], theirs[key]) for key in ours)


def test_the_penalty_pulls_the_slope_to_one(start: MakeStep) -> None:
    step = start("pix2pix", adversarial="wgan-gp", lambda_l1=0, optim={"learning_rate": 2e-3})
    batch = batch_for(step)
    values = [step(*batch).losses["penalty_encoded"].item() for _ in range(25)]
    assert min(values[-5:]) < 0.5 * values[0]


@pytest.mark.parametrize("model", [{}, {"conditional_discriminator": True}, {"norm": "batch"}])
def test_the_penalty_goes_through_every_critic(start: MakeStep, model: dict[str, object]) -> None:
    step = start(adversarial="wgan-gp", model=model)
    assert step(*batch_for(step), measure_norms=True).gradient_norms["discriminator2"] > 0


# Kinds of pixel and latent losses


def test_l2_losses_have_names_of_their_own(start: MakeStep) -> None:
    """The chance line of latent L1 means nothing for them."""
    step = start(pixel_loss="l2", latent_loss="l2")
    record = step(*batch_for(step), measure_shares=True)
    assert {"l2", "latent_l2"} <= set(record.losses)
    assert {"l1", "latent_l1"}.isdisjoint(record.losses)
    assert record.gradient_shares["l2"] > 0
    assert record.gradient_shares["latent_l2"] > 0


def test_latent_l2_leaves_the_encoder_too(start: MakeStep) -> None:
    step = start(**{**OFF, "lambda_z": 1.0}, latent_loss="l2")
    step(*batch_for(step))
    assert reached(step.networks.generator)
    assert not reached(step.networks.encoder)


# Mode seeking


@pytest.mark.parametrize("objective", ["bicyclegan", "pix2pix+noise", "clr-gan"])
def test_mode_seeking_moves_pictures_of_different_codes_apart(start: MakeStep, objective: str) -> None:
    step = start(objective, **{**OFF, "lambda_mode_seeking": 1.0, "lambda_z": 1e-9}, optim={"learning_rate": 1e-3})
    batch = batch_for(step)
    values = [step(*batch).losses["mode_seeking"].item() for _ in range(15)]
    assert values[-1] < 0.8 * values[0]


def test_mode_seeking_reaches_the_generator_by_the_random_path_alone(start: MakeStep) -> None:
    """The encoded picture is pulled to its photo; it is not pushed away from it, and E hears nothing."""
    step = start(**{**OFF, "lambda_mode_seeking": 1.0})
    record = step(*batch_for(step), measure_shares=True)
    assert record.gradient_shares == {"mode_seeking": record.gradient_shares["mode_seeking"]}
    assert reached(step.networks.generator)
    assert not reached(step.networks.encoder)


def test_mode_seeking_costs_another_picture_only_where_there_is_one_path(start: MakeStep) -> None:
    for objective, expected in (("bicyclegan", 2), ("clr-gan", 2)):
        step = start(objective, lambda_mode_seeking=0.1)
        calls: list[object] = []
        step.networks.generator.register_forward_hook(lambda *_, calls=calls: calls.append(0))
        step(*batch_for(step))
        assert len(calls) == expected


# Perceptual


def edges_and_means(pictures: Tensor) -> list[Tensor]:
    """Two layers of features."""
    return [pictures[..., 1:] - pictures[..., :-1], pictures.mean(dim=(2, 3))]


def test_the_perceptual_loss_teaches_the_encoded_path(start: MakeStep) -> None:
    functions = loss_functions(start().config, partial(losses.perceptual, edges_and_means))
    step = start(**{**OFF, "lambda_perceptual": 1.0}, options={"functions": functions})
    batch = batch_for(step)
    a, b, noise = batch
    mu, logvar = step.networks.encoder(b[:2])
    fake = step.networks.generator(a[:2], losses.reparameterise(mu, logvar, noise.encoder))
    expected = sum((x - y).abs().mean() for x, y in zip(edges_and_means(fake), edges_and_means(b[:2]), strict=True))
    torch.testing.assert_close(step(*batch).losses["perceptual"], expected.detach())
    assert reached(step.networks.generator)
    assert reached(step.networks.encoder)


# Accumulation


@pytest.mark.parametrize(
    "fields",
    [{}, {"adversarial": "wgan-gp"}, {"lambda_mode_seeking": 0.1, "kl_warmup": 9}, {"share_discriminator": True}],
    ids=["default", "wgan-gp", "mode seeking", "shared"],
)
def test_four_times_two_are_eight(start: MakeStep, fields: dict[str, object]) -> None:
    """Gradients, losses, scores, shares and codes of a batch computed in four parts are those of the whole."""
    whole, parts = start(**fields), start(**fields, options={"accumulate": 4})
    batch = batch_for(whole, size=8)
    first, second = (step(*batch, number=3, measure_norms=True, measure_shares=True) for step in (whole, parts))
    scale = all_gradients(whole).abs().max()
    torch.testing.assert_close(all_gradients(parts), all_gradients(whole), atol=1e-5 * scale.item(), rtol=1e-4)
    for kind in ("losses", "scores", "inputs", "gradient_norms", "gradient_shares"):
        torch.testing.assert_close(getattr(second, kind), getattr(first, kind), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close((second.mu, second.logvar), (first.mu, first.logvar), atol=1e-6, rtol=1e-5)
    assert sum(len(each) for each in batch_parts(batch)) == 8


def batch_parts(batch: tuple[Tensor, ...]) -> list[Tensor]:
    from bicyclegan.training.step import Batch

    parts = list(Batch(*batch).parts(2, two_paths=True))
    whole = torch.cat([part.a[:2] for part in parts] + [part.a[2:] for part in parts])
    assert torch.equal(whole, batch[0]), "halves are not kept apart"
    assert [part.row for part in parts] == [0, 2]
    return [part.a for part in parts]


def test_parts_have_the_noise_of_the_whole(start: MakeStep) -> None:
    disturbance = Disturbance(seed=1, number=2, condition=0.1, instance=0.1)
    whole, parts = start(), start(options={"accumulate": 2})
    batch = batch_for(whole, size=8)
    first, second = (step(*batch, disturbance=disturbance).losses for step in (whole, parts))
    torch.testing.assert_close(second, first, atol=1e-5, rtol=1e-4)


def test_one_path_is_split_as_well(start: MakeStep) -> None:
    whole, parts = start("pix2pix"), start("pix2pix", options={"accumulate": 3})
    batch = batch_for(whole, size=6)
    torch.testing.assert_close(parts(*batch).losses, whole(*batch).losses, atol=1e-5, rtol=1e-4)


# Gradients and weights


def test_gradients_are_cut_back_and_told_as_they_were(start: MakeStep) -> None:
    optim = OptimConfig(clip_norm=0.01)
    step = start(options={"clip": lambda network: clip_gradients(network, optim)})
    plain = start()
    batch = batch_for(step)
    told, expected = (each(*batch, measure_norms=True).gradient_norms for each in (step, plain))
    assert told == expected
    for name, network in step.networks.named():
        norm = torch.cat([grad.flatten() for grad in gradients(network).values()]).norm()
        assert told[name] > 0.011
        torch.testing.assert_close(norm, torch.tensor(0.01), rtol=1e-3, atol=0)


def test_single_gradients_are_cut_back_first() -> None:
    network = nn.Linear(2, 1, bias=False)
    network.weight.grad = torch.tensor([[3.0, -0.5]])
    clip_gradients(network, OptimConfig(clip_value=1.0))
    assert network.weight.grad.tolist() == [[1.0, -0.5]]
    clip_gradients(network, OptimConfig(clip_value=1.0, clip_norm=0.5))
    torch.testing.assert_close(network.weight.grad, torch.tensor([[1.0, -0.5]]) * 0.5 / 1.25**0.5, rtol=1e-4, atol=0)
    clip_gradients(network, OptimConfig())
    assert network.weight.grad.norm().item() == pytest.approx(0.5, rel=1e-4)


def test_weights_decay_without_a_gradient_and_only_if_asked_to(start: MakeStep) -> None:
    for decay, factor in ((0.0, 1.0), (0.1, 1 - 0.1 * 1e-2)):
        step = start(optim={"weight_decay": decay, "learning_rate": 1e-2})
        weight = next(step.networks.generator.parameters())
        before, weight.grad = weight.detach().clone(), torch.zeros_like(weight)
        step.optimizers["generator"].step()
        torch.testing.assert_close(weight.detach(), factor * before)


# Weights over time


def test_a_scheduled_weight_counts_in_its_update(start: MakeStep) -> None:
    step = start(**{**OFF, "lambda_l1": 2.0}, weight_schedule="lambda_l1=6@50%", options={"length": RunLength(10, 1.0)})
    batch = batch_for(step)
    for optimizer in step.optimizers.values():
        optimizer.param_groups[0]["lr"] = 0.0
    early, late = (step(*batch, number=number, measure_norms=True).gradient_norms["generator"] for number in (5, 6))
    torch.testing.assert_close(late, 3 * early, rtol=1e-4, atol=0)
    assert [step.weights(number)["l1"] for number in (5, 6)] == [2, 6]


def test_a_path_is_judged_from_the_start_when_its_weight_comes_later(start: MakeStep) -> None:
    """D learns before G has to listen."""
    fields = {"lambda_gan2": 0, "weight_schedule": "lambda_gan2=1@5"}
    step = start(**fields)
    before = states(step.networks)
    record = step(*batch_for(step), number=1, measure_shares=True)
    assert "discriminator2" in moved(before, step.networks)
    assert record.gradient_shares["gan_random"] == 0
    assert step(*batch_for(step), number=6, measure_shares=True).gradient_shares["gan_random"] > 0


# Noise on pictures


def test_instance_noise_is_on_what_is_judged_and_nowhere_else(start: MakeStep) -> None:
    plain, noisy = start(), start()
    batch = batch_for(plain)
    first, second = plain(*batch), noisy(*batch, disturbance=Disturbance(instance=0.5))
    for name in ("l1", "kl", "latent_l1"):
        assert torch.equal(first.losses[name], second.losses[name])
    assert all(first.scores[name] != second.scores[name] for name in first.scores)
    assert first.inputs == second.inputs, "what is told of the inputs is without noise"


def test_condition_noise_changes_what_is_painted_but_not_what_the_critic_compares_with(start: MakeStep) -> None:
    model = {"conditional_discriminator": True}
    plain, noisy = start(model=model), start(model=model)
    batch = batch_for(plain)
    seen: list[Tensor] = []
    noisy.networks.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][:, :1]))
    first, second = plain(*batch), noisy(*batch, disturbance=Disturbance(condition=0.5))
    assert first.losses["l1"] != second.losses["l1"]
    assert first.losses["kl"] == second.losses["kl"]
    assert all(torch.equal(sketch, batch[0][:2]) for sketch in seen)


def test_noise_of_a_penalty_is_that_of_the_samples(start: MakeStep) -> None:
    step = start("pix2pix", adversarial="wgan-gp", lambda_l1=0)
    a, b, _ = batch_for(step)
    for optimizer in step.optimizers.values():
        optimizer.param_groups[0]["lr"] = 0.0
    penalties = [step(a, b, draw_noise(0, number, range(4), 0)).losses["penalty_encoded"] for number in (1, 1, 2)]
    assert penalties[0] == penalties[1] != penalties[2]
