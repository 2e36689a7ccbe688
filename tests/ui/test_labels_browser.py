"""Label maps on the canvas in Chromium: rectangles, fills and wide pens, and that Python paints the same pixels."""

from __future__ import annotations

import io
import json

import cv2
import gradio as gr
import numpy as np
import pytest
from PIL import Image
from test_canvas_browser import Studio, data_url

from bicyclegan.sketch import Sketch
from bicyclegan.ui.app import READY_JS
from bicyclegan.ui.canvas import SketchCanvas

pytestmark = pytest.mark.browser

FACADE = {
    "background": "#0000aa",
    "wall": "#0000ff",
    "window": "#0055ff",
    "door": "#00aaff",
    "cornice": "#00ffff",
    "sill": "#55ffaa",
    "balcony": "#aaff55",
    "blind": "#ffff00",
    "decoration": "#ffaa00",
    "moulding": "#ff5500",
    "pillar": "#ff0000",
    "shop": "#aa0000",
}
"""The twelve classes of the CMP facade database."""
PALETTE, NAMES = tuple(FACADE.values()), tuple(FACADE)
SIZES = (128, 256)


def rgb(colour: str) -> list[int]:
    return list(bytes.fromhex(colour[1:]))


def covered_sketch() -> str:
    """A label map of 64 px as the layer under the strokes."""
    pixels = np.empty((64, 64, 3), np.uint8)
    pixels[:32], pixels[32:] = rgb(FACADE["wall"]), rgb(FACADE["shop"])
    return json.dumps({"version": 1, "size": 256, "strokes": [], "raster": data_url(Image.fromarray(pixels))})


def build(size: int) -> gr.Blocks:
    """A canvas for a model of label maps of this size, beside an echo of all that Python hears."""
    look = {"palette": PALETTE, "paper": PALETTE[0], "names": NAMES, "resolution": size}
    with gr.Blocks(title="Labels") as blocks:
        count = gr.State(0)
        with gr.Row():
            with gr.Column(min_width=280):
                canvas = SketchCanvas(elem_id="canvas", **look)
            with gr.Column(min_width=280):
                echo = gr.Textbox(elem_id="echo", label="Echo")
                gr.Textbox(elem_id="photo", label="Photo")
                covered, lines, labels = (gr.Button(name) for name in ("Covered", "Lines", "Labels"))

        def hear(value, count):
            return json.dumps([count + 1, 7, value]), count + 1

        canvas.input(hear, [canvas, count], [echo, count], show_progress="hidden", trigger_mode="multiple")
        covered.click(covered_sketch, None, canvas)
        plain = {"palette": ["#000000"], "paper": "#ffffff", "names": (), "resolution": size}
        lines.click(lambda: SketchCanvas(**plain), None, canvas)
        labels.click(lambda: SketchCanvas(**look), None, canvas)
        blocks.load(None, None, None, js=READY_JS)
    return blocks


@pytest.fixture(scope="module")
def urls(serve) -> dict[int, str]:
    return {size: serve(build(size)) for size in SIZES}


class Painter(Studio):
    """One visitor who paints areas."""

    def choose(self, name: str) -> None:
        self.page.locator("#canvas .swatches button").nth(NAMES.index(name)).click()

    def drag(self, tool: str, name: str, *points) -> None:
        self.click(tool)
        if tool != "eraser":
            self.choose(name)
        self.draw(points)

    def seen(self, size: int) -> np.ndarray:
        """The screen, reduced to the middle of each pixel of the model: uint8 (size, size, 3)."""
        address = self.canvas.evaluate("canvas => canvas.toDataURL('image/png')")
        response = self.page.evaluate(
            "async (address) => [...new Uint8Array(await (await fetch(address)).arrayBuffer())]", address
        )
        pixels = np.asarray(Image.open(io.BytesIO(bytes(response))).convert("RGB"))
        places = ((np.arange(size) + 0.5) * pixels.shape[0] / size).astype(int)
        return pixels[places][:, places]

    def colours(self) -> set[tuple[int, ...]]:
        """All colours on the screen."""
        pixels = self.canvas.evaluate(
            """canvas => {
                const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                return [...new Set(new Uint32Array(data.buffer))];
            }"""
        )
        return {(value & 255, value >> 8 & 255, value >> 16 & 255) for value in pixels}


@pytest.fixture(params=SIZES)
def size(request) -> int:
    return request.param


@pytest.fixture
def painter(open_page, urls, size) -> Painter:
    return Painter(open_page(urls[size]))


def python_pixels(sketch: dict, size: int) -> np.ndarray:
    return Sketch.from_json(sketch).rasterise(size, palette=PALETTE, paper=PALETTE[0])


def share_of_equal(painter: Painter, sketch: dict, size: int) -> tuple[float, float]:
    """Share of pixels that the browser and Python paint alike: away from borders of areas, and of all."""
    expected, seen = python_pixels(sketch, size), painter.seen(size)
    window = np.ones((3, 3), np.uint8)
    inside = (cv2.dilate(expected, window) == cv2.erode(expected, window)).all(axis=2)
    equal = (expected == seen).all(axis=2)
    assert inside.mean() > 0.5
    return equal[inside].mean(), equal.mean()


