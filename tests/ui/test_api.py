"""The HTTP interface as a stranger uses it: what `view_api` says, and what its endpoints give and refuse."""

from __future__ import annotations

import base64
import io
import re
import zipfile

import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image
from studio_visitor import NAME

from bicyclegan.checkpoints import DEFAULT_ROOT, load_examples
from bicyclegan.colour_words import parse_colour
from bicyclegan.latent import sample_codes
from bicyclegan.latents_file import load_latents
from bicyclegan.pipeline import Pipeline
from bicyclegan.recipe import read_recipe
from bicyclegan.sheet import SheetRecipe
from bicyclegan.sketch import Sketch

EXAMPLES = load_examples(DEFAULT_ROOT / NAME)
SHOE, BOOT = EXAMPLES[5].to_json(), EXAMPLES[2].to_json()
CODES = sample_codes(3, 4, 8).tolist()
CODE = CODES[0]
ARGUMENTS = {
    "/paint": {
        "sketch": "string",
        "checkpoint": "string",
        "count": "integer",
        "seed": "integer",
        "truncation": "number",
    },
    "/paint_styles": {"sketch": "string", "codes": "array", "checkpoint": "string"},
    "/sweep": {
        "sketch": "string",
        "code": "array",
        "slider": "integer",
        "steps": "integer",
        "directions": "boolean",
        "checkpoint": "string",
    },
    "/grid": {
        "sketch": "string",
        "code": "array",
        "across": "integer",
        "down": "integer",
        "side": "integer",
        "directions": "boolean",
        "checkpoint": "string",
    },
    "/interpolate": {
        "sketch": "string",
        "codes": "array",
        "frames": "integer",
        "fps": "number",
        "loop": "boolean",
        "format": "string",
        "checkpoint": "string",
    },
    "/breed": {
        "sketch": "string",
        "parents": "array",
        "strength": "number",
        "seed": "integer",
        "checkpoint": "string",
    },
    "/style_from_photo": {"photo": "string", "checkpoint": "string"},
    "/style_from_colour": {"sketch": "string", "colour": "string", "checkpoint": "string"},
    "/matrix": {"sketches": "array", "codes": "array", "checkpoint": "string", "zip": "boolean"},
}
"""All that is public: endpoints, their arguments and JSON types."""


@pytest.fixture(scope="module")
def client(url) -> Client:
    return Client(url, verbose=False)


@pytest.fixture(scope="module")
def described(client) -> dict:
    return client.view_api(return_format="dict", print_info=False)


@pytest.fixture(scope="module")
def pipe(checkpoints) -> Pipeline:
    return Pipeline.from_pretrained(checkpoints / NAME, device="cpu")


@pytest.fixture
def call(client):
    def call(endpoint: str, **arguments):
        return client.predict(**arguments, api_name=endpoint)

    return call


def bytes_of(address: str, mime: str) -> bytes:
    head, _, data = address.partition(",")
    assert head == f"data:{mime};base64"
    return base64.b64decode(data)


def pixels(address: str, mime: str = "image/webp") -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(bytes_of(address, mime))).convert("RGB"))


def photo(colour: tuple[int, int, int] = (180, 40, 40)) -> str:
    picture = np.full((64, 64, 3), 255, np.uint8)
    picture[16:48, 16:48] = colour
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def assert_shows(tiles: list[str], sketch: str, codes: list, pipe: Pipeline) -> None:
    """The tiles, small WebP files, are those of these codes."""
    pictures = pipe(Sketch.from_json(sketch), z=np.array(codes, np.float32)).images
    for tile, picture in zip(tiles, pictures, strict=True):
        assert np.abs(pixels(tile).astype(int) - np.asarray(picture)).mean() < 3


# What a stranger reads


def test_exactly_the_public_endpoints_are_listed(described):
    assert set(described["named_endpoints"]) == set(ARGUMENTS)
    assert described["unnamed_endpoints"] == {}


@pytest.mark.parametrize("endpoint", ARGUMENTS)
def test_every_endpoint_is_described_and_typed(described, endpoint):
    facts = described["named_endpoints"][endpoint]
    assert len(facts["description"]) > 30
    assert {each["parameter_name"]: each["type"]["type"] for each in facts["parameters"]} == ARGUMENTS[endpoint]


