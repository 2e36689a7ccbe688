"""Compare in Chromium: the table of drawings and styles, its numbers and files, and one model against another."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from studio_visitor import LACE, NAME, OTHER, OUTLINE, Visitor

from bicyclegan.checkpoints import DEFAULT_ROOT, load_examples
from bicyclegan.pipeline import Pipeline
from bicyclegan.recipe import read_recipe

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def checkpoints(three_models) -> Path:
    return three_models


@pytest.fixture
def comparer(visitor) -> Visitor:
    """Somebody who drew a shoe and went to Compare."""
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.open_tab("compare")
    visitor.table(3, 6)
    return visitor


def add_row(visitor, label: str) -> None:
    visitor.page.locator("#matrix .adder.rows summary").click()
    visitor.page.locator("#matrix .adder.rows").get_by_role("button", name=label).first.click()


def add_column(visitor, label: str) -> None:
    visitor.page.locator("#matrix .adder.columns summary").click()
    visitor.page.locator("#matrix .adder.columns").get_by_role("button", name=label).first.click()


def codes(visitor) -> list[list[float]]:
    return visitor.page.evaluate("studio.get('matrix')[studio.get('model').hash].columns.map(({ z }) => z)")


def after_filling(visitor, act) -> None:
    """Do something that changes the table, and wait until it is full again."""
    visitor.page.evaluate("window.full = false; addEventListener('studio:filled', () => { window.full = true; })")
    act()
    visitor.page.wait_for_function("() => window.full")


def picture(side: int = 96) -> bytes:
    pixels = np.full((side, side, 3), 255, np.uint8)
    pixels[side // 3 : 2 * side // 3, side // 6 : 5 * side // 6] = (170, 40, 40)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_a_newcomer_finds_a_full_table(comparer):
    table = comparer.table(3, 6)
    assert len({source for row in table for source in row}) == 18
    assert comparer.page.locator("#matrix .side img").count() == 3


def test_a_column_is_one_style_in_every_row(comparer):
    pipe = Pipeline.from_pretrained(NAME, device="cpu")
    after_filling(comparer, comparer.page.locator("#matrix [data-action=reroll]").click)
    table, z = comparer.table(3, 6), np.array(codes(comparer), dtype=np.float32)
    for row, example in enumerate(load_examples(DEFAULT_ROOT / NAME)[:2], start=1):
        for source, image in zip(table[row], pipe(example, z=z).images, strict=True):
            assert np.abs(comparer.pixels(source).astype(int) - np.asarray(image)).mean() < 3


def test_the_row_of_the_canvas_follows_the_drawing(comparer):
    before = comparer.table(3, 6)
    comparer.open_tab("draw")
    comparer.draw(LACE)
    after_filling(comparer, lambda: comparer.open_tab("compare"))
    after = comparer.table(3, 6)
    assert not set(after[0]) & set(before[0])
    assert after[1:] == before[1:]


def test_rows_and_columns_come_and_go(comparer):
    add_row(comparer, "A copy of it")
    comparer.table(4, 6)
    add_column(comparer, "A random style")
    comparer.table(4, 7)
    comparer.page.locator("#matrix tbody tr").nth(1).get_by_role("button", name="Remove this drawing").click()
    comparer.table(3, 7)
    comparer.page.locator("#matrix thead th").nth(2).get_by_role("button", name="Remove this style").click()
    comparer.table(3, 6)
    for _ in range(2):
        add_column(comparer, "A random style")
    comparer.table(3, 8)
    add_column(comparer, "A random style")
    assert "room for 8" in comparer.message()
    comparer.table(3, 8)


def test_what_did_not_change_is_not_painted_again(comparer):
    asked = []
    comparer.page.on("request", lambda r: asked.append(r.post_data) if "component_server" in r.url else None)
    add_column(comparer, "A random style")
    comparer.table(3, 7)
    paints = [json.loads(body)["data"] for body in asked if body and '"paint"' in body]
    assert [len(wanted["z"]) for wanted in paints] == [1, 1, 1]  # the new style alone, once for each drawing


def test_the_next_change_stops_what_is_under_way(comparer):
    """While the first row is held back on its way the styles are rolled again: its other rows are never asked for."""
    asked, held = [], []

    def hold(route):
        wanted = json.loads(route.request.post_data)
        if wanted["fn_name"] != "paint":
            return route.continue_()
        asked.append(wanted["data"]["z"])
        return held.append(route) if len(asked) == 1 else route.continue_()

    comparer.page.route("**/component_server**", hold)
    roll = comparer.page.locator("#matrix [data-action=reroll]")
    roll.click()
    while not held:
        comparer.page.wait_for_timeout(20)
    after_filling(comparer, roll.click)
    held[0].continue_()
    comparer.page.wait_for_timeout(300)
    assert len(asked) == 1 + 3
    assert asked[1] == asked[2] == asked[3] != asked[0]
    table, z = comparer.table(3, 6), np.array(codes(comparer), dtype=np.float32)
    example = load_examples(DEFAULT_ROOT / NAME)[1]
    for source, image in zip(table[2], Pipeline.from_pretrained(NAME, device="cpu")(example, z=z).images, strict=True):
        assert np.abs(comparer.pixels(source).astype(int) - np.asarray(image)).mean() < 3


def test_each_model_keeps_its_table(comparer):
    add_column(comparer, "A random style")
    comparer.table(3, 7)
    z = codes(comparer)
    comparer.choose_model("short")
    comparer.table(1, 6)
    comparer.choose_model(NAME)
    comparer.table(3, 7)
    assert codes(comparer) == z


def test_a_style_of_another_model_is_marked(comparer):
    comparer.pin_wall(0)
    comparer.choose_model(OTHER)
    comparer.page.locator("#matrix .adder.columns summary").click()
    comparer.page.locator("#matrix .adder.columns").get_by_role("button", name="Style 1").click()
    assert NAME in comparer.message()
    assert NAME in comparer.page.locator("#matrix .head.foreign .name").get_attribute("title")


def test_a_locked_style_stays_when_the_others_are_rolled(comparer):
    before = comparer.table(3, 6)
    lock = comparer.page.locator("#matrix thead th").nth(3).get_by_role("button", name="Lock this style")
    lock.focus()
    lock.press("Enter")
    unlock = comparer.page.locator("#matrix thead th").nth(3).get_by_role("button", name="Unlock this style")
    assert unlock.evaluate("button => button === document.activeElement")  # the keyboard goes on from here
    after_filling(comparer, comparer.page.locator("#matrix [data-action=reroll]").click)
    after = comparer.table(3, 6)
    assert [row[2] for row in after] == [row[2] for row in before]
    assert not {row[k] for row in after for k in (0, 1, 3, 4, 5)} & {source for row in before for source in row}


def test_pins_files_and_photos_join_the_table(comparer):
    comparer.pin_wall(5)
    add_column(comparer, "Style 1")
    comparer.table(3, 7)
    assert codes(comparer)[-1] == comparer.page.evaluate("studio.get('pins')[0].z")
    comparer.page.locator("#matrix .photo-file").set_input_files(
        {"name": "red.png", "mimeType": "image/png", "buffer": picture()}
    )
    comparer.table(3, 8)
    comparer.page.locator("#matrix .drawing-file").set_input_files(
        {"name": "box.png", "mimeType": "image/png", "buffer": picture()}
    )
    comparer.table(4, 8)
    comparer.page.locator("#matrix .drawing-file").set_input_files(
        {"name": "dot.png", "mimeType": "image/png", "buffer": picture(side=1)}
    )
    assert "dot.png" in comparer.panel_error("matrix")
    comparer.table(4, 8)


def test_the_table_survives_a_reload(comparer):
    add_column(comparer, "A random style")
    before = comparer.table(3, 7)
    comparer.page.reload()
    again = Visitor(comparer.page)
    again.open_tab("compare")
    assert again.table(3, 7) == before


def test_other_models_stand_below_each_other(comparer):
    add_row(comparer, f"The same drawing by {OTHER}")
    table = comparer.table(4, 6)
    assert not set(table[0]) & set(table[3])
    add_row(comparer, "The same drawing by short")
    problem = comparer.page.locator("#matrix tr.failed .problem")
    problem.wait_for()
    assert "3" in problem.inner_text()
    comparer.table(4, 6)  # the others are there all the same


def test_a_picture_opens_large_and_leads_on(comparer, tmp_path):
    comparer.page.locator("#matrix td .open").nth(2).click()
    dialog = comparer.page.locator("#matrix dialog")
    dialog.locator("img").wait_for()
    with comparer.page.expect_download() as waiting:
        dialog.locator("[data-action=save]").click()
    waiting.value.save_as(tmp_path / "cell.png")
    recipe = read_recipe(tmp_path / "cell.png")
    rebuilt = recipe.render(Pipeline.from_pretrained(NAME, device="cpu"))
    assert np.array_equal(np.asarray(rebuilt), np.asarray(Image.open(tmp_path / "cell.png")))
    dialog.locator("[data-action=use]").click()
    comparer.stage()
    assert comparer.style() == recipe.z[0].tolist()


def test_sheet_and_zip_carry_everything(comparer, tmp_path):
    pipe = Pipeline.from_pretrained(NAME, device="cpu")
    with comparer.page.expect_download() as waiting:
        comparer.page.locator("#matrix [data-action=sheet]").click()
    waiting.value.save_as(tmp_path / "sheet.png")
    rebuilt = read_recipe(tmp_path / "sheet.png").render({pipe.hash: pipe})
    assert np.array_equal(np.asarray(rebuilt), np.asarray(Image.open(tmp_path / "sheet.png")))
    with comparer.page.expect_download() as waiting:
        comparer.page.locator("#matrix [data-action=zip]").click()
    waiting.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as packed:
        assert len([name for name in packed.namelist() if name.startswith("row")]) == 18


def test_numbers_of_a_row(comparer):
    comparer.page.locator("#matrix tbody tr").nth(1).get_by_role("button", name="Numbers of this row").click()
    comparer.page.locator("#numbers h4").wait_for()
    summary = comparer.page.locator("#numbers .summary").first.inner_text()
    assert "Row 2" in summary
    assert "6 pictures" in summary
    assert ("RGB" in summary) == comparer.page.locator("#fetch").is_visible()
    comparer.page.locator("#distances .js-plotly-plot").wait_for()
    cells = "document.querySelector('#distances .js-plotly-plot').calcdata[0][0].z.map((row) => [...row])"
    matrix = np.array(comparer.page.evaluate(cells))
    assert matrix.shape == (6, 6)
    assert np.allclose(matrix, matrix.T)
    assert (matrix[~np.eye(6, dtype=bool)] > 0).all()
    assert comparer.page.locator("#variation img").get_attribute("src").startswith("data:image/png")


def test_one_model_against_another(comparer):
    comparer.page.locator("#models > button").click()
    pictures = comparer.page.locator("#ab-slider img")
    pictures.nth(1).wait_for()
    first = comparer.page.locator("#ab-slider img").evaluate_all("images => images.map(({ src }) => src)")
    comparer.pin_wall(6)
    comparer.page.locator("#ab .styles button").nth(1).click()
    comparer.page.wait_for_function("before => document.querySelector('#ab-slider img').src !== before", arg=first[0])
    comparer.page.locator("#model-b input").click()
    comparer.page.get_by_role("option", name="short").click()
    assert "short" in comparer.panel_error("ab") or "(N, 3)" in comparer.panel_error("ab")


def test_two_models_are_compared_once_for_each_style(comparer):
    asked = []
    comparer.page.on("request", lambda request: asked.append(request) if wants_two_models(request) else None)
    for _ in range(3):  # open, close, open again
        comparer.page.locator("#models > button").click()
        comparer.page.wait_for_timeout(300)
    comparer.page.locator("#ab-slider img").nth(1).wait_for()
    comparer.page.wait_for_timeout(400)  # a second question waits for the first answer
    assert len(asked) == 1
    with comparer.page.expect_request(wants_two_models):
        comparer.page.evaluate("studio.setStyle(studio.get('style').map((value) => -value))")


def wants_two_models(request) -> bool:
    body = request.post_data if "queue/join" in request.url else None
    return bool(body) and set(json.loads(body)["event_data"] or ()) == {"sketch", "z"}


def test_before_anything_is_drawn_the_examples_show_what_it_is_for(visitor):
    visitor.open_tab("compare")
    visitor.page.locator("#matrix tbody tr").nth(1).locator("td img[src]").nth(5).wait_for()
    assert "Nothing is drawn yet" in visitor.page.locator("#matrix tbody tr").first.inner_text()


def test_chinese_in_compare(open_page, url):
    visitor = Visitor(open_page(url, locale="zh-CN"))
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.open_tab("compare")
    visitor.table(3, 6)
    visitor.page.locator("#matrix .side .small").first.click()
    visitor.page.locator("#numbers h4").wait_for()
    text = visitor.page.locator("body").inner_text()
    for phrase in ("比较", "＋ 草图", "换一批", "保存图表", "第 1 行", "平均相差", "两个模型对比"):
        assert phrase in text


@pytest.mark.parametrize("width", [320, 390, 768])
def test_compare_fits_narrow_screens(open_page, url, width):
    visitor = Visitor(open_page(url, width=width, height=844, has_touch=True))
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.open_tab("compare")
    visitor.table(3, 6)
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
