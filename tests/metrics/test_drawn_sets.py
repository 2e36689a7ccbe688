"""Sets of pictures against sets of photos, seen by a tiny extractor: which sets, how many of them, against what."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from planted_networks import HASH, SCALE, colour_of_code, lines_of_sketch, plant_subject
from torch import Tensor

from bicyclegan.metrics import outputs
from bicyclegan.metrics.drawn_sets import compare_sets
from bicyclegan.metrics.features import Extractor, Features
from bicyclegan.metrics.measurement import Measurement
from bicyclegan.metrics.realism import measure_sets
from bicyclegan.metrics.subject import BATCH, Protocol

pytest.importorskip("torch_fidelity")

COUNT = BATCH + 8


@pytest.fixture(autouse=True)
def planted_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are painted with as they are, not rearranged for speed."""
    monkeypatch.setattr(outputs, "_fast", lambda generator: generator)


class Eye:
    """Sees the mean colour of a picture, 0 to 1, and remembers what it saw, set by set."""

    def __init__(self, logits: bool = False):
        self.logits = logits
        self.sets: list[np.ndarray] = []

    def extractor(self) -> Extractor:
        extractor = Extractor("mean colour", "" if self.logits else "768", self._look)
        extract = extractor.extract

        def remember(pictures: Tensor, **options: object) -> Features:
            features = extract(pictures, **options)
            self.sets.append(features.pool.numpy())
            return features

        object.__setattr__(extractor, "extract", remember)
        return extractor

    def _look(self, pictures: Tensor) -> tuple[Tensor, ...]:
        colour = pictures.float().mean(dim=(2, 3)) / 255
        return (colour, 10 * colour) if self.logits else (colour,)


def colours(count: int, seed: int = 0, low: int = 60, high: int = 160) -> np.ndarray:
    """uint8 (count, 4, 4, 3): plain photos in random colours."""
    random = np.random.RandomState(seed)
    return random.randint(low, high, (count, 1, 1, 3)).repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)


def compare(eye: Eye, *groups: str, paint=colour_of_code, **options) -> dict[str, Measurement]:
    subject = plant_subject(paint, **{"photos": colours(COUNT), **options})
    return {each.name: each for each in compare_sets(subject, eye.extractor(), groups or ("fid",))}


def test_every_draw_is_painted_with_its_own_codes() -> None:
    """The numbers are those of the sets that the codes of each draw paint."""
    subject = plant_subject(colour_of_code, photos=colours(COUNT), protocol=Protocol(draws=3))
    found = {each.name: each for each in compare_sets(subject, Eye().extractor(), ("fid", "kid", "precision_recall"))}
    pools = [(SCALE * subject.random_codes(draw) + 1) / 2 for draw in range(3)]
    seen = [Features("768", (255 * pool).round() / 255) for pool in pools]
    real = Features("768", torch.from_numpy(subject.data.photos[:, 0, 0]) / 255)
    for metric in measure_sets(seen, real, ("fid", "kid", "precision_recall")):
        assert found[metric.name].value == pytest.approx(metric.mean, abs=1e-5)
        assert found[metric.name].standard_error == pytest.approx(metric.standard_error, abs=1e-5)
    assert [*found] == ["fid768", "kid768", "pr768_precision", "pr768_recall"]
    assert found["fid768"].standard_error > 0, "the draws differ"
    assert [each.better for each in found.values()] == ["lower", "lower", "higher", "higher"]


def test_both_sides_have_as_many_pictures() -> None:
    eye = Eye()
    found = compare(eye, train=colours(2 * COUNT, 1), protocol=Protocol(draws=3))
    assert [len(each) for each in eye.sets] == [COUNT] * (1 + 3 + 2), "photos, draws, training photos"
    assert found["fid768"].count == COUNT
    assert found["fid768"].protocol.startswith(
        f"{COUNT} pictures, each sketch with one random code (draws: 3; 1 for a model without code), "
        f"against the {COUNT} validation photos at 4 px;"
        " mean colour; Fréchet distance"
    )
    assert f"Reference: 2 draws of {COUNT} training photos." in found["fid768"].protocol
    assert (found["fid768"].checkpoint_hash, found["fid768"].group) == (HASH, "fid")


def test_the_floor_is_that_of_training_photos() -> None:
    """FID of sets that differ by a shift alone is its square: 3 channels, each 51 / 255 off."""
    photos = colours(COUNT)
    same = compare(Eye(), train=photos[::-1].copy())["fid768"]
    moved = compare(Eye(), train=photos + 51)["fid768"]
    assert same.references["train_photos"] == pytest.approx(0, abs=1e-6)
    assert moved.references["train_photos"] == pytest.approx(3 * 0.2**2, abs=1e-4)
    assert moved.value == same.value, "training photos are a reference and nothing else"


