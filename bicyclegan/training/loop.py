"""A run: data in, updates, and everything it writes down; can be stopped at any moment and resumed bit for bit."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import math
import re
import shutil
import time
from collections.abc import Callable
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
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.devices import average_gradients, make_accelerator, memory_mb, place
from bicyclegan.training.ema import Ema
from bicyclegan.training.events import CheckpointWritten, DataChecked, Event, Finding, RunEnded, RunStarted, StepLogged
from bicyclegan.training.networks import build_networks, count_parameters, make_optimizers
from bicyclegan.training.noise import draw_noise, seed_layers
from bicyclegan.training.objectives import OBJECTIVES
from bicyclegan.training.record import Recorder
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.training.schedules import SCHEDULES, Progress
from bicyclegan.training.start import load_start
from bicyclegan.training.state import Position, check_finite, load_state, save_state
from bicyclegan.training.step import StepRecord, TrainStep
from bicyclegan.training.stop import StopRequest
from bicyclegan.training.whiten import measure_whitening, whiten
from bicyclegan.training.window import Window

if TYPE_CHECKING:
    from accelerate import Accelerator

RESUMABLE = ("data", "steps", "device", "num_workers", "record")
"""Fields of `TrainConfig` that may change when a run goes on; all others decide what it learns.

The data may have moved, but must be the same pictures: `fingerprint` knows."""
Report = Callable[[str], None]
START_LOWER = "Start a new run from this one's latest/ with --init-from and a lower --learning-rate."
REMEDIES = {
    "train_nan": START_LOWER,
    "train_weights": START_LOWER,
    "train_range": "Convert pictures with bicyclegan.images.to_float, then go on with --resume.",
    "train_disk_full": "Make room, then go on with --resume.",
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


def train(config: TrainConfig, *, resume: bool = False, report: Report = print, bar: bool = False) -> RunResult:
    """Train until `config.steps` updates are made, or until Ctrl+C or SIGTERM asks to stop.

    Args:
        config: with `data` and `out` set. To resume, that of the run, in which `RESUMABLE` fields may be changed.
        resume: go on from the newest checkpoint in `config.out`, bit for bit on the same machine.
        report: gets a line for people now and then.
        bar: draw a progress bar on standard error.

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
        run = Run(config, folder, accelerator, report=report)
        if not resume:
            check_disk_space(run)
            _hold(folder, accelerator, stack, config, folder.check_new)
        stop = stack.enter_context(StopRequest())
        return run.go(stop, resume, bar)


def _hold(
    folder: RunFolder, accelerator: Accelerator, stack: ExitStack, config: TrainConfig, first: Callable[[], None]
) -> None:
    """Keep other runs out of the folder and write the config; one process does this for all of them."""
    if accelerator.is_main_process:
        stack.enter_context(folder.lock())
        first()
        folder.save_config(config)
    accelerator.wait_for_everyone()


def check_config(config: TrainConfig, folder: RunFolder, resume: bool) -> None:
    """Raise `UserError` for a config that names no data or folder, or that is not the run's to be resumed."""
    for name in ("data", "out"):
        if not getattr(config, name):
            raise UserError("train_missing", "--{name} is missing: name a folder.", name=name)
    if not resume:
        folder.check_new()
        check_apart(config)
        return
    same = {field: getattr(config, field) for field in (*RESUMABLE, "out")}
    expected, given = (_options(each) for each in (dataclasses.replace(folder.load_config(), **same), config))
    if changed := [name for name in given if given[name] != expected[name]]:
        raise UserError(
            "resume_changed",
            "A run goes on with the options it began with; changed: {changed}. Only {allowed} may change. For other "
            "options start a new run with --init-from {latest}.",
            changed=", ".join(changed),
            allowed=", ".join(RESUMABLE),
            latest=folder.latest,
        )


