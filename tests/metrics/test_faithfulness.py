"""How far edges lie on lines, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bicyclegan.metrics.faithfulness import edge_f1


def paper(*lines: tuple[slice | int, slice | int]) -> np.ndarray:
    """White 40 x 40 with black lines at these rows and columns."""
    pixels = np.full((40, 40), 255, np.uint8)
    for place in lines:
        pixels[place] = 0
    return pixels


def square(shift: int = 0) -> np.ndarray:
    """The outline of a square of 20 px, moved to the right."""
    low, high, rows = 10 + shift, 29 + shift, slice(10, 30)
    return paper((rows, low), (rows, high), (10, slice(low, high + 1)), (29, slice(low, high + 1)))


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_lines_within_the_tolerance_are_in_their_place(shift: int) -> None:
    assert edge_f1(square(shift), square()) == 1


def test_lines_further_off_are_not() -> None:
    """Of 76 px of a square that is 5 px off: 17 of each horizontal side, and 4 of the vertical side that meets one."""
    assert edge_f1(square(5), square()) == pytest.approx(38 / 76)
    assert edge_f1(paper((slice(None), 10)), paper((slice(None), 13))) == 0


@pytest.mark.parametrize(("place", "near"), [((12, 10), 1), ((11, 11), 1), ((12, 11), 0), ((13, 10), 0)])
def test_the_tolerance_is_a_circle(place: tuple[int, int], near: float) -> None:
    """sqrt(5) px is too far, though no side of it is."""
    assert edge_f1(paper(place), paper((10, 10))) == near


def test_the_tolerance_can_be_chosen() -> None:
    assert edge_f1(square(1), square(), tolerance=0) < 0.7
    assert edge_f1(square(5), square(), tolerance=5) == 1


def test_nothing_drawn() -> None:
    assert edge_f1(paper(), paper()) == 1
    assert edge_f1(square(), paper()) == 0
    assert edge_f1(paper(), square()) == 0


def test_half_of_what_was_drawn_is_a_recall_of_a_half() -> None:
    """Precision 1, recall 1/2: 2 * 1/2 / (3/2)."""
    both, one = paper((5, slice(None)), (30, slice(None))), paper((5, slice(None)))
    assert edge_f1(one, both) == pytest.approx(2 / 3)
    assert edge_f1(both, one) == pytest.approx(2 / 3), "half of what was found is too much"


def test_precision_and_recall_of_unlike_parts() -> None:
    """Drawn: 20 px. Found: 10 of them, and 30 px elsewhere.

    Precision 10/40. The tolerance adds 2 px to the 10: recall 12/20. F1 = 2 * 0.25 * 0.6 / 0.85.
    """
    drawn = paper((5, slice(0, 20)))
    found = paper((5, slice(0, 10)), (30, slice(0, 30)))
    expected = 2 * 0.25 * 0.6 / 0.85
    assert edge_f1(found, drawn) == pytest.approx(expected)
    assert edge_f1(drawn, found) == pytest.approx(expected)


def test_dark_grey_is_line_and_light_grey_is_paper() -> None:
    soft = np.where(square() == 0, 100, 255).astype(np.uint8)
    assert edge_f1(soft, square()) == 1
    assert edge_f1(np.where(square() == 0, 160, 255).astype(np.uint8), paper()) == 1


def test_both_have_one_size() -> None:
    with pytest.raises(AssertionError):
        edge_f1(square(), square()[:32, :32])
