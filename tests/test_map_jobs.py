"""Maps from a process beside this one: the same as here, for as long as somebody asks, whatever ends that process.

Most tests run a worker that starts at once, answers zeros and hangs where it is told to; some the real one, which takes
a second or two to start.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bicyclegan import map_jobs
from bicyclegan.errors import UserError
from bicyclegan.map_cache import MapCache
from bicyclegan.map_jobs import MapJobs, Waiting
from bicyclegan.map_worker import read_message, write_message
from bicyclegan.projection import CodeMap, MapSettings, fit_map, map_key, pca_map, prior_codes

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
SECONDS = 60
HANGS, TALKS, COUNTS, FAILS = 101, 102, 103, 104
"""Seeds of maps for which the fake worker never answers, says what is no JSON or no answer, or raises an error."""
FAKE_WORKER = f"""
import sys, time
from bicyclegan.map_worker import read_message, write_message
out = sys.stdout.buffer
while message := read_message(sys.stdin.buffer, 8):
    head, data = message
    write_message(out, {{"share": 0.5, "what": "layout"}})
    seed, points = head["settings"]["seed"], head["shape"][0] + 100
    if seed == {HANGS}:
        time.sleep({SECONDS})
    elif seed in ({TALKS}, {COUNTS}):
        out.write(b"Hello\\n" if seed == {TALKS} else b"[1, 2]\\n")
        out.flush()
    elif seed == {FAILS}:
        write_message(out, {{"error": "ValueError: no luck"}})
    else:
        write_message(out, {{"shape": [points, 2]}}, bytes(8 * points))
