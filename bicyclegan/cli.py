"""The command line: python -m bicyclegan <command>.

Each command is a dataclass whose fields are its options and whose `run` returns what `--json` prints.
Exit codes: 0 done, 2 bad input (one line says what, what is allowed and what to do), 1 our own fault.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, Union

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, subcommand

from bicyclegan.compare import Compare
from bicyclegan.config import DEFAULT_CHECKPOINT
from bicyclegan.errors import UserError
from bicyclegan.evaluate import Evaluate
from bicyclegan.publish import Publish
from bicyclegan.training.command import Train, train_defaults, with_topic
from bicyclegan.training.launched import is_main, leave_the_word_to_the_first

if TYPE_CHECKING:
    from PIL import Image

    from bicyclegan.config import EdgeStyle
    from bicyclegan.pipeline import Output, Pipeline
    from bicyclegan.sketch import Sketch

Result: TypeAlias = dict[str, Any]
Device: TypeAlias = Literal["auto", "cpu", "cuda"]
MAX_DRAWINGS = 1000
"""Read from one .ndjson file. Those of Quick, Draw! hold a hundred thousand."""


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
        for _, sketch in sketches:  # all or nothing
            pipe.prepare(sketch)
        files = []
        for name, sketch in unique_names(sketches):
            output = pipe(sketch, self.samples, self.seed, truncation=self.truncation)
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
        from bicyclegan.sketch import photo_to_edges, with_detail

        config = load_config(resolve(self.checkpoint))
        if config.edge_style is None:
            raise UserError("no_edges", "{name} draws from label maps, not edges.", name=config.name)
        style = with_detail(config.edge_style, self.detail)
        size = config.model.image_size
        maps = [(path.stem, photo_to_edges(path, style, size)) for path in at_least_one("photo", self.photos)]
        files = [save_png(Image.fromarray(edges), self.out / f"{name}-edges.png") for name, edges in unique_names(maps)]
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

        recipes = []
        for path in at_least_one("picture", self.recipes):
            with naming(path):
                recipes.append((path, read_recipe(path)))
        pipelines: dict[str, Pipeline] = {}
        pictures = []
        for path, recipe in recipes:
            if recipe.checkpoint_hash not in pipelines:
                source = self.checkpoint or find_by_hash(recipe.checkpoint, recipe.checkpoint_hash)
                pipelines[recipe.checkpoint_hash] = load_pipeline(str(source), self.device)
            with naming(path):
                picture = recipe.render(pipelines[recipe.checkpoint_hash])
            pictures.append((path.stem, recipe.to_png(picture)))
        files = []
        for name, data in unique_names(pictures):  # all or nothing
            files.append(str(self.out / f"{name}-rendered.png"))
            write_atomic(Path(files[-1]), data)
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
    """JSON with the official option names, in parts "generator" and "encoder"; by default options.json beside G.
    A part "edge_style" says how the training edges were made (fields of EdgeStyle; null for label maps)."""
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

        if not self.generator.is_file():
            raise UserError("file_missing", "There is no file {path}.", path=self.generator)
        options = read_json(self.options or self.generator.parent / "options.json")
        model, generator, encoder = import_official_pair(self.generator, self.encoder, options)
        style, training = read_edge_style(options), provenance(options)
        config = CheckpointConfig(model, name=self.out.name, edge_style=style, training=training)
        card = read_text(self.card) if self.card else ""
        folder = save_checkpoint(
            self.out, config, generator, encoder, card=card, half=self.half, overwrite=self.overwrite
        )
        return {"checkpoint": config.name, "hash": content_hash(folder), "files": [str(folder)]}


@dataclass(frozen=True)
class Prepare:
    """Measure a checkpoint's latent space for the studio: codes and thumbnails of photos, what each slider does.

    Writes latents.npz and thumbs.webp into its folder; training ends with this. Without LPIPS weights on this
    machine effects are measured in RGB, and so named.
    Example: python -m bicyclegan prepare edges2shoes --data photos
    """

    checkpoint: Positional[str]
    """Checkpoint folder, or name of one in checkpoints/."""
    data: Path
    """Photos or pairs, as for train: the folder val or test inside is read if there is one, else all of them."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Pairs: which picture is the sketch. AtoB: the left one, or folder A; BtoA: the right one, or folder B."""
    limit: int = 500
    """Most pictures to read, evenly spread over all of them, 1 to 20000."""
    device: Device = "auto"
    """Where to compute; auto takes CUDA where there is one."""
    json: bool = False
    """Print machine-readable JSON instead of lines for people."""

    def run(self) -> Result:
        from tqdm import tqdm

        from bicyclegan.checkpoints import resolve
        from bicyclegan.prepare import prepare_from

        with tqdm(total=100, file=sys.stderr, disable=not sys.stderr.isatty(), bar_format="{l_bar}{bar}") as bar:

            def progress(share: float, what: str) -> None:
                bar.set_description(what)
                bar.update(round(100 * share) - bar.n)

            report = prepare_from(
                self.data,
                resolve(self.checkpoint),
                direction=self.direction,
                limit=self.limit,
                device=self.device,
                progress=progress,
            )
        return {
            "checkpoint": report.checkpoint,
            "hash": report.hash,
            "codes": report.codes,
            "active_dims": report.active_dims,
            "effect": [round(value, 4) for value in report.effect],
            "effect_metric": report.effect_metric,
            "files": [str(path) for path in report.files],
        }


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


COMMANDS: dict[str, type] = {
    "translate": Translate,
    "edges": Edges,
    "encode": Encode,
    "render": Render,
    "import-official": ImportOfficial,
    "train": Train,
    "evaluate": Evaluate,
    "compare": Compare,
    "prepare": Prepare,
    "publish": Publish,
    "deploy": Deploy,
}
"""All commands by name, in the order of --help."""


