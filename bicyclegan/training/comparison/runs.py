"""The runs that are compared, read from their folders. Nothing in these is written or trusted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bicyclegan.config import MODEL_FILE, SCHEMA_VERSION
from bicyclegan.errors import UserError
from bicyclegan.metrics.reading import NAME_LENGTH, plain
from bicyclegan.training.comparison.story import Story, positive, read_story
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.run_folder import RunFolder

MIN_RUNS, MAX_RUNS = 2, 8
MAX_FIELDS, MAX_DEPTH = 500, 4
"""Fields of a config that are read, and how deep they may lie."""
MAX_TEXT = 2000
"""Characters of a value."""


@dataclass(frozen=True)
class Run:
    """One of the runs."""

    label: str
    """Its folder's name, with as much of the path as tells it from the others."""
    folder: Path
    config: dict[str, Any]
    """Fields by dotted name, `loss.lambda_l1`; empty where there is no config that can be read."""
    assumed: frozenset[str]
    """Fields that its config does not have, because the program was older: they have their defaults."""
    story: Story
    notes: tuple[str, ...] = ()
    """What could not be read."""

    @property
    def planned(self) -> int | None:
        """Updates it was to make."""
        return positive(self.config.get("steps"))

    @property
    def batch_size(self) -> int | None:
        return positive(self.config.get("batch_size"))

    def images(self, step: int) -> int | None:
        """Pictures seen until then; None where the batch size is not known."""
        return None if self.batch_size is None else step * self.batch_size


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read 2 to 8 runs.

    Raises:
        UserError: for another number of them, a folder that is given twice, and one that is no run.
    """
    if not MIN_RUNS <= len(folders) <= MAX_RUNS:
        raise UserError(
            "compare_count",
            "compare takes {low} to {high} runs, not {count}: give their folders, as in compare runs/A runs/B. One run "
            "alone is seen in the studio's tab Train.",
            low=MIN_RUNS,
            high=MAX_RUNS,
            count=len(folders),
        )
    labels = run_labels(folders)
    return [_read_run(folder, label) for folder, label in zip(folders, labels, strict=True)]


def run_labels(folders: Sequence[Path]) -> list[str]:
    """Names of the folders; where some are equal these get as many folders above as tell them apart."""
    paths = [folder.resolve() for folder in folders]
    if twice := next((folder for folder, path in zip(folders, paths, strict=True) if paths.count(path) > 1), None):
        raise UserError(
            "compare_twice",
            "{folder} is given twice: give each run once, and another to hold it against.",
            folder=twice,
        )
    tails = [_shortest_tail(path, [other for other in paths if other != path]) for path in paths]
    names = [plain(tail, NAME_LENGTH - 4) or "unnamed" for tail in tails]
    seen = [names[:place].count(name) for place, name in enumerate(names)]  # equal again where they were cut
    return [f"{name} ({before + 1})" if before else name for name, before in zip(names, seen, strict=True)]


def _shortest_tail(path: Path, others: Sequence[Path]) -> str:
    parts = path.parts
    for count in range(1, len(parts) + 1):
        if not any(other.parts[-count:] == parts[-count:] for other in others):
            return "/".join(parts[-count:])
    return str(path)


def _read_run(path: Path, label: str) -> Run:
    folder = RunFolder(path)
    _check_folder(path)
    fields, notes = _read_config(folder)
    story = read_story(folder)
    ours = "steps" in fields and any(name.startswith("model.") for name in fields)
    if not (ours or story.events):
        raise _no_run(path)
    if not ours and not notes:
        notes.append("config.json is missing or from another program: its settings are not known.")
    known = flatten(TrainConfig().to_json()) if ours else {}
    return Run(
        label=label,
        folder=path,
        config={**known, **fields} if ours else {},
        assumed=frozenset(known.keys() - fields.keys()),
        story=story,
        notes=(*notes, *_story_notes(folder, story)),
    )


def _check_folder(path: Path) -> None:
    """Raise `UserError` where there cannot be a run."""
    if not path.is_dir():
        raise UserError(
            "compare_missing",
            "There is no folder {folder}; give run folders that train --out made, such as runs/shoes.",
            folder=path,
        )
    if (path / MODEL_FILE).is_file():
        raise UserError(
            "compare_checkpoint",
            "{folder} is a checkpoint, not a run. Give run folders that train --out made; checkpoints are compared by "
            "evaluate --checkpoint A --compare B.",
            folder=path,
        )


def _no_run(path: Path) -> UserError:
    return UserError(
        "compare_no_run",
        "{folder} is no run: neither its config.json nor its events.jsonl can be read as one. Give run folders that "
        "train --out made, such as runs/shoes.",
        folder=path,
    )


def _read_config(folder: RunFolder) -> tuple[dict[str, Any], list[str]]:
    """Fields, and what is to be said of them. Read without `TrainConfig`: newer fields and values are shown too."""
    try:
        data = json.loads(folder.config_file.read_text("utf-8"))
        fields = flatten(data)
    except FileNotFoundError:
        return {}, []
    except (ValueError, RecursionError) as error:
        return {}, [f"config.json is damaged ({plain(error, 120)}): its settings are not known."]
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int) or version <= SCHEMA_VERSION:
        return fields, []
    note = (
        f"config.json is of a newer program (schema {plain(version, 20)}; this one knows {SCHEMA_VERSION}): some of it "
        "may mean something else. Update this program: git pull."
    )
    return fields, [note]


def flatten(data: Any, prefix: str = "", depth: int = MAX_DEPTH) -> dict[str, Any]:
    """Values of nested objects by their dotted names, at most `MAX_FIELDS`. Lists become texts."""
    if not isinstance(data, dict):
        return {}
    fields: dict[str, Any] = {}
    for key, value in data.items():
        name = prefix + plain(key, 60)
        inside = isinstance(value, dict) and depth > 1
        fields.update(flatten(value, f"{name}.", depth - 1) if inside else {name: _single(value)})
    return dict(list(fields.items())[:MAX_FIELDS])


def _single(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, (int, float)):
        return value
    return (value if isinstance(value, str) else json.dumps(value))[:MAX_TEXT]


def _story_notes(folder: RunFolder, story: Story) -> list[str]:
    if not folder.events_file.is_file():
        return ["There is no events.jsonl: nothing of its training is known yet."]
    notes = []
    if story.unread:
        lines = "1 line" if story.unread == 1 else f"{story.unread:,} lines"
        notes.append(f"{lines} of events.jsonl could not be read (cut off, damaged, or of a newer program): left out.")
    if not story.training.rows:
        notes.append("No losses were logged yet.")
    return notes
