"""The Train tab in real Chromium against the real app in a process of its own, which is killed and comes back."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from app_process import App
from PIL import Image
from studio_visitor import OUTLINE, Visitor

from bicyclegan.training.events import StepLogged, read_events
from bicyclegan.training.job_files import JobFiles
from bicyclegan.training.process_lock import holder

pytestmark = pytest.mark.browser
PATIENCE = 180_000
"""Milliseconds: a process of its own loads torch first, beside all else."""
SCRATCH = {"start": "", "size": "32"}


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> Iterator[App]:
    app = App(tmp_path_factory.mktemp("studio"))
    app.start()
    yield app
    for path in app.runs.glob("*"):
        if who := holder(JobFiles(path).lock_file):
            os.kill(who.pid, signal.SIGKILL)
    app.kill()


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """A ZIP of coloured shapes on white, named as people name things, with a file that is no picture."""
    path = tmp_path_factory.mktemp("data") / "形状 🟦.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for k in range(16):
            random = np.random.RandomState(k)
            pixels = np.full((64, 64, 3), 255, np.uint8)
            top, left, side = random.randint(6, 20), random.randint(6, 20), random.randint(20, 38)
            pixels[top : top + side, left : left + side] = random.randint(0, 200, 3)
            file = tmp_path_factory.mktemp("one") / f"{k}.png"
            Image.fromarray(pixels).save(file)
            packed.write(file, f"形状/方块 {k}.png")
        packed.writestr("形状/run.exe", b"MZ")
        packed.writestr("形状/broken.png", b"\x89PNG\r\n\x1a\n")
    return path


class Trainee(Visitor):
    """Somebody in the Train tab."""

    def __init__(self, page):
        super().__init__(page)
        self.open_tab("train")
        self.tab = page.locator("#train")

    def bring(self, path: Path) -> None:
        self.tab.locator("[data-action=new]:visible").first.click()
        self.tab.locator("input.files").set_input_files(path)

    def checked(self) -> str:
        line = self.tab.locator(".found")
        line.filter(has_text="to learn from").wait_for(timeout=PATIENCE)
        return line.inner_text()

    def from_scratch(self, steps: int, **options: object) -> None:
        for name, value in SCRATCH.items():
            self.tab.locator(f"[name={name}]").select_option(value)
        self.page.wait_for_function("document.querySelector('#train .start-note').textContent.includes('32 px')")
        self.tab.locator(".working[data-task=check]").wait_for(state="hidden", timeout=PATIENCE)
        for name, value in {"steps": steps, "batch_size": 4, **options}.items():
            field = self.tab.locator(f".options [data-option={name}]")
            field.fill(str(value))
            field.blur()

    def begin(self, title: str) -> None:
        self.tab.locator("[name=title]").fill(title)
        self.tab.locator("[data-action=start]").click()
        self.tab.locator(".chosen").wait_for(timeout=PATIENCE)

    def state(self, wanted: str, timeout: int = PATIENCE) -> None:
        self.tab.locator(".chip").filter(has_text=wanted).wait_for(timeout=timeout)

    def open_run(self, title: str) -> None:
        card = self.tab.locator(".run").filter(has_text=title)
        card.wait_for(timeout=PATIENCE)
        if card.get_attribute("aria-pressed") != "true":
            card.click()
        self.tab.locator(".chosen").wait_for()

    def press(self, action: str) -> None:
        self.tab.locator(f"[data-action={action}]:visible").click()

    def titles(self) -> list[str]:
        return self.tab.locator(".run b").all_inner_texts()

    def run_id(self) -> str:
        return self.tab.locator(".run[aria-pressed=true]").get_attribute("data-key")

    def points(self) -> int:
        """Of all curves that are drawn."""
        return self.page.evaluate(
            """() => [...document.querySelectorAll("#run-view .js-plotly-plot")]
                .flatMap(({ data }) => data).reduce((sum, { x }) => sum + (x?.length ?? 0), 0)"""
        )

    def sheet(self) -> str | None:
        return self.page.locator("#run-view img").first.get_attribute("src")


@pytest.fixture
def trainee(open_page, app) -> Callable[[], Trainee]:
    return lambda **options: Trainee(open_page(app.url, **options))


def until(check: Callable[[], object], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.2)


def last_step(folder: Path) -> int:
    return max(
        (event.step for event in read_events(folder / "events.jsonl") if isinstance(event, StepLogged)), default=0
    )


def test_from_a_zip_to_a_model_that_is_drawn_with(app, trainee, photos):
    somebody = trainee()
    somebody.tab.locator(".none").wait_for()
    somebody.bring(photos)
    learnt, aside = map(int, re.findall(r"\d+", somebody.checked()))
    assert learnt + aside == 16
    assert somebody.tab.locator(".pair").count() == learnt
    left_out = somebody.tab.locator(".left-out").inner_text()
    assert "broken.png" in left_out
    assert "run.exe" in left_out
    assert somebody.tab.locator(".readings li").first.inner_text().startswith(f"There are only {learnt} pictures")
    assert app.uploads() == []

    somebody.from_scratch(60)
    somebody.press("plan")
    somebody.tab.locator("p.plan").filter(has_text="pictures per second").wait_for(timeout=PATIENCE)
    somebody.begin("squares")
    run = app.runs / somebody.run_id()
    until(lambda: somebody.points() > 0)
    first, drawn = somebody.sheet(), somebody.points()
    until(lambda: somebody.points() > drawn and somebody.sheet() != first)
    somebody.state("done")

    # leave the page, come back in another tab
    somebody.page.goto(f"{app.url}/theme.css", timeout=60_000, wait_until="commit")
    again = trainee()
    again.open_run("squares")
    again.state("done")
    until(lambda: again.points() > 0)

    again.press("use")
    again.page.wait_for_function("studio.currentTab() === 'draw'", timeout=PATIENCE)
    again.page.wait_for_function("studio.get('model').size === 32")
    assert again.page.locator("#picker input").input_value() == "squares"
    again.draw(OUTLINE)
    assert len(again.wall()) == 8
    facts = again.page.evaluate("studio.get('model')")
    assert facts["size"] == 32
    assert all(slider["effect"] is not None for slider in facts["sliders"])
    again.open_tab("map")
    again.page.wait_for_function("document.querySelector('#map .js-plotly-plot')", timeout=30_000)
    assert {path.name for path in run.parent.parent.glob("runs/*") if not path.name.startswith(".")} == {run.name}


def test_a_run_outlives_the_app_and_its_own_end(app, trainee, photos, open_page):
    somebody = trainee()
    somebody.bring(photos)
    somebody.checked()
    somebody.from_scratch(100_000)
    somebody.begin("long")
    run = app.runs / somebody.run_id()
    somebody.state("learning")

    somebody.press("stop")
    somebody.state("stopped")
    assert (run / "latest" / "model.safetensors").is_file()
    stopped = last_step(run)
    somebody.press("resume")
    somebody.state("learning")
    until(lambda: last_step(run) > stopped)

    app.kill()
    reached = last_step(run)
    until(lambda: last_step(run) > reached)
    app.start()
    somebody.page.reload()
    unreachable = [each for each in open_page.problems if "ERR_CONNECTION" in each or "ERR_INCOMPLETE" in each]
    open_page.problems[:] = [each for each in open_page.problems if each not in unreachable]
    somebody = Trainee(somebody.page)
    somebody.open_run("long")
    somebody.state("learning")

    os.kill(holder(JobFiles(run).lock_file).pid, signal.SIGKILL)
    somebody.state("cut off")
    assert "last checkpoint" in somebody.tab.locator(".told").inner_text()
    somebody.press("resume")
    somebody.state("learning")
    somebody.press("stop")
    somebody.state("stopped")
    somebody.press("delete")
    somebody.press("delete-now")
    somebody.tab.locator(".chosen").wait_for(state="hidden")
    assert not run.exists()


def test_nobody_sees_the_runs_of_others(app, trainee, photos, chromium):
    somebody = trainee()
    somebody.bring(photos)
    somebody.checked()
    secret = somebody.page.evaluate("JSON.parse(localStorage.getItem('bicyclegan.runs'))[0]")
    context = chromium.new_context()
    try:
        page = context.new_page()
        page.goto(app.url)
        other = Trainee(page)
        other.tab.locator(".none").wait_for()
        assert other.titles() == []
        answer = page.evaluate("studio.ask('train_runs', { ids: [] })")
        assert secret not in json.dumps(answer)
        refused = page.evaluate("studio.ask('train_check', { id: '../' + 'runs', options: {}, fixed: [] })")
        assert "not here" in refused["error"]
    finally:
        context.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda packed: None, "no photos among 0 files"),
        (lambda packed: packed.writestr("a.txt", "no picture"), "no photos among 1 files"),
        (lambda packed: packed.writestr("../../out.png", b"no picture"), "cannot be used|is not a picture"),
        (lambda packed: packed.writestr("inner.zip", b"PK"), "no photos among 1 files"),
    ],
    ids=["empty", "no pictures", "traversal", "nested"],
)
def test_what_cannot_be_learnt_from_is_told_and_leaves_nothing(app, trainee, tmp_path, make, message):
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as packed:
        make(packed)
    before = set(app.temp.parent.rglob("out.png"))
    somebody = trainee()
    somebody.bring(path)
    line = somebody.tab.locator(".error")
    line.wait_for(timeout=PATIENCE)
    assert re.search(message, line.inner_text()), line.inner_text()
    assert app.uploads() == []
    assert set(app.temp.parent.rglob("out.png")) == before
    draft = somebody.page.evaluate("JSON.parse(localStorage.getItem('bicyclegan.runs'))[0]")
    assert not list((app.runs / draft).rglob("*.png"))


@pytest.mark.parametrize("width", [320, 390, 768])
def test_it_fits_small_screens(trainee, photos, width):
    somebody = trainee(width=width, height=800)
    somebody.bring(photos)
    somebody.checked()
    assert somebody.page.evaluate("document.documentElement.scrollWidth") == width
