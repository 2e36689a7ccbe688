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


def unsure(sign: float) -> Callable[[Tensor], Tensor]:
    """Mean max(0, 1 - sign s): what is surely judged right teaches nothing more (hinge: Lim & Ye 2017)."""
    return lambda scores: F.relu(1 - sign * scores).mean()


def mean_score(sign: float) -> Callable[[Tensor], Tensor]:
    """Mean sign s: the critic's estimate of a distance (Wasserstein GAN, Arjovsky et al. 2017)."""
    return lambda scores: sign * scores.mean()


WASSERSTEIN = AdversarialLoss(mean_score(-1), mean_score(1), mean_score(-1))
ADVERSARIAL: dict[str, AdversarialLoss] = {
    "lsgan": AdversarialLoss(squared_distance(1), squared_distance(0), squared_distance(1)),
    "vanilla": AdversarialLoss(cross_entropy(1), cross_entropy(0), cross_entropy(1)),
    "hinge": AdversarialLoss(unsure(1), unsure(-1), mean_score(-1)),
    "wgan": WASSERSTEIN,
    "wgan-gp": WASSERSTEIN,
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


def gradient_penalty(critic: Callable[[Tensor], Scores], real: Tensor, fake: Tensor, places: Tensor) -> Tensor:
    """Mean (|gradient of D| - 1)^2 on lines between real and fake (Gulrajani et al. 2017, equation 3): a scalar.

    D's value of a picture is what its loss has of it: the sum over scales of the mean over patches.

    Args:
        critic: the discriminator.
        real, fake: (N, C, H, W) as it sees them; no gradient goes into either.
        places: (N,) where on each line, 0 at the fake and 1 at the real one.
    """
    places = places.to(real)[:, None, None, None]
    between = (places * real.detach() + (1 - places) * fake.detach()).requires_grad_()
    value = torch.stack([each.float().flatten(1).mean(dim=1) for each in critic(between)]).sum()
    (gradient,) = torch.autograd.grad(value, between, create_graph=True)
    return (gradient.float().flatten(1).norm(dim=1) - 1).square().mean()


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


def pixel_l2(fake: Tensor, real: Tensor) -> Tensor:
    """Mean (B - G(A, z))^2, both (N, C, H, W): a scalar. Its best answer to doubt is the mean of all that could be."""
    return F.mse_loss(fake.float(), real.float())


PIXEL = {"l1": pixel_l1, "l2": pixel_l2}
"""By the name that the option `pixel_loss` gives."""


def latent_l1(recovered: Tensor, z: Tensor) -> Tensor:
    """Mean |z - E(G(A, z))| over samples and dims, both (N, D): a scalar (equation 7).

    An encoder that recovers nothing scores E|z| = sqrt(2 / pi) = 0.798.
    """
    return F.l1_loss(recovered.float(), z.float())


def latent_l2(recovered: Tensor, z: Tensor) -> Tensor:
    """Mean (z - E(G(A, z)))^2, both (N, D): a scalar. An encoder that recovers nothing scores E z^2 = 1."""
    return F.mse_loss(recovered.float(), z.float())


LATENT = {"l1": latent_l1, "l2": latent_l2}
"""By the name that the option `latent_loss` gives."""

LEAST_DIFFERENCE = 0.01
"""Added to the difference of pictures that span [-1, 1]: equal ones must not give an endless gradient."""


def mode_seeking(fake: Tensor, other: Tensor, z: Tensor, other_z: Tensor) -> Tensor:
    """Mean of |z - z'| / |G(A, z) - G(A, z')|, to be minimised: a scalar (mode seeking, Mao et al. 2019).

    Of each sample on its own, other than theirs, so that no sample's loss depends on its neighbours.

    Args:
        fake, other: (N, C, H, W) pictures of the same sketches.
        z, other_z: (N, D) their codes; no gradient goes into them, or codes would come closer instead.
    """
    codes = (z.detach().float() - other_z.detach().float()).abs().mean(dim=1)
    pictures = (fake.float() - other.float()).abs().flatten(1).mean(dim=1)
    return (codes / (pictures + LEAST_DIFFERENCE)).mean()


def perceptual(features: Callable[[Tensor], list[Tensor]], fake: Tensor, real: Tensor) -> Tensor:
    """Sum over layers of the mean |F(G(A, z)) - F(B)| (Johnson et al. 2016, with L1 as in pix2pixHD): a scalar.

    Args:
        features: (N, C, H, W) in [-1, 1] -> the features of some layers of a network that was trained to recognise.
        fake, real: pictures; no gradient goes into the real ones.
    """
    with torch.no_grad():
        wanted = features(real.detach())
    pairs = zip(features(fake), wanted, strict=True)
    return torch.stack([F.l1_loss(ours.float(), theirs.float()) for ours, theirs in pairs]).sum()


def reparameterise(mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """z = mu + exp(logvar / 2) * noise, each (N, D) (Kingma & Welling 2014)."""
    return noise * logvar.float().mul(0.5).exp() + mu.float()