def check_apart(config: TrainConfig) -> None:
    """Raise `UserError` when the run's own pictures would lie among those that are learnt from."""
    out = Path(config.out).resolve()
    for data in filter(None, (config.data, config.source.val_data)):
        if out.is_relative_to(Path(data).expanduser().resolve()):
            raise UserError(
                "train_out_in_data",
                "--out {out} lies inside {data}, so that its samples would be taken for pictures to learn from: choose "
                "a folder elsewhere.",
                out=config.out,
                data=data,
            )


def _options(config: TrainConfig) -> dict[str, object]:
    """All fields of all groups, whose names are unique."""
    fields = dataclasses.asdict(config)
    groups = [fields.pop(name) for name, value in list(fields.items()) if isinstance(value, dict)]
    return {**fields, **{name: value for group in groups for name, value in group.items()}}


def check_disk_space(run: Run) -> None:
    """Raise `UserError` when the run's checkpoints will not fit on the disk."""
    place = next(path for path in (run.folder.root, *run.folder.root.absolute().parents) if path.exists())
    free, needed = shutil.disk_usage(place).free, run.bytes_on_disk()
    if free < needed:
        raise UserError(
            "train_disk_space",
            "{folder} needs about {needed} MB and {free} MB are free there. Make room, or choose another --out, a "
            "smaller --base-channels or --keep-checkpoints 1.",
            folder=run.folder.root,
            needed=math.ceil(needed / 1e6),
            free=free // 1_000_000,
        )


