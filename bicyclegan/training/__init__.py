"""Training: one update (`step`), the run around it (`loop`), and what it writes down (`events`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bicyclegan.training.config import TrainConfig
from bicyclegan.training.presets import PRESETS

if TYPE_CHECKING:
    from bicyclegan.training.loop import RunResult, train

__all__ = ["PRESETS", "RunResult", "TrainConfig", "train"]


def __getattr__(name: str) -> object:
    """Load the loop, and torch with it, at its first use: options and their help need neither."""
    if name in ("RunResult", "train"):
        from bicyclegan.training import loop

        return getattr(loop, name)
    raise AttributeError(f"module 'bicyclegan.training' has no attribute {name!r}")
