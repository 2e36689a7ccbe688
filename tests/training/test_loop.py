"""A whole run: what it writes, how it ends, what it refuses."""

from __future__ import annotations

import copy
import errno
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch
from PIL import Image

from bicyclegan import Pipeline
from bicyclegan.checkpoints import load_config, load_discriminators
from bicyclegan.config import LATENTS_FILE, THUMBS_FILE, ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.training import loop
from bicyclegan.training import record as recorder
from bicyclegan.training.config import LossConfig, OptimConfig, RegularConfig, TrainConfig
from bicyclegan.training.events import (
    CheckpointWritten,
    DataChecked,
    Finding,
    RunEnded,
    RunStarted,
    StepLogged,
    Validated,
    read_events,
)
from bicyclegan.training.loop import train
from bicyclegan.training.objectives import OBJECTIVES
from bicyclegan.training.presets import model_for_objective
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.training.step import StepRecord, TrainStep

MakeConfig = Callable[..., TrainConfig]
MonkeyPatch = pytest.MonkeyPatch


def quiet(line: str) -> None:
    """Instead of print."""


def events(config: TrainConfig, kind: type) -> list:
    return [event for event in read_events(RunFolder(Path(config.out)).events_file) if isinstance(event, kind)]


@pytest.fixture
def finished(run_config: MakeConfig) -> TrainConfig:
    config = run_config()
    train(config, report=quiet)
    return config


def test_a_run_leaves_what_the_design_promises(finished: TrainConfig) -> None:
    folder = RunFolder(Path(finished.out))
    assert [step for step, _ in folder.checkpoints()] == [3, 6]
    for step in (3, 6):
        assert Image.open(folder.samples(step)).size[0] > 100
        with np.load(folder.latents(step)) as latents:
            assert latents["mu"].shape == latents["logvar"].shape == (4, 8)
        assert folder.latents(step).with_suffix(".webp").is_file()
    assert folder.load_config() == finished
    assert not [path for path in folder.root.rglob(".*") if path.name != ".lock"]


def test_its_models_paint(finished: TrainConfig) -> None:
    for name in ("best", "latest"):
        folder = Path(finished.out) / name
        pipe = Pipeline.from_pretrained(folder, device="cpu")
        assert len(pipe(np.full((32, 32), 255, np.uint8), num_samples=2).images) == 2
        assert set(load_discriminators(folder, pipe.config.model)) == {"discriminator", "discriminator2"}
        assert (folder / LATENTS_FILE).is_file() and (folder / THUMBS_FILE).is_file()
        training = load_config(folder).training
        assert training["images_seen"] == training["steps"] * 4
        assert "reconstruction_l1" in training["metrics"]
        assert (folder / "README.md").read_text().startswith("# run\n")


def test_events_tell_the_run(finished: TrainConfig) -> None:
    [start] = events(finished, RunStarted)
    assert (start.step, start.device, start.precision, start.resumed) == (0, "cpu", "fp32", False)
    assert set(start.parameters) == {"generator", "encoder", "discriminator", "discriminator2"}
    [data] = events(finished, DataChecked)
    assert (data.report["train"], data.report["validation"]) == (14, 4)

    logged = events(finished, StepLogged)
    assert [event.step for event in logged] == [2, 4, 6]
    for event in logged:
        assert set(event.losses) == {"gan_encoded", "gan_random", "l1", "kl", "latent_l1", "d_encoded", "d_random"}
        assert set(event.scores) == {"real_encoded", "fake_encoded", "real_random", "fake_random"}
        assert -1 <= event.inputs["b_min"] < event.inputs["b_mean"] < event.inputs["b_max"] <= 1
        assert set(event.gradient_norms) == set(start.parameters)
        assert sum(event.gradient_shares.values()) == pytest.approx(1)
        assert event.gradient_shares["kl"] == 0, "KL says nothing to G"
        assert len(event.mu_mean) == len(event.mu_variance) == len(event.kl_per_dim) == 8
        assert event.epoch == pytest.approx(event.step * 4 / 14)
        assert event.images_per_second > 0 and event.memory_mb > 0
    assert logged[-1].eta == 0

    validated = events(finished, Validated)
    assert [event.step for event in validated] == [3, 6]
    assert {"latent_l1", "kl", "kl_per_dim", "mu_mean", "mu_variance", "active_dims"} <= set(validated[0].metrics)
    assert [name for name in validated[0].metrics if name.startswith("diversity")]
    assert validated[0].encoded_random_gap is not None
    roles = [(event.step, event.role) for event in events(finished, CheckpointWritten)]
    assert {(3, "resume"), (3, "latest"), (6, "resume"), (6, "latest")} <= set(roles)
    assert (3, "best") in roles, "the first is the best so far"
    [end] = events(finished, RunEnded)
    assert (end.step, end.reason) == (6, "completed")


