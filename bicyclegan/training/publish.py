"""From run folders to a checkpoint folder to be shared: light weights, what the studio shows, and how it came about."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from bicyclegan.checkpoints import (
    Checkpoint,
    content_hash,
    load_checkpoint,
    load_discriminators,
    save_checkpoint,
)
from bicyclegan.config import CONFIG_FILE, EVENTS_FILE, EXAMPLES_FILE, LOSSES_FILE, MODEL_FILE, CheckpointConfig
from bicyclegan.data import open_data
from bicyclegan.errors import UserError
from bicyclegan.files import replace_folder
from bicyclegan.images import webp_bytes
from bicyclegan.models import Discriminator
from bicyclegan.photo_codes import Progress
from bicyclegan.prepare import prepare_from
from bicyclegan.training.background import MIDDLE, WIDTH, clean_background
from bicyclegan.training.card import model_card
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.curves import Panel, Section, draw_curves
from bicyclegan.training.events import to_line
from bicyclegan.training.history import History, read_history
from bicyclegan.training.loss_panels import loss_panels
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.training.stages import Role, Stage, command_line
from bicyclegan.training.thinned import thin_events, without_paths

READ_ATTEMPTS = 3
"""A run that goes on may replace its checkpoint while it is read."""


@dataclass(frozen=True)
class Published:
    """What was written."""

    folder: Path
    hash: str
    command: str
    """One line that repeats the training."""
    files: dict[str, int]
    """Bytes of each, by name."""
    notes: tuple[str, ...]
    """What is missing or should be known, one sentence each."""


def publish(
    runs: Sequence[Path],
    out: Path,
    *,
    which: Role = "latest",
    card: str = "",
    examples: str | None = None,
    discriminators: bool = False,
    clean: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Published:
    """Write a checkpoint folder: weights as float16, maps and thumbnails, thinned events and a picture of the losses.

    The folder appears in one step, at the end.

    Args:
        runs: run folders, the stages of one training in order. The first may be a published checkpoint instead, whose
            history is continued.
        out: folder to make; its last part names the model.
        which: checkpoint of the last run to take.
        card: text of the model card; by default what the run knows.
        examples: sketches to start from, as `examples.ndjson` holds them. By default those of the folder that is
            replaced.
        discriminators: add them, for others to train on.
        clean: keep codes away from the direction that colours the paper (`training.background`).
        overwrite: allow an existing checkpoint folder to be replaced.

    Raises:
        UserError: when a folder is no run, or has no checkpoint yet; when a run did not start from the one before;
            when `out` exists.
    """
    check_out(out, overwrite)
    assert runs, "nothing to publish"
    history, model, critics = _read_settled(runs, which)
    config = _describe(model.config, out.name, history)
    cleaned = _clean(model, RunFolder(runs[-1]).load_config()) if clean else {}
    config = dataclasses.replace(config, training={**config.training, **cleaned})
    if examples is None and (out / EXAMPLES_FILE).is_file():
        examples = (out / EXAMPLES_FILE).read_text("utf-8")
    with tempfile.TemporaryDirectory(prefix="bicyclegan-") as temporary:
        extras, folder = Path(temporary) / "extras", Path(temporary) / "checkpoint"
        notes = [*_write_history(extras, config, history), *_unfinished(history.stages)]
        if examples:
            (extras / EXAMPLES_FILE).write_text(examples, "utf-8")
        save_checkpoint(
            folder,
            config,
            model.generator,
            model.encoder,
            discriminators=critics if discriminators else None,
            card=card or _card(config, history.stages),
            extras=extras,
            half=True,
        )
        load_checkpoint(folder)  # weights too large for float16 are found here
        notes += _prepare(folder, RunFolder(runs[-1]).load_config(), out, progress)
        with replace_folder(out) as new:
            shutil.copytree(folder, new, dirs_exist_ok=True)
    files = {path.name: path.stat().st_size for path in sorted(out.iterdir())}
    return Published(out, content_hash(out), config.training["command"], files, tuple(notes))


def check_out(out: Path, overwrite: bool) -> None:
    """Raise `UserError` unless a checkpoint may be written there. Only a checkpoint is ever replaced."""
    CheckpointConfig(TrainConfig().model, name=out.name)  # refuses names that no checkpoint may have
    if not out.exists():
        return
    if not all((out / name).is_file() for name in (CONFIG_FILE, MODEL_FILE)):
        raise UserError(
            "publish_occupied",
            "{folder} exists and is no checkpoint: choose another --out, such as checkpoints/NAME.",
            folder=out,
        )
    if not overwrite:
        raise UserError(
            "publish_exists",
            "{folder} exists already: choose another --out, or add --overwrite to replace it.",
            folder=out,
        )


def _read_settled(runs: Sequence[Path], which: Role) -> tuple[History, Checkpoint, dict[str, Discriminator]]:
    """All that is published, of one and the same step even where the last run goes on."""
    for _ in range(READ_ATTEMPTS):
        history = read_history(runs, which)
        model = load_checkpoint(runs[-1] / which)
        critics = load_discriminators(model.folder, model.config.model)
        if read_history(runs, which).stages == history.stages:  # nothing was replaced meanwhile
            break
    return history, model, critics


def _describe(config: CheckpointConfig, name: str, history: History) -> CheckpointConfig:
    """What `config.json` says: that of the last run, and how it came about."""
    stages = history.stages
    training: dict[str, Any] = {
        **config.training,
        "steps": sum(stage.steps for stage in stages),
        "images_seen": sum(stage.steps * stage.batch_size for stage in stages),
        "init_from": stages[0].init_from,
        "seconds": round(sum(stage.seconds for stage in stages), 1),
        "command": command_line(stages),
        "stages": [dataclasses.asdict(stage) for stage in stages],
    }
    return dataclasses.replace(config, name=name, training=without_paths(training))


def _clean(model: Checkpoint, config: TrainConfig) -> dict[str, Any]:
    """Narrow the code of a loaded model; returns what the card should tell of it."""
    source = dataclasses.replace(config.source, max_images=2, cache_dir="")
    with tempfile.TemporaryDirectory(prefix="bicyclegan-", ignore_cleanup_errors=True) as cache:
        opened = open_data(dataclasses.replace(config, source=dataclasses.replace(source, cache_dir=cache)))
        leak, left = clean_background(model.generator, opened.validation)
    told = {"explained": round(leak.explained, 3), "before": round(leak.darkness, 4), "after": round(left, 4)}
    return {"clean_background": {"middle": MIDDLE, "width": WIDTH, **told}}


def _write_history(folder: Path, config: CheckpointConfig, history: History) -> list[str]:
    """Thinned events and the picture of the losses; returns what could not be written."""
    folder.mkdir()
    lines = [to_line(event) for run in history.runs for event in thin_events(run)]
    if not lines:
        return [f"There are no events of the training: {EVENTS_FILE} and {LOSSES_FILE} are left out."]
    (folder / EVENTS_FILE).write_text("".join(lines), "utf-8")
    panels = loss_panels(history.runs, history.starts)
    if not panels:
        return [f"The events hold no losses: {LOSSES_FILE} is left out."]
    (folder / LOSSES_FILE).write_bytes(webp_bytes(_picture(panels, config, history)))
    return []


def _picture(panels: Sequence[Panel], config: CheckpointConfig, history: History) -> Image.Image:
    """The losses over all stages, each marked with its size of pictures where there are several."""
    count, title = len(history.stages), f"{config.name}: {config.training['steps']:,} steps"
    if count == 1:
        return draw_curves(panels, title=f"{title} at {config.model.image_size} px")
    sizes = [f"{stage.image_size} px" for stage in history.stages]
    sections = [Section(start, size) for start, size in zip(history.starts, sizes, strict=True)]
    return draw_curves(panels, sections, title=f"{title} in {count} stages")


def _prepare(folder: Path, config: TrainConfig, out: Path, progress: Progress | None) -> list[str]:
    """Maps, thumbnails and effects of the sliders, of the weights as they are stored; returns what went wrong."""
    if not config.model.latent_dim:
        return []
    by_hand = f"By hand: python -m bicyclegan prepare {out} --data DIR"
    data = config.source.val_data or config.data
    if not Path(data).is_dir():
        return [f"latents.npz and thumbs.webp are left out: the data folder {data} is not here. {by_hand}"]
    try:
        prepare_from(data, folder, direction=config.source.direction, progress=progress)
    except UserError as error:
        return [f"latents.npz and thumbs.webp are left out: {error} {by_hand}"]
    return []


def _unfinished(stages: Sequence[Stage]) -> list[str]:
    """Stages that the command makes longer than they were."""
    return [
        f"The command trains {stage.run} for {stage.planned_steps:,} steps, but what was taken from it is of step "
        f"{stage.steps:,}: "
        + ("its best." if stage.checkpoint == "best" else "it was stopped, and its learning rate was to fall later.")
        for stage in stages
        if stage.steps != stage.planned_steps
    ]


def _card(config: CheckpointConfig, stages: Sequence[Stage]) -> str:
    """The model card of a run, with the stages and the command."""
    rows = [
        f"| {stage.image_size} px | {stage.steps:,} | {stage.batch_size} | {stage.preset} | "
        f"{stage.seconds / 3600:.1f} h | {stage.device} |"
        for stage in stages
    ]
    lines = [
        model_card(config),
        "| stage | steps | batch size | preset | time | device |",
        "| --- | --- | --- | --- | --- | --- |",
        *rows,
        "",
        f"`{LOSSES_FILE}` shows the losses, `{EVENTS_FILE}` holds the numbers. The same training, where the data lies:",
        "",
        "```",
        config.training["command"],
        "```",
    ]
    return "\n".join(lines) + "\n"
