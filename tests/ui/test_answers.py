"""What the page's scripts may ask: right answers, and one clear line for everything that no honest page would send."""

from __future__ import annotations

import base64
import io
import zipfile
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from bicyclegan.checkpoints import DEFAULT_ROOT, load_examples
from bicyclegan.latent import sample_codes
from bicyclegan.latents_file import load_latents
from bicyclegan.metrics.distance import RGB, best_distance
from bicyclegan.metrics.spread import mean_distance, pairwise_distances
from bicyclegan.pipeline import Pipeline
from bicyclegan.recipe import read_recipe
from bicyclegan.sketch import Sketch, Stroke
from bicyclegan.ui.answers import QUESTIONS, Answers, server_functions
from bicyclegan.ui.settings import Settings
from bicyclegan.ui.studio import MAX_PREPARED, Studio

NAME = "edges2shoes"
SHOE = load_examples(DEFAULT_ROOT / NAME)[5].to_json()
CODES = sample_codes(3, 4, 8)
SUBJECT = {"checkpoint": NAME, "sketch": SHOE}
CODE = CODES[0].tolist()
LINK = {**SUBJECT, "seed": 0, "count": 8, "truncation": 1, "tab": "draw"}
FILM = {"codes": CODES.tolist(), "frames": 4, "fps": 9, "format": "gif"}
LONG = Sketch((Stroke(tuple((k % 256 + 0.25, k * 7 % 256 + 0.75) for k in range(20_000))),)).to_json()


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio(Settings(device="cpu"))


@pytest.fixture(scope="module")
def functions(studio) -> dict:
    return {function.__name__: function for function in server_functions((Answers(studio), QUESTIONS))}


@pytest.fixture
def ask(functions):
    def ask(question: str, /, lang: str = "en", **wanted) -> dict:
        return functions[question](wanted, SimpleNamespace(headers={"accept-language": lang}))

    return ask


@pytest.fixture(scope="module")
def pipe() -> Pipeline:
    return Pipeline.from_pretrained(NAME, device="cpu")


def bytes_of(url: str) -> bytes:
    return base64.b64decode(url.partition(",")[2])


def pixels(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(bytes_of(url))).convert("RGB"))


