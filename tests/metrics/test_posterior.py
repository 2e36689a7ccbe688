"""Codes that are planted healthy raise no alarm; each planted trouble is named by the reading it belongs to."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from bicyclegan import errors
from bicyclegan.errors import UserError
from bicyclegan.metrics.posterior import REMEDIES, SENTENCES, PosteriorReport, Reading, read_posterior
from bicyclegan.training.advice import fields

Codes = tuple[np.ndarray, np.ndarray]
D = 8
NAMES = ["kl", "active_dims", "mean", "variance", "distance", "overlap", "modes", "correlation"]


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def healthy(seed: int, count: int = 500, dims: int = D, share: float = 0.9) -> Codes:
    """mu ~ N(0, s^2 I) with sigma^2 = 1 - s^2: together exactly the prior. Sure of their photos for a share near 1."""
    mu = np.random.RandomState(seed).standard_normal((count, dims)) * np.sqrt(share)
    return mu, np.full_like(mu, np.log(1 - share))


def sharp(seed: int, count: int = 500) -> Codes:
    """mu ~ N(0, I) with a little noise of each photo on top."""
    mu = np.random.RandomState(seed).standard_normal((count, D))
    return mu, np.full_like(mu, -3.0)


def collapsed(seed: int, count: int = 500) -> Codes:
    random = np.random.RandomState(seed)
    return random.standard_normal((count, D)) * 0.02, random.standard_normal((count, D)) * 0.02


def groups(
    seed: int,
    count: int,
    axis: np.ndarray,
    centres: tuple[float, ...] = (-2, 2),
    shares: tuple[float, ...] = (0.5, 0.5),
) -> Codes:
    """Groups of codes around these places along a direction (D,), spread by 0.4 around them."""
    mu, logvar = healthy(seed, count)
    axis = axis / np.linalg.norm(axis)
    places = np.random.RandomState(seed + 1000).choice(centres, count, p=shares)
    return mu + np.outer(places - 0.6 * (mu @ axis), axis), logvar


def read(codes: Codes) -> PosteriorReport:
    return read_posterior(*codes)


def reading(report: PosteriorReport, name: str) -> Reading:
    return next(each for each in report.readings if each.name == name)


def warned(report: PosteriorReport) -> dict[str, str]:
    """Names of all readings that are not healthy, with their code."""
    return {each.name: each.code for each in report.readings if each.verdict != "healthy"}


# Healthy codes

PLANTS: list[Callable[[int, int], Codes]] = [
    lambda seed, count: healthy(seed, count, share=0.5),
    lambda seed, count: healthy(seed, count, share=0.9),
    sharp,
]


@pytest.mark.parametrize(("count", "draws"), [(50, 20), (150, 20), (500, 6), (2000, 3)])
@pytest.mark.parametrize("plant", PLANTS, ids=["half", "most", "sharp"])
def test_healthy_codes_raise_no_alarm(plant: Callable[[int, int], Codes], count: int, draws: int) -> None:
    assert not {seed: found for seed in range(draws) if (found := warned(read(plant(seed, count))))}


@pytest.mark.slow
@pytest.mark.parametrize("count", [500, 2000])
@pytest.mark.parametrize("plant", PLANTS, ids=["half", "most", "sharp"])
def test_many_healthy_codes_raise_no_alarm(plant: Callable[[int, int], Codes], count: int) -> None:
    assert not {seed: found for seed in range(20) if (found := warned(read(plant(seed, count))))}


@pytest.mark.parametrize(("count", "dims"), [(30, 1), (30, 64), (500, 2), (20_000, 1), (20_000, 64)])
def test_any_number_of_photos_and_dims_is_read(count: int, dims: int) -> None:
    report = read(healthy(3, count, dims))
    assert not warned(report)
    assert (report.photos, report.dims) == (count, dims)
    lengths = {each.name: len(each.per_dim) for each in report.readings}
    assert lengths == {name: 0 if name in ("distance", "overlap") else dims for name in NAMES}


@pytest.mark.parametrize("tails", ["uniform", "laplace"])
def test_other_shapes_of_one_cloud_have_no_groups(tails: str) -> None:
    random = np.random.RandomState(0)
    for count in (50, 500, 2000):
        draw = {
            "uniform": lambda size: random.uniform(-1.7, 1.7, size),
            "laplace": lambda size: random.laplace(size=size),
        }
        mu = draw[tails]((count, D))
        assert reading(read((mu, np.full_like(mu, -3.0))), "modes").verdict == "healthy"


# Planted troubles


@pytest.mark.parametrize("count", [50, 500])
def test_codes_of_the_prior_itself_have_collapsed(count: int) -> None:
    report = read(collapsed(0, count))
    assert report.verdict == "collapsed"
    assert warned(report) == {"kl": "kl_collapsed", "active_dims": "active_dims_collapsed"}
    assert "--lambda-kl" in reading(report, "kl").remedy


@pytest.mark.parametrize("logvar", [0.0, -3.0, -800.0])
@pytest.mark.parametrize("place", [0.0, 0.3, 5.0])
def test_constant_codes_have_collapsed(place: float, logvar: float) -> None:
    report = read((np.full((60, D), place, np.float32), np.full((60, D), logvar, np.float32)))
    assert report.verdict == "collapsed"
    assert {name: code.split("_")[-1] for name, code in warned(report).items()}["active_dims"] == "collapsed"
    assert reading(report, "kl").verdict == "collapsed", "a far place costs KL and tells nothing"
    assert np.isfinite([each.value for each in report.readings]).all()
    assert reading(report, "variance").code == ("variance_healthy" if logvar == 0 else "variance_narrow")


@pytest.mark.parametrize("count", [50, 500])
def test_dead_dims_are_named(count: int) -> None:
    mu, logvar = healthy(0, count)
    mu[:, [2, 6]] *= 0.02
    logvar[:, [2, 6]] = 0
    report = read((mu, logvar))
    assert report.verdict == "watch"
    assert warned(report) == {"active_dims": "active_dims_watch"}
    found = reading(report, "active_dims")
    assert found.values["dead"] == "3, 7"
    assert found.value == 6
    assert "6 of 8" in found.sentence
    assert "--free-bits" in found.remedy


def test_kl_without_variance_is_no_dim_in_use() -> None:
    mu, logvar = healthy(0)
    mu[:, 1] = 2.0
    logvar[:, 4], mu[:, 4] = -0.001, mu[:, 4] * 0.12
    assert reading(read((mu, logvar)), "active_dims").values["dead"] == "2, 5", "variance 0, and 0.006 nats"


def test_little_kl_is_no_collapse_yet() -> None:
    report = read(healthy(0, 500, 2, share=0.15))
    assert warned(report) == {"kl": "kl_watch"}
    assert reading(report, "kl").value == pytest.approx(-np.log(1 - 0.15), abs=0.03), "2 dims, KL = -ln(sigma) each"


@pytest.mark.parametrize("count", [150, 500])
def test_a_shifted_dim_is_named(count: int) -> None:
    mu, logvar = healthy(0, count)
    mu[:, 1] -= 0.7
    found = reading(read((mu, logvar)), "mean")
    assert (found.code, found.values["shifted"], found.values["dim"]) == ("mean_watch", "2", 2)
    assert found.value == pytest.approx(-0.7, abs=0.2)
    assert "dim 2" in found.sentence


@pytest.mark.parametrize("count", [50, 500])
def test_codes_that_are_all_shifted_are_far_and_apart(count: int) -> None:
    mu, logvar = healthy(0, count)
    report = read((mu + 1, logvar))
    assert warned(report) == {"mean": "mean_watch", "distance": "distance_watch", "overlap": "overlap_watch"}
    assert reading(report, "mean").values["shifted"] == "1–8"
    assert reading(report, "distance").value == pytest.approx(1, abs=0.15), "the length of the shift, over sqrt(D)"


@pytest.mark.parametrize("count", [150, 500])
def test_wide_codes_are_told_from_narrow_ones(count: int) -> None:
    mu, logvar = healthy(0, count)
    wide, narrow = read((mu * 2, logvar)), read((mu / 2, logvar - 1))
    for report, code, deviation in ((wide, "variance_wide", 1.92), (narrow, "variance_narrow", 0.51)):
        assert warned(report) == {"variance": code, "distance": "distance_watch", "overlap": "overlap_watch"}
        assert np.sqrt(reading(report, "variance").per_dim) == pytest.approx(np.full(D, deviation), rel=0.25)
        assert reading(report, "distance").value == pytest.approx(abs(deviation - 1), abs=0.1)
    assert "1–8" in reading(wide, "variance").sentence


def test_wide_and_narrow_dims_at_once_are_both_named() -> None:
    mu, logvar = healthy(0)
    found = reading(read((mu * [3, 1, 1, 0.1, 1, 1, 1, 0.1], logvar)), "variance")
    assert (found.code, found.values["wide"], found.values["narrow"]) == ("variance_mixed", "1", "4, 8")


@pytest.mark.parametrize("dims", [2, 64])
def test_overlap_sees_narrow_codes_in_many_dims(dims: int) -> None:
    """Their neighbours are their own; those of random codes are theirs, too, which must not look like a mixture."""
    mu, logvar = healthy(0, 500, dims)
    found = [reading(read((mu * scale, logvar)), "overlap").value for scale in (0.3, 1, 3)]
    assert found[1] > 0.93
    assert max(found[0], found[2]) < 0.7
    assert reading(read((mu + 50, logvar)), "overlap").value == 0


OBLIQUE = np.array([1, -1, 0.5, 1, 0, -0.5, 1, 1])


@pytest.mark.parametrize(
    ("count", "shares"), [(50, (0.5, 0.5)), (150, (0.8, 0.2)), (500, (0.2, 0.8)), (2000, (0.5, 0.5))]
)
def test_two_groups_are_found_along_a_dim_and_across_dims(count: int, shares: tuple[float, ...]) -> None:
    along = reading(read(groups(0, count, np.eye(D)[3], shares=shares)), "modes")
    assert (along.code, along.value, along.values["split"]) == ("modes_watch", 2, "4")
    assert along.per_dim == (1, 1, 1, 2, 1, 1, 1, 1)
    across = reading(read(groups(0, count, OBLIQUE, shares=shares)), "modes")
    assert (across.code, across.value, across.values["direction"]) == ("modes_oblique", 2, 1)
    assert across.values["valley"] < 0.25


def test_blurred_groups_and_three_groups_are_found() -> None:
    mu, logvar = healthy(0)
    mu[:, 3] += np.where(np.arange(len(mu)) % 2, 2, -2)
    blurred = reading(read((mu, logvar)), "modes")
    assert (blurred.value, blurred.values["split"]) == (2, "4")
    assert 0.1 < blurred.values["valley"] < 0.5, "2 exp(-2) = 0.27"
    assert reading(read(groups(0, 500, np.eye(D)[0], (-3, 0, 3), (0.3, 0.4, 0.3))), "modes").value == 3


def test_a_few_outliers_are_no_group() -> None:
    mu, logvar = healthy(0)
    mu[:10, 2] += 50
    report = read((mu, logvar))
    assert reading(report, "modes").verdict == "healthy"


@pytest.mark.parametrize("count", [50, 500])
@pytest.mark.parametrize("sign", [1, -1])
def test_dims_that_say_the_same_are_named(sign: int, count: int) -> None:
    mu, logvar = healthy(0, count)
    mu[:, 5] = sign * mu[:, 0]
    found = reading(read((mu, logvar)), "correlation")
    assert found.code == "correlation_watch"
    assert (found.values["same"], found.values["first"], found.values["second"]) == ("1, 6", 1, 6)
    assert found.value == pytest.approx(sign)
    mu[:, [0, 5]] *= 0.02
    assert reading(read((mu, logvar)), "correlation").verdict == "healthy", "dead dims say nothing twice"


# What is said


@cache
def every_trouble() -> dict[str, Reading]:
    """One reading of every code there is."""
    mu, logvar = healthy(0)
    constant = np.full_like(mu, 2.0)
    dead = mu * [1, 0, 1, 1, 1, 1, 1, 1]
    planted = [
        (mu, logvar),
        healthy(0, 500, 1),
        healthy(0, 500, 2, share=0.15),
        collapsed(0),
        (constant, logvar),
        (dead, logvar),
        (mu * 3, logvar),
        (mu / 3, logvar - 1),
        (mu * [3, 0.1, 1, 1, 1, 1, 1, 1], logvar),
        groups(0, 500, np.eye(D)[3]),
        groups(0, 500, OBLIQUE),
        (mu[:, [0, 0, 1]], logvar[:, :3]),
    ]
    return {each.code: each for codes in planted for each in read(codes).readings}


def test_every_reading_has_its_sentence_and_remedy() -> None:
    found = every_trouble()
    assert found.keys() == SENTENCES.keys()
    assert {code for code, each in found.items() if each.remedy} == REMEDIES.keys()
    for code, each in found.items():
        assert each.template == SENTENCES[code]
        assert each.sentence.endswith(".")
        assert "{" not in each.sentence + each.remedy
        assert (each.remedy_template == "") == (each.verdict == "healthy")


def test_chinese_can_say_them_with_the_same_values() -> None:
    locale = Path(errors.__file__).parent / "ui" / "locale" / "zh.json"
    texts = json.loads(locale.read_text("utf-8"))
    for code, each in every_trouble().items():
        keys = [f"reading.{code}", *([f"reading.{code}_remedy"] if each.remedy else [])]
        said = [texts[key].format(**each.values) for key in keys]
        assert all(line.endswith("。") and "{" not in line for line in said)


def test_remedies_name_options_that_training_has() -> None:
    known = {name for names in fields().values() for name in names}
    named = {name.replace("-", "_") for text in REMEDIES.values() for name in re.findall(r"--([a-z-]+)", text)}
    assert "lambda_kl" in named
    assert not named - known


def test_the_report_is_plain_data_and_always_the_same() -> None:
    codes = groups(0, 150, OBLIQUE)
    report, again = (read(tuple(part.astype(np.float32) for part in codes)) for _ in range(2))
    assert report == again
    data = report.to_json()
    assert json.loads(json.dumps(data)) == data
    assert data["verdict"] == "watch"
    assert [each["name"] for each in data["readings"]] == NAMES
    assert data["readings"][0].keys() == {"name", "verdict", "value", "sentence", "remedy", "per_dim"}


def test_the_distance_names_what_chance_gives() -> None:
    few, many = (reading(read(healthy(0, count)), "distance") for count in (50, 2000))
    assert few.values["chance"] > 3 * many.values["chance"], (
        "fewer random codes lie farther from their own distribution"
    )
    assert few.value < 1.3 * few.values["chance"]
    assert (few.values["count"], many.values["count"]) == (50, 2000)


# What is refused


def test_few_photos_are_refused_with_the_way_out() -> None:
    with pytest.raises(UserError, match=r"29 photos.*at least 30.*prepare CHECKPOINT --data DIR") as caught:
        read(healthy(0, 29))
    assert caught.value.code == "stats_few"
    assert read(healthy(0, 30)).photos == 30


@pytest.mark.parametrize(
    ("mu", "logvar"), [((50, 4), (50, 3)), ((50,), (50,)), ((50, 0), (50, 0)), ((2, 50, 4), (2, 50, 4))]
)
def test_other_shapes_are_refused(mu: tuple[int, ...], logvar: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="latent_dim") as caught:
        read((np.zeros(mu), np.zeros(logvar)))
    assert caught.value.code == "stats_shape"
    assert str(mu) in str(caught.value)


@pytest.mark.parametrize(("part", "value"), [*product((0, 1), (np.nan, np.inf, -np.inf)), (0, 1e30), (1, 500.0)])
def test_values_that_are_none_are_refused(part: int, value: float) -> None:
    codes = healthy(0, 50)
    codes[part][7, 2] = value
    with pytest.raises(UserError, match="encoder has failed") as caught:
        read(codes)
    assert caught.value.code == "stats_value"
