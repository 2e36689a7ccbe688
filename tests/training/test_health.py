"""The doctor's rules on made-up logs: each ill is named, and healthy and young runs are left in peace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np
import pytest

from bicyclegan.checkpoints import list_checkpoints
from bicyclegan.training import health
from bicyclegan.training.events import DataChecked, Event, Finding, RunEnded, RunStarted, StepLogged, Validated
from bicyclegan.training.health import RULES, TEXTS, Doctor, diagnose, finding, read_log, words
from bicyclegan.training.job_changes import with_changes
from bicyclegan.training.lab import healthy
from bicyclegan.training.rules.rule import Rule
from bicyclegan.training.run_log import make_log

OPTIONS = {
    "objective": "bicyclegan",
    "adversarial": "lsgan",
    "learning_rate": 2e-4,
    "discriminator_rate": 1.0,
    "critic_steps": 1,
    "instance_noise": 0.0,
    "lambda_l1": 10.0,
    "lambda_gan": 1.0,
    "lambda_gan2": 1.0,
    "pixel_loss": "l1",
    "lambda_kl": 0.01,
    "lambda_z": 0.5,
    "lambda_mode_seeking": 0.0,
    "clip_norm": 0.0,
    "clip_weights": 0.01,
    "lr_warmup": 0,
    "flip": 0.5,
    "rotation": 0.0,
    "scale": 0.0,
    "hue": 0.0,
}


def logged(step: int, last: int, **groups: Any) -> StepLogged:
    """A healthy line of losses at a place in a run; `groups` change single numbers, given by their group."""
    done = step / last
    usual: dict[str, Any] = {
        "losses": {"gan_encoded": 0.7, "gan_random": 0.7, "l1": 0.5 - 0.35 * done, "latent_l1": 0.9 - 0.4 * done},
        "scores": {"real_encoded": 0.6, "fake_encoded": 0.4, "real_random": 0.6, "fake_random": 0.4},
        "inputs": {"a_min": -1.0, "a_max": 1.0, "a_mean": 0.8, "b_min": -0.98, "b_max": 1.0, "b_mean": 0.5},
        "gradient_norms": {"generator": 12.0, "encoder": 2.0, "discriminator": 8.0, "discriminator2": 8.0},
        "gradient_shares": {"gan_encoded": 0.25, "gan_random": 0.25, "l1": 0.35, "latent_l1": 0.15, "kl": 0.0},
        "learning_rates": {"generator": 2e-4, "encoder": 2e-4, "discriminator": 2e-4},
        "weights": {"gan_encoded": 1.0, "gan_random": 1.0, "l1": 10.0, "latent_l1": 0.5, "kl": 0.01},
    }
    changed = {name: {**usual[name], **values} for name, values in groups.items() if name in usual}
    others = {name: value for name, value in groups.items() if name not in usual}
    lists = {"mu_mean": [0.0] * 4, "mu_variance": [0.9] * 4, "kl_per_dim": [1.5] * 4, "epoch": 4.0 * done}
    return StepLogged(step=step, **{**usual, **lists, **changed, **others})


def validated(step: int, **metrics: float) -> Validated:
    usual = {
        "diversity_rgb": 0.09,
        "high_frequency": 0.4,
        "border_energy": 1.0,
        "border_excess": 0.01,
        "reconstruction_l1": 0.3 - step / 10_000,
        "encoded_random_l1_gap": 0.1,
        "latent_l1": 0.7,
    }
    return Validated(step=step, metrics={**usual, **metrics}, scores={"real_encoded": 0.58, "real_random": 0.58})


def run(
    steps: int = 400,
    every: int = 10,
    options: dict[str, Any] | None = None,
    lines: Any = None,
    metrics: Any = None,
    **groups: Any,
) -> list[Event]:
    """A run of that many steps. lines, metrics: give what is changed at a step."""
    events: list[Event] = [RunStarted(step=0, options={**OPTIONS, **(options or {})})]
    events.append(DataChecked(step=0, report={"train": 800}))
    for step in range(every, steps + 1, every):
        events.append(logged(step, steps, **{**groups, **(lines(step) if lines else {})}))
        if step % (5 * every) == 0:
            events.append(validated(step, **(metrics(step) if metrics else {})))
    return events


def names(events: Sequence[Event], severity: str = "ill") -> list[str]:
    return [each.name for each in diagnose(make_log(events)) if each.severity == severity]


SICK: dict[str, list[Event]] = {
    "not_a_number": [
        *run(100),
        Finding(
            step=100, name="train_nan", severity="ill", evidence="Step 101: the loss l1 is NaN or infinite, first."
        ),
        RunEnded(step=100, reason="failed", message="x"),
    ],
    "inputs_range": run(inputs={"a_min": 0.0, "b_min": 0.0}),
    "no_adversarial_gradient": run(gradient_shares={"gan_encoded": 0.0, "gan_random": 0.0}),
    "loss_without_effect": run(gradient_shares={"latent_l1": 0.0}),
    "rate_high": run(options={"learning_rate": 0.05}, learning_rates={"generator": 0.05}, losses={"l1": 0.5}),
    "rate_low": run(options={"learning_rate": 1e-6}, learning_rates={"generator": 1e-6}, losses={"l1": 0.5}),
    "critic_unbounded": run(
        options={"adversarial": "wgan", "clip_weights": 1.0}, scores={"real_random": 30.0, "fake_random": 28.0}
    ),
    "exploding": run(gradient_norms={"generator": 9000.0}),
    "vanishing": run(gradient_norms={"generator": 1e-6}),
    "few_pictures": [*run(lines=lambda step: {"epoch": step / 2}), DataChecked(step=0, report={"train": 6})],
    "posterior_collapse": run(lines=lambda step: {"kl_per_dim": [2.0 if step < 60 else 0.01] * 4}),
    "posterior_far": run(lines=lambda step: {"kl_per_dim": [0.5 * step] * 4}),
    "ignores_z": run(1200, metrics=lambda step: {"diversity_rgb": 0.001, "latent_l1": 0.81}),
    "mode_collapse": run(metrics=lambda step: {"diversity_rgb": 0.12 if step < 200 else 0.015}),
    "discriminator_wins": run(
        scores={"real_encoded": 0.99, "fake_encoded": 0.01, "real_random": 0.99, "fake_random": 0.01}
    ),
    "discriminator_overfits": run(
        lines=lambda step: {"scores": {"real_encoded": 0.97, "fake_encoded": 0.3}, "epoch": step / 8}
    ),
    "oscillation": run(
        lines=lambda step: {"scores": {"fake_random": 0.9 if step // 30 % 2 else 0.05}},
        options={"adversarial": "lsgan"},
    ),
    "border": run(600, metrics=lambda step: {"border_excess": 0.6, "border_energy": 9.0}),
    "blur": run(
        1200,
        options={"lambda_gan": 0.01},
        gradient_shares={"gan_encoded": 0.001, "gan_random": 0.001},
        metrics=lambda step: {"high_frequency": 0.02},
    ),
}
"""A log of each ill, by the name that it must be given."""


@pytest.mark.parametrize("name", SICK)
def test_an_ill_run_is_named(name: str) -> None:
    assert name in names(SICK[name])[:2]


def test_every_rule_has_a_sick_run() -> None:
    assert {rule.name for rule in RULES} - {"plateau"} == SICK.keys()


@pytest.mark.parametrize("steps", [20, 60, 200, 400, 3000])
def test_a_healthy_run_is_left_in_peace(steps: int) -> None:
    assert not diagnose(make_log(run(steps, every=max(2, steps // 40))))


def test_a_young_run_whose_code_is_not_heard_yet_is_not_ill() -> None:
    young = run(
        100, every=5, losses={"latent_l1": 0.82}, metrics=lambda step: {"diversity_rgb": 0.004, "latent_l1": 0.82}
    )
    assert not names(young)
    silent = run(600, lines=lambda step: {"kl_per_dim": [0.001] * 4})  # an encoder that starts silent
    assert not names(silent)


@pytest.mark.parametrize("name", list_checkpoints())
def test_the_shipped_models_trained_in_good_health(name: str) -> None:
    log = read_log(Path("checkpoints") / name)
    assert len(log.steps) > 10
    assert not [each for each in diagnose(log) if each.severity == "ill"]


def test_a_code_that_no_pixel_loss_pays_for() -> None:
    def unpaid(gap: float) -> list[Event]:
        weights = {"l1": 0.0}
        return run(
            1200, weights=weights, metrics=lambda step: {"encoded_random_l1_gap": gap, "reconstruction_l1": 0.25}
        )

    (found,) = diagnose(make_log(unpaid(0.02)))
    assert (found.name, found.variant, found.patch) == ("posterior_collapse", "no_pixels", {})  # it is set so
    assert (
        words(found).title
        != words(replace(found, variant="", values=dict.fromkeys(("kl", "highest", "weight"), 1))).title
    )
    assert not names(unpaid(0.3))


def test_pictures_that_ended_a_run_are_told_with_their_range() -> None:
    told = "The photos reach the networks with values from 0 to 255; they must be in [-1, 1], the range of tanh."
    ended = [
        *run(0),
        Finding(step=0, name="train_range", severity="ill", evidence=told),
        RunEnded(step=0, reason="failed"),
    ]
    (found,) = diagnose(make_log(ended))
    assert (found.name, found.values) == ("inputs_range", {"low": "0", "high": "255"})
    assert "from 0 to 255" in words(found).evidence


def test_a_plateau_is_a_note() -> None:
    flat = run(4000, every=20, metrics=lambda step: {"reconstruction_l1": 0.2 if step < 1000 else 0.205})
    (found,) = diagnose(make_log(flat))
    assert (found.name, found.severity) == ("plateau", "note")


def test_what_a_change_mends_is_named_no_more() -> None:
    sick = SICK["posterior_far"]
    resumed = RunStarted(step=400, resumed=True, options={**OPTIONS, "lambda_kl": 0.03})
    mended = [logged(step, 800) for step in range(410, 801, 10)]
    assert not names([*sick, resumed, *mended])


def test_changes_are_those_of_a_config_and_differ_from_it() -> None:
    for name, events in SICK.items():
        found = next(each for each in diagnose(make_log(events)) if each.name == name)
        assert found.patch.keys() <= OPTIONS.keys(), name
        (options,) = (each.options for each in events if isinstance(each, RunStarted))
        assert all(options[key] != value for key, value in found.patch.items()), name


def test_without_settings_there_is_a_finding_and_no_change() -> None:
    old = [RunStarted(step=0), *SICK["posterior_far"][1:]]
    found = next(each for each in diagnose(make_log(old)) if each.name == "posterior_far")
    assert found.severity == "ill"
    assert found.patch == {}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_finding_has_all_its_sentences(language: Any) -> None:
    for name, events in SICK.items():
        found = next(each for each in diagnose(make_log(events)) if each.name == name)
        said = words(found, language)
        assert all(vars(said).values())
        assert "{" not in "".join(vars(said).values())


def test_both_languages_have_the_same_texts() -> None:
    english, chinese = (json.loads((TEXTS / f"{each}.json").read_text("utf-8")) for each in ("en", "zh"))
    assert english.keys() == chinese.keys() == {rule.name for rule in RULES} | {"_follows"}

    def shape(texts: dict[str, Any]) -> dict[str, Any]:
        return {
            key: shape(value)
            if isinstance(value, dict)
            else {name for _, name, _, _ in Formatter().parse(value) if name}
            for key, value in texts.items()
        }

    assert shape(english) == shape(chinese)


def test_evidence_has_a_chart_of_few_points() -> None:
    for name, events in SICK.items():
        found = next(each for each in diagnose(make_log(events)) if each.name == name)
        assert found.chart, name
        assert all(1 <= len(line.steps) == len(line.values) <= 80 for line in found.chart.lines), name


def test_the_doctor_says_each_thing_once_and_again_when_it_gets_worse() -> None:
    doctor, told = Doctor(), []
    for event in run(900, lines=lambda step: {"kl_per_dim": [2.0 + 0.02 * step] * 4}):
        doctor.hear(event)
        for each in doctor.look():
            doctor.hear(each)
            told.append((each.name, each.severity))
    assert told == [("posterior_far", "watch"), ("posterior_far", "ill")]
    assert not doctor.look()


def test_a_run_that_goes_on_is_not_told_again_what_it_knows() -> None:
    events = run(400, lines=lambda step: {"kl_per_dim": [20.0] * 4})
    doctor = Doctor(events)
    events += doctor.look()
    assert not Doctor([*events, RunStarted(step=400, resumed=True, options={**OPTIONS, "steps": 9000})]).look()
    changed = RunStarted(step=400, resumed=True, options={**OPTIONS, "lambda_kl": 0.03})
    again = Doctor(
        [
            *events,
            changed,
            *(logged(step, 800, kl_per_dim=[20.0] * 4, weights={"kl": 0.03}) for step in range(410, 801, 10)),
        ]
    )
    assert [each.name for each in again.look()] == ["posterior_far"]


def test_what_follows_from_something_else_is_less_grave_and_changes_nothing() -> None:
    both = run(
        gradient_shares={"gan_encoded": 0.0, "gan_random": 0.0},
        scores={"real_encoded": 0.99, "fake_encoded": 0.01, "real_random": 0.99, "fake_random": 0.01},
    )
    first, second, *_ = diagnose(make_log(both))
    assert (first.name, first.severity) == ("no_adversarial_gradient", "ill")
    assert (second.name, second.severity, second.patch) == ("discriminator_wins", "watch", {})
    assert words(first).title in words(second).remedy


def test_a_noisy_contest_is_no_oscillation() -> None:
    noise = np.random.RandomState(0).normal(0, 0.08, 4000)
    long = run(20_000, every=20, lines=lambda step: {"scores": {"fake_random": 0.45 + noise[step // 20]}})
    assert not names(long)


def test_codes_may_run_free_while_kl_warms_up() -> None:
    early = run(lines=lambda step: {"kl_per_dim": [12.0] * 4, "weights": {"kl": 0.002}})
    assert not names(early)


def test_diversity_of_the_first_pictures_is_no_measure() -> None:
    fine_tuned = iter([0.264, 0.073, 0.057, 0.073, 0.071, 0.094, 0.115, 0.12])
    assert not names(run(metrics=lambda step: {"diversity_rgb": next(fine_tuned)}))


def test_fine_steps_on_a_good_model_are_not_ill() -> None:
    finer = run(options={"learning_rate": 4e-6, "init_from": "best"}, losses={"l1": 0.2})
    assert not names(finer)
    tail = run(learning_rates={"generator": 1e-7}, losses={"l1": 0.2})  # of a schedule that ends at 0
    assert not names(tail)


@pytest.mark.parametrize(
    "odd",
    [
        {"losses": {"l1": 10**400}},
        {"gradient_shares": {"gan_random": "much"}},
        {"gradient_shares": {"gan_random": None}},
        {"gradient_norms": {"generator": [1]}},
        {"epoch": None},
        {"kl_per_dim": ["x", None, 2.0, 1.0]},
        {"scores": {"fake_random": float("nan")}},
        {"learning_rates": {"generator": None}},
    ],
)
def test_odd_lines_are_no_reason_to_fail(odd: dict[str, Any]) -> None:
    log = make_log(run(lines=lambda step: odd))
    for rule in RULES:
        rule(log)
    assert not names(run(lines=lambda step: odd))


@pytest.mark.parametrize("value", ["x", None, [1], {}])
def test_odd_settings_are_no_reason_to_fail(value: object) -> None:
    for events in SICK.values():
        first, *others = events
        log = make_log([replace(first, options=dict.fromkeys(OPTIONS, value)), *others])
        for rule in RULES:
            rule(log)


def test_a_finding_of_somebody_else_does_not_keep_a_run_from_going_on() -> None:
    strange = [Finding(step=1, name="x", severity="grave"), Finding(step=1, name=["x"]), StepLogged(step=2, losses=[])]
    assert not Doctor([*strange, *run()]).look()


def test_a_rule_that_fails_silences_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(health, "RULES", (Rule("broken", 0, broken), *RULES))
    assert "inputs_range" in names(SICK["inputs_range"])


@pytest.mark.parametrize("name", [name for name in SICK if name != "critic_unbounded"])
def test_a_real_run_takes_the_change(name: str) -> None:
    found = next(each for each in diagnose(make_log(SICK[name])) if each.name == name)
    config = healthy("shapes")
    with_changes(config, found.patch)


def test_a_finding_is_an_event_of_the_run() -> None:
    found = diagnose(make_log(SICK["inputs_range"]))[0]
    event = finding(found)
    assert (event.name, event.severity, event.step) == ("inputs_range", "ill", 400)
    assert event.evidence and event.cause and event.remedy
