"""SketchCanvas on the Python side: what goes in and out, and that its script reaches the browser whole."""

from __future__ import annotations

import json
import re

import gradio as gr
import pytest

from bicyclegan.config import CheckpointConfig
from bicyclegan.ui.canvas import SketchCanvas, canvas_look

LINE = '{"version": 1, "size": 256, "strokes": [{"points": [[1, 2], [3, 4]]}], "raster": null}'


class Drawn:
    """Anything with `to_json`, as a Sketch has."""

    def to_json(self) -> str:
        return LINE


@pytest.mark.parametrize("payload", [LINE, "", "no JSON", "x" * 10_000_000])
def test_preprocess_hands_text_on_unchecked(payload):
    assert SketchCanvas().preprocess(payload) is payload


@pytest.mark.parametrize("payload", [None, 3, True, [LINE], {"version": 1}])
def test_preprocess_makes_none_of_everything_else(payload):
    assert SketchCanvas().preprocess(payload) is None


@pytest.mark.parametrize(("value", "sent"), [(None, ""), ("", ""), (LINE, LINE), (Drawn(), LINE)])
def test_postprocess_sends_sketch_json(value, sent):
    assert SketchCanvas().postprocess(value) == sent
    assert SketchCanvas(value=value).get_config()["value"] == sent


def test_postprocess_refuses_what_is_no_sketch():
    with pytest.raises(TypeError, match="not int"):
        SketchCanvas().postprocess(3)


def test_api_shows_a_string_with_a_valid_example():
    canvas = SketchCanvas()
    assert canvas.api_info()["type"] == "string"
    document = json.loads(canvas.example_payload())
    assert (document["version"], document["size"], document["strokes"][0]["tool"]) == (1, 256, "pen")
    assert canvas.example_value() == canvas.example_payload()


def test_properties_reach_the_browser_as_json():
    config = SketchCanvas(palette=("#000000", "#ff0000"), paper="#eeeeee", storage_key="k", hint="h").get_config()
    props = json.loads(json.dumps(config["props"]))
    assert props["palette"] == ["#000000", "#ff0000"]
    assert (props["paper"], props["storage_key"], props["hint"]) == ("#eeeeee", "k", "h")


def test_a_checkpoint_decides_how_its_canvas_looks(tiny_config):
    palette, names = ("#0000aa", "#0000ff"), ("background", "wall")
    config = CheckpointConfig(tiny_config, edge_style=None, palette=palette, palette_names=names, paper=palette[0])
    props = SketchCanvas(**canvas_look(config)).get_config()["props"]
    assert (props["palette"], props["names"], props["paper"]) == (list(palette), list(names), "#0000aa")
    assert props["resolution"] == tiny_config.image_size


def test_every_text_that_the_script_asks_for_exists_in_both_languages():
    config = SketchCanvas().get_config()
    source = config["html_template"] + config["js_on_load"]
    asked = set(re.findall(r'(?:data-text|data-label)="(\w+)"', source))
    asked |= set(re.findall(r'say\("(\w+)"', source)) | set(re.findall(r'"(undone|redone)"', source))
    asked |= set(re.findall(r"texts\.(\w+)", source)) | {"hint"}
    for texts in config["props"]["texts"].values():
        assert asked <= set(texts), asked - set(texts)
    assert len(asked) > 15


def test_templates_leave_nothing_for_gradio_to_fill_in():
    """Gradio evaluates both as templates on every change: a placeholder would rebuild the canvas being drawn on."""
    config = SketchCanvas().get_config()
    for template in (config["html_template"], config["css_template"]):
        assert "${" not in template and "{{" not in template and "`" not in template


def test_events_can_be_listened_to():
    with gr.Blocks() as blocks:
        canvas = SketchCanvas()
        canvas.input(lambda value: None, canvas, None)
        canvas.photo(lambda: None, None, None)
    targets = {event for each in blocks.fns.values() for _, event in each.targets}
    assert targets == {"input", "photo"}
