"""What a checkpoint makes of its photos, on planted networks: which codes, which pairs, in which order."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from planted_networks import (
    SCALE,
    code_of_colour,
    colour_of_code,
    lines_of_sketch,
    plain_photos,
    plant_subject,
)

from bicyclegan.latent import MAX_SEED
from bicyclegan.metrics import outputs
from bicyclegan.metrics.outputs import draw_codes
from bicyclegan.metrics.subject import BATCH, Protocol


@pytest.fixture(autouse=True)
def planted_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are painted with as they are, not rearranged for speed."""
    monkeypatch.setattr(outputs, "_fast", lambda generator: generator)


def many(count: int) -> np.ndarray:
    """Photos that all differ, of 8 px."""
    return plain_photos(*np.linspace(0, 1, count))


def sketches(*levels: float) -> np.ndarray:
    """Plain grey, of 8 px."""
    return plain_photos(*levels)[..., :1]


# Samples of one sketch


def test_the_protocol_is_the_papers_unless_said_otherwise() -> None:
    """100 inputs x 20 samples: 19 pairs each, 1,900 in all."""
    assert Protocol() == Protocol(seed=0, inputs=100, samples=20, draws=5)
    sampled = plant_subject(colour_of_code, photos=many(120)).sampled
    assert sampled.distances.shape == (100, 19)
    assert sampled.same_code.shape == (99,)


def test_distances_are_those_of_consecutive_samples() -> None:
    """A picture that is its code: |z_i - z_(i+1)|, not the mean over all pairs."""
    sampled = plant_subject(colour_of_code, photos=many(6), protocol=Protocol(samples=5)).sampled
    z = SCALE * draw_codes(0, 6, 5, 3).numpy()
    expected = np.abs(z[:, 1:] - z[:, :-1]).mean(axis=2) / 2  # RGB is in units of [0, 1]
    np.testing.assert_allclose(sampled.distances, expected, atol=1e-6)
    first, second = np.triu_indices(5, 1)
    every = np.abs(z[:, first] - z[:, second]).mean(axis=2) / 2
    assert abs(every.mean() - sampled.distances.mean()) > 1e-3


def test_codes_are_independent() -> None:
    """E|z - z'| of two independent normal codes is 2 / sqrt(pi); stratified ones would be further apart."""
    sampled = plant_subject(colour_of_code, photos=many(100)).sampled
    assert sampled.distances.mean() == pytest.approx(SCALE / math.sqrt(math.pi), rel=0.02)


def test_an_ignored_code_gives_equal_samples() -> None:
    subject = plant_subject(lines_of_sketch, sketches=sketches(0, 0.2, 0.6, 1, 1), protocol=Protocol(samples=3))
    assert (subject.sampled.distances == 0).all()
    np.testing.assert_allclose(subject.sampled.same_code, [0.2, 0.4, 0.4, 0], atol=0.01)


def test_one_code_on_two_sketches_is_the_same_code() -> None:
    """Pictures that depend on the code alone do not differ."""
    sampled = plant_subject(colour_of_code, sketches=sketches(0, 0.2, 0.6, 1, 1)).sampled
    assert sampled.distances.min() > 0
    assert (sampled.same_code == 0).all()


def test_a_model_without_code_has_two_equal_samples() -> None:
    sampled = plant_subject(lines_of_sketch, latent_dim=0).sampled
    assert sampled.distances.shape == (5, 1)
    assert (sampled.distances == 0).all()
    assert sampled.errors.shape == (5, 2, 0)


def test_recovered_codes_are_held_against_those_that_were_painted() -> None:
    right = plant_subject(colour_of_code, code_of_colour).sampled
    assert right.errors.shape == (5, 20, 3)
    np.testing.assert_allclose(right.errors, 0, atol=1e-5)
    wrong = plant_subject(colour_of_code, lambda b: (code_of_colour(b)[0] + torch.tensor([0, 0.5, -1]), b[:, :, 0, 0]))
    np.testing.assert_allclose(wrong.sampled.errors.mean(axis=(0, 1)), [0, 0.5, 1], atol=1e-5)


