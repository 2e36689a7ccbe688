"""The map in Chromium: a press reaches the point that it is meant for, and nothing that goes wrong takes it away."""

from __future__ import annotations

import io
import json
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from studio_visitor import LACE, NAME, OUTLINE, Visitor
from test_trouble_browser import Gate

from bicyclegan.checkpoints import DEFAULT_ROOT
from bicyclegan.config import LATENTS_FILE
from bicyclegan.latents_file import load_latents, save_latents
from bicyclegan.projection import MapSettings, Pca, prior_codes

pytestmark = pytest.mark.browser

LATENTS = load_latents(DEFAULT_ROOT / NAME)
PLOT = "document.querySelector('#map .plot')"
PIXEL = """([name, index]) => {
    const plot = document.querySelector("#map .js-plotly-plot");
    const { x, y } = plot._fullData.find((trace) => trace.name === name);
    const { xaxis, yaxis } = plot._fullLayout;
    const box = plot.getBoundingClientRect();
    return [box.x + xaxis._offset + xaxis.d2p(x[index]), box.y + yaxis._offset + yaxis.d2p(y[index])];
}"""


class MapReader(Visitor):
    """Somebody who drew a shoe and went to the map."""

    def open_map(self) -> None:
        self.page.evaluate("window.addEventListener('studio:mapped', () => { window.mapped = true; })")
        self.draw(OUTLINE)
        self.wall()
        self.open_tab("map")
        self.page.wait_for_function("window.mapped", timeout=30_000)
        self.page.locator("#map .mark.here").wait_for()

    def traces(self) -> list[str]:
        return self.page.evaluate(f"{PLOT}._fullData.map(({{ name }}) => name)")

    def places(self, name: str = "photos") -> np.ndarray:
        found = self.page.evaluate(
            f"name => {{ const {{ x, y }} = {PLOT}._fullData.find((each) => each.name === name);"
            " return [[...x], [...y]]; }",
            name,
        )
        return np.array(found).T

    def pixel(self, index: int, name: str = "photos") -> list[float]:
        self.page.locator("#map .frame").scroll_into_view_if_needed()
        return self.page.evaluate(PIXEL, [name, index])

    def lonely(self, name: str = "photos") -> int:
        """The point that is farthest from all others, from marks and from buttons: a press there has one meaning."""
        pixels = {each: np.array(self.page.evaluate(ALL_PIXELS, each)).reshape(-1, 2) for each in self.traces()}
        mine = pixels.pop(name)
        blocks = self.page.locator("#map .mark, #map .tools .icon, #shelf").evaluate_all(CENTRES)
        others = np.concatenate([*pixels.values(), np.array(blocks).reshape(-1, 2)])
        apart = np.linalg.norm(mine[:, None] - mine, axis=2) + 1e6 * np.eye(len(mine))
        room = np.minimum(apart.min(axis=1), np.linalg.norm(mine[:, None] - others, axis=2).min(axis=1) - 8)
        box = self.page.locator("#map .plot").bounding_box()
        inside = np.abs(mine - [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])
        room[(inside > [box["width"] / 2 - 20, box["height"] / 2 - 20]).any(axis=1)] = 0
        index = int(room.argmax())
        assert room[index] > 8, "all points have neighbours"
        return index

    def press(self, index: int, name: str = "photos") -> None:
        self.page.mouse.click(*self.pixel(index, name))

    def has_style(self, z) -> None:
        """Wait for a style."""
        self.page.wait_for_function(
            "z => studio.get('style').every((value, d) => Math.abs(value - z[d]) < 1e-5)",
            arg=np.asarray(z, float).tolist(),
        )

    def choose(self, method: str, dims: int | None = None) -> None:
        self.page.locator(f"#map .method button[data-value={method}]").click()
        if dims:
            self.page.locator(f"#map .dims button[data-value='{dims}']").click()

    def shows(self, coords: np.ndarray) -> None:
        """Wait until photos lie there."""
        self.page.wait_for_function(
            f"([x, y]) => {{ const trace = {PLOT}._fullData?.find((each) => each.name === 'photos');"
            " return trace && trace.x.length === x.length && x.every((value, k) => Math.abs(value - trace.x[k]) < 1e-3"
            " && Math.abs(y[k] - trace.y[k]) < 1e-3); }",
            arg=coords[:, :2].T.tolist(),
        )

    def error(self) -> str:
        line = self.page.locator("#map > .panel > .error, #map .panel > .error").first
        line.wait_for()
        return line.inner_text()

    def add_photos(self, *files: tuple[str, bytes]) -> None:
        if not self.page.locator("#own-files").is_visible():
            self.page.locator("#own-photos button").first.click()
        kinds = {".zip": "application/zip", ".jpg": "image/jpeg"}
        sent = [{"name": name, "mimeType": kinds[name[-4:]], "buffer": data} for name, data in files]
        self.page.locator("#own-files input[type=file]").set_input_files(sent)


