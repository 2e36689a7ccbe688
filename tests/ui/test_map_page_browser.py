"""The map that `map` writes, in Chromium, opened from the disk with no network, as whoever gets the file would.

It stands here for the browser that the tests of the interface share: one process cannot start two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from latent_example import COLOURS, example_codes, plant_latents, write_code_run

from bicyclegan.cli import main
from bicyclegan.metrics.chart_parts import PAGE, PALETTE

pytestmark = pytest.mark.browser
pytest.importorskip("plotly")

MU, LOGVAR = example_codes(32)
MU[:, 0] *= 3
NAMES = [f"{'boots' if k % 2 else 'heels'}/<b>{k}</b>.png" for k in range(32)]
DRAWN = "() => Boolean(document.getElementById('map')._fullLayout?._size)"
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"
HARMLESS = ("ReadPixels", "willReadFrequently")
"""What Chromium says of Plotly's way to find the point under the pointer in 3-D."""
PLACE = """(photo) => {
    const map = document.getElementById("map");
    const { left, top } = map.getBoundingClientRect();
    const { xaxis, yaxis } = map._fullLayout;
    const { x, y } = map.data[1];
    return [left + xaxis._offset + xaxis.d2p(x[photo]), top + yaxis._offset + yaxis.d2p(y[photo])];
}"""
HOVER = (
    "() => { const { hidden, innerText } = document.getElementById('hover'); return hidden ? '' : innerText.trim(); }"
)
SEEN = """() => {
    const tile = document.querySelector(".tile").getBoundingClientRect();
    const picture = document.getElementById("sprite");
    const { left, top, width } = picture.getBoundingClientRect();
    const scale = picture.naturalWidth / width;
    const canvas = document.createElement("canvas");
    const pen = canvas.getContext("2d");
    [canvas.width, canvas.height] = [1, 1];
    const middle = [tile.left + tile.width / 2 - left, tile.top + tile.height / 2 - top];
    pen.drawImage(picture, middle[0] * scale, middle[1] * scale, 1, 1, 0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""
"""Colour in the middle of the thumbnail's frame."""


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Callable[..., Path]) -> dict[str, Path]:
    """A flat map, one in space, and the film of a run."""
    folder = tmp_path_factory.mktemp("maps")
    model = plant_latents(make_checkpoint(folder / "model"), MU, LOGVAR, NAMES)
    run = write_code_run(folder / "run", {100: 0.2 * MU, 1200: 0.6 * MU, 2000: MU})
    for name, arguments in {
        "flat": ["--checkpoint", model],
        "space": ["--checkpoint", model, "--dims", 3],
        "film": ["--run", run],
    }.items():
        main(["map", *map(str, arguments), "--out", str(folder / f"{name}.html")])
    return {path.stem: path for path in folder.glob("*.html")}


@pytest.fixture
def open_map(chromium) -> Iterator[Callable]:
    """`open_map(path, width, ...)`: a page without network, which must not complain nor ask for anything."""
    contexts, problems = [], []

    def open_map(path: Path, width: int = 1280, **options):
        contexts.append(chromium.new_context(viewport={"width": width, "height": 844}, offline=True, **options))
        page, own = contexts[-1].new_page(), path.as_uri()
        page.on(
            "console", lambda m: None if any(each in m.text for each in HARMLESS) else problems.append(m.text[:300])
        )
        page.on("pageerror", lambda error: problems.append(f"exception: {str(error)[:300]}"))
        page.on("request", lambda r: None if r.url.startswith((own, "data:")) else problems.append(r.url[:300]))
        page.goto(own)
        wait_for(page, DRAWN)
        return page

    yield open_map
    for context in contexts:
        context.close()
    assert not problems, "\n".join(problems)


def wait_for(page, function: str, value: object = True) -> None:
    """Until a function in the page returns a value. The page's own policy forbids Playwright's way of waiting."""
    end = time.monotonic() + 10
    while (found := page.evaluate(function)) != value:
        assert time.monotonic() < end, f"{function} gave {found!r}, not {value!r}"
        page.wait_for_timeout(50)


