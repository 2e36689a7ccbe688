"""A slow or silent server, impatient people, models that change in between: nothing gets lost or mixed up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from studio_visitor import LACE, OTHER, OUTLINE, Visitor

pytestmark = pytest.mark.browser

QUESTIONS = "**/component_server**"


@pytest.fixture(scope="module")
def checkpoints(three_models) -> Path:
    return three_models


@pytest.fixture
def explorer(visitor) -> Visitor:
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.open_tab("explore")
    visitor.stage()
    return visitor


class Gate:
    """Holds back the server's answers to one question until it is opened."""

    def __init__(self, visitor: Visitor, question: str):
        self.page, self.question, self.held = visitor.page, question, []
        self.shut = True
        self.page.route(QUESTIONS, self._route)

    def _route(self, route) -> None:
        if self.shut and json.loads(route.request.post_data)["fn_name"] == self.question:
            self.held.append(route)
        else:
            route.continue_()

    def wait(self, count: int = 1) -> None:
        for _ in range(500):
            if len(self.held) >= count:
                return
            self.page.wait_for_timeout(20)
        raise AssertionError(f"{self.question} was asked {len(self.held)} times, not {count}")

    def open(self) -> None:
        self.shut = False
        for route in self.held:
            route.continue_()


def set_slider(visitor: Visitor, number: int, value: str) -> None:
    visitor.page.locator("#sliders .knob").nth(number - 1).locator("input[type=number]").fill(value)


# The server does not answer


@pytest.mark.parametrize("answer", ["abort", "502"])
def test_a_server_that_cannot_be_reached_is_said_and_forgiven(explorer, answer):
    def fail(route):
        return route.abort() if answer == "abort" else route.fulfill(status=502, body="")

    before = explorer.stage()
    explorer.page.route(QUESTIONS, fail)
    set_slider(explorer, 2, "-2")
    assert "did not answer" in explorer.panel_error("stage")
    explorer.page.unroute(QUESTIONS)
    set_slider(explorer, 2, "2")
    explorer.stage(other_than=before)
    assert not explorer.page.locator("#stage .error").is_visible()
    explorer.problems.clear()  # the browser itself notes what failed


def test_a_table_opened_in_an_outage_fills_when_it_is_over(visitor):
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.page.route(QUESTIONS, lambda route: route.abort())
    visitor.open_tab("compare")
    assert "did not answer" in visitor.panel_error("matrix")
    visitor.page.unroute(QUESTIONS)
    visitor.open_tab("draw")
    visitor.open_tab("compare")
    visitor.table(3, 6)
    visitor.problems.clear()


def test_an_answer_that_never_comes_does_not_stop_the_panel(explorer):
    before = explorer.stage()
    explorer.page.evaluate("studio.setPatience(600)")
    gate = Gate(explorer, "paint")
    set_slider(explorer, 2, "-2")
    gate.wait()
    assert "did not answer" in explorer.panel_error("stage")
    gate.shut = False
    set_slider(explorer, 2, "2")
    explorer.stage(other_than=before)
    gate.open()


# Answers that come late


def test_a_late_generation_keeps_its_own_pictures(explorer):
    explorer.open_way("breed")
    tiles = explorer.page.locator("#breed .tile img")
    explorer.page.locator("#breed .tile").nth(7).wait_for()
    explorer.page.locator("#breed [data-action=next]").click()
    explorer.page.get_by_text("Generation 2").wait_for()
    gate = Gate(explorer, "paint")
    explorer.page.locator("#breed [data-action=back]").click()
    gate.wait()
    explorer.page.locator("#breed [data-action=next]").click()
    explorer.page.get_by_text("Generation 2").wait_for()
    second = tiles.evaluate_all("images => images.map(({ src }) => src)")
    gate.open()
    explorer.page.wait_for_timeout(500)
    assert tiles.evaluate_all("images => images.map(({ src }) => src)") == second


def test_impatience_breeds_one_generation(explorer):
    explorer.open_way("breed")
    explorer.page.locator("#breed .tile").nth(7).wait_for()
    gate = Gate(explorer, "breed")
    for _ in range(5):
        explorer.page.locator("#breed [data-action=next]").click()
    gate.wait()
    gate.open()
    explorer.page.get_by_text("Generation 2").wait_for()
    explorer.page.wait_for_timeout(300)
    assert len(gate.held) == 1


@pytest.mark.parametrize("model", [OTHER, "short"])
def test_a_colour_found_for_a_model_that_was_left_is_not_used(explorer, model):
    explorer.open_way("match")
    gate = Gate(explorer, "find_colour")
    explorer.page.locator("#match .word").fill("red")
    explorer.page.locator("#match .word").press("Enter")
    gate.wait()
    explorer.choose_model(model)
    explorer.page.wait_for_function("() => studio.get('style')")
    style = explorer.style()
    gate.open()
    explorer.page.wait_for_timeout(4000)
    assert explorer.style() == style
    assert explorer.page.locator("#match .found .tile").count() == 0


