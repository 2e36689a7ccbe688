"""Fixtures that several test files share: tiny checkpoints and sketches. No network, no large files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bicyclegan.checkpoints import save_checkpoint
from bicyclegan.config import CheckpointConfig, EdgeStyle, ModelConfig
from bicyclegan.models import Encoder, Generator
from bicyclegan.sketch import Sketch, Stroke

os.environ["BICYCLEGAN_CACHE"] = tempfile.mkdtemp(prefix="bicyclegan-maps-")  # not the one of whoever runs the tests
for place in ("MODELS", "RUNS"):
    os.environ[f"BICYCLEGAN_{place}"] = tempfile.mkdtemp(prefix=f"bicyclegan-{place.lower()}-")
os.environ["HF_HUB_OFFLINE"] = "1"  # a test that forgets to replace the Hub client fails at once, everywhere

ROOT = Path(__file__).resolve().parent.parent
TINY = ModelConfig(
    image_size=32,
    depth=5,
    base_channels=4,
    encoder_channels=4,
    encoder_blocks=3,
    discriminator_channels=4,
    discriminator_layers=2,
)
"""All three networks, small enough for a laptop's test run."""


@pytest.fixture(scope="session")
def tiny_config() -> ModelConfig:
    return TINY


@pytest.fixture(scope="session")
def make_checkpoint() -> Callable[..., Path]:
    """`make_checkpoint(folder, seed=0, half=False, style=EdgeStyle(), card="", **fields of ModelConfig)`."""

    def make(
        folder: Path,
        seed: int = 0,
        half: bool = False,
        style: EdgeStyle | None = None,
        card: str = "",
        **fields: object,
    ) -> Path:
        config = replace(TINY, **fields)
        torch.manual_seed(seed)
        generator = Generator(config)
        encoder = Encoder(config) if config.encoder != "none" else None
        described = CheckpointConfig(config, name=folder.name, edge_style=style or EdgeStyle())
        return save_checkpoint(folder, described, generator, encoder, card=card, half=half)

    return make


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Callable[..., Path]) -> Path:
    """A checkpoint of random weights that is never changed."""
    return make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny", card="# Tiny\n\nRandom weights.\n")


@pytest.fixture(scope="session")
def shipped_checkpoint() -> Path:
    return ROOT / "checkpoints" / "edges2shoes"


@pytest.fixture(scope="session")
def shoe() -> Sketch:
    """The outline of a shoe, as somebody might draw it."""
    upper = ((30.0, 150.0), (40.0, 100.0), (75.0, 60.0), (115.0, 75.0), (150.0, 120.0), (215.0, 140.0), (228.0, 165.0))
    sole = ((228.0, 165.0), (215.0, 180.0), (45.0, 180.0), (30.0, 150.0))
    return Sketch((Stroke(upper), Stroke(sole), Stroke(((90.0, 90.0), (120.0, 80.0)))))
