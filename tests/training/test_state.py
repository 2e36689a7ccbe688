"""The state that resumes a run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bicyclegan.config import ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.training.config import OptimConfig, TrainConfig
from bicyclegan.training.ema import Ema
from bicyclegan.training.networks import Networks, build_networks, make_optimizers
from bicyclegan.training.noise import draw_noise
from bicyclegan.training.state import STATE_FILE, Position, load_state, save_state
from bicyclegan.training.step import TrainStep
from bicyclegan.training.window import Window


class Parts:
    """A run without data."""

    def __init__(self, model: ModelConfig, seed: int = 0):
        self.config = TrainConfig(model=model, seed=seed, batch_size=2)
        self.networks: Networks = build_networks(self.config)
        self.optimizers = make_optimizers(self.networks, OptimConfig())
        self.ema = Ema(self.networks, 0.9)
        self.step = TrainStep(self.networks, self.optimizers, self.config.loss)
        self.window = Window()

    def train(self, start: int, stop: int) -> None:
        for step in range(start + 1, stop + 1):
            pictures = torch.rand(2, 4, 32, 32, generator=torch.Generator().manual_seed(step)) * 2 - 1
            record = self.step(pictures[:, :1], pictures[:, 1:], draw_noise(0, step, range(1), 8))
            self.ema.update(step)
            self.window.add(step, record, 0.1, 0)

    def tensors(self) -> list[torch.Tensor]:
        states = [network.state_dict() for _, network in (*self.networks.named(), *self.ema.networks.named())]
        moments = [
            value
            for optimizer in self.optimizers.values()
            for state in optimizer.state_dict()["state"].values()
            for value in state.values()
        ]
        return [value for state in states for value in state.values()] + moments

    def save(self, folder: Path, position: Position) -> None:
        save_state(folder, position, self.networks, self.ema, self.optimizers, self.window)

    def load(self, folder: Path) -> tuple[Position, Window]:
        return load_state(folder, self.networks, self.ema, self.optimizers)


def test_going_on_equals_never_having_stopped(tmp_path: Path, tiny_config: ModelConfig) -> None:
    whole = Parts(tiny_config)
    whole.train(0, 3)
    whole.save(tmp_path / "step-3", Position(step=3, warmup=2, best=0.25, data="abc"))
    whole.train(3, 6)

    resumed = Parts(tiny_config, seed=1)
    position, resumed.window = resumed.load(tmp_path / "step-3")
    assert position == Position(step=3, warmup=2, best=0.25, data="abc")
    resumed.train(3, 6)
    for ours, theirs in zip(resumed.tensors(), whole.tensors(), strict=True):
        assert torch.equal(ours, theirs)
    assert resumed.window.mean("losses") == whole.window.mean("losses")


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path, tiny_config: ModelConfig) -> None:
    parts = Parts(tiny_config)
    parts.save(tmp_path / "step-1", Position(step=1))
    with torch.no_grad():
        next(parts.networks.encoder.parameters())[0] = float("nan")
    with pytest.raises(UserError, match=r"After step 2 the encoder has NaN.*stem\.weight"):
        parts.save(tmp_path / "step-2", Position(step=2))
    assert [path.name for path in tmp_path.iterdir()] == ["step-1"]


def test_damaged_states_are_named(tmp_path: Path, tiny_config: ModelConfig) -> None:
    parts = Parts(tiny_config)
    parts.save(tmp_path / "step-1", Position(step=1))
    file = tmp_path / "step-1" / STATE_FILE
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(UserError, match=r"step-1.*cannot be resumed from") as caught:
        parts.load(tmp_path / "step-1")
    assert "\n" not in str(caught.value)


def test_a_state_of_other_networks_does_not_fit(tmp_path: Path, tiny_config: ModelConfig) -> None:
    from dataclasses import replace

    Parts(tiny_config).save(tmp_path / "step-1", Position(step=1))
    with pytest.raises(UserError, match="cannot be resumed from"):
        Parts(replace(tiny_config, base_channels=8)).load(tmp_path / "step-1")


def test_no_code_in_a_state_is_run(tmp_path: Path, tiny_config: ModelConfig) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "touched",))

    (tmp_path / "step-1").mkdir()
    torch.save({"networks": Evil()}, tmp_path / "step-1" / STATE_FILE)
    with pytest.raises(UserError):
        Parts(tiny_config).load(tmp_path / "step-1")
    assert not (tmp_path / "touched").exists()


def test_a_full_disk_is_an_os_error(tmp_path: Path, tiny_config: ModelConfig) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            Parts(tiny_config).save(tmp_path / "state", Position())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
