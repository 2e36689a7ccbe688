"""Somebody at the map, in real Chromium: what they press, and when it is on the screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from endurance import drawing
from explore import codes_of
from playwright.sync_api import BrowserContext, Page

WATCH_JS = Path(__file__).with_suffix(".js")
"""Every page of a `MapVisitor` starts with it."""
MAPS = {"PCA": "pca", "UMAP": "umap", "UMAP again": "umap", "t-SNE": "tsne"}
"""What can be laid out, by names for tables. The second UMAP finds its process there and compiled."""
OTHER_MIN_DIST = "0.11"
"""Of the second UMAP: next to the same work, but no map that is there already."""
LOOK_SECONDS = 0.3
"""How long somebody looks at a point before pressing it."""


@dataclass(frozen=True)
class Draw:
    """When the map was drawn, in milliseconds of the page's clock."""

    pressed: float
    """Some button or list that asks for it."""
    answered: float
    """Its places came from the server."""
    begun: float
    """Plotly was asked to draw them: in a new page, its script has to be loaded first."""
    drawn: float
    """Plotly was done."""
    shown: float
    """It was on the screen."""
    points: int
    """Photos on it."""


@dataclass(frozen=True)
class Opened:
    """The tab was opened in a new page."""

    milliseconds: float
    """Until the tab said that its map was painted."""
    draw: Draw


@dataclass(frozen=True)
class Press:
    """A point was pressed."""

    visible: float
    """Milliseconds until the picture in its style was."""
    asked: float
    """Of these, from the question to the decoded picture."""
    z: list[float]
    """What was painted."""


class MapVisitor:
    """Has drawn a shoe and opens the map in a new page."""

    def __init__(self, context: BrowserContext, url: str):
        self.page: Page = context.new_page()
        self._painted: list[list[float]] = []
        self.page.on("request", lambda request: self._painted.extend(codes_of(request.post_data)))
        self.page.goto(url)
        self.page.wait_for_function("() => window.studioReady && studio.get('model')")
        self.page.evaluate("sketch => studio.set('sketch', sketch)", drawing(0))
        self.page.wait_for_timeout(500)  # what loads with the page is not what is measured
        draw = self._draw(lambda: self.page.locator("#tabs > .tab-wrapper [role=tab]").nth(3).click())
        self.opened = Opened(self.page.evaluate("seen.mapped"), draw)
        self.page.evaluate("seen.nextStyle")  # the drawing beside the map
        self.page.wait_for_timeout(500)

    def lay_out(self, name: str) -> Draw:
        """Press a method and wait for its map. name: of `MAPS`."""
        if name == "UMAP again":
            self.page.locator("#map .tune [name=min_dist]").fill(OTHER_MIN_DIST)
            button = "#map .tune button"
        else:
            button = f"#map .method button[data-value={MAPS[name]}]"
        draw = self._draw(lambda: self.page.locator(button).click())
        assert draw.pressed < draw.answered < draw.shown, draw
        return draw

    def recolour(self, dim: int) -> Draw:
        """Colour points by a dim of z, from 1."""
        return self._draw(lambda: self.page.locator("#map .colour select").select_option(f"dim-{dim}"))

    def press(self, x: float, y: float) -> Press:
        """Go to a point of the page, look, press."""
        self.page.mouse.move(x - 3, y - 3)
        self.page.mouse.move(x, y)
        self.page.wait_for_timeout(1000 * LOOK_SECONDS)
        self.page.evaluate("seen.expect()")
        self.page.mouse.down()
        self.page.mouse.up()
        times = self.page.evaluate("seen.nextStyle")
        return Press(**times, z=self._painted[-1])

    def pixels(self) -> np.ndarray:
        """(N, 3) of photos that a press reaches: which it is, x, y."""
        self.page.locator("#map .frame").scroll_into_view_if_needed()
        return np.array(self.page.evaluate("seen.pixels()"))

    def close(self) -> None:
        self.page.close()

    def _draw(self, act: Callable[[], Any]) -> Draw:
        self.page.evaluate("seen.expect()")
        act()
        return Draw(**self.page.evaluate("seen.nextDraw"))


def far_apart(places: np.ndarray, count: int, distance: float, seed: int = 0) -> list[int]:
    """Up to `count` of (N, 2) places in random order, none nearer to another one than the distance."""
    kept: list[int] = []
    for index in np.random.RandomState(seed).permutation(len(places)).tolist():
        if len(kept) < count and (np.linalg.norm(places[kept] - places[index], axis=1) >= distance).all():
            kept.append(index)
    return kept
