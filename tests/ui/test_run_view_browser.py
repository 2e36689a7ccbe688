"""The view of a run in Chromium: what a living run writes reaches the page; a page that nobody sees asks nothing."""

from __future__ import annotations

import io
import re
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from run_example import config, step_line, validation

from bicyclegan.images import webp_bytes
from bicyclegan.training.events import Finding, LatentsWritten, RunEnded, RunStarted, SamplesWritten, to_line
from bicyclegan.training.run_folder import RunFolder

pytestmark = pytest.mark.browser

RUN, OTHER = "shoes-abcdefghijkl", "boots-mnopqrstuvwx"
CHARTS = ["pixel", "kl", "latent", "discriminators", "generator", "gradients", "diversity", "reconstruction"]


class FakeRun:
    """A run that a test trains by hand."""

    def __init__(self, folder: Path):
        self.folder = RunFolder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder.events_file.unlink(missing_ok=True)
        self.folder.save_config(config(steps=400))

    def write(self, *events) -> None:
        with self.folder.events_file.open("a") as file:
            file.write("".join(map(to_line, events)))

    def train(self, begin: int, end: int) -> None:
        """Lines of losses up to a step, a validation and a sheet every 100."""
        for step in range(begin, end + 1, 20):
            self.write(step_line(step))
            if step % 100 == 0:
                self.write(validation(step, encoded_random_l1_gap=0.1, kl=3.0, active_dims=2.0))
                self.sample(step)

    def sample(self, step: int) -> None:
        """A sheet in a colour that tells the step, and codes."""
        for path in (self.folder.samples(step), self.folder.latents(step)):
            path.parent.mkdir(exist_ok=True)
        self.folder.samples(step).write_bytes(webp_bytes(Image.new("RGB", (64, 48), (0, 0, step // 2)), lossless=True))
        mu = np.random.default_rng(step).normal(size=(5, 4)).astype(np.float32)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, mu=mu, logvar=mu * 0, names=np.array([f"p{k}" for k in range(5)]))
        self.folder.latents(step).write_bytes(buffer.getvalue())
        self.write(
            SamplesWritten(step=step, path=self.folder.relative(self.folder.samples(step))),
            LatentsWritten(step=step, path=self.folder.relative(self.folder.latents(step))),
        )


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def url(runs, serve) -> str:
    """A page with nothing but the view."""
    from bicyclegan.ui.answers import server_functions
    from bicyclegan.ui.app import launch_options
    from bicyclegan.ui.lab_answers import LAB_QUESTIONS, LabAnswers
    from bicyclegan.ui.run_answers import RUN_QUESTIONS, RunAnswers
    from bicyclegan.ui.run_view import build_run_view
    from bicyclegan.ui.settings import Settings
    from bicyclegan.ui.studio import Studio
    from bicyclegan.ui.train_answers import TrainAnswers

    lab = LabAnswers(TrainAnswers(Studio(Settings(runs=runs, device="cpu"))))
    functions = server_functions((RunAnswers(lambda name: RunFolder(runs / name)), RUN_QUESTIONS), (lab, LAB_QUESTIONS))
    connect = "studio.connect(server, { en: {}, zh: {} })"
    with gr.Blocks(analytics_enabled=False) as page:
        gr.HTML("", html_template="<i></i>", js_on_load=connect, server_functions=functions)
        with gr.Tabs():
            with gr.Tab("View"):
                build_run_view()
            with gr.Tab("Away"):
                gr.Markdown("Nothing to see.")
    options = {key: value for key, value in launch_options(Settings()).items() if not key.startswith("server_")}
    return serve(page, **options)


@pytest.fixture
def run(runs) -> FakeRun:
    return FakeRun(runs / RUN)


class Watcher:
    """Somebody who watches a run."""

    def __init__(self, page):
        self.page = page
        self.asked: list[str] = []
        page.on(
            "request",
            lambda request: self.asked.extend(re.findall(r"run_(?:watch|sample|codes)", request.post_data or "")),
        )
        page.locator("#run-view .panel").wait_for(state="attached")
        page.wait_for_function("window.studio && document.querySelector('#run-view .charts').children.length > 0")
        page.wait_for_timeout(300)

    def choose(self, name: str | None, state: str = "training", other: str | None = None) -> None:
        detail = {"id": name, "status": {"state": state, "step": 0, "steps": 400}, "other": other}
        self.page.evaluate("detail => window.dispatchEvent(new CustomEvent('studio:run', { detail }))", detail)

    def chart(self, name: str):
        return self.page.locator(f"#run-view [data-chart={name}]")

    def plot(self, name: str, expression: str):
        """What JavaScript says of a chart's `plot`, once it is drawn."""
        self.chart(name).scroll_into_view_if_needed()
        self.page.wait_for_function(f"document.querySelector('[data-chart={name}] .plot')._fullData")
        return self.page.evaluate(f"(plot => {expression})(document.querySelector('[data-chart={name}] .plot'))")

    def reaches(self, name: str, step: int) -> None:
        """Wait until a chart ends there."""
        self.chart(name).scroll_into_view_if_needed()
        self.page.wait_for_function(
            f"step => document.querySelector('[data-chart={name}] .plot')._fullData?.[0].x.at(-1) === step", arg=step
        )

    def shows_sheet(self, step: int) -> None:
        """Wait for the sheet of a step, by its colour."""
        self.page.wait_for_function(
            """step => {
                const image = document.querySelector("#run-view .sheet img");
                if (!image.complete || !image.naturalWidth) return false;
                const paper = document.createElement("canvas").getContext("2d");
                paper.drawImage(image, 0, 0);
                return paper.getImageData(5, 5, 1, 1).data[2] === Math.floor(step / 2);
            }""",
            arg=step,
        )
        assert f"{step}" in self.page.locator("#run-view .when").inner_text()

    def text(self, selector: str) -> str:
        return self.page.locator(f"#run-view {selector}").first.inner_text()


@pytest.fixture
def watcher(open_page, url) -> Watcher:
    return Watcher(open_page(url))


def test_all_charts_show_the_numbers_of_the_run(watcher, run) -> None:
    run.write(RunStarted(step=0, device="cpu", precision="fp32"))
    run.train(20, 200)
    watcher.choose(RUN)
    watcher.reaches("pixel", 200)
    shown = watcher.page.locator("#run-view .chart:visible").evaluate_all("all => all.map((one) => one.dataset.chart)")
    assert shown == CHARTS
    assert watcher.plot("pixel", "[...plot._fullData[0].y]")[:2] == pytest.approx([0.45, 0.425])
    assert watcher.plot("pixel", "[...plot._fullData.at(-1).y]") == pytest.approx([0.2, 0.2])
    assert "validation 0.2" in watcher.chart("pixel").locator(".key").inner_text()
    assert "0.03–0.4" in watcher.chart("pixel").locator(".key").inner_text()
    levels = watcher.plot("latent", "plot.layout.shapes.filter(({ type }) => type === 'line').map(({ y0 }) => y0)")
    assert levels == pytest.approx([0.7979], abs=1e-3)
    assert "chance 0.798" in watcher.chart("latent").locator(".key").inner_text()
    assert watcher.plot("gradients", "plot._fullLayout.yaxis.type") == "log"
    assert watcher.plot("reconstruction", "plot._fullData.map(({ y }) => y[0])") == pytest.approx([0.2, 0.3])
    bands = watcher.plot("kl", "plot.layout.shapes.filter(({ type }) => type === 'rect').map(({ x0, y0 }) => [x0, y0])")
    assert bands == [[40, 0.5]], "from the first tenth of the run on"
    watcher.page.evaluate("window.scrollTo(0, 0)")
    assert watcher.text(".pace .step") == "Step 200 of 400"
    assert "8 images/s" in watcher.text(".pace dl")
    assert "CPU, fp32" in watcher.text(".pace dl")
    label = watcher.chart("pixel").locator(".plot").get_attribute("aria-label")
    assert "Pixel L1: training" in label


def test_a_living_run_grows_on_the_page(watcher, run) -> None:
    watcher.choose(RUN, "starting")
    watcher.page.get_by_text("The first numbers come after 20 steps").wait_for()
    run.write(RunStarted(step=0))
    run.train(20, 100)
    watcher.reaches("pixel", 100)
    assert not watcher.page.locator("#run-view .first").is_visible()
    watcher.shows_sheet(100)
    run.train(120, 200)
    watcher.reaches("pixel", 200)
    watcher.shows_sheet(200)
    slider = watcher.page.locator("#run-view .moment")
    slider.focus()
    watcher.page.keyboard.press("ArrowLeft")
    watcher.shows_sheet(100)
    assert slider.get_attribute("aria-valuetext") == "Step 100"
    run.train(220, 300)
    watcher.reaches("pixel", 300)
    watcher.page.wait_for_function("document.querySelector('#run-view .moment').max === '2'")
    watcher.shows_sheet(100), "somebody looks at it"
    watcher.page.locator("#run-view [data-action=newest]").click()
    watcher.shows_sheet(300)
    assert watcher.page.locator("#run-view [data-action=newest]").is_hidden()


def test_codes_move_with_the_slider(watcher, run) -> None:
    run.train(20, 300)
    watcher.choose(RUN, "stopped")
    watcher.page.wait_for_function("document.querySelectorAll('#run-view .codes circle').length === 5")
    places = "[...document.querySelectorAll('#run-view .codes circle')].map((dot) => dot.style.transform)"
    newest = watcher.page.evaluate(places)
    assert len(set(newest)) == 5
    assert "Step 300 · 5 photos · 2 of" in watcher.text(".codes .count")
    watcher.page.locator("#run-view .moment").press("Home")
    watcher.shows_sheet(100)
    assert watcher.page.evaluate(places) != newest
    assert "Step 100" in watcher.text(".codes .count")


def test_play_goes_through_all_sheets(watcher, run) -> None:
    run.train(20, 400)
    watcher.choose(RUN, "completed")
    watcher.shows_sheet(400)
    watcher.page.evaluate(
        """() => {
            window.seen = [];
            const image = document.querySelector("#run-view .sheet img");
            image.addEventListener("load", () => window.seen.push(Number(image.dataset.step) || image.alt));
        }"""
    )
    watcher.page.locator("#run-view [data-action=play]").press("Enter")
    assert watcher.text("[data-action=play]") == "Pause"
    watcher.page.wait_for_function(
        "window.seen.length >= 4 && document.querySelector('#run-view .when').textContent === 'Step 400'"
    )
    watcher.page.wait_for_function("document.querySelector('#run-view [data-action=play]').textContent === 'Play'")
    watcher.shows_sheet(400)


def test_a_run_that_ended_is_asked_once_and_a_page_that_is_hidden_asks_nothing(watcher, run) -> None:
    run.train(20, 200)
    run.write(RunEnded(step=200, reason="stopped"))
    watcher.choose(RUN, "stopped")
    watcher.reaches("pixel", 200)
    watcher.page.wait_for_timeout(2500)
    assert watcher.asked.count("run_watch") == 1
    watcher.choose(RUN, "training")
    watcher.page.wait_for_timeout(4500)
    assert 2 <= watcher.asked.count("run_watch") - 1 <= 3
    watcher.page.get_by_role("tab", name="Away").click()
    watcher.page.wait_for_timeout(500)
    before = len(watcher.asked)
    run.train(220, 300)
    watcher.page.wait_for_timeout(3000)
    assert len(watcher.asked) == before, "the tab is closed"
    watcher.page.get_by_role("tab", name="View").click()
    watcher.reaches("pixel", 300)
    hide = "value => { Object.defineProperty(document, 'hidden', { value, configurable: true }); "
    hide += "document.dispatchEvent(new Event('visibilitychange')); }"
    watcher.page.evaluate(hide, True)
    watcher.page.wait_for_timeout(500)
    before = len(watcher.asked)
    watcher.page.wait_for_timeout(3000)
    assert len(watcher.asked) == before, "the window is hidden"
    watcher.page.evaluate(hide, False)
    run.train(320, 320)
    watcher.reaches("pixel", 320)


def test_charts_are_drawn_only_for_news(watcher, run) -> None:
    run.train(20, 100)
    watcher.choose(RUN)
    watcher.reaches("pixel", 100)
    watcher.page.wait_for_timeout(1000)
    watcher.page.evaluate(
        """() => {
            window.drawn = 0;
            const react = Plotly.react;
            Plotly.react = (...given) => { window.drawn += 1; return react(...given); };
        }"""
    )
    watcher.page.wait_for_timeout(4500)
    assert watcher.page.evaluate("window.drawn") == 0
    run.train(120, 120)
    watcher.reaches("pixel", 120)
    assert 1 <= watcher.page.evaluate("window.drawn") <= len(CHARTS)


def test_a_second_run_is_dashed(watcher, run, runs) -> None:
    run.train(20, 200)
    FakeRun(runs / OTHER).train(20, 100)
    watcher.choose(RUN, "stopped")
    watcher.reaches("pixel", 200)
    watcher.choose(RUN, "stopped", OTHER)
    watcher.page.wait_for_function("document.querySelector('[data-chart=pixel] .plot')._fullData.length === 4")
    lines = watcher.plot("pixel", "plot._fullData.map(({ line, x, name }) => [line.dash, line.color, x.at(-1), name])")
    dashed = [line for line in lines if line[0] == "dash"]
    assert [line[2] for line in dashed] == [100, 100]
    assert {line[1] for line in dashed} == {line[1] for line in lines if line[0] == "solid"}, "same colours"
    assert all(line[3].startswith("compared") for line in dashed)
    assert watcher.text(".curves > .key").split("\n") == ["this run", "boots"]
    watcher.choose(RUN, "stopped")
    watcher.page.wait_for_function("document.querySelector('[data-chart=pixel] .plot')._fullData.length === 2")
    assert watcher.text(".curves > .key") == ""


def test_a_resumed_run_goes_back_to_its_checkpoint(watcher, run) -> None:
    run.train(20, 200)
    watcher.choose(RUN)
    watcher.reaches("pixel", 200)
    run.folder.events.rewind(100)
    watcher.reaches("pixel", 100)
    watcher.shows_sheet(100)
    run.folder.samples(200).write_bytes(webp_bytes(Image.new("RGB", (64, 48), (0, 0, 100)), lossless=True))
    run.train(120, 200)
    watcher.reaches("pixel", 200)


def test_another_run_takes_its_place(watcher, run, runs) -> None:
    run.train(20, 200)
    other = FakeRun(runs / OTHER)
    other.train(20, 100)
    watcher.choose(RUN, "stopped")
    watcher.shows_sheet(200)
    watcher.choose(OTHER, "stopped")
    watcher.shows_sheet(100)
    watcher.reaches("pixel", 100)
    watcher.choose(None)
    watcher.page.wait_for_function("document.querySelector('#run-view .panel').innerText.trim() === ''")


def test_a_sheet_that_is_gone_is_told(watcher, run) -> None:
    run.train(20, 200)
    run.folder.samples(100).unlink()
    watcher.choose(RUN, "stopped")
    watcher.shows_sheet(200)
    watcher.page.locator("#run-view .moment").press("Home")
    watcher.page.wait_for_function("document.querySelector('#run-view .sheet img').alt.includes('not there any more')")
    assert watcher.page.locator("#run-view .sheet img").get_attribute("src") is None


def test_states_without_numbers(watcher, run) -> None:
    watcher.choose(RUN, "waiting")
    watcher.page.wait_for_timeout(800)
    assert not watcher.page.locator("#run-view .first").is_visible(), "the queue is told of elsewhere"
    watcher.choose(RUN, "failed")
    watcher.page.get_by_text("This run ended before its first numbers.").wait_for()
    assert not watcher.page.locator("#run-view .first progress").is_visible()


def test_dark_colours_follow_the_page(watcher, run) -> None:
    run.train(20, 100)
    watcher.choose(RUN, "stopped")
    light = watcher.plot("pixel", "plot._fullData[0].line.color")
    watcher.page.evaluate("document.body.classList.add('dark')")
    watcher.page.wait_for_function(
        "colour => document.querySelector('[data-chart=pixel] .plot')._fullData[0].line.color !== colour", arg=light
    )


@pytest.mark.parametrize("width", [390, 320])
def test_it_fits_a_phone_in_chinese(open_page, url, run, width) -> None:
    run.train(20, 200)
    watcher = Watcher(open_page(url, width, 800, has_touch=True, is_mobile=True, locale="zh-CN"))
    watcher.choose(RUN)
    watcher.reaches("latent", 200)
    assert "随机水平 0.798" in watcher.chart("latent").inner_text()
    assert watcher.plot("latent", "plot._fullLayout.dragmode") is False, "fingers scroll the page"
    boxes = [watcher.chart(name).bounding_box() for name in ("pixel", "kl")]
    assert boxes[0]["x"] == boxes[1]["x"], "one column"
    assert watcher.page.evaluate("document.documentElement.scrollWidth") <= width
    assert watcher.page.locator("#run-view .sheet").evaluate("sheet => sheet.scrollWidth > sheet.clientWidth")


# The doctor


def test_a_healthy_run_is_told_how_much_of_it_was_looked_at(watcher, run) -> None:
    run.write(RunStarted(step=0))
    run.train(20, 40)
    watcher.choose(RUN)
    calm = watcher.page.locator("#run-view .doctor .calm b")
    calm.filter(has_text="so far in 40 steps").wait_for()
    assert "The next check needs" in calm.inner_text()
    assert watcher.page.locator("#run-view .finding").count() == 0
    run.train(60, 80)
    calm.filter(has_text="so far in 80 steps").wait_for()


def test_a_finding_has_evidence_words_and_a_button(watcher, run) -> None:
    told = "A number is NaN in step 60: l1 = nan."
    run.write(RunStarted(step=0, options={"learning_rate": 2e-4, "clip_norm": 0.0}))
    run.train(20, 40)
    run.write(
        step_line(60, losses={"l1": None}),
        Finding(step=60, name="train_nan", severity="ill", evidence=told),
        RunEnded(step=60, reason="failed", message=told),
    )
    watcher.choose(RUN, "failed")
    card = watcher.page.locator("#run-view .finding[data-finding=not_a_number]")
    card.wait_for()
    assert card.locator(".severity").inner_text() == "ill"
    assert card.locator(".changes li").first.inner_text().startswith("learning_rate")
    assert "→" in card.locator(".changes li").first.inner_text()
    assert card.locator("svg path.line0").count() == 1
    assert "step 60" in card.inner_text()
    watcher.page.evaluate(
        """() => {
            window.asked = [];
            window.addEventListener("studio:run-apply", ({ detail }) => window.asked.push(detail));
        }"""
    )
    button = card.locator("button")
    button.click()
    assert watcher.page.evaluate("window.asked") == [{"id": RUN, "name": "not_a_number"}]
    assert button.is_disabled(), "until the page says how it went"
    watcher.page.evaluate(
        f"window.dispatchEvent(new CustomEvent('studio:run-applied', {{ detail: {{ id: '{RUN}' }} }}))"
    )
    watcher.page.wait_for_function("!document.querySelector('#run-view .finding button').disabled")
    watcher.choose(None)
    watcher.page.wait_for_function("document.querySelector('#run-view .panel').innerText.trim() === ''")
