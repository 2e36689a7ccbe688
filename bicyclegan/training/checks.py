"""What is wrong with a run can be said before it begins: nothing is written then."""

from __future__ import annotations

import dataclasses
import math
import shutil
from pathlib import Path

from bicyclegan.errors import UserError
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.run_folder import RunFolder

RESUMABLE = ("data", "steps", "device", "num_workers", "record")
"""Fields of `TrainConfig` that may change when a run goes on; all others decide what it learns.

The data may have moved, but must be the same pictures: `fingerprint` knows."""


def check_config(config: TrainConfig, folder: RunFolder, resume: bool) -> None:
    """Raise `UserError` for a config that names no data or folder, or that is not the run's to be resumed."""
    for name in ("data", "out"):
        if not getattr(config, name):
            raise UserError("train_missing", "--{name} is missing: name a folder.", name=name)
    if not resume:
        folder.check_new()
        check_apart(config)
        return
    same = {field: getattr(config, field) for field in (*RESUMABLE, "out")}
    expected, given = (flat_options(each) for each in (dataclasses.replace(folder.load_config(), **same), config))
    if changed := [name for name in given if given[name] != expected[name]]:
        raise UserError(
            "resume_changed",
            "A run goes on with the options it began with; changed: {changed}. Only {allowed} may change. For other "
            "options start a new run with --init-from {latest}.",
            changed=", ".join(changed),
            allowed=", ".join(RESUMABLE),
            latest=folder.latest,
        )


def check_apart(config: TrainConfig) -> None:
    """Raise `UserError` when the run's own pictures would lie among those that are learnt from."""
    out = Path(config.out).resolve()
    for data in filter(None, (config.data, config.source.val_data)):
        if out.is_relative_to(Path(data).expanduser().resolve()):
            raise UserError(
                "train_out_in_data",
                "--out {out} lies inside {data}, so that its samples would be taken for pictures to learn from: choose "
                "a folder elsewhere.",
                out=config.out,
                data=data,
            )


def flat_options(config: TrainConfig) -> dict[str, object]:
    """All fields of all groups, whose names are unique."""
    fields = dataclasses.asdict(config)
    groups = [fields.pop(name) for name, value in list(fields.items()) if isinstance(value, dict)]
    return {**fields, **{name: value for group in groups for name, value in group.items()}}


def check_disk_space(folder: RunFolder, needed: int) -> None:
    """Raise `UserError` when so many bytes will not fit on the disk of a run folder."""
    place = next(path for path in (folder.root, *folder.root.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise UserError(
            "train_disk_space",
            "{folder} needs about {needed} MB and {free} MB are free there. Make room, or choose another --out, a "
            "smaller --base-channels or --keep-checkpoints 1.",
            folder=folder.root,
            needed=math.ceil(needed / 1e6),
            free=free // 1_000_000,
        )
