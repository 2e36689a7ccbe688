"""`python -m bicyclegan sweep | grid | interpolate | style`: one sketch on its way through the latent space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from bicyclegan.command_io import (
    Device,
    at_least_one,
    load_pipeline,
    naming,
    read_sketches,
    read_text,
    save_output,
    save_png,
    unique_names,
)
from bicyclegan.config import DEFAULT_CHECKPOINT
from bicyclegan.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from bicyclegan.latents_file import Latents
    from bicyclegan.pipeline import Output, Pipeline, PreparedSketch
    from bicyclegan.projection import Pca

STRIPS = 3
"""Sliders that `sweep` shows by itself."""
STOPS = 3
"""Random codes that `interpolate` goes through by itself."""
MAX_CODES_BYTES = 4 << 20
"""Unpacked size of a file of codes."""


@dataclass(frozen=True)
class Painting:
    """What all commands here take."""

    sketches: Positional[tuple[Path, ...]]
    """Drawings (PNG, JPEG, WebP of any size), Quick, Draw! .ndjson, or sketch .json files."""
    checkpoint: str = DEFAULT_CHECKPOINT
    """Checkpoint folder, name of one in checkpoints/, or Hugging Face Hub id."""
    out: Path = Path("out")
    """Folder for the files; made if it does not exist."""
    device: Device = "auto"
    """Where to compute; auto takes CUDA where there is one."""
    json: bool = False
    """Print machine-readable JSON instead of lines for people."""

    def prepare(self) -> tuple[Pipeline, list[tuple[str, PreparedSketch]]]:
        """The pipeline, and all sketches with names for their files. Raises `UserError` before anything is painted."""
        from bicyclegan.latent import check_has_code

        sketches = [named for path in at_least_one("sketch", self.sketches) for named in read_sketches(path)]
        pipe = load_pipeline(self.checkpoint, self.device)
        check_has_code(pipe.config.model.latent_dim)
        prepared = []
        for name, sketch in unique_names(sketches):
            with naming(name):
                prepared.append((name, pipe.prepare(sketch)))
        return pipe, prepared


@dataclass(frozen=True)
class Sweep(Painting):
    """Move one slider at a time: a film strip for each, on one sheet a sketch (NAME-sweep.png) that `render` rebuilds.

    Example: python -m bicyclegan sweep shoe.png --sliders 0 1 2 --steps 7 --limit 3 --out out
    """

    sliders: tuple[int, ...] = ()
    """Sliders to move, counted from 0; by default the three with the largest measured effect, all if not measured."""
    directions: bool = False
    """Move along the principal directions of photos' codes, the first being 0, instead of along the dims of z."""
    steps: int = 7
    """Pictures in a strip, 2 to 16. A sheet holds 64 in all."""
    limit: float = 3.0
    """How far a slider goes to either side, above 0, up to 3: about the standard deviations of the dims of z."""
    seed: int = 0
    """Seed of the code whose other entries stay, 0 to 4294967295."""

    def run(self) -> dict[str, Any]:
        import numpy as np

        from bicyclegan.latent import even_steps, sample_codes, sweep

        values = even_steps(self.steps, self.limit)
        pipe, prepared = self.prepare()
        latents, pca = _measured(pipe), _directions(pipe, self.directions)
        sliders = self.sliders or _by_effect(pipe, latents, self.directions)[: STRIPS if latents else None]
        sliders = _fitting(sliders, len(values), chosen=bool(self.sliders))
        z = sample_codes(self.seed, 1, pipe.config.model.latent_dim)[0]
        codes = np.concatenate([sweep(z, slider, values, pca) for slider in sliders])
        files = _write_sheets(pipe, prepared, codes, len(values), self.out, "sweep")
        return {
            **_about(pipe),
            "sliders": list(sliders),
            "values": values.tolist(),
            "z": codes.tolist(),
            "files": files,
        }


