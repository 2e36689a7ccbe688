"""Compare: drawings times styles in one table, numbers of its rows, and one model against another."""

from __future__ import annotations

import html
import logging
import time
from dataclasses import dataclass

import gradio as gr
import numpy as np

from bicyclegan.errors import UserError
from bicyclegan.images import encode_data_url
from bicyclegan.matrix import MAX_STYLES
from bicyclegan.metrics.distance import download_backbone
from bicyclegan.metrics.spread import distance_figure, variation_map, variation_picture
from bicyclegan.pins import MAX_DIM
from bicyclegan.ui.cached_picture import cached_picture
from bicyclegan.ui.i18n import error_text, for_js, i18n, language, plain_message, text
from bicyclegan.ui.panel import Panel
from bicyclegan.ui.picker import Picker
from bicyclegan.ui.row import Row, measure_row
from bicyclegan.ui.studio import Studio
from bicyclegan.ui.tabs.draw import HIDDEN
from bicyclegan.ui.wanted import Wanted

IN_ORDER = {"trigger_mode": "multiple", "concurrency_id": "compare", "concurrency_limit": 1}
"""One after the other. Not `always_last`: Gradio's 6.31 sends the data of an older event with the last one."""
COMPARE_JS = "() => { window.dispatchEvent(new CustomEvent('studio:compare')); }"
SHOW_NUMBERS_JS = (
    "() => { document.querySelector('#numbers')?.scrollIntoView({ block: 'nearest', behavior: 'smooth' }); }"
)
MEASURE_AGAIN_JS = "() => { window.dispatchEvent(new CustomEvent('studio:measure-again')); }"
BACKBONE = "squeeze"
"""Network of LPIPS that the button fetches: 5 MB, where the one that the paper recommends has 233."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Numbers:
    """What is shown of the row that somebody asked about."""

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
    shown = [numbers.box, numbers.text, numbers.figure, numbers.variation, numbers.fetch]
    measured = matrix.measure(handlers.measure, None, shown, **HIDDEN, **IN_ORDER)
    measured.success(None, None, None, js=SHOW_NUMBERS_JS)
    fetched = numbers.fetch.click(handlers.fetch, None, numbers.fetch, api_visibility="private")
    fetched.success(None, None, None, js=MEASURE_AGAIN_JS)
    return _models(studio, handlers)


def _numbers() -> Numbers:
    with gr.Group(visible=False, elem_classes="numbers", elem_id="numbers") as box:
        summary = gr.HTML(apply_default_css=False, elem_classes="summary")
        with gr.Row(elem_classes="charts"):
            figure = gr.Plot(show_label=False, container=False, elem_id="distances")
            variation = gr.HTML(apply_default_css=False, elem_id="variation")
        fetch = gr.Button(i18n("compare.fetch"), visible=False, size="sm", elem_id="fetch")
    return Numbers(box, summary, figure, variation, fetch)


def _models(studio: Studio, handlers: CompareHandlers) -> dict[str, gr.Dropdown]:
    """One drawing and style, painted by two models, with a line to drag between them."""
    names = studio.names
    with gr.Accordion(i18n("compare.models"), open=False, elem_classes="models", elem_id="models"):
        with gr.Row(elem_classes="pair"):
            a = Picker(names, value=names[0], label=i18n("compare.a"), elem_id="model-a", min_width=120)
            b = Picker(names, value=names[1 % len(names)], label=i18n("compare.b"), elem_id="model-b", min_width=120)
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
        """How far the pictures of a row are from each other, pair by pair and on average, and where they differ."""
        lang = language(request)
        try:
            wanted = Wanted.of(event)
            name, number = wanted.text("checkpoint"), wanted.integer("row", 1, 99)
            codes = wanted.codes("z", self.studio.pipeline(name).config.model.latent_dim, limit=MAX_STYLES)
            row = measure_row(self.studio, name, wanted.sketch(), codes)
        except UserError as error:
            raise gr.Error(html.escape(error_text(lang, error)), print_exception=False) from None
        return self._shown(row, number, lang)

    def _shown(self, row: Row, number: int, lang: str) -> tuple:
        """Updates of all parts of `Numbers`. number: of the row in the table, from 1."""
        count, rough = len(row.images), row.metric == "RGB"
        words = {"row": number, "count": count, "metric": row.metric, "value": f"{row.mean:.3f}"}
        variation = encode_data_url(variation_picture(variation_map(row.images)), "png")
        return (
            gr.Group(visible=True),
            f"<h4>{text(lang, 'compare.row', **words)}</h4><p>{text(lang, 'compare.diversity', **words)}</p>"
            + (f"<p>{text(lang, 'compare.rgb')}</p>" if rough else ""),
            distance_figure(row.distances, [str(k + 1) for k in range(count)], row.metric),
            _picture(variation, text(lang, "compare.variation")),
            gr.Button(visible=rough),
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
            wanted = Wanted.of(event)
            codes = {name: self._code(wanted, name) for name in (a, b)}  # both, before any is painted
            sketch = wanted.sketch()
            pictures = tuple(cached_picture(self.studio.look(name, sketch, codes[name])[0]) for name in (a, b))
        except UserError as error:
            return _not_compared(error_text(lang, error))
        except gr.Error as error:  # a shared GPU has a quota
            return _not_compared(plain_message(error))
        except Exception:
            log.exception("comparing failed")
            return _not_compared(text(lang, "draw.failed"))
        return pictures, {"error": "", "stamp": time.monotonic_ns()}

    def _code(self, wanted: Wanted, name: str) -> np.ndarray:
        """The style (1, D), where the model called `name` takes it."""
        dim, found = self.studio.pipeline(name).config.model.latent_dim, len(wanted.items("z", MAX_DIM))
        if found != dim:
            raise UserError(
                "compare_dim",
                "{name} takes styles of {expected} numbers, this one has {found}. Choose another model or style.",
                name=self.studio.label(name),
                expected=dim,
                found=found,
            )
        return wanted.code("z", dim)[None]


def _not_compared(why: str) -> tuple:
    return gr.skip(), {"error": why, "stamp": time.monotonic_ns()}


def _picture(source: str, caption: str) -> str:
    return f'<figure><img src="{source}" alt=""><figcaption>{html.escape(caption)}</figcaption></figure>'
