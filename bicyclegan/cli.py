"""The command line: python -m bicyclegan <command>.

Each command is a dataclass whose fields are its options and whose `run` returns what `--json` prints.
Exit codes: 0 done, 2 bad input (one line says what, what is allowed and what to do), 1 our own fault.
"""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, subcommand

from bicyclegan.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

    from bicyclegan.pipeline import Output, Pipeline
    from bicyclegan.sketch import Sketch

Result: TypeAlias = dict[str, Any]
Device: TypeAlias = Literal["auto", "cpu", "cuda"]
DEFAULT_CHECKPOINT = "edges2shoes"


@dataclass(frozen=True)
class Translate:
    """Paint sketches: several photos of each, one PNG a photo with its recipe inside, and one sheet.

    Example: python -m bicyclegan translate shoe.png --samples 8 --seed 0 --out out
    """

    sketches: Positional[tuple[Path, ...]]
    """Drawings (PNG, JPEG, WebP of any size), Quick, Draw! .ndjson, or sketch .json files."""
    checkpoint: str = DEFAULT_CHECKPOINT
    """Checkpoint folder, name of one in checkpoints/, or Hugging Face Hub id."""
    samples: int = 8
    """Photos per sketch, 1 to 1024."""
    seed: int = 0
    """Seed of the latent codes, 0 to 4294967295."""
    truncation: float = 1.0
    """Scale of the latent codes, 0 to 3: below 1 safer and more alike, above 1 bolder."""
    out: Path = Path("out")
    """Folder for the pictures; made if it does not exist."""
    device: Device = "auto"
    """Where to compute; auto takes CUDA where there is one."""
    json: bool = False
    """Print machine-readable JSON instead of lines for people."""

    def run(self) -> Result:
        sketches = [named for path in at_least_one("sketch", self.sketches) for named in read_sketches(path)]
        pipe = load_pipeline(self.checkpoint, self.device)
        prepared = [(name, pipe.prepare(sketch)) for name, sketch in unique_names(sketches)]  # all or nothing
        files = []
        for name, sketch in prepared:
            output = pipe(sketch.sketch, self.samples, self.seed, truncation=self.truncation)
            files += save_output(output, self.out, name)
        return {"checkpoint": pipe.config.name, "hash": pipe.hash, "files": files}


@dataclass(frozen=True)
class Edges:
    """Turn photos into the edges that a checkpoint was trained on.

    Example: python -m bicyclegan edges photo.jpg --out out
    """

    photos: Positional[tuple[Path, ...]]
    """Photos (PNG, JPEG, WebP, ...)."""
    checkpoint: str = DEFAULT_CHECKPOINT
    """Checkpoint whose edge style and size are used: folder, name or Hub id."""
    detail: float = 0.0
    """More (up to 1) or fewer (down to -1) lines than in training."""
    out: Path = Path("out")
    """Folder for the edge maps, black on white."""
    json: bool = False
    """Print machine-readable JSON instead of lines for people."""

    def run(self) -> Result:
        from PIL import Image

        from bicyclegan.checkpoints import load_config, resolve
        from bicyclegan.images import load_image
        from bicyclegan.sketch import photo_to_edges, with_detail

        config = load_config(resolve(self.checkpoint))
        if config.edge_style is None:
            raise UserError("no_edges", "{name} draws from label maps, not edges.", name=config.name)
        style = with_detail(config.edge_style, self.detail)
        photos = unique_names([(path.stem, load_image(path)) for path in at_least_one("photo", self.photos)])
        maps = [(name, photo_to_edges(photo, style, config.model.image_size)) for name, photo in photos]
        files = [save_png(Image.fromarray(edges), self.out / f"{name}-edges.png") for name, edges in maps]
        return {"checkpoint": config.name, "files": files}


@dataclass(frozen=True)
class Encode:
    """Read the styles of photos: their latent codes (posterior means) as a .npz file.

    Example: python -m bicyclegan encode red.jpg blue.jpg --out codes.npz
    """

    photos: Positional[tuple[Path, ...]]
    """Photos (PNG, JPEG, WebP, ...)."""
    checkpoint: str = DEFAULT_CHECKPOINT
    """Checkpoint folder, name or Hub id."""
    out: Path = Path("codes.npz")
    """File to write: arrays `z` (N, latent_dim), `names` (N,), `checkpoint_hash`."""
    device: Device = "auto"
    """Where to compute; auto takes CUDA where there is one."""
    json: bool = False
    """Print machine-readable JSON instead of lines for people."""

    def run(self) -> Result:
        import numpy as np

        from bicyclegan.files import write_atomic

        pipe = load_pipeline(self.checkpoint, self.device)
        z = np.concatenate([pipe.encode(path) for path in at_least_one("photo", self.photos)])
        buffer = io.BytesIO()
        np.savez(buffer, z=z, names=np.array([path.name for path in self.photos]), checkpoint_hash=pipe.hash)
        write_atomic(self.out, buffer.getvalue())
        codes = {str(path): [round(float(value), 4) for value in row] for path, row in zip(self.photos, z, strict=True)}
        return {"checkpoint": pipe.config.name, "hash": pipe.hash, "files": [str(self.out)], "z": codes}