def test_the_last_steps_are_logged_whatever_their_number(run_config: MakeConfig) -> None:
    config = run_config(steps=5)
    train(config, report=quiet)
    assert [event.step for event in events(config, StepLogged)] == [2, 4, 5]


def test_data_may_move_between_stop_and_resume(run_config: MakeConfig, photos: Path, tmp_path: Path) -> None:
    import shutil

    config = run_config(data=str(shutil.copytree(photos, tmp_path / "here")))
    train(config, report=quiet)
    moved = (tmp_path / "here").rename(tmp_path / "there")
    assert train(replace(config, data=str(moved), steps=7), resume=True, report=quiet).step == 7


def test_the_learning_rate_follows_the_schedule(run_config: MakeConfig) -> None:
    config = run_config(record={"log_every": 1}, optim=OptimConfig(schedule="linear"))
    train(config, report=quiet)
    rates = [event.learning_rates["generator"] for event in events(config, StepLogged)]
    assert rates == pytest.approx([2e-4] * 4 + [2e-4 * 2 / 3, 2e-4 / 3])


def test_the_encoder_may_learn_at_a_rate_of_its_own(run_config: MakeConfig) -> None:
    config = run_config(record={"log_every": 1}, steps=2, optim=OptimConfig(encoder_rate=0.25))
    train(config, report=quiet)
    [rates, _] = [event.learning_rates for event in events(config, StepLogged)]
    assert rates["encoder"] == pytest.approx(rates["generator"] / 4)
    assert rates["generator"] == rates["discriminator"] == rates["discriminator2"]


def test_discriminators_may_learn_at_a_rate_of_their_own_and_all_warm_up(run_config: MakeConfig) -> None:
    optim = OptimConfig(learning_rate=1e-3, discriminator_rate=0.5, lr_warmup=4, schedule="constant")
    config = run_config(optim=optim)
    train(config, report=quiet)
    rates = [event.learning_rates for event in events(config, StepLogged)]
    assert [rate["generator"] for rate in rates] == pytest.approx([0.5e-3, 1e-3, 1e-3])
    assert all(rate[name] == rate["generator"] / 2 for rate in rates for name in ("discriminator", "discriminator2"))


def test_the_generator_moves_only_every_so_many_updates(run_config: MakeConfig, monkeypatch: MonkeyPatch) -> None:
    config = run_config(optim=OptimConfig(critic_steps=3))
    moves: dict[str, list[bool]] = {"generator": [], "discriminator": []}
    update = loop.Run.update

    def watched(self: loop.Run, step: int, pair: object) -> StepRecord:
        before = {name: copy.deepcopy(getattr(self.networks, name).state_dict()) for name in moves}
        average = copy.deepcopy(self.ema.networks.generator.state_dict())
        record = update(self, step, pair)
        for name, state in before.items():
            moves[name].append(not same(state, getattr(self.networks, name).state_dict()))
        assert moves["generator"][-1] != same(average, self.ema.networks.generator.state_dict())
        return record

    monkeypatch.setattr(loop.Run, "update", watched)
    train(config, report=quiet)
    assert moves == {"generator": [False, False, True] * 2, "discriminator": [True] * 6}


def test_the_learning_rate_halves_when_validation_waited_in_vain(
    run_config: MakeConfig, monkeypatch: MonkeyPatch
) -> None:
    """Values of the metric at updates 1 to 8; better at 1, 2 and 7. Patience 2: falls after 4 and 6."""
    values = iter([5.0, 4.0, 4.5, 4.0, 4.1, 9.0, 3.0, 3.0])
    found = recorder.validate

    def planted(*args: object) -> object:
        result = found(*args)
        result.metrics["reconstruction_l1"] = next(values)
        return result

    monkeypatch.setattr(recorder, "validate", planted)
    optim = OptimConfig(learning_rate=1e-3, schedule="plateau", decay_factor=0.5, patience=2)
    config = run_config({"validate_every": 1, "log_every": 1, "checkpoint_every": 8}, steps=8, optim=optim)
    train(config, report=quiet)
    rates = [event.learning_rates["generator"] for event in events(config, StepLogged)]
    assert rates == pytest.approx([1e-3] * 4 + [0.5e-3] * 2 + [0.25e-3] * 2)


