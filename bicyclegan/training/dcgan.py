"""The run of a DCGAN, as in the tutorials: photos out of codes, with no sketch and no encoder. For the lessons.

It writes the folder that every run writes (`run_folder`, `events`), so that whoever watches and judges runs does so
here too. Its losses, its conversion of pictures and its optimisers can be replaced from outside before it goes.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bicyclegan import __version__, images, losses
from bicyclegan.data import Data, PairDataset, open_data, step_keys
from bicyclegan.errors import UserError
from bicyclegan.files import write_atomic
from bicyclegan.metrics.distance import rgb_distance
from bicyclegan.metrics.outputs import Outputs, draw_codes, exact_inference
from bicyclegan.metrics.pictures import border_energy, high_frequency
from bicyclegan.models.dcgan import DcganDiscriminator, DcganGenerator
from bicyclegan.pipeline import choose_device
from bicyclegan.training.checks import check_config, check_disk_space
from bicyclegan.training.dcgan_config import RESUMABLE, DcganConfig
from bicyclegan.training.devices import memory_mb
from bicyclegan.training.ema import Ema
from bicyclegan.training.events import (
    CheckpointWritten,
    DataChecked,
    Event,
    Finding,
    RunEnded,
    RunStarted,
    SamplesWritten,
    StepLogged,
    Validated,
    read_events,
)
from bicyclegan.training.health import Doctor
from bicyclegan.training.loop import Report, RunResult, fingerprint
from bicyclegan.training.networks import Networks, count_parameters
from bicyclegan.training.noise import RANDOM
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.training.sheets import photo_sheet
from bicyclegan.training.state import Position, check_finite, load_state, save_state
from bicyclegan.training.step import StepRecord
from bicyclegan.training.stop import StopRequest
from bicyclegan.training.validation import load_validation_set
from bicyclegan.training.window import Window

__all__ = ["DcganConfig", "DcganRun", "train_dcgan"]

SHEET_ROWS, SHEET_COLUMNS = 4, 8
SAMPLES = SHEET_ROWS * SHEET_COLUMNS
"""Codes that are painted at every sheet and validation."""
VALIDATION_PHOTOS = 64
KEEP_CHECKPOINTS = 2


def train_dcgan(
    config: DcganConfig,
    *,
    resume: bool = False,
    report: Report = print,
    stop: StopRequest | None = None,
    prepare: Callable[[DcganRun], None] | None = None,
) -> RunResult:
    """Train until `config.steps` updates are made, or until Ctrl+C or SIGTERM asks to stop.

    Args:
        config: with `data` and `out` set. To resume, that of the run, in which `RESUMABLE` fields may be changed.
        resume: go on from the newest checkpoint in `config.out`, bit for bit on the same machine.
        report: gets a line for people now and then.
        stop: one that may have been made before the run is ready, by whoever had it wait.
        prepare: called with the run before its first update, by whoever gives it other losses, pictures or optimisers.

    Raises:
        UserError: for data and options that cannot be trained with (nothing is written then), for a full disk and for
            a loss that is not a number (the last good checkpoint is kept).
    """
    folder = RunFolder(Path(config.out))
    _check(config, folder, resume)
    with ExitStack() as stack:
        if resume:
            stack.enter_context(folder.lock())
            folder.recover()
            folder.save_config(config)
        run = DcganRun(config, folder, report=report)
        if not resume:
            check_disk_space(folder, run.bytes_on_disk())
            stack.enter_context(folder.lock())
            folder.check_new()
            folder.save_config(config)
        if prepare:
            prepare(run)
        return run.go(stack.enter_context(stop or StopRequest()), resume)


def _check(config: DcganConfig, folder: RunFolder, resume: bool) -> None:
    """Raise `UserError` for a config that names no data or folder, or that is not the run's to be resumed."""
    if not resume:
        check_config(config.pictures(), folder, resume=False)
        return
    begun = folder.load_any_config()
    same = {name: getattr(config, name) for name in RESUMABLE}
    if not isinstance(begun, DcganConfig) or replace(begun, **same) != config:
        raise UserError(
            "dcgan_changed",
            "The DCGAN in {folder} goes on with the options it began with; only {allowed} may change.",
            folder=folder.root,
            allowed=", ".join(RESUMABLE),
        )


@dataclass(frozen=True)
class _HeldOut:
    """What is measured against, the same at every validation."""

    photos: Tensor
    """(N, 3, S, S) in [-1, 1], on the CPU."""
    z: Tensor
    """(SAMPLES, latent_dim)."""


