"""Tasks: progress, answers, mistakes, stopping, leaving."""

import threading

import pytest

from bicyclegan.errors import UserError
from bicyclegan.ui import train_tasks
from bicyclegan.ui.train_tasks import Progress, TrainTasks


def test_progress_then_the_answer_as_often_as_asked_for():
    go = threading.Event()

    def work(tell):
        tell(Progress("reading", 1, 2))
        go.wait(10)
        return {"kept": 2}

    tasks = TrainTasks()
    tasks.start("a", "receive", work)
    while (news := tasks.news("a"))["progress"]["what"] == "starting":
        pass
    assert news == {"task": "receive", "progress": {"what": "reading", "done": 1, "total": 2}}
    go.set()
    assert tasks.news("a", patience=10) == tasks.news("a") == {"task": "receive", "answer": {"kept": 2}}
    assert tasks.news("b") == {}


def test_a_mistake_is_raised_once_to_whoever_asks():
    def work(tell):
        tell(Progress("reading"))
        raise UserError("some_code", "No.")

    tasks = TrainTasks()
    tasks.start("a", "receive", work)
    with pytest.raises(UserError, match="No"):
        tasks.news("a", patience=10)
    assert tasks.news("a") == {}


@pytest.mark.parametrize("end", ["stop", "another"])
def test_a_task_that_is_stopped_or_replaced_is_closed(end):
    closed, go = threading.Event(), threading.Event()

    def work(tell):
        try:
            while True:
                go.wait(0.01)
                tell(Progress("reading"))
        finally:
            closed.set()

    tasks = TrainTasks()
    tasks.start("a", "receive", work)
    if end == "stop":
        tasks.stop("a")
    else:
        tasks.start("a", "check", lambda tell: {"ok": True})
    assert closed.wait(10)
    assert tasks.news("a", patience=10) == ({} if end == "stop" else {"task": "check", "answer": {"ok": True}})


def test_whoever_leaves_stops_the_task(monkeypatch):
    monkeypatch.setattr(train_tasks, "PATIENCE", 0.05)
    closed, pause = threading.Event(), threading.Event()

    def work(tell):
        try:
            while True:
                pause.wait(0.02)
                tell(Progress("reading"))
        finally:
            closed.set()

    TrainTasks().start("a", "receive", work)
    assert closed.wait(10)


def test_too_many_at_once_are_refused():
    hold = threading.Event()

    def work(tell):
        hold.wait(10)
        return {}

    tasks = TrainTasks()
    for k in range(train_tasks.MOST):
        tasks.start(str(k), "check", work)
    with pytest.raises(UserError, match="busy"):
        tasks.start("one more", "check", work)
    hold.set()


def test_who_waited_for_a_task_that_was_replaced_hears_of_the_new_one():
    begun, go = threading.Event(), threading.Event()

    def old(tell):
        begun.set()
        go.wait(10)
        tell(Progress("reading"))
        return {}

    def new(tell):
        go.wait(10)
        return {"new": True}

    tasks, heard = TrainTasks(), []
    tasks.start("a", "check", old)
    begun.wait(10)
    waiting = threading.Thread(target=lambda: heard.append(tasks.news("a", patience=10)))
    waiting.start()
    tasks.start("a", "check", new)
    go.set()
    waiting.join(10)
    assert heard[0]["task"] == "check"
    assert tasks.news("a", patience=10) == {"task": "check", "answer": {"new": True}}


def test_end_waits_until_the_work_has_ended():
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()

    def work(tell):
        begun.set()
        go.wait(10)
        ended.set()
        return {}

    tasks = TrainTasks()
    tasks.start("a", "receive", work)
    begun.wait(10)
    with pytest.raises(UserError, match="busy"):
        tasks.end("a", seconds=0.05)
    tasks.start("b", "receive", work)
    threading.Timer(0.05, go.set).start()
    tasks.end("b")
    assert ended.is_set()


def test_stopped_work_still_counts_until_it_has_ended():
    hold = threading.Event()

    def work(tell):
        hold.wait(10)
        return {}

    tasks = TrainTasks()
    for _ in range(train_tasks.MOST):
        tasks.start("a", "check", work)
        tasks.stop("a")
    with pytest.raises(UserError, match="busy"):
        tasks.start("a", "check", work)
    hold.set()
