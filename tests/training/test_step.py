"""One update: which loss reaches which network, in what order things happen, and that watching changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from small_steps import OFF, Given, batch_for, gradients, make_step, moved, reached, states, used
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from bicyclegan import losses
from bicyclegan.config import ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.losses import ADVERSARIAL, AdversarialLoss
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.networks import Networks, build_networks
from bicyclegan.training.noise import Noise
from bicyclegan.training.objectives import OBJECTIVES
from bicyclegan.training.step import Batch, LossFunctions, StepRecord, TrainStep

LSGAN = ADVERSARIAL["lsgan"]


@pytest.fixture
def start(tiny_config: ModelConfig) -> Callable[..., TrainStep]:
    """`start(objective, functions=None, before_update=(), model={}, **fields of LossConfig)`: see `make_step`."""

    def make(objective: str = "bicyclegan", **fields: object) -> TrainStep:
        options = {name: fields.pop(name) for name in ("functions", "before_update", "autocast") if name in fields}
        return make_step(tiny_config, objective, options=options, **fields)

    return make


# Gradient routing


@pytest.mark.parametrize(
    ("objective", "weight", "generator", "encoder"),
    [
        ("bicyclegan", "lambda_z", True, False),
        ("clr-gan", "lambda_z", True, True),
        ("bicyclegan", "lambda_kl", False, True),
        ("bicyclegan", "lambda_l1", True, True),
        ("bicyclegan", "lambda_gan", True, True),
        ("bicyclegan", "lambda_gan2", True, False),
        ("cvae-gan", "lambda_kl", False, True),
        ("cae-gan", "lambda_l1", True, True),
        ("pix2pix+noise", "lambda_l1", True, None),
    ],
)
def test_each_loss_reaches_the_networks_it_is_meant_for(
    start: Callable[..., TrainStep], objective: str, weight: str, generator: bool, encoder: bool | None
) -> None:
    step = start(objective, **{**OFF, weight: 1.0})
    step(*batch_for(step))
    assert reached(step.networks.generator) == generator
    assert (step.networks.encoder and reached(step.networks.encoder)) == encoder


def test_recovering_the_code_moves_the_generator_and_leaves_the_encoder(start: Callable[..., TrainStep]) -> None:
    step = start(**{**OFF, "lambda_z": 1.0})
    before = states(step.networks)
    step(*batch_for(step))
    assert moved(before, step.networks) == {"generator"}


def louder(loss: AdversarialLoss, **factors: float) -> AdversarialLoss:
    """The same, with some sides times a factor."""
    scaled = {side: (lambda s, f=f, side=side: f * getattr(loss, side)(s)) for side, f in factors.items()}
    return replace(loss, **scaled)


@pytest.mark.parametrize("reduction", ["sample", "official"])
@pytest.mark.parametrize(
    ("factors", "changed"),
    [
        ({"real": 3.0, "fake": 3.0}, {"discriminator", "discriminator2"}),
        ({"generator": 3.0}, {"generator", "encoder"}),
    ],
    ids=["of D", "of G"],
)
def test_what_one_side_minimises_leaves_the_other_untouched(
    start: Callable[..., TrainStep], reduction: str, factors: dict[str, float], changed: set[str]
) -> None:
    """Adam hides a factor; gradients do not. Those of the other side must agree to the last bit."""
    plain = start(reduction=reduction)
    loud = start(reduction=reduction, functions=LossFunctions(louder(LSGAN, **factors)))
    for step in (plain, loud):
        step(*batch_for(step))
    differs = {
        name
        for (name, one), (_, two) in zip(plain.networks.named(), loud.networks.named(), strict=True)
        if any(not torch.equal(a, b) for a, b in zip(gradients(one).values(), gradients(two).values(), strict=True))
    }
    assert differs == changed


def judge(name: str, scores: list[Tensor], target: float) -> Tensor:
    """Sum over scales of the adversarial loss."""
    compare = {"lsgan": F.mse_loss, "vanilla": F.binary_cross_entropy_with_logits}[name]
    return sum(compare(each, torch.full_like(each, target)) for each in scores)


def by_hand(step: TrainStep, a: Tensor, b: Tensor, noise: Noise) -> dict[str, tuple[Tensor, ...]]:
    """Gradients of every network as the paper has them, each by a graph of its own (two scales, two paths)."""
    nets, config = step.networks, step.config
    generator, encoder, first = nets.generator, nets.encoder, nets.discriminator
    second = nets.discriminator2 or first
    conditional = generator.config.conditional_discriminator
    half = len(a) // 2

    def shown(sketch: Tensor, photo: Tensor) -> Tensor:
        return torch.cat([sketch, photo], dim=1) if conditional else photo

    mu, logvar = encoder(b[:half])
    fake = generator(a[:half], mu + (logvar / 2).exp() * noise.encoder)
    random = generator(a[:half], noise.random)
    kl = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0, 1)).sum(dim=1)
    both = config.lambda_gan * judge(config.adversarial, first(shown(a[:half], fake)), 1)
    both = both + config.lambda_l1 * (fake - b[:half]).abs().mean()
    both = both + config.lambda_kl * (kl.sum() if config.reduction == "official" else kl.mean())
    alone = config.lambda_gan2 * judge(config.adversarial, second(shown(a[:half], random)), 1)
    alone = alone + config.lambda_z * (encoder(random)[0] - noise.random).abs().mean()
    fake, random = fake.detach(), random.detach()
    encoded = judge(config.adversarial, first(shown(a[:half], b[:half])), 1)
    encoded = encoded + judge(config.adversarial, first(shown(a[:half], fake)), 0)
    other = judge(config.adversarial, second(shown(a[half:], b[half:])), 1)
    other = other + judge(config.adversarial, second(shown(a[:half], random)), 0)
    totals = {"generator": both + alone, "encoder": both, "discriminator": encoded, "discriminator2": other}
    if nets.discriminator2 is None:
        totals["discriminator"] = encoded + other
    return {
        name: torch.autograd.grad(totals[name], list(network.parameters()), retain_graph=True)
        for name, network in nets.named()
    }


@pytest.mark.parametrize("reduction", ["sample", "official"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"adversarial": "vanilla"},
        {"share_discriminator": True},
        {"lambda_gan": 0.3, "lambda_gan2": 2.0, "lambda_l1": 1.0, "lambda_z": 4.0, "lambda_kl": 3.0},
        {"model": {"conditional_discriminator": True}},
        {"model": {"norm": "batch", "inject": "input", "encoder": "conv"}},
    ],
    ids=["default", "vanilla", "shared", "weights", "conditional", "batch norm"],
)
def test_gradients_are_those_worked_out_by_hand(
    start: Callable[..., TrainStep], fields: dict[str, object], reduction: str
) -> None:
    step = start(reduction=reduction, **fields)
    batch = batch_for(step)
    expected = by_hand(step, *batch)
    step(*batch)
    for name, network in step.networks.named():
        scale = max(each.abs().max().item() for each in expected[name])
        for (key, ours), theirs in zip(gradients(network).items(), expected[name], strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5 * scale, rtol=1e-3, msg=lambda m, k=key: f"{k}: {m}")


# Bugs planted from outside


@pytest.mark.parametrize(
    ("functions", "cut"),
    [
        (LossFunctions(LSGAN, pixel=lambda fake, real: losses.pixel_l1(fake.detach(), real)), {"l1"}),
        (LossFunctions(LSGAN, latent=lambda code, z: losses.latent_l1(code.detach(), z)), {"latent_l1"}),
        (
            LossFunctions(replace(LSGAN, generator=lambda scores: LSGAN.generator(scores.detach()))),
            {"gan_encoded", "gan_random"},
        ),
    ],
    ids=["pixel", "latent", "adversarial"],
)
def test_a_misplaced_detach_shows_as_no_share(
    start: Callable[..., TrainStep], functions: LossFunctions, cut: set[str]
) -> None:
    step = start(functions=functions)
    record = step(*batch_for(step), measure_shares=True)
    silent = {name for name, share in record.gradient_shares.items() if share == 0}
    assert silent == {"kl"} | cut, "KL speaks to the encoder alone"
    assert set(record.losses) >= cut, "the loss itself looks healthy"


def test_losses_that_are_all_cut_off_leave_the_generator_where_it_is(start: Callable[..., TrainStep]) -> None:
    step = start("pix2pix", lambda_gan=0, functions=LossFunctions(LSGAN, pixel=lambda fake, real: fake.detach().mean()))
    before = states(step.networks)
    record = step(*batch_for(step), measure_shares=True, measure_norms=True)
    assert moved(before, step.networks) == set()
    assert record.gradient_shares["l1"] == record.gradient_norms["generator"] == 0


# Order


def test_all_backwards_come_before_any_update(start: Callable[..., TrainStep]) -> None:
    events: list[str] = []
    hooks = (lambda networks: events.append("first"), lambda networks: events.append("second"))
    step = start(before_update=hooks)
    for _, network in step.networks.named():
        for weight in network.parameters():
            weight.register_post_accumulate_grad_hook(lambda weight: events.append("backward"))
    for optimizer in step.optimizers.values():
        optimizer.register_step_pre_hook(lambda *_: events.append("update"))
    step(*batch_for(step))
    after = events.index("first")
    assert set(events[:after]) == {"backward"}
    assert events[after:] == ["first", "second", "update", "update", "update", "update"]


def test_hooks_before_the_update_see_every_gradient_and_decide(start: Callable[..., TrainStep]) -> None:
    def silence_the_encoder(networks: Networks) -> None:
        assert all(reached(network) for _, network in networks.named())
        networks.encoder.zero_grad()

    step = start(before_update=[silence_the_encoder])
    before = states(step.networks)
    record = step(*batch_for(step), measure_norms=True)
    assert moved(before, step.networks) == {"generator", "discriminator", "discriminator2"}
    assert record.gradient_norms["encoder"] == 0, "norms are those of the update"


def test_gradients_do_not_pile_up(start: Callable[..., TrainStep]) -> None:
    step = start()
    for optimizer in step.optimizers.values():
        optimizer.param_groups[0]["lr"] = 0.0
    batch = batch_for(step)
    first, again = (step(*batch, measure_norms=True).gradient_norms for _ in range(2))
    assert first == again


# Batch size and reduction


def doubled(batch: Given) -> Given:
    """Every sample twice, halves kept apart."""
    a, b, noise = batch
    half = len(a) // 2
    pairs = (torch.cat([each[:half], each[:half], each[half:], each[half:]]) for each in (a, b))
    return *pairs, Noise(noise.encoder.repeat(2, 1), noise.random.repeat(2, 1), noise.between.repeat(2))


def kl_step(start: Callable[..., TrainStep], reduction: str, *, twice: bool) -> tuple[Tensor, Tensor]:
    """Loss and E's gradient of KL alone."""
    step = start(**{**OFF, "lambda_kl": 1.0}, reduction=reduction)
    batch = batch_for(step)
    record = step(*(doubled(batch) if twice else batch), measure_norms=True)
    return record.losses["kl"], record.gradient_norms["encoder"]


