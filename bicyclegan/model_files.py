"""Files of checkpoint folders that come from anywhere: how large they may be, copies, ZIPs, what a card is called."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

from bicyclegan.checkpoints import load_config, load_examples
from bicyclegan.config import (
    CARD_FILE,
    CONFIG_FILE,
    DISCRIMINATORS_FILE,
    EXAMPLES_FILE,
    MODEL_FILE,
    OPTIONAL_FILES,
    CheckpointConfig,
)
from bicyclegan.errors import UserError

FILES = (MODEL_FILE, CONFIG_FILE, CARD_FILE, *OPTIONAL_FILES)
"""What is copied of a checkpoint folder from elsewhere."""
LARGE_FILES = (MODEL_FILE, DISCRIMINATORS_FILE)
MAX_EXTRA = 16 << 20
"""Bytes of any other file: what is larger is left behind."""
MAX_EXAMPLES, MAX_EXAMPLES_BYTES = 24, 2 << 20
MAX_SIDE = 512
"""Pixels: what a model with larger pictures paints takes the whole studio's time."""
MAX_BYTES = 1 << 30
"""Of a model's files together, and of what official files unpack to."""
READ_ATTEMPTS = 3
"""A run that goes on may replace its checkpoint while it is copied."""


def zip_checkpoint(folder: Path, out: Path) -> Path:
    """Write a checkpoint's files, in a folder called as the model, as a ZIP that appears whole. Returns `out`."""
    name = load_config(folder).name
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=out.parent, prefix=".zip-"))
    try:
        with zipfile.ZipFile(part / "zip", "w", zipfile.ZIP_STORED) as packed:  # weights do not get smaller
            for path in files_of(folder):
                packed.write(path, f"{name}/{path.name}")
        (part / "zip").replace(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return out


def files_of(folder: Path) -> list[Path]:
    """Those that are taken: known names, none of them too large."""
    found = [path for name in FILES if (path := folder / name).is_file()]
    return [path for path in found if path.name in LARGE_FILES or path.stat().st_size <= MAX_EXTRA]


def bytes_of(folder: Path) -> int:
    """Bytes of all files that are taken."""
    return sum(path.stat().st_size for path in files_of(folder))


def copy_files(folder: Path, new: Path) -> None:
    """Copy what is taken of a checkpoint folder into another one."""
    for path in files_of(folder):
        shutil.copyfile(path, new / path.name)
    _drop_bad_examples(new)


def _drop_bad_examples(folder: Path) -> None:
    """Examples are read whenever somebody opens the model, and shown all at once."""
    path = folder / EXAMPLES_FILE
    if not path.is_file():
        return
    with suppress(UserError, UnicodeDecodeError):
        if path.stat().st_size <= MAX_EXAMPLES_BYTES and len(load_examples(folder)) <= MAX_EXAMPLES:
            return
    path.unlink()


def copy_steady(folder: Path, new: Path) -> None:
    """Copy a folder that may be replaced by another at any moment: all files are of the same one."""
    for _ in range(READ_ATTEMPTS):
        with suppress(FileNotFoundError):  # replaced meanwhile
            before = folder.stat().st_ino
            copy_files(folder, new)
            if folder.stat().st_ino == before:
                return
    raise UserError("run_busy", "The run is writing its checkpoint right now. Try again in a moment.")


def config_bytes(config: CheckpointConfig) -> bytes:
    """What `config.json` holds."""
    return (json.dumps(config.to_json(), indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def card_of(folder: Path) -> str:
    """The whole card, or nothing."""
    path = folder / CARD_FILE
    return path.read_text("utf-8", errors="replace") if path.is_file() else ""


def retitled(card: str, name: str) -> str:
    """The card with its first heading replaced; front matter stays in front."""
    matter = re.match(r"---\r?\n.*?\r?\n---\r?\n", card, re.DOTALL)
    start = matter.end() if matter else 0
    text, count = re.subn(r"^# .*$", lambda _: f"# {name}", card[start:], count=1, flags=re.MULTILINE)
    return card[:start] + (text if count else f"# {name}\n\n{text}".rstrip() + "\n")


def check_size(config: CheckpointConfig, folder: Path | None = None) -> None:
    """Raise `UserError` for pictures, and for files, that are too large."""
    if config.model.image_size > MAX_SIDE:
        raise UserError(
            "model_side",
            "The model paints pictures of {size} px; the studio takes models of up to {limit} px.",
            size=config.model.image_size,
            limit=MAX_SIDE,
        )
    if folder is not None:
        check_bytes(bytes_of(folder))


def check_bytes(size: int) -> None:
    """Raise `UserError` for too many of them."""
    if size > MAX_BYTES:
        raise UserError(
            "model_large",
            "The model's files have {size} MB together; the studio takes up to {limit} MB.",
            size=size >> 20,
            limit=MAX_BYTES >> 20,
        )


def check_unpacked(path: Path) -> None:
    """Raise `UserError` for a file of weights that is too large, or would be once it is unpacked."""
    size = path.stat().st_size
    if zipfile.is_zipfile(path):
        with suppress(zipfile.BadZipFile, OSError, ValueError), zipfile.ZipFile(path) as packed:
            size = max(size, sum(entry.file_size for entry in packed.infolist()))
    check_bytes(size)
