"""What may be changed about a run before it goes on: what neither its networks nor the order of its pictures know of.

This is more than `--resume` allows (`checks.RESUMABLE`), which promises the same run as one that never stopped. Here
somebody wants another one: more steps, other weights of the losses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from bicyclegan.errors import UserError
from bicyclegan.training import dcgan_config
from bicyclegan.training.config import LossConfig, TrainConfig
from bicyclegan.training.dcgan_config import DcganConfig
from bicyclegan.training.job_files import JobFiles
from bicyclegan.training.objectives import OBJECTIVES

AnyConfig = TypeVar("AnyConfig", TrainConfig, DcganConfig)
CHANGEABLE = ("steps", "augment", "strokes", "loss", "optim", "regular", "record")
"""Fields and groups of `TrainConfig`."""
FIXED = (
    # other networks
    "objective",
    "share_discriminator",
    # other pictures: they are decoded larger
    "crop",
    # long past
    "init",
    "init_gain",
    "encoder_init",
    "discriminator_warmup",
    # kept with the optimisers' moments, which would win over the change
    "beta1",
    "beta2",
    "weight_decay",
)
"""Fields in these groups that stay."""


def with_changes(config: AnyConfig, changes: Mapping[str, Any]) -> AnyConfig:
    """The config with some fields changed, each given by its name alone.

    Raises:
        UserError: for fields that must stay or do not exist, and for values that cannot be.
    """
    if isinstance(config, DcganConfig):
        if fixed := [name for name in changes if name not in dcgan_config.CHANGEABLE]:
            raise _stays(fixed[0])
        return dataclasses.replace(config, **changes)
    groups: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        groups.setdefault(_group(config, name), {})[name] = value
    changed = groups.pop("", {})
    for group, values in groups.items():
        changed[group] = dataclasses.replace(getattr(config, group), **values)
    new = dataclasses.replace(config, **changed)
    if _judged(new.loss) != _judged(config.loss):
        raise _stays("lambda_gan, lambda_gan2")  # a discriminator would come or go
    if bool(new.optim.ema_decay) != bool(config.optim.ema_decay):
        raise _stays("ema_decay")  # there are no averages to go on with
    return new


def placed(config: AnyConfig, folder: Path, device: str, own_pictures: bool = True) -> AnyConfig:
    """The config for a run in this folder, wherever it was when it began.

    own_pictures: what it learns from lies in the folder too, and nowhere else.
    """
    changed: dict[str, Any] = {"out": str(folder), "device": device}
    if own_pictures:
        files = JobFiles(folder)
        changed["data"] = str(_inside(config, files.pictures))
        if isinstance(config, DcganConfig):
            changed["cache_dir"] = str(files.cache)
        else:
            changed["source"] = dataclasses.replace(config.source, cache_dir=str(files.cache))
    return dataclasses.replace(config, **changed)


def _group(config: TrainConfig, name: str) -> str:
    """The group that a field is in, "" for the run itself. Raises `UserError` for one that must stay."""
    if name == "steps":
        return ""
    for group in CHANGEABLE:
        holder = getattr(config, group)
        if dataclasses.is_dataclass(holder) and name in {each.name for each in dataclasses.fields(holder)}:
            if name in FIXED:
                break
            return group
    raise _stays(name)


def _stays(name: object) -> UserError:
    return UserError(
        "job_change",
        "{name!r} cannot change in a run that has begun: start a new one from its model.",
        name=str(name),
    )


def _judged(loss: LossConfig) -> list[bool]:
    """Which paths have a discriminator to please."""
    return [loss.uses(f"gan_{path.name}") for path in OBJECTIVES[loss.objective].paths]


def _inside(config: AnyConfig, pictures: Path) -> Path:
    """The folder in `pictures` that the config names, or did where the run lay before; else all of `pictures`."""
    data = Path(config.data or pictures).absolute()
    if config.out and data.is_relative_to(Path(config.out).absolute()):
        data = pictures.parent / data.relative_to(Path(config.out).absolute())
    return data if data.resolve().is_relative_to(pictures.resolve()) else pictures
