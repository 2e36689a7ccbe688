"""Train: from somebody's pictures to a model in every tab. Runs are processes of their own; the tab only watches.

Beside one's own runs stands the pitfall lab, whose runs are there to fail.
"""

from __future__ import annotations

import gradio as gr

from bicyclegan.ui.i18n import for_js, i18n
from bicyclegan.ui.lab_view import build_lab
from bicyclegan.ui.panel import UPLOAD, Panel
from bicyclegan.ui.run_view import build_run_view


def build_train() -> None:
    """Create the tab's parts: runs and a new one above, the run that is looked at below; the lab behind a switch."""
    with gr.Tabs(elem_id="train-ways"):
        with gr.Tab(i18n("train.runs"), id="runs"), gr.Column(elem_classes="train-page"):
            scripts = [UPLOAD, "train.js", "train_setup.js", "train_options.js"]
            Panel("train.html", "train.css", scripts, for_js("train"), elem_id="train")
            build_run_view()
        with gr.Tab(i18n("train.lab"), id="lab"):
            build_lab()
