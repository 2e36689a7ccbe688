"""Two processes train as one: same numbers, same weights, and they end together whatever happens to one of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bicyclegan.cli import parse
from bicyclegan.errors import UserError
from bicyclegan.training import loop
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.events import Event, Finding, RunEnded, RunStarted, StepLogged, read_events
from bicyclegan.training.loop import train
from bicyclegan.training.processes import average
from bicyclegan.training.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("two_processes.py")
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc_per_node", "2")
ACCELERATE = ("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0")
PATIENCE = 600
"""Seconds after which a process that is started here hangs, even on a busy machine."""
SMALL = [
    *("--image-size", "32", "--base-channels", "8", "--encoder-channels", "8", "--discriminator-channels", "8"),
    *("--batch-size", "4", "--steps", "1000", "--log-every", "2", "--measure-every", "2", "--checkpoint-every", "3"),
    *("--validate-every", "3", "--sample-every", "3", "--validation-images", "4", "--keep-checkpoints", "1000"),
    *("--device", "cpu", "--log-with", "none"),
]
"""The preset `fast` with narrow networks."""
FIRST, LAST = 3, 6
"""A checkpoint to go on from, in the middle of a line of the log; and how many steps are compared. Rounding grows
tenfold a step in networks as narrow as these: some steps later sums in another order come to other numbers."""


def launch(launcher: tuple[str, ...], *args: object, home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *launcher, *map(str, args)],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "HF_HOME": str(home),
            "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(PATIENCE),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Its standard output and error. One that hangs is ended."""
    try:
        return process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def events(run: Path, kind: type[Event]) -> list[Any]:
    return [event for event in read_events(RunFolder(run).events_file) if isinstance(event, kind)]


def stop_at_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loop.Run, "_should_stop", lambda self, stop: self.position.step >= LAST)


def copy_at_first(run: Path, to: Path) -> Path:
    """A copy of a run as it was after `FIRST` steps."""
    shutil.copytree(run, to)
    for step, path in RunFolder(to).checkpoints():
        if step > FIRST:
            shutil.rmtree(path)
    RunFolder(to).events.rewind(FIRST)
    return to


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def alone(folder: Path, photos: Path) -> Path:
    """A run of one process, stopped after `LAST` steps."""
    config: TrainConfig = parse(["train", "--data", str(photos), "--out", str(folder / "alone"), *SMALL]).config
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        stop_at_last(patch)
        train(config, report=lambda line: None)
    torch.set_num_threads(before)
    return folder / "alone"


@pytest.fixture(scope="module")
def pair(folder: Path, photos: Path) -> tuple[Path, str, str]:
    """A run of two processes, ended by SIGTERM after at least `LAST` steps; what it printed."""
    run = folder / "pair"
    process = launch(TORCHRUN, "-m", "bicyclegan", "train", "--data", photos, "--out", run, *SMALL, home=folder)
    end = time.monotonic() + PATIENCE
    while not any(event.step >= LAST for event in events(run, StepLogged)) and process.poll() is None:
        assert time.monotonic() < end, "no steps"
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    return run, *finish(process)


@pytest.fixture(scope="module")
def scenarios(folder: Path, photos: Path, alone: Path) -> tuple[Path, list[dict[str, Any]]]:
    """Folder of the runs of `two_processes`, and what each process found."""
    runs = folder / "scenarios"
    runs.mkdir()
    started = copy_at_first(alone, runs / "resume")
    _, error = finish(launch(TORCHRUN, SCRIPT, "scenarios", runs, photos, started, home=folder))
    assert (runs / "0.json").is_file() and (runs / "1.json").is_file(), error[-3000:]
    return runs, [json.loads((runs / f"{rank}.json").read_text()) for rank in range(2)]


def assert_same_numbers(ours: Path, theirs: Path, since: int = 0) -> None:
    """Lines of the log up to `LAST`."""
    one, two = ([event for event in events(run, StepLogged) if since < event.step <= LAST] for run in (ours, theirs))
    assert [event.step for event in one] == [event.step for event in two] != []
    for mine, other in zip(one, two, strict=True):
        for name in ("losses", "scores", "inputs", "learning_rates"):
            assert getattr(mine, name) == pytest.approx(getattr(other, name), rel=1e-4, abs=1e-5), (mine.step, name)
        for name in ("mu_mean", "mu_variance", "kl_per_dim"):
            assert getattr(mine, name) == pytest.approx(getattr(other, name), rel=1e-3, abs=1e-4), (mine.step, name)
        assert mine.gradient_norms == pytest.approx(other.gradient_norms, rel=1e-2)
        assert mine.gradient_shares == pytest.approx(other.gradient_shares, rel=1e-2, abs=1e-4)


