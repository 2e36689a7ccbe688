"""Draw: canvas left, photos right, nothing to press."""

from __future__ import annotations

import base64
import html
import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from bicyclegan.config import CheckpointConfig
from bicyclegan.errors import UserError
from bicyclegan.images import encode_data_url, load_image
from bicyclegan.sketch import Sketch, with_detail
from bicyclegan.sketch.labels import is_label_map
from bicyclegan.ui.canvas import SketchCanvas, canvas_look
from bicyclegan.ui.i18n import error_text, i18n, language, plain_message, text
from bicyclegan.ui.knob import Knob
from bicyclegan.ui.strip import SketchStrip, thumbnails
from bicyclegan.ui.studio import Painting, Studio
from bicyclegan.ui.wall import PhotoWall
from bicyclegan.ui.wanted import Wanted

MAX_VARIATIONS = 16
PHOTO_SIZE = 512
"""Longest side in pixels of a photo while it waits for another level of detail."""
BUSY_JS = "(...values) => { window.dispatchEvent(new CustomEvent('studio:busy')); return values; }"
BUSY_IF_LIVE_JS = (
    "(live, ...values) => { if (live) window.dispatchEvent(new CustomEvent('studio:busy')); return [live, ...values]; }"
)
PHOTO_FAILED_JS = "() => { window.dispatchEvent(new CustomEvent('studio:photo-failed')); }"
DICE_JS = "() => Math.floor(Math.random() * 4294967296)"

log = logging.getLogger(__name__)


HIDDEN = {"api_visibility": "private", "show_progress": "hidden"}
"""Handlers that are no API and show no progress of their own: the wall has its bar."""
NEWEST = {"trigger_mode": "always_last", "concurrency_id": "paint", "concurrency_limit": 1}
"""While one wall is painted, only the newest change waits."""


@dataclass(frozen=True)
class DrawTab:
    """The tab's components."""

    canvas: SketchCanvas
    detail: gr.Slider
    """More or fewer lines; shown only after a photo was traced."""
    examples: SketchStrip
    wall: PhotoWall
    count: gr.Slider
    truncation: gr.Slider
    seed: gr.Number
    dice: gr.Button
    live: gr.Checkbox
    go: gr.Button
    """Paints on demand; shown only when live painting is off."""
    photo: gr.State
    """The photo that was traced last, a uint8 array, or None."""
    paint: dict[str, Any] = field(default_factory=dict)
    """What an event is told that ends in a new wall: `event.then(**paint)`."""


def build_draw(studio: Studio, picker: gr.Dropdown) -> DrawTab:
    """Create the tab's components and wire their events. picker: the page's checkpoint picker."""
    handlers = DrawHandlers(studio)
    with gr.Row(elem_classes="draw"):
        with gr.Column(scale=5, min_width=300):
            left = _paper(studio)
        with gr.Column(scale=7, min_width=300):
            right = _photos(handlers) | _knobs()
    tab = DrawTab(**left, **right, photo=gr.State(None, time_to_live=3600))
    _wire(tab, handlers, picker)
    return tab


def _paper(studio: Studio) -> dict[str, gr.components.Component]:
    """Canvas, detail slider, examples: all of the default checkpoint."""
    name = studio.names[0]
    config = studio.pipeline(name).config
    label, info = i18n("draw.detail"), i18n("draw.detail_info")
    return {
        "canvas": SketchCanvas(**canvas_look(config), elem_id="canvas"),
        "detail": Knob(-1, 1, 0, step=0.1, label=label, info=info, visible=False, elem_id="detail"),
        "examples": SketchStrip(thumbnails(studio.examples(name), config), elem_id="examples"),
    }


def _photos(handlers: DrawHandlers) -> dict[str, gr.components.Component]:
    def make_png(wanted: dict, request: gr.Request) -> dict[str, str]:  # Gradio marks it: a method cannot be marked
        return handlers.make_png(wanted, request)

    return {"wall": PhotoWall(make_png, elem_id="wall")}


def _knobs() -> dict[str, gr.components.Component]:
    """How many photos, how different, which ones, and when."""
    with gr.Row(elem_classes="knobs"):
        count = Knob(1, MAX_VARIATIONS, 8, step=1, label=i18n("draw.count"), min_width=140, elem_id="count")
        truncation = Knob(0, 2, 1, step=0.05, label=i18n("draw.variety"), min_width=140, elem_id="variety")
        with gr.Row(elem_classes="seed"):
            seed = gr.Number(0, label=i18n("draw.seed"), precision=0, min_width=90, elem_id="seed")
            dice = gr.Button(i18n("draw.dice"), size="sm", elem_id="dice", min_width=44)
    with gr.Row(elem_classes="live"):
        live = gr.Checkbox(True, label=i18n("draw.live"), container=False, elem_id="live")
        go = gr.Button(i18n("draw.go"), variant="primary", size="sm", visible=False, elem_id="go")
    return {"count": count, "truncation": truncation, "seed": seed, "dice": dice, "live": live, "go": go}


