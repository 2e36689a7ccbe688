"""Lessons of the pitfall lab that take seconds: their networks learn nothing, but their runs are whole."""

from __future__ import annotations

from dataclasses import replace

from bicyclegan.training.config import TrainConfig
from bicyclegan.training.lab import LESSONS, Lesson


def shortened(name: str, steps: int = 12, cured_steps: int = 6) -> Lesson:
    """A lesson with small networks and few updates, of which it writes down much."""
    taught = LESSONS[name]
    every = {"log_every": 2, "measure_every": 2, "sample_every": 6, "validate_every": 6, "checkpoint_every": 6}
    if isinstance(taught.config, TrainConfig):
        record = replace(taught.config.record, **every, validation_images=4)
        model = replace(taught.config.model, base_channels=4, encoder_channels=4, discriminator_channels=4)
        config = replace(taught.config, steps=steps, batch_size=4, model=model, record=record)
    else:
        config = replace(taught.config, steps=steps, batch_size=4, channels=4, **every)
    return replace(taught, config=config, cured_steps=cured_steps)
