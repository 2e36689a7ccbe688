"""Photos and pictures of drawings become edges in a checkpoint's style."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from bicyclegan.config import EdgeStyle
from bicyclegan.errors import UserError
from bicyclegan.sketch import Sketch, Stroke, photo_to_edges, prepare_drawing, with_detail


def disc(size: int = 128, radius: float = 40.0, ink: int = 0, paper: int = 255) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.where(np.hypot(x, y) < radius, ink, paper).astype(np.uint8)


def texture() -> np.ndarray:
    """Blobs of many contrasts, as leather and laces are."""
    import cv2

    noise = np.random.default_rng(3).normal(size=(128, 128, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.clip(128 + smooth / smooth.std() * 45, 0, 255).astype(np.uint8)


def drawing(size: int, width: float = 2.0, antialias: bool = False) -> np.ndarray:
    """A house of closed lines; width in 1/256 of the side."""
    points = ((40, 120), (128, 50), (216, 120), (200, 210), (56, 210), (40, 120))
    return Sketch((Stroke(points, width=width),)).rasterise(size, EdgeStyle(antialias=antialias))


def ink_near(edges: np.ndarray, reference: np.ndarray, reach: int = 1) -> tuple[float, float]:
    """Shares of the ink of each that lies within `reach` pixels of the other's."""
    import cv2

    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    inks = [(each < 128).astype(np.uint8) for each in (edges, reference)]
    wide = [cv2.dilate(ink, kernel) for ink in inks]
    return tuple(float((ink & other).sum() / ink.sum()) for ink, other in zip(inks, wide[::-1], strict=True))


# Photos


def test_edges_of_a_disc_lie_on_its_circle():
    edges = photo_to_edges(disc())
    assert edges.dtype == np.uint8
    assert set(np.unique(edges)) == {0, 255}
    y, x = np.nonzero(edges == 0) - np.array([[63.5], [63.5]])
    assert np.abs(np.hypot(x, y) - 40).max() < 1.6
    assert len(np.unique(np.round(np.degrees(np.arctan2(y, x)) / 10))) == 37  # all around
    assert len(x) < 2 * np.pi * 40 * 1.2  # one pixel wide


def test_defaults_are_canny_40_120_after_a_bilateral_filter():
    import cv2

    photo = texture()
    grey = cv2.bilateralFilter(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), 5, 40, 3)
    np.testing.assert_array_equal(photo_to_edges(photo), 255 - cv2.Canny(grey, 40, 120))
    plain = dataclasses.replace(EdgeStyle(), bilateral_diameter=0)
    unfiltered = 255 - cv2.Canny(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), 40, 120)
    np.testing.assert_array_equal(photo_to_edges(photo, plain), unfiltered)


def test_without_size_the_photo_keeps_its_shape():
    assert photo_to_edges(np.zeros((40, 90), np.uint8)).shape == (40, 90)
    assert photo_to_edges(Image.new("RGB", (90, 40)), size=64).shape == (64, 64)


@pytest.mark.parametrize("paper", [255, 200, 30])
def test_letterboxing_makes_no_edge(paper):
    photo = np.pad(disc(100, 30, ink=120, paper=paper), ((0, 0), (60, 60)), constant_values=paper)
    edges = photo_to_edges(photo, size=128)
    y, x = np.nonzero(edges == 0) - np.array([[63.5], [63.5]])
    assert len(x)
    assert np.hypot(x, y).max() < 22  # the disc's radius is 17 there


@pytest.mark.parametrize("turned", [False, True])
def test_a_photo_without_background_gets_no_frame(turned):
    import cv2

    photo = cv2.resize(texture(), (256, 128))
    edges = photo_to_edges(photo.swapaxes(0, 1) if turned else photo, size=128)
    edges = edges.T if turned else edges
    assert (edges[:34] == 255).all()
    assert (edges[94:] == 255).all()
    assert (edges[36:92] == 0).any()


def test_adaptive_keeps_the_outline_of_a_pale_photo():
    pale = disc(ink=240)
    adaptive = dataclasses.replace(EdgeStyle(), adaptive=True)
    assert (photo_to_edges(pale) == 0).sum() == 0
    kept = photo_to_edges(pale, adaptive)
    near, covered = ink_near(kept, photo_to_edges(disc()))
    assert near == 1
    assert covered > 0.95


def test_adaptive_leaves_a_usual_photo_nearly_alone_and_harsh_ones_calmer():
    adaptive = dataclasses.replace(EdgeStyle(), adaptive=True)
    harsh = np.where(texture()[..., :1] > 128, 255, 0).astype(np.uint8).repeat(3, axis=2)
    weak = np.clip(harsh, 100, 130)
    harsh[:, :40], harsh[:40] = weak[:, :40], weak[:40]
    fixed, calmer = photo_to_edges(harsh), photo_to_edges(harsh, adaptive)
    assert 0 < (calmer == 0).sum() < (fixed == 0).sum()
    np.testing.assert_array_equal(photo_to_edges(np.full((64, 64), 99, np.uint8), adaptive), 255)


def test_line_width_and_soft_borders():
    thin = photo_to_edges(disc())
    wide = photo_to_edges(disc(), dataclasses.replace(EdgeStyle(), line_width=3.0))
    assert (wide[thin == 0] == 0).all()
    assert 2.5 < (wide == 0).sum() / (thin == 0).sum() < 3.6
    soft = photo_to_edges(disc(), dataclasses.replace(EdgeStyle(), antialias=True))
    assert len(np.unique(soft)) > 3
    assert soft[64][thin[64] == 0].max() < 5  # the middle of a line stays black


