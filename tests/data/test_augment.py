"""Both sides of a pair move alike, lines stay lines, labels stay labels, and no picture gets a frame."""

from __future__ import annotations

import numpy as np
import pytest
from picture_sets import drawing, labels, photo

from bicyclegan.data.augment import Geometry, random_geometry, warp_labels, warp_lines, warp_photo
from bicyclegan.sketch import photo_to_edges
from bicyclegan.training.config import AugmentConfig

EVERYTHING = AugmentConfig(flip=0.5, crop=0.2, rotation=20, scale=0.2)


def geometries(config: AugmentConfig, count: int = 40, source: int = 77, size: int = 64) -> list[Geometry]:
    return [random_geometry(config, source, size, np.random.RandomState(seed)) for seed in range(count)]


def spot(size: int, x: int, y: int) -> np.ndarray:
    """Black, and white around (x, y)."""
    rows, columns = np.mgrid[:size, :size]
    inside = (columns - x) ** 2 + (rows - y) ** 2 <= 16
    return np.repeat(np.where(inside, 255, 0).astype(np.uint8)[..., None], 3, axis=2)


def centre(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()])


def pieces(ink: np.ndarray) -> int:
    import cv2

    return cv2.connectedComponents(ink.astype(np.uint8), connectivity=8)[0] - 1


def thickness(ink: np.ndarray) -> float:
    """Ink pixels for each pixel of the thinnest lines that connect the same."""
    from bicyclegan.sketch.lines import thin

    return ink.sum() / thin(ink, 3).sum()


# What is drawn at random


def test_changes_stay_within_their_limits():
    drawn = geometries(EVERYTHING, 400)
    assert {each.mirrored for each in drawn} == {True, False}
    for name, low, high in (("degrees", -20, 20), ("zoom", 0.8, 1.2), ("left", 0, 13), ("top", 0, 13)):
        values = [getattr(each, name) for each in drawn]
        assert low <= min(values) < low + 0.15 * (high - low)
        assert high - 0.15 * (high - low) < max(values) <= high


def test_nothing_is_drawn_where_nothing_is_asked_for():
    still = AugmentConfig(flip=0)
    assert set(geometries(still, 20, 64, 64)) == {Geometry(64)}
    assert all(each.whole for each in geometries(AugmentConfig(crop=0.2), 20))
    assert {each.mirrored for each in geometries(AugmentConfig(flip=1), 20, 64, 64)} == {True}


# Both sides alike


@pytest.mark.parametrize("geometry", geometries(EVERYTHING, 30))
def test_photo_labels_and_lines_move_alike(geometry):
    source = spot(77, 34, 45)
    expected = np.linalg.solve(geometry.matrix[:, :2], np.array([34, 45]) - geometry.matrix[:, 2])
    moved = [
        warp_photo(source, geometry, plain=True)[..., 0] > 127,
        warp_labels(source, geometry, plain=True)[..., 0] > 127,
        warp_lines(255 - source[..., 0], geometry, plain=True) < 128,
    ]
    for mask in moved:
        assert mask.shape == (64, 64)
        np.testing.assert_allclose(centre(mask), expected, atol=0.35)


def test_turning_goes_counterclockwise_and_zoom_enlarges():
    east = spot(65, 52, 32)
    assert centre(warp_photo(east, Geometry(65, degrees=90), True)[..., 0] > 127) == pytest.approx([32, 12], abs=0.1)
    assert centre(warp_photo(east, Geometry(65, zoom=1.3), True)[..., 0] > 127) == pytest.approx([58, 32], abs=0.3)
    assert centre(warp_photo(east, Geometry(65, mirrored=True), True)[..., 0] > 127) == pytest.approx([12, 32])


def test_whole_pixels_are_copied():
    pixels = np.random.RandomState(0).randint(0, 256, (77, 77, 3)).astype(np.uint8)
    geometry = Geometry(64, left=5, top=9, mirrored=True)
    expected = pixels[9:73, 5:69][:, ::-1]
    for warp in (warp_photo, warp_labels):
        np.testing.assert_array_equal(warp(pixels, geometry, plain=False), expected)
    np.testing.assert_array_equal(warp_lines(pixels[..., 0], geometry, plain=False), expected[..., 0])


