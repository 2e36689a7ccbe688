"""Frames to a file that moves: GIF, animated WebP, MP4. All in memory."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from bicyclegan.errors import UserError

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.codeccontext import VideoCodecContext
    from PIL import Image

Format = Literal["gif", "webp", "mp4"]
"""A file's ending is the name of its format."""
FORMATS: tuple[str, ...] = get_args(Format)
MIME = {"gif": "image/gif", "webp": "image/webp", "mp4": "video/mp4"}
MAX_FRAMES = 240
MAX_FPS = 60.0
MAX_MEGAPIXELS = 256
"""In all frames together: 768 MB as RGB."""
GIF_SHORTEST = 2
"""Hundredths of a second that a frame of a GIF is shown at least: browsers slow down what is shorter."""
GIF_COLOURS = 255
"""One of 256 is left free: Pillow makes what stays the same transparent with it, and the file smaller."""
PALETTE_SAMPLE = 1 << 15
"""Pixels, evenly spread over all frames, that the palette of a GIF is chosen for."""
PALETTE_ROUNDS = 8
"""Of k-means. Measured on 100 frames of shoes, mean error in grey levels after 0, 4, 8 rounds: 2.0, 1.22, 1.20."""
WEBP_QUALITY = 85
H264 = {"crf": "16", "preset": "medium"}


def encode_animation(images: Sequence[Image.Image], format: Format, fps: float = 12, loop: bool = True) -> bytes:
    """Frames as one file.

    Args:
        images: 2 to 240 pictures of one size.
        format: "gif" (255 colours that all frames share, no dithering: nothing flickers or crawls), "webp", or
            "mp4" (H.264, yuv420p; odd sides get one more pixel, a copy of their border).
        fps: frames a second, 1 to 60. A GIF counts in hundredths of a second: its frames take turns in being one
            longer, so that the whole lasts as long as it should; above 50 fps it plays at 50.
        loop: over and over; else once. An MP4 does not say: what plays it decides.

    Frames equal to the one before may be stored as its longer duration. Raises `UserError`.
    """
    check_animation(format, fps, len(images), _one_size(images))
    if format == "mp4":
        return _mp4(images, fps)
    frames = [image.convert("RGB") for image in images]
    return _gif(frames, fps, loop) if format == "gif" else _webp(frames, fps, loop)


def check_animation(format: str, fps: float, count: int, size: tuple[int, int]) -> None:
    """Raise `UserError` for what `encode_animation` would refuse, before anything is painted.

    count: frames. size: their width and height in px.
    """
    if format not in FORMATS:
        raise UserError(
            "animation_format",
            "The animation's format is {value!r}; use one of {allowed}.",
            value=format,
            allowed=", ".join(FORMATS),
        )
    number = isinstance(fps, (int, float)) and not isinstance(fps, bool)
    if not (number and 1 <= fps <= MAX_FPS):  # NaN fails too
        raise UserError(
            "animation_fps",
            "The animation's speed is {value!r} frames a second; use a number from 1 to {limit:g}.",
            value=fps,
            limit=MAX_FPS,
        )
    if not 2 <= count <= MAX_FRAMES:
        raise UserError(
            "animation_frames",
            "An animation of {count} frames cannot be made; use 2 to {limit}.",
            count=count,
            limit=MAX_FRAMES,
        )
    _check_pixels(count * math.prod(size) / 1e6)


def _check_pixels(megapixels: float) -> None:
    if megapixels > MAX_MEGAPIXELS:
        raise UserError(
            "animation_large",
            "All frames together have {megapixels:.0f} megapixels; at most {limit} are allowed: use fewer or smaller "
            "ones.",
            megapixels=megapixels,
            limit=MAX_MEGAPIXELS,
        )


def _one_size(images: Sequence[Image.Image]) -> tuple[int, int]:
    """The size of all frames; (0, 0) of none. Raises `UserError` for several."""
    sizes = sorted({image.size for image in images}) or [(0, 0)]
    if len(sizes) > 1:
        raise UserError(
            "animation_sizes",
            "The frames of an animation must have one size; here are {sizes} px.",
            sizes=", ".join(f"{width} x {height}" for width, height in sizes[:3]),
        )
    return sizes[0]


def _durations(count: int, fps: float, units: int, shortest: int = 1) -> list[int]:
    """How long each frame is shown in 1/units s. Rounded ends, not lengths: the sum is right to half a unit."""
    ends = [round(k * units / fps) for k in range(count + 1)]
    return [max(shortest, end - start) for start, end in itertools.pairwise(ends)]


# GIF


def _gif(frames: list[Image.Image], fps: float, loop: bool) -> bytes:
    from PIL import Image

    pixels = np.stack([np.asarray(frame) for frame in frames])  # (N, H, W, 3) uint8
    palette = shared_palette(pixels)
    pictures = [Image.fromarray(places) for places in _nearest_everywhere(pixels, palette)]
    for picture in pictures:
        picture.putpalette(palette.tobytes())
    durations = [10 * each for each in _durations(len(frames), fps, 100, GIF_SHORTEST)]
    forever = {"loop": 0} if loop else {}  # a GIF that does not speak of loops plays once
    return _saved(pictures, "GIF", duration=durations, optimize=False, **forever)


