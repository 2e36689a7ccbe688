"""Links: a whole session in the fragment of an address, `1.` and base64url of zlib of JSON.

Codes are base64 of little-endian float32 bytes: a third of what decimals take.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from bicyclegan.errors import UserError
from bicyclegan.latent import MAX_SEED, MAX_TRUNCATION, check_integer, check_number
from bicyclegan.pins import Pin, check_code, check_count, check_pin, text_field
from bicyclegan.sketch import Sketch

LINK_VERSION = 1
"""Stands in front of the link. Raised when an older program could misread a newer one."""
MAX_LINK = 60_000
"""Characters. Chromium and Firefox take a million and more, Safari 80,000, and messengers less."""
MAX_UNPACKED = 6 << 20
"""Bytes of JSON: a sketch of 4 MB and all pins."""
MAX_COUNT = 16
"""Variations on the page."""
TABS = ("draw", "explore", "compare", "map", "train")


@dataclass(frozen=True, eq=False)
class Session:
    """What a link restores. Raises `UserError` for values that cannot be."""

    checkpoint: str
    """Name of the checkpoint."""
    sketch: Sketch | None
    """What is on the canvas."""
    seed: int
    """0 to 2**32 - 1."""
    count: int
    """Variations, 1 to 16."""
    truncation: float
    """Scale of random codes, 0 to 3."""
    tab: str
    """The one that is open: draw, explore or compare."""
    z: np.ndarray | None = None
    """(D,) float32, read-only: the style that is looked at."""
    pins: tuple[Pin, ...] = ()
    """Up to 48."""
    checkpoint_hash: str = ""
    """`content_hash` of the checkpoint, to tell another version of it; empty where an older link does not say."""

    def __post_init__(self) -> None:
        checked = {
            "checkpoint": text_field("checkpoint", self.checkpoint),
            "checkpoint_hash": text_field("checkpoint_hash", self.checkpoint_hash),
            "seed": check_integer("seed", self.seed, 0, MAX_SEED),
            "count": check_integer("count", self.count, 1, MAX_COUNT),
            "truncation": check_number("truncation", self.truncation, 0, MAX_TRUNCATION),
            "z": None if self.z is None else check_code(self.z),
            "pins": tuple(self.pins),
        }
        if self.tab not in TABS:
            raise UserError(
                "link_tab", "There is no tab {tab}; use one of {known}.", tab=str(self.tab)[:40], known=", ".join(TABS)
            )
        check_count(len(self.pins))
        for name, value in checked.items():
            object.__setattr__(self, name, value)


def pack(session: Session) -> str:
    """A session as text of letters, digits, `-`, `_` and `.`, at most 60,000. Raises `UserError` when it is longer."""
    document = {
        "checkpoint": session.checkpoint,
        "checkpoint_hash": session.checkpoint_hash,
        "sketch": None if session.sketch is None else json.loads(session.sketch.to_json()),
        "seed": session.seed,
        "count": session.count,
        "truncation": session.truncation,
        "tab": session.tab,
        "z": None if session.z is None else _code_text(session.z),
        "pins": [{**pin.to_json(), "z": _code_text(pin.z)} for pin in session.pins],
    }
    text = f"{LINK_VERSION}.{_text(_packed(document))}"
    if len(text) > MAX_LINK:
        raise _too_long(len(text), document)
    return text


def unpack(text: object) -> Session:
    """The inverse of `pack` for text from anywhere. Unknown fields are left out. Raises `UserError` alone."""
    data = _unzip(_payload(text))
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise _damaged() from None
    if not isinstance(document, dict):
        raise _damaged()
    try:
        return _session(document)
    except (KeyError, TypeError):
        raise _damaged() from None


def _session(document: dict[str, Any]) -> Session:
    sketch, z, pins = (document.get(field) for field in ("sketch", "z", "pins"))
    pins = [] if pins is None else pins
    if not isinstance(pins, list):
        raise _damaged()
    check_count(len(pins))
    return Session(
        checkpoint=document["checkpoint"],
        sketch=None if sketch is None else Sketch.from_json(sketch),
        seed=document["seed"],
        count=document["count"],
        truncation=document["truncation"],
        tab=document["tab"],
        z=None if z is None else _code(z),
        pins=tuple(check_pin({**pin, "z": _code(pin["z"])}) for pin in pins),
        checkpoint_hash=document.get("checkpoint_hash", ""),
    )


# Bytes


def _packed(document: object) -> bytes:
    return zlib.compress(json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii"), 9)


def _payload(text: object) -> bytes:
    """What stands after the version. The length is looked at before anything else."""
    if not isinstance(text, str):
        raise _damaged()
    if len(text) > MAX_LINK:
        raise UserError(
            "link_long",
            "The link has {length} characters; those made here have at most {limit}.",
            length=len(text),
            limit=MAX_LINK,
        )
    parts = re.fullmatch(r"([1-9]\d{0,3})\.([A-Za-z0-9_-]+)", text.strip(), re.ASCII)
    if parts is None:
        raise _damaged()
    if int(parts[1]) > LINK_VERSION:
        raise UserError(
            "link_newer",
            "This link was made by a newer version ({version}) of this program, which reads up to {known}. "
            "Update it: git pull.",
            version=int(parts[1]),
            known=LINK_VERSION,
        )
    return _bytes(parts[2])


def _unzip(data: bytes) -> bytes:
    """At most `MAX_UNPACKED` bytes: a few letters can announce gigabytes."""
    reader = zlib.decompressobj()
    try:
        unpacked = reader.decompress(data, MAX_UNPACKED)
    except zlib.error:
        raise _damaged() from None
    if not reader.eof or reader.unused_data:
        raise _damaged()
    return unpacked


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _bytes(text: object) -> bytes:
    """The inverse of `_text`."""
    if not isinstance(text, str):
        raise _damaged()
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):  # ValueError: letters beyond ASCII
        raise _damaged() from None


def _code_text(z: np.ndarray) -> str:
    return _text(z.astype("<f4").tobytes())


def _code(text: object) -> list[float]:
    """The inverse of `_code_text`, unchecked but for its length."""
    data = _bytes(text)
    if len(data) % 4:
        raise _damaged()
    return np.frombuffer(data, "<f4").tolist()


# Mistakes


def _damaged() -> UserError:
    return UserError("link_damaged", "The link is damaged: copy it whole.")


def _too_long(length: int, document: dict[str, Any]) -> UserError:
    """Says what takes the space: the parts alone, packed."""
    sketch = document["sketch"] or {"raster": None, "strokes": []}
    sizes = {"photo": sketch["raster"], "strokes": sketch["strokes"], "pins": document["pins"]}
    sizes = {name: len(_packed(part)) for name, part in sizes.items()}
    shares = {name: round(100 * size / sum(sizes.values())) for name, size in sizes.items()}
    return UserError(
        "link_large",
        "The link would have {length} characters; at most {limit} are allowed. The traced photo takes {photo} % of it, "
        "strokes {strokes} %, pins {pins} %: take fewer lines from the photo, draw with fewer strokes, or save the "
        "pins as JSON and remove them.",
        length=length,
        limit=MAX_LINK,
        **shares,
    )