"""


def tsne(seed: int = 0, **options: object) -> MapSettings:
    return MapSettings("tsne", perplexity=3, seed=seed, **options)


def run(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
    )


def finished(jobs: MapJobs, codes: np.ndarray, settings: MapSettings, ticket: str = "ada") -> CodeMap:
    """Ask until the map is there."""
    end = time.monotonic() + SECONDS
    while isinstance(found := jobs.ask(codes, settings, ticket), Waiting):
        assert time.monotonic() < end, found
        time.sleep(0.01)
    return found


def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    return np.random.RandomState(0).randn(30, 4)


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[MapJobs]:
    jobs = MapJobs(MapCache(tmp_path / "maps"))
    yield jobs
    jobs.close()


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen]:
    """The processes that were started, all of them fake workers."""
    started: list[subprocess.Popen] = []
    monkeypatch.setattr(map_jobs, "_start_worker", lambda: started.append(run("-c", FAKE_WORKER)) or started[-1])
    return started


@pytest.fixture
def real_workers(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen]:
    """The processes that were started."""
    started: list[subprocess.Popen] = []
    start = map_jobs._start_worker
    monkeypatch.setattr(map_jobs, "_start_worker", lambda: started.append(start()) or started[-1])
    return started


# The real worker


def test_a_map_of_the_worker_is_that_of_this_process_and_is_kept(
    jobs: MapJobs, codes: np.ndarray, real_workers: list[subprocess.Popen]
) -> None:
    first = jobs.ask(codes, tsne(), "ada")
    assert isinstance(first, Waiting)
    assert (first.share, first.what, first.ahead) == (0, "waiting", 0)
    told = [first]
    while isinstance(found := jobs.ask(codes, tsne(), "ada"), Waiting):
        told.append(found)
        time.sleep(0.002)
    assert [each.share for each in told] == sorted(each.share for each in told)
    assert {each.what for each in told} >= {"waiting", "loading"}
    expected = fit_map(codes, tsne())
    assert np.array_equal(found.coords, expected.coords)
    assert np.array_equal(found.prior_coords, expected.prior_coords)
    assert np.array_equal(found.codes, expected.codes)

    flat = finished(jobs, codes, tsne(dims=3))
    assert flat.coords.shape == (30, 3)
    assert len(real_workers) == 1, "the process is kept for the next map"
    again = MapJobs(MapCache(jobs.cache.folder)).ask(codes, tsne(), "bob")
    assert isinstance(again, CodeMap)
    assert np.array_equal(again.coords, expected.coords)


def test_what_libraries_print_is_no_answer(codes: np.ndarray) -> None:
    worker = run(
        "-c",
        "import os\n"
        "from bicyclegan import map_worker, projection\n"
        "fit_map = projection.fit_map\n"
        "def noisy(*arguments):\n"
        "    print('noise', flush=True), os.write(1, b'noise\\n'), os.system('echo noise')\n"
        "    return fit_map(*arguments)\n"
        "projection.fit_map = noisy\n"
        "map_worker.main()",
    )
    for method in ("dance", "pca"):  # the first one fails, and does not end the process
        head = {"settings": {"method": method, "dims": 2}, "shape": list(codes.shape)}
        write_message(worker.stdin, head, codes.tobytes())
    assert read_message(worker.stdout, 4)[0]["error"].startswith("UserError: There is no map by 'dance'")
    head, data = read_message(worker.stdout, 4)
    expected = pca_map(codes, MapSettings())
    places = np.concatenate([expected.coords, expected.prior_coords])
    assert head == {"shape": list(places.shape)}
    assert np.allclose(np.frombuffer(data, np.float32).reshape(head["shape"]), places, atol=1e-5)
    worker.stdin.close()
    assert worker.wait(SECONDS) == 0


def test_the_worker_ends_with_its_input_whatever_it_is_doing() -> None:
    worker = map_jobs._start_worker()
    codes = np.random.RandomState(0).randn(8000, 8)  # minutes of work
    write_message(worker.stdin, {"settings": tsne().used, "shape": list(codes.shape)}, codes.tobytes())
    assert read_message(worker.stdout, 4)[0] == {"share": 0.0, "what": "loading"}
    worker.stdin.close()
    assert worker.wait(20) == 0


@pytest.mark.slow
def test_umap_of_the_worker_is_that_of_this_process(jobs: MapJobs, codes: np.ndarray) -> None:
    settings = MapSettings("umap", neighbours=5)
    found, expected = finished(jobs, codes, settings), fit_map(codes, settings)
    assert np.allclose(found.coords, expected.coords, atol=1e-3)


# What needs no worker


def test_pca_is_there_at_once(jobs: MapJobs, codes: np.ndarray, workers: list[subprocess.Popen]) -> None:
    found = jobs.ask(codes, MapSettings(dims=3), "ada")
    assert np.array_equal(found.coords, pca_map(codes, MapSettings(dims=3)).coords)
    assert not workers


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (lambda codes: codes, MapSettings("dance"), "no map by 'dance'; use pca, umap, tsne"),
        (lambda codes: codes, MapSettings("tsne", dims=4), "dims is 4"),
        (lambda codes: codes, MapSettings("tsne", perplexity=30), "30 codes are too few for perplexity 30"),
        (lambda codes: codes * np.nan, tsne(), "NaN or infinite"),
        (lambda codes: codes * 0, tsne(), "Only 1 of 30 codes differ"),
        (lambda codes: codes[:0], tsne(), "at least one of each"),
    ],
)
def test_what_cannot_be_laid_out_starts_nothing(
    jobs: MapJobs,
    codes: np.ndarray,
    workers: list[subprocess.Popen],
    change: Callable[[np.ndarray], np.ndarray],
    settings: MapSettings,
    message: str,
) -> None:
    with pytest.raises(UserError, match=message):
        jobs.ask(change(codes), settings, "ada")
    assert not workers


# The queue


def test_maps_come_in_their_order(jobs: MapJobs, codes: np.ndarray, workers: list[subprocess.Popen]) -> None:
    jobs.ask(codes, tsne(HANGS), "ada")
    until(lambda: jobs.ask(codes, tsne(HANGS), "ada").what == "layout")
    assert jobs.ask(codes, tsne(HANGS), "ada") == Waiting(0.5, "layout", 0)
    assert jobs.ask(codes, tsne(1), "bob") == Waiting(0.0, "waiting", 1)
    assert jobs.ask(codes, tsne(2), "eve") == Waiting(0.0, "waiting", 2)
    assert len(workers) == 1


def test_cancelling_kills_the_worker_and_the_queue_goes_on(
    jobs: MapJobs, codes: np.ndarray, workers: list[subprocess.Popen]
) -> None:
    jobs.ask(codes, tsne(HANGS), "ada")
    jobs.ask(codes, tsne(1), "bob")
    until(lambda: workers)
    jobs.cancel("ada")
    assert workers[0].poll() is not None
    assert not finished(jobs, codes, tsne(1), "bob").coords.any()
    assert len(workers) == 2


def test_cancelling_what_waits_leaves_the_worker_alone(
    jobs: MapJobs, codes: np.ndarray, workers: list[subprocess.Popen]
) -> None:
    jobs.ask(codes, tsne(HANGS), "ada")
    jobs.ask(codes, tsne(1), "bob")
    until(lambda: workers)
    jobs.cancel("bob")
    jobs.cancel("nobody")
    assert workers[0].poll() is None
    assert jobs.ask(codes, tsne(2), "eve").ahead == 1


@pytest.mark.parametrize("settings", [tsne(1), MapSettings("pca")])
def test_another_map_takes_the_place_of_the_one_before(
    jobs: MapJobs, codes: np.ndarray, workers: list[subprocess.Popen], settings: MapSettings
) -> None:
    jobs.ask(codes, tsne(HANGS), "ada")
    until(lambda: workers)
    finished(jobs, codes, settings)
    assert workers[0].poll() is not None


def test_a_kept_map_gives_up_the_one_before(jobs: MapJobs, codes: np.ndarray, workers: list[subprocess.Popen]) -> None:
    finished(jobs, codes, tsne(1))
    jobs.ask(codes, tsne(HANGS), "ada")
    assert isinstance(jobs.ask(codes, tsne(1), "ada"), CodeMap)
    assert jobs.ask(codes, tsne(2), "bob").ahead == 0


def test_two_wait_for_one_map(jobs: MapJobs, codes: np.ndarray, workers: list[subprocess.Popen]) -> None:
    for ticket in ("ada", "bob"):
        assert jobs.ask(codes, tsne(HANGS), ticket).ahead == 0
    until(lambda: workers)
    jobs.cancel("ada")
    assert workers[0].poll() is None
    assert jobs.ask(codes, tsne(1), "eve").ahead == 1
    jobs.cancel("bob")
    assert workers[0].poll() is not None


def test_who_stops_asking_has_left(
    jobs: MapJobs, codes: np.ndarray, workers: list[subprocess.Popen], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_jobs, "PATIENCE", 0.5)
    monkeypatch.setattr(map_jobs, "WATCH_SECONDS", 0.02)
    jobs.ask(codes, tsne(HANGS), "ada")
    until(lambda: workers)
    start = time.monotonic()
    while time.monotonic() - start < 0.8:
        jobs.ask(codes, tsne(HANGS), "ada")
        time.sleep(0.02)
    assert workers[0].poll() is None, "who asks on is not left out"
    finished(jobs, codes, tsne(1), "bob")
    assert workers[0].poll() is not None
    assert len(workers) == 2


def test_a_worker_without_work_goes_and_comes_back(
    jobs: MapJobs, codes: np.ndarray, workers: list[subprocess.Popen], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_jobs, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(map_jobs, "WATCH_SECONDS", 0.02)
    finished(jobs, codes, tsne(1))
    until(lambda: workers[0].poll() is not None)
    finished(jobs, codes, tsne(2))
    assert len(workers) == 2


def test_too_many_have_to_come_again(
    jobs: MapJobs, codes: np.ndarray, workers: list[subprocess.Popen], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_jobs, "MAX_JOBS", 2)
    jobs.ask(codes, tsne(HANGS), "ada")
    jobs.ask(codes, tsne(1), "bob")
    with pytest.raises(UserError, match="busy") as caught:
        jobs.ask(codes, tsne(2), "eve")
    assert caught.value.code == "busy"
    assert jobs.ask(codes, tsne(1), "eve").ahead == 1, "what is computed anyway has room for all"
    jobs.cancel("eve")
    assert jobs.ask(codes, tsne(2), "bob").ahead == 1, "one map a ticket"


# What goes wrong


def test_a_worker_that_is_killed_is_told_once_and_started_again(
    jobs: MapJobs, codes: np.ndarray, workers: list[subprocess.Popen]
) -> None:
    jobs.ask(codes, tsne(HANGS), "ada")
    until(lambda: workers)
    workers[0].kill()
    with pytest.raises(UserError, match="could not be computed: the process that computed it was ended") as caught:
        finished(jobs, codes, tsne(HANGS))
    assert caught.value.code == "map_worker"
    until(lambda: jobs.ask(codes, tsne(HANGS), "ada").what == "layout")
    assert len(workers) == 2

    finished(jobs, codes, tsne(1))
    workers[-1].kill()  # without work: nobody is told
    workers[-1].wait()
    finished(jobs, codes, tsne(2))


def test_everybody_who_waited_is_told_once(jobs: MapJobs, codes: np.ndarray, workers: list[subprocess.Popen]) -> None:
    jobs.ask(codes, tsne(HANGS), "zoe")
    for ticket in ("ada", "bob"):
        jobs.ask(codes, tsne(FAILS), ticket)
    jobs.cancel("zoe")
    for ticket in ("ada", "bob"):
        with pytest.raises(UserError, match="The map could not be computed: ValueError: no luck"):
            finished(jobs, codes, tsne(FAILS), ticket)
    assert isinstance(jobs.ask(codes, tsne(FAILS), "eve"), Waiting), "who comes later has their own try"
    count = len(workers)
    finished(jobs, codes, tsne(1), "eve")
    assert len(workers) <= count + 1


def test_a_map_that_fails_does_not_end_the_worker(
    jobs: MapJobs, codes: np.ndarray, workers: list[subprocess.Popen]
) -> None:
    with pytest.raises(UserError, match="no luck"):
        finished(jobs, codes, tsne(FAILS))
    finished(jobs, codes, tsne(1))
    assert len(workers) == 1


@pytest.mark.parametrize("seed", [TALKS, COUNTS])
def test_a_worker_that_talks_nonsense_is_replaced(
    jobs: MapJobs, codes: np.ndarray, workers: list[subprocess.Popen], seed: int
) -> None:
    with pytest.raises(UserError, match="was ended"):
        finished(jobs, codes, tsne(seed))
    finished(jobs, codes, tsne(1))
    assert len(workers) == 2
    assert workers[0].poll() is not None


def test_no_process_can_be_started(jobs: MapJobs, codes: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise BlockingIOError("Resource temporarily unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(map_jobs, "_start_worker", refuse)
        with pytest.raises(UserError, match="no process could be started"):
            finished(jobs, codes, tsne(1))
    monkeypatch.setattr(map_jobs, "_start_worker", lambda: run("-c", FAKE_WORKER))
    finished(jobs, codes, tsne(1))


def test_a_map_arrives_without_a_cache_that_can_be_written(
    tmp_path: Path, codes: np.ndarray, workers: list[subprocess.Popen]
) -> None:
    (tmp_path / "file").write_text("no folder")
    jobs = MapJobs(MapCache(tmp_path / "file" / "maps"))
    for _ in range(2):
        assert len(finished(jobs, codes, tsne(1)).coords) == 30
    assert isinstance(jobs.ask(codes, tsne(1), "bob"), CodeMap)
    assert len(workers) == 1
    jobs.close()


def test_a_map_that_is_done_between_two_looks_is_not_computed_again(
    jobs: MapJobs, codes: np.ndarray, workers: list[subprocess.Popen], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache was asked before the map was there, the queue after."""
    finished(jobs, codes, tsne(1))
    monkeypatch.setattr(jobs.cache, "get", lambda key: None)
    assert isinstance(jobs.ask(codes, tsne(1), "ada"), CodeMap)


def test_closing_ends_the_worker_and_asking_starts_it_again(
    jobs: MapJobs, codes: np.ndarray, workers: list[subprocess.Popen]
) -> None:
    jobs.ask(codes, tsne(HANGS), "ada")
    until(lambda: workers)
    jobs.close()
    assert workers[0].poll() is not None
    finished(jobs, codes, tsne(1))
    assert not list(jobs.cache.folder.glob(f"{map_key(codes, tsne(HANGS))}*"))
    assert len(prior_codes(*codes.shape)) == 100, "what the fake worker counts on"