class DcganRun:
    """The parts of one run, put together; `go` runs it. Making it reads data and writes no run folder."""

    adversarial: losses.AdversarialLoss
    """What G and D minimise."""
    to_float: Callable[[Tensor], Tensor]
    """uint8 (N, S, S, 3) photos as D sees them: (N, 3, S, S), which should be in [-1, 1]."""
    optimizers: dict[str, torch.optim.Optimizer]
    """Of `generator` and `discriminator`."""

    def __init__(self, config: DcganConfig, folder: RunFolder, *, report: Report = print):
        self.config, self.folder, self.report = config, folder, report
        self.device = choose_device(config.device)
        self.data: Data = open_data(config.pictures())
        for line in self.data.report.lines():
            report(line)
        torch.manual_seed(config.seed)
        self.networks = Networks(
            DcganGenerator(config.image_size, config.latent_dim, config.channels),
            discriminator=DcganDiscriminator(config.image_size, config.channels),
        ).to(self.device)
        self.optimizers = {
            name: torch.optim.Adam(network.parameters(), lr=self._rate(name), betas=(config.beta1, 0.999))
            for name, network in self.networks.named()
        }
        self.adversarial = losses.adversarial_loss("vanilla")
        self.to_float = images.to_float
        self.position = Position(data=fingerprint(self.data.train))
        self.window = Window()
        self.doctor = Doctor()
        pictures = load_validation_set(self.data.validation, VALIDATION_PHOTOS)
        self.held_out = _HeldOut(pictures.b, draw_codes(config.seed, 1, SAMPLES, config.latent_dim)[0])

    def go(self, stop: StopRequest, resume: bool = False) -> RunResult:
        """Train. Ends in good order on a signal, a full disk and a broken loss."""
        if resume:
            self._resume()
        begun_at = self.position.step
        self._start_events(resume)
        try:
            self._updates(stop)
            if not (resume and begun_at >= self.config.steps):
                self._finish()
        except UserError as error:
            self._fail(_FINDINGS.get(error.code, error.code), str(error))
            raise
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self._fail("train_disk_full", "The disk is full.")
            raise UserError(
                "dcgan_disk_full",
                "The disk is full: {path} could not be written after step {step}. The last good checkpoint is kept.",
                path=error.filename or self.folder.root,
                step=self.position.step,
            ) from None
        step = self.position.step
        reason = "completed" if step >= self.config.steps else "stopped"
        self.write(RunEnded(step=step, reason=reason, message=stop.signal))
        return RunResult(self.folder.root, step, reason, self.folder.checkpoint(step))

    def update(self, step: int) -> StepRecord:
        """Update number `step`, counted from 1: forward, both backwards, both optimiser steps."""
        config, networks = self.config, self.networks
        real = self.to_float(self._photos(step).to(self.device))
        fake = networks.generator(self._codes(step))
        fake_scores, real_scores = networks.discriminator(fake), networks.discriminator(real)
        adversarial = self.adversarial
        terms = {
            "gan_random": adversarial.generator(fake_scores),
            "d_random": adversarial.real(real_scores) + adversarial.fake(fake_scores),
        }
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        _backward(terms["gan_random"], networks.generator)
        _backward(terms["d_random"], networks.discriminator)
        norms = {name: _gradient_norm(network) for name, network in networks.named()} if self._tells(step) else {}
        self._set_learning_rates()
        for optimizer in self.optimizers.values():
            optimizer.step()
        return StepRecord(
            losses={name: loss.detach() for name, loss in terms.items()},
            scores={"real_random": real_scores.detach().mean(), "fake_random": fake_scores.detach().mean()},
            inputs=dict(zip(("b_min", "b_max", "b_mean"), (*real.aminmax(), real.mean()), strict=True)),
            gradient_norms=norms,
            gradient_shares={"gan_random": norms["generator"]} if _due(step, config.measure_every) else {},
        )

    def paint(self, z: Tensor) -> Tensor:
        """(N, latent_dim) -> (N, 3, S, S) in [-1, 1] on the CPU, each picture for itself."""
        with exact_inference(self.networks.generator) as device:
            return self.networks.generator(z.to(device)).cpu()

    def write(self, event: Event) -> None:
        """Append to events.jsonl."""
        self.folder.events.append(event)
        self.doctor.hear(event)

    def _ask_doctor(self) -> None:
        """Write down what has begun to go wrong."""
        for found in self.doctor.look():
            self.write(found)

    def bytes_on_disk(self) -> int:
        """About what checkpoints take: weights and two moments, one more than are kept."""
        return 3 * 4 * sum(count_parameters(self.networks).values()) * (KEEP_CHECKPOINTS + 1)

    @property
    def steps_per_epoch(self) -> float:
        """Updates in which every training photo is seen once."""
        return len(self.data.train) / self.config.batch_size

    # Updates

    def _updates(self, stop: StopRequest) -> None:
        config = self.config
        self.started = time.perf_counter()
        while self.position.step < config.steps and not stop.signal:
            begin, step = time.perf_counter(), self.position.step + 1
            record = self.update(step)
            self.position.step = step
            self.window.add(step, record, time.perf_counter() - begin, 0.0)
            if self.device.type == "cpu":
                self._check_window()
            if step % config.log_every == 0:
                self._log()
            if step == config.steps:
                break  # `_finish` does the rest
            if _due(step, config.validate_every):
                self._validate()
            if _due(step, config.sample_every):
                self._sample()
            if step % config.checkpoint_every == 0:
                self._checkpoint()

    def _finish(self) -> None:
        """What belongs to the last step, whichever it is."""
        if self.position.step >= self.config.steps:
            if self.window.records:
                self._log()
            if self.config.validate_every:
                self._validate()
            if self.config.sample_every:
                self._sample()
        self._checkpoint()

    def _photos(self, step: int) -> Tensor:
        """uint8 (batch_size, S, S, 3)."""
        keys = step_keys(len(self.data.train), self.config.batch_size, self.config.seed, step - 1, halves=False)
        return torch.from_numpy(np.stack([_photo(self.data.train, index) for _, index in keys]))

    def _codes(self, step: int) -> Tensor:
        """(batch_size, latent_dim), a function of seed and step alone."""
        random = np.random.RandomState([self.config.seed, RANDOM, step])
        z = random.standard_normal((self.config.batch_size, self.config.latent_dim)).astype(np.float32)
        return torch.from_numpy(z).to(self.device)

    def _tells(self, step: int) -> bool:
        """Whether gradients are measured: only where a line tells of them."""
        return step % self.config.log_every == 0 or _due(step, self.config.measure_every)

    def _rate(self, name: str) -> float:
        return self.config.learning_rate * (self.config.discriminator_rate if name == "discriminator" else 1.0)

    def _set_learning_rates(self) -> None:
        """Those of the config, whatever a checkpoint says: they may have been changed since."""
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self._rate(name)

    # Writing

    def _log(self) -> None:
        """One line of numbers; starts a new window."""
        self._check_window()
        window, step, config = self.window, self.position.step, self.config
        per_step = window.seconds / window.timed if window.timed else 0.0
        event = StepLogged(
            step=step,
            epoch=step / self.steps_per_epoch,
            losses=window.mean("losses"),
            scores=window.mean("scores"),
            inputs=window.inputs(),
            **window.gradients(),
            learning_rates={name: each.param_groups[0]["lr"] for name, each in self.optimizers.items()},
            weights={"gan_random": 1.0},
            images_per_second=config.batch_size / per_step if per_step else 0.0,
            seconds=time.perf_counter() - self.started,
            eta=per_step * (config.steps - step),
            memory_mb=memory_mb(self.device),
        )
        self.window = Window()
        self.write(event)
        if event.gradient_shares:
            self._ask_doctor()
        told = "  ".join(f"{name} {value:.3f}" for name, value in event.losses.items())
        self.report(f"step {step}/{config.steps}  {told}  {event.images_per_second:.0f} images/s")

    def _validate(self) -> None:
        self._check()
        begin, step, photos = time.perf_counter(), self.position.step, self.held_out.photos
        fakes = self.paint(self.held_out.z)
        with exact_inference(self.networks.discriminator) as device:
            shown = self.to_float(torch.from_numpy(images.to_uint8(photos)).to(device))  # as those it learns from
            scores = {
                "real_random": self.networks.discriminator(shown).mean().item(),
                "fake_random": self.networks.discriminator(fakes.to(device)).mean().item(),
            }
        metrics = _measure(fakes, photos)
        seconds = time.perf_counter() - begin
        self.write(Validated(step=step, metrics=metrics, scores=scores, images=len(photos), seconds=seconds))
        self._ask_doctor()

    def _sample(self) -> None:
        self._check()
        step = self.position.step
        photos = self.held_out.photos[:SHEET_COLUMNS]
        sheet = photo_sheet(photos, self.paint(self.held_out.z), columns=SHEET_COLUMNS, title=f"step {step}")
        path = self.folder.samples(step)
        write_atomic(path, images.webp_bytes(sheet))
        self.write(SamplesWritten(step=step, path=self.folder.relative(path)))

    def _checkpoint(self) -> None:
        self._check()
        step, path = self.position.step, self.folder.checkpoint(self.position.step)
        save_state(path, self.position, self.networks, Ema(self.networks, 0.0), self.optimizers, self.window)
        self.write(CheckpointWritten(step=step, path=self.folder.relative(path)))
        self.folder.prune(KEEP_CHECKPOINTS)

    def _start_events(self, resumed: bool) -> None:
        step = self.position.step
        started = RunStarted(
            step=step,
            version=__version__,
            torch=torch.__version__,
            device=str(self.device),
            precision="fp32",
            parameters=count_parameters(self.networks),
            resumed=resumed,
            options=self.config.options(),
        )
        self.write(started)
        if step == 0:
            self.write(DataChecked(step=0, report=self.data.report.to_json()))

    # Going on, and failing

    def _resume(self) -> None:
        states = self.folder.checkpoints()
        if not states:
            self.report("There is no checkpoint yet: starting from the beginning.")
            self.folder.events.rewind(-1)
            return
        position, window = load_state(states[-1][1], self.networks, Ema(self.networks, 0.0), self.optimizers)
        if position.data != self.position.data:
            raise UserError(
                "dcgan_data",
                "The pictures in {data} are not those the run began with, so it cannot go on as if they were. "
                "Restore them, or start a new run.",
                data=self.config.data,
            )
        self.position, self.window = position, window
        self.folder.events.rewind(position.step)
        self.doctor = Doctor(read_events(self.folder.events_file))

    def _check(self) -> None:
        """Raise `UserError` when a loss or a weight is not finite: such networks are neither measured nor kept."""
        self._check_window()
        try:
            check_finite(self.networks, self.position.step)
        except UserError as error:
            raise _not_finite(self.position.step, error.values["network"]) from None

    def _check_window(self) -> None:
        try:
            self.window.check()
        except UserError as error:
            if error.code != "train_nan":
                raise
            raise _not_finite(error.values["step"], error.values["names"]) from None

    def _fail(self, name: str, message: str) -> None:
        """Note what ended the run, if the disk still takes it."""
        step = self.position.step
        try:
            self.write(Finding(step=step, name=name, severity="ill", evidence=message, remedy=_REMEDIES.get(name, "")))
            self._ask_doctor()
            self.write(RunEnded(step=step, reason="failed", message=message))
        except OSError:
            self.report(f"Nothing more could be written to {self.folder.events_file}.")