def assert_same_weights(ours: Path, theirs: Path, step: int) -> None:
    """Up to rounding. Where a gradient is 0, as that of a bias before instance norm, Adam makes steps of rounding."""
    states = [torch.load(RunFolder(run).checkpoint(step) / "state.pt", weights_only=True) for run in (ours, theirs)]
    for group in ("networks", "ema"):
        for name, network in states[0][group].items():
            for key, value in network.items():
                difference = (value - states[1][group][name][key]).abs()
                assert difference.max() <= step * 2 * 2e-4, f"more than Adam can move: {group} {name} {key}"
                assert difference.median() < 2e-5 or key.endswith("bias"), f"{group} {name} {key}"


def test_two_processes_tell_what_one_tells(alone: Path, pair: tuple[Path, str, str]) -> None:
    run, _, _ = pair
    assert [event.processes for event in events(alone, RunStarted)] == [1]
    assert [event.processes for event in events(run, RunStarted)] == [2]
    assert_same_numbers(alone, run)


@pytest.mark.parametrize("step", [FIRST, LAST])
def test_two_processes_come_to_the_weights_of_one(alone: Path, pair: tuple[Path, str, str], step: int) -> None:
    assert_same_weights(alone, pair[0], step)


def test_sigterm_ends_both_after_the_same_step_with_a_checkpoint(pair: tuple[Path, str, str]) -> None:
    run, output, error = pair
    [end] = events(run, RunEnded)
    assert (end.reason, end.message) == ("stopped", "SIGTERM")
    assert RunFolder(run).checkpoints()[-1][0] == end.step >= LAST
    assert output.count("Stopped after step") == 1
    assert "SIGKILL" not in error, "one had to be killed"
    assert not events(run, Finding), "weights differed"


def test_people_read_each_line_once(pair: tuple[Path, str, str]) -> None:
    _, output, _ = pair
    assert output.count("14 pictures to train on, ") == output.count("step 2/1000") == 1
    assert [line for line in output.splitlines() if line.endswith("pair/best")], "the file at the end"
    assert len(output.splitlines()) == len(set(output.splitlines()))


