"""Features: layers and names follow from the file, nothing is unpickled or fetched unasked, messages help."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bicyclegan.errors import UserError
from bicyclegan.metrics import features
from bicyclegan.metrics.features import (
    CUT_FILE,
    FULL_FILE,
    URL,
    Extractor,
    Features,
    download_inception,
    find_inception,
    load_extractor,
    weights_folder,
)
from bicyclegan.metrics.realism import measure_sets

SHARED = Path(__file__).resolve().parents[3] / "shared" / "weights" / CUT_FILE
"""The cut network beside the checkout, where there is one."""

Plant = Callable[..., Path]


def colours(pictures: Tensor) -> tuple[Tensor, ...]:
    """A network that sees the mean colour."""
    return (pictures.double().mean(dim=(2, 3)),)


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """`plant(layers, **changed)`: weights with which every block gives 1, few bytes large, and where they lie.

    changed: tensors by name with "__" for the dot; None leaves one out.
    """
    pytest.importorskip("torch_fidelity")

    def make(layers: list[str], **changed: Tensor | None) -> Path:
        state = {
            key: value for key, value in features._inception(layers).state_dict().items() if "num_batches" not in key
        }
        ones = ("bn.weight", "bn.bias", "running_var")
        weights = {key: torch.full((1,), float(key.endswith(ones))).expand(v.shape) for key, v in state.items()}
        if "fc.bias" in weights:
            weights["fc.weight"] = torch.full((1,), 0.5 / 2048).expand(1008, 2048)
            weights["fc.bias"] = torch.full((1,), 9.0).expand(1008)
        weights |= {key.replace("__", "."): value for key, value in changed.items()}
        torch.save({key: value for key, value in weights.items() if value is not None}, tmp_path / "weights.pth")
        return tmp_path / "weights.pth"

    return make


WHOLE, CUT = ["2048", "logits_unbiased"], ["768"]


@pytest.fixture(scope="module")
def inception() -> Extractor:
    """The real network, cut off behind 768; skips where there is none."""
    pytest.importorskip("torch_fidelity")
    path = SHARED if SHARED.is_file() else weights_folder() / CUT_FILE
    if not path.is_file():
        pytest.skip("no Inception weights on this machine")
    return load_extractor(path)


def pictures(count: int, side: int = 32) -> Tensor:
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


# Extraction


def test_features_keep_the_order_of_pictures_in_batches() -> None:
    steps: list[tuple[int, int]] = []
    given = pictures(7)
    found = Extractor("colour", "768", colours).extract(given, batch=3, progress=lambda *step: steps.append(step))
    assert found.suffix == "768"
    assert found.logits is None
    assert found.pool.dtype == torch.float32
    assert torch.allclose(found.pool, given.float().mean(dim=(2, 3)))
    assert steps == [(3, 7), (6, 7), (7, 7)]


def test_logits_are_the_second_part() -> None:
    found = Extractor("two", "", lambda x: (*colours(x), -x.float().mean(dim=(1, 2, 3))[:, None])).extract(pictures(5))
    assert found.logits is not None
    assert torch.allclose(found.logits[:, 0], -found.pool.mean(dim=1))
    assert len(found) == 5


@pytest.mark.parametrize(
    "wrong",
    [torch.zeros(2, 3, 8, 8), pictures(2)[0], pictures(2)[:, :1], pictures(2)[:0]],
    ids=["float", "3d", "grey", "none"],
)
def test_only_colour_pictures_of_bytes_are_taken(wrong: Tensor) -> None:
    with pytest.raises(AssertionError):
        Extractor("colour", "", colours).extract(wrong)


@pytest.mark.parametrize(
    ("pool", "logits"),
    [
        (torch.full((2, 3), torch.nan), None),
        (torch.zeros(2, 3), torch.zeros(1, 4)),
        (torch.zeros(2, 3, 1), None),
        (torch.zeros(2, 3).double(), None),
    ],
    ids=["nan", "counts", "shape", "dtype"],
)
def test_features_that_cannot_be_are_refused(pool: Tensor, logits: Tensor | None) -> None:
    with pytest.raises(AssertionError):
        Features("", pool, logits)


# What a file holds


def test_whole_network_gives_both_layers(plant: Plant) -> None:
    extractor = load_extractor(plant(WHOLE))
    found = extractor.extract(pictures(1))
    assert extractor.suffix == found.suffix == ""
    assert "2048" in extractor.name
    assert found.pool.shape == (1, 2048)
    assert found.pool.numpy() == pytest.approx(1, abs=2e-3)  # the norm's epsilon
    assert found.logits is not None and found.logits.shape == (1, 1008)
    assert found.logits.numpy() == pytest.approx(0.5, abs=2e-3), "logits without their bias of 9"


def test_cut_network_gives_768_and_builds_no_more(plant: Plant) -> None:
    extractor = load_extractor(plant(CUT))
    found = extractor.extract(pictures(1))
    assert extractor.suffix == found.suffix == "768"
    assert "768" in extractor.name
    assert found.pool.shape == (1, 768)
    assert found.logits is None
    assert not [name for name, _ in extractor.network.named_modules() if name.startswith(("Mixed_7", "fc"))]


def test_half_precision_is_computed_in_float32(plant: Plant) -> None:
    weight = torch.rand(32, 3, 3, 3).half()
    extractor = load_extractor(plant(CUT, Conv2d_1a_3x3__conv__weight=weight))
    [loaded] = [value for key, value in extractor.network.named_parameters() if key == "Conv2d_1a_3x3.conv.weight"]
    assert loaded.dtype == torch.float32
    assert torch.equal(loaded, weight.float())
    assert not any(value.requires_grad for value in extractor.network.parameters())


def test_loading_costs_no_random_numbers(plant: Plant) -> None:
    path, before = plant(CUT), torch.get_rng_state()
    load_extractor(path)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("layers", "changed", "why"),
    [
        (CUT, {"Mixed_6e__branch_pool__conv__weight": None}, "it has no Mixed_6e.branch_pool.conv.weight"),
        (WHOLE, {"Mixed_7c__branch1x1__bn__bias": None}, "it has no Mixed_7c.branch1x1.bn.bias"),
        (CUT, {"Mixed_6a__branch3x3__bn__bias": torch.zeros(3)}, r"Mixed_6a.branch3x3.bn.bias is \(3,\), not \(384,\)"),
        (WHOLE, {"fc__weight": torch.zeros(1).expand(1000, 2048)}, r"fc.weight is \(1000, 2048\), not \(1008, 2048\)"),
        (CUT, {"Conv2d_1a_3x3__bn__bias": torch.full((32,), torch.nan)}, "Conv2d_1a_3x3.bn.bias holds NaN"),
    ],
    ids=["missing", "missing behind", "shape", "ImageNet's network", "NaN"],
)
def test_weights_of_another_network_are_named(plant: Plant, layers: list[str], changed: dict, why: str) -> None:
    path = plant(layers, **changed)
    with pytest.raises(UserError, match=why) as caught:
        load_extractor(path)
    assert_helpful(caught.value, path)


class _Planted:
    """Runs code when it is unpickled."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self) -> tuple:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("content", [b"", b"no weights", "cut short", [torch.zeros(1)], "pickle"], ids=str)
