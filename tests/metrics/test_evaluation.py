"""Checkpoints are measured on the right pictures, side by side, and never reach out unless they are asked to."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from picture_sets import beside, drawing, photo, save, save_photos
from torch import Tensor

from bicyclegan.checkpoints import content_hash, load_checkpoint, save_checkpoint
from bicyclegan.errors import UserError
from bicyclegan.metrics import distance, evaluation
from bicyclegan.metrics.evaluation import GROUPS, Request, evaluate_checkpoints
from bicyclegan.metrics.features import CUT_FILE, FULL_FILE, NEEDS_FULL, Extractor
from bicyclegan.metrics.measurement import EvaluationResult, Measurement, Skipped
from bicyclegan.metrics.subject import Protocol

SMALL = Protocol(inputs=3, samples=3, draws=2)
OWN = ("lpips_diversity", "reconstruction", "latent", "faithfulness")


@pytest.fixture(autouse=True)
def alone(no_weights: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without weights, on which every download fails the test, with a temporary folder of its own."""
    for module in (evaluation, distance):
        monkeypatch.setattr(module, "download_backbone", forbidden)
    monkeypatch.setattr(evaluation, "download_inception", forbidden)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def forbidden(*args: object, **options: object) -> None:
    raise AssertionError("a download was tried")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six validation and sixteen training photos."""
    folder = tmp_path_factory.mktemp("data") / "shoes"
    save_photos(folder / "val", 6)
    save_photos(folder / "train", 16, first=100)
    return folder


@pytest.fixture(scope="module")
def without_encoder(tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Callable[..., Path]) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("model") / "noise", encoder="none", image_size=64, latent_dim=4)


@pytest.fixture
def eye(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """An extractor that sees mean colours stands for the whole Inception network. Sizes of the batches it saw."""
    seen: list[int] = []

    def look(pictures: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(len(pictures))
        colour = pictures.float().mean(dim=(2, 3)) / 255
        return colour, colour

    monkeypatch.setattr(evaluation, "find_inception", lambda path: path or Path(FULL_FILE))
    monkeypatch.setattr(evaluation, "download_inception", lambda: Path(FULL_FILE))  # it is there
    monkeypatch.setattr(evaluation, "load_extractor", lambda path, device: Extractor("mean colour", "", look))
    return seen


def evaluate(checkpoint: Path, data: Path, *groups: str, compare: tuple[Path, ...] = (), **options: Any):
    progress = options.pop("progress", lambda what, share: None)
    request = Request(data, groups, **{"protocol": SMALL, "device": "cpu", **options})
    return evaluate_checkpoints(checkpoint, request, compare, progress)


def values(result: EvaluationResult) -> dict[str, float]:
    return {each.name: each.value for each in result.checkpoint.measurements}


# Which pictures


def test_all_that_can_be_measured_is(tiny_checkpoint: Path, data: Path) -> None:
    result = evaluate(tiny_checkpoint, data).result
    facts = result.checkpoint
    assert [*dict.fromkeys(each.group for each in facts.measurements)] == [*OWN]
    assert [*values(result)] == [
        "rgb_diversity",
        "reconstruction_l1",
        "reconstruction_rgb",
        "latent_l1",
        "kl",
        "active_dims",
        "mu_mean",
        "mu_variance",
        "posterior_wasserstein",
        "edge_f1",
    ]
    assert [each.group for each in facts.skipped] == ["fid", "kid", "precision_recall", "inception_score"]
    assert all(FULL_FILE in each.why and CUT_FILE in each.why for each in facts.skipped)
    assert (result.data, result.validation_images, result.training_images, result.seed) == ("shoes", 6, 0, 0)
    assert (facts.name, facts.image_size, facts.latent_dim) == ("tiny", 32, 8)
    model = load_checkpoint(tiny_checkpoint)
    networks = (model.generator, model.encoder)
    assert facts.parameters == sum(weight.numel() for network in networks for weight in network.parameters())
    assert {each.checkpoint_hash for each in facts.measurements} == {content_hash(tiny_checkpoint)} == {facts.hash}
    assert all(each.protocol and each.count for each in facts.measurements)


def test_the_validation_part_is_measured_and_the_training_part_is_the_floor(
    tiny_checkpoint: Path, data: Path, eye: list[int]
) -> None:
    evaluated = evaluate(tiny_checkpoint, data)
    result, pictures = evaluated.result, evaluated.subject.data
    assert pictures.names == tuple(f"{k}.png" for k in range(6))
    first = photo(0).resize((32, 32))
    assert np.abs(pictures.photos[0].astype(float) - np.asarray(first)).mean() < 10
    assert (result.validation_images, result.training_images) == (6, 12), "two draws of six"
    assert result.checkpoint.skipped == []
    assert {"fid", "kid", "pr_precision", "pr_recall", "inception_score"} < set(values(result))
    assert "train_photos" in result.checkpoint.find("fid").references
    assert max(eye) == 6, "as many on both sides"


def test_pictures_are_spread_over_all_of_them(tiny_checkpoint: Path, tmp_path: Path, eye: list[int]) -> None:
    """Files are often sorted by class: neither side may be of the first class alone."""
    save_photos(tmp_path / "val", 6)
    for k in range(24):
        save(photo(50 if k < 12 else 60), tmp_path / "train" / f"{k:02}.png")  # two classes
    few = evaluate(tiny_checkpoint, tmp_path, "fid", limit=4).subject.data
    assert few.names == ("0.png", "2.png", "3.png", "5.png")
    for pictures in (few, evaluate(tiny_checkpoint, tmp_path, "fid").subject.data):
        assert len(pictures.train) == 2 * len(pictures.photos)
        assert 2 <= sum((each == pictures.train[0]).all() for each in pictures.train) <= len(pictures.train) - 2


def test_a_flat_folder_is_measured_whole_and_has_no_floor(tiny_checkpoint: Path, data: Path, eye: list[int]) -> None:
    flat = evaluate(tiny_checkpoint, data / "val")
    assert flat.result.data == "val"
    assert (flat.result.validation_images, flat.result.training_images) == (6, 0)
    assert flat.result.checkpoint.find("fid").references == {}
    whole = values(evaluate(tiny_checkpoint, data).result)
    assert values(flat.result) == whole, "the same pictures, the same numbers"


def test_what_is_not_needed_is_not_read(tiny_checkpoint: Path, data: Path, eye: list[int]) -> None:
    for groups in (("latent",), ("inception_score",)):
        assert evaluate(tiny_checkpoint, data, *groups).result.training_images == 0
    assert evaluate(tiny_checkpoint, data, "kid", "latent").result.training_images == 12


def test_pairs_side_by_side(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """A folder of pairs either way round, and the photos alone, whose edges are those drawings."""
    for seed in range(4):
        side, edges = photo(seed, 32, 32), drawing(seed, 32)
        save(beside(edges, side), tmp_path / "AtoB" / f"{seed}.png")
        save(beside(side, edges), tmp_path / "BtoA" / f"{seed}.png")
        save(side, tmp_path / "photos" / f"{seed}.png")
    pairs = [evaluate(tiny_checkpoint, tmp_path / way, direction=way).result for way in ("AtoB", "BtoA")]
    assert values(pairs[0]) == values(pairs[1]) == values(evaluate(tiny_checkpoint, tmp_path / "photos").result)
    with pytest.raises(UserError, match="in colour"):
        evaluate(tiny_checkpoint, tmp_path / "AtoB", direction="BtoA")


def test_nothing_is_left_in_the_temporary_folder(tiny_checkpoint: Path, data: Path, alone: Path) -> None:
    evaluate(tiny_checkpoint, data, "reconstruction")
    assert [*alone.iterdir()] == []

    def stop(what: str, share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(tiny_checkpoint, data, progress=stop)
    assert [*alone.iterdir()] == []


# Several checkpoints


def test_models_of_other_sizes_and_without_encoder_stand_beside(
    tiny_checkpoint: Path, without_encoder: Path, data: Path
) -> None:
    result = evaluate(tiny_checkpoint, data, "latent", "reconstruction", compare=(without_encoder,)).result
    [other] = result.compared
    assert (result.checkpoint.name, other.name) == ("tiny", "noise")
    assert (other.image_size, other.latent_dim) == (64, 4)
    assert other.skipped == [Skipped("latent", "needs an encoder, which this model does not have")]
    assert result.checkpoint.skipped == []
    assert {each.checkpoint_hash for each in other.measurements} == {content_hash(without_encoder)}
    assert "at 64 px" in other.find("reconstruction_rgb").protocol
    assert "at 32 px" in result.checkpoint.find("reconstruction_rgb").protocol


def test_models_are_measured_on_the_same_pictures_and_codes(
    tiny_checkpoint: Path, without_encoder: Path, data: Path, eye: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    photos = evaluation._photos

    def count(config, *rest):
        read.append(config.model.image_size)
        return photos(config, *rest)

    monkeypatch.setattr(evaluation, "_photos", count)
    result = evaluate(tiny_checkpoint, data, compare=(tiny_checkpoint, without_encoder)).result
    assert result.compared[0] == result.checkpoint
    assert read == [32, 64], "pictures of one size are read once"


def test_a_model_without_code(make_checkpoint: Callable[..., Path], data: Path, tmp_path: Path, eye: list[int]) -> None:
    folder = make_checkpoint(tmp_path / "pix2pix", latent_dim=0, encoder="none")
    result = evaluate(folder, data).result
    diversity = result.checkpoint.find("rgb_diversity")
    assert (diversity.value, diversity.count) == (0, 3)
    assert "3 sketches x 2 samples" in diversity.protocol
    assert [each.group for each in result.checkpoint.skipped] == ["latent"]
    assert result.checkpoint.find("fid").standard_error is None


# Asked for by name


def test_only_what_was_asked_for_is_measured_and_once(tiny_checkpoint: Path, data: Path) -> None:
    facts = evaluate(tiny_checkpoint, data, "faithfulness", "latent", "latent").result.checkpoint
    assert facts.skipped == []
    names = [each.name for each in facts.measurements]
    assert names[0] == "edge_f1"
    assert len(names) == len(set(names)) == 7


def test_what_cannot_be_measured_ends_it(
    without_encoder: Path, tiny_checkpoint: Path, data: Path, tmp_path: Path, eye: list[int]
) -> None:
    with pytest.raises(UserError, match=r"^latent cannot be measured here: it needs an encoder, which") as caught:
        evaluate(without_encoder, data, "reconstruction", "latent")
    assert caught.value.code == "evaluate_needs"
    three = save_photos(tmp_path / "three", 3)
    with pytest.raises(UserError, match=r"^kid cannot be measured here: it needs at least 4 validation photos"):
        evaluate(tiny_checkpoint, three, "kid")
    skipped = evaluate(tiny_checkpoint, three).result.checkpoint.skipped
    assert skipped[0] == Skipped("fid", "needs at least 4 validation photos")


def test_label_maps_have_no_edges(tiny_checkpoint: Path, data: Path, tmp_path: Path) -> None:
    model = load_checkpoint(tiny_checkpoint)
    config = replace(model.config, edge_style=None, name="labels")
    folder = save_checkpoint(tmp_path / "labels", config, model.generator, model.encoder)
    with pytest.raises(UserError, match="labels draws from label maps, not edges"):
        evaluate(folder, data)
    for seed in range(2):
        save(beside(drawing(seed), photo(seed)), tmp_path / "pairs" / f"{seed}.png")
    with pytest.raises(UserError, match="faithfulness cannot be measured here: it needs sketches made of edges"):
        evaluate(folder, tmp_path / "pairs", "faithfulness")
    assert "faithfulness" in {each.group for each in evaluate(folder, tmp_path / "pairs").result.checkpoint.skipped}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": ("latent", "lpips")}, "There is no group of metrics 'lpips'; use some of lpips_diversity, "),
        ({"limit": 0}, "limit is 0; use a whole number from 1 to 50000"),
        ({"limit": 50_001}, "limit is 50001"),
        ({"protocol": Protocol(seed=-1)}, "seed is -1; use a whole number from 0 to 4294967295"),
        ({"protocol": Protocol(inputs=1)}, "inputs is 1; use a whole number from 2 to 1000"),
        ({"protocol": Protocol(samples=1)}, "samples is 1; use a whole number from 2 to 1000"),
        ({"protocol": Protocol(draws=0)}, "draws is 0; use a whole number from 1 to 1000"),
    ],
)
def test_requests_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Request(Path("data"), **options)


def test_every_group_can_be_asked_for() -> None:
    assert Request(Path("data"), GROUPS).groups == GROUPS == (*OWN, "fid", "kid", "precision_recall", "inception_score")


@pytest.mark.parametrize("broken", ["data", "compare"])
def test_mistakes_come_before_downloads_and_measurements(tiny_checkpoint: Path, data: Path, broken: str) -> None:
    """`forbidden` stands in for both."""
    with pytest.raises(UserError, match="There is no"):
        evaluate(
            tiny_checkpoint,
            data / "nothing" if broken == "data" else data,
            "fid",
            "lpips_diversity",
            compare=(data / "nothing",) if broken == "compare" else (),
        )


# Downloads


def test_what_is_asked_for_is_fetched(
    tiny_checkpoint: Path, data: Path, eye: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    here = replace(distance.RGB, name="lpips_alex_v0.1")
    monkeypatch.setattr(evaluation, "find_inception", lambda path: None)
    monkeypatch.setattr(evaluation, "download_inception", lambda: fetched.append("inception") or Path(FULL_FILE))
    monkeypatch.setattr(evaluation, "download_backbone", lambda: fetched.append("backbone"))
    monkeypatch.setattr(evaluation, "best_distance", lambda: here if "backbone" in fetched else distance.RGB)
    assert [each.group for each in evaluate(tiny_checkpoint, data).result.checkpoint.skipped] == [*GROUPS[4:]]
    assert fetched == [], "nobody asked"
    evaluate(tiny_checkpoint, data, "latent")
    assert fetched == []
    found = evaluate(tiny_checkpoint, data, "fid", "lpips_diversity").result
    assert sorted(fetched) == ["backbone", "inception"]
    assert {"fid", "lpips_diversity_alex_v0.1"} == set(values(found))


def test_a_network_that_is_cut_off_serves_for_all_but_the_inception_score(
    tiny_checkpoint: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[Path] = []
    cut = tmp_path / CUT_FILE
    cut.touch()

    def load(path: Path, device: object) -> Extractor:
        colour: Callable[[Tensor], Tensor] = lambda pictures: pictures.float().mean(dim=(2, 3)) / 255  # noqa: E731
        whole = path.name == FULL_FILE
        return Extractor("colour", "" if whole else "768", lambda x: (colour(x), colour(x)) if whole else (colour(x),))

    monkeypatch.setattr(evaluation, "load_extractor", load)
    monkeypatch.setattr(evaluation, "download_inception", lambda: fetched.append(cut) or Path(FULL_FILE))
    result = evaluate(tiny_checkpoint, data, inception=cut).result
    assert "fid768" in values(result)
    assert result.checkpoint.skipped == [Skipped("inception_score", f"needs {NEEDS_FULL}")]
    with pytest.raises(UserError, match="inception_score cannot be measured here: it needs weights-inception"):
        evaluate(tiny_checkpoint, data, "inception_score", inception=cut)
    assert fetched == [], "a file that was given is used"
    monkeypatch.setattr(evaluation, "find_inception", lambda path: cut)
    assert "fid768" in values(evaluate(tiny_checkpoint, data, "fid").result)
    assert fetched == [], "it serves for what was asked"
    assert "inception_score" in values(evaluate(tiny_checkpoint, data, "inception_score").result)
    assert len(fetched) == 1


def test_a_weight_file_that_is_not_there(tiny_checkpoint: Path, data: Path) -> None:
    with pytest.raises(UserError, match=r"There is no file nothing\.pth"):
        evaluate(tiny_checkpoint, data, "fid", inception=Path("nothing.pth"))


def test_packages_that_are_missing_are_named(
    tiny_checkpoint: Path, data: Path, eye: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = ("torch_fidelity", "lpips")
    for module in (evaluation, distance):
        monkeypatch.setattr(module, "find_spec", lambda name: None if name in absent else find_spec(name))
    with pytest.raises(UserError, match="fid cannot be measured here: it needs the Python package torch-fidelity"):
        evaluate(tiny_checkpoint, data, "fid")
    with pytest.raises(UserError, match="lpips_diversity cannot be measured here: it needs the Python package lpips"):
        evaluate(tiny_checkpoint, data, "lpips_diversity")
    skipped = evaluate(tiny_checkpoint, data).result.checkpoint.skipped
    assert skipped[0] == Skipped("fid", "needs the Python package torch-fidelity")


# Numbers


def test_the_same_request_gives_the_same_result(tiny_checkpoint: Path, data: Path, eye: list[int]) -> None:
    first, second, other = (
        evaluate(tiny_checkpoint, data, protocol=replace(SMALL, seed=seed)).result for seed in (5, 5, 6)
    )
    assert first == second
    assert first.seed == 5
    same = {"reconstruction_l1", "reconstruction_rgb", "kl", "active_dims", "mu_mean", "mu_variance"}
    changed = {name for name, value in values(first).items() if value != values(other)[name]}
    assert {"rgb_diversity", "latent_l1", "posterior_wasserstein", "fid"} <= changed
    assert not changed & same, "what has no chance in it has no seed either"


def test_the_protocol_reaches_every_number(tiny_checkpoint: Path, data: Path, eye: list[int]) -> None:
    protocol = Protocol(inputs=5, samples=4, draws=3)
    facts = evaluate(tiny_checkpoint, data, protocol=protocol).result.checkpoint
    assert facts.find("rgb_diversity").count == 5 * 3
    assert facts.find("latent_l1").count == 5 * 4
    assert "6 pictures, each sketch with one random code (draws: 3;" in facts.find("fid").protocol
    assert facts.find("kl").count == 6


def test_progress_is_told(tiny_checkpoint: Path, data: Path, eye: list[int]) -> None:
    told: list[tuple[str, float]] = []
    evaluate(tiny_checkpoint, data, progress=lambda *step: told.append(step))
    assert all(0 <= share <= 1 for _, share in told)
    assert told[0][0] == "reading pictures"
    done = {what for what, share in told if share == 1}
    assert done == {what for what, _ in told}, "everything ends at 1"
    assert {"sampling", "comparing photos", "reconstructing", "finding edges", "looking at set 2"} < done


def test_numbers_that_are_none_are_null_in_json(tiny_checkpoint: Path, data: Path, tmp_path: Path) -> None:
    """A model that diverged: exp(logvar) overflows."""
    model = load_checkpoint(tiny_checkpoint)
    with torch.no_grad():
        model.encoder.logvar.bias.fill_(200)
    config = replace(model.config, training={"steps": 3, "loss": float("nan"), "curve": [1.0, float("inf")]})
    folder = save_checkpoint(tmp_path / "diverged", config, model.generator, model.encoder)
    result = evaluate(folder, data, "latent").result
    told = json.loads(json.dumps(result.to_json(), allow_nan=False))["checkpoint"]
    found = {each["name"]: each for each in told["measurements"]}
    assert (found["kl"]["value"], found["kl"]["standard_error"]) == (None, None)
    assert found["kl"]["per_dim"] == [None] * 8
    assert found["posterior_wasserstein"]["value"] is None
    assert found["mu_mean"]["value"] == result.checkpoint.find("mu_mean").value
    assert told["training"] == {"steps": 3, "loss": None, "curve": [1.0, None]}


def test_the_schema_version_comes_first(tiny_checkpoint: Path, data: Path) -> None:
    plain = evaluate(tiny_checkpoint, data, "reconstruction").result.to_json()
    assert [*plain][:2] == ["schema_version", "data"]
    assert plain["schema_version"] == 1
    assert Measurement(**plain["checkpoint"]["measurements"][0]).name == "reconstruction_l1"
