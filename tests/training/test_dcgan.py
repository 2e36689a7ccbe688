"""The DCGAN of the lessons: its networks, its run folder, and that the rest of the program bears it."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from bicyclegan.errors import UserError
from bicyclegan.models.dcgan import DcganDiscriminator, DcganGenerator
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.dcgan import DcganRun, train_dcgan
from bicyclegan.training.dcgan_config import DcganConfig, read_config
from bicyclegan.training.events import (
    CheckpointWritten,
    DataChecked,
    Event,
    Finding,
    RunEnded,
    RunStarted,
    SamplesWritten,
    StepLogged,
    Validated,
    read_events,
)
from bicyclegan.training.job_changes import placed, with_changes
from bicyclegan.training.job_files import JobFiles
from bicyclegan.training.job_status import read_status
from bicyclegan.training.jobs import Jobs
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.training.sheets import photo_sheet
from bicyclegan.training.stop import StopRequest
from bicyclegan.training.watch import watch

SECONDS = 90
MakeConfig = Callable[..., DcganConfig]


@pytest.fixture
def config(tmp_path: Path, photos: Path) -> MakeConfig:
    """`config(**fields)`: a run of a second in a folder of its own."""

    def make(out: str = "run", **fields: object) -> DcganConfig:
        sizes = {"steps": 6, "batch_size": 4, "image_size": 32, "latent_dim": 8, "channels": 4}
        every = {"log_every": 2, "measure_every": 2, "sample_every": 3, "validate_every": 3, "checkpoint_every": 3}
        usual = {"data": str(photos), "out": str(tmp_path / out), "device": "cpu", **sizes, **every}
        return DcganConfig(**{**usual, **fields})

    return make


def silent(_line: str) -> None:
    pass


def run(config: DcganConfig, **options: object) -> list[Event]:
    """Train, and return the events."""
    train_dcgan(config, report=silent, **options)
    return [*read_events(RunFolder(Path(config.out)).events_file)]


def of(events: list[Event], kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]


def timeless(events: list[Event]) -> list[dict]:
    """Events without what differs from run to run."""
    left_out = ("time", "seconds", "eta", "images_per_second", "memory_mb", "resumed")
    told = [{**dataclasses.asdict(event), "kind": event.kind} for event in events if not isinstance(event, RunStarted)]
    return [{key: value for key, value in event.items() if key not in left_out} for event in told]


# Networks


@pytest.mark.parametrize("size", [32, 64])
def test_networks_have_the_shapes_of_the_tutorials(size: int) -> None:
    generator, discriminator = DcganGenerator(size, 5, 4), DcganDiscriminator(size, 4)
    photos = generator(torch.randn(3, 5))
    assert photos.shape == (3, 3, size, size)
    assert photos.abs().max() <= 1
    assert discriminator(photos).shape == (3,)


def test_first_weights_are_small_and_normal() -> None:
    weights = DcganGenerator(64, 64, 32).layers[0].weight
    assert weights.std().item() == pytest.approx(0.02, rel=0.05)
    assert weights.mean().item() == pytest.approx(0, abs=1e-3)


def test_a_discriminator_says_the_same_in_every_mode() -> None:
    discriminator, photos = DcganDiscriminator(32, 4), torch.randn(4, 3, 32, 32)
    assert torch.equal(discriminator(photos), discriminator.eval()(photos))


# Config


def test_config_round_trip(config: MakeConfig) -> None:
    made = config(learning_rate=1e-3)
    data = json.loads(json.dumps(made.to_json()))
    assert data["kind"] == "dcgan"
    assert DcganConfig.from_json(data) == read_config(data) == made
    assert isinstance(read_config(TrainConfig().to_json()), TrainConfig)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"kind": "dcgan", "schema_version": 99}, "run_version"),
        ({"kind": "dcgan", "schema_version": 1, "lambda_kl": 1.0}, "config_unknown"),
        ({"kind": "stylegan", "schema_version": 1}, "config_unknown"),
        ({"kind": "dcgan", "schema_version": 1, "steps": "many"}, "config_value"),
        ({"kind": "dcgan", "schema_version": 1, "image_size": 48}, "config_value"),
        ([], "run_version"),
    ],
)
def test_other_configs_are_refused(data: object, code: str) -> None:
    with pytest.raises(UserError) as error:
        read_config(data)
    assert error.value.code == code


# The run


def test_a_run_leaves_the_folder_that_every_run_leaves(config: MakeConfig) -> None:
    made = config()
    events = run(made)
    folder = RunFolder(Path(made.out))
    (started,) = of(events, RunStarted)
    assert started.options["objective"] == "dcgan"
    assert started.options["adversarial"] == "vanilla"
    assert started.options["discriminator_rate"] == 1.0
    assert started.parameters.keys() == {"generator", "discriminator"}
    assert of(events, DataChecked)[0].report["train"] == 14
    assert [event.step for event in of(events, StepLogged)] == [2, 4, 6]
    assert [event.step for event in of(events, Validated)] == [3, 6]
    assert [event.step for event in of(events, CheckpointWritten)] == [3, 6]
    for event in of(events, SamplesWritten):
        assert Image.open(folder.root / event.path).format == "WEBP"
    assert of(events, RunEnded)[0].reason == "completed"
    assert folder.load_any_config() == made
    assert [step for step, _ in folder.checkpoints()] == [3, 6]


def test_a_line_tells_what_the_doctor_reads(config: MakeConfig) -> None:
    events = run(config())
    line, validation = of(events, StepLogged)[-1], of(events, Validated)[-1]
    assert line.losses.keys() == {"gan_random", "d_random"}
    assert line.scores.keys() == validation.scores.keys() == {"real_random", "fake_random"}
    assert line.inputs["b_min"] < 0 < line.inputs["b_max"] <= 1
    assert line.gradient_norms["generator"] > 0
    assert line.gradient_shares == {"gan_random": 1.0}
    assert line.learning_rates == {"generator": 2e-4, "discriminator": 2e-4}
    assert {"diversity_rgb", "high_frequency", "border_energy"} <= validation.metrics.keys()


def test_the_same_seed_learns_the_same(config: MakeConfig) -> None:
    first, second, other = (run(config(out, seed=seed)) for out, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert timeless(first) == timeless(second) != timeless(other)


def stop_after(step: int, stop: StopRequest) -> Callable[[DcganRun], None]:
    def prepare(run: DcganRun) -> None:
        update = run.update

        def counted(number: int) -> object:
            if number == step:
                stop.signal = "SIGTERM"
            return update(number)

        run.update = counted

    return prepare


def test_a_run_goes_on_bit_for_bit(config: MakeConfig) -> None:
    whole = run(config("whole"))
    stop = StopRequest()
    first = run(config("parts"), stop=stop, prepare=stop_after(5, stop))
    assert of(first, RunEnded)[0].reason == "stopped"
    parts = run(config("parts"), resume=True)
    extra = [event for event in of(parts, CheckpointWritten) if event.step == 5]
    assert timeless([event for event in parts if event not in extra]) == timeless(whole)
    states = [
        torch.load(Path(config(out).out) / "checkpoints/step-0000006/state.pt", weights_only=True)["networks"]
        for out in ("whole", "parts")
    ]
    for name, weights in states[0].items():
        assert all(torch.equal(value, states[1][name][key]) for key, value in weights.items())


def test_only_some_options_may_change_when_a_run_goes_on(config: MakeConfig) -> None:
    run(config())
    with pytest.raises(UserError) as error:
        train_dcgan(config(channels=8), resume=True, report=silent)
    assert error.value.code == "dcgan_changed"
    events = run(config(steps=8, log_every=1), resume=True)
    assert of(events, RunEnded)[-1].step == 8


def test_other_pictures_are_refused(config: MakeConfig, tmp_path: Path) -> None:
    run(config())
    (tmp_path / "others").mkdir()
    for seed in range(8):
        pixels = np.random.RandomState(seed).randint(0, 255, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"others/{seed}.png")
    with pytest.raises(UserError) as error:
        train_dcgan(config(data=str(tmp_path / "others"), steps=8), resume=True, report=silent)
    assert error.value.code == "dcgan_data"


def test_a_folder_that_is_taken_is_refused(config: MakeConfig) -> None:
    run(config())
    with pytest.raises(UserError) as error:
        train_dcgan(config(), report=silent)
    assert error.value.code == "run_exists"


# Bugs planted from outside


def test_a_detached_loss_reaches_nothing(config: MakeConfig) -> None:
    def detach(run: DcganRun) -> None:
        generator = run.adversarial.generator
        run.adversarial = dataclasses.replace(run.adversarial, generator=lambda scores: generator(scores.detach()))
        run.first = [weight.detach().clone() for weight in run.networks.generator.parameters()]
        runs.append(run)

    runs: list[DcganRun] = []
    events = run(config(), prepare=detach)
    line = of(events, StepLogged)[-1]
    assert line.gradient_norms["generator"] == 0 < line.gradient_norms["discriminator"]
    assert line.gradient_shares == {"gan_random": 0.0}
    now = runs[0].networks.generator.parameters()
    assert all(torch.equal(*pair) for pair in zip(runs[0].first, now, strict=True))


def test_pictures_in_another_range_are_told(config: MakeConfig) -> None:
    def unit_range(run: DcganRun) -> None:
        run.to_float = lambda photos: photos.permute(0, 3, 1, 2).float() / 255

    line = of(run(config(), prepare=unit_range), StepLogged)[-1]
    assert 0 <= line.inputs["b_min"] < line.inputs["b_max"] <= 1


def test_pictures_beyond_the_range_end_the_run(config: MakeConfig) -> None:
    def raw(run: DcganRun) -> None:
        run.to_float = lambda photos: photos.permute(0, 3, 1, 2).float()

    with pytest.raises(UserError) as error:
        run(config(), prepare=raw)
    assert error.value.code == "train_range"


def test_a_broken_loss_ends_the_run_and_is_told(config: MakeConfig) -> None:
    def break_it(run: DcganRun) -> None:
        generator, calls = run.adversarial.generator, []

        def broken(scores: Tensor) -> Tensor:
            calls.append(1)
            return generator(scores) * (float("nan") if len(calls) > 4 else 1)

        run.adversarial = dataclasses.replace(run.adversarial, generator=broken)

    made = config()
    with pytest.raises(UserError) as error:
        run(made, prepare=break_it)
    assert error.value.code == "dcgan_nan"
    folder = RunFolder(Path(made.out))
    events = [*read_events(folder.events_file)]
    trainer, doctor = of(events, Finding)
    assert (trainer.name, doctor.name, trainer.severity, doctor.severity) == ("train_nan", "not_a_number", "ill", "ill")
    assert "gan_random" in doctor.evidence
    assert doctor.patch.keys() == {"learning_rate"}, "what a DCGAN has"
    assert of(events, RunEnded)[0].reason == "failed"
    assert [step for step, _ in folder.checkpoints()] == [3]


def test_samples_become_like_the_photos(config: MakeConfig) -> None:
    """Boxes on white: some updates find the white."""
    fields = {"channels": 16, "batch_size": 8, "learning_rate": 2e-3, "validate_every": 30, "log_every": 30}
    events = run(config(steps=150, **fields, sample_every=0))
    first, *_, last = (event.metrics["nearest_photo"] for event in of(events, Validated))
    assert last < 0.65 * first


# The rest of the program


def test_a_run_is_shown_and_told_apart(config: MakeConfig) -> None:
    made = config()
    run(made)
    folder = RunFolder(Path(made.out))
    with pytest.raises(UserError) as error:
        folder.load_config()
    assert error.value.code == "run_dcgan"
    answer = watch(folder)
    assert answer["plan"]["steps"] == 6
    assert answer["plan"]["log_every"] == 2
    assert answer["series"]["gradient.generator"][-1] > 0
    assert answer["validations"]["steps"] == [3, 6]
    status = read_status(folder.root)
    assert (status.state, status.step, status.steps) == ("completed", 6, 6)


def test_changes_before_it_goes_on(config: MakeConfig) -> None:
    changed = with_changes(config(), {"steps": 9, "discriminator_rate": 0.5})
    assert (changed.steps, changed.discriminator_rate) == (9, 0.5)
    for name in ("channels", "lambda_kl", "data"):
        with pytest.raises(UserError) as error:
            with_changes(config(), {name: 1})
        assert error.value.code == "job_change"


def test_its_place_in_the_studio(config: MakeConfig, tmp_path: Path) -> None:
    there = placed(config(), tmp_path / "there", "cpu")
    files = JobFiles(tmp_path / "there")
    assert (there.out, there.data, there.cache_dir) == (str(files.root), str(files.pictures), str(files.cache))


def test_it_trains_in_a_process_of_its_own_and_goes_on(config: MakeConfig, tmp_path: Path, photos: Path) -> None:
    studio = Jobs(tmp_path / "runs")
    id = studio.new_draft("dcgan")
    files = JobFiles(studio.folder(id).root)
    for path in photos.glob("*/*.png"):
        target = files.pictures / path.relative_to(photos)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    for steps, begin in ((6, lambda: studio.start(id, config())), (8, lambda: studio.resume(id, {"steps": 8}))):
        begin()
        end = time.monotonic() + SECONDS
        while (status := studio.status(id)).alive and time.monotonic() < end:
            time.sleep(0.2)
        assert (status.state, status.step, status.steps) == ("completed", steps, steps), files.log_tail()


def test_a_sheet_shows_photos_above_samples() -> None:
    photos, samples = torch.ones(3, 3, 32, 32), -torch.ones(8, 3, 32, 32)
    sheet = np.asarray(photo_sheet(photos, samples, columns=4, title="step 3"))
    rows = np.flatnonzero((sheet[:, 20] < 10).all(axis=-1))
    assert len(rows) == 2 * 96
    assert rows[0] > sheet.shape[0] - 3 * 100
