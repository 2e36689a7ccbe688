"""How measurements read to a person: names, numbers with their uncertainty, texts that came from outside."""

from __future__ import annotations

import math
import re
from collections import Counter

from bicyclegan.metrics.measurement import CheckpointFacts, EvaluationResult, Measurement

LABELS = {
    "lpips_diversity": "Diversity (LPIPS)",
    "rgb_diversity": "Diversity (colour)",
    "fid": "FID",
    "fid768": "FID, 768 features",
    "kid": "KID",
    "kid768": "KID, 768 features",
    "inception_score": "Inception score",
    "pr_precision": "Precision",
    "pr_recall": "Recall",
    "pr768_precision": "Precision, 768 features",
    "pr768_recall": "Recall, 768 features",
    "reconstruction_l1": "Reconstruction (L1)",
    "reconstruction_lpips": "Reconstruction (LPIPS)",
    "reconstruction_rgb": "Reconstruction (colour)",
    "latent_l1": "Latent L1",
    "kl": "KL to the prior",
    "active_dims": "Active dims",
    "posterior_wasserstein": "Posterior to prior",
    "mu_mean": "Mean of mu",
    "mu_variance": "Variance of mu",
    "edge_f1": "Faithfulness (edge F1)",
}
"""By the name of a measurement without network and version."""
REFERENCES = {
    "real_pairs": "two real photos",
    "same_code": "one code, different sketches",
    "chance": "chance",
    "train_photos": "training photos",
    "prior_samples": "samples of the prior",
    "real_photos": "real photos",
    "other_sketch": "other sketches",
    "shuffled": "other sketches",
}
ARROWS = {"lower": "↓", "higher": "↑", "": ""}
NAME_LENGTH = 48
"""Characters of a model's name that are shown."""
HASH_LENGTH = 8
"""Of a checkpoint's hash, where it tells models apart."""


def base_name(name: str) -> str:
    """`lpips_diversity_alex_v0.1` -> `lpips_diversity`."""
    return re.sub(r"_[a-z]+_v[\d.]+$", "", name)


def label(measurement: Measurement) -> str:
    """What the number is called in a sentence or a table."""
    return LABELS.get(base_name(measurement.name)) or plain(measurement.name.replace("_", " "))


def reference_label(key: str) -> str:
    """What a reference is called."""
    return REFERENCES.get(key) or plain(key.replace("_", " "))


def first(facts: CheckpointFacts, *names: str) -> Measurement | None:
    """The measurement of the first of these names, given without network and version, that there is."""
    found = {base_name(each.name): each for each in reversed(facts.measurements)}
    return next((found[name] for name in names if name in found), None)


def number(value: float) -> str:
    """Three significant digits, whole numbers as they are: 0.152, 58.3, 11,773."""
    value = float(value)
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    exponent = math.floor(math.log10(abs(value))) if value else 0
    if exponent < -4:
        return _minus(f"{value:.1e}".replace("e-0", "e-"))
    return _minus(f"{value:,.{0 if value.is_integer() else max(0, 2 - exponent)}f}")


def with_error(value: float, standard_error: float | None) -> tuple[str, str]:
    """A value and its standard error, both to the error's second digit; the error is empty if there is none."""
    error = standard_error or 0.0
    if not (math.isfinite(value) and math.isfinite(error) and error > 0):
        return number(value), ""
    decimals = min(max(1 - math.floor(math.log10(error)), 0), 8)
    return _minus(f"{value:,.{decimals}f}"), f"{error:,.{decimals}f}"


def shown_value(measurement: Measurement, facts: CheckpointFacts) -> tuple[str, str]:
    """The value as a table shows it, and its standard error or nothing. A count of dims says of how many."""
    if measurement.name == "active_dims":
        return f"{number(measurement.value)} of {facts.latent_dim}", ""
    return with_error(measurement.value, measurement.standard_error)


def model_labels(result: EvaluationResult) -> list[str]:
    """Names of the checkpoint and those beside it, made different from each other by hash, then by number."""
    models = [result.checkpoint, *result.compared]
    names = [plain(facts.name, NAME_LENGTH) or "unnamed" for facts in models]
    hashes = [plain(facts.hash)[:HASH_LENGTH] for facts in models]
    names = [f"{name} · {hash}" if names.count(name) > 1 else name for name, hash in zip(names, hashes, strict=True)]
    seen: Counter[str] = Counter()
    labels = []
    for name in names:
        seen[name] += 1
        labels.append(f"{name} ({seen[name]})" if seen[name] > 1 else name)
    return labels


def plain(text: object, limit: int = 400) -> str:
    """One line of printable characters, at most `limit`: configs and folder names may hold anything.

    Goes without what would turn the reading direction around, and without halves of characters, which have no UTF-8.
    """
    line = " ".join(str(text)[: 8 * limit].split())
    line = "".join(character for character in line if character.isprintable())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _minus(text: str) -> str:
    """With the sign of numbers, which is as wide as +."""
    return text.replace("-", "−")
