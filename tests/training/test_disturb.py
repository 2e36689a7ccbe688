"""Noise on pictures: as strong as asked for, the same for the same sample, and gone when it should be."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bicyclegan.training.config import LossConfig, RegularConfig, TrainConfig
from bicyclegan.training.disturb import JUDGED, Disturbance, disturbance
from bicyclegan.training.weights import RunLength

PICTURES = torch.zeros(6, 3, 32, 32)
BOTH = Disturbance(seed=1, number=5, first=0, condition=0.2, instance=0.5)
LENGTH = RunLength(100, 10)


def test_without_noise_pictures_are_the_same_object() -> None:
    nothing = Disturbance()
    assert nothing.sketches(PICTURES) is PICTURES
    assert nothing.judged("real_encoded", PICTURES) is PICTURES


def test_noise_is_normal_with_the_deviation_asked_for() -> None:
    for noisy, deviation in ((BOTH.sketches(PICTURES), 0.2), (BOTH.judged("fake_random", PICTURES), 0.5)):
        assert noisy.std().item() == pytest.approx(deviation, rel=0.03)
        assert abs(noisy.mean().item()) < 0.02
        assert noisy.abs().max() > 2.5 * deviation


def test_noise_is_added_and_lets_gradients_through() -> None:
    pictures = torch.rand(2, 3, 8, 8, requires_grad=True)
    noisy = BOTH.judged("fake_encoded", pictures)
    torch.testing.assert_close(noisy - pictures, BOTH.judged("fake_encoded", torch.zeros(2, 3, 8, 8)))
    noisy.sum().backward()
    assert torch.equal(pictures.grad, torch.ones_like(pictures))


def test_seed_update_sample_and_purpose_each_change_every_number() -> None:
    noise = BOTH.judged("real_encoded", PICTURES)
    others = [
        replace(BOTH, seed=2).judged("real_encoded", PICTURES),
        replace(BOTH, number=6).judged("real_encoded", PICTURES),
        *(BOTH.judged(name, PICTURES) for name in JUDGED if name != "real_encoded"),
    ]
    assert not any((noise == other).any() for other in others)
    assert len(noise.flatten(1).unique(dim=0)) == 6, "two samples share their noise"


def test_a_sample_has_its_noise_in_any_part_and_any_process() -> None:
    whole = BOTH.sketches(PICTURES)
    parts = torch.cat([BOTH.sketches(PICTURES[:2]), BOTH.sketches(PICTURES[2:], row=2)])
    second_process = replace(BOTH, first=4).sketches(PICTURES[4:])
    assert torch.equal(parts, whole)
    assert torch.equal(second_process, whole[4:])


def test_drawing_leaves_torchs_own_generator_alone() -> None:
    before = torch.get_rng_state()
    BOTH.sketches(PICTURES)
    assert torch.equal(before, torch.get_rng_state())


def test_instance_noise_falls_to_nothing_over_the_run_and_condition_noise_stays() -> None:
    config = TrainConfig(seed=3, regular=RegularConfig(instance_noise=0.4, condition_noise=0.1))
    first, middle, last = (disturbance(config, number, 8, LENGTH) for number in (1, 51, 101))
    assert (first.instance, middle.instance, last.instance) == pytest.approx((0.4, 0.2, 0))
    assert {each.condition for each in (first, middle, last)} == {0.1}
    assert (first.seed, first.first, middle.number) == (3, 8, 51)


def test_a_schedule_takes_the_place_of_the_fall() -> None:
    loss = LossConfig(weight_schedule="instance_noise=0@80% condition_noise=0.3@0")
    config = TrainConfig(loss=loss, regular=RegularConfig(instance_noise=0.4))
    found = [disturbance(config, number, 0, LENGTH) for number in (1, 80, 81)]
    assert [each.instance for each in found] == [0.4, 0.4, 0]
    assert found[0].condition == 0.3
