"""`python -m bicyclegan publish`: make runs a checkpoint to be shared."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional


@dataclass(frozen=True)
class Publish:
    """Make a checkpoint to be shared of one or more runs, the stages of one training in their order.

    Weights are stored as 16-bit floats. With them go what the studio shows (latents.npz, thumbs.webp), the losses as
    numbers and as a picture, and the command that repeats the training; no path of this machine. The first run may be
    a published checkpoint that was trained on.
    Example: python -m bicyclegan publish runs/shoes64 runs/shoes128 --out checkpoints/edges2shoes
    """

    runs: Positional[tuple[Path, ...]]
    """Run folders; the weights are those of the last."""
    out: Path
    """Checkpoint folder to make; its last part becomes the checkpoint's name."""
    which: Literal["latest", "best"] = "latest"
    """Checkpoint of the last run to take."""
    card: Path | None = None
    """Markdown file that becomes the model card; by default a card of what the runs tell."""
    examples: Path | None = None
    """Sketches that the studio offers to start from, one Quick, Draw! record or sketch a line. By default those of the
    folder that is replaced."""
    discriminators: bool = False
    """Add the discriminators, so that others can train on from it."""
    clean_background: bool = False
    """Keep codes away from the direction that colours the paper around drawings (needs map_code). Styles lose what
    else it said."""
    overwrite: bool = False
    """Replace an existing checkpoint folder."""
    json: bool = False
    """Print machine-readable JSON instead of lines for people."""

    def run(self) -> dict[str, Any]:
        from bicyclegan.command_io import at_least_one, read_text
        from bicyclegan.training.publish import check_out, publish

        runs = list(at_least_one("run", self.runs))
        check_out(self.out, self.overwrite)
        card = read_text(self.card) if self.card else ""
        with _progress() as progress:
            published = publish(
                runs,
                self.out,
                which=self.which,
                card=card,
                examples=self._examples(),
                discriminators=self.discriminators,
                clean=self.clean_background,
                overwrite=self.overwrite,
                progress=progress,
            )
        lines = [f"{size:>12,}  {name}" for name, size in published.files.items()]
        lines += [f"{sum(published.files.values()):>12,}  bytes in all", published.command]
        lines += [f"Note: {note}" for note in published.notes]
        if not self.json:
            print("\n".join(lines))
        return {
            "checkpoint": published.folder.name,
            "hash": published.hash,
            "command": published.command,
            "bytes": published.files,
            "notes": list(published.notes),
            "files": [str(published.folder)],
        }

    def _examples(self) -> str | None:
        """The file's text, every line of it a sketch that can be read. Raises `UserError`."""
        from bicyclegan.command_io import read_drawings, read_text

        if self.examples is None:
            return None
        read_drawings(self.examples)
        return read_text(self.examples)


@contextmanager
def _progress() -> Iterator[Callable[[float, str], None]]:
    """A bar where somebody looks."""
    from tqdm import tqdm

    with tqdm(total=100, file=sys.stderr, disable=not sys.stderr.isatty(), bar_format="{l_bar}{bar}") as bar:

        def progress(share: float, what: str) -> None:
            bar.set_description(what)
            bar.update(round(100 * share) - bar.n)

        yield progress