def test_kl_does_not_depend_on_the_batch_size(start: Callable[..., TrainStep]) -> None:
    torch.testing.assert_close(kl_step(start, "sample", twice=True), kl_step(start, "sample", twice=False))


def test_a_weight_that_warms_up_counts_for_the_update_it_is(start: Callable[..., TrainStep]) -> None:
    """E's gradient from KL alone at the first of 4 steps is a quarter of the last one's."""
    norms = []
    for number in (1, 4, None):
        step = start("cvae-gan", lambda_gan=0, lambda_l1=0, lambda_kl=2, kl_warmup=4)
        step(*batch_for(step), number=number)
        norms.append(torch.cat([grad.flatten() for grad in gradients(step.networks.encoder).values()]))
    assert norms[1].abs().max() > 1e-6
    torch.testing.assert_close(4 * norms[0], norms[1])
    assert torch.equal(norms[1], norms[2])


def test_free_bits_reach_the_step(start: Callable[..., TrainStep]) -> None:
    step = start(free_bits=3.0)
    record = step(*batch_for(step))
    assert record.losses["kl"].item() >= 3.0 * step.networks.generator.config.latent_dim


def test_official_kl_does(start: Callable[..., TrainStep]) -> None:
    loss, gradient = kl_step(start, "official", twice=False)
    torch.testing.assert_close(kl_step(start, "official", twice=True), (2 * loss, 2 * gradient))


