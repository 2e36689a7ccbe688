"""Compare: drawings times styles in one table, numbers of its rows, and one model against another."""

from __future__ import annotations

import html
import logging
import time
from dataclasses import dataclass
from typing import Any

import gradio as gr

from bicyclegan.errors import UserError
from bicyclegan.images import encode_data_url
from bicyclegan.matrix import MAX_STYLES
from bicyclegan.metrics.distance import RGB, best_distance, download_backbone
from bicyclegan.metrics.spread import (
    distance_figure,
    mean_distance,
    pairwise_distances,
    variation_map,
    variation_picture,
)
from bicyclegan.ui.i18n import error_text, for_js, i18n, language, text
from bicyclegan.ui.model_facts import metric_label
from bicyclegan.ui.panel import Panel
from bicyclegan.ui.studio import Studio
from bicyclegan.ui.wanted import Wanted

HIDDEN = {"api_visibility": "private", "show_progress": "hidden"}
IN_ORDER = {"trigger_mode": "multiple", "concurrency_id": "compare", "concurrency_limit": 1}
"""One after the other. Not `always_last`: Gradio's 6.31 sends the data of an older event with the last one."""
COMPARE_JS = "() => { window.dispatchEvent(new CustomEvent('studio:compare')); }"
BACKBONE = "squeeze"
"""Network of LPIPS that the button fetches: 5 MB, where the one that the paper recommends has 233."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Numbers:
    """What is shown of the row that somebody asked about."""

    asked: gr.State
    """The question, to be measured again when better numbers can be had."""
    box: gr.Group
    text: gr.HTML
    figure: gr.Plot
    variation: gr.HTML
    fetch: gr.Button
    """Shown only while nothing better than RGB can be measured."""


def build_compare(studio: Studio) -> dict[str, gr.Dropdown]:
    """Create the tab's parts and wire them. Returns the pickers of the two models, whose choices may change."""
    handlers = CompareHandlers(studio)
    matrix = Panel(
        "matrix.html",
        "matrix.css",
        ["matrix_plan.js", "matrix.js", "matrix_menus.js"],
        for_js("matrix"),
        elem_id="matrix",
    )
    numbers = _numbers()
    shown = [numbers.asked, numbers.box, numbers.text, numbers.figure, numbers.variation, numbers.fetch]
    matrix.measure(handlers.measure, None, shown, **HIDDEN, **IN_ORDER)
    fetched = numbers.fetch.click(handlers.fetch, None, numbers.fetch, api_visibility="private")
    fetched.success(handlers.measure_again, numbers.asked, shown, **HIDDEN, **IN_ORDER)
    return _models(studio, handlers)


def _numbers() -> Numbers:
    with gr.Group(visible=False, elem_classes="numbers", elem_id="numbers") as box:
        summary = gr.HTML(apply_default_css=False, elem_classes="summary")
        with gr.Row(elem_classes="charts"):
            figure = gr.Plot(show_label=False, container=False, elem_id="distances")
            variation = gr.HTML(apply_default_css=False, elem_id="variation")
        fetch = gr.Button(i18n("compare.fetch"), visible=False, size="sm", elem_id="fetch")
    return Numbers(gr.State(None, time_to_live=3600), box, summary, figure, variation, fetch)


def _models(studio: Studio, handlers: CompareHandlers) -> dict[str, gr.Dropdown]:
    """One drawing and style, painted by two models, with a line to drag between them."""
    names = studio.names
    with gr.Accordion(i18n("compare.models"), open=False, elem_classes="models", elem_id="models"):
        with gr.Row(elem_classes="pair"):
            a = gr.Dropdown(names, value=names[0], label=i18n("compare.a"), elem_id="model-a", min_width=120)
            b = gr.Dropdown(
                names, value=names[1 % len(names)], label=i18n("compare.b"), elem_id="model-b", min_width=120
            )
        panel = Panel("ab.html", "ab.css", ["ab.js"], for_js("ab"), elem_id="ab")
        slider = gr.ImageSlider(
            show_label=False, container=False, interactive=False, buttons=["fullscreen"], elem_id="ab-slider"
        )
    panel.compare(handlers.compare, [a, b], [slider, panel], **HIDDEN, **IN_ORDER)
    gr.on([a.input, b.input], None, None, None, js=COMPARE_JS)
    return {"a": a, "b": b}


class CompareHandlers:
    """What happens on the server. Everything that arrives is checked; nothing of a visitor is kept here."""

    def __init__(self, studio: Studio):
        self.studio = studio

    def measure(self, event: gr.EventData, request: gr.Request) -> tuple:
        """Numbers of a row that was just asked about."""
        return self.measure_again(dict(event._data), request)

    def measure_again(self, asked: dict[str, Any] | None, request: gr.Request) -> tuple:
        """How far the pictures of a row are from each other, pair by pair and on average, and where they differ."""
        lang = language(request)
        try:
            wanted = Wanted(asked)
            name, row = wanted.text("checkpoint"), wanted.integer("row", 1, 99)
            dim = self.studio.pipeline(name).config.model.latent_dim
            codes = wanted.codes("z", dim, limit=MAX_STYLES)
            images = self.studio.paint_codes(name, wanted.sketch(), codes).images
        except UserError as error:
            raise gr.Error(html.escape(error_text(lang, error)), print_exception=False) from None
        distance = best_distance()
        matrix = pairwise_distances(images, distance)
        label = metric_label(distance.name)
        words = {"row": row, "count": len(images), "metric": label, "value": f"{mean_distance(matrix):.3f}"}
        return (
            asked,
            gr.Group(visible=True),
            f"<h4>{text(lang, 'compare.row', **words)}</h4><p>{text(lang, 'compare.diversity', **words)}</p>"
            + (f"<p>{text(lang, 'compare.rgb')}</p>" if distance is RGB else ""),
            distance_figure(matrix, [str(k + 1) for k in range(len(images))], label),
            _picture(encode_data_url(variation_picture(variation_map(images)), "png"), text(lang, "compare.variation")),
            gr.Button(visible=distance is RGB),
        )

    def fetch(self, request: gr.Request, progress: gr.Progress = gr.Progress(track_tqdm=True)) -> gr.Button:  # noqa: B008
        """Download LPIPS' small network, with a bar; what fails says how to do it by hand."""
        try:
            download_backbone(BACKBONE)
        except UserError as error:
            raise gr.Error(html.escape(error_text(language(request), error)), print_exception=False) from None
        return gr.Button(visible=False)

    def compare(self, a: str, b: str, event: gr.EventData, request: gr.Request) -> tuple:
        """The same drawing and code by two models."""
        lang = language(request)
        try:
            wanted = Wanted(dict(event._data))
            sketch, code = wanted.sketch(), wanted.items("z", 4096)
            pictures = tuple(self.studio.paint_codes(name, sketch, [code]).images[0] for name in (a, b))
        except UserError as error:
            return gr.skip(), {"error": error_text(lang, error), "stamp": time.monotonic_ns()}
        except Exception:
            log.exception("comparing failed")
            return gr.skip(), {"error": text(lang, "draw.failed"), "stamp": time.monotonic_ns()}
        return pictures, {"error": "", "stamp": time.monotonic_ns()}


def _picture(source: str, caption: str) -> str:
    return f'<figure><img src="{source}" alt=""><figcaption>{html.escape(caption)}</figcaption></figure>'
