"""What all tabs share: the checkpoints, the pipelines that are loaded, and the lanes for computing."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import re
from array import array
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image

from bicyclegan.checkpoints import list_checkpoints, load_card, load_config, load_examples
from bicyclegan.config import DEFAULT_CHECKPOINT, LATENTS_FILE, EdgeStyle
from bicyclegan.errors import UserError
from bicyclegan.images import fit_square
from bicyclegan.latent import sample_codes
from bicyclegan.latents_file import Latents, load_latents
from bicyclegan.map_cache import MapCache
from bicyclegan.map_jobs import MapJobs
from bicyclegan.model_names import is_id, without_secret
from bicyclegan.model_store import ModelStore
from bicyclegan.pipeline import Pipeline, PreparedSketch, chunk_size
from bicyclegan.recipe import Recipe
from bicyclegan.sheet import SheetRecipe, SheetRow
from bicyclegan.sketch import Sketch
from bicyclegan.sketch.kind import is_line_drawing
from bicyclegan.style_search import ColourMatch, find_colour
from bicyclegan.training.jobs import Jobs
from bicyclegan.ui.kept import Kept
from bicyclegan.ui.lane import Lane
from bicyclegan.ui.memory import trimmer
from bicyclegan.ui.settings import Settings

MAX_LOADED = 3
"""Pipelines kept in memory; the one unused for longest goes first."""
MAX_PREPARED = 24
"""Sketches of a pipeline whose part that all codes share is kept: it takes three times as long as one picture."""
PORTION = 8
"""Pictures that one visitor paints before others have their turn."""
LOOK_BYTES = 24 << 20
"""Of pictures that were looked at last: five hundred of 128 px."""
PHOTO_BYTES = 4 << 20
"""Of codes and edges of photos that were read last."""
MAX_CARD = 50_000
"""Characters of a visitor's card that are shown."""
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


@dataclass
class Loaded:
    """A pipeline, the sketches it met last, and what was measured of it."""

    pipe: Pipeline
    prepared: OrderedDict[str, PreparedSketch] = field(default_factory=OrderedDict)
    """By `digest_of`, without their documents: one may take 30 MB, what the network made of it 0.5."""
    measured: tuple[int, Latents | None] | None = None
    """When the file was written, and what is in it."""

    def prepare(self, digest: str, sketch: Sketch) -> PreparedSketch:
        """A sketch made ready once, however often it is painted. One thread at a time: the studio's lane."""
        if digest not in self.prepared:
            self.prepared[digest] = replace(self.pipe.prepare(sketch), sketch=Sketch())
            while len(self.prepared) > MAX_PREPARED:
                self.prepared.popitem(last=False)
        self.prepared.move_to_end(digest)
        return self.prepared[digest]


