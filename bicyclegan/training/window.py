"""Numbers of the steps since the last line of the log, kept on the device until they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bicyclegan.errors import UserError
from bicyclegan.losses import kl_per_dim
from bicyclegan.training.processes import gather
from bicyclegan.training.step import RANGE_TOLERANCE, StepRecord, check_inputs

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass
class Window:
    """Collects what steps tell. Reading tensors makes the CPU wait for the device, so it happens once a window.

    Where several processes compute a run, each adds records of its own part of the batches. `join` makes them those
    of all; it must be called, by all of them, before anything is asked.
    """

    records: list[StepRecord] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    timed: int = 0
    """Steps that `seconds` is of."""
    seconds: float = 0.0
    """Time spent in steps, waiting for data included."""
    waiting: float = 0.0
    """Part of it that was spent waiting for data."""
    checked: int = 0
    """How many records were found to be finite and in range."""
    joined: int = 0
    """How many records are those of all processes."""

    def add(self, step: int, record: StepRecord, seconds: float, waiting: float) -> None:
        """Take in update number `step`."""
        self.records.append(record)
        self.steps.append(step)
        self.timed += 1
        self.seconds += seconds
        self.waiting += waiting

    def join(self, accelerator: Accelerator) -> None:
        """Make all records those of whole batches, the same in all processes, at one message."""
        new = self.records[self.joined :]
        if new and accelerator.num_processes > 1:
            sent = torch.cat([value.double().flatten() for record in new for value in _values(record)])
            self.records[self.joined :] = _join(new, gather(sent, accelerator).to(sent.device))
        self.joined = len(self.records)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, so that a resumed run writes the same next line. Times are not kept."""
        return {"steps": self.steps, "records": [vars(record) for record in self.records]}

    @classmethod
    def from_state(cls, state: dict[str, Any], device: torch.device) -> Window:
        """The inverse of `state`, on the device on which the next steps will be."""
        records = [
            StepRecord(**{name: _moved(value, device) for name, value in fields.items()}) for fields in state["records"]
        ]
        return cls(records, list(state["steps"]), checked=len(records), joined=len(records))

    def check(self) -> None:
        """Raise `UserError` for the first step whose losses are not finite or whose pictures left [-1, 1]."""
        new = self.records[self.checked :]
        if not new or self._fine(new):
            self.checked = len(self.records)
            return
        for step, record in zip(self.steps[self.checked :], new, strict=True):
            bad = [name for name, loss in record.losses.items() if not torch.isfinite(loss)]
            if bad:
                raise UserError(
                    "train_nan",
                    "Step {step}: the loss {names} is NaN or infinite, first seen there. Training stopped, and "
                    "nothing was saved over the last good checkpoint. Start a new run from the run's latest/ with "
                    "--init-from and a lower --learning-rate or weight of that loss.",
                    step=step,
                    names=", ".join(bad),
                )
            check_inputs(record.inputs)

    def _fine(self, records: list[StepRecord]) -> bool:
        """Whether nothing is wrong with any of them, asked of the device once."""
        losses = torch.stack([loss for record in records for loss in record.losses.values()])
        inputs = torch.stack([value for record in records for value in record.inputs.values()])
        return bool((losses.isfinite().all() & (inputs.abs() <= 1 + RANGE_TOLERANCE).all()).item())

    def mean(self, group: str) -> dict[str, float]:
        """Mean over the steps of each number in `losses` or `scores`."""
        rows: list[dict[str, Tensor]] = [getattr(record, group) for record in self.records]
        names = dict.fromkeys(name for row in rows for name in row)  # a resumed run may have other losses than before
        return {name: float(torch.stack([row[name] for row in rows if name in row]).mean()) for name in names}

    def inputs(self) -> dict[str, float]:
        """Smallest min, largest max and mean of the means."""
        reduce = {"min": torch.amin, "max": torch.amax, "mean": torch.mean}
        names = self.records[0].inputs if self.records else {}
        return {
            name: float(reduce[name.rpartition("_")[2]](torch.stack([record.inputs[name] for record in self.records])))
            for name in names
        }

    def codes(self) -> dict[str, list[float]]:
        """Mean and variance of mu and mean KL, per dim, over all photos that were encoded."""
        encoded = [record for record in self.records if record.mu is not None]
        if not encoded:
            return {}
        mu, logvar = (torch.cat([getattr(record, name).float() for record in encoded]) for name in ("mu", "logvar"))
        return {
            "mu_mean": mu.mean(dim=0).tolist(),
            "mu_variance": mu.var(dim=0, correction=0).tolist(),
            "kl_per_dim": kl_per_dim(mu, logvar).mean(dim=0).tolist(),
        }

    def gradients(self) -> dict[str, dict[str, float]]:
        """Norms of the newest step that measured them, and shares that add up to 1."""
        norms = next((record.gradient_norms for record in reversed(self.records) if record.gradient_norms), {})
        shares = next((record.gradient_shares for record in reversed(self.records) if record.gradient_shares), {})
        total = sum(float(norm) for norm in shares.values())
        return {
            "gradient_norms": {name: float(norm) for name, norm in norms.items()},
            "gradient_shares": {name: float(norm) / total if total else 0.0 for name, norm in shares.items()},
        }


GROUPS = ("losses", "scores", "inputs", "gradient_norms", "gradient_shares")
"""Fields of a record that hold numbers by name."""
CODES = ("mu", "logvar")
"""Fields of a record that hold a row for each sample."""


def _values(record: StepRecord) -> list[Tensor]:
    """All tensors of a record, in one order."""
    numbers = [value for group in GROUPS for value in getattr(record, group).values()]
    return numbers + [codes for name in CODES if (codes := getattr(record, name)) is not None]


def _join(records: list[StepRecord], sent: Tensor) -> list[StepRecord]:
    """Records as if one process had computed the whole batches.

    Args:
        records: of this process.
        sent: (processes, K) float64, the values of each process's records one after the other.
    """
    values = iter(sent.split([value.numel() for record in records for value in _values(record)], dim=1))
    joined = []
    for record in records:
        fields: dict[str, Any] = {
            group: {name: _one(name, next(values)).to(one.dtype) for name, one in getattr(record, group).items()}
            for group in GROUPS
        }
        for name in CODES:
            if (codes := getattr(record, name)) is not None:
                fields[name] = next(values).reshape(-1, codes.shape[1]).to(codes.dtype)
        joined.append(StepRecord(**fields))
    return joined


def _one(name: str, numbers: Tensor) -> Tensor:
    """The smallest minimum, the largest maximum, or the mean of what processes of equal parts say."""
    reduce = {"min": torch.amin, "max": torch.amax}.get(name.rpartition("_")[2], torch.mean)
    return reduce(numbers)


def _moved(value: Tensor | dict[str, Tensor] | None, device: torch.device) -> Tensor | dict[str, Tensor] | None:
    if isinstance(value, dict):
        return {name: tensor.to(device) for name, tensor in value.items()}
    return None if value is None else value.to(device)
