"""Pickers of models: what can be chosen differs from browser to browser."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gradio as gr

from bicyclegan.errors import UserError
from bicyclegan.ui.studio import Studio

MAX_IDS = 100
"""Models of its own that one browser names."""


class Picker(gr.Dropdown):
    """A dropdown that takes whatever the browser chose; `Studio.folder` says what there is.

    Gradio's own refuses what is not among the choices that it remembers, which a restart makes it forget.
    """

    is_template = True  # Gradio: draw it as the class above

    def preprocess(self, payload: Any) -> str | None:
        """The chosen text; None for anything else."""
        return payload if isinstance(payload, str) else None


def model_choices(studio: Studio, ids: Iterable[Any] = ()) -> list[tuple[str, str]]:
    """(label, value) of all shared models, and of those with these ids that are here. Labels are different."""
    choices = {name: name for name in studio.names}
    for name in dict.fromkeys(id for id in ids if isinstance(id, str) and studio.models.has(id)):
        try:
            label = studio.label(name)
        except UserError:  # damaged: whoever chooses it would only be told so
            continue
        choices[_free(label, choices)] = name
    return list(choices.items())


def _free(label: str, taken: Iterable[str]) -> str:
    number, free = 1, label
    while free in taken:
        number += 1
        free = f"{label} ({number})"
    return free
