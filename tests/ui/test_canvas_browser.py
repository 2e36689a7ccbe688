"""SketchCanvas in Chromium: what a person does with mouse, finger and keys, and what Python hears of it."""

from __future__ import annotations

import base64
import io
import json

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from bicyclegan.ui.app import READY_JS
from bicyclegan.ui.canvas import SketchCanvas

pytestmark = pytest.mark.browser

ZIGZAG = [(60, 60), (120, 90), (90, 150), (180, 180)]
BLACK, WHITE = [0, 0, 0], [255, 255, 255]


def data_url(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def block_sketch() -> str:
    """A sketch without strokes: its raster has a black block in the middle."""
    pixels = np.full((256, 256), 255, np.uint8)
    pixels[96:160, 96:160] = 0
    return json.dumps({"version": 1, "size": 256, "strokes": [], "raster": data_url(Image.fromarray(pixels))})


def example_sketch() -> str:
    stroke = {"tool": "pen", "width": 4.0, "color": 0, "points": [[20, 128], [236, 128]], "mirror": False}
    return json.dumps({"version": 1, "size": 256, "strokes": [stroke], "raster": None})


def build() -> gr.Blocks:
    """A canvas beside an echo of all that Python hears: how often, and the last value."""
    with gr.Blocks(title="Canvas") as blocks:
        count = gr.State(0)  # one per visitor: tests do not see each other
        with gr.Tab("Draw"), gr.Row():
            with gr.Column(min_width=280):
                canvas = SketchCanvas(elem_id="canvas")
            with gr.Column(min_width=280):
                echo = gr.Textbox(elem_id="echo", label="Echo")
                photo = gr.Textbox(elem_id="photo", label="Photo")
                gr.Textbox(elem_id="note", label="Note", interactive=True)
                seed = gr.Number(7, label="Seed")  # comes after the canvas: a restored draft must arrive with it
                example, block, empty, labels = (gr.Button(name) for name in ("Example", "Block", "Empty", "Labels"))
        with gr.Tab("Other"):
            gr.Markdown("Something else")

        def hear(value, number, count):
            return json.dumps([count + 1, number, value]), count + 1

        def show_photo(event: gr.EventData):
            return json.dumps([event.name, event.data_url])

        canvas.input(hear, [canvas, seed, count], [echo, count], show_progress="hidden", trigger_mode="multiple")
        canvas.photo(show_photo, None, photo)
        example.click(example_sketch, None, canvas)
        block.click(block_sketch, None, canvas)
        empty.click(lambda: None, None, canvas)
        blocks.load(None, None, None, js=READY_JS)
        labels.click(lambda: SketchCanvas(palette=["#000000", "#ff0000"], paper="#0000ff"), None, canvas)
    return blocks


@pytest.fixture(scope="module")
def url(serve) -> str:
    return serve(build())


class Studio:
    """One visitor: drives the canvas in canvas units and reads what Python heard."""

    def __init__(self, page):
        self.page = page
        self.canvas = page.locator("#canvas canvas")
        self.canvas.wait_for()
        page.wait_for_function("() => window.studioReady")
        page.wait_for_timeout(200)  # nobody draws before the page has come to rest

    def on_screen(self, point) -> tuple[float, float]:
        box = self.canvas.bounding_box()
        return tuple(box[axis] + value * box["width"] / 256 for axis, value in zip("xy", point, strict=True))

    def draw(self, points=ZIGZAG, release: bool = True) -> None:
        self.page.mouse.move(*self.on_screen(points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.on_screen(point))
        if release:
            self.page.mouse.up()

    def click(self, name: str) -> None:
        self.page.locator(f"#canvas [data-action={name}], #canvas [data-tool={name}]").click(force=True)

    def python(self, button: str) -> None:
        self.page.get_by_role("button", name=button).click()

    def heard(self, count: int) -> dict | None:
        """Wait for event number `count` of this page, make sure that none follows, and give its sketch."""
        echo = self.page.locator("#echo textarea")
        self.page.wait_for_function(
            "n => (document.querySelector('#echo textarea')?.value || '[0]').startsWith(`[${n}`)", arg=count
        )
        self.page.wait_for_timeout(100)
        number, seed, value = json.loads(echo.input_value() or "[0, 7, null]")
        assert (number, seed) == (count, 7)
        return json.loads(value) if value else None

    def pixel(self, x: float, y: float) -> list[int]:
        """Colour of the canvas at a point, in canvas units."""
        return self.canvas.evaluate(
            """(canvas, [x, y]) => {
                const at = (units) => Math.round((units * canvas.width) / 256);
                return [...canvas.getContext("2d").getImageData(at(x), at(y), 1, 1).data].slice(0, 3);
            }""",
            [x, y],
        )

    def until_pixel(self, x: float, y: float, color: list[int]) -> None:
        for _ in range(40):
            if self.pixel(x, y) == color:
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"({x}, {y}) is {self.pixel(x, y)}, not {color}")


@pytest.fixture
def studio(open_page, url) -> Studio:
    return Studio(open_page(url))


def test_one_event_per_stroke_brings_the_sketch(studio):
    assert studio.page.locator(".hint").is_visible()
    studio.draw()
    sketch = studio.heard(1)
    assert {key: sketch[key] for key in ("version", "size", "raster")} == {"version": 1, "size": 256, "raster": None}
    (stroke,) = sketch["strokes"]
    assert {key: stroke[key] for key in ("tool", "width", "color", "mirror")} == {
        "tool": "pen",
        "width": 2,
        "color": 0,
        "mirror": False,
    }
    assert np.allclose(stroke["points"], ZIGZAG, atol=0.6)
    assert studio.pixel(90, 75) == BLACK and studio.pixel(20, 20) == WHITE
    assert not studio.page.locator(".hint").is_visible()
    studio.draw([(10, 10), (20, 20)])
    assert len(studio.heard(2)["strokes"]) == 2


def test_close_points_are_left_out_and_all_have_two_decimals(studio):
    studio.draw([(50 + 0.11 * k, 50) for k in range(31)])
    points = np.array(studio.heard(1)["strokes"][0]["points"])
    assert len(points) < 12
    assert (np.diff(points[:-1, 0]) >= 0.49).all()
    assert np.array_equal(points, points.round(2))
    assert abs(points[-1, 0] - 53.3) < 0.6


def test_undo_redo_and_clear_by_button(studio):
    studio.draw()
    studio.draw([(10, 200), (200, 210)])
    studio.heard(2)
    studio.click("undo")
    assert len(studio.heard(3)["strokes"]) == 1
    studio.click("undo")
    assert studio.heard(4) is None
    studio.click("undo")  # nothing left: Python hears nothing
    studio.click("redo")
    assert len(studio.heard(5)["strokes"]) == 1
    studio.click("clear")
    assert studio.heard(6) is None
    assert studio.pixel(90, 75) == WHITE
    studio.click("undo")
    assert len(studio.heard(7)["strokes"]) == 1
    assert studio.pixel(90, 75) == BLACK


def test_undo_and_redo_by_keys_anywhere_but_in_text_fields(studio):
    keyboard = studio.page.keyboard
    studio.draw()
    studio.heard(1)
    studio.page.locator("body").click(position={"x": 5, "y": 5})
    keyboard.press("Control+z")
    assert studio.heard(2) is None
    keyboard.press("Control+Shift+Z")
    studio.heard(3)
    keyboard.press("Control+z")
    keyboard.press("Control+y")
    assert len(studio.heard(5)["strokes"]) == 1
    studio.page.locator("#note textarea").focus()
    keyboard.press("Control+z")
    studio.heard(5)


def test_keys_of_the_focused_canvas(studio):
    press = studio.page.keyboard.press
    studio.canvas.focus()
    press("e")
    press("m")
    press("[")
    studio.draw([(40, 40), (60, 60)])
    stroke = studio.heard(1)["strokes"][0]
    assert (stroke["tool"], stroke["width"], stroke["mirror"]) == ("eraser", 15, True)
    press("b")
    studio.draw(ZIGZAG, release=False)
    press("Escape")
    studio.page.mouse.up()
    studio.heard(1)
    assert studio.pixel(90, 75) == WHITE
    press("Delete")
    assert studio.heard(2) is None


def test_python_sets_silently_and_undo_brings_the_drawing_back(studio):
    studio.draw()
    studio.heard(1)
    studio.python("Example")
    studio.until_pixel(40, 128, BLACK)
    studio.heard(1)
    assert studio.pixel(90, 75) == WHITE
    studio.python("Empty")
    studio.until_pixel(40, 128, WHITE)
    studio.heard(1)
    studio.click("undo")
    studio.heard(2)
    studio.click("undo")
    assert np.allclose(studio.heard(3)["strokes"][0]["points"], ZIGZAG, atol=0.6)


def test_shift_draws_a_straight_line(studio):
    studio.page.keyboard.down("Shift")
    studio.draw(ZIGZAG)
    studio.page.keyboard.up("Shift")
    points = studio.heard(1)["strokes"][0]["points"]
    assert np.allclose(points, [ZIGZAG[0], ZIGZAG[-1]], atol=0.6)
    assert studio.pixel(120, 120) == BLACK and studio.pixel(120, 90) == WHITE


def test_mirror_draws_both_halves(studio):
    studio.click("mirror")
    assert studio.page.locator("#canvas .axis").is_visible()
    studio.draw([(40, 100), (80, 100)])
    assert studio.heard(1)["strokes"][0]["mirror"] is True
    assert studio.pixel(60, 100) == BLACK and studio.pixel(196, 100) == BLACK and studio.pixel(128, 100) == WHITE


def test_each_tool_keeps_its_width(studio):
    slider = studio.page.locator("#canvas input[type=range]")
    slider.fill("7")
    studio.click("eraser")
    assert slider.input_value() == "16"
    studio.click("pen")
    assert slider.input_value() == "7"
    studio.draw([(100, 60), (100, 200)])
    studio.click("eraser")
    studio.draw([(60, 130), (140, 130)])
    widths = [(stroke["tool"], stroke["width"]) for stroke in studio.heard(2)["strokes"]]
    assert widths == [("pen", 7), ("eraser", 16)]
    assert studio.pixel(100, 130) == WHITE and studio.pixel(102, 80) == BLACK


def test_a_raster_from_python_is_painted_and_can_be_erased(studio):
    studio.python("Block")
    studio.until_pixel(128, 128, BLACK)
    studio.click("eraser")
    studio.draw([(90, 128), (170, 128)])
    sketch = studio.heard(1)
    assert sketch["raster"].startswith("data:image/png;base64,") and sketch["strokes"][0]["tool"] == "eraser"
    assert studio.pixel(128, 128) == WHITE and studio.pixel(128, 105) == BLACK


def test_drawing_survives_a_tab_switch(studio):
    studio.draw()
    studio.heard(1)
    studio.page.get_by_role("tab", name="Other").click()
    studio.page.set_viewport_size({"width": 1100, "height": 900})  # another size while it is hidden
    studio.page.get_by_role("tab", name="Draw").click()
    studio.until_pixel(90, 75, BLACK)
    studio.draw([(10, 10), (20, 20)])
    assert len(studio.heard(2)["strokes"]) == 2


def test_draft_survives_a_reload_and_python_hears_of_it_once(studio):
    studio.draw()
    before = studio.heard(1)
    for _ in range(2):
        studio.page.reload()
        assert studio.heard(1) == before  # the counter starts again with the page
        assert studio.pixel(90, 75) == BLACK
    studio.click("clear")
    studio.heard(2)
    studio.page.reload()
    studio.canvas.wait_for()
    assert studio.page.locator(".hint").is_visible()
    studio.heard(0)


@pytest.mark.parametrize("text", ["{", '{"version": 9}', '{"version":1,"size":256,"strokes":[{"points":[[null,1]]}]}'])
def test_a_broken_draft_is_dropped(studio, text):
    studio.page.evaluate("text => localStorage.setItem('bicyclegan.draft', text)", text)
    studio.page.reload()
    studio.canvas.wait_for()
    studio.heard(0)
    assert studio.page.evaluate("localStorage.getItem('bicyclegan.draft')") is None


def test_a_raster_elsewhere_is_not_fetched(studio):
    """Refused by the script; the page fixture would report the request."""
    draft = {"version": 1, "size": 256, "strokes": [], "raster": "https://example.com/x.png"}
    studio.page.evaluate("text => localStorage.setItem('bicyclegan.draft', text)", json.dumps(draft))
    studio.page.reload()
    studio.canvas.wait_for()
    studio.heard(0)


def photo_file(name: str = "shoe.png") -> dict:
    picture = Image.new("RGB", (8, 8), "red")
    content = base64.b64decode(data_url(picture).partition(",")[2])
    return {"name": name, "mimeType": "image/png", "buffer": content}


def wait_for_photo(page) -> list[str]:
    page.wait_for_function("document.querySelector('#photo textarea').value")
    return json.loads(page.locator("#photo textarea").input_value())


def test_photo_button_sends_the_bytes_of_the_file(studio):
    with studio.page.expect_file_chooser() as chooser:
        studio.click("photo")
    chooser.value.set_files(photo_file())
    assert wait_for_photo(studio.page) == ["shoe.png", data_url(Image.new("RGB", (8, 8), "red"))]
    assert studio.heard(0) is None


@pytest.mark.parametrize("gesture", ["paste", "drop"])
def test_photos_are_pasted_and_dropped(studio, gesture):
    address = data_url(Image.new("RGB", (8, 8), "red"))
    studio.page.evaluate(
        """async ([gesture, address]) => {
            const data = new DataTransfer();
            data.items.add(new File([await (await fetch(address)).blob()], "bag.png", { type: "image/png" }));
            const event = gesture === "paste"
                ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
                : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
            (gesture === "paste" ? document.body : document.querySelector("#canvas canvas")).dispatchEvent(event);
        }""",
        [gesture, address],
    )
    assert wait_for_photo(studio.page) == ["bag.png", address]


def test_unusable_files_are_refused_with_a_message(studio):
    files = studio.page.locator("#canvas input[type=file]")
    status = studio.page.locator("#canvas .status.loud")
    files.set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"})
    assert "not a picture" in status.inner_text()
    files.evaluate(
        """(input) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(25 * 1024 * 1024 + 1)], "big.png", { type: "image/png" }));
            input.files = data.files;
            input.dispatchEvent(new Event("change", { bubbles: true }));
        }"""
    )
    assert "25 MB" in status.inner_text()
    assert studio.page.locator("#photo textarea").input_value() == ""


def test_palette_and_paper_from_python(studio):
    assert not studio.page.locator("#canvas .swatches").is_visible()
    studio.draw([(100, 100), (200, 100)])
    studio.heard(1)
    studio.python("Labels")
    studio.until_pixel(20, 20, [0, 0, 255])
    assert studio.pixel(150, 100) == BLACK
    studio.page.locator("#canvas [data-color='1']").click()
    studio.draw([(100, 150), (200, 150)])
    assert [stroke["color"] for stroke in studio.heard(2)["strokes"]] == [0, 1]
    assert studio.pixel(150, 150) == [255, 0, 0]
    studio.click("eraser")
    studio.draw([(150, 80), (150, 170)])
    studio.heard(3)
    assert studio.pixel(150, 150) == [0, 0, 255]


class Fingers:
    """Raw touches through the browser's own protocol: the page sees what a phone would send."""

    def __init__(self, page):
        self.session = page.context.new_cdp_session(page)

    def send(self, kind: str, *points) -> None:
        touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


@pytest.fixture
def phone(open_page, url) -> Studio:
    return Studio(open_page(url, 390, 844, has_touch=True, is_mobile=True, device_scale_factor=3))


def test_a_finger_draws_and_the_page_does_not_scroll(phone):
    fingers = Fingers(phone.page)
    path = [(128, 200 - 15 * k) for k in range(11)]
    fingers.send("touchStart", phone.on_screen(path[0]))
    for point in path[1:]:
        fingers.send("touchMove", phone.on_screen(point))
    fingers.send("touchEnd")
    points = phone.heard(1)["strokes"][0]["points"]
    assert np.allclose([points[0], points[-1]], [path[0], path[-1]], atol=1)
    assert phone.page.evaluate("[scrollY, document.documentElement.scrollWidth]") == [0, 390]
    side = phone.canvas.evaluate("canvas => [canvas.width, canvas.clientWidth]")
    assert side[0] == 3 * side[1]  # crisp: one pixel of the canvas per pixel of the screen


def test_a_second_finger_cancels_the_stroke(phone):
    fingers = Fingers(phone.page)
    first, second = phone.on_screen((60, 100)), phone.on_screen((180, 100))
    fingers.send("touchStart", first)
    fingers.send("touchMove", phone.on_screen((100, 100)))
    fingers.send("touchStart", phone.on_screen((100, 100)), second)
    fingers.send("touchMove", phone.on_screen((110, 120)), second)
    fingers.send("touchEnd")
    phone.heard(0)
    assert phone.pixel(80, 100) == WHITE


def test_buttons_fit_fingers_and_narrow_screens(open_page, url):
    page = open_page(url, 320, 700, has_touch=True, is_mobile=True, locale="zh-CN")
    Studio(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    boxes = [button.bounding_box() for button in page.locator("#canvas button").all()]
    assert len(boxes) == 7 and all(min(box["width"], box["height"]) >= 40 for box in boxes)
    assert page.locator("#canvas .hint").inner_text() == "在这里画"
    assert page.locator("#canvas [data-action=undo]").get_attribute("aria-label") == "撤销（Ctrl+Z）"


def pen(studio: Studio, kind: str, point, **options) -> None:
    x, y = studio.on_screen(point)
    studio.canvas.evaluate(
        """(canvas, [kind, options]) => {
            canvas.setPointerCapture = () => {}; // made up pointers cannot be captured
            canvas.dispatchEvent(new PointerEvent(kind, { pointerType: "pen", pointerId: 9, isPrimary: true,
                bubbles: true, ...options }));
        }""",
        [kind, {"clientX": x, "clientY": y, **options}],
    )


def test_the_other_end_of_a_pen_erases(studio):
    pen(studio, "pointerdown", (50, 50), button=5, buttons=32)
    pen(studio, "pointermove", (90, 90), buttons=32)
    pen(studio, "pointerup", (90, 90), button=5)
    assert studio.heard(1)["strokes"][0]["tool"] == "eraser"
    assert studio.page.locator("#canvas [data-tool=pen]").get_attribute("aria-pressed") == "true"


def test_a_palm_does_not_disturb_the_pen(studio):
    pen(studio, "pointerdown", (50, 50), button=0, buttons=1)
    pen(studio, "pointerdown", (200, 200), pointerType="touch", pointerId=10, button=0, buttons=1)
    pen(studio, "pointermove", (90, 90), buttons=1)
    pen(studio, "pointermove", (210, 210), pointerType="touch", pointerId=10, buttons=1)
    pen(studio, "pointerup", (90, 90), button=0)
    assert np.allclose(studio.heard(1)["strokes"][0]["points"], [(50, 50), (90, 90)], atol=0.6)


def test_paper_stays_paper_in_the_dark(open_page, url):
    studio = Studio(open_page(f"{url}?__theme=dark"))
    studio.draw()
    studio.heard(1)
    assert studio.pixel(20, 20) == WHITE and studio.pixel(90, 75) == BLACK
    ink, ground = studio.page.evaluate(
        """["#canvas [data-action=undo]", "body"].map((selector, k) =>
            getComputedStyle(document.querySelector(selector))[k ? "backgroundColor" : "color"])"""
    )
    assert ink != ground


def test_controls_have_names_and_states(studio):
    for button in studio.page.locator("#canvas button").all():
        assert button.get_attribute("aria-label") and button.get_attribute("title")
    assert studio.page.get_by_role("toolbar", name="Drawing tools").is_visible()
    assert studio.canvas.get_attribute("aria-label").startswith("Drawing canvas")
    studio.click("eraser")
    pressed = [studio.page.locator(f"[data-tool={tool}]").get_attribute("aria-pressed") for tool in ("pen", "eraser")]
    assert pressed == ["false", "true"]
    assert studio.page.locator("[data-action=undo]").get_attribute("aria-disabled") == "true"