@pytest.mark.parametrize("endpoint", [name for name in ARGUMENTS if name != "/paint"])
def test_an_answer_has_the_keys_that_its_description_names(described, call, endpoint):
    promised = re.findall(r"\{([^}]*)\}", described["named_endpoints"][endpoint]["description"])
    answer = call(endpoint, **ORDINARY[endpoint])
    assert isinstance(answer, dict) == bool(promised)
    for keys in promised:
        assert set(re.findall(r'"(\w+)"', keys)) <= set(answer)


ORDINARY = {
    "/paint": {"sketch": SHOE, "count": 2},
    "/paint_styles": {"sketch": SHOE, "codes": CODES[:2]},
    "/sweep": {"sketch": SHOE, "code": CODE, "slider": 2, "steps": 3},
    "/grid": {"sketch": SHOE, "code": CODE, "across": 0, "down": 5, "side": 2},
    "/interpolate": {"sketch": SHOE, "codes": CODES[:2], "frames": 3},
    "/breed": {"sketch": SHOE, "parents": CODES[:1]},
    "/style_from_photo": {"photo": photo()},
    "/style_from_colour": {"sketch": SHOE, "colour": "navy"},
    "/matrix": {"sketches": [SHOE], "codes": CODES[:2]},
}
"""A call of each that works."""


def test_private_handlers_cannot_be_called_by_name(client):
    for name in ("/paint_now", "/repaint", "/measure", "/compare", "/trace_photo", "/open_link", "/list_checkpoints"):
        with pytest.raises(ValueError, match="Cannot find a function"):
            client.predict(api_name=name)


# What it gives


def test_paint_gives_files_that_rebuild(call, pipe):
    pictures = call("/paint", sketch=SHOE, count=3, seed=5, truncation=0.5)
    assert len(set(pictures)) == 3
    for index, address in enumerate(pictures):
        recipe = read_recipe(bytes_of(address, "image/png"))
        assert (recipe.seed, recipe.truncation, recipe.index) == (5, 0.5, index)
        assert np.array_equal(np.asarray(recipe.render(pipe)), pixels(address, "image/png"))
    assert len(call("/paint", sketch=SHOE)) == 8
    assert call("/paint", sketch=Sketch().to_json()) == []


def test_paint_styles_keeps_the_order(call, pipe):
    assert_shows(call("/paint_styles", sketch=SHOE, codes=CODES), SHOE, CODES, pipe)


def test_sweep_moves_one_slider(call, pipe):
    answer = call("/sweep", sketch=SHOE, code=CODE, slider=2)
    z = np.array(answer["z"])
    assert answer["values"] == pytest.approx([-3, -2, -1, 0, 1, 2, 3])
    assert z[:, 2] == pytest.approx(answer["values"])
    assert np.delete(z, 2, axis=1) == pytest.approx(np.tile(np.delete(CODE, 2), (7, 1)))
    assert_shows(answer["tiles"], SHOE, answer["z"], pipe)


def test_sweep_along_a_direction_moves_along_nothing_else(call, pipe):
    answer = call("/sweep", sketch=SHOE, code=CODE, slider=1, steps=3, directions=True)
    coords = load_latents(pipe.folder, pipe.hash).pca.transform(np.array(answer["z"]), 8)
    assert coords[:, 1] == pytest.approx([-3, 0, 3], abs=1e-5)
    assert np.ptp(np.delete(coords, 1, axis=1), axis=0).max() < 1e-5


def test_grid_moves_one_slider_across_and_one_down(call, pipe):
    answer = call("/grid", sketch=SHOE, code=CODE, across=0, down=5, side=3)
    z = np.array(answer["z"]).reshape(3, 3, 8)
    assert z[..., 0] == pytest.approx(np.tile([-3, 0, 3], (3, 1)))
    assert z[..., 5] == pytest.approx(np.tile([-3, 0, 3], (3, 1)).T)
    assert_shows(answer["tiles"], SHOE, answer["z"], pipe)
    assert len(call("/grid", sketch=SHOE, code=CODE, across=0, down=5)["tiles"]) == 25