def shared_palette(pixels: np.ndarray, colours: int = GIF_COLOURS) -> np.ndarray:
    """The colours that stand best for all pixels: uint8 (..., 3) -> uint8 (colours, 3). Deterministic.

    An octree's choice, bettered by k-means; the most frequent colour, as a rule the background, is kept exactly.
    """
    pixels = pixels.reshape(-1, 3)
    sample = pixels[np.linspace(0, len(pixels) - 1, min(len(pixels), PALETTE_SAMPLE)).astype(np.int64)]
    points, counts = np.unique(sample, axis=0, return_counts=True)
    centres = _octree(sample, colours).astype(np.float64)
    for _ in range(PALETTE_ROUNDS):
        nearest = _nearest(points, centres)
        weights = np.bincount(nearest, counts, colours)
        sums = np.stack([np.bincount(nearest, counts * points[:, k], colours) for k in range(3)], axis=1)
        centres = np.where(weights[:, None] > 0, sums / np.maximum(weights, 1)[:, None], centres)
    background = points[counts.argmax()]
    centres[_nearest(background[None], centres)] = background
    return centres.round().astype(np.uint8)


def _octree(sample: np.ndarray, colours: int) -> np.ndarray:
    """uint8 (M, 3) -> (colours, 3), black where there are fewer."""
    from PIL import Image

    picture = Image.fromarray(sample[None]).quantize(colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    chosen = np.array(picture.getpalette(), np.uint8).reshape(-1, 3)[:colours]
    return np.concatenate([chosen, np.zeros((colours - len(chosen), 3), np.uint8)])


def _nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(M, 3), (K, 3) -> (M,) index of the nearest centre."""
    points, centres = points.astype(np.float32), centres.astype(np.float32)
    return ((centres**2).sum(axis=1) - 2 * points @ centres.T).argmin(axis=1)


def _nearest_everywhere(pixels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W, 3) -> (N, H, W) uint8, exact; Pillow's own search takes neighbours, white among them.

    Each colour that occurs is looked for once, through a table of all 2^24 that there are.
    """
    table = np.zeros(1 << 24, np.uint8)
    for frame in pixels:
        table[_colour_numbers(frame)] = 1
    present = np.flatnonzero(table)
    for start in range(0, len(present), 1 << 16):
        chunk = present[start : start + (1 << 16)]
        colours = np.stack([chunk >> 16, chunk >> 8 & 255, chunk & 255], axis=1)
        table[chunk] = _nearest(colours, palette)
    return np.stack([table[_colour_numbers(frame)] for frame in pixels])


def _colour_numbers(frame: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) -> (H, W) 0xRRGGBB."""
    red, green, blue = np.moveaxis(frame.astype(np.uint32), -1, 0)
    return red << 16 | green << 8 | blue


# WebP


def _webp(frames: list[Image.Image], fps: float, loop: bool) -> bytes:
    durations = _durations(len(frames), fps, 1000)
    return _saved(frames, "WEBP", duration=durations, loop=0 if loop else 1, quality=WEBP_QUALITY, method=2)


def _saved(frames: list[Image.Image], kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], **options)
    return buffer.getvalue()


# MP4


def _mp4(images: Sequence[Image.Image], fps: float) -> bytes:
    """The index stands in front, so that it plays while it loads.

    FFmpeg's own `faststart` reads the file again by its name, which one in memory lacks: space is reserved instead.
    """
    import av

    buffer = io.BytesIO()
    index_bytes = 2048 + 64 * len(images)
    with av.open(buffer, "w", format="mp4", options={"moov_size": str(index_bytes)}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000), options=H264)
        stream.pix_fmt = "yuv420p"
        stream.height, stream.width = _even(images[0]).shape[:2]
        _say_bt709(stream.codec_context)
        for image in images:
            container.mux(stream.encode(_bt709(_even(image))))
        container.mux(stream.encode())
    return buffer.getvalue()


def _say_bt709(context: VideoCodecContext) -> None:
    """Written into the file: players guess from the size otherwise, and colours shift."""
    from av.video.reformatter import ColorRange, Colorspace

    context.colorspace = context.color_primaries = context.color_trc = Colorspace.ITU709
    context.color_range = ColorRange.MPEG


def _bt709(pixels: np.ndarray) -> VideoFrame:
    from av import VideoFrame
    from av.video.reformatter import ColorRange, Colorspace

    frame = VideoFrame.from_ndarray(pixels, format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)


def _even(image: Image.Image) -> np.ndarray:
    """uint8 (H, W, 3) with even sides: colour is stored once for 2 x 2 pixels."""
    pixels = np.asarray(image.convert("RGB"))
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
