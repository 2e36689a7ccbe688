"""What a run writes beside its state: metrics, samples, codes, checkpoints for Pipeline, curves elsewhere."""

from __future__ import annotations

import io
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from bicyclegan import images
from bicyclegan.checkpoints import save_checkpoint
from bicyclegan.config import LATENTS_FILE, CheckpointConfig
from bicyclegan.errors import UserError
from bicyclegan.files import write_atomic
from bicyclegan.metrics import METRICS, compute_outputs, evaluate, rankable
from bicyclegan.metrics.outputs import draw_codes, encode, paint, paint_each
from bicyclegan.models import Discriminator
from bicyclegan.photo_codes import PlainPairs
from bicyclegan.prepare import prepare
from bicyclegan.training.card import model_card
from bicyclegan.training.events import (
    CheckpointWritten,
    LatentsWritten,
    SamplesWritten,
    StepLogged,
    Validated,
    read_events,
)
from bicyclegan.training.sheets import latent_picture, sample_sheet
from bicyclegan.training.validation import Validation, load_validation_set, validate

if TYPE_CHECKING:
    from bicyclegan.training.loop import Run

SHEET_ROWS, SHEET_SAMPLES = 8, 5
DEFAULT_BEST = "reconstruction_l1"
LIMIT = 500
"""Validation pictures whose codes go into the finished checkpoint."""