_FINDINGS = {"dcgan_nan": "train_nan"}
"""Names of findings by the codes of errors, where they differ."""
_REMEDIES = {
    "train_nan": "Start a new run with a lower learning_rate.",
    "train_range": "Convert pictures with bicyclegan.images.to_float, then go on.",
    "train_disk_full": "Make room, then go on.",
}


def _not_finite(step: int, what: object) -> UserError:
    return UserError(
        "dcgan_nan",
        "After step {step} numbers are NaN or infinite ({what}). Training stopped, and nothing was saved over the last "
        "good checkpoint. Start a new run with a lower learning_rate.",
        step=step,
        what=what,
    )


def _photo(pictures: PairDataset, index: int) -> np.ndarray:
    """The photo alone, uint8 (S, S, 3): its edges need not be found."""
    return pictures.pictures.read(index)[1]


def _backward(loss: Tensor, network: nn.Module) -> None:
    """Add a loss's gradients to one network, if any reaches it; the graph is kept for the other one."""
    if loss.requires_grad:
        loss.backward(inputs=list(network.parameters()), retain_graph=True)


def _gradient_norm(network: nn.Module) -> Tensor:
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    zero = torch.zeros((), device=next(network.parameters()).device)
    return torch.nn.utils.get_total_norm(gradients) if gradients else zero


def _measure(fakes: Tensor, photos: Tensor) -> dict[str, float]:
    """How different fakes (N, 3, S, S) are from each other, and how like photos (M, 3, S, S) to plain measures."""
    count = min(len(fakes), len(photos))
    shown = {"random": fakes[:count, None], "z": fakes.new_zeros(count, 1, 0), "reconstruction": fakes[:count]}
    outputs = Outputs(a=photos, b=photos, mu=None, logvar=None, recovered=None, **shown)
    return {
        "diversity_rgb": rgb_distance(fakes[:-1], fakes[1:]).mean().item(),
        "nearest_photo": _nearest(fakes, photos),
        "high_frequency": high_frequency(outputs),
        "border_energy": border_energy(outputs),
    }


def _nearest(fakes: Tensor, photos: Tensor) -> float:
    """Mean over fakes of the distance (`rgb_distance`) to the photo that is most like it: noise is far from all."""
    distances = torch.cdist(fakes.flatten(1), photos.flatten(1), p=1) / fakes[0].numel() / 2
    return distances.amin(dim=1).mean().item()


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