def test_interpolation_agrees_with_whole_pixels():
    shading = np.asarray(photo(1, 64, 64))
    almost = Geometry(64, mirrored=True, degrees=1e-7)
    np.testing.assert_allclose(
        warp_photo(shading, almost, True).astype(int), warp_photo(shading, Geometry(64, mirrored=True), True), atol=2
    )


# Lines and labels


@pytest.mark.parametrize("geometry", geometries(EVERYTHING, 20))
def test_labels_keep_their_colours(geometry):
    source = np.asarray(labels(2, 77))
    moved = warp_labels(source, geometry, plain=False)
    assert set(map(tuple, moved.reshape(-1, 3))) <= set(map(tuple, source.reshape(-1, 3)))


@pytest.mark.parametrize("geometry", geometries(EVERYTHING, 30))
def test_lines_stay_whole_and_thin(geometry):
    source = np.asarray(drawing(3, 77))
    inside = Geometry(64, geometry.left, geometry.top, geometry.mirrored, geometry.degrees, min(geometry.zoom, 0.9))
    before, after = source < 128, warp_lines(source, inside, plain=True) < 128
    assert pieces(after) <= pieces(before)
    assert thickness(after) < thickness(before) + 0.1
    assert after.sum() > 0.6 * before.sum()


def test_crisp_and_soft_lines_stay_so():
    source = np.asarray(drawing(3, 64))
    turned = Geometry(64, degrees=10)
    assert set(np.unique(warp_lines(source, turned, True))) == {0, 255}
    soft = warp_lines(source, turned, True, antialias=True)
    assert len(np.unique(soft)) > 2
    np.testing.assert_array_equal(soft < 60, warp_lines(source, turned, True) < 60)


def test_fat_lines_stay_filled():
    source = np.full((64, 64), 255, np.uint8)
    source[20:44, 20:44] = 0
    for zoom in (0.8, 1.0001, 1.5):
        moved = warp_lines(source, Geometry(64, degrees=30, zoom=zoom), True) < 128
        assert pieces(~moved) == 1  # no holes
        assert moved.sum() == pytest.approx(24 * 24 * zoom**2, rel=0.1)


# Beyond the border


@pytest.mark.parametrize("geometry", geometries(AugmentConfig(rotation=30, scale=0.5), 20, 64, 64))
def test_plain_backgrounds_go_on(geometry):
    source = np.asarray(photo(2, 64, 64, paper=(90, 140, 200)))
    moved = warp_photo(source, geometry, plain=True)
    frame = np.concatenate([moved[0], moved[-1], moved[:, 0], moved[:, -1]])
    if geometry.zoom < 1:
        assert (frame == (90, 140, 200)).all()


def test_an_object_at_the_border_gets_no_new_edge():
    source = np.full((64, 64, 3), 255, np.uint8)
    source[20:, 24:40] = 40  # it goes on below the picture
    moved = warp_photo(source, Geometry(64, zoom=0.7), plain=True)
    edges = photo_to_edges(moved) == 0
    assert edges[:52].any()
    assert not edges[50:, 30:34].any()  # no line along its end
    assert (moved[-1, 32] == 40).all()


def test_scenes_are_reflected_on_both_sides_of_a_pair():
    stripe = np.full((64, 64), 255, np.uint8)
    stripe[:, 8:10] = 0
    geometry = Geometry(64, zoom=0.5)  # column 8.5 goes to 20, its reflection, -8.5, to 11.5
    moved = warp_labels(np.repeat(stripe[..., None], 3, axis=2), geometry, plain=False)[32, :, 0]
    lines = warp_lines(stripe, geometry, plain=False)[32]
    for row in (moved, lines):
        places = np.flatnonzero(row < 128)
        assert len(places) in (2, 3, 4)
        assert all(min(abs(place - 20), abs(place - 11.5)) <= 0.6 for place in places)
        assert places.min() < 13 < 19 < places.max()
    assert np.flatnonzero(warp_lines(stripe, geometry, plain=True)[32] < 128).min() >= 19
