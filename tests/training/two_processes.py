"""What happens in each of two processes. Started by a launcher in `test_processes`; not a test itself.

python two_processes.py scenarios FOLDER PHOTOS RUN    runs all scenarios, writes FOLDER/0.json and FOLDER/1.json
python two_processes.py broken ARGS...                 the command line, with a loss that is NaN in the second process
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch

from bicyclegan import cli, images
from bicyclegan.config import ModelConfig
from bicyclegan.data import PairDataset
from bicyclegan.errors import UserError
from bicyclegan.training import loop
from bicyclegan.training.config import OptimConfig, RecordConfig, RegularConfig, TrainConfig
from bicyclegan.training.devices import make_accelerator
from bicyclegan.training.ema import Ema
from bicyclegan.training.plan import make_plan
from bicyclegan.training.processes import any_of, average, broadcast, digest, together, total
from bicyclegan.training.record import Recorder
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.training.step import TrainStep

RANK = int(os.environ["RANK"])
TINY = ModelConfig(
    image_size=32,
    depth=4,
    base_channels=4,
    encoder_channels=4,
    encoder_blocks=3,
    discriminator_channels=4,
    discriminator_layers=2,
)
EVERY_STEP = RecordConfig(
    log_every=1,
    measure_every=0,
    sample_every=0,
    validate_every=0,
    checkpoint_every=1,
    keep_checkpoints=100,
    validation_images=4,
    log_with="none",
)
LAST = 3
"""Step after which a scenario without a mistake stops."""
RESUMED = 6
"""Step after which a run that goes on stops."""


def main(folder: Path, photos: Path, run: Path) -> None:
    config = TrainConfig(str(photos), device="cpu", batch_size=4, steps=1000, model=TINY, record=EVERY_STEP)
    found = {}
    for name, scenario in {**SCENARIOS, "resume": lambda config, patch: resume(run, patch)}.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop.Run, "_should_stop", lambda self, stop: self.position.step >= LAST)
            found[name] = scenario(replace(config, out=str(folder / name)), patch)
    (folder / f"{RANK}.json").write_text(json.dumps(found))


def outcome(config: TrainConfig, **options: object) -> dict[str, Any]:
    """How a run ended in this process."""
    try:
        result = loop.train(config, report=lambda line: None, **options)
    except Exception as error:
        return {"error": type(error).__name__, "code": getattr(error, "code", ""), "text": str(error)}
    return {"step": result.step, "reason": result.reason}


def counted(patch: pytest.MonkeyPatch, owner: object, name: str, rank: int, call: int, change: Callable) -> None:
    """Let `change(function, *args)` stand in for one call of a function in one process."""
    function, calls = getattr(owner, name), iter(range(1, 10**9))

    def planted(*args: Any, **options: Any) -> Any:
        return change(function, *args) if rank == RANK and next(calls) == call else function(*args, **options)

    patch.setattr(owner, name, planted)


def nan(config: TrainConfig, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    counted(patch, TrainStep, "generator_losses", 1, 2, broken_loss)
    return outcome(config)


def broken_loss(losses: Callable, *args: Any) -> dict[str, torch.Tensor]:
    terms = losses(*args)
    return {**terms, "kl": terms["kl"] * float("nan")}


def out_of_range(config: TrainConfig, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    def unscaled(update: Callable, *args: Any) -> object:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(images, "to_float", lambda pixels: pixels.movedim(-1, 1).float())
            return update(*args)

    counted(patch, loop.Run, "update", 1, 2, unscaled)
    return outcome(config)


def broken_picture(config: TrainConfig, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    def fail(read: Callable, *args: Any) -> None:
        raise OSError(errno.EIO, "Input/output error", "pictures.npy")

    counted(patch, PairDataset, "__getitem__", 1, 3, fail)  # each process reads two for a step
    return outcome(config)


def bad_data(config: TrainConfig, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    def fail(open_data: Callable, *args: Any) -> None:
        raise UserError("data_too_few", "{data} is empty here.", data=config.data)

    counted(patch, loop, "open_data", 1, 1, fail)
    return {**outcome(config), "written": Path(config.out).exists()}


def other_pictures(config: TrainConfig, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    copy = Path(config.out).parent / "fewer"
    if RANK == 0:
        shutil.copytree(config.data, copy)
        next((copy / "train").iterdir()).unlink()
        return outcome(config)
    return outcome(replace(config, data=str(copy)))


def full_disk(config: TrainConfig, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    def fail(save: Callable, content: object, file: BinaryIO) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", file.name)

    counted(patch, torch, "save", 0, 2, fail)
    return outcome(config)


def early_fault(config: TrainConfig, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Before gradients are averaged."""
    counted(patch, TrainStep, "forward", 1, 2, no_kernel)
    return outcome(config)


