"""Edges become as imperfect as drawings, and stay lines in the checkpoint's style."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from picture_sets import photo

from bicyclegan.config import EdgeStyle
from bicyclegan.sketch import Sketch, Stroke, photo_to_edges
from bicyclegan.sketch.amateur import amateur_edges, drop_strokes, move_ink, outline, wobble
from bicyclegan.sketch.foreground import find_object
from bicyclegan.sketch.lines import thin
from bicyclegan.training.config import StrokeConfig

WHITE = np.array([255, 255, 255])
STYLES = [EdgeStyle(), EdgeStyle(line_width=3.0), EdgeStyle(antialias=True)]


def numbers(seed: int = 0) -> np.random.RandomState:
    return np.random.RandomState(seed)


def shoe(seed: int = 1, size: int = 96) -> np.ndarray:
    return np.asarray(photo(seed, size, size))


def busy(size: int = 96) -> np.ndarray:
    """Edges of every strength."""
    smooth = cv2.GaussianBlur(numbers().normal(size=(size, size, 3)), (0, 0), 4)
    return np.clip(128 + smooth / smooth.std() * 45, 0, 255).astype(np.uint8)


def drawn(seeds: int = 20, picture: np.ndarray | None = None, style: EdgeStyle | None = None, **strokes) -> list:
    picture = shoe() if picture is None else picture
    config = StrokeConfig(**strokes)
    return [amateur_edges(picture, style or EdgeStyle(), config, numbers(seed), WHITE) for seed in range(seeds)]


def ink_of(lines: list[tuple[int, int, int, int]], size: int = 64) -> np.ndarray:
    """Straight lines (x, y, x, y) of one pixel."""
    strokes = tuple(Stroke(((x, y), (right, bottom)), width=1) for x, y, right, bottom in lines)
    return Sketch(strokes, size).rasterise(size) < 128


def pieces(ink: np.ndarray) -> int:
    return cv2.connectedComponents(ink.astype(np.uint8), connectivity=8)[0] - 1


def thickness(ink: np.ndarray) -> float:
    return ink.sum() / thin(ink, 3).sum()


# The whole


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("picture", [shoe(), busy()])
def test_with_nothing_to_imitate_edges_are_those_of_inference(picture, style):
    for edges in drawn(3, picture, style):
        np.testing.assert_array_equal(edges, photo_to_edges(picture, style))


@pytest.mark.parametrize("style", STYLES)
def test_drawings_are_in_the_style(style):
    strokes = {"threshold_jitter": 1.0, "drop_strokes": 0.4, "wobble": 1.5, "silhouette": 0.3}
    for edges in drawn(20, style=style, **strokes):
        assert (edges.shape, edges.dtype) == ((96, 96), np.uint8)
        assert edges.min() == 0
        assert style.antialias or set(np.unique(edges)) == {0, 255}
        width = thickness(edges < 100)
        assert width > 2 if style.line_width == 3 else width < 1.3


def test_drawings_differ_and_can_be_had_again():
    strokes = {"threshold_jitter": 1.0, "drop_strokes": 0.5, "width_jitter": 2.0, "wobble": 2.0, "silhouette": 0.2}
    first, again = drawn(10, **strokes), drawn(10, **strokes)
    np.testing.assert_array_equal(first, again)
    assert len({edges.tobytes() for edges in first}) == 10


def test_where_no_edge_may_be_there_is_none():
    wipe = np.zeros((96, 96), bool)
    wipe[:, 40:50] = True
    for style in STYLES[:1] + STYLES[2:]:
        edges = amateur_edges(shoe(), style, StrokeConfig(), numbers(), WHITE, wipe)
        assert (edges[:, 41:49] == 255).all()
        assert (edges[:, :40] < 255).any()


# Thresholds and widths


def test_thresholds_give_more_lines_and_fewer():
    ink = [np.sum(edges == 0) for edges in drawn(40, busy(), threshold_jitter=2.0)]
    usual = np.sum(photo_to_edges(busy()) == 0)
    assert min(ink) < 0.8 * usual
    assert max(ink) > 1.2 * usual


def test_a_pale_photo_keeps_its_outline():
    pale = np.asarray(photo(1, 96, 96)) // 6 + 212
    usual = np.sum(photo_to_edges(pale, EdgeStyle(low_threshold=20, high_threshold=40)) == 0)
    assert usual > 96
    for edges in drawn(20, pale, EdgeStyle(low_threshold=20, high_threshold=40), threshold_jitter=4.0):
        assert np.sum(edges == 0) >= 0.9 * usual


def test_lines_get_wider_up_to_the_limit():
    widths = [thickness(edges == 0) for edges in drawn(30, width_jitter=2.0)]
    assert min(widths) < 1.2
    assert 2 < max(widths) < 3.5


# Strokes


def test_whole_strokes_are_dropped():
    lines = [(4, 10, 60, 10), (4, 20, 30, 20), (40, 30, 50, 40), (8, 50, 14, 50)]
    ink = ink_of(lines)
    singles = [ink_of([line]) for line in lines]
    for seed in range(30):
        kept = drop_strokes(ink, 0.6, numbers(seed))
        assert not (kept & ~ink).any()
        assert all((kept & single).sum() in (0, single.sum()) for single in singles)
        assert kept.sum() >= 0.4 * ink.sum()


def test_lines_are_cut_where_they_cross():
    cross = ink_of([(4, 32, 60, 32), (32, 4, 32, 28), (32, 36, 32, 60)])
    cross[28:37, 32] = True
    arms = {
        "".join("x" if kept[place] else "-" for place in ((32, 10), (32, 54), (10, 32), (54, 32)))
        for kept in (drop_strokes(cross, 0.3, numbers(seed)) for seed in range(40))
    }
    assert arms - {"xxxx"} == {"-xxx", "x-xx", "xx-x", "xxx-"}


def test_long_strokes_survive():
    ink = ink_of([(4, 10, 60, 10), *((4 + 6 * k, 30, 7 + 6 * k, 30) for k in range(9))])
    kept = [drop_strokes(ink, 0.7, numbers(seed)) for seed in range(50)]
    assert np.mean([each[10].any() for each in kept]) > 0.95
    assert np.mean([each[30].sum() for each in kept]) < 0.6 * ink[30].sum()


def test_nothing_is_dropped_unless_asked():
    ink = photo_to_edges(shoe()) == 0
    assert drop_strokes(ink, 0.0, numbers()) is ink
    assert not drop_strokes(np.zeros((8, 8), bool), 0.5, numbers()).any()


# Wobble


@pytest.mark.parametrize("reach", [0.7, 2.0, 5.0])
def test_lines_stray_as_far_as_they_may_and_stay_lines(reach):
    ink = photo_to_edges(shoe()) == 0
    distance = cv2.distanceTransform((~ink).astype(np.uint8), cv2.DIST_L2, 5)
    farthest = []
    for seed in range(15):
        bent = wobble(ink, reach, numbers(seed))
        farthest.append(distance[bent].max())
        assert pieces(bent) <= pieces(ink)
        assert thickness(bent) < thickness(ink) + 0.12
        assert bent.sum() > 0.8 * ink.sum()
    assert 0.3 * reach < max(farthest) <= 1.6 * reach + 1


def test_lines_move_smoothly():
    line = np.zeros((64, 64), bool)
    line[32] = True
    bent = wobble(line, 4.0, numbers(3))
    heights = [np.flatnonzero(bent[:, column]).mean() for column in range(4, 60)]
    assert np.ptp(heights) > 2
    assert np.abs(np.diff(heights)).max() <= 2


def test_moved_neighbours_stay_joined():
    ink = photo_to_edges(shoe(size=48)) == 0
    rows, columns = np.nonzero(ink)
    large = move_ink(ink, 2.6 * columns, 2.6 * rows, (125, 125))
    assert pieces(large) == pieces(ink)
    assert thickness(large) < 1.3


def test_what_leaves_the_picture_is_lost():
    ink = ink_of([(4, 10, 60, 10)])
    rows, columns = np.nonzero(ink)
    assert not move_ink(ink, columns + 100.0, rows - 50.0, (64, 64)).any()
    half = move_ink(ink, columns + 32.0, rows + 0.0, (64, 64))
    np.testing.assert_array_equal(half[:, 36:], ink[:, 4:32])


# Silhouettes


def test_silhouettes_are_closed_outlines_of_the_object():
    mask = find_object(shoe(), WHITE)
    for edges in drawn(10, silhouette=1.0):
        ink = edges == 0
        assert pieces(ink) == 1
        flooded = cv2.floodFill((edges < 128).astype(np.uint8), None, (0, 0), 2, flags=4)[1]
        inside = flooded != 2
        assert np.mean(inside == mask) > 0.98  # the line encloses the object: what is outside cannot get in
        assert thickness(ink) < 1.2


def test_silhouettes_are_drawn_as_often_as_asked():
    usual = photo_to_edges(shoe())
    share = np.mean([not np.array_equal(edges, usual) for edges in drawn(200, silhouette=0.25)])
    assert 0.15 < share < 0.35


def test_without_a_plain_background_there_is_no_silhouette():
    edges = amateur_edges(busy(), EdgeStyle(), StrokeConfig(silhouette=1.0), numbers(), paper=None)
    np.testing.assert_array_equal(edges, photo_to_edges(busy()))


def test_a_blank_photo_has_no_silhouette():
    assert outline(np.zeros((64, 64), bool)) is None
    blank = np.full((96, 96, 3), 255, np.uint8)
    assert all((edges == 255).all() for edges in drawn(3, blank, silhouette=1.0, drop_strokes=0.5, wobble=1.0))


def test_an_object_cut_by_the_frame_has_no_line_there():
    mask = np.zeros((64, 64), bool)
    mask[20:, 10:50] = True
    ink = outline(mask)
    assert ink[20, 12:48].all()
    assert not ink[-1].any()