def test_one_goes_on_where_two_stopped(
    pair: tuple[Path, str, str], alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copy_at_first(pair[0], tmp_path / "run")
    stop_at_last(monkeypatch)
    config = RunFolder(run).load_config()
    assert train(replace(config, out=str(run)), resume=True, report=lambda line: None).step == LAST
    assert [event.step for event in events(run, RunStarted)] == [0, FIRST]
    assert_same_numbers(pair[0], run)
    assert_same_weights(alone, run, LAST)


def test_two_go_on_where_one_stopped(scenarios: tuple[Path, list[dict[str, Any]]], alone: Path) -> None:
    runs, found = scenarios
    assert [each["resume"] for each in found] == [{"step": LAST, "reason": "stopped"}] * 2
    assert [event.processes for event in events(runs / "resume", RunStarted)] == [1, 2]
    assert_same_numbers(alone, runs / "resume")
    assert_same_weights(alone, runs / "resume", LAST)


@pytest.mark.parametrize(
    ("name", "code", "text", "kept"),
    [
        ("nan", "train_nan", "Step 2: the loss kl is NaN", [1]),
        ("out_of_range", "train_range", "to 255", [1]),
        ("full_disk", "train_disk_full", "could not be written after step 2", [1]),
    ],
)
def test_what_happens_to_one_ends_both(
    scenarios: tuple[Path, list[dict[str, Any]]], name: str, code: str, text: str, kept: list[int]
) -> None:
    runs, found = scenarios
    for each in found:
        assert (each[name]["error"], each[name]["code"]) == ("UserError", code)
        assert text in each[name]["text"]
    finding, *_ = events(runs / name, Finding)  # the doctor may name it too
    [end] = events(runs / name, RunEnded)
    assert (finding.name, end.reason) == (code, "failed")
    assert [step for step, _ in RunFolder(runs / name).checkpoints()] == kept


def test_a_picture_that_one_cannot_read_ends_both(scenarios: tuple[Path, list[dict[str, Any]]]) -> None:
    runs, found = scenarios
    for each in found:
        assert each["broken_picture"]["error"] == "OSError"
        assert "pictures.npy" in each["broken_picture"]["text"]
    assert [step for step, _ in RunFolder(runs / "broken_picture").checkpoints()] == [1]


@pytest.mark.parametrize("name", ["early_fault", "late_fault"])
def test_our_own_fault_keeps_its_report_where_it_was(scenarios: tuple[Path, list[dict[str, Any]]], name: str) -> None:
    runs, [first, second] = scenarios
    assert second[name] == {"error": "RuntimeError", "code": "", "text": "no such kernel"}
    assert first[name]["code"] == "process_failed"
    assert "Process 1 of this run has failed: RuntimeError: no such kernel" in first[name]["text"]
    assert events(runs / name, RunEnded)[0].reason == "failed"
    assert [step for step, _ in RunFolder(runs / name).checkpoints()] == [1]


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("bad_data", "data_too_few", "is empty here"),
        ("other_pictures", "processes_data", "different pictures"),
        ("batch_of_six", "data_processes", "batch_size 6 cannot be shared by 2 process(es): use a multiple of 4."),
        ("too_many_parts", "processes_accumulate", "2 processes that compute in 2 parts each: use a multiple of 8"),
        ("official_sums", "processes_official", "--reduction sample"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_both_and_writes_nothing(
    scenarios: tuple[Path, list[dict[str, Any]]], name: str, code: str, text: str
) -> None:
    runs, found = scenarios
    for each in found:
        assert each[name]["code"] == code and text in each[name]["text"]
    assert not (runs / name).exists()
    assert not any(each[name].get("written") for each in found)


def test_weights_that_differ_are_found_and_mended(scenarios: tuple[Path, list[dict[str, Any]]]) -> None:
    runs, _ = scenarios
    [finding] = events(runs / "weights_that_differ", Finding)
    assert (finding.step, finding.name) == (2, "processes_differ"), "after step 3 they are equal again"


@pytest.mark.parametrize("name", ["everything_on", "fine_tuned", "plateau"])
def test_both_hold_the_same_weights(scenarios: tuple[Path, list[dict[str, Any]]], name: str) -> None:
    runs, [first, second] = scenarios
    assert first[name] == second[name]
    assert first[name]["step"] == 3
    networks, averages, networks_after, averages_after = first[name]["digests"]
    assert networks != networks_after and averages != averages_after
    assert not events(runs / name, Finding), "they differed on the way"


def test_the_learning_rate_falls_in_both(scenarios: tuple[Path, list[dict[str, Any]]]) -> None:
    assert [each["plateau"]["rates"] for each in scenarios[1]] == [[2e-4 / 4]] * 2


def test_the_plan_is_that_of_both(scenarios: tuple[Path, list[dict[str, Any]]]) -> None:
    runs, found = scenarios
    first, second = (each["plan"] for each in found)
    assert first["plan"]["processes"] == 2
    assert "cpu x 2 processes" in first["device"]
    assert first["reported"] > 0 and second["reported"] == 0
    assert first["plan"]["memory_mb"] == second["plan"]["memory_mb"] > 200, "of one"
    assert not (runs / "plan").exists()


def test_messages(scenarios: tuple[Path, list[dict[str, Any]]]) -> None:
    for each in scenarios[1]:
        assert each["messages"] == {
            "average": [[[0.5], [0.5]], 1.5],
            "broadcast": 0.1,
            "total": 2.0,
            "any": [True, False],
            "own": "'neither'",
        }


def test_a_process_that_no_longer_answers_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*args: object, **options: object) -> None:
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(torch.distributed, "all_reduce", gone)
    with pytest.raises(UserError, match="has ended") as caught:
        average([torch.ones(1)], SimpleNamespace(num_processes=2))
    assert caught.value.code == "process_lost"


def test_one_message_and_exit_code_2_under_accelerate(folder: Path, photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    args = ["broken", "train", "--data", photos, "--out", run, *SMALL, "--checkpoint-every", "1"]
    process = launch(ACCELERATE, SCRIPT, *args, home=folder)
    output, error = finish(process)
    messages = [line for line in error.splitlines() if line.startswith("error: ")]
    assert len(messages) == 1 and "Step 2: the loss kl is NaN" in messages[0]
    assert error.count("Traceback") == 1, "that of the launcher"
    assert "exitcode  : 2" in error and "exitcode  : 1" not in error
    assert [event.processes for event in events(run, RunStarted)] == [2]
    assert [event.name for event in events(run, Finding)] == ["train_nan", "not_a_number"]
    assert [step for step, _ in RunFolder(run).checkpoints()] == [1]
    assert "best" not in output
