"""One update: forward, all backwards, all optimiser steps (paper, section 3; official `BiCycleGANModel`).

Nothing is stepped between two backwards, so every gradient belongs to the same weights. Which loss reaches
which network is written out in `TrainStep._backward`, nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from bicyclegan import losses
from bicyclegan.errors import UserError
from bicyclegan.losses import AdversarialLoss, Scores
from bicyclegan.models import Discriminator
from bicyclegan.models.rearranged import rearranged
from bicyclegan.training.config import LossConfig
from bicyclegan.training.disturb import Disturbance
from bicyclegan.training.limits import bound_weights
from bicyclegan.training.networks import Networks
from bicyclegan.training.noise import Noise
from bicyclegan.training.objectives import OBJECTIVES, CodePath
from bicyclegan.training.weights import RunLength

NO_DISTURBANCE = Disturbance()
RANGE_TOLERANCE = 1e-3
"""How far a picture may leave [-1, 1] by rounding."""


@dataclass(frozen=True)
class LossFunctions:
    """The losses a step uses. A bug is planted, or a remedy tried, by giving others: the step knows of neither."""

    adversarial: AdversarialLoss
    pixel: Callable[[Tensor, Tensor], Tensor] = losses.pixel_l1
    kl: Callable[[Tensor, Tensor, losses.Reduction], Tensor] = losses.kl_loss
    latent: Callable[[Tensor, Tensor], Tensor] = losses.latent_l1
    perceptual: Callable[[Tensor, Tensor], Tensor] | None = None
    """Of fakes and photos. It needs a network of its own, so it is given by who has loaded that."""
    mode_seeking: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = losses.mode_seeking


def loss_functions(config: LossConfig, perceptual: Callable[[Tensor, Tensor], Tensor] | None = None) -> LossFunctions:
    """The losses that a config names."""
    return LossFunctions(
        adversarial=losses.adversarial_loss(config.adversarial),
        pixel=losses.PIXEL[config.pixel_loss],
        kl=partial(losses.kl_loss, free_bits=config.free_bits),
        latent=losses.LATENT[config.latent_loss],
        perceptual=perceptual,
    )


@dataclass(frozen=True)
class Batch:
    """What an update, or a part of one, learns from."""

    a: Tensor
    """(N, C, H, W) sketches in [-1, 1]. With two paths N is even: the first half is encoded and painted."""
    b: Tensor
    """(N, 3, H, W) photos; with two paths those of the second half are the random path's real ones."""
    noise: Noise
    """Rows for the samples that are painted: N / 2 with two paths, else N."""
    disturbance: Disturbance = NO_DISTURBANCE
    row: int = 0
    """Number of the first painted sample in its update."""

    def parts(self, count: int, two_paths: bool) -> Iterator[Batch]:
        """As many equal parts, each with its share of both halves."""
        if count == 1:
            yield self
            return
        painted = len(self.noise.random) // count
        for row in range(0, count * painted, painted):
            rows = slice(row, row + painted)
            a, b = (self._rows(side, rows, two_paths) for side in (self.a, self.b))
            yield Batch(a, b, self.noise.part(rows), self.disturbance, self.row + row)

    def _rows(self, side: Tensor, rows: slice, two_paths: bool) -> Tensor:
        return torch.cat([half[rows] for half in side.chunk(2)]) if two_paths else side[rows]


@dataclass
class PathOutputs:
    """What one path makes of its sketches."""

    path: CodePath
    fake: Tensor
    """(n, 3, H, W), with its graph."""
    photo: Tensor
    """The sketches' own photos."""
    z: Tensor | None
    shown_fake: Tensor
    shown_real: Tensor
    """What its discriminator sees as fake and as real; real ones of the random path are the other half of the batch."""
    fake_scores: Scores | None = None
    """D's scores of the fake, with the graph through D and G; None before they are needed."""


@dataclass
class Forward:
    """All that one step computes before any backward."""

    paths: list[PathOutputs]
    between: Tensor
    """(n,) where gradient penalties look."""
    mu: Tensor | None = None
    logvar: Tensor | None = None
    recovered: Tensor | None = None
    """mu of E(G(A, z)) for the random codes."""
    other: tuple[Tensor, Tensor] | None = None
    """Other pictures of the random path's sketches, and their codes."""


