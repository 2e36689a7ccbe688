"""Sketches: JSON in and out, what is refused, and what strokes look like as pixels."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bicyclegan.sketch
from bicyclegan.config import EdgeStyle
from bicyclegan.errors import UserError
from bicyclegan.images import encode_data_url
from bicyclegan.sketch import Sketch, Stroke

QUICKDRAW = Path(__file__).parents[1] / "fixtures" / "quickdraw_shoes.ndjson"
SOFT = EdgeStyle(antialias=True)


def sketch_of(*strokes: Stroke, **options) -> Sketch:
    return Sketch(tuple(strokes), **options)


def line(*points, **options) -> Stroke:
    return Stroke(tuple(points), **options)


def document(**changes) -> dict:
    return {"version": 1, "size": 256, "strokes": [{"points": [[10, 20], [30, 40]]}], "raster": None, **changes}


def stroke_document(**changes) -> dict:
    return document(strokes=[{"points": [[1, 2]]}] * 3 + [{"points": [[1, 2], [3, 4]], **changes}])


def refused(source) -> UserError:
    with pytest.raises(UserError) as caught:
        Sketch.from_json(source)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    return caught.value


# JSON


def test_round_trip_is_exact():
    pixels = np.zeros((32, 32), np.uint8)
    sketch = Sketch(
        (
            line((1.239, 2), (-3, 70.5), width=3.25, mirror=True),
            line((5, 5), tool="eraser", width=20),
            line((5, 5), (9, 9), tool="rect", color=7),
            line((6, 6), tool="fill", color=255),
        ),
        size=128,
        raster=encode_data_url(Image.fromarray(pixels), "png"),
    )
    text = sketch.to_json()
    assert Sketch.from_json(text) == sketch
    assert Sketch.from_json(text.encode()) == sketch
    assert Sketch.from_json(json.loads(text)) == sketch
    assert Sketch.from_json(text).to_json() == text
    assert hash(Sketch.from_json(text)) == hash(sketch)


def test_the_text_is_compact_and_follows_the_schema():
    text = sketch_of(line((12.5, 80), (90.001, -0.0))).to_json()
    assert text == (
        '{"version":1,"size":256,"strokes":[{"tool":"pen","width":2,"color":0,'
        '"points":[[12.5,80],[90,0]],"mirror":false}],"raster":null}'
    )


def test_optional_fields_have_defaults():
    sketch = Sketch.from_json({"version": 1, "strokes": [{"points": [[1, 2]]}]})
    assert sketch == sketch_of(line((1, 2)), size=256)


def test_points_far_outside_are_clamped():
    sketch = Sketch.from_json(document(strokes=[{"points": [[-1e6, 128], [1e300, 128]]}]))
    assert sketch.strokes[0].points == ((-256, 128), (512, 128))
    assert (sketch.rasterise(64)[32] == 0).all()


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"width": -2}, "sketch_value", "strokes[3].width is -2; allowed: 0.1 ... 128"),
        ({"width": 129}, "sketch_value", "strokes[3].width is 129"),
        ({"width": "2"}, "sketch_value", "strokes[3].width is '2'"),
        ({"width": True}, "sketch_value", "strokes[3].width is true"),
        ({"width": float("nan")}, "sketch_not_finite", "strokes[3].width is NaN"),
        ({"color": -1}, "sketch_value", "strokes[3].color is -1; allowed: 0 ... 255"),
        ({"color": 1.5}, "sketch_value", "strokes[3].color is 1.5"),
        ({"tool": "spray"}, "sketch_value", "strokes[3].tool is 'spray'; allowed: pen | eraser | rect | fill"),
        ({"mirror": 1}, "sketch_value", "strokes[3].mirror is 1; allowed: true | false"),
        ({"points": []}, "sketch_value", "strokes[3].points is []; allowed: [[x, y], ...]"),
        ({"points": "all"}, "sketch_value", "strokes[3].points is 'all'"),
        ({"points": [[1, 2], [3]]}, "sketch_value", "strokes[3].points[1] is [3]"),
        ({"points": [[1, 2, 3]]}, "sketch_value", "strokes[3].points[0] is [1, 2, 3]"),
        ({"points": [[1, None]]}, "sketch_value", "strokes[3].points[0][1] is null"),
        ({"points": [[1, float("inf")]]}, "sketch_not_finite", "strokes[3].points[0][1] is Infinity"),
        ({"points": [[1, 10**400]]}, "sketch_value", "strokes[3].points[0][1] is > 10^20"),
        ({"colour": 1}, "sketch_unknown", "strokes[3].colour is not a known field"),
    ],
)
def test_a_bad_stroke_is_named(change, code, words):
    for source in (stroke_document(**change), json.dumps(stroke_document(**change))):
        error = refused(source)
        assert error.code == code
        assert words in str(error)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"size": 63}, "sketch_value", "size is 63; allowed: 64 ... 1024"),
        ({"size": 1025}, "sketch_value", "size is 1025"),
        ({"size": "256"}, "sketch_value", "size is '256'"),
        ({"version": 2}, "sketch_newer", "version 2; this program reads up to 1"),
        ({"version": "1"}, "sketch_value", "version is '1'"),
        ({"version": True}, "sketch_value", "version is true"),
        ({"version": 0}, "sketch_value", "version is 0"),
        ({"strokes": {}}, "sketch_value", "strokes is {}"),
        ({"strokes": [3]}, "sketch_value", "strokes[0] is 3"),
        ({"strokes": [{}]}, "sketch_missing", "lacks strokes[0].points"),
        ({"raster": 5}, "sketch_value", "raster is 5"),
    ],
)
def test_a_bad_document_is_named(change, code, words):
    error = refused(document(**change))
    assert error.code == code
    assert words in str(error)


def test_what_is_no_document():
    assert refused({"strokes": []}).code == "sketch_missing"
    for source, kind in ((b"[]", "list"), ("3", "int"), (None, "NoneType"), ([1], "list")):
        error = refused(source)
        assert error.code == "sketch_type"
        assert f"not {kind}" in str(error)
    for source in ("", "{", "hello", b"\xff\xfe\xfd", '{"version": ' + "1" * 5000 + "}"):
        error = refused(source)
        assert error.code == "sketch_json"
        assert "not valid JSON (" in str(error)


def test_nan_in_the_text_is_refused():
    error = refused('{"version":1,"strokes":[{"points":[[1,NaN]]}]}')
    assert error.code == "sketch_not_finite"
    assert "strokes[0].points[0][1] is NaN; it must be a finite number" in str(error)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_nesting_is_refused(opening):
    assert refused(opening * 200_000).code == "sketch_nested"


def test_fifty_megabytes_are_refused_before_parsing(monkeypatch):
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("parsed"))
    for text in ("[" * 50_000_000, b" " * 50_000_000):
        error = refused(text)
        assert error.code == "sketch_text_long"
        assert "47.7 MB of text; at most 4 MB" in str(error)


def test_a_million_points_are_refused_before_any_is_looked_at(monkeypatch):
    from bicyclegan.sketch import schema

    monkeypatch.setattr(schema, "_check_fields", lambda _: pytest.fail("validated"))
    error = refused(document(strokes=[{"points": [[1, 2]] * 100_000}] * 10))
    assert error.code == "sketch_points"
    assert "has 1000000 points; at most 200000" in str(error)
    error = refused(document(strokes=[{"points": [[1, 2]]}] * 5001))
    assert error.code == "sketch_strokes"
    assert "has 5001 strokes; at most 5000" in str(error)


def test_as_many_as_allowed_are_taken():
    sketch = Sketch.from_json(document(strokes=[{"points": [[i % 256, i % 99] for i in range(40)]}] * 5000))
    assert len(sketch.strokes) == 5000


# Raster layer


def test_bad_rasters_are_refused():
    square = Image.new("L", (64, 64))
    for raster, code, words in (
        ("hello", "data_url_prefix", "hello"),
        ("data:image/png;base64,####", "data_url_base64", "base64"),
        (encode_data_url(square, "jpeg"), "raster_format", "not a PNG"),
        (encode_data_url(square, "png")[:-40], "image_damaged", "raster is damaged"),
        (encode_data_url(square.resize((64, 32)), "png"), "raster_size", "64 x 32 px; it must be square"),
        (encode_data_url(square.resize((1025, 1025)), "png"), "raster_size", "1025 x 1025 px"),
        (encode_data_url(square.resize((4, 4)), "png"), "raster_size", "16 to 1024"),
        ("data:image/png;base64," + "A" * 4_300_000, "data_url_large", "at most 3145728"),
    ):
        error = refused(document(raster=raster))
        assert error.code == code
        assert words in str(error)


def test_a_layer_of_the_same_size_is_copied_bit_for_bit():
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
    sketch = Sketch.from_json(Sketch.from_raster(pixels).to_json())
    np.testing.assert_array_equal(sketch.rasterise(96), pixels)
    np.testing.assert_array_equal(np.asarray(sketch.raster_image()), pixels)


def test_a_label_layer_is_lossless_and_keeps_its_colours_at_any_size():
    pixels = np.random.default_rng(0).choice(np.array([[0, 0, 170], [255, 85, 0]], np.uint8), (64, 64))
    sketch = Sketch.from_raster(pixels)
    palette = ("#0000aa", "#ff5500")
    np.testing.assert_array_equal(sketch.rasterise(64, palette=palette), pixels)
    for size in (32, 100):
        colours = np.unique(sketch.rasterise(size, palette=palette).reshape(-1, 3), axis=0)
        assert colours.tolist() == [[0, 0, 170], [255, 85, 0]]


def test_from_raster_refuses_other_arrays():
    for pixels, code in (
        (np.zeros((64, 64)), "raster_array"),
        (np.zeros((64, 64, 4), np.uint8), "raster_array"),
        (np.zeros((64, 32), np.uint8), "raster_size"),
        (np.zeros((2000, 2000), np.uint8), "raster_size"),
    ):
        with pytest.raises(UserError) as caught:
            Sketch.from_raster(pixels)
        assert caught.value.code == code


def test_a_browsers_transparent_canvas_is_paper():
    sketch = Sketch.from_json(document(strokes=[], raster=encode_data_url(Image.new("RGBA", (64, 64)), "png")))
    assert (sketch.rasterise(64) == 255).all()


@pytest.mark.parametrize("points", [((3, 500), (1020, 500)), ((500, 3), (500, 1020)), ((40, 90), (900, 800))])
def test_a_line_of_one_pixel_survives_eightfold_reduction(points):
    import cv2

    pixels = np.full((1024, 1024), 255, np.uint8)
    cv2.line(pixels, *points, 0)
    small = Sketch.from_raster(pixels).rasterise(128)
    assert set(np.unique(small)) == {0, 255}
    length = max(abs(a - b) for a, b in zip(*points, strict=True)) / 8
    assert length - 3 <= (small == 0).sum() <= length * 1.1 + 2  # unbroken and one pixel wide
    assert cv2.connectedComponents((small == 0).astype(np.uint8))[0] == 2


def test_a_fat_soft_line_keeps_its_width():
    import cv2

    pixels = np.full((1024, 1024), 255, np.uint8)
    cv2.line(pixels, (100, 300), (900, 300), 0, 32, cv2.LINE_AA)
    column = Sketch.from_raster(cv2.GaussianBlur(pixels, (0, 0), 3)).rasterise(128)[:, 64]
    assert 3 <= (column == 0).sum() <= 5  # 32 / 8 = 4


# Strokes as pixels


def test_a_default_stroke_is_one_pixel_at_half_size():
    pixels = sketch_of(line((20, 100), (200, 100))).rasterise(128)
    assert set(np.unique(pixels)) == {0, 255}
    np.testing.assert_array_equal(np.flatnonzero((pixels == 0).any(axis=1)), [50])
    np.testing.assert_array_equal(np.flatnonzero(pixels[50] == 0), np.arange(10, 101))


def test_a_pointer_that_reports_every_pixel_leaves_no_stairs():
    stairs = [(100 + i, 100 + j) for i in range(0, 60, 2) for j in (i, i + 2)]
    ink = sketch_of(line(*stairs)).rasterise(128) == 0
    assert ink.sum(axis=1).max() == 1
    assert (ink.sum(axis=1) == 1).sum() >= 30


@pytest.mark.parametrize("width", [4, 9, 24])
def test_width_scales_with_the_canvas(width):
    sketch = sketch_of(line((30, 128), (220, 128), width=width))
    for size in (128, 256, 512):
        drawn = (sketch.rasterise(size)[:, size // 2] == 0).sum()
        assert abs(drawn - width * size / 256) <= 1


def test_thin_strokes_have_the_width_of_the_style():
    pixels = sketch_of(line((30, 128), (220, 128), width=0.1)).rasterise(128, EdgeStyle(line_width=5))
    assert abs((pixels[:, 64] == 0).sum() - 5) <= 1


def test_a_single_point_is_a_dot():
    for width, style in ((2, EdgeStyle()), (20, EdgeStyle()), (2, SOFT), (20, SOFT)):
        ink = 255.0 - sketch_of(line((100, 60), width=width)).rasterise(128, style)
        area = np.pi * (width / 4) ** 2
        assert 0.6 * area <= ink.sum() / 255 <= 1.5 * area
        y, x = np.mgrid[:128, :128]
        assert (ink * y).sum() / ink.sum() == pytest.approx(29.5, abs=0.6)
        assert (ink * x).sum() / ink.sum() == pytest.approx(49.5, abs=0.6)
    assert (sketch_of(line((100, 60))).rasterise(128) == 0).sum() == 1


def test_crisp_is_black_and_white_and_soft_is_not():
    sketch = sketch_of(line((10, 20), (200, 170), width=5), line((30, 200), (240, 90), (90, 20)))
    assert set(np.unique(sketch.rasterise(128))) == {0, 255}
    soft = sketch.rasterise(128, SOFT)
    assert len(np.unique(soft)) > 10
    assert soft.min() < 30
    assert abs(float(soft.mean()) - float(sketch.rasterise(128).mean())) < 3


@pytest.mark.parametrize("style", [EdgeStyle(), SOFT])
@pytest.mark.parametrize("tool", ["pen", "rect"])
@pytest.mark.parametrize("width", [2, 11])
def test_mirrored_strokes_are_symmetric_to_the_pixel(style, tool, width):
    stroke = line((13.3, 20.7), (190, 60), (60, 200.2), tool=tool, width=width, mirror=True)
    pixels = sketch_of(stroke).rasterise(128, style)
    np.testing.assert_array_equal(pixels, pixels[:, ::-1])
    plain = sketch_of(line(*stroke.points, tool=tool, width=width)).rasterise(128, style)
    assert (pixels <= plain).all()
    assert (pixels < plain).any()


def test_the_eraser_removes_strokes_and_raster_and_later_strokes_stay():
    raster = Sketch.from_raster(np.zeros((128, 128), np.uint8))
    rub = line((0, 128), (256, 128), tool="eraser", width=40)
    again = line((0, 128), (256, 128))
    pixels = Sketch((line((128, 0), (128, 256)), rub), raster=raster.raster).rasterise(128)
    assert (pixels[56:72] == 255).all()
    assert (pixels[:50] == 0).all()
    assert (Sketch((rub, again), raster=raster.raster).rasterise(128)[64] == 0).all()


def test_colours_of_a_palette_rect_and_fill():
    sketch = sketch_of(
        line((64, 64), (192, 192), tool="rect", color=1),
        line((100, 64), (100, 192), color=0),
        line((70, 100), tool="fill", color=2),
        line((128, 128), tool="eraser", width=20),
    )
    pixels = sketch.rasterise(128, palette=("#000000", "#ff0000", "#00ff00"), paper="#fafafa")
    assert pixels.shape == (128, 128, 3)
    assert pixels[10, 10].tolist() == [250, 250, 250]
    assert pixels[40, 40].tolist() == [0, 255, 0]  # left of the line: filled
    assert pixels[40, 80].tolist() == [255, 0, 0]  # right of it: not
    assert pixels[40, 50].tolist() == [0, 0, 0]
    assert pixels[64, 64].tolist() == [250, 250, 250]


def test_fill_stops_at_lines_and_mirrors():
    box = line((20, 20), (90, 20), (90, 90), (20, 90), (20, 20), mirror=True)
    fill = line((50, 50), tool="fill", mirror=True)
    pixels = sketch_of(box, fill).rasterise(128)
    assert (pixels[12:40, 12:40] == 0).all()
    assert (pixels[60:] == 255).all()
    np.testing.assert_array_equal(pixels, pixels[:, ::-1])
    outside = sketch_of(line((-50, 50), tool="fill")).rasterise(128)
    assert (outside == 255).all()


def test_a_colour_that_the_palette_lacks_is_named():
    with pytest.raises(UserError, match=r"strokes\[1\] uses colour 3, but this model has colours 0 to 0") as caught:
        sketch_of(line((1, 1)), line((2, 2), color=3)).rasterise(64)
    assert caught.value.code == "sketch_colour"


def test_white_lines_on_black_paper():
    pixels = sketch_of(line((0, 128), (256, 128))).rasterise(128, palette=("#ffffff",), paper="#000000")
    assert pixels.ndim == 2
    assert (pixels[64] == 255).all()
    assert pixels[0, 0] == 0


def test_drawing_is_deterministic():
    sketch = Sketch.from_quickdraw(QUICKDRAW.read_text().splitlines()[0])
    for style in (EdgeStyle(), SOFT):
        np.testing.assert_array_equal(sketch.rasterise(128, style), sketch.rasterise(128, style))


# The document


def test_is_empty():
    assert Sketch().is_empty
    assert sketch_of(line((1, 1), tool="eraser")).is_empty
    assert not sketch_of(line((1, 1))).is_empty
    assert not Sketch.from_raster(np.full((64, 64), 255, np.uint8)).is_empty
    assert (Sketch().rasterise(64) == 255).all()


def test_bounds_count_reflections_but_not_the_eraser():
    assert Sketch().bounds is None
    rub = line((0, 0), (256, 256), tool="eraser")
    assert sketch_of(line((10, 20), (30, 5)), rub).bounds == (10, 5, 30, 20)
    assert sketch_of(line((10, 20), (30, 5), mirror=True)).bounds == (10, 5, 246, 20)


def test_mirrored_reflects_strokes_and_raster():
    pixels = np.random.default_rng(0).choice([0, 255], (64, 64)).astype(np.uint8)
    sketch = Sketch((line((64, 10), (200.5, 90), width=30),), raster=Sketch.from_raster(pixels).raster)
    assert sketch.mirrored().strokes[0].points == ((192, 10), (55.5, 90))
    np.testing.assert_array_equal(Sketch(raster=sketch.raster).mirrored().rasterise(64), pixels[:, ::-1])
    assert sketch.mirrored().mirrored().rasterise(64).tolist() == sketch.rasterise(64).tolist()


def test_strokes_made_in_python_are_checked_too():
    for options in ({"tool": "spray"}, {"width": float("nan")}, {"width": 0}, {"color": -1}):
        with pytest.raises(UserError) as caught:
            line((1, 1), **options)
        assert caught.value.code == "sketch_value"
    for points in ((), ((1, float("inf")),)):
        with pytest.raises(UserError, match="points"):
            Stroke(points)
    with pytest.raises(UserError, match="size is 10"):
        Sketch(size=10)


# Quick, Draw!


@pytest.mark.parametrize("margin", [0.1, 0.25])
def test_quickdraw_fits_inside_the_margins(margin):
    for text in QUICKDRAW.read_text().splitlines():
        record = json.loads(text)
        sketch = Sketch.from_quickdraw(text, margin=margin)
        assert sketch == Sketch.from_quickdraw(record, margin=margin)
        assert len(sketch.strokes) == len(record["drawing"])
        left, top, right, bottom = sketch.bounds
        assert max(right - left, bottom - top) == pytest.approx(256 * (1 - 2 * margin), abs=0.02)
        assert (left + right) / 2 == pytest.approx(128, abs=0.02)
        assert (top + bottom) / 2 == pytest.approx(128, abs=0.02)
        xs, ys = (np.concatenate([stroke[axis] for stroke in record["drawing"]]) for axis in (0, 1))
        assert (right - left) / (bottom - top) == pytest.approx(np.ptp(xs) / np.ptp(ys), rel=1e-2)
        assert all(stroke.width == 2 for stroke in sketch.strokes)
        assert 100 < (sketch.rasterise(128) == 0).sum() < 1500


def test_quickdraw_raw_format_and_dots():
    raw = {"drawing": [[[100.5, 900.5], [50.0, 50.0], [0, 16]], [[500], [60], [20]]]}
    sketch = Sketch.from_quickdraw(raw, size=512)
    assert sketch.size == 512
    assert sketch.strokes[0].width == 4
    assert sketch.bounds[0] == pytest.approx(51.2)
    assert sketch.bounds[2] == pytest.approx(460.8)
    assert Sketch.from_quickdraw({"drawing": [[[7], [7]]]}).strokes[0].points == ((128, 128),)


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"word": "shoe"}, "quickdraw_record"),
        ({"drawing": []}, "quickdraw_record"),
        ({"drawing": "x"}, "quickdraw_record"),
        ({"drawing": [[[1, 2], [3]]]}, "quickdraw_record"),
        ({"drawing": [[[1, 2]]]}, "quickdraw_record"),
        ({"drawing": [[[], []]]}, "quickdraw_record"),
        ({"drawing": [[["1"], ["2"]]]}, "quickdraw_record"),
        ({"drawing": [[[1], [float("nan")]]]}, "quickdraw_record"),
        ({"drawing": [[[[1]], [[2]]]]}, "quickdraw_record"),
        ({"drawing": [5]}, "quickdraw_record"),
        ({"drawing": [{"x": 1}]}, "quickdraw_record"),
        ({"drawing": [[[1], [2]]] * 5001}, "sketch_strokes"),
        ({"drawing": [[[1] * 200_001, [2] * 200_001]]}, "sketch_points"),
        ("{", "sketch_json"),
        ("[]", "sketch_type"),
    ],
)
def test_bad_quickdraw_records(record, code):
    with pytest.raises(UserError) as caught:
        Sketch.from_quickdraw(record)
    assert caught.value.code == code
    if code == "quickdraw_record":
        assert "no record of Quick, Draw!: drawing" in str(caught.value)


def test_sketches_need_no_heavy_import():
    package = Path(bicyclegan.sketch.__file__).parents[1]
    code = f"""
import sys, types
sys.modules["bicyclegan"] = package = types.ModuleType("bicyclegan")  # without the imports of the whole package
package.__path__ = [{str(package)!r}]
import bicyclegan.sketch
print([name for name in ("cv2", "pydantic", "torch") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
