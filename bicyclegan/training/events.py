"""What a run writes down: one JSON object a line in `events.jsonl`, each one of the dataclasses below.

This is the contract between the trainer and all who read it: charts, doctor, maps. Numbers that are not
finite are written as null. Readers skip kinds and fields they do not know, and a last line that was cut off.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

from bicyclegan.files import write_atomic

Number: TypeAlias = "float | None"
"""None stands for NaN and infinity."""


@dataclass(frozen=True)
class RunStarted:
    """The run began, or went on."""

    kind: ClassVar[str] = "start"
    step: int
    """Updates made before: 0, or the checkpoint that was resumed."""
    version: str = ""
    """Of this program."""
    torch: str = ""
    device: str = ""
    precision: str = ""
    processes: int = 1
    parameters: dict[str, int] = field(default_factory=dict)
    """Number of weights of each network."""
    resumed: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    """What the run was set to, by the fields of its config without their groups; they may change when it goes on."""
    time: float = 0.0
    """When it was written, seconds since 1970; every event has it."""


@dataclass(frozen=True)
class DataChecked:
    """What the check of the data found before training: `data.DataReport` as JSON."""

    kind: ClassVar[str] = "data"
    step: int
    report: dict[str, Any] = field(default_factory=dict)
    time: float = 0.0


@dataclass(frozen=True)
class StepLogged:
    """Numbers of training since the last such line (means), every `log_every` steps."""

    kind: ClassVar[str] = "step"
    step: int
    epoch: float = 0.0
    """How often every training picture was seen."""
    losses: dict[str, Number] = field(default_factory=dict)
    """Unweighted: gan_encoded, gan_random, l1 or l2, kl, latent_l1 or latent_l2, perceptual, mode_seeking (of G and E),
    d_encoded, d_random, penalty_encoded, penalty_random (of D, D2). Those that the run has."""
    scores: dict[str, Number] = field(default_factory=dict)
    """Mean D(real) and D(fake) of both paths: real_encoded, fake_encoded, real_random, fake_random. lsgan aims at
    1 and 0, hinge at over 1 and under -1; for vanilla these are logits; wgan has no scale."""
    inputs: dict[str, Number] = field(default_factory=dict)
    """What reached the networks: a_min, a_max, a_mean of sketches, b_* of photos. In [-1, 1]; white is 1."""
    mu_mean: list[Number] = field(default_factory=list)
    """Mean of E's mu per dim."""
    mu_variance: list[Number] = field(default_factory=list)
    """Variance of E's mu per dim over the photos since the last line."""
    kl_per_dim: list[Number] = field(default_factory=list)
    """KL of the posterior to N(0, 1) per dim, in nats."""
    gradient_norms: dict[str, Number] = field(default_factory=dict)
    """L2 norm of the gradient of each network, at this step, before it is clipped."""
    gradient_shares: dict[str, Number] = field(default_factory=dict)
    """L2 norm of the gradient that each weighted loss alone gives to G, divided by their sum, at this step; only
    every `measure_every` steps, else empty. 0: that loss does not reach G."""
    learning_rates: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    """Weight of each loss at this step: they may change during a run."""
    images_per_second: float = 0.0
    loader_share: float = 0.0
    """Part of the time that was spent waiting for pictures, 0 to 1."""
    seconds: float = 0.0
    """Time since the run began or went on."""
    eta: float = 0.0
    """Seconds that the rest will take at this speed."""
    memory_mb: float = 0.0
    """Memory of the process on a CPU, peak memory of the device on CUDA."""
    time: float = 0.0


@dataclass(frozen=True)
class Validated:
    """Metrics on the fixed validation pictures, with the weights that are saved (EMA)."""

    kind: ClassVar[str] = "validation"
    step: int
    metrics: dict[str, Any] = field(default_factory=dict)
    """By the names of `bicyclegan.metrics`: a number, or a list with one for each dim."""
    scores: dict[str, Number] = field(default_factory=dict)
    """As in `StepLogged`, on validation photos."""
    encoded_random_gap: Number = None
    """Mean score of G(A, E(B)) less that of G(A, z), both judged by all discriminators: over 0 when codes of photos
    paint better than random codes."""
    images: int = 0
    """Validation pictures that were measured."""
    seconds: float = 0.0
    """Time it took."""
    time: float = 0.0


