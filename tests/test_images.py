"""Any picture in, plain RGB out; ranges convert without loss; bad pictures are named."""

from __future__ import annotations

import io
import struct
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from bicyclegan.errors import UserError
from bicyclegan.images import (
    border_colour,
    decode_data_url,
    encode_data_url,
    fit_photo,
    fit_square,
    load_image,
    make_sheet,
    read_size,
    to_float,
    to_pil,
    to_uint8,
    webp_bytes,
)


def picture(width: int = 48, height: int = 32) -> Image.Image:
    """Red, green and blue all differ, no symmetry."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 5, y * 7, 255 - x * 2 - y], axis=2).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and holds almost no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def refused(source, **options) -> UserError:
    with pytest.raises(UserError) as caught:
        load_image(source, **options)
    assert "\n" not in str(caught.value)
    return caught.value


# Good pictures


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_files_keep_their_pixels(kind, tmp_path):
    path = tmp_path / "p"
    path.write_bytes(encoded(picture(), kind))
    for source in (path, str(path), path.read_bytes()):
        image = load_image(source)
        assert image.mode == "RGB"
        np.testing.assert_array_equal(image, picture())


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "AVIF"])
def test_lossy_files_look_the_same(kind):
    image = load_image(encoded(picture(), kind))
    difference = np.abs(np.asarray(image, np.int16) - np.asarray(picture(), np.int16))
    assert image.size == (48, 32)
    assert difference.mean() < 16


def test_transparent_parts_become_white():
    rgba = picture().convert("RGBA")
    rgba.paste((200, 0, 0, 0), (0, 0, 24, 32))
    rgba.paste((0, 0, 0, 128), (24, 0, 30, 32))
    image = load_image(encoded(rgba))
    assert image.getpixel((5, 5)) == (255, 255, 255)
    assert image.getpixel((26, 5)) == (127, 127, 127)
    assert image.getpixel((40, 20)) == picture().getpixel((40, 20))


def test_transparent_grey_and_palettes_become_white():
    grey = Image.new("LA", (20, 20), (0, 0))
    palette = Image.new("P", (20, 20), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((3, 3), 1)
    loaded = load_image(encoded(palette, transparency=0))
    assert load_image(encoded(grey)).getpixel((9, 9)) == (255, 255, 255)
    assert loaded.getpixel((9, 9)) == (255, 255, 255)
    assert loaded.getpixel((3, 3)) == (0, 0, 255)
    key_colour = load_image(encoded(Image.new("RGB", (20, 20), (9, 9, 9)), transparency=(9, 9, 9)))
    assert key_colour.getpixel((0, 0)) == (255, 255, 255)


def test_grey_bilevel_and_opaque_palette():
    grey = picture().convert("L")
    np.testing.assert_array_equal(np.asarray(load_image(encoded(grey)))[..., 1], grey)
    bilevel = Image.new("1", (20, 20), 1)
    bilevel.putpixel((4, 4), 0)
    assert load_image(encoded(bilevel)).getpixel((4, 4)) == (0, 0, 0)
    assert load_image(encoded(bilevel)).getpixel((5, 4)) == (255, 255, 255)
    palette = Image.new("P", (20, 20), 1)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    assert load_image(encoded(palette)).getpixel((4, 4)) == (0, 0, 255)


def test_sixteen_bits_are_scaled_not_clipped():
    levels = np.repeat(np.arange(256, dtype=np.uint16)[None] * 257, 16, axis=0)
    for kind in ("PNG", "TIFF"):
        image = load_image(encoded(Image.fromarray(levels), kind))
        np.testing.assert_array_equal(np.asarray(image)[0, :, 0], np.arange(256))


@pytest.mark.parametrize(("dtype", "white"), [(np.int32, 65535), (np.int32, 255), (np.float32, 1.0), (np.float32, 255)])
def test_deep_grey_takes_the_smallest_scale_that_holds_it(dtype, white):
    values = np.linspace(0, white, 256).astype(dtype)[None].repeat(16, axis=0)
    image = np.asarray(load_image(Image.fromarray(values)))[0, :, 0]
    assert image[0] == 0
    assert image[-1] == 255
    assert abs(int(image[128]) - 128) <= 1


def test_float_pictures_of_any_range_are_stretched_and_nan_is_harmless():
    values = np.linspace(-5, 5, 400, dtype=np.float32).reshape(20, 20)
    image = np.asarray(load_image(Image.fromarray(values)))
    assert image.min() == 0
    assert image.max() == 255
    values[3, 3] = np.nan
    assert np.asarray(load_image(Image.fromarray(values)))[0, 0, 0] == 0


def test_cmyk_is_not_inverted():
    image = load_image(encoded(Image.new("RGB", (32, 32), (220, 30, 40)).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(np.array(image.getpixel((9, 9))) - (220, 30, 40)).max() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    turned = {
        1: [],
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = picture()
    for step in turned[orientation]:
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = load_image(encoded(stored, exif=exif))
    np.testing.assert_array_equal(upright, picture())
    np.testing.assert_array_equal(load_image(upright), picture())  # and not turned twice


def test_arrays_and_pictures_in_memory():
    rgb = np.asarray(picture())
    np.testing.assert_array_equal(load_image(rgb), rgb)
    np.testing.assert_array_equal(np.asarray(load_image(rgb[..., 0]))[..., 2], rgb[..., 0])
    clear = np.zeros((20, 20, 4), np.uint8)
    assert load_image(clear).getpixel((1, 1)) == (255, 255, 255)
    original = picture().convert("RGBA")
    load_image(original)
    assert original.mode == "RGBA"


def test_a_cameras_preview_is_not_an_animation():
    data = encoded(picture(), "MPO", save_all=True, append_images=[picture(16, 16)])
    assert load_image(data).size == (48, 32)


# Bad pictures


@pytest.mark.parametrize("data", [b"", b"hello " * 50, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n"])
def test_what_is_no_picture_is_named_with_what_would_be(data, tmp_path):
    path = tmp_path / "notes.png"
    path.write_bytes(data)
    error = refused(path)
    assert error.code == "image_unknown"
    assert "notes.png is not a picture" in str(error)
    assert "PNG, JPEG, WebP" in str(error)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_truncated_files_are_damaged(kind):
    data = encoded(picture(120, 90), kind)
    error = refused(data[: len(data) // 2], name="shoe")
    assert error.code == "image_damaged"
    assert str(error).startswith("shoe is damaged or cut short (")


def test_too_small_gives_the_size():
    error = refused(encoded(Image.new("L", (1, 1))))
    assert error.code == "image_small"
    assert "1 x 1 px; each side must have at least 16 px" in str(error)
    assert refused(np.zeros((0, 0, 3), np.uint8)).code == "image_small"
    assert load_image(Image.new("L", (16, 16))).size == (16, 16)


@pytest.mark.parametrize(
    ("width", "height", "megapixels"),
    [(20_000, 20_000, "400.0"), (10_000, 10_000, "100.0"), (8_001, 8_000, "64.0")],
)
def test_decompression_bombs_are_refused_by_their_header(width, height, megapixels):
    data = png_header(width, height)
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            error = refused(data, name="bomb.png")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert error.code == "image_large"
    assert f"bomb.png has {megapixels} megapixels; at most 64 are allowed" in str(error)
    assert peak < 4e6


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_tell_their_frames(kind):
    frames = [picture().rotate(angle) for angle in (0, 90, 180)]
    error = refused(encoded(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert error.code == "image_animated"
    assert "holds 3 frames; save one" in str(error)


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path / "no.png", tmp_path, "a\0b"):
        error = refused(path)
        assert error.code == "image_missing"
    assert "There is no file " in str(refused(tmp_path / "no.png"))
    assert "no.png" in str(refused(tmp_path / "no.png"))


def test_arrays_of_other_kinds_say_what_they_were():
    error = refused(np.zeros((20, 20), np.float32))
    assert error.code == "image_array_dtype"
    assert "array of float32; pixels must be uint8" in str(error)
    error = refused(np.zeros((20, 20, 2), np.uint8))
    assert error.code == "image_array_shape"
    assert "(20, 20, 2); allowed are (H, W), (H, W, 3) and (H, W, 4)" in str(error)
    error = refused(None)
    assert error.code == "image_source"
    assert "NoneType" in str(error)


# Size


def test_fit_square_keeps_the_whole_picture_on_paper():
    square = np.asarray(fit_square(Image.new("RGB", (200, 100), (0, 0, 0)), 64, fill=(250, 240, 230)))
    assert square.shape == (64, 64, 3)
    assert (square[:16] == (250, 240, 230)).all()
    assert (square[-16:] == (250, 240, 230)).all()
    assert (square[17:47] == 0).all()


def test_fit_square_of_the_same_size_is_exact():
    same = picture(64, 64)
    np.testing.assert_array_equal(fit_square(same, 64), same)


# Range


def test_every_value_survives_the_round_trip():
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    tensor = to_float(values)
    assert tensor.dtype == torch.float32
    assert tensor.min() == -1
    assert tensor.max() == 1
    np.testing.assert_array_equal(to_uint8(tensor), values)


def test_layout_is_channels_first_and_back():
    rgb = np.asarray(picture())
    assert to_float(rgb[..., 0]).shape == (1, 1, 32, 48)
    tensor = to_float(np.stack([rgb, rgb]))
    assert tensor.shape == (2, 3, 32, 48)
    assert tensor[1, 2, 3, 4] == rgb[3, 4, 2] / 127.5 - 1
    np.testing.assert_array_equal(to_uint8(tensor)[0], rgb)


def test_values_are_rounded_and_tiny_excess_is_clamped():
    tensor = torch.tensor([1.0009, -1.0009, 2 / 255, 0.9 / 255]).reshape(1, 1, 2, 2)
    assert to_uint8(tensor).ravel().tolist() == [255, 0, 128, 128]


@pytest.mark.parametrize("bad", [1.1, -1.1, float("nan"), 255.0])
def test_other_ranges_are_our_bug(bad):
    with pytest.raises(AssertionError):
        to_uint8(torch.full((1, 3, 2, 2), bad))


def test_to_pil_keeps_grey_and_colour():
    colour = to_pil(to_float(np.asarray(picture())))
    grey = to_pil(to_float(np.asarray(picture().convert("L"))))
    assert [image.mode for image in colour + grey] == ["RGB", "L"]
    np.testing.assert_array_equal(colour[0], picture())
    assert to_pil(torch.zeros(0, 3, 4, 4)) == []


def test_tensors_of_a_loader_are_converted_where_they_are():
    pixels = np.random.RandomState(0).randint(0, 256, (3, 8, 10, 3)).astype(np.uint8)
    converted = to_float(torch.from_numpy(pixels))
    assert torch.equal(converted, to_float(pixels))
    assert converted.is_contiguous()
    assert torch.equal(to_float(torch.from_numpy(pixels[..., :1])), to_float(pixels[..., :1]))
    assert to_float(torch.zeros(2, 8, 8, 3, dtype=torch.uint8, device="meta")).device.type == "meta"


@pytest.mark.parametrize("tensor", [torch.zeros(2, 8, 8, 3), torch.zeros(8, 8, 3, dtype=torch.uint8)])
def test_other_tensors_are_our_own_mistake(tensor):
    with pytest.raises(AssertionError):
        to_float(tensor)


def test_flat_pictures_keep_their_colours_at_any_size():
    flat = Image.fromarray(np.kron(np.arange(1, 7).reshape(2, 3), np.ones((11, 13))).astype(np.uint8) * 40)
    colours = {(level * 40,) * 3 for level in range(1, 7)}
    for size in (20, 64):
        square = np.asarray(fit_square(flat, size, fill=(40, 40, 40), flat=True))
        assert set(map(tuple, square.reshape(-1, 3))) == colours
    mixed = np.asarray(fit_square(flat, 20, fill=(40, 40, 40)))
    assert not set(map(tuple, mixed.reshape(-1, 3))) <= colours


def test_sizes_are_those_of_the_upright_picture(tmp_path):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture().save(tmp_path / "p.jpg", exif=exif)
        assert read_size(tmp_path / "p.jpg") == load_image(tmp_path / "p.jpg").size
    (tmp_path / "p.jpg").write_bytes(encoded(picture(), "JPEG")[:-100])  # the header is enough
    assert read_size(tmp_path / "p.jpg") == (48, 32)
    with pytest.raises(UserError, match="not a picture"):
        read_size(b"nothing")


def test_the_colour_of_a_border_and_how_much_of_it_has_it():
    pixels = np.full((20, 20, 3), (10, 200, 90), np.uint8)
    pixels[5:15, 5:15] = 0
    colour, share = border_colour(pixels)
    assert (colour.tolist(), share) == ([10, 200, 90], 1.0)
    pixels[0] = 0  # 20 of the 76 pixels of the frame
    colour, share = border_colour(pixels)
    assert (colour.tolist(), share) == ([10, 200, 90], pytest.approx(56 / 76))


def test_a_sheet_holds_every_picture_in_reading_order():
    tiles = [Image.new("RGB", (20, 10), (level, 0, 0)) for level in (10, 20, 30)] + [Image.new("L", (20, 10), 40)]
    sheet = make_sheet(tiles[:1] + tiles, columns=3, gap=2)
    assert sheet.size == (64, 22)
    assert [sheet.getpixel((x, y))[0] for y in (0, 12) for x in (0, 22, 44)] == [10, 10, 20, 30, 40, 255]
    assert sheet.getpixel((20, 0)) == (255, 255, 255)
    assert make_sheet(tiles).size == (44, 24)


# Data URLs


@pytest.mark.parametrize("kind", ["webp", "jpeg", "png"])
def test_data_urls_come_back(kind):
    url = encode_data_url(picture(), kind)
    assert url.startswith(f"data:image/{kind};base64,")
    image = Image.open(io.BytesIO(decode_data_url(url, 100_000)))
    assert image.format == kind.upper()
    difference = np.abs(np.asarray(image, np.int16) - np.asarray(picture(), np.int16)).mean()
    assert difference == 0 if kind == "png" else difference < 16


def test_data_url_limits_and_errors():
    url = encode_data_url(picture(), "png")
    size = len(decode_data_url(url, 100_000))
    assert len(decode_data_url(url, size)) == size
    for text, limit, code, words in (
        (url, size - 1, "data_url_large", f"has {size} bytes; at most {size - 1}"),
        ("data:image/png;base64," + "!" * 10**7, 1000, "data_url_large", "at most 1000"),
        ("data:text/html;base64,AAAA", 100, "data_url_prefix", "data:text/html"),
        ("AAAA", 100, "data_url_prefix", "expected data:image"),
        (None, 100, "data_url_prefix", "None"),
        ("data:image/png;base64,AA*A", 100, "data_url_base64", "not valid base64"),
        ("data:image/png;base64,AAAé", 100, "data_url_base64", "not valid base64"),
    ):
        with pytest.raises(UserError) as caught:
            decode_data_url(text, limit)
        assert caught.value.code == code
        assert words in str(caught.value)


def test_webp_bytes_are_a_picture() -> None:
    picture = Image.fromarray(np.random.RandomState(0).randint(0, 256, (64, 64, 3), dtype=np.uint8))
    assert Image.open(io.BytesIO(webp_bytes(picture))).size == (64, 64)
    assert len(webp_bytes(picture, 30)) < len(webp_bytes(picture, 95))


def test_a_photo_is_fitted_on_its_own_border() -> None:
    picture = Image.new("RGB", (40, 20), (30, 60, 90))
    picture.paste((255, 0, 0), (10, 5, 30, 15))
    square = np.asarray(fit_photo(picture, 64))
    assert square.shape == (64, 64, 3)
    assert (square[0] == (30, 60, 90)).all() and (square[-1] == (30, 60, 90)).all()
    assert tuple(square[32, 32]) == (255, 0, 0)
