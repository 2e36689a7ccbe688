"""`python -m bicyclegan map | latent-stats`: the codes of photos as a page to look at, and what they say in words."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from bicyclegan.command_io import Device, check_page
from bicyclegan.config import DEFAULT_CHECKPOINT
from bicyclegan.errors import UserError

if TYPE_CHECKING:
    from bicyclegan.map_page.code_set import CodeSet
    from bicyclegan.metrics.posterior import PosteriorReport, Reading
    from bicyclegan.projection import MapSettings

LEAST_PHOTOS = 2
"""On a map."""
SHOWN_DIMS = 32
"""Dims whose numbers are printed for people."""
WIDEST, NARROWEST, LABEL = 100, 40, 11
"""Columns that text is wrapped to at most and at least, and those of the verdict in front."""


@dataclass(frozen=True)
class LatentSource:
    """Whose codes: what both commands take."""

    checkpoint: str = DEFAULT_CHECKPOINT
    """Checkpoint folder, name of one in checkpoints/, or Hugging Face Hub id."""
    data: Path | None = None
    """Photos or pairs to read anew, as for train; by default the codes that prepare stored with the checkpoint."""
    run_folder: Annotated[Path | None, arg(name="run")] = None
    """Instead of a checkpoint: folder that train --out made, whose validations kept the codes of fixed pictures."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Pairs of --data: which picture is the sketch. AtoB: the left one, or folder A; BtoA: the right one, or B."""
    limit: int = 500
    """Most pictures of --data to read, evenly spread over all of them, 1 to 20000."""
    device: Device = "auto"
    """Where to compute; auto takes CUDA where there is one."""
    json: bool = False
    """Print machine-readable JSON instead of lines for people."""

    def read(self, progress: Callable[[float, str], None]) -> CodeSet:
        """The codes that are meant. Raises `UserError`."""
        from bicyclegan.checkpoints import resolve
        from bicyclegan.map_page.code_set import read_anew, read_run, read_stored

        if self.run_folder is not None:
            self._check_run_alone()
            return read_run(self.run_folder)
        folder = resolve(self.checkpoint)
        if self.data is None:
            return read_stored(folder)
        return read_anew(
            folder, self.data, direction=self.direction, limit=self.limit, device=self.device, progress=progress
        )

    def _check_run_alone(self) -> None:
        given = {"--checkpoint": self.checkpoint != DEFAULT_CHECKPOINT, "--data": self.data is not None}
        if any(given.values()):
            raise UserError(
                "latent_source",
                "--run shows the codes that a run has kept, of its own pictures. Leave out {others}, or --run.",
                others=" and ".join(option for option, is_given in given.items() if is_given),
            )


@dataclass(frozen=True)
class Map(LatentSource):
    """Draw the codes of photos as a map on one HTML page: similar photos lie together, random codes among them.

    The page needs no network. With --run it is a film: how the codes moved while the model was trained.
    Example: python -m bicyclegan map --checkpoint edges2shoes --method umap --out map.html
    """

    method: Literal["pca", "umap", "tsne"] = "pca"
    """pca: a shadow, exact in what it shows, at once. umap, tsne: neighbours stay together; seconds to minutes."""
    dims: int = 2
    """2, flat, or 3, to turn around."""
    neighbours: int = 15
    """umap: how many nearest codes count as near, 2 to 200. Few show detail, many the large shape."""
    min_dist: float = 0.1
    """umap: how close points may lie, 0 to 0.99."""
    perplexity: float = 30.0
    """tsne: about how many codes count as near, 2 to 100."""
    seed: int = 0
    """Of the random parts of umap and tsne, 0 to 4294967295."""
    out: Path = Path("map.html")
    """HTML file to write; an older one is replaced."""

    def run(self) -> dict[str, Any]:
        from bicyclegan.map_page.page import MapPage, write_map

        check_page(self.out, "map.html")
        settings = self._settings()
        with _progress() as progress:
            codes = self.read(progress)
            _check_photos(codes)
            code_map = codes.lay_out(settings, progress)
            readings = _readings(codes)
        write_map(self.out, MapPage(codes, code_map, readings))
        return {
            **_about(codes),
            "settings": settings.used,
            "names": list(codes.names),
            "coords": code_map.coords.tolist(),
            "prior_coords": code_map.prior_coords.tolist(),
            "stats": readings.to_json() if readings else None,
            "files": [str(self.out)],
        }

    def _settings(self) -> MapSettings:
        from bicyclegan.projection import MAX_CODES, MapSettings

        if self.run_folder is not None and self.method != "pca":
            raise UserError(
                "map_run_method",
                "A run is drawn by pca, not {method}: points may only move because their codes do, and {method} lays "
                "out every step anew. Leave out --method, or show one step: --checkpoint {run}/latest --data DIR.",
                method=self.method,
                run=self.run_folder,
            )
        settings = MapSettings(self.method, self.dims, self.neighbours, self.min_dist, self.perplexity, self.seed)
        settings.check(MAX_CODES)  # what is wrong for any number of photos, before they are read
        return settings


