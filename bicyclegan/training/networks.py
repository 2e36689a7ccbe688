"""The networks that a run trains, and an optimiser for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from torch import nn

from bicyclegan.models import Discriminator, Encoder, Generator
from bicyclegan.models.init import init_weights
from bicyclegan.training.config import OptimConfig, TrainConfig
from bicyclegan.training.objectives import OBJECTIVES


@dataclass
class Networks:
    """What there is to train. Names are those of run checkpoints and events."""

    generator: Generator
    encoder: Encoder | None = None
    discriminator: Discriminator | None = None
    """Judges the encoded path, or the only one."""
    discriminator2: Discriminator | None = None
    """Judges the random path; None when that path is off or shares the first."""

    def named(self) -> Iterator[tuple[str, nn.Module]]:
        """Name and network of those there are."""
        for field in fields(self):
            if (network := getattr(self, field.name)) is not None:
                yield field.name, network

    def to(self, device: torch.device, memory_format: torch.memory_format = torch.contiguous_format) -> Networks:
        """Move all networks, in place."""
        for _, network in self.named():
            network.to(device=device, memory_format=memory_format)
        return self


def build_networks(config: TrainConfig) -> Networks:
    """Fresh networks on the CPU, in train mode: only those that the objective and its weights need."""
    model, loss, optim = config.model, config.loss, config.optim
    objective = OBJECTIVES[loss.objective]
    torch.manual_seed(config.seed)
    judged = [loss.uses(f"gan_{path.name}") for path in objective.paths]
    networks = Networks(
        generator=Generator(model),
        encoder=Encoder(model) if objective.needs_encoder else None,
        discriminator=Discriminator(model) if judged[0] else None,
        discriminator2=Discriminator(model) if any(judged[1:]) and not loss.share_discriminator else None,
    )
    for _, network in networks.named():
        init_weights(network, optim.init, optim.init_gain)
    return networks


def make_optimizers(networks: Networks, optim: OptimConfig) -> dict[str, torch.optim.Optimizer]:
    """One Adam for each network, by its name; AdamW where weights decay."""
    options: dict[str, object] = {"lr": optim.learning_rate, "betas": (optim.beta1, optim.beta2)}
    kind: type[torch.optim.Optimizer] = torch.optim.Adam
    if optim.weight_decay:
        kind, options = torch.optim.AdamW, {**options, "weight_decay": optim.weight_decay}
    return {name: kind(network.parameters(), **options) for name, network in networks.named()}


def count_parameters(networks: Networks) -> dict[str, int]:
    """Number of weights of each network."""
    return {name: sum(weight.numel() for weight in network.parameters()) for name, network in networks.named()}
