"""The whole studio in Chromium: what a newcomer does, from the first stroke to the download."""

from __future__ import annotations

import base64
import io
import itertools
import json
import urllib.request

import cv2
import numpy as np
import pytest
from PIL import Image
from studio_visitor import LACE, NAME, OUTLINE, Visitor

from bicyclegan.checkpoints import DEFAULT_ROOT, load_examples
from bicyclegan.pipeline import Pipeline
from bicyclegan.recipe import read_recipe

pytestmark = pytest.mark.browser


def pixels(source: str) -> np.ndarray:
    data = base64.b64decode(source.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=np.float64)


def silhouette(points, size: int) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.round(np.array(points) * size / 256).astype(np.int32)], 1)
    return mask > 0


def png(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def test_a_stroke_gives_eight_different_photos_and_the_next_stroke_others(visitor):
    assert visitor.page.locator("#wall .empty").is_visible()
    visitor.draw(OUTLINE)
    first = visitor.wall()
    inside = silhouette(OUTLINE, 128)
    for a, b in itertools.combinations([pixels(source)[inside] for source in first], 2):
        assert np.abs(a - b).mean() >= 4
    visitor.draw(LACE)
    visitor.wall(other_than=first)
    assert "8 variations" in visitor.page.locator("#wall .status").inner_text()


def test_undo_brings_the_same_photos_back(visitor):
    visitor.draw(OUTLINE)
    first = visitor.wall()
    visitor.draw(LACE)
    visitor.wall(other_than=first)
    visitor.page.keyboard.press("Control+z")
    visitor.page.wait_for_function("before => document.querySelector('#wall .tile img').src === before", arg=first[0])
    assert visitor.sources == first


def test_clearing_shows_the_empty_wall_again(visitor):
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.page.locator("#canvas [data-action=clear]").click()
    visitor.page.locator("#wall .empty").wait_for()
    assert visitor.sources == []


def test_progress_ends_even_when_nothing_changes(visitor):
    visitor.page.locator("#canvas [data-tool=eraser]").click()
    for end in (90, 120):
        visitor.draw([(50, 50), (end, end)])
        visitor.page.wait_for_timeout(600)
        assert not visitor.page.locator("#wall .progress").is_visible()
    for seed in ("-1", "-2", "-2"):
        visitor.page.locator("#seed input").fill(seed)
        visitor.page.wait_for_timeout(600)
        assert not visitor.page.locator("#wall .progress").is_visible()


def test_an_example_can_be_painted_and_drawn_over(visitor):
    visitor.page.locator("#examples button").nth(5).click()
    first = visitor.wall()
    visitor.draw(LACE)
    visitor.wall(other_than=first)


def test_number_seed_dice_and_variety(visitor):
    visitor.draw(OUTLINE)
    first = visitor.wall()
    visitor.page.locator("#seed input").fill("7")
    seven = visitor.wall(other_than=first)
    visitor.page.locator("#dice").click()
    visitor.wall(other_than=seven)
    visitor.page.locator("#seed input").fill("0")
    visitor.page.wait_for_function("before => document.querySelector('#wall .tile img').src === before", arg=first[0])
    visitor.page.locator("#count input[type=number]").fill("3")
    assert visitor.wall(count=3) == first[:3]
    visitor.page.locator("#variety input[type=number]").fill("0")
    visitor.page.wait_for_function(
        "() => new Set([...document.querySelectorAll('#wall .tile img')].map((image) => image.src)).size === 1"
    )


def test_a_bad_seed_is_explained_beside_the_pale_wall(visitor):
    visitor.draw(OUTLINE)
    first = visitor.wall()
    visitor.page.locator("#seed input").fill("-5")
    assert "0 to 4294967295" in visitor.error()
    assert visitor.sources == first
    visitor.page.locator("#wall .tile").nth(0).hover()
    with visitor.page.expect_download() as waiting:  # what is seen can still be kept
        visitor.page.locator("#wall .tile .save").nth(0).click()
    assert waiting.value.suggested_filename.endswith("-seed0-1.png")
    visitor.page.locator("#seed input").fill("5")
    visitor.wall(other_than=first)
    assert not visitor.page.locator("#wall .error").first.is_visible()


def test_reset_and_corrected_numbers_repaint(visitor):
    visitor.draw(OUTLINE)
    visitor.wall()
    box = visitor.page.locator("#count input[type=number]")
    box.fill("3")
    visitor.wall(count=3)
    visitor.page.locator("#count button").click()  # back to its default
    visitor.wall(count=8)
    for typed, count in (("", 8), ("99", 16), ("-5", 1)):
        box.fill(typed)
        box.blur()
        visitor.wall(count=count)
        assert not visitor.page.locator("#wall .error").first.is_visible()
        visitor.page.locator("#wall .progress").wait_for(state="hidden", timeout=3000)


def test_the_knobs_stay_where_they_are(visitor):
    visitor.draw(OUTLINE)
    visitor.wall()
    knobs = visitor.page.locator("#count")
    heights = set()
    for count in (1, 3, 8, 12, 16):
        visitor.page.locator("#count input[type=number]").fill(str(count))
        visitor.wall(count=count)
        heights.add(round(knobs.bounding_box()["y"]))
    assert max(heights) - min(heights) <= 2


def test_a_lost_connection_is_said_in_the_large_view(visitor):
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.page.route("**/component_server**", lambda route: route.fulfill(status=502, body=""))
    visitor.page.locator("#wall .tile .open").first.click()
    visitor.page.locator("#wall dialog .main").click()
    line = visitor.page.locator("#wall dialog .error")
    line.wait_for()
    assert "Try again" in line.inner_text()
    visitor.page.unroute("**/component_server**")
    visitor.problems.clear()  # the browser itself notes the answer 502


def test_keys_do_not_reach_under_the_large_view(visitor):
    visitor.draw(OUTLINE)
    sources = visitor.wall()
    visitor.page.locator("#wall .tile .open").first.click()
    visitor.page.keyboard.press("Control+z")
    visitor.page.wait_for_timeout(500)
    assert visitor.page.locator("#wall dialog").is_visible()
    assert visitor.sources == sources


def test_a_photo_dropped_beside_the_paper_is_traced_too(visitor):
    square = np.full((64, 64, 3), 255, np.uint8)
    square[16:48, 16:48] = 0
    url = "data:image/png;base64," + base64.b64encode(png(square)).decode()
    visitor.page.evaluate(
        """async (url) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([await (await fetch(url)).blob()], "a.png", { type: "image/png" }));
            const event = new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
            document.querySelector("#wall").dispatchEvent(event);
        }""",
        url,
    )
    visitor.wall()


def test_painting_on_demand(visitor):
    visitor.page.locator("#live input").uncheck()
    visitor.page.locator("#go").wait_for()
    visitor.draw(OUTLINE)
    visitor.page.wait_for_timeout(700)
    assert visitor.sources == []
    visitor.page.locator("#go").click()
    first = visitor.wall()
    visitor.page.locator("#dice").click()
    visitor.page.wait_for_timeout(700)
    assert visitor.sources == first
    visitor.page.locator("#canvas [data-action=clear]").click()
    visitor.page.locator("#wall .empty").wait_for()


def test_a_photo_is_traced_painted_and_traced_finer(visitor):
    photo = np.full((240, 320, 3), 255, np.uint8)
    cv2.fillPoly(photo, [np.array([(40, 180), (50, 120), (150, 80), (280, 150), (280, 190), (40, 190)])], (180, 60, 60))
    cv2.circle(photo, (150, 150), 25, (195, 75, 75), -1)  # faint: only more lines show it
    visitor.choose_photo("shoe.png", png(photo))
    first = visitor.wall()
    slider = visitor.page.locator("#detail input[type=number]")
    slider.wait_for()
    slider.fill("1")
    visitor.wall(other_than=first)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("tiny.png", png(np.zeros((1, 1, 3), np.uint8)), "tiny.png"),
        ("text.png", b"this is no picture", "text.png"),
        ("half.png", png(np.random.RandomState(0).randint(0, 255, (90, 90, 3), np.uint8))[:4000], "half.png"),
    ],
)
def test_a_bad_photo_is_a_toast_and_the_drawing_stays(visitor, name, data, message):
    visitor.draw(OUTLINE)
    first = visitor.wall()
    visitor.choose_photo(name, data)
    assert message in visitor.toast()
    visitor.page.wait_for_function("() => !document.querySelector('#canvas .status').classList.contains('loud')")
    visitor.draw(LACE)
    visitor.wall(other_than=first)