def late_fault(config: TrainConfig, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    counted(patch, Ema, "update", 1, 2, no_kernel)
    return outcome(config)


def no_kernel(*args: Any) -> None:
    raise RuntimeError("no such kernel")


def batch_of_six(config: TrainConfig, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    return {**outcome(replace(config, batch_size=6)), "written": Path(config.out).exists()}


def too_many_parts(config: TrainConfig, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    return outcome(replace(config, optim=OptimConfig(accumulate=2)))


def official_sums(config: TrainConfig, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    return outcome(replace(config, loss=replace(config.loss, reduction="official")))


def weights_that_differ(config: TrainConfig, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    def shift(update: Callable, run: loop.Run, *args: Any) -> object:
        result = update(run, *args)
        with torch.no_grad():
            next(run.networks.generator.parameters()).add_(1e-3)
        return result

    counted(patch, loop.Run, "update", 1, 2, shift)
    return outcome(config)


def everything_on(config: TrainConfig, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """All that moves weights or statistics otherwise than by gradients."""
    model = replace(TINY, norm="batch", map_code=True, dropout=0.2, spectral_norm=True)
    optim, regular = OptimConfig(whiten_every=2, critic_steps=2), RegularConfig(instance_noise=0.1)
    return weights(replace(config, model=model, optim=optim, regular=regular))


def fine_tuned(config: TrainConfig, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    start = Path(config.out).parent / "nan" / "latest"  # what the first scenario left
    return weights(replace(config, init_from=str(start), optim=OptimConfig(discriminator_warmup=1)))


def plateau(config: TrainConfig, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The main process alone measures that nothing gets better."""
    patch.setattr(Recorder, "_keep_best", lambda recorder, *_: setattr(recorder.run.position, "plateaus", 1))
    optim = OptimConfig(schedule="plateau", decay_factor=0.25)
    return weights(replace(config, optim=optim, record=replace(EVERY_STEP, validate_every=1)))


def weights(config: TrainConfig) -> dict[str, Any]:
    """Digests of all weights and averages at the start and after the last step, and the last learning rate."""
    digests, rates = [], []

    def noted(go: Callable, run: loop.Run, *args: Any) -> object:
        digests.extend((digest(run.networks), digest(run.ema.networks)))
        result = go(run, *args)
        digests.extend((digest(run.networks), digest(run.ema.networks)))
        rates.append(run.optimizers["generator"].param_groups[0]["lr"])
        return result

    with pytest.MonkeyPatch.context() as patch:
        counted(patch, loop.Run, "go", RANK, 1, noted)
        return {**outcome(config), "digests": digests, "rates": rates}


def plan(config: TrainConfig, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    lines: list[str] = []
    found = make_plan(config, lines.append)
    return {"plan": vars(found), "reported": len(lines), "device": found.lines()[3]}


def messages(config: TrainConfig, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    accelerator = make_accelerator(config)
    tensors = [torch.full((2, 1), float(RANK)), torch.tensor(3.0 * RANK)]
    average(tensors, accelerator)
    try:
        with together(accelerator):
            {}["neither"]
    except KeyError as error:
        own = str(error)
    return {
        "average": [each.tolist() for each in tensors],
        "broadcast": broadcast(RANK + 0.1, accelerator),
        "total": total(RANK + 0.5, accelerator),
        "any": [any_of(RANK == 1, accelerator), any_of(False, accelerator)],
        "own": own,
    }


def resume(run: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Go on with what one process began."""
    patch.setattr(loop.Run, "_should_stop", lambda self, stop: self.position.step >= RESUMED)
    return outcome(replace(RunFolder(run).load_config(), out=str(run)), resume=True)


SCENARIOS: dict[str, Callable[[TrainConfig, pytest.MonkeyPatch], dict[str, Any]]] = {
    each.__name__: each
    for each in (
        nan,
        out_of_range,
        broken_picture,
        bad_data,
        other_pictures,
        full_disk,
        early_fault,
        late_fault,
        batch_of_six,
        too_many_parts,
        official_sums,
        weights_that_differ,
        everything_on,
        fine_tuned,
        plateau,
        plan,
        messages,
    )
}


if __name__ == "__main__":
    if sys.argv[1] == "broken":
        with pytest.MonkeyPatch.context() as planted:
            counted(planted, TrainStep, "generator_losses", 1, 2, broken_loss)
            cli.main(sys.argv[2:])
    else:
        main(*map(Path, sys.argv[2:]))
