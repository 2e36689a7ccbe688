"""What models of visitors are called: a name for people, and an id that nobody can guess."""

from __future__ import annotations

import re
import secrets
import unicodedata

from bicyclegan.errors import UserError

MAX_NAME, MAX_SLUG, SECRET = 64, 40, 12
"""Characters of a name, of its part in an id, and of what cannot be guessed: 60 bits."""
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
"""Of base32: in any case of letters, on any disk, they stay apart."""
MODEL_ID = re.compile(rf"([a-z0-9](?:[a-z0-9-]{{0,{MAX_SLUG - 1}}}))-[{LETTERS}]{{{SECRET}}}")


def model_name(title: str) -> str:
    """A title as a checkpoint may be called: spaces become '-', other signs go. Raises `UserError` if nothing is left.

    >>> model_name(" My boots (2nd try)")
    'My-boots-2nd-try'
    """
    plain = unicodedata.normalize("NFKC", title)
    name = re.sub(r"[^\w.-]+", "", re.sub(r"\s+", "-", plain.strip()))
    name = re.sub(r"-{2,}", "-", name).strip(".-")[:MAX_NAME].strip(".-")
    if not name:
        raise UserError(
            "model_name", "A model cannot be called {name!r}: use letters, digits, '.', '_' and '-'.", name=title
        )
    return name


def new_id(name: str) -> str:
    """A fresh id: the name as far as an address can hold it, and what nobody can guess."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_SLUG].strip("-") or "model"
    return f"{slug}-{''.join(secrets.choice(LETTERS) for _ in range(SECRET))}"


def is_id(text: object) -> bool:
    """Whether a text has the form of an id."""
    return isinstance(text, str) and MODEL_ID.fullmatch(text) is not None


def without_secret(text: str) -> str:
    """An id as it may be shown to anybody; any other text as it is."""
    match = MODEL_ID.fullmatch(text)
    return match[1] if match else text
