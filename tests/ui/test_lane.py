"""The queue for computing: order, one at a time, and an end to waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from bicyclegan.errors import UserError
from bicyclegan.ui.lane import Lane


def start(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def queued(lane: Lane, count: int) -> None:
    """Wait until so many work or wait."""
    deadline = time.monotonic() + 5
    while len(lane._queue) != count:
        assert time.monotonic() < deadline, len(lane._queue)
        time.sleep(0.001)


def test_first_come_first_served_one_at_a_time() -> None:
    lane, order, working = Lane(), [], []

    def visit(number: int) -> None:
        with lane.turn():
            working.append(number)
            assert len(working) == 1
            order.append(number)
            working.remove(number)

    with lane.turn():
        threads = []
        for number in range(12):
            threads.append(start(lambda number=number: visit(number)))
            queued(lane, number + 2)
    for thread in threads:
        thread.join(5)
    assert order == list(range(12))


def test_who_asks_again_at_once_stands_behind_those_who_wait() -> None:
    lane, order = Lane(), []

    def visit() -> None:
        with lane.turn():
            order.append("other")

    with lane.turn():
        thread = start(visit)
        queued(lane, 2)
    with lane.turn(again=True):
        order.append("again")
    thread.join(5)
    assert order == ["other", "again"]


def test_too_many_are_sent_away_but_not_who_was_let_in_before() -> None:
    lane, done = Lane(max_waiting=1), []

    def visit(again: bool = False) -> None:
        with lane.turn(again):
            done.append(again)

    with lane.turn():
        waiting = start(visit)
        queued(lane, 2)
        with pytest.raises(UserError, match="busy"):
            visit()
        continuing = start(lambda: visit(again=True))
        queued(lane, 3)
    waiting.join(5), continuing.join(5)
    assert done == [False, True]
    visit()  # there is room again


def test_long_work_leaves_room_for_short_work() -> None:
    lane, done = Lane(max_waiting=2, max_long=0), []

    def visit() -> None:
        with lane.turn():
            done.append("short")

    with lane.turn(long=True):
        with pytest.raises(UserError, match="busy"), lane.turn(long=True):
            pass
        waiting = start(visit)
        queued(lane, 2)
    waiting.join(5)
    assert done == ["short"]


def test_a_failure_lets_the_next_one_in() -> None:
    lane = Lane()
    with pytest.raises(RuntimeError), lane.turn():
        raise RuntimeError
    with lane.turn():
        assert len(lane._queue) == 1
