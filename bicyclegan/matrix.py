"""`python -m bicyclegan matrix`: sketches down, styles across, on one sheet that can be rebuilt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from bicyclegan.command_io import Device, at_least_one, load_pipeline, naming, read_sketches, read_text
from bicyclegan.config import DEFAULT_CHECKPOINT
from bicyclegan.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from bicyclegan.pipeline import Pipeline
    from bicyclegan.sheet import SheetRecipe
    from bicyclegan.sketch import Sketch

MAX_STYLES = 8


@dataclass(frozen=True)
class Matrix:
    """Paint sketches in the same styles, as a table: a row for each sketch and checkpoint, a column for each style.

    Writes matrix.png, which `render` rebuilds. Styles are random ones, or those of --pins or --photos.
    Example: python -m bicyclegan matrix boot.png shoe.png --photos red.jpg blue.jpg --out out
    """

    sketches: Positional[tuple[Path, ...]]
    """Drawings (PNG, JPEG, WebP of any size), Quick, Draw! .ndjson, or sketch .json files."""
    checkpoint: tuple[str, ...] = (DEFAULT_CHECKPOINT,)
    """Checkpoint folders, names or Hub ids; of several, each paints every sketch. 8 rows in all."""
    pins: Path | None = None
    """Styles: a file of pins that the studio saved, 1 to 8 in it."""
    photos: tuple[Path, ...] = ()
    """Styles: 1 to 8 photos, read by the first checkpoint."""
    samples: int = 6
    """Random styles, 1 to 8, where neither pins nor photos are given."""
    seed: int = 0
    """Seed of random styles, 0 to 4294967295."""
    truncation: float = 1.0
    """Scale of random styles, 0 to 3: below 1 safer and more alike, above 1 bolder."""
    zip: bool = False
    """Write matrix.zip as well: each picture with its own recipe, the sheet, and recipe.json."""
    out: Path = Path("out")
    """Folder for the files; made if it does not exist."""
    device: Device = "auto"
    """Where to compute; auto takes CUDA where there is one."""
    json: bool = False
    """Print machine-readable JSON instead of lines for people."""

    def run(self) -> dict[str, Any]:
        sketches = [named for path in at_least_one("sketch", self.sketches) for named in read_sketches(path)]
        _check_rows(len(sketches), len(self.checkpoint))
        if self.pins and self.photos:
            raise UserError("matrix_styles", "Styles come from --pins or from --photos, not both. Leave one out.")
        pinned = _read_pins(self.pins) if self.pins else None
        pipes = [load_pipeline(name, self.device) for name in self.checkpoint]
        names, z = pinned or self._styles(pipes[0])
        recipe = _recipe(sketches, pipes, z)
        files = self._write(recipe, {pipe.hash: pipe for pipe in pipes})
        rows = [f"{name} ({pipe.config.name})" for name, _ in sketches for pipe in pipes]
        return {"rows": rows, "columns": names, "checkpoints": recipe.checkpoints, "files": files}

    def _styles(self, pipe: Pipeline) -> tuple[list[str], np.ndarray]:
        """Names and codes (N, latent_dim) of photos, or random ones."""
        import numpy as np

        from bicyclegan.latent import sample_codes

        if self.photos:
            _check_styles(len(self.photos))
            return [path.name for path in self.photos], np.concatenate([pipe.encode(path) for path in self.photos])
        _check_styles(self.samples)
        codes = sample_codes(self.seed, self.samples, pipe.config.model.latent_dim, truncation=self.truncation)
        return [f"seed {self.seed}, {k}" for k in range(self.samples)], codes

    def _write(self, recipe: SheetRecipe, pipes: dict[str, Pipeline]) -> list[str]:
        """All is painted before the first file is written."""
        from bicyclegan.files import write_atomic
        from bicyclegan.sheet import check_zip, zip_of

        if self.zip:
            check_zip(recipe)
        pictures, rasters = recipe.paint(pipes), recipe.rasters(pipes)
        contents = {self.out / "matrix.png": recipe.to_png(recipe.layout(pictures, rasters))}
        if self.zip:
            contents[self.out / "matrix.zip"] = zip_of(recipe, pictures, rasters)
        for path, data in contents.items():
            write_atomic(path, data)
        return [str(path) for path in contents]


def _recipe(sketches: list[tuple[str, Sketch | Image.Image]], pipes: list[Pipeline], z: np.ndarray) -> SheetRecipe:
    """Every sketch by every checkpoint, those of one sketch below each other."""
    from bicyclegan.sheet import SheetRecipe, SheetRow

    rows = []
    for name, sketch in sketches:
        with naming(name):
            rows += [SheetRow(pipe.config.name, pipe.hash, pipe.prepare(sketch).sketch) for pipe in pipes]
    return SheetRecipe(tuple(rows), z, columns=len(z), with_sketches=True)


def _read_pins(path: Path) -> tuple[list[str], np.ndarray]:
    """Names and codes (N, D) of a file of pins. Raises `UserError`."""
    import numpy as np

    from bicyclegan.pins import pins_from_json

    text = read_text(path)
    with naming(path):
        pins = pins_from_json(text)
        _check_styles(len(pins))
        lengths = sorted({len(pin.z) for pin in pins})
        if len(lengths) > 1:
            raise UserError(
                "matrix_pins",
                "The pins have codes of different lengths ({lengths}): keep those of one checkpoint.",
                lengths=", ".join(map(str, lengths)),
            )
        return [pin.name for pin in pins], np.stack([pin.z for pin in pins])


def _check_rows(sketches: int, checkpoints: int) -> None:
    from bicyclegan.sheet import MAX_ROWS

    if not 1 <= sketches * checkpoints <= MAX_ROWS:
        raise UserError(
            "matrix_rows",
            "{sketches} sketches by {checkpoints} checkpoints make {rows} rows; a matrix has 1 to {limit}: "
            "change the sketches or --checkpoint.",
            sketches=sketches,
            checkpoints=checkpoints,
            rows=sketches * checkpoints,
            limit=MAX_ROWS,
        )


def _check_styles(count: int) -> None:
    if not 1 <= count <= MAX_STYLES:
        raise UserError(
            "matrix_columns",
            "A matrix has 1 to {limit} styles, not {count}: change the pins, photos or --samples.",
            limit=MAX_STYLES,
            count=count,
        )
