"""Curves over each other: which charts there are, whose lines are in them, and where their values stand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_example import LOSSES, step_line, story, validation, write_run

from bicyclegan.metrics.chart_parts import PALETTE
from bicyclegan.metrics.charts import Chart
from bicyclegan.training.comparison.charts import (
    MAX_POINTS,
    chart_groups,
    clocks,
    moving_window,
    time_unit,
    value_range,
)
from bicyclegan.training.comparison.colours import RUN_COLOURS, RUN_PALETTE
from bicyclegan.training.comparison.runs import MAX_RUNS, Run, read_runs
from bicyclegan.training.events import Event

pytest.importorskip("plotly")


def runs(tmp_path: Path, *events: list[Event], **fields: Any) -> list[Run]:
    return read_runs([write_run(tmp_path / f"run{k}", each, samples=(), **fields) for k, each in enumerate(events)])


def charts(found: list[Run]) -> dict[str, Chart]:
    return {chart.title: chart for group in chart_groups(found) for chart in group.charts}


def lines(chart: Chart) -> list[tuple[int, list[float | None]]]:
    """Run and values of the strong lines."""
    return [(trace.meta["run"], list(trace.y)) for trace in chart.figure.data if trace.hoverinfo != "skip"]


def test_every_kind_of_number_has_its_charts(tmp_path: Path) -> None:
    groups = {
        group.title: [chart.title for chart in group.charts] for group in chart_groups(runs(tmp_path, story(), story()))
    }
    assert groups == {
        "Validation": [
            "Diversity (colour)",
            "Reconstruction (L1)",
            "Latent L1",
            "Random codes against the photo's own, as D sees it",
        ],
        "Training losses": [
            "Pixel error, L1",
            "Latent L1",
            "KL as the loss counts it",
            "G against D, encoded path",
            "D's loss, encoded path",
        ],
        "Verdicts of the discriminators": ["D's verdict, encoded path"],
        "Code": ["KL of the code, sum over dims"],
        "Gradients": ["Gradient of G", "Gradient of D"],
        "Learning rates": ["Learning rate of G, D"],
    }


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("l2", "Pixel error, L2"),
        ("latent_l2", "Latent L2"),
        ("perceptual", "Perceptual loss"),
        ("mode_seeking", "Mode seeking"),
        ("gan_random", "G against D, random path"),
        ("d_random", "D's loss, random path"),
        ("penalty_random", "Gradient penalty, random path"),
        ("from_the_future", "from the future"),
    ],
)
def test_losses_are_taken_from_the_events(tmp_path: Path, name: str, title: str) -> None:
    found = charts(runs(tmp_path, [step_line(10, losses={name: 0.5})], [step_line(10, losses={"l1": 0.5})]))
    assert lines(found[title]) == [(0, [0.5])], "of the one run that has it"
    assert found[title].caption.endswith((".", "!"))


def test_each_run_keeps_its_colour_in_every_chart(tmp_path: Path) -> None:
    found = charts(runs(tmp_path, *[story() for _ in range(MAX_RUNS)]))
    for chart in found.values():
        assert {trace.meta["run"] for trace in chart.figure.data} == set(range(MAX_RUNS))
        assert all(trace.line.color == RUN_COLOURS[trace.meta["run"]][0] for trace in chart.figure.data)


def test_colours_are_different_and_have_a_dark_side() -> None:
    assert len(RUN_COLOURS) == len(RUN_PALETTE) == MAX_RUNS
    assert len({*RUN_PALETTE, *RUN_PALETTE.values()}) == 2 * MAX_RUNS
    assert not RUN_PALETTE.keys() & PALETTE.keys(), "a run must not take the dark colour of a grid"


def test_chance_is_marked_on_latent_l1_alone(tmp_path: Path) -> None:
    losses = {**LOSSES, "latent_l2": 1.0}
    events = [step_line(10, losses=losses), validation(10, kl=2.0)]
    groups = chart_groups(runs(tmp_path, events, events))
    marked = [(group.title, chart.title) for group in groups for chart in group.charts if chart.figure.layout.shapes]
    assert marked == [("Validation", "Latent L1"), ("Training losses", "Latent L1")]
    [chart] = [chart for group in groups[:1] for chart in group.charts if chart.title == "Latent L1"]
    level = chart.figure.layout.shapes[0].y0
    assert level == pytest.approx(math.sqrt(2 / math.pi))
    low, high = chart.figure.layout.yaxis.range
    assert low < level < high, "the line is inside the chart"
    assert chart.figure.layout.annotations[0].text == "chance 0.798"


def test_real_and_painted_are_told_apart(tmp_path: Path) -> None:
    chart = charts(runs(tmp_path, story(), story()))["D's verdict, encoded path"]
    styles = [(trace.name, trace.line.dash, trace.y[0]) for trace in chart.figure.data]
    assert styles == [
        ("run0, real", "solid", 0.8),
        ("run1, real", "solid", 0.8),
        ("run0, painted", "4px,3px", 0.3),
        ("run1, painted", "4px,3px", 0.3),
    ]


def test_networks_that_learn_alike_share_a_chart(tmp_path: Path) -> None:
    fast = {"generator": 2e-4, "encoder": 2e-5, "discriminator": 2e-4}
    alone = [step_line(10, learning_rates={"generator": 1e-4, "discriminator": 1e-4})]
    found = charts(runs(tmp_path, [step_line(10, learning_rates=fast)], alone))
    assert {title for title in found if title.startswith("Learning")} == {"Learning rate of G, D", "Learning rate of E"}
    assert lines(found["Learning rate of G, D"]) == [(0, [2e-4]), (1, [1e-4])]


def test_numbers_that_are_not_finite_interrupt_a_line(tmp_path: Path) -> None:
    events = [step_line(k, losses={"l1": value}) for k, value in enumerate((0.5, None, 0.3), start=1)]
    found = charts(runs(tmp_path, events, story()))
    assert lines(found["Pixel error, L1"])[0] == (0, [0.5, None, 0.3])


def test_a_long_run_is_drawn_with_few_points_and_smoothed(tmp_path: Path) -> None:
    noise = np.random.RandomState(0).rand(900)
    long = [step_line(k, losses={"l1": 1.0 + value}) for k, value in enumerate(noise, start=1)]
    chart = charts(runs(tmp_path, long, story()))["Pixel error, L1"]
    pale, strong = [trace for trace in chart.figure.data if trace.meta["run"] == 0]
    assert len(pale.y) == len(strong.y) == MAX_POINTS
    assert np.std(strong.y) < np.std(pale.y) / 2
    assert pale.opacity < 0.5 and pale.hoverinfo == "skip"


def test_many_validations_are_drawn_from_first_to_last(tmp_path: Path) -> None:
    found = runs(tmp_path, [validation(k, latent_l1=k / 1000) for k in range(1, 1001)], story())
    [chart] = [chart for chart in chart_groups(found)[0].charts if chart.title == "Latent L1"]
    [(_, values), _] = lines(chart)
    assert len(values) == MAX_POINTS
    assert (values[0], values[-1]) == (0.001, 1.0)


def test_clocks_say_where_values_stand(tmp_path: Path) -> None:
    found = runs(tmp_path, story(steps=40), story(steps=20))
    first, second = clocks(found, 2.0)
    assert first["training"] == {"updates": [10, 20, 30, 40], "images": [40, 80, 120, 160], "time": [5, 10, 15, 20]}
    assert first["validation"] == {"updates": [20, 40], "images": [80, 160], "time": [10, 20]}
    assert second["training"]["updates"] == [10, 20]


def test_clocks_know_what_they_do_not_know(tmp_path: Path) -> None:
    found = runs(tmp_path, [step_line(10, time=0.0)], story())
    (found[0].folder / "config.json").unlink()
    first, _ = clocks(read_runs([run.folder for run in found]), 1.0)
    assert first["training"] == {"updates": [10], "images": [None], "time": [None]}


@pytest.mark.parametrize(
    ("seconds", "unit"), [(0, "seconds"), (119, "seconds"), (121, "minutes"), (7201, "hours"), (180_000, "days")]
)
def test_time_is_told_in_a_fitting_unit(tmp_path: Path, seconds: int, unit: str) -> None:
    found = runs(tmp_path, [*story(end=""), step_line(50, seconds=seconds)], story(steps=1, every=1))
    assert time_unit(found)[1] == unit


def test_single_peaks_are_cut_off() -> None:
    calm = [1.0 + k / 1000 for k in range(200)]
    low, high = value_range([[*calm, 900.0]])
    assert high < 2 and low > 0.9
    assert value_range([[1.0, 900.0]])[1] > 900, "of few values none is a peak"
    assert value_range([[None], []]) is None
    assert value_range([[3.0, 3.0]])[0] < 3.0 < value_range([[3.0, 3.0]])[1]


def test_few_values_are_not_smoothed() -> None:
    assert moving_window(20) == 1
    assert moving_window(400) == 9


def test_gradients_have_a_logarithmic_axis_with_round_ticks(tmp_path: Path) -> None:
    events = [step_line(k, gradient_norms={"generator": value}) for k, value in enumerate((0.0, 4.0, 30.0), start=1)]
    axis = charts(runs(tmp_path, events, story()))["Gradient of G"].figure.layout.yaxis
    assert axis.type == "log"
    assert axis.tickvals == (1, 2, 5, 10, 20, 50, 100, 200, 500)


def test_names_are_escaped_for_plotly(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, samples=()) for name in ("<b>a", "b")]
    chart = charts(read_runs(folders))["Pixel error, L1"]
    assert chart.figure.data[0].name == "&lt;b&gt;a"


def test_runs_without_numbers_have_no_charts(tmp_path: Path) -> None:
    assert chart_groups(runs(tmp_path, story(steps=0), story(steps=0))) == []