def test_weights_that_change_are_told_as_they_are(run_config: MakeConfig) -> None:
    config = run_config(loss=LossConfig(weight_schedule="lambda_l1=4@50% lambda_z=0@4-6"))
    train(config, report=quiet)
    weights = [event.weights for event in events(config, StepLogged)]
    assert [each["l1"] for each in weights] == [10, 4, 4]
    assert [each["latent_l1"] for each in weights] == [0.5, 0.5, 0.25]
    assert weights[0].keys() == {"gan_encoded", "gan_random", "l1", "kl", "latent_l1"}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_runs(run_config: MakeConfig, objective: str) -> None:
    config = run_config(
        loss=LossConfig(objective=objective), model=model_for_objective(run_config().model, objective), steps=3
    )
    result = train(config, report=quiet)
    assert (result.step, result.reason) == (3, "completed")
    pipe = Pipeline.from_pretrained(result.checkpoint, device="cpu")
    pipe(np.full((32, 32), 255, np.uint8), num_samples=1)


def test_tensorboard_gets_the_curves(run_config: MakeConfig) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = run_config(record={"log_with": "tensorboard"})
    train(config, report=quiet)
    curves = EventAccumulator(str(Path(config.out) / "tensorboard"))
    curves.Reload()
    assert {"losses/l1", "learning_rates/generator", "validation/latent_l1"} <= set(curves.Tags()["scalars"])
    assert [each.step for each in curves.Scalars("losses/l1")] == [2, 4, 6]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_in_order_and_it_goes_on(
    run_config: MakeConfig, monkeypatch: MonkeyPatch, number: int
) -> None:
    call = TrainStep.__call__

    def step(self: TrainStep, *args: object, **options: object) -> object:
        result = call(self, *args, **options)
        step.calls += 1
        if step.calls == 4:
            os.kill(os.getpid(), number)
        return result

    step.calls = 0
    monkeypatch.setattr(TrainStep, "__call__", step)
    before = signal.getsignal(number)
    config = run_config()
    result = train(config, report=quiet)
    assert (result.step, result.reason) == (4, "stopped")
    assert signal.getsignal(number) == before
    [end] = events(config, RunEnded)
    assert (end.step, end.reason, end.message) == (4, "stopped", signal.Signals(number).name)

    assert train(config, resume=True, report=quiet).reason == "completed"
    assert [event.step for event in events(config, StepLogged)] == [2, 4, 6]
    assert [event.step for event in events(config, RunStarted)] == [0, 4]
    assert [event.reason for event in events(config, RunEnded)] == ["completed"]


@pytest.mark.parametrize("whiten_every", [0, 2])
def test_a_stopped_run_equals_an_unbroken_one(
    run_config: MakeConfig,
    tmp_path: Path,
    monkeypatch: MonkeyPatch,
    tiny_config: ModelConfig,
    whiten_every: int,
) -> None:
    model = replace(tiny_config, map_code=whiten_every > 0)
    optim = OptimConfig(whiten_every=whiten_every)
    record = {"checkpoint_every": 5}
    whole = run_config(out=str(tmp_path / "whole"), record=record, steps=7, model=model, optim=optim)
    train(whole, report=quiet)
    broken = replace(whole, out=str(tmp_path / "broken"))
    with monkeypatch.context() as patch:
        patch.setattr(loop.Run, "_should_stop", lambda self, stop: self.position.step == 3)
        assert train(broken, report=quiet).step == 3
    assert train(broken, resume=True, report=quiet).step == 7
    assert_same_run(Path(whole.out), Path(broken.out), 7)