@dataclass(frozen=True)
class Render:
    """Rebuild pictures from the recipes inside their PNGs, to the same pixels.

    Example: python -m bicyclegan render shoe-3.png --out out
    """

    recipes: Positional[tuple[Path, ...]]
    """PNGs downloaded from the studio or made by `translate`."""
    checkpoint: str = ""
    """Checkpoint folder or Hub id; by default the one in checkpoints/ whose hash the recipe names."""
    out: Path = Path("out")
    """Folder for the rebuilt pictures."""
    device: Device = "auto"
    """Where to compute; auto takes CUDA where there is one."""
    json: bool = False
    """Print machine-readable JSON instead of lines for people."""

    def run(self) -> Result:
        from bicyclegan.files import write_atomic
        from bicyclegan.recipe import read_recipe

        recipes = unique_names([(path.stem, read_recipe(path)) for path in at_least_one("picture", self.recipes)])
        pipelines: dict[str, Pipeline] = {}
        files = []
        for name, recipe in recipes:
            source = self.checkpoint or str(find_by_hash(recipe.checkpoint, recipe.checkpoint_hash))
            if source not in pipelines:
                pipelines[source] = load_pipeline(source, self.device)
            path = self.out / f"{name}-rendered.png"
            write_atomic(path, recipe.to_png(recipe.render(pipelines[source])))
            files.append(str(path))
        return {"files": files}


@dataclass(frozen=True)
class ImportOfficial:
    """Turn weights of the official BicycleGAN code into a checkpoint folder.

    Example: python -m bicyclegan import-official --generator latest_net_G.pth --encoder latest_net_E.pth --out
    checkpoints/mine --options options.json
    """

    generator: Path
    """The generator's state dict, latest_net_G.pth."""
    out: Path
    """Checkpoint folder to make; its last part becomes the checkpoint's name."""
    encoder: Path | None = None
    """The encoder's state dict, latest_net_E.pth. Without it styles cannot be read from photos."""
    options: Path | None = None
    """JSON with the official option names, in parts "generator" and "encoder"; by default options.json beside G."""
    card: Path | None = None
    """Markdown file that becomes the model card."""
    half: bool = False
    """Store weights as 16-bit floats: half the size."""
    overwrite: bool = False
    """Replace an existing checkpoint folder."""
    json: bool = False
    """Print machine-readable JSON instead of lines for people."""

    def run(self) -> Result:
        from bicyclegan.checkpoints import content_hash, import_official_pair, save_checkpoint
        from bicyclegan.config import CheckpointConfig

        options = read_json(self.options or self.generator.parent / "options.json")
        model, generator, encoder = import_official_pair(self.generator, self.encoder, options)
        config = CheckpointConfig(model, name=self.out.name, training=provenance(options))
        card = read_text(self.card) if self.card else ""
        folder = save_checkpoint(
            self.out, config, generator, encoder, card=card, half=self.half, overwrite=self.overwrite
        )
        return {"checkpoint": config.name, "hash": content_hash(folder), "files": [str(folder)]}


@dataclass(frozen=True)
class Deploy:
    """Put this studio on Hugging Face Spaces.

    Example: python -m bicyclegan deploy me/bicyclegan --dry-run
    """

    space: Positional[str]
    """USER/SPACE; made if it does not exist."""
    dry_run: bool = False
    """List what would be uploaded and send nothing."""
    private: bool = False
    """Make a new Space private."""
    json: bool = False
    """Print machine-readable JSON instead of lines for people."""

    def run(self) -> Result:
        from bicyclegan.deploy import deploy

        report = (lambda line: print(line, file=sys.stderr)) if self.json else print
        result = deploy(self.space, dry_run=self.dry_run, private=self.private, progress=report)
        return {"url": result.url, "bytes": result.bytes, "uploads": [file.path for file in result.files]}


Command: TypeAlias = (
    Annotated[Translate, subcommand("translate")]
    | Annotated[Edges, subcommand("edges")]
    | Annotated[Encode, subcommand("encode")]
    | Annotated[Render, subcommand("render")]
    | Annotated[ImportOfficial, subcommand("import-official")]
    | Annotated[Deploy, subcommand("deploy")]
)


