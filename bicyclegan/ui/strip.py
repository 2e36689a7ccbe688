"""A row of example sketches to start from."""

from __future__ import annotations

from typing import Any

import gradio as gr
from PIL import Image

from bicyclegan.images import encode_data_url
from bicyclegan.sketch import Sketch
from bicyclegan.ui.i18n import for_js
from bicyclegan.ui.panel import STATIC

THUMB_SIZE = 88
"""Side of a thumbnail in pixels: sharp at 44 CSS pixels on a double-density screen."""


class SketchStrip(gr.HTML):
    """Thumbnails of sketches; `select` reports `event.index`. Its value is a list of sketches."""

    def __init__(self, value: list[Sketch] | None = None, **kwargs: Any):
        super().__init__(
            value=value,
            html_template=(STATIC / "strip.html").read_text("utf-8"),
            css_template=(STATIC / "strip.css").read_text("utf-8"),
            js_on_load=(STATIC / "strip.js").read_text("utf-8"),
            apply_default_css=False,
            texts=for_js("strip"),
            **kwargs,
        )

    def postprocess(self, value: list[Sketch] | None) -> list[str]:
        """Sketches as small PNG data URLs."""
        return [thumbnail(sketch) for sketch in value or []]


def thumbnail(sketch: Sketch) -> str:
    """A sketch as a small PNG data URL, softened from twice the size."""
    raster = Image.fromarray(sketch.rasterise(2 * THUMB_SIZE))
    return encode_data_url(raster.resize((THUMB_SIZE, THUMB_SIZE), Image.Resampling.LANCZOS), "png")
