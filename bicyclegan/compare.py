"""`python -m bicyclegan compare`: runs side by side on one page, to decide which is better and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from bicyclegan.command_io import check_page


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

        check_page(self.out, "compare.html")
        runs = read_runs(self.runs)
        write_page(self.out, runs)
        if not self.json:
            print("\n".join(summary(runs)))
        return {**to_json(runs), "files": [str(self.out)]}
