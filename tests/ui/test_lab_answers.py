"""What the doctor's box and the pitfall lab may ask: findings, changes, lessons; one clear line for everything else."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
from lab_example import shortened
from run_example import step_line, write_run

from bicyclegan.errors import UserError
from bicyclegan.training import lab
from bicyclegan.training.events import Finding, RunEnded, RunStarted, to_line
from bicyclegan.training.health import RULES
from bicyclegan.training.job_files import JobFiles, JobNotes
from bicyclegan.training.process_lock import holder
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.ui import lab_answers
from bicyclegan.ui.answers import server_functions
from bicyclegan.ui.i18n import LOCALES
from bicyclegan.ui.lab_answers import LAB_QUESTIONS, LabAnswers
from bicyclegan.ui.settings import Settings
from bicyclegan.ui.studio import Studio
from bicyclegan.ui.train_answers import DRAFTS_AN_HOUR, TRAIN_QUESTIONS, TrainAnswers

HERE, ELSEWHERE = "127.0.0.1", "8.8.8.8"
SECONDS = 120


@pytest.fixture
def studio(tmp_path) -> Iterator[Studio]:
    """Its processes do not outlive the test."""
    made = Studio(Settings(device="cpu", runs=tmp_path / "runs", models=tmp_path / "models"))
    yield made
    for path in (tmp_path / "runs").glob("*/.*lock"):
        if (who := holder(path)) and who.pid not in (0, os.getpid()):
            os.kill(who.pid, signal.SIGKILL)


@pytest.fixture
def ask(studio):
    train = TrainAnswers(studio)
    served = server_functions((train, TRAIN_QUESTIONS), (LabAnswers(train), LAB_QUESTIONS))
    functions = {each.__name__: each for each in served}

    def ask(question: str, /, lang: str = "en", visitor: str = HERE, **wanted) -> dict:
        request = SimpleNamespace(headers={"accept-language": lang}, client=SimpleNamespace(host=visitor))
        answer = functions[question](wanted, request)
        json.dumps(answer, allow_nan=False)  # what the browser gets
        return answer

    return ask


@pytest.fixture
def shared_gpu(monkeypatch) -> None:
    monkeypatch.setenv("SPACES_ZERO_GPU", "1")


def broken_run(studio: Studio, name: str = "broken", **notes) -> RunFolder:
    """A run that lost a number: one of the command line, or of a visitor where there are notes."""
    told = "A number is NaN in step 30: l1 = nan."
    events = [
        RunStarted(step=0, options={"learning_rate": 2e-4, "clip_norm": 0.0}),
        *(step_line(step) for step in (10, 20)),
        step_line(30, losses={"l1": None}),
        Finding(step=30, name="train_nan", severity="ill", evidence=told),
        RunEnded(step=30, reason="failed", message=told),
    ]
    run = RunFolder(write_run(studio.jobs.root / name, events, samples=()))
    if notes:
        JobFiles(run.root).save(JobNotes(title=name, **notes))
    return run


@pytest.fixture
def runs(studio) -> None:
    studio.jobs.root.mkdir(parents=True, exist_ok=True)


def news(ask, run: str, **wanted) -> dict:
    for _ in range(600):
        answer = ask("train_news", id=run, **wanted)
        if "progress" not in answer:
            return answer
    raise AssertionError("the task does not end")


def until(check, seconds: float = SECONDS) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.1)


# The doctor


def test_a_finding_comes_with_evidence_and_the_change_it_advises(ask, studio, runs):
    broken_run(studio)
    report = ask("run_doctor", run="broken")
    first = report["findings"][0]
    assert (first["name"], first["severity"], first["step"]) == ("not_a_number", "ill", 30)
    assert all(first[part] for part in ("title", "evidence", "cause", "remedy"))
    assert {"name": "learning_rate", "before": 2e-4, "after": 5e-5} in first["patch"]
    assert first["can_apply"]
    assert first["chart"]["lines"][0]["steps"][:2] == (10, 20)
    chinese = ask("run_doctor", run="broken", language="zh")["findings"][0]
    assert chinese["title"] != first["title"]
    assert (report["steps"], report["rules"], report["resumes_at"]) == (30, len(RULES), 0)


def test_only_who_may_steer_a_run_is_offered_the_change(ask, studio, runs, monkeypatch):
    broken_run(studio)
    broken_run(studio, "mine-abcdefghijkl", created=1.0)
    assert not ask("run_doctor", run="broken", visitor=ELSEWHERE)["findings"][0]["can_apply"]
    assert ask("run_doctor", run="mine-abcdefghijkl", visitor=ELSEWHERE)["findings"][0]["can_apply"]
    assert "steered there" in ask("train_apply", id="broken", name="not_a_number", visitor=ELSEWHERE)["error"]
    monkeypatch.setenv("SPACES_ZERO_GPU", "1")
    assert not ask("run_doctor", run="broken")["findings"][0]["can_apply"]
    assert "borrows its GPU" in ask("train_apply", id="broken", name="not_a_number")["error"]


def test_a_change_that_was_made_is_not_offered_again(ask, studio, runs):
    run = broken_run(studio)
    config = run.load_config()
    changed = replace(config.optim, learning_rate=5e-5, clip_norm=10.0)
    run.save_config(replace(config, optim=changed))
    first = ask("run_doctor", run="broken")["findings"][0]
    assert (first["patch"], first["applied"], first["can_apply"]) == ([], True, False)


def test_a_log_is_judged_anew_only_when_it_has_grown(ask, studio, runs, monkeypatch):
    run, read, real = broken_run(studio), [], lab_answers.read_log
    monkeypatch.setattr(lab_answers, "read_log", lambda path: read.append(path) or real(path))
    for _ in range(3):
        ask("run_doctor", run="broken")
    assert len(read) == 1
    with run.events_file.open("a") as file:
        file.write(to_line(step_line(40)))
    ask("run_doctor", run="broken")
    assert len(read) == 2


def test_a_run_without_events_and_one_with_damaged_lines(ask, studio, runs):
    young = RunFolder(write_run(studio.jobs.root / "young", samples=()))
    young.events_file.unlink()
    report = ask("run_doctor", run="young")
    assert (report["findings"], report["steps"], report["enough"]) == ([], 0, False)
    assert report["more"] > 0
    run = broken_run(studio)
    with run.events_file.open("a") as file:
        file.write('{"kind": "step", "ste')
    [english], [chinese] = (ask("run_doctor", run="broken", language=each)["problems"] for each in ("en", "zh"))
    assert "cut off" in english
    assert chinese != english


@pytest.mark.parametrize("run", ["../runs", "", "nobody-abcdefghijkl", 7, None, "a/b"])
def test_only_runs_are_examined(ask, runs, run):
    for question, key in (("run_doctor", "run"), ("train_apply", "id"), ("lab_cure", "id")):
        assert ask(question, **{key: run, "name": "x"})["error"]


def test_a_change_is_applied_as_a_task(ask, studio, runs, monkeypatch):
    broken_run(studio, "mine-abcdefghijkl", created=1.0)
    asked = []
    monkeypatch.setattr(lab_answers, "apply", lambda jobs, run, name: asked.append((run, name)) or {"clip_norm": 10.0})
    assert ask("train_apply", id="mine-abcdefghijkl", name="not_a_number") == {}
    told = news(ask, "mine-abcdefghijkl")
    assert told == {"task": "apply", "answer": {"changes": {"clip_norm": 10.0}}}
    assert asked == [("mine-abcdefghijkl", "not_a_number")]


def test_what_cannot_be_applied_is_told_in_the_readers_language(ask, studio, runs):
    broken_run(studio, "mine-abcdefghijkl", created=1.0)
    for lang in ("en", "zh"):
        ask("train_apply", id="mine-abcdefghijkl", name="no_such_finding")
        said = news(ask, "mine-abcdefghijkl", lang=lang)["error"]
        assert "no_such_finding" in said
        assert said.isascii() == (lang == "en")


# The lab


def test_every_lesson_is_told_in_both_languages(ask):
    english, chinese = (ask("lab_lessons", language=each)["lessons"] for each in ("en", "zh"))
    assert [each["name"] for each in english] == list(lab.LESSONS)
    for one, other in zip(english, chinese, strict=True):
        assert one["series"]
        low, high = one["minutes"]
        assert 1 <= low < high < 10
        assert one["sketches"] != one["name"].startswith("dcgan"), "a DCGAN paints from codes alone"
        assert all(one[part] and one[part] != other[part] for part in ("title", "what", "look", "remedy"))
    changes = {each["name"]: each["changes"] for each in english}
    assert changes["no-kl"] == [{"name": "lambda_kl", "before": 0.0, "after": 0.01}]
    assert changes["detach"] == [], "the mistake is in the code"
    known = {key.removeprefix("lesson.").rpartition("_")[0] for key in LOCALES["en"] if key.startswith("lesson.")}
    assert known == {name.replace("-", "_") for name in lab.LESSONS}


def test_a_lesson_from_start_to_cure_to_bin(ask, studio, monkeypatch):
    monkeypatch.setitem(lab.LESSONS, "detach", shortened("detach"))
    pair = ask("lab_start", name="detach")
    ids = list(pair.values())
    assert set(pair) == {"sick", "healthy"}
    assert ask("train_runs", ids=[])["runs"] == [], "nobody is told of them"
    assert "goes on" in ask("lab_cure", id=pair["sick"])["error"]

    def about() -> list[dict]:
        return ask("train_runs", ids=ids)["runs"]

    assert [(each["lesson"], each["side"], each["cured"]) for each in about()] == [
        ("detach", "sick", None),
        ("detach", "healthy", None),
    ]
    until(lambda: all(each["state"] == "completed" for each in about()))
    sick, healthy = (ask("run_doctor", run=pair[side])["findings"] for side in ("sick", "healthy"))
    assert sick[0]["name"] == "no_adversarial_gradient"
    assert not [each for each in healthy if each["name"] == "no_adversarial_gradient"]
    assert "nothing to cure" in ask("lab_cure", id=pair["healthy"])["error"]
    assert ask("lab_cure", id=pair["sick"]) == {}
    until(lambda: about()[0]["state"] == "completed")
    assert about()[0]["cured"] == about()[1]["step"] < about()[0]["step"]
    assert ask("lab_discard", **pair) == {}
    assert about() == []
    assert ask("lab_discard", **pair) == {}, "they are gone already"


def test_no_lesson_starts_where_nothing_can_be_trained(ask, shared_gpu):
    assert ask("lab_lessons")["elsewhere"]
    assert "borrows its GPU" in ask("lab_start", name="detach")["error"]


@pytest.mark.parametrize("name", ["../detach", "", "nan", 3, None, ["detach"]])
def test_only_lessons_are_started(ask, studio, name):
    assert ask("lab_start", name=name)["error"]
    assert not studio.jobs.root.exists() or not list(studio.jobs.root.iterdir())


def test_a_stranger_does_not_start_one_lesson_after_the_other(ask, monkeypatch):
    monkeypatch.setattr(lab, "start", lambda jobs, name, owner: (f"sick of {owner}", "healthy"))
    assert ask("lab_start", name="detach") == {"sick": "sick of ", "healthy": "healthy"}
    answers = [ask("lab_start", name="detach", visitor=ELSEWHERE) for _ in range(DRAFTS_AN_HOUR + 1)]
    assert answers[0]["sick"] == f"sick of {ELSEWHERE}"
    assert "within an hour" in answers[-1]["error"]


def test_only_lessons_are_thrown_away_here(ask, studio, runs):
    run = broken_run(studio, "mine-abcdefghijkl", created=1.0)
    broken_run(studio)
    for id in ("mine-abcdefghijkl", "broken"):
        assert "no part of a lesson" in ask("lab_discard", sick=id, healthy="nobody")["error"]
    assert run.root.is_dir()


def test_lessons_of_the_command_line_are_not_stopped_by_strangers(ask, studio, monkeypatch):
    run = broken_run(studio)
    JobFiles(run.root).save(JobNotes(public=True, lesson="no-kl", side="sick"))
    stopped = []
    monkeypatch.setattr(studio.jobs, "stop", stopped.append)
    for visitor in (ELSEWHERE, "127.0.0.1"):
        assert "own machine" in ask("lab_discard", sick="broken", healthy="broken", visitor=visitor)["error"]
    assert not stopped
    assert run.root.is_dir()


def test_a_lesson_that_cannot_start_leaves_nothing(ask, studio, monkeypatch):
    def full(*_, **__):
        raise UserError("job_queue_full", "{count} trainings are waiting already. Try again later.", count=8)

    monkeypatch.setattr(studio.jobs, "start_together", full)
    assert "waiting already" in ask("lab_start", name="detach")["error"]
    assert [path for path in studio.jobs.root.iterdir() if not path.name.startswith(".")] == []