def main(args: list[str] | None = None) -> None:
    """Parse, run, print; turn mistakes into one line and exit code 2."""
    command = tyro.cli(
        Command,
        prog="python -m bicyclegan",
        description="BicycleGAN: one sketch, many photos.",
        args=args,
        config=(FlagCreatePairsOff, OmitArgPrefixes),
    )
    try:
        result = command.run()
    except UserError as error:
        sys.exit(_fail(str(error)))
    except OSError as error:
        sys.exit(_fail(f"{error.strerror or error}: {error.filename or ''}"))
    except KeyboardInterrupt:
        sys.exit(130)
    if command.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        for path in result.get("files", []):
            print(path)


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


def load_pipeline(checkpoint: str, device: Device) -> Pipeline:
    """A pipeline for a command. The import waits until here, so that `--help` needs no torch."""
    from bicyclegan.pipeline import Pipeline

    return Pipeline.from_pretrained(checkpoint, device=device)


def read_sketches(path: Path) -> list[tuple[str, Sketch | Image.Image]]:
    """Sketches in a file with a name for each. Raises `UserError`."""
    from bicyclegan.images import load_image
    from bicyclegan.sketch import Sketch

    if path.suffix.lower() == ".json":
        return [(path.stem, Sketch.from_json(read_text(path)))]
    if path.suffix.lower() == ".ndjson":
        lines = [line for line in read_text(path).splitlines() if line.strip()]
        return [(f"{path.stem}-{n}", Sketch.from_quickdraw(line)) for n, line in enumerate(lines)]
    return [(path.stem, load_image(path))]


def at_least_one(what: str, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Commands without anything to work on end here."""
    if not paths:
        raise UserError("nothing_given", "No {what} was given. Name one or more files; --help has examples.", what=what)
    return paths


def unique_names(items: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Number names that occur again, so that files from different folders do not overwrite each other."""
    seen: dict[str, int] = {}
    result = []
    for name, item in items:
        seen[name] = seen.get(name, 0) + 1
        result.append((name if seen[name] == 1 else f"{name}~{seen[name]}", item))
    return result


def save_output(output: Output, folder: Path, name: str) -> list[str]:
    """One PNG a photo with its recipe, and one sheet of the sketch and all photos."""
    from PIL import Image

    from bicyclegan.files import write_atomic
    from bicyclegan.images import make_sheet

    files = []
    for k, image in enumerate(output.images):
        path = folder / f"{name}-{k}.png"
        write_atomic(path, output.recipe(k).to_png(image))
        files.append(str(path))
    sheet = make_sheet([Image.fromarray(output.prepared.raster), *output.images])
    return [*files, save_png(sheet, folder / f"{name}-sheet.png")]


def save_png(image: Image.Image, path: Path) -> str:
    """Write a PNG in one step and return its path."""
    from bicyclegan.files import write_atomic

    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    write_atomic(path, buffer.getvalue())
    return str(path)


def find_by_hash(name: str, wanted: str) -> Path:
    """The checkpoint folder in checkpoints/ with this content hash. Raises `UserError` with those there are."""
    from bicyclegan.checkpoints import content_hash, list_checkpoints

    folders = list_checkpoints()
    for folder in folders:
        if content_hash(folder) == wanted:
            return folder
    raise UserError(
        "recipe_no_checkpoint",
        "This picture was made by checkpoint {name} ({hash}), which is not among {available}. Give its folder or Hub "
        "id with --checkpoint.",
        name=name,
        hash=wanted[:12],
        available=", ".join(folder.name for folder in folders) or "no checkpoints",
    )


def provenance(options: dict[str, Any]) -> dict[str, Any]:
    """What an options file in parts says beside the networks: data, training, figures."""
    if "generator" not in options:
        return {}  # the official flat file: all of it describes networks
    rest = {key: value for key, value in options.items() if key not in ("generator", "encoder", "training")}
    return {**rest, **options.get("training", {})}


def read_text(path: Path) -> str:
    """A UTF-8 text file. Raises `UserError`."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise UserError("file_missing", "There is no file {path}.", path=path) from None
    except UnicodeDecodeError:
        raise UserError("file_encoding", "{path} is not a text file in UTF-8.", path=path) from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises `UserError`."""
    try:
        data = json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError("file_json", "{path} is not valid JSON: {why}.", path=path, why=error) from None
    if not isinstance(data, dict):
        raise UserError("file_object", "{path} must hold a JSON object.", path=path)
    return data
