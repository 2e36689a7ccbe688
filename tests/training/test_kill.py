"""kill -9 at any moment: little is lost, nothing is broken, and the run goes on as if nothing had happened."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_loop import assert_same_run

from bicyclegan.checkpoints import load_checkpoint
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.events import RunStarted, StepLogged, read_events
from bicyclegan.training.run_folder import RunFolder

KILLS = 20
EVERY = 3
"""Steps between checkpoints."""


def _train(config: TrainConfig, resume: bool, started: multiprocessing.Event) -> None:
    """In a process of its own, always with one thread, since sums depend on their number."""
    from bicyclegan.training.loop import train

    torch.set_num_threads(1)
    started.set()
    train(config, resume=resume, report=lambda line: None)


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.BaseContext:
    """Children that have imported everything when they are born."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch._dynamo", "accelerate", "PIL.Image", "bicyclegan.training.loop"])
    return context


@pytest.mark.slow
def test_kill_at_random_moments(
    run_config: Callable[..., TrainConfig], tmp_path: Path, processes: multiprocessing.context.BaseContext
) -> None:
    record = {"checkpoint_every": EVERY, "log_every": 1, "measure_every": 5, "validate_every": 11, "sample_every": 13}
    whole = run_config(out=str(tmp_path / "whole"), record=record, steps=160)
    _run(processes, whole, resume=False)

    broken = replace(whole, out=str(tmp_path / "broken"))
    folder, moments = RunFolder(Path(broken.out)), random.Random(0)
    stopped_at = []
    for kill in range(KILLS):
        before, begin = _last_step(folder), time.time()
        process = _start(processes, broken, resume=folder.config_file.exists())
        if kill % 4:
            _wait_for_start(folder, begin)
            _wait_for_step(folder, _last_step(folder) + moments.randint(0, 5))
            time.sleep(moments.uniform(0, 0.05))
        else:  # one in four dies while it starts
            time.sleep(moments.uniform(0, 0.5))
        assert process.is_alive(), f"the run ended after {kill} kills: too few steps for this test"
        process.kill()
        process.join()
        _check_whole(folder)
        stopped_at.append(_last_step(folder))
        kept = max((step for step, _ in folder.checkpoints()), default=0)
        assert stopped_at[-1] - kept <= EVERY, "more than an interval was lost"
        assert kept >= before - EVERY
    assert len(set(stopped_at)) > KILLS // 3, f"kills hit too few moments: {stopped_at}"
    _run(processes, broken, resume=folder.config_file.exists())
    assert_same_run(Path(whole.out), Path(broken.out), whole.steps)
    logged = [event.step for event in read_events(folder.events_file) if isinstance(event, StepLogged)]
    assert logged == list(range(1, whole.steps + 1)), "every step once"


def _start(
    processes: multiprocessing.context.BaseContext, config: TrainConfig, resume: bool
) -> multiprocessing.Process:
    started = processes.Event()
    process = processes.Process(target=_train, args=(config, resume, started))
    process.start()
    assert started.wait(60)
    return process


def _run(processes: multiprocessing.context.BaseContext, config: TrainConfig, resume: bool) -> None:
    process = _start(processes, config, resume)
    process.join(300)
    assert process.exitcode == 0


def _wait_for_start(folder: RunFolder, since: float) -> None:
    """Until the run says that it began or went on."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if any(isinstance(event, RunStarted) and event.time >= since for event in read_events(folder.events_file)):
            return
        time.sleep(0.01)
    raise AssertionError("the run did not start")


def _wait_for_step(folder: RunFolder, step: int) -> None:
    """Until the run says that it made so many steps."""
    end = time.monotonic() + 60
    while _last_step(folder) < step and time.monotonic() < end:
        time.sleep(0.002)


def _last_step(folder: RunFolder) -> int:
    return max((event.step for event in read_events(folder.events_file)), default=0)


def _check_whole(folder: RunFolder) -> None:
    """What has its name is whole; models load unless they were being replaced, and then recovery finds them."""
    for step, path in folder.checkpoints():
        assert torch.load(path / "state.pt", weights_only=True)["position"]["step"] == step
    if not folder.root.exists():
        return
    with folder.lock():
        folder.recover()
    for model in (folder.latest, folder.best):
        if model.exists() or (model == folder.latest and len(folder.checkpoints()) > 1):
            load_checkpoint(model)
