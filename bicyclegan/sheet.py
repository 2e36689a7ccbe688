"""Sheets: many pictures on one page, kept with what rebuilds all of them to the same pixels."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bicyclegan.errors import UserError, shortened
from bicyclegan.latent import check_codes, check_integer
from bicyclegan.recipe import MAX_PIXELS, Recipe, broken, check_hash, one_line, png_with
from bicyclegan.sketch import Sketch

if TYPE_CHECKING:
    from PIL import Image

    from bicyclegan.pipeline import Pipeline, PreparedSketch

KIND = "sheet"
"""Field `kind` of the JSON, which the recipe of one picture lacks."""
SHEET_VERSION = 1
MAX_ROWS = 8
MAX_CODES = 64
MAX_COLUMNS = 16
GAP = 4
"""Pixels between tiles."""
MAX_ZIP_RECIPES = 16 << 20
"""Bytes of sketches in all pictures of a ZIP: each carries its own."""
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that a ZIP knows: equal pictures make equal bytes."""


@dataclass(frozen=True)
class SheetRow:
    """One sketch, painted by one checkpoint."""

    checkpoint: str
    """Name of the checkpoint."""
    checkpoint_hash: str
    """Its `content_hash`."""
    sketch: Sketch
    """What was drawn."""


@dataclass(frozen=True, eq=False)
class SheetRecipe:
    """A sheet's origin: each row's sketch is painted in all codes, as one batch. Raises `UserError` for other sizes.

    A matrix has as many columns as codes; a grid of one sketch has one row, broken into lines.
    """

    rows: tuple[SheetRow, ...]
    """1 to 8."""
    z: np.ndarray
    """(N, latent_dim) float32, N from 1 to 64: the same styles for every row."""
    columns: int
    """Pictures in a line, 1 to 16."""
    with_sketches: bool = True
    """Whether the sketch stands in front of its row."""

    def __post_init__(self) -> None:
        check_integer("rows", len(self.rows), 1, MAX_ROWS)
        check_integer("styles", len(self.z), 1, MAX_CODES)
        object.__setattr__(self, "z", check_codes(self.z, np.shape(self.z)[-1]))
        object.__setattr__(self, "columns", check_integer("columns", self.columns, 1, MAX_COLUMNS))

    @property
    def checkpoints(self) -> dict[str, str]:
        """Hash -> name of all checkpoints that rebuild it, in the order of rows."""
        return {row.checkpoint_hash: row.checkpoint for row in self.rows}

    def to_json(self) -> dict[str, Any]:
        """Plain data; float32 values survive exactly."""
        return {
            "version": SHEET_VERSION,
            "kind": KIND,
            "columns": self.columns,
            "with_sketches": self.with_sketches,
            "z": [[float(value) for value in code] for code in self.z],
            "rows": [
                {
                    "checkpoint": row.checkpoint,
                    "checkpoint_hash": row.checkpoint_hash,
                    "sketch": json.loads(row.sketch.to_json()),
                }
                for row in self.rows
            ],
        }

    @classmethod
    def from_json(cls, data: Any) -> SheetRecipe:
        """The inverse of `to_json` for data from anywhere. Raises `UserError`."""
        if not isinstance(data, dict) or data.get("kind") != KIND:
            raise broken("it is not a JSON object of kind sheet")
        if data.get("version") != SHEET_VERSION:
            raise broken(f"its version is {shortened(data.get('version'))!r}, this program reads {SHEET_VERSION}")
        try:
            rows, codes, with_sketches = data["rows"], data["z"], data["with_sketches"]
            check_integer("rows", len(rows), 1, MAX_ROWS)  # before any sketch is read
            if not isinstance(with_sketches, bool):
                raise TypeError(f"with_sketches is {shortened(with_sketches)!r:.40}, which should be true or false")
            return cls(tuple(map(_row, rows)), check_codes(codes, len(codes[0])), data["columns"], with_sketches)
        except (KeyError, IndexError, TypeError) as error:
            raise broken(f"{type(error).__name__} at {error}") from None

    def to_png(self, image: Image.Image) -> bytes:
        """The sheet as PNG with this recipe inside."""
        return png_with(self.to_json(), image)

    def paint(self, pipes: Mapping[str, Pipeline]) -> list[list[Image.Image]]:
        """All pictures, row by row, N in each.

        pipes: by the hash of their checkpoint.
        Raises `UserError` when one is missing or another one, or takes codes of another length.
        """
        return [self._paint(prepared) for prepared in self._prepare(pipes)]

    def rasters(self, pipes: Mapping[str, Pipeline]) -> list[np.ndarray]:
        """Each row's sketch as its model sees it, uint8 (S, S) or (S, S, 3). Raises `UserError` as `paint` does."""
        return [prepared.raster for prepared in self._prepare(pipes)]

    def layout(self, pictures: Sequence[Sequence[Image.Image]], rasters: Sequence[np.ndarray] = ()) -> Image.Image:
        """The sheet, RGB.

        pictures: as `paint` makes them.
        rasters: of each row's sketch as its model saw it, as `rasters` makes them; needed for `with_sketches`.
        Raises `UserError` when it would be larger than a PNG that is read again.
        """
        from bicyclegan.images import make_sheet

        assert [len(row) for row in pictures] == [len(self.z)] * len(self.rows), "as paint makes them"
        assert len(rasters) == len(self.rows) or not self.with_sketches, "a raster for each row"
        side = max(picture.width for row in pictures for picture in row)
        self._check_size(side)
        blank = _paper(side)
        tiles: list[Image.Image] = []
        for k, row in enumerate(pictures):
            for start in range(0, len(row), self.columns):
                line = [_centred(picture, side) for picture in row[start : start + self.columns]]
                if self.with_sketches:
                    tiles.append(blank if start else _centred(_picture(rasters[k]), side))
                tiles += line + [blank] * (self.columns - len(line))
        return make_sheet(tiles, self.columns + self.with_sketches, GAP)

    def render(self, pipes: Mapping[str, Pipeline]) -> Image.Image:
        """Paint and lay out: the same pixels every time. Raises `UserError` as `paint` does."""
        prepared = self._prepare(pipes)
        return self.layout([self._paint(each) for each in prepared], [each.raster for each in prepared])

    def recipe(self, row: int, style: int) -> Recipe:
        """The recipe of one picture alone, both counted from 0."""
        made = self.rows[row]
        return Recipe(made.checkpoint, made.checkpoint_hash, made.sketch, self.z, style)

    def _prepare(self, pipes: Mapping[str, Pipeline]) -> list[PreparedSketch]:
        """Every row's sketch, when all of it can be painted."""
        for row in self.rows:
            _check_pipe(row, pipes, self.z.shape[1])
        self._check_size(max(pipes[row.checkpoint_hash].config.model.image_size for row in self.rows))
        return [pipes[row.checkpoint_hash].prepare(row.sketch) for row in self.rows]

    def _paint(self, prepared: PreparedSketch) -> list[Image.Image]:
        return prepared.render(self.z).images

    def _check_size(self, side: int) -> None:
        lines = len(self.rows) * -(-len(self.z) // self.columns)
        width, height = ((count * (side + GAP) - GAP) for count in (self.columns + self.with_sketches, lines))
        if width * height > MAX_PIXELS:
            raise UserError(
                "sheet_large",
                "The sheet would have {width} x {height} px; at most {limit} megapixels are allowed: use fewer "
                "sketches or styles.",
                width=width,
                height=height,
                limit=MAX_PIXELS // 1_000_000,
            )


def rebuild(recipe: Recipe | SheetRecipe, pipes: Mapping[str, Pipeline]) -> Image.Image:
    """What a recipe of either kind made. pipes: by hash, all of `recipe.checkpoints`. Raises `UserError`."""
    if isinstance(recipe, SheetRecipe):
        return recipe.render(pipes)
    return recipe.render(pipes[recipe.checkpoint_hash])


def zip_of(recipe: SheetRecipe, pictures: Sequence[Sequence[Image.Image]], rasters: Sequence[np.ndarray] = ()) -> bytes:
    """A ZIP of the sheet, each picture with its own recipe (row1-style3.png), and recipe.json.

    Arguments as for `SheetRecipe.layout`. Equal arguments make equal bytes. Raises `UserError` when it is too large.
    """
    check_zip(recipe)
    files = {"sheet.png": recipe.to_png(recipe.layout(pictures, rasters))}
    for i, row in enumerate(pictures):
        origin = recipe.recipe(i, 0).to_json()  # once a row: a sketch may have megabytes
        for k, picture in enumerate(row):
            files[f"row{i + 1}-style{k + 1}.png"] = png_with({**origin, "index": k}, picture)
    files["recipe.json"] = (json.dumps(recipe.to_json(), ensure_ascii=False, indent=1) + "\n").encode("utf-8")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:  # stored as they are: a PNG cannot be made smaller
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, ZIP_DATE)
            entry.create_system, entry.external_attr = 3, 0o644 << 16  # the same on every system
            packed.writestr(entry, data)
    return buffer.getvalue()