@pytest.mark.parametrize("adversarial", ["hinge", "wgan", "wgan-gp"])
def test_with_all_remedies_a_stopped_run_equals_an_unbroken_one(
    run_config: MakeConfig, tmp_path: Path, monkeypatch: MonkeyPatch, tiny_config: ModelConfig, adversarial: str
) -> None:
    """Noise, mixtures, schedules and plateaus are functions of the update, or saved."""
    whole = run_config(
        {"checkpoint_every": 5, "validate_every": 1},
        out=str(tmp_path / "whole"),
        steps=7,
        batch_size=8,
        model=replace(tiny_config, dropout=0.3),
        loss=LossConfig(
            adversarial=adversarial, lambda_mode_seeking=0.1, weight_schedule="lambda_l1=0@0 lambda_l1=5@1-6"
        ),
        optim=OptimConfig(
            accumulate=2, clip_norm=1.0, weight_decay=0.01, lr_warmup=3, critic_steps=2, schedule="plateau", patience=1
        ),
        regular=RegularConfig(0.2, 0.1, "augmix"),
    )
    train(whole, report=quiet)
    broken = replace(whole, out=str(tmp_path / "broken"))
    with monkeypatch.context() as patch:
        patch.setattr(loop.Run, "_should_stop", lambda self, stop: self.position.step == 3)
        assert train(broken, report=quiet).step == 3
    assert train(broken, resume=True, report=quiet).step == 7
    assert_same_run(Path(whole.out), Path(broken.out), 7)


def assert_same_run(whole: Path, broken: Path, step: int) -> None:
    """Same weights, averages, moments, numbers, samples and codes."""
    states = [torch.load(RunFolder(run).checkpoint(step) / "state.pt", weights_only=True) for run in (whole, broken)]
    assert same(*states)
    ours, theirs = (
        [numbers(event) for event in read_events(run / "events.jsonl") if isinstance(event, StepLogged)]
        for run in (whole, broken)
    )
    assert ours == theirs
    for pattern in ("samples/*", "latents/*.npz", "best/model.safetensors", "latest/model.safetensors"):
        files = sorted(path.relative_to(whole) for path in whole.glob(pattern))
        assert files
        for file in files:
            if file.suffix == ".npz":  # its members carry the time
                with np.load(whole / file) as ours, np.load(broken / file) as theirs:
                    assert all(np.array_equal(ours[name], theirs[name]) for name in ours.files)
            else:
                assert (whole / file).read_bytes() == (broken / file).read_bytes(), file


def numbers(event: StepLogged) -> tuple[object, ...]:
    """All but times and memory."""
    return (
        event.step,
        event.losses,
        event.scores,
        event.inputs,
        event.mu_mean,
        event.mu_variance,
        event.kl_per_dim,
        event.gradient_norms,
        event.gradient_shares,
        event.learning_rates,
    )


def same(ours: object, theirs: object) -> bool:
    """Equality of nested states; of tensors bit for bit."""
    if isinstance(ours, torch.Tensor):
        return torch.equal(ours, theirs)
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, (list, tuple)):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return ours == theirs


def test_a_loss_that_is_not_a_number_stops_the_run(run_config: MakeConfig, monkeypatch: MonkeyPatch) -> None:
    call = TrainStep.generator_losses

    def poisoned(self: TrainStep, forward: object) -> dict[str, torch.Tensor]:
        poisoned.calls += 1
        terms = call(self, forward)
        return {**terms, "kl": terms["kl"] * float("nan")} if poisoned.calls == 5 else terms

    poisoned.calls = 0
    monkeypatch.setattr(TrainStep, "generator_losses", poisoned)
    config = run_config()
    with pytest.raises(UserError, match="Step 5: the loss kl is NaN"):
        train(config, report=quiet)
    folder = RunFolder(Path(config.out))
    assert [step for step, _ in folder.checkpoints()] == [3], "the last good one"
    finding, doctor = events(config, Finding)
    assert (finding.name, finding.severity) == ("train_nan", "ill") and "kl" in finding.evidence
    assert (doctor.name, doctor.severity) == ("not_a_number", "ill") and "kl" in doctor.evidence
    assert events(config, RunEnded)[0].reason == "failed"
    assert load_config(folder.latest).training["steps"] == 3

    monkeypatch.undo()
    assert train(config, resume=True, report=quiet).reason == "completed"


def test_a_full_disk_ends_the_run_in_order(run_config: MakeConfig, monkeypatch: MonkeyPatch) -> None:
    save = torch.save

    def full(content: object, file: BinaryIO) -> None:
        if content["position"]["step"] == 6:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device", file.name)
        save(content, file)

    monkeypatch.setattr(torch, "save", full)
    config = run_config()
    with pytest.raises(UserError, match=r"The disk is full.*--resume"):
        train(config, report=quiet)
    folder = RunFolder(Path(config.out))
    assert [step for step, _ in folder.checkpoints()] == [3]
    assert events(config, RunEnded)[0].reason == "failed"
    assert not [path for path in folder.root.rglob(".*") if path.name != ".lock"]


