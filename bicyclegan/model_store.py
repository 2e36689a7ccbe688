"""Models that visitors of the studio made or brought: checkpoint folders under ids that nobody can guess.

Whoever knows an id may use that model, rename it and delete it. Ids are never listed.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bicyclegan.checkpoints import import_official_pair, load_checkpoint, load_config, save_checkpoint
from bicyclegan.config import (
    CARD_FILE,
    CONFIG_FILE,
    EXAMPLES_FILE,
    CheckpointConfig,
    EdgeStyle,
    from_json,
)
from bicyclegan.errors import UserError
from bicyclegan.files import replace_folder, write_atomic
from bicyclegan.hub import download
from bicyclegan.model_files import (
    FILES,
    bytes_of,
    card_of,
    check_bytes,
    check_size,
    check_unpacked,
    config_bytes,
    copy_files,
    copy_steady,
    retitled,
    zip_checkpoint,
)
from bicyclegan.model_names import is_id, model_name, new_id, without_secret
from bicyclegan.model_worker import Tell, measure
from bicyclegan.sketch import Sketch
from bicyclegan.training.card import model_card

if TYPE_CHECKING:
    from bicyclegan.training.run_folder import RunFolder
    from bicyclegan.training.stages import Role

MAX_MODELS = 40
ABOUT_FILE = "model.json"
"""What the store knows of a model. It stays here: exports and uploads go without it."""
LEFT_SECONDS = 24 * 3600.0
"""After which what an ended process left half done is removed."""
WAIT_SECONDS = 0.5
HUB_ID = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9_][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)
OFFICIAL_CARD = "# {name}\n\nImported from weights of the official BicycleGAN code.\n"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class About:
    """What the store knows of a model."""

    created: float
    """Seconds since 1970."""
    source: str
    """copy, run, official or hub."""
    origin: str = ""
    """What people may know of where it came from: a run's title, a repository."""


