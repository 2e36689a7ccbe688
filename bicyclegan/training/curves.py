"""Curves as a picture: several panels over the same axis of steps, from plain lists of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import fmean
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

from bicyclegan.images import fit_box, fit_square
from bicyclegan.training.sheets import CODE_COLOUR, INK, MARGIN, MUTED, RING_COLOUR, SMOOTH, WHITE

Values: TypeAlias = "Sequence[float | None]"
"""None where there is no number: the line is interrupted there."""
Colour: TypeAlias = "tuple[int, int, int]"

WIDTH, ROW = 1200, 330
"""Of the picture, and the height of a row of panels, in px."""
COLUMNS = 3
HEAD = 36
"""Height of the title, and of the note below, in px."""
FRAME = (48, 48, 14, 28)
"""What stands around a panel's curves: left, top, right, bottom, in px."""
COLOURS: tuple[Colour, ...] = (CODE_COLOUR, (217, 119, 6), (13, 148, 136), (190, 24, 93))
LEVEL_COLOUR = (185, 28, 28)
MAX_TICKS = 5
CUT = 0.99
"""Share of the values that must fit in: single peaks are cut off, or they would flatten all the rest."""
FEW = 25
"""So few values are never cut off."""
SMOOTHED_PARTS = 50
"""A moving average is taken of one of so many parts of the longest line."""


@dataclass(frozen=True)
class Series:
    """One line of a panel."""

    name: str
    steps: Sequence[float]
    """Where its values stand, ascending."""
    values: Values
    dots: bool = False
    """Whether each value is a measurement of its own, to be shown as a dot and not smoothed."""


@dataclass(frozen=True)
class Panel:
    """Lines of the same unit."""

    title: str
    """What is shown, with its unit."""
    series: Sequence[Series]
    level: float | None = None
    """A value to compare with, drawn as a dashed line."""
    level_name: str = ""


@dataclass(frozen=True)
class Section:
    """Part of the axis of steps, marked where it starts."""

    start: float
    caption: str


def draw_curves(panels: Sequence[Panel], sections: Sequence[Section] = (), *, title: str = "") -> Image.Image:
    """Up to three panels in a row, RGB, `WIDTH` px wide. Axes of values start at 0 unless some are negative.

    Args:
        panels: at least one. A panel without any number stays empty.
        sections: parts of the axis of steps, in order; the first needs no mark.
        title: a line above all.
    """
    assert panels, "a picture of no curves"
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    end = max((step for panel in panels for line in panel.series for step in line.steps), default=1)
    window = smoothing_window(panels)
    page = Image.new("RGB", (WIDTH * SMOOTH, (2 * HEAD + rows * ROW) * SMOOTH), WHITE)
    pen = _Pen(page)
    pen.text((MARGIN, HEAD / 2), title, INK, 18, "lm")
    pen.text((MARGIN, HEAD * 1.5 + rows * ROW - 4), _note(window), MUTED, 13, "lm")
    width = (WIDTH - 2 * MARGIN) / columns
    for index, panel in enumerate(panels):
        row, column = divmod(index, columns)
        corner = round(MARGIN + column * width), HEAD + row * ROW
        _draw_panel(page, panel, corner, round(width), _Axis(0, max(end, 1)), sections, window)
    return _reduced(page)


def moving_average(values: Values, window: int) -> list[float | None]:
    """Mean of `window` neighbours, an odd number, of fewer at the ends. Never across a None."""
    result: list[float | None] = [None] * len(values)
    for part in _unbroken(values):
        for k in part:
            reach = min(
                window // 2, k - part[0], part[-1] - k
            )  # as far to both sides, or slopes would bend at their ends
            result[k] = fmean(values[k - reach : k + reach + 1])
    return result


def smoothing_window(panels: Sequence[Panel]) -> int:
    """Values that a moving average is taken of, odd; 1 for few values, which need none."""
    longest = max((len(line.values) for panel in panels for line in panel.series if not line.dots), default=0)
    return 2 * round(longest / SMOOTHED_PARTS / 2) + 1


