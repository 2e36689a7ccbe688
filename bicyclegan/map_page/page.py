"""The map as one HTML file that asks no network for anything; the same map gives the same bytes."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bicyclegan.files import write_atomic
from bicyclegan.map_page.code_set import CodeSet
from bicyclegan.map_page.colourings import Colouring, colourings
from bicyclegan.metrics import report
from bicyclegan.metrics.chart_parts import GRID, INK, MUTED, PAGE, PALETTE, QUIET
from bicyclegan.metrics.page_parts import page_environment, page_json, plotly_js, read_static, security_policy
from bicyclegan.metrics.posterior import MIN_PHOTOS, PosteriorReport
from bicyclegan.metrics.reading import NAME_LENGTH, plain
from bicyclegan.projection import CodeMap, Method
from bicyclegan.training.code_history import history_coords

STATIC = Path(__file__).parent / "static"
RINGS = (1, 2)
"""Standard deviations of random codes that a flat map of PCA shows."""
ROOM = 0.05
"""Around all points, as a share of their extent."""
DIGITS = 4
"""Of a coordinate, counted from the extent of the map."""
PHOTO_NAME = 120
"""Characters of a photo's name that are shown."""
METHODS: dict[Method, str] = {"pca": "PCA", "umap": "UMAP", "tsne": "t-SNE"}
DRAWN = {"ink": INK, "muted": MUTED, "grid": GRID, "page": PAGE, "prior": QUIET}
THEMES = {"light": DRAWN, "dark": {name: PALETTE[colour] for name, colour in DRAWN.items()}}
"""Colours of what is drawn beside the photos."""
READINGS = {
    "kl": "What codes tell",
    "active_dims": "Dims in use",
    "mean": "Centre",
    "variance": "Spread",
    "distance": "Distance from the prior",
    "overlap": "Overlap with the prior",
    "modes": "Groups",
    "correlation": "Dims that say the same",
}
"""What the readings are called; one of another name is called by that."""


@dataclass(frozen=True, eq=False)
class MapPage:
    """What the page shows."""

    codes: CodeSet
    map: CodeMap
    readings: PosteriorReport | None
    """None for too few photos."""


def write_map(path: Path, page: MapPage) -> None:
    """Write the page into a file, in one step."""
    write_atomic(path, render_map(page).encode("utf-8"))


def render_map(page: MapPage) -> str:
    """The page as text."""
    codes = page.codes
    choices = colourings(codes.mu, codes.logvar, codes.names, codes.colours)
    scripts = [plotly_js(), read_static(STATIC / "map.js")]
    template = page_environment(STATIC).get_template("map.html")
    return template.render(
        name=plain(codes.name, NAME_LENGTH) or "unnamed",
        method=METHODS[page.map.settings.method],
        dims=page.map.settings.dims,
        kept=kept_by_method(page.map),
        facts=facts(page),
        choices=choices,
        rings=_has_rings(page.map),
        moments=0 if codes.history is None else len(codes.history.steps),
        skipped=codes.history.skipped if codes.history else 0,
        sprite=_sprite(codes),
        readings=page.readings,
        titles=READINGS,
        least=MIN_PHOTOS,
        data=page_data(page, choices),
        css=read_static(report.STATIC / "report.css") + read_static(STATIC / "map.css"),
        scripts=scripts,
        policy=security_policy(scripts),
    )


def kept_by_method(code_map: CodeMap) -> str:
    """What the method keeps of the codes, and what it does not."""
    if code_map.pca is not None:
        dims = min(code_map.settings.dims, code_map.codes.shape[1])
        share = 100 * float(code_map.pca.shares[:dims].sum())
        return (
            f"PCA is an exact shadow of the codes along the {dims} directions in which they differ most: {share:.0f} % "
            "of their spread. Points that are far apart are different; points that touch may still differ in what "
            "lies across the map."
        )
    return (
        f"{METHODS[code_map.settings.method]} keeps neighbours only: points that touch have similar codes. Distances "
        "between groups, their sizes and the directions of the map mean nothing. Random codes were laid out together "
        "with those of photos, or they would have no place on it."
    )


def facts(page: MapPage) -> list[tuple[str, str]]:
    """What the map is of: a word and what holds."""
    codes, settings = page.codes, page.map.settings
    rows = [
        ("photos", f"{len(codes.names):,}"),
        ("random codes", f"{len(page.map.prior):,}"),
        ("latent dim", str(codes.mu.shape[1])),
    ]
    rows += [
        (name.replace("_", " "), f"{value:g}")
        for name, value in settings.used.items()
        if name not in ("method", "dims")
    ]
    if codes.history is not None:
        rows.append(("steps", f"{codes.history.steps[0]:,} to {codes.history.steps[-1]:,}"))
    if codes.hash:
        rows.append(("checkpoint hash", codes.hash[:12]))
    return rows


def page_data(page: MapPage, choices: Sequence[Colouring]) -> str:
    """What the page's script needs, as JSON that can stand in a page."""
    codes, code_map = page.codes, page.map
    moments = code_map.coords[None] if codes.history is None else history_coords(codes.history, code_map.settings.dims)
    everything = np.concatenate([*moments, code_map.prior_coords]).astype(np.float64)
    low, high = everything.min(axis=0), everything.max(axis=0)
    extent = max(float((high - low).max()), 1e-9)
    ranges = np.stack([low - ROOM * extent, high + ROOM * extent], axis=1)
    tiles = codes.tiles
    return page_json(
        {
            "names": [plain(name, PHOTO_NAME) or "unnamed" for name in codes.names],
            "moments": [_columns(each, extent) for each in moments],
            "prior": _columns(code_map.prior_coords, extent),
            "ranges": _rounded(ranges, extent),
            "axes": _axes(code_map),
            "centre": _rounded(code_map.pca.transform(np.zeros((1, code_map.codes.shape[1])), 2)[0], extent)
            if _has_rings(code_map)
            else None,
            "rings": RINGS,
            "steps": [] if codes.history is None else codes.history.steps.tolist(),
            "tiles": {"columns": tiles.columns, "size": tiles.size, "places": tiles.places} if tiles else None,
            "colourings": [choice.to_json() for choice in choices],
            "themes": THEMES,
        }
    )


def _axes(code_map: CodeMap) -> list[str]:
    """Titles of the axes; empty where they mean nothing."""
    if code_map.pca is None:
        return [""] * code_map.settings.dims
    shares = [*code_map.pca.shares, 0.0, 0.0]
    first = "first direction" if code_map.settings.dims == 2 else "first"  # axes in space are short
    words = (first, "second", "third")[: code_map.settings.dims]
    return [f"{word}, {100 * share:.0f} %" for word, share in zip(words, shares, strict=False)]


def _has_rings(code_map: CodeMap) -> bool:
    """Random codes are round on a flat shadow, and there alone."""
    return code_map.pca is not None and code_map.settings.dims == 2 and code_map.codes.shape[1] >= 2


def _columns(coords: np.ndarray, extent: float) -> list[list[float]]:
    """(N, dims) -> dims lists of N."""
    return _rounded(coords.T, extent)


def _rounded(values: np.ndarray, extent: float) -> list[Any]:
    decimals = int(np.clip(DIGITS - np.floor(np.log10(extent)), 0, 12))
    return np.round(values.astype(np.float64), decimals).tolist()


def _sprite(codes: CodeSet) -> str:
    """As a data URL; empty where there are no thumbnails."""
    return "data:image/webp;base64," + base64.b64encode(codes.tiles.sprite).decode() if codes.tiles else ""
