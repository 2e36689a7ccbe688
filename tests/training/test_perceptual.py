"""The extractors behind the perceptual loss: built as torchvision has them, loaded from a file, never unpickled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from bicyclegan.errors import UserError
from bicyclegan.metrics import distance
from bicyclegan.metrics.distance import weights_path
from bicyclegan.training import perceptual
from bicyclegan.training.config import LossConfig
from bicyclegan.training.perceptual import PERCEPTUAL, VGG_FILE, VGG_LAYERS, VggFeatures, load_perceptual

CPU = torch.device("cpu")
WEIGHTS = Path(__file__).resolve().parents[3] / "shared" / "weights" / "torch_home"
"""Backbones beside the checkout, where there are any."""


@pytest.fixture
def torch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights_path(VGG_FILE).parent.mkdir(parents=True)
    return tmp_path


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG-19 as deep as it is, and two channels wide."""
    from torchvision.models import vgg

    layers = ["M" if width == "M" else 2 for width in vgg.cfgs["E"]]
    monkeypatch.setitem(vgg.cfgs, "E", layers)


def plain_vgg() -> nn.Sequential:
    from torchvision.models import vgg

    return vgg.make_layers(vgg.cfgs["E"])


def test_what_can_be_chosen_can_be_loaded() -> None:
    from typing import get_args, get_type_hints

    assert set(get_args(get_type_hints(LossConfig)["perceptual_network"])) == set(PERCEPTUAL)


def test_features_are_those_behind_the_first_convolution_of_each_stage(narrow: None) -> None:
    """Of the network by torchvision itself, step by step, on pictures as ImageNet has them."""
    torch.manual_seed(0)
    whole, pictures = plain_vgg(), torch.rand(2, 3, 32, 32) * 2 - 1
    features = VggFeatures()
    features.layers.load_state_dict({key: whole.state_dict()[key] for key in features.layers.state_dict()})
    mean, std = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    x = ((pictures + 1) / 2 - mean) / std
    found = features(pictures)
    for given, (index, weight) in zip(found, VGG_LAYERS.items(), strict=True):
        assert isinstance(whole[index], nn.ReLU)
        torch.testing.assert_close(given, weight * whole[: index + 1](x.clone()))
    assert [each.shape[-1] for each in found] == [32, 16, 8, 4, 2]
    assert all(each.min() >= 0 for each in found), "before the activation"


def test_vgg_is_loaded_from_the_file_that_torchvision_would_use(torch_home: Path, narrow: None) -> None:
    torch.manual_seed(0)
    whole = plain_vgg()
    torch.save({f"features.{key}": value for key, value in whole.state_dict().items()}, weights_path(VGG_FILE))
    state = torch.get_rng_state()
    loss = load_perceptual("vgg19", CPU)
    assert torch.equal(torch.get_rng_state(), state), "a run with it must draw the same numbers"
    fake, real = (torch.rand(1, 3, 32, 32, requires_grad=True) for _ in range(2))
    assert loss(real, real).item() == 0
    loss(fake, real).backward()
    assert fake.grad.abs().max() > 0
    assert real.grad is None


def test_another_file_under_its_name_is_said_so(torch_home: Path, narrow: None) -> None:
    torch.save({"weight": torch.zeros(1)}, weights_path(VGG_FILE))
    with pytest.raises(UserError, match=r"is not torchvision's VGG-19 .* delete it .* --perceptual-network lpips"):
        load_perceptual("vgg19", CPU)


def test_weights_that_cannot_be_had_are_told_how_to_get(torch_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distance, "SOURCE", (torch_home / "nowhere").as_uri() + "/")
    with pytest.raises(UserError, match=rf"VGG-19, which .*could not be downloaded.*{VGG_FILE}.*same name") as error:
        load_perceptual("vgg19", CPU)
    assert error.value.code == "weights_download"
    assert not any(weights_path(VGG_FILE).parent.iterdir())


@pytest.mark.skipif(not WEIGHTS.is_dir(), reason="no backbones beside this checkout")
def test_lpips_is_that_of_the_metrics_and_teaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(WEIGHTS))
    loss = perceptual.load_perceptual("lpips", CPU)
    fake, real = torch.rand(2, 3, 64, 64, requires_grad=True), torch.rand(2, 3, 64, 64)
    value = loss(fake, real)
    torch.testing.assert_close(value.detach(), distance.lpips_distance("alex", fake.detach(), real).mean())
    value.backward()
    assert fake.grad.abs().max() > 0
