"""Codes of photos made as spread as the prior, without changing a picture.

KL pulls each posterior towards N(0, I) and does not see how they lie to each other: all dims may tell the brightness,
say, and then codes of photos fill a thin slice of the space from which random codes are drawn. Pictures of random
codes are then worse than reconstructions, and E cannot recover what it never saw. Here the aggregate posterior is
measured and the space re-expressed: E's heads and the map before G absorb one linear map and its inverse.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bicyclegan.metrics.outputs import encode
from bicyclegan.models import Encoder, Generator

LEAST_VARIANCE = 1e-3
"""Directions of less are taken for as much: nothing is amplified without bound."""


@dataclass(frozen=True)
class Whitening:
    """z -> forward (z - mean), and back by `inverse`; float64."""

    mean: Tensor
    """(D,) of the aggregate posterior."""
    forward: Tensor
    """(D, D), the inverse root of its covariance: of all that whiten the one that moves codes least (ZCA)."""
    inverse: Tensor
    noise: Tensor
    """(D,) mean variance of single posteriors, before."""


@torch.no_grad()
def measure_whitening(encoder: Encoder, photos: Tensor) -> Whitening:
    """From the posteriors of photos (N, 3, H, W) in [-1, 1]: covariance of mu plus mean variance of each posterior."""
    mu, logvar = (each.double() for each in encode(encoder, photos))
    noise = logvar.exp().mean(dim=0)
    values, vectors = torch.linalg.eigh(torch.cov(mu.T, correction=0).reshape(len(noise), -1) + noise.diag())
    root = values.clamp(min=LEAST_VARIANCE).sqrt()
    return Whitening(mu.mean(dim=0), (vectors / root) @ vectors.T, (vectors * root) @ vectors.T, noise)


@torch.no_grad()
def whiten(encoder: Encoder, generator: Generator, by: Whitening) -> None:
    """Fold the map into E's heads and its inverse into G's map of z, in place: G(A, E(B)) stays the same.

    A mapped posterior is no longer independent in its dims; its variances are kept, to first order in each logvar.
    """
    assert generator.code_map is not None
    code_map = generator.code_map
    # G(z) = F(M z + b) = F(M (inverse z' + mean) + b)
    weight = code_map.weight.double()
    _set(code_map.bias, code_map.bias.double() + weight @ by.mean.to(weight.device))
    _set(code_map.weight, weight @ by.inverse.to(weight.device))
    mean, forward, noise = (each.to(weight.device) for each in (by.mean, by.forward, by.noise))
    head = encoder.mu
    _set(head.bias, forward @ (head.bias.double() - mean))
    _set(head.weight, forward @ head.weight.double())
    # var'_i = sum_j forward_ij^2 var_j; d log var'_i = sum_j share_ij d log var_j
    parts = forward.square() * noise
    share, head = parts / parts.sum(dim=1, keepdim=True), encoder.logvar
    _set(head.bias, share @ (head.bias.double() - noise.log()) + parts.sum(dim=1).log())
    _set(head.weight, share @ head.weight.double())


def _set(weight: Tensor, value: Tensor) -> None:
    weight.copy_(value.to(weight.dtype))