def test_a_pin_keeps_the_picture_of_its_style(explorer):
    picture, style = explorer.stage(), explorer.style()
    gate = Gate(explorer, "paint")
    set_slider(explorer, 2, "-3")
    gate.wait()
    explorer.page.locator("#stage [data-action=pin]").click()
    gate.open()
    [pin] = explorer.page.evaluate("studio.get('pins')")
    assert (pin["thumb"], pin["z"]) == (picture, style)


def test_codes_that_do_not_fit_never_become_the_style(explorer):
    style = explorer.style()
    for z in ("[1, 2, 3]", "[1, 2, 3, 4, 5, 6, 7, NaN]", "new Array(8).fill(1e9)"):
        explorer.page.evaluate(f"studio.setStyle({z})")
        assert "does not belong" in explorer.message()
        assert explorer.style() == style


def test_a_film_goes_on_after_another_way_was_looked_at(explorer):
    explorer.pin_wall(0, 3)
    explorer.open_way("blend")
    explorer.page.locator("#blend .screen img[src]").wait_for()
    explorer.open_way("sliders")
    explorer.page.wait_for_timeout(400)
    explorer.open_way("blend")
    screen = explorer.page.locator("#blend .screen img")
    first = screen.get_attribute("src")
    explorer.page.wait_for_function("src => document.querySelector('#blend .screen img').src !== src", arg=first)


def test_a_row_added_before_the_first_table_is_there_is_not_lost(visitor):
    visitor.draw(OUTLINE)
    visitor.wall()
    gate = Gate(visitor, "random_styles")
    visitor.open_tab("compare")
    gate.wait()
    visitor.page.locator("#matrix .adder.rows summary").click()
    visitor.page.get_by_role("button", name="A copy of it").click()
    gate.open()
    visitor.table(4, 6)


# Numbers of what is no longer there


def test_numbers_leave_with_the_row_they_are_of(visitor):
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.open_tab("compare")
    visitor.table(3, 6)
    visitor.page.locator("#matrix tbody tr").first.get_by_role("button", name="Numbers of this row").click()
    visitor.page.locator("#numbers h4").wait_for()
    visitor.page.locator("#matrix thead th").nth(6).get_by_role("button", name="Remove this style").click()
    visitor.page.locator("#numbers h4").wait_for(state="hidden")


def test_the_spread_of_each_row_stands_beside_it(visitor):
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.open_tab("compare")
    visitor.table(3, 6)
    visitor.page.wait_for_function(
        "() => [...document.querySelectorAll('#matrix .spread')].filter((line) => line.textContent).length === 3"
    )
    means = visitor.page.locator("#matrix .spread").evaluate_all("lines => lines.map((line) => line.textContent)")
    assert all(0 < float(mean.split()[1]) < 1 for mean in means)


def test_a_long_name_does_not_widen_its_column(visitor):
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.pin_wall(0)
    visitor.page.evaluate("studio.set('pins', studio.get('pins').map((pin) => ({ ...pin, name: 'boot '.repeat(8) })))")
    visitor.open_tab("compare")
    visitor.table(3, 6)
    widths = visitor.page.locator("#matrix tbody tr:first-child .tile").evaluate_all(
        "tiles => tiles.map((tile) => Math.round(tile.getBoundingClientRect().width))"
    )
    assert max(widths) - min(widths) <= 1


# People


def test_after_naming_a_pin_the_next_press_counts(explorer):
    explorer.pin_wall(0, 3)
    pins = explorer.page.locator("#shelf .pins .item")
    pins.first.locator("input").fill("first of all")
    pins.nth(1).locator(".use").click()
    assert explorer.style() == explorer.page.evaluate("studio.get('pins')[1].z")
    assert explorer.page.evaluate("studio.get('pins')[0].name") == "first of all"
    pins.first.locator("input").fill("something else")
    pins.first.locator("input").press("Escape")
    assert explorer.page.evaluate("studio.get('pins')[0].name") == "first of all"
    assert pins.first.locator("input").input_value() == "first of all"


def test_a_removed_pin_can_be_taken_back(explorer):
    explorer.pin_wall(0, 1, 2)
    before = explorer.page.evaluate("studio.get('pins')")
    pins = explorer.page.locator("#shelf .pins .item")
    pins.nth(1).hover()
    pins.nth(1).locator(".remove").click()
    assert pins.count() == 2
    explorer.page.locator("#shelf .message button").click()
    assert explorer.page.evaluate("studio.get('pins')") == before