def test_interpolate_makes_a_film_from_code_to_code(call, pipe):
    film = call("/interpolate", sketch=SHOE, codes=CODES[:2], frames=9, fps=10, loop=False)
    with Image.open(io.BytesIO(bytes_of(film, "image/gif"))) as gif:
        assert gif.n_frames == 9
        assert gif.info["duration"] == 100
        shown = []
        for frame in (0, 8):
            gif.seek(frame)
            shown.append(np.asarray(gif.convert("RGB")).astype(int))
    ends = pipe(Sketch.from_json(SHOE), z=np.array(CODES[:2], np.float32)).images
    for frame, picture in zip(shown, ends, strict=True):
        assert np.abs(frame - np.asarray(picture)).mean() < 6  # a GIF has 256 colours


@pytest.mark.parametrize(("format", "mime", "mark"), [("webp", "image/webp", b"WEBP"), ("mp4", "video/mp4", b"ftyp")])
def test_interpolate_knows_other_formats(call, format, mime, mark):
    data = bytes_of(call("/interpolate", sketch=SHOE, codes=CODES[:2], frames=4, format=format), mime)
    assert mark in data[:16]


def test_breed_stays_near_the_parents_and_follows_the_seed(call, pipe):
    arguments = {"sketch": SHOE, "parents": CODES[:1], "strength": 0.2}
    near, again, other = (call("/breed", **arguments, seed=seed) for seed in (1, 1, 2))
    far = call("/breed", **{**arguments, "strength": 1}, seed=1)
    assert near["z"] == again["z"] != other["z"]
    near_by, far_off = (np.linalg.norm(np.array(each["z"]) - CODE, axis=1).mean() for each in (near, far))
    assert near_by < far_off / 2
    assert_shows(near["tiles"], SHOE, near["z"], pipe)
    assert np.array(call("/breed", **{**arguments, "strength": 0})["z"]) == pytest.approx(np.tile(CODE, (8, 1)))


def test_style_from_photo_is_what_the_encoder_reads(call, pipe):
    answer = call("/style_from_photo", photo=photo())
    decoded = Image.open(io.BytesIO(bytes_of(photo(), "image/png")))
    assert answer["z"] == pytest.approx(pipe.encode(decoded)[0], abs=1e-5)
    edges = pixels(answer["edges"], "image/png")[..., 0]
    assert np.array_equal(edges, pipe.prepare(Sketch.from_raster(pipe.edges(decoded))).raster)
    kept = pipe.reconstruct(decoded).images[0]
    assert np.abs(pixels(answer["reconstruction"]).astype(int) - np.asarray(kept)).mean() < 3


@pytest.mark.parametrize("colour", ["藏青", "#b01020"])
def test_style_from_colour_paints_in_it(call, pipe, colour):
    answer = call("/style_from_colour", sketch=SHOE, colour=colour)
    assert _rgb(answer["colour"]).tolist() == list(parse_colour(colour))
    assert len(answer["z"]) == len(answer["colours"]) == 8
    assert answer["distances"] == sorted(answer["distances"])
    wanted, nearest = (_rgb(text) for text in (answer["colour"], answer["colours"][0]))
    assert nearest.argmax() == wanted.argmax()  # red for red, blue for navy
    assert_shows(answer["tiles"], SHOE, answer["z"], pipe)


def _rgb(text: str) -> np.ndarray:
    return np.array([int(text[k : k + 2], 16) for k in (1, 3, 5)])


def test_matrix_is_a_sheet_that_rebuilds(call, pipe):
    sheet = bytes_of(call("/matrix", sketches=[SHOE, BOOT], codes=CODES[:3]), "image/png")
    recipe = read_recipe(sheet)
    assert isinstance(recipe, SheetRecipe)
    assert [row.sketch.to_json() for row in recipe.rows] == [SHOE, BOOT]
    assert recipe.z.tolist() == CODES[:3]
    assert np.array_equal(np.asarray(recipe.render({pipe.hash: pipe})), np.asarray(Image.open(io.BytesIO(sheet))))


