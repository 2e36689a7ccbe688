"""Explore: one drawing, one style, and every way to change it. All of it happens in the browser's panels."""

from __future__ import annotations

import gradio as gr

from bicyclegan.ui.i18n import for_js, i18n
from bicyclegan.ui.panel import Panel


def build_explore() -> None:
    """Create the tab's panels: the picture on the left, the ways to another style on the right."""
    with gr.Row(elem_classes="explore-page"):
        with gr.Column(scale=5, min_width=280):
            Panel("stage.html", "stage.css", ["stage.js"], for_js("stage"), elem_id="stage")
        with gr.Column(scale=7, min_width=280), gr.Tabs(elem_id="ways"):
            with gr.Tab(i18n("explore.sliders"), id="sliders"):
                Panel("sliders.html", "sliders.css", ["sliders.js"], for_js("sliders"), elem_id="sliders")
            with gr.Tab(i18n("explore.sweep"), id="sweep"):
                Panel("sweep.html", "sweep.css", ["sweep.js"], for_js("sweep"), elem_id="sweep")
            with gr.Tab(i18n("explore.blend"), id="blend"):
                Panel("blend.html", "blend.css", ["blend.js"], for_js("blend"), elem_id="blend")
            with gr.Tab(i18n("explore.match"), id="match"):
                Panel("match.html", "match.css", ["match.js"], for_js("match"), elem_id="match")
            with gr.Tab(i18n("explore.breed"), id="breed"):
                Panel("breed.html", "breed.css", ["breed.js"], for_js("breed"), elem_id="breed")
