"""In what configs differ, told without paths of one machine, and when numbers cannot be compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_example import config, step_line, validation, write_run

from bicyclegan.training.comparison.differences import Setting, incomparable, incomparable_metric, settings
from bicyclegan.training.comparison.runs import Run, read_runs


def runs(tmp_path: Path, *fields: dict[str, Any]) -> list[Run]:
    return read_runs([write_run(tmp_path / f"run{k}", **each) for k, each in enumerate(fields)])


def change(run: Path, **fields: Any) -> None:
    """Edit a config as text: values that this program would refuse too."""
    path = run / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **fields}), "utf-8")


def differing(found: list[Run]) -> dict[str, tuple[str, ...]]:
    return {field.name: field.values for field in settings(found) if field.differs}


def test_only_what_differs(tmp_path: Path) -> None:
    found = runs(tmp_path, {}, {"lambda_l1": 5.0, "steps": 20_000}, {"lambda_l1": 5.0, "share_discriminator": True})
    assert differing(found) == {
        "steps": ("40", "20,000", "40"),
        "lambda_l1": ("10.0", "5.0", "5.0"),
        "share_discriminator": ("no", "no", "yes"),
    }
    alike = {field.name: field.values[0] for field in settings(found) if not field.differs}
    assert alike["batch_size"] == "4"
    assert "out" not in alike, "every run has a folder of its own"


def test_whole_and_broken_numbers_that_are_equal_do_not_differ(tmp_path: Path) -> None:
    found = runs(tmp_path, {}, {})
    change(found[1].folder, loss={**found[1].config, "lambda_l1": 10})
    found = read_runs([run.folder for run in found])
    assert type(found[1].config["loss.lambda_l1"]) is int
    assert "lambda_l1" not in differing(found)


def test_paths_of_a_machine_are_cut_unless_they_are_the_difference(tmp_path: Path) -> None:
    root = "/" + "home/somebody"  # in parts: no file of the project names a path of one machine
    moved = differing(runs(tmp_path, {"data": f"{root}/shoes"}, {"data": "bags"}))
    assert moved == {"data": ("shoes", "bags")}
    other = differing(runs(tmp_path / "same", {"data": f"{root}/shoes"}, {"data": f"{root}/old/shoes"}))
    assert other == {"data": (f"{root}/shoes", f"{root}/old/shoes")}


def test_a_field_that_only_a_newer_program_has(tmp_path: Path) -> None:
    found = runs(tmp_path, {}, {})
    change(found[1].folder, brand_new="on")
    found = read_runs([run.folder for run in found])
    assert differing(found) == {"brand_new": ("–", "on")}


def test_a_default_in_place_of_a_missing_field_is_marked(tmp_path: Path) -> None:
    found = runs(tmp_path, {"free_bits": 1.0}, {})
    data = config().to_json()
    del data["loss"]["free_bits"]
    (found[1].folder / "config.json").write_text(json.dumps(data), "utf-8")
    [field] = [each for each in settings(read_runs([run.folder for run in found])) if each.differs]
    assert field == Setting("free_bits", ("1.0", "0.0"), (False, True), True)


def test_a_run_without_config_differs_in_nothing(tmp_path: Path) -> None:
    found = runs(tmp_path, {}, {"seed": 3}, {})
    (found[2].folder / "config.json").unlink()
    assert differing(read_runs([run.folder for run in found])) == {"seed": ("0", "3", "–")}


# Whether numbers can be compared


def test_the_same_pictures_can_be_compared(tmp_path: Path) -> None:
    assert incomparable(runs(tmp_path, {"seed": 1}, {"seed": 2, "lambda_l1": 1.0})) == ""


def test_other_data_cannot(tmp_path: Path) -> None:
    found = runs(tmp_path, {"data": "a/shoes"}, {"data": "b/bags"})
    assert incomparable(found) == "The runs were validated on different data (shoes, bags)"
    assert incomparable(runs(tmp_path / "moved", {"data": "a/shoes"}, {"data": "b/shoes"})) == ""


def test_other_sizes_cannot(tmp_path: Path) -> None:
    model = config().model
    larger = {"model": type(model)(**{**vars(model), "image_size": 64})}
    assert incomparable(runs(tmp_path, {}, larger)) == (
        "The runs were validated on pictures of different sizes (32 px, 64 px)"
    )


def test_other_pictures_cannot(tmp_path: Path) -> None:
    few = [step_line(10), type(validation(10))(step=10, metrics={"kl": 1.0}, images=8)]
    found = runs(tmp_path, {}, {"events": few})
    assert incomparable(found) == "The runs were validated on different pictures (64 of 4, 8 of ?)"


@pytest.mark.parametrize("value", [[1], {"a": 1}, None, 3])
def test_configs_may_hold_anything(tmp_path: Path, value: object) -> None:
    found = runs(tmp_path, {}, {})
    change(found[1].folder, data=value, source={"direction": value}, model={"image_size": value, "encoder": value})
    found = read_runs([run.folder for run in found])
    assert isinstance(incomparable(found), str)
    assert all(isinstance(text, str) for field in settings(found) for text in field.values)


def test_a_code_of_another_length_is_another_scale(tmp_path: Path) -> None:
    model = config().model
    found = runs(tmp_path, {}, {"model": type(model)(**{**vars(model), "latent_dim": 4})})
    assert incomparable_metric(found, "latent_l1") == "the codes have different numbers of dims"
    assert incomparable_metric(found, "diversity_rgb") == ""


def test_a_reconstruction_without_encoder_is_another_thing(tmp_path: Path) -> None:
    model = type(config().model)(**{**vars(config().model), "latent_dim": 0, "encoder": "none"})
    found = runs(tmp_path, {}, {"model": model, "objective": "pix2pix"})
    assert "no encoder to read it" in incomparable_metric(found, "reconstruction_l1")
    assert incomparable_metric(found, "latent_l1") == "", "a run without code is not one of another length"