ALL_PIXELS = """name => {
    const plot = document.querySelector("#map .js-plotly-plot");
    const { x, y } = plot._fullData.find((trace) => trace.name === name);
    const { xaxis, yaxis } = plot._fullLayout;
    const box = plot.getBoundingClientRect();
    const [left, top] = [box.x + xaxis._offset, box.y + yaxis._offset];
    return [...x].map((value, k) => [left + xaxis.d2p(value), top + yaxis.d2p(y[k])]);
}"""
CENTRES = """marks => marks.map((mark) => {
    const { x, y, width, height } = mark.getBoundingClientRect();
    return [x + width / 2, y + height / 2];
})"""


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory, three_models) -> Path:
    """The shipped models, one whose photos were never read, and one that knows 40 of them."""
    shutil.copytree(DEFAULT_ROOT / NAME, three_models / "few")
    few, pca = 40, Pca.fit(LATENTS.mu[:40])
    save_latents(
        three_models / "few",
        replace(
            LATENTS,
            names=LATENTS.names[:few],
            mu=LATENTS.mu[:few],
            logvar=LATENTS.logvar[:few],
            pca=pca,
            map_pca=pca.transform(LATENTS.mu[:few], 3).astype(np.float32),
            photo_colours=LATENTS.photo_colours[:few],
            maps=(),
            thumb_columns=0,
        ),
    )
    (three_models / "bare").mkdir()
    for file in (DEFAULT_ROOT / NAME).iterdir():
        if file.name != LATENTS_FILE:
            (three_models / "bare" / file.name).write_bytes(file.read_bytes())
    return three_models


@pytest.fixture
def reader(open_page, url) -> MapReader:
    reader = MapReader(open_page(url))
    reader.open_map()
    return reader


