"""Opening a model or a link: what changes on all tabs at once."""

from __future__ import annotations

import gradio as gr

from bicyclegan.checkpoints import load_card
from bicyclegan.errors import UserError
from bicyclegan.link import Session, unpack
from bicyclegan.ui.canvas import SketchCanvas
from bicyclegan.ui.i18n import error_text, language, text
from bicyclegan.ui.shelf import Shelf, shelf_value
from bicyclegan.ui.studio import Studio
from bicyclegan.ui.tabs.draw import BUSY_JS, HIDDEN, DrawTab, warn


def wire_opening(studio: Studio, draw: DrawTab, picker: gr.Dropdown, card: gr.Markdown, shelf: Shelf) -> None:
    """Choosing another model and coming with a link both change the page as a whole, then paint."""
    handlers = OpeningHandlers(studio)
    page = [picker, draw.canvas, draw.examples, card, shelf]
    knobs = [draw.seed, draw.count, draw.truncation]
    picker.input(handlers.choose, picker, page, **HIDDEN).then(**draw.paint)
    shelf.open(handlers.open_link, picker, [*page, *knobs], js=BUSY_JS, **HIDDEN).then(**draw.paint)


class OpeningHandlers:
    """What happens on the server."""

    def __init__(self, studio: Studio):
        self.studio = studio

    def choose(self, checkpoint: str, request: gr.Request) -> tuple:
        """Switch to another checkpoint: its colours, its examples, its card, its codes."""
        try:
            return gr.skip(), *self._page(checkpoint)
        except UserError as error:
            warn(error_text(language(request), error), request)
            return gr.Dropdown(choices=self.studio.names, value=self.studio.names[0]), *[gr.skip()] * 4

    def open_link(self, checkpoint: str, event: gr.EventData, request: gr.Request) -> tuple:
        """Put what a link carries on the page. A broken one says so and changes nothing."""
        lang = language(request)
        try:
            session = unpack(event.text)
            name = self._there(session, checkpoint, request)
            picker = gr.Dropdown(choices=self.studio.names, value=name)
            return picker, *self._page(name, session), session.seed, session.count, session.truncation
        except UserError as error:
            told = shelf_value(self.studio, checkpoint, error=error_text(lang, error))
            return *[gr.skip()] * 4, told, *[gr.skip()] * 3

    def _there(self, session: Session, current: str, request: gr.Request) -> str:
        """The link's checkpoint; where it is not here, the one in use, said so."""
        if session.checkpoint in self.studio.names:
            return session.checkpoint
        words = {"name": session.checkpoint, "here": current}
        warn(text(language(request), "app.linkModel", **words), request)
        return current

    def _page(self, name: str, session: Session | None = None) -> tuple:
        """Updates of canvas, examples, card and shelf."""
        pipe, folder = self.studio.pipeline(name), self.studio.folder(name)
        look = {"palette": pipe.config.palette, "paper": pipe.config.paper}
        value = {} if session is None else {"value": session.sketch}
        shelf = shelf_value(self.studio, name, session)
        return SketchCanvas(**look, **value), self.studio.examples(name), load_card(folder), shelf
