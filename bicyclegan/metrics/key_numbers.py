"""The few numbers that say what a checkpoint is worth, each with a sentence on how to read it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from bicyclegan.metrics.latent import LATENT_CHANCE
from bicyclegan.metrics.measurement import CheckpointFacts, EvaluationResult, Measurement
from bicyclegan.metrics.reading import base_name, first, model_labels, number

MAX_CARDS = 6


@dataclass(frozen=True)
class KeyNumber:
    """One card."""

    title: str
    value: str
    unit: str
    sentence: str
    share: float | None = None
    """How full its bar is, 0 to 1, where 1 is the best that can be hoped for; None draws no bar."""
    others: list[tuple[str, str]] = field(default_factory=list)
    """The same number of compared models: label and value."""


def key_numbers(result: EvaluationResult) -> list[KeyNumber]:
    """The first `MAX_CARDS` that were measured, the most telling first."""
    labels = model_labels(result)[1:]
    cards = []
    for names, describe in CARDS:
        measurement = first(result.checkpoint, *names)
        if measurement is None:
            continue
        beside = zip(labels, result.compared, strict=True)
        others = [(name, _value(describe, facts, measurement.name)) for name, facts in beside]
        card = describe(measurement, result.checkpoint)
        cards.append(KeyNumber(**{**vars(card), "others": [(name, value) for name, value in others if value]}))
    return cards[:MAX_CARDS]


def _value(describe: Describe, facts: CheckpointFacts, name: str) -> str:
    measurement = facts.find(name)
    return describe(measurement, facts).value if measurement else ""


def _diversity(measured: Measurement, facts: CheckpointFacts) -> KeyNumber:
    real = measured.references.get("real_pairs")
    share = _ratio(measured.value, real)
    unit = _unit(measured)
    if share is None:
        sentence = "How much two samples of one sketch differ; 0 means that the style code does nothing."
        return KeyNumber("Diversity", number(measured.value), unit, sentence)
    sentence = (
        f"Two random photos of the set differ by {number(real)} ({unit}), two samples of one sketch by "
        f"{number(measured.value)}."
    )
    return KeyNumber("Diversity", f"{100 * share:.0f} %", "of real photos", sentence, share)


def _latent(measured: Measurement, facts: CheckpointFacts) -> KeyNumber:
    chance = measured.references.get("chance", LATENT_CHANCE)
    sentence = f"How far the code read back from a result is from the one it was painted with: 0 is perfect, \
{number(chance)} is guessing."
    missed = _ratio(measured.value, chance)
    return KeyNumber(
        "Code recovered", number(measured.value), "latent L1", sentence, None if missed is None else 1 - missed
    )


def _active(measured: Measurement, facts: CheckpointFacts) -> KeyNumber:
    sentence = "Dims of the latent code that tell photos apart. The others hold nothing: moving them does little."
    share = _ratio(measured.value, facts.latent_dim)
    return KeyNumber("Active dims", number(measured.value), f"of {facts.latent_dim}", sentence, share)


def _faithful(measured: Measurement, facts: CheckpointFacts) -> KeyNumber:
    real = measured.references.get("real_photos")
    other = measured.references.get("other_sketch", measured.references.get("shuffled"))
    sentence = "How well the edges of the results lie on the lines of the sketch, up to 1."
    if real is not None:
        sentence += f" Real photos reach {number(real)}."
    if other is not None:
        sentence += f" Held against sketches of other pictures they score {number(other)}."
    return KeyNumber(
        "Faithfulness",
        number(measured.value),
        "edge F1",
        sentence,
        _ratio(measured.value, 1.0 if real is None else real),
    )


def _realism(measured: Measurement, facts: CheckpointFacts) -> KeyNumber:
    floor = measured.references.get("train_photos")
    sentence = "How far the results, as a set, are from real photos: lower is better."
    if floor is not None:
        sentence += f" Other real photos are at {number(floor)}."
    if base_name(measured.name).endswith("768"):
        sentence += " Other features than in papers: compare within reports like this."
    return KeyNumber(
        base_name(measured.name).upper(),
        number(measured.value),
        "" if floor is None else f"floor {number(floor)}",
        sentence,
        None if floor is None or floor <= 0 else _ratio(floor, measured.value),
    )


def _reconstruction(measured: Measurement, facts: CheckpointFacts) -> KeyNumber:
    sentence = "How far a photo that is painted again, from its own edges and its own code, is from the original."
    if not facts.latent_dim:
        sentence = "How far the result of a photo's edges is from that photo."
    return KeyNumber("Reconstruction", number(measured.value), _unit(measured), sentence)


def _precision(measured: Measurement, facts: CheckpointFacts) -> KeyNumber:
    sentence = "Share of the results that lie among the real photos."
    return KeyNumber("Precision", number(measured.value), "", sentence, _ratio(measured.value, 1.0))


def _recall(measured: Measurement, facts: CheckpointFacts) -> KeyNumber:
    sentence = "Share of the real photos that lie among the results."
    return KeyNumber("Recall", number(measured.value), "", sentence, _ratio(measured.value, 1.0))


def _unit(measured: Measurement) -> str:
    """What a distance of two pictures is measured in."""
    name = base_name(measured.name)
    return "LPIPS" if "lpips" in name else "mean colour difference" if "rgb" in name else "L1"


def _ratio(part: float, whole: float | None) -> float | None:
    """part / whole; None where that says nothing."""
    if whole is None or not (math.isfinite(part) and math.isfinite(whole)) or whole <= 0 or part < 0:
        return None
    return part / whole


Describe = Callable[[Measurement, CheckpointFacts], KeyNumber]
CARDS: list[tuple[tuple[str, ...], Describe]] = [
    (("lpips_diversity", "rgb_diversity"), _diversity),
    (("latent_l1",), _latent),
    (("active_dims",), _active),
    (("edge_f1",), _faithful),
    (("fid", "fid768"), _realism),
    (("kid", "kid768"), _realism),
    (("reconstruction_lpips", "reconstruction_rgb", "reconstruction_l1"), _reconstruction),
    (("pr_precision", "pr768_precision"), _precision),
    (("pr_recall", "pr768_recall"), _recall),
]
"""What is looked for, in this order: names without network and version, the first that there is."""
