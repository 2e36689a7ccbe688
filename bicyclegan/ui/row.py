"""Numbers of a row of Compare's table: how far its pictures are from each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from bicyclegan.metrics.distance import best_distance
from bicyclegan.metrics.spread import mean_distance, pairwise_distances
from bicyclegan.sketch import Sketch
from bicyclegan.ui.model_facts import metric_label
from bicyclegan.ui.studio import Studio


@dataclass(frozen=True, eq=False)
class Row:
    """N pictures of one sketch and their distances."""

    images: list[Image.Image]
    distances: np.ndarray
    """(N, N), of each picture to each other one."""
    metric: str
    """What it was measured by, as people say it: LPIPS, or RGB where nothing better is here."""

    @property
    def mean(self) -> float:
        """Over all pairs; 0 where there is none."""
        return mean_distance(self.distances)


def measure_row(studio: Studio, name: str, sketch: Sketch, codes: np.ndarray) -> Row:
    """Paint (N, latent_dim) codes as far as they were not seen lately, and measure. Raises `UserError`."""
    images = studio.look(name, sketch, codes)
    distance = best_distance()
    with studio.beside.turn():
        return Row(images, pairwise_distances(images, distance), metric_label(distance.name))