def test_too_little_room_is_said_before(run_config: MakeConfig, monkeypatch: MonkeyPatch) -> None:
    import shutil

    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2_000_000))
    config = run_config()
    with pytest.raises(UserError, match="MB are free"):
        train(config, report=quiet)
    assert not Path(config.out).exists()


def test_fine_tuning_starts_from_a_run(run_config: MakeConfig, finished: TrainConfig, tmp_path: Path) -> None:
    config = run_config(out=str(tmp_path / "finer"), init_from=str(Path(finished.out) / "latest"), steps=2)
    assert train(config, report=quiet).step == 2
    training = load_config(tmp_path / "finer" / "latest").training
    assert training["init_from"] == "latest"


def test_fresh_discriminators_warm_up_alone(run_config: MakeConfig, tiny_checkpoint: Path) -> None:
    config = run_config(init_from=str(tiny_checkpoint), steps=6, optim=OptimConfig(discriminator_warmup=4))
    train(config, report=quiet)
    folder = RunFolder(Path(config.out))
    states = [torch.load(path / "state.pt", weights_only=True) for _, path in folder.checkpoints()]
    stored = Pipeline.from_pretrained(tiny_checkpoint, device="cpu").generator.state_dict()
    assert all(torch.equal(states[0]["networks"]["generator"][name], stored[name]) for name in stored), "step 3"
    assert not all(torch.equal(states[1]["networks"]["generator"][name], stored[name]) for name in stored), "step 6"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data": ""}, "--data is missing"),
        ({"out": ""}, "--out is missing"),
        ({"data": "/nowhere/at/all"}, "/nowhere/at/all"),
        ({"init_from": "no-such-checkpoint"}, "no-such-checkpoint"),
        ({"precision": "bf16"}, "bf16"),
        ({"record": {"best_metric": "beauty"}}, "beauty"),
        ({"record": {"best_metric": "kl_per_dim"}}, "kl_per_dim"),
    ],
)
def test_what_cannot_be_trained_writes_nothing(run_config: MakeConfig, fields: dict[str, object], message: str) -> None:
    config = run_config(**fields)
    with pytest.raises(UserError, match=message) as caught:
        train(config, report=quiet)
    assert "\n" not in str(caught.value)
    assert not Path(config.out or "run").exists()


def test_a_second_run_in_the_same_folder_is_refused(finished: TrainConfig) -> None:
    before = RunFolder(Path(finished.out)).events_file.read_bytes()
    with pytest.raises(UserError, match="--resume"):
        train(replace(finished, seed=3), report=quiet)
    assert RunFolder(Path(finished.out)).events_file.read_bytes() == before


def test_resuming_with_other_options_is_refused(finished: TrainConfig) -> None:
    with pytest.raises(UserError, match="changed: seed, lambda_kl"):
        train(replace(finished, seed=3, loss=LossConfig(lambda_kl=1)), resume=True, report=quiet)


def test_a_finished_run_may_go_on_for_longer(finished: TrainConfig) -> None:
    assert train(replace(finished, steps=8), resume=True, report=quiet).step == 8
    assert [event.step for event in events(finished, StepLogged)] == [2, 4, 6, 8]
    assert RunFolder(Path(finished.out)).load_config().steps == 8


def test_a_complete_run_has_nothing_left_to_do(finished: TrainConfig) -> None:
    folder = RunFolder(Path(finished.out))
    (folder.best / LATENTS_FILE).unlink()  # as if it had been killed before the very end
    before = [(event.kind, event.step) for event in read_events(folder.events_file)]
    assert train(finished, resume=True, report=quiet).reason == "completed"
    after = [(event.kind, event.step) for event in read_events(folder.events_file)]
    assert after == [*before[:-1], ("start", 6), ("end", 6)]
    assert (folder.best / LATENTS_FILE).is_file()


