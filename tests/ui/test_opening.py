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


def link(**changes) -> SimpleNamespace:
    fields = {"checkpoint": "other", "sketch": SHOE, "seed": 7, "count": 3, "truncation": 0.5, "tab": "compare"}
    return SimpleNamespace(text=pack(Session(**{**fields, **changes})))


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
    picker, *rest = handlers.choose("other", visitor())
    assert "other" in warnings[0]
    assert picker.value == NAME
    assert all(update == gr.skip() for update in rest)


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
    *page, shelf, seed, count, truncation = handlers.open_link(NAME, SimpleNamespace(text=text), visitor())
    assert all(update == gr.skip() for update in (*page, seed, count, truncation))
    assert shelf["restored"] is None
    assert "link" in shelf["error"]


def test_a_broken_link_is_explained_in_chinese(handlers):
    shelf = handlers.open_link(NAME, SimpleNamespace(text="1.AAAA"), visitor("zh-CN"))[4]
    assert "链接" in shelf["error"]
