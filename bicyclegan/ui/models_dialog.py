"""Models: a dialog behind the picker with all that this browser can use, and what can be brought from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import gradio as gr

from bicyclegan.ui.i18n import for_js
from bicyclegan.ui.panel import UPLOAD, Panel
from bicyclegan.ui.picker import MAX_IDS, Picker, model_choices
from bicyclegan.ui.studio import Studio
from bicyclegan.ui.tabs.draw import HIDDEN
from bicyclegan.ui.wanted import Wanted

IN_ORDER = {"trigger_mode": "multiple", "concurrency_id": "models", "concurrency_limit": 1}
"""One after the other, so that the newest list stays."""


def build_models() -> Panel:
    """Create the button and its dialog. Event: `refresh`, when other models may be chosen; `event.mine` are ids."""
    return Panel(
        "models.html",
        "models.css",
        [UPLOAD, "models.js", "models_rows.js", "models_add.js"],
        for_js("models"),
        elem_id="models-panel",
    )


def wire_models(studio: Studio, panel: Panel, pickers: Sequence[Picker]) -> None:
    """Let all pickers follow what this browser knows. The page's own picker comes first."""
    handlers = ModelsHandlers(studio)
    shown = [*pickers, panel]
    panel.refresh(handlers.refresh, [*pickers], shown, **HIDDEN, **IN_ORDER)


class ModelsHandlers:
    """What happens on the server."""

    def __init__(self, studio: Studio):
        self.studio = studio

    def refresh(self, page: str | None, a: str | None, b: str | None, event: gr.EventData) -> tuple:
        """Choices of all pickers; a picker of Compare whose model is gone gets the first one.

        The panel learns what each of this browser's models is called. What the page does without the model in use is
        up to its script: much more than a picker follows from it.
        """
        mine = Wanted.of(event).items("mine", MAX_IDS + 1, least=0)
        choices = model_choices(self.studio, [*mine, page, a, b])
        known = {value: label for label, value in choices}
        first = choices[0][1]
        pair = [_choices(choices) if each in known else _choices(choices, first) for each in (a, b)]
        told = {id: known[id] for id in mine if isinstance(id, str) and id in known}
        return _choices(choices), *pair, {"labels": told, "stamp": time.monotonic_ns()}


def _choices(choices: list[tuple[str, str]], value: str | None = None) -> gr.Dropdown:
    changed: dict[str, Any] = {} if value is None else {"value": value}
    return gr.Dropdown(choices=choices, **changed)
