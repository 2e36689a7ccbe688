"""The shelf: pinned styles and kept drawings at the foot of every tab, and the scripts' way to the server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bicyclegan.link import Session
from bicyclegan.matrix import MAX_STYLES
from bicyclegan.pins import MAX_PINS
from bicyclegan.sheet import MAX_ROWS
from bicyclegan.ui.i18n import for_js
from bicyclegan.ui.model_facts import model_facts
from bicyclegan.ui.panel import Panel, read_static
from bicyclegan.ui.studio import Studio
from bicyclegan.ui.uploaded import MAX_UPLOAD_BYTES
from bicyclegan.ui.wanted import MAX_PHOTO_BYTES, MAX_PHOTOS

HEAD = "<script>" + read_static("session.js", "session_models.js") + "</script>"
"""What all panels share, `window.studio`: there before any of them."""


LIMITS = {
    "rows": MAX_ROWS,
    "columns": MAX_STYLES,
    "pins": MAX_PINS,
    "photos": MAX_PHOTOS,
    "photo_bytes": MAX_PHOTO_BYTES,
    "upload_bytes": MAX_UPLOAD_BYTES,
}
"""How much the server takes, for scripts that refuse more before it is sent."""


class Shelf(Panel):
    """Stays on the page whatever tab is open, so the functions of all panels come through it.

    Its value tells the scripts of the model, see `shelf_value`. Events: `open`, when somebody came with a link;
    `event.text` is what the link carries. `use`, to switch to the model `event.checkpoint`.
    """

    def __init__(self, server_functions: list[Callable], value: dict[str, Any] | None = None, **kwargs: Any):
        super().__init__(
            "shelf.html",
            "shelf.css",
            ["shelf.js"],
            for_js("shelf"),
            value=value,
            server_functions=server_functions,
            session=for_js("session"),
            **kwargs,
        )


def shelf_value(studio: Studio, name: str, session: Session | None = None, error: str = "") -> dict[str, Any]:
    """The model called `name`, all that can be chosen, how much is taken, and the styles that a link brought."""
    return {
        "model": model_facts(studio, name),
        "models": studio.names,
        "limits": LIMITS,
        "restored": None if session is None else _restored(session),
        "error": error,
    }


def _restored(session: Session) -> dict[str, Any]:
    return {
        "z": None if session.z is None else session.z.tolist(),
        "pins": [pin.to_json() for pin in session.pins],
        "tab": session.tab,
        "stamp": time.monotonic_ns(),
    }
