"""Which curves a training has: read from events, one stage after the other."""

from __future__ import annotations

import math

import pytest

from bicyclegan.training.curves import Panel, Series
from bicyclegan.training.events import RunStarted, StepLogged, Validated
from bicyclegan.training.loss_panels import loss_panels

FIRST = [
    RunStarted(step=0),
    StepLogged(step=10, losses={"l1": 0.4, "latent_l1": 0.9, "d_encoded": 1.0}, kl_per_dim=[1.0, 2.0]),
    StepLogged(step=20, losses={"l1": 0.3, "latent_l1": None, "d_encoded": 0.9}, kl_per_dim=[1.0, None]),
    Validated(step=20, metrics={"reconstruction_l1": 0.5, "kl": 3.0, "diversity_rgb": 0.1, "kl_per_dim": [1.0]}),
]
SECOND = [
    StepLogged(step=10, losses={"l1": 0.2, "gan_random": 0.7}),
    Validated(step=10, metrics={"diversity_lpips_alex_v0.1": 0.2}),
]


@pytest.fixture
def panels() -> dict[str, Panel]:
    return {panel.title.split(":")[0].split(",")[0]: panel for panel in loss_panels([FIRST, SECOND], [0, 20])}


def line(panel: Panel, name: str) -> Series:
    return next(line for line in panel.series if line.name == name)


def test_steps_count_through_the_stages(panels: dict[str, Panel]) -> None:
    training = line(panels["Pixel L1"], "training")
    assert training.steps == [10, 20, 20, 30]
    assert training.values == [0.4, 0.3, None, 0.2], "interrupted where the next stage begins"


def test_validation_stands_beside_training(panels: dict[str, Panel]) -> None:
    validation = line(panels["Pixel L1"], "validation")
    assert validation.dots and not line(panels["Pixel L1"], "training").dots
    assert (validation.steps[0], validation.values[0]) == (20, 0.5)


def test_kl_is_the_sum_over_dims_in_nats(panels: dict[str, Panel]) -> None:
    """Not the loss, which free bits and the official reduction change."""
    panel = panels["KL of the code to N(0"]
    assert line(panel, "training").values[:2] == [3.0, None]
    assert line(panel, "validation").values[0] == 3.0


def test_latent_l1_is_held_against_chance(panels: dict[str, Panel]) -> None:
    panel = panels["Latent L1"]
    assert panel.level == pytest.approx(math.sqrt(2 / math.pi))
    assert panel.level_name == "chance 0.798"
    assert line(panel, "training").values[:2] == [0.9, None]


def test_diversities_by_different_networks_are_different_lines(panels: dict[str, Panel]) -> None:
    assert [each.name for each in panels["Diversity of samples of one sketch"].series] == ["rgb", "lpips_alex_v0.1"]


def test_what_was_never_measured_has_no_curve() -> None:
    titles = [panel.title for panel in loss_panels([[StepLogged(step=1, losses={"l1": 0.1})]], [0])]
    assert titles == ["Pixel L1, pictures in [-1, 1]"]
    assert loss_panels([FIRST[:1], []], [0, 5]) == []


def test_a_remedy_has_a_panel_in_the_runs_that_use_it(panels: dict[str, Panel]) -> None:
    """Squared losses are not drawn among absolute ones: they have chance lines of their own."""
    remedies = {"l2": 0.1, "latent_l2": 0.9, "perceptual": 2.0, "mode_seeking": 5.0, "penalty_random": 0.3}
    used = {panel.title: panel for panel in loss_panels([[StepLogged(step=10, losses=remedies)]], [0])}
    assert {next(iter(panel.series)).values[0] for panel in used.values()} == set(remedies.values())
    latent = next(panel for title, panel in used.items() if title.startswith("Latent L2"))
    assert latent.level == 1
    assert not any(title.startswith(("Pixel L2", "Latent L2", "Mode", "Perceptual", "Gradient")) for title in panels)
