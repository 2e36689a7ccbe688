"""Untrusted JSON -> Sketch. Cheap limits first, then pydantic, then errors that name the place.

Imported on first use, so that sketches made in Python need no pydantic.
"""

from __future__ import annotations

import json
import reprlib
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from bicyclegan.errors import UserError
from bicyclegan.sketch import strokes as limits
from bicyclegan.sketch.strokes import Sketch, Stroke, invalid

ALLOWED = {
    "version": f"{limits.VERSION}",
    "size": f"{limits.MIN_SIZE} ... {limits.MAX_SIZE}",
    "strokes": "[{...}, ...]",
    "raster": 'null | "data:image/png;base64,..."',
    "tool": " | ".join(limits.TOOLS),
    "width": f"{limits.MIN_WIDTH:g} ... {limits.MAX_WIDTH:g}",
    "color": f"0 ... {limits.MAX_COLOR}",
    "points": "[[x, y], ...]",
    "mirror": "true | false",
}
"""What each field may hold, in the notation of JSON. Its keys are the known fields."""


Number = Annotated[float, Field(allow_inf_nan=False)]
PointModel = Annotated[list[Number], Field(min_length=2, max_length=2)]


class StrokeModel(BaseModel):
    """A stroke as it arrives. Strict: "2" is not 2, true is not 1. Stops at the first bad point of many."""

    model_config = ConfigDict(strict=True, extra="forbid")
    tool: limits.Tool = "pen"
    width: Annotated[Number, Field(ge=limits.MIN_WIDTH, le=limits.MAX_WIDTH)] = 2.0
    color: Annotated[int, Field(ge=0, le=limits.MAX_COLOR)] = 0
    points: Annotated[list[PointModel], Field(min_length=1), FailFast()]
    mirror: bool = False


class SketchModel(BaseModel):
    """A sketch as it arrives; `version` was checked before."""

    model_config = ConfigDict(strict=True, extra="forbid")
    version: int
    size: Annotated[int, Field(ge=limits.MIN_SIZE, le=limits.MAX_SIZE)] = limits.CANVAS_SIZE
    strokes: Annotated[list[StrokeModel], FailFast()]
    raster: str | None = None


def parse_sketch(source: str | bytes | dict[str, Any]) -> Sketch:
    """The body of `Sketch.from_json`."""
    document = _read_object(source)
    _check_version(document)
    _check_counts(document)
    model = _check_fields(document)
    if model.raster is not None:
        from bicyclegan.sketch.raster import decode_layer

        decode_layer(model.raster)
    return Sketch(tuple(map(_stroke, model.strokes)), model.size, model.raster)


def parse_quickdraw(record: str | bytes | dict[str, Any]) -> list[np.ndarray]:
    """Record of Quick, Draw! -> strokes, each (points, 2) float64; times of the raw format are dropped."""
    drawing = _read_object(record).get("drawing")
    if not isinstance(drawing, list) or not drawing:
        raise _bad_quickdraw("drawing", drawing)
    if len(drawing) > limits.MAX_STROKES:
        raise _too_many_strokes(len(drawing))
    strokes = [_quickdraw_stroke(stroke, f"drawing[{k}]") for k, stroke in enumerate(drawing)]
    count = sum(map(len, strokes))
    if count > limits.MAX_POINTS:
        raise _too_many_points(count)
    return strokes


def _quickdraw_stroke(stroke: Any, place: str) -> np.ndarray:
    try:
        xs, ys = (np.asarray(axis) for axis in stroke[:2])
    except (TypeError, ValueError, KeyError) as error:
        raise _bad_quickdraw(place, stroke) from error
    numbers = all(axis.ndim == 1 and axis.dtype.kind in "iuf" for axis in (xs, ys))
    if not numbers or len(xs) != len(ys) or not len(xs):
        raise _bad_quickdraw(place, stroke)
    points = np.stack([xs, ys], axis=1).astype(np.float64)
    if not (np.abs(points) < 1e9).all():  # NaN fails too
        raise _bad_quickdraw(place, stroke)
    return points


