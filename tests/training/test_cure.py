"""Apply and continue: what of a run changes, from where it goes on, and when nothing is touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from run_example import story, write_run

from bicyclegan.errors import UserError
from bicyclegan.training import cure
from bicyclegan.training.health import Diagnosis
from bicyclegan.training.job_files import JobFiles, JobNotes
from bicyclegan.training.jobs import Jobs
from bicyclegan.training.lab import LESSONS
from bicyclegan.training.run_folder import RunFolder


class Resumed(Jobs):
    """Runs whose processes are never started: notes and config are all that changes."""

    def __init__(self, root: Path):
        super().__init__(root)
        self.launched: list[JobNotes] = []

    def _launch(self, run: RunFolder, notes: JobNotes, resume: bool = False) -> None:
        assert resume
        self.launched.append(notes)
        JobFiles(run.root).save(notes)


@pytest.fixture
def studio(tmp_path: Path) -> Resumed:
    return Resumed(tmp_path / "runs")


def make(studio: Jobs, steps: int = 40, made: int = 40, notes: JobNotes | None = None, **fields: object) -> RunFolder:
    run = RunFolder(write_run(studio.root / "x", story(steps=made), steps=steps, **fields))
    run.checkpoint(made).mkdir(parents=True)
    config = run.load_config()
    JobFiles(run.root).save(replace(notes or JobNotes(), title="x", config=config.to_json()))
    return run


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch):
    """`found(name, **patch)`: the doctor finds this."""

    def find(name: str, **patch: object) -> None:
        monkeypatch.setattr(cure, "diagnose", lambda log: [Diagnosis(name, "ill", log.last, patch=patch)])

    return find


def refused(code: str, studio: Resumed, name: str) -> UserError:
    before = (studio.root / "x" / "config.json").read_bytes()
    with pytest.raises(UserError) as caught:
        cure.apply(studio, "x", name)
    assert caught.value.code == code, caught.value
    assert not studio.launched and (studio.root / "x" / "config.json").read_bytes() == before
    return caught.value


@pytest.mark.parametrize(
    ("steps", "made", "expected"),
    [(40, 40, 540), (4000, 4000, 5000), (4000, 30, None), (20, 40, 540)],
)
def test_a_completed_run_gets_more_steps_and_any_other_keeps_its_own(
    studio: Resumed, found, steps: int, made: int, expected: int | None
) -> None:
    run = make(studio, steps, made)
    found("ignores_z", lambda_z=0.5)
    changes = cure.apply(studio, "x", "ignores_z")
    assert changes == {"lambda_z": 0.5, **({"steps": expected} if expected else {})}
    config = run.load_config()
    assert (config.loss.lambda_z, config.steps) == (0.5, expected or steps)
    [notes] = studio.launched
    assert notes.cured == studio.status("x").cured == made
    assert notes.config["loss"]["lambda_z"] == 0.5


def test_what_is_not_found_or_cannot_be_changed_touches_nothing(studio: Resumed, found) -> None:
    make(studio)
    found("ignores_z", lambda_z=0.5)
    refused("cure_gone", studio, "blur")
    found("no_adversarial_gradient")
    assert "'no_adversarial_gradient'" in str(refused("cure_none", studio, "no_adversarial_gradient"))
    found("mode_collapse", batch_size=32)
    assert "'batch_size' cannot change" in str(refused("job_change", studio, "mode_collapse"))
    found("rate_high", learning_rate=-1.0)
    refused("config_value", studio, "rate_high")


def test_a_healthy_run_has_nothing_to_apply(studio: Resumed) -> None:
    make(studio)
    refused("cure_gone", studio, "ignores_z")


def test_a_lesson_is_rid_of_what_was_planted(studio: Resumed, found) -> None:
    taught = LESSONS["detach"]
    make(studio, notes=JobNotes(lesson="detach", side="sick", pitfall="detach", group="g"))
    found("no_adversarial_gradient")
    assert cure.apply(studio, "x", "no_adversarial_gradient") == {"steps": 40 + taught.cured_steps}
    [notes] = studio.launched
    assert (notes.pitfall, notes.cured, notes.lesson, notes.group) == ("", 40, "detach", "g")


def test_a_wrong_setting_of_a_lesson_is_put_back_where_the_doctor_names_none(studio: Resumed, found) -> None:
    taught = LESSONS["no-kl"]
    make(studio, notes=JobNotes(lesson="no-kl", side="sick"), lambda_kl=0.0)
    found("posterior_far")
    assert cure.apply(studio, "x", "posterior_far") == {
        "lambda_kl": taught.config.loss.lambda_kl,
        "steps": 40 + taught.cured_steps,
    }
    found("posterior_far", lambda_kl=0.2)
    assert cure.apply(studio, "x", "posterior_far")["lambda_kl"] == 0.2


def test_runs_of_the_command_line_are_cured_too(studio: Resumed, found) -> None:
    run = make(studio)
    JobFiles(run.root).notes_file.unlink()
    found("ignores_z", lambda_z=0.5)
    cure.apply(studio, "x", "ignores_z")
    [notes] = studio.launched
    assert notes.public and notes.cured == 40


def test_a_draft_has_nothing_to_go_on_with(studio: Resumed) -> None:
    with pytest.raises(UserError) as caught:
        cure.apply(studio, studio.new_draft("x"), "blur")
    assert caught.value.code == "job_draft"
