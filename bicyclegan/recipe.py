"""Recipes: what made a picture, kept inside its PNG, enough to rebuild the same pixels."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bicyclegan.errors import UserError, shortened
from bicyclegan.latent import MAX_SEED, check_codes, check_integer
from bicyclegan.sketch import Sketch

if TYPE_CHECKING:
    from PIL import Image

    from bicyclegan.pipeline import Pipeline
    from bicyclegan.sheet import SheetRecipe

KEY = "bicyclegan"
"""Name of the PNG text chunk."""
RECIPE_VERSION = 1
MAX_RECIPE_BYTES = 64 << 20
"""Largest PNG that is searched for a recipe."""
MAX_PIXELS = 40_000_000
"""Largest sheet; no model makes a single picture of that size."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Recipe:
    """One picture's origin. Floating-point sums depend on the batch, so the whole batch of codes is kept."""

    checkpoint: str
    """Name of the checkpoint."""
    checkpoint_hash: str
    """Its `content_hash`."""
    sketch: Sketch
    """What was drawn."""
    z: np.ndarray
    """(N, latent_dim) float32: all codes of the batch."""
    index: int
    """Which of them made this picture."""
    seed: int | None = None
    """Seed of the codes, if they came from one."""
    truncation: float | None = None
    """Scale that was used with the seed."""

    @property
    def checkpoints(self) -> dict[str, str]:
        """Hash -> name of the one checkpoint that rebuilds it."""
        return {self.checkpoint_hash: self.checkpoint}

    def to_json(self) -> dict[str, Any]:
        """Plain data; float32 values survive exactly."""
        return {
            "version": RECIPE_VERSION,
            "checkpoint": self.checkpoint,
            "checkpoint_hash": self.checkpoint_hash,
            "index": self.index,
            "seed": self.seed,
            "truncation": self.truncation,
            "z": [[float(value) for value in row] for row in self.z],
            "sketch": json.loads(self.sketch.to_json()),
        }

    @classmethod
    def from_json(cls, data: Any) -> Recipe:
        """The inverse of `to_json` for data from anywhere. Raises `UserError`."""
        if not isinstance(data, dict):
            raise broken("it is not a JSON object")
        if data.get("version") != RECIPE_VERSION:
            raise broken(f"its version is {shortened(data.get('version'))!r}, this program reads {RECIPE_VERSION}")
        try:
            codes = data["z"]
            dim = len(codes[0])
            z = check_codes(codes, dim)
            seed, truncation = data.get("seed"), data.get("truncation")
            return cls(
                checkpoint=one_line(data["checkpoint"]),
                checkpoint_hash=one_line(data["checkpoint_hash"]),
                sketch=Sketch.from_json(data["sketch"]),
                z=z,
                index=check_integer("index", data["index"], 0, len(z) - 1),
                seed=None if seed is None else check_integer("seed", seed, 0, MAX_SEED),
                truncation=None if truncation is None else truncation + 0.0,
            )
        except (KeyError, IndexError, TypeError) as error:
            raise broken(f"{type(error).__name__} at {error}") from None

    def to_png(self, image: Image.Image) -> bytes:
        """The picture as PNG with this recipe inside."""
        return png_with(self.to_json(), image)

    def render(self, pipe: Pipeline) -> Image.Image:
        """Rebuild the picture: the same batch again, and the picture at its place in it.

        Raises `UserError` when `pipe` holds another checkpoint than the one that made the picture.
        """
        check_hash(pipe, self.checkpoint, self.checkpoint_hash)
        return pipe.prepare(self.sketch).render(self.z).images[self.index]


def check_hash(pipe: Pipeline, checkpoint: str, wanted: str) -> None:
    """Raise `UserError` when `pipe` holds another checkpoint than the one that made a picture."""
    if pipe.hash != wanted:
        raise UserError(
            "recipe_checkpoint",
            "This picture was made by checkpoint {name} with hash {expected}; {other} here has hash {found}: it is "
            "another one, or was changed since. Give the folder of the right one with --checkpoint.",
            name=checkpoint,
            expected=wanted[:12],
            other=pipe.config.name,
            found=pipe.hash[:12],
        )


def png_with(recipe: dict[str, Any], image: Image.Image) -> bytes:
    """The picture as PNG with this recipe inside."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text(KEY, json.dumps(recipe, separators=(",", ":")))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def read_recipe(source: str | Path | bytes) -> Recipe | SheetRecipe:
    """The recipe inside a PNG made here, of one picture or of a sheet.

    Raises `UserError` when there is none or it is broken.
    """
    from PIL import Image

    data = source if isinstance(source, bytes) else _read(Path(source))
    if not data.startswith(PNG_SIGNATURE):
        raise broken("it is not a PNG, the only format that keeps one")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise broken(f"it is larger than any made here ({image.width} x {image.height} px)")
            text = image.text.get(KEY)
    except UserError:
        raise
    except Exception as error:  # PIL raises many kinds for damaged files
        raise broken(f"the PNG is damaged ({error})") from None
    if text is None:
        raise broken("there is none: only PNGs downloaded from here carry one, and editing or messengers strip it")
    try:
        return _parse(json.loads(text))
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise broken(f"its JSON is damaged ({error})") from None


def _parse(data: Any) -> Recipe | SheetRecipe:
    from bicyclegan.sheet import KIND, SheetRecipe

    sheet = isinstance(data, dict) and data.get("kind") == KIND
    return SheetRecipe.from_json(data) if sheet else Recipe.from_json(data)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise UserError("recipe_missing", "There is no file {path}.", path=path)
    if path.stat().st_size > MAX_RECIPE_BYTES:
        raise broken(f"the file has more than {MAX_RECIPE_BYTES >> 20} MB")
    return path.read_bytes()


def one_line(text: Any) -> str:
    """A name that goes into messages: text, short and in one line."""
    if not isinstance(text, str):
        raise TypeError(f"{shortened(text)!r:.40}, which should be text")
    whole = text.encode("utf-8", "ignore").decode("utf-8")  # JSON can hold half a character, which cannot be written
    return " ".join(whole.split())[:64]


def broken(why: str) -> UserError:
    return UserError("recipe_broken", "No recipe could be read from this picture: {why}.", why=why)