class Studio:
    """Loaded pipelines, shared by all visitors. What belongs to one visitor stays in that visitor's browser.

    The last pictures and codes of photos are kept for whoever asks for the same again, by digests of what was asked.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self.beside = Lane()
        """For work of the CPU beside painting: edges, distances, films."""
        self.jobs = Jobs(settings.runs, device=training_device(settings.device), limit_bytes=settings.disk_bytes)
        """Runs of training, each a process of its own."""
        self.models = ModelStore(settings.models, device=settings.device, check_room=self.jobs.check_room)
        """Models of visitors: each is for those who know its id."""
        self.maps = MapJobs(MapCache(settings.cache))
        """For maps that take time, in a process beside this one."""
        self._lane = Lane()
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self._lock = Lock()
        self._loading: dict[str, Lock] = {}
        self._looked = Kept(LOOK_BYTES)
        self._photos = Kept(PHOTO_BYTES)
        self._render = on_gpu(self._render_here)
        self._encode = on_gpu(self._encode_here)
        self._encode_many = on_gpu(self._encode_many_here)
        self._search = on_gpu(self._search_here)

    # Checkpoints

    @property
    def names(self) -> list[str]:
        """Checkpoints that everybody can choose now, the default one first."""
        found = [folder.name for folder in list_checkpoints(self.settings.checkpoints)]
        return sorted(found, key=lambda name: (name != DEFAULT_CHECKPOINT, name))

    def folder(self, name: str) -> Path:
        """The folder of a listed checkpoint, or of a model whose id is known.

        Names come from browsers: anything else is refused.
        """
        names = self.names
        if name not in names and self.models.has(name):
            return self.models.folder(name)
        if name not in names and (is_id(name) or not (isinstance(name, str) and name in self._loaded)):
            raise UserError(
                "checkpoint_gone",
                "The checkpoint {name!r} is not there any more. Choose another: {available}.",
                name=without_secret(name) if isinstance(name, str) else name,
                available=", ".join(names) or "none",
            )
        return self.settings.checkpoints / name

    def label(self, name: str) -> str:
        """What people call a checkpoint: ids of models are for machines."""
        return load_config(self.models.folder(name)).name if self._is_own(name) else without_secret(name)

    def card(self, name: str) -> str:
        """A checkpoint's card. That of a model from anywhere gets no pictures and no HTML on the page."""
        card = load_card(self.folder(name))
        return plain_card(card) if self._is_own(name) else card

    def forget(self, name: str) -> None:
        """Load a model anew when it is asked for next: its folder has changed."""
        with self._lock:
            self._loaded.pop(name, None)

    def _is_own(self, name: object) -> bool:
        return self.models.has(name) and name not in self.names

    def pipeline(self, name: str) -> Pipeline:
        """A pipeline, loaded at its first use. One that is loaded works on when its folder vanishes."""
        return self._load(name).pipe

    def _load(self, name: str) -> Loaded:
        """Others load at the same time, but no two the same."""
        if loaded := self._known(name):
            return loaded
        folder = self.folder(name)
        with self._lock:
            lock = self._loading.setdefault(name, Lock())
        with lock:
            return self._known(name) or self._load_here(name, folder)

    def _known(self, name: str) -> Loaded | None:
        with self._lock:
            if not isinstance(name, str) or name not in self._loaded:
                return None
            self._loaded.move_to_end(name)
            return self._loaded[name]

    def _load_here(self, name: str, folder: Path) -> Loaded:
        loaded = Loaded(Pipeline.from_pretrained(folder, device=self.settings.device))
        with self._lock:
            self._loaded[name] = loaded
            while len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)
        return loaded

    def latents(self, name: str) -> Latents | None:
        """What `prepare` measured of these weights. An old or a damaged file costs its labels, not the studio."""
        loaded = self._load(name)
        written = _time_of(loaded.pipe.folder / LATENTS_FILE)
        if loaded.measured is None or loaded.measured[0] != written:
            loaded.measured = written, _measured(loaded.pipe)
        return loaded.measured[1]

    def examples(self, name: str) -> list[Sketch]:
        """A checkpoint's examples. A damaged file costs its examples, not the studio."""
        try:
            folder = self.folder(name)
            colours = len(load_config(folder).palette)
            return [each for each in load_examples(folder) if all(stroke.color < colours for stroke in each.strokes)]
        except UserError as error:
            log.warning("no examples for %s: %s", name, error)
            return []

    def warm_up(self) -> None:
        """Load the default checkpoint and paint once, so that the first stroke is as fast as the next."""
        self.pipeline(self.names[0])
        if not has_shared_gpu():  # it is lent to requests only
            self.paint(self.names[0], Sketch(), count=8, seed=0, truncation=1.0)

    # Painting

    def paint(self, name: str, sketch: Sketch, count: int, seed: int, truncation: float) -> Painting:
        """Photos of a sketch in random styles."""
        dim = self.pipeline(name).config.model.latent_dim
        codes = sample_codes(seed, count, dim, truncation=truncation)
        return replace(self.paint_codes(name, sketch, codes), seed=seed, truncation=truncation)

    def paint_codes(self, name: str, sketch: Sketch, codes: np.ndarray, again: bool = False) -> Painting:
        """Photos of a sketch, one for each of (N, latent_dim) codes.

        Requests queue here, so that none slows the others down by sharing two cores; after each portion the others
        have their turn. again: see `Lane.turn`.
        """
        pipe, digest = self.pipeline(name), digest_of(sketch)
        images: list[Image.Image] = []
        parts = portions(pipe, codes)
        for part in parts:
            self.pipeline(name)  # others may have driven it out meanwhile
            with self._lane.turn(again=again or bool(images), long=len(parts) > 1):
                painted, raster = self._render(name, digest, sketch, part)
                trimmer().count(len(painted))
            images += painted
        return Painting(images, raster, pipe.config.name, pipe.hash, sketch, codes)

    def look(self, name: str, sketch: Sketch, codes: np.ndarray, again: bool = False) -> list[Image.Image]:
        """Pictures of a sketch to look at, one for each of (N, latent_dim) codes: those not seen lately are painted.

        Sums depend on the batch: they may differ by a grey level from those that a recipe rebuilds. again: see
        `Lane.turn`.
        """
        pipe, digest = self.pipeline(name), digest_of(sketch)
        keys = [(pipe.hash, digest, code.tobytes()) for code in codes]
        pixels = {key: self._looked.get(key) for key in keys}
        missing = {key: code for key, code in zip(keys, codes, strict=True) if pixels[key] is None}
        if missing:
            painting = self.paint_codes(name, sketch, np.stack(list(missing.values())), again)
            self._looked.put((pipe.hash, digest), painting.raster)
            for key, image in zip(missing, painting.images, strict=True):
                pixels[key] = np.asarray(image)
                self._looked.put(key, pixels[key])
        # New pictures of the same pixels: one that several threads write to files at once breaks.
        return [Image.fromarray(pixels[key]) for key in keys]

    def seen(self, name: str, sketch: Sketch) -> np.ndarray:
        """The sketch as the model sees it, uint8."""
        pipe, digest = self.pipeline(name), digest_of(sketch)
        raster = self._looked.get((pipe.hash, digest))
        return pipe.rasterise(sketch)[1] if raster is None else raster

    def find_colour(self, name: str, sketch: Sketch, rgb: tuple[int, int, int], count: int) -> ColourMatch:
        """Codes that paint this sketch in a colour, nearest first. A shared GPU is asked for once."""
        pipe = self.pipeline(name)
        if has_shared_gpu():
            with self._lane.turn():
                return self._search(name, digest_of(sketch), sketch, rgb, count)
        turns = itertools.count()
        paint = lambda z: self.look(name, sketch, z, again=next(turns) > 0)  # noqa: E731
        return find_colour(paint, pipe.config.model.latent_dim, rgb, count)

    def sheet_row(self, name: str, sketch: Sketch) -> SheetRow:
        """A row of a sheet: this sketch, painted by this checkpoint."""
        pipe = self.pipeline(name)
        return SheetRow(pipe.config.name, pipe.hash, sketch)

    def paint_sheet(self, names: list[str], recipe: SheetRecipe) -> list[Painting]:
        """A painting for each row of a sheet; names: of the rows' checkpoints."""
        rows = enumerate(zip(names, recipe.rows, strict=True))
        return [self.paint_codes(name, row.sketch, recipe.z, again=k > 0) for k, (name, row) in rows]

    # Photos

    def read_style(self, name: str, photo: Image.Image, digest: str) -> tuple[np.ndarray, np.ndarray | None]:
        """A photo's code (latent_dim,) and its edges, None for a model of label maps. digest: of the photo's file."""
        pipe = self.pipeline(name)
        code = self._photos.get((pipe.hash, digest, "code"))
        if code is None:
            with self._lane.turn():
                code = self._encode(name, photo)
            self._photos.put((pipe.hash, digest, "code"), code)
        if pipe.config.edge_style is None:
            return code, None
        edges = self._photos.get((pipe.hash, digest, "edges"))
        if edges is None:
            edges = self.edges(name, photo)
            self._photos.put((pipe.hash, digest, "edges"), edges)
        return code, edges

    def encode_photos(self, name: str, photos: list[Image.Image], again: bool) -> tuple[np.ndarray, np.ndarray]:
        """mu and logvar of a few photos, (N, latent_dim) each. again: see `Lane.turn`."""
        self.pipeline(name)
        with self._lane.turn(again=again, long=True):
            return self._encode_many(name, photos)

    def read_drawing(self, name: str, picture: Image.Image) -> Sketch:
        """A picture as a drawing: lines are taken as they are, of anything else the edges."""
        pipe = self.pipeline(name)
        square = fit_square(picture, pipe.config.model.image_size)
        if pipe.config.edge_style is None or is_line_drawing(np.asarray(square)):
            with self.beside.turn():
                return pipe.rasterise(picture)[0]
        return Sketch.from_raster(self.edges(name, picture))

    def edges(self, name: str, photo: Image.Image | np.ndarray, style: EdgeStyle | None = None) -> np.ndarray:
        """`Pipeline.edges`, one visitor at a time."""
        pipe = self.pipeline(name)
        with self.beside.turn():
            return pipe.edges(photo, style)

    # Where the GPU is. Plain values in and out: on a Space's shared GPU this runs in another process.

    def _render_here(
        self, name: str, digest: str, sketch: Sketch, codes: np.ndarray
    ) -> tuple[list[Image.Image], np.ndarray]:
        prepared = self._loaded_here(name).prepare(digest, sketch)
        return prepared.render(codes).images, prepared.raster

    def _encode_here(self, name: str, photo: Image.Image) -> np.ndarray:
        return self._loaded_here(name).pipe.encode(photo)[0]

    def _encode_many_here(self, name: str, photos: list[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
        return self._loaded_here(name).pipe.encode_distribution(photos)

    def _search_here(
        self, name: str, digest: str, sketch: Sketch, rgb: tuple[int, int, int], count: int
    ) -> ColourMatch:
        loaded = self._loaded_here(name)
        prepared = loaded.prepare(digest, sketch)
        return find_colour(lambda z: prepared.render(z).images, loaded.pipe.config.model.latent_dim, rgb, count)

    def _loaded_here(self, name: str) -> Loaded:
        """Without a lock, which another thread may have held when this process was forked. As a rule it is loaded."""
        if name not in self._loaded:
            self._loaded[name] = Loaded(Pipeline.from_pretrained(self.folder(name), device=self.settings.device))
        return self._loaded[name]


def training_device(device: str) -> str:
    """cpu or cuda: where runs started here compute."""
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def plain_card(card: str) -> str:
    """Markdown without pictures and HTML, at most `MAX_CARD` characters: nothing of it makes a browser ask for more."""
    text = re.sub(r"<!--.*?-->|</?[A-Za-z!][^>]*>", "", card[:MAX_CARD], flags=re.DOTALL)
    return re.sub(r"!(?=\[)", "", text)


def digest_of(sketch: Sketch) -> str:
    """The same for equal sketches, and for them alone. A fraction of the time that their JSON takes."""
    digest = hashlib.sha256(f"{sketch.size} {sketch.raster}\n".encode())
    for stroke in sketch.strokes:
        look = (stroke.tool, stroke.width, stroke.color, stroke.mirror, len(stroke.points))
        digest.update(f"{look}\n".encode())
        digest.update(array("d", itertools.chain.from_iterable(stroke.points)).tobytes())
    return digest.hexdigest()


def portions(pipe: Pipeline, codes: np.ndarray) -> list[np.ndarray]:
    """Codes as they are painted in one turn. On a shared GPU all at once: there each turn is a queue of its own.

    They end where `Pipeline` ends a batch, so that a recipe, which holds all codes, rebuilds the same pixels.
    """
    chunk = chunk_size(pipe.config.model, pipe.device)
    size = len(codes) if has_shared_gpu() else chunk * max(1, PORTION // chunk)
    return [codes[start : start + size] for start in range(0, len(codes), size)]


def has_shared_gpu() -> bool:
    """Whether this is a Hugging Face Space that borrows a GPU for each call (ZeroGPU)."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def on_gpu(function: Callable) -> Callable:
    """On a Space with a shared GPU, run `function` where the GPU is; elsewhere, `function` itself."""
    if not has_shared_gpu():
        return function
    import spaces

    def returning_mistakes(*args):  # of what is raised there, only the name of its class comes back
        try:
            return function(*args)
        except UserError as error:
            return error

    lent = spaces.GPU(duration=GPU_SECONDS)(returning_mistakes)

    def call(*args):
        answer = lent(*args)
        if isinstance(answer, UserError):
            raise answer
        return answer

    return call


def _measured(pipe: Pipeline) -> Latents | None:
    try:
        latents = load_latents(pipe.folder, pipe.hash)
    except UserError as error:
        log.warning("no measurements of %s: %s", pipe.config.name, error)
        return None
    return None if latents is None or latents.stale else latents


def _time_of(path: Path) -> int:
    """When a file was changed last, in ns; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
