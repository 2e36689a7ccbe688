"""Which process of several this is, and who speaks."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from bicyclegan.training import launched


def start_as(monkeypatch: pytest.MonkeyPatch, **variables: object) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))


@pytest.fixture
def same_handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_without_a_launcher_it_speaks_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    start_as(monkeypatch)
    assert launched.is_main() and launched.is_first_here() and launched.processes_here() == 1
    start_as(monkeypatch, RANK=3, WORLD_SIZE=4)  # one container of a cluster, whatever it runs
    assert launched.is_main() and launched.is_first_here()


@pytest.mark.parametrize(
    ("rank", "local", "main", "first"), [(0, 0, True, True), (1, 1, False, False), (2, 0, False, True)]
)
def test_on_two_machines_of_two(
    monkeypatch: pytest.MonkeyPatch, rank: int, local: int, main: bool, first: bool
) -> None:
    start_as(monkeypatch, RANK=rank, LOCAL_RANK=local, WORLD_SIZE=4, LOCAL_WORLD_SIZE=2)
    assert (launched.is_main(), launched.is_first_here(), launched.processes_here()) == (main, first, 2)


def test_the_first_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    start_as(monkeypatch, RANK=0, LOCAL_RANK=0, WORLD_SIZE=2, LOCAL_WORLD_SIZE=2)
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("it waited"))
    launched.leave_the_word_to_the_first(2)


@pytest.mark.usefixtures("same_handler")
def test_the_others_wait_until_they_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    start_as(monkeypatch, RANK=1, LOCAL_RANK=1, WORLD_SIZE=2, LOCAL_WORLD_SIZE=2)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(SystemExit) as caught:
        launched.leave_the_word_to_the_first(2)
    assert caught.value.code == 2


@pytest.mark.usefixtures("same_handler")
def test_who_is_not_ended_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    start_as(monkeypatch, RANK=1, LOCAL_RANK=1, WORLD_SIZE=2, LOCAL_WORLD_SIZE=2)
    monkeypatch.setattr(launched, "PATIENCE", 0.0)
    launched.leave_the_word_to_the_first(2)
