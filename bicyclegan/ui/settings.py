"""What can be set from outside: flags of `python app.py`, each with an environment variable behind it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bicyclegan.checkpoints import DEFAULT_ROOT, list_checkpoints
from bicyclegan.errors import UserError
from bicyclegan.map_cache import default_cache


def _env(name: str, default: str = "") -> str:
    return os.environ.get(f"BICYCLEGAN_{name}", default)


def _number(name: str, default: float) -> float:
    """A number; NaN for what is none, which `check` refuses."""
    try:
        return float(_env(name) or default)
    except ValueError:
        return float("nan")


@dataclass(frozen=True)
class Settings:
    """BicycleGAN Studio. Every flag can also be an environment variable, such as BICYCLEGAN_PORT=8000."""

    host: str | None = field(default_factory=lambda: _env("HOST") or None)
    """Address to listen on. Default: 127.0.0.1, this machine only; 0.0.0.0 for all (on Spaces automatically)."""
    port: int | None = field(default_factory=lambda: int(_env("PORT")) if _env("PORT").isdigit() else None)
    """Port. Default: the first free one from 7860."""
    checkpoints: Path = field(default_factory=lambda: Path(_env("CHECKPOINTS") or DEFAULT_ROOT))
    """Folder that holds checkpoint folders."""
    runs: Path = field(default_factory=lambda: Path(_env("RUNS") or "runs"))
    """Folder that holds run folders of `train`; those in it can be watched."""
    models: Path = field(default_factory=lambda: Path(_env("MODELS") or "models"))
    """Folder for models that visitors make or bring: checkpoint folders under secret names."""
    disk_gb: float = field(default_factory=lambda: _number("DISK_GB", 20.0))
    """Gigabytes that runs may take on the disk, the pictures of visitors included."""
    cache: Path = field(default_factory=lambda: Path(_env("CACHE")) if _env("CACHE") else default_cache())
    """Folder for maps that took time to compute."""
    device: Literal["auto", "cpu", "cuda"] = field(default_factory=lambda: _env("DEVICE", "auto"))
    """Where to compute; auto takes CUDA where there is one."""
    share: bool = field(default_factory=lambda: _env("SHARE") == "1")
    """Make a public link that lasts a week, through Gradio's relay."""
    auth: str = field(default_factory=lambda: _env("AUTH"))
    """Ask for USER:PASSWORD before anything is shown. Prefer the environment variable: flags show in process lists."""
    root_path: str | None = field(default_factory=lambda: _env("ROOT_PATH") or None)
    """Path below which a reverse proxy serves the studio, such as /studio."""

    def check(self) -> None:
        """Raise `UserError` for what cannot work. Not in the constructor: the flag parser would reword it."""
        port = _env("PORT")
        if port and not port.isdigit():
            raise UserError("port_format", "BICYCLEGAN_PORT is {value!r}; use a number such as 7860.", value=port)
        if self.device not in ("auto", "cpu", "cuda"):
            raise UserError("device_name", "Device is {value!r}; use auto, cpu or cuda.", value=self.device)
        if not 0.1 <= self.disk_gb <= 1e6:
            raise UserError(
                "disk_gb", "--disk-gb is {value}; use a number of gigabytes from 0.1 on.", value=self.disk_gb
            )
        if self.auth and not all(self.auth.partition(":")):
            raise UserError("auth_format", "--auth must be USER:PASSWORD, both not empty.")
        if not list_checkpoints(self.checkpoints):
            raise UserError(
                "no_checkpoints",
                "There is no checkpoint in {folder}. Give a folder that holds checkpoint folders with --checkpoints.",
                folder=self.checkpoints,
            )

    @property
    def disk_bytes(self) -> int:
        """`disk_gb` in bytes."""
        return int(self.disk_gb * 1e9)

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password, or None for an open studio."""
        user, _, password = self.auth.partition(":")
        return (user, password) if self.auth else None
