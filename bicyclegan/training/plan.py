"""`--dry-run`: what a run would take, measured on a few real steps. Nothing but the cache of pictures is written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from bicyclegan.training.checks import check_config
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.devices import device_name, make_accelerator, memory_mb
from bicyclegan.training.loop import Report, Run, open_run
from bicyclegan.training.networks import count_parameters
from bicyclegan.training.processes import together, total
from bicyclegan.training.run_folder import RunFolder

WARM_UP, MEASURED = 2, 10
"""Steps before the clock runs, and steps that are timed."""


@dataclass(frozen=True)
class Plan:
    """The cost of a run."""

    training_images: int
    validation_images: int
    steps: int
    epochs: float
    device: str
    parameters: dict[str, int]
    seconds_per_step: float
    """Median of the measured steps."""
    images_per_second: float
    loader_images_per_second: float
    """What reading pictures alone delivers."""
    seconds: float
    """For all steps, validation and checkpoints not counted."""
    memory_mb: float
    """Of all processes together."""
    disk_mb: float
    """Of checkpoints, at most."""
    processes: int = 1
    """That share each batch."""

    def lines(self) -> list[str]:
        """The plan for people."""
        weights = ", ".join(f"{name} {count / 1e6:.1f} M" for name, count in self.parameters.items())
        device = self.device if self.processes == 1 else f"{self.device} x {self.processes} processes"
        return [
            f"pictures   {self.training_images} to train, {self.validation_images} to validate",
            f"steps      {self.steps} = {self.epochs:.1f} epochs",
            f"networks   {weights} weights",
            f"device     {device}, {self.memory_mb:.0f} MB of memory, {self.disk_mb:.0f} MB on disk",
            f"speed      {self.seconds_per_step:.3f} s a step = {self.images_per_second:.1f} images/s; "
            f"reading pictures alone {self.loader_images_per_second:.0f} images/s",
            f"time       about {_hours(self.seconds)}",
        ]


def make_plan(config: TrainConfig, report: Report = print) -> Plan:
    """Try `WARM_UP` + `MEASURED` steps and forget them. Raises `UserError` where `train` would."""
    folder = RunFolder(Path(config.out))
    check_config(config, folder, resume=False)
    accelerator = make_accelerator(config)
    run = open_run(config, folder, accelerator, report)
    seconds = sorted(_timed_steps(run)[WARM_UP:])[MEASURED // 2]
    return Plan(
        training_images=len(run.data.train),
        validation_images=len(run.data.validation),
        steps=config.steps,
        epochs=config.steps / run.steps_per_epoch,
        device=device_name(accelerator),
        parameters=count_parameters(run.networks),
        seconds_per_step=seconds,
        images_per_second=config.batch_size / seconds,
        loader_images_per_second=total(_loader_speed(run), accelerator),
        seconds=seconds * config.steps,
        memory_mb=total(memory_mb(accelerator.device), accelerator),
        disk_mb=run.bytes_on_disk() / 1e6,
        processes=accelerator.num_processes,
    )


def _timed_steps(run: Run) -> list[float]:
    times = []
    for step, batch in enumerate(run.loader(0, WARM_UP + MEASURED), start=1):
        begin = time.perf_counter()
        with together(run.accelerator):
            run.update(step, batch)
        if run.accelerator.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return times


def _loader_speed(run: Run) -> float:
    """Images/s of the loader with nothing else to do, its first batch not counted."""
    batches = iter(run.loader(0, 1 + MEASURED))
    next(batches)
    begin = time.perf_counter()
    count = sum(len(a) for a, _ in batches)
    return count / (time.perf_counter() - begin)


def _hours(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{max(1, minutes)} min"
