"""Sketch -> pixels, and the raster layer under its strokes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from bicyclegan.config import EdgeStyle
from bicyclegan.errors import UserError
from bicyclegan.images import MIN_SIDE, decode_data_url, encode_data_url, load_image
from bicyclegan.sketch.lines import resize_lines
from bicyclegan.sketch.strokes import MAX_RASTER_BYTES, MAX_RASTER_SIDE

if TYPE_CHECKING:
    from bicyclegan.sketch.strokes import Sketch, Stroke

SUBPIXEL_BITS = 4
"""OpenCV takes coordinates as integers of 1/16 px."""
OVERSAMPLING = 3
"""Lines that are not fat are drawn this much larger and averaged. Odd: so are OpenCV's widths."""
FAT = 8
"""Pixels from which a line is drawn directly: by then one pixel more or less is no matter."""
MAX_OVERSAMPLED = 512
"""Pixels a side up to which lines are drawn larger: it bounds the time that thousands of strokes can take."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def rasterise(sketch: Sketch, size: int, style: EdgeStyle, palette: Sequence[str], paper: str) -> np.ndarray:
    """The body of `Sketch.rasterise`."""
    assert size >= 1, size
    colours = [_rgb(colour) for colour in palette]
    blank = _rgb(paper)
    grey = len(colours) == 1 and all(len(set(colour)) == 1 for colour in (*colours, blank))
    canvas = np.full((size, size, 3), blank, np.uint8)
    if grey:
        canvas = canvas[..., 0].copy()
        colours, blank = [colours[0][:1]], blank[:1]
    if sketch.raster is not None:
        canvas = _fit_layer(decode_layer(sketch.raster), size, style, grey)
    for index, stroke in enumerate(sketch.strokes):
        colour = blank if stroke.tool == "eraser" else _pick(colours, stroke.color, index)
        _draw(canvas, stroke, size / sketch.size, style, colour)
    return canvas


def encode_layer(pixels: np.ndarray) -> str:
    """uint8 (S, S) or (S, S, 3) -> PNG data URL, lossless."""
    return encode_data_url(Image.fromarray(np.ascontiguousarray(pixels)), "png")


def decode_layer(url: str) -> np.ndarray:
    """Untrusted PNG data URL -> uint8 (S, S) if all of it is grey, else (S, S, 3). Its header is read first."""
    data = decode_data_url(url, MAX_RASTER_BYTES)
    if not data.startswith(PNG_SIGNATURE) or data[12:16] != b"IHDR" or len(data) < 24:
        raise UserError(
            "raster_format",
            "raster is not a PNG file (it starts with {start}); send it as data:image/png;base64,...",
            start=data[:8].hex(" "),
        )
    width, height = struct.unpack(">II", data[16:24])
    _check_side(width, height)
    pixels = np.asarray(load_image(data, name="raster"))
    flat = (pixels[..., :1] == pixels).all()
    return pixels[..., 0].copy() if flat else pixels.copy()


def check_layer(pixels: np.ndarray) -> None:
    """Raise `UserError` unless the array can be a raster layer: uint8, (S, S) or (S, S, 3)."""
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise UserError(
            "raster_array",
            "A raster layer of {dtype} {shape} is not allowed; it must be uint8 (S, S) or (S, S, 3).",
            dtype=pixels.dtype,
            shape=pixels.shape,
        )
    _check_side(pixels.shape[1], pixels.shape[0])


def _check_side(width: int, height: int) -> None:
    if width != height or not MIN_SIDE <= width <= MAX_RASTER_SIDE:
        raise UserError(
            "raster_size",
            "raster is {width} x {height} px; it must be square, {minimum} to {maximum} px a side.",
            width=width,
            height=height,
            minimum=MIN_SIDE,
            maximum=MAX_RASTER_SIDE,
        )


def _fit_layer(layer: np.ndarray, size: int, style: EdgeStyle, grey: bool) -> np.ndarray:
    """The layer at this size, as lines for a grey canvas and as areas of pure colours for a coloured one."""
    import cv2

    if grey and layer.ndim == 3:
        layer = np.asarray(Image.fromarray(layer).convert("L"))
    elif not grey and layer.ndim == 2:
        layer = np.repeat(layer[..., None], 3, axis=2)
    if layer.shape[0] == size:
        return layer.copy()
    if grey:
        return resize_lines(layer, size, size, style)
    return cv2.resize(layer, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)


def _draw(canvas: np.ndarray, stroke: Stroke, scale: float, style: EdgeStyle, colour: tuple[int, ...]) -> None:
    """One stroke onto the canvas, in place. scale: pixels in a canvas unit."""
    if stroke.tool == "fill":
        size = canvas.shape[0] / scale
        for each in (stroke, stroke.mirrored(size)) if stroke.mirror else (stroke,):
            _flood(canvas, each.points[0], scale, colour)
        return
    if stroke.tool == "rect":
        mask = _rectangle(canvas.shape[0], stroke, scale)
    else:
        mask = _line(canvas.shape[0], stroke, scale, style)
    if stroke.mirror:  # of the pixels, not of the points: so both halves agree to the last pixel
        mask = np.maximum(mask, mask[:, ::-1])
    _blend(canvas, mask, colour)


def _line(size: int, stroke: Stroke, scale: float, style: EdgeStyle) -> np.ndarray:
    """Coverage (size, size) uint8 of a pen or eraser stroke; 0 and 255 only if the style is crisp."""
    import cv2

    mask = np.zeros((size, size), np.uint8)
    thickness = max(1, int(max(style.line_width, stroke.width * scale) + 0.5))
    points = np.array(stroke.points) * scale
    if thickness == 1 and not style.antialias:
        path = _pixel_path(np.floor(points).astype(np.int32))
        return cv2.polylines(mask, [path], False, 255, 1, cv2.LINE_8)
    low = np.floor(points.min(axis=0) - thickness).clip(0, size).astype(int)
    high = np.ceil(points.max(axis=0) + thickness).clip(0, size).astype(int)
    if (low < high).all():
        (left, top), (right, bottom) = low, high
        covered = _wide_line(points - low, thickness, (right - left, bottom - top), style.antialias)
        mask[top:bottom, left:right] = covered if style.antialias else np.where(covered < 128, 0, 255)
    return mask


def _wide_line(points: np.ndarray, thickness: int, box: tuple[int, int], antialias: bool) -> np.ndarray:
    """Share of each pixel of a box (width, height) that the line covers, times 255.

    Drawn larger and averaged: lines of OpenCV are one or two pixels wider than asked for, always an odd number.
    """
    import cv2

    zoom = OVERSAMPLING if thickness < FAT and max(box) <= MAX_OVERSAMPLED else 1
    # OpenCV counts from the middle of the first pixel, the canvas from its corner.
    vertices = np.rint((points * zoom - 0.5) * 2**SUBPIXEL_BITS).astype(np.int32)
    if len(vertices) == 1:
        vertices = np.repeat(vertices, 2, axis=0)  # a dot: OpenCV draws nothing for one point
    even = max(1, (thickness * zoom - 1) // 2 * 2)  # makes a line of even + 1
    kind = cv2.LINE_AA if antialias and zoom == 1 else cv2.LINE_8
    large = np.zeros((box[1] * zoom, box[0] * zoom), np.uint8)
    cv2.polylines(large, [vertices], False, 255, even, kind, SUBPIXEL_BITS)
    return cv2.resize(large, box, interpolation=cv2.INTER_AREA) if zoom > 1 else large


def _pixel_path(vertices: np.ndarray) -> np.ndarray:
    """Whole pixels (n, 2) without repetitions and without the corners of stairs; a dot comes back twice.

    A pointer reports every pixel it crosses. Drawn as they come, these make stairs twice as thick as
    the diagonal lines that Canny leaves.
    """
    moved = np.any(np.diff(vertices, axis=0) != 0, axis=1)
    path = vertices[np.concatenate([[True], moved])]
    if len(path) < 3:
        return np.repeat(path, 2, axis=0)  # OpenCV draws nothing for one point
    steps = np.diff(path, axis=0)
    straight = np.abs(steps).sum(axis=1) == 1
    turns = (steps[:-1] * steps[1:]).sum(axis=1) == 0
    corner = straight[:-1] & straight[1:] & turns  # of points 1 to n - 2
    # In a run of corners every second one stays: without both, the line would break.
    position = np.arange(len(corner))
    run_start = np.maximum.accumulate(np.where(corner, -1, position))
    drop = corner & ((position - run_start) % 2 == 1)
    return path[~np.concatenate([[False], drop, [False]])]


def _rectangle(size: int, stroke: Stroke, scale: float) -> np.ndarray:
    corners = np.rint(np.array([stroke.points[0], stroke.points[-1]]) * scale).astype(int)
    low, high = corners.min(axis=0), corners.max(axis=0)
    high = np.maximum(high, low + 1)  # at least one pixel
    (left, top), (right, bottom) = low.clip(0, size), high.clip(0, size)
    mask = np.zeros((size, size), np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


def _flood(canvas: np.ndarray, point: tuple[float, float], scale: float, colour: tuple[int, ...]) -> None:
    import cv2

    x, y = (int(np.floor(coordinate * scale)) for coordinate in point)
    if 0 <= x < canvas.shape[1] and 0 <= y < canvas.shape[0]:
        cv2.floodFill(canvas, None, (x, y), colour, flags=4)


def _blend(canvas: np.ndarray, mask: np.ndarray, colour: tuple[int, ...]) -> None:
    """Paint with coverage 0 to 255, in place."""
    full = mask == 255
    canvas[full] = colour if canvas.ndim == 3 else colour[0]
    soft = (mask > 0) & ~full
    if not soft.any():
        return
    share = mask[soft].astype(np.float32) / 255
    if canvas.ndim == 3:
        share = share[:, None]
    canvas[soft] = np.rint(canvas[soft] * (1 - share) + np.array(colour) * share).astype(np.uint8)


def _pick(colours: list[tuple[int, ...]], index: int, stroke: int) -> tuple[int, ...]:
    if index >= len(colours):
        raise UserError(
            "sketch_colour",
            "strokes[{stroke}] uses colour {color}, but this model has colours 0 to {last}: choose one of them.",
            stroke=stroke,
            color=index,
            last=len(colours) - 1,
        )
    return colours[index]


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.lstrip("#")))