def picture(colour, side: int = 96) -> bytes:
    photo = np.full((side, side, 3), 255, np.uint8)
    noise = np.random.RandomState(sum(colour)).randint(-25, 25, (side // 3, 2 * side // 3, 3))
    photo[side // 3 : 2 * side // 3, side // 6 : 5 * side // 6] = np.clip(np.array(colour) + noise, 0, 255)
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG")
    return file.getvalue()


def archive(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        for name, data in files.items():
            target.writestr(name.replace("__", "/") + (".jpg" if data[:2] == b"\xff\xd8" else ".txt"), data)
    return packed.getvalue()


RED, BLUE, GREEN = (picture(colour) for colour in ((190, 40, 40), (40, 60, 180), (40, 140, 60)))


# Points


def test_the_map_opens_with_all_photos_and_the_style_in_use(reader):
    assert reader.traces() == ["prior", "photos"]
    assert reader.places() == pytest.approx(LATENTS.map_pca[:, :2], abs=1e-4)
    here = reader.page.locator("#map .mark.here").evaluate_all(CENTRES)[0]
    z = np.array(reader.style())
    place = LATENTS.pca.transform(z[None])[0]
    at = reader.page.evaluate(PLACE_PIXEL, place.tolist())
    assert here == pytest.approx(at, abs=1.5)


PLACE_PIXEL = """([x, y]) => {
    const plot = document.querySelector("#map .js-plotly-plot");
    const { xaxis, yaxis } = plot._fullLayout;
    const box = plot.getBoundingClientRect();
    return [box.x + xaxis._offset + xaxis.d2p(x), box.y + yaxis._offset + yaxis.d2p(y)];
}"""


def test_a_press_paints_in_the_style_of_that_photo(reader):
    before = reader.page.locator("#map-stage img").get_attribute("src")
    index = reader.lonely()
    reader.press(index)
    reader.has_style(LATENTS.mu[index])
    reader.page.wait_for_function("before => document.querySelector('#map-stage img').src !== before", arg=before)
    reader.page.wait_for_timeout(300)
    reader.has_style(LATENTS.mu[index])  # and not the place behind it


def test_presses_reach_the_point_after_the_figure_was_replaced(reader):
    reader.page.locator("#map .colour select").select_option("dim-2")
    index = reader.lonely()
    reader.press(index)
    reader.has_style(LATENTS.mu[index])
    for method, dims in (("tsne", 3), ("umap", 2), ("tsne", 2)):
        reader.choose(method, dims)
    reader.shows(LATENTS.map_for(MapSettings("tsne")).coords)
    for _ in range(2):
        index = reader.lonely()
        reader.press(index)
        reader.has_style(LATENTS.mu[index])
        reader.page.locator("#map [data-action=closer]").click()
        reader.page.wait_for_timeout(300)


def test_a_tap_on_a_phone_reaches_the_point(open_page, url):
    reader = MapReader(open_page(url, 390, 844, has_touch=True, is_mobile=True))
    reader.open_map()
    for _ in range(2):
        index = reader.lonely()
        reader.page.touchscreen.tap(*reader.pixel(index))
        reader.has_style(LATENTS.mu[index])
        reader.choose("umap")
        reader.shows(LATENTS.map_for(MapSettings("umap")).coords)
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("width", [320, 390, 768])
def test_the_map_fits_narrow_screens(open_page, url, width):
    reader = MapReader(open_page(url, width, 844))
    reader.open_map()
    assert reader.page.locator("#tabs > .tab-wrapper [role=tab]").count() == 5
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= width
    frame = reader.page.locator("#map .frame").bounding_box()
    assert frame["x"] >= 0
    assert frame["x"] + frame["width"] <= width


def test_a_random_code_can_be_pressed_and_hidden(reader):
    index = reader.lonely("prior")
    reader.press(index, "prior")
    reader.has_style(prior_codes(500, 8)[index])
    reader.page.locator("#map .layers input[name=prior]").uncheck()
    reader.page.wait_for_function(f"{PLOT}._fullData.length === 1")
    reader.page.locator("#map .layers input[name=photos]").uncheck()
    reader.page.wait_for_function(f"{PLOT}._fullData.length === 0")
    reader.page.locator("#map .layers input[name=photos]").check()
    reader.page.wait_for_function(f"{PLOT}._fullData[0]?.name === 'photos'")


def test_the_pointer_shows_the_reconstruction_of_the_photo(reader):
    reader.page.wait_for_timeout(300)  # thumbnails come after the map
    index = reader.lonely()
    x, y = reader.pixel(index)
    reader.page.mouse.move(x - 4, y - 4)
    reader.page.mouse.move(x, y)
    tip = reader.page.locator("#map .tip")
    tip.wait_for()
    assert tip.inner_text().strip() == LATENTS.names[index]
    reader.page.wait_for_function("document.querySelector('#map .tip .thumb').style.backgroundImage.length > 1000")
    column, row = index % LATENTS.thumb_columns, index // LATENTS.thumb_columns
    position = tip.locator(".thumb").evaluate("thumb => thumb.style.backgroundPosition")
    assert position.replace("-0px", "0px") == f"{-96 * column}px {-96 * row}px".replace("-0px", "0px")
    frame, box = reader.page.locator("#map .frame").bounding_box(), tip.bounding_box()
    assert frame["x"] <= box["x"]
    assert box["x"] + box["width"] <= frame["x"] + frame["width"]


def test_a_place_between_points_is_a_style_too(reader):
    box = reader.page.locator("#map .plot").bounding_box()
    x, y = round(box["x"] + 110), round(box["y"] + box["height"] - 90)  # of a click, browsers tell whole pixels
    reader.page.mouse.click(x, y)
    place = reader.page.evaluate(
        """([x, y]) => {
            const plot = document.querySelector("#map .plot");
            const { xaxis, yaxis } = plot._fullLayout;
            const box = plot.getBoundingClientRect();
            return [xaxis.p2d(x - box.x - xaxis._offset), yaxis.p2d(y - box.y - yaxis._offset)];
        }""",
        [x, y],
    )
    reader.has_style(LATENTS.pca.inverse(np.array([place]))[0].astype(np.float32))


def test_arrow_keys_move_the_style(reader):
    before = np.array(reader.style())
    reader.page.locator("#map .plot").focus()
    reader.page.keyboard.press("ArrowRight")
    reader.page.wait_for_function("z => studio.get('style')[0] !== z", arg=before[0])
    moved = LATENTS.pca.transform(np.array([reader.style(), before]))
    assert moved[0, 0] > moved[1, 0]
    assert moved[0, 1] == pytest.approx(moved[1, 1], abs=1e-4)


# Marks


def test_pins_and_the_style_in_use_stand_where_they_lie_and_move_with_the_sliders(reader):
    reader.pin_wall(2, 5)
    reader.page.wait_for_function("document.querySelectorAll('#map .mark.pin').length === 2")
    codes = reader.page.evaluate("studio.get('pins').map(({ z }) => z)")
    expected = [
        reader.page.evaluate(PLACE_PIXEL, each) for each in LATENTS.pca.transform(np.array(codes))[:, :2].tolist()
    ]
    found = reader.page.locator("#map .mark.pin").evaluate_all(CENTRES)
    assert np.array(found) == pytest.approx(np.array(expected), abs=1.5)
    reader.page.locator("#map .mark.pin").nth(1).click()
    reader.has_style(codes[1])
    here = "document.querySelector('#map .mark.here').style.left"
    before = reader.page.evaluate(here)
    reader.page.locator("#map-knobs button").first.click()
    reader.page.locator("#map-sliders .knob input[type=number]").nth(1).fill("2.5")
    reader.page.wait_for_function(f"before => {here} !== before", arg=before)
    reader.page.wait_for_timeout(300)
    at = reader.page.evaluate(PLACE_PIXEL, LATENTS.pca.transform(np.array([reader.style()]))[0].tolist())
    assert reader.page.locator("#map .mark.here").evaluate_all(CENTRES)[0] == pytest.approx(at, abs=1.5)


def test_marks_stand_between_neighbours_where_the_method_cannot_place(reader):
    index = reader.lonely()
    reader.press(index)
    reader.has_style(LATENTS.mu[index])
    reader.choose("tsne")
    coords = LATENTS.map_for(MapSettings("tsne")).coords
    reader.shows(coords)
    reader.page.wait_for_timeout(400)
    at = reader.page.evaluate(PLACE_PIXEL, coords[index].tolist())
    assert reader.page.locator("#map .mark.here").evaluate_all(CENTRES)[0] == pytest.approx(at, abs=2)
    assert "cannot be inverted" in reader.page.locator("#map .how").inner_text()


def test_marks_are_points_in_three_dimensions(reader):
    reader.pin_wall(0)
    reader.choose("pca", 3)
    reader.page.wait_for_function(f"{PLOT}._fullData?.at(-1)?.name === 'marks'")
    trace = reader.page.evaluate(f"(({{ x, y, z }}) => [[...x], [...y], [...z]])({PLOT}._fullData.at(-1))")
    codes = reader.page.evaluate("[studio.get('pins')[0].z, studio.get('style')]")
    assert pytest.approx(LATENTS.pca.transform(np.array(codes), 3), abs=1e-4) == np.array(trace).T
    assert reader.page.locator("#map .mark").count() == 0


# Lasso


def test_a_lasso_gives_the_mean_style_and_pins_it(reader):
    reader.page.locator("#map [data-action=lasso]").click()
    points = np.array(reader.page.evaluate(ALL_PIXELS, "photos"))
    middle = np.median(points, axis=0)
    corners = [(middle + 60 * np.array(corner)).tolist() for corner in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -0.9))]
    reader.page.mouse.move(*corners[0])
    reader.page.mouse.down()
    for corner in corners[1:]:
        reader.page.mouse.move(*corner, steps=8)
    reader.page.mouse.up()
    count = reader.page.locator("#map .lassoed .count")
    count.wait_for()
    chosen = reader.page.evaluate(f"[...{PLOT}.data.find(({{ name }}) => name === 'photos').selectedpoints]")
    assert int(count.inner_text().split()[0]) == len(chosen) > 20, "random codes are only behind the photos"
    reader.has_style(LATENTS.mu[chosen].mean(axis=0))
    style = reader.style()
    reader.page.locator("#map [data-action=pin-mean]").click()
    reader.page.wait_for_function("studio.get('pins').length === 1")
    assert reader.page.evaluate("studio.get('pins')[0].z") == style
    reader.page.locator("#map [data-action=unselect]").click()
    reader.page.wait_for_function(f"{PLOT}._fullData.every(({{ selectedpoints }}) => !selectedpoints)")
    assert reader.page.locator("#map .lassoed").is_hidden()


# Another way to lay out


def test_settings_that_cannot_be_met_leave_the_map_as_it_is(reader):
    reader.choose("umap")
    reader.shows(LATENTS.map_for(MapSettings("umap")).coords)
    field = reader.page.locator("#map input[name=neighbours]")
    field.evaluate("field => { field.removeAttribute('max'); field.value = '5000'; }")
    reader.page.locator("#map .tune [type=submit]").click()
    assert "Neighbours is 5000; use a whole number from 2 to 200" in reader.error()
    reader.shows(LATENTS.map_for(MapSettings("umap")).coords)
    assert field.input_value() == "5000", "to be mended"
    reader.choose("pca")
    reader.shows(LATENTS.map_pca)
    assert reader.page.locator("#map .panel > .error").is_hidden()


def test_a_map_that_takes_time_shows_its_progress_and_can_be_cancelled(reader):
    reader.choose("tsne")
    reader.shows(LATENTS.map_for(MapSettings("tsne")).coords)
    reader.page.locator("#map input[name=perplexity]").fill("7")
    reader.page.locator("#map .tune [type=submit]").click()
    working = reader.page.locator("#map .working")
    working.wait_for()
    reader.page.locator("#map [data-action=cancel]").click()
    working.wait_for(state="hidden")
    reader.page.wait_for_timeout(800)
    reader.shows(LATENTS.map_for(MapSettings("tsne")).coords)
    assert reader.page.locator("#map input[name=perplexity]").input_value() == "7", "what was typed stays"
    reader.page.locator("#map input[name=perplexity]").fill("8")
    reader.page.locator("#map .tune [type=submit]").click()
    working.wait_for()
    reader.page.wait_for_function("document.querySelector('#map .working progress').value > 0.3", timeout=30_000)
    working.wait_for(state="hidden", timeout=30_000)
    assert not np.allclose(reader.places(), LATENTS.map_for(MapSettings("tsne")).coords)
    index = reader.lonely()
    reader.press(index)
    reader.has_style(LATENTS.mu[index])


# Other photos, other models


def test_own_photos_lie_beside_those_of_the_model(reader):
    reader.add_photos(("mine.zip", archive(boots__red=RED, boots__blue=BLUE, notes=b"no photo")), ("green.jpg", GREEN))
    reader.page.wait_for_function(f"{PLOT}._fullData?.some(({{ name }}) => name === 'own')")
    own = reader.page.evaluate("studio.get('own').names")
    assert sorted(own) == ["boots/blue.jpg", "boots/red.jpg", "green.jpg"]
    assert "3 of your photos" in reader.page.locator("#own").inner_text()
    reader.page.locator("#map .layers input[name=prior]").uncheck()
    reader.page.locator("#map .layers input[name=photos]").uncheck()
    reader.page.wait_for_function(f"{PLOT}._fullData.length === 1")
    index = reader.lonely("own")
    x, y = reader.pixel(index, "own")
    reader.page.mouse.move(x - 4, y - 4)
    reader.page.mouse.move(x, y)
    reader.page.locator("#map .tip").wait_for()
    assert reader.page.locator("#map .tip").inner_text().strip() == own[index]
    reader.press(index, "own")
    reader.page.wait_for_timeout(500)
    place = LATENTS.pca.transform(np.array([reader.style()]))[0]
    assert reader.places("own")[index] == pytest.approx(place, abs=1e-3)
    reader.page.locator("#own [data-action=forget]").click()
    reader.page.wait_for_function(f"!{PLOT}._fullData?.some(({{ name }}) => name === 'own')")


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ([("notes.zip", archive(notes=b"no photo", more=b"no photo either"))], "notes.txt"),
        ([("broken.zip", b"PK\x03\x04 and nothing more")], "broken.zip"),
        ([("broken.jpg", b"\xff\xd8 and nothing more")], "broken.jpg"),
        ([("empty.zip", archive())], "empty.zip|no photo"),
    ],
)
def test_files_that_are_no_photos_leave_the_map_as_it_is(reader, files, match):
    reader.add_photos(*files)
    line = reader.page.locator("#own .error")
    line.wait_for()
    assert re.search(match, line.inner_text()), line.inner_text()
    reader.shows(LATENTS.map_pca)
    assert reader.page.evaluate("studio.get('own')") is None


