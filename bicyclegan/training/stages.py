"""What a run tells about one stage of a training: facts for the model card, and the command that repeats it."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from bicyclegan.checkpoints import DEFAULT_ROOT
from bicyclegan.config import CONFIG_FILE, EdgeStyle
from bicyclegan.training.command import train_defaults
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.events import Event, RunStarted, StepLogged
from bicyclegan.training.presets import PRESETS
from bicyclegan.training.start import FREE_FIELDS

Role = Literal["latest", "best"]
ROLES: tuple[Role, ...] = ("latest", "best")
"""Folders in a run that Pipeline loads, and that another run may start from."""
PLACES = ("data", "out", "init_from", "preset", "cache_dir")
"""Fields of `TrainConfig` that a command names in its own way, or that belong to one machine."""


@dataclass(frozen=True)
class Stage:
    """One run of a training, told without any path of the machine it ran on."""

    run: str
    """Name of its folder."""
    checkpoint: Role
    """What was taken from it: published, or the start of the next stage."""
    data: str
    """Name of the data folder."""
    image_size: int
    steps: int
    """Updates made."""
    batch_size: int
    preset: str
    init_from: str = ""
    """What the first stage started from, if anything; the others start from the stage before."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of `train`, by name, that differ from their defaults: those of the preset, or of the start."""
    seconds: float = 0.0
    """Time of training, measurements included."""
    device: str = ""

    @property
    def handed_on(self) -> str:
        """The checkpoint that the command of the next stage starts from."""
        return f"runs/{self.run}/{self.checkpoint}"

    @property
    def planned_steps(self) -> int:
        """Updates that the command makes. More than were made where the learning rate depends on their number."""
        return self.options.get("steps", PRESETS[self.preset].steps)


def command_line(stages: Sequence[Stage]) -> str:
    """One line that repeats the stages in order, where the data folders lie in the current folder."""
    starts = [stages[0].init_from, *(stage.handed_on for stage in stages[:-1])]
    return " && ".join(shlex.join(_words(stage, start)) for stage, start in zip(stages, starts, strict=True))


def read_stage(
    name: str,
    config: TrainConfig,
    events: Sequence[Event],
    *,
    steps: int,
    role: Role = "latest",
    start: Path | None = None,
    first: bool = True,
) -> Stage:
    """The stage that a run was.

    Args:
        name: of the run folder.
        events: those up to the checkpoint that is taken.
        steps: updates made until then.
        role: which checkpoint that is.
        start: checkpoint folder that the run started from, if it is at hand.
        first: whether no other stage comes before.
    """
    return Stage(
        run=name,
        checkpoint=role,
        data=folder_name(config.data),
        image_size=config.model.image_size,
        steps=steps,
        batch_size=config.batch_size,
        preset=config.preset,
        init_from=portable_start(config.init_from) if first else "",
        options=changed_options(_as_made(config, steps, role), start),
        seconds=round(seconds_of(events), 1),
        device=", ".join(dict.fromkeys(event.device for event in events if isinstance(event, RunStarted))),
    )


def changed_options(config: TrainConfig, start: Path | None = None) -> dict[str, Any]:
    """Options that `train` must be given to make this config, by name, but for `PLACES`.

    Some decide about the defaults of others, as `train_defaults` knows.

    Args:
        start: the checkpoint folder of `config.init_from`. Where it is not at hand, nobody can tell what differs from
            it: everything that may is an option.
    """
    usual = PRESETS[config.preset]
    if not config.init_from:
        deciding = {"image_size": config.model.image_size, "objective": config.loss.objective}
        standard = {"image_size": usual.model.image_size, "objective": usual.loss.objective}
        told = {name: value for name, value in deciding.items() if value != standard[name]}
        words = [word for name, value in told.items() for word in (f"--{name}", str(value))]
        defaults = train_defaults(["--preset", config.preset, *words])
    elif start is not None:
        told, defaults = {}, train_defaults(["--preset", config.preset, "--init-from", str(start)])
    else:
        known = flat_options(config)
        free = (*FREE_FIELDS, *(each.name for each in dataclasses.fields(EdgeStyle)))
        told = {
            name: known[name] for name in free if known[name] is not False
        }  # the parser has no flag for "still off"
        defaults = dataclasses.replace(usual, model=config.model, edge_style=config.edge_style)
    given, before = flat_options(config), flat_options(defaults)
    changed = {name: value for name, value in given.items() if value != before[name] and name not in PLACES}
    if "val_data" in changed:
        changed["val_data"] = folder_name(changed["val_data"])
    return told | changed


def flat_options(config: TrainConfig) -> dict[str, Any]:
    """All fields of all groups, whose names are unique."""
    fields = asdict(config)
    groups = [fields.pop(name) for name, value in list(fields.items()) if isinstance(value, dict)]
    return {**fields, **{name: value for group in groups for name, value in group.items()}}


def seconds_of(events: Sequence[Event]) -> float:
    """Seconds that were spent on training, each time it went on included."""
    total = latest = 0.0
    for event in events:
        if isinstance(event, RunStarted):
            total, latest = total + latest, 0.0
        elif isinstance(event, StepLogged):
            latest = event.seconds
    return total + latest


def folder_name(path: str) -> str:
    """The last part of a path, as a fresh machine may have it in its current folder."""
    name = Path(path).name
    return name if name not in ("", "..") else Path(path).resolve().name or "data"


def portable_start(source: str) -> str:
    """What a run started from, as another machine may know it: runs/NAME/latest, checkpoints/NAME, or a Hub id."""
    path = Path(source)
    if not source:
        return ""
    if path.name in ROLES:
        return f"runs/{folder_name(str(path.parent))}/{path.name}"
    on_this_machine = path.is_absolute() or source.startswith(("~", ".")) or len(path.parts) > 2 or path.exists()
    return f"checkpoints/{folder_name(source)}" if on_this_machine else source


def local_start(source: str) -> Path | None:
    """The checkpoint folder that `--init-from` means, if it is on this machine. Nothing is downloaded."""
    path = Path(source)
    shipped = DEFAULT_ROOT / path.name if re.fullmatch(r"(checkpoints/)?[\w.-]+", source) else path
    return next((folder for folder in (path, shipped) if (folder / CONFIG_FILE).is_file()), None)


def _as_made(config: TrainConfig, steps: int, role: Role) -> TrainConfig:
    """The config of a run of as many steps as were made, if that learns the same."""
    same = role == "latest" and config.optim.schedule == "constant"
    return dataclasses.replace(config, steps=steps) if same and steps else config


def _words(stage: Stage, start: str) -> list[str]:
    words = ["python", "-m", "bicyclegan", "train", "--data", stage.data, "--out", f"runs/{stage.run}"]
    if stage.preset != TrainConfig().preset:
        words += ["--preset", stage.preset]
    if start:
        words += ["--init-from", start]
    return words + [word for name, value in stage.options.items() for word in _option(name, value)]


def _option(name: str, value: Any) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}", str(value)]
