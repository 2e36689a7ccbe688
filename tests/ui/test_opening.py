"""Choosing a model and coming with a link: what the page becomes, and what a forged link can do (nothing)."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

from bicyclegan.checkpoints import DEFAULT_ROOT, load_examples
from bicyclegan.link import Session, pack
from bicyclegan.pins import Pin
from bicyclegan.ui.opening import OpeningHandlers
from bicyclegan.ui.settings import Settings
from bicyclegan.ui.studio import Studio

NAME = "edges2shoes"
SHOE = load_examples(DEFAULT_ROOT / NAME)[3]
CODE = np.linspace(-1, 1, 8, dtype=np.float32)


@pytest.fixture
def handlers(tmp_path) -> OpeningHandlers:
    for name in (NAME, "other"):
        shutil.copytree(DEFAULT_ROOT / NAME, tmp_path / name)
    return OpeningHandlers(Studio(Settings(checkpoints=tmp_path)))


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(gr, "Warning", lambda message, title: found.append(message))
    return found


def visitor(lang: str = "en") -> SimpleNamespace:
    return SimpleNamespace(headers={"accept-language": lang})


def opened(text: object) -> gr.EventData:
    return gr.EventData(None, {"text": text})


def link(**changes) -> gr.EventData:
    fields = {"checkpoint": "other", "sketch": SHOE, "seed": 7, "count": 3, "truncation": 0.5, "tab": "compare"}
    return opened(pack(Session(**{**fields, **changes})))


def test_another_model_brings_its_own_page(handlers):
    picker, canvas, examples, card, shelf = handlers.choose("other", visitor())
    assert picker == gr.skip()
    assert canvas.palette == ["#000000"]
    assert len(examples) == 10
    assert card.startswith("# ")
    assert shelf["model"]["name"] == "other"
    assert shelf["model"]["dim"] == len(shelf["model"]["sliders"]) == 8
    assert shelf["models"] == [NAME, "other"]
    assert shelf["restored"] is None


def test_a_checkpoint_that_vanished_before_its_first_use(handlers, tmp_path, warnings):
    shutil.rmtree(tmp_path / "other")
    picker, _, examples, _, shelf = handlers.choose("other", visitor())
    assert "other" in warnings[0]
    assert picker["value"] == shelf["model"]["name"] == NAME, "the whole page goes on with the first one"
    assert len(examples) == 10


def test_a_link_restores_the_whole_page(handlers):
    pin = Pin("rote Schuhe", CODE, "other", "ab" * 32)
    page = handlers.open_link(NAME, link(z=CODE, pins=(pin,)), visitor())
    picker, canvas, _, _, shelf, seed, count, truncation = page
    assert picker.value == "other"
    assert canvas.value == SHOE.to_json()
    assert (seed, count, truncation) == (7, 3, 0.5)
    restored = shelf["restored"]
    assert restored["tab"] == "compare"
    assert np.array_equal(np.float32(restored["z"]), CODE)
    assert restored["pins"][0]["name"] == "rote Schuhe"
    assert restored["pins"][0]["checkpoint_hash"] == "ab" * 32


def test_two_openings_of_one_link_are_two(handlers):
    stamps = {handlers.open_link(NAME, link(), visitor())[4]["restored"]["stamp"] for _ in range(2)}
    assert len(stamps) == 2


def test_a_link_without_a_drawing_clears_the_canvas(handlers):
    assert handlers.open_link(NAME, link(sketch=None), visitor())[1].value == ""


def test_a_link_to_a_model_that_is_not_here_opens_with_this_one(handlers, warnings):
    picker, *_ = handlers.open_link(NAME, link(checkpoint="gone"), visitor())
    assert picker.value == NAME
    assert "gone" in warnings[0]


@pytest.mark.parametrize(
    "text",
    ["", "1.", "1.AAAA", "x" * 10**6, "99.AAAA", None, 7, link().text[:-9], "../../etc/passwd", "1." + "A" * 9000],
)
def test_a_forged_or_broken_link_changes_nothing_but_says_so(handlers, text):
    *page, shelf, seed, count, truncation = handlers.open_link(NAME, opened(text), visitor())
    assert all(update == gr.skip() for update in (*page, seed, count, truncation))
    assert shelf["restored"] is None
    assert "link" in shelf["error"]


def test_a_broken_link_is_explained_in_chinese(handlers):
    shelf = handlers.open_link(NAME, opened("1.AAAA"), visitor("zh-CN"))[4]
    assert "链接" in shelf["error"]


@pytest.mark.parametrize("data", [None, [], "x", {}])
def test_an_event_without_a_link_is_answered_in_words(handlers, data):
    *page, shelf, seed, count, truncation = handlers.open_link(NAME, gr.EventData(None, data), visitor())
    assert all(update == gr.skip() for update in (*page, seed, count, truncation))
    assert shelf["error"]


def test_a_broken_link_while_the_model_in_use_vanished(handlers, tmp_path, warnings):
    shutil.rmtree(tmp_path / "other")
    page = handlers.open_link("other", opened("1.AAAA"), visitor())
    assert all(update == gr.skip() for update in page)
    assert "link" in warnings[0]


def test_a_link_of_another_version_says_so(handlers, warnings):
    here = handlers.studio.pipeline("other").hash
    for known in (here, ""):
        handlers.open_link(NAME, link(checkpoint_hash=known, z=CODE), visitor())
    assert not warnings
    shelf = handlers.open_link(NAME, link(checkpoint_hash="ab" * 32, z=CODE), visitor())[4]
    assert "another version of other" in warnings[0]
    assert np.array_equal(np.float32(shelf["restored"]["z"]), CODE)


def test_a_style_that_the_model_does_not_take_stays_away(handlers, warnings):
    shelf = handlers.open_link(NAME, link(z=CODE[:3]), visitor())[4]
    assert shelf["restored"]["z"] is None
    assert shelf["restored"]["tab"] == "compare"
    assert "another version of other" in warnings[0]


def test_a_reload_comes_back_to_the_model_and_the_canvas_keeps_its_drawing(handlers):
    event = gr.EventData(None, {"checkpoint": "other", "tab": "explore", "z": CODE.tolist()})
    picker, canvas, examples, _, shelf = handlers.reopen(event, visitor())
    assert picker.value == "other"
    assert not hasattr(canvas, "value") or canvas.value in (None, "")
    assert len(examples) == 10
    assert shelf["restored"]["tab"] == "explore"
    assert np.array_equal(np.float32(shelf["restored"]["z"]), CODE)


@pytest.mark.parametrize(
    "wanted", [{"checkpoint": "gone"}, {}, {"checkpoint": "other", "tab": "evil"}, {"checkpoint": "other", "z": ["a"]}]
)
def test_a_reload_to_what_is_not_there_starts_at_the_beginning(handlers, wanted):
    assert all(update == gr.skip() for update in handlers.reopen(gr.EventData(None, wanted), visitor()))
