"""The map's page: what colours its points, and that nothing in it comes from outside or is run."""

from __future__ import annotations

import re

import numpy as np
import pytest
from latent_example import COLOURS, example_codes

from bicyclegan.map_page.code_set import CodeSet
from bicyclegan.map_page.colourings import MAX_CLUSTERS, MAX_DIMS, NO_FOLDER, Colouring, colourings
from bicyclegan.map_page.page import STATIC, MapPage, kept_by_method, render_map
from bicyclegan.metrics.page_parts import plotly_js, read_static, security_policy
from bicyclegan.metrics.posterior import read_posterior
from bicyclegan.projection import MapSettings, fit_map, map_of

MU, LOGVAR = example_codes()
NAMES = tuple(f"photo {k}.png" for k in range(40))
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\u202e"


def choices(mu: np.ndarray = MU, logvar: np.ndarray = LOGVAR, names: tuple[str, ...] = NAMES) -> dict[str, Colouring]:
    return {choice.key: choice for choice in colourings(mu, logvar, names, COLOURS[: len(mu)])}


def page(codes: CodeSet, dims: int = 2) -> str:
    return render_map(MapPage(codes, fit_map(codes.mu, MapSettings(dims=dims)), read_posterior(codes.mu, codes.logvar)))


def test_the_most_telling_colours_come_first() -> None:
    assert [*choices()] == ["photo", "cluster", "kl", *(f"dim-{d}" for d in range(1, 9))]
    assert colourings(MU, LOGVAR, NAMES)[0].key == "cluster"


def test_dims_are_the_codes_around_zero() -> None:
    choice = choices()["dim-3"]
    assert np.allclose(choice.values, MU[:, 2], rtol=1e-3)
    low, high = choice.limits
    assert low == -high == pytest.approx(-np.abs(MU[:, 2]).max(), rel=1e-3)


def test_kl_is_that_of_each_photo() -> None:
    choice = choices()["kl"]
    exact = 0.5 * (MU**2 + np.exp(LOGVAR) - LOGVAR - 1).sum(axis=1)
    assert np.allclose(choice.values, exact, rtol=1e-3)
    assert choice.limits[0] == 0


def test_kl_that_is_no_number_is_not_offered() -> None:
    assert "kl" not in choices(logvar=np.full_like(LOGVAR, 2000))


def test_colours_are_those_of_the_photos() -> None:
    assert choices()["photo"].values[3] == "#" + bytes(COLOURS[3].tolist()).hex()


def test_clusters_are_groups_of_codes_the_largest_first() -> None:
    random = np.random.RandomState(0)
    sizes = (3, 9, 6)
    mu = np.concatenate([random.normal(10 * k, 0.01, (size, 4)) for k, size in enumerate(sizes)]).astype(np.float32)
    mu = np.repeat(mu[[0, 3, 12]], sizes, axis=0)  # three codes, each several times
    cluster = choices(mu, 0 * mu, tuple(map(str, range(18))))["cluster"]
    assert cluster.values == (2,) * 3 + (0,) * 9 + (1,) * 6
    assert cluster.groups == ("cluster 1", "cluster 2", "cluster 3")
    assert len(choices()["cluster"].groups) == MAX_CLUSTERS
    assert choices()["cluster"].values == choices()["cluster"].values, "always the same"


def test_equal_codes_have_no_clusters() -> None:
    assert "cluster" not in choices(0 * MU)


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["boots/1.png", "heels/1.png", "boots/x/2.png"], ("boots", "heels")),
        (["boots\\1.png", "heels\\1.png", "boots\\2.png"], ("boots", "heels")),
        (["boots/1.png", "2.png", "3.png"], ("boots", NO_FOLDER)),
        (["boots/1.png", "boots/2.png", "boots/3.png"], None),
        (["1.png", "2.png", "3.png"], None),
    ],
)
def test_folders_are_classes(names: list[str], groups: tuple[str, ...] | None) -> None:
    found = choices(MU[:3], LOGVAR[:3], tuple(names)).get("class")
    assert (found and found.groups) == groups
    if groups:
        assert groups[found.values[0]] == "boots"


def test_too_many_folders_are_no_classes() -> None:
    assert "class" in choices(names=tuple(f"{k % 20}/{k}.png" for k in range(40)))
    assert "class" not in choices(names=tuple(f"{k % 21}/{k}.png" for k in range(40)))


def test_of_very_many_dims_the_first_are_offered() -> None:
    mu = np.random.RandomState(0).standard_normal((3, 100)).astype(np.float32)
    assert sum(key.startswith("dim-") for key in choices(mu, 0 * mu, ("a", "b", "c"))) == MAX_DIMS


def test_names_are_escaped_and_cannot_turn_the_text_around() -> None:
    names = tuple(f"{HOSTILE}/{k % 2}{HOSTILE}" if k else f"x/{HOSTILE}" for k in range(40))
    text = page(CodeSet(HOSTILE, names, MU, LOGVAR))
    own = text.replace(plotly_js(), "")
    assert "<img src=x" not in own
    assert "alert(1)</script>" not in own
    assert own.count("<script") == own.count("</script>") == 3
    assert "\u202e" not in own


def test_the_page_asks_for_nothing_and_runs_its_own_scripts_alone() -> None:
    text = page(CodeSet("shoes", NAMES, MU, LOGVAR))
    policy = security_policy([plotly_js(), read_static(STATIC / "map.js")]).replace("'", "&#39;")
    assert f'content="{policy}"' in text
    assert "unsafe-eval" not in text.replace(plotly_js(), "")
    own = text.replace(plotly_js(), "")
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", own)


def test_every_static_file_is_in_the_page() -> None:
    assert {path.name for path in STATIC.iterdir()} == {"map.css", "map.html", "map.js"}


def test_codes_of_one_dim_are_a_line() -> None:
    text = page(CodeSet("line", NAMES, MU[:, :1], LOGVAR[:, :1]))
    assert "dotted rings" not in text
    assert "100 % of their spread" in text


def test_tiny_extents_keep_their_shape() -> None:
    """Rounding is by the extent of the map; random codes make it wide, so equal photos stay equal and no more."""
    text = page(CodeSet("tiny", NAMES, 1e-9 * MU, LOGVAR), 3)
    assert "NaN" not in text.split('id="data">')[1].split("</script>")[0]


def test_words_of_a_method_are_true_of_it() -> None:
    flat = fit_map(MU, MapSettings())
    share = 100 * flat.pca.shares[:2].sum()
    assert f"{share:.0f} % of their spread" in kept_by_method(flat)
    assert "neighbours only" in kept_by_method(map_of(MU, MapSettings("tsne"), np.zeros((140, 2))))