def test_one_photo_of_somebodys_own_is_enough(reader):
    reader.add_photos(("red.jpg", RED))
    reader.page.wait_for_function(f"{PLOT}._fullData?.some(({{ name }}) => name === 'own')")
    reader.page.locator("#map .readings summary").click()
    reader.page.locator("#map .whose button[data-value=own]").click()
    reader.page.get_by_text("Too few photos to judge a latent space by: 1").wait_for()


def test_a_model_whose_photos_were_never_read_says_so_and_shows_own_ones(reader):
    reader.choose_model("bare")
    reader.page.locator("#map .frame > .blank").wait_for()
    assert "prepare bare" in reader.page.locator("#map .frame > .blank").inner_text()
    reader.add_photos(("red.jpg", RED), ("blue.jpg", BLUE), ("green.jpg", GREEN))
    reader.page.locator("#map .frame > .blank").wait_for(state="hidden")
    reader.page.wait_for_function(f"{PLOT}._fullData?.some(({{ name, x }}) => name === 'own' && x.length === 3)")
    reader.choose("tsne")
    assert "too few" in reader.error()
    reader.page.wait_for_function("document.querySelector('#map .method [data-value=pca]').ariaPressed === 'true'")


def test_another_model_has_its_own_map(reader):
    reader.choose_model("edges2clothes")
    other = load_latents(DEFAULT_ROOT / "edges2clothes")
    reader.shows(other.map_pca)
    index = reader.lonely()
    reader.press(index)
    reader.has_style(other.mu[index])
    reader.choose_model(NAME)
    reader.shows(LATENTS.map_pca)


