"""Small data and small runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bicyclegan.config import ModelConfig
from bicyclegan.training.config import RecordConfig, TrainConfig


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks gain nothing from threads, and lose much to them on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def coloured_shape(seed: int, size: int = 32) -> Image.Image:
    """A box of one colour on white."""
    random = np.random.RandomState(seed)
    pixels = np.full((size, size, 3), 255, np.uint8)
    left, top = random.randint(3, size // 3, 2)
    width, height = random.randint(size // 3, size // 2, 2)
    pixels[top : top + height, left : left + width] = random.randint(0, 200, 3)
    return Image.fromarray(pixels)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 14 photos to train on and 4 to validate on."""
    folder = tmp_path_factory.mktemp("photos")
    for split, seeds in (("train", range(14)), ("val", range(100, 104))):
        (folder / split).mkdir()
        for seed in seeds:
            coloured_shape(seed).save(folder / split / f"{seed}.png")
    return folder


@pytest.fixture
def run_config(tmp_path: Path, photos: Path, tiny_config: ModelConfig) -> Callable[..., TrainConfig]:
    """`run_config(steps=6, record={...}, **fields of TrainConfig)`: a run of a second in a folder of its own."""

    def make(record: dict[str, object] | None = None, **fields: object) -> TrainConfig:
        every = {"log_every": 2, "measure_every": 2, "sample_every": 3, "validate_every": 3, "checkpoint_every": 3}
        usual = RecordConfig(**every, validation_images=4, log_with="none")
        return TrainConfig(
            **{
                "data": str(photos),
                "out": str(tmp_path / "run"),
                "steps": 6,
                "batch_size": 4,
                "device": "cpu",
                "model": replace(tiny_config),
                "record": replace(usual, **(record or {})),
                **fields,
            }
        )

    return make
