"""A slider that never refuses."""

from __future__ import annotations

from typing import Any

import gradio as gr


class Knob(gr.Slider):
    """A slider whose number box may hold anything while somebody types: what is out of range counts as its end.

    Gradio's own raises an error then, before any handler runs, and shows the corrected number only later.
    """

    is_template = True  # Gradio: draw it as the class above

    def preprocess(self, payload: Any) -> float:
        """The number from the browser, moved to the slider's nearest step; its default for what is no number."""
        number = isinstance(payload, (int, float)) and not isinstance(payload, bool) and payload == payload
        value = payload if number else self.value
        inside = min(max(value, self.minimum), self.maximum)
        return round(self.minimum + round((inside - self.minimum) / self.step) * self.step, 6)
