"""The backbone of LPIPS is fetched when that is asked for, whole and with the right hash, or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from bicyclegan.errors import UserError
from bicyclegan.metrics import distance
from bicyclegan.metrics.distance import backbone_path, best_distance, download_backbone, missing_packages

CONTENT = b"weights"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_weights: None) -> Path:
    """A folder that stands for the server, with the backbone in it."""
    name = f"alexnet-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / name).write_bytes(CONTENT)
    monkeypatch.setattr(distance, "SOURCE", folder.as_uri() + "/")
    monkeypatch.setitem(distance.BACKBONES, "alex", name)
    return folder / name


def test_a_backbone_is_fetched_to_where_it_is_looked_for(server: Path) -> None:
    path = download_backbone(progress=False)
    assert path == backbone_path("alex")
    assert path.read_bytes() == CONTENT


def test_what_is_there_is_not_fetched(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = download_backbone(progress=False)
    server.unlink()
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    assert download_backbone(progress=False) == path


@pytest.mark.parametrize("content", [b"another file", b"", None])
def test_a_download_that_fails_leaves_nothing(server: Path, content: bytes | None) -> None:
    """Cut short, replaced, or not there."""
    server.unlink()
    if content is not None:
        server.write_bytes(content)
    with pytest.raises(UserError, match="could not be downloaded") as caught:
        download_backbone(progress=False)
    folder = backbone_path("alex").parent
    assert caught.value.code == "weights_download"
    assert f"download {server.as_uri()} and put it, under the same name, into {folder}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [*folder.iterdir()] == []


def test_addresses_are_torchvisions_own() -> None:
    models = pytest.importorskip("torchvision.models")
    urls = {models.AlexNet_Weights.IMAGENET1K_V1.url, models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url}
    assert {distance.SOURCE + name for name in distance.BACKBONES.values()} == urls


def test_packages_that_are_not_installed(monkeypatch: pytest.MonkeyPatch, no_weights: None) -> None:
    for net in distance.BACKBONES:
        backbone_path(net).parent.mkdir(parents=True, exist_ok=True)
        backbone_path(net).touch()
    assert missing_packages() == []
    assert best_distance().name == "lpips_alex_v0.1"
    monkeypatch.setattr(distance, "find_spec", lambda name: None if name == "lpips" else object())
    assert missing_packages() == ["lpips"]
    assert best_distance().name == "rgb"