def test_another_drawing_is_painted_when_the_map_is_opened_again(reader):
    index = reader.lonely()
    reader.press(index)
    reader.has_style(LATENTS.mu[index])
    before = reader.page.locator("#map-stage img").get_attribute("src")
    reader.open_tab("draw")
    tiles = reader.sources
    reader.draw(LACE)
    reader.wall(other_than=tiles)
    reader.open_tab("map")
    reader.page.wait_for_function("before => document.querySelector('#map-stage img').src !== before", arg=before)
    reader.has_style(LATENTS.mu[index])


# In words


def test_readings_say_how_the_codes_are(reader):
    badge = reader.page.locator("#map .readings > summary .verdict")
    badge.wait_for()
    assert badge.inner_text() == "watch"
    reader.page.locator("#map .readings summary").click()
    names = reader.page.locator("#map .readings li").evaluate_all("lines => lines.map((line) => line.dataset.name)")
    assert {"kl", "active_dims", "mean", "variance", "distance", "overlap", "correlation"} <= set(names)
    line = reader.page.locator("#map .readings li[data-name=active_dims]").inner_text()
    assert "8 of 8" in line


# A training run


@pytest.fixture(scope="module")
def url(checkpoints, serve, tmp_path_factory) -> str:
    from bicyclegan.ui.app import build_app, launch_options
    from bicyclegan.ui.settings import Settings
    from bicyclegan.ui.studio import Studio

    settings = Settings(checkpoints=checkpoints, runs=write_run(tmp_path_factory.mktemp("runs")))
    options = {key: value for key, value in launch_options(settings).items() if not key.startswith("server_")}
    return serve(build_app(Studio(settings)), **options)


