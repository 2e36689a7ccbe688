"""What the page's scripts may ask of the server: pictures for codes, codes for wishes, files to keep.

Scripts call `studio.ask(name, wanted)`; each name is a method of `Answers`, which takes what the browser sent as
`Wanted` and returns plain data. Where codes come from is in `bicyclegan.latent` and its neighbours, not here.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Callable
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from bicyclegan.animation import MIME, check_animation, encode_animation
from bicyclegan.colour_words import parse_colour
from bicyclegan.errors import UserError
from bicyclegan.images import encode_data_url, load_image
from bicyclegan.latent import MAX_SIDE, MAX_STEPS, even_steps, grid, mix, morph, mutate, sweep
from bicyclegan.latent import sample_codes as random_codes
from bicyclegan.link import MAX_COUNT, Session, pack
from bicyclegan.matrix import MAX_STYLES
from bicyclegan.metrics.posterior import PosteriorReport
from bicyclegan.pins import MAX_PINS, check_pin, pins_from_json, pins_to_json
from bicyclegan.projection import Pca
from bicyclegan.sheet import MAX_ROWS, SheetRecipe, check_zip, check_zip_size, zip_of
from bicyclegan.sketch import Sketch
from bicyclegan.training.data_readings import DataReading
from bicyclegan.ui.i18n import error_text, language, plain_message, reading_text, report_text, text
from bicyclegan.ui.row import measure_row
from bicyclegan.ui.strip import thumbnail
from bicyclegan.ui.studio import Studio
from bicyclegan.ui.wanted import MAX_PHOTOS, MAX_PICTURES, Wanted, address

CHILDREN = 8
COLOURS = 8
MAX_STOPS = 16
"""Pins that one film leads through."""
TILE_QUALITY = 90

log = logging.getLogger(__name__)


class Answers:
    """Nothing of a visitor is kept here. Every method raises `UserError` for what cannot be answered."""

    def __init__(self, studio: Studio):
        self.studio = studio

    # Pictures

    def paint(self, wanted: Wanted) -> dict[str, Any]:
        """Pictures of a drawing in given codes; none for empty paper, unless an example may stand in for it."""
        name, sketch = self._subject(wanted)
        if sketch.is_empty and wanted.flag("example"):
            sketch = next(iter(self.studio.examples(name)), sketch)
        return self._painted(name, sketch, wanted.codes("z", self._dim(name)), seen=wanted.flag("seen"))

    def examples(self, wanted: Wanted) -> dict[str, Any]:
        """A model's example drawings."""
        name = wanted.text("checkpoint")
        self.studio.folder(name)  # or it would be one without examples
        examples, config = self.studio.examples(name), self.studio.pipeline(name).config
        return {"examples": [{"sketch": each.to_json(), "thumb": thumbnail(each, config)} for each in examples]}

    def read_drawing(self, wanted: Wanted) -> dict[str, Any]:
        """A picture as a drawing: lines stay as they are, photos become their edges."""
        name = wanted.text("checkpoint")
        called, data = wanted.picture_file()
        return {"sketch": self.studio.read_drawing(name, load_image(data, name=called)).to_json()}

    def random_styles(self, wanted: Wanted) -> dict[str, Any]:
        """Codes of the prior, spread."""
        name = wanted.text("checkpoint")
        count = wanted.integer("count", 1, MAX_PICTURES)
        return {"z": random_codes(wanted.seed(), count, self._dim(name)).tolist()}

    def sweep(self, wanted: Wanted) -> dict[str, Any]:
        """A film strip: one slider moves."""
        name, sketch = self._subject(wanted)
        values = even_steps(wanted.integer("steps", 2, MAX_STEPS))
        codes = sweep(self._code(wanted, name), wanted.data.get("slider"), values, self._directions(wanted, name))
        return {"values": values.tolist(), **self._painted(name, sketch, codes)}

    def grid(self, wanted: Wanted) -> dict[str, Any]:
        """A square of pictures: one slider moves across, another one down."""
        name, sketch = self._subject(wanted)
        return self._painted(name, sketch, self._grid_codes(wanted, name))

    def breed(self, wanted: Wanted) -> dict[str, Any]:
        """Children of favourites."""
        name, sketch = self._subject(wanted)
        parents = wanted.codes("parents", self._dim(name))
        codes = mutate(parents, CHILDREN, wanted.number("strength", 0, 1), wanted.seed())
        return self._painted(name, sketch, codes)

    def read_photos(self, wanted: Wanted) -> dict[str, Any]:
        """The styles of photos, each shown with what its code kept of it; and their mean.

        Those that cannot be read are named in `skipped`, unless none can.
        """
        name, photos, skipped = wanted.text("checkpoint"), [], []
        for item in wanted.items("photos", MAX_PHOTOS):
            try:
                photos.append(self._read_photo(name, Wanted(item)))
            except UserError as error:
                skipped.append(error)
        if not photos:
            raise skipped[0]
        return {"photos": photos, "z": mix(np.array([photo["z"] for photo in photos])).tolist(), "skipped": skipped}

    def find_colour(self, wanted: Wanted) -> dict[str, Any]:
        """Codes that paint this drawing in a colour, nearest first."""
        name, sketch = self._drawn(wanted)
        rgb = parse_colour(wanted.text("colour"))
        match = self.studio.find_colour(name, sketch, rgb, COLOURS)
        return {
            "colour": _hex(rgb),
            "distances": match.distance.tolist(),
            "colours": [_hex(colour) for colour in match.colours.tolist()],
            **self._painted(name, sketch, match.z),
        }

    def spread(self, wanted: Wanted) -> dict[str, Any]:
        """How far the pictures of a row are from each other on average."""
        name, sketch = self._drawn(wanted)
        row = measure_row(self.studio, name, sketch, wanted.codes("z", self._dim(name), limit=MAX_STYLES, least=2))
        return {"mean": row.mean, "metric": row.metric}

    # Films

    def blend_path(self, wanted: Wanted) -> dict[str, Any]:
        """The codes of a film from stop to stop."""
        return {"z": self._path(wanted, wanted.text("checkpoint")).tolist()}

    def blend_file(self, wanted: Wanted) -> dict[str, Any]:
        """The film as a file."""
        name, sketch = self._drawn(wanted)
        codes, format, fps = self._path(wanted, name), wanted.text("format"), wanted.data.get("fps")
        size = self.studio.pipeline(name).config.model.image_size
        check_animation(format, fps, len(codes), (size, size))
        pictures = self.studio.paint_codes(name, sketch, codes).images
        with self.studio.beside.turn(again=True):
            data = encode_animation(pictures, format, fps, loop=wanted.flag("loop"))
        return _file(data, MIME[format], f"{self.studio.label(name)}-blend.{format}")

    # Files to keep

    def picture(self, wanted: Wanted) -> dict[str, Any]:
        """One picture as PNG with its recipe."""
        name, sketch = self._drawn(wanted)
        painting = self.studio.paint_codes(name, sketch, self._code(wanted, name)[None])
        png = painting.recipe(0).to_png(painting.images[0])
        return _file(png, "image/png", f"{self.studio.label(name)}-{painting.hash[:8]}.png")

    def space_sheet(self, wanted: Wanted) -> dict[str, Any]:
        """Strips or the grid as one PNG with its recipe."""
        name, sketch = self._drawn(wanted)
        codes, columns = self._space_codes(wanted, name)
        recipe = SheetRecipe((self.studio.sheet_row(name, sketch),), codes, columns, with_sketches=False)
        return self._sheet_file([name], recipe, packed=False, title=f"{self.studio.label(name)}-{wanted.text('shape')}")

    def matrix_file(self, wanted: Wanted) -> dict[str, Any]:
        """Sketches times styles as one PNG, or as a ZIP of all pictures, with the recipe."""
        rows = [Wanted(row) for row in wanted.items("rows", MAX_ROWS)]
        names = [row.text("checkpoint") for row in rows]
        codes, packed = wanted.codes("z", self._dim(names[0]), limit=MAX_STYLES), wanted.flag("zip")
        if packed:  # before megabytes are parsed
            check_zip_size(sum(len(row.text("sketch", limit=None)) for row in rows), len(codes))
        sketches = [row.drawing() for row in rows]
        made = tuple(self.studio.sheet_row(name, sketch) for name, sketch in zip(names, sketches, strict=True))
        recipe = SheetRecipe(made, codes, len(codes), with_sketches=True)
        if packed:
            check_zip(recipe)
        return self._sheet_file(names, recipe, packed=packed, title="matrix")

    def export_pins(self, wanted: Wanted) -> dict[str, Any]:
        """Pins as a file."""
        pins = [check_pin(item) for item in wanted.items("pins", MAX_PINS)]
        return _file(pins_to_json(pins).encode("utf-8"), "application/json", "bicyclegan-pins.json")

    def import_pins(self, wanted: Wanted) -> dict[str, Any]:
        """Pins out of a file."""
        return {"pins": [pin.to_json() for pin in pins_from_json(wanted.text("text", limit=None))]}

    def pack_link(self, wanted: Wanted) -> dict[str, Any]:
        """What a link carries."""
        name, sketch = self._subject(wanted)
        pins = [] if wanted.data.get("pins") is None else wanted.items("pins", MAX_PINS, least=0)
        session = Session(
            checkpoint=name,
            sketch=None if sketch.is_empty else sketch,
            seed=wanted.seed(),
            count=wanted.integer("count", 1, MAX_COUNT),
            truncation=wanted.number("truncation", 0, 3),
            tab=wanted.text("tab"),
            z=None if wanted.data.get("z") is None else self._code(wanted, name),
            pins=tuple(check_pin(item) for item in pins),
            checkpoint_hash=self.studio.pipeline(name).hash,
        )
        return {"text": pack(session)}

    # Parts

    def _subject(self, wanted: Wanted) -> tuple[str, Sketch]:
        return wanted.text("checkpoint"), wanted.sketch()

    def _drawn(self, wanted: Wanted) -> tuple[str, Sketch]:
        """`_subject` where there must be something on the paper."""
        return wanted.text("checkpoint"), wanted.drawing()

    def _dim(self, name: str) -> int:
        return self.studio.pipeline(name).config.model.latent_dim

    def _code(self, wanted: Wanted, name: str) -> np.ndarray:
        return wanted.code("z", self._dim(name))

    def _directions(self, wanted: Wanted, name: str) -> Pca | None:
        """Principal directions if they are asked for."""
        if not wanted.flag("directions"):
            return None
        latents = self.studio.latents(name)
        if latents is None or latents.pca is None:
            raise UserError(
                "no_directions",
                "{name} was not measured: it has no directions. Use the dims.",
                name=self.studio.label(name),
            )
        return latents.pca

    def _grid_codes(self, wanted: Wanted, name: str) -> np.ndarray:
        places = even_steps(wanted.integer("side", 2, MAX_SIDE))
        sliders = wanted.data.get("across"), wanted.data.get("down")
        return grid(self._code(wanted, name), sliders, places, places, self._directions(wanted, name))

    def _space_codes(self, wanted: Wanted, name: str) -> tuple[np.ndarray, int]:
        """All codes of the strips or the grid, and how many stand in a line."""
        if wanted.text("shape") == "grid":
            codes = self._grid_codes(wanted, name)
            return codes, wanted.integer("side", 2, MAX_SIDE)
        steps = wanted.integer("steps", 2, MAX_STEPS)
        code, directions = self._code(wanted, name), self._directions(wanted, name)
        sliders = wanted.items("sliders", MAX_PICTURES // steps)
        return np.concatenate([sweep(code, slider, even_steps(steps), directions) for slider in sliders]), steps

    def _path(self, wanted: Wanted, name: str) -> np.ndarray:
        stops = wanted.codes("codes", self._dim(name), limit=MAX_STOPS)
        return morph(stops, wanted.data.get("frames"), loop=wanted.flag("loop"))

    def _painted(self, name: str, sketch: Sketch, codes: np.ndarray, seen: bool = False) -> dict[str, Any]:
        """Codes and their pictures as small files; empty paper has none. seen: the sketch as the model saw it, too."""
        if sketch.is_empty:
            return {"z": codes.tolist(), "tiles": []}
        tiles = [_tile(image) for image in self.studio.look(name, sketch, codes)]
        answer = {"z": codes.tolist(), "tiles": tiles, "hash": self.studio.pipeline(name).hash}
        if not seen:
            return answer
        return {**answer, "seen": encode_data_url(Image.fromarray(self.studio.seen(name, sketch)), "png")}

    def _read_photo(self, name: str, item: Wanted) -> dict[str, Any]:
        """A photo's code, and beside the photo its edges and what is painted from both."""
        pipe = self.studio.pipeline(name)
        called, data = item.picture_file()
        photo = load_image(data, name=called)
        code, edges = self.studio.read_style(name, photo, hashlib.sha256(data).hexdigest())
        found = {"name": called, "z": code.tolist(), "photo": _tile(_small(photo, pipe.config.model.image_size))}
        if edges is None:
            return {**found, "edges": None, "reconstruction": None}
        kept = self.studio.look(name, Sketch.from_raster(edges), code[None])[0]
        return {**found, "edges": encode_data_url(Image.fromarray(edges), "png"), "reconstruction": _tile(kept)}

    def _sheet_file(self, names: list[str], recipe: SheetRecipe, *, packed: bool, title: str) -> dict[str, Any]:
        paintings = self.studio.paint_sheet(names, recipe)
        pictures, rasters = [each.images for each in paintings], [each.raster for each in paintings]
        if packed:
            return _file(zip_of(recipe, pictures, rasters), "application/zip", f"{title}.zip")
        return _file(recipe.to_png(recipe.layout(pictures, rasters)), "image/png", f"{title}.png")


QUESTIONS = (
    "paint",
    "examples",
    "read_drawing",
    "random_styles",
    "sweep",
    "grid",
    "breed",
    "read_photos",
    "find_colour",
    "spread",
    "blend_path",
    "blend_file",
    "picture",
    "space_sheet",
    "matrix_file",
    "export_pins",
    "import_pins",
    "pack_link",
)
"""Methods that scripts may call."""


def server_functions(*answerers: tuple[object, tuple[str, ...]]) -> list[Callable]:
    """Objects with the names of methods that scripts may call, as functions for Gradio.

    It marks what it serves, and methods cannot be marked.
    """
    return [_served(name, getattr(answers, name)) for answers, names in answerers for name in names]


def _served(name: str, method: Callable[[Wanted], dict[str, Any]]) -> Callable:
    def serve(wanted: Any, request: gr.Request) -> dict[str, Any]:
        lang = language(request)
        try:
            answer = method(Wanted(wanted, address(request)))
            return {key: _told(lang, value) for key, value in answer.items() if key != "skipped" or value}
        except UserError as error:
            return {"error": error_text(lang, error)}
        except gr.Error as error:  # a shared GPU has a quota
            return {"error": plain_message(error)}
        except Exception:
            log.exception("%s failed", name)
            return {"error": text(lang, "draw.failed")}

    serve.__name__ = name
    return serve


def _told(lang: str, value: Any) -> Any:
    """What an answer holds, with mistakes and readings in the reader's language, however deep they lie."""
    if isinstance(value, UserError):
        return error_text(lang, value)
    if isinstance(value, DataReading):
        return reading_text(lang, value)
    if isinstance(value, dict):
        return {key: _told(lang, item) for key, item in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], (UserError, DataReading, dict)):  # no long codes
        return [_told(lang, item) for item in value]
    return report_text(lang, value) if isinstance(value, PosteriorReport) else value


def _tile(image: Image.Image) -> str:
    return encode_data_url(image, "webp", quality=TILE_QUALITY)


def _small(photo: Image.Image, size: int) -> Image.Image:
    small = photo.copy()
    small.thumbnail((size, size), Image.Resampling.LANCZOS)
    return small


def _hex(rgb: Any) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def _file(data: bytes, mime: str, name: str) -> dict[str, str]:
    return {"url": f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}", "name": name}