def _wire(tab: DrawTab, handlers: DrawHandlers, picker: gr.Dropdown) -> None:
    """Which change leads to what. Nearly everything ends in a new wall."""
    asked = [tab.canvas, picker, tab.count, tab.seed, tab.truncation]
    paint = {"fn": handlers.paint_now, "inputs": asked, "js": BUSY_JS}
    repaint = {"fn": handlers.repaint, "inputs": [tab.live, *asked], "js": BUSY_IF_LIVE_JS}
    for event in (paint, repaint):
        event |= {"outputs": tab.wall, **HIDDEN, **NEWEST}
    tab.paint.update(paint)
    # `change`, not `input`: the reset buttons, the dice and corrected numbers count too.
    gr.on([tab.canvas.input, tab.count.change, tab.seed.change, tab.truncation.change], **repaint)
    tab.dice.click(None, None, tab.seed, js=DICE_JS)
    tab.go.click(**paint)
    tab.live.input(handlers.show_go, tab.live, tab.go, **HIDDEN).then(**repaint)
    traced = [tab.canvas, tab.photo, tab.detail]
    tab.examples.select(handlers.load_example, picker, traced, **HIDDEN).then(**paint)
    photo = tab.canvas.photo(handlers.trace_photo, picker, traced, **HIDDEN)
    photo.success(**paint)
    photo.failure(None, None, None, js=PHOTO_FAILED_JS)
    again = [picker, tab.photo, tab.detail, tab.canvas]
    finer = tab.detail.input(handlers.trace_again, again, traced, trigger_mode="always_last", **HIDDEN)
    finer.success(**paint)


