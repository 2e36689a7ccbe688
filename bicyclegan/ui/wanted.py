"""What a script in the browser asks for: a JSON object that is trusted in nothing."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import gradio as gr
import numpy as np

from bicyclegan.errors import UserError, shortened
from bicyclegan.images import decode_data_url
from bicyclegan.latent import MAX_SEED, check_codes, check_integer, check_number
from bicyclegan.sketch import Sketch

MAX_PICTURES = 64
"""Codes in one question: a grid of 7 x 7 and a bit more."""
MAX_NAME = 200
"""Characters of a text, unless it is one that may be long."""
MAX_PHOTOS = 8
"""Whose styles are read at once."""
MAX_PHOTO_BYTES = 25 << 20
"""Of a picture's file."""


class Wanted:
    """Reads fields and says which one is wrong. Every method raises `UserError`."""

    def __init__(self, data: Any, visitor: str = ""):
        """visitor: where the question came from, see `address`."""
        if not isinstance(data, dict):
            raise _wrong("", data, "a JSON object")
        self.data, self.visitor = data, visitor

    @classmethod
    def of(cls, event: gr.EventData) -> Wanted:
        """What came with an event."""
        return cls(event._data)

    def text(self, name: str, default: str | None = None, limit: int | None = MAX_NAME) -> str:
        """A text; `default` where it is absent. limit: of its characters; None where others look at the length."""
        value = self.data.get(name, default)
        if not isinstance(value, str):
            raise _wrong(name, value, "text")
        if limit is not None and len(value) > limit:
            raise _wrong(name, value, f"text of at most {limit} characters")
        return value

    def flag(self, name: str) -> bool:
        """True or false; false where it is absent."""
        value = self.data.get(name, False)
        if not isinstance(value, bool):
            raise _wrong(name, value, "true or false")
        return value

    def integer(self, name: str, low: int, high: int) -> int:
        """A whole number from low to high."""
        return check_integer(name, self.data.get(name), low, high)

    def number(self, name: str, low: float, high: float) -> float:
        """A number from low to high."""
        return check_number(name, self.data.get(name), low, high)

    def seed(self) -> int:
        """The seed; 0 while its box is empty."""
        return check_integer("seed", self.data.get("seed") or 0, 0, MAX_SEED)

    def items(self, name: str, limit: int, least: int = 1) -> list[Any]:
        """A list of `least` to `limit` of anything."""
        value = self.data.get(name)
        if not isinstance(value, list) or (least and not value):
            raise _wrong(name, value, "a list")
        check_integer(name, len(value), least, limit)
        return value

    def codes(self, name: str, dim: int, limit: int = MAX_PICTURES, least: int = 1) -> np.ndarray:
        """`least` to `limit` codes, (N, dim) float32."""
        return check_codes(self.items(name, limit, least), dim)

    def code(self, name: str, dim: int) -> np.ndarray:
        """One code, (dim,) float32."""
        return check_codes([self.items(name, max(1, dim))], dim)[0]

    def sketch(self, name: str = "sketch") -> Sketch:
        """A drawing; an empty one for an empty text."""
        text = self.text(name, limit=None)
        return Sketch.from_json(text) if text else Sketch()

    def drawing(self) -> Sketch:
        """`sketch` where there must be something on the paper."""
        sketch = self.sketch()
        if sketch.is_empty:
            raise UserError("nothing_drawn", "There is no drawing yet. Draw something or choose an example first.")
        return sketch

    def picture_file(self) -> tuple[str, bytes]:
        """What a picture is called, at most 80 characters, and its file, which came as a data URL."""
        called = self.text("name", "picture", limit=None)[:80]
        return called, decode_data_url(self.data.get("data_url"), MAX_PHOTO_BYTES)


def address(request: gr.Request | None) -> str:
    """Where a question came from: what the proxy says that stands before this server, else the other end itself.

    Only a proxy beside this server or in its own network is believed: anybody can write into a header.
    """
    if request is None:
        return ""
    host = getattr(getattr(request, "client", None), "host", "") or ""
    forwarded = (request.headers.get("x-forwarded-for") or "").split(",")[-1].strip()
    return forwarded if forwarded and _is_near(host) else host


def _is_near(host: str) -> bool:
    try:
        return ip_address(host).is_private  # which loopback is, too
    except ValueError:
        return not host  # a caller without an address, as in tests


def _wrong(name: str, value: Any, expected: str) -> UserError:
    return UserError(
        "request_field",
        "The page asked for something that cannot be answered: {name} is {value}, not {expected}. Reload the page.",
        name=name or "the question",
        value=f"{shortened(value)!r:.40}",
        expected=expected,
    )
