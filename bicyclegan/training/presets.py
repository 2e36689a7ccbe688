"""Presets of training by name, and networks made to fit a picture size or an objective."""

from __future__ import annotations

from dataclasses import replace

from bicyclegan.config import ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.training.config import (
    AugmentConfig,
    LossConfig,
    OptimConfig,
    RecordConfig,
    StrokeConfig,
    TrainConfig,
)
from bicyclegan.training.objectives import OBJECTIVES

SMALLEST_STRIDE = 32
"""Picture sides that `model_for_size` takes are multiples of this: five halvings at least."""


def model_for_size(model: ModelConfig, size: int) -> ModelConfig:
    """The networks at another picture size, as deep as the official ones are at 128 and 256 px.

    One level less with bilinear upsampling and instance norm, where a bottleneck of one pixel is dead: it is
    upsampled to a constant picture, which the norm takes away, and a quarter of G's weights would never learn.
    """
    if size < SMALLEST_STRIDE or size % SMALLEST_STRIDE:
        raise UserError(
            "train_size",
            "image_size is {size}; it must be a multiple of {stride}. Nearest: {near}.",
            size=size,
            stride=SMALLEST_STRIDE,
            near=max(1, round(size / SMALLEST_STRIDE)) * SMALLEST_STRIDE,
        )
    halvings = (size & -size).bit_length() - 1  # how often 2 divides it
    dead_pixel = size == 2**halvings and halvings <= 8 and model.upsample == "bilinear" and model.norm == "instance"
    return replace(
        model,
        image_size=size,
        depth=min(8, halvings) - dead_pixel,
        encoder_blocks=5 if size >= 256 else 4 if size >= 128 else 3,
        discriminator_layers=3 if size >= 256 else 2,
    )


def model_for_objective(model: ModelConfig, objective: str) -> ModelConfig:
    """The networks without the parts that an objective has no use for."""
    wanted = OBJECTIVES[objective]
    if not wanted.needs_code:
        return replace(model, latent_dim=0, encoder="none", inject="input")
    return model if wanted.needs_encoder else replace(model, encoder="none")


PRESETS: dict[str, TrainConfig] = {
    "fast": TrainConfig(
        augment=AugmentConfig(hue=0.3, scale=0.05),
        strokes=StrokeConfig(threshold_jitter=1.0, drop_strokes=0.3, wobble=0.7, silhouette=0.15),
        model=model_for_size(ModelConfig(base_channels=32, encoder_channels=32, discriminator_channels=32), 128),
    ),
    "quality": TrainConfig(
        preset="quality",
        steps=60_000,
        batch_size=16,
        augment=AugmentConfig(hue=0.3, scale=0.1, rotation=5, crop=0.05),
        strokes=StrokeConfig(threshold_jitter=1.0, drop_strokes=0.4, wobble=1.0, silhouette=0.2),
        model=model_for_size(ModelConfig(base_channels=40, residual_blocks=1, minibatch="statistics"), 256),
        record=RecordConfig(log_every=50, sample_every=1000, validate_every=1000, checkpoint_every=1000),
    ),
    "official": TrainConfig(
        preset="official",
        steps=200_000,
        batch_size=2,
        augment=AugmentConfig(crop=0.117),
        model=model_for_size(ModelConfig(upsample="transposed"), 256),
        loss=LossConfig(reduction="official"),
        optim=OptimConfig(schedule="linear-epochs", encoder_init="same", ema_decay=0.0, discriminator_warmup=0),
        record=RecordConfig(log_every=50, sample_every=2000, validate_every=2000, checkpoint_every=2000),
    ),
}
"""Presets by name."""
