"""A run: data in, updates, and everything it writes down; can be stopped at any moment and resumed bit for bit."""

from __future__ import annotations

import errno
import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from tqdm import tqdm

from bicyclegan import __version__, images
from bicyclegan.data import Data, PairDataset, make_loader, open_data
from bicyclegan.errors import UserError
from bicyclegan.models.init import init_informative
from bicyclegan.training.checks import check_config, check_disk_space, flat_options
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.devices import count_readers, device_name, idle_cores, make_accelerator, memory_mb, place
from bicyclegan.training.disturb import disturbance
from bicyclegan.training.ema import Ema
from bicyclegan.training.events import (
    CheckpointWritten,
    DataChecked,
    Event,
    Finding,
    RunEnded,
    RunStarted,
    StepLogged,
    read_events,
)
from bicyclegan.training.health import Doctor
from bicyclegan.training.limits import clip_gradients
from bicyclegan.training.networks import build_networks, count_parameters, make_optimizers
from bicyclegan.training.noise import draw_noise, seed_layers
from bicyclegan.training.objectives import OBJECTIVES
from bicyclegan.training.perceptual import load_perceptual
from bicyclegan.training.processes import (
    StoppedError,
    alike,
    any_of,
    average,
    average_gradients,
    average_statistics,
    broadcast,
    digest,
    equalise,
    first_alone,
    mean,
    together,
)
from bicyclegan.training.record import Recorder
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.training.schedules import SCHEDULES, Progress, warmup
from bicyclegan.training.start import load_start
from bicyclegan.training.state import Position, check_finite, load_state, save_state
from bicyclegan.training.step import StepRecord, TrainStep, loss_functions
from bicyclegan.training.stop import StopRequest
from bicyclegan.training.weights import RunLength
from bicyclegan.training.whiten import measure_whitening, whiten
from bicyclegan.training.window import Window

if TYPE_CHECKING:
    from accelerate import Accelerator

Report = Callable[[str], None]
START_LOWER = "Start a new run from this one's latest/ with --init-from and a lower --learning-rate."
REMEDIES = {
    "train_nan": START_LOWER,
    "train_weights": START_LOWER,
    "train_range": "Convert pictures with bicyclegan.images.to_float, then go on with --resume.",
    "train_disk_full": "Make room, then go on with --resume.",
    "process_lost": "Read why in the launcher's report, then go on with --resume.",
    "process_failed": "Read why in its own report, then go on with --resume.",
}
"""What helps against the errors that end a run, by their codes."""
SOME_PHOTOS = 256
"""Photos that an informative encoder is started with, and codes are whitened by."""
WHITENING_EPOCH = 1 << 24
"""Its augmentations are met by no update."""


@dataclass(frozen=True)
class RunResult:
    """How a run ended."""

    folder: Path
    step: int
    """Updates made in all."""
    reason: Literal["completed", "stopped"]
    checkpoint: Path
    """Folder that Pipeline loads: `best` where there is one, else `latest`."""


def train(
    config: TrainConfig,
    *,
    resume: bool = False,
    report: Report = print,
    bar: bool = False,
    stop: StopRequest | None = None,
    prepare: Callable[[Run], None] | None = None,
) -> RunResult:
    """Train until `config.steps` updates are made, or until Ctrl+C or SIGTERM asks to stop.

    Args:
        config: with `data` and `out` set. To resume, that of the run, in which `RESUMABLE` fields may be changed.
        resume: go on from the newest checkpoint in `config.out`, bit for bit on the same machine.
        report: gets a line for people now and then.
        bar: draw a progress bar on standard error.
        stop: one that may have been made before the run is ready, by whoever had it wait.
        prepare: called with the run before its first update, by whoever gives it other losses, pictures or optimisers.

    Raises:
        UserError: for data, checkpoints and options that cannot be trained with (nothing is written then), for a
            full disk and for a loss that is not a number (the last good checkpoint is kept).
    """
    folder = RunFolder(Path(config.out))
    check_config(config, folder, resume)
    accelerator = make_accelerator(config, str(folder.root))
    with ExitStack() as stack:
        if resume:
            _hold(folder, accelerator, stack, config, folder.recover)
        run = open_run(config, folder, accelerator, report)
        if not resume:
            with together(accelerator):
                check_disk_space(folder, run.bytes_on_disk())
            _hold(folder, accelerator, stack, config, folder.check_new)
        if prepare:
            prepare(run)
        stop = stack.enter_context(stop or StopRequest())
        return run.go(stop, resume, bar)


