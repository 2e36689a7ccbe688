"""The pitfall lab: each lesson trains a small model twice, once with a mistake of the tutorials and once without.

Both sides have the same pictures, seed and steps, and train at the same time. Then the sick one is cured and goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any, Literal, TypeAlias

from bicyclegan.config import ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.training.config import (
    AugmentConfig,
    DataConfig,
    LossConfig,
    OptimConfig,
    RecordConfig,
    RegularConfig,
    TrainConfig,
)
from bicyclegan.training.dcgan_config import DcganConfig
from bicyclegan.training.job_files import JobFiles, JobNotes
from bicyclegan.training.jobs import Jobs, newest_step
from bicyclegan.training.lab_data import Kind, write_pictures
from bicyclegan.training.pitfalls import PITFALLS, healthy_options, sick_config
from bicyclegan.training.presets import model_for_size

Config: TypeAlias = TrainConfig | DcganConfig
Side = Literal["sick", "healthy"]
SIDES: tuple[Side, Side] = ("sick", "healthy")
BYTES_OF_A_LESSON = 60_000_000
"""That both runs take on the disk, about."""


@dataclass(frozen=True)
class Lesson:
    """One pitfall, and the healthy run that it is planted into."""

    name: str
    pitfall: str
    """In `PITFALLS`."""
    about: str
    """What is wrong on the sick side, in a few words."""
    data: Kind
    config: Config
    """Of the healthy side; its data and folder are set when it starts."""
    cured_steps: int
    """Updates that the sick side goes on for, once it is cured."""

    def side(self, side: Side, seed: int | None = None) -> tuple[Config, str]:
        """The config of one side, and what its worker plants into the program; empty for nothing."""
        config = self.config if seed is None else replace(self.config, seed=seed)
        if side == "healthy":
            return config, ""
        return sick_config(self.pitfall, config), self.pitfall if PITFALLS[self.pitfall].bug else ""

    def remedy(self, made: int, steps: int) -> dict[str, Any]:
        """Fields of the sick config to change: what the pitfall has changed, and the number of updates.

        Args:
            made: updates from which it goes on.
            steps: updates that it was to make.
        """
        return {**healthy_options(self.pitfall, self.config), "steps": max(steps, made + self.cured_steps)}


OPTIM = OptimConfig(learning_rate=1e-3, discriminator_rate=0.2, schedule="constant", ema_decay=0.95)
"""Large steps, as there are so few; a slower D and noise on all it sees keep both sides equal, and figures were
compared for that (pictures of 32 px are easy to tell from fakes)."""


def healthy(
    data: Kind,
    *,
    size: int = 32,
    steps: int = 400,
    loss: LossConfig | None = None,
    optim: OptimConfig | None = None,
    **fields: Any,
) -> TrainConfig:
    """A small training that goes well, for a lesson.

    Args:
        data: what it learns from: shapes are pairs side by side, garments photos.
        size: side of the pictures in px, 32 or 64.
        fields: others of `TrainConfig`, whole groups.
    """
    model = ModelConfig(base_channels=16, latent_dim=4, encoder_channels=16, discriminator_channels=16)
    every = RecordConfig(
        log_every=10,
        measure_every=20,
        sample_every=50,
        validate_every=50,
        checkpoint_every=100,
        keep_checkpoints=1,
        validation_images=16,
        log_with="none",
    )
    usual: dict[str, Any] = {
        "steps": steps,
        "batch_size": 8,
        "model": model_for_size(model, size),
        "source": DataConfig(layout="side-by-side" if data == "shapes" else "photos"),
        "augment": AugmentConfig(),
        "loss": loss or LossConfig(),
        "optim": optim or OPTIM,
        "regular": RegularConfig(instance_noise=0.3),
        "record": every,
    }
    return TrainConfig(**{**usual, **fields})


def healthy_dcgan(*, size: int = 32, steps: int = 500, **fields: Any) -> DcganConfig:
    """A small DCGAN that goes well, for a lesson. Arguments as for `healthy`."""
    usual: dict[str, Any] = {
        "steps": steps,
        "image_size": size,
        "batch_size": 32,
        "channels": 32,
        "learning_rate": 5e-4,
        "latent_dim": 32,
        "log_every": 10,
        "measure_every": 20,
        "sample_every": 50,
        "validate_every": 50,
        "checkpoint_every": 100,
    }
    return DcganConfig(**{**usual, **fields})


LESSONS: dict[str, Lesson] = {
    each.name: each
    for each in (
        Lesson(
            "detach",
            "detach",
            "fakes are cut off from G (detach) where G should learn from D's verdict",
            "shapes",
            healthy("shapes"),
            cured_steps=400,
        ),
        Lesson(
            "unit-range",
            "unit-range",
            "photos come in [0, 1] while G paints in [-1, 1] (Tanh)",
            "garments",
            healthy("garments"),
            cured_steps=400,
        ),
        Lesson(
            "no-latent-loss",
            "no-latent-loss",
            "pix2pix with noise: nobody asks that the code can be read from the picture, so G ignores it",
            "shapes",
            healthy("shapes"),
            cured_steps=400,
        ),
        Lesson(
            "no-kl",
            "no-kl",
            "nothing holds the codes of photos near the prior, so random codes paint badly",
            "shapes",
            healthy("shapes"),
            cured_steps=400,
        ),
        Lesson(
            "fast-discriminator",
            "fast-discriminator",
            "D learns ten times as fast as G and leaves it nothing to learn from",
            "shapes",
            healthy("shapes"),
            cured_steps=400,
        ),
        Lesson(
            "no-l1",
            "no-l1",
            "nothing asks that the encoded picture looks like its photo",
            "shapes",
            healthy("shapes"),
            cured_steps=400,
        ),
        Lesson(
            "wgan-no-clipping",
            "wgan-no-clipping",
            "a WGAN whose critic is not held in bounds",
            "shapes",
            healthy(
                "shapes",
                loss=LossConfig(adversarial="wgan"),
                optim=replace(OPTIM, discriminator_rate=1.0),
                regular=RegularConfig(),
            ),
            cured_steps=400,
        ),
        Lesson(
            "dcgan-detach",
            "dcgan-detach",
            "a DCGAN whose fakes are cut off from G (detach): it stays noise",
            "shapes",
            healthy_dcgan(),
            cured_steps=400,
        ),
        Lesson(
            "dcgan-unit-range",
            "dcgan-unit-range",
            "a DCGAN whose photos come in [0, 1] while G paints in [-1, 1] (Tanh)",
            "shapes",
            healthy_dcgan(),
            cured_steps=400,
        ),
    )
}
"""Lessons by name, in the order in which they are shown."""


def lesson(name: str) -> Lesson:
    """A lesson by its name. Raises `UserError` where there is none."""
    if name not in LESSONS:
        raise UserError(
            "lab_lesson", "There is no lesson {name!r}; use one of {known}.", name=name, known=", ".join(LESSONS)
        )
    return LESSONS[name]


def start(jobs: Jobs, name: str, owner: str = "") -> tuple[str, str]:
    """Train both sides of a lesson as soon as it is their turn.

    Args:
        owner: address of whoever asks, see `Jobs.start`.

    Returns:
        Names of the sick and of the healthy run.

    Raises:
        UserError: for an unknown lesson, and where one of them cannot be started; then none is left.
    """
    taught = lesson(name)
    group, made, configs = token_hex(8), {}, {}
    try:
        for side in SIDES:
            config, pitfall = taught.side(side)
            notes = JobNotes(lesson=name, side=side, pitfall=pitfall, group=group)
            made[side] = jobs.new_draft(f"{name} {side}", notes)
            write_pictures(taught.data, JobFiles(jobs.folder(made[side]).root).pictures, _size(config))
            configs[made[side]] = config
        jobs.start_together(configs, owner=owner, bytes_needed=BYTES_OF_A_LESSON)
    except BaseException:
        _remove(jobs, made)
        raise
    return made["sick"], made["healthy"]


def cure(jobs: Jobs, id: str) -> None:
    """Go on with the sick side of a lesson, as if it had been healthy from now on. A living one is stopped first.

    Raises:
        UserError: for another run, and where it cannot be stopped or go on.
    """
    run = jobs.folder(id)
    taught = lesson_of(JobFiles(run.root).notes())
    if taught is None:
        raise UserError("lab_not_sick", "This run is not the sick side of a lesson: there is nothing to cure.")
    steps = jobs.config(id).steps
    jobs.end(id)
    jobs.resume(id, taught.remedy(newest_step(run), steps), cured=True)


def lesson_of(notes: JobNotes | None) -> Lesson | None:
    """The lesson that a run is the sick side of; None for all others, and for lessons that are no more."""
    return LESSONS.get(notes.lesson) if notes and notes.side == "sick" else None


def _size(config: Config) -> int:
    return config.model.image_size if isinstance(config, TrainConfig) else config.image_size


def _remove(jobs: Jobs, made: Mapping[str, str]) -> None:
    """Leave nothing of a lesson that could not begin."""
    for id in made.values():
        with suppress(UserError):
            jobs.end(id)
            jobs.delete(id)