@dataclass
class StepRecord:
    """What a step tells. Tensors are detached and stay on the device until somebody asks."""

    losses: dict[str, Tensor]
    """Unweighted scalars: G's and E's terms, then `d_encoded`, `d_random` and, if there are any, their gradient
    penalties `penalty_encoded`, `penalty_random`."""
    scores: dict[str, Tensor]
    """Mean of D on each path: `real_encoded`, `fake_encoded`, ...; for cross-entropy these are logits."""
    inputs: dict[str, Tensor]
    """min, max, mean of the sketches (`a_min`, ...) and photos (`b_min`, ...) as the networks got them."""
    mu: Tensor | None = None
    """(n, latent_dim)."""
    logvar: Tensor | None = None
    gradient_norms: dict[str, Tensor] = field(default_factory=dict)
    """L2 norm of each network's gradient before it is clipped, when asked for."""
    gradient_shares: dict[str, Tensor] = field(default_factory=dict)
    """L2 norm of the weighted gradient that each loss alone gives to G, when asked for; 0 if none reaches it."""


@dataclass
class Part:
    """What is told of one part of an update."""

    losses: dict[str, Tensor]
    scores: dict[str, Tensor]
    mu: Tensor | None
    logvar: Tensor | None
    shares: dict[str, list[Tensor | None]]
    """Gradient that each weighted loss gives to each weight of G."""


