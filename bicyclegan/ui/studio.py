"""What all tabs share: the checkpoints, the pipelines that are loaded, and one lane for computing."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image

from bicyclegan.checkpoints import list_checkpoints, load_examples
from bicyclegan.config import DEFAULT_CHECKPOINT
from bicyclegan.errors import UserError
from bicyclegan.latent import sample_codes
from bicyclegan.pipeline import Pipeline, PreparedSketch
from bicyclegan.recipe import Recipe
from bicyclegan.sheet import SheetRecipe, SheetRow
from bicyclegan.sketch import Sketch
from bicyclegan.sketch.kind import describe_sketches
from bicyclegan.ui.memory import give_back_memory
from bicyclegan.ui.settings import Settings

MAX_LOADED = 3
"""Pipelines kept in memory; the one unused for longest goes first."""
MAX_PREPARED = 24
"""Sketches of a pipeline whose part that all codes share is kept: it takes three times as long as one picture."""
TRIM_EVERY = 200
"""Pictures after which free memory is given back; that takes 2 to 5 ms."""
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
    seed: int | None = None
    """Where z came from; None when codes were given."""
    truncation: float | None = None

    def recipe(self, index: int) -> Recipe:
        """All that rebuilds picture `index` to the same pixels."""
        return Recipe(self.checkpoint, self.hash, self.sketch, self.z, index, self.seed, self.truncation)


@dataclass(frozen=True)
class Loaded:
    """A pipeline and the sketches it met last."""

    pipe: Pipeline
    prepared: OrderedDict[Sketch, PreparedSketch]

    def prepare(self, sketch: Sketch) -> PreparedSketch:
        """A sketch made ready once, however often it is painted. One thread at a time: the studio's lane."""
        if sketch not in self.prepared:
            self.prepared[sketch] = self.pipe.prepare(sketch)
            while len(self.prepared) > MAX_PREPARED:
                self.prepared.popitem(last=False)
        self.prepared.move_to_end(sketch)
        return self.prepared[sketch]


class Studio:
    """Loaded pipelines, shared by all visitors. Everything of one visitor stays in that visitor's browser."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self._loading = Lock()
        self._lane = Lock()
        self._untrimmed = 0
        self._render = on_gpu(self._render_here)
        self._encode = on_gpu(self._encode_here)

    @property
    def names(self) -> list[str]:
        """Checkpoints that can be chosen now, the default one first."""
        found = [folder.name for folder in list_checkpoints(self.settings.checkpoints)]
        return sorted(found, key=lambda name: (name != DEFAULT_CHECKPOINT, name))

    def folder(self, name: str) -> Path:
        """The folder of a listed checkpoint. Names come from browsers: anything not listed is refused."""
        if name not in self.names and name not in self._loaded:
            raise UserError(
                "checkpoint_gone",
                "The checkpoint {name!r} is not there any more. Choose another: {available}.",
                name=name,
                available=", ".join(self.names) or "none",
            )
        return self.settings.checkpoints / name

    def pipeline(self, name: str) -> Pipeline:
        """A pipeline, loaded at its first use. One that is loaded works on when its folder vanishes."""
        return self._load(name).pipe

    def _load(self, name: str) -> Loaded:
        with self._loading:
            if name not in self._loaded:
                pipe = Pipeline.from_pretrained(self.folder(name), device=self.settings.device)
                self._loaded[name] = Loaded(pipe, OrderedDict())
                while len(self._loaded) > MAX_LOADED:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(name)
            return self._loaded[name]

    def examples(self, name: str) -> list[Sketch]:
        """A checkpoint's examples. A damaged file costs its examples, not the studio."""
        try:
            return load_examples(self.folder(name))
        except UserError as error:
            log.warning("no examples for %s: %s", name, error)
            return []

    def paint(self, name: str, sketch: Sketch, count: int, seed: int, truncation: float) -> Painting:
        """Photos of a sketch in random styles."""
        dim = self.pipeline(name).config.model.latent_dim
        codes = sample_codes(seed, count, dim, truncation=truncation)
        return replace(self.paint_codes(name, sketch, codes), seed=seed, truncation=truncation)

    def paint_codes(self, name: str, sketch: Sketch, codes: np.ndarray) -> Painting:
        """Photos of a sketch, one for each of (N, latent_dim) codes.

        Requests queue here, so that none slows the others down by sharing two cores.
        """
        pipe = self.pipeline(name)
        with self._lane:
            images, raster = self._render(name, sketch, codes)
            self._untrimmed += len(images)
            if self._untrimmed >= TRIM_EVERY:
                self._untrimmed = 0
                give_back_memory()
        return Painting(images, raster, pipe.config.name, pipe.hash, sketch, codes)

    def sheet_row(self, name: str, sketch: Sketch) -> SheetRow:
        """A row of a sheet: this sketch, painted by this checkpoint."""
        pipe = self.pipeline(name)
        return SheetRow(pipe.config.name, pipe.hash, sketch)

    def paint_sheet(self, names: list[str], recipe: SheetRecipe) -> list[Painting]:
        """A painting for each row of a sheet; names: of the rows' checkpoints. Others come in between the rows."""
        return [self.paint_codes(name, row.sketch, recipe.z) for name, row in zip(names, recipe.rows, strict=True)]

    def read_style(self, name: str, photo: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
        """A photo's code (latent_dim,) and its edges, None for a model of label maps."""
        with self._lane:
            code = self._encode(name, photo)
        pipe = self.pipeline(name)
        return code, pipe.edges(photo) if pipe.config.edge_style else None

    def read_drawing(self, name: str, picture: Image.Image) -> Sketch:
        """A picture as a drawing: lines are taken as they are, of anything else the edges."""
        pipe = self.pipeline(name)
        if pipe.config.edge_style is None or describe_sketches([np.asarray(picture)]).kind == "lines":
            return pipe.prepare(picture).sketch
        return Sketch.from_raster(pipe.edges(picture))

    def warm_up(self) -> None:
        """Load the default checkpoint and paint once, so that the first stroke is as fast as the next."""
        self.pipeline(self.names[0])
        if not on_space():  # a shared GPU is lent to requests only
            self.paint(self.names[0], Sketch(), count=8, seed=0, truncation=1.0)

    def _render_here(self, name: str, sketch: Sketch, codes: np.ndarray) -> tuple[list[Image.Image], np.ndarray]:
        # Plain values in and out: on a shared GPU this runs in another process.
        prepared = self._load(name).prepare(sketch)
        return prepared.render(codes).images, prepared.raster

    def _encode_here(self, name: str, photo: Image.Image) -> np.ndarray:
        return self.pipeline(name).encode(photo)[0]


def on_space() -> bool:
    """Whether this is a Hugging Face Space."""
    return "SPACE_ID" in os.environ


def on_gpu(function: Callable) -> Callable:
    """On a Space with a shared GPU, run `function` where the GPU is; elsewhere, `function` itself."""
    if not on_space():
        return function
    import spaces

    return spaces.GPU(duration=GPU_SECONDS)(function)