class ModelStore:
    """Models below one folder, which need not exist yet. For many threads."""

    def __init__(
        self,
        root: Path,
        *,
        device: str = "cpu",
        check_room: Callable[[int], None] = lambda extra: None,
        max_models: int = MAX_MODELS,
    ):
        """
        Args:
            device: where models of runs are measured.
            check_room: called with the bytes that are to be written; raises `UserError` where there is no room.
        """
        self.root, self.device, self.check_room, self.max_models = root, device, check_room, max_models
        self._lock = threading.Lock()
        self._measuring = threading.Lock()
        self._pending = 0
        self._sweep()

    # What there is

    def has(self, id: object) -> bool:
        """Whether there is a model with this id."""
        if not is_id(id):
            return False
        folder = self.root / id
        return folder.is_dir() and not folder.is_symlink() and (folder / CONFIG_FILE).is_file()

    def folder(self, id: object) -> Path:
        """The model's checkpoint folder. Raises `UserError` for whatever is no id of a model here."""
        if not self.has(id):
            shown = without_secret(id) if isinstance(id, str) else str(id)
            raise UserError("model_gone", "The model {name!r} is not here any more: it was deleted.", name=shown)
        return self.root / str(id)

    def about(self, id: str) -> About:
        """What the store knows of a model; a damaged file costs that, not the model."""
        path = self.folder(id) / ABOUT_FILE
        try:
            return from_json(About, json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError, RecursionError):
            return About(created=path.parent.stat().st_mtime, source="copy")

    # New ones. Each appears whole, and its id is new.

    def add(
        self,
        folder: Path,
        name: str,
        examples: Sequence[Sketch] | None = None,
        *,
        source: str = "copy",
        origin: str = "",
    ) -> str:
        """Copy a checkpoint folder; its card is kept.

        Args:
            name: what people call it; see `model_name`.
            examples: sketches to start from, in place of those in the folder.

        Raises:
            UserError: for a broken checkpoint, one that is too large, or when there is no room.
        """
        config = _named(load_config(folder), model_name(name))
        check_size(config, folder)
        with self._making(config.name, bytes_of(folder)) as (id, new):
            copy_files(folder, new)
            if examples is not None:
                text = "".join(sketch.to_json() + "\n" for sketch in examples)
                (new / EXAMPLES_FILE).write_text(text, "utf-8")
            _describe(new, config, retitled(card_of(new), config.name), About(time.time(), source, origin))
            load_checkpoint(new)
        return id

    def add_from_run(
        self, run: RunFolder, name: str, which: Role = "best", progress: Tell = lambda what, done, total: None
    ) -> str:
        """Make a run's checkpoint a model; what the studio shows of it is measured if the run did not.

        That may take minutes; one after the other, in a process of its own. A model that cannot be measured, because
        the run's pictures are gone, is added without it. Discriminators are kept, to be trained on with.

        Args:
            progress: told "waiting", "reading", "measuring" and the like; what it raises stops the work.

        Raises:
            UserError: when the run has no such checkpoint yet, or there is no room.
        """
        source = run.root / which
        if not (source / CONFIG_FILE).is_file():
            raise UserError(
                "run_no_model",
                "This run has no {which} checkpoint yet: it is written with the first validation. Wait for that.",
                which=which,
            )
        progress("waiting", 0, 0)
        with self._making(model_name(name), bytes_of(source)) as (id, new):
            copy_steady(source, new)
            config = _of_run(load_config(new), model_name(name))
            check_size(config, new)
            _describe(new, config, model_card(config), About(time.time(), "run", without_secret(run.root.name)))
            load_checkpoint(new)
            self._measure(new, run.root, progress)
        return id

    def import_official(self, generator: Path, encoder: Path | None, options: dict[str, Any], name: str) -> str:
        """Make a model of official weights, which are read as nothing but weights.

        Args:
            options: official option names, flat or in parts "generator" and "encoder"; "edge_style" may say how its
                edges were made, null for label maps.

        Raises:
            UserError: for files that cannot be read or do not belong together, and unknown options.
        """
        name = model_name(name)
        files = [path for path in (generator, encoder) if path is not None]
        for path in files:
            check_unpacked(path)
        model, painter, reader = import_official_pair(generator, encoder, options)
        style = options.get("edge_style", {})
        config = CheckpointConfig(model, name, edge_style=None if style is None else from_json(EdgeStyle, style))
        check_size(config)
        with self._making(name, sum(path.stat().st_size for path in files)) as (id, new):
            new.rmdir()
            save_checkpoint(new, config, painter, reader, card=OFFICIAL_CARD.format(name=name))
            _write_about(new, About(time.time(), "official"))
        return id

    def from_hub(self, repo_id: str) -> str:
        """Fetch a checkpoint from the Hugging Face Hub, as somebody who is not logged in. Raises `UserError`."""
        check_hub_name(repo_id)
        self.check_room(_bytes_on_hub(repo_id))
        with tempfile.TemporaryDirectory(prefix="bicyclegan-hub-") as cache:
            folder = download(repo_id, cache_dir=cache, token=False)
            return self.add(folder, load_config(folder).name, source="hub", origin=repo_id)

    # What can be done with one

    def rename(self, id: str, name: str) -> str:
        """Call it something else, in its config and its card, and return the name as it is now.

        Each of the two files is replaced in one step. Its content hash stays, so links and recipes still find it.
        """
        folder, name = self.folder(id), model_name(name)
        card = retitled(card_of(folder), name)
        write_atomic(folder / CONFIG_FILE, config_bytes(_named(load_config(folder), name)))
        write_atomic(folder / CARD_FILE, card.encode("utf-8"))
        return name

    def delete(self, id: str) -> None:
        """Remove a model for good: in one step for all who look."""
        folder = self.folder(id)
        gone = folder.with_name(f".{folder.name}.gone")
        shutil.rmtree(gone, ignore_errors=True)
        folder.replace(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def export_zip(self, id: str, out: Path) -> Path:
        """Write the model as a ZIP; see `zip_checkpoint`."""
        return zip_checkpoint(self.folder(id), out)

    # Parts

    @contextmanager
    def _making(self, name: str, size: int) -> Iterator[tuple[str, Path]]:
        """A new id and an empty folder, which becomes the model when the block ends without an error."""
        with self._lock:
            if self._count() + self._pending >= self.max_models:
                raise UserError(
                    "models_full",
                    "There is room for {limit} models here. Delete one that is not needed, then try again.",
                    limit=self.max_models,
                )
            self._pending += 1
        try:
            self.check_room(size)
            id = new_id(name)
            with replace_folder(self.root / id) as new:
                yield id, new
        finally:
            with self._lock:
                self._pending -= 1

    def _count(self) -> int:
        return sum(self.has(path.name) for path in self.root.iterdir()) if self.root.is_dir() else 0

    def _measure(self, folder: Path, run: Path, progress: Tell) -> None:
        while not self._measuring.acquire(timeout=WAIT_SECONDS):
            progress("waiting", 0, 0)
        try:
            measure(folder, run, self.device, progress)
        except UserError as error:  # hours of training are worth more than labels of sliders
            log.warning("a model of a run goes without measurements: %s", error)
        finally:
            self._measuring.release()

    def _sweep(self) -> None:
        """Remove what ended processes left half made or half deleted, a day ago."""
        left = self.root.glob(".*") if self.root.is_dir() else ()
        for path in left:
            ours = is_id(path.name[1:].rpartition(".")[0])
            if ours and path.is_dir() and time.time() - path.stat().st_mtime > LEFT_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def check_hub_name(repo_id: str) -> str:
    """The name of a repository, "user/name". Raises `UserError` for anything else."""
    if not HUB_ID.fullmatch(repo_id):
        raise UserError("hub_name", "{name!r} names no repository of the Hub: write it as user/name.", name=repo_id)
    return repo_id


def _describe(folder: Path, config: CheckpointConfig, card: str, about: About) -> None:
    (folder / CONFIG_FILE).write_bytes(config_bytes(config))
    (folder / CARD_FILE).write_text(card, "utf-8")
    _write_about(folder, about)


def _write_about(folder: Path, about: About) -> None:
    write_atomic(folder / ABOUT_FILE, json.dumps(vars(about)).encode())


def _named(config: CheckpointConfig, name: str) -> CheckpointConfig:
    return replace(config, name=name)


def _of_run(config: CheckpointConfig, name: str) -> CheckpointConfig:
    """A run's config under the model's name, without secrets of the run and of the model that it started from."""
    training = {
        key: without_secret(value) if isinstance(value, str) else value for key, value in config.training.items()
    }
    return replace(config, name=name, training=training)


def _bytes_on_hub(repo_id: str) -> int:
    """Bytes that fetching a repository takes. Raises `UserError` where that is too much; 0 where the Hub is silent."""
    from huggingface_hub import HfApi

    try:
        files = HfApi(token=False).model_info(repo_id, files_metadata=True).siblings or []
    except Exception:  # the download says it better
        return 0
    size = sum(file.size or 0 for file in files if file.rfilename in FILES)
    check_bytes(size)
    return size
