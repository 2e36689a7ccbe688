"""Which metrics are measured by default, which when asked for, and what is said about the others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bicyclegan.errors import UserError
from bicyclegan.metrics import METRICS, Outputs, evaluate, rankable, register

ROOT = Path(__file__).resolve().parents[2]
Plant = Callable[..., Outputs]


def test_all_that_apply_are_measured_as_plain_numbers(plant: Plant, no_weights: None) -> None:
    found = evaluate(plant())
    assert set(found) == {name for name in METRICS if not name.startswith("diversity_lpips")}
    for name, value in json.loads(json.dumps(found, allow_nan=False)).items():
        assert isinstance(value, float) or (len(value) == 4 and all(isinstance(each, float) for each in value)), name


def test_without_an_encoder_nothing_is_said_about_codes(plant: Plant, no_weights: None) -> None:
    found = evaluate(plant(mu=None, logvar=None, recovered=None))
    assert set(found) == {"reconstruction_l1", "diversity_rgb", "high_frequency", "border_energy", "border_excess"}


def test_without_a_code_there_is_no_diversity(plant: Plant) -> None:
    found = evaluate(plant(random=plant().random[:, :1]))
    assert not [name for name in found if name.startswith("diversity")]


def test_asked_for_by_name(plant: Plant) -> None:
    assert list(evaluate(plant(), ["kl", "diversity_rgb"])) == ["kl", "diversity_rgb"]
    with pytest.raises(UserError, match=r"There is no metric 'klee'; use one of .*\bkl\b"):
        evaluate(plant(), ["klee"])
    with pytest.raises(UserError, match="latent_l1 cannot be measured here: it needs an encoder"):
        evaluate(plant(mu=None), ["latent_l1"])


def test_a_metric_whose_weights_are_missing_says_where_they_go(plant: Plant, no_weights: None) -> None:
    with pytest.raises(UserError, match=r"alexnet-owt-7be5be79\.pth in \$TORCH_HOME/hub/checkpoints"):
        evaluate(plant(), ["diversity_lpips_alex_v0.1"])


def test_only_metrics_with_a_direction_rank() -> None:
    assert rankable("reconstruction_l1").better == "lower"
    assert rankable("diversity_rgb").better == "higher"
    for name in ("mu_mean", "nothing"):
        with pytest.raises(UserError, match=f"cannot be ranked by '{name}'; use one of .*latent_l1"):
            rankable(name)


def test_others_can_add_metrics(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(METRICS):
        monkeypatch.delitem(METRICS, name)
    register("first", group="pair", applies=lambda outputs: outputs.mu is not None)(lambda outputs: 1.0)
    register("second", group="pair")(lambda outputs: 2.0)
    register("pairs")(lambda outputs: float(len(outputs.a)))
    assert evaluate(plant()) == {"first": 1.0, "pairs": 12.0}
    assert evaluate(plant(mu=None)) == {"second": 2.0, "pairs": 12.0}
    assert evaluate(plant(), ["second", "first"]) == {"second": 2.0, "first": 1.0}
    with pytest.raises(AssertionError, match="two metrics"):
        register("pairs")
    METRICS.clear()


def test_measuring_leaves_no_trace(plant: Plant, request: pytest.FixtureRequest) -> None:
    """A run that is resumed must not depend on when it was validated."""
    before = torch.get_rng_state()
    evaluate(plant())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_package_imports_without_optional_libraries() -> None:
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['lpips', 'torchvision', 'gradio', 'umap', 'sklearn']))\n"
        "import bicyclegan.metrics, bicyclegan.prepare, bicyclegan.training.sheets\n"
        "print(len(bicyclegan.metrics.METRICS))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) == len(METRICS)
