"""Pins: styles that somebody kept and named, and the JSON file they travel in."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from bicyclegan.errors import UserError, shortened
from bicyclegan.latent import check_codes
from bicyclegan.recipe import one_line

KIND = "bicyclegan-pins"
PINS_VERSION = 1
MAX_PINS = 48
MAX_NAME = 40
"""Characters."""
MAX_RAW_NAME = 1000
"""Characters, blanks included, that are looked at one by one."""
MAX_DIM = 512
"""Longest code that is taken from outside."""
MAX_TEXT = 1 << 20
"""Characters of a file of pins: forty times what 48 of the shipped models need."""


@dataclass(frozen=True, eq=False)
class Pin:
    """A named style. Raises `UserError` for a name or a code that cannot be one."""

    name: str
    """One line of 1 to 40 characters in any language; runs of blanks become one."""
    z: np.ndarray
    """(D,) float32, read-only: the code, D from 1 to 512."""
    checkpoint: str
    """Name of the checkpoint that the code belongs to."""
    checkpoint_hash: str
    """Its `content_hash`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _name(self.name))
        object.__setattr__(self, "z", check_code(self.z))
        for field in ("checkpoint", "checkpoint_hash"):
            object.__setattr__(self, field, text_field(field, getattr(self, field)))

    def to_json(self) -> dict[str, Any]:
        """Plain data; float32 values survive exactly."""
        values = [float(value) for value in self.z]
        return {
            "name": self.name,
            "z": values,
            "checkpoint": self.checkpoint,
            "checkpoint_hash": self.checkpoint_hash,
        }


def check_pin(data: object) -> Pin:
    """A pin of one JSON object from anywhere. Unknown fields are left out. Raises `UserError`."""
    if not isinstance(data, dict):
        raise _broken(f"a pin is an object, not {type(data).__name__}")
    missing = [field for field in ("name", "z", "checkpoint", "checkpoint_hash") if field not in data]
    if missing:
        raise _broken(f"a pin lacks {', '.join(missing)}")
    if not isinstance(data["z"], list):
        raise _broken(f"z of a pin is a list of numbers, not {type(data['z']).__name__}")
    return Pin(data["name"], data["z"], data["checkpoint"], data["checkpoint_hash"])


def pins_to_json(pins: Sequence[Pin]) -> str:
    """A file of pins. `pins_from_json` of it gives the same values. Raises `UserError` for more than 48."""
    check_count(len(pins))
    document = {"version": PINS_VERSION, "kind": KIND, "pins": [pin.to_json() for pin in pins]}
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def pins_from_json(text: str | bytes) -> list[Pin]:
    """The pins of a file from anywhere; none is fine. Raises `UserError`."""
    if len(text) > MAX_TEXT:
        raise UserError(
            "pins_large",
            "The file of pins has {megabytes} MB; at most {limit} MB are allowed: is it the right file?",
            megabytes=f"{len(text) / 2**20:.1f}",
            limit=MAX_TEXT >> 20,
        )
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:  # broken syntax or UTF-8, a number of 5,000 digits, deep nesting
        raise _broken(f"no valid JSON ({error})") from None
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise _broken(f'the field "kind" is not "{KIND}"')
    _check_version(document.get("version"))
    pins = document.get("pins")
    if not isinstance(pins, list):
        raise _broken(f"pins is {type(pins).__name__}, not a list")
    check_count(len(pins))
    return [check_pin(each) for each in pins]


def check_count(count: int) -> None:
    """Raise `UserError` for too many pins."""
    if count > MAX_PINS:
        raise UserError(
            "pins_many",
            "There are {count} pins; at most {limit} can be kept: remove some.",
            count=count,
            limit=MAX_PINS,
        )


def check_code(z: object) -> np.ndarray:
    """One code from outside, of any length up to 512, as (D,) float32, read-only. Raises `UserError`."""
    values = z.tolist() if isinstance(z, np.ndarray) else z
    fits = isinstance(values, (list, tuple)) and 1 <= len(values) <= MAX_DIM
    if not (fits and all(isinstance(value, Real) and not isinstance(value, bool) for value in values)):
        raise UserError("pin_code", "The code of a style must be a list of 1 to {limit} numbers.", limit=MAX_DIM)
    code = check_codes(values, len(values))[0]
    code.setflags(write=False)
    return code


def text_field(name: str, value: object) -> str:
    """A name that goes into messages. Raises `UserError` for what is no text."""
    try:
        return one_line(value)
    except TypeError as error:
        raise _broken(f"{name} is {error}") from None


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise _broken(f"name is {type(value).__name__}, not text")
    name = _shown(value) if len(value) <= MAX_RAW_NAME else value
    if not 1 <= len(name) <= MAX_NAME:
        raise UserError(
            "pin_name",
            "The name of a style has {count} characters; use 1 to {limit}.",
            count=len(name),
            limit=MAX_NAME,
        )
    return name


def _shown(text: str) -> str:
    """One trimmed line, without what shows nothing and may break a page: control characters, halves of characters."""
    kinds = {"Cc": " ", "Zl": " ", "Zp": " ", "Cs": ""}
    return " ".join("".join(kinds.get(unicodedata.category(each), each) for each in text).split())


def _check_version(version: object) -> None:
    if type(version) is not int or version < 1:
        raise _broken(f"version is {shortened(version)!r:.40}, not {PINS_VERSION}")
    if version > PINS_VERSION:
        raise UserError(
            "pins_newer",
            "The pins have version {version}; this program reads up to {known}. Update it: git pull.",
            version=version,
            known=PINS_VERSION,
        )


def _broken(why: str) -> UserError:
    return UserError(
        "pins_broken", "This is no file of pins: {why}. Use one that was saved here.", why=" ".join(why.split())[:160]
    )
