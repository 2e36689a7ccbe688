"""Official weights give the official outputs, to 1e-5.

Every folder below `OFFICIAL_GOLDEN` is a case: options, a file of weights, inputs and the outputs that the official
code gave for them. Without that variable `../shared/official` is used if it is there. A small set in
`tests/fixtures/official` is always tested too; of each recording it keeps the first sample.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bicyclegan.checkpoints import import_official
from bicyclegan.models import Discriminator, Encoder, Generator
from bicyclegan.models.inference import FastGenerator

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests" / "fixtures" / "official"
BESIDE = ROOT.parent / "shared" / "official"
GOLDEN = Path(os.environ.get("OFFICIAL_GOLDEN") or (BESIDE if BESIDE.is_dir() else FIXTURES))
ROOTS = list(dict.fromkeys((GOLDEN, FIXTURES)))
TOLERANCE = 1e-5
FAST_TOLERANCE = 1e-4
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def folders_in(root: Path, pattern: str = "*") -> list[Path]:
    return sorted(path for path in root.glob(pattern) if path.is_dir())


def cases() -> list[object]:
    """All folders of the golden directory and of the fixtures; runs of training are marked as not run."""
    folders = [folder for root in ROOTS for folder in folders_in(root)]
    not_run = pytest.mark.skip(reason="training runs: not part of this test yet")
    return [
        pytest.param(
            folder,
            id=folder.name if folder.parent == GOLDEN else f"fixture-{folder.name}",
            marks=[not_run] if folder.name.startswith("train_") else [],
        )
        for folder in folders
    ]


def load(folder: Path) -> tuple[nn.Module, dict[str, Tensor]]:
    """The imported network and what was recorded with it."""
    [weights] = folder.glob("*.pth")
    options = json.loads((folder / "options.json").read_text("utf-8"))
    return import_official(weights, options), load_file(folder / "io.safetensors")


@torch.inference_mode()
def run(network: nn.Module, recorded: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our outputs under the names of the recorded ones."""
    if isinstance(network, Generator):
        return {"output": network(recorded["input"], recorded["z"])}
    if isinstance(network, Encoder):
        return dict(zip(("mu", "logvar"), network(recorded["input"]), strict=True))
    assert isinstance(network, Discriminator)
    return {f"output_{scale}": scores for scale, scores in enumerate(network(recorded["input"]))}


def difference(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return (ours - theirs).abs().max().item()


@pytest.mark.parametrize("folder", cases())
def test_outputs_agree_with_the_official_code(folder: Path) -> None:
    network, recorded = load(folder)
    assert not network.training
    outputs = run(network, recorded)
    assert outputs.keys() == recorded.keys() - {"input", "z"}
    for name, output in outputs.items():
        assert recorded[name].std() > 1e-3, "a constant recording proves nothing"
        assert difference(output, recorded[name]) <= TOLERANCE, name
    if isinstance(network, Generator):
        with torch.inference_mode():
            fast = FastGenerator(network)
            for k in range(len(recorded["z"])):
                painted = fast(fast.prepare(recorded["input"][k : k + 1]), recorded["z"][k : k + 1])
                assert difference(painted, recorded["output"][k : k + 1]) <= FAST_TOLERANCE


@pytest.mark.parametrize("root", ROOTS, ids=["golden", "fixtures"][-len(ROOTS) :])
def test_there_are_networks_of_each_kind(root: Path) -> None:
    options = [json.loads(path.read_text("utf-8")) for path in root.glob("*/options.json")]
    assert {each["network"] for each in options} >= {"generator", "encoder", "discriminator"}, f"too little in {root}"


def test_the_kept_set_is_small_and_has_both_encoders_and_a_legacy_file() -> None:
    assert sum(path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file()) < 5_000_000
    options = [json.loads(path.read_text("utf-8")) for path in FIXTURES.glob("*/options.json")]
    assert {"resnet", "conv"} <= {each.get("netE", "").split("_")[0] for each in options}
    assert [folder for folder in FIXTURES.iterdir() if folder.name.endswith("_legacy")]


@pytest.mark.parametrize("folder", folders_in(FIXTURES, "*_legacy"), ids=lambda folder: folder.name)
def test_statistics_in_legacy_files_change_nothing(folder: Path, tmp_path: Path) -> None:
    network, recorded = load(folder)
    state = torch.load(next(folder.glob("*.pth")), weights_only=True)
    plain = {key: value for key, value in state.items() if key.rpartition(".")[2] not in STATISTICS}
    assert len(plain) < len(state), "this file has no statistics: it is not a legacy one"
    torch.save(plain, tmp_path / "plain.pth")
    options = json.loads((folder / "options.json").read_text("utf-8"))
    current = import_official(tmp_path / "plain.pth", options)
    assert torch.equal(run(network, recorded)["output"], run(current, recorded)["output"])


@pytest.mark.parametrize("folder", folders_in(GOLDEN, "*_legacy"), ids=lambda folder: folder.name)
def test_legacy_and_current_files_paint_the_same(folder: Path) -> None:
    current = folder.with_name(folder.name.removesuffix("_legacy"))
    if not current.is_dir():
        pytest.skip(f"{current.name} is not here to compare with")
    old, recorded = load(folder)
    new, _ = load(current)
    assert torch.equal(run(old, recorded)["output"], run(new, recorded)["output"])
