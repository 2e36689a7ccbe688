"""The evaluation as one HTML file: numbers, charts and pictures, readable by who never saw a latent code.

The file holds all it needs and asks no network for anything; a content security policy in its head holds it to that,
and lets no script run but the two that are put in here. All texts are escaped: a checkpoint may come from anywhere.
The same input gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from bicyclegan.files import write_atomic
from bicyclegan.images import encode_data_url
from bicyclegan.metrics.chart_parts import PALETTE
from bicyclegan.metrics.charts import Chart, Codes, make_charts
from bicyclegan.metrics.comparison import comparison, dim_table
from bicyclegan.metrics.key_numbers import key_numbers
from bicyclegan.metrics.measurement import SCHEMA_VERSION, CheckpointFacts, EvaluationResult
from bicyclegan.metrics.page_parts import page_environment, page_json, plotly_js, read_static, security_policy
from bicyclegan.metrics.reading import NAME_LENGTH, model_labels, plain

STATIC = Path(__file__).parent / "static"
REPORT_FILE = "report.html"
TOLD = (
    "data",
    "training_images",
    "steps",
    "batch_size",
    "batch",
    "images_seen",
    "preset",
    "objective",
    "init_from",
    "hardware",
)
"""Entries of a training record that are shown for each model; the rest is folded away."""
MAX_RECORD = 80
"""Lines of a training record that are shown."""
RECORD_DEPTH = 3
NO_WORD = ("", None)


@dataclass(frozen=True)
class ReportPictures:
    """What the numbers are about."""

    sheets: list[tuple[str, str, Image.Image]] = field(default_factory=list)
    """Title, caption and picture, in the order of the page."""


def write_report(folder: Path, result: EvaluationResult, pictures: ReportPictures, codes: Codes | None = None) -> Path:
    """Write `report.html` into a folder, in one step.

    Args:
        folder: made if it is not there.
        result: what was measured.
        pictures: sheets to show, any size up to 16,383 px a side.
        codes: of the validation photos under `result.checkpoint`, for the charts of single codes.

    Returns:
        The file.
    """
    path = folder / REPORT_FILE
    write_atomic(path, render_report(result, pictures, codes).encode("utf-8"))
    return path


def render_report(result: EvaluationResult, pictures: ReportPictures, codes: Codes | None = None) -> str:
    """The page as text. Arguments as for `write_report`."""
    charts = make_charts(result, codes)
    scripts = [*([plotly_js()] if charts else []), read_static(STATIC / "report.js")]
    return (
        page_environment(STATIC)
        .get_template("report.html")
        .render(
            result=result,
            name=plain(result.checkpoint.name, NAME_LENGTH) or "unnamed",
            labels=model_labels(result),
            facts=model_facts([result.checkpoint, *result.compared]),
            about=model_facts([result.checkpoint]),
            record=training_record(result.checkpoint.training),
            cards=key_numbers(result),
            sections=comparison(result),
            dims=dim_table(result.checkpoint),
            skipped=_skipped(result),
            charts=charts,
            figures=figures_json(charts),
            sheets=[(title, caption, encode_data_url(sheet), *sheet.size) for title, caption, sheet in pictures.sheets],
            css=read_static(STATIC / "report.css"),
            scripts=scripts,
            policy=security_policy(scripts),
            schema_version=SCHEMA_VERSION,
        )
    )


def model_facts(models: Sequence[CheckpointFacts]) -> list[tuple[str, list[str]]]:
    """What the models are: a word, then what holds for each."""
    rows = [
        ("picture size", [f"{facts.image_size} × {facts.image_size} px" for facts in models]),
        ("latent dim", [str(facts.latent_dim) if facts.latent_dim else "none" for facts in models]),
        ("weights", [_count(facts.parameters) for facts in models]),
        ("checkpoint hash", [plain(facts.hash)[:12] for facts in models]),
    ]
    for key in TOLD:
        values = [_told(facts, key) for facts in models]
        if any(values):
            rows.append(("training data" if key == "data" else key.replace("_", " "), [each or "–" for each in values]))
    return rows


def training_record(training: dict[str, Any]) -> list[tuple[str, str]]:
    """What `model_facts` leaves out of a training record, with the names of nested entries joined."""
    rest = {key: value for key, value in training.items() if key not in TOLD or _is_nested(value)}
    return [(plain(" · ".join(path), 120), text) for path, text in islice(_flatten(rest, ()), MAX_RECORD)]


def figures_json(charts: list[Chart]) -> str:
    """Figures and the colours of a dark page, as JSON that can stand in a page."""
    figures = [{"id": chart.id, **json.loads(chart.figure.to_json(engine="json"))} for chart in charts]
    return page_json({"palette": PALETTE, "charts": figures})


def _flatten(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict) and len(path) < RECORD_DEPTH:
        for key, inner in value.items():
            yield from _flatten(inner, (*path, str(key)))
    elif value not in NO_WORD:
        yield path, _text(value)


def _text(value: Any) -> str:
    """A value of a training record in a line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return plain(f"{value:,}" if isinstance(value, int) else f"{value:g}")
    if isinstance(value, list | tuple) and not any(map(_is_nested, value)):
        return plain(", ".join(map(_text, value)))
    return f"({len(value)} more)" if _is_nested(value) else plain(value)


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list | tuple)


def _told(facts: CheckpointFacts, key: str) -> str:
    value = facts.training.get(key)
    return "" if value in NO_WORD or _is_nested(value) else plain(_text(value), 120)


def _count(parameters: int) -> str:
    return f"{parameters / 1e6:.1f} million" if parameters >= 1e6 else f"{parameters:,}"


def _skipped(result: EvaluationResult) -> list[tuple[str, list[str], str]]:
    """Models, groups and reason, with what has one reason told once. Without a name where there is but one model."""
    models = zip(model_labels(result), [result.checkpoint, *result.compared], strict=True)
    told: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for name, facts in models:
        reasons = dict.fromkeys(each.why for each in facts.skipped)
        for why in reasons:
            groups = tuple(plain(each.group) for each in facts.skipped if each.why == why)
            told.setdefault((groups, why), []).append(name)
    return [(", ".join(names) if result.compared else "", [*groups], why) for (groups, why), names in told.items()]
