"""A run's config out of options by their names, as a page sends them: only those that a stranger may set.

Options are flat, {"lambda_z": 1.0, "image_size": 64}: all fields of `TrainConfig` and its groups have names of their
own. What names a place on this machine, fetches something or starts processes is not for others to set.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from bicyclegan.config import from_json
from bicyclegan.errors import UserError
from bicyclegan.training.advice import RUN, fields
from bicyclegan.training.command import train_defaults
from bicyclegan.training.config import RecordConfig, TrainConfig

WITHHELD = (
    "data",
    "out",
    "init_from",
    "preset",
    "device",
    "precision",
    "num_workers",
    "val_data",
    "cache_dir",
    "lambda_perceptual",
    "perceptual_network",
    "log_with",
    "keep_checkpoints",
    "best_metric",
)
"""Only for the command line: places, machines, downloads; and what the page has controls of its own for."""
MOST = {
    "image_size": 512,
    "batch_size": 128,
    "base_channels": 128,
    "encoder_channels": 128,
    "discriminator_channels": 128,
    "num_discriminators": 4,
    "residual_blocks": 8,
    "latent_dim": 64,
    "critic_steps": 20,
    "validation_images": 256,
    "steps": 1_000_000,
}
"""Largest values that a page may ask for."""
MAX_PIXELS = 64 * 256 * 256
"""In all pictures of a batch."""
MAX_WEIGHTS = 60_000_000
"""Of the generator: twice those of the official one."""
SHOWINGS = 1000
"""Sheets of samples, validations and checkpoints that a page may ask a run for."""
SHOWN = 60
"""Lines of numbers that a short run has at least, so that its curves are curves."""


def open_fields() -> dict[str, tuple[str, ...]]:
    """Names of the fields that may be set, by group, in the order of the config."""
    return {group: tuple(name for name in names if name not in WITHHELD) for group, names in fields().items()}


def defaults(preset: str, init_from: str | Path = "", image_size: int | None = None) -> TrainConfig:
    """What a run has where nothing else is said. Raises `UserError` for what cannot be.

    Args:
        preset: a name of `PRESETS`.
        init_from: folder of the checkpoint to start from, whose networks are taken over; none: from scratch.
        image_size: side of the pictures in px; the networks fit it. Ignored with a checkpoint, which has its own.
    """
    args = ["--preset", str(preset)]
    if init_from:
        args += ["--init-from", str(init_from)]
    elif image_size is not None:
        args += ["--image-size", str(image_size)]
    config = train_defaults(args)
    return dataclasses.replace(config, record=dataclasses.replace(config.record, log_with="none"))


def with_options(config: TrainConfig, options: Mapping[str, Any]) -> TrainConfig:
    """The config with some fields changed. Raises `UserError` for unknown, withheld and impossible ones.

    How often something is written down follows from the number of steps, unless it is among the options.
    """
    allowed = open_fields()
    unknown = [name for name in options if not any(name in names for names in allowed.values())]
    if unknown:
        raise UserError("train_option", "{name!r} is no option that can be set here.", name=str(unknown[0])[:60])
    _check_sizes(options)
    changed: dict[str, Any] = {name: options[name] for name in allowed[RUN] if name in options}
    steps = changed.get("steps", config.steps)
    for group, names in allowed.items():
        values = {name: options[name] for name in names if name in options}
        if group == RUN or not (values or group == "record"):
            continue
        holder = getattr(config, group)
        if group == "record" and isinstance(steps, int) and not isinstance(steps, bool):
            holder = record_for(holder, steps)
        changed[group] = from_json(get_type_hints(TrainConfig)[group], {**dataclasses.asdict(holder), **values})
    plain = {each.name: getattr(config, each.name) for each in dataclasses.fields(TrainConfig)}
    made = from_json(TrainConfig, {**plain, **changed})
    _check_cost(made, options)
    return made


def record_for(record: RecordConfig, steps: int) -> RecordConfig:
    """How often to write in a run of so many steps: a short one shows something, a long one stays as it was."""

    def every(usual: int, times: int) -> int:
        return max(1, min(usual, steps // times))

    return dataclasses.replace(
        record,
        log_every=every(record.log_every, SHOWN),
        measure_every=every(record.measure_every, 12),
        sample_every=every(record.sample_every, 12),
        validate_every=every(record.validate_every, 6),
        checkpoint_every=every(record.checkpoint_every, 4),
        validation_images=min(record.validation_images, 32),
    )


def bytes_on_disk(config: TrainConfig) -> int:
    """About what a run will take: weights, averages and two moments of all networks, in each checkpoint kept."""
    networks = 2 * 4 * count_weights(config)  # E and D together have about as many weights as G
    return networks * (4 * (config.record.keep_checkpoints + 1) + 2)


def count_weights(config: TrainConfig) -> int:
    """Of the generator, without making it."""
    import torch

    from bicyclegan.models import Generator

    with torch.device("meta"):
        return sum(weight.numel() for weight in Generator(config.model).parameters())


def _check_sizes(options: Mapping[str, Any]) -> None:
    for name, most in MOST.items():
        value = options.get(name)
        if isinstance(value, (int, float)) and value > most:
            raise _large(name, value, most)


def _check_cost(config: TrainConfig, options: Mapping[str, Any]) -> None:
    """Raise `UserError` for what would take all of a machine that others use too."""
    side = config.model.image_size
    if config.batch_size * side**2 > MAX_PIXELS:
        raise _large("batch_size", config.batch_size, max(2, MAX_PIXELS // side**2))
    if (weights := count_weights(config)) > MAX_WEIGHTS:
        raise _large("base_channels", f"{config.model.base_channels} ({weights:,})", f"{MAX_WEIGHTS:,}")
    for name in ("sample_every", "validate_every", "checkpoint_every", "measure_every"):
        value = getattr(config.record, name)
        if name in options and value and value < config.steps // SHOWINGS:
            raise UserError(
                "train_option_often",
                "{name} is {value}; in a run of {steps} steps it must be 0 or at least {least}.",
                name=name,
                value=value,
                steps=config.steps,
                least=config.steps // SHOWINGS,
            )


def _large(name: str, value: object, most: object) -> UserError:
    return UserError(
        "train_option_large",
        "{name} is {value}; here it may be at most {most}. Larger ones train from the command line.",
        name=name,
        value=value,
        most=most,
    )
