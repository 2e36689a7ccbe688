"""The comparison of runs in Chromium, opened from the disk with no network, as whoever gets the file would.

It stands here for the browser that the tests of the interface share: one process cannot start two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from run_example import story, write_run

from bicyclegan.training.comparison.colours import RUN_COLOURS
from bicyclegan.training.comparison.page import write_page
from bicyclegan.training.comparison.runs import read_runs

pytestmark = pytest.mark.browser
pytest.importorskip("plotly")

OVERFLOW = "document.documentElement.scrollWidth - innerWidth"
DRAWN = """() => [...document.querySelectorAll('.plot')].every((plot) => plot.querySelector('.main-svg'))"""
ENDS = "() => document.getElementById('chart-loss-0').data.map((line) => line.x.at(-1))"
TITLE = "() => document.querySelector('#chart-loss-0 .xtitle').textContent"
SHOWN = """() => [...document.querySelectorAll('.sheet-of img:not([hidden])')].map(
    (image) => [Number(image.dataset.step), image.complete && image.naturalWidth > 0])"""
LONG = "a-run-of-a-very-long-name-that-somebody-gave-it-one-evening"


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of batches of 4 and 8; the second has no sheet after 20 updates."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [
        write_run(folder / "<b>first", story(steps=40), samples=(10, 20, 40)),
        write_run(folder / LONG, story(steps=40), samples=(10, 40), batch_size=8, lambda_l1=5.0),
        write_run(folder / "third", story(steps=20, end="stopped"), samples=()),
    ]
    write_page(folder / "compare.html", read_runs(runs))
    return folder / "compare.html"


@pytest.fixture
def open_page_file(chromium) -> Iterator[Callable]:
    """`open_page_file(path, width, scheme)`: without network; it must not complain nor ask for anything."""
    contexts, problems = [], []

    def open_page_file(path: Path, width: int = 1280, scheme: str = "light"):
        contexts.append(
            chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True)
        )
        page, own = contexts[-1].new_page(), path.as_uri()
        page.on("console", lambda m: problems.append(f"console: {m.text[:300]}") if m.type != "log" else None)
        page.on("pageerror", lambda error: problems.append(f"exception: {str(error)[:300]}"))
        page.on("request", lambda r: None if r.url.startswith((own, "data:")) else problems.append(r.url[:300]))
        page.goto(own)
        wait_for(page, DRAWN)
        return page

    yield open_page_file
    for context in contexts:
        context.close()
    assert not problems, "\n".join(problems)


def wait_for(page, function: str, value: object = True) -> None:
    """Until a function in the page returns a value. The page's own policy forbids Playwright's way of waiting."""
    end = time.monotonic() + 10
    while (found := page.evaluate(function)) != value:
        assert time.monotonic() < end, f"{function} gave {found!r}, not {value!r}"
        page.wait_for_timeout(50)


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_never_goes_sideways(open_page_file, comparison: Path, width: int) -> None:
    page = open_page_file(comparison, width)
    assert page.evaluate(OVERFLOW) <= 0
    widths = page.evaluate("[...document.querySelectorAll('.plot')].map(p => [p.clientWidth, p.scrollWidth])")
    assert len(widths) > 8 and all(inside <= outside for outside, inside in widths)


@pytest.mark.parametrize("width", [390, 1280])
def test_the_switch_changes_the_axis_of_all_charts(open_page_file, comparison: Path, width: int) -> None:
    page = open_page_file(comparison, width)
    assert page.evaluate(ENDS) == [40, 40, 20]
    assert page.evaluate(TITLE) == "updates"
    page.get_by_role("radio", name="images seen").click()
    wait_for(page, ENDS, [160, 320, 80])
    wait_for(page, TITLE, "images seen")
    titles = page.evaluate("[...document.querySelectorAll('.xtitle')].map(title => title.textContent)")
    assert set(titles) == {"images seen"}
    page.keyboard.press("ArrowRight")  # the group of radio buttons has the focus
    wait_for(page, TITLE, "seconds of training")
    wait_for(page, ENDS, [40, 40, 20])


@pytest.mark.parametrize("width", [390, 1280])
def test_the_slider_changes_all_sheets_together(open_page_file, comparison: Path, width: int) -> None:
    page = open_page_file(comparison, width)
    told = page.locator(".when")
    wait_for(page, SHOWN, [[40, True], [40, True]])
    slider = page.get_by_role("slider")
    slider.focus()
    slider.press("ArrowLeft")
    wait_for(page, SHOWN, [[20, True], [10, True]])
    assert told.all_inner_texts() == [
        "after 20 updates, 80 images",
        "after 10 updates, 80 images: its nearest before 20",
    ]
    page.get_by_role("button", name="Earlier").click()
    wait_for(page, SHOWN, [[10, True], [10, True]])
    page.get_by_role("button", name="Earlier").click()  # there is none
    assert page.locator("#moment-told").inner_text() == "10"
    page.get_by_role("button", name="Later").click()
    wait_for(page, SHOWN, [[20, True], [10, True]])


def test_a_sheet_opens_in_full_size_and_leads_to_the_next_run(open_page_file, comparison: Path) -> None:
    page = open_page_file(comparison, 390)
    page.get_by_role("button", name="Samples of <b>first: open in full size").click()
    viewer = page.locator("#viewer")
    assert viewer.locator("p").inner_text() == "Samples of <b>first after 40 updates"
    first = viewer.locator("img").get_attribute("src")
    page.keyboard.press("ArrowRight")
    assert viewer.locator("p").inner_text().startswith("Samples of a-run-of-a-very-long-name")
    assert viewer.locator("img").get_attribute("src") != first
    page.keyboard.press("ArrowRight")
    assert viewer.locator("img").get_attribute("src") == first
    page.keyboard.press("Escape")
    viewer.wait_for(state="hidden")


def test_a_run_can_be_hidden_everywhere(open_page_file, comparison: Path) -> None:
    page = open_page_file(comparison)
    visible = "() => document.getElementById('chart-loss-0').data.map(line => line.visible)"
    button = page.get_by_role("button", name="a-run-of-a-very-long-name").first
    button.click()
    wait_for(page, visible, [True, False, True])
    assert page.locator(".sheet-of:visible").count() == 1
    button.click()
    wait_for(page, visible, [True, True, True])
    assert page.locator(".sheet-of:visible").count() == 2


def test_colours_are_the_same_in_words_and_charts_light_and_dark(open_page_file, comparison: Path) -> None:
    line = "() => [...document.querySelectorAll('#chart-loss-0 .js-line')].map(path => getComputedStyle(path).stroke)"
    dots = "() => [...document.querySelectorAll('.legend .run i')].map(dot => getComputedStyle(dot).backgroundColor)"
    page = open_page_file(comparison, scheme="dark")
    for place, scheme in ((1, "dark"), (0, "light")):
        page.emulate_media(color_scheme=scheme)
        colours = [rgb(pair[place]) for pair in RUN_COLOURS[:3]]
        wait_for(page, line, colours)
        wait_for(page, dots, colours)


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})"


def test_names_stay_text(open_page_file, comparison: Path) -> None:
    page = open_page_file(comparison)
    assert page.locator("h1 ~ .lead .run").first.inner_text() == "<b>first"
    page.locator("#chart-loss-0 .nsewdrag").hover()
    hover = page.locator("#chart-loss-0 .hoverlayer")
    wait_for(page, "() => document.querySelector('#chart-loss-0 .hoverlayer').textContent.includes('<b>first')")
    assert hover.locator("b").count() == 0