def point_at(page, photo: int) -> tuple[float, float]:
    """Move the mouse to a photo's dot."""
    page.locator("#map").scroll_into_view_if_needed()
    page.mouse.move(5, 5)
    page.wait_for_timeout(100)
    x, y = page.evaluate(PLACE, photo)
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    return x, y


def lonely(page, count: int) -> list[int]:
    """Photos whose dots are farthest from any other."""
    places = np.array([page.evaluate(PLACE, photo) for photo in range(32)])
    distances = np.linalg.norm(places[:, None] - places, axis=2) + 1e9 * np.eye(32)
    return np.argsort(-distances.min(axis=1))[:count].tolist()


def fills(page, trace: int = 1) -> list[str]:
    """Colours of the dots."""
    return page.evaluate(
        "(trace) => [...document.querySelectorAll(`#map .scatterlayer .trace:nth-child(${trace + 1}) path.point`)]"
        ".map((dot) => getComputedStyle(dot).fill)",
        trace,
    )


@pytest.mark.parametrize("width", [390, 1280])
def test_a_dot_tells_its_photo(open_map, maps: dict[str, Path], width: int) -> None:
    page = open_map(maps["flat"], width)
    assert page.evaluate(OVERFLOW) <= 0
    for photo in lonely(page, 4):
        point_at(page, photo)
        wait_for(page, HOVER, NAMES[photo])
        assert np.abs(np.subtract(page.evaluate(SEEN), COLOURS[photo].astype(int))).max() < 16
        box = page.locator("#hover").bounding_box()
        assert min(box["x"], box["y"]) >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= 844
    assert page.locator("#hover b b").count() == 0, "names are no markup"
    page.mouse.move(5, 5)
    wait_for(page, HOVER, "")


def test_a_finger_does_the_same(open_map, maps: dict[str, Path]) -> None:
    page = open_map(maps["flat"], 390, has_touch=True, is_mobile=True)
    page.locator("#map").scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    [photo] = lonely(page, 1)
    page.touchscreen.tap(*page.evaluate(PLACE, photo))
    wait_for(page, HOVER, NAMES[photo])


def test_keys_go_from_photo_to_photo(open_map, maps: dict[str, Path]) -> None:
    page = open_map(maps["flat"])
    page.locator("#map").focus()
    page.wait_for_timeout(200)  # it scrolls into view, which hides what was told
    for key, photo in (("ArrowRight", 0), ("ArrowRight", 1), ("ArrowLeft", 0), ("ArrowUp", 31), ("ArrowDown", 0)):
        page.keyboard.press(key)
        wait_for(page, HOVER, NAMES[photo])
    page.keyboard.press("Escape")
    wait_for(page, HOVER, "")


@pytest.mark.parametrize("width", [390, 1280])
def test_a_choice_colours_the_dots(open_map, maps: dict[str, Path], width: int) -> None:
    page = open_map(maps["flat"], width)
    assert fills(page) == [f"rgb({', '.join(map(str, colour))})" for colour in COLOURS[:32].tolist()]
    select = page.get_by_label("Colour")
    select.select_option("folder of the photo")
    even, odd = set(fills(page)[::2]), set(fills(page)[1::2])
    assert len(even) == len(odd) == 1
    assert even != odd
    assert page.locator("#key").inner_text().split() == ["boots", "(16)", "heels", "(16)"]
    select.select_option("dim 1 of z")
    order = np.argsort(MU[:, 0])
    red = [int(fills(page)[k][4:].split(",")[0]) for k in order]
    assert red == sorted(red)
    assert red[-1] - red[0] > 100
    [photo] = lonely(page, 1)
    point_at(page, photo)
    value = f"{MU[photo, 0]:.3g}".replace("-", "−")
    wait_for(page, HOVER, f"{NAMES[photo]}\ndim 1 of z: {value}")
    for choice in ("cluster", "KL of the photo"):
        select.select_option(choice)
        assert len(set(fills(page))) > 4
    assert page.evaluate(OVERFLOW) <= 0


