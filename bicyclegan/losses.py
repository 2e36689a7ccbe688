"""Losses as pure functions of tensors (paper, section 3). None knows a weight, a network or an optimiser.

Networks may run in bfloat16; every loss is computed in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from bicyclegan.errors import UserError

Scores: TypeAlias = list[Tensor]
"""What a discriminator says: one map (N, 1, h, w) a scale, before any sigmoid."""
Reduction: TypeAlias = Literal["sample", "official"]
"""sample: the mean over samples. official: the sum where the official code has one."""


@dataclass(frozen=True)
class AdversarialLoss:
    """A GAN loss as what each side minimises; each maps one map of scores to a scalar."""

    real: Callable[[Tensor], Tensor]
    """D's loss on real photos."""
    fake: Callable[[Tensor], Tensor]
    """D's loss on fakes."""
    generator: Callable[[Tensor], Tensor]
    """G's loss on its fakes."""


def squared_distance(target: float) -> Callable[[Tensor], Tensor]:
    """Mean (s - target)^2: least squares GAN (Mao et al. 2017)."""
    return lambda scores: F.mse_loss(scores, torch.full_like(scores, target))


def cross_entropy(target: float) -> Callable[[Tensor], Tensor]:
    """Mean binary cross-entropy of sigmoid(s) (Goodfellow et al. 2014, non-saturating for G)."""
    return lambda scores: F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, target))


ADVERSARIAL: dict[str, AdversarialLoss] = {
    "lsgan": AdversarialLoss(squared_distance(1), squared_distance(0), squared_distance(1)),
    "vanilla": AdversarialLoss(cross_entropy(1), cross_entropy(0), cross_entropy(1)),
}
"""Adversarial losses by the name that the option `adversarial` gives."""


def adversarial_loss(name: str) -> AdversarialLoss:
    """One of `ADVERSARIAL`. Raises `UserError` with those there are."""
    if name not in ADVERSARIAL:
        raise UserError(
            "adversarial_unknown",
            "There is no adversarial loss {name!r}; use one of {known}.",
            name=name,
            known=", ".join(ADVERSARIAL),
        )
    return ADVERSARIAL[name]


def over_scales(loss: Callable[[Tensor], Tensor], scores: Scores, reduction: Reduction = "sample") -> Tensor:
    """Sum of a loss over the scales of a discriminator: a scalar.

    The official code walks over the list of scales; given one scale it has a tensor in its place, walks over
    samples and so sums over them. `reduction="official"` keeps that.
    """
    total = torch.stack([loss(each.float()) for each in scores]).sum()
    return total * len(scores[0]) if reduction == "official" and len(scores) == 1 else total


def kl_per_dim(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, 1)) of each dimension of each sample: (N, D) -> (N, D), >= 0, in nats."""
    mu, logvar = mu.float(), logvar.float()
    return -0.5 * (1 + logvar - mu.pow(2) - logvar.exp())


def kl_loss(mu: Tensor, logvar: Tensor, reduction: Reduction = "sample", free_bits: float = 0.0) -> Tensor:
    """Sum over dims, mean over samples (equation 4 of the paper); `official` sums over samples too: a scalar.

    Args:
        mu, logvar: (N, D).
        reduction: see `Reduction`.
        free_bits: nats that each dim may tell for nothing: below, its KL counts as this much and pulls no more
            (Kingma et al. 2016, equation 15).
    """
    kl = kl_per_dim(mu, logvar)
    if free_bits:
        kl = kl.mean(dim=0, keepdim=True).clamp(min=free_bits).expand_as(kl)
    return kl.sum() if reduction == "official" else kl.sum() / len(mu)


def pixel_l1(fake: Tensor, real: Tensor) -> Tensor:
    """Mean |B - G(A, z)| over samples, channels and pixels, both (N, C, H, W): a scalar (equation 3)."""
    return F.l1_loss(fake.float(), real.float())


def latent_l1(recovered: Tensor, z: Tensor) -> Tensor:
    """Mean |z - E(G(A, z))| over samples and dims, both (N, D): a scalar (equation 7).

    An encoder that recovers nothing scores E|z| = sqrt(2 / pi) = 0.798.
    """
    return F.l1_loss(recovered.float(), z.float())


def reparameterise(mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """z = mu + exp(logvar / 2) * noise, each (N, D) (Kingma & Welling 2014)."""
    return noise * logvar.float().mul(0.5).exp() + mu.float()
