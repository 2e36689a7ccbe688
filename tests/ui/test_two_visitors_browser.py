"""Two people at one app at the same time: each gets what they would get alone, and sees nothing of the other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import chain
from types import SimpleNamespace

import numpy as np
import pytest
from studio_visitor import LACE, NAME, OUTLINE, Visitor

from bicyclegan.checkpoints import DEFAULT_ROOT, load_examples
from bicyclegan.latent import sample_codes
from bicyclegan.pipeline import Pipeline
from bicyclegan.sketch import Sketch

pytestmark = pytest.mark.browser

BOOT = [(60, 40), (120, 40), (125, 110), (215, 150), (220, 190), (60, 190), (60, 40)]
STRAP = [(62, 80), (122, 80)]
TABLE = {
    "rows": [{"id": "live", "live": True}]
    + [{"id": f"r{k}", "sketch": each.to_json()} for k, each in enumerate(load_examples(DEFAULT_ROOT / NAME)[:5])],
    "columns": [{"id": f"c{k}", "name": f"{k}", "z": z} for k, z in enumerate(sample_codes(7, 8, 8).tolist())],
}
"""Six drawings times eight styles: the largest piece of work that the page gives to the server by itself."""


@pytest.fixture(scope="module")
def pipe() -> Pipeline:
    return Pipeline.from_pretrained(NAME, device="cpu")


@pytest.fixture
def two(open_page, url) -> SimpleNamespace:
    """Two browsers without any storage in common: another size makes another context."""
    return SimpleNamespace(a=Visitor(open_page(url, width=1270)), b=Visitor(open_page(url, width=1260)))


def get(visitor: Visitor, key: str):
    return visitor.page.evaluate("key => studio.get(key)", key)


def table_of(visitor: Visitor) -> dict:
    """Rows and columns of the table of the model in use."""
    return visitor.page.evaluate("studio.get('matrix')[studio.get('model').hash]")


def alone(pipe: Pipeline, sketch: str, codes: list) -> list[np.ndarray]:
    """What nobody else has a part in."""
    pictures = pipe(Sketch.from_json(sketch), z=np.array(codes, np.float32)).images
    return [np.asarray(picture).astype(int) for picture in pictures]


def assert_same(sources: list[str], pictures: list[np.ndarray]) -> None:
    """Photos of the page, small WebP files, are these pictures."""
    for source, picture in zip(sources, pictures, strict=True):
        assert np.abs(Visitor.pixels(source).astype(int) - picture).mean() < 3


def assert_own_wall(visitor: Visitor, pipe: Pipeline) -> None:
    codes = sample_codes(0, 8, 8)
    assert get(visitor, "wall")["z"] == codes.tolist()
    assert_same(visitor.wall(), alone(pipe, get(visitor, "sketch"), codes))


def draw_both(two: SimpleNamespace, first: list, second: list) -> None:
    """Both strokes end before either has its photos."""
    walls = two.a.sources, two.b.sources
    two.a.draw(first)
    two.b.draw(second)
    two.a.wall(other_than=walls[0])
    two.b.wall(other_than=walls[1])


def eventually(check: Callable[[], None], seconds: float = 15) -> None:
    """Wait until what is on the page is right: other pictures may be there before."""
    end = time.monotonic() + seconds
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def let_it_be_stored(visitor: Visitor) -> None:
    """The drawing is stored a moment after the last stroke."""
    visitor.page.wait_for_timeout(400)


def points(visitor: Visitor) -> list:
    """Where the strokes start."""
    return [stroke["points"][0] for stroke in json.loads(get(visitor, "sketch"))["strokes"]]


def kept(visitor: Visitor, key: str) -> list:
    """What stands on the shelf and what lies in the browser's storage."""
    stored = visitor.page.evaluate("key => JSON.parse(localStorage.getItem(`bicyclegan.${key}`) ?? '[]')", key)
    assert stored == get(visitor, key)
    assert visitor.page.locator(f"#shelf .{key} .item").count() == len(stored)
    return stored


# Draw


