"""Animations: every format is decoded again, and holds the frames, the time and the colours that went in."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from bicyclegan.animation import FORMATS, GIF_COLOURS, MIME, check_animation, encode_animation, shared_palette
from bicyclegan.errors import UserError

WHITE = (255, 255, 255)


@dataclass(frozen=True)
class Decoded:
    pixels: np.ndarray
    """(N, H, W, 3) int."""
    seconds: float
    loop: int | None


def moving(count: int = 6, size: tuple[int, int] = (64, 48)) -> list[Image.Image]:
    """A disc of soft, changing colour that crosses white paper."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    frames = []
    for k in range(count):
        inside = (x - width * (k + 1) / (count + 1)) ** 2 + (y - height / 2) ** 2 < (height / 3) ** 2
        colour = np.stack([200 - 20 * k + x / 2, 60 + 25 * k + 0 * x, 90 + y], axis=2)
        frames.append(Image.fromarray(np.where(inside[..., None], colour.clip(0, 255), 255).astype(np.uint8)))
    return frames


def decode(data: bytes, format: str) -> Decoded:
    return decode_mp4(data) if format == "mp4" else decode_pillow(data, format)


def decode_pillow(data: bytes, format: str) -> Decoded:
    frames, milliseconds = [], 0
    with Image.open(io.BytesIO(data), formats=[format.upper()]) as image:
        for k in range(image.n_frames):
            image.seek(k)
            frames.append(np.asarray(image.convert("RGB")).astype(int))
            milliseconds += image.info["duration"]
        return Decoded(np.stack(frames), milliseconds / 1000, image.info.get("loop"))


def decode_mp4(data: bytes) -> Decoded:
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        pixels = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(stream)]
        return Decoded(np.stack(pixels), float(stream.duration * stream.time_base), None)


@pytest.mark.parametrize("format", FORMATS)
def test_frames_come_back(format: str) -> None:
    frames = moving()
    found = decode(encode_animation(frames, format, fps=12), format)
    expected = np.stack([np.asarray(frame) for frame in frames]).astype(int)
    assert found.pixels.shape == expected.shape
    difference = np.abs(found.pixels - expected)
    assert difference.mean() < 2
    assert np.percentile(difference, 99) < 30  # the disc's hard edge is what loses most
    assert found.seconds == pytest.approx(6 / 12, abs=0.006)
    assert np.abs(found.pixels[:, :4, :4] - 255).max() <= 2, "paper stays white"


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("fps", [1, 7, 29.97, 50])
def test_the_whole_lasts_as_long_as_it_should(format: str, fps: float) -> None:
    found = decode(encode_animation(moving(30), format, fps), format)
    assert len(found.pixels) == 30
    assert found.seconds == pytest.approx(30 / fps, abs=0.006)


def test_no_frame_of_a_gif_is_shorter_than_browsers_keep() -> None:
    found = decode(encode_animation(moving(30), "gif", 60), "gif")
    assert found.seconds == pytest.approx(30 / 50)


@pytest.mark.parametrize(("loop", "flags"), [(True, (0, 0)), (False, (None, 1))])
def test_loops_for_ever_or_plays_once(loop: bool, flags: tuple[int | None, int]) -> None:
    gif, webp = (encode_animation(moving(3), format, loop=loop) for format in ("gif", "webp"))
    assert (decode(gif, "gif").loop, decode(webp, "webp").loop) == flags
    assert (b"NETSCAPE2.0" in gif) == loop  # the only loop that browsers know


@pytest.mark.parametrize("format", FORMATS)
def test_frames_that_were_read_from_a_looping_file(tmp_path: Path, format: str) -> None:
    """What a frame remembers of its own file says nothing about the new one."""
    (tmp_path / "old.gif").write_bytes(encode_animation(moving(3), "gif", fps=1))
    old = Image.open(tmp_path / "old.gif")
    frames = []
    for k in range(3):
        old.seek(k)
        frames.append(old.copy())
    found = decode(encode_animation(frames, format, fps=10, loop=False), format)
    assert found.loop in (None, 1)
    assert found.seconds == pytest.approx(0.3, abs=0.006)


def test_two_and_very_many_frames() -> None:
    for count in (2, 240):
        for format in FORMATS:
            found = decode(encode_animation(moving(count, (16, 16)), format, 30), format)
            assert found.seconds == pytest.approx(count / 30, abs=0.006)


