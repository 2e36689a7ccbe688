"""Explore in Chromium: sliders, strips, films, photos, colours and children change the style of what was drawn."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from studio_visitor import LACE, NAME, OUTLINE, Visitor

from bicyclegan.checkpoints import DEFAULT_ROOT
from bicyclegan.pipeline import Pipeline
from bicyclegan.recipe import read_recipe

pytestmark = pytest.mark.browser


@pytest.fixture
def explorer(visitor) -> Visitor:
    """Somebody who drew a shoe and went to Explore."""
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.open_tab("explore")
    visitor.stage()
    return visitor


def slider(visitor, number: int):
    return visitor.page.locator("#sliders .knob").nth(number - 1)


def png(colour, side: int = 96) -> bytes:
    picture = np.full((side, side, 3), 255, np.uint8)
    picture[side // 3 : 2 * side // 3, side // 6 : 5 * side // 6] = colour
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def test_explore_starts_with_the_first_photo_of_draw(visitor):
    visitor.draw(OUTLINE)
    first = visitor.wall()[0]
    visitor.open_tab("explore")
    assert visitor.stage() == first


def test_a_tile_of_draw_opens_in_explore(visitor):
    visitor.draw(OUTLINE)
    tiles = visitor.wall()
    visitor.page.locator("#wall .tile").nth(4).hover()
    visitor.page.locator("#wall .tile .explore").nth(4).click()
    visitor.page.wait_for_function("src => document.querySelector('#stage img')?.src === src", arg=tiles[4])


def test_without_a_drawing_an_example_is_a_press_away(visitor):
    visitor.open_tab("explore")
    visitor.page.locator("#stage .blank [data-action=example]").click()
    visitor.stage()
    assert visitor.page.evaluate("studio.get('sketch').length") > 100


def test_a_slider_changes_the_picture_by_mouse_key_and_number(explorer):
    before = explorer.stage()
    knob = slider(explorer, 2).locator("input[type=range]")
    box = knob.bounding_box()
    explorer.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    explorer.page.mouse.down()
    explorer.page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2, steps=8)
    explorer.page.mouse.up()
    dragged = explorer.stage(other_than=before)
    value = explorer.style()[1]
    assert 2 < value < 3
    knob.press("ArrowLeft")
    assert explorer.style()[1] < value
    number = slider(explorer, 2).locator("input[type=number]")
    number.fill("-2.5")
    explorer.stage(other_than=dragged)
    assert explorer.style()[1] == pytest.approx(-2.5)
    assert float(knob.input_value()) == pytest.approx(-2.5)


def test_a_drag_leaves_one_step_on_the_way_back(explorer):
    start = explorer.style()
    knob = slider(explorer, 2).locator("input[type=range]")
    box = knob.bounding_box()
    explorer.page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + box["height"] / 2)
    explorer.page.mouse.down()
    explorer.page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2, steps=10)
    explorer.page.mouse.up()
    moved = explorer.style()
    explorer.page.locator("#stage [data-action=back]").click()
    assert explorer.style() == start
    explorer.page.locator("#stage [data-action=forward]").click()
    assert explorer.style() == moved


def test_sliders_say_what_was_measured_and_grey_the_dead(explorer):
    facts = explorer.page.evaluate("studio.get('model').sliders")
    strongest = max(facts, key=lambda each: each["effect"])
    for number, each in enumerate(facts, start=1):
        row = slider(explorer, number)
        assert row.evaluate("row => row.classList.contains('dead')") == each["dead"]
        if not each["dead"]:
            assert f"{each['effect']:.3f} LPIPS" in row.inner_text()
    meter = slider(explorer, facts.index(strongest) + 1).locator(".meter > span")
    assert meter.evaluate("span => span.style.width") == "100%"


def test_directions_are_the_same_styles_on_other_axes(explorer):
    style = explorer.style()
    explorer.page.locator("#sliders [data-value=directions]").click()
    assert explorer.style() == style
    row = slider(explorer, 1)
    row.locator("input[type=number]").fill("1.5")
    moved = np.array(explorer.style())
    model = explorer.page.evaluate("studio.get('model').directions")
    coords = (moved - model["mean"]) @ np.array(model["components"]).T
    before = (np.array(style) - model["mean"]) @ np.array(model["components"]).T
    strongest = int(np.argmax([each["effect"] for each in model["sliders"]]))
    assert coords[strongest] == pytest.approx(1.5, abs=1e-5)
    assert np.delete(coords, strongest) == pytest.approx(np.delete(before, strongest), abs=1e-5)


def test_strips_and_the_grid_lead_to_styles(explorer):
    explorer.open_way("sweep")
    tiles = explorer.page.locator("#sweep .strip .tile")
    tiles.nth(20).wait_for()
    assert tiles.count() == 21
    tiles.nth(6).locator(".open").click()
    assert max(explorer.style()) == pytest.approx(3)
    explorer.page.locator("#sweep [data-value=grid]").click()
    squares = explorer.page.locator("#sweep .square .tile")
    squares.nth(24).wait_for()
    squares.first.locator(".open").click()
    across, down = (int(explorer.page.locator(f"#sweep .{name}").input_value()) for name in ("across", "down"))
    assert [explorer.style()[axis] for axis in (across, down)] == pytest.approx([-3, -3])


def test_the_sheet_of_strips_can_be_rebuilt(explorer, tmp_path):
    explorer.open_way("sweep")
    explorer.page.locator("#sweep .strip .tile").nth(20).wait_for()
    with explorer.page.expect_download() as waiting:
        explorer.page.locator("#sweep [data-action=sheet]").click()
    waiting.value.save_as(tmp_path / "sheet.png")
    pipe = Pipeline.from_pretrained(NAME, device="cpu")
    rebuilt = read_recipe(tmp_path / "sheet.png").render({pipe.hash: pipe})
    assert np.array_equal(np.asarray(rebuilt), np.asarray(Image.open(tmp_path / "sheet.png")))


def test_a_film_plays_from_pin_to_pin_and_is_saved(explorer, tmp_path):
    explorer.open_way("blend")
    assert explorer.page.locator("#blend .blank").is_visible()
    explorer.pin_wall(0, 3)
    screen = explorer.page.locator("#blend .screen img")
    screen.wait_for()
    sources = set()
    for _ in range(6):
        sources.add(screen.get_attribute("src"))
        explorer.page.wait_for_timeout(200)
    assert len(sources) > 2
    explorer.page.locator("#blend .frames").fill("6")
    explorer.page.locator("#blend .frames").blur()
    explorer.page.wait_for_function("() => document.querySelector('#blend .place').max === '5'")
    for format in ("gif", "webp", "mp4"):
        with explorer.page.expect_download() as waiting:
            explorer.page.locator(f"#blend [data-format={format}]").click()
        assert waiting.value.suggested_filename.endswith(f".{format}")
    explorer.page.locator("#blend .frames").fill("10000")
    explorer.page.locator("#blend .frames").blur()
    assert "2 to 240" in explorer.panel_error("blend")


def test_a_frame_of_the_film_becomes_the_style(explorer):
    explorer.pin_wall(0, 3)
    explorer.open_way("blend")
    explorer.page.locator("#blend [data-action=play]").click()  # stop
    explorer.page.wait_for_function("() => document.querySelector('#blend .place').max === '47'")
    place = explorer.page.locator("#blend .place")
    explorer.page.wait_for_timeout(800)
    place.fill("12")
    explorer.page.locator("#blend [data-action=use]").click()
    wall = explorer.page.evaluate("studio.get('wall').z")
    style = np.array(explorer.style())
    assert not any(np.allclose(style, code) for code in wall)


def test_photos_lend_their_style(explorer):
    before = explorer.stage()
    explorer.open_way("match")
    files = [
        {"name": f"{k}.png", "mimeType": "image/png", "buffer": png(colour)}
        for k, colour in enumerate([(190, 30, 30), (20, 40, 160)])
    ]
    explorer.page.locator("#match input[type=file]").set_input_files(files)
    triples = explorer.page.locator("#match .triple")
    triples.nth(1).wait_for()
    assert triples.first.locator("figure").count() == 3
    after = explorer.stage(other_than=before)
    triples.nth(0).get_by_role("button", name="Use", exact=True).click()
    explorer.stage(other_than=after)
    explorer.page.locator("#match input[type=file]").set_input_files(
        {"name": "tiny.png", "mimeType": "image/png", "buffer": png((0, 0, 0), side=6)}
    )
    assert "tiny.png" in explorer.panel_error("match")
    assert triples.count() == 2  # what was there stays


@pytest.mark.parametrize("word", ["red", "藏青"])
def test_a_word_for_a_colour_finds_styles(explorer, word):
    explorer.open_way("match")
    explorer.page.locator("#match .word").fill(word)
    explorer.page.locator("#match .word").press("Enter")
    tiles = explorer.page.locator("#match .found .tile")
    tiles.nth(7).wait_for(timeout=20_000)
    assert tiles.count() == 8


def test_an_unknown_colour_is_met_with_a_suggestion(explorer):
    explorer.open_way("match")
    explorer.page.locator("#match .word").fill("forrest gren")
    explorer.page.locator("#match button[type=submit]").click()
    assert "forest green" in explorer.panel_error("match")


def test_breeding_goes_on_and_back(explorer):
    explorer.open_way("breed")
    tiles = explorer.page.locator("#breed .tile")
    tiles.nth(7).wait_for()
    first = tiles.locator("img").evaluate_all("images => images.map(({ src }) => src)")
    tiles.nth(2).locator(".open").click()
    tiles.nth(5).locator(".open").click()
    assert explorer.page.locator("#breed .tile.on").count() == 2
    explorer.page.locator("#breed [data-action=next]").click()
    explorer.page.get_by_text("Generation 2").wait_for()
    second = tiles.locator("img").evaluate_all("images => images.map(({ src }) => src)")
    assert not set(first) & set(second)
    explorer.page.locator("#breed [data-action=back]").click()
    explorer.page.get_by_text("Generation 1").wait_for()
    explorer.page.wait_for_function("src => document.querySelector('#breed img').src === src", arg=first[0])
    assert explorer.page.locator("#breed .tile.on").count() == 2
    tiles.nth(1).hover()
    tiles.nth(1).locator(".use").click()
    explorer.page.wait_for_function("src => document.querySelector('#stage img').src !== src", arg=first[0])


def test_the_picture_is_saved_with_its_recipe(explorer, tmp_path):
    explorer.page.locator("#stage [data-action=random]").click()
    explorer.page.wait_for_timeout(500)
    with explorer.page.expect_download() as waiting:
        explorer.page.locator("#stage [data-action=save]").click()
    waiting.value.save_as(tmp_path / "picture.png")
    recipe = read_recipe(tmp_path / "picture.png")
    assert recipe.z[0].tolist() == explorer.style()
    rebuilt = recipe.render(Pipeline.from_pretrained(NAME, device="cpu"))
    assert np.array_equal(np.asarray(rebuilt), np.asarray(Image.open(tmp_path / "picture.png")))


def test_another_drawing_keeps_the_style(explorer):
    explorer.page.locator("#stage [data-action=random]").click()
    explorer.page.wait_for_timeout(500)
    style, picture = explorer.style(), explorer.stage()
    explorer.open_tab("draw")
    explorer.draw(LACE)
    explorer.open_tab("explore")
    explorer.stage(other_than=picture)
    assert explorer.style() == style


# Pins and kept drawings


def test_pins_are_named_kept_and_removed(explorer):
    explorer.pin_wall(0, 1)
    pins = explorer.page.locator("#shelf .pins .item")
    assert pins.count() == 2
    pins.first.locator("input").fill("Meine Lieblinge")
    pins.first.locator("input").blur()
    explorer.page.reload()
    visitor = Visitor(explorer.page)
    assert pins.first.locator("input").input_value() == "Meine Lieblinge"
    pins.nth(1).locator(".use").click()
    visitor.page.locator("#stage img").wait_for()  # from Draw a pin leads to Explore
    assert visitor.style() == visitor.page.evaluate("studio.get('pins')[1].z")
    pins.first.hover()
    pins.first.locator(".remove").click()
    assert pins.count() == 1


def test_pins_travel_as_a_file(explorer, open_page, url, tmp_path):
    explorer.pin_wall(0, 1, 2)
    with explorer.page.expect_download() as waiting:
        explorer.page.locator("#shelf .more summary").click()
        explorer.page.locator("#shelf [data-action=export]").click()
    waiting.value.save_as(tmp_path / "pins.json")
    codes = [pin["z"] for pin in json.loads((tmp_path / "pins.json").read_text())["pins"]]
    explorer.page.evaluate("studio.set('pins', [])")
    file = explorer.page.locator("#shelf input[type=file]")
    file.set_input_files(tmp_path / "pins.json")
    explorer.page.locator("#shelf .pins .item").nth(2).wait_for()
    assert explorer.page.evaluate("studio.get('pins').map(({ z }) => z)") == codes
    file.set_input_files({"name": "bad.json", "mimeType": "application/json", "buffer": b"{"})
    assert "pins" in explorer.panel_error("shelf")
    assert explorer.page.locator("#shelf .pins .item").count() == 3


def test_a_pin_of_another_model_says_so(explorer):
    """Where codes have the same length nothing would look wrong."""
    foreign = {"id": "x", "name": "blue", "z": [0.5] * 8, "checkpoint": "edges2bags", "hash": "0" * 64}
    short = {**foreign, "id": "y", "name": "short", "z": [0.5] * 3}
    explorer.page.evaluate(
        "pins => studio.set('pins', pins.map((pin) => ({ ...pin, thumb: document.querySelector('#stage img').src })))",
        [foreign, short],
    )
    pins = explorer.page.locator("#shelf .pins .item")
    assert "edges2bags" in pins.first.locator(".use").get_attribute("title")
    pins.first.locator(".use").click()
    assert "edges2bags" in explorer.message()
    assert explorer.style() == [0.5] * 8
    pins.nth(1).locator(".use").click()
    explorer.page.get_by_text("has 3 numbers").wait_for()
    assert explorer.style() == [0.5] * 8


def test_drawings_are_kept_and_come_back(visitor):
    visitor.draw(OUTLINE)
    first = visitor.wall()
    visitor.page.locator("#shelf .keep").click()
    visitor.page.locator("#canvas [data-action=clear]").click()
    visitor.page.locator("#wall .empty").wait_for()
    visitor.page.locator("#shelf .drawings .use").click()
    assert visitor.wall() == first
    visitor.page.keyboard.press("Control+z")  # the canvas it replaced is not lost
    visitor.page.locator("#wall .empty").wait_for()


def test_what_others_left_in_the_browsers_storage_does_no_harm(open_page, url):
    page = open_page(url)
    page.evaluate(
        """() => {
            localStorage.setItem("bicyclegan.pins", '[{"z": "no"}, 7]');
            localStorage.setItem("bicyclegan.drawings", "{");
            localStorage.setItem("bicyclegan.matrix", '{"rows": [3], "columns": [{"z": [1]}]}');
        }"""
    )
    page.reload()
    visitor = Visitor(page)
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.open_tab("compare")
    visitor.page.locator("#matrix td .tile img").first.wait_for()
    assert page.evaluate("[studio.get('pins').length, studio.get('drawings').length]") == [0, 0]


# Links


def copied_link(visitor) -> str:
    """What the button puts into the clipboard, or, where the browser refuses, into the dialog."""
    visitor.page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    visitor.page.locator("#shelf [data-action=link]").click()
    visitor.page.wait_for_function("() => window.copied")
    return visitor.page.evaluate("window.copied")


def test_a_link_restores_drawing_seed_style_pins_and_tab_elsewhere(explorer, open_page):
    explorer.page.locator("#stage [data-action=random]").click()
    explorer.page.wait_for_timeout(400)
    explorer.pin_wall(2)
    explorer.open_tab("draw")
    explorer.page.locator("#seed input").fill("11")
    explorer.wall(other_than=explorer.sources)
    explorer.open_tab("explore")
    picture, style = explorer.stage(), explorer.style()
    address = copied_link(explorer)
    assert len(address) < 6000
    other = Visitor(open_page(address, width=1279))  # another context: no storage in common
    other.page.wait_for_function("src => document.querySelector('#stage img')?.src === src", arg=picture)
    assert other.style() == style
    other.page.locator("#shelf .pins .item").wait_for()
    assert other.page.evaluate("studio.get('pins')[0].z") == explorer.page.evaluate("studio.get('pins')[0].z")
    other.open_tab("draw")
    assert other.wall() == explorer.sources
    assert other.page.locator("#seed input").input_value() == "11"
    assert "#" not in other.page.url  # a reload must not bring the link's drawing back over a newer one


@pytest.mark.parametrize("text", ["1.AAAA", "9.AAAA", "x" * 100_000])
def test_a_broken_link_says_so_and_the_draft_stays(visitor, text):
    visitor.draw(OUTLINE)
    first = visitor.wall()
    visitor.page.evaluate("text => { location.hash = `studio=${text}`; }", text)
    assert "link" in visitor.panel_error("shelf").lower()
    assert visitor.sources == first


def test_a_link_that_would_be_too_long_says_what_is_large(explorer):
    noise = np.random.RandomState(0).randint(0, 2, (256, 256), dtype=np.uint8) * 255
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    raster = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    strokes = [
        {
            "tool": "pen",
            "width": 2,
            "color": 0,
            "mirror": False,
            "points": np.random.RandomState(k).uniform(0, 256, (400, 2)).round(2).tolist(),
        }
        for k in range(30)
    ]
    long = json.dumps({"version": 1, "size": 256, "strokes": strokes, "raster": raster})
    explorer.page.evaluate("sketch => studio.set('sketch', sketch)", long)
    explorer.page.locator("#shelf [data-action=link]").click()
    assert "60,000" in explorer.panel_error("shelf").replace("60000", "60,000")


# Looks


def test_chinese_in_explore(open_page, url):
    visitor = Visitor(open_page(url, locale="zh-CN"))
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.open_tab("explore")
    visitor.stage()
    text = visitor.page.locator("body").inner_text()
    for phrase in ("探索", "滑块", "扫描", "过渡", "匹配", "繁育", "主方向", "收藏风格", "复制链接"):
        assert phrase in text
    assert not [word for word in ("Sliders", "Pin style", "Styles", "Drawings") if word in text]


@pytest.mark.parametrize("width", [320, 390, 768])
def test_explore_fits_narrow_screens(open_page, url, width):
    visitor = Visitor(open_page(url, width=width, height=844, has_touch=True))
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.open_tab("explore")
    visitor.stage()
    for way in ("sliders", "sweep", "blend", "match", "breed"):
        visitor.open_way(way)
        visitor.page.wait_for_timeout(300)
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
    visitor.open_way("sliders")
    shelf = visitor.page.locator("#shelf").bounding_box()
    assert shelf["y"] + shelf["height"] <= 844  # in reach without scrolling


def test_everything_of_the_shipped_models_was_measured():
    from bicyclegan.latents_file import load_latents

    for name in (NAME, "edges2clothes"):
        latents = load_latents(DEFAULT_ROOT / name)
        assert latents.effect_metric.startswith("lpips")
        assert not latents.stale
        assert latents.colours.shape == (8, 5, 3)
