"""Everything that resumes a run bit for bit, in one folder that is either whole or not there.

All random numbers are functions of seed and step (`noise`, `data`), and learning rates are functions of the
step: what must be kept is the step itself, weights, their averages and the optimisers' moments.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from bicyclegan.errors import UserError
from bicyclegan.files import replace_folder
from bicyclegan.training.ema import Ema
from bicyclegan.training.networks import Networks
from bicyclegan.training.window import Window

STATE_FILE = "state.pt"
VERSION = 1


@dataclass
class Position:
    """Where a run stands, beside its tensors."""

    step: int = 0
    """Updates made."""
    warmup: int = 0
    """Updates from the start in which only discriminators learn."""
    best: float | None = None
    """Best value so far of the metric that decides about `best/`."""
    waited: int = 0
    """Validations since then."""
    plateaus: int = 0
    """How often the learning rate was lowered because of that."""
    data: str = ""
    """Fingerprint of the training pictures, whose order must not change."""


def save_state(
    folder: Path,
    position: Position,
    networks: Networks,
    ema: Ema,
    optimizers: dict[str, torch.optim.Optimizer],
    window: Window,
) -> None:
    """Write a state folder in one step. Raises `UserError` when a weight is NaN or infinite."""
    check_finite(networks, position.step)
    content = {
        "version": VERSION,
        "position": vars(position),
        "networks": {name: network.state_dict() for name, network in networks.named()},
        "ema": {name: network.state_dict() for name, network in ema.networks.named()} if ema.decay else {},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in optimizers.items()},
        "window": window.state(),
    }
    with replace_folder(folder) as new:
        _write(content, new / STATE_FILE)


def load_state(
    folder: Path, networks: Networks, ema: Ema, optimizers: dict[str, torch.optim.Optimizer]
) -> tuple[Position, Window]:
    """Fill networks, averages and optimisers in place.

    Returns:
        Where the run stood, and the numbers since its last line in the log.

    Raises:
        UserError: when the state is damaged, of another version, or does not fit.
    """
    path, device = folder / STATE_FILE, next(networks.generator.parameters()).device
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content["version"] != VERSION:
            raise ValueError(f"it has version {content['version']}, this program reads {VERSION}")
        for name, network in networks.named():
            network.load_state_dict(content["networks"][name])
        for name, network in ema.networks.named() if ema.decay else ():
            network.load_state_dict(content["ema"][name])
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(content["optimizers"][name])
        return Position(**content["position"]), Window.from_state(content["window"], device)
    except Exception as error:  # torch raises many kinds for damaged files
        raise UserError(
            "run_state",
            "{path} cannot be resumed from ({why}). Remove its folder to fall back on the one before.",
            path=path,
            why=(str(error).splitlines() or [type(error).__name__])[0][:160],
        ) from None


def _write(content: dict[str, object], path: Path) -> None:
    """`torch.save`, which hides a full disk behind a RuntimeError of its own."""
    try:
        with path.open("wb") as file:
            torch.save(content, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def check_finite(networks: Networks, step: int) -> None:
    """Raise `UserError` when a weight is NaN or infinite after update number `step`."""
    for name, network in networks.named():
        for key, value in network.state_dict().items():
            if not value.isfinite().all():
                raise UserError(
                    "train_weights",
                    "After step {step} the {network} has NaN or infinite weights ({key}); nothing was saved over the "
                    "last good checkpoint. Start a new run from the run's latest/ with --init-from and a lower "
                    "--learning-rate.",
                    step=step,
                    network=name,
                    key=key,
                )
