"""What an evaluation finds: numbers that carry their protocol, so that no two are compared that cannot be."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA_VERSION = 1
"""Version of `metrics.json`. Raised when an older program could misread a newer file."""


@dataclass(frozen=True)
class Measurement:
    """One number about one checkpoint."""

    name: str
    """Says network and version too: `lpips_diversity_alex_v0.1`, `fid768`. Numbers of two names cannot be compared."""
    group: str
    """What it was asked for by (`--metrics`): lpips_diversity, fid, kid, ..."""
    value: float
    protocol: str
    """One sentence: what was measured on what, and how."""
    count: int
    """Pictures, or pairs of pictures, behind the number."""
    checkpoint_hash: str
    """Content hash of the checkpoint that was measured."""
    better: Literal["lower", "higher", ""] = ""
    """Which values are better; empty where neither is."""
    standard_error: float | None = None
    """Of the mean; over draws where the protocol has several."""
    references: dict[str, float] = field(default_factory=dict)
    """What to compare it with, measured in the same way: `real_pairs`, `same_code`, `chance`, `train_photos`."""
    per_dim: list[float] = field(default_factory=list)
    """The same number for each dim of z, where it has parts."""


@dataclass(frozen=True)
class Skipped:
    """A group that could not be measured here."""

    group: str
    why: str
    """One sentence with the way out."""


@dataclass(frozen=True)
class CheckpointFacts:
    """Which checkpoint was measured."""

    name: str
    hash: str
    image_size: int
    latent_dim: int
    parameters: int
    """Weights of the generator and the encoder."""
    training: dict[str, Any]
    """Provenance as its `config.json` has it."""
    measurements: list[Measurement] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def find(self, name: str) -> Measurement | None:
        """The measurement of this name, if there is one."""
        return next((each for each in self.measurements if each.name == name), None)


@dataclass(frozen=True)
class EvaluationResult:
    """Contents of `metrics.json`: one checkpoint, and others measured beside it on the same pictures and codes."""

    data: str
    """Name of the folder with the pictures."""
    validation_images: int
    training_images: int
    """Of the same folder, as a floor for distances between sets of photos; 0 if there are none, or no such distance."""
    seed: int
    checkpoint: CheckpointFacts
    compared: list[CheckpointFacts] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dump`, schema version first. What is NaN or infinite is None: JSON knows neither."""
        return {"schema_version": SCHEMA_VERSION, **_finite(dataclasses.asdict(self))}


def _finite(value: Any) -> Any:
    """A model that diverged, or its training record, can hold numbers that are none."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