def test_a_damaged_file_is_named_and_never_unpickled(plant: Plant, tmp_path: Path, content: object) -> None:
    path = plant(CUT)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "cut short":
        path.write_bytes(path.read_bytes()[:-200])
    else:
        torch.save(_Planted(tmp_path / "ran") if content == "pickle" else content, path)
    with pytest.raises(UserError) as caught:
        load_extractor(path)
    assert_helpful(caught.value, path)
    assert not (tmp_path / "ran").exists()


def assert_helpful(error: UserError, path: Path) -> None:
    assert error.code == "inception_weights"
    assert str(path) in str(error)
    assert URL in str(error)
    assert "\n" not in str(error)


# Where the file is


@pytest.fixture
def folder(no_weights: None) -> Path:
    """torch.hub's folder, empty."""
    weights_folder().mkdir(parents=True)
    return weights_folder()


def test_the_whole_network_comes_first(folder: Path, tmp_path: Path) -> None:
    assert find_inception() is None
    (folder / CUT_FILE).touch()
    assert find_inception() == folder / CUT_FILE
    (folder / FULL_FILE).touch()
    assert find_inception() == folder / FULL_FILE
    (tmp_path / "mine.pth").touch()
    assert find_inception(str(tmp_path / "mine.pth")) == tmp_path / "mine.pth"


