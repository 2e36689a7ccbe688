"""What a run tells: a command that makes the same config again, its time, nothing of its machine."""

from __future__ import annotations

import shlex
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bicyclegan.cli import parse
from bicyclegan.config import EdgeStyle, ModelConfig
from bicyclegan.training.config import DataConfig, OptimConfig, RecordConfig, TrainConfig
from bicyclegan.training.events import RunEnded, RunStarted, StepLogged
from bicyclegan.training.presets import PRESETS
from bicyclegan.training.stages import (
    Stage,
    changed_options,
    command_line,
    folder_name,
    local_start,
    portable_start,
    read_stage,
    seconds_of,
)

ROOT = "/" + "root"  # in parts: no file of the project names a path of one machine


def parsed(command: str) -> TrainConfig:
    """The config that a command of `command_line` gives."""
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "bicyclegan"]
    return parse(words[3:]).config


def stage_of(config: TrainConfig, steps: int | None = None, **options: object) -> Stage:
    return read_stage(Path(config.out).name, config, (), steps=config.steps if steps is None else steps, **options)


def same(given: TrainConfig, made: TrainConfig) -> bool:
    """Whether both train alike, wherever data and folders lie."""
    places = {"data": made.data, "out": made.out, "init_from": made.init_from}
    source = replace(given.source, cache_dir="", val_data=made.source.val_data)
    return replace(given, **places, source=source) == made


@pytest.mark.parametrize(
    "options",
    [
        "",
        "--preset quality",
        "--preset official --steps 7 --no-antialias"
        if PRESETS["official"].edge_style.antialias
        else "--preset official",
        "--image-size 64 --encoder-blocks 4 --hue 0.4 --adaptive --schedule constant",
        "--image-size 96 --depth 4 --learning-rate 2e-05 --lambda-kl 1e-7",
        "--preset quality --objective pix2pix --image-size 128",
        "--objective pix2pix+noise --batch-size 3",
        "--objective clr-gan --best-metric latent_l1 --cache-dir cache --val-data photos/val",
        "--objective cvae-gan --upsample transposed --inject adain --seed 4294967295 --num-workers 2 --device cpu",
        "--share-discriminator --conditional-discriminator --input-channels 3 --log-with none",
    ],
)
def test_the_command_makes_the_same_config(options: str) -> None:
    config = parse(["train", "--data", f"{ROOT}/my data", "--out", f"{ROOT}/runs/a", *shlex.split(options)]).config
    command = command_line([stage_of(config)])
    assert same(config, parsed(command))
    assert ROOT not in command
    assert command.startswith("python -m bicyclegan train --data 'my data' --out runs/a")


def test_only_what_differs_from_the_defaults_is_told() -> None:
    config = parse(["train", "--data", "d", "--out", "o", "--image-size", "64", "--hue", "0.3", "--wobble", "1"]).config
    assert changed_options(config) == {"image_size": 64, "wobble": 1.0}, "neither the depth for 64 px nor a default"
    assert command_line([stage_of(config)]).endswith("--out runs/o --image-size 64 --wobble 1.0")
    assert changed_options(replace(PRESETS["quality"], data="d", out="o", init_from="")) == {}


def test_a_start_at_hand_sets_the_defaults(tiny_checkpoint: Path) -> None:
    words = ["train", "--data", "d", "--out", "o", "--init-from", str(tiny_checkpoint), "--image-size", "64"]
    config = parse([*words, "--dropout", "0.2"]).config
    assert changed_options(config, tiny_checkpoint) == {"image_size": 64, "dropout": 0.2}


def test_without_the_start_all_that_may_differ_from_it_is_told(tiny_checkpoint: Path) -> None:
    config = parse(["train", "--data", "d", "--out", "o", "--init-from", str(tiny_checkpoint), "--hue", "1"]).config
    stage = stage_of(replace(config, edge_style=EdgeStyle(adaptive=True, low_threshold=7)), start=None)
    assert {"image_size", "num_discriminators", "adaptive", "line_width", "hue"} <= stage.options.keys()
    assert not {"base_channels", "depth", "encoder", "learning_rate"} & stage.options.keys()
    command = command_line([replace(stage, init_from=str(tiny_checkpoint))])
    assert same(replace(config, edge_style=EdgeStyle(adaptive=True, low_threshold=7)), parsed(command))


