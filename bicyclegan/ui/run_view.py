"""What a person sees of a run while a model learns: how far it is, what it paints, its curves."""

from __future__ import annotations

import gradio as gr
import plotly.graph_objects as go

from bicyclegan.ui.i18n import for_js
from bicyclegan.ui.panel import Panel


def build_run_view() -> Panel:
    """The view. Which run it shows, a script says with the event `studio:run`: see static/run_view.js."""
    scripts = ["run_charts.js", "run_samples.js", "run_view.js"]
    view = Panel("run_view.html", "run_view.css", scripts, for_js("run"), elem_id="run-view")
    # A chart of Gradio brings Plotly to the page: the panel draws with it.
    gr.Plot(go.Figure(), show_label=False, container=False, elem_id="run-plotly-source")
    return view