@dataclass(frozen=True)
class Grid(Painting):
    """Move two sliders: a square of pictures a sketch (NAME-grid.png) that `render` rebuilds.

    Example: python -m bicyclegan grid shoe.png --across 0 --down 1 --side 5 --out out
    """

    across: int | None = None
    """Slider that moves from left to right, counted from 0; by default the one with the largest measured effect."""
    down: int | None = None
    """Slider that moves from top to bottom; by default the one with the largest effect of the others."""
    directions: bool = False
    """Move along the principal directions of photos' codes, the first being 0, instead of along the dims of z."""
    side: int = 5
    """Pictures in a row and in a column, 2 to 7."""
    limit: float = 3.0
    """How far a slider goes to either side, above 0, up to 3: about the standard deviations of the dims of z."""
    seed: int = 0
    """Seed of the code whose other entries stay, 0 to 4294967295."""

    def run(self) -> dict[str, Any]:
        from bicyclegan.latent import MAX_SIDE, check_integer, even_steps, grid, sample_codes

        values = even_steps(check_integer("side", self.side, 2, MAX_SIDE), self.limit)
        pipe, prepared = self.prepare()
        pca = _directions(pipe, self.directions)
        sliders = self._sliders(_by_effect(pipe, _measured(pipe), self.directions))
        z = sample_codes(self.seed, 1, pipe.config.model.latent_dim)[0]
        codes = grid(z, sliders, values, values, pca)
        files = _write_sheets(pipe, prepared, codes, len(values), self.out, "grid")
        named = {"across": sliders[0], "down": sliders[1]}
        return {**_about(pipe), **named, "values": values.tolist(), "z": codes.tolist(), "files": files}

    def _sliders(self, strongest: list[int]) -> tuple[int, int]:
        """Those that were asked for, and the strongest of the others for the rest."""
        across = next((k for k in strongest if k != self.down), 0) if self.across is None else self.across
        down = next((k for k in strongest if k != across), 0) if self.down is None else self.down
        return across, down


@dataclass(frozen=True)
class Interpolate(Painting):
    """A film of a sketch whose style changes from one code to the next (NAME-interpolate.gif).

    Between codes the direction turns evenly (slerp). By default a loop through three random ones.
    Example: python -m bicyclegan interpolate shoe.png --seeds 3 7 12 --frames 72 --format mp4 --out out
    """

    seeds: tuple[int, ...] = ()
    """Two or more seeds, 0 to 4294967295: the first code of each is a stop."""
    codes: Path | None = None
    """Stops from a file: codes.npz that `encode` wrote, or pins (.json) that the studio saved; two or more."""
    frames: int = 48
    """Frames in all, 2 to 240, no fewer than stops."""
    fps: float = 12.0
    """Frames a second, 1 to 60."""
    loop: bool = True
    """The film comes back to the first stop and plays forever; with --no-loop it plays once, to the last stop."""
    format: Literal["gif", "webp", "mp4"] = "gif"
    """File format. An MP4 is the smallest; GIFs play everywhere."""

    def run(self) -> dict[str, Any]:
        from bicyclegan.animation import encode_animation
        from bicyclegan.files import write_atomic
        from bicyclegan.latent import MAX_FRAMES, check_integer, check_number, morph

        check_integer("frames", self.frames, 2, MAX_FRAMES)
        check_number("fps", self.fps, 1, 60)
        pipe, prepared = self.prepare()
        stops = self._stops(pipe.config.model.latent_dim)
        way = morph(stops, self.frames, self.loop)
        files = []
        for name, sketch in prepared:
            film = encode_animation(sketch.render(way).images, self.format, self.fps, self.loop)
            path = self.out / f"{name}-interpolate.{self.format}"
            write_atomic(path, film)
            files.append(str(path))
        return {**_about(pipe), "stops": stops.tolist(), "frames": len(way), "files": files}

    def _stops(self, latent_dim: int) -> np.ndarray:
        """(K, latent_dim) codes to pass. Raises `UserError`."""
        import numpy as np

        from bicyclegan.latent import sample_codes

        if self.codes and self.seeds:
            raise UserError("stops_source", "Stops come from --seeds or from --codes, not both. Leave one out.")
        if self.codes:
            return read_codes(self.codes, latent_dim)
        if self.seeds:
            return np.concatenate([sample_codes(seed, 1, latent_dim) for seed in self.seeds])
        return sample_codes(0, STOPS, latent_dim)  # three of one seed are spread