def main(args: list[str] | None = None) -> None:
    """Parse, run, print; turn mistakes into one line and exit code 2."""
    try:
        command = parse(sys.argv[1:] if args is None else args)
        result = command.run()
    except UserError as error:
        sys.exit(_fail(str(error)))
    except OSError as error:
        sys.exit(_fail(f"{error.strerror or error}: {error.filename or ''}"))
    except KeyboardInterrupt:
        sys.exit(130)
    if not is_main():
        return
    if command.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        for path in result.get("files", []):
            print(path)


def parse(args: list[str]) -> Any:
    """The command that the arguments name. Raises `UserError` with one line where the parser would draw a box."""
    defaults: dict[str, Any] = {}
    if args[:1] == ["train"]:  # its defaults depend on its own options, such as the preset
        args = with_topic(args)
        defaults["train"] = Train(train_defaults(args[1:]))
    choices = [
        Annotated[kind, subcommand(name, default=defaults[name]) if name in defaults else subcommand(name)]
        for name, kind in COMMANDS.items()
    ]
    box = io.StringIO()
    try:
        with redirect_stderr(box):
            return tyro.cli(
                Union[tuple(choices)],  # noqa: UP007 - a choice made while running
                prog="python -m bicyclegan",
                description="BicycleGAN: one sketch, many photos.",
                args=args,
                config=(FlagCreatePairsOff, OmitArgPrefixes),
            )
    except SystemExit as end:
        if not end.code:
            raise  # --help
        raise UserError("cli_syntax", "{problem} See --help.", problem=plain_text(box.getvalue())) from None


def plain_text(box: str) -> str:
    """What a box of the parser says, in one line."""
    inside = ("│", "  ")  # where the terminal knows UTF-8, and where not
    rows = [line.strip(" │") for line in box.splitlines() if line.startswith(inside)]
    rows = [row for row in rows if row.strip("─-") and not row.startswith(("For full helptext", "run - --help"))]
    problem, _, argument = re.sub(r"^Error parsing \S+: ", "", " ".join(rows)).partition(" Argument helptext: ")
    text = f"{argument.split()[0]}: {problem}" if argument else problem
    return text.rstrip(" .") + "."


def _fail(message: str) -> int:
    """Say what was wrong, once for all processes of a machine; returns the exit code."""
    leave_the_word_to_the_first(code=2)
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

    if path.suffix.lower() == ".ndjson":
        return read_drawings(path)
    if path.suffix.lower() == ".json":
        text = read_text(path)
        with naming(path):
            return [(path.stem, Sketch.from_json(text))]
    return [(path.stem, load_image(path))]


def read_drawings(path: Path) -> list[tuple[str, Sketch | Image.Image]]:
    """One Quick, Draw! record or sketch a line, as in a checkpoint's examples.ndjson. Raises `UserError`."""
    from bicyclegan.checkpoints import read_example

    lines = [(n, line) for n, line in enumerate(read_text(path).split("\n"), start=1) if line.strip()]
    if not 1 <= len(lines) <= MAX_DRAWINGS:
        raise UserError(
            "drawings_count",
            "{path} holds {count} drawings; use 1 to {limit} at a time: head -n {limit} cuts a file.",
            path=path,
            count=len(lines),
            limit=MAX_DRAWINGS,
        )
    drawings = []
    for n, line in lines:
        with naming(f"{path}, line {n}"):
            drawings.append((f"{path.stem}-{len(drawings)}", read_example(line)))
    return drawings


@contextmanager
def naming(place: str | Path) -> Iterator[None]:
    """Say which of several files a mistake is in, where its message does not."""
    try:
        yield
    except UserError as error:
        if str(place) not in str(error):
            error.args = (f"{place}: {error}",)
        raise


def at_least_one(what: str, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Commands without anything to work on end here."""
    if not paths:
        raise UserError("nothing_given", "No {what} was given. Name one or more files; --help has examples.", what=what)
    return paths


def unique_names(items: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Number names that occur again, so that files from different folders do not overwrite each other."""
    given = {name for name, _ in items}
    taken: set[str] = set()
    result = []
    for name, item in items:
        free, n = name, 1
        while free in taken or (n > 1 and free in given):
            n += 1
            free = f"{name}~{n}"
        taken.add(free)
        result.append((free, item))
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
        with suppress(UserError):  # a damaged neighbour is not in the way
            if content_hash(folder) == wanted:
                return folder
    raise UserError(
        "recipe_no_checkpoint",
        "This picture was made by checkpoint {name} with hash {hash}, and none of {available} has that hash: it is "
        "missing, or was changed since. Give its folder or Hub id with --checkpoint.",
        name=name,
        hash=wanted[:12],
        available=", ".join(folder.name for folder in folders) or "no checkpoints",
    )


def read_edge_style(options: dict[str, Any]) -> EdgeStyle | None:
    """How the model's edges look, from its options file; our own Canny edges if the file says nothing."""
    from bicyclegan.config import EdgeStyle, from_json

    style = options.get("edge_style", {})
    return None if style is None else from_json(EdgeStyle, style)


def provenance(options: dict[str, Any]) -> dict[str, Any]:
    """What an options file in parts says beside the networks: data, training, figures."""
    if "generator" not in options:
        return {}  # the official flat file: all of it describes networks
    rest = {
        key: value for key, value in options.items() if key not in ("generator", "encoder", "edge_style", "training")
    }
    training = options.get("training", {})
    return {**rest, **(training if isinstance(training, dict) else {"training": training})}


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
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError("file_json", "{path} is not valid JSON: {why}.", path=path, why=error) from None
    if not isinstance(data, dict):
        raise UserError("file_object", "{path} must hold a JSON object.", path=path)
    return data
