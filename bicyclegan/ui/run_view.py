"""What a person sees of a run while a model learns: how far it is, what it paints, what ails it, its curves."""

from __future__ import annotations

import gradio as gr
import plotly.graph_objects as go

from bicyclegan.ui.i18n import for_js, joined
from bicyclegan.ui.panel import Panel

WATCHING = ("run_news.js", "small_chart.js", "doctor.js")
"""Scripts of a panel that watches runs and shows what the doctor finds; their look is that of `doctor.css`."""
WATCHING_TEXTS = for_js("doctor")
"""What they say."""


def build_run_view() -> Panel:
    """The view. Which run it shows, a script says with the event `studio:run`: see static/run_view.js."""
    scripts = [*WATCHING, "run_charts.js", "run_samples.js", "run_doctor.js", "run_view.js"]
    styles = ["doctor.css", "run_view.css"]
    texts = joined(for_js("run"), for_js("sheet"), WATCHING_TEXTS)
    view = Panel("run_view.html", styles, scripts, texts, elem_id="run-view")
    # A chart of Gradio brings Plotly to the page: the panel draws with it.
    gr.Plot(go.Figure(), show_label=False, container=False, elem_id="run-plotly-source")
    return view
