"""Planted outputs: networks that are perfect, or broken in one known way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bicyclegan.metrics import Outputs

WEIGHTS = Path(__file__).resolve().parents[3] / "shared" / "weights" / "torch_home"
"""Backbones beside the checkout, where there are any."""


@pytest.fixture
def plant() -> Callable[..., Outputs]:
    """`plant(**fields)`: outputs of networks that copy every photo and recover every code, with some fields changed.

    12 pairs of 32 px, 4 dims; 6 of them with 5 samples.
    """
    torch.manual_seed(0)
    photos = torch.rand(12, 3, 32, 32) * 2 - 1
    z = torch.randn(6, 5, 4)
    perfect = Outputs(
        a=torch.ones(12, 1, 32, 32),
        b=photos,
        mu=torch.randn(12, 4),
        logvar=torch.zeros(12, 4),
        reconstruction=photos.clone(),
        random=photos[:6, None].repeat(1, 5, 1, 1, 1),
        z=z,
        recovered=z.clone(),
    )
    return lambda **fields: replace(perfect, **fields)


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without backbones."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))


@pytest.fixture
def lpips_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real backbones: below TORCH_HOME if it is set, else beside the checkout; skips where there are none."""
    pytest.importorskip("lpips")
    from bicyclegan.metrics.distance import BACKBONES, backbone_path

    if not all(backbone_path(net).is_file() for net in BACKBONES):
        monkeypatch.setenv("TORCH_HOME", str(WEIGHTS))
    if not all(backbone_path(net).is_file() for net in BACKBONES):
        pytest.skip("no backbone weights on this machine")
