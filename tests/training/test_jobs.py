"""Runs as processes of their own: their states, their queue, and that nothing but a person's wish ends one.

Those that really train take some seconds each, most of them to load torch.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from run_example import BEGIN, story, write_run

from bicyclegan.errors import UserError
from bicyclegan.training import job_queue, job_status, jobs, process_lock
from bicyclegan.training.config import LossConfig, TrainConfig
from bicyclegan.training.disk_quota import count_bytes
from bicyclegan.training.events import RunEnded, RunStarted, StepLogged, read_events
from bicyclegan.training.job_changes import placed, with_changes
from bicyclegan.training.job_files import MAX_LOG, JobFiles, JobNotes
from bicyclegan.training.job_worker import _told
from bicyclegan.training.jobs import Jobs
from bicyclegan.training.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 90
"""In which anything must happen, on a machine that is busy with other tests."""
ENDLESS = 1_000_000
MakeConfig = Callable[..., TrainConfig]


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Jobs]:
    """Its processes do not outlive the test."""
    made = Jobs(tmp_path / "runs")
    yield made
    for path in (tmp_path / "runs").glob("*/.*lock"):
        if (who := process_lock.holder(path)) and who.pid not in (0, os.getpid()):
            os.kill(who.pid, signal.SIGKILL)


@pytest.fixture
def config(run_config: MakeConfig) -> MakeConfig:
    """`config(steps)`: of a run that writes a line of losses and a checkpoint every step."""

    def make(steps: int = ENDLESS, **fields: object) -> TrainConfig:
        every = {"log_every": 1, "measure_every": 0, "sample_every": 0, "validate_every": 0, "checkpoint_every": 1}
        return run_config(record=every, steps=steps, **fields)

    return make


def draft(studio: Jobs, photos: Path, title: str = "Red shoes") -> str:
    name = studio.new_draft(title)
    shutil.copytree(photos, studio.folder(name).root / "pictures")
    return name


def wait_for(studio: Jobs, name: str, *states: str, step: int = 0) -> job_status.JobStatus:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        status = studio.status(name)
        if status.state in states and status.step >= step:
            return status
        if not status.alive and status.state not in states:
            break
        time.sleep(0.02)
    raise AssertionError(f"not {states} but {status}\n{JobFiles(studio.folder(name).root).log_tail()}")


def holder(studio: Jobs, name: str) -> int:
    """Number of a job's process, once it has said it."""
    return jobs._introduced(JobFiles(studio.folder(name).root).lock_file).pid


def kill(studio: Jobs, name: str) -> None:
    os.kill(holder(studio, name), signal.SIGKILL)
    wait_for(studio, name, "died", "stopped")


def refused(code: str, action: Callable[..., object], *args: object, **options: object) -> UserError:
    with pytest.raises(UserError) as caught:
        action(*args, **options)
    assert caught.value.code == code, caught.value
    return caught.value


def events(studio: Jobs, name: str, kind: type) -> list:
    return [event for event in read_events(studio.folder(name).events_file) if isinstance(event, kind)]


def weights(studio: Jobs, name: str) -> bytes:
    return (studio.folder(name).latest / "model.safetensors").read_bytes()


# Real ones


