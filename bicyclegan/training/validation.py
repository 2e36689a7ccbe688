"""Validation of a run: metrics, scores and codes on a fixed set of pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from bicyclegan import images
from bicyclegan.data import PairDataset
from bicyclegan.metrics import evaluate
from bicyclegan.metrics.outputs import Outputs, compute_outputs
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.networks import Networks
from bicyclegan.training.objectives import OBJECTIVES

BATCH = 16
"""Pictures that pass the networks at once."""


@dataclass(frozen=True)
class ValidationSet:
    """Pictures that are the same at every validation of a run."""

    a: Tensor
    """(N, C, H, W) in [-1, 1], on the CPU."""
    b: Tensor
    """(N, 3, H, W)."""
    names: tuple[str, ...]


def load_validation_set(dataset: PairDataset, count: int) -> ValidationSet:
    """`count` pictures spread evenly over the validation data, in an order that mixes its folders; not augmented."""
    picked = np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int))
    picked = np.random.RandomState(0).permutation(picked)
    pairs = [dataset.plain(int(index)) for index in picked]
    a, b = (images.to_float(np.stack(side)) for side in zip(*pairs, strict=True))
    return ValidationSet(a, b, tuple(dataset.names[index] for index in picked))


@dataclass(frozen=True)
class Validation:
    """What one validation found."""

    outputs: Outputs
    metrics: dict[str, float | list[float]]
    scores: dict[str, float]
    encoded_random_gap: float | None


def validate(
    config: TrainConfig,
    averaged: Networks,
    critics: Networks,
    pictures: ValidationSet,
) -> Validation:
    """Measure G and E of `averaged` on `pictures` in float32; `critics` lends its discriminators. No gradients."""
    outputs = compute_outputs(averaged.generator, averaged.encoder, pictures.a, pictures.b, seed=config.seed)
    random = outputs.random[:, 0]
    sketches, photos, encoded = (each[: len(random)] for each in (outputs.a, outputs.b, outputs.reconstruction))
    scores, gaps = {}, []
    for network in (critics.discriminator, critics.discriminator2):
        if network is None:
            continue
        path = _judged_path(config, critics, network)
        real, fake_encoded, fake_random = (_mean_score(network, sketches, each) for each in (photos, encoded, random))
        scores[f"real_{path}"] = real
        scores[f"fake_{path}"] = fake_encoded if path == "encoded" else fake_random
        gaps.append(fake_encoded - fake_random)
    both = outputs.mu is not None and gaps
    return Validation(outputs, evaluate(outputs), scores, float(np.mean(gaps)) if both else None)


def _judged_path(config: TrainConfig, critics: Networks, network: nn.Module) -> str:
    objective = OBJECTIVES[config.loss.objective]
    return objective.paths[-1 if network is critics.discriminator2 else 0].name


@torch.inference_mode()
def _mean_score(network: nn.Module, sketches: Tensor, photos: Tensor) -> float:
    """Mean over pictures, scales and patches of what a discriminator says."""
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    total = 0.0
    for start in range(0, len(photos), BATCH):
        a, b = (each[start : start + BATCH].to(device) for each in (sketches, photos))
        shown = torch.cat([a, b], dim=1) if network.config.conditional_discriminator else b
        scores = network(shown)
        total += len(b) * float(torch.stack([each.float().mean() for each in scores]).mean())
    network.train(was_training)
    return total / len(photos)