@pytest.mark.parametrize("size", [(33, 48), (32, 47), (17, 19)])
def test_odd_sides_of_an_mp4_repeat_the_border(size: tuple[int, int]) -> None:
    frames = [Image.new("RGB", size, colour) for colour in ("white", (200, 40, 40))]
    found = decode(encode_animation(frames, "mp4"), "mp4")
    assert found.pixels.shape[1:3] == (size[1] + size[1] % 2, size[0] + size[0] % 2)
    assert np.abs(found.pixels[1] - (200, 40, 40)).max() < 8, "no dark line"


def test_an_mp4_has_its_index_in_front_and_says_its_colours() -> None:
    data = encode_animation(moving(240, (32, 32)), "mp4")
    assert 0 < data.find(b"moov") < data.find(b"mdat")
    with av.open(io.BytesIO(data)) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)


@pytest.mark.parametrize("format", FORMATS)
def test_grey_frames_are_taken(format: str) -> None:
    frames = [Image.new("L", (32, 32), value) for value in (30, 220)]
    found = decode(encode_animation(frames, format), format)
    assert np.abs(found.pixels.mean(axis=(1, 2, 3)) - (30, 220)).max() < 3


# The palette of a GIF


def test_all_frames_of_a_gif_share_one_palette() -> None:
    data = encode_animation(moving(), "gif")
    image = Image.open(io.BytesIO(data))
    local = []
    for k in range(image.n_frames):
        image.seek(k)
        local.append(image.palette is not None and bytes(image.palette.palette) != bytes(image.global_palette.palette))
    assert local == [False] * 6


def test_what_stands_still_does_not_flicker() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    frames = []
    for k in range(8):
        pixels = noise.copy()
        pixels[:8, k * 4 : k * 4 + 4] = (30 * k, 200, 255 - 30 * k)
        frames.append(Image.fromarray(pixels))
    found = decode(encode_animation(frames, "gif"), "gif").pixels
    assert (found[:, 8:] == found[:1, 8:]).all()


def test_few_colours_are_kept_exactly() -> None:
    colours = [WHITE, (1, 2, 3), (250, 10, 20), (20, 250, 10), (10, 20, 250)]
    frames = [Image.new("RGB", (20, 20), colour) for colour in colours]
    found = decode(encode_animation(frames, "gif"), "gif")
    assert found.pixels[:, 3, 3].tolist() == [list(colour) for colour in colours]


def test_the_palette_holds_the_background_exactly_and_is_deterministic() -> None:
    pixels = np.random.default_rng(1).integers(200, 256, (40, 40, 3), np.uint8)
    pixels[:12] = (254, 253, 255)
    palette = shared_palette(pixels)
    assert palette.shape == (GIF_COLOURS, 3)
    assert (palette == (254, 253, 255)).all(axis=1).any()
    assert (palette == shared_palette(pixels)).all()


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": []}, "0 frames cannot be made; use 2 to 240"),
        ({"images": moving(1)}, "1 frames"),
        ({"images": moving(1) * 241}, "241 frames"),
        ({"format": "avi"}, "format is 'avi'; use one of gif, webp, mp4"),
        ({"format": None}, "format is None"),
        ({"fps": 0.5}, "0.5 frames a second; use a number from 1 to 60"),
        ({"fps": 61}, "61 frames a second"),
        ({"fps": float("nan")}, "nan frames a second"),
        ({"fps": True}, "True frames a second"),
        ({"fps": "12"}, "'12' frames a second"),
        ({"images": [*moving(2), *moving(1, (32, 32))]}, "one size; here are 32 x 32, 64 x 48 px"),
        ({"images": [Image.new("L", (12000, 12000))] * 2}, "have 288 megapixels; at most 256"),
    ],
)
def test_what_cannot_be_an_animation(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        encode_animation(**{"images": moving(2), "format": "gif", **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("exe", 12, 9, (64, 64)), "'exe'; use one of gif, webp, mp4"),
        (("gif", 0, 9, (64, 64)), "0 frames a second"),
        (("gif", 12, 1, (64, 64)), "1 frames cannot"),
        (("gif", 12, 241, (64, 64)), "2 to 240"),
        (("gif", 12, 240, (1280, 1024)), "315 megapixels; at most 256"),
    ],
)
def test_what_cannot_be_an_animation_is_known_before_it_is_painted(arguments: tuple, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_animation(*arguments)
    check_animation("mp4", 60, 240, (1024, 1024))


def test_every_format_has_its_type() -> None:
    assert set(MIME) == set(FORMATS)
