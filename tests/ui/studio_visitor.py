"""Somebody at the page of the studio, and what they draw."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

NAME, OTHER = "edges2shoes", "edges2clothes"
OUTLINE = [(30, 150), (35, 118), (90, 100), (118, 70), (150, 95), (225, 130), (230, 165), (35, 165), (30, 150)]
LACE = [(95, 100), (118, 116)]


class Visitor:
    """Somebody at the page."""

    def __init__(self, page):
        self.page = page
        self.canvas = page.locator("#canvas canvas")
        self.canvas.wait_for()
        page.wait_for_function("() => window.studioReady")
        page.wait_for_timeout(200)  # nobody draws before the page has come to rest

    def draw(self, points) -> None:
        box = self.canvas.bounding_box()
        scale = box["width"] / 256
        on_screen = [(box["x"] + x * scale, box["y"] + y * scale) for x, y in points]
        self.page.mouse.move(*on_screen[0])
        self.page.mouse.down()
        for x, y in on_screen[1:]:
            self.page.mouse.move(x, y, steps=3)
        self.page.mouse.up()

    @property
    def sources(self) -> list[str]:
        return self.page.locator("#wall .tile img").evaluate_all("images => images.map((image) => image.src)")

    def wall(self, other_than: list[str] = (), count: int = 8) -> list[str]:
        """Wait for `count` pictures, all of them other ones than before."""
        self.page.wait_for_function(
            """([before, count]) => {
                const now = [...document.querySelectorAll("#wall .tile img")].map((image) => image.src);
                return now.length === count && now.every((source, k) => source && source !== before[k]);
            }""",
            arg=[list(other_than), count],
        )
        return self.sources

    def error(self) -> str:
        line = self.page.locator("#wall .error").first
        line.wait_for()
        return line.inner_text()

    def toast(self) -> str:
        toast = self.page.locator(".toast-body").first
        toast.wait_for()
        message = toast.inner_text()
        self.page.locator(".toast-close").first.click()
        return message

    def choose_photo(self, name: str, data: bytes) -> None:
        file = {"name": name, "mimeType": "image/png", "buffer": data}
        self.page.locator("#canvas input[type=file]").set_input_files(file)

    def choose_model(self, name: str) -> None:
        self.page.locator("#picker input").click()
        self.page.get_by_role("option", name=name, exact=True).click()
        self.page.wait_for_function("name => studio.get('model').name === name", arg=name)

    def open_tab(self, name: str) -> None:
        number = ("draw", "explore", "compare", "map", "train").index(name)
        self.page.locator("#tabs > .tab-wrapper [role=tab]").nth(number).click()
        self.page.wait_for_function("name => studio.currentTab() === name", arg=name)

    def open_way(self, name: str) -> None:
        """One of the ways to another style, in Explore."""
        number = ("sliders", "sweep", "blend", "match", "breed").index(name)
        self.page.locator("#ways > .tab-wrapper [role=tab]").nth(number).click()
        self.page.locator(f"#{name} .panel").wait_for()

    def stage(self, other_than: str = "") -> str:
        """Wait for Explore's picture, another one than before."""
        self.page.wait_for_function(
            """before => {
                const image = document.querySelector("#stage .picture img");
                return image && !image.hidden && image.src && image.src !== before;
            }""",
            arg=other_than,
        )
        return self.page.locator("#stage .picture img").get_attribute("src")

    def style(self) -> list[float]:
        """The code that Explore paints with."""
        return self.page.evaluate("studio.get('style')")

    def pin_wall(self, *places: int) -> None:
        """Pin photos of Draw's wall, wherever one is on the page."""
        self.page.evaluate(
            """places => {
                const tiles = [...document.querySelectorAll("#wall .tile img")];
                for (const place of places) studio.pin(studio.get("wall").z[place], tiles[place].src);
            }""",
            list(places),
        )

    def table(self, rows: int, columns: int) -> list[list[str]]:
        """Wait until Compare's table has so many pictures, all of them painted; their addresses, row by row.

        Rows that cannot be painted do not count.
        """
        self.page.wait_for_function(
            """count => {
                const tiles = [...document.querySelectorAll("#matrix tr:not(.failed) .tile")];
                return tiles.length === count && tiles.every((tile) => !tile.classList.contains("waiting"));
            }""",
            arg=rows * columns,
        )
        sources = self.page.locator("#matrix tr:not(.failed) .tile img").evaluate_all(
            "images => images.map(({ src }) => src)"
        )
        return [sources[start : start + columns] for start in range(0, len(sources), columns)]

    @staticmethod
    def pixels(source: str) -> np.ndarray:
        """A picture of the page, uint8 (H, W, 3)."""
        data = base64.b64decode(source.partition(",")[2])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def panel_error(self, name: str) -> str:
        line = self.page.locator(f"#{name} .error").first
        line.wait_for()
        return line.inner_text()

    def message(self) -> str:
        """What the shelf says in passing."""
        line = self.page.locator("#shelf .message.shown")
        line.wait_for()
        return line.inner_text()
