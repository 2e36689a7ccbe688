"""How different the pictures of one row are: pair by pair, on average, and where in the picture."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bicyclegan.images import to_float
from bicyclegan.metrics.chart_parts import empty_figure
from bicyclegan.metrics.distance import BACKBONES, BATCH, LPIPS_VERSION, Distance, lpips_network

if TYPE_CHECKING:
    import lpips
    from plotly.graph_objects import Figure

Pictures: TypeAlias = "Sequence[Image.Image] | Tensor"
"""N pictures of one size: from PIL, or float (N, 3, H, W) in [-1, 1]."""

FULL_VARIATION = 0.3
"""Standard deviation from which on the colour is the brightest: of levels spread evenly from 0 to 1 it is 0.29."""
FIGURE_HEIGHT = 320
MAX_NUMBERED = 8
"""Pictures up to which each cell of a figure has room for its number."""
TEXT = "#8891a5"
"""Reads well on a light page and on a dark one: a figure in the studio does not know which it is on."""


def pairwise_distances(images: Pictures, distance: Distance) -> np.ndarray:
    """Distance of each picture to each other one; every pair is measured once.

    Args:
        images: N of them, at least 1.

    Returns:
        (N, N) float64, symmetric, zeros on the diagonal. Entries are those of `distance.measure`.
    """
    pictures = _as_tensor(images)
    pairs = list(combinations(range(len(pictures)), 2))
    matrix = np.zeros((len(pictures), len(pictures)))
    if not pairs:
        return matrix
    first, second = map(list, zip(*pairs, strict=True))
    net = next((net for net in BACKBONES if distance.name == f"lpips_{net}_v{LPIPS_VERSION}"), None)
    if net:
        measured = _lpips_of_pairs(lpips_network(net), pictures, first, second)
    else:
        parts = zip(_chunks(first), _chunks(second), strict=True)
        measured = torch.cat([distance.measure(pictures[some], pictures[others]) for some, others in parts])
    matrix[first, second] = matrix[second, first] = measured.double().numpy()
    return matrix


def mean_distance(matrix: np.ndarray) -> float:
    """Mean over all pairs of an (N, N) matrix of distances; 0 where there is one picture and so no pair."""
    pairs = matrix[np.triu_indices(len(matrix), k=1)]
    return float(pairs.mean()) if pairs.size else 0.0


def variation_map(images: Pictures) -> np.ndarray:
    """Where pictures differ: (H, W) float32, standard deviation of each pixel over them, mean over channels.

    In units of [0, 1], so that 0 is equal everywhere and 0.5 the most there can be.
    """
    levels = (_as_tensor(images) + 1) / 2
    return levels.std(dim=0, correction=0).mean(dim=0).numpy()


def variation_picture(variation: np.ndarray) -> Image.Image:
    """(H, W) of `variation_map` in even colours (viridis): dark where pictures are equal.

    The scale is fixed at `FULL_VARIATION`: two rows can be compared.
    """
    import cv2

    levels = (255 * (variation / FULL_VARIATION).clip(0, 1)).round().astype(np.uint8)
    return Image.fromarray(cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB))


def distance_figure(matrix: np.ndarray, labels: Sequence[str], metric_name: str) -> Figure:
    """Heat map of an (N, N) matrix of distances, one label a picture. It does not zoom or drag."""
    count = len(matrix)
    assert matrix.shape == (count, count) == (len(labels), len(labels)), (matrix.shape, len(labels))
    figure = empty_figure(FIGURE_HEIGHT)
    texts = [
        [f"{value:.2f}" if row != column else "" for column, value in enumerate(values)]
        for row, values in enumerate(matrix)
    ]
    figure.add_heatmap(
        z=matrix,
        zmin=0,
        zmax=max(float(matrix.max()), 1e-6),  # an axis of no length has no colours
        colorscale="Viridis",
        text=texts if count <= MAX_NUMBERED else None,
        texttemplate="%{text}" if count <= MAX_NUMBERED else None,
        xgap=1,
        ygap=1,
        showscale=count > MAX_NUMBERED,  # numbers say more, and it would stand far from a square
        hovertemplate="%{y} · %{x}: %{z:.4f}<extra></extra>",
        colorbar={"title": {"text": html.escape(metric_name, quote=False), "side": "right"}, "thickness": 10},
    )
    ticks = {
        "tickvals": [*range(count)],
        "ticktext": [html.escape(label, quote=False) for label in labels],
        "ticks": "",
    }
    look = {"showgrid": False, "zeroline": False, "showline": False, "constrain": "domain"}
    figure.update_xaxes(**ticks, **look)
    figure.update_yaxes(**ticks, **look, scaleanchor="x", autorange="reversed")
    figure.update_layout(font_color=TEXT, margin={"l": 8, "r": 8, "t": 8, "b": 8})
    return figure


def _as_tensor(images: Pictures) -> Tensor:
    """Float (N, 3, H, W) in [-1, 1] on the CPU."""
    assert len(images) > 0, "a row has at least one picture"
    if isinstance(images, Tensor):
        return images.detach().cpu().float()
    return to_float(np.stack([np.asarray(image.convert("RGB")) for image in images]))


def _chunks(indices: list[int]) -> Iterator[list[int]]:
    return (indices[start : start + BATCH] for start in range(0, len(indices), BATCH))


@torch.no_grad()
def _lpips_of_pairs(network: lpips.LPIPS, pictures: Tensor, first: list[int], second: list[int]) -> Tensor:
    """LPIPS of pictures (N, 3, H, W) at two times P indices: (P,).

    The network itself would find the features of a picture again for every pair that it is in.
    """
    from lpips import normalize_tensor

    parts = [network.net(network.scaling_layer(part)) for part in pictures.split(BATCH)]
    total = torch.zeros(len(first))
    for layer, weigh in enumerate(network.lins):
        features = normalize_tensor(torch.cat([part[layer] for part in parts]))  # (N, C, h, w)
        differences = ((features[a] - features[b]).square()[None] for a, b in zip(first, second, strict=True))
        total += torch.stack([weigh(difference).mean() for difference in differences])
    return total
