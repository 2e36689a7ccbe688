"""Sketches as vector documents: what the canvas sends, what recipes store, what models are asked to paint.

JSON, version 1; lengths are in canvas units, (0, 0) is the upper left corner:

    {"version": 1, "size": 256, "strokes": [
        {"tool": "pen", "width": 2, "color": 0, "points": [[12.5, 80], [90, 81]], "mirror": false}
    ], "raster": null}

A document has no history: undo belongs to whoever edits it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from bicyclegan.config import EdgeStyle
from bicyclegan.errors import UserError
from bicyclegan.sketch.lines import DEFAULT_STYLE

VERSION = 1
"""Version of the JSON schema. Raised when an older program could misread a newer sketch."""
CANVAS_SIZE = 256
"""Side of the canvas in canvas units, unless a sketch says otherwise."""
MIN_SIZE, MAX_SIZE = 64, 1024
"""Side of a canvas."""
MIN_WIDTH, MAX_WIDTH = 0.1, 128.0
"""Width of a stroke in canvas units."""
MAX_COLOR = 255
"""Largest index into a palette."""
MAX_STROKES = 5_000
MAX_POINTS = 200_000
"""In all strokes together."""
MAX_TEXT_BYTES = 4 * 1024 * 1024
MAX_RASTER_SIDE = 1024
MAX_RASTER_BYTES = 3 * 1024 * 1024
"""Of the PNG file under the strokes."""

Tool = Literal["pen", "eraser", "rect", "fill"]
TOOLS: tuple[str, ...] = get_args(Tool)
Point = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    """One movement of a tool. Coordinates are kept to 1/100 canvas unit, so that JSON and back is exact."""

    points: tuple[Point, ...]
    """Where it went, (x, y) in canvas units. rect: opposite corners are the first and the last; fill: the first."""
    tool: Tool = "pen"
    """pen; eraser paints paper; rect is a filled rectangle; fill floods the area of one colour."""
    width: float = 2.0
    """Width of pen and eraser in canvas units."""
    color: int = 0
    """Index into the checkpoint's palette; the eraser ignores it."""
    mirror: bool = False
    """Draw the reflection about the vertical middle axis of the canvas as well."""

    def __post_init__(self) -> None:
        if self.tool not in TOOLS:
            raise invalid("tool", self.tool, " | ".join(TOOLS))
        if not MIN_WIDTH <= self.width <= MAX_WIDTH:  # NaN fails too
            raise invalid("width", self.width, f"{MIN_WIDTH:g} ... {MAX_WIDTH:g}")
        if not 0 <= self.color <= MAX_COLOR:
            raise invalid("color", self.color, f"0 ... {MAX_COLOR}")
        if not self.points:
            raise invalid("points", "[]", "[[x, y], ...]")
        points = np.array(self.points, np.float64).reshape(-1, 2)
        if not np.isfinite(points).all():
            raise invalid("points", "NaN | Infinity", "[[x, y], ...]")
        # + 0 turns -0 into 0; a limit keeps the rounding finite and is far beyond any canvas
        rounded = points.clip(-1e6, 1e6).round(2) + 0.0
        object.__setattr__(self, "points", tuple(map(tuple, rounded.tolist())))
        object.__setattr__(self, "width", float(self.width))

    def mirrored(self, size: float) -> Stroke:
        """Its reflection about the vertical middle axis of a canvas of `size` units."""
        return dataclasses.replace(self, points=tuple((size - x, y) for x, y in self.points))


