"""What Compare does on the server: numbers of a row, two models side by side, and what no honest page would send."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from bicyclegan.errors import UserError
from bicyclegan.latent import sample_codes
from bicyclegan.metrics.distance import RGB, Distance
from bicyclegan.pipeline import Pipeline
from bicyclegan.ui.settings import Settings
from bicyclegan.ui.studio import Studio
from bicyclegan.ui.tabs import compare
from bicyclegan.ui.tabs.compare import CompareHandlers, build_compare

CODES = sample_codes(1, 4, 8)


@pytest.fixture(scope="module")
def root(tmp_path_factory, make_checkpoint):
    root = tmp_path_factory.mktemp("pair")
    make_checkpoint(root / "one", seed=1)
    make_checkpoint(root / "two", seed=2)
    make_checkpoint(root / "short", latent_dim=3)
    return root


@pytest.fixture
def handlers(root) -> CompareHandlers:
    return CompareHandlers(Studio(Settings(checkpoints=root, device="cpu")))


def visitor(lang: str = "en") -> SimpleNamespace:
    return SimpleNamespace(headers={"accept-language": lang})


def asked(shoe, **changes) -> gr.EventData:
    wanted = {"checkpoint": "one", "sketch": shoe.to_json(), "z": CODES.tolist(), "row": 2}
    return gr.EventData(None, {**wanted, **changes})


def test_a_row_is_measured(handlers, shoe, monkeypatch):
    monkeypatch.setattr("bicyclegan.ui.row.best_distance", lambda: RGB)
    box, summary, figure, variation, fetch = handlers.measure(asked(shoe), visitor())
    assert box.visible
    assert fetch.visible, "better numbers can be had"
    assert "Row 2" in summary
    assert np.array(figure.data[0].z).shape == (4, 4)
    assert "data:image/png" in variation


def test_its_pictures_are_those_that_the_table_shows(handlers, shoe, monkeypatch):
    handlers.studio.look("one", shoe, CODES)
    monkeypatch.setattr(handlers.studio, "_render", None)
    assert handlers.measure(asked(shoe), visitor())[0].visible


@pytest.mark.parametrize("data", [None, [], "x", {}, {"checkpoint": "one"}, {"checkpoint": 7, "row": 1}])
def test_events_from_anywhere_are_answered_in_words(handlers, caplog, data):
    with pytest.raises(gr.Error) as raised:
        handlers.measure(gr.EventData(None, data), visitor())
    assert raised.value.print_exception is False
    pictures, answer = handlers.compare("one", "two", gr.EventData(None, data), visitor())
    assert pictures == gr.skip()
    assert "our side" not in answer["error"] != ""
    assert not caplog.records


def test_damaged_weights_of_lpips_are_said(handlers, shoe, monkeypatch):
    def fail(*_pictures):
        raise UserError("lpips_weights", "{path} is not the backbone.", path="a.pth")

    monkeypatch.setattr("bicyclegan.ui.row.best_distance", lambda: Distance("lpips_x_v0", fail, lambda: True, ""))
    with pytest.raises(gr.Error, match="is not the backbone"):
        handlers.measure(asked(shoe), visitor())


def test_two_models_paint_the_same_style(handlers, root, shoe, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    pictures, answer = handlers.compare("one", "two", asked(shoe, z=CODES[0].tolist()), visitor())
    assert answer["error"] == ""
    for picture, name in zip(pictures, ("one", "two"), strict=True):
        [expected] = Pipeline.from_pretrained(root / name, device="cpu")(shoe, z=CODES[:1]).images
        assert np.abs(np.asarray(Image.open(picture)).astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize(("a", "b"), [("one", "short"), ("short", "one")])
def test_a_model_with_other_codes_is_named_before_anything_is_painted(handlers, shoe, monkeypatch, a, b):
    monkeypatch.setattr(handlers.studio, "look", None)
    pictures, answer = handlers.compare(a, b, asked(shoe, z=CODES[0].tolist()), visitor())
    assert pictures == gr.skip()
    assert "short takes styles of 3 numbers, this one has 8" in answer["error"]
    assert (
        "short 的风格由 3 个数组成"
        in handlers.compare(a, b, asked(shoe, z=CODES[0].tolist()), visitor("zh"))[1]["error"]
    )


def test_a_quota_is_passed_on(handlers, shoe, monkeypatch):
    def refuse(*_args):
        raise gr.Error("<b>Quota</b> used up")

    monkeypatch.setattr(handlers.studio, "look", refuse)
    assert handlers.compare("one", "two", asked(shoe, z=CODES[0].tolist()), visitor())[1]["error"] == "Quota used up"
    with pytest.raises(gr.Error, match="Quota"):
        handlers.measure(asked(shoe), visitor())


def test_nothing_of_a_question_stays_on_the_server(handlers):
    with gr.Blocks() as demo:
        build_compare(handlers.studio)
    assert not [block for block in demo.blocks.values() if isinstance(block, gr.State)]
    scripts = [function.js for function in demo.fns.values() if isinstance(function.js, str)]
    assert any("studio:measure-again" in script for script in scripts), "the page asks again"


def test_the_button_fetches_the_network_and_leaves(handlers, monkeypatch):
    wanted = []
    monkeypatch.setattr(compare, "download_backbone", wanted.append)
    assert handlers.fetch(visitor()).visible is False
    assert wanted == ["squeeze"]


def test_a_network_that_cannot_be_fetched_says_how_to_do_it_by_hand(handlers, monkeypatch, tmp_path):
    def fail(*_args, **_options):
        raise OSError("no route")

    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    monkeypatch.setattr("bicyclegan.metrics.distance.weights_path", lambda name: tmp_path / name)
    with pytest.raises(gr.Error, match="By hand: download https://"):
        handlers.fetch(visitor())
