"""What each group of metrics finds on planted networks whose worth is known, and what it says about it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from picture_sets import photo
from planted_networks import HASH, code_of_colour, colour_of_code, lines_of_sketch, plain_photos, plant_subject
from torch import Tensor

from bicyclegan import images
from bicyclegan.config import EdgeStyle
from bicyclegan.metrics import LATENT_CHANCE, outputs
from bicyclegan.metrics.distance import Distance, rgb_distance
from bicyclegan.metrics.groups import GROUPS, REAL_PAIRS, faithfulness, latent, lpips_diversity, reconstruction
from bicyclegan.metrics.measurement import Measurement
from bicyclegan.metrics.subject import Protocol, Subject
from bicyclegan.sketch import photo_to_edges

LPIPS = Distance("lpips_alex_v0.1", rgb_distance, lambda: True, "")
"""Bears the name of one network; measures colour."""


@pytest.fixture(autouse=True)
def planted_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are painted with as they are, not rearranged for speed."""
    monkeypatch.setattr(outputs, "_fast", lambda generator: generator)


def measured(found: list[Measurement]) -> dict[str, Measurement]:
    return {each.name: each for each in found}


def codes_of(mu: Tensor, logvar: Tensor) -> Subject:
    """A model whose encoder reads these codes from the photos, in their order."""
    photos = np.zeros((len(mu), 4, 4, 3), np.uint8)
    photos[:, 0, 0, 0], photos[:, 0, 0, 1] = np.divmod(np.arange(len(mu)), 256)

    def read(pictures: Tensor) -> tuple[Tensor, Tensor]:
        high, low = ((pictures[:, channel, 0, 0] + 1) * 127.5 for channel in (0, 1))
        index = (256 * high + low).round().long() % len(mu)
        return mu[index], logvar[index]

    return plant_subject(
        colour_of_code, read, photos=photos, latent_dim=mu.shape[1], protocol=Protocol(inputs=2, samples=2)
    )


# Diversity


def test_diversity_is_the_mean_over_consecutive_pairs() -> None:
    subject = plant_subject(colour_of_code, protocol=Protocol(samples=4))
    [found] = lpips_diversity(subject)
    distances = subject.sampled.distances
    assert found.value == pytest.approx(distances.mean())
    assert found.count == 5 * 3
    assert found.standard_error == pytest.approx(distances.mean(axis=1).std(ddof=1) / math.sqrt(5)), "over sketches"
    assert (found.group, found.better, found.checkpoint_hash) == ("lpips_diversity", "higher", HASH)
    assert "5 sketches x 4 samples with independent codes" in found.protocol
    assert "3 consecutive pairs of each" in found.protocol


def test_network_and_version_are_in_the_name() -> None:
    [lpips] = lpips_diversity(plant_subject(colour_of_code, distance=LPIPS, photos=plain_photos(0, 1, side=16)))
    assert lpips.name == "lpips_diversity_alex_v0.1"
    assert "lpips_alex_v0.1 at 16 px" in lpips.protocol
    [rgb] = lpips_diversity(plant_subject(colour_of_code))
    assert rgb.name == "rgb_diversity"
    assert "rgb at 8 px" in rgb.protocol


@pytest.mark.parametrize(("latent_dim", "samples"), [(3, 20), (0, 2)])
def test_an_ignored_or_missing_code_has_no_diversity(latent_dim: int, samples: int) -> None:
    [found] = lpips_diversity(plant_subject(lines_of_sketch, latent_dim=latent_dim))
    assert (found.value, found.standard_error) == (0, 0)
    assert f"5 sketches x {samples} samples" in found.protocol


def test_real_pairs_are_pairs_of_different_photos() -> None:
    """Of four photos, two black and two white, two thirds of all pairs differ by 1."""
    two, four, alike = (plain_photos(*levels) for levels in ((0, 1), (0, 0, 1, 1), (0.3, 0.3, 0.3)))
    references = [lpips_diversity(plant_subject(colour_of_code, photos=photos))[0].references for photos in (two, four)]
    assert references[0]["real_pairs"] == pytest.approx(1)
    assert references[1]["real_pairs"] == pytest.approx(2 / 3, abs=4 * math.sqrt(2 / 9 / REAL_PAIRS))
    assert lpips_diversity(plant_subject(colour_of_code, photos=alike))[0].references["real_pairs"] == 0
    assert REAL_PAIRS == 100 * 19, "as many as pairs of samples"


def test_same_code_shows_what_the_sketch_does() -> None:
    of_code, of_sketch = (
        lpips_diversity(plant_subject(paint, sketches=plain_photos(0, 1, 0, 1, 0)[..., :1]))[0]
        for paint in (colour_of_code, lines_of_sketch)
    )
    assert of_code.references["same_code"] == 0
    assert of_sketch.references["same_code"] == pytest.approx(1)


# Reconstruction


