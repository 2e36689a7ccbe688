"""`python -m bicyclegan lab` and `doctor`: a pitfall of the tutorials as it happens, and what a run suffers from."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from bicyclegan.errors import UserError

if TYPE_CHECKING:
    from bicyclegan.training.doctor_report import Report
    from bicyclegan.training.lab import Lesson
    from bicyclegan.training.lab_sides import SideRun
    from bicyclegan.training.stop import StopRequest

Language = Literal["en", "zh"]
KEY_FIGURES = (
    "reconstruction_l1",
    "latent_l1",
    "diversity_rgb",
    "encoded_random_l1_gap",
    "high_frequency",
    "border_energy",
)
"""Metrics that show a recovery, of those that a run has."""


@dataclass(frozen=True)
class Doctor:
    """Tell what a training suffers from: the evidence, the cause and what helps.

    Reads a run folder, also while it trains, the folder of a checkpoint, or a file of events alone.
    Example: python -m bicyclegan doctor runs/shoes
    """

    run_folder: Positional[Path]
    """Folder of a run (events.jsonl), of a checkpoint (training.jsonl), or one of these files."""
    language: Language = "en"
    """Of the findings: en or zh."""
    json: bool = False
    """Print machine-readable JSON instead of lines for people."""

    def run(self) -> dict[str, Any]:
        from bicyclegan.training.doctor_report import examine

        report = examine(self.run_folder, self.language)
        if not self.json:
            print("\n".join(report.lines()))
        return report.to_json()


@dataclass(frozen=True)
class Lab:
    """Watch a pitfall of the tutorials happen: a sick and a healthy run side by side, about a minute on a CPU.

    Then the doctor tells what it finds in both, and with --cure the sick one goes on with the remedy.
    Example: python -m bicyclegan lab no-latent-loss --out runs/lesson --cure
    """

    lesson: Positional[str] = ""
    """Name of a lesson; --list tells them."""
    out: Path | None = None
    """Folder to make, for both run folders: sick and healthy."""
    seed: int = 0
    """Of everything random, the same for both sides. 0 to 4294967295."""
    data: Path | None = None
    """Pictures to learn from, as for train, in place of the lesson's own."""
    cure: bool = False
    """Go on with the sick run when both have ended, with what made it sick taken away."""
    list: bool = False
    """Print all lessons and train nothing."""
    language: Language = "en"
    """Of the findings: en or zh."""
    json: bool = False
    """Print machine-readable JSON instead of lines for people."""

    def run(self) -> dict[str, Any]:
        from bicyclegan.training.lab import lesson
        from bicyclegan.training.lab_sides import made_sides, train_sides
        from bicyclegan.training.stop import StopRequest

        if self.list:
            return self._list()
        if not self.lesson:
            raise UserError("lab_no_lesson", "Name a lesson; python -m bicyclegan lab --list tells them.")
        taught = lesson(self.lesson)
        if self.out is None:
            raise UserError("train_missing", "--{name} is missing: name a folder.", name="out")
        with StopRequest() as stop:
            with made_sides(taught, self.out, self.seed, self.data) as sides:
                self._tell(f"{taught.name}: {taught.about}.")
                train_sides(sides.values(), stop, self._tell)
            result: dict[str, Any] = {"lesson": taught.name}
            for side in sides.values():
                result[side.side] = self._examined(side)
            if self.cure and not stop.signal:
                result["cured"] = self._cured(taught, sides["sick"], sides["healthy"], stop)
        return {**result, "stopped": bool(stop.signal), "files": [str(side.root) for side in sides.values()]}

    def _list(self) -> dict[str, Any]:
        from bicyclegan.training.lab import LESSONS

        width = max(map(len, LESSONS))
        if not self.json:
            for each in LESSONS.values():
                print(f"{each.name:<{width}}  {each.about}")
        return {
            "lessons": [
                {"name": each.name, "about": each.about, "data": each.data, "steps": each.config.steps}
                for each in LESSONS.values()
            ]
        }

    def _cured(self, taught: Lesson, sick: SideRun, healthy: SideRun, stop: StopRequest) -> dict[str, Any]:
        """Go on with the sick side, and compare."""
        from bicyclegan.training.doctor_report import value_text
        from bicyclegan.training.lab_sides import prepare_cure, train_sides
        from bicyclegan.training.pitfalls import PITFALLS

        before = key_figures(sick)
        step, changes = prepare_cure(taught, sick)
        told = [f"{name} = {value_text(value)}" for name, value in changes.items()]
        if PITFALLS[taught.pitfall].bug:
            told.insert(0, "the bug is taken out")
        self._tell(f"\nThe sick run goes on from step {step}, cured: {', '.join(told)}.")
        train_sides([sick], stop, self._tell, resume=True)
        examined = self._examined(sick, "cured")
        figures = {"sick": before, "cured": key_figures(sick), "healthy": key_figures(healthy)}
        for line in table(figures):
            self._tell(line)
        return {**examined, "from_step": step, "changes": changes, "before": before, "after": figures["cured"]}

    def _examined(self, side: SideRun, name: str = "") -> dict[str, Any]:
        """How a side ended, and the doctor's findings."""
        from bicyclegan.training.doctor_report import examine

        status = side.status
        self._tell(f"\n{(name or side.side).upper()}  {status.state} after step {status.step}")
        if status.error:
            self._tell(str(status.error))
        if not side.began:
            return {"run": str(side.root), "state": status.state, "step": 0, "findings": []}
        report: Report = examine(side.root, self.language)
        self._tell("\n".join(report.lines(head=False)))
        return {"state": status.state, "step": status.step, **report.to_json()}

    @property
    def _tell(self) -> Callable[[str], None]:
        return lambda line: print(line, file=sys.stderr if self.json else sys.stdout, flush=True)


def key_figures(side: SideRun) -> dict[str, float]:
    """Metrics of the last validation."""
    from bicyclegan.training.events import Validated, read_events

    events = [event for event in read_events(side.run.events_file) if isinstance(event, Validated)]
    metrics = events[-1].metrics if events else {}
    return {name: value for name in KEY_FIGURES if isinstance(value := metrics.get(name), (int, float))}


def table(columns: dict[str, dict[str, float]]) -> list[str]:
    """Figures side by side; a dash where one has none."""
    names = list(dict.fromkeys(name for figures in columns.values() for name in figures))
    if not names:
        return []
    width = max(map(len, names))
    rows = [f"\n{'':<{width}}" + "".join(f"{head:>10}" for head in columns)]
    for name in names:
        cells = [f"{figures[name]:.3f}" if name in figures else "–" for figures in columns.values()]
        rows.append(f"{name:<{width}}" + "".join(f"{cell:>10}" for cell in cells))
    return rows