def _hold(
    folder: RunFolder, accelerator: Accelerator, stack: ExitStack, config: TrainConfig, first: Callable[[], None]
) -> None:
    """Keep other runs out of the folder and write the config; one process does this for all of them."""
    with together(accelerator):
        if accelerator.is_main_process:
            stack.enter_context(folder.lock())
            first()
            folder.save_config(config)


def open_run(config: TrainConfig, folder: RunFolder, accelerator: Accelerator, report: Report) -> Run:
    """The run, in every process. Raises `UserError` where one of them cannot make it, or has other pictures."""
    with together(accelerator):
        run = Run(config, folder, accelerator, report=report)
    if not alike(int(run.position.data[:15], 16), accelerator):
        raise UserError(
            "processes_data",
            "The processes of this run find different pictures in {data}. Give all machines the same files.",
            data=config.data,
        )
    return run


class Run:
    """The parts of one run, put together; `go` runs it. Making it reads data and weights and writes no run folder."""

    def __init__(self, config: TrainConfig, folder: RunFolder, accelerator: Accelerator, *, report: Report = print):
        self.config, self.folder, self.accelerator = config, folder, accelerator
        self.report = report if accelerator.is_main_process else _silence
        self.objective = OBJECTIVES[config.loss.objective]
        with first_alone(accelerator):  # the others find the pictures decoded
            self.data: Data = open_data(config, _reading(self.report))
        for line in (*self.data.report.lines(), *filter(None, [idle_cores(accelerator)])):
            self.report(line)
        self.networks = build_networks(config)
        self.position = Position(data=fingerprint(self.data.train))
        begins = not folder.checkpoints()  # else all weights come from there, and the old ones may be gone
        if config.init_from and begins and not load_start(config, self.networks):
            self.position.warmup = config.optim.discriminator_warmup
        if begins and not config.init_from and self.networks.encoder and config.optim.encoder_init == "informative":
            init_informative(self.networks.encoder, some_photos(self.data.train))
        place(self.networks, self.accelerator)
        self.optimizers = make_optimizers(self.networks, config.optim)
        self.ema = Ema(self.networks, config.optim.ema_decay)
        self.length = RunLength(config.steps, self.steps_per_epoch)
        self.step = self._make_step()
        self.recorder = Recorder(self)
        self.window = Window()
        self.doctor = Doctor()

    def _make_step(self) -> TrainStep:
        config, accelerator = self.config, self.accelerator
        perceptual = None
        if config.loss.uses("perceptual"):
            with first_alone(accelerator):  # the others find the weights fetched
                perceptual = load_perceptual(config.loss.perceptual_network, accelerator.device)
        return TrainStep(
            self.networks,
            self.optimizers,
            config.loss,
            functions=loss_functions(config.loss, perceptual),
            autocast=accelerator.autocast,
            before_update=[
                lambda networks: average_gradients(networks, accelerator),
                lambda networks: average_statistics(networks, accelerator),
            ],
            average=lambda tensors: average(tensors, accelerator),
            clip=lambda network: clip_gradients(network, config.optim),
            length=self.length,
            accumulate=config.optim.accumulate,
        )

    @property
    def name(self) -> str:
        """What the model will be called."""
        return re.sub(r"[^\w.-]+", "-", self.folder.root.absolute().name).strip(".-")[:64] or "run"

    @property
    def main(self) -> bool:
        """Whether this is the process that writes."""
        return self.accelerator.is_main_process

    @property
    def steps_per_epoch(self) -> float:
        """Updates in which every training picture is seen once."""
        return len(self.data.train) / self.config.batch_size

    def go(self, stop: StopRequest, resume: bool, bar: bool = False) -> RunResult:
        """Train. Ends in good order on a signal, a full disk and a broken loss."""
        if resume:
            self._resume()
        for networks in (self.networks, self.ema.networks):
            equalise(networks, self.accelerator)
        if self.position.step == 0 and self.objective.kl and self.config.optim.whiten_every:
            self.whiten()
        with together(self.accelerator):
            self._start_events(resume)
        begun_at = self.position.step
        try:
            with tqdm(total=self.config.steps, disable=not (bar and self.main), unit="step") as self.bar:
                self.bar.update(self.position.step)
                self._updates(stop)
            if not (resume and begun_at >= self.config.steps):
                self._finish()
            with together(self.accelerator):
                self.recorder.prepare()
        except UserError as error:
            self._fail(error.code, str(error))
            raise
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self._fail("train_disk_full", "The disk is full.")
            raise UserError(
                "train_disk_full",
                "The disk is full: {path} could not be written after step {step}. The last good checkpoint is kept; "
                "make room, then go on with --resume.",
                path=error.filename or self.folder.root,
                step=self.position.step,
            ) from None
        reason = "completed" if self.position.step >= self.config.steps else "stopped"
        self.write(RunEnded(step=self.position.step, reason=reason, message=stop.signal))
        self.recorder.close()
        best = self.folder.best if self.folder.best.is_dir() else self.folder.latest
        return RunResult(self.folder.root, self.position.step, reason, best)

    def check(self) -> None:
        """Raise `UserError` when a loss or a weight is not finite: such networks are neither measured nor shown."""
        self.check_window()
        check_finite(self.networks, self.position.step)

    def check_window(self) -> None:
        """Raise `UserError`, in all processes, when a loss is not finite or a picture was out of range in one."""
        self.window.join(self.accelerator)
        self.window.check()

    def write(self, event: Event) -> None:
        """Append to events.jsonl, in the main process."""
        if self.main:
            self.folder.events.append(event)
            self.doctor.hear(event)

    def update(self, step: int, pair: tuple[torch.Tensor, torch.Tensor]) -> StepRecord:
        """Update number `step`, counted from 1, with this process's part of the batch, uint8 (n, H, W, C)."""
        config, record = self.config, self.config.record
        device = self.accelerator.device
        a, b = (images.to_float(side.to(device, non_blocking=True)) for side in pair)
        painted = len(a) // 2 if self.objective.two_paths else len(a)
        first = painted * self.accelerator.process_index
        noise = draw_noise(config.seed, step, range(first, first + painted), config.model.latent_dim).to(device)
        seed_layers(config.seed, step, self.accelerator.process_index)
        self._set_learning_rates(step - 1)
        painting = step > self.position.warmup and step % config.optim.critic_steps == 0
        result = self.step(
            a,
            b,
            noise,
            disturbance=disturbance(config, step, first, self.length),
            number=step,
            measure_norms=step % record.log_every == 0,
            measure_shares=_due(step, record.measure_every),
            only_discriminators=not painting,
        )
        if painting:
            self.ema.update(step - self.position.warmup)
        return result

    def loader(self, start: int, stop: int) -> torch.utils.data.DataLoader:
        """Batches of updates start + 1 to stop."""
        accelerator = self.accelerator
        return make_loader(
            self.data.train,
            self.config,
            start_step=start,
            stop_step=stop,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
            halves=self.objective.two_paths,
            num_workers=count_readers(self.config.num_workers, accelerator.device),
            pin_memory=accelerator.device.type == "cuda",
        )

    def bytes_on_disk(self) -> int:
        """About what checkpoints take: weights, averages and two moments, one more than are kept, and two exports."""
        weights = 4 * sum(count_parameters(self.networks).values())
        return 4 * weights * (self.config.record.keep_checkpoints + 1) + 4 * weights

    def _updates(self, stop: StopRequest) -> None:
        config, record = self.config, self.config.record
        batches = iter(self.loader(self.position.step, config.steps))
        self.started = time.perf_counter()
        while self.position.step < config.steps and not self._should_stop(stop):
            begin, step = time.perf_counter(), self.position.step + 1
            try:
                with together(self.accelerator):
                    batch = _next_batch(batches, stop)
                    waiting = time.perf_counter() - begin
                    result = self.update(step, batch)
            except StoppedError:
                break
            self.position.step = step
            self.window.add(step, result, time.perf_counter() - begin, waiting)
            if self.accelerator.device.type == "cpu":
                self.check_window()
            if self.objective.kl and _due(step, config.optim.whiten_every):
                self.whiten()
            if step % record.log_every == 0:
                self._log()
            if _due(step, record.validate_every) and step < config.steps:
                self._show(self.recorder.validate)
            if _due(step, record.sample_every) and step < config.steps:
                self._show(self.recorder.sample)
            if step % record.checkpoint_every == 0 and step < config.steps:
                self.checkpoint()
            self.bar.update(1)

    def _finish(self) -> None:
        """What belongs to the last step, whichever it is."""
        done = self.position.step >= self.config.steps
        if done and self.window.records:  # the steps since the last line, of a number that `log_every` does not divide
            self._log()
        if done and self.config.record.validate_every:
            self._show(self.recorder.validate)
        if done and self.config.record.sample_every:
            self._show(self.recorder.sample)
        self.checkpoint()

    def _show(self, what: Callable[[int], None]) -> None:
        """Measure or paint with networks that are sound; the main process does it, and the others wait for it."""
        self.check()
        with together(self.accelerator):
            what(self.position.step)
            self._ask_doctor()
        position = self.position  # measured where it was shown, decided for all
        position.plateaus = int(broadcast(position.plateaus, self.accelerator))

    def _ask_doctor(self) -> None:
        """Write down what has begun to go wrong."""
        if not self.main:
            return
        for found in self.doctor.look():
            self.write(found)
            if found.severity != "note":
                self.report(f"{found.severity}: {found.evidence} {found.remedy}")

    def checkpoint(self) -> None:
        """Write the state of the run and `latest`; what is not finite is never saved."""
        self.check_window()
        with together(self.accelerator):
            if self.main:
                self._save()
        self._compare_processes()

    def _save(self) -> None:
        step, path = self.position.step, self.folder.checkpoint(self.position.step)
        save_state(path, self.position, self.networks, self.ema, self.optimizers, self.window)
        self.write(CheckpointWritten(step=step, path=self.folder.relative(path)))
        self.recorder.export(self.folder.latest, "latest")
        self.folder.prune(self.config.record.keep_checkpoints)

    def _compare_processes(self) -> None:
        """All processes must have the same weights: gradients of different ones mean nothing together."""
        if self.accelerator.num_processes == 1 or alike(digest(self.networks), self.accelerator):
            return
        equalise(self.networks, self.accelerator)
        evidence = f"After step {self.position.step} not all processes had the same weights; now they have."
        with together(self.accelerator):
            self.write(Finding(step=self.position.step, name="processes_differ", severity="watch", evidence=evidence))

    @cached_property
    def whitening_photos(self) -> torch.Tensor:
        """Always the same: other photos would move the codes by chance."""
        return some_photos(self.data.train, epoch=WHITENING_EPOCH)

    def whiten(self) -> None:
        """Express codes anew, so that those of augmented training photos are spread as the prior is."""
        networks, averaged = self.networks, self.ema.networks
        by = measure_whitening(networks.encoder, self.whitening_photos)
        whiten(networks.encoder, networks.generator, by)
        if averaged is not networks:
            whiten(averaged.encoder, averaged.generator, by)
        for each in (networks, averaged):
            equalise(each, self.accelerator)  # processors of different kinds round differently

    def _resume(self) -> None:
        with together(self.accelerator):
            self._load_newest()
            if self.main:
                self._rewind()
        if not alike(self.position.step, self.accelerator):
            raise UserError(
                "processes_folder",
                "The processes of this run find different checkpoints in {folder}. To be resumed it must be on a disk "
                "that all machines share.",
                folder=self.folder.root,
            )

    def _load_newest(self) -> None:
        states = self.folder.checkpoints()
        if not states:
            self.report("There is no checkpoint yet: starting from the beginning.")
            return
        position, window = load_state(states[-1][1], self.networks, self.ema, self.optimizers)
        if position.data != self.position.data:
            raise UserError(
                "resume_data",
                "The pictures in {data} are not those the run began with, so it cannot go on as if they were. "
                "Restore them, or start a new run with --init-from {latest}.",
                data=self.config.data,
                latest=self.folder.latest,
            )
        self.position, self.window = position, window

    def _rewind(self) -> None:
        """Take back what was written after the checkpoint."""
        if not self.folder.checkpoints():
            self.folder.events.rewind(-1)
            return
        self.folder.events.rewind(self.position.step)
        self.doctor = Doctor(read_events(self.folder.events_file))
        self.recorder.recall()
        if not self.folder.latest.exists():
            self.recorder.export(self.folder.latest, "latest")

    def _start_events(self, resumed: bool) -> None:
        step = self.position.step
        started = RunStarted(
            step=step,
            version=__version__,
            torch=torch.__version__,
            device=device_name(self.accelerator),
            precision=str(self.accelerator.mixed_precision).replace("no", "fp32"),
            processes=self.accelerator.num_processes,
            parameters=count_parameters(self.networks),
            resumed=resumed,
            options=flat_options(self.config),
        )
        self.write(started)
        if step == 0:
            self.write(DataChecked(step=0, report=self.data.report.to_json()))

    def _set_learning_rates(self, done: int) -> None:
        optim = self.config.optim
        progress = Progress(
            done,
            self.config.steps,
            self.steps_per_epoch,
            optim.decay_start,
            optim.decay_every,
            optim.decay_factor,
            self.position.plateaus,
        )
        rate = optim.learning_rate * SCHEDULES[optim.schedule](progress) * warmup(done, optim.lr_warmup)
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rate * optim.rate_of(name)

    def _log(self) -> None:
        """One line of numbers, those of all processes; starts a new window."""
        self.check_window()
        window, step = self.window, self.position.step
        waiting = mean(window.waiting / window.seconds, self.accelerator)
        per_step = window.seconds / window.timed
        event = StepLogged(
            step=step,
            epoch=step / self.steps_per_epoch,
            losses=window.mean("losses"),
            scores=window.mean("scores"),
            inputs=window.inputs(),
            **window.codes(),
            **window.gradients(),
            learning_rates={name: each.param_groups[0]["lr"] for name, each in self.optimizers.items()},
            weights=self.step.weights(step),
            images_per_second=self.config.batch_size / per_step,
            loader_share=waiting,
            seconds=time.perf_counter() - self.started,
            eta=per_step * (self.config.steps - step),
            memory_mb=memory_mb(self.accelerator.device),
        )
        self.window = Window()
        with together(self.accelerator):
            self.write(event)
            self.recorder.log(event)
            if event.gradient_shares or not self.config.record.measure_every:
                self._ask_doctor()

    def _fail(self, name: str, message: str) -> None:
        """Note what ended the run, if the disk still takes it. Which cause lies behind it is not known here."""
        step = self.position.step
        try:
            remedy = REMEDIES.get(name, "")
            self.write(Finding(step=step, name=name, severity="ill", evidence=message, remedy=remedy))
            self._ask_doctor()
            self.write(RunEnded(step=step, reason="failed", message=message))
        except OSError:
            self.report(f"Nothing more could be written to {self.folder.events_file}.")

    def _should_stop(self, stop: StopRequest) -> bool:
        """Whether any process was asked to stop: all of them end at the same step."""
        return any_of(bool(stop.signal), self.accelerator)


