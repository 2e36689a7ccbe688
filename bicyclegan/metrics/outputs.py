"""What the networks make of a set of pairs: computed once, read by every metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from bicyclegan.latent import MAX_SEED, sample_codes
from bicyclegan.models import Encoder, Generator
from bicyclegan.models.inference import FastGenerator


@dataclass(frozen=True, eq=False)
class Outputs:
    """Pictures and codes of N pairs; of the first K also S random samples. float32 on the CPU."""

    a: Tensor
    """(N, input_channels, H, W) sketches in [-1, 1]."""
    b: Tensor
    """(N, 3, H, W) photos in [-1, 1]."""
    mu: Tensor | None
    """(N, D) means of E(B); None without encoder."""
    logvar: Tensor | None
    """(N, D) log variances of E(B)."""
    reconstruction: Tensor
    """(N, 3, H, W) G(A, mu); without encoder G(A, z) with one code for all, or G(A) where there is none."""
    random: Tensor
    """(K, S, 3, H, W) G(A, z). S is 1 where there is no code: all samples would be the same."""
    z: Tensor
    """(K, S, D) codes of `random`, drawn independently from N(0, I)."""
    recovered: Tensor | None
    """(K, S, D) means of E(G(A, z))."""


def compute_outputs(
    generator: Generator,
    encoder: Encoder | None,
    a: Tensor,
    b: Tensor,
    *,
    seed: int = 0,
    inputs: int = 16,
    samples: int = 4,
    batch: int = 16,
) -> Outputs:
    """Run the networks, wherever they are, in eval mode and float32; their modes are put back afterwards.

    Args:
        generator, encoder: plain networks, not wrapped for several processes.
        a, b: (N, C, H, W) sketches and (N, 3, H, W) photos in [-1, 1], N at least 1.
        seed: of the random codes, 0 to 2**32 - 1; nothing else is random.
        inputs: how many of the first sketches are painted with random codes (K).
        samples: photos of each of them (S), 1 to 1024.
        batch: pictures in one forward pass.
    """
    assert len(a) == len(b) > 0, (len(a), len(b))
    inputs, dim = min(inputs, len(a)), generator.config.latent_dim
    z = draw_codes(seed, inputs, samples if dim else 1, dim)
    mu, logvar = encode(encoder, b, batch) if encoder else (None, None)
    codes = z[0, 0].expand(len(a), -1) if mu is None else mu
    random = paint_each(generator, a[:inputs], z, batch)
    recovered = encode(encoder, random.flatten(0, 1), batch)[0].view_as(z) if encoder else None
    return Outputs(
        a=a.cpu().float(),
        b=b.cpu().float(),
        mu=mu,
        logvar=logvar,
        reconstruction=paint(generator, a, codes, batch),
        random=random,
        z=z,
        recovered=recovered,
    )


def draw_codes(seed: int, inputs: int, samples: int, latent_dim: int) -> Tensor:
    """Independent codes from N(0, I) for each input: (inputs, samples, latent_dim). Those of one depend on no other."""
    rows = [
        sample_codes((seed + k) % (MAX_SEED + 1), samples, latent_dim, stratify=False)  # each its own seed
        for k in range(inputs)
    ]
    return torch.from_numpy(np.stack(rows))


def encode(encoder: Encoder, photos: Tensor, batch: int = 16) -> tuple[Tensor, Tensor]:
    """mu and logvar of photos (N, 3, H, W) in [-1, 1]: two times (N, D)."""
    with exact_inference(encoder) as device:
        pairs = [encoder(part.to(device)) for part in photos.split(batch)]
        return torch.cat([mu for mu, _ in pairs]).cpu(), torch.cat([logvar for _, logvar in pairs]).cpu()


def paint(generator: Generator, a: Tensor, z: Tensor, batch: int = 16) -> Tensor:
    """Photo k of sketch k in style k: (N, C, H, W), (N, D) -> (N, 3, H, W) in [-1, 1]."""
    with exact_inference(generator) as device:
        run = _fast(generator) if device.type == "cpu" else generator
        parts = zip(a.split(batch), z.split(batch), strict=True)
        return torch.cat([run(x.to(device), code.to(device)).cpu() for x, code in parts])


def paint_each(generator: Generator, a: Tensor, z: Tensor, batch: int = 16) -> Tensor:
    """Each sketch in several styles: (K, C, H, W), (K, S, D) or (S, D) for all -> (K, S, 3, H, W)."""
    z = z.expand(len(a), *z.shape[-2:])
    return paint(generator, a.repeat_interleave(z.shape[1], dim=0), z.flatten(0, 1), batch).unflatten(0, z.shape[:2])


def _fast(generator: Generator) -> Callable[[Tensor, Tensor], Tensor]:
    """The same function, three times as fast on a CPU. Rearranging the weights costs less than one picture."""
    fast = FastGenerator(generator)
    return lambda x, z: fast(fast.prepare(x), z)


@contextmanager
def exact_inference(network: nn.Module) -> Iterator[torch.device]:
    """No gradients, eval mode, float32, whatever the caller's mode is; yields the network's device."""
    modes = [(module, module.training) for module in network.modules()]
    device = next(network.parameters()).device
    network.eval()
    try:
        with torch.inference_mode(), torch.autocast(device.type, enabled=False):
            yield device
    finally:
        for module, training in modes:
            module.training = training