@dataclass(frozen=True)
class Style(Painting):
    """Paint sketches in the style of a photo, or in a colour: PNGs with recipes (NAME-style-0.png), and one sheet each.

    Beside each photo, what its code kept of it is shown: photo, edges, reconstruction (PHOTO-reconstruction.png).
    Example: python -m bicyclegan style shoe.png --colour "forest green" --count 8 --out out
    """

    photo: tuple[Path, ...] = ()
    """Photos (PNG, JPEG, WebP, ...) whose style is read; of several, the mean."""
    colour: str = ""
    """Colour to paint in: a name in English or Chinese (red, forest green, 墨绿), #rrggbb, or rgb(r,g,b)."""
    count: int = 8
    """Styles in that colour, nearest first, 1 to 32. Photos have one style."""
    seed: int = 0
    """Seed of the search for a colour, 0 to 4294967295."""

    def run(self) -> dict[str, Any]:
        if bool(self.photo) == bool(self.colour):
            raise UserError("style_source", "A style comes from --photo or from --colour: give one of the two.")
        return self._by_photo() if self.photo else self._by_colour()

    def _by_photo(self) -> dict[str, Any]:
        import numpy as np

        from bicyclegan.latent import mix

        pipe, prepared = self.prepare()
        z = mix(np.concatenate([pipe.encode(path) for path in self.photo]))[None]
        kept = [(path.stem, _kept(pipe, path)) for path in self.photo if pipe.config.edge_style]
        files = [file for name, sketch in prepared for file in self._save(name, sketch.render(z))]
        files += [save_png(sheet, self.out / f"{name}-reconstruction.png") for name, sheet in unique_names(kept)]
        return {**_about(pipe), "z": {name: z.tolist() for name, _ in prepared}, "files": files}

    def _by_colour(self) -> dict[str, Any]:
        from bicyclegan.colour_words import parse_colour
        from bicyclegan.style_search import find_colour

        rgb = parse_colour(self.colour)
        pipe, prepared = self.prepare()
        dim = pipe.config.model.latent_dim
        matches = []
        for name, sketch in prepared:  # all are searched before the first is written: one may be refused
            with naming(name):
                matches.append(find_colour(lambda z, to=sketch: to.render(z).images, dim, rgb, self.count, self.seed))
        found = [(name, sketch.render(match.z), match) for (name, sketch), match in zip(prepared, matches, strict=True)]
        return {
            **_about(pipe),
            "colour": _hex(rgb),
            "z": {name: match.z.tolist() for name, _, match in found},
            "colours": {name: [_hex(each) for each in match.colours.tolist()] for name, _, match in found},
            "distance": {name: [round(float(each), 2) for each in match.distance] for name, _, match in found},
            "files": [file for name, output, _ in found for file in self._save(name, output)],
        }

    def _save(self, name: str, output: Output) -> list[str]:
        return save_output(output, self.out, f"{name}-style")


def read_codes(path: Path, latent_dim: int) -> np.ndarray:
    """Codes of a file that `encode` wrote (.npz, array `z`) or the studio's pins (.json): (K, latent_dim) float32.

    Raises `UserError`.
    """
    from bicyclegan.latent import check_codes
    from bicyclegan.pins import pins_from_json

    with naming(path):
        if path.suffix.lower() == ".json":
            return check_codes([pin.z.tolist() for pin in pins_from_json(read_text(path))], latent_dim)
        return check_codes(_read_npz(path), latent_dim)


