"""What all tabs share: the checkpoints, the pipelines that are loaded, and one lane for computing."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image

from bicyclegan.checkpoints import list_checkpoints, load_examples
from bicyclegan.config import DEFAULT_CHECKPOINT
from bicyclegan.errors import UserError
from bicyclegan.latent import sample_codes
from bicyclegan.pipeline import Pipeline
from bicyclegan.recipe import Recipe
from bicyclegan.sketch import Sketch
from bicyclegan.ui.settings import Settings

MAX_LOADED = 3
"""Pipelines kept in memory; the one unused for longest goes first."""
GPU_SECONDS = 15
"""What one request may take on a Space's shared GPU."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Painting:
    """Photos of one sketch and where they came from."""

    images: list[Image.Image]
    """RGB, one for each code."""
    raster: np.ndarray
    """The sketch as the model saw it, uint8."""
    checkpoint: str
    hash: str
    sketch: Sketch
    z: np.ndarray
    """(N, latent_dim) float32."""
    seed: int
    truncation: float

    def recipe(self, index: int) -> Recipe:
        """All that rebuilds picture `index` to the same pixels."""
        return Recipe(self.checkpoint, self.hash, self.sketch, self.z, index, self.seed, self.truncation)


class Studio:
    """Loaded pipelines, shared by all visitors. Everything of one visitor stays in that visitor's browser."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self._pipelines: OrderedDict[str, Pipeline] = OrderedDict()
        self._loading = Lock()
        self._lane = Lock()
        self._render = on_gpu(self._render_here)

    @property
    def names(self) -> list[str]:
        """Checkpoints that can be chosen now, the default one first."""
        found = [folder.name for folder in list_checkpoints(self.settings.checkpoints)]
        return sorted(found, key=lambda name: (name != DEFAULT_CHECKPOINT, name))

    def folder(self, name: str) -> Path:
        """The folder of a listed checkpoint. Names come from browsers: anything not listed is refused."""
        if name not in self.names and name not in self._pipelines:
            raise UserError(
                "checkpoint_gone",
                "The checkpoint {name!r} is not there any more. Choose another: {available}.",
                name=name,
                available=", ".join(self.names) or "none",
            )
        return self.settings.checkpoints / name

    def pipeline(self, name: str) -> Pipeline:
        """A pipeline, loaded at its first use. One that is loaded works on when its folder vanishes."""
        with self._loading:
            if name not in self._pipelines:
                self._pipelines[name] = Pipeline.from_pretrained(self.folder(name), device=self.settings.device)
                while len(self._pipelines) > MAX_LOADED:
                    self._pipelines.popitem(last=False)
            self._pipelines.move_to_end(name)
            return self._pipelines[name]

    def examples(self, name: str) -> list[Sketch]:
        """A checkpoint's examples. A damaged file costs its examples, not the studio."""
        try:
            return load_examples(self.folder(name))
        except UserError as error:
            log.warning("no examples for %s: %s", name, error)
            return []

    def paint(self, name: str, sketch: Sketch, count: int, seed: int, truncation: float) -> Painting:
        """Photos of a sketch. Requests queue here, so that none slows the others down by sharing two cores."""
        pipe = self.pipeline(name)
        codes = sample_codes(seed, count, pipe.config.model.latent_dim, truncation=truncation)
        with self._lane:
            images, raster = self._render(name, sketch, codes)
        return Painting(images, raster, pipe.config.name, pipe.hash, sketch, codes, seed, truncation)

    def warm_up(self) -> None:
        """Load the default checkpoint and paint once, so that the first stroke is as fast as the next."""
        self.pipeline(self.names[0])
        if not on_space():  # a shared GPU is lent to requests only
            self.paint(self.names[0], Sketch(), count=8, seed=0, truncation=1.0)

    def _render_here(self, name: str, sketch: Sketch, codes: np.ndarray) -> tuple[list[Image.Image], np.ndarray]:
        # Plain values in and out: on a shared GPU this runs in another process.
        prepared = self.pipeline(name).prepare(sketch)
        return prepared.render(codes).images, prepared.raster


def on_space() -> bool:
    """Whether this is a Hugging Face Space."""
    return "SPACE_ID" in os.environ


def on_gpu(function: Callable) -> Callable:
    """On a Space with a shared GPU, run `function` where the GPU is; elsewhere, `function` itself."""
    if not on_space():
        return function
    import spaces

    return spaces.GPU(duration=GPU_SECONDS)(function)
