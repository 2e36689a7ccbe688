"""Runs as stages of one training: their order is checked, what each handed on is known."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bicyclegan.checkpoints import load_checkpoint, save_checkpoint
from bicyclegan.config import CheckpointConfig, ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.training.events import RunEnded, RunStarted, StepLogged
from bicyclegan.training.history import read_history
from bicyclegan.training.presets import PRESETS
from bicyclegan.training.run_folder import RunFolder

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path, tiny_config: ModelConfig, tiny_checkpoint: Path) -> MakeRun:
    """`make_run(name, init_from="", steps=6, roles=("latest",))`: what a run of 10 steps leaves, its folders older."""
    weights = load_checkpoint(tiny_checkpoint)

    def make(name: str, init_from: str = "", steps: int = 6, roles: tuple[str, ...] = ("latest",)) -> Path:
        run = RunFolder(tmp_path / "runs" / name)
        places = {"data": "shoes", "out": str(run.root), "init_from": init_from}
        config = replace(PRESETS["fast"], **places, steps=10, model=tiny_config)
        run.save_config(config)
        run.events.append(RunStarted(step=0, device="cpu"))
        for step in range(2, 12, 2):  # it has gone on since
            run.events.append(StepLogged(step=step, losses={"l1": 1 / step}, seconds=step))
        run.events.append(RunEnded(step=10))
        for role in roles:
            described = CheckpointConfig(tiny_config, training={"steps": steps})
            save_checkpoint(run.root / role, described, weights.generator, weights.encoder)
        return run.root

    return make


def refused(*runs: Path, which: str = "latest") -> str:
    with pytest.raises(UserError) as caught:
        read_history(runs, which)
    return str(caught.value)


def test_a_run_is_told_up_to_its_checkpoint(make_run: MakeRun) -> None:
    history = read_history([make_run("a", steps=6)])
    [stage], [events] = history.stages, history.runs
    assert (stage.run, stage.steps, stage.seconds, stage.device, stage.data) == ("a", 6, 6, "cpu", "shoes")
    assert [event.step for event in events] == [0, 2, 4, 6]


def test_stages_stand_one_after_the_other(make_run: MakeRun) -> None:
    first = make_run("a", steps=4)
    second = make_run("b", f"{first}/latest", steps=6)
    third = make_run("c", f"{second}/latest")
    history = read_history([first, second, third])
    assert history.starts == [0, 4, 10]
    assert [stage.init_from for stage in history.stages] == ["", "", ""]


def test_what_was_handed_on_is_what_the_next_run_started_from(make_run: MakeRun) -> None:
    first = make_run("a", steps=4, roles=("best", "latest"))
    second = make_run("b", f"{first}/best", roles=("best", "latest"))
    assert [stage.checkpoint for stage in read_history([first, second]).stages] == ["best", "latest"]
    assert [stage.checkpoint for stage in read_history([first, second], "best").stages] == ["best", "best"]


def test_the_networks_of_the_stage_before_are_no_options(make_run: MakeRun) -> None:
    first = make_run("a")
    second = make_run("b", f"{first}/latest")
    before, after = read_history([first, second]).stages
    assert before.options["base_channels"] == 4
    assert after.options == {"steps": 10}


def test_a_run_that_was_moved_is_still_known_by_its_name(make_run: MakeRun, tmp_path: Path) -> None:
    first, other = make_run("a"), "elsewhere/runs"
    second = make_run("b", f"{other}/a/latest")
    assert len(read_history([first, second]).stages) == 2
    renamed = first.rename(tmp_path / "runs" / "first")
    assert [stage.run for stage in read_history([renamed, second]).stages] == ["first", "b"]


def test_a_wrong_order_is_refused(make_run: MakeRun) -> None:
    first = make_run("a")
    second = make_run("b", f"{first}/latest")
    third = make_run("c", f"{second}/latest")
    assert refused(second, first) == (
        f"{first} did not start from {second}, but from random weights. Give the stages of one training in their "
        "order, without a gap."
    )
    assert f"{third} did not start from {first}, but from {second}/latest" in refused(first, third)


def test_a_run_is_given_once(make_run: MakeRun) -> None:
    first = make_run("a")
    again = make_run("b/a", f"{first}/latest")
    assert "Two stages are runs called a" in refused(first, again)


def test_folders_that_are_no_runs_are_refused(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("a")
    assert "is no run (it has no config.json)" in refused(tmp_path / "nothing")
    assert "runs/a/latest is a checkpoint. Give run folders" in refused(run / "latest")
    assert "a has no checkpoint best/ yet" in refused(run, which="best")
    assert "--which latest" in refused(run, which="best")
    shutil.rmtree(run / "latest")
    assert "a has no checkpoint latest/ yet" in refused(run)


def test_a_run_without_events_has_no_time(make_run: MakeRun) -> None:
    run = make_run("a")
    RunFolder(run).events_file.unlink()
    history = read_history([run])
    assert (history.runs, history.stages[0].seconds) == (((),), 0)


def test_a_first_run_may_come_from_elsewhere(make_run: MakeRun, tiny_checkpoint: Path) -> None:
    [stage] = read_history([make_run("a", str(tiny_checkpoint))]).stages
    assert stage.init_from == "checkpoints/tiny"
    assert stage.options == {"steps": 10}, "its networks are at hand"


def test_a_checkpoint_of_before_stages_cannot_be_continued(make_run: MakeRun, tiny_checkpoint: Path) -> None:
    later = make_run("b", str(tiny_checkpoint))
    assert "tiny is a checkpoint" in refused(tiny_checkpoint, later)


def test_a_config_of_a_newer_program_is_refused(make_run: MakeRun) -> None:
    run = RunFolder(make_run("a"))
    run.config_file.write_text('{"schema_version": 99}')
    assert "schema_version 99" in refused(run.root)


def test_histories_are_joined(make_run: MakeRun) -> None:
    one, two = (read_history([make_run(name)]) for name in "ab")
    both = one + two
    assert [stage.run for stage in both.stages] == ["a", "b"]
    assert both.runs == one.runs + two.runs
