"""Pitfalls planted into real small runs: the doctor names each before the run ends, and leaves the healthy one alone.

`benchmarks/doctor.py` does this with all pitfalls, several seeds, and many healthy runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bicyclegan.errors import UserError
from bicyclegan.losses import ADVERSARIAL
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.events import Finding, read_events
from bicyclegan.training.health import RULES, diagnose, read_log
from bicyclegan.training.lab import healthy, healthy_dcgan
from bicyclegan.training.lab_data import HELD_OUT, SHAPES, draw_shape, write_pictures
from bicyclegan.training.loop import train
from bicyclegan.training.pitfalls import PITFALLS, find_pitfall, healthy_options, plant, read_option, sick_config


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    write_pictures("shapes", folder, 32)
    return folder


@pytest.fixture
def small(tmp_path: Path, shapes: Path) -> Callable[..., TrainConfig]:
    """A run of the lab's kind in a folder of its own, that validates often."""

    def make(steps: int) -> TrainConfig:
        config = healthy("shapes", steps=steps)
        every = replace(config.record, validate_every=25, sample_every=0, measure_every=10, validation_images=8)
        return replace(config, data=str(shapes), out=str(tmp_path / "run"), device="cpu", record=every)

    return make


@pytest.mark.parametrize(
    ("name", "steps"), [("detach", 30), ("unit-range", 20), ("detached-latent", 30), ("no-kl", 100), ("nan", 70)]
)
def test_a_planted_pitfall_is_named_before_the_run_ends(
    small: Callable[..., TrainConfig], name: str, steps: int
) -> None:
    config = sick_config(name, small(steps))
    try:
        train(config, report=lambda line: None, prepare=lambda run: plant(name, run))
    except UserError:
        assert name == "nan"
    wanted = PITFALLS[name].finding
    assert wanted in [each.name for each in diagnose(read_log(Path(config.out))) if each.severity == "ill"][:2]
    if name != "nan":
        told = [each for each in read_events(Path(config.out) / "events.jsonl") if isinstance(each, Finding)]
        assert any(each.name == wanted and each.step <= steps for each in told)


def test_the_healthy_run_is_called_nothing(small: Callable[..., TrainConfig]) -> None:
    config = small(100)
    train(config, report=lambda line: None)
    assert not [each for each in diagnose(read_log(Path(config.out))) if each.severity == "ill"]


def test_every_pitfall_is_one_that_the_doctor_knows() -> None:
    known = {rule.name for rule in RULES}
    assert {pitfall.finding for pitfall in PITFALLS.values()} <= known
    assert all(bool(each.bug) or each.options or each.times for each in PITFALLS.values())


@pytest.mark.parametrize("name", [name for name, each in PITFALLS.items() if not name.startswith("dcgan")])
def test_a_sick_config_differs_in_nothing_but_the_pitfall(name: str) -> None:
    base = healthy("shapes")
    sick, pitfall = sick_config(name, base), find_pitfall(name)
    changed = {*pitfall.options, *pitfall.times}
    for group in (base, *(value for value in vars(base).values() if dataclasses.is_dataclass(value))):
        for each in dataclasses.fields(group):
            if each.name not in changed and not dataclasses.is_dataclass(getattr(group, each.name)):
                assert read_option(sick, each.name) == read_option(base, each.name)
    if not pitfall.cure:
        assert all(read_option(base, option) == value for option, value in healthy_options(name, base).items())


def test_a_dcgan_takes_the_bugs_that_it_can_have() -> None:
    class Parts:
        adversarial = ADVERSARIAL["vanilla"]
        to_float = staticmethod(lambda pictures: pictures.float() / 127.5 - 1)

    scores = torch.zeros(2, requires_grad=True)
    detached, ranged = Parts(), Parts()
    plant("dcgan-detach", detached)
    assert not detached.adversarial.generator(scores).requires_grad
    assert detached.adversarial.fake(scores).requires_grad
    plant("dcgan-unit-range", ranged)
    assert ranged.to_float(torch.tensor([0, 255])).tolist() == [0.0, 1.0]
    assert sick_config("dcgan-detach", healthy_dcgan()) == healthy_dcgan()


def test_an_unknown_pitfall_names_those_there_are() -> None:
    with pytest.raises(UserError, match="unit-range"):
        find_pitfall("quicksand")


# Pictures


def test_shapes_are_pairs_whose_outline_does_not_tell_the_colour() -> None:
    pairs = [np.asarray(draw_shape(seed, 32)) for seed in range(8)]
    for pair in pairs:
        outline, shape = pair[:, :32], pair[:, 32:]
        assert outline.shape == shape.shape == (32, 32, 3)
        assert (outline[..., 0] == outline[..., 2]).all(), "the outline has no colour"
        assert np.abs(shape[16, 16].astype(int) - shape[16, 16].mean()).max() > 20, "the shape has one"
    assert len({tuple(pair[16, 48]) for pair in pairs}) == len(pairs)


def test_pictures_are_the_same_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_pictures("garments", tmp_path / name, 32)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.png"))
    assert sum("val" in path.parts for path in files) == HELD_OUT
    assert len(files) > 2 * HELD_OUT
    assert all((tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes() for path in files)
    with Image.open(tmp_path / "one" / files[0]) as picture:
        assert picture.size == (32, 32)


def test_there_are_as_many_shapes_as_said(shapes: Path) -> None:
    assert len([*shapes.rglob("*.png")]) == SHAPES + HELD_OUT


def test_unknown_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="shapes, garments"):
        write_pictures("cats", tmp_path)
    assert not [*tmp_path.iterdir()]
