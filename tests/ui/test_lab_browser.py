"""The pitfall lab in Chromium: a lesson is started, watched on both sides, diagnosed, cured, and thrown away."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_example import shortened
from studio_visitor import Visitor

from bicyclegan.training import lab
from bicyclegan.training.process_lock import holder

pytestmark = pytest.mark.browser
PATIENCE = 180_000
"""Milliseconds: two processes load torch first, beside all else."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def url(checkpoints, runs, serve) -> Iterator[str]:
    """The studio with lessons that take seconds. Their processes do not outlive the tests."""
    from bicyclegan.ui.app import build_app, launch_options
    from bicyclegan.ui.settings import Settings
    from bicyclegan.ui.studio import Studio

    settings = Settings(checkpoints=checkpoints, runs=runs, device="cpu")
    options = {key: value for key, value in launch_options(settings).items() if not key.startswith("server_")}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("detach", "dcgan-detach"):
            patch.setitem(lab.LESSONS, name, shortened(name, steps=160, cured_steps=60))
        yield serve(build_app(Studio(settings)), **options)
    for path in runs.glob("*/.*lock"):
        if (who := holder(path)) and who.pid not in (0, os.getpid()):
            os.kill(who.pid, signal.SIGKILL)


class Student(Visitor):
    """Somebody in the lab."""

    def __init__(self, page):
        super().__init__(page)
        self.lab = page.locator("#lab")

    def enter(self) -> None:
        self.open_tab("train")
        self.page.locator("#train-ways > .tab-wrapper [role=tab]").nth(1).click()
        self.lab.locator(".panel").wait_for()

    def open_lesson(self, title: str) -> None:
        self.lab.locator(".lesson-card").filter(has_text=title).first.click()
        self.lab.locator("h3").filter(has_text=title).wait_for()

    def press(self, action: str) -> None:
        self.lab.locator(f"[data-action={action}]:visible").click()

    def state(self, side: str, wanted: str) -> None:
        chip = self.lab.locator(f".side[data-side={side}] .chip")
        chip.filter(has_text=wanted).wait_for(timeout=PATIENCE)

    def sheet(self, side: str) -> str:
        """Wait for a sheet of samples."""
        image = self.lab.locator(f".side[data-side={side}] img[src^=data]")
        image.wait_for(timeout=PATIENCE)
        return image.get_attribute("src")


@pytest.fixture
def student(open_page, url) -> Student:
    return Student(open_page(url))


def test_a_lesson_is_watched_diagnosed_and_cured(student, runs):
    student.enter()
    student.lab.locator(".lesson-card").first.wait_for()
    assert student.lab.locator(".lesson-card").count() == len(lab.LESSONS)
    student.open_lesson("A misplaced detach()")
    student.press("start")
    for side in ("sick", "healthy"):
        student.state(side, "learning")
        student.sheet(side)
    assert len(list(runs.glob("detach-*"))) == 2
    assert student.lab.locator(".curves .small-chart path.sick").count() > 0

    student.page.reload()  # the lesson is found again
    student = Student(student.page)
    student.enter()
    student.lab.locator("h3").filter(has_text="A misplaced detach()").wait_for()
    for side in ("sick", "healthy"):
        student.state(side, "done")
    finding = student.lab.locator(".verdict[data-side=sick] .finding").first
    finding.wait_for()
    assert finding.get_attribute("data-finding") == "no_adversarial_gradient"
    assert finding.locator(".severity").inner_text() == "ill"
    healthy = student.lab.locator(".verdict[data-side=healthy]")
    assert healthy.locator(".finding.ill").count() == 0
    before = student.sheet("sick")

    title = finding.locator("h4").inner_text()
    student.press("cure")
    verdict = student.lab.locator(".verdict[data-side=sick]")
    verdict.locator("> .calm").filter(has_text="waits for the first steps after the cure").wait_for()
    assert verdict.locator("> .finding").count() == 0, "what was found is of the time before"
    student.state("sick", "learning")
    student.state("sick", "done")
    assert student.lab.locator("[data-action=cure]").is_hidden()
    assert "after step 160" in student.lab.locator(".cure h4").inner_text()
    student.lab.locator(".cure .result").filter(has_text="before the cure 0, now").wait_for()
    assert "Sick, then cured" in student.lab.locator(".curves .key").first.inner_text()
    student.page.wait_for_function(
        "before => document.querySelector('#lab .side[data-side=sick] img').src !== before", arg=before
    )
    assert student.sheet("before") == before
    assert student.lab.locator(".curves path.mark").count() > 0
    assert "step 220 of 220" in student.lab.locator(".side[data-side=sick]").inner_text()
    student.page.wait_for_function(
        "!document.querySelector('#lab .verdict[data-side=sick] > [data-finding=no_adversarial_gradient]')"
    )
    student.page.reload()  # what was wrong is remembered
    student = Student(student.page)
    student.enter()
    folded = student.lab.locator(".verdict[data-side=sick] details").filter(has_text=f"Before the cure: {title}")
    folded.locator("summary").click()
    assert folded.locator(".finding.ill").is_visible()

    student.press("back")
    card = student.lab.locator(".lesson-card").filter(has_text="A misplaced detach()").first
    assert card.locator(".chip.cured").inner_text() == "cured"
    assert student.page.evaluate("localStorage.getItem('bicyclegan.runs')") is None, "your runs are your own"
    student.open_lesson("A misplaced detach()")
    student.press("discard")
    student.press("discard-now")
    student.lab.locator("[data-action=start]").wait_for()
    assert not list(runs.glob("detach-*"))


