"""Curves of several runs over each other: a chart for each number, a line for each run.

What stands along the bottom is the reader's choice (updates, images seen, time), so lines carry no x of their own: the
page's script takes it from the run's `clocks`.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bicyclegan.metrics.chart_parts import INK, empty_figure
from bicyclegan.metrics.charts import Chart
from bicyclegan.metrics.latent import LATENT_CHANCE
from bicyclegan.training.comparison.colours import RUN_COLOURS
from bicyclegan.training.comparison.runs import Run
from bicyclegan.training.comparison.track import MAX_LINES, Track
from bicyclegan.training.comparison.words import (
    KL_SUM,
    LOSS_ORDER,
    METRIC_ORDER,
    PATHS,
    Words,
    loss_words,
    metric_words,
    network_name,
    place_among,
)
from bicyclegan.training.curves import moving_average
from bicyclegan.training.events import Number

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MAX_CHARTS = 48
"""On a page; a file of another program may name any number of losses."""
MAX_POINTS = MAX_LINES
FEW = 25
"""So few values are drawn as dots, and none of them is cut off."""
FEW_DECADES = 3
SMOOTHED_PARTS = 50
"""A moving average is taken of one of so many parts of a line."""
CUT = 0.99
"""Share of the values that must fit in: single peaks are cut off, or they would flatten all the rest."""
DIGITS = 5
"""Significant digits of a value in the page."""
PLAIN, DASHED = "solid", "4px,3px"
TIME_UNITS = ((86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


@dataclass(frozen=True, eq=False)
class ChartGroup:
    """Charts of one kind."""

    title: str
    note: str
    charts: list[Chart] = field(default_factory=list)


@dataclass(frozen=True)
class Line:
    """One number of every run."""

    name: str
    """In the rows of a `Track`."""
    says: str = ""
    """What it is, where a chart has several."""
    dash: str = PLAIN


@dataclass(frozen=True)
class Look:
    """How a chart is drawn."""

    kind: str = "training"
    """Of its lines: those of training, or of validation."""
    level: float | None = None
    """What chance scores."""
    log: bool = False
    smooth: bool = True

    def window(self, values: Sequence[Number]) -> int:
        """Values that a moving average is taken of."""
        return moving_window(len(values)) if self.smooth and self.kind == "training" else 1

    def dots(self, runs: Sequence[Run]) -> bool:
        """Whether every value is shown as a dot: where they are few, or each is a measurement of its own."""
        return self.kind == "validation" or max(len(TRACKS[self.kind](run).rows) for run in runs) <= FEW


NORMAL = Look()


def chart_groups(runs: Sequence[Run]) -> list[ChartGroup]:
    """All charts for which any run has numbers."""
    groups = [
        ChartGroup(
            "Validation",
            "Measured on pictures that training never saw, with the weights that are saved: what decides.",
            _validation(runs),
        ),
        ChartGroup(
            "Training losses",
            "Unweighted. Pale lines are every value, strong lines a moving average. The encoded path paints with the "
            "code of the photo itself, the random path with any code.",
            _losses(runs),
        ),
        ChartGroup(
            "Verdicts of the discriminators",
            "What D says of real photos (solid) and of painted ones (dashed). lsgan aims at 1 and 0; other adversarial "
            "losses have scales of their own.",
            _scores(runs),
        ),
        ChartGroup("Code", "What the encoder says about photos.", _one(runs, "kl", KL_SUM)),
        ChartGroup(
            "Gradients",
            "Length of the gradient of each network, on a logarithmic axis. A steady band is healthy; a climb over "
            "decades is training that runs away.",
            _norms(runs),
        ),
        ChartGroup("Learning rates", "How large the steps of each network are.", _rates(runs)),
    ]
    return [group for group in groups if group.charts]


def clocks(runs: Sequence[Run], unit: float) -> list[dict[str, dict[str, list[Number]]]]:
    """For each run and kind of line, where its values stand on each axis: updates, images seen, time in `unit` s."""
    return [{kind: _clock(run, get(run), unit) for kind, get in TRACKS.items()} for run in runs]


def time_unit(runs: Sequence[Run]) -> tuple[float, str]:
    """Seconds of the unit in which the longest run is told, and its name."""
    longest = max((run.story.seconds or 0.0 for run in runs), default=0.0)
    return next((unit for unit in TIME_UNITS if longest >= 2 * unit[0]), TIME_UNITS[-1])


def moving_window(count: int) -> int:
    """Values that a moving average of a line is taken of, odd; 1 for few values, which need none."""
    return 2 * round(count / SMOOTHED_PARTS / 2) + 1


def value_range(lines: Sequence[Sequence[Number]], level: float | None = None) -> tuple[float, float] | None:
    """Where an axis of values begins and ends, with single peaks cut off; None where there is nothing to show."""
    kept = [part for line in lines if (part := _without_peaks(line))]
    if not kept:
        return None
    levels = [] if level is None else [level]
    low, high = min(*map(min, kept), *levels, math.inf), max(*map(max, kept), *levels, -math.inf)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return low - room, high + room


def _validation(runs: Sequence[Run]) -> list[Chart]:
    names = sorted(_names(runs, "validation", "metric"), key=place_among(METRIC_ORDER))
    return [
        _chart(f"metric-{k}", metric_words(name), runs, [Line(f"metric.{name}")], Look("validation", _chance(name)))
        for k, name in enumerate(names)
    ]


def _losses(runs: Sequence[Run]) -> list[Chart]:
    names = sorted(_names(runs, "training", "loss"), key=place_among(LOSS_ORDER))
    return [
        _chart(f"loss-{k}", loss_words(name), runs, [Line(f"loss.{name}")], Look(level=_chance(name)))
        for k, name in enumerate(names)
    ]


def _scores(runs: Sequence[Run]) -> list[Chart]:
    names = _names(runs, "training", "score")
    charts = []
    for path, words in PATHS.items():
        lines = [Line(f"score.real_{path}", "real"), Line(f"score.fake_{path}", "painted", DASHED)]
        if {f"real_{path}", f"fake_{path}"} & set(names):
            sentence = (
                "Solid: real photos. Dashed: painted ones. Lines that meet are a D that cannot tell them apart; lines "
                "that part for good are a G that has lost."
            )
            charts.append(_chart(f"score-{path}", Words(f"D's verdict, {words}", sentence), runs, lines))
    return charts


def _norms(runs: Sequence[Run]) -> list[Chart]:
    sentence = (
        "How hard this network is pushed in an update. Spikes are single bad batches, nothing at all is no learning."
    )
    return [
        _chart(
            f"norm-{k}",
            Words(f"Gradient of {network_name(name)}", sentence),
            runs,
            [Line(f"norm.{name}")],
            Look(log=True),
        )
        for k, name in enumerate(_names(runs, "training", "norm"))
    ]


def _rates(runs: Sequence[Run]) -> list[Chart]:
    sentence = "Neither direction is good alone: large learns fast and shakes, small is steady; most runs end small."
    return [
        _chart(
            f"rate-{k}",
            Words(f"Learning rate of {', '.join(map(network_name, names))}", sentence),
            runs,
            [Line(f"rate.{names[0]}")],
            Look(smooth=False),
        )
        for k, names in enumerate(_alike(runs, "rate"))
    ]


def _alike(runs: Sequence[Run], kind: str) -> list[list[str]]:
    """Names of which every run that has both has the same line; the first of each group is in most runs."""
    groups: list[list[str]] = []
    for name in _names(runs, "training", kind):
        lines = [run.story.training.line(f"{kind}.{name}") for run in runs]
        for group in groups:
            others = [run.story.training.line(f"{kind}.{group[0]}") for run in runs]
            if all(own == other or not any(own) for own, other in zip(lines, others, strict=True)):
                group.append(name)
                break
        else:
            groups.append([name])
    return groups


def _one(runs: Sequence[Run], name: str, words: Words) -> list[Chart]:
    known = any(run.story.training.known(name) for run in runs)
    return [_chart(name, words, runs, [Line(name)])] if known else []


def _chart(id: str, words: Words, runs: Sequence[Run], lines: Sequence[Line], look: Look = NORMAL) -> Chart:
    figure = empty_figure()
    figure.update_layout(hovermode="x unified", margin={"t": 12})
    shown = [_draw(figure, runs, place, line, look) for line in lines for place in range(len(runs))]
    if look.level is not None:
        _mark_chance(figure, look.level)
    if look.log:
        figure.update_yaxes(type="log", **_log_ticks(shown))
    elif span := value_range(shown, look.level):
        figure.update_yaxes(range=list(span), tickformat="~g")
    figure.update_yaxes(zeroline=False)
    figure.update_xaxes(zeroline=False)
    return Chart(f"chart-{id}", words.title, words.sentence, figure)


def _draw(figure: Figure, runs: Sequence[Run], place: int, line: Line, look: Look) -> list[Number]:
    """Draw one run's line, and return the values that must fit in."""
    values = TRACKS[look.kind](runs[place]).line(line.name)
    if not any(value is not None for value in values):
        return []
    label, colour, window = runs[place].label, RUN_COLOURS[place][0], look.window(values)
    common = {
        "meta": {"run": place, "clock": look.kind},
        "name": html.escape(f"{label}, {line.says}" if line.says else label, quote=False),
        "showlegend": False,
    }
    if window > 1 and line.dash == PLAIN:
        pale = {"line": {"color": colour, "width": 1}, "opacity": 0.28, "hoverinfo": "skip"}
        figure.add_scatter(y=_shown(values), mode="lines", **pale, **common)
    figure.add_scatter(
        y=_shown(moving_average(values, window)),
        line={"color": colour, "width": 2, "dash": line.dash},
        marker={"size": 6, "color": colour},
        mode="lines+markers" if look.dots(runs) or len(values) == 1 else "lines",
        hovertemplate="%{y:.4g}",
        **common,
    )
    return values