def test_sketches_are_evenly_spread() -> None:
    protocol = Protocol(inputs=4)
    assert plant_subject(colour_of_code, photos=many(10), protocol=protocol).inputs == [0, 3, 6, 9]
    assert plant_subject(colour_of_code, photos=many(3), protocol=protocol).inputs == [0, 1, 2]
    inputs = plant_subject(colour_of_code, photos=many(101)).inputs
    assert len(set(inputs)) == 100
    assert (inputs[0], inputs[-1]) == (0, 100)


def test_it_is_sampled_once() -> None:
    subject = plant_subject(colour_of_code, code_of_colour, protocol=Protocol(samples=4))
    assert subject.sampled is subject.sampled
    assert subject.codes is subject.codes
    assert subject.checkpoint.encoder.seen == 5 * 4 + 5


def test_a_seed_decides_all() -> None:
    def distances(seed: int) -> np.ndarray:
        return plant_subject(colour_of_code, protocol=Protocol(seed=seed, samples=3)).sampled.distances

    np.testing.assert_array_equal(distances(7), distances(7))
    assert (distances(7) != distances(8)).all()
    assert np.isfinite(distances(MAX_SEED)).all()


# All photos


def test_codes_are_in_the_order_of_the_photos() -> None:
    count = 2 * BATCH + 3
    mu, logvar = plant_subject(colour_of_code, code_of_colour, photos=many(count)).codes
    expected = np.linspace(-1, 1, count) / SCALE
    np.testing.assert_allclose(mu.numpy(), expected[:, None].repeat(3, axis=1), atol=0.05)
    assert (logvar == -60).all()
    assert plant_subject(colour_of_code).codes is None


def test_every_sketch_is_painted_with_its_own_code() -> None:
    count = BATCH + 5
    grey = sketches(*np.linspace(0, 1, count))
    subject = plant_subject(lambda x, z: x + z[:, :1, None, None], photos=many(count), sketches=grey)
    parts = [*subject.paint_all(torch.arange(count * 3).reshape(count, 3).float(), "painting")]
    assert [rows for rows, _ in parts] == [slice(0, BATCH), slice(BATCH, count)]
    painted = torch.cat([pictures for _, pictures in parts])[:, 0, 0, 0].numpy()
    np.testing.assert_allclose(painted, np.linspace(-1, 1, count) + 3 * np.arange(count), atol=0.005)


def test_grey_sketches_fill_the_channels_of_the_model() -> None:
    colours = np.arange(5 * 8 * 8 * 3, dtype=np.uint8).reshape(5, 8, 8, 3)
    subject = plant_subject(colour_of_code, sketches=colours)
    assert subject.sketches([1, 4]).shape == (2, 3, 8, 8)
    object.__setattr__(subject.data, "sketches", colours[..., :1])
    grey = subject.sketches(slice(0, 2))
    assert grey.shape == (2, 3, 8, 8)
    assert torch.equal(grey[:, 0], grey[:, 2])


def test_each_draw_has_codes_of_its_own() -> None:
    subject = plant_subject(colour_of_code, photos=many(40))
    draws = [subject.random_codes(draw) for draw in range(5)]
    assert all(codes.shape == (40, 3) for codes in draws)
    sampled = draw_codes(0, 40, 20, 3).flatten(0, 1)
    codes = torch.cat([*draws, sampled])
    assert len(codes.unique(dim=0)) == 5 * 40 + 40 * 20, "none of them occurs twice"
    assert torch.equal(subject.random_codes(3), draws[3])
    assert plant_subject(colour_of_code, protocol=Protocol(MAX_SEED)).random_codes(4).isfinite().all()


def test_progress_goes_from_0_to_1() -> None:
    told: list[tuple[str, float]] = []
    subject = plant_subject(
        colour_of_code,
        code_of_colour,
        photos=many(BATCH + 1),
        protocol=Protocol(inputs=3),
        progress=lambda what, share: told.append((what, share)),
    )
    subject.sampled, subject.codes, [*subject.paint_all(subject.random_codes(0), "painting")]
    shares = {what: [share for name, share in told if name == what] for what, _ in told}
    assert shares == {
        "sampling": pytest.approx([1 / 3, 2 / 3, 1]),
        "reading": pytest.approx([16 / 17, 1]),
        "painting": pytest.approx([16 / 17, 1]),
    }