def test_a_lesson_that_goes_on_can_be_stopped_and_thrown_away(student, runs):
    student.enter()
    student.open_lesson("DCGAN: a misplaced detach()")
    student.press("start")
    student.state("sick", "learning")
    student.press("stop")
    for side in ("sick", "healthy"):
        student.state(side, "stopped")
    student.press("back")
    card = student.lab.locator(".lesson-card").filter(has_text="DCGAN: a misplaced detach()")
    card.locator(".chip").filter(has_text=re.compile("^(stopped|ready for the cure)$")).wait_for()
    student.open_lesson("DCGAN: a misplaced detach()")
    student.press("resume")
    student.state("sick", "learning")
    student.press("discard")
    student.press("discard-now")
    student.lab.locator("[data-action=start]").wait_for(timeout=PATIENCE)
    assert not list(runs.glob("dcgan-*"))


def test_a_lesson_that_was_stopped_before_its_first_step_needs_no_cure(student):
    student.enter()
    student.open_lesson("DCGAN: a misplaced detach()")
    student.press("start")
    student.lab.locator("[data-action=stop]:visible").wait_for()
    student.press("stop")
    for side in ("sick", "healthy"):
        student.state(side, "stopped")
        box = student.lab.locator(f".side[data-side={side}]")
        if "step 0 of" in box.inner_text():
            assert box.locator(".sheet p").inner_text() == "No pictures were painted yet."
            assert student.lab.locator("[data-action=cure]").is_hidden()
    student.press("discard")
    student.press("discard-now")
    student.lab.locator("[data-action=start]").wait_for(timeout=PATIENCE)


def test_the_shelf_makes_room_for_training(student):
    shelf, about = student.page.locator("#shelf .groups"), student.page.locator(".about")
    assert shelf.is_visible()
    student.open_tab("train")
    shelf.wait_for(state="hidden")
    assert about.is_hidden()
    student.page.evaluate("studio.say('told all the same')")
    student.page.locator("#shelf .message.shown").filter(has_text="told all the same").wait_for()
    student.open_tab("explore")
    shelf.wait_for()
    assert about.is_visible()


@pytest.mark.parametrize("width", [320, 390, 768])
def test_it_fits_small_screens(open_page, url, width):
    somebody = Student(open_page(url, width=width, height=800))
    somebody.enter()
    somebody.open_lesson("No KL term")
    assert somebody.page.evaluate("document.documentElement.scrollWidth") == width


def test_it_speaks_chinese(open_page, url):
    somebody = Student(open_page(url, locale="zh-CN"))
    somebody.enter()
    somebody.open_lesson("没有 KL 项")
    assert somebody.lab.locator("[data-action=start]").inner_text() == "开始这一课"