@dataclass(frozen=True)
class SamplesWritten:
    """A sheet of samples with fixed codes."""

    kind: ClassVar[str] = "samples"
    step: int
    path: str = ""
    """Relative to the run folder, as all paths in events."""
    time: float = 0.0


@dataclass(frozen=True)
class LatentsWritten:
    """Codes of the fixed validation pictures: mu, logvar (N, latent_dim) in a .npz, and a picture of them."""

    kind: ClassVar[str] = "latents"
    step: int
    path: str = ""
    picture: str = ""
    time: float = 0.0


@dataclass(frozen=True)
class CheckpointWritten:
    """A folder from which the run can be resumed, or one that Pipeline loads (`latest`, `best`)."""

    kind: ClassVar[str] = "checkpoint"
    step: int
    path: str = ""
    role: Literal["resume", "latest", "best"] = "resume"
    metric: str = ""
    """best: what decided."""
    value: Number = None
    time: float = 0.0


@dataclass(frozen=True)
class Finding:
    """Something is wrong, or may be."""

    kind: ClassVar[str] = "finding"
    step: int
    name: str = ""
    severity: Literal["note", "watch", "ill"] = "note"
    evidence: str = ""
    cause: str = ""
    remedy: str = ""
    patch: dict[str, Any] = field(default_factory=dict)
    """Fields of the run's config to change, by name."""
    time: float = 0.0


@dataclass(frozen=True)
class RunEnded:
    """The run ended by itself. After a power cut or kill -9 there is no such line."""

    kind: ClassVar[str] = "end"
    step: int
    reason: Literal["completed", "stopped", "failed"] = "completed"
    message: str = ""
    time: float = 0.0


Event: TypeAlias = (
    RunStarted
    | DataChecked
    | StepLogged
    | Validated
    | SamplesWritten
    | LatentsWritten
    | CheckpointWritten
    | Finding
    | RunEnded
)
KINDS: dict[str, type[Event]] = {
    each.kind: each
    for each in (
        RunStarted,
        DataChecked,
        StepLogged,
        Validated,
        SamplesWritten,
        LatentsWritten,
        CheckpointWritten,
        Finding,
        RunEnded,
    )
}
"""Event classes by the `kind` in their line."""


class EventLog:
    """Appends events to a file, each with one write, so that readers never see half a line of a living run."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def append(self, event: Event) -> None:
        """Write one event, stamped with the time. A line that the disk has no room for is taken back."""
        line = to_line(dataclasses.replace(event, time=time.time())).encode()
        with self.path.open("ab") as file:
            start = file.tell()
            if os.write(file.fileno(), line) != len(line):
                file.truncate(start)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def rewind(self, step: int) -> None:
        """Forget what lies after `step`: a resumed run writes it again. Written in one step."""
        kept = [event for event in read_events(self.path) if event.step <= step and not isinstance(event, RunEnded)]
        write_atomic(self.path, "".join(map(to_line, kept)).encode())


def to_line(event: Event) -> str:
    """One event as a line of JSON."""
    data = {"kind": event.kind, **dataclasses.asdict(event)}
    return json.dumps(_finite(data), ensure_ascii=False, allow_nan=False) + "\n"


def read_events(path: Path) -> Iterator[Event]:
    """Events of a file, in order; none if there is no file. Lines that cannot be read are left out."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if (event := from_line(line)) is not None:
                yield event


def from_line(line: str) -> Event | None:
    """The inverse of `to_line`; None for a damaged line or an unknown kind."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    kind = KINDS.get(str(data.get("kind"))) if isinstance(data, dict) else None
    if kind is None or type(data.get("step")) is not int:
        return None
    known = {each.name for each in dataclasses.fields(kind)}
    return kind(**{key: value for key, value in data.items() if key in known})


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value
