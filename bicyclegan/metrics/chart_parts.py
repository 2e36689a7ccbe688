"""Parts of charts in the look of the report: bars, dashed lines, axes.

Colours are those of a light page; `PALETTE` names the colour that takes the place of each on a dark one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from bicyclegan.metrics.reading import number

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

INK, MUTED, GRID, PAGE = "#0f172a", "#64748b", "#e2e8f0", "#ffffff"
MODEL, OTHER, QUIET, SECOND, REFERENCE = "#4f46e5", "#818cf8", "#94a3b8", "#0d9488", "#b45309"
PALETTE = {
    INK: "#e2e8f0",
    MUTED: "#94a3b8",
    GRID: "#334155",
    PAGE: "#111827",
    MODEL: "#a5b4fc",
    OTHER: "#6366f1",
    QUIET: "#64748b",
    SECOND: "#2dd4bf",
    REFERENCE: "#fbbf24",
}
"""Light colour -> dark colour."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
HEIGHT, TALL = 300, 420
"""Of charts, in px: two neighbours are equally high."""


def empty_figure(height: int = HEIGHT) -> Figure:
    """A figure in the page's look. It does not catch fingers that scroll the page."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": INK},
        margin={"l": 48, "r": 16, "t": 40, "b": 44},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 12}},
        bargap=0.3,
        dragmode=False,
        hoverlabel={"bgcolor": PAGE, "font": {"color": INK}},
    )
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(
            gridcolor=GRID,
            zerolinecolor=QUIET,
            linecolor=GRID,
            fixedrange=True,
            title_font={"size": 12, "color": MUTED},
            automargin=True,
        )
    return figure


def bar_figure(names: Sequence[str]) -> Figure:
    """A figure for horizontal bars under these names, the first one on top."""
    figure = empty_figure()
    figure.update_layout(barmode="overlay")  # bars bring their own places
    figure.update_yaxes(tickvals=[*range(len(names))], ticktext=names, range=[len(names) - 0.5, -0.5])
    figure.update_yaxes(showgrid=False, zeroline=False)
    return figure


def add_bars(
    figure: Figure,
    values: Sequence[float | None],
    colours: Sequence[str],
    *,
    errors: Sequence[float | None] = (),
    name: str = "",
    slot: tuple[int, int] = (0, 1),
) -> None:
    """A bar for each name of a `bar_figure`, with its number behind it.

    Args:
        values: what is None or not finite leaves its place empty.
        colours: of each bar.
        errors: standard errors, drawn as whiskers.
        name: in the legend, where there is one.
        slot: the which of how many bars under each name, from the top.
    """
    drawn = [finite(value) for value in values]
    whiskers = [finite(error) or 0.0 for error in errors] or [0.0] * len(drawn)
    width = min(0.7, 0.2 + 0.15 * len(drawn)) / slot[1]  # as thick whether there are few or many
    offset = (slot[0] - slot[1] / 2) * width
    figure.add_bar(
        x=drawn,
        y=[*range(len(drawn))],
        error_x={"type": "data", "array": whiskers, "color": INK, "thickness": 1.2, "visible": any(whiskers)},
        orientation="h",
        width=width,
        offset=offset,
        marker_color=colours,
        name=name,
        showlegend=bool(name),
        hovertemplate="%{x:.4f}<extra></extra>",
    )
    ends = [None if value is None else max(0.0, value + error) for value, error in zip(drawn, whiskers, strict=True)]
    figure.add_scatter(
        x=ends,
        y=[at + offset + width / 2 for at in range(len(drawn))],
        text=["" if value is None else "\u00a0" + number(value) for value in drawn],
        mode="text",
        textposition="middle right",
        cliponaxis=False,
        hoverinfo="skip",
        showlegend=False,
    )


def fit_bars(figure: Figure, *others: float | None) -> None:
    """Let the axis hold all bars with their texts, and other values that are marked in it."""
    low, top = _span([*(value for trace in figure.data for value in trace.x), *others])
    figure.update_xaxes(range=[low, low + 1.25 * (top - low)])


def dim_figure(count: int, height: int = HEIGHT) -> Figure:
    """A figure with an axis of dims, counted from 1. While there is room every one is named."""
    figure = empty_figure(height)
    ticks = [*range(0, count, max(1, count // 16))]
    figure.update_xaxes(tickvals=ticks, ticktext=[str(tick + 1) for tick in ticks], range=[-0.6, count - 0.4])
    figure.update_xaxes(title_text="dim", showgrid=False, zeroline=False)
    return figure


def add_columns(
    figure: Figure, values: Sequence[float], dims: Sequence[int], colour: str, name: str, legend: bool = True
) -> None:
    """A column for some of the dims of a `dim_figure`. values: of all dims."""
    figure.add_bar(
        x=[*dims],
        y=[finite(values[dim]) for dim in dims],
        marker_color=colour,
        name=name,
        showlegend=legend,
        hovertemplate="%{y:.4f}<extra></extra>",
    )


def add_columns_by_use(figure: Figure, values: Sequence[float], active: Sequence[bool]) -> None:
    """A column for each dim; active ones in the model's colour, others grey. All in one where `active` is unknown."""
    figure.update_layout(barmode="overlay")
    if len(active) != len(values):
        add_columns(figure, values, range(len(values)), MODEL, "dims", legend=False)
        return
    for wanted, colour, name in ((True, MODEL, "active"), (False, QUIET, "inactive")):
        dims = [dim for dim, used in enumerate(active) if used == wanted]
        add_columns(figure, values, dims, colour, f"{len(dims)} {name}")


def fit_columns(figure: Figure, *others: float | None) -> None:
    """Let the axis hold all columns, and other values that are marked in it."""
    low, top = _span([*(value for trace in figure.data for value in trace.y), *others])
    room = 0.06 * (top - low)
    figure.update_yaxes(range=[low - room if low < 0 else 0, top + room])


def mark(figure: Figure, axis: Literal["x", "y"], value: float | None, name: str) -> None:
    """A dashed line across the plot where `axis` is `value`, which the legend explains."""
    if finite(value) is None:
        return
    line = {"color": REFERENCE, "dash": "dash", "width": 1.5}
    draw = figure.add_vline if axis == "x" else figure.add_hline
    draw(**{axis: value}, line=line)
    figure.add_scatter(x=[None], y=[None], mode="lines", line=line, name=f"{name} {number(value)}", showlegend=True)


def finite(value: float | None) -> float | None:
    """The value, or None where there is nothing to draw."""
    return value if value is not None and np.isfinite(value) else None


def _span(values: Sequence[float | None]) -> tuple[float, float]:
    """Lowest and highest of the values and 0, never equal."""
    known = [0.0, *(value for value in values if finite(value) is not None)]
    return min(known), max(known) if max(known) > min(known) else 1.0
