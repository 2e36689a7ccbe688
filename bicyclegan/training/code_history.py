"""How the codes of a run's fixed validation pictures moved. Nothing in the folder is trusted, unpickled or changed."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from bicyclegan.config import MODEL_FILE
from bicyclegan.errors import UserError
from bicyclegan.projection import Pca
from bicyclegan.training.config import MAX_STEPS
from bicyclegan.training.events import LatentsWritten, read_events
from bicyclegan.training.run_folder import RunFolder

MAX_MOMENTS = 100
"""Steps that are kept: more are not seen in a film of seconds."""
MAX_BYTES = 4 << 20
"""Unpacked size of one file that is read: a thousand pictures in 128 dims take one megabyte."""

Moment: TypeAlias = "tuple[tuple[str, ...], np.ndarray, np.ndarray]"
"""What one file holds: N names, mu and logvar (N, D) float32."""


@dataclass(frozen=True, eq=False)
class CodeHistory:
    """Codes of the same N pictures at S steps of one run, in D dims."""

    steps: np.ndarray
    """(S,) int64, ascending."""
    names: tuple[str, ...]
    """N names of pictures, below the data folder."""
    mu: np.ndarray
    """(S, N, D) float32, means of E(B)."""
    logvar: np.ndarray
    """(S, N, D) float32, log variances of E(B)."""
    skipped: int = 0
    """Steps that are left out: their file is missing or damaged, or its codes do not belong to the newest ones."""


def read_code_history(run: Path, most: int = MAX_MOMENTS) -> CodeHistory:
    """Read the codes that each validation of a run has left. The run may still be going on.

    Args:
        run: folder that `train --out` made.
        most: steps to keep, at least 2, evenly chosen; the first and the last are among them.

    Raises:
        UserError: when the folder is no run, or holds no codes that can be read.
    """
    files = _code_files(run)
    newest = next((moment for _, path in reversed(files) if (moment := _read(path))), None)
    if newest is None:
        raise _no_codes(run, len(files))
    usable = [(step, path) for step, path in files if _fits(_read(path), newest)]
    # Read twice, so that no more than the steps that are kept is ever in memory.
    found = [(step, _read(path)) for step, path in thin(usable, most)]
    kept = [(step, moment) for step, moment in found if _fits(moment, newest)]
    if not kept:
        raise _no_codes(run, len(files))
    return CodeHistory(
        steps=np.array([step for step, _ in kept], np.int64),
        names=newest[0],
        mu=np.stack([mu for _, (_, mu, _) in kept]),
        logvar=np.stack([logvar for _, (_, _, logvar) in kept]),
        skipped=len(files) - len(usable),
    )


def history_coords(history: CodeHistory, dims: int = 2) -> np.ndarray:
    """Places of all codes along the directions in which the LAST ones vary most: (S, N, dims) float64.

    Directions of each step's own would turn from step to step, and points would move that stand still.
    Where codes have fewer than `dims` dims the rest is 0.
    """
    pca = Pca.fit(history.mu[-1])
    used = min(dims, history.mu.shape[2])
    places = np.stack([pca.transform(mu, used) for mu in history.mu])
    return np.pad(places, ((0, 0), (0, 0), (0, dims - used)))


def thin(moments: Sequence[tuple[int, Path]], most: int) -> list[tuple[int, Path]]:
    """At most `most` of the moments, evenly spread over their number, the first and the last among them."""
    assert most >= 2, most
    places = np.linspace(0, len(moments) - 1, min(most, len(moments))).round().astype(int)
    return [moments[place] for place in places]


def _code_files(run: Path) -> list[tuple[int, Path]]:
    """Steps and files that the events name, by step; of several of one step the last. Raises `UserError`."""
    if (run / MODEL_FILE).is_file():
        raise UserError(
            "history_checkpoint",
            "{run} is a checkpoint, not a run. Give it with --checkpoint, or the folder that train --out made with "
            "--run.",
            run=run,
        )
    folder = RunFolder(run)
    if not folder.events_file.is_file():
        raise UserError(
            "history_no_run",
            "There is no run in {run} (no events.jsonl): give the folder that train --out made, such as runs/shoes.",
            run=run,
        )
    written = (event for event in read_events(folder.events_file) if isinstance(event, LatentsWritten))
    files = {event.step: _inside(run, event.path) for event in written if 0 <= event.step <= MAX_STEPS}
    return sorted(files.items())


def _inside(run: Path, name: object) -> Path:
    """The file that an event names. One outside of the run becomes the run itself, which is no file of codes."""
    try:
        path = (run / str(name)).resolve()
    except (OSError, ValueError):  # loops of links, a null byte
        return run
    return path if path.is_relative_to(run.resolve()) else run


def _read(path: Path) -> Moment | None:
    """Names, mu and logvar of a file; None where it is missing, damaged, too large, or holds NaN."""
    try:
        if not path.is_file():
            return None
        with zipfile.ZipFile(path) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > MAX_BYTES:
                return None
        with np.load(path) as arrays, np.errstate(over="ignore"):
            mu, logvar = (_floats(arrays[name]) for name in ("mu", "logvar"))
            names = arrays["names"]
    except Exception:  # broken archives raise many kinds
        return None
    if names.dtype.kind != "U" or names.ndim != 1 or mu.shape != logvar.shape or mu.ndim != 2 or 0 in mu.shape:
        return None
    if len(names) != len(mu) or not (np.isfinite(mu).all() and np.isfinite(logvar).all()):
        return None
    return tuple(map(str, names.tolist())), mu, logvar


def _floats(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "f":
        raise ValueError(values.dtype)
    return values.astype(np.float32)


def _fits(moment: Moment | None, newest: Moment) -> bool:
    """Whether these are codes of the same pictures in the same dims."""
    return moment is not None and moment[0] == newest[0] and moment[1].shape == newest[1].shape


def _no_codes(run: Path, damaged: int) -> UserError:
    if damaged:
        return UserError(
            "history_damaged",
            "None of the {count} files of codes of {run} can be read: they are missing or damaged. Copy the run with "
            "its folder latents/, or show its model: --checkpoint {run}/latest.",
            count=damaged,
            run=run,
        )
    return UserError(
        "history_no_codes",
        "{run} has no codes of its validation pictures: it has not been validated yet (--validate-every), or its model "
        "has no encoder. Wait, or show a checkpoint with --checkpoint.",
        run=run,
    )