def test_a_path_that_is_none_is_not_replaced_by_another(folder: Path, tmp_path: Path) -> None:
    (folder / FULL_FILE).touch()
    with pytest.raises(UserError, match=r"no file .*mine\.pth") as caught:
        find_inception(tmp_path / "mine.pth")
    assert FULL_FILE in str(caught.value) and CUT_FILE in str(caught.value) and str(folder) in str(caught.value)


# Download: from a file in place of the network


def offer(monkeypatch: pytest.MonkeyPatch, folder: Path, content: bytes, digest: str) -> Path:
    """Make the address of the weights a file. digest: the start of its SHA-256, as its name says."""
    name = f"weights-{digest}.pth"
    (folder / name).write_bytes(content)
    monkeypatch.setattr(features, "URL", (folder / name).as_uri())
    monkeypatch.setattr(features, "FULL_FILE", name)
    return folder / name


def test_download_puts_the_file_where_it_is_looked_for(
    no_weights: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    source = offer(monkeypatch, tmp_path, b"weights", hashlib.sha256(b"weights").hexdigest()[:8])
    assert find_inception() is None
    path = download_inception(progress=False)
    assert path == find_inception()
    assert path.read_bytes() == b"weights"
    source.unlink()
    assert download_inception(progress=False) == path, "what is there is not fetched again"
    assert capfd.readouterr() == ("", "")


def test_a_download_with_another_hash_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, tmp_path, b"a page of your hotel's network", "6726825d")
    with pytest.raises(UserError, match="invalid hash value"):
        download_inception(progress=False)
    assert not list(folder.iterdir())


def test_without_network_it_says_how_to_do_it_by_hand(no_weights: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("Name or service not known\nmore")

    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    with pytest.raises(UserError, match="Name or service not known") as caught:
        download_inception(progress=False)
    text = str(caught.value)
    assert URL in text and str(weights_folder()) in text and "\n" not in text


def test_the_address_is_that_of_torch_fidelity() -> None:
    pytest.importorskip("torch_fidelity")
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    assert URL == URL_INCEPTION_V3


# The real network


def test_real_features_do_not_depend_on_the_batch(inception: Extractor) -> None:
    given = pictures(3, side=64)
    found, again = inception.extract(given), inception.extract(given)
    assert found.pool.shape == (3, 768)
    assert torch.equal(found.pool, again.pool)
    assert torch.allclose(found.pool, inception.extract(given, batch=1).pool, atol=1e-5)
    assert (found.pool[0] - found.pool[1]).abs().max() > 1e-3


@pytest.mark.slow
def test_real_network_gives_the_published_number(inception: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchmetrics documents 12.7202 for this example at layer 64. The file in half precision gives 0.2 % less."""
    monkeypatch.setattr(inception.network, "features_list", ["64"])
    torch.manual_seed(123)
    real = torch.randint(0, 200, (100, 3, 299, 299), dtype=torch.uint8)
    fake = torch.randint(100, 255, (100, 3, 299, 299), dtype=torch.uint8)
    [fid] = measure_sets([inception.extract(fake)], inception.extract(real), ["fid"])
    assert fid.values[0] == pytest.approx(12.7202, rel=4e-3)