def _read_npz(path: Path) -> np.ndarray:
    import zipfile

    import numpy as np

    if not path.is_file():
        raise UserError("file_missing", "There is no file {path}.", path=path)
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size > MAX_CODES_BYTES:
            raise ValueError(f"it unpacks to {size:,} bytes")
        with np.load(path) as arrays:
            return arrays["z"]
    except Exception as error:  # broken archives raise many kinds
        raise UserError(
            "codes_file",
            "{path} holds no codes ({why}): use codes.npz that encode wrote, or pins (.json) that the studio saved.",
            path=path,
            why=" ".join(str(error).split())[:120],
        ) from error


def _measured(pipe: Pipeline) -> Latents | None:
    """What `prepare` measured of this very checkpoint, if it did."""
    from bicyclegan.latents_file import load_latents

    latents = load_latents(pipe.folder, pipe.hash)
    return None if latents is None or latents.stale else latents


def _directions(pipe: Pipeline, wanted: bool) -> Pca | None:
    """Principal directions if they are wanted. Raises `UserError` where there are none."""
    if not wanted:
        return None
    latents = _measured(pipe)
    if latents is None or latents.pca is None:
        raise UserError(
            "directions_unmeasured",
            "There are no principal directions of {name}: no photos were read since it was trained. Measure it, "
            "python -m bicyclegan prepare {folder} --data DIR, or leave out --directions.",
            name=pipe.config.name,
            folder=pipe.folder,
        )
    return latents.pca


def _by_effect(pipe: Pipeline, latents: Latents | None, directions: bool) -> list[int]:
    """All sliders, those that change most first; in their own order where nothing was measured."""
    import numpy as np

    if latents is None:
        return list(range(pipe.config.model.latent_dim))
    effect = latents.direction_effect if directions else latents.effect
    return np.argsort(-effect, kind="stable").tolist()


def _fitting(sliders: Sequence[int], steps: int, chosen: bool) -> Sequence[int]:
    """As many strips as a sheet holds. Raises `UserError` if more were chosen."""
    from bicyclegan.sheet import MAX_CODES

    most = MAX_CODES // steps
    if chosen and len(sliders) > most:
        raise UserError(
            "sweep_large",
            "{sliders} strips of {steps} pictures are too many: a sheet holds {limit}, here {most} strips. Use fewer "
            "--sliders or --steps.",
            sliders=len(sliders),
            steps=steps,
            limit=MAX_CODES,
            most=most,
        )
    return sliders[:most]


def _write_sheets(
    pipe: Pipeline, prepared: list[tuple[str, PreparedSketch]], codes: np.ndarray, columns: int, out: Path, kind: str
) -> list[str]:
    """One sheet a sketch with its recipe inside."""
    from bicyclegan.files import write_atomic
    from bicyclegan.sheet import SheetRecipe, SheetRow

    files = []
    for name, sketch in prepared:
        recipe = SheetRecipe((SheetRow(pipe.config.name, pipe.hash, sketch.sketch),), codes, columns)
        sheet = recipe.layout([sketch.render(codes).images], [sketch.raster])
        path = out / f"{name}-{kind}.png"
        write_atomic(path, recipe.to_png(sheet))
        files.append(str(path))
    return files


def _kept(pipe: Pipeline, path: Path) -> Image.Image:
    """A photo, its edges, and what is painted from both edges and code."""
    from PIL import Image

    from bicyclegan.images import fit_photo, load_image, make_sheet

    photo = load_image(path)
    output = pipe.reconstruct(photo)
    square = fit_photo(photo, pipe.config.model.image_size)
    return make_sheet([square, Image.fromarray(output.prepared.raster), *output.images], columns=3)


def _about(pipe: Pipeline) -> dict[str, str]:
    return {"checkpoint": pipe.config.name, "hash": pipe.hash}


def _hex(rgb: Sequence[int]) -> str:
    return "#" + "".join(f"{level:02x}" for level in rgb)
