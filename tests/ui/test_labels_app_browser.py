"""A model of label maps in the real studio: chosen, painted for, given pictures, with its own examples and words."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from studio_visitor import NAME, OUTLINE, Visitor
from test_labels_browser import FACADE, NAMES, PALETTE, rgb

from bicyclegan.checkpoints import DEFAULT_ROOT, save_checkpoint
from bicyclegan.config import EXAMPLES_FILE, CheckpointConfig
from bicyclegan.models import Encoder, Generator
from bicyclegan.sketch import Sketch, Stroke

pytestmark = pytest.mark.browser

HOUSE = Sketch(
    (
        Stroke(((40, 60), (216, 256)), "rect", color=NAMES.index("wall")),
        Stroke(((70, 90), (110, 140)), "rect", color=NAMES.index("window"), mirror=True),
        Stroke(((10, 10),), "fill", color=NAMES.index("shop")),
    )
)
SIZE = 64


def save_facades(folder: Path, tiny) -> Path:
    """Random weights for maps of the twelve classes of facades, with two examples; the last names a colour too many."""
    model = replace(tiny, image_size=SIZE, input_channels=3)
    look = {"edge_style": None, "palette": PALETTE, "palette_names": NAMES, "paper": PALETTE[0]}
    torch.manual_seed(0)
    save_checkpoint(folder, CheckpointConfig(model, name=folder.name, **look), Generator(model), Encoder(model))
    unknown = Sketch((Stroke(((1, 1),), "fill", color=12),))
    lines = [HOUSE.to_json(), HOUSE.mirrored().to_json(), unknown.to_json()]
    (folder / EXAMPLES_FILE).write_text("\n".join(lines), "utf-8")
    return folder


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory, tiny_config) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    shutil.copytree(DEFAULT_ROOT / NAME, root / NAME)
    save_facades(root / "facades", tiny_config)
    return root


class Builder(Visitor):
    """Somebody who paints facades."""

    def start(self) -> Builder:
        self.choose_model("facades")
        self.page.locator("#canvas .swatches button").nth(11).wait_for()
        return self

    def use(self, tool: str, name: str) -> None:
        self.page.locator(f"#canvas [data-tool={tool}]").click()
        self.page.locator("#canvas .swatches button").nth(NAMES.index(name)).click()

    def pixel(self, x: float, y: float) -> list[int]:
        return self.canvas.evaluate(
            """(canvas, [x, y]) => {
                const at = (units) => Math.floor((units * canvas.width) / 256);
                return [...canvas.getContext("2d").getImageData(at(x), at(y), 1, 1).data].slice(0, 3);
            }""",
            [x, y],
        )

    def until_pixel(self, x: float, y: float, name: str) -> None:
        for _ in range(60):
            if self.pixel(x, y) == rgb(FACADE[name]):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"({x}, {y}) is {self.pixel(x, y)}, not {name}")

    def seen(self) -> np.ndarray:
        """What the model saw."""
        return self.pixels(self.page.locator("#wall .seen").get_attribute("src"))


@pytest.fixture
def builder(visitor) -> Builder:
    visitor.__class__ = Builder
    return visitor


def test_areas_become_photos(builder):
    hint = builder.page.locator("#wall .empty p")
    assert "outline" in hint.inner_text()
    builder.start()
    assert "outline" not in hint.inner_text() and "Paint areas" in hint.inner_text()
    assert builder.pixel(128, 128) == rgb(PALETTE[0])
    builder.use("rect", "wall")
    builder.draw([(40, 60), (216, 250)])
    first = builder.wall()
    builder.use("fill", "shop")
    builder.draw([(10, 10)])
    builder.wall(other_than=first)
    drawn = (Stroke(((40, 60), (216, 250)), "rect", color=1), HOUSE.strokes[2])
    expected = Sketch(drawn).rasterise(SIZE, palette=PALETTE, paper=PALETTE[0])
    assert np.mean((builder.seen() == expected).all(axis=2)) > 0.98
    assert builder.pixel(128, 128) == rgb(FACADE["wall"]) and builder.pixel(20, 128) == rgb(FACADE["shop"])


def test_the_drawing_survives_a_reload_without_a_complaint(builder):
    builder.start()
    builder.use("rect", "wall")
    builder.draw([(40, 60), (216, 250)])
    first = builder.wall()
    builder.page.wait_for_timeout(300)
    builder.page.reload()
    again = Builder(builder.page)
    again.page.locator("#canvas .swatches button").nth(11).wait_for()
    assert again.wall() == first
    assert again.page.locator("#wall .error").first.is_hidden()
    assert again.pixel(128, 128) == rgb(FACADE["wall"])


def test_examples_have_the_colours_of_the_model(builder):
    builder.start()
    items = builder.page.locator("#examples button")
    builder.page.wait_for_function("document.querySelectorAll('#examples button').length === 2")
    picture = builder.pixels(items.first.locator("img").get_attribute("src"))
    at = [tuple(picture[round(88 * y / 256), round(88 * x / 256)]) for x, y in ((128, 200), (90, 115), (5, 5))]
    assert at == [tuple(rgb(FACADE[name])) for name in ("wall", "window", "shop")]
    items.first.click()
    builder.wall()
    assert builder.pixel(170, 115) == rgb(FACADE["window"])


def map_file(format: str, side: int = 200) -> bytes:
    """A label map as somebody else saved it, of another size than the model's."""
    pixels = Image.fromarray(HOUSE.rasterise(side, palette=PALETTE, paper=PALETTE[0]))
    file = io.BytesIO()
    pixels.save(file, format, **({"quality": 60} if format == "JPEG" else {}))
    return file.getvalue()


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_a_label_map_that_is_opened_becomes_pure_colours(builder, format):
    builder.start()
    builder.choose_photo("map", map_file(format))
    builder.wall()
    seen = builder.seen()
    assert {tuple(colour) for colour in seen.reshape(-1, 3).tolist()} <= {tuple(rgb(colour)) for colour in PALETTE}
    expected = HOUSE.rasterise(SIZE, palette=PALETTE, paper=PALETTE[0])
    assert np.mean((seen == expected).all(axis=2)) > 0.95
    builder.until_pixel(128, 200, "wall")
    assert builder.page.locator("#detail").count() == 0 or builder.page.locator("#detail").is_hidden()
    assert builder.page.locator(".toast-body").count() == 0


def test_a_photo_in_place_of_a_label_map_is_said(builder):
    builder.start()
    noise = np.random.RandomState(0).randint(0, 256, (8, 8, 3)).astype(np.uint8)
    photo = Image.fromarray(noise).resize((200, 200), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    photo.save(file, "PNG")
    builder.choose_photo("photo.png", file.getvalue())
    assert "not painted in this model's colours" in builder.toast()
    builder.wall()
    assert {tuple(colour) for colour in builder.seen().reshape(-1, 3).tolist()} <= {tuple(rgb(c)) for c in PALETTE}


def test_back_to_lines(builder):
    builder.start()
    builder.choose_model(NAME)
    builder.page.wait_for_function("!document.querySelector('#canvas [data-tool=rect]')")
    builder.draw(OUTLINE)
    builder.wall()
    assert builder.page.locator("#canvas .swatches").is_hidden()


def test_compare_takes_label_maps_too(builder):
    builder.start()
    builder.use("rect", "wall")
    builder.draw([(40, 60), (216, 250)])
    builder.wall()
    builder.open_tab("compare")
    builder.page.locator("#matrix .tile img").first.wait_for()
    builder.page.wait_for_timeout(800)
    assert builder.page.locator("#matrix tr.failed").count() == 0
