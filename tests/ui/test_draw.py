"""What the Draw tab does on the server, above all with what no honest browser would send."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import zlib
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from bicyclegan.checkpoints import DEFAULT_ROOT, load_examples
from bicyclegan.errors import UserError
from bicyclegan.pipeline import Pipeline
from bicyclegan.recipe import read_recipe
from bicyclegan.sketch import Sketch, Stroke
from bicyclegan.ui.knob import Knob
from bicyclegan.ui.settings import Settings
from bicyclegan.ui.studio import Studio, on_gpu
from bicyclegan.ui.tabs.draw import DrawHandlers, fit_photo

NAME = "edges2shoes"
SHOE = load_examples(DEFAULT_ROOT / NAME)[5].to_json()


@pytest.fixture(scope="module")
def handlers() -> DrawHandlers:
    return DrawHandlers(Studio(Settings()))


def visitor(accept_language: str = "en-US,en;q=0.9") -> SimpleNamespace:
    return SimpleNamespace(headers={"accept-language": accept_language})


def paint(handlers, drawing=SHOE, *, checkpoint=NAME, count=2, seed=0, truncation=1.0, lang="en"):
    return handlers.paint_now(drawing, checkpoint, count, seed, truncation, visitor(lang))


def stroke_json(**changes) -> str:
    stroke = {"tool": "pen", "width": 2.0, "color": 0, "points": [[1, 1], [200, 200]], "mirror": False, **changes}
    return json.dumps({"version": 1, "size": 256, "strokes": [stroke], "raster": None})


def data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


def png(image: Image.Image, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def test_a_wall_has_as_many_pictures_as_asked(handlers):
    wall = paint(handlers, count=5)
    assert wall["error"] is None
    assert len(wall["tiles"]) == len(set(wall["tiles"])) == 5
    assert wall["seen"].startswith("data:image/png")


@pytest.mark.parametrize(
    "drawing", [None, "", Sketch().to_json(), Sketch((Stroke(((1.0, 1.0), (9.0, 9.0)), tool="eraser"),)).to_json()]
)
def test_nothing_drawn_is_the_empty_wall(handlers, drawing):
    wall = paint(handlers, drawing)
    assert (wall["tiles"], wall["error"]) == ([], None)


def test_strokes_wait_for_the_button_when_live_is_off(handlers):
    waiting = handlers.repaint(False, SHOE, NAME, 2, 0, 1.0, visitor())
    assert waiting == gr.skip()
    assert len(handlers.repaint(True, SHOE, NAME, 2, 0, 1.0, visitor())["tiles"]) == 2


MILLION = '{"version":1,"size":256,"raster":null,"strokes":[{"tool":"pen","width":2,"color":0,"mirror":false,"points":['
MILLION += ",".join(["[1,2]"] * 600_000) + "]}]}"


@pytest.mark.parametrize(
    ("drawing", "message"),
    [
        (MILLION, "600000 points"),
        ("[" * 100_000, "JSON"),
        ("x" * 50_000_000, "MB"),
        (stroke_json(width=-2), "width"),
        (stroke_json(width="2"), "width"),
        (stroke_json(points=[[0, float("nan")]]), "NaN"),
        (stroke_json(points=[[0, 1e400]]), "Infinity"),
        (stroke_json(tool="laser"), "tool"),
        (stroke_json(color=7), "colou?r"),
        ('{"version": 2}', "version"),
        ("not json", "JSON"),
        (json.dumps({"version": 1, "size": 256, "strokes": [], "raster": "data:image/png;base64,AAAA"}), "raster"),
    ],
    ids=["points", "nesting", "50MB", "negative", "text", "nan", "inf", "tool", "color", "newer", "garbage", "raster"],
)
def test_bad_drawings_get_their_message_on_the_wall(handlers, drawing, message):
    wall = paint(handlers, drawing)
    assert wall["tiles"] == []
    assert re.search(message, wall["error"])
    assert paint(handlers)["error"] is None  # and the next one works


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 17}, "Variations is 17; use a whole number from 1 to 16"),
        ({"count": 10**9}, "from 1 to 16"),
        ({"count": None}, "Variations is None"),
        ({"count": "8"}, "Variations is '8'"),
        ({"seed": -1}, "Seed is -1; use a whole number from 0 to 4294967295"),
        ({"seed": 2**32}, "from 0 to 4294967295"),
        ({"seed": "x"}, "Seed is 'x'"),
        ({"seed": float("nan")}, "Seed is nan"),
        ({"truncation": float("inf")}, "from 0 to 3"),
        ({"truncation": None}, "None"),
        ({"checkpoint": "../../secrets"}, "not there any more"),
        ({"checkpoint": ""}, "not there any more"),
    ],
)
def test_bad_settings_get_their_message_on_the_wall(handlers, values, message):
    assert message in paint(handlers, **values)["error"]


def test_messages_come_in_the_language_of_the_browser(handlers):
    chinese = paint(handlers, seed=-1, lang="zh-CN,zh;q=0.9,en;q=0.8")["error"]
    assert "4294967295" in chinese
    assert any("\u4e00" <= character <= "\u9fff" for character in chinese)
    assert "种变化" in paint(handlers, lang="zh-TW")["status"]


def test_our_own_fault_is_said_without_details(handlers, monkeypatch, caplog):
    def fail(*_args):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(handlers.studio, "paint", fail)
    assert "secret" not in paint(handlers)["error"]
    assert "secret detail" in caplog.text


def test_download_is_the_tile_with_its_recipe(handlers):
    wall = paint(handlers, count=4, seed=3)
    answer = handlers.make_png({"request": wall["request"], "index": 2}, visitor())
    data = base64.b64decode(answer["url"].partition(",")[2])
    recipe = read_recipe(data)
    assert (recipe.index, recipe.seed, len(recipe.z)) == (2, 3, 4)
    assert answer["name"] == f"{NAME}-{recipe.checkpoint_hash[:8]}-seed3-3.png"
    rebuilt = recipe.render(Pipeline.from_pretrained(NAME, device="cpu"))
    assert np.array_equal(np.asarray(rebuilt), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"request": None, "index": 0},
        {"request": {"sketch": SHOE}, "index": 0},
        {"request": {"sketch": SHOE, "checkpoint": [NAME], "count": 1, "truncation": 1}, "index": 0},
        {"request": {"sketch": "", "checkpoint": NAME, "count": 1, "truncation": 1}, "index": 0},
        [],
        "x",
        None,
    ],
)
def test_download_requests_from_anywhere_get_an_error(handlers, caplog, wanted):
    assert handlers.make_png(wanted, visitor())["error"]
    assert not caplog.records  # it was not our fault


@pytest.mark.parametrize("data", [None, [], "x", {}])
def test_events_from_anywhere_get_an_error(handlers, data):
    for handle in (handlers.trace_photo, handlers.load_example):
        with pytest.raises(gr.Error):
            handle(NAME, gr.EventData(None, data), visitor())


@pytest.mark.parametrize("index", [-1, 2, 1.5, "1", None, 10**12])
def test_download_of_a_tile_that_is_not_there(handlers, index):
    request = paint(handlers)["request"]
    assert "index" in handlers.make_png({"request": request, "index": index}, visitor())["error"]


def photo(url: str, name: str = "photo.png") -> gr.EventData:
    return gr.EventData(None, {"data_url": url, "name": name})


def test_a_photo_becomes_lines_and_more_lines(handlers):
    disc = np.full((300, 200, 3), 255, np.uint8)
    disc[90:210, 50:150] = (200, 60, 60)
    disc[130:170, 80:120] = (206, 66, 66)  # a faint inner shape
    sketch, kept, slider = handlers.trace_photo(NAME, photo(data_url(png(Image.fromarray(disc)))), visitor())
    assert slider.visible
    assert kept.shape == (300, 200, 3)
    rasters = {
        d: handlers.trace_again(NAME, kept, d, sketch.to_json(), visitor())[0].rasterise(128) for d in (-1, 0, 1)
    }
    ink = {detail: int((raster == 0).sum()) for detail, raster in rasters.items()}
    assert ink[-1] <= ink[0] < ink[1]
    assert np.array_equal(sketch.rasterise(128), rasters[0])


def test_other_lines_keep_the_strokes_and_a_cleared_photo_stays_away(handlers):
    picture = np.full((64, 64, 3), 255, np.uint8)
    picture[16:48, 16:48] = 0
    sketch, kept, _ = handlers.trace_photo(NAME, photo(data_url(png(Image.fromarray(picture)))), visitor())
    stroke = Stroke(((1.0, 1.0), (90.0, 9.0)))
    drawn = Sketch((stroke,), raster=sketch.raster)
    again, _, _ = handlers.trace_again(NAME, kept, 0.5, drawn.to_json(), visitor())
    assert again.strokes == (stroke,)
    assert again.raster
    for cleared in ("", Sketch((stroke,)).to_json()):
        canvas, forgotten, slider = handlers.trace_again(NAME, kept, 0.5, cleared, visitor())
        assert (canvas, forgotten, slider.visible) == (gr.skip(), None, False)


def test_a_photo_without_lines_says_so(handlers, monkeypatch):
    hints = []
    monkeypatch.setattr(gr, "Warning", lambda message, title: hints.append((title, message)))
    handlers.trace_photo(NAME, photo(data_url(png(Image.new("RGB", (64, 64), "grey")))), visitor("zh-CN"))
    assert hints[0][0] == "请注意"
    assert "没有找到线条" in hints[0][1]


def test_empty_paper_never_waits_for_the_button(handlers):
    assert handlers.repaint(False, "", NAME, 2, 0, 1.0, visitor())["tiles"] == []


def test_an_empty_seed_box_counts_as_zero(handlers):
    assert paint(handlers, seed=None)["tiles"] == paint(handlers, seed=0)["tiles"]


@pytest.mark.parametrize(("typed", "number"), [(None, 8), ("abc", 8), (float("nan"), 8), (1e9, 16), (-5, 1), (3.7, 4)])
def test_knobs_take_anything(typed, number):
    assert Knob(1, 16, 8, step=1).preprocess(typed) == number


def test_large_photos_wait_small():
    assert max(fit_photo(Image.new("RGB", (4000, 3000))).shape) == 512


def bomb() -> bytes:
    data = bytearray(png(Image.new("L", (16, 16))))
    data[16:24] = (20_000).to_bytes(4, "big") * 2  # width and height in the header
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


def animation() -> bytes:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    return png(frames[0], save_all=True, append_images=frames[1:])


NOISE = Image.fromarray(np.random.RandomState(0).randint(0, 255, (64, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (data_url(png(Image.new("RGB", (1, 1)))), "1"),
        (data_url(bomb()), "megapixel|20,?000"),
        (data_url(png(NOISE)[:2000]), "damaged|truncated|incomplete"),
        (data_url(b"GIF89a but no more"), "not|damaged"),
        (data_url(b"%PDF-1.7 something else"), "not"),
        (data_url(animation()), "frames"),
        ("data:image/png;base64,%%%", "base64"),
        ("https://example.org/cat.png", "data URL"),
        (None, "data URL"),
        (data_url(b"x" * (26 << 20)), "MB|bytes"),
    ],
    ids=["1x1", "bomb", "truncated", "gif", "pdf", "animated", "base64", "link", "none", "26MB"],
)
def test_bad_photos_raise_a_toast(handlers, url, message):
    with pytest.raises(gr.Error) as raised:
        handlers.trace_photo(NAME, photo(url), visitor())
    assert re.search(message, raised.value.message)


def test_toasts_show_names_as_text(handlers):
    with pytest.raises(gr.Error) as raised:
        handlers.trace_photo(NAME, photo(data_url(b"no"), name="<img src=x onerror=alert(1)>"), visitor())
    assert "<img" not in raised.value.message


def test_examples_belong_to_the_checkpoint(handlers):
    sketch, kept, slider = handlers.load_example(NAME, gr.EventData(None, {"index": 0}), visitor())
    assert sketch == load_examples(DEFAULT_ROOT / NAME)[0]
    assert kept is None
    assert not slider.visible
    for index in (-1, 99, "0"):
        with pytest.raises(gr.Error, match="index"):
            handlers.load_example(NAME, gr.EventData(None, {"index": index}), visitor())


@pytest.fixture
def two_checkpoints(tmp_path) -> DrawHandlers:
    for name in (NAME, "other"):
        shutil.copytree(DEFAULT_ROOT / NAME, tmp_path / name)
    return DrawHandlers(Studio(Settings(checkpoints=tmp_path)))


def test_a_loaded_checkpoint_paints_on_when_its_folder_vanishes(two_checkpoints, tmp_path):
    before = paint(two_checkpoints, checkpoint="other")
    shutil.rmtree(tmp_path / "other")
    assert paint(two_checkpoints, checkpoint="other")["tiles"] == before["tiles"]
    assert two_checkpoints.studio.names == [NAME]


def test_a_damaged_checkpoint_says_so(two_checkpoints, tmp_path):
    (tmp_path / "other" / "model.safetensors").write_bytes(b"\x00" * 100)
    assert "damaged" in paint(two_checkpoints, checkpoint="other")["error"]
    assert paint(two_checkpoints)["error"] is None


def test_damaged_examples_cost_the_examples_only(two_checkpoints, tmp_path):
    (tmp_path / "other" / "examples.ndjson").write_text("nonsense")
    assert two_checkpoints.studio.examples("other") == []
    assert paint(two_checkpoints, checkpoint="other")["error"] is None


def test_settings_refuse_what_cannot_work(tmp_path):
    with pytest.raises(UserError, match="no checkpoint in"):
        Settings(checkpoints=tmp_path).check()
    with pytest.raises(UserError, match="USER:PASSWORD"):
        Settings(auth="user").check()
    with pytest.raises(UserError, match="Device is 'tpu'"):
        Settings(device="tpu").check()
    assert Settings(auth="user:pass:word").credentials == ("user", "pass:word")


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("BICYCLEGAN_PORT", "8123")
    monkeypatch.setenv("BICYCLEGAN_AUTH", "a:b")
    settings = Settings()
    assert (settings.port, settings.credentials) == (8123, ("a", "b"))
    monkeypatch.setenv("BICYCLEGAN_PORT", "http")
    with pytest.raises(UserError, match="BICYCLEGAN_PORT is 'http'"):
        Settings().check()


def test_gpu_decorator_is_harmless_off_spaces(monkeypatch):
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    assert on_gpu(len) is len
