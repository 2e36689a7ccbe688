"""Curves in one line of text, and text in lines of one width: for reports in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import east_asian_width

BARS = "▁▂▃▄▅▆▇█"
GAP = " "


def sparkline(values: Sequence[float | None], width: int = 40) -> str:
    """A curve as bars, at most `width` of them, each the mean of its part of the values; a gap where there are none.

    The lowest bar stands for the least of these means, the highest for the greatest; the lowest for all of an even
    curve.
    """
    count = len(values)
    if not count:
        return ""
    bars = min(width, count)
    means = [_mean(values[place * count // bars : (place + 1) * count // bars]) for place in range(bars)]
    known = [mean for mean in means if mean is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(GAP if mean is None else BARS[round((mean - low) * scale)] for mean in means)


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns. Chinese, whose signs take two, may be parted anywhere but before stops."""
    lines, line = [], ""
    for piece in _pieces(text):
        if line and columns(line) + columns(piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece if line else piece.lstrip()
    return [*lines, line.rstrip()] if line.strip() else lines


def columns(text: str) -> int:
    """That it takes in a terminal."""
    return sum(2 if _is_wide(sign) else 1 for sign in text)


def _pieces(text: str) -> list[str]:
    """What stays together: words with the space behind them, single wide signs with the stops behind them."""
    pieces = [""]
    for sign in " ".join(text.split()):
        before = pieces[-1][-1:]
        begins = before == " " or (_is_wide(sign) != _is_wide(before)) or _is_wide(sign)
        if before and sign != " " and begins and sign not in "，。；：、！？）」』”":
            pieces.append(sign)
        else:
            pieces[-1] += sign
    return pieces


def _is_wide(sign: str) -> bool:
    return bool(sign) and east_asian_width(sign) in "WF"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
