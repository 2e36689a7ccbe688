"""Maps that were computed, on disk: nobody waits twice for the same codes and settings."""

from __future__ import annotations

import io
import logging
import os
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from bicyclegan.files import write_atomic
from bicyclegan.projection import MAX_CODES, MAX_DIMS, MAX_PRIOR

MAX_BYTES = 64 << 20
"""Of all files together; those unused for longest go first."""
MAX_FILE_BYTES = 4 * (MAX_CODES + MAX_PRIOR) * MAX_DIMS + 4096

log = logging.getLogger(__name__)


def default_cache() -> Path:
    """Where a program of this system keeps what it can make again."""
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        folder = Path(home) if home else Path.home() / ".cache"
    except RuntimeError:  # a user without home, as in some containers
        folder = Path(tempfile.gettempdir())
    return folder / "bicyclegan" / "maps"


class MapCache:
    """Places of points by `map_key`. A folder that cannot be written or read costs time, nothing else."""

    def __init__(self, folder: Path | None = None, max_bytes: int = MAX_BYTES):
        self.folder = folder or default_cache()
        self.max_bytes = max_bytes

    def get(self, key: str) -> np.ndarray | None:
        """Places (N + P, dims) float32, or None where the map was never computed, or its file is damaged."""
        path = self._path(key)
        try:
            with zipfile.ZipFile(path) as packed:
                if sum(entry.file_size for entry in packed.infolist()) > MAX_FILE_BYTES:
                    return None
            with np.load(path) as stored:
                coords = stored["coords"].astype(np.float32)
        except Exception:  # broken archives raise many kinds
            return None
        with suppress(OSError):  # somebody else's file may be read, not touched
            os.utime(path)
        return coords if coords.ndim == 2 and np.isfinite(coords).all() else None

    def put(self, key: str, coords: np.ndarray) -> None:
        """Keep places. Others may do the same at once: files are written whole."""
        buffer = io.BytesIO()
        np.savez(buffer, coords=coords.astype(np.float32))
        try:
            write_atomic(self._path(key), buffer.getvalue())
            self._make_room()
        except OSError as error:
            log.warning("the map is not kept in %s: %s", self.folder, error)

    def _path(self, key: str) -> Path:
        assert key.isalnum(), key
        return self.folder / f"{key}.npz"

    def _make_room(self) -> None:
        files = []
        for path in self.folder.glob("*.npz"):
            with suppress(FileNotFoundError):  # another process makes room, too
                files.append((path.stat(), path))
        files.sort(key=lambda item: item[0].st_mtime_ns)
        size = sum(facts.st_size for facts, _ in files)
        for facts, path in files:
            if size <= self.max_bytes:
                return
            path.unlink(missing_ok=True)
            size -= facts.st_size
