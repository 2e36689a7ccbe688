"""Charts: which there are, what they draw, and that names from outside stay text."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from evaluation_example import KL, example_codes, example_result, measured, ours, without_code

from bicyclegan.metrics.chart_parts import MODEL, PALETTE, QUIET
from bicyclegan.metrics.charts import MAX_POINTS, MAX_VIOLINS, Chart, Codes, make_charts

pytest.importorskip("plotly")


def charts(codes: Codes | None = None, **fields: object) -> dict[str, Chart]:
    return {chart.id: chart for chart in make_charts(example_result(**fields), codes)}


def only(*measurements: object) -> dict[str, Chart]:
    return charts(checkpoint=ours(measurements=list(measurements)), compared=[])


def bars(chart: Chart) -> dict[str, object]:
    return {trace.name: trace for trace in chart.figure.data if trace.type == "bar"}


def test_all_charts_where_all_numbers_are_there() -> None:
    assert list(charts(example_codes())) == [
        "chart-diversity",
        "chart-fid768",
        "chart-kid768",
        "chart-latent-l1",
        "chart-kl",
        "chart-mu",
        "chart-posterior",
        "chart-map",
    ]


def test_no_chart_without_its_numbers() -> None:
    assert list(charts(checkpoint=without_code(), compared=[])) == ["chart-fid768", "chart-kid768"]
    assert list(only(measured("kl", "latent", 3.0))) == []  # a total is no bar for each dim
    assert list(only(measured("kl", "latent", 3.0, per_dim=[3.0]))) == ["chart-kl"]
    assert only() == {}


def test_models_are_bars_and_photos_a_line() -> None:
    figure = charts()["chart-fid768"].figure
    [bar] = bars(charts()["chart-fid768"]).values()
    assert list(bar.x) == [41.7, 58.3]
    assert list(figure.layout.yaxis.ticktext) == ["<b>edges2shoes</b>", "pix2pix"]
    assert [shape.x0 for shape in figure.layout.shapes] == [14.2]
    assert figure.data[-1].name == "training photos 14.2"


def test_models_without_the_number_get_no_bar() -> None:
    assert list(charts()["chart-diversity"].figure.layout.yaxis.ticktext) == ["<b>edges2shoes</b>"]


def test_two_bars_of_a_model_lie_beside_each_other_with_their_numbers_behind() -> None:
    figure = charts(compared=[ours(name="b")])["chart-diversity"].figure
    upper, upper_text, lower, lower_text, _ = figure.data
    assert upper.offset + upper.width == pytest.approx(lower.offset)
    assert list(upper_text.y) == pytest.approx([at + upper.offset + upper.width / 2 for at in (0, 1)])
    assert upper_text.x[0] == pytest.approx(0.1523 + 0.0021)  # clear of the whisker
    assert [text.strip("\u00a0") for text in lower_text.text] == ["0.287", "0.287"]
    assert figure.layout.yaxis.range == (1.5, -0.5)


def test_everything_drawn_lies_inside_the_axis() -> None:
    photos = {"real_pairs": 0.9}
    figure = only(measured("lpips_diversity_alex_v0.1", "lpips_diversity", 0.2, references=photos))[
        "chart-diversity"
    ].figure
    low, high = figure.layout.xaxis.range
    assert low <= 0
    assert high > 0.9
    low, high = only(measured("kid", "kid", -0.002))["chart-kid"].figure.layout.xaxis.range
    assert low <= -0.002
    assert high > 0


def test_dims_are_coloured_by_use() -> None:
    drawn = bars(charts()["chart-kl"])
    assert list(drawn) == ["6 active", "2 inactive"]
    active, inactive = drawn.values()
    assert (active.marker.color, inactive.marker.color) == (MODEL, QUIET)
    assert list(active.y) == KL[:6]
    assert list(inactive.x) == [6, 7]


def test_dims_of_unknown_use_have_one_colour() -> None:
    [bar] = bars(only(measured("kl", "latent", 3.0, per_dim=[2.0, 0.0]))["chart-kl"]).values()
    assert bar.marker.color == MODEL
    assert not bar.showlegend


def test_chance_is_drawn() -> None:
    figure = charts()["chart-latent-l1"].figure
    assert [shape.y0 for shape in figure.layout.shapes] == [0.7979]
    assert figure.layout.yaxis.range[1] > 0.81


def test_codes_are_thinned_and_dims_limited() -> None:
    random = np.random.default_rng(0).standard_normal((3 * MAX_POINTS, MAX_VIOLINS + 4)).astype(np.float32)
    found = charts(Codes(random, np.zeros_like(random)))
    _, photos = found["chart-map"].figure.data
    assert len(photos.x) == MAX_POINTS
    violins = found["chart-posterior"]
    assert max(violins.figure.data[1].x) == MAX_VIOLINS - 1
    assert f"first {MAX_VIOLINS} of {MAX_VIOLINS + 4} dims" in violins.caption


def test_the_aggregate_posterior_counts_the_width_of_each_code() -> None:
    """mu alone would look dead; with its width the posterior of an unused dim is the prior."""
    codes = Codes(np.zeros((MAX_POINTS, 1), np.float32), np.zeros((MAX_POINTS, 1), np.float32))
    _, photos = charts(codes)["chart-posterior"].figure.data
    assert np.std(photos.y) == pytest.approx(1, abs=0.1)
    assert np.std(charts(codes)["chart-map"].figure.data[1].x) == 0


def test_one_code_of_one_dim_is_drawn() -> None:
    assert "chart-map" in charts(Codes(np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)))


@pytest.mark.parametrize(
    "codes",
    [
        None,
        Codes(np.zeros((0, 8), np.float32), np.zeros((0, 8), np.float32)),
        Codes(np.full((4, 8), np.nan, np.float32), np.zeros((4, 8), np.float32)),
        Codes(np.zeros((4, 8), np.float32), np.full((4, 8), np.inf, np.float32)),
    ],
)
def test_codes_that_cannot_be_drawn_are_left_out(codes: Codes | None) -> None:
    assert not {"chart-posterior", "chart-map"} & set(charts(codes))


def test_numbers_that_are_none_do_not_break_a_chart() -> None:
    values = [math.nan, 1.0, math.inf]
    found = only(
        measured("kl", "latent", math.nan, per_dim=values),
        measured("fid", "fid", math.nan, references={"train_photos": math.nan}),
        measured("lpips_diversity_alex_v0.1", "lpips_diversity", 0.1, references={"same_code": math.nan}),
    )
    assert list(found) == ["chart-diversity", "chart-fid", "chart-kl"]
    for chart in found.values():
        json.loads(chart.figure.to_json(engine="json"), parse_constant=lambda name: pytest.fail(name))
        assert np.isfinite(chart.figure.layout.xaxis.range or [0]).all()


def test_names_from_outside_are_text() -> None:
    """Plotly would read tags: <a href> makes a link of an axis label."""
    hostile = '<a href="https://example.org">x</a>'
    figure = charts(compared=[without_code(name=hostile)])["chart-fid768"].figure
    name = figure.layout.yaxis.ticktext[1]
    assert "<a" not in name
    assert name.replace("<br>", " ").startswith("&lt;a")


def test_models_of_one_name_keep_their_own_bars() -> None:
    [bar] = bars(charts(compared=[without_code(name="2024"), without_code(name="2024")])["chart-fid768"]).values()
    assert list(bar.y) == [0, 1, 2]


def test_each_colour_has_a_dark_one() -> None:
    def colours(value: object) -> set[str]:
        if isinstance(value, dict):
            return set().union(*map(colours, value.values()))
        if isinstance(value, list):
            return set().union(*map(colours, value))
        return {value} if isinstance(value, str) and value.startswith("#") else set()

    used = set().union(
        *(colours(json.loads(chart.figure.to_json(engine="json"))) for chart in charts(example_codes()).values())
    )
    assert used <= set(PALETTE)
    assert len(used) >= 6


def test_the_same_numbers_give_the_same_figures() -> None:
    first, second = (charts(example_codes()) for _ in range(2))
    assert [each.figure.to_json(engine="json") for each in first.values()] == [
        each.figure.to_json(engine="json") for each in second.values()
    ]
    other = charts(replace(example_codes(), mu=-example_codes().mu))
    assert other["chart-map"].figure != first["chart-map"].figure