def nice_ticks(low: float, high: float, most: int = MAX_TICKS) -> list[float]:
    """Round numbers from low to high, at most `most` + 1 of them, 1, 2, 2.5 or 5 times a power of ten apart."""
    least = max(high - low, 1e-12) / most
    power = 10.0 ** math.floor(math.log10(least))
    distance = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= least * (1 - 1e-9))
    first, last = math.ceil(low / distance - 1e-9), math.floor(high / distance + 1e-9)
    return [k * distance for k in range(first, last + 1)]


def tick_label(value: float, ticks: Sequence[float]) -> str:
    """A tick as short as its neighbours allow: 0.05, 2.5k, 3M."""
    largest = max(map(abs, ticks), default=0)
    unit, sign = (1e6, "M") if largest >= 1e6 else (1e3, "k") if largest >= 1e4 else (1, "")
    return f"{float(f'{value / unit:.4g}'):g}{sign if value else ''}"


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float

    def place(self, value: float, length: float) -> float:
        """Distance from the lower end, where the whole axis has `length`."""
        return (value - self.low) / (self.high - self.low) * length


class _Pen:
    """Draws in px of the finished picture on one that is `SMOOTH` times as large."""

    def __init__(self, page: Image.Image):
        self.draw = ImageDraw.Draw(page)

    def text(self, place: tuple[float, float], text: str, colour: Colour, size: int, anchor: str) -> None:
        large = place[0] * SMOOTH, place[1] * SMOOTH
        edge = {"stroke_width": 2 * SMOOTH, "stroke_fill": WHITE}  # legible across lines
        self.draw.text(large, text, colour, _font(size * SMOOTH), anchor=anchor, **edge)

    def line(self, points: Sequence[tuple[float, float]], colour: Colour, width: float) -> None:
        large = [(x * SMOOTH, y * SMOOTH) for x, y in points]
        self.draw.line(large, colour, max(1, round(width * SMOOTH)), joint="curve")

    def dot(self, place: tuple[float, float], colour: Colour, radius: float) -> None:
        x, y, r = place[0] * SMOOTH, place[1] * SMOOTH, radius * SMOOTH
        self.draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)


def _draw_panel(
    page: Image.Image,
    panel: Panel,
    corner: tuple[int, int],
    width: int,
    across: _Axis,
    sections: Sequence[Section],
    window: int,
) -> None:
    left, top, right, bottom = FRAME
    size = width - left - right, ROW - top - bottom
    place = corner[0] + left, corner[1] + top
    upward = _value_axis(panel)
    plot = Image.new("RGB", (size[0] * SMOOTH, size[1] * SMOOTH), WHITE)  # of its own: lines end at its sides
    _draw_grid(page, plot, place, size, across, upward)
    pen = _Pen(plot)
    _draw_lines(pen, panel, size, across, upward, window)
    _draw_level(pen, panel, size, upward)
    _draw_sections(pen, sections, size, across)
    page.paste(plot, (place[0] * SMOOTH, place[1] * SMOOTH))
    pen, (x, y) = _Pen(page), place
    pen.line([(x, y + size[1]), (x, y), (x + size[0], y), (x + size[0], y + size[1]), (x, y + size[1])], RING_COLOUR, 1)
    _write_head(pen, panel, corner[1], x, window)


def _value_axis(panel: Panel) -> _Axis:
    """From 0, or the lowest value if that is negative, to a little above what must fit in."""
    tops: list[float] = [] if panel.level is None else [panel.level]
    bottoms = [0.0, *tops]
    for line in panel.series:
        known = sorted(value for value in line.values if value is not None)
        if known:
            kept = known if line.dots or len(known) < FEW else known[: math.ceil(CUT * len(known))]
            tops.append(kept[-1])
            bottoms.append(known[0])
    low, high = min(bottoms), max(tops, default=1.0)
    return _Axis(low * 1.08, high + 0.08 * (high - low)) if high > low else _Axis(low, low + 1)


def _draw_grid(
    page: Image.Image,
    plot: Image.Image,
    place: tuple[int, int],
    size: tuple[int, int],
    across: _Axis,
    upward: _Axis,
) -> None:
    pen, inside, (x, y), (width, height) = _Pen(page), _Pen(plot), place, size
    ticks = nice_ticks(upward.low, upward.high)
    for value in ticks:
        up = height - upward.place(value, height)
        inside.line([(0, up), (width, up)], (236, 238, 242), 1)
        pen.text((x - 6, y + up), tick_label(value, ticks), MUTED, 12, "rm")
    steps = nice_ticks(across.low, across.high, 4)
    for value in steps:
        right = across.place(value, width)
        inside.line([(right, height - 4), (right, height)], MUTED, 1)
        pen.text((x + right, y + height + 7), tick_label(value, steps), MUTED, 12, "mt")