def check_zip(recipe: SheetRecipe) -> None:
    """Raise `UserError` when `zip_of` would refuse, before anything is painted."""
    check_zip_size(sum(len(row.sketch.to_json()) for row in recipe.rows), len(recipe.z))


def check_zip_size(sketches: int, styles: int) -> None:
    """Raise `UserError` when a ZIP would be too large. sketches: bytes of JSON of those of all rows together."""
    size = styles * sketches
    if size > MAX_ZIP_RECIPES:
        raise UserError(
            "sheet_zip_large",
            "Each picture in the ZIP carries its sketch, {megabytes} MB in all; at most {limit} MB are allowed: use "
            "simpler sketches, or fewer of them.",
            megabytes=-(-size >> 20),
            limit=MAX_ZIP_RECIPES >> 20,
        )


def _row(data: Any) -> SheetRow:
    return SheetRow(one_line(data["checkpoint"]), one_line(data["checkpoint_hash"]), Sketch.from_json(data["sketch"]))


def _check_pipe(row: SheetRow, pipes: Mapping[str, Pipeline], latent_dim: int) -> None:
    """Raise `UserError` unless the row's checkpoint is there and takes these codes."""
    pipe = pipes.get(row.checkpoint_hash)
    if pipe is None:
        raise UserError(
            "sheet_checkpoint",
            "This sheet needs checkpoint {name} with hash {hash}, which is not loaded.",
            name=row.checkpoint,
            hash=row.checkpoint_hash[:12],
        )
    check_hash(pipe, row.checkpoint, row.checkpoint_hash)
    if pipe.config.model.latent_dim != latent_dim:
        raise UserError(
            "sheet_latent_dim",
            "The styles of this sheet have {found} entries, but checkpoint {name} takes {expected}: put only "
            "checkpoints with codes of one length on a sheet.",
            found=latent_dim,
            name=pipe.config.name,
            expected=pipe.config.model.latent_dim,
        )


def _picture(raster: np.ndarray) -> Image.Image:
    from PIL import Image

    return Image.fromarray(raster)


def _paper(side: int) -> Image.Image:
    from PIL import Image

    return Image.new("RGB", (side, side), (255, 255, 255))


def _centred(picture: Image.Image, side: int) -> Image.Image:
    """In the middle of a square: checkpoints of several sizes may share a sheet."""
    if picture.size == (side, side):
        return picture
    square = _paper(side)
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square