def test_by_default_no_loss_and_no_gradient_depends_on_the_batch_size(start: Callable[..., TrainStep]) -> None:
    records = []
    for change in (lambda batch: batch, doubled):
        step = start()
        records.append(step(*change(batch_for(step)), measure_norms=True, measure_shares=True))
    for kind in ("losses", "scores", "gradient_norms", "gradient_shares"):
        torch.testing.assert_close(getattr(records[0], kind), getattr(records[1], kind), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scales", [1, 2])
def test_both_orders_of_computing_agree_where_sums_and_means_do(start: Callable[..., TrainStep], scales: int) -> None:
    """Of one sample a sum is a mean; what is left is scoring fakes once or twice, and one backward or two."""
    steps = [start(reduction=each, model={"num_discriminators": scales}) for each in ("sample", "official")]
    one, two = (step(*batch_for(step, size=2)) for step in steps)
    torch.testing.assert_close(one.losses, two.losses)
    torch.testing.assert_close(one.scores, two.scores)
    for (name, fused), (_, official) in zip(*(step.networks.named() for step in steps), strict=True):
        expected = gradients(official)
        scale = max(each.abs().max().item() for each in expected.values())
        for key, gradient in gradients(fused).items():
            torch.testing.assert_close(gradient, expected[key], atol=1e-5 * scale, rtol=1e-3, msg=f"{name}.{key}")


# Objectives, switches


@pytest.mark.parametrize(
    ("objective", "networks"),
    [
        ("bicyclegan", {"generator", "encoder", "discriminator", "discriminator2"}),
        ("cvae-gan", {"generator", "encoder", "discriminator"}),
        ("cae-gan", {"generator", "encoder", "discriminator"}),
        ("clr-gan", {"generator", "encoder", "discriminator"}),
        ("pix2pix", {"generator", "discriminator"}),
        ("pix2pix+noise", {"generator", "discriminator"}),
    ],
)
@pytest.mark.parametrize("reduction", ["sample", "official"])
def test_each_objective_trains_what_it_needs(
    start: Callable[..., TrainStep], objective: str, networks: set[str], reduction: str
) -> None:
    step = start(objective, reduction=reduction)
    assert {name for name, _ in step.networks.named()} == set(step.optimizers) == networks
    before = states(step.networks)
    record = step(*batch_for(step), measure_shares=True, measure_norms=True)
    paths = {path.name for path in OBJECTIVES[objective].paths}
    assert set(record.losses) == used(step.config) | {f"d_{path}" for path in paths}
    assert set(record.gradient_shares) == used(step.config)
    assert set(record.scores) == {f"{kind}_{path}" for kind in ("real", "fake") for path in paths}
    assert all(torch.isfinite(loss) and not loss.requires_grad for loss in record.losses.values())
    assert moved(before, step.networks) == networks
    assert all(record.gradient_norms[name] > 0 for name in networks)
    unread = {"clr-gan": {"logvar"}, "cae-gan": {"logvar"}}.get(objective, set())
    if step.networks.encoder is not None:
        silent = {name.split(".")[0] for name, grad in gradients(step.networks.encoder).items() if grad is None}
        assert silent == unread, "only the spread that nobody draws from is not learnt"
        assert (record.mu is None) == (objective == "clr-gan")


def test_an_objective_that_only_paints_learns_its_picture(start: Callable[..., TrainStep]) -> None:
    step = start("pix2pix", lambda_gan=0)
    step.optimizers["generator"].param_groups[0]["lr"] = 5e-3
    batch = batch_for(step, size=2)
    first, *_, last = (step(*batch).losses["l1"].item() for _ in range(25))
    assert last < 0.8 * first


@pytest.mark.parametrize(
    ("fields", "terms", "networks"),
    [
        ({"lambda_gan": 0}, {"gan_encoded", "d_encoded"}, {"discriminator"}),
        ({"lambda_gan2": 0}, {"gan_random", "d_random"}, {"discriminator2"}),
        ({"lambda_l1": 0}, {"l1"}, set()),
        ({"lambda_z": 0}, {"latent_l1"}, set()),
        ({"lambda_kl": 0}, {"kl"}, set()),
        (
            {"lambda_gan": 0, "lambda_gan2": 0},
            {"gan_encoded", "d_encoded", "gan_random", "d_random"},
            {"discriminator", "discriminator2"},
        ),
    ],
)
def test_a_weight_of_zero_switches_off_the_term_and_what_only_it_needs(
    start: Callable[..., TrainStep], fields: dict[str, float], terms: set[str], networks: set[str]
) -> None:
    whole, step = start(), start(**fields)
    assert set(whole(*batch_for(whole)).losses) - set(step(*batch_for(step)).losses) == terms
    assert set(whole.optimizers) - set(step.optimizers) == networks


def test_a_shared_discriminator_judges_both_paths(start: Callable[..., TrainStep]) -> None:
    step = start(share_discriminator=True)
    assert step.networks.discriminator2 is None
    record = step(*batch_for(step))
    assert {"d_encoded", "d_random", "gan_encoded", "gan_random"} <= set(record.losses)


def seen_by(network: nn.Module) -> list[tuple[Tensor, ...]]:
    """Inputs of every call from now on."""
    seen: list[tuple[Tensor, ...]] = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(each.detach() for each in inputs)))
    return seen