@pytest.mark.slow
def test_stopped_and_resumed_it_is_the_run_that_never_stopped(studio: Jobs, config: MakeConfig, photos: Path) -> None:
    whole, broken = draft(studio, photos), draft(studio, photos)
    assert studio.status(whole).state == "draft"
    studio.start(whole, config(steps=12))
    studio.start(broken, config(steps=12))  # its turn comes when the other one is through
    done = wait_for(studio, whole, "completed")
    assert (done.step, done.steps, done.error, done.title) == (12, 12, None, "Red shoes")

    wait_for(studio, broken, "training", step=2)
    studio.stop(broken)
    studio.stop(broken)  # twice is no more than once
    stopped = wait_for(studio, broken, "stopped")
    assert 2 <= stopped.step < 12 and stopped.resumable
    [end] = events(studio, broken, RunEnded)
    assert end.reason == "stopped"
    studio.resume(broken)
    assert studio.status(broken).state in ("waiting", "starting"), "not how it was before"
    assert wait_for(studio, broken, "completed").step == 12
    assert [each.step for each in events(studio, broken, StepLogged)] == [*range(1, 13)]
    assert weights(studio, broken) == weights(studio, whole)

    # More steps and another weight
    studio.resume(whole, {"steps": 14, "lambda_z": 1.5, "lambda_kl": 0.0})
    more = wait_for(studio, whole, "completed")
    assert (more.step, more.steps) == (14, 14)
    assert [each.step for each in events(studio, whole, StepLogged)] == [*range(1, 15)]
    last = events(studio, whole, StepLogged)[-1]
    assert last.weights["latent_l1"] == 1.5 and "kl" not in last.losses
    assert studio.folder(whole).load_config().loss.lambda_z == 1.5
    assert not [each for each in psutil.Process().children() if each.status() == psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_it_outlives_its_studio_and_a_killed_one_goes_on(studio: Jobs, config: MakeConfig, photos: Path) -> None:
    name = draft(studio, photos)
    given = studio.root.parent / "config.json"
    given.write_text(json.dumps(config().to_json()))
    script = (
        "import sys, json, time; from pathlib import Path; from bicyclegan.training.jobs import Jobs\n"
        "from bicyclegan.training.config import TrainConfig\n"
        "config = TrainConfig.from_json(json.loads(Path(sys.argv[2]).read_text()))\n"
        "Jobs(Path(sys.argv[1])).start(sys.argv[3], config); print('started', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(studio.root), str(given), name],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        start_new_session=True,
    )
    with other:
        assert other.stdout.readline() == b"started\n"
        assert studio.status(name).state in ("waiting", "starting"), "from the first moment on"
        os.killpg(other.pid, signal.SIGINT)
        os.killpg(other.pid, signal.SIGKILL)
    wait_for(studio, name, "training", step=1)
    process = psutil.Process(holder(studio, name))
    assert process.nice() == 19
    assert process.environ()["OMP_NUM_THREADS"] == str(max(1, jobs._cores() - 1))
    refused("job_alive", studio.delete, name)
    refused("job_running", studio.resume, name)
    refused("job_running", studio.start, name, config())

    kill(studio, name)
    dead = studio.status(name)
    assert (dead.state, dead.error.code, dead.resumable) == ("died", "job_died", True)
    assert dead.tail
    studio.resume(name)
    wait_for(studio, name, "training", step=dead.step + 1)
    assert events(studio, name, RunStarted)[-1].resumed
    kill(studio, name)
    studio.delete(name)
    assert not [path for path in studio.root.iterdir() if path.is_dir()]


@pytest.mark.slow
def test_one_trains_and_others_wait_in_order(studio: Jobs, config: MakeConfig, photos: Path, monkeypatch) -> None:
    first, second, third = (draft(studio, photos) for _ in range(3))
    studio.start(first, config(), owner="10.0.0.1")
    studio.start(second, config(), owner="10.0.0.1")
    refused("job_owner", studio.start, third, config(), owner="10.0.0.1")
    studio.start(third, config(), owner="10.0.0.2")
    assert [studio.status(name).ahead for name in (second, third)] == [1, 2]
    assert "10.0.0.1" not in (studio.folder(first).root / "job.json").read_text()
    wait_for(studio, first, "training")
    assert [studio.status(name).state for name in (first, second, third)] == ["training", "waiting", "waiting"]
    memory = psutil.Process(holder(studio, second)).memory_info().rss
    assert memory < 100e6, "it waits without torch"

    monkeypatch.setattr(jobs, "MAX_WAITING", 2)
    refused("job_queue_full", studio.start, draft(studio, photos), config())
    studio.stop(second)
    assert wait_for(studio, second, "stopped").resumable
    assert studio.status(third).ahead == 1

    kill(studio, first)  # whatever ends it makes room
    starting = wait_for(studio, third, "starting")
    assert starting.ahead == 0
    studio.stop(third)  # while it loads torch
    wait_for(studio, third, "stopped")
    assert not studio.folder(third).config_file.exists() and not events(studio, third, RunEnded)
    studio.resume(second)  # it never began
    studio.start(third, config(steps=1))  # nor did this
    assert wait_for(studio, third, "waiting").ahead == 1
    kill(studio, second)
    assert wait_for(studio, third, "completed").step == 1


@pytest.mark.slow
def test_runs_of_the_command_line(studio: Jobs, config: MakeConfig, photos: Path) -> None:
    script = (
        "import sys, json; from bicyclegan.training import TrainConfig, train\n"
        "train(TrainConfig.from_json(json.loads(sys.argv[1])))"
    )
    settings = json.dumps(config(out=str(studio.root / "mine")).to_json())
    silent = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "OMP_NUM_THREADS": "1"}}
    with subprocess.Popen([sys.executable, "-c", script, settings], cwd=ROOT, **silent) as process:
        end = time.monotonic() + SECONDS
        while not (studio.root / "mine" / "config.json").exists() and time.monotonic() < end:
            time.sleep(0.05)
        wait_for(studio, "mine", "training")
        assert studio.public() == ["mine"]
        waiting = draft(studio, photos)
        studio.start(waiting, config(steps=1))
        assert studio.status(waiting).ahead == 1
        studio.stop("mine")
        assert process.wait(SECONDS) == 0
    assert studio.status("mine").state == "stopped"
    wait_for(studio, waiting, "completed")

    for action in (studio.delete, lambda name: studio.rename(name, "x")):
        refused("job_public", action, "mine")
    refused("job_begun", studio.start, waiting, config())
    made = studio.status("mine").step
    studio.resume("mine", {"steps": made + 1})
    assert wait_for(studio, "mine", "completed").step == made + 1
    assert studio.public() == ["mine"], "it is still everybody's"
    assert studio.folder("mine").load_config().data == str(photos)


