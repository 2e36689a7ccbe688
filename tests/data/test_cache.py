"""Pictures are decoded once, whole or not at all, and what cannot be read is named."""

from __future__ import annotations

import copy
import errno
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from picture_sets import WHITE, beside, drawing, labels, photo, save, save_photos
from PIL import Image

from bicyclegan.config import EdgeStyle
from bicyclegan.data import cache as datacache
from bicyclegan.data.cache import PixelSpec, load_pictures
from bicyclegan.data.files import Entry
from bicyclegan.errors import UserError
from bicyclegan.images import fit_square, load_image
from bicyclegan.sketch import prepare_drawing

PHOTOS = PixelSpec(32, "photos", "computed")


def entries(folder: Path) -> list[Entry]:
    return [Entry(path.name, path) for path in sorted(folder.iterdir())]


@pytest.fixture
def photos(tmp_path) -> Path:
    return save_photos(tmp_path / "photos", 5, width=60, height=40)


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


# What is stored


def test_photos_are_whole_in_their_squares(photos, cache):
    pictures = load_pictures(entries(photos), PHOTOS, cache)
    assert pictures.names == ("0.png", "1.png", "2.png", "3.png", "4.png")
    for index, entry in enumerate(entries(photos)):
        sketch, square = pictures.read(index)
        assert sketch is None
        np.testing.assert_array_equal(square, fit_square(load_image(entry.photo), 32))
    assert pictures.sizes.tolist() == [[60, 40]] * 5
    assert pictures.boxes.tolist() == [[0, 5, 32, 21]] * 5
    assert pictures.papers.tolist() == [[255] * 3] * 5
    assert pictures.plainness.tolist() == [1.0] * 5


def test_filling_takes_the_colour_of_the_border(tmp_path, cache):
    save_photos(tmp_path / "photos", 1, width=60, height=40, paper=(10, 200, 90))
    _, square = load_pictures(entries(tmp_path / "photos"), PHOTOS, cache).read(0)
    assert square[0, 0].tolist() == [10, 200, 90]
    assert square[5:26, 0].tolist() == [[10, 200, 90]] * 21


@pytest.mark.parametrize("sketch_left", [True, False])
def test_lines_become_what_inference_makes_of_a_drawing(tmp_path, cache, sketch_left):
    pair = [drawing(1), photo(1)] if sketch_left else [photo(1), drawing(1)]
    save(beside(*pair), tmp_path / "pairs" / "1.png")
    style = EdgeStyle(antialias=True)
    spec = PixelSpec(32, "side-by-side", "lines", sketch_left, style)
    sketch, square = load_pictures(entries(tmp_path / "pairs"), spec, cache).read(0)
    np.testing.assert_array_equal(sketch[..., 0], prepare_drawing(drawing(1), 32, style))
    np.testing.assert_array_equal(square, fit_square(photo(1), 32))


def test_label_maps_keep_their_colours(tmp_path, cache):
    flat = labels(1).resize((60, 40), Image.Resampling.NEAREST)
    save(beside(flat, photo(1, 60, 40)), tmp_path / "pairs" / "1.png")
    spec = PixelSpec(32, "side-by-side", "labels")
    sketch, _ = load_pictures(entries(tmp_path / "pairs"), spec, cache).read(0)
    assert set(map(tuple, sketch.reshape(-1, 3))) <= set(map(tuple, np.asarray(flat).reshape(-1, 3)))
    assert sketch[0, 0].tolist() == [0, 0, 200]  # filling: the label around, no mixture


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.jpg", "CMYK", {}),
        ("a.jpg", "L", {}),
        ("a.png", "I;16", {}),
        ("a.png", "P", {}),
        ("a.png", "RGBA", {}),
        ("a.webp", "RGB", {}),
        ("a.avif", "RGB", {}),
        ("a.gif", "P", {}),
        ("a.tif", "RGB", {"compression": "tiff_lzw"}),
        ("a.bmp", "RGB", {}),
    ],
)
def test_any_kind_of_picture_can_be_learnt_from(tmp_path, cache, name, mode, options):
    (tmp_path / "photos").mkdir()
    grey = photo(1).convert("L")
    image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    image.save(tmp_path / "photos" / name, **options)
    pictures = load_pictures(entries(tmp_path / "photos"), PHOTOS, cache)
    difference = np.abs(pictures.read(0)[1] - np.asarray(fit_square(grey, 32), np.int16))
    assert difference.mean() < 6


def test_turned_photos_stand_upright(tmp_path, cache):
    (tmp_path / "photos").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(1, 60, 40).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "photos" / "a.png", exif=exif)
    pictures = load_pictures(entries(tmp_path / "photos"), PHOTOS, cache)
    np.testing.assert_array_equal(pictures.read(0)[1], fit_square(photo(1, 60, 40), 32))
    assert pictures.sizes.tolist() == [[60, 40]]


# What is left out


def test_broken_files_are_skipped_by_name(photos, cache):
    (photos / "1.png").write_bytes((photos / "1.png").read_bytes()[:200])
    (photos / "3.png").write_bytes(b"<html>not found</html>")
    save(photo(9, 8, 40), photos / "tiny.png")
    pictures = load_pictures(entries(photos), PHOTOS, cache)
    assert pictures.names == ("0.png", "2.png", "4.png")
    assert [text.split()[0] for text in pictures.unreadable] == ["1.png", "3.png", "tiny.png"]
    assert "damaged" in pictures.unreadable[0]
    assert "8 x 40 px" in pictures.unreadable[2]
    np.testing.assert_array_equal(pictures.read(1)[1], fit_square(load_image(photos / "2.png"), 32))


