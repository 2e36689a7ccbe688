"""A run's folder: where everything lies, who may write it, and what is left after a crash.

config.json            the TrainConfig, or the DcganConfig of a DCGAN
events.jsonl           see `events`
samples/step-N.webp    sheets of samples       latents/step-N.npz, .webp   codes of a fixed set
checkpoints/step-N/    all that resumes the run bit for bit
latest/ best/          checkpoint folders that Pipeline loads
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bicyclegan.errors import UserError
from bicyclegan.files import recover_folder, write_atomic
from bicyclegan.training import job_files
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.dcgan_config import DcganConfig, read_config
from bicyclegan.training.events import EventLog
from bicyclegan.training.process_lock import release, take

STEP_FOLDER = re.compile(r"step-(\d+)")
TEMPORARY = re.compile(r"\.(config\.json|events\.jsonl|latents\.npz|thumbs\.webp|latest|best|step-\d+(\.\w+)?)\.\w+")
"""Names of what `files` writes before it takes its place, and of states on their way out."""


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run. Making this object touches nothing."""

    root: Path

    @property
    def config_file(self) -> Path:
        return self.root / "config.json"

    @property
    def events_file(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def latest(self) -> Path:
        return self.root / "latest"

    @property
    def best(self) -> Path:
        return self.root / "best"

    @property
    def tensorboard(self) -> Path:
        return self.root / "tensorboard"

    @property
    def lock_file(self) -> Path:
        """Held by the process that trains; holds its number."""
        return self.root / ".lock"

    @property
    def events(self) -> EventLog:
        return EventLog(self.events_file)

    def samples(self, step: int) -> Path:
        """Sheet of samples after `step` updates."""
        return self.root / "samples" / f"step-{step:07d}.webp"

    def latents(self, step: int) -> Path:
        """Codes of the fixed set after `step` updates; a picture of them lies beside."""
        return self.root / "latents" / f"step-{step:07d}.npz"

    def checkpoint(self, step: int) -> Path:
        """State of the run after `step` updates."""
        return self.root / "checkpoints" / f"step-{step:07d}"

    def relative(self, path: Path) -> str:
        """A path as events write it."""
        return path.relative_to(self.root).as_posix()

    def checkpoints(self) -> list[tuple[int, Path]]:
        """Steps and folders of the states there are, oldest first."""
        found = [(STEP_FOLDER.fullmatch(path.name), path) for path in (self.root / "checkpoints").glob("step-*")]
        return sorted((int(match[1]), path) for match, path in found if match)

    def check_new(self) -> None:
        """Raise `UserError` unless the folder is free for a new run."""
        if self.config_file.exists():
            raise UserError(
                "run_exists",
                "{folder} holds a run already. Continue it with --resume, or choose another --out.",
                folder=self.root,
            )
        if self.root.exists() and (not self.root.is_dir() or self._foreign()):
            raise UserError(
                "run_occupied",
                "{folder} exists and is not a run: choose another --out, a folder that is new or empty.",
                folder=self.root,
            )

    def save_config(self, config: TrainConfig | DcganConfig) -> None:
        """Write `config.json`, which makes the folder a run."""
        write_atomic(self.config_file, (json.dumps(config.to_json(), indent=2) + "\n").encode())

    def load_config(self) -> TrainConfig:
        """The config of a run of BicycleGAN. Raises `UserError` when there is none, or it cannot be read."""
        config = self.load_any_config()
        if isinstance(config, DcganConfig):
            raise UserError(
                "run_dcgan",
                "{folder} is a run of a DCGAN, which paints without sketches: it can be watched and go on, but its "
                "model is none that this program draws with.",
                folder=self.root,
            )
        return config

    def load_any_config(self) -> TrainConfig | DcganConfig:
        """The run's config, of whichever kind. Raises `UserError` when there is no run or it cannot be read."""
        try:
            data = json.loads(self.config_file.read_text("utf-8"))
        except FileNotFoundError:
            raise UserError(
                "run_missing",
                "There is no run in {folder} (no config.json). Start one without --resume.",
                folder=self.root,
            ) from None
        except (ValueError, RecursionError) as error:
            raise UserError(
                "config_json", "{path} is not valid JSON: {why}.", path=self.config_file, why=error
            ) from None
        return read_config(data)

    def recover(self) -> None:
        """Clear up after a process that was killed while it wrote. Only for the one that holds `lock`."""
        for folder in (self.latest, self.best, *(path for _, path in self.checkpoints())):
            recover_folder(folder)
        for place in ("checkpoints", "samples", "latents", "latest", "best", "."):
            for path in filter(lambda each: TEMPORARY.fullmatch(each.name), (self.root / place).glob(".*.*")):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def prune(self, keep: int) -> None:
        """Remove all states but the newest `keep`."""
        for _, path in self.checkpoints()[:-keep]:
            gone = path.with_name(f".{path.name}.gone")  # in one step, so that no half of it looks whole
            path.replace(gone)
            shutil.rmtree(gone)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process. Raises `UserError` when another one trains it; a dead one holds nothing."""
        self.root.mkdir(parents=True, exist_ok=True)
        descriptor = take(self.lock_file)
        if descriptor is None:
            raise UserError(
                "run_locked", "Another process is training {folder} right now. Stop that one first.", folder=self.root
            )
        try:
            yield
        finally:
            release(descriptor)

    def _foreign(self) -> bool:
        """Whether anything lies there that neither a run nor a job has made."""
        names = {path.name for path in self.root.iterdir()} - {self.lock_file.name}
        if job_files.NOTES_FILE in names:
            names = {name for name in names.difference(job_files.FILES) if not job_files.TEMPORARY.fullmatch(name)}
        return bool(names)
