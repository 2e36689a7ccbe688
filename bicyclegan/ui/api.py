"""What programs may ask over HTTP: the same answers that the page gets, with typed arguments.

Pictures are data URLs, codes are lists of `latent_dim` numbers, a sketch is Sketch JSON.
"""

# No `from __future__ import annotations` here: Gradio shows callers the types of results only where they are no text.

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from bicyclegan.config import DEFAULT_CHECKPOINT
from bicyclegan.errors import UserError
from bicyclegan.ui.answers import Answers
from bicyclegan.ui.studio import Studio
from bicyclegan.ui.tabs.draw import MAX_VARIATIONS, png_url
from bicyclegan.ui.wanted import Wanted


class Api:
    """Public endpoints. Their names, arguments and docstrings are what a stranger reads."""

    def __init__(self, studio: Studio):
        self.studio = studio
        self.answers = Answers(studio)

    def paint(
        self, sketch: str, checkpoint: str = DEFAULT_CHECKPOINT, count: int = 8, seed: int = 0, truncation: float = 1.0
    ) -> list[str]:
        """Paint a sketch in random styles: PNG data URLs with the recipe inside, one for each of 1 to 16 variations.

        seed: 0 to 4294967295, the same photos every time. truncation: 0 (all alike) to 3, the page's variety.
        """
        with _errors_for_callers():
            wanted = Wanted({"sketch": sketch, "count": count, "seed": seed})
            document = wanted.sketch()
            if document.is_empty:
                return []
            number = wanted.integer("count", 1, MAX_VARIATIONS)
            painting = self.studio.paint(checkpoint, document, number, wanted.seed(), truncation)
            return [png_url(painting, index) for index in range(number)]

    def paint_styles(self, sketch: str, codes: list[list[float]], checkpoint: str = DEFAULT_CHECKPOINT) -> list[str]:
        """Paint a sketch once in each of 1 to 64 latent codes: pictures as WebP data URLs, in the same order."""
        return _ask(self.answers.paint, sketch=sketch, z=codes, checkpoint=checkpoint)["tiles"]

    def sweep(
        self,
        sketch: str,
        code: list[float],
        slider: int,
        steps: int = 7,
        directions: bool = False,
        checkpoint: str = DEFAULT_CHECKPOINT,
    ) -> dict:
        """Move one slider from -3 to 3, the rest of the code stays: {"values", "z", "tiles"}.

        slider: number of the dim, from 0. directions: move along a principal direction of the codes of photos instead.
        """
        wanted = {"slider": slider, "steps": steps, "directions": directions, "checkpoint": checkpoint}
        return _ask(self.answers.sweep, sketch=sketch, z=code, **wanted)

    def grid(
        self,
        sketch: str,
        code: list[float],
        across: int,
        down: int,
        side: int = 5,
        directions: bool = False,
        checkpoint: str = DEFAULT_CHECKPOINT,
    ) -> dict:
        """Move two sliders, one across and one down: {"z", "tiles"}, side x side pictures row by row. side: 2 to 7."""
        wanted = {"across": across, "down": down, "side": side, "directions": directions, "checkpoint": checkpoint}
        return _ask(self.answers.grid, sketch=sketch, z=code, **wanted)

    def interpolate(
        self,
        sketch: str,
        codes: list[list[float]],
        frames: int = 48,
        fps: float = 12,
        loop: bool = True,
        format: str = "gif",
        checkpoint: str = DEFAULT_CHECKPOINT,
    ) -> str:
        """A film through 2 to 16 codes as a data URL. frames: 2 to 240; fps: 1 to 60; format: gif, webp or mp4."""
        film = {"frames": frames, "fps": fps, "loop": loop, "format": format, "checkpoint": checkpoint}
        return _ask(self.answers.blend_file, sketch=sketch, codes=codes, **film)["url"]

    def breed(
        self,
        sketch: str,
        parents: list[list[float]],
        strength: float = 0.5,
        seed: int = 0,
        checkpoint: str = DEFAULT_CHECKPOINT,
    ) -> dict:
        """Eight children of one or more codes: {"z", "tiles"}. strength: 0 (the parents) to 1 (nothing of them)."""
        wanted = {"strength": strength, "seed": seed, "checkpoint": checkpoint}
        return _ask(self.answers.breed, sketch=sketch, parents=parents, **wanted)

    def style_from_photo(self, photo: str, checkpoint: str = DEFAULT_CHECKPOINT) -> dict:
        """Read the style of a photo, a data URL: {"z": code, "photo", "edges", "reconstruction": data URLs}."""
        photos = [{"data_url": photo, "name": "photo"}]
        return _ask(self.answers.read_photos, photos=photos, checkpoint=checkpoint)["photos"][0]

    def style_from_colour(self, sketch: str, colour: str, checkpoint: str = DEFAULT_CHECKPOINT) -> dict:
        """Eight codes that paint this sketch in a colour: {"z", "tiles", "colours", "distances"}, nearest first.

        colour: '#rrggbb', or a word in English or Chinese such as 'forest green' or '藏青'.
        """
        return _ask(self.answers.find_colour, sketch=sketch, colour=colour, checkpoint=checkpoint)

    def matrix(
        self, sketches: list[str], codes: list[list[float]], checkpoint: str = DEFAULT_CHECKPOINT, zip: bool = False
    ) -> str:
        """Sketches (1 to 8) times styles (1 to 8): a PNG sheet with its recipe, or a ZIP of all, as a data URL."""
        rows = [{"sketch": sketch, "checkpoint": checkpoint} for sketch in sketches]
        return _ask(self.answers.matrix_file, rows=rows, z=codes, zip=zip)["url"]


ENDPOINTS = (
    "paint",
    "paint_styles",
    "sweep",
    "grid",
    "interpolate",
    "breed",
    "style_from_photo",
    "style_from_colour",
    "matrix",
)


def add_api(studio: Studio) -> None:
    """Publish the endpoints of `Api` under their names."""
    api = Api(studio)
    for name in ENDPOINTS:
        gr.api(getattr(api, name), api_name=name)


def _ask(answer: Callable[[Wanted], dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    with _errors_for_callers():
        return answer(Wanted(wanted))


@contextmanager
def _errors_for_callers() -> Iterator[None]:
    """Our message reaches whoever called."""
    try:
        yield
    except UserError as error:
        raise gr.Error(str(error), print_exception=False) from None
