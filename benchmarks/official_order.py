"""One update in the order of the official code, written plainly: what `TrainStep` is measured and checked against.

Written anew from the paper (section 3) and from what the official `BiCycleGANModel` is known to do, with none of our
losses and nothing of our step:

1. Encode one half of the batch; paint its sketches with its own codes and with random ones; read the latter back.
2. G and E: with D held still, one backward for GAN, KL and L1 that keeps the graph; then, with E held still, a second
   one for the latent loss alone, through all of the random path; both optimisers.
3. D, then D2: detached fakes and real photos are scored, one backward, its optimiser.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bicyclegan.training.config import LossConfig
from bicyclegan.training.networks import Networks
from bicyclegan.training.noise import Noise


@dataclass
class Painted:
    """What an update computes first, with its graph."""

    encoded: Tensor
    """G(A, E(B)), (N / 2, 3, H, W)."""
    random: Tensor
    """G(A, z) with random z."""
    mu: Tensor
    logvar: Tensor
    recovered: Tensor
    """mu of E(G(A, z)), (N / 2, D)."""


class OfficialOrder:
    """Updates all four networks by one batch.

    Least squares GAN, the full objective, D and D2 apart, each of several scales (of one the official code sums the
    adversarial loss over samples).
    """

    def __init__(self, networks: Networks, optimizers: dict[str, torch.optim.Optimizer], config: LossConfig):
        if (config.objective, config.adversarial, config.share_discriminator) != ("bicyclegan", "lsgan", False):
            raise ValueError("This order is written out for bicyclegan, lsgan and two discriminators only.")
        self.networks = networks
        self.optimizers = optimizers
        self.config = config

    def __call__(self, a: Tensor, b: Tensor, noise: Noise) -> dict[str, Tensor]:
        """Unweighted losses under the names of `StepRecord.losses`; arguments as for `TrainStep`."""
        painted = self.forward(a, b, noise)
        losses = self.update_generator_and_encoder(painted, a, b, noise)
        sketch, half = a[: len(a) // 2], len(a) // 2
        losses["d_encoded"] = self.update_discriminator("discriminator", sketch, painted.encoded, sketch, b[:half])
        losses["d_random"] = self.update_discriminator("discriminator2", sketch, painted.random, a[half:], b[half:])
        return {name: loss.detach() for name, loss in losses.items()}

    def forward(self, a: Tensor, b: Tensor, noise: Noise) -> Painted:
        generator, encoder, half = self.networks.generator, self.networks.encoder, len(a) // 2
        mu, logvar = encoder(b[:half])
        encoded = generator(a[:half], mu + (0.5 * logvar).exp() * noise.encoder)
        random = generator(a[:half], noise.random)
        recovered, _ = encoder(random)
        return Painted(encoded, random, mu, logvar, recovered)

    def update_generator_and_encoder(self, painted: Painted, a: Tensor, b: Tensor, noise: Noise) -> dict[str, Tensor]:
        networks, config, sketch = self.networks, self.config, a[: len(a) // 2]
        set_requires_grad((networks.discriminator, networks.discriminator2), False)
        self.optimizers["encoder"].zero_grad()
        self.optimizers["generator"].zero_grad()
        spread = 1 + painted.logvar - painted.mu**2 - painted.logvar.exp()
        losses = {
            "gan_encoded": squared_error(networks.discriminator(self.shown(sketch, painted.encoded)), 1),
            "gan_random": squared_error(networks.discriminator2(self.shown(sketch, painted.random)), 1),
            "kl": -0.5 * spread.sum() / (1 if config.reduction == "official" else len(spread)),
            "l1": F.l1_loss(painted.encoded, b[: len(sketch)]),
            "latent_l1": F.l1_loss(painted.recovered, noise.random),
        }
        total = config.lambda_gan * losses["gan_encoded"] + config.lambda_gan2 * losses["gan_random"]
        total = total + config.lambda_l1 * losses["l1"] + config.lambda_kl * losses["kl"]
        total.backward(retain_graph=True)
        set_requires_grad((networks.encoder,), False)
        (config.lambda_z * losses["latent_l1"]).backward()
        set_requires_grad((networks.encoder,), True)
        self.optimizers["encoder"].step()
        self.optimizers["generator"].step()
        return losses

    def update_discriminator(
        self, name: str, sketch: Tensor, fake: Tensor, real_sketch: Tensor, real_photo: Tensor
    ) -> Tensor:
        critic, optimizer = getattr(self.networks, name), self.optimizers[name]
        set_requires_grad((critic,), True)
        optimizer.zero_grad()
        loss = squared_error(critic(self.shown(sketch, fake.detach())), 0)
        loss = loss + squared_error(critic(self.shown(real_sketch, real_photo)), 1)
        loss.backward()
        optimizer.step()
        return loss

    def shown(self, sketch: Tensor, photo: Tensor) -> Tensor:
        """What a discriminator sees."""
        conditional = self.networks.generator.config.conditional_discriminator
        return torch.cat([sketch, photo], dim=1) if conditional else photo


def squared_error(scores: list[Tensor], target: float) -> Tensor:
    """Mean (s - target)^2 of each scale, added up."""
    return sum(F.mse_loss(each, torch.full_like(each, target)) for each in scores)


def set_requires_grad(networks: tuple[nn.Module, ...], wanted: bool) -> None:
    """Hold networks still, or let them go."""
    for network in networks:
        network.requires_grad_(wanted)