def write_run(runs: Path) -> Path:
    """Codes that grow from nothing to those of the shipped model, at four steps."""
    (runs / "growing" / "latents").mkdir(parents=True)
    lines = []
    for k, step in enumerate((0, 100, 200, 300)):
        path = f"latents/step-{step:07d}.npz"
        mu = LATENTS.mu[:40] * (k / 3)
        np.savez(runs / "growing" / path, mu=mu, logvar=np.zeros_like(mu), names=np.array(LATENTS.names[:40]))
        lines.append(json.dumps({"kind": "latents", "step": step, "path": path, "picture": ""}))
    (runs / "growing" / "events.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return runs


def test_a_run_plays_how_its_codes_moved(reader):
    reader.page.locator("#map .history summary").click()
    reader.page.locator("#map select.run").select_option("growing")
    reader.page.wait_for_function(f"{PLOT}._fullData[0]?.name === 'history'")
    spread = f"(() => {{ const {{ x }} = {PLOT}._fullData[0]; return Math.max(...x) - Math.min(...x); }})()"
    assert reader.page.evaluate(spread) > 1
    assert "Step 300" in reader.page.locator("#map .history .step").inner_text()
    reader.page.locator("#map [data-action=play]").click()
    reader.page.wait_for_function(f"{spread} < 0.01")
    assert "0 of 8 dims active" in reader.page.locator("#map .history .step").inner_text()
    reader.page.wait_for_function("document.querySelector('#map .step').textContent.startsWith('Step 300')")
    style = reader.style()
    reader.page.mouse.click(*reader.pixel(0, "history"))
    reader.page.wait_for_timeout(400)
    assert reader.style() == style, "codes of a run mean nothing to the model in use"
    reader.page.locator("#map select.run").select_option("")
    reader.shows(LATENTS.map_pca)
    reader.page.locator("#map .mark.here").wait_for()


# What goes wrong


def test_a_model_that_cannot_have_the_chosen_map_has_that_of_pca(reader):
    reader.choose("tsne")
    reader.shows(LATENTS.map_for(MapSettings("tsne")).coords)
    reader.choose_model("few")
    assert "too few for" in reader.error()
    few = LATENTS.mu[:40]
    reader.shows(Pca.fit(few).transform(few))
    index = reader.lonely()
    reader.press(index)
    reader.has_style(few[index])


def test_points_of_the_model_before_are_never_those_of_this_one(reader):
    gate = Gate(reader, "map_points")
    reader.choose_model("edges2clothes")
    gate.wait()
    assert reader.page.evaluate(f"{PLOT}._fullData ?? null") is None, "nothing to press"
    gate.held.pop().fulfill(json={"error": "The studio is busy."})
    assert "busy" in reader.error()
    gate.open()
    reader.open_tab("draw")
    reader.open_tab("map")
    reader.shows(load_latents(DEFAULT_ROOT / "edges2clothes").map_pca)


def test_an_empty_lasso_and_escape_let_everything_go(reader):
    lasso = reader.page.locator("#map [data-action=lasso]")
    lasso.click()
    box = reader.page.locator("#map .plot").bounding_box()
    corner = [box["x"] + 60, box["y"] + 40]
    for size in (20, 300):
        path = [(0, 0), (size, 0), (size, size), (0, size), (0, size * 0.1)]
        reader.page.mouse.move(corner[0] + path[0][0], corner[1] + path[0][1])
        reader.page.mouse.down()
        for x, y in path[1:]:
            reader.page.mouse.move(corner[0] + x, corner[1] + y, steps=6)
        reader.page.mouse.up()
        if size == 20:
            reader.page.wait_for_timeout(300)
            assert reader.page.locator("#map .lassoed").is_hidden()
            assert reader.page.evaluate(f"{PLOT}._fullData.every(({{ selectedpoints }}) => !selectedpoints)")
    reader.page.locator("#map .lassoed").wait_for()
    reader.page.locator("#map .colour select").select_option("kl")
    assert reader.page.evaluate(f"{PLOT}._fullLayout.dragmode") == "lasso", "as the button says"
    reader.page.locator("#map .plot").focus()
    reader.page.keyboard.press("Escape")
    reader.page.locator("#map .lassoed").wait_for(state="hidden")
    assert lasso.get_attribute("aria-pressed") == "false"


def test_what_is_pinned_of_a_lasso_is_its_mean_whatever_came_after(reader):
    lasso = reader.page.locator("#map [data-action=lasso]")
    lasso.click()
    middle = np.median(np.array(reader.page.evaluate(ALL_PIXELS, "photos")), axis=0)
    path = [(-50, -50), (50, -50), (50, 50), (-50, 50), (-50, -40)]
    reader.page.mouse.move(*(middle + path[0]).tolist())
    reader.page.mouse.down()
    for corner in path[1:]:
        reader.page.mouse.move(*(middle + corner).tolist(), steps=6)
    reader.page.mouse.up()
    reader.page.locator("#map .lassoed").wait_for()
    mean = reader.style()
    reader.page.evaluate("studio.setStyle(new Array(8).fill(1.5))")
    reader.page.locator("#map [data-action=pin-mean]").click()
    reader.page.wait_for_function("studio.get('pins').length === 1")
    assert reader.page.evaluate("studio.get('pins')[0].z") == mean


def test_marks_stay_in_three_dimensions_when_colours_change(reader):
    reader.pin_wall(0)
    reader.choose("pca", 3)
    reader.page.wait_for_function(f"{PLOT}._fullData?.at(-1)?.name === 'marks'")
    reader.page.locator("#map .colour select").select_option("kl")
    reader.page.wait_for_timeout(300)
    assert reader.traces() == ["prior", "photos", "marks"]
    reader.page.locator("#map .layers input[name=prior]").uncheck()
    reader.page.wait_for_function(f"{PLOT}._fullData.length === 2")
    assert reader.traces() == ["photos", "marks"]
    reader.choose("pca", 2)
    reader.page.locator("#map .mark.here").wait_for()
    assert reader.traces() == ["photos"]


def test_turning_the_map_is_no_press(reader):
    reader.choose("pca", 3)
    reader.page.wait_for_function(f"{PLOT}._fullData?.at(-1)?.name === 'marks'")
    box = reader.page.locator("#map .plot").bounding_box()
    x, y = box["x"] + box["width"] / 2 - 10, box["y"] + box["height"] / 2
    reader.page.mouse.move(x - 2, y)
    reader.page.mouse.move(x, y)
    reader.page.locator("#map .tip").wait_for()
    before = reader.style()
    reader.page.mouse.down()
    reader.page.mouse.move(x + 70, y + 8, steps=5)
    reader.page.mouse.up()
    reader.page.wait_for_timeout(400)
    assert reader.style() == before
    reader.page.mouse.move(x - 2, y)
    reader.page.mouse.move(x, y)
    reader.page.locator("#map .tip").wait_for()
    layer, index = (reader.page.locator("#map .tip").get_attribute(f"data-{name}") for name in ("layer", "index"))
    reader.page.mouse.down()
    reader.page.mouse.up()
    reader.has_style({"photos": LATENTS.mu, "prior": prior_codes(500, 8)}[layer][int(index)])


def test_hiding_a_layer_moves_nothing(reader):
    before = reader.page.evaluate(f"{PLOT}._fullLayout.xaxis.range")
    reader.page.locator("#map .layers input[name=prior]").uncheck()
    reader.page.wait_for_function(f"{PLOT}._fullData.length === 1")
    assert reader.page.evaluate(f"{PLOT}._fullLayout.xaxis.range") == pytest.approx(before)
