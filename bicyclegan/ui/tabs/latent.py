"""The map: where the encoder puts photos, beside the drawing in the style of the point that was pressed."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Event, Thread
from typing import Any

import gradio as gr
import plotly.graph_objects as go

from bicyclegan.errors import UserError
from bicyclegan.own_photos import OwnPhotos, read_own_photos
from bicyclegan.photo_codes import THUMB_SIZE, make_sprite, sprite_columns
from bicyclegan.photo_files import open_photo_files
from bicyclegan.ui.i18n import error_text, for_js, i18n, language, plain_message, text
from bicyclegan.ui.map_answers import pack_floats
from bicyclegan.ui.panel import Panel
from bicyclegan.ui.studio import Studio
from bicyclegan.ui.tabs.draw import HIDDEN

BEGUN_JS = "(...given) => { window.dispatchEvent(new CustomEvent('studio:own-begun')); return given; }"
SHOWN_PROBLEMS = 3
"""Photos whose fault is told."""

log = logging.getLogger(__name__)


def build_map(studio: Studio, picker: gr.Dropdown) -> None:
    """Create the tab's parts: the picture on the left with its sliders, the map on the right."""
    with gr.Row(elem_classes="explore-page map-page"):
        with gr.Column(scale=5, min_width=280):
            Panel("stage.html", "stage.css", ["stage.js"], for_js("stage"), elem_id="map-stage")
            with gr.Accordion(i18n("explore.sliders"), open=False, elem_id="map-knobs"):
                Panel("sliders.html", "sliders.css", ["sliders.js"], for_js("sliders"), elem_id="map-sliders")
        with gr.Column(scale=7, min_width=280):
            scripts = ["map_plot.js", "map.js", "map_press.js", "map_readings.js"]
            Panel("map.html", "map.css", scripts, for_js("map"), elem_id="map")
            # A chart of Gradio brings Plotly to the page: the panel draws with it.
            gr.Plot(go.Figure(), show_label=False, container=False, elem_id="plotly-source")
            with gr.Accordion(i18n("app.own"), open=False, elem_id="own-photos"):
                _build_own(studio, picker)


def _build_own(studio: Studio, picker: gr.Dropdown) -> None:
    """Where somebody's own photos come in."""
    handlers = OwnHandlers(studio)
    gr.Markdown(i18n("own.note"), elem_classes="quiet")
    files = gr.File(
        file_count="multiple", file_types=["image", ".zip"], show_label=False, height=130, elem_id="own-files"
    )
    folder = gr.UploadButton(i18n("own.folder"), file_count="directory", size="sm", elem_id="own-folder")
    panel = Panel("own.html", "own.css", ["own.js"], for_js("own"), elem_id="own")
    events = [
        each.upload(
            handlers.read, [each, picker], panel, js=BEGUN_JS, concurrency_id="own", concurrency_limit=2, **HIDDEN
        )
        for each in (files, folder)
    ]
    for event in events:
        event.then(lambda: None, None, files, api_visibility="private", show_progress="hidden")
    panel.stop(None, None, None, cancels=events)


class OwnHandlers:
    """What happens on the server. Files are deleted once they are read; codes and thumbnails go to the page."""

    def __init__(self, studio: Studio):
        self.studio = studio

    def read(self, paths: list[str] | None, checkpoint: str, request: gr.Request) -> Iterator[dict[str, Any]]:
        """Read photos and tell of the progress; in the end their codes, or what was wrong."""
        lang = language(request)
        try:
            for news in self._read([Path(path) for path in paths or []], checkpoint):
                yield _news(**(_answer(self.studio, checkpoint, news, lang) if isinstance(news, OwnPhotos) else news))
        except UserError as error:
            yield _news(error=error_text(lang, error))
        except gr.Error as error:  # a shared GPU has a quota
            yield _news(error=plain_message(error))
        except Exception:
            log.exception("reading photos failed")
            yield _news(error=text(lang, "draw.failed"))

    def _read(self, paths: list[Path], checkpoint: str) -> Iterator[dict[str, int] | OwnPhotos]:
        """How far it is, then the photos. A thread reads, so that a page that is closed can end it."""
        pipe = self.studio.pipeline(checkpoint)
        told: Queue[Any] = Queue()
        stopped = Event()

        def progress(done: int, total: int) -> None:
            if stopped.is_set():
                raise _StoppedError
            told.put({"done": done, "total": total})

        def work() -> None:
            begun = []

            def encode(photos: list) -> tuple:
                begun.append(True)
                return self.studio.encode_photos(checkpoint, photos, again=len(begun) > 1)

            try:
                with open_photo_files(paths, [path.name for path in paths]) as files:
                    told.put(read_own_photos(pipe, files, encode, progress, self.studio.beside.turn))
            except BaseException as error:
                told.put(error)
            finally:
                for path in paths:
                    path.unlink(missing_ok=True)  # Gradio's own cleaning takes hours

        Thread(target=work, daemon=True).start()
        try:
            while isinstance(news := told.get(), dict):
                yield news
            if isinstance(news, BaseException):
                raise news
            yield news
        finally:
            stopped.set()


class _StoppedError(Exception):
    """Nobody waits any more."""


def _answer(studio: Studio, checkpoint: str, photos: OwnPhotos, lang: str) -> dict[str, Any]:
    with studio.beside.turn(again=True):
        sprite = base64.b64encode(make_sprite(photos.tiles)).decode("ascii")
    columns = sprite_columns(len(photos.tiles))
    return {
        "photos": {
            "checkpoint": checkpoint,
            "hash": studio.pipeline(checkpoint).hash,
            "names": list(photos.names),
            "codes": pack_floats(photos.mu),
            "logvar": pack_floats(photos.logvar),
            "sprite": {"url": f"data:image/webp;base64,{sprite}", "columns": columns, "size": THUMB_SIZE},
        },
        "left_out": photos.left_out,
        "problems": [error_text(lang, error) for error in photos.problems[:SHOWN_PROBLEMS]],
    }


def _news(**words: Any) -> dict[str, Any]:
    """For own.js. The stamp makes each one new."""
    nothing = {"done": 0, "total": 0, "photos": None, "error": "", "left_out": 0, "problems": []}
    return {**nothing, **words, "stamp": time.monotonic_ns()}
