"""The wall of photos: many variations of one sketch side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from bicyclegan.ui.i18n import for_js
from bicyclegan.ui.panel import STATIC


class PhotoWall(gr.HTML):
    """Tiles with a large view and downloads.

    Its value is None at first, then {"tiles": [data URL], "seen": data URL, "status": str, "error": str | None,
    "request": {...}, "z": codes, "hash": str}; `request` is what `make_png` needs to paint a tile again.
    """

    def __init__(self, make_png: Callable[[dict], dict], **kwargs: Any):
        super().__init__(
            value=None,
            html_template=(STATIC / "wall.html").read_text("utf-8"),
            css_template=(STATIC / "wall.css").read_text("utf-8"),
            js_on_load=(STATIC / "wall.js").read_text("utf-8"),
            apply_default_css=False,
            server_functions=[make_png],
            texts=for_js("wall"),
            **kwargs,
        )

    def api_info(self) -> dict[str, Any]:
        """What the endpoint's callers get."""
        return {"type": "object", "description": "tiles: pictures as data URLs; error: a message or null"}
