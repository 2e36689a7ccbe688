"""The one exception for mistakes that a person can mend."""

from __future__ import annotations


class UserError(ValueError):
    """What was wrong, the value, what is allowed, and the way out, in one line.

    `code` names the mistake for other languages: the UI looks up `error.<code>` in its locale files
    and fills in the same `values`. English is the template given here, so there is one source of it.

    >>> raise UserError("seed_range", "Seed {seed} is out of range: use 0 to {limit}.", seed=-1, limit=9)
    Traceback (most recent call last):
    bicyclegan.errors.UserError: Seed -1 is out of range: use 0 to 9.
    """

    def __init__(self, code: str, template: str, **values: object):
        super().__init__(template.format(**values))
        self.code = code
        self.template = template
        self.values = values

    @classmethod
    def retold(cls, code: str, text: str) -> UserError:
        """The mistake of another process, in its words."""
        return cls(code, "{text}", text=text)