def test_the_generator_paints_the_first_half_with_read_and_with_random_codes(start: Callable[..., TrainStep]) -> None:
    step = start()
    painted = seen_by(step.networks.generator)
    read = seen_by(step.networks.encoder)
    a, b, noise = batch_for(step)
    record = step(a, b, noise)
    (sketch, z), (again, random) = painted
    assert torch.equal(sketch, a[:2])
    assert torch.equal(again, a[:2])
    torch.testing.assert_close(z, record.mu + (record.logvar / 2).exp() * noise.encoder)
    assert torch.equal(random, noise.random)
    assert torch.equal(read[0][0], b[:2])


def test_a_deterministic_encoder_paints_with_the_mean(start: Callable[..., TrainStep]) -> None:
    step = start("cae-gan")
    painted = seen_by(step.networks.generator)
    record = step(*batch_for(step))
    assert torch.equal(painted[0][1], record.mu)


@pytest.mark.parametrize("conditional", [False, True])
def test_discriminators_see_each_photo_with_its_own_sketch(start: Callable[..., TrainStep], conditional: bool) -> None:
    """The random path's real photos are those of the other half."""
    step = start(model={"conditional_discriminator": conditional})
    channels = step.networks.discriminator.scales[0][0].in_channels
    assert channels == (4 if conditional else 3)
    seen = {name: seen_by(getattr(step.networks, name)) for name in ("discriminator", "discriminator2")}
    a, b, noise = batch_for(step)
    step(a, b, noise)
    pairs = torch.cat([a, b], dim=1)[:, -channels:]
    for name, own in (("discriminator", pairs[:2]), ("discriminator2", pairs[2:])):
        fake, real = (inputs for (inputs,) in seen[name])
        assert torch.equal(real, own)
        assert torch.equal(fake[:, :-3], pairs[:2, :-3]), "a fake is shown with the sketch it was painted from"
        assert not torch.equal(fake[:, -3:], b[:2])


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_only_discriminators_leaves_the_others_to_the_bit(start: Callable[..., TrainStep], norm: str) -> None:
    """Statistics of batch norm too."""
    step = start(model={"norm": norm})
    before = states(step.networks)
    record = step(*batch_for(step), only_discriminators=True, measure_norms=True)
    assert moved(before, step.networks) == {"discriminator", "discriminator2"}
    assert not step.optimizers["generator"].state, "not even a moment of Adam"
    assert record.gradient_norms["generator"] == record.gradient_norms["encoder"] == 0
    assert record.gradient_norms["discriminator"] > 0
    assert "l1" in record.losses, "losses are told all the same"
    step(*batch_for(step))
    assert moved(before, step.networks) == {"generator", "encoder", "discriminator", "discriminator2"}