def test_the_same_style_is_pinned_once(explorer):
    explorer.pin_wall(0)
    explorer.pin_wall(0)
    assert "already" in explorer.message()
    assert explorer.page.locator("#shelf .pins .item").count() == 1


def test_a_reload_comes_back_to_model_tab_and_style(explorer):
    before = explorer.sources
    explorer.choose_model(OTHER)
    explorer.wall(other_than=before)
    explorer.page.locator("#stage [data-action=random]").click()
    explorer.page.wait_for_function("() => studio.get('style')?.some((value) => value)")
    explorer.page.wait_for_timeout(300)
    style = explorer.style()
    explorer.page.reload()
    again = Visitor(explorer.page)
    again.page.wait_for_function("name => studio.get('model').name === name", arg=OTHER)
    again.stage()
    assert again.style() == style
    assert again.page.locator("#picker input").input_value() == OTHER


def test_a_tab_chosen_before_a_reload_came_back_to_its_place_stays_open(explorer):
    explorer.page.reload()
    compare = explorer.page.locator("#tabs > .tab-wrapper [role=tab]").nth(2)
    compare.click()
    explorer.page.wait_for_function("() => window.studioReady")
    explorer.page.wait_for_timeout(600)  # Explore, the tab of before, is opened 300 ms after that
    assert explorer.page.evaluate("studio.currentTab()") == "compare"


def test_a_style_chosen_before_a_reload_came_back_to_its_place_stays(explorer):
    explorer.pin_wall(3)
    before = explorer.style()
    explorer.page.reload()
    pin = explorer.page.locator("#shelf .pins .use").first
    pin.click()
    explorer.page.wait_for_function("() => window.studioReady")
    explorer.page.wait_for_timeout(600)
    assert explorer.style() == explorer.page.evaluate("studio.get('pins')[0].z") != before


def test_numbers_out_of_range_come_back_into_it(explorer):
    number = explorer.page.locator("#sliders .knob").nth(2).locator("input[type=number]")
    for typed, value in (("99", 3), ("-50", -3), ("", 0)):
        number.fill(typed)
        number.press("Enter")
        assert explorer.style()[2] == value
        assert float(number.input_value()) == value


def test_mistakes_vanish_with_their_cause(visitor):
    visitor.open_tab("explore")
    visitor.open_way("match")
    visitor.page.locator("#match .word").fill("red")
    visitor.page.locator("#match .word").press("Enter")
    assert "no drawing yet" in visitor.panel_error("match")
    visitor.open_tab("draw")
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.open_tab("explore")
    assert not visitor.page.locator("#match .error").is_visible()


def test_found_styles_follow_the_drawing(explorer):
    explorer.open_way("match")
    explorer.page.locator("#match .word").fill("navy")
    explorer.page.locator("#match .word").press("Enter")
    tiles = explorer.page.locator("#match .found .tile img")
    tiles.nth(7).wait_for(timeout=20_000)
    before = tiles.evaluate_all("images => images.map(({ src }) => src)")
    explorer.open_tab("draw")
    explorer.draw(LACE)
    explorer.open_tab("explore")
    explorer.page.wait_for_function("src => document.querySelector('#match .found img').src !== src", arg=before[0])


@pytest.mark.parametrize("text", ["%E0%A4%A", "%", "1.%FF"])
def test_a_link_with_broken_escapes_says_so(visitor, text):
    visitor.page.evaluate("text => { location.hash = `studio=${text}`; }", text)
    assert "link" in visitor.panel_error("shelf").lower()


def test_one_bad_photo_does_not_cost_the_good_ones(explorer):
    import cv2

    photo = np.full((96, 96, 3), 255, np.uint8)
    photo[30:70, 20:80] = (40, 40, 170)
    good = {"name": "good.png", "mimeType": "image/png", "buffer": cv2.imencode(".png", photo)[1].tobytes()}
    bad = {"name": "bad.png", "mimeType": "image/png", "buffer": b"no picture"}
    explorer.open_way("match")
    explorer.page.locator("#match input[type=file]").set_input_files([good, bad])
    explorer.page.locator("#match .triple figure").nth(2).wait_for()
    assert "bad.png" in explorer.panel_error("match")


def test_escape_closes_a_menu_and_the_keyboard_goes_on_there(visitor):
    visitor.open_tab("compare")
    summary = visitor.page.locator("#matrix .adder.rows summary")
    summary.focus()
    summary.press("Enter")
    visitor.page.locator("#matrix .adder.rows .menu button").first.wait_for()
    visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.press("Escape")
    assert not visitor.page.locator("#matrix .adder.rows .menu").is_visible()
    assert summary.evaluate("node => node === document.activeElement")