@dataclass(frozen=True)
class Sketch:
    """Strokes in the order they were drawn, over an optional picture. Immutable, hashable, deterministic."""

    strokes: tuple[Stroke, ...] = ()
    """Drawn one over the other."""
    size: int = CANVAS_SIZE
    """Side of the square canvas in canvas units, 64 to 1024."""
    raster: str | None = None
    """A square PNG under the strokes as a data URL, erasable: detected edges or an example.
    Edge sketches: grey, 0 = edge, 255 = paper. Label maps: RGB."""

    def __post_init__(self) -> None:
        if not MIN_SIZE <= self.size <= MAX_SIZE:
            raise invalid("size", self.size, f"{MIN_SIZE} ... {MAX_SIZE}")
        object.__setattr__(self, "strokes", tuple(_clamped(stroke, self.size) for stroke in self.strokes))

    @property
    def is_empty(self) -> bool:
        """True if nothing was ever put on the paper. A drawing rubbed out completely is not looked into."""
        return self.raster is None and all(stroke.tool == "eraser" for stroke in self.strokes)

    @property
    def bounds(self) -> tuple[float, float, float, float] | None:
        """Left, top, right, bottom of all points but the eraser's, in canvas units; None without any."""
        drawn = [stroke for stroke in self.strokes if stroke.tool != "eraser"]
        drawn += [stroke.mirrored(self.size) for stroke in drawn if stroke.mirror]
        points = [point for stroke in drawn for point in stroke.points]
        if not points:
            return None
        xs, ys = zip(*points, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def mirrored(self) -> Sketch:
        """Its reflection about the vertical middle axis, raster layer included."""
        strokes = tuple(stroke.mirrored(self.size) for stroke in self.strokes)
        if self.raster is None:
            return dataclasses.replace(self, strokes=strokes)
        from bicyclegan.sketch.raster import decode_layer, encode_layer

        flipped = encode_layer(decode_layer(self.raster)[:, ::-1])
        return dataclasses.replace(self, strokes=strokes, raster=flipped)

    @classmethod
    def from_json(cls, source: str | bytes | dict[str, Any]) -> Sketch:
        """A sketch of untrusted JSON, checked before anything large is built.

        Raises `UserError` that names the place, such as strokes[3].width. Points far off the canvas
        are moved to one canvas size beyond its border: drawing over the edge is normal.
        """
        from bicyclegan.sketch.schema import parse_sketch

        return parse_sketch(source)

    def to_json(self) -> str:
        """Compact JSON; `Sketch.from_json` of it is equal to this sketch."""
        document = {
            "version": VERSION,
            "size": self.size,
            "strokes": [_stroke_document(stroke) for stroke in self.strokes],
            "raster": self.raster,
        }
        return json.dumps(document, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_quickdraw(
        cls, record: str | bytes | dict[str, Any], size: int = CANVAS_SIZE, margin: float = 0.1
    ) -> Sketch:
        """A record of Quick, Draw! (a line of its ndjson files, simplified or raw), centred, proportions kept.

        margin: share of the canvas left free on each side. Data: https://github.com/googlecreativelab/quickdraw-dataset
        """
        from bicyclegan.sketch.schema import parse_quickdraw

        assert 0 <= margin < 0.5, margin
        drawing = parse_quickdraw(record)
        points = np.concatenate(drawing)
        low, high = points.min(axis=0), points.max(axis=0)
        scale = size * (1 - 2 * margin) / max(float((high - low).max()), 1e-6)
        centred = [(stroke - (low + high) / 2) * scale + size / 2 for stroke in drawing]
        width = 2.0 * size / CANVAS_SIZE
        return cls(tuple(Stroke(tuple(map(tuple, stroke.tolist())), width=width) for stroke in centred), size)

    @classmethod
    def from_raster(cls, pixels: np.ndarray, size: int = CANVAS_SIZE) -> Sketch:
        """A sketch of an edge map (S, S) uint8 or a label map (S, S, 3) uint8, kept without loss as the raster layer.

        size: canvas units for what is drawn over it; need not be S.
        """
        from bicyclegan.sketch.raster import check_layer, encode_layer

        check_layer(pixels)
        return cls(size=size, raster=encode_layer(pixels))

    def rasterise(
        self,
        size: int,
        style: EdgeStyle = DEFAULT_STYLE,
        palette: Sequence[str] = ("#000000",),
        paper: str = "#ffffff",
    ) -> np.ndarray:
        """Draw it: (size, size) uint8 for one grey colour (0 = edge, 255 = paper), else (size, size, 3) uint8.

        style: its line width is the narrowest stroke, `antialias` chooses soft or crisp lines. Crisp lines
        hold the palette's colours only. A raster layer of this size is copied bit for bit.
        Raises `UserError` when a stroke uses a colour that the palette lacks.
        """
        from bicyclegan.sketch.raster import rasterise

        return rasterise(self, size, style, palette, paper)

    def raster_image(self) -> Image.Image | None:
        """The raster layer as a picture, mode L or RGB."""
        from bicyclegan.sketch.raster import decode_layer

        return None if self.raster is None else Image.fromarray(decode_layer(self.raster))


def invalid(place: str, value: object, allowed: str) -> UserError:
    """A value that the schema does not allow. `allowed` is notation, not words: it reads the same in any language."""
    return UserError(
        "sketch_value", "{place} is {value}; allowed: {allowed}.", place=place, value=value, allowed=allowed
    )


def _clamped(stroke: Stroke, size: int) -> Stroke:
    points = np.array(stroke.points)
    if -size <= points.min() and points.max() <= 2 * size:
        return stroke
    inside = points.clip(-size, 2 * size).tolist()
    return dataclasses.replace(stroke, points=tuple(map(tuple, inside)))


def _stroke_document(stroke: Stroke) -> dict[str, Any]:
    return {
        "tool": stroke.tool,
        "width": _number(stroke.width),
        "color": stroke.color,
        "points": [[_number(x), _number(y)] for x, y in stroke.points],
        "mirror": stroke.mirror,
    }


def _number(value: float) -> float | int:
    """Whole numbers without '.0', as a browser writes them."""
    return int(value) if value == int(value) else value