def _chance(name: str) -> float | None:
    """What guessing scores, where a number has such a level."""
    return LATENT_CHANCE if name == "latent_l1" else None


def _mark_chance(figure: Figure, level: float) -> None:
    """In no colour of a run."""
    figure.add_hline(
        y=level,
        line={"color": INK, "dash": "dash", "width": 1.2},
        annotation={"text": f"chance {level:.3f}", "font": {"size": 11, "color": INK}},
        annotation_position="top right",
    )


def _log_ticks(lines: Sequence[Sequence[Number]]) -> dict[str, Any]:
    """Ticks at 1, 2 and 5 times powers of ten while these are few, else at powers of ten."""
    known = [value for line in lines for value in line if value is not None and value > 0]
    if not known:
        return {}
    low, high = (math.floor(math.log10(value)) for value in (min(known), max(known)))
    steps = (1, 2, 5) if high - low < FEW_DECADES else (1,)
    return {"tickvals": [float(f"{step}e{power}") for power in range(low, high + 2) for step in steps]}


def _clock(run: Run, track: Track, unit: float) -> dict[str, list[Number]]:
    steps = [row.step for row in track.rows]
    return {
        "updates": steps,
        "images": [run.images(step) for step in steps],
        "time": _shown([None if row.seconds is None else row.seconds / unit for row in track.rows]),
    }


def _names(runs: Sequence[Run], track: str, kind: str) -> list[str]:
    found = [name for run in runs for name in TRACKS[track](run).names(kind)]
    return list(dict.fromkeys(found))[:MAX_CHARTS]


def _without_peaks(line: Sequence[Number]) -> list[float]:
    known = sorted(value for value in line if value is not None)
    if len(known) <= FEW:
        return known
    cut = math.floor((1 - CUT) * len(known))
    return known[cut : len(known) - cut]


def _shown(values: Sequence[Number]) -> list[Any]:
    return [None if value is None else float(f"{value:.{DIGITS}g}") for value in values]


def _picked(track: Track) -> Track:
    """An even choice of validations where there are very many, the first and the last among them."""
    count = len(track.rows)
    if count <= MAX_POINTS:
        return track
    places = [round(place * (count - 1) / (MAX_POINTS - 1)) for place in range(MAX_POINTS)]
    return Track(tuple(track.rows[place] for place in places))


TRACKS: dict[str, Callable[[Run], Track]] = {
    "training": lambda run: run.story.training,
    "validation": lambda run: _picked(run.story.validations),
}
"""Lines of a run by their kind, few enough to draw."""
