"""The drawing canvas as a Gradio component. What happens in the browser is in `static/canvas*`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from bicyclegan.config import CheckpointConfig
from bicyclegan.sketch.strokes import CANVAS_SIZE
from bicyclegan.ui.i18n import for_js

_STATIC = Path(__file__).parent / "static"
_SCRIPTS = ("sketch.js", "canvas_labels.js", "canvas.js", "canvas_paint.js", "canvas_tools.js")
_EXAMPLE = (
    '{"version": 1, "size": 256, "strokes": [{"tool": "pen", "width": 2.0, "color": 0, '
    '"points": [[40, 200], [216, 200]], "mirror": false}], "raster": null}'
)


class SketchCanvas(gr.HTML):
    """A square of paper that people draw on. Its value is Sketch JSON, and "" when nothing is drawn.

    Events: `input`, once per stroke, undo, redo and clear, and once when a draft comes back after a reload,
    never when Python sets the value; `photo`, when a person picks, pastes or drops a picture, with the file's own
    bytes in `event.data_url` and its `event.name`. The canvas does not show photos: answer with a value.

    The value comes from the browser and is not checked here: `Sketch.from_json` does that in the handler.
    """

    def __init__(
        self,
        value: Any = None,
        palette: Sequence[str] = ("#000000",),
        paper: str = "#ffffff",
        storage_key: str = "bicyclegan.draft",
        hint: str = "hint",
        names: Sequence[str] = (),
        resolution: int = CANVAS_SIZE,
        **kwargs: Any,
    ):
        """
        Parameters:
            value: what is drawn at first: Sketch JSON, an object with `to_json()`, or None.
            palette: colours a person may draw with, '#rrggbb'; with more than one label maps are drawn: there are
                swatches, wider pens, rectangles and fills, and hard pixels.
            paper: colour of the empty canvas and of the eraser.
            storage_key: name of the draft in the browser's local storage; each canvas of an app needs its own.
            hint: text on the empty canvas, a key below `canvas.` in the locale files; label maps have their own.
            names: what the colours are called, one for each or none.
            resolution: side in pixels of label maps, the model's: painted in those, they are what it will see.
            kwargs: anything else that `gr.HTML` takes.
        """
        # An update, `SketchCanvas(palette=...)` returned by a handler, reads these as attributes. It replaces
        # all properties in the browser by those it names; the script keeps those it was not given.
        self.palette = list(palette)
        self.paper = paper
        self.storage_key = storage_key
        self.hint = hint
        self.names = list(names)
        self.resolution = resolution
        super().__init__(
            value=value,
            html_template=(_STATIC / "canvas.html").read_text("utf-8"),
            css_template=(_STATIC / "canvas.css").read_text("utf-8"),
            js_on_load="\n".join((_STATIC / name).read_text("utf-8") for name in _SCRIPTS),
            apply_default_css=False,
            palette=self.palette,
            paper=paper,
            storage_key=storage_key,
            hint=hint,
            names=self.names,
            resolution=resolution,
            texts=for_js("canvas"),
            **kwargs,
        )

    def preprocess(self, payload: Any) -> str | None:
        """What the handler gets: the text as the browser sent it, unchecked; None for anything but text."""
        return payload if isinstance(payload, str) else None

    def postprocess(self, value: Any) -> str:
        """What the browser gets: Sketch JSON, "" for None. Raises `TypeError` for what is neither text nor sketch."""
        if value is None or isinstance(value, str):
            return value or ""
        if hasattr(value, "to_json"):
            return value.to_json()
        raise TypeError(f"SketchCanvas takes Sketch JSON, a Sketch or None, not {type(value).__name__}")

    def api_info(self) -> dict[str, Any]:
        """How the value is described to callers of the HTTP API."""
        return {"type": "string", "description": 'Sketch JSON, coordinates from 0 to 256; "" is an empty canvas'}

    def example_payload(self) -> str:
        """A value for the API page."""
        return _EXAMPLE

    def example_value(self) -> str:
        """A value for the API page."""
        return _EXAMPLE


def canvas_look(config: CheckpointConfig) -> dict[str, Any]:
    """What of a checkpoint decides how its canvas looks: arguments of `SketchCanvas`."""
    return {
        "palette": config.palette,
        "paper": config.paper,
        "names": config.palette_names,
        "resolution": config.model.image_size,
    }
