"""Panels: parts of the page that live in the browser and ask the server through the shelf's functions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from bicyclegan.ui.i18n import for_js

STATIC = Path(__file__).parent / "static"


UPLOAD = "upload.js"
"""Script before those of panels that send files: `uploadFiles`. Its texts are with those of all panels."""


def read_static(*names: str) -> str:
    """Files of `static/`, joined in this order."""
    return "\n".join((STATIC / name).read_text("utf-8") for name in names)


class Panel(gr.HTML):
    """Base of our panels: shared look and helpers before their own files.

    What a panel shows follows from `window.studio` in the browser (static/session.js), not from its value.
    """

    def __init__(
        self,
        html: str,
        css: str | Sequence[str],
        scripts: Sequence[str],
        texts: dict[str, dict[str, str]],
        **kwargs: Any,
    ):
        """
        Parameters:
            html, css: files in `static/`; the markup's outermost element has the class "panel".
            scripts: files in `static/`, run after panel.js as one function.
            texts: what `for_js` gives for the panel.
            kwargs: anything else that `gr.HTML` takes.
        """
        super().__init__(
            html_template=read_static(html),
            css_template=read_static("panel.css", *([css] if isinstance(css, str) else css)),
            js_on_load=read_static("panel.js", *scripts),
            apply_default_css=False,
            texts=texts,
            shared=for_js("panel"),
            **kwargs,
        )
