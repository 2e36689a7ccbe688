"""One update: forward, all backwards, all optimiser steps (paper, section 3; official `BiCycleGANModel`).

Nothing is stepped between two backwards, so every gradient belongs to the same weights. Which loss reaches
which network is written out in `TrainStep._backward`, nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from bicyclegan import losses
from bicyclegan.errors import UserError
from bicyclegan.losses import AdversarialLoss, Scores
from bicyclegan.training.config import LossConfig
from bicyclegan.training.networks import Networks
from bicyclegan.training.noise import Noise
from bicyclegan.training.objectives import OBJECTIVES, CodePath

RANGE_TOLERANCE = 1e-3
"""How far a picture may leave [-1, 1] by rounding."""


@dataclass(frozen=True)
class LossFunctions:
    """The losses a step uses. A bug is planted, or a remedy tried, by giving others: the step knows of neither."""

    adversarial: AdversarialLoss
    pixel: Callable[[Tensor, Tensor], Tensor] = losses.pixel_l1
    kl: Callable[[Tensor, Tensor, losses.Reduction], Tensor] = losses.kl_loss
    latent: Callable[[Tensor, Tensor], Tensor] = losses.latent_l1


@dataclass
class PathOutputs:
    """What one path makes of its sketches."""

    path: CodePath
    sketch: Tensor
    """(n, C, H, W)."""
    fake: Tensor
    """(n, 3, H, W), with its graph."""
    photo: Tensor
    """The sketches' own photos."""
    real_sketch: Tensor
    real_photo: Tensor
    """What its discriminator sees as real; in the random path the other half of the batch."""
    z: Tensor | None
    fake_scores: Scores | None = None
    """D's scores of the fake, with the graph through D and G; None before they are needed."""


@dataclass
class Forward:
    """All that one step computes before any backward."""

    paths: list[PathOutputs]
    mu: Tensor | None = None
    logvar: Tensor | None = None
    recovered: Tensor | None = None
    """mu of E(G(A, z)) for the random codes."""


@dataclass
class StepRecord:
    """What a step tells. Tensors are detached and stay on the device until somebody asks."""

    losses: dict[str, Tensor]
    """Unweighted scalars: G's and E's terms, then `d_encoded`, `d_random`."""
    scores: dict[str, Tensor]
    """Mean of D on each path: `real_encoded`, `fake_encoded`, ...; for cross-entropy these are logits."""
    inputs: dict[str, Tensor]
    """min, max, mean of the sketches (`a_min`, ...) and photos (`b_min`, ...) as the networks got them."""
    mu: Tensor | None = None
    """(n, latent_dim)."""
    logvar: Tensor | None = None
    gradient_norms: dict[str, Tensor] = field(default_factory=dict)
    """L2 norm of each network's gradient, when asked for."""
    gradient_shares: dict[str, Tensor] = field(default_factory=dict)
    """L2 norm of the weighted gradient that each loss alone gives to G, when asked for; 0 if none reaches it."""


