"""What each option of training is for, when it is advised and what it costs: for `train --explain` and for the page.

Light on purpose (no torch). The texts are data, `advice_texts/<language>.json`; choices, limits and defaults are asked
of the config itself, so that they cannot disagree with it.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import json
import math
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args, get_type_hints

from bicyclegan.config import from_json
from bicyclegan.errors import UserError
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.presets import PRESETS

Language = Literal["en", "zh"]
Kind = Literal["choice", "flag", "whole number", "number", "text"]
Value: TypeAlias = "bool | int | float | str"
TEXTS = Path(__file__).parent / "advice_texts"
RUN = "run"
"""Group of the fields of `TrainConfig` that belong to no other."""
IMPOSSIBLE = {int: -(10**12), float: math.nan}
"""Values that every limit of a field refuses, by its type."""


@dataclass(frozen=True)
class Advice:
    """All there is to say about one field."""

    field: str
    """Its name in the config. On the command line lambda_kl is --lambda-kl."""
    group: str
    """Field of `TrainConfig` that holds it, or `RUN`."""
    purpose: str
    """What it is for, in words for newcomers."""
    advised: str
    """Symptom and remedy; usual values."""
    price: str
    """What it costs: time, memory, risks."""
    what: str
    """What the config says about it, in English whatever the language."""
    kind: Kind
    choices: tuple[str, ...]
    """All that are allowed, where there is a choice."""
    limits: tuple[float, float] | None
    """Smallest and largest number, where the config has such limits."""
    allowed: str
    """The same for people, in English."""
    defaults: dict[str, Value]
    """By preset."""


def fields() -> dict[str, tuple[str, ...]]:
    """Names of all fields by group, in the order of the config, `RUN` first."""
    groups = _group_types()
    own = tuple(each.name for each in dataclasses.fields(TrainConfig) if each.name not in groups)
    return {RUN: own, **{name: tuple(f.name for f in dataclasses.fields(kind)) for name, kind in groups.items()}}


def advice(field: str, language: Language = "en") -> Advice:
    """About a field by its name in any spelling: lambda_kl, lambda-kl, --lambda-kl. Raises `UserError` for others."""
    name = find(field)
    group = next((group for group, names in fields().items() if name in names), None)
    if group is None:
        raise _unknown(field, name)
    owner = _group_types().get(group, TrainConfig)
    hint = get_type_hints(owner)[name]
    return Advice(
        field=name,
        group=group,
        **_texts(language)["fields"][name],
        what=_docstrings(owner)[name],
        kind=_kind(hint),
        choices=get_args(hint),
        limits=_limits(owner, name, hint),
        allowed=_allowed(owner, name, hint),
        defaults=_defaults(group, name),
    )


def about_group(group: str, language: Language = "en") -> str:
    """What a group of `fields()` is about, in one line."""
    return _texts(language)["groups"][group]


def find(name: str) -> str:
    """The field or group that somebody means: --lambda-kl=3 -> lambda_kl. Raises `UserError` with the nearest."""
    plain = name.strip().lstrip("-").partition("=")[0].replace("-", "_").lower()
    if plain in _names():
        return plain
    raise _unknown(name, plain)


def _unknown(name: str, plain: str) -> UserError:
    inside = [known for known in _names() if len(plain) > 1 and plain in known]
    near = dict.fromkeys([*inside[:4], *difflib.get_close_matches(plain, _names(), n=3, cutoff=0.55)])
    return UserError(
        "advice_unknown",
        "There is no option {name!r} to explain; try {near}. All are listed by --explain all.",
        name=name,
        near=", ".join(near) or ", ".join(fields()),
    )


@cache
def _names() -> tuple[str, ...]:
    """All that may be asked for; fields before groups."""
    return (*(name for names in fields().values() for name in names), *fields())


@cache
def _group_types() -> dict[str, type]:
    hints = get_type_hints(TrainConfig)
    return {name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)}


@cache
def _texts(language: Language) -> dict[str, dict[str, Any]]:
    return json.loads((TEXTS / f"{language}.json").read_text("utf-8"))


@cache
def _docstrings(owner: type) -> dict[str, str]:
    """The string below each field of a dataclass, in one line; Python itself forgets them."""
    [definition] = ast.parse(inspect.getsource(owner)).body
    assert isinstance(definition, ast.ClassDef)
    return {
        node.target.id: " ".join(after.value.value.split())
        for node, after in pairwise(definition.body)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    }


def _kind(hint: Any) -> Kind:
    if get_args(hint):
        return "choice"
    return {bool: "flag", int: "whole number", float: "number", str: "text"}[hint]


def _allowed(owner: type, name: str, hint: Any) -> str:
    """What may be given, for people."""
    if choices := get_args(hint):
        return " | ".join(choices)
    if hint not in IMPOSSIBLE:
        return "on or off: given, it is on" if hint is bool else "text"
    limits = _limits(owner, name, hint)
    return f"a {_kind(hint)} from {limits[0]:,.10g} to {limits[1]:,.10g}" if limits else _refusal(owner, name, hint)


def _limits(owner: type, name: str, hint: Any) -> tuple[float, float] | None:
    found = re.fullmatch(r"from (\S+) to (\S+)", _refusal(owner, name, hint))
    return (float(found[1]), float(found[2])) if found else None


def _refusal(owner: type, name: str, hint: Any) -> str:
    """What the config says is allowed when it is given what is not: "from 0 to 10"."""
    if hint not in IMPOSSIBLE:
        return ""
    try:
        from_json(owner, {name: IMPOSSIBLE[hint]})
    except UserError as error:
        if error.values.get("name") == name:
            return str(error.values["allowed"])
    raise AssertionError(f"{owner.__name__} takes {IMPOSSIBLE[hint]} for {name}")


def _defaults(group: str, name: str) -> dict[str, Value]:
    if name == "preset":  # each names itself, but one is taken where none is given
        return dict.fromkeys(PRESETS, TrainConfig.preset)
    holders = {preset: config if group == RUN else getattr(config, group) for preset, config in PRESETS.items()}
    return {preset: getattr(holder, name) for preset, holder in holders.items()}