def test_matrix_as_zip_has_every_picture_with_its_recipe(call, pipe):
    data = bytes_of(call("/matrix", sketches=[SHOE, BOOT], codes=CODES[:3], zip=True), "application/zip")
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        pictures = {name: packed.read(name) for name in packed.namelist() if name.startswith("row")}
        assert {"sheet.png", "recipe.json"} <= set(packed.namelist())
    assert set(pictures) == {f"row{i}-style{k}.png" for i in (1, 2) for k in (1, 2, 3)}
    recipe = read_recipe(pictures["row2-style3.png"])
    assert (recipe.sketch.to_json(), recipe.index) == (BOOT, 2)
    shown = np.asarray(Image.open(io.BytesIO(pictures["row2-style3.png"])))
    assert np.array_equal(np.asarray(recipe.render(pipe)), shown)


def test_another_checkpoint_can_be_chosen(call):
    recipe = read_recipe(bytes_of(call("/paint", sketch=SHOE, count=1, checkpoint="other")[0], "image/png"))
    assert recipe.sketch.to_json() == SHOE


# What it refuses


@pytest.mark.parametrize(
    ("endpoint", "changed", "message"),
    [
        ("/paint", {"sketch": "not json"}, "JSON"),
        ("/paint", {"count": 17}, "count is 17; use a whole number from 1 to 16"),
        ("/paint", {"count": 2.5}, "whole number"),
        ("/paint", {"count": "2"}, "whole number"),
        ("/paint", {"seed": -1}, "4294967295"),
        ("/paint", {"truncation": 9}, "from 0 to 3"),
        ("/paint", {"truncation": "wide"}, "from 0 to 3"),
        ("/paint", {"checkpoint": "../secret"}, "Choose another: edges2shoes, other"),
        ("/paint", {"checkpoint": 3}, "Choose another|not text"),
        ("/paint", {"sketch": 3}, "JSON|not text"),
        ("/paint_styles", {"codes": []}, "a list"),
        ("/paint_styles", {"codes": [[0.0] * 7]}, r"\(N, 8\)"),
        ("/paint_styles", {"codes": [[0.0] * 8] * 65}, "1 to 64"),
        ("/paint_styles", {"codes": [[1e9] * 8]}, "±100"),
        ("/paint_styles", {"codes": [["a"] * 8]}, "must be numbers"),
        ("/paint_styles", {"codes": {"a": 1}}, "a list"),
        ("/sweep", {"slider": 8}, "slider is 8; use a whole number from 0 to 7"),
        ("/sweep", {"slider": True}, "whole number"),
        ("/sweep", {"steps": 100}, "steps is 100"),
        ("/sweep", {"directions": "yes"}, "true or false"),
        ("/sweep", {"code": [0.0] * 3}, r"\(N, 8\)"),
        ("/grid", {"down": 0}, "two different sliders"),
        ("/grid", {"side": 8}, "from 2 to 7"),
        ("/interpolate", {"codes": CODES[:1]}, "two codes or more"),
        ("/interpolate", {"frames": 10_000}, "from 2 to 240"),
        ("/interpolate", {"format": "exe"}, "gif"),
        ("/interpolate", {"fps": 0}, "fps|frames a second|per second"),
        ("/interpolate", {"sketch": ""}, "no drawing yet"),
        ("/breed", {"strength": 2}, "strength is 2; use a number from 0 to 1"),
        ("/breed", {"parents": []}, "a list"),
        ("/style_from_photo", {"photo": "data:image/png;base64,AAAA"}, "photo"),
        ("/style_from_photo", {"photo": "http://127.0.0.1/a.png"}, "data URL"),
        ("/style_from_colour", {"colour": "forrest gren"}, "forest green"),
        ("/style_from_colour", {"sketch": ""}, "no drawing yet"),
        ("/matrix", {"sketches": []}, "a list"),
        ("/matrix", {"sketches": [SHOE] * 9}, "1 to 8"),
        ("/matrix", {"codes": [[0.0] * 8] * 9}, "1 to 8"),
        ("/matrix", {"sketches": [SHOE, ""]}, "no drawing yet"),
    ],
)
def test_bad_input_is_answered_with_our_message_and_the_next_call_works(call, endpoint, changed, message):
    with pytest.raises(AppError, match=message):
        call(endpoint, **{**ORDINARY[endpoint], **changed})
    assert len(call("/paint_styles", sketch=SHOE, codes=[CODE])) == 1


def test_a_forgotten_argument_is_named(client):
    with pytest.raises(TypeError, match="code"):
        client.predict(sketch=SHOE, slider=1, api_name="/sweep")