def test_edges_are_deterministic():
    np.testing.assert_array_equal(photo_to_edges(texture(), size=96), photo_to_edges(texture(), size=96))


# Detail


def test_detail_is_geometric_and_zero_changes_nothing():
    style = EdgeStyle()
    assert with_detail(style, 0) == style
    assert with_detail(style, 1).high_threshold == 30
    assert with_detail(style, 1).low_threshold == 10
    assert with_detail(style, -0.5).high_threshold == 240
    assert with_detail(EdgeStyle(high_threshold=9000.0), -1).high_threshold == 10_000


def test_more_detail_means_more_edges():
    photo = texture()
    counts = [(photo_to_edges(photo, with_detail(EdgeStyle(), detail)) == 0).sum() for detail in (-1, -0.5, 0, 0.5, 1)]
    assert counts == sorted(counts)
    assert counts[0] < counts[2] < counts[4]


@pytest.mark.parametrize("detail", [1.1, -2, float("nan")])
def test_detail_out_of_range(detail):
    with pytest.raises(UserError, match="must be a number from -1 to 1") as caught:
        with_detail(EdgeStyle(), detail)
    assert caught.value.code == "edge_detail"


# Pictures of drawings


def test_an_edge_map_of_the_right_size_passes_unchanged():
    edges = photo_to_edges(texture())
    np.testing.assert_array_equal(prepare_drawing(edges, 128), edges)
    np.testing.assert_array_equal(prepare_drawing(Image.fromarray(edges), 128), edges)
    blank = np.full((128, 128), 255, np.uint8)
    np.testing.assert_array_equal(prepare_drawing(blank, 128), blank)


@pytest.mark.parametrize("width", [0.25, 1, 2])
@pytest.mark.parametrize("antialias", [False, True])
def test_thin_lines_of_large_drawings_survive_as_lines_of_one_pixel(width, antialias):
    reference = drawing(128)
    small = prepare_drawing(drawing(1024, width, antialias), 128)
    assert set(np.unique(small)) == {0, 255}
    assert ink_near(small, reference) == (1, 1)
    assert (small == 0).sum() < 1.6 * (reference == 0).sum()


def test_a_closed_outline_stays_closed():
    import cv2

    small = prepare_drawing(drawing(1024, 0.25), 128)
    assert cv2.connectedComponents((small == 255).astype(np.uint8), connectivity=4)[0] == 3  # ink, inside, outside


def test_small_drawings_are_enlarged():
    large = prepare_drawing(drawing(70), 128)
    assert set(np.unique(large)) == {0, 255}
    near, covered = ink_near(large, drawing(128), reach=2)
    assert near == 1
    assert covered == 1


@pytest.mark.parametrize("size", [128, 500])
def test_white_lines_on_black_are_inverted(size):
    black = drawing(size)
    np.testing.assert_array_equal(prepare_drawing(255 - black, 128), prepare_drawing(black, 128))


def test_a_photo_of_paper_in_uneven_light():
    rng = np.random.default_rng(0)
    lines = drawing(600, 2, antialias=True) / 255 * 0.6 + 0.4
    light = np.linspace(110, 220, 600)[None] * np.ones((600, 1))
    photo = np.clip(lines * light + rng.normal(0, 3, (600, 600)), 0, 255).astype(np.uint8)
    assert ink_near(prepare_drawing(photo, 128), drawing(128)) == (1, 1)


def test_pale_pencil_is_as_black_as_ink():
    pale = (255 - (255 - drawing(512).astype(int)) * 0.3).astype(np.uint8)
    np.testing.assert_array_equal(prepare_drawing(pale, 128), prepare_drawing(drawing(512), 128))


def test_an_empty_sheet_with_noise_stays_empty():
    noise = np.clip(np.random.default_rng(0).normal(240, 2, (300, 300)), 0, 255).astype(np.uint8)
    assert (prepare_drawing(noise, 128) == 255).all()


def test_filled_areas_stay_filled():
    small = prepare_drawing(disc(900, 300), 128)
    wanted = disc(128, 300 / 900 * 128)
    assert ((small == 0) ^ (wanted == 0)).mean() < 0.02
    assert small[64, 64] == 0


def test_wide_drawings_are_letterboxed():
    import cv2

    wide = np.full((300, 900), 255, np.uint8)
    cv2.ellipse(wide, (450, 150), (400, 120), 0, 0, 360, 0, 3)
    small = prepare_drawing(wide, 128)
    assert small.shape == (128, 128)
    rows = np.flatnonzero((small == 0).any(axis=1))
    assert abs(rows.min() - (64 - 120 / 900 * 128)) <= 2
    assert abs(rows.max() - (64 + 120 / 900 * 128)) <= 2


def test_lines_take_the_width_and_softness_of_the_style():
    wide = prepare_drawing(drawing(1024, 0.25), 128, EdgeStyle(line_width=3.0))
    thin = prepare_drawing(drawing(1024, 0.25), 128)
    assert 2 < (wide == 0).sum() / (thin == 0).sum() < 3.6
    soft = prepare_drawing(drawing(1024, 0.25), 128, EdgeStyle(antialias=True))
    assert len(np.unique(soft)) > 3
