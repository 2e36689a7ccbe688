"""Plotly charts of an evaluation. Each is drawn only where its numbers are there.

Names that came from outside are escaped here, because Plotly reads tags in any text.
"""

from __future__ import annotations

import html
import textwrap
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from bicyclegan.latent import sample_codes
from bicyclegan.metrics.chart_parts import (
    MODEL,
    MUTED,
    OTHER,
    QUIET,
    SECOND,
    TALL,
    add_bars,
    add_columns,
    add_columns_by_use,
    bar_figure,
    dim_figure,
    empty_figure,
    finite,
    fit_bars,
    fit_columns,
    mark,
)
from bicyclegan.metrics.latent import ACTIVE_VARIANCE, LATENT_CHANCE
from bicyclegan.metrics.measurement import CheckpointFacts, EvaluationResult, Measurement
from bicyclegan.metrics.reading import first, label, model_labels
from bicyclegan.projection import Pca

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MAX_POINTS = 1000
"""Photos whose codes are drawn."""
MAX_VIOLINS = 16
"""Dims whose distribution is drawn: more are too narrow to see."""
PRIOR_POINTS = 1000
QUANTILES = 201
"""Of N(0, 1), for an outline without noise."""
RINGS = (1, 2, 3)
"""Standard deviations that the map shows."""