class Run:
    """The parts of one run, put together; `go` runs it. Making it reads data and weights and writes no run folder."""

    def __init__(self, config: TrainConfig, folder: RunFolder, accelerator: Accelerator, *, report: Report = print):
        self.config, self.folder, self.accelerator = config, folder, accelerator
        self.report = report if accelerator.is_main_process else _silence
        self.objective = OBJECTIVES[config.loss.objective]
        with accelerator.main_process_first():  # the others find the pictures decoded
            self.data: Data = open_data(config, _reading(self.report))
        for line in self.data.report.lines():
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
        self.step = TrainStep(
            self.networks,
            self.optimizers,
            config.loss,
            autocast=self.accelerator.autocast,
            before_update=[lambda networks: average_gradients(networks, self.accelerator)],
        )
        self.recorder = Recorder(self)
        self.window = Window()

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
        if self.position.step == 0 and self.objective.kl and self.config.optim.whiten_every:
            self.whiten()
        self._start_events(resume)
        begun_at = self.position.step
        try:
            with tqdm(total=self.config.steps, disable=not (bar and self.main), unit="step") as self.bar:
                self.bar.update(self.position.step)
                self._updates(stop)
            if not (resume and begun_at >= self.config.steps):
                self._finish()
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
        self.window.check()
        check_finite(self.networks, self.position.step)

    def write(self, event: Event) -> None:
        """Append to events.jsonl, in the main process."""
        if self.main:
            self.folder.events.append(event)

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
        result = self.step(
            a,
            b,
            noise,
            number=step,
            measure_norms=step % record.log_every == 0,
            measure_shares=bool(record.measure_every) and step % record.measure_every == 0,
            only_discriminators=step <= self.position.warmup,
        )
        if step > self.position.warmup:
            self.ema.update(step - self.position.warmup)
        return result

    def loader(self, start: int, stop: int) -> torch.utils.data.DataLoader:
        """Batches of updates start + 1 to stop."""
        accelerator, workers = self.accelerator, self.config.num_workers
        cuda = accelerator.device.type == "cuda"
        return make_loader(
            self.data.train,
            self.config,
            start_step=start,
            stop_step=stop,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
            halves=self.objective.two_paths,
            num_workers=workers if workers >= 0 else (min(8, torch.get_num_threads()) if cuda else 0),
            pin_memory=cuda,
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
            begin = time.perf_counter()
            try:
                batch = next(batches)
            except RuntimeError:  # the signal that stops us has ended the loader's processes first
                if stop.signal:
                    break
                raise
            waiting = time.perf_counter() - begin
            step = self.position.step + 1
            result = self.update(step, batch)
            self.position.step = step
            self.window.add(step, result, time.perf_counter() - begin, waiting)
            if self.accelerator.device.type == "cpu":
                self.window.check()
            if self.objective.kl and _due(step, config.optim.whiten_every):
                self.whiten()
            if step % record.log_every == 0:
                self._log()
            if _due(step, record.validate_every) and step < config.steps:
                self.recorder.validate(step)
            if _due(step, record.sample_every) and step < config.steps:
                self.recorder.sample(step)
            if step % record.checkpoint_every == 0 and step < config.steps:
                self.checkpoint()
            self.bar.update(1)

    def _finish(self) -> None:
        """What belongs to the last step, whichever it is."""
        step, done = self.position.step, self.position.step >= self.config.steps
        if done and self.window.records:  # the steps since the last line, of a number that `log_every` does not divide
            self._log()
        if done and self.config.record.validate_every:
            self.recorder.validate(step)
        if done and self.config.record.sample_every:
            self.recorder.sample(step)
        self.checkpoint()

    def checkpoint(self) -> None:
        """Write the state of the run and `latest`; what is not finite is never saved."""
        self.window.check()
        step, path = self.position.step, self.folder.checkpoint(self.position.step)
        if self.main:
            save_state(path, self.position, self.networks, self.ema, self.optimizers, self.window)
            self.write(CheckpointWritten(step=step, path=self.folder.relative(path)))
            self.recorder.export(self.folder.latest, "latest")
            self.folder.prune(self.config.record.keep_checkpoints)
        self.accelerator.wait_for_everyone()

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

    def _resume(self) -> None:
        states = self.folder.checkpoints()
        if not states:
            self.report("There is no checkpoint yet: starting from the beginning.")
            self.folder.events.rewind(-1)
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
        self.folder.events.rewind(position.step)
        self.recorder.recall()
        if not self.folder.latest.exists():
            self.recorder.export(self.folder.latest, "latest")

    def _start_events(self, resumed: bool) -> None:
        step = self.position.step
        started = RunStarted(
            step=step,
            version=__version__,
            torch=torch.__version__,
            device=str(self.accelerator.device),
            precision=str(self.accelerator.mixed_precision).replace("no", "fp32"),
            processes=self.accelerator.num_processes,
            parameters=count_parameters(self.networks),
            resumed=resumed,
        )
        self.write(started)
        if step == 0:
            self.write(DataChecked(step=0, report=self.data.report.to_json()))

    def _set_learning_rates(self, done: int) -> None:
        optim = self.config.optim
        progress = Progress(done, self.config.steps, self.steps_per_epoch, optim.decay_start)
        rate = optim.learning_rate * SCHEDULES[optim.schedule](progress)
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rate * (optim.encoder_rate if name == "encoder" else 1.0)

    def _log(self) -> None:
        """One line of numbers; starts a new window."""
        self.window.check()
        window, step = self.window, self.position.step
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
            images_per_second=self.config.batch_size / per_step,
            loader_share=window.waiting / window.seconds,
            seconds=time.perf_counter() - self.started,
            eta=per_step * (self.config.steps - step),
            memory_mb=memory_mb(self.accelerator.device),
        )
        self.window = Window()
        self.write(event)
        self.recorder.log(event)

    def _fail(self, name: str, message: str) -> None:
        """Note what ended the run, if the disk still takes it. Which cause lies behind it is not known here."""
        step = self.position.step
        try:
            remedy = REMEDIES.get(name, "")
            self.write(Finding(step=step, name=name, severity="ill", evidence=message, remedy=remedy))
            self.write(RunEnded(step=step, reason="failed", message=message))
        except OSError:
            self.report(f"Nothing more could be written to {self.folder.events_file}.")

    def _should_stop(self, stop: StopRequest) -> bool:
        """Whether any process was asked to stop: all of them end at the same step."""
        if self.accelerator.num_processes == 1:
            return bool(stop.signal)
        asked = torch.tensor([float(bool(stop.signal))], device=self.accelerator.device)
        return bool(self.accelerator.reduce(asked, reduction="sum").item())


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