def paint_facade(painter: Painter) -> dict:
    """Something of every tool, with fills that stop at thin lines, slanted ones and an eraser's gap."""
    painter.drag("rect", "wall", (30.3, 41.7), (225.5, 230.1))
    for column, kind in enumerate(("window", "blind", "window", "cornice")):
        painter.drag("rect", kind, (45 + 45 * column, 70.5), (71.5 + 45 * column, 110))
    painter.drag("pen", "moulding", (20, 140), (90, 150), (160, 131), (240, 145))
    painter.drag("fill", "shop", (128, 200))
    painter.drag("rect", "door", (110, 180), (146.5, 229))
    painter.drag("pen", "pillar", (60, 240), (200, 170))
    painter.drag("eraser", "", (10, 60), (60, 20), (120, 55))
    painter.drag("fill", "balcony", (5, 5))
    return painter.heard(11)


def test_the_browser_paints_what_python_will(painter, size):
    sketch = paint_facade(painter)
    assert {stroke["tool"] for stroke in sketch["strokes"]} == {"pen", "rect", "fill", "eraser"}
    inside, everywhere = share_of_equal(painter, sketch, size)
    print(f"equal: {inside:.4f} inside, {everywhere:.4f} of all")
    assert inside >= 0.999
    assert everywhere >= 0.99
    assert painter.colours() <= {tuple(rgb(colour)) for colour in PALETTE}, "no soft borders"


@pytest.mark.parametrize("width", [2, 3, 5, 9, 16, 33])
def test_pens_of_any_width_agree_and_hold_back_a_fill(open_page, urls, width):
    painter = Painter(open_page(urls[128]))
    painter.click("pen")
    painter.page.locator("#canvas input[type=range]").fill(str(width))
    painter.choose("pillar")
    turn = [(128 + 70 * np.cos(a), 128 + 84 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 40)]
    painter.draw(turn)
    painter.drag("fill", "wall", (128, 128))
    sketch = painter.heard(2)
    assert sketch["strokes"][0]["width"] == width
    inside, everywhere = share_of_equal(painter, sketch, 128)
    assert (inside, everywhere >= 0.985) == (1, True)
    assert painter.pixel(128, 128) == rgb(FACADE["wall"]) and painter.pixel(8, 8) == rgb(PALETTE[0])


def test_corners_on_half_pixels_round_as_in_python(open_page, urls):
    painter = Painter(open_page(urls[128]))
    strokes = [
        {
            "tool": "rect",
            "width": 2,
            "color": 1 + k % 11,
            "mirror": k % 3 == 0,
            "points": [[5 + 9 * k, 11], [12 + 9 * k, 33 + k]],
        }
        for k in range(24)
    ]
    text = json.dumps({"version": 1, "size": 256, "strokes": strokes, "raster": None})
    painter.page.evaluate(
        "sketch => window.dispatchEvent(new CustomEvent('studio:load-sketch', { detail: { sketch } }))", text
    )
    assert np.array_equal(painter.seen(128), python_pixels(painter.heard(1), 128))


def test_a_rectangle_is_shown_while_it_is_dragged_and_escape_takes_it_back(painter):
    painter.click("rect")
    painter.choose("door")
    painter.draw([(60, 60), (200, 120)], release=False)
    assert painter.pixel(130, 90) == rgb(FACADE["door"])
    painter.page.mouse.move(*painter.on_screen((90, 90)))
    assert painter.pixel(130, 90) == rgb(PALETTE[0])
    painter.page.keyboard.press("Escape")
    painter.page.mouse.up()
    assert painter.pixel(75, 75) == rgb(PALETTE[0])
    painter.heard(0)


def test_shift_makes_a_square(painter):
    painter.page.keyboard.down("Shift")
    painter.drag("rect", "door", (200, 60), (120, 80))
    painter.page.keyboard.up("Shift")
    (start, end) = painter.heard(1)["strokes"][0]["points"]
    assert start[0] - end[0] == pytest.approx(end[1] - start[1], abs=0.02)
    assert end[0] == pytest.approx(120, abs=0.6)


def test_what_paints_nothing_is_no_stroke(painter):
    painter.drag("rect", "door", (100, 100))  # a press without a drag
    painter.drag("fill", "background", (100, 100))  # the paper has this colour
    painter.heard(0)
    assert painter.page.locator("#canvas .hint").is_visible()


def test_undo_redo_and_mirror_of_a_fill(painter):
    painter.drag("pen", "pillar", (60, 5), (60, 251))
    painter.drag("pen", "pillar", (196, 5), (196, 251))
    painter.drag("pen", "pillar", (4, 4), (252, 4))
    painter.drag("pen", "pillar", (4, 252), (252, 252))
    painter.click("mirror")
    painter.drag("fill", "sill", (30, 128))
    sketch = painter.heard(5)
    assert sketch["strokes"][-1]["mirror"] is True
    filled = rgb(FACADE["sill"])
    assert [painter.pixel(x, 128) == filled for x in (30, 128, 226)] == [True, False, True]
    painter.page.keyboard.press("Control+z")
    painter.heard(6)
    assert painter.pixel(30, 128) == painter.pixel(226, 128) == rgb(PALETTE[0])
    painter.page.keyboard.press("Control+y")
    assert painter.heard(7) == sketch
    assert painter.pixel(226, 128) == filled


