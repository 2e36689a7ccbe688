"""The object of a sketch is found in all pictures of it, and its colour is the one that a person would name."""

from __future__ import annotations

import numpy as np
import pytest

from bicyclegan.object_colour import delta_e, lab_to_rgb, object_mask, rgb_to_lab, typical_colour

RED, WHITE, BLUE = (200, 30, 40), (255, 255, 255), (20, 40, 190)


def shoe(colour: tuple[int, int, int], paper: tuple[int, int, int] = WHITE) -> np.ndarray:
    """A plain square of 12 px in the middle of 32 px."""
    picture = np.full((32, 32, 3), paper, np.uint8)
    picture[10:22, 10:22] = colour
    return picture


HERE = np.zeros((32, 32), bool)
HERE[10:22, 10:22] = True


@pytest.mark.parametrize("paper", [WHITE, (240, 240, 238), (0, 0, 0)])
def test_the_object_is_what_is_not_paper(paper: tuple[int, int, int]) -> None:
    assert np.array_equal(object_mask(np.stack([shoe(RED, paper), shoe(BLUE, paper)])), HERE)


def test_an_object_may_be_white_in_one_picture() -> None:
    pictures = np.stack([shoe(WHITE), shoe(RED), shoe(BLUE)])
    assert np.array_equal(object_mask(pictures), HERE)
    assert lab_to_rgb(typical_colour(pictures[0], HERE)).tolist() == [255, 255, 255]


def test_all_is_object_where_none_is_found() -> None:
    assert object_mask(np.stack([shoe(WHITE)])).all()
    labels = np.random.RandomState(0).randint(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    assert object_mask(labels).all()


def test_the_colour_is_that_of_the_object() -> None:
    pictures = np.stack([[shoe(RED), shoe(BLUE)], [shoe(WHITE), shoe(RED)]])
    colours = typical_colour(pictures, HERE)
    assert colours.shape == (2, 2, 3)
    assert colours.dtype == np.float32
    assert lab_to_rgb(colours).tolist() == [[[*RED], [*BLUE]], [[*WHITE], [*RED]]]


def test_soles_and_highlights_leave_no_trace() -> None:
    picture = shoe(RED)
    picture[19:22, 10:22] = WHITE
    picture[10:12, 10:14] = (250, 230, 230)
    assert lab_to_rgb(typical_colour(picture, HERE)).tolist() == [*RED]


def test_lab_is_that_of_the_standard() -> None:
    """Values of sRGB under D65 as CIE defines them; OpenCV reads its curves from tables."""
    colours = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 255], [119, 119, 119]], np.uint8)
    expected = [[0, 0, 0], [100, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86], [50.03, 0, 0]]
    assert rgb_to_lab(colours) == pytest.approx(np.array(expected), abs=0.25)


def test_colours_come_back_from_lab() -> None:
    colours = np.random.RandomState(0).randint(0, 256, (4, 500, 3), dtype=np.uint8)
    back = lab_to_rgb(rgb_to_lab(colours))
    assert back.dtype == np.uint8
    assert np.abs(back.astype(int) - colours).max() <= 1
    assert lab_to_rgb(np.array([120.0, 200, -200])).dtype == np.uint8  # no screen has it: the nearest, not an overflow


def test_delta_e_is_the_distance_in_lab() -> None:
    black, white, grey = rgb_to_lab(np.array([[0, 0, 0], [255, 255, 255], [119, 119, 119]], np.uint8))
    assert delta_e(black, white) == pytest.approx(100, abs=0.1)
    assert delta_e(np.stack([black, grey]), white) == pytest.approx([100, 50], abs=0.2)
