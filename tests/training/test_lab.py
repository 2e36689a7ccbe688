"""Lessons: two runs that differ in one pitfall, train at the same time, and the cure of the sick one."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bicyclegan.cli import main
from bicyclegan.errors import UserError
from bicyclegan.training import lab, lab_sides, process_lock
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.events import RunEnded, RunStarted, StepLogged, read_events
from bicyclegan.training.job_changes import with_changes
from bicyclegan.training.job_files import JobFiles, JobNotes
from bicyclegan.training.jobs import Jobs
from bicyclegan.training.lab import LESSONS, SIDES, Lesson
from bicyclegan.training.lab_command import table
from bicyclegan.training.pitfalls import PITFALLS, read_option
from bicyclegan.training.stop import StopRequest

SECONDS = 120
"""In which anything must happen, on a machine that is busy with other tests."""


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Jobs]:
    """Its processes do not outlive the test."""
    made = Jobs(tmp_path / "runs")
    yield made
    for path in (tmp_path / "runs").glob("*/.*lock"):
        if (who := process_lock.holder(path)) and who.pid not in (0, os.getpid()):
            os.kill(who.pid, signal.SIGKILL)


def short(name: str, steps: int = 12) -> Lesson:
    """A lesson with networks that learn nothing in some steps."""
    taught = LESSONS[name]
    every = {"log_every": 2, "measure_every": 2, "sample_every": 0, "validate_every": 6, "checkpoint_every": 6}
    if isinstance(taught.config, TrainConfig):
        record = replace(taught.config.record, **every, validation_images=4)
        model = replace(taught.config.model, base_channels=4, encoder_channels=4, discriminator_channels=4)
        config = replace(taught.config, steps=steps, batch_size=4, model=model, record=record)
    else:
        config = replace(taught.config, steps=steps, batch_size=4, channels=4, **every)
    return replace(taught, config=config, cured_steps=6)


@pytest.fixture
def shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    """All lessons take seconds."""
    for name in LESSONS:
        monkeypatch.setitem(LESSONS, name, short(name))


def ended(studio: Jobs, *names: str) -> None:
    end = time.monotonic() + SECONDS
    while any(studio.status(name).alive for name in names):
        assert time.monotonic() < end, [studio.status(name) for name in names]
        time.sleep(0.05)


def events(folder: Path, kind: type) -> list:
    return [event for event in read_events(folder / "events.jsonl") if isinstance(event, kind)]


def refused(code: str, action, *args: object) -> UserError:
    with pytest.raises(UserError) as caught:
        action(*args)
    assert caught.value.code == code, caught.value
    return caught.value


# Lessons


def test_every_pitfall_of_the_tutorials_has_a_lesson() -> None:
    assert list(LESSONS) == [
        *("detach", "unit-range", "no-latent-loss", "no-kl", "fast-discriminator", "no-l1", "wgan-no-clipping"),
        *("dcgan-detach", "dcgan-unit-range"),
    ]
    assert all(each.pitfall in PITFALLS and each.name == name for name, each in LESSONS.items())
    assert "detach, unit-range" in str(refused("lab_lesson", lab.lesson, "detatch"))


@pytest.mark.parametrize("name", LESSONS)
def test_sides_differ_in_the_pitfall_alone_and_the_cure_takes_it_out(name: str) -> None:
    taught = LESSONS[name]
    (healthy, nothing), (sick, planted) = taught.side("healthy", 5), taught.side("sick", 5)
    assert nothing == "" and (sick != healthy or planted), "they do differ"
    assert (sick.seed, healthy.seed) == (5, 5) and sick.steps == healthy.steps
    cured = with_changes(sick, taught.remedy(sick.steps, sick.steps))
    if cure := PITFALLS[taught.pitfall].cure:  # other networks belong to the healthy side
        assert all(read_option(cured, option) == value != read_option(sick, option) for option, value in cure.items())
        return
    assert cured == replace(healthy, steps=healthy.steps + taught.cured_steps)


def test_a_cure_leaves_time_to_recover() -> None:
    taught = short("no-kl", steps=12)
    assert taught.remedy(12, 12)["steps"] == 18
    assert taught.remedy(10, 12)["steps"] == 16, "stopped just before its end"
    assert taught.remedy(2, 12)["steps"] == 12


# In the studio


def test_nothing_is_left_of_a_lesson_that_cannot_begin(studio: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    refused("lab_lesson", lab.start, studio, "x")

    def full(*_: object, **__: object) -> None:
        raise UserError("job_queue_full", "full")

    monkeypatch.setattr(Jobs, "start_together", full)
    refused("job_queue_full", lab.start, studio, "detach")
    monkeypatch.setattr(lab, "write_pictures", full)
    refused("job_queue_full", lab.start, studio, "detach")
    assert not [path for path in studio.root.iterdir() if path.is_dir()]


def test_only_the_sick_side_can_be_cured(studio: Jobs) -> None:
    for notes in (None, JobNotes(lesson="detach", side="healthy"), JobNotes(lesson="gone", side="sick")):
        refused("lab_not_sick", lab.cure, studio, studio.new_draft("x", notes))


@pytest.mark.slow
def test_both_sides_train_at_once_and_the_sick_one_is_cured(
    studio: Jobs, shortened: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LESSONS, "detach", short("detach", steps=150))
    sick, healthy = lab.start(studio, "detach", owner="10.0.0.1")
    assert [studio.status(name).side for name in (sick, healthy)] == ["sick", "healthy"]
    assert studio.status(sick).group == studio.status(healthy).group != ""
    other = lab.start(studio, "no-kl", owner="10.0.0.1")  # two lessons are two places
    refused("job_owner", lab.start, studio, "no-l1", "10.0.0.1")
    assert len([path for path in studio.root.iterdir() if path.is_dir()]) == 4
    assert [studio.status(name).ahead for name in other] == [1, 1], "a lesson is one place"
    for name in other:
        studio.end(name)
        assert studio.status(name).state == "stopped"

    ended(studio, sick, healthy)
    assert [studio.status(name).state for name in (sick, healthy)] == ["completed"] * 2
    lines = {name: events(studio.folder(name).root, StepLogged) for name in (sick, healthy)}
    begun, done = max(each[0].time for each in lines.values()), min(each[-1].time for each in lines.values())
    assert begun < done, "at the same time"
    shares = {name: each[-1].gradient_shares["gan_random"] for name, each in lines.items()}
    assert shares[sick] == 0 < shares[healthy]

    lab.cure(studio, sick)
    notes = JobFiles(studio.folder(sick).root).notes()
    assert (notes.pitfall, notes.cured, notes.lesson, notes.side) == ("", 150, "detach", "sick")
    ended(studio, sick)
    status = studio.status(sick)
    assert (status.state, status.step, status.steps, status.cured) == ("completed", 156, 156, 150)
    last = events(studio.folder(sick).root, StepLogged)[-1]
    assert last.gradient_shares["gan_random"] > 0
    assert [each.step for each in events(studio.folder(sick).root, RunStarted)] == [0, 150]


@pytest.mark.slow
def test_a_living_dcgan_is_stopped_and_cured(studio: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LESSONS, "dcgan-detach", short("dcgan-detach", steps=5000))
    sick, healthy = lab.start(studio, "dcgan-detach")
    end = time.monotonic() + SECONDS
    while studio.status(sick).step < 4 and time.monotonic() < end:
        time.sleep(0.05)
    studio.end(healthy)
    lab.cure(studio, sick)
    step = studio.status(sick).cured
    assert 4 <= step < 5000
    while studio.status(sick).step < step + 4 and time.monotonic() < end:
        time.sleep(0.05)
    studio.end(sick)
    lines = events(studio.folder(sick).root, StepLogged)
    norms = {each.step: each.gradient_norms["generator"] for each in lines}
    assert norms[4] == 0 < norms[lines[-1].step]


# From the command line


def command(*args: object) -> None:
    main(["lab", *map(str, args)])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "Name a lesson; python -m bicyclegan lab --list"),
        (["detatch", "--out", "x"], "There is no lesson 'detatch'; use one of detach, unit-range"),
        (["detach"], "--out is missing"),
        (["detach", "--out", "used"], "used is in use already"),
        (["detach", "--out", "file"], "file is in use already"),
        (["detach", "--out", "x", "--data", "nothing"], "There is no folder nothing"),
        (["detach", "--out", "x", "--seed", "-1"], "seed is -1"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], args: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.txt").touch()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as caught:
        command(*args)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and message in error
    assert sorted(tmp_path.rglob("*")) == before


def test_lessons_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    command("--list")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(LESSONS)
    command("--list", "--json")
    assert [each["name"] for each in json.loads(capsys.readouterr().out)["lessons"]] == list(LESSONS)


def test_pictures_that_teach_nothing_leave_nothing(
    tmp_path: Path, shortened: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as caught:
        command("detach", "--out", tmp_path / "out", "--data", tmp_path / "empty")
    assert caught.value.code == 2 and "empty" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_lesson_and_its_cure(
    tmp_path: Path, photos: Path, shortened: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lesson"
    command("no-kl", "--out", out, "--seed", 3, "--data", photos, "--cure", "--json")
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert "sick     step 12/12" in shown.err and "healthy  step 12/12" in shown.err
    assert result["lesson"] == "no-kl" and result["stopped"] is False
    assert result["files"] == [str(out / side) for side in SIDES]
    for side in SIDES:
        assert (result[side]["state"], result[side]["step"]) == ("completed", 12)
        assert isinstance(result[side]["findings"], list)
        assert lab_sides.SideRun(side, out / side).run.load_config().seed == 3
    cured = result["cured"]
    assert (cured["from_step"], cured["step"], cured["changes"]) == (12, 18, {"lambda_kl": 0.01, "steps": 18})
    assert cured["before"]["reconstruction_l1"] != cured["after"]["reconstruction_l1"]
    weights = [each.weights.get("kl", 0.0) for each in events(out / "sick", StepLogged)]
    assert weights == [0.0] * 6 + [0.01] * 3
    assert Jobs(out).public() != [], "a studio can show them"


@pytest.mark.slow
def test_a_signal_ends_both_in_good_order(tmp_path: Path) -> None:
    stop, told = StopRequest(), []

    def tell(line: str) -> None:
        told.append(line)
        stop.signal = "SIGINT"  # as soon as one has begun

    taught = short("unit-range", steps=2000)
    with lab_sides.made_sides(taught, tmp_path / "x", seed=0) as sides:
        lab_sides.train_sides(sides.values(), stop, tell)
    assert told
    for side in sides.values():
        if side.began:
            [end] = events(side.root, RunEnded)
            assert end.reason == "stopped" and side.run.checkpoints()
        assert side.status.state == "stopped"
        assert not process_lock.holder(side.files.lock_file)


def test_figures_stand_side_by_side() -> None:
    assert table({"sick": {"latent_l1": 0.8, "diversity_rgb": 0.01}, "cured": {"latent_l1": 0.25}}) == [
        "\n                   sick     cured",
        "latent_l1         0.800     0.250",
        "diversity_rgb     0.010         –",
    ]
    assert table({"sick": {}}) == []
