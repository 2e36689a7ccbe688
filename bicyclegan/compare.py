"""`python -m bicyclegan compare`: runs side by side on one page, to decide which is better and why."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from bicyclegan.errors import UserError

PAGE_SUFFIXES = (".html", ".htm")


@dataclass(frozen=True)
class Compare:
    """Put training runs side by side on one page: settings that differ, curves, samples, the best of each.

    The page is one file that needs no network. Runs may still be going on, and nothing in their folders is changed.
    Example: python -m bicyclegan compare runs/A runs/B --out compare.html
    """

    runs: Positional[tuple[Path, ...]]
    """Run folders that train --out made, 2 to 8."""
    out: Path = Path("compare.html")
    """HTML file to write; an older one is replaced."""
    json: bool = False
    """Print machine-readable JSON instead of lines for people."""

    def run(self) -> dict[str, Any]:
        from bicyclegan.training.comparison.page import write_page
        from bicyclegan.training.comparison.result import summary, to_json
        from bicyclegan.training.comparison.runs import read_runs

        _check_out(self.out)
        runs = read_runs(self.runs)
        write_page(self.out, runs)
        if not self.json:
            print("\n".join(summary(runs)))
        return {**to_json(runs), "files": [str(self.out)]}


def _check_out(path: Path) -> None:
    """Raise `UserError` at once where no page could be written in the end."""
    if path.suffix.lower() not in PAGE_SUFFIXES or path.is_dir():
        raise UserError(
            "compare_out_name",
            "--out is {path}; it must be an HTML file, such as compare.html.",
            path=path,
        )
    place = next(parent for parent in path.absolute().parents if parent.exists())
    if not (place.is_dir() and os.access(place, os.W_OK)):
        raise UserError(
            "compare_out",
            "The page cannot be written to {path}: {place} is no folder that may be written to. Choose another file "
            "with --out.",
            path=path,
            place=place,
        )
