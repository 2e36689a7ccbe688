"""The doctor: what goes wrong in a run, told from its events alone: evidence, cause, remedy, and the change to make.

A rule sees nothing but `events`, so that a run started anywhere can be judged anywhere. Each says nothing before it has
seen enough: a young healthy run looks like a sick one. Sentences are data, `finding_texts/<language>.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from bicyclegan.training.events import Event, Finding, RunStarted, StepLogged
from bicyclegan.training.rules.adversary import (
    critic_unbounded,
    discriminator_overfits,
    discriminator_wins,
    loss_without_effect,
    no_adversarial_gradient,
    vanishing,
)
from bicyclegan.training.rules.codes import ignores_z, mode_collapse, posterior_collapse, posterior_far
from bicyclegan.training.rules.learning import exploding, not_a_number, oscillation, plateau, rate_high, rate_low
from bicyclegan.training.rules.pictures import blur, border, few_pictures, inputs_range
from bicyclegan.training.rules.rule import SEVERITIES, Chart, Diagnosis, Line, Rule
from bicyclegan.training.run_log import RunLog, is_number, make_log, read_log

__all__ = ["RULES", "Chart", "Diagnosis", "Doctor", "Line", "RunLog", "diagnose", "finding", "read_log", "words"]

Language = Literal["en", "zh"]
TEXTS = Path(__file__).parent / "finding_texts"
MAX_LINES = 2000
"""Lines of losses that are kept of a run that goes on."""
RULES: tuple[Rule, ...] = (
    not_a_number,
    inputs_range,
    no_adversarial_gradient,
    loss_without_effect,
    rate_high,
    rate_low,
    critic_unbounded,
    exploding,
    few_pictures,
    posterior_collapse,
    posterior_far,
    ignores_z,
    vanishing,
    mode_collapse,
    discriminator_wins,
    discriminator_overfits,
    oscillation,
    border,
    blur,
    plateau,
)
"""Causes before what follows from them: of two equally grave findings the one to act on comes first."""


@dataclass(frozen=True)
class Words:
    """What a person reads of a diagnosis."""

    title: str
    evidence: str
    cause: str
    remedy: str


def diagnose(log: RunLog) -> list[Diagnosis]:
    """All that is wrong with a run as far as its log goes; the gravest and likeliest cause first."""
    found = [_changing(diagnosis, log) for rule in RULES if (diagnosis := rule(log))]
    return sorted(found, key=lambda each: SEVERITIES.index(each.severity))


def _changing(diagnosis: Diagnosis, log: RunLog) -> Diagnosis:
    """Without what is set so already."""
    options = log.options
    return replace(
        diagnosis, patch={name: value for name, value in diagnosis.patch.items() if options.get(name) != value}
    )


def words(diagnosis: Diagnosis, language: Language = "en") -> Words:
    """The diagnosis in sentences."""
    texts = _texts(language)[diagnosis.name]
    chosen = {**texts, **texts.get(diagnosis.variant, {})}
    values = {name: f"{value:g}" if is_number(value) else value for name, value in diagnosis.values.items()}
    return Words(*(chosen[name].format(**values) for name in ("title", "evidence", "cause", "remedy")))


def finding(diagnosis: Diagnosis, language: Language = "en") -> Finding:
    """The diagnosis as an event of the run."""
    said = words(diagnosis, language)
    return Finding(
        step=diagnosis.step,
        name=diagnosis.name,
        severity=diagnosis.severity,
        evidence=said.evidence,
        cause=said.cause,
        remedy=said.remedy,
        patch=dict(diagnosis.patch),
    )


class Doctor:
    """Follows a run while it learns, and says of each finding once how grave it is."""

    def __init__(self, before: Iterable[Event] = ()):
        """before: what the run wrote until now, when it goes on."""
        self._events: list[Event] = []
        self._told: dict[str, int] = {}
        """Findings that were told of, with their place in `SEVERITIES`."""
        for event in before:
            self.hear(event)

    def hear(self, event: Event) -> None:
        """Take in what the run has written."""
        if isinstance(event, RunStarted) and (not event.resumed or event.options != self._options()):
            self._told.clear()  # what helped before may not help now
        if isinstance(event, Finding):
            self._told[event.name] = min(self._told.get(event.name, 9), SEVERITIES.index(event.severity))
        self._events.append(event)
        if sum(isinstance(each, StepLogged) for each in self._events) > MAX_LINES:
            self._thin()

    def look(self) -> list[Finding]:
        """Findings that are new, or graver than they were."""
        found = [finding(each) for each in diagnose(make_log(self._events))]
        return [each for each in found if SEVERITIES.index(each.severity) < self._told.get(each.name, 9)]

    def _options(self) -> dict[str, Any]:
        return next((each.options for each in reversed(self._events) if isinstance(each, RunStarted)), {})

    def _thin(self) -> None:
        """Every other line of the older half is enough."""
        half = len(self._events) // 2
        old = self._events[:half]
        kept = [event for place, event in enumerate(old) if place % 2 or not isinstance(event, StepLogged)]
        self._events = kept + self._events[half:]


@cache
def _texts(language: Language) -> dict[str, dict[str, Any]]:
    return json.loads((TEXTS / f"{language}.json").read_text("utf-8"))