def some_photos(pictures: PairDataset, epoch: int | None = None) -> torch.Tensor:
    """Photos from all over the training data: (N, 3, H, W) in [-1, 1], N at most `SOME_PHOTOS`.

    epoch: augmented as in this epoch; not at all without one.
    """
    count = len(pictures)
    places = torch.linspace(0, count - 1, min(count, SOME_PHOTOS)).round().int().tolist()
    pairs = [pictures.plain(place) if epoch is None else pictures[epoch, place] for place in places]
    return torch.cat([images.to_float(photo) for _, photo in pairs])


def fingerprint(pictures: PairDataset) -> str:
    """Stands for the training pictures, by their names, order and looks (thumbnails), wherever they lie."""
    digest = hashlib.sha256("\n".join(pictures.names).encode())
    digest.update(pictures.pictures.thumbs.tobytes())
    return digest.hexdigest()


def _next_batch(
    batches: Iterator[tuple[torch.Tensor, torch.Tensor]], stop: StopRequest
) -> tuple[torch.Tensor, torch.Tensor]:
    try:
        return next(batches)
    except RuntimeError:
        if stop.signal:  # it has ended the loader's processes first
            raise StoppedError from None
        raise


def _silence(line: str) -> None:
    """What processes but the first report."""


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _reading(report: Report) -> Callable[[str, int, int], None]:
    """Progress of reading data, a line every ten seconds."""
    last = time.monotonic()

    def progress(what: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= 10:
            last = time.monotonic()
            report(f"{what}: {done} of {total}")

    return progress
