"""The evaluation report in Chromium, opened from the disk with no network, as whoever gets the file would.

It stands here for the browser that the tests of the interface share: one process cannot start two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from evaluation_example import example_codes, example_pictures, example_result, ours, without_code
from PIL import Image

from bicyclegan.metrics.chart_parts import PALETTE
from bicyclegan.metrics.report import ReportPictures, write_report

pytestmark = pytest.mark.browser
pytest.importorskip("plotly")

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(1)</script>" + "W" * 60
CHARTS = 8
DRAWN = f"() => document.querySelectorAll('.plot .main-svg:first-child').length === {CHARTS}"
FILL = "() => getComputedStyle(document.querySelector('#chart-fid768 .bars .point path')).fill"
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(tmp_path_factory.mktemp("report"), example_result(), example_pictures(), example_codes())


@pytest.fixture
def open_report(chromium) -> Iterator[Callable]:
    """`open_report(path, width, scheme)`: a page without network, which must not complain nor ask for anything."""
    contexts, problems = [], []

    def open_report(path: Path, width: int = 1280, scheme: str = "light"):
        size = {"width": width, "height": 844}
        contexts.append(chromium.new_context(viewport=size, color_scheme=scheme, offline=True))
        page, own = contexts[-1].new_page(), path.as_uri()
        page.on("console", lambda m: problems.append(f"console: {m.text[:300]}") if m.type != "log" else None)
        page.on("pageerror", lambda error: problems.append(f"exception: {str(error)[:300]}"))
        page.on("dialog", lambda dialog: (problems.append("a dialog opened"), dialog.dismiss()))
        page.on("request", lambda r: None if r.url.startswith((own, "data:")) else problems.append(r.url[:300]))
        page.goto(own)
        return page

    open_report.problems = problems
    yield open_report
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
def test_charts_are_drawn_and_the_page_never_goes_sideways(open_report, report: Path, width: int) -> None:
    page = open_report(report, width)
    wait_for(page, DRAWN)
    assert page.evaluate(OVERFLOW) <= 0
    widths = page.evaluate("[...document.querySelectorAll('.plot')].map(p => [p.clientWidth, p.scrollWidth])")
    assert all(inside <= outside for outside, inside in widths)
    assert page.locator("#chart-fid768 .bars .point").count() == 2
    assert page.locator("#chart-kl .bars .point").count() == 8


def test_wide_tables_scroll_in_their_box(open_report, report: Path) -> None:
    page = open_report(report, 390)
    box = page.get_by_role("region", name="Table of all measurements")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    protocol = page.locator(".how div").first.bounding_box()
    assert protocol["x"] + protocol["width"] <= 390  # what explains a number can be read without scrolling


def test_hostile_names_run_nothing_and_break_nothing(open_report, tmp_path: Path) -> None:
    names = [without_code(name=HOSTILE), without_code(name="W" * 200)]
    result = example_result(checkpoint=ours(name=HOSTILE, training={"data": HOSTILE}), compared=names, data=HOSTILE)
    sheet = (HOSTILE, HOSTILE, Image.new("RGB", (64, 64)))
    page = open_report(write_report(tmp_path, result, ReportPictures([sheet]), example_codes()), 390)
    wait_for(page, DRAWN)
    assert page.evaluate(OVERFLOW) <= 0
    assert page.locator("h1").inner_text().startswith("<img src=x")
    assert "<img" in page.locator("#chart-fid768").inner_text() + page.locator("#chart-fid768 svg").first.text_content()
    assert page.locator("img[src=x], .plot a").count() == 0


def test_what_gets_in_all_the_same_is_not_run(open_report, report: Path, tmp_path: Path) -> None:
    """The policy stands even where escaping would fail."""
    page = open_report(report)
    page.evaluate("""() => {
        addEventListener("securitypolicyviolation", (event) => { window.stopped = event.violatedDirective; });
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        document.body.append(script);
    }""")
    wait_for(page, "() => Boolean(window.stopped)")
    assert page.evaluate("window.ran") is None
    assert all("Content Security Policy" in problem for problem in open_report.problems)
    open_report.problems.clear()  # the browser notes what it has stopped


def test_dark_pages_have_dark_charts(open_report, report: Path) -> None:
    page = open_report(report, scheme="dark")
    wait_for(page, DRAWN)
    dark, light = (rgb(colour) for colour in (PALETTE["#4f46e5"], "#4f46e5"))
    wait_for(page, FILL, dark)
    page.emulate_media(color_scheme="light")
    wait_for(page, FILL, light)
    page.emulate_media(color_scheme="dark")
    wait_for(page, FILL, dark)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    wait_for(page, FILL, light)  # paper is white
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    wait_for(page, FILL, dark)


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})"


def test_a_picture_opens_in_full_size(open_report, report: Path) -> None:
    page = open_report(report, 390)
    page.get_by_role("button", name="10 validation edges x 8 styles: open in full size").click()
    viewer = page.locator("#viewer")
    assert viewer.locator("img").bounding_box()["width"] == 1200
    page.keyboard.press("Escape")
    viewer.wait_for(state="hidden")
    page.get_by_role("button", name="Drawings x 8 styles").press("Enter")
    viewer.wait_for(state="visible")
    page.get_by_role("button", name="Close").click()
    viewer.wait_for(state="hidden")


def test_a_report_without_charts_needs_no_plotly(open_report, tmp_path: Path) -> None:
    result = example_result(checkpoint=ours(measurements=[]), compared=[])
    page = open_report(write_report(tmp_path, result, example_pictures()))
    page.locator(".picture").first.click()
    page.locator("#viewer").wait_for(state="visible")
    assert page.evaluate("typeof Plotly") == "undefined"