def _draw_sections(pen: _Pen, sections: Sequence[Section], size: tuple[int, int], across: _Axis) -> None:
    """A line where each begins, its caption beside it if there is room before the next."""
    width, height = size
    ends = [across.place(section.start, width) for section in sections[1:]] + [width]
    for index, (section, end) in enumerate(zip(sections, ends, strict=False)):
        start = across.place(section.start, width)
        if index:
            pen.line([(start, 0), (start, height)], MUTED, 1)
        if _font(12).getlength(section.caption) + 8 <= end - start:
            pen.text((start + 5, 5), section.caption, MUTED, 12, "lt")


def _draw_lines(pen: _Pen, panel: Panel, size: tuple[int, int], across: _Axis, upward: _Axis, window: int) -> None:
    width, height = size

    def parts(line: Series, values: Values) -> list[list[tuple[float, float]]]:
        return [
            [(across.place(line.steps[k], width), height - upward.place(values[k], height)) for k in part]
            for part in _unbroken(values)
        ]

    lines = list(zip(panel.series, _colours(panel), strict=True))
    for line, colour in lines if window > 1 else []:
        for part in parts(line, line.values) if not line.dots else ():
            pen.line(part, _pale(colour), 1)
    for line, colour in lines:
        for part in parts(line, line.values if line.dots else moving_average(line.values, window)):
            pen.line(part, colour, 1.2 if line.dots else 1.8)
            for place in part if line.dots or len(part) == 1 else ():
                pen.dot(place, colour, 2.5 if len(line.values) <= FEW else 1.8)


def _draw_level(pen: _Pen, panel: Panel, size: tuple[int, int], upward: _Axis) -> None:
    """A dashed line, its name above it, or below where sections have their captions."""
    if panel.level is None:
        return
    width, height = size
    up = height - upward.place(panel.level, height)
    for start in range(0, width, 10):
        pen.line([(start, up), (start + 6, up)], LEVEL_COLOUR, 1.2)
    above = up > 2 * HEAD
    pen.text((width - 6, up - 4 if above else up + 5), panel.level_name, LEVEL_COLOUR, 12, "rb" if above else "rt")


def _write_head(pen: _Pen, panel: Panel, top: float, left: float, window: int) -> None:
    """The title, and a legend with the last value of each line."""
    pen.text((left, top + 12), panel.title, INK, 15, "lm")
    x, middle = left, top + 34
    for line, colour in zip(panel.series, _colours(panel), strict=True):
        last = [value for value in line.values if value is not None][-1 if line.dots else -window :]
        text = f"{line.name} {fmean(last):.3g}" if last else line.name
        pen.dot((x + 4, middle), colour, 4)
        pen.text((x + 13, middle), text, INK, 13, "lm")
        x += 28 + _font(13).getlength(text)


def _note(window: int) -> str:
    axes, figures = "Horizontal axes: training steps.", "Figures above the panels: the last value"
    if window == 1:
        return f"{axes} {figures}."
    smoothing = f"Dark lines: moving average of {window} values of the log; pale lines: every value."
    return f"{axes} {smoothing} {figures}, of dark lines the mean of the last {window}."


def _colours(panel: Panel) -> list[Colour]:
    return [COLOURS[k % len(COLOURS)] for k in range(len(panel.series))]


def _pale(colour: Colour) -> Colour:
    return tuple(255 - (255 - part) // 3 for part in colour)


def _unbroken(values: Values) -> list[range]:
    """Places of neighbours that are all numbers."""
    gaps = [-1, *(k for k, value in enumerate(values) if value is None), len(values)]
    return [range(gap + 1, end) for gap, end in pairwise(gaps) if end > gap + 1]


def _reduced(page: Image.Image) -> Image.Image:
    """`SMOOTH` times smaller."""
    left, top, width, height = fit_box(*page.size, max(page.size) // SMOOTH)
    return fit_square(page, max(page.size) // SMOOTH).crop((left, top, left + width, top + height))


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
