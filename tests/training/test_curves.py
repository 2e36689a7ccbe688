"""Curves: each value where it belongs, round ticks, gaps stay gaps, peaks do not flatten the rest."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bicyclegan.training.curves import (
    COLOURS,
    FRAME,
    HEAD,
    LEVEL_COLOUR,
    ROW,
    WIDTH,
    Panel,
    Section,
    Series,
    draw_curves,
    moving_average,
    nice_ticks,
    smoothing_window,
    tick_label,
)
from bicyclegan.training.sheets import MARGIN, MUTED


def one(values: list[float | None], **options: object) -> Series:
    return Series("loss", [100 * k for k in range(len(values))], values, **options)


def inside(picture: Image.Image, columns: int = 1, column: int = 0) -> np.ndarray:
    """Pixels of a panel in the first row within its frame, (H, W, 3)."""
    left, top, right, bottom = FRAME
    width = (WIDTH - 2 * MARGIN) / columns
    start = round(MARGIN + column * width)
    pixels = np.asarray(picture)[HEAD + top : HEAD + ROW - bottom, start + left : start + round(width) - right]
    return pixels.astype(int)


def is_coloured(pixels: np.ndarray, colour: tuple[int, int, int], tolerance: int = 40) -> np.ndarray:
    return (np.abs(pixels - colour) < tolerance).all(axis=-1)


def height_at(pixels: np.ndarray, share: float, colour: tuple[int, int, int] = COLOURS[0]) -> float:
    """How high a line runs at this share of the width, 0 bottom to 1 top; NaN where there is none."""
    rows = np.flatnonzero(is_coloured(pixels, colour)[:, round(share * (pixels.shape[1] - 1))])
    return 1 - rows.mean() / (pixels.shape[0] - 1) if len(rows) else float("nan")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 0.43, [0, 0.1, 0.2, 0.3, 0.4]),
        (0, 54, [0, 20, 40]),
        (-0.3, 0.9, [-0.25, 0, 0.25, 0.5, 0.75]),
        (0, 12_000, [0, 2500, 5000, 7500, 10_000]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert nice_ticks(low, high) == pytest.approx(expected)


def test_ticks_are_never_too_many() -> None:
    random = np.random.RandomState(0)
    for high in 10 ** random.uniform(-6, 8, 300):
        assert 2 <= len(nice_ticks(0, high)) <= 6


def test_tick_labels_are_short_and_of_one_unit() -> None:
    assert [tick_label(value, nice_ticks(0, 20_000)) for value in nice_ticks(0, 20_000)] == [
        "0",
        "5k",
        "10k",
        "15k",
        "20k",
    ]
    assert [tick_label(value, [0, 0.1, 0.2, 0.30000000000000004]) for value in (0, 0.1 + 0.2)] == ["0", "0.3"]
    assert tick_label(2_500_000, [0, 5_000_000]) == "2.5M"
    assert tick_label(500, [0, 1500]) == "500"


def test_the_average_is_that_of_neighbours_and_keeps_slopes() -> None:
    assert moving_average([0, 3, 0, 3, 0], 3) == pytest.approx([0, 1, 2, 1, 0])
    assert moving_average([1, 2, 3, 4, 5, 6], 5) == pytest.approx([1, 2, 3, 4, 5, 6])
    assert moving_average([5, 1, None, 9, 9, 9], 3) == pytest.approx([5, 1, None, 9, 9, 9])


def test_little_is_not_smoothed_and_dots_never_count() -> None:
    assert smoothing_window([Panel("", [one([1.0] * 20)])]) == 1
    assert smoothing_window([Panel("", [one([1.0] * 400)])]) == 9
    assert smoothing_window([Panel("", [one([1.0] * 400, dots=True)])]) == 1
    assert all(smoothing_window([Panel("", [one([1.0] * count)])]) % 2 for count in range(1, 1000, 7))


def test_lines_run_where_their_values_are() -> None:
    pixels = inside(draw_curves([Panel("L1", [one([0.0, 0.5, 1.0])])]))
    top = 1 / 1.08  # where the largest value stands
    assert height_at(pixels, 0.5) == pytest.approx(0.5 * top, abs=0.02)
    assert height_at(pixels, 0.25) == pytest.approx(0.25 * top, abs=0.02)
    assert height_at(pixels, 0.75) == pytest.approx(0.75 * top, abs=0.02)


def test_each_series_has_its_colour() -> None:
    pixels = inside(draw_curves([Panel("D", [one([1.0, 1.0]), one([0.5, 0.5])])]))
    assert height_at(pixels, 0.5, COLOURS[0]) > height_at(pixels, 0.5, COLOURS[1]) + 0.3


def test_nothing_is_drawn_where_there_is_no_number() -> None:
    pixels = inside(draw_curves([Panel("L1", [one([1.0, 1.0, None, 1.0, 1.0])])]))
    assert height_at(pixels, 0.1) > 0.8
    assert np.isnan(height_at(pixels, 0.4)) and np.isnan(height_at(pixels, 0.6))


def test_a_value_alone_is_a_dot() -> None:
    pixels = inside(draw_curves([Panel("L1", [one([None, 1.0, None])])]))
    assert 10 < is_coloured(pixels, COLOURS[0]).sum() < 60


def test_a_single_peak_does_not_flatten_the_rest() -> None:
    calm = [0.5] * 200
    wild = [*calm[:100], 1000.0, *calm[100:]]
    assert height_at(inside(draw_curves([Panel("G", [one(wild)])])), 0.2) > 0.5
    few = [0.5, 0.5, 5.0, 0.5, 0.5]
    assert height_at(inside(draw_curves([Panel("G", [one(few)])])), 0.1) < 0.15, "of few values none is left out"


def test_the_level_to_compare_with_is_always_in_sight() -> None:
    pixels = inside(draw_curves([Panel("z", [one([0.2, 0.2])], level=0.8, level_name="chance")]))
    row = round((1 - 1 / 1.08) * (pixels.shape[0] - 1))
    dashes = is_coloured(pixels[row - 2 : row + 3], LEVEL_COLOUR, 70).any(axis=0)
    assert 0.4 < dashes.mean() < 0.8 and dashes[:20].any() and dashes[-20:].any(), "dashed, all the way"


def test_a_section_is_marked_where_it_begins() -> None:
    panel = Panel("L1", [one([0.1, 0.1, 0.1])])
    plain = inside(draw_curves([panel]))
    marked = inside(draw_curves([panel], [Section(0, "64 px"), Section(150, "128 px")]))
    column = round(0.75 * marked.shape[1])
    lines = is_coloured(marked, MUTED, 30)[40:-20].all(axis=0)
    assert np.flatnonzero(lines).tolist() == pytest.approx([column], abs=2)
    assert not is_coloured(plain, MUTED, 30)[40:-20].all(axis=0).any()
    captions = (marked[:20] < 150).all(axis=-1)
    assert captions[:, 5:60].any() and captions[:, column + 5 : column + 60].any()


@pytest.mark.parametrize(("count", "size"), [(1, (1200, 402)), (3, (1200, 402)), (4, (1200, 732)), (6, (1200, 732))])
def test_panels_fill_rows_of_three(count: int, size: tuple[int, int]) -> None:
    assert draw_curves([Panel("L1", [one([1.0, 2.0])])] * count, title="shoes").size == size


@pytest.mark.parametrize("values", [[], [None, None], [0.0, 0.0], [3.0], [-1.0, -2.0]])
def test_any_values_can_be_drawn(values: list[float | None]) -> None:
    assert draw_curves([Panel("L1", [one(values)])]).size[0] == WIDTH


def test_negative_values_stay_inside() -> None:
    pixels = inside(draw_curves([Panel("gap", [one([-1.0, 1.0])])]))
    assert height_at(pixels, 0.02) < 0.1
    assert height_at(pixels, 0.98) > 0.8
