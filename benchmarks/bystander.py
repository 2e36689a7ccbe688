"""How long somebody waits for pictures while somebody else's map is being computed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from endurance import NAME, drawing, style
from page_client import PageClient

PACE = 0.2
"""Seconds from one wish to the next: a slider that is moved without haste."""
POLL_SECONDS = 0.4
"""The page asks for its map as often."""
DRAWING = 0


@dataclass(frozen=True)
class Waits:
    """Milliseconds from each wish to its picture."""

    each: tuple[float, ...]

    @property
    def median(self) -> float:
        return float(np.median(self.each))

    @property
    def p95(self) -> float:
        """What one in twenty exceeds."""
        return float(np.percentile(self.each, 95))

    @property
    def slowest(self) -> float:
        return max(self.each)


class Bystander:
    """Moves a slider of Explore, at a steady pace. Every code is a new one: nothing comes out of memory."""

    def __init__(self, url: str):
        self._page = PageClient(url)
        self._numbers = itertools.count()
        self._ask()  # the first one prepares the drawing

    def wait(self, ended: Callable[[], bool], pace: float = PACE) -> Waits:
        """Ask until it has ended.

        A wait starts when the wish was due: who is kept waiting cannot ask, and the wishes of that time would be
        missing among the slow ones.
        """
        return Waits(tuple(waits(self._ask, ended, pace)))

    def rest(self, seconds: float) -> Waits:
        """Ask while nothing else is done."""
        end = time.perf_counter() + seconds
        return self.wait(lambda: time.perf_counter() > end)

    def beside_map(self, url: str, seconds: float, **settings: Any) -> tuple[Waits, float]:
        """Ask while somebody else waits for a map, who gives up after so many seconds; and how long that took."""
        with ThreadPoolExecutor(1) as others:
            map_of_others = others.submit(lay_out, url, seconds, **settings)
            return self.wait(map_of_others.done), map_of_others.result()

    def close(self) -> None:
        self._page.close()

    def _ask(self) -> None:
        z = style(next(self._numbers))
        assert self._page.ask("paint", checkpoint=NAME, sketch=drawing(DRAWING), z=z)["tiles"]


def waits(ask: Callable[[], None], ended: Callable[[], bool], pace: float) -> Iterator[float]:
    """Milliseconds from when each wish was due, every `pace` seconds, to its answer."""
    start = time.perf_counter()
    for number in itertools.count():
        due = start + number * pace
        time.sleep(max(0.0, due - time.perf_counter()))
        if ended():
            return
        ask()
        yield 1000 * (time.perf_counter() - due)


def lay_out(url: str, seconds: float, **settings: Any) -> float:
    """Ask for a map as the page does, until it is there or so many seconds have passed: how many it were."""
    page, start = PageClient(url), time.perf_counter()
    passed = lambda: time.perf_counter() - start  # noqa: E731
    question = {"checkpoint": NAME, "ticket": "somebody else", **settings}
    while "waiting" in page.ask("map_places", **question) and passed() < seconds:
        time.sleep(POLL_SECONDS)
    page.ask("map_cancel", **question)
    page.close()
    return passed()
