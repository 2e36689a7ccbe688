"""Numbers and pictures of a row: every pair once, as the distance itself would say, and where pictures differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from bicyclegan.metrics.distance import DISTANCES, RGB, Distance, lpips_network
from bicyclegan.metrics.spread import (
    FULL_VARIATION,
    distance_figure,
    mean_distance,
    pairwise_distances,
    variation_map,
    variation_picture,
)


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(5, 3, 64, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1


# Distances


def test_entries_are_the_distances_of_pairs() -> None:
    levels = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1).expand(3, 3, 8, 8)
    matrix = pairwise_distances(levels, RGB)
    assert matrix.dtype == np.float64
    assert matrix.tolist() == [[0, 0.5, 1], [0.5, 0, 0.5], [1, 0.5, 0]]


def test_every_pair_is_measured_once(pictures: Tensor) -> None:
    row, seen = torch.cat([pictures, -pictures]), []

    def measure(x: Tensor, y: Tensor) -> Tensor:
        seen.extend(zip(x[:, 0, 0, 0].tolist(), y[:, 0, 0, 0].tolist(), strict=True))
        return RGB.measure(x, y)

    matrix = pairwise_distances(row, replace(RGB, measure=measure))
    assert len(seen) == len({frozenset(pair) for pair in seen}) == 45
    assert np.array_equal(matrix, matrix.T)
    assert (matrix.diagonal() == 0).all()
    assert matrix[2, 7] == pytest.approx(RGB.measure(row[2:3], row[7:8]).item())


@pytest.mark.parametrize("distance", DISTANCES, ids=[distance.name for distance in DISTANCES])
def test_a_short_cut_says_what_the_distance_says(distance: Distance, pictures: Tensor, lpips_weights: None) -> None:
    first, second = np.triu_indices(5, k=1)
    expected = distance.measure(pictures[first], pictures[second])
    matrix = pairwise_distances(pictures, distance)
    assert np.abs(matrix[first, second] - expected.numpy()).max() < 1e-6
    assert np.array_equal(matrix, matrix.T)
    assert matrix[first, second].min() > 0.01


@pytest.mark.parametrize("distance", DISTANCES[:2], ids=[distance.name for distance in DISTANCES[:2]])
def test_features_are_found_once_a_picture(distance: Distance, pictures: Tensor, lpips_weights: None) -> None:
    network = lpips_network(distance.name.split("_")[1])
    seen: list[int] = []
    handle = network.net.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    try:
        pairwise_distances(pictures, distance)
    finally:
        handle.remove()
    assert sum(seen) == 5


def test_pictures_may_come_from_pil(pictures: Tensor) -> None:
    levels = np.random.RandomState(0).randint(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    tensor = torch.from_numpy(levels).permute(0, 3, 1, 2) / 127.5 - 1
    images = [Image.fromarray(picture) for picture in levels]
    assert np.array_equal(pairwise_distances(images, RGB), pairwise_distances(tensor, RGB))
    assert np.array_equal(variation_map(images), variation_map(tensor))


def test_one_picture_has_no_pair(pictures: Tensor) -> None:
    matrix = pairwise_distances(pictures[:1], RGB)
    assert matrix.tolist() == [[0]]
    assert mean_distance(matrix) == 0.0


def test_the_mean_leaves_the_diagonal_out() -> None:
    assert mean_distance(np.array([[0, 1, 2], [1, 0, 6], [2, 6, 0.0]])) == 3.0


# Where they differ


def test_variation_is_the_standard_deviation_of_levels() -> None:
    pictures = torch.zeros(4, 3, 2, 3)
    pictures[:2, :, 0, 1] = 1
    pictures[2:, :, 0, 1] = -1  # half black, half white
    pictures[:2, 0, 1, 2] = 1
    pictures[2:, 0, 1, 2] = -1  # in one channel of three
    variation = variation_map(pictures)
    assert variation.shape == (2, 3)
    assert variation == pytest.approx(np.array([[0, 0.5, 0], [0, 0, 0.5 / 3]]))
    assert not variation_map(pictures[:1]).any()


def test_more_variation_is_brighter() -> None:
    steps = np.linspace(0, FULL_VARIATION, 16)
    picture = variation_picture(np.stack([steps, steps + FULL_VARIATION]))
    assert (picture.mode, picture.size) == ("RGB", (16, 2))
    light = np.asarray(picture.convert("L")).astype(int)
    assert (np.diff(light[0]) > 0).all()
    assert (light[1] == light[0, -1]).all()
    red, _, blue = picture.getpixel((15, 0))
    assert red > 200 > blue  # yellow: channels are in their order


# The figure


def test_the_figure_is_square_and_holds_still() -> None:
    matrix = np.array([[0, 0.25], [0.25, 0]])
    figure = distance_figure(matrix, ["1", "<b>2"], "LPIPS <v0.1>")
    [heat] = figure.data
    assert np.array_equal(heat.z, matrix)
    assert [list(row) for row in heat.text] == [["", "0.25"], ["0.25", ""]]
    assert (heat.zmin, heat.zmax) == (0, 0.25)
    assert heat.colorbar.title.text == "LPIPS &lt;v0.1&gt;"
    assert list(figure.layout.xaxis.ticktext) == list(figure.layout.yaxis.ticktext) == ["1", "&lt;b&gt;2"]
    assert figure.layout.yaxis.scaleanchor == "x"
    assert figure.layout.yaxis.autorange == "reversed"
    assert figure.layout.xaxis.fixedrange and figure.layout.yaxis.fixedrange
    assert figure.layout.dragmode is False
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"


def test_many_cells_have_no_room_for_numbers() -> None:
    assert distance_figure(np.zeros((8, 8)), ["a"] * 8, "RGB").data[0].texttemplate
    assert not distance_figure(np.zeros((9, 9)), ["a"] * 9, "RGB").data[0].texttemplate


def test_equal_pictures_have_a_scale_too() -> None:
    heat = distance_figure(np.zeros((2, 2)), ["a", "b"], "RGB").data[0]
    assert heat.zmax > heat.zmin