def test_a_photo_that_comes_back_has_no_error() -> None:
    found = measured(reconstruction(plant_subject(colour_of_code, code_of_colour)))
    assert [*found] == ["reconstruction_l1", "reconstruction_rgb"]
    assert all(each.value == pytest.approx(0, abs=1e-6) for each in found.values())
    assert all((each.better, each.count) == ("lower", 5) for each in found.values())
    assert "G(A, E(B)), the code being the posterior's mean" in found["reconstruction_l1"].protocol


def test_reconstruction_is_the_mean_over_photos() -> None:
    """White on 0, 1/4, ... 1: errors of 2, 1.5, ... 0 in units of [-1, 1]."""
    found = measured(reconstruction(plant_subject(lines_of_sketch, code_of_colour, distance=LPIPS)))
    assert found["reconstruction_l1"].value == pytest.approx(1, abs=0.01)
    expected = np.std([0, 0.5, 1, 1.5, 2], ddof=1) / math.sqrt(5)
    assert found["reconstruction_l1"].standard_error == pytest.approx(expected, abs=0.01)
    assert found["reconstruction_lpips_alex_v0.1"].value == pytest.approx(0.5, abs=0.01)


def test_without_encoder_one_code_stands_for_all() -> None:
    photos = plain_photos(0.5, 0.5, 0.5)
    noise, none = (plant_subject(colour_of_code, photos=photos), plant_subject(lines_of_sketch, latent_dim=0))
    values = measured(reconstruction(noise))["reconstruction_l1"]
    assert values.standard_error == pytest.approx(0, abs=1e-7), "all photos are alike, and so are the pictures"
    assert "G(A, z), one z" in values.protocol
    protocol = measured(reconstruction(none))["reconstruction_l1"].protocol
    assert "against G(A);" in protocol
    assert "posterior" not in protocol


# Latent


def test_a_code_that_is_read_back_has_no_error() -> None:
    found = measured(latent(plant_subject(colour_of_code, code_of_colour)))
    assert found["latent_l1"].value == pytest.approx(0, abs=1e-5)
    assert found["latent_l1"].references == {"chance": LATENT_CHANCE}
    assert found["latent_l1"].count == 5 * 20
    assert "5 sketches x 20 samples" in found["latent_l1"].protocol
    assert all(each.checkpoint_hash == HASH and each.group == "latent" for each in found.values())