class Recorder:
    """Measures and writes for one run, in its main process only; other processes return at once."""

    def __init__(self, run: Run):
        self.run = run
        config = run.config
        self.pictures = load_validation_set(run.data.validation, config.record.validation_images)
        self.ranking = rankable(config.record.best_metric or DEFAULT_BEST)
        if run.main:
            self._check_measurable()
        self.metrics: dict[str, Any] = {}
        """Of the newest validation, for the model card."""
        self._tracking = False

    def recall(self) -> None:
        """Take up the metrics of the newest validation that the run's events tell of."""
        for event in read_events(self.run.folder.events_file):
            if isinstance(event, Validated):
                self.metrics = event.metrics

    def log(self, event: StepLogged) -> None:
        """Send one line of numbers to the trackers and, now and then, to people."""
        if not self.run.main:
            return
        self._track(
            event.step, {**_flat(event, "losses", "scores", "learning_rates"), "speed": event.images_per_second}
        )
        losses = "  ".join(f"{name} {value:.3f}" for name, value in event.losses.items())
        self.run.report(
            f"step {event.step}/{self.run.config.steps}  {losses}  {event.images_per_second:.1f} images/s  "
            f"{_duration(event.eta)} left"
        )

    def validate(self, step: int) -> None:
        """Measure, write the codes of the fixed set, and keep the best model."""
        run = self.run
        if not run.main:
            return
        begin = time.perf_counter()
        found = validate(run.config, run.ema.networks, run.networks, self.pictures)
        self.metrics = found.metrics
        run.write(
            Validated(
                step=step,
                metrics=found.metrics,
                scores=found.scores,
                encoded_random_gap=found.encoded_random_gap,
                images=len(self.pictures.b),
                seconds=time.perf_counter() - begin,
            )
        )
        self._track(step, {f"validation/{name}": value for name, value in found.metrics.items() if _is_number(value)})
        if found.outputs.mu is not None:
            self._write_latents(step, found)
        self._keep_best(step, found)

    def sample(self, step: int) -> None:
        """Write a sheet of the first validation sketches, always with the same codes."""
        run = self.run
        if not run.main:
            return
        networks, dim = run.ema.networks, run.config.model.latent_dim
        a, b = self.pictures.a[:SHEET_ROWS], self.pictures.b[:SHEET_ROWS]
        z = draw_codes(run.config.seed, 1, SHEET_SAMPLES if dim else 1, dim).expand(len(a), -1, -1)
        reconstruction = paint(networks.generator, a, encode(networks.encoder, b)[0]) if networks.encoder else None
        sheet = sample_sheet(a, b, reconstruction, paint_each(networks.generator, a, z), title=f"step {step}")
        path = run.folder.samples(step)
        write_atomic(path, images.webp_bytes(sheet))
        run.write(SamplesWritten(step=step, path=run.folder.relative(path)))
        self._track_picture(step, sheet)

    def export(self, folder: Path, role: Literal["latest", "best"], value: float | None = None) -> None:
        """Write a checkpoint folder that Pipeline loads, with EMA weights and discriminators."""
        run = self.run
        networks, config = run.ema.networks, self.checkpoint_config()
        critics = {name: network for name, network in run.networks.named() if isinstance(network, Discriminator)}
        save_checkpoint(
            folder,
            config,
            networks.generator,
            networks.encoder,
            discriminators=critics,
            card=model_card(config),
            overwrite=True,
        )
        metric = self.ranking.name if value is not None else ""
        path = run.folder.relative(folder)
        run.write(CheckpointWritten(step=run.position.step, path=path, role=role, metric=metric, value=value))

    def prepare(self) -> None:
        """Give the finished models what the studio shows of them: maps, thumbnails, effects of the sliders."""
        run, data = self.run, self.run.data.validation
        if not run.main or run.config.model.latent_dim == 0 or run.position.step < run.config.steps:
            return
        pairs = PlainPairs(data)
        for folder in (run.folder.best, run.folder.latest):
            if folder.is_dir() and not (folder / LATENTS_FILE).is_file():
                run.report(f"Preparing {folder} for the studio.")
                prepare(folder, pairs, pairs.names, limit=LIMIT, device=run.accelerator.device.type)

    def checkpoint_config(self) -> CheckpointConfig:
        """What `config.json` of an exported checkpoint says."""
        run, config = self.run, self.run.config
        training = {
            "data": Path(config.data).name,
            "training_images": len(run.data.train),
            "steps": run.position.step,
            "batch_size": config.batch_size,
            "images_seen": run.position.step * config.batch_size,
            "preset": config.preset,
            "objective": config.loss.objective,
            "seed": config.seed,
            "init_from": Path(config.init_from).name,
            "options": {group: asdict(getattr(config, group)) for group in ("loss", "optim", "augment", "strokes")},
            "metrics": {"images": len(self.pictures.b), **self.metrics},
        }
        kind, palette = run.data.report.sketches, run.data.palette
        return CheckpointConfig(
            config.model,
            name=run.name,
            edge_style=config.edge_style if kind in ("computed", "lines") else None,
            palette=palette,
            # An empty label map is one in the commonest colour: white may be nothing that the generator ever saw.
            paper=palette[0] if kind == "labels" else CheckpointConfig.paper,
            shades=kind == "pictures",
            training=training,
        )

    def close(self) -> None:
        """Flush the trackers."""
        if self._tracking:
            for tracker in self.run.accelerator.trackers:
                tracker.finish()

    def _check_measurable(self) -> None:
        """Raise `UserError`, before training, when the metric that is to rank checkpoints cannot be measured."""
        a, b = self.pictures.a[:1], self.pictures.b[:1]
        networks = self.run.networks
        known = evaluate(compute_outputs(networks.generator, networks.encoder, a, b, samples=2))
        if self.ranking.name not in known:
            raise UserError(
                "best_metric",
                "Checkpoints are to be ranked by {name}, which cannot be measured here; there is {known}. "
                "Choose another --best-metric.",
                name=self.ranking.name,
                known=", ".join(name for name in known if METRICS[name].better),
            )

    def _write_latents(self, step: int, found: Validation) -> None:
        run, path = self.run, self.run.folder.latents(step)
        mu, logvar = found.outputs.mu.numpy(), found.outputs.logvar.numpy()
        buffer = io.BytesIO()
        np.savez_compressed(buffer, mu=mu, logvar=logvar, names=np.array(self.pictures.names))
        write_atomic(path, buffer.getvalue())
        picture = path.with_suffix(".webp")
        write_atomic(picture, images.webp_bytes(latent_picture(mu, title=f"step {step}")))
        run.write(LatentsWritten(step=step, path=run.folder.relative(path), picture=run.folder.relative(picture)))

    def _keep_best(self, step: int, found: Validation) -> None:
        run, value, before = self.run, found.metrics[self.ranking.name], self.run.position.best
        better = before is None or (value < before if self.ranking.better == "lower" else value > before)
        if better:
            run.position.best, run.position.waited = float(value), 0
            self.export(run.folder.best, "best", float(value))
            return
        run.position.waited += 1
        if run.config.optim.schedule == "plateau" and run.position.waited >= run.config.optim.patience:
            run.position.waited = 0
            run.position.plateaus += 1
            run.report(f"{self.ranking.name} has not got better for a while: the learning rate falls.")

    def _track(self, step: int, values: dict[str, float]) -> None:
        if self.run.config.record.log_with == "none":
            return
        self._start_tracking()
        self.run.accelerator.log(values, step=step)

    def _track_picture(self, step: int, sheet: Image.Image) -> None:
        self._start_tracking()
        for tracker in self.run.accelerator.trackers:
            layout = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
            tracker.log_images({"samples": np.asarray(sheet)[None]}, step=step, **layout)

    def _start_tracking(self) -> None:
        """At the first number, not before: until then nothing may be written."""
        if self._tracking or self.run.config.record.log_with == "none":
            return
        self._tracking = True
        run = self.run
        options = {
            "tensorboard": {"purge_step": run.position.step},  # a resumed run writes later steps again
            "wandb": {"name": run.name, "dir": str(run.folder.root)},
        }
        project = "tensorboard" if run.config.record.log_with == "tensorboard" else "bicyclegan"
        run.accelerator.init_trackers(project, init_kwargs=options)


def _flat(event: StepLogged, *groups: str) -> dict[str, float]:
    return {f"{group}/{name}": value for group in groups for name, value in getattr(event, group).items()}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


def _duration(seconds: float) -> str:
    minutes, _ = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min" if minutes else f"{int(seconds)} s"