def test_mistakes_and_crashes_are_told(studio: Jobs, config: MakeConfig, photos: Path) -> None:
    empty = studio.new_draft("Nothing")
    (studio.folder(empty).root / "pictures").mkdir()
    studio.start(empty, config())
    failed = wait_for(studio, empty, "failed")
    assert failed.error.code.startswith("data_") and failed.resumable
    assert str(failed.error) in failed.tail

    shutil.copytree(photos, studio.folder(empty).root / "pictures", dirs_exist_ok=True)
    (studio.root / ".training-cpu.lock").unlink()
    (studio.root / ".training-cpu.lock").mkdir()
    studio.resume(empty)
    crashed = wait_for(studio, empty, "failed")
    assert crashed.error.code == "job_crashed" and "IsADirectoryError" in str(crashed.error)
    assert "Traceback" in crashed.tail
    assert "data_" not in crashed.tail, "of the start before"


def test_a_process_that_cannot_start(studio: Jobs, config: MakeConfig, photos: Path, monkeypatch) -> None:
    name = draft(studio, photos)
    monkeypatch.setattr(jobs.sys, "executable", "/nowhere/python")
    refused("job_start", studio.start, name, config())
    assert studio.status(name).state == "draft"


# States, read from folders


@pytest.mark.parametrize(
    ("end", "state"),
    [("completed", "completed"), ("stopped", "stopped"), ("failed", "failed"), ("", "died")],
)
def test_how_a_run_ended(studio: Jobs, end: str, state: str) -> None:
    write_run(studio.root / "x", story(steps=40, end=end))
    status = studio.status("x")
    assert (status.state, status.step, status.steps, status.resumable) == (state, 40, 40, True)
    assert bool(status.error) == (state in ("failed", "died"))
    assert status.title == "x"


def test_only_what_came_after_the_last_start_counts(studio: Jobs) -> None:
    files = JobFiles(write_run(studio.root / "x"))
    files.save(JobNotes("Shoes", queued=BEGIN + 500, config={"steps": 40}))
    assert studio.status("x").state == "died", "it was completed before it was resumed"
    files.mark_stopping(1)
    assert studio.status("x").state == "stopped"
    files.save_error(UserError("seed_range", "Seed {seed} is {limit:.1f}.", seed=10**50, limit=2))
    told = studio.status("x").error
    assert (told.code, told.values["limit"]) == ("seed_range", 2)
    assert str(told) == "Seed ≈10^50 is 2.0."
    files.forget()
    files.save(JobNotes("Shoes", queued=BEGIN, config={"steps": 40}))
    assert studio.status("x").state == "completed"