def test_pairs_that_cannot_be_pairs_are_skipped(tmp_path, cache):
    save(photo(0, 48, 48), tmp_path / "a.png")
    spec = PixelSpec(32, "side-by-side", "lines")
    assert "wider than high" in load_pictures([Entry("a", tmp_path / "a.png")], spec, cache).unreadable[0]
    save(drawing(0, 96), tmp_path / "sketch.png")
    save(photo(0, 64, 48), tmp_path / "photo.png")
    apart = Entry("b", tmp_path / "photo.png", tmp_path / "sketch.png")
    assert "96 x 96" in load_pictures([apart], replace(spec, layout="folders"), cache).unreadable[0]
    save(photo(0, 48, 48), tmp_path / "photo.png")  # half the size, same shape
    assert load_pictures([apart], replace(spec, layout="folders"), cache).names == ("b",)


def test_pictures_of_nothing_are_marked(tmp_path, cache):
    folder = tmp_path / "pairs"
    blank, empty = Image.new("RGB", (48, 48), (70, 80, 90)), Image.new("RGB", (48, 48), WHITE)
    for name, sketch, image in (
        ("a", drawing(1), photo(1)),
        ("b", drawing(1), blank),
        ("c", empty, photo(1)),
        ("d", empty, blank),
    ):
        save(beside(sketch, image), folder / f"{name}.png")
    pictures = load_pictures(entries(folder), PixelSpec(32, "side-by-side", "lines"), cache)
    assert pictures.constant.tolist() == [0, 1, 2, 3]


# Once


def test_a_second_time_nothing_is_decoded(photos, cache, monkeypatch):
    steps = []
    first = load_pictures(entries(photos), PHOTOS, cache, lambda *step: steps.append(step))
    assert steps == [("reading pictures", 5, 5)]
    monkeypatch.setattr(datacache, "load_image", None)
    second = load_pictures(entries(photos), PHOTOS, cache, lambda *step: steps.append(step))
    assert len(steps) == 1
    assert second.names == first.names
    np.testing.assert_array_equal(second.rows, first.rows)
    np.testing.assert_array_equal(second.thumbs, first.thumbs)


def test_what_decides_the_pixels_decides_the_file(photos, cache):
    specs = [PHOTOS, replace(PHOTOS, size=64), replace(PHOTOS, style=EdgeStyle(line_width=2.0))]
    paths = [load_pictures(entries(photos), spec, cache).path for spec in specs]
    paths.append(load_pictures(entries(photos)[1:], PHOTOS, cache).path)
    save(photo(77), photos / "2.png")
    paths.append(load_pictures(entries(photos), PHOTOS, cache).path)
    os.utime(photos / "2.png", (1, 1))
    paths.append(load_pictures(entries(photos), PHOTOS, cache).path)
    assert len(set(paths)) == 6
    np.testing.assert_array_equal(load_pictures(entries(photos), PHOTOS, cache).read(2)[1], fit_square(photo(77), 32))


@pytest.mark.parametrize("ending", [".npy", ".npz"])
@pytest.mark.parametrize("damage", ["cut", "gone", "garbage"])
def test_damaged_caches_are_made_anew(photos, cache, ending, damage):
    first = load_pictures(entries(photos), PHOTOS, cache)
    expected = np.array(first.rows)
    path = first.path.with_suffix(ending)
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-300] if damage == "cut" else b"garbage")
    np.testing.assert_array_equal(load_pictures(entries(photos), PHOTOS, cache).rows, expected)


def test_two_runs_may_build_at_once(photos, cache):
    built = []
    threads = [
        threading.Thread(target=lambda: built.append(load_pictures(entries(photos), PHOTOS, cache))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 4
    for pictures in built:
        np.testing.assert_array_equal(pictures.rows, built[0].rows)
    assert sorted(path.suffix for path in cache.iterdir()) == [".npy", ".npz"]


def test_another_process_maps_the_file_itself(photos, cache):
    pictures = load_pictures(entries(photos), PHOTOS, cache)
    assert pictures.rows.shape == (5, 32 * 32 * 3)
    assert "rows" in vars(pictures)
    assert "rows" not in vars(copy.copy(pictures))  # what is sent to a process
    np.testing.assert_array_equal(copy.copy(pictures).read(3)[1], pictures.read(3)[1])


# Disks


def test_a_full_disk_is_said_before_anything_is_decoded(photos, cache, monkeypatch):
    usage = datacache.shutil.disk_usage(photos)
    monkeypatch.setattr(datacache.shutil, "disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(UserError, match="--cache-dir") as caught:
        load_pictures(entries(photos), PHOTOS, cache)
    assert caught.value.code == "data_disk_full"


def test_a_disk_that_fills_up_leaves_nothing_behind(photos, cache, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(datacache, "_finish", full)
    with pytest.raises(UserError, match="the disk is full"):
        load_pictures(entries(photos), PHOTOS, cache)
    assert list(cache.iterdir()) == []


def test_a_folder_that_cannot_be_made(photos, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written") as caught:
        load_pictures(entries(photos), PHOTOS, tmp_path / "file" / "cache")
    assert caught.value.code == "data_cache"