class TrainStep:
    """Updates networks by one batch.

    Args:
        networks, optimizers: of `build_networks` and `make_optimizers`; optimisers by the network's name.
        config: objective and weights.
        functions: other losses than those `config` names.
        autocast: context in which networks run.
        before_update: called with the networks between the last backward and the first optimiser step, in order
            (averaging over processes, clipping).
    """

    def __init__(
        self,
        networks: Networks,
        optimizers: dict[str, torch.optim.Optimizer],
        config: LossConfig,
        *,
        functions: LossFunctions | None = None,
        autocast: Callable[[], AbstractContextManager] = nullcontext,
        before_update: Sequence[Callable[[Networks], None]] = (),
    ):
        self.networks = networks
        self.optimizers = optimizers
        self.config = config
        self.objective = OBJECTIVES[config.objective]
        self.functions = functions or LossFunctions(
            losses.adversarial_loss(config.adversarial), kl=partial(losses.kl_loss, free_bits=config.free_bits)
        )
        self.autocast = autocast
        self.before_update = tuple(before_update)
        self.official_order = config.reduction == "official"
        """Compute in the very order of the official code, so that results agree to the last bit; a fifth slower."""

    def __call__(
        self,
        a: Tensor,
        b: Tensor,
        noise: Noise,
        *,
        number: int | None = None,
        measure_norms: bool = False,
        measure_shares: bool = False,
        only_discriminators: bool = False,
    ) -> StepRecord:
        """Update every network once.

        Args:
            a, b: (N, C, H, W) sketches and (N, 3, H, W) photos in [-1, 1]. With two paths N is even: the first half
                is encoded and painted, the second gives the random path's discriminator its real photos.
            noise: rows for the samples that are painted: N / 2 with two paths, else N.
            number: of this update, counted from 1, for weights that change over time; without it they have arrived.
            only_discriminators: leave G and E as they are, while a fresh D catches up.

        Raises:
            UserError: on a CPU at once when a picture leaves [-1, 1]; elsewhere see `check_inputs`.
        """
        inputs = input_range(a, b)
        if a.device.type == "cpu":
            check_inputs(inputs)
        statistics = self._statistics() if only_discriminators else []
        with self.autocast():
            forward = self.forward(a, b, noise)
            generator_losses = self.generator_losses(forward)
        weighted = {name: self.config.weight(name, number) * loss for name, loss in generator_losses.items()}
        shares = self._generator_shares(weighted) if measure_shares else {}
        self._zero_gradients()
        if not only_discriminators:
            self._backward(weighted)
        discriminator_losses, scores = self._backward_discriminators(forward)
        for prepare in self.before_update:
            prepare(self.networks)
        norms = self._gradient_norms() if measure_norms else {}
        self._update(only_discriminators)
        for buffer, value in statistics:
            buffer.copy_(value)
        named = {**generator_losses, **discriminator_losses}
        return StepRecord(
            losses={name: loss.detach() for name, loss in named.items()},
            scores=scores,
            inputs=inputs,
            mu=_detached(forward.mu),
            logvar=_detached(forward.logvar),
            gradient_norms=norms,
            gradient_shares=shares,
        )

    def forward(self, a: Tensor, b: Tensor, noise: Noise) -> Forward:
        """Codes and fakes of every path, and what E recovers from the random ones."""
        networks, two_paths = self.networks, self.objective.two_paths
        half = len(a) // 2 if two_paths else len(a)
        sketch, photo = a[:half], b[:half]
        forward = Forward(paths=[])
        if any(path.code in ("posterior", "mean") for path in self.objective.paths):
            forward.mu, forward.logvar = networks.encoder(photo)
        for path in self.objective.paths:
            z = _code(path, forward, noise)
            other_half = two_paths and path.name == "random"
            forward.paths.append(
                PathOutputs(
                    path=path,
                    sketch=sketch,
                    fake=networks.generator(sketch, z),
                    photo=photo,
                    real_sketch=a[half:] if other_half else sketch,
                    real_photo=b[half:] if other_half else photo,
                    z=z,
                )
            )
        if self.objective.latent and self.config.lambda_z > 0:
            forward.recovered = self._recover(forward.paths[-1].fake)
        return forward

    def generator_losses(self, forward: Forward) -> dict[str, Tensor]:
        """Unweighted losses of G and E by the names of `Objective.terms`; those with weight 0 are left out."""
        functions, reduction = self.functions, self.config.reduction
        terms: dict[str, Tensor] = {}
        for output in forward.paths:
            if (critic := self._critic(output.path)) is not None:
                output.fake_scores = critic(self._shown(output.sketch, output.fake))
                gan = losses.over_scales(functions.adversarial.generator, output.fake_scores, reduction)
                terms[f"gan_{output.path.name}"] = gan
            if output.path.pixel and self.config.lambda_l1 > 0:
                terms["l1"] = functions.pixel(output.fake, output.photo)
        if self.objective.kl and self.config.lambda_kl > 0:
            terms["kl"] = functions.kl(forward.mu, forward.logvar, reduction)
        if forward.recovered is not None:
            terms["latent_l1"] = functions.latent(forward.recovered, forward.paths[-1].z)
        return terms

    def discriminator_loss(self, output: PathOutputs) -> tuple[Tensor, Scores, Scores]:
        """D's loss on one path, and its scores of real photos and fakes.

        D has not moved since it scored the fakes for G, so those scores serve again; the official code asks anew.
        """
        critic, adversarial, reduction = self._critic(output.path), self.functions.adversarial, self.config.reduction
        fake_scores = output.fake_scores
        if self.official_order:
            fake_scores = critic(self._shown(output.sketch, output.fake.detach()))
        real_scores = critic(self._shown(output.real_sketch, output.real_photo))
        fake_loss = losses.over_scales(adversarial.fake, fake_scores, reduction)
        real_loss = losses.over_scales(adversarial.real, real_scores, reduction)
        return fake_loss + real_loss, real_scores, fake_scores

    def _recover(self, fake: Tensor) -> Tensor:
        """mu of E(fake). Where E learns from another term it is held still here: the gradient goes to G only."""
        encoder = self.networks.encoder
        if self.objective.latent_trains_encoder:
            return encoder(fake)[0]
        frozen = {name: weight.detach() for name, weight in encoder.named_parameters()}
        return torch.func.functional_call(encoder, frozen, (fake,))[0]

    def _critic(self, path: CodePath) -> nn.Module | None:
        """The discriminator of a path, None if its adversarial loss is off."""
        if self.config.weight(f"gan_{path.name}") == 0:
            return None
        second = self.objective.two_paths and path.name == "random" and not self.config.share_discriminator
        return self.networks.discriminator2 if second else self.networks.discriminator

    def _shown(self, sketch: Tensor, photo: Tensor) -> Tensor:
        """What a discriminator sees: the photo, with its sketch in front if D is conditional."""
        conditional = self.networks.generator.config.conditional_discriminator
        return torch.cat([sketch, photo], dim=1) if conditional else photo

    def _backward(self, terms: dict[str, Tensor]) -> None:
        """Gradients of G and E from weighted losses. Discriminators are passed through and get none.

        One pass; the official code goes through G's random path once more for the latent loss alone.
        """
        networks = (self.networks.generator, self.networks.encoder)
        inputs = [weight for network in networks if network is not None for weight in network.parameters()]
        groups = [list(terms)]
        if self.official_order:
            groups = [[name for name in terms if name != "latent_l1"], [name for name in terms if name == "latent_l1"]]
        for group in filter(None, groups):
            total = sum(terms[name] for name in group)
            if total.requires_grad:
                total.backward(inputs=inputs, retain_graph=True)  # D's own backward starts from the same scores

    def _backward_discriminators(self, forward: Forward) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Gradients of D and D2; their losses and mean scores."""
        terms, scores = {}, {}
        for output in forward.paths:
            if self._critic(output.path) is None:
                continue
            name = output.path.name
            with self.autocast():
                terms[f"d_{name}"], real, fake = self.discriminator_loss(output)
            if terms[f"d_{name}"].requires_grad:
                terms[f"d_{name}"].backward(inputs=list(self._critic(output.path).parameters()))
            scores[f"real_{name}"], scores[f"fake_{name}"] = _mean_score(real), _mean_score(fake)
        return terms, scores

    def _generator_shares(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """Norm of the gradient that each weighted term alone gives to G."""
        weights = list(self.networks.generator.parameters())
        shares = {}
        for name, term in terms.items():
            gradients: Sequence[Tensor | None] = ()
            if term.requires_grad:
                gradients = torch.autograd.grad(term, weights, retain_graph=True, allow_unused=True)
            shares[name] = _norm([each for each in gradients if each is not None], term)
        return shares

    def _gradient_norms(self) -> dict[str, Tensor]:
        return {
            name: _norm([weight.grad for weight in network.parameters() if weight.grad is not None])
            for name, network in self.networks.named()
        }

    def _zero_gradients(self) -> None:
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)

    def _statistics(self) -> list[tuple[Tensor, Tensor]]:
        """Buffers of G and E with their values: batch norm moves them in every forward, learning or not."""
        networks = (self.networks.generator, self.networks.encoder)
        buffers = [buffer for network in networks if network is not None for buffer in network.buffers()]
        return [(buffer, buffer.clone()) for buffer in buffers]

    def _update(self, only_discriminators: bool) -> None:
        for name, optimizer in self.optimizers.items():
            if not (only_discriminators and name in ("generator", "encoder")):
                optimizer.step()


def input_range(a: Tensor, b: Tensor) -> dict[str, Tensor]:
    """Smallest, largest and mean value of sketches and photos, as scalars on their device."""
    stats = {}
    for name, pictures in (("a", a), ("b", b)):
        stats[f"{name}_min"], stats[f"{name}_max"] = pictures.aminmax()
        stats[f"{name}_mean"] = pictures.mean()
    return stats


def check_inputs(inputs: dict[str, Tensor]) -> None:
    """The model's door: raise `UserError` when a picture left [-1, 1], the range of G's tanh, or is not a number."""
    limit = 1 + RANGE_TOLERANCE
    for name, what in (("a", "sketches"), ("b", "photos")):
        low, high = float(inputs[f"{name}_min"]), float(inputs[f"{name}_max"])
        if not -limit <= low <= high <= limit:  # NaN fails too
            raise UserError(
                "train_range",
                "The {what} reach the networks with values from {low:.3g} to {high:.3g}; they must be in [-1, 1], "
                "the range of the generator's tanh. Convert them with bicyclegan.images.to_float.",
                what=what,
                low=low,
                high=high,
            )


def _code(path: CodePath, forward: Forward, noise: Noise) -> Tensor | None:
    if path.code == "posterior":
        return losses.reparameterise(forward.mu, forward.logvar, noise.encoder)
    return {"mean": forward.mu, "prior": noise.random, "none": None}[path.code]


def _mean_score(scores: Scores) -> Tensor:
    """Mean over scales of the mean over patches."""
    return torch.stack([each.detach().float().mean() for each in scores]).mean()


def _norm(gradients: Sequence[Tensor], like: Tensor | None = None) -> Tensor:
    if gradients:
        return torch.nn.utils.get_total_norm(gradients)
    return torch.zeros((), device=like.device if like is not None else None)


def _detached(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach()
