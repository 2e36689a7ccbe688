"""Made-up run folders as a training leaves them, written in a moment. For tests of what compares and shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from bicyclegan.config import ModelConfig
from bicyclegan.images import webp_bytes
from bicyclegan.training.config import LossConfig, TrainConfig
from bicyclegan.training.events import (
    DataChecked,
    Event,
    RunEnded,
    RunStarted,
    StepLogged,
    Validated,
    to_line,
)
from bicyclegan.training.run_folder import RunFolder

BEGIN = 1_700_000_000.0
"""When every run began, seconds since 1970."""
LOSSES = {"l1": 0.4, "kl": 3.0, "latent_l1": 0.9, "gan_encoded": 0.8, "d_encoded": 0.7}
SCORES = {"real_encoded": 0.8, "fake_encoded": 0.3}
COLOURS = ("navy", "darkred", "darkgreen", "purple", "teal", "olive", "black", "grey")


def config(**fields: Any) -> TrainConfig:
    """Of a run on 32 px with batches of 4; a field of the losses is given by its name too."""
    losses = {name: fields.pop(name) for name in [*fields] if hasattr(LossConfig, name)}
    model = ModelConfig(image_size=32, depth=5, base_channels=4, encoder_blocks=3, discriminator_layers=2)
    base = TrainConfig(data="photos/shoes", out="runs/x", steps=40, batch_size=4, model=model)
    return replace(base, **{"loss": replace(base.loss, **losses), **fields})


def step_line(step: int, seconds: float | None = None, **fields: Any) -> StepLogged:
    """A line of losses, a second after the one of the update before."""
    usual = {
        "losses": {name: value + 1 / step for name, value in LOSSES.items()},
        "scores": SCORES,
        "kl_per_dim": [1.0, 2.0],
        "gradient_norms": {"generator": 12.0, "discriminator": 3.0},
        "learning_rates": {"generator": 2e-4, "discriminator": 2e-4},
        "images_per_second": 8.0,
        "memory_mb": 900.0 + step,
        "time": BEGIN + (step if seconds is None else seconds),
    }
    return StepLogged(step=step, **{**usual, **fields})


def validation(step: int, seconds: float | None = None, **metrics: Any) -> Validated:
    """A validation of 64 pictures."""
    usual = {"reconstruction_l1": 0.2, "diversity_rgb": 0.1, "latent_l1": 0.7, "kl_per_dim": [1.0, 2.0]}
    time = BEGIN + (step if seconds is None else seconds)
    return Validated(step=step, metrics={**usual, **metrics}, encoded_random_gap=0.02, images=64, time=time)


def story(steps: int = 40, every: int = 10, end: str = "completed", **metrics: Any) -> list[Event]:
    """A run from start to end, validated in its middle and at its end."""
    lines: list[Event] = [
        RunStarted(step=0, version="0.1.0", device="cpu", precision="fp32", parameters={"generator": 5}, time=BEGIN),
        DataChecked(step=0, report={"train": 14, "validation": 4}, time=BEGIN),
    ]
    for step in range(every, steps + 1, every):
        lines.append(step_line(step))
        if step in (steps // 2, steps):
            lines.append(validation(step, **metrics))
    return [*lines, *([RunEnded(step=steps, reason=end, time=BEGIN + steps)] if end else [])]


def write_run(
    folder: Path, events: Sequence[Event] | None = None, samples: Sequence[int] = (20, 40), **fields: Any
) -> Path:
    """A run folder.

    Args:
        events: its lines; by default those of `story()`.
        samples: updates after which it wrote a sheet.
        fields: of its config, as in `config`.
    """
    run = RunFolder(folder)
    run.save_config(config(**{"out": str(folder), **fields}))
    run.events_file.write_text("".join(map(to_line, story() if events is None else events)), "utf-8")
    for place, step in enumerate(samples):
        write_sheet(run.samples(step), COLOURS[place % len(COLOURS)])
    return folder


def write_sheet(path: Path, colour: str, size: tuple[int, int] = (120, 80)) -> Path:
    """A picture of one colour in place of a sheet of samples."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(webp_bytes(Image.new("RGB", size, colour)))
    return path
