"""A row of example sketches to start from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from PIL import Image

from bicyclegan.config import CheckpointConfig
from bicyclegan.images import encode_data_url
from bicyclegan.sketch import Sketch
from bicyclegan.ui.i18n import for_js
from bicyclegan.ui.panel import STATIC

THUMB_SIZE = 88
"""Side of a thumbnail in pixels: sharp at 44 CSS pixels on a double-density screen."""


class SketchStrip(gr.HTML):
    """Thumbnails of sketches; `select` reports `event.index`. Its value is a list of pictures, see `thumbnails`."""

    def __init__(self, value: list[str] | None = None, **kwargs: Any):
        super().__init__(
            value=value,
            html_template=(STATIC / "strip.html").read_text("utf-8"),
            css_template=(STATIC / "strip.css").read_text("utf-8"),
            js_on_load=(STATIC / "strip.js").read_text("utf-8"),
            apply_default_css=False,
            texts=for_js("strip"),
            **kwargs,
        )

    def postprocess(self, value: list[str] | None) -> list[str]:
        """Pictures as data URLs."""
        return value or []


def thumbnails(sketches: Sequence[Sketch], config: CheckpointConfig) -> list[str]:
    """A checkpoint's examples as small PNG data URLs."""
    return [thumbnail(sketch, config) for sketch in sketches]


def thumbnail(sketch: Sketch, config: CheckpointConfig) -> str:
    """A sketch in a checkpoint's colours as a small PNG data URL.

    Lines are softened from twice the size. Areas are those that the model sees: at another size a fill may find a gap.
    """
    size = config.model.image_size if config.edge_style is None else 2 * THUMB_SIZE
    raster = Image.fromarray(sketch.rasterise(size, palette=config.palette, paper=config.paper))
    return encode_data_url(raster.resize((THUMB_SIZE, THUMB_SIZE), Image.Resampling.LANCZOS), "png")