def test_download_carries_the_recipe_of_the_same_pixels(visitor, checkpoints, tmp_path):
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.page.locator("#wall .tile").nth(3).hover()
    with visitor.page.expect_download() as waiting:
        visitor.page.locator("#wall .tile .save").nth(3).click()
    assert waiting.value.suggested_filename.endswith("-seed0-4.png")
    waiting.value.save_as(tmp_path / "tile.png")
    recipe = read_recipe(tmp_path / "tile.png")
    assert (recipe.index, recipe.seed, len(recipe.z)) == (3, 0, 8)
    rebuilt = recipe.render(Pipeline.from_pretrained(checkpoints / NAME, device="cpu"))
    assert np.array_equal(np.asarray(rebuilt), np.asarray(Image.open(tmp_path / "tile.png")))


def test_a_tile_opens_large_and_keys_walk_through(visitor):
    visitor.draw(OUTLINE)
    sources = visitor.wall()
    visitor.page.locator("#wall .tile .open").nth(7).click()
    large = visitor.page.locator("#wall dialog img")
    large.wait_for()
    assert large.get_attribute("src") == sources[7]
    visitor.page.keyboard.press("ArrowRight")
    assert large.get_attribute("src") == sources[0]
    visitor.page.keyboard.press("Escape")
    assert not large.is_visible()


