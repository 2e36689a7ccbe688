"""Diversity: the paper's pairs, plain colours without weights, LPIPS with them, and never a download."""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bicyclegan.errors import UserError
from bicyclegan.metrics import Outputs, evaluate
from bicyclegan.metrics.distance import RGB, backbone_path, best_distance, lpips_distance, rgb_distance

Plant = Callable[..., Outputs]


def test_rgb_is_in_units_of_0_to_1() -> None:
    black, white = -torch.ones(2, 3, 8, 8), torch.ones(2, 3, 8, 8)
    white[1, 0] = -1  # cyan
    assert rgb_distance(black, white).tolist() == pytest.approx([1.0, 2 / 3])


def test_equal_samples_have_no_diversity(plant: Plant) -> None:
    assert evaluate(plant(), ["diversity_rgb"]) == {"diversity_rgb": 0.0}


def test_consecutive_samples_are_compared(plant: Plant) -> None:
    """Levels 0, 1, 0, 1 differ by 1 from one to the next, though by 2/3 over all pairs."""
    levels = torch.tensor([0.0, 1.0, 0.0, 1.0]).view(1, 4, 1, 1, 1).expand(6, 4, 3, 32, 32)
    assert evaluate(plant(random=levels), ["diversity_rgb"])["diversity_rgb"] == pytest.approx(0.5)


def test_sketches_are_not_compared_with_each_other(plant: Plant) -> None:
    levels = torch.linspace(-1, 1, 6).view(6, 1, 1, 1, 1).expand(6, 4, 3, 32, 32)
    assert evaluate(plant(random=levels), ["diversity_rgb"])["diversity_rgb"] == 0.0


def test_without_weights_colour_is_measured_and_so_named(
    plant: Plant, no_weights: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    assert best_distance() is RGB
    assert [name for name in evaluate(plant()) if name.startswith("diversity")] == ["diversity_rgb"]


def test_with_weights_lpips_takes_the_place_of_colour(plant: Plant, lpips_weights: None) -> None:
    found = evaluate(plant(random=torch.rand(6, 5, 3, 32, 32) * 2 - 1))
    names = [name for name in found if name.startswith("diversity")]
    assert names == ["diversity_lpips_alex_v0.1"]
    assert 0.01 < found[names[0]] < 2
    assert evaluate(plant(), names)[names[0]] == pytest.approx(0, abs=1e-6)


def test_squeeze_is_second_choice(lpips_weights: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = backbone_path("squeeze")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    backbone_path("squeeze").parent.mkdir(parents=True)
    shutil.copyfile(source, backbone_path("squeeze"))
    assert best_distance().name == "lpips_squeeze_v0.1"


def test_lpips_gives_the_published_number(lpips_weights: None) -> None:
    """The example in the documentation of torchmetrics prints 0.1008."""
    torch.manual_seed(123)
    x, y = torch.rand(10, 3, 100, 100) * 2 - 1, torch.rand(10, 3, 100, 100) * 2 - 1
    assert lpips_distance("squeeze", x, y).mean().item() == pytest.approx(0.1008, abs=1e-4)


def test_lpips_loads_without_random_numbers_or_noise(
    lpips_weights: None, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    from bicyclegan.metrics.distance import _load_lpips

    _load_lpips.cache_clear()
    before = torch.get_rng_state()
    lpips_distance("alex", torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))
    assert torch.equal(torch.get_rng_state(), before)
    assert capsys.readouterr().out == ""
    assert not [each for each in recwarn if issubclass(each.category, UserWarning)]


@pytest.mark.parametrize("content", [b"", b"no weights", None])
def test_a_damaged_backbone_is_named(content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lpips")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = backbone_path("squeeze")
    path.parent.mkdir(parents=True)
    if content is None:
        torch.save({"features.0.weight": torch.zeros(1)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match="is not the backbone that LPIPS needs") as caught:
        lpips_distance("squeeze", torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