def test_each_sees_photos_of_their_own_strokes(two, pipe):
    draw_both(two, OUTLINE, BOOT)
    draw_both(two, LACE, STRAP)
    for visitor, strokes in ((two.a, (OUTLINE, LACE)), (two.b, (BOOT, STRAP))):
        starts = [stroke[0] for stroke in strokes]
        assert np.abs(np.array(points(visitor)) - starts).max() < 2
        assert_own_wall(visitor, pipe)
    assert not set(two.a.sources) & set(two.b.sources)


def test_drawings_and_photos_are_still_those_after_a_reload(two, pipe):
    draw_both(two, OUTLINE, BOOT)
    sketches, walls = zip(*((get(each, "sketch"), each.wall()) for each in (two.a, two.b)), strict=True)
    for visitor in (two.a, two.b):
        let_it_be_stored(visitor)
    two.a.page.reload(wait_until="commit")
    two.b.page.reload(wait_until="commit")
    again = Visitor(two.a.page), Visitor(two.b.page)
    for visitor, sketch, wall in zip(again, sketches, walls, strict=True):
        assert visitor.wall() == wall
        assert get(visitor, "sketch") == sketch
        assert_own_wall(visitor, pipe)


def test_a_newcomer_finds_nothing_of_the_other(two):
    two.a.draw(OUTLINE)
    two.a.wall()
    two.a.pin_wall(0)
    two.a.page.locator("#shelf .keep").click()
    two.b.page.reload()
    newcomer = Visitor(two.b.page)
    assert newcomer.sources == []
    assert get(newcomer, "sketch") == ""
    assert kept(newcomer, "pins") == kept(newcomer, "drawings") == []


# The shelf


def test_pins_and_kept_drawings_stay_with_their_owner(two):
    draw_both(two, OUTLINE, BOOT)
    two.a.pin_wall(0, 1)
    two.b.pin_wall(5)
    for visitor in (two.a, two.b):
        visitor.page.locator("#shelf .keep").click()
    walls = [get(each, "wall")["z"] for each in (two.a, two.b)]
    for again in (False, True):
        for visitor, places, wall in ((two.a, (0, 1), walls[0]), (two.b, (5,), walls[1])):
            if again:
                let_it_be_stored(visitor)
                visitor.page.reload()
                visitor.page.wait_for_function("() => window.studioReady")
                visitor.wall()
            assert [pin["z"] for pin in kept(visitor, "pins")] == [wall[place] for place in places]
            assert [drawing["sketch"] for drawing in kept(visitor, "drawings")] == [get(visitor, "sketch")]
    assert kept(two.a, "drawings")[0]["thumb"] != kept(two.b, "drawings")[0]["thumb"]


# Explore


def test_sliders_of_both_at_once(two, pipe):
    draw_both(two, OUTLINE, BOOT)
    for visitor in (two.a, two.b):
        visitor.open_tab("explore")
        visitor.stage()
    for step in range(12):  # in turns, as two hands would
        for visitor, dim, sign in ((two.a, 1, 1), (two.b, 4, -1)):
            number = visitor.page.locator("#sliders .knob input[type=range]").nth(dim)
            number.fill(f"{sign * (step + 1) * 0.2:.2f}")
    for visitor, dim, value in ((two.a, 1, 2.4), (two.b, 4, -2.4)):
        expected = sample_codes(0, 8, 8)[0].astype(float)
        expected[dim] = value
        assert visitor.style() == pytest.approx(expected.tolist(), abs=1e-6)
        [picture] = alone(pipe, get(visitor, "sketch"), [visitor.style()])
        eventually(lambda visitor=visitor, picture=picture: assert_same([visitor.stage()], [picture]))


# Compare


def test_tables_of_both_at_once(two, pipe):
    draw_both(two, OUTLINE, BOOT)
    two.b.pin_wall(3, 6)
    for visitor in (two.a, two.b):
        visitor.open_tab("compare")
    for visitor in (two.a, two.b):
        visitor.table(3, 6)
        visitor.page.locator("#matrix [data-action=reroll]").click()
    plans = []
    for visitor in (two.a, two.b):
        visitor.page.wait_for_function("() => studio.get('matrix')[studio.get('model').hash]")
        plans.append(table_of(visitor))
        assert_own_table(visitor, plans[-1], pipe)
    assert not {str(each["z"]) for each in plans[0]["columns"]} & {str(each["z"]) for each in plans[1]["columns"]}
    for visitor, plan in zip((two.a, two.b), plans, strict=True):
        visitor.page.reload()
        again = Visitor(visitor.page)
        again.open_tab("compare")
        assert table_of(again) == plan
        assert_own_table(again, plan, pipe)


