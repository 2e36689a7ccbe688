"""The command line: python -m bicyclegan <command>.

Each command is a dataclass whose fields are its options and whose `run` returns what `--json` prints.
Exit codes: 0 done, 2 bad input (one line says what, what is allowed and what to do), 1 our own fault.
"""

from __future__ import annotations

import io
import json
import re
import sys
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, Union

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, subcommand

from bicyclegan.command_io import (
    Device,
    at_least_one,
    find_by_hash,
    load_pipeline,
    naming,
    read_json,
    read_sketches,
    read_text,
    save_output,
    save_png,
    unique_names,
)
from bicyclegan.compare import Compare
from bicyclegan.config import DEFAULT_CHECKPOINT
from bicyclegan.errors import UserError
from bicyclegan.evaluate import Evaluate
from bicyclegan.explore import Grid, Interpolate, Style, Sweep
from bicyclegan.latent_commands import LatentStats, Map
from bicyclegan.matrix import Matrix
from bicyclegan.publish import Publish
from bicyclegan.training.command import Train, train_defaults, with_topic
from bicyclegan.training.lab_command import Doctor, Lab
from bicyclegan.training.launched import is_main, leave_the_word_to_the_first

if TYPE_CHECKING:
    from bicyclegan.config import EdgeStyle
    from bicyclegan.pipeline import Pipeline
    from bicyclegan.recipe import Recipe
    from bicyclegan.sheet import SheetRecipe

Result: TypeAlias = dict[str, Any]


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
    """Rebuild pictures and sheets from the recipes inside their PNGs, to the same pixels.

    Example: python -m bicyclegan render shoe-3.png --out out
    """

    recipes: Positional[tuple[Path, ...]]
    """PNGs downloaded from the studio, or made by `translate`; sheets as `matrix` makes them."""
    checkpoint: str = ""
    """Checkpoint folder or Hub id; by default, and for the others of a sheet of several checkpoints, the one in
    checkpoints/ whose hash the recipe names."""
    out: Path = Path("out")
    """Folder for the rebuilt pictures."""
    device: Device = "auto"
    """Where to compute; auto takes CUDA where there is one."""
    json: bool = False
    """Print machine-readable JSON instead of lines for people."""

    def run(self) -> Result:
        from bicyclegan.files import write_atomic
        from bicyclegan.recipe import read_recipe
        from bicyclegan.sheet import rebuild

        recipes = []
        for path in at_least_one("picture", self.recipes):
            with naming(path):
                recipes.append((path, read_recipe(path)))
        pipelines: dict[str, Pipeline] = {}
        pictures = []
        for path, recipe in recipes:
            self._load(recipe, pipelines)
            with naming(path):
                picture = rebuild(recipe, pipelines)
            pictures.append((path.stem, recipe.to_png(picture)))
        files = []
        for name, data in unique_names(pictures):  # all or nothing
            files.append(str(self.out / f"{name}-rendered.png"))
            write_atomic(Path(files[-1]), data)
        return {"files": files}

    def _load(self, recipe: Recipe | SheetRecipe, pipelines: dict[str, Pipeline]) -> None:
        """Add the pipelines that a recipe asks for, by hash. Of several, --checkpoint stands for the one that it is."""
        missing = [content for content in recipe.checkpoints if content not in pipelines]
        if missing and self.checkpoint:
            given = load_pipeline(self.checkpoint, self.device)
            pipelines[given.hash if len(recipe.checkpoints) > 1 else missing[0]] = given
        for content in missing:
            if content not in pipelines:
                source = find_by_hash(recipe.checkpoints[content], content)
                pipelines[content] = load_pipeline(str(source), self.device)


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
            "colour_effect": [round(value, 2) for value in report.colour_effect],
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
    "sweep": Sweep,
    "grid": Grid,
    "interpolate": Interpolate,
    "style": Style,
    "matrix": Matrix,
    "map": Map,
    "latent-stats": LatentStats,
    "import-official": ImportOfficial,
    "train": Train,
    "doctor": Doctor,
    "lab": Lab,
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
    if misplaced := re.findall(r"(\S+) \(applied to [^)]*\)", problem):  # another command has an option of that name
        problem = f"Unrecognized options: {', '.join(misplaced)}"
    text = f"{argument.split()[0]}: {problem}" if argument else problem
    return text.rstrip(" .") + "."


def _fail(message: str) -> int:
    """Say what was wrong, once for all processes of a machine; returns the exit code."""
    leave_the_word_to_the_first(code=2)
    print(f"error: {message}", file=sys.stderr)
    return 2


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
