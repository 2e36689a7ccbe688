"""Who is ahead: best, newest and common values, marked by the metric's own direction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from run_example import step_line, validation, write_run

from bicyclegan.training.comparison.runs import Run, read_runs
from bicyclegan.training.comparison.standings import Reached, Standing, common_step, standing_json, standings
from bicyclegan.training.events import Event


def validated(*values: tuple[int, dict[str, Any]]) -> list[Event]:
    return [step_line(1), *(validation(step, **metrics) for step, metrics in values)]


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    first = validated(
        (10, {"reconstruction_l1": 0.3, "diversity_rgb": 0.20, "kl": 2.0}),
        (20, {"reconstruction_l1": 0.1, "diversity_rgb": 0.10, "kl": 3.0}),
        (30, {"reconstruction_l1": 0.2, "diversity_rgb": 0.15, "kl": 4.0}),
    )
    second = validated(
        (10, {"reconstruction_l1": 0.4, "diversity_rgb": 0.05, "kl": 2.0}),
        (20, {"reconstruction_l1": 0.15, "diversity_rgb": 0.25, "kl": 2.0}),
    )
    return read_runs([write_run(tmp_path / "a", first), write_run(tmp_path / "b", second)])


def find(found: list[Standing], name: str) -> Standing:
    return next(each for each in found if each.name == name)


def test_lower_is_better(runs: list[Run]) -> None:
    found = find(standings(runs), "reconstruction_l1")
    assert found.better == "lower"
    assert found.best == (Reached(0.1, 20, 80, 19.0), Reached(0.15, 20, 80, 19.0)), "seconds since the first line"
    assert [each.value for each in found.newest] == [0.2, 0.15]
    assert [(each.step, each.value) for each in found.common] == [(20, 0.1), (20, 0.15)]
    assert [found.leaders(part) for part in (found.best, found.newest, found.common)] == [[0], [1], [0]]


def test_higher_is_better(runs: list[Run]) -> None:
    found = find(standings(runs), "diversity_rgb")
    assert found.better == "higher"
    assert [each.value for each in found.best] == [0.2, 0.25]
    assert found.leaders(found.best) == [1]


def test_neither_is_better(runs: list[Run]) -> None:
    found = find(standings(runs), "kl")
    assert found.best == (None, None)
    assert [each.value for each in found.newest] == [4.0, 2.0]
    assert found.leaders(found.newest) == []


def test_metrics_with_a_direction_come_first(runs: list[Run]) -> None:
    directions = [bool(each.better) for each in standings(runs)]
    assert directions == sorted(directions, reverse=True)
    assert {"kl", "encoded_random_gap"} <= {each.name for each in standings(runs)}


def test_the_common_step_is_the_last_that_all_have(runs: list[Run], tmp_path: Path) -> None:
    assert common_step(runs) == 20
    never = write_run(tmp_path / "never", [step_line(5)])
    late = write_run(tmp_path / "late", validated((25, {})))
    folders = [run.folder for run in runs]
    assert common_step(read_runs([*folders, never])) == 20, "a run without validations is in nobody's way"
    assert common_step(read_runs([*folders, late])) is None


def test_a_run_without_the_metric_has_no_value_and_no_part(runs: list[Run], tmp_path: Path) -> None:
    without = write_run(tmp_path / "without", validated((20, {"reconstruction_l1": None})))
    found = find(standings(read_runs([*[run.folder for run in runs], without])), "reconstruction_l1")
    assert found.best[2] is None and found.newest[2] is None
    assert found.leaders(found.best) == [0]


def test_equal_values_have_no_leader_but_ties_do(tmp_path: Path) -> None:
    values = ({"latent_l1": 0.5}, {"latent_l1": 0.5}, {"latent_l1": 0.9})
    folders = [write_run(tmp_path / str(k), validated((10, each))) for k, each in enumerate(values)]
    found = find(standings(read_runs(folders)), "latent_l1")
    assert found.leaders(found.best) == [0, 1]
    found = find(standings(read_runs(folders[:2])), "latent_l1")
    assert found.leaders(found.best) == []


def test_what_cannot_be_compared_has_no_leader(runs: list[Run], tmp_path: Path) -> None:
    other = write_run(tmp_path / "other", validated((20, {"reconstruction_l1": 0.01})), data="bags")
    found = find(standings(read_runs([runs[0].folder, other])), "reconstruction_l1")
    assert found.why_not == "The runs were validated on different data (shoes, bags)"
    assert found.leaders(found.best) == []
    assert [each.value for each in found.best] == [0.1, 0.01], "the numbers are told all the same"


def test_json_names_the_leaders(runs: list[Run]) -> None:
    data = standing_json(find(standings(runs), "reconstruction_l1"))
    assert (data["best_leaders"], data["newest_leaders"], data["common_leaders"]) == ([0], [1], [0])
    assert data["best"][0] == {"value": 0.1, "step": 20, "images": 80, "seconds": 19.0}
