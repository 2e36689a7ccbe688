"""The doctor: what goes wrong in a run, told from its events alone: evidence, cause, remedy, and the change to make.

A rule sees nothing but `events`, so that a run started anywhere can be judged anywhere. Each says nothing before it has
seen enough: a young healthy run looks like a sick one. Sentences are data, `finding_texts/<language>.json`.
"""

from __future__ import annotations

import json
import logging
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
from bicyclegan.training.run_log import RunLog, is_number, is_sound, learns_otherwise, make_log, read_log

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


CONSEQUENCES: dict[str, frozenset[str]] = {
    "rate_high": frozenset(
        ("vanishing", "posterior_far", "posterior_collapse", "ignores_z", "mode_collapse", "discriminator_wins", "blur")
    ),
    "rate_low": frozenset(("ignores_z", "posterior_collapse", "blur", "plateau")),
    "inputs_range": frozenset(("discriminator_wins", "discriminator_overfits")),
    "no_adversarial_gradient": frozenset(
        ("vanishing", "discriminator_wins", "discriminator_overfits", "blur", "mode_collapse", "ignores_z")
    ),
    "exploding": frozenset(("posterior_far", "discriminator_wins", "ignores_z", "mode_collapse", "blur")),
    "few_pictures": frozenset(("discriminator_overfits",)),
    "posterior_far": frozenset(("mode_collapse", "discriminator_wins", "vanishing")),
    "ignores_z": frozenset(("mode_collapse", "discriminator_wins", "vanishing", "blur")),
    "vanishing": frozenset(("discriminator_wins",)),
}
"""What follows from a finding, as long as that is there."""


@dataclass(frozen=True)
class Words:
    """What a person reads of a diagnosis."""

    title: str
    evidence: str
    cause: str
    remedy: str


def diagnose(log: RunLog) -> list[Diagnosis]:
    """All that is wrong with a run as far as its log goes; the gravest and likeliest cause first."""
    found = [_changing(diagnosis, log) for rule in RULES if (diagnosis := _judged(rule, log))]
    return sorted(_with_causes(found), key=lambda each: SEVERITIES.index(each.severity))


def _judged(rule: Rule, log: RunLog) -> Diagnosis | None:
    """What a rule says. One that fails is our own fault, and neither ends a training nor silences the others."""
    try:
        return rule(log)
    except Exception:
        logging.getLogger(__name__).exception("The rule %s failed", rule.name)
        return None


def _changing(diagnosis: Diagnosis, log: RunLog) -> Diagnosis:
    """Without what is set so already."""
    options = log.options
    return replace(
        diagnosis, patch={name: value for name, value in diagnosis.patch.items() if options.get(name) != value}
    )


def _with_causes(found: list[Diagnosis]) -> list[Diagnosis]:
    """What follows from something else is less grave, and no change is made for it."""
    ill = {each.name for each in found if each.severity == "ill"}
    told = []
    for each in found:
        cause = next((name for name, after in CONSEQUENCES.items() if name in ill and each.name in after), "")
        if cause:
            each = replace(each, severity="watch" if each.severity == "ill" else each.severity, patch={}, follows=cause)
        told.append(each)
    return told


def words(diagnosis: Diagnosis, language: Language = "en") -> Words:
    """The diagnosis in sentences."""
    texts = _texts(language)
    chosen = dict(texts[diagnosis.name])
    for variant in diagnosis.variant.split():
        chosen |= texts[diagnosis.name].get(variant, {})
    values = {name: f"{value:g}" if is_number(value) else value for name, value in diagnosis.values.items()}
    said = Words(*(chosen[name].format(**values) for name in ("title", "evidence", "cause", "remedy")))
    if not diagnosis.follows:
        return said
    return replace(said, remedy=texts["_follows"]["remedy"].format(title=texts[diagnosis.follows]["title"]))


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
        if not is_sound(event):
            return  # somebody else wrote it
        if isinstance(event, RunStarted) and self._begins_anew(event):
            self._told.clear()
        if isinstance(event, Finding) and event.severity in SEVERITIES:
            self._told[event.name] = min(self._told.get(event.name, 9), SEVERITIES.index(event.severity))
        self._events.append(event)
        if sum(isinstance(each, StepLogged) for each in self._events) > MAX_LINES:
            self._thin()

    def look(self) -> list[Finding]:
        """Findings that are new, or graver than they were."""
        found = [finding(each) for each in diagnose(make_log(self._events))]
        return [each for each in found if SEVERITIES.index(each.severity) < self._told.get(each.name, 9)]

    def _begins_anew(self, event: RunStarted) -> bool:
        """Whether what was said before was of another run."""
        before = next((each for each in reversed(self._events) if isinstance(each, RunStarted)), None)
        return not event.resumed or (before is not None and learns_otherwise(before, event))

    def _thin(self) -> None:
        """Every other line of the older half is enough."""
        half = len(self._events) // 2
        old = self._events[:half]
        kept = [event for place, event in enumerate(old) if place % 2 or not isinstance(event, StepLogged)]
        self._events = kept + self._events[half:]


@cache
def _texts(language: Language) -> dict[str, dict[str, Any]]:
    return json.loads((TEXTS / f"{language}.json").read_text("utf-8"))