def test_a_run_with_a_process(studio: Jobs) -> None:
    run = RunFolder(write_run(studio.root / "x", story(end="")))
    with run.lock():
        assert (studio.status("x").state, studio.status("x").step) == ("training", 40)
        assert process_lock.holder(run.lock_file).pid == os.getpid()
        refused("job_elsewhere", studio.stop, "x")  # this process
        assert studio.status("x").state == "training"
        JobFiles(run.root).save(JobNotes(queued=time.time(), config={"steps": 40}))
        assert studio.status("x").state == "starting", "those lines are of its life before"
    assert studio.status("x").state == "died"


def test_a_long_run_is_told_from_its_end(studio: Jobs) -> None:
    run = RunFolder(write_run(studio.root / "x", story(steps=3000, every=1, end="")))
    assert run.events_file.stat().st_size > 5 * job_status.TAIL_BYTES
    with run.lock():
        assert studio.status("x").state == "training"
    assert studio.status("x").step == 3000


def test_what_cannot_be_read_is_no_accident(studio: Jobs) -> None:
    for text in ("{", "[]", '{"title": 3, "config": []}', '{"queued": "x"}'):
        write_run(studio.root / "x", story())
        (studio.root / "x" / "job.json").write_text(text)
        (studio.root / "x" / ".error.json").write_text(text)
        assert studio.status("x").state == "completed"
        assert studio.public() == [], "a job stays private"


# The queue, read from locks


@pytest.fixture
def living(studio: Jobs) -> Iterator[Callable[..., str]]:
    """`living(queued, word, group=..., owner=...)`: the name of a job that waits or trains, without a process."""
    locks = []

    def make(queued: float, word: str = job_queue.WAITS, **notes: object) -> str:
        name = studio.new_draft("x")
        files = JobFiles(studio.root / name)
        files.save(JobNotes(queued=queued, config={"device": "cpu"}, **notes))
        locks.append(process_lock.take(files.lock_file, word=word))
        return name

    yield make
    for lock in locks:
        process_lock.release(lock)


def ahead(studio: Jobs, name: str) -> int:
    return job_queue.count_ahead(studio.root, name, JobFiles(studio.root / name).notes())


def test_a_group_takes_one_place(studio: Jobs, living: Callable[..., str]) -> None:
    first = [living(1, job_queue.TRAINS, group="a"), living(1, group="a")]
    second, third = [living(2, group="b"), living(2, group="b")], living(3)
    assert [ahead(studio, name) for name in (*first, *second, third)] == [0, 0, 1, 1, 2]
    joining = living(4, group="a")
    assert ahead(studio, joining) == 2, "who comes back to a group waits for those who came before it"
    assert studio.status(third).ahead == 2


def test_one_of_a_group_needs_no_turn_of_its_own(studio: Jobs, living: Callable[..., str], monkeypatch) -> None:
    living(1, job_queue.TRAINS, group="a")
    turn = process_lock.take(studio.root / ".training-cpu.lock")  # as that one has it
    job_queue.await_turn(studio.root / living(2, group="a"))

    def impatient(_seconds: float) -> None:
        raise TimeoutError

    monkeypatch.setattr(job_queue.time, "sleep", impatient)
    for group in ("b", ""):
        with pytest.raises(TimeoutError):
            job_queue.await_turn(studio.root / living(0, group=group))
    process_lock.release(turn)


def test_everybody_may_have_two_places(studio: Jobs, living: Callable[..., str], monkeypatch) -> None:
    for _ in range(2):
        living(1, owner="me", group="a")
    studio._check_queue("me", "b")
    studio._check_queue("me")
    living(2, owner="me")
    refused("job_owner", studio._check_queue, "me", "b")
    studio._check_queue("me", "a")  # it has its place
    studio._check_queue("you")
    monkeypatch.setattr(jobs, "MAX_WAITING", 2)
    refused("job_queue_full", studio._check_queue, "you")
    studio._check_queue("you", "a")


def test_what_began_together_begins_at_once_or_not_at_all(studio: Jobs, config: MakeConfig, photos: Path) -> None:
    one, other = draft(studio, photos), draft(studio, photos)
    write_run(studio.root / other)
    refused("job_begun", studio.start_together, {one: config(), other: config()})
    assert studio.status(one).state == "draft"


def test_an_end_is_waited_for(studio: Jobs, living: Callable[..., str], monkeypatch) -> None:
    write_run(studio.root / "x")
    studio.end("x")  # it has ended
    name = living(1)
    monkeypatch.setattr(jobs, "terminate", lambda *_: True)
    assert "0 seconds" in str(refused("job_ends_slowly", studio.end, name, 0.1))


