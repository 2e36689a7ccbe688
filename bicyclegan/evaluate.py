"""`python -m bicyclegan evaluate`: measure a checkpoint, write metrics.json, a report and sheets of samples."""

from __future__ import annotations

import json as json_format
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bicyclegan.config import DEFAULT_CHECKPOINT
from bicyclegan.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

    from bicyclegan.metrics.evaluation import Evaluated, Request
    from bicyclegan.metrics.measurement import CheckpointFacts
    from bicyclegan.sketch import Sketch

Device = Literal["auto", "cpu", "cuda"]
RESULT_FILE = "metrics.json"


@dataclass(frozen=True)
class Evaluate:
    """Measure what a checkpoint is worth, and write a report with pictures and charts.

    Groups of metrics: lpips_diversity, reconstruction, latent, faithfulness, fid, kid, precision_recall,
    inception_score. Without --metrics all that can be measured here; those asked for by name may download weights.
    Example: python -m bicyclegan evaluate --checkpoint edges2shoes --data photos --out report
    """

    data: Path
    """Photos or pairs, as for train: the folder val or test inside is measured, train beside it gives the floor."""
    checkpoint: str = DEFAULT_CHECKPOINT
    """Checkpoint folder, or name of one in checkpoints/."""
    out: Path = Path("report")
    """Folder for metrics.json, report.html and the sheets of samples."""
    metrics: tuple[str, ...] = ()
    """Groups to measure; by default all that can be measured without a download."""
    compare: tuple[str, ...] = ()
    """Other checkpoints, measured beside it on the same pictures."""
    drawings: Path | None = None
    """File of Quick, Draw! records or sketches, one a line: the first ten are painted on a sheet of their own."""
    seed: int = 0
    """Of all random codes and choices, 0 to 4294967295."""
    limit: int = 500
    """Most validation pictures, evenly spread over all of them, 1 to 50000."""
    inputs: int = 100
    """Sketches on which diversity and the recovery of codes are measured, 2 to 1000 (the paper: 100)."""
    samples: int = 20
    """Samples of each of them, 2 to 1000 (the paper: 20)."""
    draws: int = 5
    """How often a set of pictures is painted anew for FID, KID, precision/recall and Inception Score, 1 to 1000."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Pairs: which picture is the sketch. AtoB: the left one, or folder A; BtoA: the right one, or folder B."""
    inception: Path | None = None
    """Weights for FID and KID; by default those in $TORCH_HOME/hub/checkpoints."""
    device: Device = "auto"
    """Where to compute; auto takes CUDA where there is one."""
    json: bool = False
    """Print machine-readable JSON instead of lines for people."""

    def run(self) -> dict[str, Any]:
        from bicyclegan.checkpoints import resolve
        from bicyclegan.metrics.evaluation import evaluate_checkpoints

        folder, *others = [resolve(name) for name in (self.checkpoint, *self.compare)]
        request, drawings = self._request(), self._drawings(folder)
        _check_writable(self.out)
        with _progress() as progress:
            evaluated = evaluate_checkpoints(folder, request, others, progress)
            files = self._write(evaluated, drawings)
        result = evaluated.result
        if not self.json:
            print("\n".join(summary(result.checkpoint, result.compared)))
        return {**result.to_json(), "files": [str(path) for path in files]}

    def _request(self) -> Request:
        from bicyclegan.metrics.evaluation import Request
        from bicyclegan.metrics.subject import Protocol

        return Request(
            self.data,
            self.metrics,
            Protocol(self.seed, self.inputs, self.samples, self.draws),
            self.limit,
            self.direction,
            self.inception,
            self.device,
        )

    def _drawings(self, checkpoint: Path) -> list[Sketch | Image.Image]:
        """Those to show. Read, and drawn once, before anything is measured: mistakes should not cost that time."""
        from bicyclegan.checkpoints import load_config
        from bicyclegan.command_io import naming, read_drawings
        from bicyclegan.metrics.report_sheets import rasterise_drawings

        if self.drawings is None:
            return []
        if not self.drawings.is_file():
            raise UserError("file_missing", "There is no file {path}.", path=self.drawings)
        drawings = [drawing for _, drawing in read_drawings(self.drawings)]
        with naming(self.drawings):
            rasterise_drawings(drawings, load_config(checkpoint))
        return drawings

    def _write(self, evaluated: Evaluated, drawings: list[Sketch | Image.Image]) -> list[Path]:
        """All files, the numbers first: they took longest."""
        from bicyclegan.files import write_atomic
        from bicyclegan.images import webp_bytes
        from bicyclegan.metrics.charts import Codes
        from bicyclegan.metrics.report import ReportPictures, write_report
        from bicyclegan.metrics.report_sheets import make_sheets

        text = json_format.dumps(evaluated.result.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomic(self.out / RESULT_FILE, text.encode("utf-8"))
        sheets = make_sheets(evaluated.subject, drawings)
        for sheet in sheets:
            write_atomic(self.out / sheet.file, webp_bytes(sheet.picture))
        codes = evaluated.subject.codes
        told = Codes(*(each.numpy() for each in codes)) if codes else None
        pictures = ReportPictures([(sheet.title, sheet.caption, sheet.picture) for sheet in sheets])
        report = write_report(self.out, evaluated.result, pictures, told)
        return [self.out / RESULT_FILE, report, *(self.out / sheet.file for sheet in sheets)]


def summary(checkpoint: CheckpointFacts, compared: list[CheckpointFacts]) -> list[str]:
    """One line a number, with what it is compared with."""
    lines = []
    for each in checkpoint.measurements:
        error = f" ± {each.standard_error:.2g}" if each.standard_error is not None else ""
        beside = [f"{name} {value:.4g}" for name, value in each.references.items()]
        beside += [f"{other.name} {found.value:.4g}" for other in compared if (found := other.find(each.name))]
        lines.append(f"{each.name:30} {each.value:.4g}{error}" + (f"  ({', '.join(beside)})" if beside else ""))
    return lines + [f"{each.group:30} not measured: {each.why}" for each in checkpoint.skipped]


def _check_writable(folder: Path) -> None:
    """Raise `UserError` at once where nothing could be written in the end."""
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not (place.is_dir() and os.access(place, os.W_OK)):
        raise UserError(
            "evaluate_out",
            "The report cannot be written to {folder}: {place} is no folder that may be written to. Choose another "
            "with --out.",
            folder=folder,
            place=place,
        )


@contextmanager
def _progress() -> Iterator[Callable[[str, float], None]]:
    """A bar that starts anew for everything that is done; nothing where nobody looks."""
    from tqdm import tqdm

    with tqdm(total=100, file=sys.stderr, disable=not sys.stderr.isatty(), bar_format="{l_bar}{bar}") as bar:

        def progress(what: str, share: float) -> None:
            bar.set_description(what)
            bar.n = round(100 * share)
            bar.refresh()

        yield progress