def test_a_draft_comes_back_after_a_reload(painter, size):
    before = paint_facade(painter)
    seen = painter.seen(size)
    painter.page.reload()
    painter.canvas.wait_for()
    assert painter.heard(1) == before
    assert np.array_equal(painter.seen(size), seen)


def test_a_picture_under_the_strokes_is_filled_as_python_fills_it(painter, size):
    painter.python("Covered")
    painter.until_pixel(20, 20, rgb(FACADE["wall"]))
    painter.drag("fill", "window", (100, 30))
    sketch = painter.heard(1)
    assert np.array_equal(painter.seen(size), python_pixels(sketch, size))


def test_a_fill_takes_no_time(open_page, urls):
    """A spiral, which makes a fill go a long way, and the whole paper at 256 px."""
    painter = Painter(open_page(urls[256]))
    painter.click("pen")
    painter.page.locator("#canvas input[type=range]").fill("2")
    painter.draw([(128 + 3 * a * np.cos(a), 128 + 3 * a * np.sin(a)) for a in np.linspace(0.5, 38, 240)])
    painter.heard(1)
    painter.click("fill")
    painter.choose("wall")
    spent = painter.canvas.evaluate(
        """(canvas) => {
            canvas.setPointerCapture = () => {};
            const box = canvas.getBoundingClientRect();
            const place = { clientX: box.x + box.width * 0.52, clientY: box.y + box.height * 0.5 };
            const options = { pointerType: "mouse", pointerId: 9, isPrimary: true, bubbles: true, ...place };
            const start = performance.now();
            canvas.dispatchEvent(new PointerEvent("pointerdown", { ...options, button: 0, buttons: 1 }));
            canvas.dispatchEvent(new PointerEvent("pointerup", { ...options, button: 0 }));
            return performance.now() - start;
        }"""
    )
    painter.heard(2)
    print(f"fill: {spent:.1f} ms for preview and stroke")
    assert spent < 2 * 50, "a preview at the press and the fill itself"


def test_keys_choose_tools_and_colours(painter):
    press = painter.page.keyboard.press
    painter.canvas.focus()
    press("r")
    press("4")
    painter.draw([(50, 50), (90, 90)])
    stroke = painter.heard(1)["strokes"][0]
    assert (stroke["tool"], stroke["color"]) == ("rect", 3)
    press("f")
    press("9")
    painter.draw([(70, 70)])
    stroke = painter.heard(2)["strokes"][1]
    assert (stroke["tool"], stroke["color"]) == ("fill", 8)
    press("e")
    press("2")  # an eraser has no colour: this is for the pen
    painter.draw([(150, 150), (180, 180)])
    stroke = painter.heard(3)["strokes"][2]
    assert (stroke["tool"], stroke["color"], stroke["width"]) == ("pen", 1, 12)


def test_colours_have_names(painter):
    chosen = painter.page.locator("#canvas .chosen")
    assert chosen.inner_text() == "wall", "the first that is not the paper's"
    painter.choose("balcony")
    assert chosen.inner_text() == "balcony"
    swatches = painter.page.locator("#canvas .swatches button")
    assert [swatches.nth(k).get_attribute("aria-label") for k in (0, 11)] == ["1: background", "12: shop"]
    assert painter.page.locator("#canvas .hint").inner_text().startswith("Paint areas")


def test_models_of_lines_have_no_new_tools(painter):
    assert painter.page.locator("#canvas .toolbar button").count() == 9 + len(PALETTE)
    painter.click("rect")
    painter.python("Lines")
    painter.until_pixel(20, 20, [255, 255, 255])
    assert painter.page.locator("#canvas .toolbar button").count() == 7
    assert painter.page.locator("#canvas .hint").inner_text() == "Draw here"
    painter.canvas.focus()
    for key in ("r", "f", "3"):
        painter.page.keyboard.press(key)
    painter.draw([(40, 100), (200, 100)])
    stroke = painter.heard(1)["strokes"][0]
    assert (stroke["tool"], stroke["color"], stroke["width"]) == ("pen", 0, 2)
    painter.python("Labels")
    painter.until_pixel(20, 20, rgb(PALETTE[0]))
    assert painter.page.locator("#canvas .toolbar button").count() == 9 + len(PALETTE)


def test_buttons_fit_fingers_and_narrow_screens(open_page, urls):
    page = open_page(urls[256], 320, 700, has_touch=True, is_mobile=True, locale="zh-CN")
    Studio(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    boxes = [button.bounding_box() for button in page.locator("#canvas button").all()]
    assert len(boxes) == 9 + len(PALETTE) and all(min(box["width"], box["height"]) >= 40 for box in boxes)
    assert page.locator("#canvas [data-tool=fill]").get_attribute("aria-label").startswith("填充")