class TrainStep:
    """Updates networks by one batch.

    Args:
        networks, optimizers: of `build_networks` and `make_optimizers`; optimisers by the network's name.
        config: objective and weights.
        functions: other losses than those `config` names.
        autocast: context in which networks run.
        before_update: called with the networks between the last backward and the first optimiser step, in order
            (averaging over processes).
        average: replaces tensors by their means over processes, in place, for what is told of gradients.
        clip: called with each network that is about to be updated, after gradients are measured.
        length: of the run, for weights that change with epochs or shares of it.
        accumulate: parts in which a batch is computed; each has the same number of samples.
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
        average: Callable[[Sequence[Tensor]], None] | None = None,
        clip: Callable[[nn.Module], None] | None = None,
        length: RunLength | None = None,
        accumulate: int = 1,
    ):
        self.networks = networks
        self.optimizers = optimizers
        self.config = config
        self.objective = OBJECTIVES[config.objective]
        self.functions = functions or loss_functions(config)
        self.autocast = autocast
        self.before_update = tuple(before_update)
        self.average = average
        self.clip = clip
        self.length = length
        self.accumulate = accumulate
        self.official_order = config.reduction == "official"
        """Compute in the very order of the official code, layers as they are written, so that results agree to the last
        bit; at little more than half the speed (`benchmarks/training.py`)."""

    def __call__(
        self,
        a: Tensor,
        b: Tensor,
        noise: Noise,
        *,
        disturbance: Disturbance = NO_DISTURBANCE,
        number: int | None = None,
        measure_norms: bool = False,
        measure_shares: bool = False,
        only_discriminators: bool = False,
    ) -> StepRecord:
        """Update every network once.

        Args:
            a, b, noise, disturbance: see `Batch`.
            number: of this update, counted from 1, for weights that change over time; without it they have arrived.
            only_discriminators: leave G and E as they are, while a fresh D catches up.

        Raises:
            UserError: on a CPU at once when a picture leaves [-1, 1]; elsewhere see `check_inputs`.
        """
        inputs = input_range(a, b)
        if a.device.type == "cpu":
            check_inputs(inputs)
        statistics = self._statistics() if only_discriminators else []
        self._zero_gradients()
        parts = [
            self._part(part, number, measure_shares, only_discriminators)
            for part in Batch(a, b, noise, disturbance).parts(self.accumulate, self.objective.two_paths)
        ]
        for prepare in self.before_update:
            prepare(self.networks)
        norms = self._gradient_norms() if measure_norms else {}
        self._update(only_discriminators)
        for buffer, value in statistics:
            buffer.copy_(value)
        return StepRecord(
            losses=_means([part.losses for part in parts]),
            scores=_means([part.scores for part in parts]),
            inputs=inputs,
            mu=_joined([part.mu for part in parts]),
            logvar=_joined([part.logvar for part in parts]),
            gradient_norms=norms,
            gradient_shares=self._share_norms([part.shares for part in parts]),
        )

    def weights(self, number: int | None) -> dict[str, float]:
        """Weights of the losses that are used, in update `number`; and that of the gradient penalty."""
        config = self.config
        weights = {term: config.weight(term, number, self.length) for term in config.terms if config.uses(term)}
        if config.uses_penalty:
            weights["penalty"] = config.value("lambda_gp", number, self.length)
        return weights

    def _part(self, batch: Batch, number: int | None, measure_shares: bool, only_discriminators: bool) -> Part:
        """Forward and backward of one part: gradients are added to those of the parts before."""
        with self.autocast(), rearranged(not self.official_order):
            forward = self.forward(batch)
            generator_losses = self.generator_losses(forward)
        share = 1 / self.accumulate
        weights = {name: share * self.config.weight(name, number, self.length) for name in generator_losses}
        weighted = {name: weights[name] * loss for name, loss in generator_losses.items()}
        shares = self._generator_shares(weighted) if measure_shares else {}
        if not only_discriminators:
            self._backward(weighted)
        discriminator_losses, scores = self._backward_discriminators(forward, number)
        named = {**generator_losses, **discriminator_losses}
        told = {name: loss.detach() for name, loss in named.items()}
        return Part(told, scores, _detached(forward.mu), _detached(forward.logvar), shares)

    def forward(self, batch: Batch) -> Forward:
        """Codes and fakes of every path, and what E recovers from the random ones."""
        networks, two_paths, (a, b), noise = self.networks, self.objective.two_paths, (batch.a, batch.b), batch.noise
        half = len(a) // 2 if two_paths else len(a)
        sketch, photo = a[:half], b[:half]
        given = batch.disturbance.sketches(sketch, batch.row)
        forward = Forward([], noise.between)
        if any(path.code in ("posterior", "mean") for path in self.objective.paths):
            forward.mu, forward.logvar = networks.encoder(photo)
        for path in self.objective.paths:
            z = _code(path, forward, noise)
            fake = networks.generator(given, z)
            other = slice(half, None) if two_paths and path.name == "random" else slice(half)
            shown = [
                self._shown(seen, batch.disturbance.judged(f"{kind}_{path.name}", picture, batch.row))
                for kind, seen, picture in (("fake", sketch, fake), ("real", a[other], b[other]))
            ]
            forward.paths.append(PathOutputs(path, fake, photo, z, *shown))
        if self.objective.latent and self.config.uses(self.config.latent_term):
            forward.recovered = self._recover(forward.paths[-1].fake)
        if self.config.uses("mode_seeking"):
            forward.other = self._other_pictures(forward, given, noise)
        return forward

    def generator_losses(self, forward: Forward) -> dict[str, Tensor]:
        """Unweighted losses of G and E by the names of `LossConfig.terms`; those never used are left out."""
        functions, config = self.functions, self.config
        terms: dict[str, Tensor] = {}
        for output in forward.paths:
            name = f"gan_{output.path.name}"
            if (critic := self._critic(output.path)) is not None:
                output.fake_scores = critic(output.shown_fake)
                terms[name] = losses.over_scales(functions.adversarial.generator, output.fake_scores, config.reduction)
            if output.path.pixel and config.uses(config.pixel_term):
                terms[config.pixel_term] = functions.pixel(output.fake, output.photo)
            if output.path.pixel and config.uses("perceptual"):
                terms["perceptual"] = functions.perceptual(output.fake, output.photo)
        if self.objective.kl and config.uses("kl"):
            terms["kl"] = functions.kl(forward.mu, forward.logvar, config.reduction)
        if forward.recovered is not None:
            terms[config.latent_term] = functions.latent(forward.recovered, forward.paths[-1].z)
        if forward.other is not None:
            random = forward.paths[-1]
            other, z = forward.other
            terms["mode_seeking"] = functions.mode_seeking(random.fake, other, random.z, z)
        return terms

    def discriminator_loss(self, output: PathOutputs) -> tuple[Tensor, Scores, Scores]:
        """D's loss on one path, and its scores of real photos and fakes.

        D has not moved since it scored the fakes for G, so those scores serve again; the official code asks anew.
        """
        critic, adversarial, reduction = self._critic(output.path), self.functions.adversarial, self.config.reduction
        fake_scores = output.fake_scores
        if self.official_order:
            fake_scores = critic(output.shown_fake.detach())
        real_scores = critic(output.shown_real)
        fake_loss = losses.over_scales(adversarial.fake, fake_scores, reduction)
        real_loss = losses.over_scales(adversarial.real, real_scores, reduction)
        return fake_loss + real_loss, real_scores, fake_scores

    def _other_pictures(self, forward: Forward, given: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Pictures of the random path's sketches with other codes, and these.

        With two paths the encoded one has painted them already. They are held still: pixels pull them to the photo.
        """
        if self.objective.two_paths:
            encoded = forward.paths[0]
            return encoded.fake.detach(), encoded.z.detach()
        return self.networks.generator(given, noise.encoder), noise.encoder

    def _recover(self, fake: Tensor) -> Tensor:
        """mu of E(fake). Where E learns from another term it is held still here: the gradient goes to G only."""
        encoder = self.networks.encoder
        if self.objective.latent_trains_encoder:
            return encoder(fake)[0]
        frozen = {name: weight.detach() for name, weight in encoder.named_parameters()}
        return torch.func.functional_call(encoder, frozen, (fake,))[0]

    def _critic(self, path: CodePath) -> nn.Module | None:
        """The discriminator of a path, None if its adversarial loss is off."""
        if not self.config.uses(f"gan_{path.name}"):
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
            alone = self.config.latent_term
            groups = [[name for name in terms if name != alone], [name for name in terms if name == alone]]
        for group in filter(None, groups):
            total = sum(terms[name] for name in group)
            if total.requires_grad:
                total.backward(inputs=inputs, retain_graph=True)  # D's own backward starts from the same scores

    def _backward_discriminators(
        self, forward: Forward, number: int | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Gradients of D and D2; their losses and mean scores."""
        terms, scores = {}, {}
        for output in forward.paths:
            if self._critic(output.path) is None:
                continue
            name = output.path.name
            with self.autocast():
                terms[f"d_{name}"], real, fake = self.discriminator_loss(output)
                total = terms[f"d_{name}"]
                if self.config.uses_penalty:
                    terms[f"penalty_{name}"] = losses.gradient_penalty(
                        self._critic(output.path), output.shown_real, output.shown_fake, forward.between
                    )
                    total = total + self.config.value("lambda_gp", number, self.length) * terms[f"penalty_{name}"]
            if total.requires_grad:
                (total / self.accumulate).backward(inputs=list(self._critic(output.path).parameters()))
            scores[f"real_{name}"], scores[f"fake_{name}"] = _mean_score(real), _mean_score(fake)
        return terms, scores

    def _generator_shares(self, terms: dict[str, Tensor]) -> dict[str, list[Tensor | None]]:
        """The gradient that each weighted term alone gives to each weight of G; none where none reaches it."""
        weights = list(self.networks.generator.parameters())
        return {
            name: list(torch.autograd.grad(term, weights, retain_graph=True, allow_unused=True))
            if term.requires_grad
            else [None] * len(weights)
            for name, term in terms.items()
        }

    def _share_norms(self, parts: list[dict[str, list[Tensor | None]]]) -> dict[str, Tensor]:
        """Norm of each loss's gradient, added up over parts and averaged over processes."""
        norms, device = {}, next(self.networks.generator.parameters()).device
        for name in parts[0]:
            sums = [
                torch.stack(found).sum(dim=0) if len(found) > 1 else found[0]
                for weight in zip(*(part[name] for part in parts), strict=True)
                if (found := [each for each in weight if each is not None])
            ]
            if self.average is not None:
                self.average(sums)
            norms[name] = _norm(sums, device)
        return norms

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
            if only_discriminators and name in ("generator", "encoder"):
                continue
            network = getattr(self.networks, name)
            if self.clip is not None:
                self.clip(network)
            optimizer.step()
            if self.config.adversarial == "wgan" and isinstance(network, Discriminator):
                bound_weights(network, self.config.clip_weights)


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
        if f"{name}_min" not in inputs:  # a DCGAN has no sketches
            continue
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


def _norm(gradients: Sequence[Tensor], device: torch.device | None = None) -> Tensor:
    return torch.nn.utils.get_total_norm(gradients) if gradients else torch.zeros((), device=device)


def _means(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Mean of each number over parts of the same size."""
    if len(parts) == 1:
        return parts[0]
    return {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}


def _joined(parts: list[Tensor | None]) -> Tensor | None:
    """The parts' rows one after the other."""
    return None if parts[0] is None else torch.cat(parts)


def _detached(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach()