def _read_object(source: Any) -> dict[str, Any]:
    """Text, bytes or a parsed object -> a JSON object."""
    if isinstance(source, str | bytes):
        if len(source) > limits.MAX_TEXT_BYTES:
            raise UserError(
                "sketch_text_long",
                "The sketch is {megabytes} MB of text; at most {limit} MB are allowed: draw with fewer strokes.",
                megabytes=f"{len(source) / 2**20:.1f}",
                limit=limits.MAX_TEXT_BYTES // 2**20,
            )
        source = _parse_json(source)
    if not isinstance(source, dict):
        raise UserError(
            "sketch_type",
            'A sketch must be a JSON object, not {kind}: {{"version": 1, "strokes": [...]}}.',
            kind=type(source).__name__,
        )
    return source


def _parse_json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise UserError("sketch_nested", "The sketch's JSON is nested too deeply; a stroke needs 4 levels.") from error
    except ValueError as error:  # broken syntax, broken UTF-8, a number of 5,000 digits
        raise UserError(
            "sketch_json",
            "The sketch is not valid JSON ({reason}): save it again.",
            reason=str(error)[:120],
        ) from error


def _check_version(document: dict[str, Any]) -> None:
    version = document.get("version")
    if "version" not in document:
        raise _missing("version", "version")
    if type(version) is not int or version < 1:
        raise invalid("version", _show(version), ALLOWED["version"])
    if version > limits.VERSION:
        raise UserError(
            "sketch_newer",
            "The sketch has version {version}; this program reads up to {known}. Update it: git pull.",
            version=version,
            known=limits.VERSION,
        )


def _check_counts(document: dict[str, Any]) -> None:
    """Counts need no models: a million points are refused before one is built."""
    strokes = document.get("strokes")
    if not isinstance(strokes, list):
        return  # pydantic names the type
    if len(strokes) > limits.MAX_STROKES:
        raise _too_many_strokes(len(strokes))
    points = (stroke.get("points") for stroke in strokes if isinstance(stroke, dict))
    count = sum(len(each) for each in points if isinstance(each, list))
    if count > limits.MAX_POINTS:
        raise _too_many_points(count)


def _check_fields(document: dict[str, Any]) -> SketchModel:
    try:
        return SketchModel.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise _explain(first["type"], first["loc"], first["input"]) from error


def _stroke(model: StrokeModel) -> Stroke:
    points = tuple((x, y) for x, y in model.points)
    return Stroke(points, model.tool, model.width, model.color, model.mirror)


def _explain(kind: str, location: tuple[int | str, ...], value: Any) -> UserError:
    """A mistake found by pydantic in the words of this program."""
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).lstrip(".")
    field = next((step for step in reversed(location) if isinstance(step, str)), "")
    if kind == "missing":
        return _missing(place, field)
    if kind == "extra_forbidden":
        known = ", ".join(ALLOWED)
        return UserError("sketch_unknown", "{place} is not a known field; known are {known}.", place=place, known=known)
    if kind == "finite_number":
        return UserError(
            "sketch_not_finite", "{place} is {value}; it must be a finite number.", place=place, value=_show(value)
        )
    if field == "strokes" and location[-1] != "strokes":
        return invalid(place, _show(value), '{"points": [[x, y], ...], ...}')
    return invalid(place, _show(value), ALLOWED.get(field, "{...}"))


def _show(value: Any) -> str:
    """A short form of any value, as JSON writes it where that is short anyway."""
    if value is None or isinstance(value, bool | int | float):
        huge = isinstance(value, int) and abs(value) > 10**20  # Python refuses to print thousands of digits
        return "> 10^20" if huge else json.dumps(value)
    return reprlib.repr(value)


def _missing(place: str, field: str) -> UserError:
    return UserError(
        "sketch_missing", "The sketch lacks {place}; allowed: {allowed}.", place=place, allowed=ALLOWED[field]
    )


def _too_many_strokes(count: int) -> UserError:
    return UserError(
        "sketch_strokes",
        "The sketch has {count} strokes; at most {limit} are allowed: draw with fewer.",
        count=count,
        limit=limits.MAX_STROKES,
    )


def _too_many_points(count: int) -> UserError:
    return UserError(
        "sketch_points",
        "The sketch has {count} points; at most {limit} are allowed: draw with fewer or simplify them.",
        count=count,
        limit=limits.MAX_POINTS,
    )


def _bad_quickdraw(place: str, value: Any) -> UserError:
    return UserError(
        "quickdraw_record",
        "This is no record of Quick, Draw!: {place} is {value}; expected [[x, ...], [y, ...]] in each stroke.",
        place=place,
        value=_show(value),
    )
