"""Pictures in and out. The only place that converts size, colour and range.

Outside of this file pixels are uint8 in [0, 255], channels last; tensors are float32 in [-1, 1],
channels first. Every picture that a person brings passes `load_image` once and is plain RGB after it.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from bicyclegan.errors import UserError

if TYPE_CHECKING:
    import torch

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
"""What `load_image` opens. Nothing that runs a program (EPS) or fetches anything."""
FORMAT_NAMES = "PNG, JPEG, WebP, AVIF, BMP, GIF, TIFF"
MIN_SIDE = 16
"""Shortest side in pixels that can show anything."""
MAX_MEGAPIXELS = 64
"""Largest picture that is decoded: 192 MB as RGB."""
BORDER_TOLERANCE = 24
"""Grey levels, in the channel that differs most, up to which a border pixel has the border's colour."""
RANGE_TOLERANCE = 1e-3
"""How far a picture tensor may leave [-1, 1] by rounding before it counts as a bug."""

ImageSource: TypeAlias = "str | Path | bytes | Image.Image | np.ndarray"


def load_image(source: ImageSource, name: str = "") -> Image.Image:
    """Open any picture as upright RGB, transparent parts on white.

    source: path, file contents, PIL image, or uint8 array (H, W) or (H, W, 3 | 4).
    name: what messages call it; the path by default.
    16-bit grey is scaled to 8 bits, EXIF orientation is applied. The source is left as it is.
    Raises `UserError` when it is missing, no picture, damaged, animated, smaller than `MIN_SIDE`
    or larger than `MAX_MEGAPIXELS` (read from its header: nothing is decoded for it).
    """
    name = name or (str(source) if isinstance(source, str | Path) else "image")
    image = _open(source, name)
    _check_size(image, name)
    try:
        _check_still(image, name)
        return _to_rgb(ImageOps.exif_transpose(image))
    except UserError:
        raise
    except Exception as error:  # broken files make decoders raise anything, IndexError and zlib.error included
        raise _damaged(name, error) from error


def read_size(source: ImageSource, name: str = "") -> tuple[int, int]:
    """Width and height in px as `load_image` would return them, from the header alone.

    Raises `UserError` when it is missing or no picture. Whether its pixels are whole is not known.
    """
    name = name or str(source)
    image = _open(source, name)
    try:
        turned = int(image.getexif().get(ExifTags.Base.Orientation, 1)) in (5, 6, 7, 8)  # lies on its side
    except Exception as error:
        raise _damaged(name, error) from error
    width, height = image.size
    return (height, width) if turned else (width, height)


def count_pixels(source: ImageSource, name: str = "") -> int:
    """Pixels that `load_image` would decode, from the header alone, whatever the file: nothing is decoded for it.

    Raises `UserError` when it is missing, no picture, or smaller or larger than `load_image` takes.
    """
    name = name or str(source)
    image = _open(source, name)
    _check_size(image, name)
    return image.width * image.height


def fit_square(
    image: Image.Image, size: int, fill: tuple[int, int, int] = (255, 255, 255), flat: bool = False
) -> Image.Image:
    """The whole picture in the middle of a square of `size` px on `fill`, resampled with Lanczos.

    flat: takes the nearest pixel instead, so that a label map holds no colours but its own.
    Returns RGB. A picture that already has this size keeps its exact pixels.
    """
    assert size >= 1, size
    image = image.convert("RGB")
    left, top, width, height = fit_box(*image.size, size)
    if image.size == (size, size):
        return image
    square = Image.new("RGB", (size, size), fill)
    method = Image.Resampling.NEAREST if flat else Image.Resampling.LANCZOS
    square.paste(image.resize((width, height), method), (left, top))
    return square


def fit_box(width: int, height: int, size: int) -> tuple[int, int, int, int]:
    """Where `fit_square` puts a picture of width x height px: left, top, width, height in px."""
    scale = size / max(width, height)
    inner_width, inner_height = (max(1, round(side * scale)) for side in (width, height))
    return (size - inner_width) // 2, (size - inner_height) // 2, inner_width, inner_height


def border_colour(pixels: np.ndarray) -> tuple[np.ndarray, float]:
    """uint8 (H, W, C) -> median colour of the outermost frame, uint8 (C,), and the share of it in about this colour.

    A share near 1 is a plain background. What is filled up around the picture takes the colour.
    """
    frame = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]]).astype(np.int16)
    colour = np.median(frame, axis=0)
    return colour.astype(np.uint8), float(np.mean(np.abs(frame - colour).max(axis=1) <= BORDER_TOLERANCE))