def test_an_ignored_code_scores_chance() -> None:
    def know_nothing(pictures: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros(len(pictures), 8), torch.zeros(len(pictures), 8)

    photos = plain_photos(*np.linspace(0, 1, 100))
    subject = plant_subject(lines_of_sketch, know_nothing, photos=photos, latent_dim=8)
    found = measured(latent(subject))["latent_l1"]
    assert found.value == pytest.approx(LATENT_CHANCE, abs=0.015)
    assert len(found.per_dim) == 8
    assert found.value == pytest.approx(np.mean(found.per_dim))
    errors = subject.sampled.errors.mean(axis=(1, 2))
    assert found.standard_error == pytest.approx(errors.std(ddof=1) / 10), "over sketches, not over samples"


def test_statistics_of_the_posterior() -> None:
    """KL(N(m, s^2) || N(0, 1)) = (m^2 + s^2 - 1) / 2 - ln s. Photos at -1 and 1 have a variance of 1."""
    mu = torch.tensor([[-1.0, 0.05, 3.0], [1.0, -0.05, 3.0]]).repeat(10, 1)
    logvar = torch.tensor([2 * math.log(0.5), 0.0, 0.0]).expand(20, 3)
    found = measured(latent(codes_of(mu, logvar)))
    kl = [(1 + 0.25 - 1) / 2 + math.log(2), 0.05**2 / 2, 4.5]
    assert found["kl"].per_dim == pytest.approx(kl, rel=1e-4)
    assert found["kl"].value == pytest.approx(sum(kl), rel=1e-4)
    assert found["mu_variance"].per_dim == pytest.approx([1, 0.0025, 0], abs=1e-6)
    assert found["mu_variance"].value == pytest.approx(1.0025 / 3, abs=1e-6)
    assert found["mu_mean"].per_dim == pytest.approx([0, 0, 3], abs=1e-6)
    assert found["mu_mean"].value == pytest.approx(1)
    assert (found["active_dims"].value, found["active_dims"].references) == (1, {"all": 3})
    assert all(found[name].count == 20 for name in ("kl", "active_dims", "mu_mean", "mu_variance"))


@pytest.mark.parametrize(
    ("mu", "logvar", "expected"),
    [(0.0, 0.0, 0.0), (0.0, -60.0, 1.0), (0.5, 0.0, 0.5)],
    ids=["prior", "collapsed", "shifted"],
)
def test_distance_of_all_codes_from_the_prior(mu: float, logvar: float, expected: float) -> None:
    """Of more photos than `sample_codes` draws for one seed."""
    photos = 1200
    found = measured(latent(codes_of(torch.full((photos, 3), mu), torch.full((photos, 3), logvar))))
    found = found["posterior_wasserstein"]
    small = found.references["prior_samples"]
    assert 0 < small < 0.08
    assert found.value == pytest.approx(expected, abs=0.1 * expected + 2 * small)
    assert found.count == photos


# Faithfulness


@pytest.fixture(scope="module")
def shapes() -> tuple[np.ndarray, np.ndarray]:
    """Six photos of 32 px, and their edges."""
    photos = np.stack([np.asarray(photo(seed, 32, 32)) for seed in range(6)])
    return np.stack([photo_to_edges(each) for each in photos])[..., None], photos


def paint_photo(shapes: tuple[np.ndarray, np.ndarray], shift: int):
    """Paints the photo that the sketch was made of, or the one `shift` places on."""
    sketches, photos = (images.to_float(side) for side in shapes)

    def paint(x: Tensor, z: Tensor) -> Tensor:
        index = (x[:, None] == sketches[None]).flatten(2).all(dim=2).float().argmax(dim=1)
        return photos[(index + shift) % len(photos)]

    return paint


def test_pictures_with_the_sketchs_own_edges_are_faithful(shapes: tuple[np.ndarray, np.ndarray]) -> None:
    sketches, photos = shapes
    [found] = faithfulness(plant_subject(paint_photo(shapes, 0), photos=photos, sketches=sketches))
    assert (found.name, found.value, found.count, found.better) == ("edge_f1", 1, 6, "higher")
    assert found.references["real_photos"] == 1
    assert found.references["other_sketch"] < 0.9
    assert "2 px tolerance at 32 px" in found.protocol


def test_pictures_of_another_sketch_are_as_bad_as_that(shapes: tuple[np.ndarray, np.ndarray]) -> None:
    """Painted three places on, sketch k + 3 is at home, and the reference holds each against just that one."""
    sketches, photos = shapes
    [right], [wrong] = (
        faithfulness(plant_subject(paint_photo(shapes, shift), photos=photos, sketches=sketches)) for shift in (0, 3)
    )
    assert wrong.value == pytest.approx(right.references["other_sketch"])
    assert wrong.references["other_sketch"] == 1


def test_drawn_lines_are_found_again(shapes: tuple[np.ndarray, np.ndarray]) -> None:
    """Canny sees both sides of a thin line: within the tolerance, but at the sharpest bends."""
    sketches, photos = shapes
    [found] = faithfulness(plant_subject(lines_of_sketch, photos=photos, sketches=sketches))
    assert found.value > 0.9


def test_sketches_that_do_not_fit_their_photos_show(shapes: tuple[np.ndarray, np.ndarray]) -> None:
    sketches, photos = shapes
    subject = plant_subject(lines_of_sketch, photos=photos, sketches=np.roll(sketches, 1, axis=0))
    assert faithfulness(subject)[0].references["real_photos"] < 0.9


def test_edges_are_found_in_the_models_own_style(shapes: tuple[np.ndarray, np.ndarray]) -> None:
    sketches, photos = shapes
    blind = EdgeStyle(low_threshold=9000, high_threshold=9000)
    subject = plant_subject(lines_of_sketch, photos=photos, sketches=sketches, edge_style=blind)
    assert faithfulness(subject)[0].value == 0


def test_a_single_sketch_has_no_other(shapes: tuple[np.ndarray, np.ndarray]) -> None:
    sketches, photos = shapes
    [found] = faithfulness(plant_subject(lines_of_sketch, photos=photos[:1], sketches=sketches[:1]))
    assert "other_sketch" not in found.references
    assert found.standard_error is None


def test_models_of_one_grey_channel(shapes: tuple[np.ndarray, np.ndarray]) -> None:
    sketches, photos = shapes
    grey = photos[..., :1]
    [found] = faithfulness(plant_subject(lambda x, z: x, photos=grey, sketches=sketches))
    assert 0 < found.references["real_photos"] < 1


# What is needed


def test_what_the_groups_need(shapes: tuple[np.ndarray, np.ndarray]) -> None:
    def missing(subject: Subject) -> dict[str, str]:
        return {name: what for name, group in GROUPS.items() if (what := group.needs(subject))}

    assert missing(plant_subject(colour_of_code, code_of_colour)) == {}
    assert missing(plant_subject(colour_of_code)) == {"latent": "an encoder, which this model does not have"}
    labels = plant_subject(colour_of_code, code_of_colour, edge_style=None)
    assert missing(labels) == {"faithfulness": "sketches made of edges, not label maps"}
    single = plant_subject(colour_of_code, code_of_colour, photos=plain_photos(0.5))
    assert missing(single) == {"lpips_diversity": "at least 2 validation photos"}


def test_one_photo_is_enough_for_the_rest() -> None:
    single = plant_subject(colour_of_code, code_of_colour, photos=plain_photos(0.5))
    for each in (*reconstruction(single), *latent(single)):
        assert math.isfinite(each.value), each.name
        assert each.standard_error is None, each.name