# Folders


@pytest.mark.parametrize("name", ["..", "../x", "x/..", ".", "", "/x", ".gone-x", "a\\b", "a\nb", "x" * 300, None, 3])
def test_names_that_are_none(studio: Jobs, name: object) -> None:
    write_run(studio.root.parent / "x")
    write_run(studio.root / ".gone-x")
    refused("run_gone", studio.folder, name)


def test_links_do_not_lead_out(studio: Jobs, tmp_path: Path) -> None:
    write_run(tmp_path / "elsewhere")
    studio.root.mkdir()
    (studio.root / "link").symlink_to(tmp_path / "elsewhere")
    (studio.root / "plain").mkdir()
    for name in ("link", "plain"):
        refused("run_gone", studio.folder, name)
    assert studio.public() == []


def test_a_draft_is_known_to_who_made_it(studio: Jobs) -> None:
    assert studio.public() == []
    names = {studio.new_draft("Öl & Wasser 鞋") for _ in range(20)}
    assert len(names) == 20
    for name in names:
        slug, _, secret = name.rpartition("-")
        assert slug == "l-wasser" and len(secret) == 12
    write_run(studio.root / "public")
    assert studio.public() == ["public"]
    refused("job_draft", studio.resume, name)
    studio.stop(name)  # nothing to stop
    studio.rename(name, "  Red\n" + "shoes " * 100)
    assert studio.status(name).title.startswith("Red shoes shoes") and len(studio.status(name).title) <= 80
    studio.delete(name)
    refused("run_gone", studio.status, name)


def test_old_drafts_and_leftovers_are_swept(studio: Jobs, config: MakeConfig) -> None:
    old, fresh, begun = (studio.new_draft("x") for _ in range(3))
    (studio.root / ".gone-x" / "pictures").mkdir(parents=True)
    JobFiles(studio.root / begun).save(JobNotes(config=config().to_json()))
    for name in (old, begun):
        for path in (studio.root / name / "job.json", studio.root / name):
            os.utime(path, (BEGIN, BEGIN))
    studio.sweep()
    assert sorted(path.name for path in studio.root.iterdir() if path.is_dir()) == sorted([fresh, begun])


def test_lessons_are_swept_after_a_week(studio: Jobs, config: MakeConfig) -> None:
    old, fresh, own = (studio.new_draft("x") for _ in range(3))
    for name, lesson in ((old, "no-kl"), (fresh, "no-kl"), (own, "")):
        JobFiles(studio.root / name).save(JobNotes(config=config().to_json(), lesson=lesson))
    for name in (old, own):
        os.utime(studio.root / name / "job.json", (BEGIN, BEGIN))
    studio.sweep()
    assert sorted(path.name for path in studio.root.iterdir() if path.is_dir()) == sorted([fresh, own])


def test_a_job_may_train_where_its_pictures_lie(studio: Jobs, config: MakeConfig) -> None:
    run = studio.folder(studio.new_draft("x"))
    for name in (".job.lock", "job.log", ".error.json", ".job.json.abc_1"):
        (run.root / name).touch()
    for name in ("pictures", ".cache"):
        (run.root / name).mkdir()
    run.check_new()
    (run.root / "thesis.txt").touch()
    refused("run_occupied", run.check_new)
    refused("run_occupied", studio.start, run.root.name, config())


def test_a_long_log_is_begun_anew(studio: Jobs) -> None:
    files = JobFiles(studio.folder(studio.new_draft("x")).root)
    files.log_file.write_bytes(b"x" * (MAX_LOG + 1))
    os.close(files.begin_log())
    assert files.log_file.stat().st_size < 100


# Limits


def test_the_disk_is_shared(studio: Jobs, config: MakeConfig, photos: Path) -> None:
    name = draft(studio, photos)
    (studio.root / name / "big").write_bytes(bytes(10**6))
    os.link(studio.root / name / "big", studio.root / name / "again")
    (studio.root / "away").symlink_to(photos)
    used = count_bytes(studio.root)
    assert 10**6 < used < 11 * 10**5
    small = Jobs(studio.root, limit_bytes=2 * 10**6)
    assert small.usage() == (used, 2 * 10**6)
    small.check_room(10**5)
    assert "Delete runs" in str(refused("disk_quota", small.check_room, 10**6))
    (studio.root / name / "big").unlink()
    (studio.root / name / "again").unlink()
    refused("disk_quota", small.start, name, config(), bytes_needed=10**6)
    refused("disk_low", Jobs(studio.root, limit_bytes=10**18).check_room, 10**17)
    assert studio.status(name).state == "draft"