def fit_photo(image: Image.Image, size: int) -> Image.Image:
    """`fit_square` on the photo's own border colour, as training fits photos: its edges find no seam."""
    colour, _ = border_colour(np.asarray(image.convert("RGB")))
    return fit_square(image, size, fill=tuple(colour.tolist()))


def to_float(pixels: np.ndarray | torch.Tensor) -> torch.Tensor:
    """uint8 (H, W), (H, W, C) or (N, H, W, C) in [0, 255] -> float32 (N, C, H, W) in [-1, 1]; N is 1 if absent.

    A uint8 tensor (N, H, W, C) is converted where it is: a quarter of the bytes travel to a GPU.
    """
    import torch

    if not isinstance(pixels, torch.Tensor):
        assert pixels.dtype == np.uint8, pixels.dtype
        assert 2 <= pixels.ndim <= 4, pixels.shape
        if pixels.ndim == 2:
            pixels = pixels[..., None]
        if pixels.ndim == 3:
            pixels = pixels[None]
        pixels = torch.from_numpy(np.array(pixels, order="C"))  # a copy: PIL's arrays are read-only
    assert pixels.dtype == torch.uint8, pixels.dtype
    assert pixels.ndim == 4, tuple(pixels.shape)
    return pixels.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format) / 127.5 - 1


def to_uint8(tensor: torch.Tensor) -> np.ndarray:
    """Float (N, C, H, W) in [-1, 1] -> uint8 (N, H, W, C) in [0, 255], rounded: the inverse of `to_float`.

    Values that leave the range by up to `RANGE_TOLERANCE` are clamped. More, or NaN, is our own bug: AssertionError.
    """
    assert tensor.ndim == 4, tuple(tensor.shape)
    tensor = tensor.detach().float()
    if tensor.numel():
        low, high = tensor.min().item(), tensor.max().item()
        limit = 1 + RANGE_TOLERANCE
        assert -limit <= low <= high <= limit, f"picture tensor spans [{low}, {high}], not [-1, 1]"
    pixels = ((tensor.clamp(-1, 1) + 1) * 127.5).round().byte()
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def to_pil(tensor: torch.Tensor) -> list[Image.Image]:
    """Float (N, 1 | 3, H, W) in [-1, 1] -> N pictures, mode L or RGB."""
    return [Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels) for pixels in to_uint8(tensor)]