def assert_own_table(visitor: Visitor, plan: dict, pipe: Pipeline) -> None:
    codes = [column["z"] for column in plan["columns"]]
    sketches = [get(visitor, "sketch") if row.get("live") else row["sketch"] for row in plan["rows"]]
    pictures = [picture for sketch in sketches for picture in alone(pipe, sketch, codes)]
    eventually(lambda: assert_same([*chain(*visitor.table(len(sketches), len(codes)))], pictures))


def test_numbers_and_two_models_of_both_at_once(two):
    draw_both(two, OUTLINE, BOOT)
    for visitor in (two.a, two.b):
        visitor.open_tab("compare")
        visitor.table(3, 6)
    two.a.page.locator("#matrix tbody tr").nth(1).get_by_role("button", name="Numbers of this row").click()
    two.b.page.locator("#matrix tbody tr").nth(2).get_by_role("button", name="Numbers of this row").click()
    for visitor, row in ((two.a, "Row 2"), (two.b, "Row 3")):
        visitor.page.locator("#numbers h4").wait_for(timeout=30_000)
        assert row in visitor.page.locator("#numbers h4").inner_text()
    for visitor in (two.a, two.b):
        visitor.page.locator("#models > button").click()
    pairs = [visitor.page.locator("#ab-slider img") for visitor in (two.a, two.b)]
    for pair in pairs:
        pair.nth(1).wait_for()
    addresses = [pair.evaluate_all("images => images.map(({ src }) => src)") for pair in pairs]
    assert not set(addresses[0]) & set(addresses[1])


# One works hard, the other one draws

NOTE_TIMES_JS = """() => {
    window.times = {};
    for (const name of ["painted", "filled"])
        window.addEventListener(`studio:${name}`, () => { window.times[name] = Date.now(); });
}"""


def last(visitor: Visitor, name: str) -> float:
    """When this last happened on the page; both pages read the same clock."""
    visitor.page.wait_for_function("name => window.times[name]", arg=name, timeout=30_000)
    return visitor.page.evaluate("name => window.times[name]", name)


def draw_meanwhile(visitor: Visitor, pipe: Pipeline) -> None:
    """A short stroke; its photos come and are the right ones."""
    before = visitor.sources
    visitor.draw(STRAP)
    visitor.wall(other_than=before)
    assert_own_wall(visitor, pipe)


def test_a_stroke_does_not_wait_for_somebodys_table(two, pipe):
    draw_both(two, OUTLINE, BOOT)
    plan = {**TABLE, "hash": get(two.a, "model")["hash"]}
    two.a.page.evaluate("plan => studio.keepTable(plan)", plan)
    let_it_be_stored(two.a)
    two.a.page.reload()
    busy = Visitor(two.a.page)
    busy.wall()
    for visitor in (busy, two.b):
        visitor.page.evaluate(NOTE_TIMES_JS)
    busy.open_tab("compare")
    before = two.b.sources
    two.b.draw(STRAP)
    two.b.wall(other_than=before)
    assert last(two.b, "painted") < last(busy, "filled")
    assert_own_wall(two.b, pipe)
    assert_own_table(busy, plan, pipe)


def test_a_stroke_does_not_wait_for_somebodys_colour(two, pipe):
    draw_both(two, OUTLINE, BOOT)
    two.a.open_tab("explore")
    two.a.open_way("match")
    two.a.page.locator("#match .word").fill("red")
    two.a.page.locator("#match .word").press("Enter")
    draw_meanwhile(two.b, pipe)
    assert two.a.page.locator("#match .found .tile").count() == 0, "the search ended before the stroke's photos came"
    two.a.page.locator("#match .found .tile").nth(7).wait_for(timeout=30_000)
    codes = two.a.page.evaluate("studio.get('style')")
    assert_same([two.a.stage(other_than=two.a.sources[0])], alone(pipe, get(two.a, "sketch"), [codes]))
