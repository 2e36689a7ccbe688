"""The one exception for mistakes that a person can mend."""

from __future__ import annotations

import reprlib
from string import Formatter

MAX_QUOTED = 200
"""Characters that are shown of what somebody gave: templates quote it, {value!r}."""
MAX_TEXT = 2000
"""Characters of any other text: lists of what is allowed, and messages of other programs, are long."""
_SHORT = reprlib.Repr()
_SHORT.maxlist = _SHORT.maxtuple = 12
_SHORT.maxlevel, _SHORT.maxdict = 3, 8
_SHORT.maxstring = _SHORT.maxother = MAX_QUOTED


class UserError(ValueError):
    """What was wrong, the value, what is allowed, and the way out, in one line.

    `code` names the mistake for other languages: the UI looks up `error.<code>` in its locale files
    and fills in the same `values`. English is the template given here, so there is one source of it.
    Values may come from anywhere, megabytes long or deeply nested: they are kept as they can be shown, shortened.

    >>> raise UserError("seed_range", "Seed {seed} is out of range: use 0 to {limit}.", seed=-1, limit=9)
    Traceback (most recent call last):
    bicyclegan.errors.UserError: Seed -1 is out of range: use 0 to 9.
    """

    def __init__(self, code: str, template: str, **values: object):
        quoted = {name for _, name, _, conversion in Formatter().parse(template) if conversion == "r"}
        self.code = code
        self.template = template
        limits = {name: MAX_QUOTED if name in quoted else MAX_TEXT for name in values}
        self.values = {name: shortened(value, limits[name]) for name, value in values.items()}
        super().__init__(template.format(**self.values))

    def __reduce__(self) -> tuple:
        """How it travels between processes of ours: by default only the message would."""
        return _remade, (self.code, self.template, self.values)

    def to_json(self) -> dict[str, object]:
        """How it is kept in a file. Values of other kinds than numbers and texts become texts."""
        values = {
            name: value if isinstance(value, (bool, int, float, str)) else str(value)
            for name, value in self.values.items()
        }
        return {"code": self.code, "template": self.template, "values": values}

    @classmethod
    def from_json(cls, data: dict[str, object]) -> UserError:
        """The inverse of `to_json`. What cannot be read is told as it is."""
        try:
            return cls(str(data["code"]), str(data["template"]), **dict(data["values"]))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            return cls.retold("unreadable", str(data.get("template", "?")))

    @classmethod
    def retold(cls, code: str, text: str) -> UserError:
        """The mistake of another process, in its words."""
        return cls(code, "{text}", text=text)


class _Shown:
    """What is shown in place of a value, quoted or not, whatever format is asked for."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def __format__(self, _spec: str) -> str:
        return self.text


def shortened(value: object, limit: int = MAX_QUOTED) -> object:
    """The value as messages show it: itself where it is short, else its beginning. limit: characters of a text."""
    if isinstance(value, str):
        return value if len(value) <= limit else value[:limit] + "…"
    if isinstance(value, int):  # one of 5,000 digits cannot even be written
        return (
            value if value.bit_length() <= 128 else _Shown(f"≈{'-' * (value < 0)}10^{value.bit_length() * 0.30103:.0f}")
        )
    if isinstance(value, (list, tuple, dict, set, frozenset, bytes)):
        return _Shown(shortened(_SHORT.repr(value)))
    text = str(value)  # of numbers, paths, types; exceptions may repeat all that they were given
    return value if len(text) <= limit else _Shown(text[:limit] + "…")


def _remade(code: str, template: str, values: dict[str, object]) -> UserError:
    return UserError(code, template, **values)
