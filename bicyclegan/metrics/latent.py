"""What the codes hold: how well they are recovered, how far they are from the prior, how many dims are used."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from bicyclegan.losses import kl_per_dim, latent_l1, pixel_l1
from bicyclegan.metrics.outputs import Outputs
from bicyclegan.metrics.registry import register

LATENT_CHANCE = math.sqrt(2 / math.pi)
"""Latent L1 of an encoder that recovers nothing, 0.798: to know nothing of z ~ N(0, 1), the best answer is its median,
0, and E|z| = 2 * integral of z phi(z) from 0 to infinity = 2 phi(0) = sqrt(2 / pi). Values above are possible."""
ACTIVE_VARIANCE = 0.01
"""A dim is active when the variance of its mu over photos is larger (Burda et al. 2016, section 5.2)."""
DIRECTIONS = 256
"""Random directions along which sets of codes are compared with the prior."""


def _read(outputs: Outputs) -> bool:
    return outputs.mu is not None


def active(mu: Tensor) -> list[bool]:
    """Which dims say something about the photo: (N, D) -> D values."""
    return (mu.var(dim=0, correction=0) > ACTIVE_VARIANCE).tolist()


def sliced_wasserstein(codes: Tensor) -> float:
    """Distance of codes (N, D) from N(0, I): 2-Wasserstein along a line, root mean square over fixed directions.

    Along each direction the sorted codes are held against the quantiles of N(0, 1) (Bonneel et al. 2015). 1 for codes
    that are all 0; codes of the prior itself score a little above 0, the fewer the more.
    """
    lines = torch.from_numpy(np.random.RandomState(0).standard_normal((codes.shape[1], DIRECTIONS)))
    places = torch.special.ndtri((torch.arange(len(codes), dtype=torch.float64) + 0.5) / len(codes))
    sorted_codes = (codes.double() @ (lines / lines.norm(dim=0))).sort(dim=0).values
    return (sorted_codes - places[:, None]).square().mean().sqrt().item()


@register("reconstruction_l1", better="lower")
def reconstruction_l1(outputs: Outputs) -> float:
    """Mean |B - G(A, E(B))|, in units of [-1, 1]."""
    return pixel_l1(outputs.reconstruction, outputs.b).item()


@register("encoded_random_l1_gap", applies=_read, needs="an encoder")
def encoded_random_l1_gap(outputs: Outputs) -> float:
    """How much closer to B its own code comes than a random one: mean |B - G(A, z)| - |B - G(A, E(B))|, [-1, 1] units.

    On the first K pairs. Near 0 the code does nothing, or says nothing about B.
    """
    real = outputs.b[: len(outputs.random)]
    random = pixel_l1(outputs.random, real[:, None].expand_as(outputs.random))
    return (random - pixel_l1(outputs.reconstruction[: len(real)], real)).item()


@register("latent_l1", applies=_read, needs="an encoder", better="lower")
def latent_error(outputs: Outputs) -> float:
    """Mean |z - E(G(A, z))|; `LATENT_CHANCE` is chance."""
    return latent_l1(outputs.recovered, outputs.z).item()


@register("latent_l1_per_dim", applies=_read, needs="an encoder")
def latent_error_per_dim(outputs: Outputs) -> list[float]:
    """Mean |z - E(G(A, z))| of each dim."""
    return (outputs.recovered - outputs.z).abs().flatten(0, 1).mean(dim=0).tolist()


@register("kl", applies=_read, needs="an encoder")
def kl(outputs: Outputs) -> float:
    """KL(E(B) || N(0, I)): sum over dims, mean over photos, in nats (paper, equation 4)."""
    return kl_per_dim(outputs.mu, outputs.logvar).sum(dim=1).mean().item()


@register("kl_per_dim", applies=_read, needs="an encoder")
def kl_of_each_dim(outputs: Outputs) -> list[float]:
    """The same for each dim."""
    return kl_per_dim(outputs.mu, outputs.logvar).mean(dim=0).tolist()


@register("mu_mean", applies=_read, needs="an encoder")
def mu_mean(outputs: Outputs) -> list[float]:
    """Mean of mu of each dim over photos; 0 matches the prior."""
    return outputs.mu.mean(dim=0).tolist()


@register("mu_variance", applies=_read, needs="an encoder")
def mu_variance(outputs: Outputs) -> list[float]:
    """Variance of mu of each dim over photos, divided by N: near 1 for a dim in full use, near 0 for a dead one."""
    return outputs.mu.var(dim=0, correction=0).tolist()


@register("active_dims", applies=_read, needs="an encoder")
def active_dims(outputs: Outputs) -> float:
    """How many dims have a variance of mu above `ACTIVE_VARIANCE`."""
    return float(sum(active(outputs.mu)))
