"""Links: a session comes back as it was; whatever else stands in an address is refused in one line, and quickly."""

from __future__ import annotations

import base64
import json
import random
import re
import time
import zlib
from dataclasses import replace

import numpy as np
import pytest

from bicyclegan.errors import UserError
from bicyclegan.latent import sample_codes
from bicyclegan.link import MAX_LINK, MAX_UNPACKED, Session, pack, unpack
from bicyclegan.pins import MAX_PINS, Pin
from bicyclegan.sketch import Sketch, Stroke

HASH = "cd" * 32


def pins(count: int, dim: int = 8) -> tuple[Pin, ...]:
    return tuple(Pin(f"鞋 {k}", sample_codes(k, 1, dim)[0], "shoes", HASH) for k in range(count))


@pytest.fixture
def session(shoe: Sketch) -> Session:
    return Session("shoes", shoe, 7, 8, 0.9, "explore", np.float32([0.1, -1 / 3, 1e-45, 100]), pins(5))


def packed(document: object, version: object = 1) -> str:
    """A link of any JSON."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return f"{version}." + base64.urlsafe_b64encode(zlib.compress(data)).decode().rstrip("=")


def document_of(session: Session) -> dict:
    text = pack(session).partition(".")[2]
    return json.loads(zlib.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))


def same(a: Session, b: Session) -> bool:
    def plain(each: Session) -> tuple:
        styles = [(pin.name, pin.z.tobytes(), pin.checkpoint, pin.checkpoint_hash) for pin in each.pins]
        return (styles, None if each.z is None else each.z.tobytes(), replace(each, z=None, pins=()).__dict__)

    return plain(a) == plain(b)


def refused(text: object) -> str:
    with pytest.raises(UserError) as caught:
        unpack(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Round trips


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sketch": None, "z": None, "pins": ()},
        {"sketch": Sketch()},
        {"seed": 2**32 - 1, "count": 16, "truncation": 3.0, "tab": "compare"},
        {"seed": 0, "count": 1, "truncation": 0.0, "tab": "draw"},
        {"checkpoint": "模型"},
        {"checkpoint_hash": HASH},
        {"pins": pins(MAX_PINS)},
        {"pins": pins(2, dim=3) + pins(2, dim=20)},
    ],
)
def test_round_trip(session: Session, changes: dict[str, object]) -> None:
    before = replace(session, **changes)
    text = pack(before)
    assert re.fullmatch(r"[\w.-]+", text, re.ASCII), "nothing that an address would escape"
    assert same(unpack(text), before)
    assert same(unpack(f" {text}\n"), before), "as it is copied out of a message"


def test_a_link_that_does_not_say_which_version_of_the_checkpoint(session: Session) -> None:
    document = document_of(replace(session, checkpoint_hash=HASH))
    del document["checkpoint_hash"]
    assert same(unpack(packed(document)), session)
    assert "text" in refused(packed({**document, "checkpoint_hash": 7}))


def test_a_traced_photo_and_all_pins_fit(session: Session) -> None:
    lines = np.full((128, 128), 255, np.uint8)
    lines[np.random.default_rng(0).random((128, 128)) < 0.1] = 0
    full = replace(session, sketch=Sketch.from_raster(lines), pins=pins(MAX_PINS))
    assert len(pack(full)) < MAX_LINK
    assert same(unpack(pack(full)), full)


def test_a_usual_link_is_short(session: Session) -> None:
    assert len(pack(session)) < 1000


def test_what_is_too_long_says_what_takes_the_space(session: Session, shoe: Sketch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256), np.uint8)
    with pytest.raises(
        UserError, match=r"at most 60000 .* photo takes 100 % of it, strokes 0 %, pins 0 %: take fewer lines"
    ):
        pack(replace(session, sketch=Sketch.from_raster(noise)))
    point = random.Random(0)
    scribble = Stroke(tuple((point.uniform(0, 256), point.uniform(0, 256)) for _ in range(20_000)))
    with pytest.raises(UserError, match=r"photo takes 0 % of it, strokes 100 %, pins 0 %: .* save the pins as JSON"):
        pack(replace(session, sketch=Sketch((scribble,))))
    with pytest.raises(UserError, match=r"photo takes 0 % of it, strokes 0 %, pins 100 %"):
        pack(replace(session, sketch=shoe, pins=pins(MAX_PINS, dim=512)))


# Sessions that cannot be


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": 3}, "checkpoint is 3"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": True}, "seed is True"),
        ({"seed": 2**32}, "seed is 4294967296"),
        ({"count": 17}, "count is 17; use a whole number from 1 to 16"),
        ({"count": None}, "count is None"),
        ({"truncation": float("nan")}, "truncation is nan"),
        ({"truncation": "1"}, "truncation is '1'"),
        ({"tab": "paint"}, "There is no tab paint; use one of draw, explore, compare, map, train"),
        ({"tab": ["draw"]}, "There is no tab"),
        ({"pins": [pins(1)[0].to_json()]}, "damaged"),
        ({"pins": {}}, "damaged"),
        ({"pins": ["x"]}, "damaged"),
        ({"pins": [{"name": "x"}]}, "damaged"),
        ({"z": "AAAAAAA"}, "damaged"),
        ({"z": "ü"}, "damaged"),
        ({"z": ""}, "list of 1 to 512 numbers"),
        ({"z": [0.0]}, "damaged"),
        ({"z": base64.b64encode(np.float32([np.nan]).tobytes()).decode().rstrip("=")}, "finite and within"),
        ({"sketch": {"version": 1, "strokes": [{"points": [[0, 0]], "width": -1}]}}, "strokes[0].width is -1"),
        ({"sketch": 3}, "A sketch must be a JSON object"),
    ],
)
def test_wrong_values_in_a_link(session: Session, changes: dict[str, object], message: str) -> None:
    assert message in refused(packed({**document_of(session), **changes}))


def test_too_many_pins_in_a_link(session: Session) -> None:
    document = document_of(session)
    assert "There are 49 pins" in refused(packed({**document, "pins": document["pins"][:1] * 49}))


def test_wrong_pins_in_a_link(session: Session) -> None:
    document = document_of(session)
    assert "has 50 characters" in refused(packed({**document, "pins": [{**document["pins"][0], "name": "x" * 50}]}))


def test_unknown_fields_are_left_out(session: Session) -> None:
    document = document_of(session)
    document["pins"][0]["colour"] = "red"
    assert same(unpack(packed({**document, "matrix": {"rows": []}})), session)


@pytest.mark.parametrize("field", ["checkpoint", "seed", "count", "truncation", "tab"])
def test_links_that_lack_a_field(session: Session, field: str) -> None:
    document = document_of(session)
    del document[field]
    assert "damaged: copy it whole" in refused(packed(document))


def test_a_newer_link(session: Session) -> None:
    assert "made by a newer version (2) of this program, which reads up to 1" in refused("2" + pack(session)[1:])


@pytest.mark.parametrize(
    "text", ["", "1", "1.", "0.eJwD", "1.x", "1.****", ".", "１.eJwD", "hello", "1.é", None, 3, b"1.eJwD", ["1."]]
)
def test_no_link(text: object) -> None:
    assert "The link is damaged: copy it whole" in refused(text)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b"\xff\xff", b"[" * 100_000, b'{"seed":' + b"1" * 5000 + b"}"]
)
def test_damaged_json(data: bytes) -> None:
    assert "damaged" in refused(packed(data))


# Whatever happens on the way


def test_a_link_that_was_cut_off(session: Session) -> None:
    text = pack(session)
    for length in range(len(text)):
        refused(text[:length])


def test_flipped_bits_are_found(session: Session) -> None:
    text, chance, wrong = pack(session), random.Random(1), 0
    for _ in range(2000):
        letters = list(text)
        for place in chance.sample(range(len(letters)), chance.choice((1, 1, 2, 10))):
            letters[place] = chr(ord(letters[place]) ^ 1 << chance.randrange(8))
        try:
            found = unpack("".join(letters))
        except UserError:
            wrong += 1
        else:
            assert same(found, session), "at most bits that say nothing"
    assert wrong > 1900


def test_flipped_bytes_below_the_checksum_raise_nothing_else(session: Session) -> None:
    data, chance, refusals = json.dumps(document_of(session)).encode(), random.Random(2), 0
    for _ in range(2000):
        changed = bytearray(data)
        for place in chance.sample(range(len(changed)), chance.choice((1, 1, 2, 10))):
            changed[place] = chance.randrange(256)
        try:
            assert isinstance(unpack(packed(bytes(changed))), Session)
        except UserError:
            refusals += 1
    assert refusals > 500


def test_large_links_and_bombs_are_refused_quickly() -> None:
    start = time.perf_counter()
    assert "has 10000002 characters; those made here have at most 60000" in refused("1." + "A" * 10_000_000)
    bomb = packed(b" " * 40_000_000)
    assert len(bomb) < MAX_LINK
    packing = time.perf_counter() - start
    start = time.perf_counter()
    assert "damaged" in refused(bomb)
    assert time.perf_counter() - start < max(0.5, packing)


def test_the_limit_of_what_is_unpacked(session: Session) -> None:
    data = json.dumps(document_of(session)).encode()
    fits = data + b" " * (MAX_UNPACKED - len(data))
    assert same(unpack(packed(fits)), session)
    assert "damaged" in refused(packed(fits + b" "))