def test_draws_of_training_photos_do_not_overlap() -> None:
    eye, train = Eye(), colours(2 * COUNT + 5, 1)
    compare(eye, train=train, protocol=Protocol(draws=1))
    shown = np.concatenate(eye.sets[-2:])
    assert len(np.unique(shown, axis=0)) == 2 * COUNT
    known = {tuple(colour) for colour in train[:, 0, 0].tolist()}
    assert {tuple(colour) for colour in (255 * shown).round().astype(int).tolist()} <= known
    order = [train[:, 0, 0].tolist().index(colour) for colour in (255 * eye.sets[-1]).round().astype(int).tolist()]
    assert order != sorted(order), "files are often sorted by class"


def test_too_few_training_photos_give_no_floor() -> None:
    for train in (None, colours(COUNT - 1)):
        eye = Eye()
        found = compare(eye, train=train, protocol=Protocol(draws=2))["fid768"]
        assert found.references == {}
        assert "Reference" not in found.protocol
        assert len(eye.sets) == 1 + 2


@pytest.mark.parametrize(("latent_dim", "draws"), [(0, 5), (3, 1)])
def test_one_draw_has_no_error(latent_dim: int, draws: int) -> None:
    """A model without code paints the same every time."""
    eye = Eye()
    paint = colour_of_code if latent_dim else lines_of_sketch
    found = compare(eye, paint=paint, latent_dim=latent_dim, protocol=Protocol(draws=draws))["fid768"]
    assert len(eye.sets) == 2
    assert found.standard_error is None
    assert found.protocol.startswith(f"{COUNT} pictures, ")
    assert f"draws: {draws}; 1 for a model without code" in found.protocol


def test_a_seed_decides_all() -> None:
    def value(seed: int) -> float:
        return compare(Eye(), protocol=Protocol(seed, draws=2), train=colours(50, 1))["fid768"].value

    assert value(3) == value(3) != value(4)


def test_the_inception_score_is_held_against_nothing() -> None:
    eye = Eye(logits=True)
    found = compare(eye, "inception_score", "fid", train=colours(COUNT, 1), protocol=Protocol(draws=2))
    assert found["fid"].references
    assert found["inception_score"].references == {}
    assert "against" not in found["inception_score"].protocol
    assert 1 <= found["inception_score"].value <= 3
    alone = Eye(logits=True)
    compare(alone, "inception_score", train=colours(COUNT, 1), protocol=Protocol(draws=2))
    assert len(alone.sets) == len(eye.sets) - 1, "training photos are not looked at for nothing"


def test_photos_are_looked_at_once_for_several_models() -> None:
    first, second, seen = Eye(), Eye(), {}
    photos, train = colours(COUNT), colours(2 * COUNT, 1)

    def compared(eye: Eye, seen: dict[str, Features] | None) -> Measurement:
        subject = plant_subject(colour_of_code, photos=photos, train=train, protocol=Protocol(draws=2))
        return compare_sets(subject, eye.extractor(), ("fid",), seen)[0]

    assert compared(first, seen) == compared(second, seen) == compared(Eye(), None)
    assert (len(first.sets), len(second.sets)) == (1 + 2 + 2, 2)
    other = plant_subject(colour_of_code, photos=photos + 20, protocol=Protocol(draws=1))
    assert compare_sets(other, second.extractor(), ("fid",), seen)[0].value != compared(second, seen).value
    assert len(second.sets) == 2 + 2 + 2, "other photos are looked at"


def test_grey_pictures_are_shown_in_three_channels() -> None:
    grey = colours(COUNT)[..., :1]
    found = compare(Eye(), paint=lambda x, z: colour_of_code(x, z)[:, :1], photos=grey, train=grey)
    assert math.isfinite(found["fid768"].value)
    assert found["fid768"].references["train_photos"] == pytest.approx(0, abs=1e-6)


def test_progress_is_told() -> None:
    told: list[tuple[str, float]] = []
    compare(Eye(), train=colours(COUNT, 1), protocol=Protocol(draws=1), progress=lambda *step: told.append(step))
    assert {what for what, _ in told} == {
        "looking at photos",
        "painting set 1",
        "looking at set 1",
        "looking at training photos",
    }
    assert all(0 < share <= 1 for _, share in told)
    assert told[-1][1] == 1