def test_without_locks_nothing_starts(studio: Jobs, config: MakeConfig, photos: Path, monkeypatch) -> None:
    monkeypatch.setattr(process_lock, "fcntl", None)  # as on Windows
    monkeypatch.setattr(jobs, "HAS_LOCKS", False)
    name = draft(studio, photos)
    assert "command line" in str(refused("jobs_unsupported", studio.start, name, config()))
    write_run(studio.root / "x")
    assert studio.status("x").state == "completed"
    with studio.folder("x").lock():
        studio.delete(name)


# Changes


def test_what_may_change(config: MakeConfig) -> None:
    changed = with_changes(config(), {"steps": 7, "lambda_z": 2, "learning_rate": 1e-5, "hue": 0.5, "log_every": 3})
    assert (changed.steps, changed.loss.lambda_z, changed.optim.learning_rate) == (7, 2.0, 1e-5)
    assert (changed.augment.hue, changed.record.log_every) == (0.5, 3)
    assert with_changes(config(), {}) == config()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("batch_size", 8), ("seed", 1), ("init_from", "x"), ("image_size", 64), ("model", {}), ("source", {})],
        *[("data", "/"), ("out", "/"), ("cache_dir", "/"), ("device", "cuda"), ("edge_style", {}), ("loss", {})],
        *[("objective", "pix2pix"), ("share_discriminator", True), ("lambda_gan2", 0.0), ("crop", 0.1)],
        *[
            ("ema_decay", 0.0),
            ("beta1", 0.9),
            ("weight_decay", 0.1),
            ("init", "xavier"),
            ("colour", 3),
            ("__class__", 1),
        ],
    ],
)
def test_what_must_stay(config: MakeConfig, name: str, value: object) -> None:
    refused("job_change", with_changes, config(), {name: value})


def test_impossible_values_are_refused(config: MakeConfig) -> None:
    refused("config_value", with_changes, config(), {"steps": "many"})
    refused("config_value", with_changes, config(), {"lambda_z": -1})


def test_a_run_may_move(tmp_path: Path) -> None:
    old, new = tmp_path / "old" / "x", tmp_path / "new" / "x"
    (new / "pictures" / "shoes").mkdir(parents=True)
    config = TrainConfig(data=str(old / "pictures" / "shoes"), out=str(old), loss=LossConfig(lambda_z=1))
    moved = placed(config, new, "cpu")
    assert (moved.data, moved.out) == (str(new / "pictures" / "shoes"), str(new))
    assert moved.source.cache_dir == str(new / ".cache")
    for data in ("/", str(new / "pictures" / ".." / ".."), str(new), ""):
        assert placed(replace(config, data=data), new, "cpu").data == str(new / "pictures")


# Locks and errors


def test_who_only_looks_keeps_nobody_out(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = process_lock.take(path, word="waits")
    assert process_lock.take(path, patience=0.1) is None
    assert process_lock.holder(path) == process_lock.Holder(os.getpid(), "waits")
    process_lock.introduce(lock, 7, "trains")
    assert process_lock.holder(path) == process_lock.Holder(7, "trains")
    assert not process_lock.terminate(path, 1), "a number that means another process here"
    process_lock.release(lock)
    assert process_lock.holder(path) is None
    assert process_lock.holder(tmp_path / "none") is None


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 7")]
)
def test_want_of_memory_is_named(error: Exception) -> None:
    assert _told(error).code == "job_memory"


def test_errors_travel_through_files() -> None:
    error = UserError("x", "{path} {names!r} {low:.3g} {count:,}", path=Path("a"), names=["b"], low=0.5, count=3000)
    again = UserError.from_json(json.loads(json.dumps(error.to_json())))
    assert (again.code, again.template) == (error.code, error.template)
    assert str(again).startswith("a ") and str(again).endswith("0.5 3,000")
    assert str(UserError.from_json({"code": "x", "template": "{a:,}", "values": {"a": "b"}})) == "{a:,}"