def make_sheet(pictures: Sequence[Image.Image], columns: int | None = None, gap: int = 4) -> Image.Image:
    """Pictures side by side on white, RGB, in reading order. columns: about square by default; gap in px."""
    assert pictures, "a sheet of no pictures"
    columns = columns or math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    width, height = (max(picture.size[axis] for picture in pictures) + gap for axis in (0, 1))
    sheet = Image.new("RGB", (columns * width - gap, rows * height - gap), (255, 255, 255))
    for index, picture in enumerate(pictures):
        sheet.paste(picture.convert("RGB"), (index % columns * width, index // columns * height))
    return sheet


def webp_bytes(image: Image.Image, quality: int = 90, lossless: bool = False) -> bytes:
    """A picture as a WebP file. quality: 1 to 100; of a lossless file it is the effort to make it small."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, lossless=lossless, method=4)
    return buffer.getvalue()


def encode_data_url(image: Image.Image, format: Literal["webp", "jpeg", "png"] = "webp", quality: int = 90) -> str:
    """A picture as `data:image/...;base64,...` for a page. quality: 1 to 100, ignored by the lossless PNG."""
    buffer = io.BytesIO()
    if format == "png":
        image.save(buffer, "PNG")
    elif format == "webp":
        image.save(buffer, "WEBP", quality=quality, method=2)  # method 2: half the time of the default
    else:
        image.convert("RGB").save(buffer, "JPEG", quality=quality)
    return f"data:image/{format};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def decode_data_url(text: str, max_bytes: int) -> bytes:
    """Contents of a `data:image/...;base64,...` URL. Its length is checked before anything is decoded."""
    head = re.match(r"data:image/[a-z0-9.+-]{1,32};base64,", text[:64]) if isinstance(text, str) else None
    if head is None:
        raise UserError(
            "data_url_prefix",
            "This is not a picture as a data URL: it starts with {start!r}; expected data:image/...;base64,...",
            start=str(text)[:24],
        )
    count = (len(text) - head.end()) * 3 // 4
    if count > max_bytes + 2:  # up to two bytes are padding
        raise _data_url_too_long(count, max_bytes)
    try:
        data = base64.b64decode(text[head.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise UserError(
            "data_url_base64",
            "The data URL is not valid base64 ({reason}): send the picture again.",
            reason=str(error),
        ) from error
    if len(data) > max_bytes:
        raise _data_url_too_long(len(data), max_bytes)
    return data


def _open(source: ImageSource, name: str) -> Image.Image:
    """The picture with its header read; pixels are decoded later."""
    if isinstance(source, Image.Image):
        return source
    if isinstance(source, np.ndarray):
        return _from_array(source, name)
    if isinstance(source, bytes):
        return _open_file(io.BytesIO(source), name)
    if not isinstance(source, str | Path):
        raise UserError(
            "image_source",
            "A picture cannot be made of {kind}; give a path, bytes, a PIL image or a uint8 array.",
            kind=type(source).__name__,
        )
    try:
        found = Path(source).is_file()
    except (OSError, ValueError):  # a name that no file can have, such as one with a NUL or of 100 KB
        found = False
    if not found:
        raise UserError("image_missing", "There is no file {name}; check the path.", name=name[:200])
    try:
        return _open_file(io.BytesIO(Path(source).read_bytes()), name)
    except OSError as error:
        raise UserError(
            "image_unreadable",
            "{name} cannot be read ({reason}); check its permissions.",
            name=name,
            reason=error.strerror or str(error),
        ) from error


def _open_file(file: io.BytesIO, name: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Our own limit is lower than the one this warns about.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise UserError(
            "image_unknown",
            "{name} is not a picture that can be opened, or its beginning is damaged; use one of {formats}.",
            name=name,
            formats=FORMAT_NAMES,
        ) from error
    except Image.DecompressionBombError as error:
        # PIL keeps the header to itself here, but its message starts with the number of pixels.
        count = re.search(r"\d+", str(error))
        raise _too_large(name, int(count.group()) if count else 2 * (Image.MAX_IMAGE_PIXELS or 0)) from error
    except Exception as error:
        raise _damaged(name, error) from error


def _from_array(array: np.ndarray, name: str) -> Image.Image:
    if array.dtype != np.uint8:
        raise UserError(
            "image_array_dtype",
            "{name} is an array of {dtype}; pixels must be uint8 from 0 to 255.",
            name=name,
            dtype=array.dtype,
        )
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise UserError(
            "image_array_shape",
            "{name} is an array of shape {shape}; allowed are (H, W), (H, W, 3) and (H, W, 4).",
            name=name,
            shape=array.shape,
        )
    height, width = array.shape[:2]
    if min(height, width) < MIN_SIDE:  # PIL refuses empty arrays with a message about tiles
        raise _too_small(name, width, height)
    return Image.fromarray(array)


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        raise _too_small(name, width, height)
    if width * height > MAX_MEGAPIXELS * 1_000_000:
        raise _too_large(name, width * height)


def _check_still(image: Image.Image, name: str) -> None:
    frames = getattr(image, "n_frames", 1)
    # A camera's JPEG may carry its preview as a second "frame" (MPO); the first is the photo.
    if frames > 1 and image.format != "MPO":
        raise UserError(
            "image_animated",
            "{name} holds {frames} frames; save one of them as a picture and use that.",
            name=name,
            frames=frames,
        )


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_to_eight_bits(np.asarray(image), image.mode))
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _to_eight_bits(values: np.ndarray, mode: str) -> np.ndarray:
    """Deep grey (H, W) of any range -> uint8: by its format's full scale if it has one, else by its own extremes."""
    values = np.nan_to_num(values.astype(np.float64))
    low, high = 0.0, 65535.0
    if not mode.startswith("I;16"):  # "I" and "F" do not say what white is: take the smallest usual scale that holds it
        low, high = float(values.min()), float(values.max())
        if low >= 0:
            scales = (255.0, 65535.0) if mode == "I" else (1.0, 255.0, 65535.0)
            low, high = 0.0, next((scale for scale in scales if high <= scale), high)
    return np.rint((values - low) * (255 / max(high - low, 1e-12))).clip(0, 255).astype(np.uint8)


def _damaged(name: str, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return UserError(
        "image_damaged",
        "{name} is damaged or cut short ({reason}); download or save it again.",
        name=name,
        reason=reason,
    )


def _too_small(name: str, width: int, height: int) -> UserError:
    return UserError(
        "image_small",
        "{name} is {width} x {height} px; each side must have at least {minimum} px.",
        name=name,
        width=width,
        height=height,
        minimum=MIN_SIDE,
    )


def _too_large(name: str, pixels: int) -> UserError:
    return UserError(
        "image_large",
        "{name} has {megapixels} megapixels; at most {limit} are allowed: make it smaller.",
        name=name,
        megapixels=f"{pixels / 1e6:.1f}",
        limit=MAX_MEGAPIXELS,
    )


def _data_url_too_long(count: int, limit: int) -> UserError:
    return UserError(
        "data_url_large",
        "The picture in the data URL has {count} bytes; at most {limit} are allowed: make it smaller.",
        count=count,
        limit=limit,
    )
