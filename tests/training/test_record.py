"""What the checkpoints of a run say about the sketches that were learnt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from picture_sets import beside, drawing, labels, photo, save, scene

from bicyclegan.checkpoints import load_config
from bicyclegan.config import CheckpointConfig, ModelConfig
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.loop import train
from bicyclegan.training.run_folder import RunFolder


@pytest.fixture
def learnt(tmp_path: Path, run_config: Callable[..., TrainConfig], tiny_config: ModelConfig):
    """`learnt(sketch)`: train two steps on pairs of `sketch(seed)` and a photo; what the checkpoint says."""

    def learn(sketch: Callable) -> CheckpointConfig:
        for seed in range(6):
            save(beside(sketch(seed), photo(seed)), tmp_path / "pairs" / f"{seed}.png")
        model = replace(tiny_config, input_channels=3)
        config = run_config(data=str(tmp_path / "pairs"), model=model, steps=2)
        train(config, report=lambda line: None)
        return load_config(RunFolder(Path(config.out)).latest)

    return learn


def test_an_empty_label_map_is_one_that_the_model_knows(learnt) -> None:
    config = learnt(labels)
    assert config.takes_label_maps
    assert len(config.palette) == 4
    assert config.paper == config.palette[0] == "#0000c8", "the commonest colour, as white is in no label map"


def test_pictures_in_any_shades_are_not_taken_for_label_maps(learnt) -> None:
    config = learnt(scene)
    assert config.shades and not config.takes_label_maps
    assert config.paper == "#ffffff"


def test_lines_are_on_white(learnt) -> None:
    config = learnt(drawing)
    assert (config.palette, config.paper, config.shades) == (("#000000",), "#ffffff", False)
    assert config.edge_style is not None