# At the door


@pytest.mark.parametrize(
    ("side", "value", "message"),
    [
        (0, 1.5, r"The sketches reach the networks with values from -1 to 1\.5; they must be in \[-1, 1\]"),
        (1, -3.0, r"The photos reach the networks with values from -3 to .*Convert them with bicyclegan\.images"),
        (1, 255.0, r"The photos reach the networks with values from .* to 255; they must be in \[-1, 1\]"),
        (0, float("nan"), r"The sketches reach the networks with values from nan to nan"),
        (1, float("nan"), r"The photos reach the networks with values from nan to nan"),
        (1, float("-inf"), r"The photos reach the networks with values from -inf to"),
    ],
)
def test_pictures_outside_the_range_are_refused_before_anything_moves(
    start: Callable[..., TrainStep], side: int, value: float, message: str
) -> None:
    step = start()
    batch, before = batch_for(step), states(step.networks)
    batch[side][-1, 0, 3, 3] = value
    with pytest.raises(UserError, match=message) as error:
        step(*batch)
    assert error.value.code == "train_range"
    assert moved(before, step.networks) == set()
    assert not any(optimizer.state for optimizer in step.optimizers.values())


def test_rounding_at_the_border_is_let_pass(start: Callable[..., TrainStep]) -> None:
    step = start()
    a, b, noise = batch_for(step)
    b[0, 0, 0, 0] = 1.0005
    assert step(a, b, noise).inputs["b_max"] == b.max()


