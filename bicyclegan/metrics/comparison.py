"""All measurements as a table: a row for each name, a column for each checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from bicyclegan.metrics.measurement import CheckpointFacts, EvaluationResult, Measurement
from bicyclegan.metrics.reading import ARROWS, label, model_labels, number, plain, reference_label, shown_value

SECTIONS = {
    "lpips_diversity": "Diversity",
    "fid": "Realism",
    "kid": "Realism",
    "inception_score": "Realism",
    "precision_recall": "Realism",
    "reconstruction": "Reconstruction",
    "latent": "Latent code",
    "faithfulness": "Faithfulness",
}
"""Heading above the rows of a group."""


@dataclass(frozen=True)
class Cell:
    """One number of one checkpoint."""

    value: str
    error: str
    """Standard error; empty if there is none."""
    best: bool
    notes: list[str]
    """What differs from the first model that has this number: protocol, count, references."""


@dataclass(frozen=True)
class Row:
    """One measurement across checkpoints."""

    label: str
    name: str
    better: str
    """lower, higher or empty."""
    arrow: str
    cells: list[Cell | None]
    """One for each checkpoint; None where it was not measured."""
    references: list[tuple[str, str]]
    count: str
    protocols: list[tuple[str, str]]
    """Whose, and the sentence. One without a name where all were measured in the same way."""


@dataclass(frozen=True)
class DimTable:
    """Measurements of one checkpoint that have a value for each dim."""

    labels: list[str]
    rows: list[list[str]]
    """D rows: the dim, counted from 1, then one value for each label."""


def comparison(result: EvaluationResult) -> list[tuple[str, list[Row]]]:
    """Rows under their headings. Columns are aligned by the full name: numbers of two names cannot be compared."""
    models = [result.checkpoint, *result.compared]
    firsts: dict[str, Measurement] = {}
    for facts in models:
        for measurement in facts.measurements:
            firsts.setdefault(measurement.name, measurement)
    sections: dict[str, list[Row]] = {}
    for name, measurement in firsts.items():
        heading = SECTIONS.get(measurement.group) or plain(measurement.group.replace("_", " ")).capitalize()
        sections.setdefault(heading, []).append(_row(name, measurement, models, model_labels(result)))
    return list(sections.items())


def dim_table(facts: CheckpointFacts) -> DimTable | None:
    """All `per_dim` values side by side; None where there are none."""
    parts = [each for each in facts.measurements if each.per_dim]
    count = max((len(each.per_dim) for each in parts), default=0)
    rows = [
        [str(dim + 1), *(number(each.per_dim[dim]) if dim < len(each.per_dim) else "–" for each in parts)]
        for dim in range(count)
    ]
    return DimTable([label(each) for each in parts], rows) if rows else None


def _row(name: str, shown: Measurement, models: list[CheckpointFacts], labels: list[str]) -> Row:
    found = [facts.find(name) for facts in models]
    best = _best(shown, zip(found, models, strict=True))
    cells = [
        _cell(measurement, facts, shown, measurement.value == best) if measurement else None
        for measurement, facts in zip(found, models, strict=True)
    ]
    return Row(
        label=label(shown),
        name=plain(name),
        better=shown.better,
        arrow=ARROWS[shown.better],
        cells=cells,
        references=[(reference_label(key), number(value)) for key, value in shown.references.items()],
        count=f"{shown.count:,}",
        protocols=_protocols(found, labels),
    )


def _cell(measurement: Measurement, facts: CheckpointFacts, shown: Measurement, best: bool) -> Cell:
    value, error = shown_value(measurement, facts)
    notes = ["measured in another way"] if measurement.protocol != shown.protocol else []
    notes += [f"n = {measurement.count:,}"] if measurement.count != shown.count else []
    notes += [
        f"{reference_label(key)} {number(reference)}"
        for key, reference in measurement.references.items()
        if shown.references.get(key) != reference
    ]
    return Cell(value, error, best, notes)


def _best(shown: Measurement, found: Iterable[tuple[Measurement | None, CheckpointFacts]]) -> float | None:
    """The best value of a row; None where neither is better, none is worse, or pictures differ in size."""
    known = [(each.value, facts.image_size) for each, facts in found if each and math.isfinite(each.value)]
    values = {value for value, _ in known}
    if not shown.better or len(values) < 2 or len({size for _, size in known}) > 1:
        return None
    return min(values) if shown.better == "lower" else max(values)


def _protocols(found: list[Measurement | None], labels: list[str]) -> list[tuple[str, str]]:
    told = [(name, plain(each.protocol, 2000)) for name, each in zip(labels, found, strict=True) if each]
    return [("", told[0][1])] if len({protocol for _, protocol in told}) == 1 else told