def test_the_drawing_and_its_photos_survive_a_reload(visitor):
    visitor.draw(OUTLINE)
    first = visitor.wall()
    visitor.page.wait_for_timeout(300)
    visitor.page.reload()
    assert Visitor(visitor.page).wall() == first


def test_a_checkpoint_that_vanishes(visitor, checkpoints):
    visitor.draw(OUTLINE)
    first = visitor.wall()
    (checkpoints / "other").rename(checkpoints / ".away")
    try:
        visitor.page.locator("#picker input").click()
        visitor.page.get_by_role("option", name="other").click()
        assert "other" in visitor.toast()
        visitor.page.wait_for_function("name => document.querySelector('#picker input').value === name", arg=NAME)
    finally:
        (checkpoints / ".away").rename(checkpoints / "other")
    visitor.draw(LACE)
    visitor.wall(other_than=first)


def test_another_checkpoint_takes_over(visitor):
    visitor.draw(OUTLINE)
    first = visitor.wall()
    visitor.page.locator("#picker input").click()
    visitor.page.get_by_role("option", name="other").click()
    visitor.page.wait_for_timeout(500)
    visitor.draw(LACE)
    visitor.wall(other_than=first)
    assert visitor.page.locator("#examples button").count() == 10


def test_chinese_from_head_to_foot(open_page, url):
    visitor = Visitor(open_page(url, locale="zh-CN"))
    visitor.draw(OUTLINE)
    visitor.wall()
    text = visitor.page.locator("body").inner_text()
    for phrase in ("画一个轮廓", "变化数量", "多样程度", "种子", "每画一笔就更新", "关于这个模型", "示例", "8 种变化"):
        assert phrase in text
    visitor.page.locator("#seed input").fill("-5")
    assert "4294967295" in visitor.error()
    assert "use a whole number" not in visitor.error()


@pytest.mark.parametrize("width", [320, 390, 768])
def test_narrow_screens_fit_and_touch_draws(open_page, url, width):
    visitor = Visitor(open_page(url, width=width, height=844, has_touch=True))
    visitor.draw(OUTLINE)
    visitor.wall()
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
    paper, wall = visitor.canvas.bounding_box(), visitor.page.locator("#wall .tiles").bounding_box()
    assert paper["width"] >= 280
    if width < 720:
        assert wall["y"] >= paper["y"] + paper["height"]  # below
    else:
        assert wall["x"] >= paper["x"] + paper["width"]  # beside


def test_dark_mode_keeps_the_paper_white(open_page, url):
    visitor = Visitor(open_page(url + "?__theme=dark"))
    background = visitor.page.evaluate("getComputedStyle(document.querySelector('.gradio-container')).backgroundColor")
    assert max(map(int, background.strip("rgba()").split(",")[:3])) < 60
    shade = visitor.canvas.evaluate("canvas => [...canvas.getContext('2d').getImageData(9, 9, 1, 1).data]")
    assert shade == [255, 255, 255, 255]


def test_the_http_endpoint_paints(url):
    sketch = load_examples(DEFAULT_ROOT / NAME)[0].to_json()
    request = urllib.request.Request(
        f"{url}gradio_api/call/paint",
        json.dumps({"data": [sketch, NAME, 2, 0, 1.0]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{url}gradio_api/call/paint/{event}", timeout=20) as stream:
        result = stream.read().decode()
    [pictures] = json.loads(result.partition("data: ")[2])
    assert len(pictures) == 2
    assert read_recipe(base64.b64decode(pictures[1].partition(",")[2])).index == 1
