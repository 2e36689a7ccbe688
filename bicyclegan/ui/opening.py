"""Opening a model or a link: what changes on all tabs at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from bicyclegan.errors import UserError
from bicyclegan.link import Session, unpack
from bicyclegan.model_names import without_secret
from bicyclegan.ui.canvas import SketchCanvas, canvas_look
from bicyclegan.ui.i18n import error_text, language, text
from bicyclegan.ui.picker import MAX_IDS, model_choices
from bicyclegan.ui.shelf import Shelf, shelf_value
from bicyclegan.ui.strip import thumbnails
from bicyclegan.ui.studio import Studio
from bicyclegan.ui.tabs.draw import BUSY_JS, HIDDEN, DrawTab, warn
from bicyclegan.ui.wanted import Wanted


def wire_opening(studio: Studio, draw: DrawTab, picker: gr.Dropdown, card: gr.Markdown, shelf: Shelf) -> None:
    """Choosing another model and coming with a link both change the page as a whole, then paint."""
    handlers = OpeningHandlers(studio)
    page = [picker, draw.canvas, draw.examples, card, shelf]
    knobs = [draw.seed, draw.count, draw.truncation]
    picker.input(handlers.choose, picker, page, **HIDDEN).then(**draw.paint)
    shelf.use(handlers.use, None, page, js=BUSY_JS, **HIDDEN).then(**draw.paint)
    shelf.reopen(handlers.reopen, None, page, js=BUSY_JS, **HIDDEN).then(**draw.paint)
    shelf.open(handlers.open_link, picker, [*page, *knobs], js=BUSY_JS, **HIDDEN).then(**draw.paint)


class OpeningHandlers:
    """What happens on the server."""

    def __init__(self, studio: Studio):
        self.studio = studio

    def choose(self, checkpoint: str, request: gr.Request) -> tuple:
        """Switch to another checkpoint: its colours, its examples, its card, its codes."""
        name, page = self._page_or_first(checkpoint, request)
        return gr.skip() if name == checkpoint else gr.update(value=name), *page

    def use(self, event: gr.EventData, request: gr.Request) -> tuple:
        """Switch to a model that a script names, as `choose` does."""
        wanted = Wanted.of(event)
        name, page = self._page_or_first(wanted.data.get("checkpoint"), request)
        return self._picker(name, wanted), *page

    def open_link(self, checkpoint: str, event: gr.EventData, request: gr.Request) -> tuple:
        """Put what a link carries on the page. A broken one says so and changes nothing."""
        try:
            wanted = Wanted.of(event)
            session = unpack(wanted.data.get("text"))
            name = self._there(session, checkpoint, request)
            session = self._fitting(session, name, request)
            return (
                self._picker(name, wanted),
                *self._page(name, session),
                session.seed,
                session.count,
                session.truncation,
            )
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
            return self._picker(name, wanted), *page
        except UserError:  # the model is gone, or somebody wrote into the browser's storage: start at the beginning
            return (gr.skip(),) * 5

    def _page_or_first(self, name: Any, request: gr.Request) -> tuple[str, tuple]:
        """A checkpoint with its page; where it is gone or broken, that is said, and it is the studio's first."""
        try:
            return name, self._page(name)
        except UserError as error:
            warn(error_text(language(request), error), request)
            first = self.studio.names[0]
            return first, self._page(first)

    def _picker(self, name: str, wanted: Wanted) -> gr.Dropdown:
        """The picker with this model; `wanted.mine` are ids of models that this browser knows."""
        mine = wanted.items("mine", MAX_IDS, least=0) if "mine" in wanted.data else []
        return gr.Dropdown(choices=model_choices(self.studio, [*mine, name]), value=name)

    def _told(self, message: str, checkpoint: str, request: gr.Request) -> dict:
        """The shelf with a message; without the model in use it has no value, and the message stands in a corner."""
        try:
            return shelf_value(self.studio, checkpoint, error=message)
        except UserError:
            warn(message, request)
            return gr.skip()

    def _there(self, session: Session, current: str, request: gr.Request) -> str:
        """The link's checkpoint; where it is not here, the one in use, said so."""
        if session.checkpoint in self.studio.names or self.studio.models.has(session.checkpoint):
            return session.checkpoint
        words = {"name": without_secret(session.checkpoint), "here": self.studio.label(current)}
        warn(text(language(request), "app.linkModel", **words), request)
        return current

    def _fitting(self, session: Session, name: str, request: gr.Request) -> Session:
        """The session without a style that the model does not take. Another version of the link's model is said."""
        pipe = self.studio.pipeline(name)
        fits = session.z is None or len(session.z) == pipe.config.model.latent_dim
        changed = session.checkpoint_hash not in ("", pipe.hash)
        if session.checkpoint == name and (changed or not fits):
            warn(text(language(request), "app.linkHash", name=self.studio.label(name)), request)
        return session if fits else replace(session, z=None)

    def _page(self, name: str, session: Session | None = None, keep_drawing: bool = False) -> tuple:
        """Updates of canvas, examples, card and shelf."""
        pipe, card = self.studio.pipeline(name), self.studio.card(name)
        value = {} if session is None or keep_drawing else {"value": session.sketch}
        shelf = shelf_value(self.studio, name, session)
        canvas = SketchCanvas(**canvas_look(pipe.config), **value)
        return canvas, thumbnails(self.studio.examples(name), pipe.config), card, shelf