def test_a_flag_that_the_start_has_set_is_taken_back(tmp_path: Path, make_checkpoint, tiny_config: ModelConfig) -> None:
    start = make_checkpoint(tmp_path / "start", style=EdgeStyle(adaptive=True))
    config = parse(["train", "--data", "d", "--out", "o", "--init-from", str(start), "--no-adaptive"]).config
    assert not config.edge_style.adaptive
    command = command_line([replace(stage_of(config, start=start), init_from=str(start))])
    assert "--no-adaptive" in command
    assert same(config, parsed(command))


def test_stages_follow_each_other_in_one_line() -> None:
    first = stage_of(TrainConfig(data="d/shoes", out="r/a"), role="best")
    second = stage_of(TrainConfig(data="d/shoes", out="r/b", init_from=f"{ROOT}/r/a/best"), first=False)
    left, right = command_line([first, second]).split(" && ")
    assert "--init-from" not in left
    assert right.startswith("python -m bicyclegan train --data shoes --out runs/b --init-from runs/a/best")


@pytest.mark.parametrize(
    ("schedule", "role", "told"),
    [("constant", "latest", 300), ("linear", "latest", 1000), ("constant", "best", 1000)],
)
def test_a_stopped_run_is_repeated_as_far_as_it_went_if_that_is_the_same(schedule: str, role: str, told: int) -> None:
    config = TrainConfig(data="d", out="o", steps=1000, optim=OptimConfig(schedule=schedule))
    stage = stage_of(config, steps=300, role=role)
    assert (stage.steps, stage.planned_steps) == (300, told)
    assert f"--steps {told}" in command_line([stage])


def test_a_preset_plans_its_own_steps() -> None:
    assert stage_of(replace(PRESETS["quality"], data="d", out="o")).planned_steps == 60_000


def test_time_and_device_are_summed_over_interruptions() -> None:
    events = [
        RunStarted(step=0, device="cpu"),
        StepLogged(step=1, seconds=10),
        StepLogged(step=2, seconds=25),
        RunStarted(step=2, device="cuda", resumed=True),
        StepLogged(step=3, seconds=4),
        RunStarted(step=3, device="cuda", resumed=True),
        RunEnded(step=3),
    ]
    assert seconds_of(events) == 29
    assert seconds_of([]) == 0
    assert read_stage("a", TrainConfig(data="d", out="a"), events, steps=3).device == "cpu, cuda"


@pytest.mark.parametrize(
    ("path", "name"), [("a/b", "b"), ("a/b/", "b"), (f"{ROOT}/photos", "photos"), ("photos", "photos"), ("/", "data")]
)
def test_data_is_known_by_its_folder(path: str, name: str) -> None:
    assert folder_name(path) == name


def test_the_current_folder_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shoes" / "train").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "shoes" / "train")
    assert (folder_name("."), folder_name("..")) == ("train", "shoes")


@pytest.mark.parametrize(
    ("source", "portable"),
    [
        ("", ""),
        (f"{ROOT}/train/runs/a/latest", "runs/a/latest"),
        ("a/best", "runs/a/best"),
        (f"{ROOT}/models/shoes", "checkpoints/shoes"),
        ("../../models/shoes", "checkpoints/shoes"),
        ("edges2shoes", "edges2shoes"),
        ("checkpoints/edges2shoes", "checkpoints/edges2shoes"),
        ("ada/shoes", "ada/shoes"),
    ],
)
def test_starts_are_told_as_others_know_them(source: str, portable: str) -> None:
    assert portable_start(source) == portable
    assert stage_of(TrainConfig(data="d", out="o", init_from=source)).init_from == portable


def test_a_start_is_looked_for_on_this_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shipped_checkpoint: Path, tiny_checkpoint: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert local_start(str(tiny_checkpoint)) == tiny_checkpoint
    assert local_start("checkpoints/nothing") is None
    assert local_start("ada/edges2shoes") is None, "not the shipped one of the same name"
    if shipped_checkpoint.is_dir():
        assert local_start("edges2shoes") == local_start("checkpoints/edges2shoes") == shipped_checkpoint


def test_folders_of_the_machine_are_no_options() -> None:
    source = DataConfig(cache_dir=f"{ROOT}/cache", val_data=f"{ROOT}/photos/val", max_images=5)
    config = TrainConfig(data="d", out="o", source=source, record=RecordConfig(log_every=3))
    options = asdict(stage_of(config))["options"]
    assert options["val_data"] == "val" and options["max_images"] == 5 and options["log_every"] == 3
    assert "cache_dir" not in options and ROOT not in str(options)