def photo_url(colour=(180, 40, 40), side: int = 64) -> str:
    picture = np.full((side, side, 3), 255, np.uint8)
    picture[side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = colour
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


# Pictures


def test_pictures_are_those_of_the_codes(ask, pipe):
    answer = ask("paint", **SUBJECT, z=CODES.tolist())
    expected = pipe(Sketch.from_json(SHOE), z=CODES).images
    assert answer["hash"] == pipe.hash
    for tile, image in zip(answer["tiles"], expected, strict=True):
        assert np.abs(pixels(tile).astype(int) - np.asarray(image)).mean() < 3  # the tile is a small WebP


def test_the_drawing_as_the_model_sees_it_comes_when_asked_for(ask, pipe):
    assert "seen" not in ask("paint", **SUBJECT, z=[CODE])
    seen = pixels(ask("paint", **SUBJECT, z=[CODE], seen=True)["seen"])
    assert np.array_equal(seen[..., 0], pipe.prepare(Sketch.from_json(SHOE)).raster)


def test_empty_paper_has_no_pictures_unless_an_example_stands_in(ask):
    assert ask("paint", checkpoint=NAME, sketch="", z=[CODE])["tiles"] == []
    assert len(ask("paint", checkpoint=NAME, sketch="", z=[CODE], example=True)["tiles"]) == 1


def test_a_strip_moves_one_slider(ask):
    answer = ask("sweep", **SUBJECT, z=CODE, slider=2, steps=5)
    z = np.array(answer["z"])
    assert answer["values"] == pytest.approx([-3, -1.5, 0, 1.5, 3])
    assert z[:, 2] == pytest.approx(answer["values"])
    assert np.delete(z, 2, axis=1) == pytest.approx(np.tile(np.delete(CODES[0], 2), (5, 1)))
    assert len(set(answer["tiles"])) == 5


def test_a_strip_along_a_direction_moves_along_nothing_else(ask, pipe):
    pca = load_latents(pipe.folder, pipe.hash).pca
    z = np.array(ask("sweep", **SUBJECT, z=CODE, slider=1, steps=3, directions=True)["z"])
    coords = pca.transform(z, 8)
    assert coords[:, 1] == pytest.approx([-3, 0, 3], abs=1e-5)
    assert np.ptp(np.delete(coords, 1, axis=1), axis=0).max() < 1e-5


def test_a_grid_moves_two(ask):
    z = np.array(ask("grid", **SUBJECT, z=CODE, across=0, down=5, side=3)["z"]).reshape(3, 3, 8)
    assert z[0, :, 0] == pytest.approx([-3, 0, 3])
    assert z[:, 0, 5] == pytest.approx([-3, 0, 3])


def test_children_follow_their_seed(ask):
    wanted = {**SUBJECT, "parents": CODES[:2].tolist(), "strength": 0.4}
    first, again, other = (ask("breed", **wanted, seed=seed) for seed in (1, 1, 2))
    assert first["z"] == again["z"] != other["z"]
    assert len(set(first["tiles"])) == 8


def test_photos_give_their_codes_and_the_mean(ask, pipe):
    photos = [{"data_url": photo_url(colour), "name": "a.png"} for colour in ((200, 30, 30), (30, 30, 200))]
    answer = ask("read_photos", **SUBJECT, photos=photos)
    assert answer["z"] == pytest.approx(np.mean([photo["z"] for photo in answer["photos"]], axis=0), abs=1e-6)
    red = answer["photos"][0]
    decoded = Image.open(io.BytesIO(bytes_of(photos[0]["data_url"])))
    assert red["z"] == pytest.approx(pipe.encode(decoded)[0], abs=1e-5)
    kept = pipe.reconstruct(decoded).images[0]
    assert np.abs(pixels(red["reconstruction"]).astype(int) - np.asarray(kept)).mean() < 3


def test_a_colour_is_found(ask):
    answer = ask("find_colour", **SUBJECT, colour="navy")
    assert answer["colour"] == "#1f2d5c"
    assert len(answer["tiles"]) == len(answer["z"]) == 8
    assert answer["distances"] == sorted(answer["distances"])
    colours = np.array([[int(text[k : k + 2], 16) for k in (1, 3, 5)] for text in answer["colours"]])
    assert (colours[:4, 2] > colours[:4, 0]).all()  # bluer than red


def test_a_picture_of_lines_stays_and_a_photo_becomes_its_edges(ask, pipe):
    drawn = Image.fromarray(Sketch.from_json(SHOE).rasterise(256))
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG")
    url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    lines = Sketch.from_json(ask("read_drawing", checkpoint=NAME, data_url=url, name="a.png")["sketch"])
    assert np.array_equal(lines.rasterise(128), pipe.prepare(drawn).raster)
    edges = Sketch.from_json(ask("read_drawing", checkpoint=NAME, data_url=photo_url(), name="b.png")["sketch"])
    ink = edges.rasterise(128) == 0
    assert 0 < ink.mean() < 0.2


def test_the_spread_of_a_row(ask, pipe):
    answer = ask("spread", **SUBJECT, z=CODES.tolist())
    distance = best_distance()
    images = pipe(Sketch.from_json(SHOE), z=CODES).images
    assert answer["mean"] == pytest.approx(mean_distance(pairwise_distances(images, distance)), abs=1e-3)
    assert answer["metric"] == ("RGB" if distance is RGB else "LPIPS")
    assert ask("spread", **SUBJECT, z=[CODE, CODE])["mean"] == 0


# Films and files


def test_a_film_leads_from_pin_to_pin(ask):
    wanted = {"codes": CODES[:3].tolist(), "frames": 9, "loop": False}
    path = np.array(ask("blend_path", checkpoint=NAME, **wanted)["z"])
    assert path[[0, 4, 8]] == pytest.approx(CODES[:3])
    file = ask("blend_file", **SUBJECT, **wanted, fps=10, format="webp")
    assert file["name"].endswith(".webp")
    with Image.open(io.BytesIO(bytes_of(file["url"]))) as film:
        assert film.n_frames == 9


def test_a_picture_can_be_rebuilt(ask, pipe):
    png = bytes_of(ask("picture", **SUBJECT, z=CODE)["url"])
    recipe = read_recipe(png)
    assert np.array_equal(np.asarray(recipe.render(pipe)), np.asarray(Image.open(io.BytesIO(png))))


@pytest.mark.parametrize(
    ("shape", "lines", "columns"),
    [
        ({"shape": "strips", "sliders": [0, 4], "steps": 5}, 2, 5),
        ({"shape": "grid", "across": 1, "down": 2, "side": 3}, 3, 3),
    ],
)
def test_strips_and_grids_are_sheets_that_can_be_rebuilt(ask, pipe, shape, lines, columns):
    png = bytes_of(ask("space_sheet", **SUBJECT, z=CODE, **shape)["url"])
    recipe = read_recipe(png)
    assert (len(recipe.z), recipe.columns) == (lines * columns, columns)
    assert np.array_equal(np.asarray(recipe.render({pipe.hash: pipe})), np.asarray(Image.open(io.BytesIO(png))))


def test_the_table_is_a_sheet_or_a_zip(ask, pipe):
    other = load_examples(DEFAULT_ROOT / NAME)[2].to_json()
    rows = [{"checkpoint": NAME, "sketch": sketch} for sketch in (SHOE, other)]
    png = bytes_of(ask("matrix_file", rows=rows, z=CODES[:3].tolist(), zip=False)["url"])
    recipe = read_recipe(png)
    assert np.array_equal(np.asarray(recipe.render({pipe.hash: pipe})), np.asarray(Image.open(io.BytesIO(png))))
    packed = zipfile.ZipFile(io.BytesIO(bytes_of(ask("matrix_file", rows=rows, z=CODES[:3].tolist(), zip=True)["url"])))
    assert {"sheet.png", "recipe.json", "row1-style1.png", "row2-style3.png"} <= set(packed.namelist())
    one = packed.read("row2-style3.png")
    assert np.array_equal(np.asarray(read_recipe(one).render(pipe)), np.asarray(Image.open(io.BytesIO(one))))


def test_pins_go_to_a_file_and_back(ask):
    pins = [{"name": "晚霞", "z": CODE, "checkpoint": NAME, "checkpoint_hash": "ab" * 32}]
    file = bytes_of(ask("export_pins", pins=pins)["url"]).decode("utf-8")
    assert ask("import_pins", text=file)["pins"] == pins


def test_a_link_holds_what_was_asked(ask, pipe):
    from bicyclegan.link import unpack

    pins = [{"name": "a", "z": CODE, "checkpoint": NAME, "checkpoint_hash": "ab" * 32}]
    wanted = {**SUBJECT, "seed": 5, "count": 4, "truncation": 1, "tab": "explore", "z": CODE, "pins": pins}
    session = unpack(ask("pack_link", **wanted)["text"])
    assert (session.checkpoint, session.seed, session.tab) == (NAME, 5, "explore")
    assert session.sketch == Sketch.from_json(SHOE)
    assert session.pins[0].z.tolist() == CODE
    assert session.checkpoint_hash == pipe.hash


@pytest.mark.parametrize("pins", [{}, {"pins": None}, {"pins": []}])
def test_a_link_without_pins(ask, pins):
    from bicyclegan.link import unpack

    assert unpack(ask("pack_link", **LINK, **pins)["text"]).pins == ()


# What nobody should send


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize(
    "wanted", [None, [], "x", {}, {"checkpoint": 7}, {"checkpoint": "no such", "sketch": {"a": 1}}]
)
def test_nonsense_is_answered_in_words(functions, caplog, name, wanted):
    answer = functions[name](wanted, SimpleNamespace(headers={"accept-language": "en"}))
    assert answer["error"]
    assert "our side" not in answer["error"]  # it was not our fault
    assert not caplog.records


BAD = {
    "unknown checkpoint": ("paint", {"checkpoint": "../../secrets", "z": [CODE]}, "not there any more"),
    "short code": ("paint", {"z": [[1.0]]}, "shape"),
    "ragged codes": ("paint", {"z": [[1.0], [1.0, 2.0]]}, "numbers"),
    "NaN": ("paint", {"z": [[float("nan")] * 8]}, "finite"),
    "huge": ("paint", {"z": [[1e9] * 8]}, "finite"),
    "text": ("paint", {"z": [["a"] * 8]}, "numbers"),
    "too many": ("paint", {"z": [CODE] * 65}, "64"),
    "no codes": ("paint", {"z": []}, "list"),
    "flag": ("paint", {"z": [CODE], "seen": "yes"}, "true or false"),
    "broken drawing": ("paint", {"z": [CODE], "sketch": "{"}, "JSON"),
    "slider": ("sweep", {"z": CODE, "slider": 8, "steps": 5}, "0 to 7"),
    "no slider": ("sweep", {"z": CODE, "steps": 5}, "slider"),
    "steps": ("sweep", {"z": CODE, "slider": 0, "steps": 1000}, "2 to 16"),
    "side": ("grid", {"z": CODE, "across": 0, "down": 1, "side": 99}, "2 to 7"),
    "twice": ("grid", {"z": CODE, "across": 1, "down": 1, "side": 3}, "different"),
    "strength": ("breed", {"parents": [CODE], "strength": 7}, "0 to 1"),
    "seed": ("breed", {"parents": [CODE], "strength": 0.5, "seed": -1}, "4294967295"),
    "one pixel": ("read_photos", {"photos": [{"data_url": photo_url(side=1), "name": "dot.png"}]}, "dot.png"),
    "no photo": ("read_photos", {"photos": [{"data_url": "data:image/png;base64,QUJD", "name": "abc"}]}, "abc"),
    "nine photos": ("read_photos", {"photos": [{}] * 9}, "1 to 8"),
    "a link": ("read_photos", {"photos": [{"data_url": "https://example.org/a.png"}]}, "data URL"),
    "unknown colour": ("find_colour", {"colour": "forrest green"}, "forest green"),
    "colour of nothing": ("find_colour", {"colour": "red", "sketch": ""}, "no drawing"),
    "no frames": ("blend_path", {"codes": CODES.tolist(), "frames": 0}, "2 to 240"),
    "10,000 frames": ("blend_path", {"codes": CODES.tolist(), "frames": 10_000}, "2 to 240"),
    "one stop": ("blend_path", {"codes": [CODE], "frames": 10}, "two"),
    "one picture alone": ("spread", {"z": [CODE]}, "2 to 8"),
    "nine to compare": ("spread", {"z": [CODE] * 9}, "2 to 8"),
    "spread of nothing": ("spread", {"z": [CODE] * 2, "sketch": ""}, "no drawing"),
    "deep seed": ("breed", {"parents": [CODE], "strength": 0.5, "seed": nested(3000)}, "[[["),
    "deep flag": ("paint", {"z": [CODE], "seen": nested(3000)}, "true or false"),
    "long name": ("paint", {"z": [CODE], "checkpoint": "x" * 10**7}, "at most 200 characters"),
    "long format": ("blend_file", {**FILM, "format": "x" * 10**7}, "at most 200 characters"),
    "pins that are a number": ("pack_link", {**LINK, "pins": 5}, "pins is 5, not a list"),
    "pins that are true": ("pack_link", {**LINK, "pins": True}, "pins is True, not a list"),
    "large zip": ("matrix_file", {"rows": [{**SUBJECT, "sketch": LONG}] * 8, "z": [CODE] * 8, "zip": True}, "16 MB"),
    "speed": ("blend_file", {"codes": CODES.tolist(), "frames": 4, "fps": 0, "format": "gif"}, "1 to 60"),
    "format": ("blend_file", {"codes": CODES.tolist(), "frames": 4, "fps": 9, "format": "exe"}, "gif, webp, mp4"),
    "nine rows": ("matrix_file", {"rows": [SUBJECT] * 9, "z": [CODE]}, "1 to 8"),
    "nine styles": ("matrix_file", {"rows": [SUBJECT], "z": [CODE] * 9}, "1 to 8"),
    "empty row": ("matrix_file", {"rows": [{**SUBJECT, "sketch": ""}], "z": [CODE]}, "no drawing"),
    "pins": ("import_pins", {"text": "[" * 100_000}, "pins"),
    "pin": ("export_pins", {"pins": [{"name": 1}]}, "pin"),
    "tab": ("pack_link", {"seed": 0, "count": 8, "truncation": 1, "tab": "evil"}, "draw, explore, compare"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_wishes_get_a_message_that_helps(ask, caplog, case):
    name, wanted, words = BAD[case]
    answer = ask(name, **{**SUBJECT, **wanted})
    assert words in answer["error"]
    assert len(answer["error"]) < 500
    assert not caplog.records
    chinese = ask(name, lang="zh-CN", **{**SUBJECT, **wanted})["error"]
    assert any("\u4e00" <= character <= "\u9fff" for character in chinese)


def test_our_own_fault_is_said_without_details(ask, studio, monkeypatch, caplog):
    def fail(*_args):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(studio, "look", fail)
    assert "secret" not in ask("paint", **SUBJECT, z=[CODE])["error"]
    assert "secret detail" in caplog.text


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("blend_file", {**FILM, "format": "exe"}),
        ("blend_file", {**FILM, "fps": 0}),
        ("matrix_file", {"rows": [{**SUBJECT, "sketch": LONG}] * 8, "z": [CODE] * 8, "zip": True}),
    ],
)
def test_nothing_is_painted_for_a_file_that_cannot_be(ask, studio, monkeypatch, question, wanted):
    monkeypatch.setattr(studio, "_render", None)
    assert "our side" not in ask(question, **{**SUBJECT, **wanted})["error"]


def test_what_the_platform_says_is_passed_on(ask, studio, monkeypatch, caplog):
    def refuse(*_args):
        raise gr.Error("Quota used up. <a href='https://example.org'>Log in</a>")

    monkeypatch.setattr(studio, "look", refuse)
    assert ask("paint", **SUBJECT, z=[CODE])["error"] == "Quota used up. Log in"
    assert not caplog.records


def test_the_page_knows_how_much_is_taken(ask, studio):
    from bicyclegan.ui.shelf import shelf_value

    limits = shelf_value(studio, NAME)["limits"]
    sizes = {"photo_bytes": 25 << 20, "upload_bytes": 2 << 30}
    assert limits == {"rows": 8, "columns": 8, "pins": 48, "photos": 8, **sizes}
    assert "1 to 8" in ask("matrix_file", rows=[SUBJECT] * (limits["rows"] + 1), z=[CODE])["error"]
    assert "1 to 8" in ask("read_photos", **SUBJECT, photos=[{}] * (limits["photos"] + 1))["error"]
    large = "data:image/png;base64," + "A" * (limits["photo_bytes"] * 4 // 3 + 8)
    assert f"at most {limits['photo_bytes']} are" in ask("read_drawing", checkpoint=NAME, data_url=large)["error"]


def test_one_that_was_never_measured_still_works(tmp_path, make_checkpoint):
    from bicyclegan.ui.model_facts import model_facts

    folder = make_checkpoint(tmp_path / "plain", latent_dim=3)
    studio = Studio(Settings(checkpoints=tmp_path, device="cpu"))
    facts = model_facts(studio, "plain")
    assert [slider["effect"] for slider in facts["sliders"]] == [None] * 3
    assert facts["directions"] is None
    answers = {function.__name__: function for function in server_functions((Answers(studio), QUESTIONS))}
    wanted = {"checkpoint": "plain", "sketch": SHOE, "z": [0.0] * 3, "slider": 0, "steps": 3}
    request = SimpleNamespace(headers={})
    assert len(answers["sweep"](wanted, request)["tiles"]) == 3
    assert "directions" in answers["sweep"]({**wanted, "directions": True}, request)["error"]
    assert folder.is_dir()


def test_a_sketch_is_prepared_once_and_not_kept_for_ever(studio, monkeypatch):
    prepared = []
    pipe = studio.pipeline(NAME)
    original = pipe.prepare
    monkeypatch.setattr(pipe, "prepare", lambda sketch: prepared.append(sketch) or original(sketch))
    sketches = [Sketch(example.strokes[:1]) for example in load_examples(DEFAULT_ROOT / NAME)]
    for _ in range(3):
        studio.paint_codes(NAME, sketches[0], CODES[:1])
    assert len(prepared) == 1
    document = Sketch.from_json(SHOE)
    for k in range(MAX_PREPARED + 1):
        studio.paint_codes(NAME, Sketch(document.strokes[: k % 9 + 1], size=64 + k), CODES[:1])
    studio.paint_codes(NAME, sketches[0], CODES[:1])
    assert prepared.count(sketches[0]) == 2
