"""A run's folder: its paths, its lock, and what a crash leaves."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from bicyclegan.errors import UserError
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.presets import PRESETS
from bicyclegan.training.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "runs" / "shoes")


def test_the_config_makes_the_round_trip(folder: RunFolder) -> None:
    folder.save_config(PRESETS["official"])
    assert folder.load_config() == PRESETS["official"]


def test_a_run_is_never_overwritten(folder: RunFolder) -> None:
    folder.save_config(TrainConfig(seed=1))
    with pytest.raises(UserError, match="--resume"):
        folder.check_new()


def test_nor_are_other_folders(folder: RunFolder) -> None:
    folder.root.mkdir(parents=True)
    (folder.root / "thesis.txt").touch()
    with pytest.raises(UserError, match="not a run"):
        folder.check_new()
    assert [path.name for path in folder.root.iterdir()] == ["thesis.txt"]


def test_an_empty_folder_may_become_a_run(folder: RunFolder) -> None:
    folder.check_new()
    folder.root.mkdir(parents=True)
    (folder.root / ".lock").touch()
    folder.check_new()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "run_missing"),
        ("{", "config_json"),
        ("[]", "run_version"),
        ('{"schema_version": 99}', "run_version"),
        ('{"schema_version": 1, "colour": 3}', "config_unknown"),
        ('{"schema_version": 1, "loss": {"lambda_x": 3}}', "config_unknown"),
        ('{"schema_version": 1, "batch_size": "8"}', "config_value"),
    ],
)
def test_configs_that_cannot_be_read(folder: RunFolder, text: str | None, code: str) -> None:
    if text is not None:
        folder.root.mkdir(parents=True)
        folder.config_file.write_text(text)
    with pytest.raises(UserError) as caught:
        folder.load_config()
    assert caught.value.code == code


def test_checkpoints_are_found_by_number(folder: RunFolder) -> None:
    for step in (9_999_999, 10_000_000, 500):
        folder.checkpoint(step).mkdir(parents=True)
    (folder.root / "checkpoints" / "step-x").mkdir()
    assert [step for step, _ in folder.checkpoints()] == [500, 9_999_999, 10_000_000]


def test_only_the_newest_are_kept(folder: RunFolder) -> None:
    for step in (1, 2, 3, 4):
        folder.checkpoint(step).mkdir(parents=True)
    folder.prune(keep=2)
    assert sorted(path.name for path in (folder.root / "checkpoints").iterdir()) == ["step-0000003", "step-0000004"]


def test_what_a_killed_process_left_is_cleared_up(folder: RunFolder) -> None:
    folder.save_config(TrainConfig())
    for path in (".latest.a1", "checkpoints/.step-0000007.b2/new", "checkpoints/.step-0000003.gone"):
        (folder.root / path).mkdir(parents=True)
    (folder.root / "samples").mkdir()
    (folder.root / "samples" / ".step-0000007.webp.c3").touch()
    (folder.root / ".config.json.d4").touch()
    folder.best.mkdir()
    (folder.best / ".latents.npz.e5").touch()
    folder.checkpoint(5).mkdir()
    (folder.checkpoint(5) / "state.pt").touch()
    folder.recover()
    left = sorted(path.relative_to(folder.root).as_posix() for path in folder.root.rglob("*") if path.is_file())
    assert left == ["checkpoints/step-0000005/state.pt", "config.json"]
    assert not list(folder.root.rglob(".*"))


def test_a_replacement_that_was_cut_off_is_finished(folder: RunFolder) -> None:
    folder.save_config(TrainConfig())
    for name in ("old", "new"):
        (folder.root / ".latest.a1" / name).mkdir(parents=True)
        (folder.root / ".latest.a1" / name / "file").write_text(name)
    folder.recover()
    assert (folder.latest / "file").read_text() == "new"


def _hold(root: Path, held: multiprocessing.Event, done: multiprocessing.Event) -> None:
    with RunFolder(root).lock():
        held.set()
        done.wait(30)


def test_one_process_at_a_time_and_a_dead_one_holds_nothing(folder: RunFolder) -> None:
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(folder.root, held, done))
    other.start()
    try:
        assert held.wait(30)
        with pytest.raises(UserError, match="Another process"), folder.lock():
            pass
    finally:
        other.kill()
        other.join()
    with folder.lock():
        pass


def test_paths_in_events_are_relative(folder: RunFolder) -> None:
    assert folder.relative(folder.samples(12)) == "samples/step-0000012.webp"
    assert folder.relative(folder.latents(12)) == "latents/step-0000012.npz"


def test_what_is_not_ours_is_left(folder: RunFolder) -> None:
    folder.save_config(TrainConfig())
    for name in (".notes.txt", ".latest.mine.txt", ".config.yaml.bak"):
        (folder.root / name).touch()
    folder.recover()
    assert len(list(folder.root.glob(".*.*"))) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_reader_that_outlives_its_run_does_not_hold_it(folder: RunFolder) -> None:
    context = multiprocessing.get_context("fork")
    with folder.lock():
        reader = context.Process(target=time.sleep, args=(60,))
        reader.start()
        time.sleep(0.5)  # it leaves the lock right after the fork
    try:
        with folder.lock():
            assert reader.is_alive()
    finally:
        reader.kill()
        reader.join()