@dataclass(frozen=True, eq=False)
class Codes:
    """What the encoder makes of the validation photos."""

    mu: np.ndarray
    """(N, D) float32 posterior means."""
    logvar: np.ndarray
    """(N, D) float32 log variances."""


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure with words around it."""

    id: str
    """Of its element in the page: fixed, so that the same numbers give the same file."""
    title: str
    caption: str
    """How to read it."""
    figure: Figure


def make_charts(result: EvaluationResult, codes: Codes | None) -> list[Chart]:
    """All charts for which there are numbers. codes: of `result.checkpoint`."""
    facts = result.checkpoint
    charts = [
        _diversity(result),
        *(_realism(result, name) for name in ("fid", "fid768", "kid", "kid768")),
        _latent_l1(facts),
        _kl(facts),
        _mu_statistics(facts),
        *_code_charts(codes),
    ]
    return [chart for chart in charts if chart]


def active_dims(facts: CheckpointFacts) -> list[bool]:
    """Which dims are in use, by the variance of mu over photos; empty where that is not known."""
    variance = first(facts, "mu_variance")
    return [value > ACTIVE_VARIANCE for value in variance.per_dim] if variance else []


def _diversity(result: EvaluationResult) -> Chart | None:
    shown = first(result.checkpoint, "lpips_diversity", "rgb_diversity")
    if shown is None:
        return None
    names, found = _across(result, shown)
    same_code = [finite(each.references.get("same_code")) for each in found]
    two = any(value is not None for value in same_code)
    figure = bar_figure(names)
    _add_models(figure, found, name="one sketch, different codes", slot=(0, 2 if two else 1))
    if two:
        add_bars(figure, same_code, [QUIET] * len(found), name="one code, different sketches", slot=(1, 2))
    real = shown.references.get("real_pairs")
    fit_bars(figure, real)
    mark(figure, "x", real, "two real photos")
    caption = (
        "How much two pictures differ on average. The longer the coloured bar, the more the style code changes; the "
        "dashed line is the distance of two real photos taken at random."
    )
    return Chart("chart-diversity", label(shown), caption, figure)


def _realism(result: EvaluationResult, name: str) -> Chart | None:
    shown = first(result.checkpoint, name)
    if shown is None:
        return None
    names, found = _across(result, shown)
    figure = bar_figure(names)
    _add_models(figure, found)
    floor = shown.references.get("train_photos")
    fit_bars(figure, floor)
    mark(figure, "x", floor, "training photos")
    caption = "Distance of the results, as a set, from real photos: shorter is better."
    if floor is not None:
        caption += " The dashed line is the distance of other real photos, which no model should expect to beat."
    return Chart(f"chart-{name}", label(shown), caption, figure)


def _latent_l1(facts: CheckpointFacts) -> Chart | None:
    measured = first(facts, "latent_l1")
    if measured is None or not measured.per_dim:
        return None
    chance = measured.references.get("chance", LATENT_CHANCE)
    figure = dim_figure(len(measured.per_dim))
    add_columns_by_use(figure, measured.per_dim, active_dims(facts))
    fit_columns(figure, chance)
    mark(figure, "y", chance, "chance")
    caption = (
        "How far each number of the code is off when the encoder reads it back from the result. Bars at the dashed "
        "line carry nothing: an encoder that guesses scores the same."
    )
    return Chart("chart-latent-l1", "Latent L1 of each dim", caption, figure)


def _kl(facts: CheckpointFacts) -> Chart | None:
    measured = first(facts, "kl")
    if measured is None or not measured.per_dim:
        return None
    figure = dim_figure(len(measured.per_dim))
    add_columns_by_use(figure, measured.per_dim, active_dims(facts))
    fit_columns(figure)
    figure.update_yaxes(title_text="nats")
    caption = (
        "How much each dim says about a photo. A dim at 0 was given up in training and is the same for every photo."
    )
    return Chart("chart-kl", "KL of each dim", caption, figure)


def _mu_statistics(facts: CheckpointFacts) -> Chart | None:
    parts = [(first(facts, "mu_variance"), MODEL, "variance of mu"), (first(facts, "mu_mean"), SECOND, "mean of mu")]
    drawn = [(each.per_dim, colour, name) for each, colour, name in parts if each and each.per_dim]
    if not drawn:
        return None
    figure = dim_figure(max(len(values) for values, _, _ in drawn))
    for values, colour, name in drawn:
        add_columns(figure, values, range(len(values)), colour, name)
    fit_columns(figure, 1.0)
    mark(figure, "y", 1.0, "variance of random codes")
    caption = (
        "Over all photos the mean should be near 0. A variance near 1 (dashed) is a dim in full use; near 0 it is dead."
    )
    return Chart("chart-mu", "Spread of the codes of photos", caption, figure)


def _code_charts(codes: Codes | None) -> list[Chart]:
    """Charts of single codes; none when there are no codes, or the encoder has failed and gives NaN."""
    if codes is None or 0 in codes.mu.shape or not (np.isfinite(codes.mu).all() and np.isfinite(codes.logvar).all()):
        return []
    kept = np.unique(np.linspace(0, len(codes.mu) - 1, min(MAX_POINTS, len(codes.mu))).round().astype(int))
    mu, logvar = (np.asarray(part, np.float64)[kept] for part in (codes.mu, codes.logvar))
    return [_violins(mu, logvar), _map(mu)]


def _violins(mu: np.ndarray, logvar: np.ndarray) -> Chart:
    """Split violins: N(0, 1) left, the aggregate posterior (one z for each photo) right."""
    noise = sample_codes(1, *mu.shape, stratify=False)
    z = mu + noise * np.exp(np.clip(logvar, -30, 10) / 2)
    dims = min(z.shape[1], MAX_VIOLINS)
    prior = np.array([NormalDist().inv_cdf((k + 0.5) / QUANTILES) for k in range(QUANTILES)])
    figure = dim_figure(dims, TALL)
    figure.update_layout(violinmode="overlay")
    _add_halves(figure, [prior] * dims, "negative", QUIET, "N(0, 1)")
    _add_halves(figure, [z[:, dim] for dim in range(dims)], "positive", MODEL, "codes of photos")
    caption = (
        "Right halves are the codes of real photos, left halves what random codes are drawn from. The more they "
        "mirror each other, the more a random code is one that training has seen."
    )
    if dims < z.shape[1]:
        caption += f" The first {dims} of {z.shape[1]} dims."
    return Chart("chart-posterior", "Codes of photos against the prior", caption, figure)


def _add_halves(figure: Figure, values: list[np.ndarray], side: str, colour: str, name: str) -> None:
    figure.add_violin(
        x=np.repeat(np.arange(len(values)), [len(part) for part in values]),
        y=np.concatenate(values).round(3),
        side=side,
        name=name,
        line={"color": colour, "width": 1.5},
        fillcolor=colour,
        opacity=0.8,
        points=False,
        width=0.9,
        hoverinfo="skip",
        scalemode="width",
    )


def _map(mu: np.ndarray) -> Chart:
    """mu over samples of the prior on the two directions of largest variance, measured from z = 0."""
    pca = Pca.fit(mu)
    prior = sample_codes(0, PRIOR_POINTS, mu.shape[1], stratify=False)
    figure = empty_figure(TALL)
    _add_points(figure, _on_plane(prior, pca), QUIET, 0.35, "random codes")
    _add_points(figure, _on_plane(mu, pca), MODEL, 0.75, "codes of photos")
    for radius in RINGS:
        ring = {"type": "circle", "x0": -radius, "y0": -radius, "x1": radius, "y1": radius}
        figure.add_shape(**ring, line={"color": MUTED, "width": 1, "dash": "dot"})
    shares = [*pca.shares, 0.0]
    figure.update_xaxes(title_text=f"first direction, {100 * shares[0]:.0f} % of the spread", showgrid=False)
    figure.update_yaxes(title_text=f"second, {100 * shares[1]:.0f} %", scaleanchor="x", showgrid=False)
    caption = (
        "Each coloured dot is the code of a photo, in the two directions in which codes differ most; rings are 1, 2 "
        "and 3 standard deviations of random codes. A dense spot or line means that the codes hold little."
    )
    return Chart("chart-map", "Map of the codes", caption, figure)


def _add_points(figure: Figure, points: np.ndarray, colour: str, opacity: float, name: str) -> None:
    figure.add_scatter(
        x=points[:, 0].round(3),
        y=points[:, 1].round(3),
        mode="markers",
        name=name,
        marker={"color": colour, "size": 5, "opacity": opacity},
        hoverinfo="skip",
    )


def _on_plane(codes: np.ndarray, pca: Pca) -> np.ndarray:
    """(N, D) -> (N, 2); the second is 0 where D is 1."""
    coords = np.asarray(codes, np.float64) @ pca.components[:2].T
    return np.pad(coords, ((0, 0), (0, 2 - coords.shape[1])))


def _across(result: EvaluationResult, shown: Measurement) -> tuple[list[str], list[Measurement]]:
    """Names for an axis, ours in bold, and measurements of the models that have this one."""
    models = zip(model_labels(result), [result.checkpoint, *result.compared], strict=True)
    found = [(_axis_name(name), measured) for name, facts in models if (measured := facts.find(shown.name))]
    names = [f"<b>{name}</b>" if index == 0 else name for index, (name, _) in enumerate(found)]
    return names, [measured for _, measured in found]


def _axis_name(name: str) -> str:
    return "<br>".join(html.escape(line, quote=False) for line in textwrap.wrap(name, 16))


def _add_models(figure: Figure, found: list[Measurement], name: str = "", slot: tuple[int, int] = (0, 1)) -> None:
    """A bar for each model, the report's own in the strongest colour."""
    colours = [MODEL, *[OTHER] * (len(found) - 1)]
    errors = [each.standard_error for each in found]
    add_bars(figure, [each.value for each in found], colours, errors=errors, name=name, slot=slot)