def test_resuming_with_other_pictures_is_refused(run_config: MakeConfig, photos: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(photos, tmp_path / "copy")
    config = run_config(data=str(copy))
    train(config, report=quiet)
    next((copy / "train").iterdir()).unlink()
    with pytest.raises(UserError, match="not those the run began with"):
        train(replace(config, steps=9), resume=True, report=quiet)


def test_resuming_with_other_pictures_of_the_same_names_is_refused(
    run_config: MakeConfig, photos: Path, tmp_path: Path
) -> None:
    import shutil

    copy = shutil.copytree(photos, tmp_path / "copy")
    config = run_config(data=str(copy))
    train(config, report=quiet)
    changed = next((copy / "train").iterdir())
    Image.open(changed).transpose(Image.Transpose.ROTATE_90).save(changed)
    with pytest.raises(UserError, match="not those the run began with"):
        train(replace(config, steps=9), resume=True, report=quiet)


def test_a_resumed_run_remembers_its_last_validation(run_config: MakeConfig, monkeypatch: MonkeyPatch) -> None:
    config = run_config(steps=9)
    for stop_at in (4, 5):  # the second time no validation lies between
        with monkeypatch.context() as patch:
            patch.setattr(loop.Run, "_should_stop", lambda self, stop, at=stop_at: self.position.step == at)
            train(config, resume=stop_at == 5, report=quiet)
        assert "reconstruction_l1" in load_config(Path(config.out) / "latest").training["metrics"]


def test_resuming_nothing_is_refused(run_config: MakeConfig) -> None:
    config = run_config()
    with pytest.raises(UserError, match="no run"):
        train(config, resume=True, report=quiet)
    assert not Path(config.out).exists()


def test_a_run_without_checkpoint_starts_again(run_config: MakeConfig) -> None:
    config = run_config()
    folder = RunFolder(Path(config.out))
    folder.save_config(config)
    folder.events.append(StepLogged(step=2))
    assert train(config, resume=True, report=quiet).reason == "completed"
    assert [event.step for event in events(config, StepLogged)] == [2, 4, 6]


def test_the_dry_run_writes_nothing_and_tells_the_cost(run_config: MakeConfig) -> None:
    from bicyclegan.training.plan import make_plan

    config = run_config(steps=1000)
    plan = make_plan(config, quiet)
    assert not Path(config.out).exists()
    assert (plan.training_images, plan.validation_images) == (14, 4)
    assert plan.epochs == pytest.approx(1000 * 4 / 14)
    assert plan.seconds == pytest.approx(plan.seconds_per_step * 1000)
    assert plan.loader_images_per_second > 0
    assert len(plan.lines()) == 6


def test_going_on_needs_no_checkpoint_to_start_from(
    run_config: MakeConfig, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    import shutil

    start = shutil.copytree(tiny_checkpoint, tmp_path / "start")
    config = run_config(init_from=str(start), steps=3)
    train(config, report=quiet)
    shutil.rmtree(start)
    assert train(replace(config, steps=4), resume=True, report=quiet).step == 4


@pytest.mark.parametrize("place", ["run", "deep/er/run"])
def test_a_run_among_its_own_pictures_is_refused(run_config: MakeConfig, photos: Path, place: str) -> None:
    with pytest.raises(UserError, match="lies inside"):
        train(run_config(out=str(photos / place)), report=quiet)
    assert sorted(path.name for path in photos.iterdir()) == ["train", "val"]


def test_a_ranking_that_cannot_be_measured_is_refused_at_once(run_config: MakeConfig, tiny_config: ModelConfig) -> None:
    model, loss = replace(tiny_config, encoder="none"), LossConfig("pix2pix+noise")
    config = run_config(model=model, loss=loss, record={"best_metric": "latent_l1"})
    with pytest.raises(UserError, match=r"latent_l1.*there is .*reconstruction_l1"):
        train(config, report=quiet)
    assert not Path(config.out).exists()


def test_broken_weights_are_never_the_best(run_config: MakeConfig, monkeypatch: MonkeyPatch) -> None:
    step = TrainStep.__call__

    def poisoned(self: TrainStep, *args: object, **options: object) -> StepRecord:
        record = step(self, *args, **options)  # its losses are those of the weights before
        with torch.no_grad():
            next(self.networks.discriminator.parameters()).fill_(float("inf"))
        return record

    monkeypatch.setattr(TrainStep, "__call__", poisoned)
    config = run_config(record={"validate_every": 1, "sample_every": 1})
    with pytest.raises(UserError, match="After step 1 the discriminator has NaN or infinite weights"):
        train(config, report=quiet)
    folder = RunFolder(Path(config.out))
    assert not folder.best.exists() and not folder.latest.exists()
    assert "--init-from" in events(config, Finding)[0].remedy


def test_a_model_of_edges_in_three_channels_keeps_their_style(run_config: MakeConfig, tiny_config: ModelConfig) -> None:
    config = run_config(model=replace(tiny_config, input_channels=3), steps=2)
    train(config, report=quiet)
    assert load_config(RunFolder(Path(config.out)).latest).edge_style == config.edge_style
