"""The comparison as one HTML file that asks no network for anything; the same runs give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bicyclegan.files import write_atomic
from bicyclegan.metrics import report
from bicyclegan.metrics.chart_parts import PALETTE
from bicyclegan.metrics.page_parts import page_environment, page_json, plotly_js, read_static, security_policy
from bicyclegan.metrics.reading import ARROWS, number
from bicyclegan.training.comparison.charts import ChartGroup, chart_groups, clocks, time_unit
from bicyclegan.training.comparison.colours import RUN_COLOURS, RUN_PALETTE
from bicyclegan.training.comparison.differences import incomparable, settings
from bicyclegan.training.comparison.facts import COSTS, duration, run_facts
from bicyclegan.training.comparison.runs import Run
from bicyclegan.training.comparison.samples import Moment, Samples, collect_samples
from bicyclegan.training.comparison.standings import Reach, Reached, Standing, common_step, standings

STATIC = Path(__file__).parent / "static"
LEADS = 3
"""Metrics that are told at the top."""


@dataclass(frozen=True)
class Bar:
    """A run's best value of a metric, in a card at the top."""

    run: int
    value: str
    when: str
    share: float
    """Length, 0 to 1: its part of the largest value."""
    best: bool


@dataclass(frozen=True)
class Lead:
    """Who is ahead in one metric."""

    title: str
    arrow: str
    better: str
    sentence: str
    bars: tuple[Bar, ...]
    """The best on top, as far as they can be compared."""
    why_not: str
    """Why they cannot, where that is so for this metric alone."""


@dataclass(frozen=True)
class Cell:
    """A value in the table."""

    value: str
    note: str
    best: bool


@dataclass(frozen=True)
class TableRow:
    """Values of all runs of one kind."""

    what: str
    cells: tuple[Cell | None, ...]


def write_page(path: Path, runs: Sequence[Run]) -> None:
    """Write the page into a file, in one step."""
    write_atomic(path, render_page(runs).encode("utf-8"))


def render_page(runs: Sequence[Run]) -> str:
    """The page as text."""
    groups, samples = chart_groups(runs), collect_samples(runs)
    told = [[sheet_caption(run, moment, k) for k, run in enumerate(runs)] for moment in samples.moments]
    scripts = [*([plotly_js()] if groups else []), read_static(STATIC / "compare.js")]
    template = page_environment(STATIC).get_template("compare.html")
    return template.render(
        **_words(runs),
        **_numbers(runs),
        runs=runs,
        groups=groups,
        axes=_axes(runs),
        samples=samples,
        told=told,
        data=page_data(runs, groups, samples, told),
        css=read_static(report.STATIC / "report.css") + read_static(STATIC / "compare.css"),
        scripts=scripts,
        policy=security_policy(scripts),
    )


def lead(standing: Standing, everywhere: str = "") -> Lead:
    """The runs in order of their best values, or as given where these cannot be compared.

    everywhere: why no metric can be compared, which is said elsewhere.
    """
    places = [place for place, each in enumerate(standing.best) if each]
    if not standing.why_not:
        places.sort(key=lambda place: standing.best[place].value, reverse=standing.better == "higher")
    top = max(abs(standing.best[place].value) for place in places) or 1.0
    leaders = standing.leaders(standing.best)
    bars = (
        Bar(
            place,
            number(standing.best[place].value),
            _when(standing.best[place]),
            abs(standing.best[place].value) / top,
            place in leaders,
        )
        for place in places
    )
    why_not = "" if standing.why_not == everywhere else standing.why_not
    return Lead(standing.title, ARROWS[standing.better], standing.better, standing.sentence, tuple(bars), why_not)


def table_rows(standing: Standing, shared: int | None) -> list[TableRow]:
    """Rows of one metric; without those that would only repeat another."""
    names: dict[Reach, list[str]] = {}
    if any(standing.best):
        names.setdefault(standing.best, []).append("best")
    names.setdefault(standing.newest, []).append("newest")
    if shared is not None and sum(map(bool, standing.common)) > 1:
        names.setdefault(standing.common, []).append(f"after {shared:,} updates, which all have")
    return [TableRow(", ".join(what), _cells(standing, reached)) for reached, what in names.items()]


def sheet_caption(run: Run, moment: Moment, place: int) -> str:
    """What is said above a sheet."""
    step = moment.shown[place]
    if step is None:
        return "no samples so early"
    seen = run.images(step)
    caption = f"after {step:,} updates" + ("" if seen is None else f", {seen:,} images")
    return caption if step == moment.step else f"{caption}: its nearest before {moment.step:,}"


def page_data(
    runs: Sequence[Run], groups: Sequence[ChartGroup], samples: Samples, told: Sequence[Sequence[str]]
) -> str:
    """What the page's script needs, as JSON that can stand in a page. told: the captions of each moment."""
    charts = [chart for group in groups for chart in group.charts]
    moments = zip(samples.moments, told, strict=True)
    return page_json(
        {
            "palette": PALETTE | RUN_PALETTE,
            "axes": {key: title for key, title, _ in _axes(runs)},
            "clocks": clocks(runs, time_unit(runs)[0]),
            "charts": [{"id": chart.id, **json.loads(chart.figure.to_json(engine="json"))} for chart in charts],
            "moments": [{"step": f"{each.step:,}", "shown": each.shown, "told": words} for each, words in moments],
        }
    )


def _words(runs: Sequence[Run]) -> dict[str, Any]:
    """What the runs are, for the template."""
    fields = settings(runs)
    return {
        "colours": RUN_COLOURS[: len(runs)],
        "updates": _updates(runs),
        "facts": run_facts(runs),
        "costs": COSTS,
        "different": [field for field in fields if field.differs],
        "alike": [field for field in fields if not field.differs],
    }


def _numbers(runs: Sequence[Run]) -> dict[str, Any]:
    """What they are worth, for the template."""
    found, shared, why_not = standings(runs), common_step(runs), incomparable(runs)
    told = [standing for standing in found if standing.better and any(standing.best)]
    return {
        "why_not": why_not,
        "leads": [lead(standing, why_not) for standing in told[:LEADS]],
        "table": [(standing, ARROWS[standing.better], table_rows(standing, shared)) for standing in found],
    }


def _axes(runs: Sequence[Run]) -> list[tuple[str, str, str]]:
    """What may stand along the bottom: a key, the axis's title, and what the switch says. Only what is known."""
    _, unit = time_unit(runs)
    known = {
        "updates": True,
        "images": any(run.batch_size for run in runs),
        "time": any(run.story.seconds for run in runs),
    }
    axes = [
        ("updates", "updates", "updates"),
        ("images", "images seen", "images seen"),
        ("time", f"{unit} of training", "time"),
    ]
    return [axis for axis in axes if known[axis[0]]]


def _cells(standing: Standing, reached: Reach) -> tuple[Cell | None, ...]:
    leaders = standing.leaders(reached)
    return tuple(
        Cell(number(each.value), _when(each), place in leaders) if each else None for place, each in enumerate(reached)
    )


def _when(reached: Reached) -> str:
    """The update, and the time until then."""
    return ", ".join(filter(None, (f"update {reached.step:,}", duration(reached.seconds))))


def _updates(runs: Sequence[Run]) -> str:
    """How many were made; empty where all runs made as many."""
    made = [run.story.last_step for run in runs]
    return f"{min(made):,} to {max(made):,}" if len(set(made)) > 1 else ""