def test_pictures_from_0_to_1_pass_the_door_and_show_in_the_record(start: Callable[..., TrainStep]) -> None:
    step = start()
    a, b, noise = batch_for(step)
    inputs = step(a / 2 + 0.5, b, noise).inputs
    assert (inputs["a_min"], inputs["a_max"]) == (0, 1)
    assert inputs["a_mean"].item() == pytest.approx(0.5, abs=0.05)
    assert inputs["b_min"] == b.min()
    assert inputs["b_max"] == b.max()
    torch.testing.assert_close(inputs["b_mean"], b.mean())


# What is measured


def total_norm(grads: tuple[Tensor | None, ...] | list[Tensor]) -> Tensor:
    return torch.cat([each.flatten() for each in grads if each is not None]).norm()


@pytest.mark.parametrize("reduction", ["sample", "official"])
def test_shares_norms_and_scores_are_those_by_hand(start: Callable[..., TrainStep], reduction: str) -> None:
    step = start(reduction=reduction)
    generator, batch = step.networks.generator, batch_for(step)
    a, b, noise = batch
    weights = list(generator.parameters())
    terms = step.generator_losses(step.forward(Batch(*batch)))
    shares = {
        name: step.config.weight(name)
        * total_norm(torch.autograd.grad(term, weights, retain_graph=True, allow_unused=True))
        for name, term in terms.items()
        if name != "kl"
    }
    judge = deepcopy(step.networks.discriminator2)
    random = generator(a[:2], noise.random)
    record = step(*batch, measure_shares=True, measure_norms=True)
    assert record.gradient_shares.pop("kl") == 0
    torch.testing.assert_close(record.gradient_shares, shares, rtol=1e-4, atol=0)
    for name, network in step.networks.named():
        torch.testing.assert_close(record.gradient_norms[name], total_norm([w.grad for w in network.parameters()]))
    for name, photos in (("real_random", b[2:]), ("fake_random", random)):
        expected = sum(each.mean() for each in judge(photos)) / 2
        torch.testing.assert_close(record.scores[name], expected.detach())


@pytest.mark.parametrize("reduction", ["sample", "official"])
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_measuring_does_not_change_the_update(start: Callable[..., TrainStep], reduction: str, norm: str) -> None:
    plain, measured = (start(reduction=reduction, model={"norm": norm}) for _ in range(2))
    for seed in range(2):
        batch = batch_for(plain, seed=seed)
        one, two = plain(*batch), measured(*batch, measure_norms=True, measure_shares=True)
        assert all(torch.equal(loss, two.losses[name]) for name, loss in one.losses.items())
    assert moved(states(plain.networks), measured.networks) == set()
    assert one.gradient_norms == one.gradient_shares == {}


def test_a_record_holds_no_graph(start: Callable[..., TrainStep]) -> None:
    step = start()
    record: StepRecord = step(*batch_for(step), measure_norms=True, measure_shares=True)
    groups = (record.losses, record.scores, record.inputs, record.gradient_norms, record.gradient_shares)
    told = [tensor for group in groups for tensor in group.values()] + [record.mu, record.logvar]
    assert not any(tensor.requires_grad for tensor in told)


def test_losses_stay_in_single_precision_under_autocast(start: Callable[..., TrainStep]) -> None:
    exact = start()
    half = start(autocast=lambda: torch.autocast("cpu", dtype=torch.bfloat16))
    one, two = (step(*batch_for(step), measure_shares=True) for step in (exact, half))
    assert {loss.dtype for loss in two.losses.values()} == {torch.float32}
    torch.testing.assert_close(two.losses, one.losses, rtol=0.1, atol=0.05)
    assert all(weight.grad.dtype == torch.float32 for weight in half.networks.generator.parameters())


def test_the_same_seed_builds_the_same_networks(tiny_config: ModelConfig) -> None:
    one, two, other = (build_networks(TrainConfig(model=tiny_config, seed=seed)) for seed in (1, 1, 2))
    assert moved(states(one), two) == set()
    assert moved(states(one), other) == {"generator", "encoder", "discriminator", "discriminator2"}
    first, second = one.discriminator.state_dict(), one.discriminator2.state_dict()
    assert not torch.equal(first["scales.0.0.weight"], second["scales.0.0.weight"])