@dataclass(frozen=True)
class LatentStats(LatentSource):
    """Say whether the codes of photos look like the random codes that samples are drawn with: verdicts and remedies.

    Example: python -m bicyclegan latent-stats --checkpoint edges2shoes
    """

    def run(self) -> dict[str, Any]:
        from bicyclegan.metrics.posterior import read_posterior

        with _progress() as progress:
            codes = self.read(progress)
        readings = read_posterior(codes.mu, codes.logvar)
        if not self.json:
            print("\n".join(summary(codes, readings)))
        return {**_about(codes), **readings.to_json()}


def summary(codes: CodeSet, report: PosteriorReport, width: int | None = None) -> list[str]:
    """The readings as lines for people: verdict and sentence, what to do, and the numbers of each dim.

    width: columns; by default those of the terminal.
    """
    from bicyclegan.metrics.reading import plain

    width = max(NARROWEST, min(WIDEST, width or shutil.get_terminal_size((WIDEST, 0)).columns))
    step = f" at step {codes.history.steps[-1]:,}" if codes.history else ""
    head = f"{plain(codes.name, 80)}{step}: {report.verdict} ({report.photos:,} photos, {report.dims} dims)"
    return [head, *(line for reading in report.readings for line in _told(reading, width))]


def _told(reading: Reading, width: int) -> list[str]:
    parts = [reading.sentence]
    if reading.remedy:
        parts.append(f"What to do: {reading.remedy}")
    if reading.per_dim:
        numbers = " ".join(f"{value:.3g}" for value in reading.per_dim[:SHOWN_DIMS])
        parts.append(f"{reading.name} by dim: {numbers}{' ...' if len(reading.per_dim) > SHOWN_DIMS else ''}")
    indent = " " * LABEL
    heads = [f"{reading.verdict:{LABEL}}", indent, indent]
    return [
        line
        for head, part in zip(heads, parts, strict=False)
        for line in textwrap.wrap(part, width, initial_indent=head, subsequent_indent=indent, break_on_hyphens=False)
    ]


def _about(codes: CodeSet) -> dict[str, Any]:
    if codes.history is None:
        return {"checkpoint": codes.name, "hash": codes.hash}
    return {"run": codes.name, "steps": codes.history.steps.tolist(), "skipped": codes.history.skipped}


def _readings(codes: CodeSet) -> PosteriorReport | None:
    """What the codes say; None for so few photos that they say nothing. Raises `UserError` for absurd codes."""
    from bicyclegan.metrics.posterior import MIN_PHOTOS, read_posterior

    return read_posterior(codes.mu, codes.logvar) if len(codes.names) >= MIN_PHOTOS else None


def _check_photos(codes: CodeSet) -> None:
    if len(codes.names) < LEAST_PHOTOS:
        raise UserError(
            "map_photos",
            "There is one photo alone; a map shows how photos differ and needs at least {least}, better hundreds. "
            "Give a folder with more of them: --data DIR.",
            least=LEAST_PHOTOS,
        )


@contextmanager
def _progress() -> Iterator[Callable[[float, str], None]]:
    """A bar that starts anew for everything that is done; nothing where nobody looks."""
    from tqdm import tqdm

    with tqdm(total=100, file=sys.stderr, disable=not sys.stderr.isatty(), bar_format="{l_bar}{bar}") as bar:

        def progress(share: float, what: str) -> None:
            bar.set_description(what)
            bar.n = round(100 * share)
            bar.refresh()

        yield progress