class DrawHandlers:
    """What happens on the server. Nothing of a visitor is kept here; everything that arrives is checked."""

    def __init__(self, studio: Studio):
        self.studio = studio

    def repaint(
        self,
        live: bool,
        drawing: str | None,
        checkpoint: str,
        count: float,
        seed: float,
        truncation: float,
        request: gr.Request,
    ) -> dict[str, Any]:
        """A new wall after a change, unless the person asked to wait for the button. Empty paper never waits."""
        if not live and drawing:
            return gr.skip()
        return self.paint_now(drawing, checkpoint, count, seed, truncation, request)

    def paint_now(
        self,
        drawing: str | None,
        checkpoint: str,
        count: float,
        seed: float,
        truncation: float,
        request: gr.Request,
    ) -> dict[str, Any]:
        """A new wall. Mistakes come back as its message; without a drawing it is empty."""
        numbers = {"count": count, "seed": seed, "truncation": truncation}
        wanted = {"sketch": drawing or "", "checkpoint": checkpoint, **numbers}
        lang = language(request)
        try:
            start = time.perf_counter()
            sketch = Wanted(wanted).sketch()
            painting = None if sketch.is_empty else self._paint(Wanted(wanted), sketch)
            milliseconds = 1000 * (time.perf_counter() - start)
        except UserError as error:
            return _bare_wall(error_text(lang, error))
        except gr.Error as error:  # a shared GPU has a quota
            return _bare_wall(plain_message(error))
        except Exception:
            log.exception("painting failed")
            return _bare_wall(text(lang, "draw.failed"))
        if painting is None:
            return _bare_wall()
        count = len(painting.images)
        status = text(lang, "draw.status" if count > 1 else "draw.status_one", count=count)
        return _full_wall(painting, wanted, status, milliseconds)

    def make_png(self, wanted: dict, request: gr.Request) -> dict[str, str]:
        """Paint the wall again and return one tile as PNG with its recipe: {"url", "name"} or {"error"}."""
        lang = language(request)
        try:
            asked = Wanted(wanted)
            wall = Wanted(asked.data.get("request"))
            painting = self._paint(wall, wall.drawing())
            index = asked.integer("index", 0, len(painting.images) - 1)
            name = f"{painting.checkpoint}-{painting.hash[:8]}-seed{painting.seed}-{index + 1}.png"
            return {"url": png_url(painting, index), "name": name}
        except UserError as error:
            return {"error": error_text(lang, error)}
        except gr.Error as error:
            return {"error": plain_message(error)}
        except Exception:
            log.exception("a download failed")
            return {"error": text(lang, "draw.failed")}

    def show_go(self, live: bool) -> gr.Button:
        """The button is there only for those who switched live painting off."""
        return gr.Button(visible=not live)

    def load_example(self, checkpoint: str, event: gr.EventData, request: gr.Request) -> tuple:
        """Put an example on the canvas."""
        try:
            examples = self.studio.examples(checkpoint)
            index = Wanted.of(event).integer("index", 0, len(examples) - 1)
        except UserError as error:
            raise _toast(error, request) from None
        return examples[index], None, gr.Slider(visible=False)

    def trace_photo(self, checkpoint: str, event: gr.EventData, request: gr.Request) -> tuple:
        """A photo's edges as the layer under the strokes; the photo is kept for another level of detail.

        Models without edges take the picture itself: a label map in the palette's colours.
        """
        try:
            called, data = Wanted.of(event).picture_file()
            picture = load_image(data, name=called)
            config = self.studio.pipeline(checkpoint).config
            if config.edge_style is None:
                return self._take(checkpoint, picture, config, request), None, gr.Slider(visible=False)
            photo = fit_photo(picture)
            lines = self._trace(checkpoint, photo, 0.0)
        except UserError as error:
            raise _toast(error, request) from None
        if not (lines == 0).any():
            warn(text(language(request), "draw.no_lines"), request)
        return Sketch.from_raster(lines), photo, gr.Slider(value=0, visible=True)

    def trace_again(
        self, checkpoint: str, photo: np.ndarray | None, detail: float, drawing: str | None, request: gr.Request
    ) -> tuple:
        """The same photo with more or fewer lines, under the same strokes. Where it was cleared away, it stays away."""
        try:
            sketch = Sketch.from_json(drawing) if drawing else Sketch()
            if photo is None or sketch.raster is None:
                return gr.skip(), None, gr.Slider(visible=False)
            lines = Sketch.from_raster(self._trace(checkpoint, photo, detail))
        except UserError as error:
            raise _toast(error, request) from None
        return replace(sketch, raster=lines.raster), gr.skip(), gr.skip()

    def _paint(self, wanted: Wanted, sketch: Sketch) -> Painting:
        count, truncation = wanted.integer("count", 1, MAX_VARIATIONS), wanted.data.get("truncation")
        return self.studio.paint(wanted.data.get("checkpoint"), sketch, count, wanted.seed(), truncation)

    def _take(self, checkpoint: str, picture: Image.Image, config: CheckpointConfig, request: gr.Request) -> Sketch:
        """A picture as the drawing. A photo in place of a label map is taken too, but its pictures will disappoint."""
        if config.takes_label_maps and not is_label_map(picture, config.palette):
            warn(text(language(request), "draw.no_labels"), request)
        return self.studio.read_drawing(checkpoint, picture)

    def _trace(self, checkpoint: str, photo: np.ndarray, detail: float) -> np.ndarray:
        style = self.studio.pipeline(checkpoint).config.edge_style
        return self.studio.edges(checkpoint, photo, style and with_detail(style, detail))


def fit_photo(photo: Image.Image) -> np.ndarray:
    """A photo as an RGB array whose sides are at most PHOTO_SIZE px, small enough to wait in memory."""
    photo.thumbnail((PHOTO_SIZE, PHOTO_SIZE), Image.Resampling.LANCZOS)
    return np.asarray(photo)


def _full_wall(painting: Painting, wanted: dict[str, Any], status: str, milliseconds: float) -> dict[str, Any]:
    return {
        "tiles": [encode_data_url(image, "webp", quality=90) for image in painting.images],
        "z": painting.z.tolist(),
        "hash": painting.hash,
        "seen": encode_data_url(Image.fromarray(painting.raster), "png"),
        "status": status,
        "error": None,
        "request": wanted,
        "server_ms": round(milliseconds),
        "stamp": time.monotonic_ns(),
    }


def _bare_wall(error: str | None = None) -> dict[str, Any]:
    """No pictures. The stamp makes it new: the page does not notice a value equal to the last one."""
    stamp = time.monotonic_ns()
    return {"tiles": [], "seen": "", "status": "", "error": error, "request": None, "server_ms": 0, "stamp": stamp}


def png_url(painting: Painting, index: int) -> str:
    """A picture with its recipe inside, as a data URL."""
    png = painting.recipe(index).to_png(painting.images[index])
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _toast(error: UserError, request: gr.Request) -> gr.Error:
    """A mistake in the corner of the page, in the reader's language. Toasts render HTML: names must not."""
    lang = language(request)
    message = html.escape(error_text(lang, error))
    return gr.Error(message, title=text(lang, "draw.not_possible"), print_exception=False)


def warn(message: str, request: gr.Request) -> None:
    """A hint in the corner of the page."""
    gr.Warning(html.escape(message), title=text(language(request), "draw.note"))
