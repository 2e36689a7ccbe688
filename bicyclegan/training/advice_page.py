"""`train --explain`: advice on one option, a group of them, or a list of all, as text for a terminal and as data."""

from __future__ import annotations

import dataclasses
import shutil
import textwrap
from typing import Any

from bicyclegan.training.advice import Advice, Value, about_group, advice, fields, find

ALL = "all"
WIDEST, NARROWEST = 100, 40
"""Columns that text is wrapped to at most, and at least, whatever the terminal says."""
LABEL = 9
"""Columns of the words in front."""


def explain(topic: str, width: int | None = None) -> str:
    """For people. topic: a field or a group in any spelling, or all. Raises `UserError` for anything else.

    width: columns; by default those of the terminal.
    """
    width = max(NARROWEST, min(WIDEST, width or shutil.get_terminal_size((WIDEST, 0)).columns))
    if topic == ALL:
        return _overview(width)
    name = find(topic)
    return _group_page(name, width) if name in fields() else _field_page(advice(name), width)


def explained(topic: str) -> dict[str, Any]:
    """For programs: a field's advice, a group's, or the names of all fields by group. Raises like `explain`."""
    if topic == ALL:
        return {"groups": {group: list(names) for group, names in fields().items()}}
    name = find(topic)
    if name not in fields():
        return dataclasses.asdict(advice(name))
    members = [dataclasses.asdict(advice(field)) for field in fields()[name]]
    return {"group": name, "purpose": about_group(name), "fields": members}


def option(field: str) -> str:
    """lambda_kl -> --lambda-kl."""
    return "--" + field.replace("_", "-")


def _field_page(about: Advice, width: int) -> str:
    rows = {
        "Purpose": about.purpose,
        "Advised": about.advised,
        "Price": about.price,
        "Allowed": about.allowed,
        "Default": _default(about.defaults),
    }
    head = [f"{option(about.field)}  (group {about.group})", _wrapped(about.what, width), ""]
    return "\n".join(head + [_row(label, text, width) for label, text in rows.items()])


def _row(label: str, text: str, width: int) -> str:
    return _wrapped(text, width, label.ljust(LABEL), " " * LABEL)


def _wrapped(text: str, width: int, first: str = "", others: str = "") -> str:
    """Lines of at most `width` columns that never part a word such as wgan-gp."""
    return textwrap.fill(text, width, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)


def _default(defaults: dict[str, Value]) -> str:
    values = {preset: _value(value) for preset, value in defaults.items()}
    if len(set(values.values())) == 1:
        return f"{next(iter(values.values()))} (in all presets)"
    return ", ".join(f"{value} in {preset}" for preset, value in values.items())


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.10g}" if isinstance(value, float) else str(value) or "empty"


def _group_page(group: str, width: int) -> str:
    names = fields()[group]
    column = 2 + max(len(option(name)) for name in names)
    lines = [
        option(name).ljust(column) + textwrap.shorten(advice(name).purpose, width - column, placeholder=" ...")
        for name in names
    ]
    end = _wrapped("--explain FIELD tells when each is advised and what it costs.", width)
    return "\n".join([_wrapped(f"{group}: {about_group(group)}", width), "", *lines, "", end])


def _overview(width: int) -> str:
    def part(group: str, names: tuple[str, ...]) -> str:
        return _wrapped(f"{group}: {about_group(group)}", width) + "\n" + _wrapped(", ".join(names), width, "  ", "  ")

    end = _wrapped("--explain FIELD tells about one of them, --explain GROUP about a group.", width)
    return "\n\n".join([*(part(group, names) for group, names in fields().items()), end])
