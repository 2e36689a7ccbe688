"""Opening a model or a link: what changes on all tabs at once."""

from __future__ import annotations

from dataclasses import replace

import gradio as gr

from bicyclegan.checkpoints import load_card
from bicyclegan.errors import UserError
from bicyclegan.link import Session, unpack
from bicyclegan.ui.canvas import SketchCanvas
from bicyclegan.ui.i18n import error_text, language, text
from bicyclegan.ui.shelf import Shelf, shelf_value
from bicyclegan.ui.studio import Studio
from bicyclegan.ui.tabs.draw import BUSY_JS, HIDDEN, DrawTab, warn
from bicyclegan.ui.wanted import Wanted


def wire_opening(studio: Studio, draw: DrawTab, picker: gr.Dropdown, card: gr.Markdown, shelf: Shelf) -> None:
    """Choosing another model and coming with a link both change the page as a whole, then paint."""
    handlers = OpeningHandlers(studio)
    page = [picker, draw.canvas, draw.examples, card, shelf]
    knobs = [draw.seed, draw.count, draw.truncation]
    picker.input(handlers.choose, picker, page, **HIDDEN).then(**draw.paint)
    shelf.reopen(handlers.reopen, None, page, js=BUSY_JS, **HIDDEN).then(**draw.paint)
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
            names = self.studio.names
            return gr.Dropdown(choices=names, value=next(iter(names), None)), *[gr.skip()] * 4

    def open_link(self, checkpoint: str, event: gr.EventData, request: gr.Request) -> tuple:
        """Put what a link carries on the page. A broken one says so and changes nothing."""
        try:
            session = unpack(Wanted.of(event).data.get("text"))
            name = self._there(session, checkpoint, request)
            session = self._fitting(session, name, request)
            picker = gr.Dropdown(choices=self.studio.names, value=name)
            return picker, *self._page(name, session), session.seed, session.count, session.truncation
        except UserError as error:
            told = self._told(error_text(language(request), error), checkpoint, request)
            return *[gr.skip()] * 4, told, *[gr.skip()] * 3

    def reopen(self, event: gr.EventData, request: gr.Request) -> tuple:
        """After a reload: the model, tab and style of before; the canvas has its drawing already."""
        try:
            wanted = Wanted.of(event)
            name, tab, z = wanted.text("checkpoint"), wanted.text("tab", "draw"), wanted.data.get("z")
            session = Session(name, sketch=None, seed=0, count=1, truncation=1.0, tab=tab, z=z)
            page = self._page(name, self._fitting(session, name, request), keep_drawing=True)
            return gr.Dropdown(choices=self.studio.names, value=name), *page
        except UserError:  # the model is gone, or somebody wrote into the browser's storage: start at the beginning
            return (gr.skip(),) * 5

    def _told(self, message: str, checkpoint: str, request: gr.Request) -> dict:
        """The shelf with a message; without the model in use it has no value, and the message stands in a corner."""
        try:
            return shelf_value(self.studio, checkpoint, error=message)
        except UserError:
            warn(message, request)
            return gr.skip()

    def _there(self, session: Session, current: str, request: gr.Request) -> str:
        """The link's checkpoint; where it is not here, the one in use, said so."""
        if session.checkpoint in self.studio.names:
            return session.checkpoint
        words = {"name": session.checkpoint, "here": current}
        warn(text(language(request), "app.linkModel", **words), request)
        return current

    def _fitting(self, session: Session, name: str, request: gr.Request) -> Session:
        """The session without a style that the model does not take. Another version of the link's model is said."""
        pipe = self.studio.pipeline(name)
        fits = session.z is None or len(session.z) == pipe.config.model.latent_dim
        changed = session.checkpoint_hash not in ("", pipe.hash)
        if session.checkpoint == name and (changed or not fits):
            warn(text(language(request), "app.linkHash", name=name), request)
        return session if fits else replace(session, z=None)

    def _page(self, name: str, session: Session | None = None, keep_drawing: bool = False) -> tuple:
        """Updates of canvas, examples, card and shelf."""
        pipe, folder = self.studio.pipeline(name), self.studio.folder(name)
        look = {"palette": pipe.config.palette, "paper": pipe.config.paper}
        value = {} if session is None or keep_drawing else {"value": session.sketch}
        shelf = shelf_value(self.studio, name, session)
        return SketchCanvas(**look, **value), self.studio.examples(name), load_card(folder), shelf