@pytest.mark.parametrize("width", [390, 1280])
def test_random_codes_can_be_switched_off(open_map, maps: dict[str, Path], width: int) -> None:
    page = open_map(maps["flat"], width)
    dots = page.locator("#map path.point")
    assert dots.count() == 132
    page.get_by_label("Random codes").uncheck()
    wait_for(page, "() => document.querySelectorAll('#map path.point').length", 32)
    page.get_by_label("Colour").select_option("cluster")
    assert dots.count() == 32, "a choice of colours does not bring them back"
    page.get_by_label("Random codes").check()
    wait_for(page, "() => document.querySelectorAll('#map path.point').length", 132)


def test_a_closer_look_can_be_left_again(open_map, maps: dict[str, Path]) -> None:
    page = open_map(maps["flat"])
    whole = "() => document.getElementById('map')._fullLayout.xaxis.range.map((x) => Math.round(100 * x)).join()"
    before = page.evaluate(whole)
    box = page.locator("#map").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 120, middle[1] + 90, steps=4)
    page.mouse.up()
    wait_for(page, f"() => ({whole})() !== '{before}'")
    page.get_by_label("Colour").select_option("cluster")
    assert page.evaluate(whole) != before, "a choice of colours keeps it"
    page.get_by_role("button", name="Whole map").click()
    wait_for(page, whole, before)


def test_a_dark_page_has_a_dark_map(open_map, maps: dict[str, Path]) -> None:
    page = open_map(maps["flat"], color_scheme="dark")
    page.get_by_label("Colour").select_option("cluster")
    outline = "() => getComputedStyle(document.querySelector('#map .trace:nth-child(2) path.point')).stroke"
    wait_for(page, outline, rgb(PALETTE[PAGE]))
    page.emulate_media(color_scheme="light")
    wait_for(page, outline, rgb(PAGE))


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})"


def test_a_map_in_space_tells_photos_too(open_map, maps: dict[str, Path]) -> None:
    page = open_map(maps["space"])
    page.wait_for_timeout(500)
    box = page.locator("#map").bounding_box()
    for share in np.linspace(0.2, 0.8, 120):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 0.5 * box["height"])
        page.wait_for_timeout(30)
        if page.evaluate(HOVER):
            break
    assert page.evaluate(HOVER) in NAMES


def test_a_film_plays_and_can_be_held(open_map, maps: dict[str, Path]) -> None:
    page = open_map(maps["film"], 390)
    assert page.evaluate(OVERFLOW) <= 0
    told = "() => document.getElementById('moment-told').textContent"
    spread = "() => { const { x } = document.getElementById('map').data[1]; return Math.max(...x) - Math.min(...x); }"
    assert page.evaluate(told) == "step 2,000"
    last = page.evaluate(spread)
    slider = page.get_by_label("Step of the training")
    slider.focus()
    page.keyboard.press("Home")
    wait_for(page, told, "step 100")
    assert page.evaluate(spread) == pytest.approx(0.2 * last, rel=0.01)
    page.keyboard.press("ArrowRight")
    wait_for(page, told, "step 1,200")
    assert page.evaluate(spread) == pytest.approx(0.6 * last, rel=0.01)
    page.keyboard.press("Home")
    page.get_by_role("button", name="Play").click()
    between = f"() => {{ const width = ({spread})(); return width > {0.25 * last} && width < {0.55 * last}; }}"
    wait_for(page, between)  # it moves, it does not jump
    wait_for(page, told, "step 2,000")
    wait_for(page, "() => document.getElementById('play').textContent", "Play")
    assert page.evaluate(spread) == pytest.approx(last, rel=0.01)


def test_a_film_jumps_where_motion_is_not_wanted(open_map, maps: dict[str, Path]) -> None:
    page = open_map(maps["film"], reduced_motion="reduce")
    spread = "() => { const { x } = document.getElementById('map').data[1]; return Math.max(...x) - Math.min(...x); }"
    last = page.evaluate(spread)
    page.get_by_role("button", name="Play").click()
    seen = set()
    while page.locator("#play").inner_text() == "Pause":
        seen.add(round(page.evaluate(spread) / last, 2))
    assert seen <= {0.2, 0.6, 1.0}
