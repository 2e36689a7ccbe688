"""Maps on disk: what is there comes back exactly, and what is broken was never there."""

from __future__ import annotations

import io
import logging
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bicyclegan import map_cache
from bicyclegan.map_cache import MapCache, default_cache

PLACES = np.random.RandomState(0).randn(130, 2).astype(np.float32)
KEY = "ab" * 32


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def packed(count: int) -> bytes:
    """Many zeros in few bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, coords=np.zeros((count, 2), np.float32))
    return buffer.getvalue()


@pytest.fixture
def cache(tmp_path: Path) -> MapCache:
    return MapCache(tmp_path / "a" / "maps")


def test_places_come_back_exactly(cache: MapCache) -> None:
    assert cache.get(KEY) is None
    cache.put(KEY, PLACES)
    found = MapCache(cache.folder).get(KEY)
    assert found.dtype == np.float32
    assert np.array_equal(found, PLACES)
    assert cache.get("cd" * 32) is None
    cache.put(KEY, PLACES + 1)
    assert np.array_equal(cache.get(KEY), PLACES + 1)
    assert [path.name for path in cache.folder.iterdir()] == [f"{KEY}.npz"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        b"no archive",
        npz(coords=PLACES)[:-30],
        npz(coords=PLACES)[:200],
        npz(coords=PLACES).replace(PLACES[:3].tobytes(), bytes(24)),
        npz(other=PLACES),
        npz(coords=PLACES[0]),
        npz(coords=np.array([["a", "b"]])),
        npz(coords=np.where(PLACES > 1, np.nan, PLACES)),
        npz(coords=np.where(PLACES > 1, np.inf, PLACES)),
        npz(coords=PLACES.astype(np.float64) * 1e300),
        npy(PLACES),
        packed(10_000_000),
    ],
    ids=range(14),
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_broken_files_are_as_good_as_none(cache: MapCache, data: bytes) -> None:
    cache.put(KEY, PLACES)
    (cache.folder / f"{KEY}.npz").write_bytes(data)
    assert cache.get(KEY) is None
    cache.put(KEY, PLACES)
    assert np.array_equal(cache.get(KEY), PLACES)


def test_nothing_is_unpickled(cache: MapCache) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return pytest.fail, ("unpickled",)

    buffer = io.BytesIO()
    np.savez(buffer, coords=np.array([[Trap()]], dtype=object))
    cache.folder.mkdir(parents=True)
    (cache.folder / f"{KEY}.npz").write_bytes(buffer.getvalue())
    assert cache.get(KEY) is None


def test_a_folder_in_place_of_a_file_is_no_map(cache: MapCache, caplog: pytest.LogCaptureFixture) -> None:
    (cache.folder / f"{KEY}.npz").mkdir(parents=True)
    assert cache.get(KEY) is None
    with caplog.at_level(logging.WARNING):
        cache.put(KEY, PLACES)
    assert "the map is not kept" in caplog.text


def test_a_place_that_cannot_be_written_only_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no folder")
    cache = MapCache(tmp_path / "file" / "maps")
    with caplog.at_level(logging.WARNING):
        cache.put(KEY, PLACES)
    assert f"the map is not kept in {cache.folder}" in caplog.text
    assert cache.get(KEY) is None


def test_a_file_that_may_only_be_read_is_read(cache: MapCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(path)

    cache.put(KEY, PLACES)
    monkeypatch.setattr(map_cache.os, "utime", refuse)
    assert np.array_equal(cache.get(KEY), PLACES)


def test_those_unused_for_longest_go_first(tmp_path: Path) -> None:
    size = len(npz(coords=PLACES))
    cache = MapCache(tmp_path, max_bytes=3 * size)
    for age, key in enumerate(("c", "b", "a"), start=1):
        cache.put(key, PLACES)
        os.utime(tmp_path / f"{key}.npz", ns=(0, (10 - age) * 10**9))
    assert cache.get("a") is not None, "now it was used last"
    cache.put("new", PLACES)
    assert {path.stem for path in tmp_path.iterdir()} == {"a", "c", "new"}


def test_files_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(bytes(10_000))
    MapCache(tmp_path, max_bytes=1).put(KEY, PLACES)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_two_processes_make_room_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = MapCache(tmp_path)
    cache.put("gone", PLACES)
    glob = Path.glob

    def late(folder: Path, pattern: str) -> list[Path]:
        found = list(glob(folder, pattern))
        (tmp_path / "gone.npz").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(Path, "glob", late)
    cache._make_room()
    assert cache.get("gone") is None


def test_readers_never_see_a_part(cache: MapCache) -> None:
    large = np.zeros((20_000, 3), np.float32)

    def write(value: int) -> None:
        cache.put(KEY, large + value)

    def read(_: int) -> bool:
        found = cache.get(KEY)
        return found is not None and found.shape == large.shape and len(np.unique(found)) == 1

    write(0)
    with ThreadPoolExecutor(4) as pool:
        writes = pool.map(write, range(10))
        assert all(pool.map(read, range(60)))
        list(writes)


@pytest.mark.parametrize("key", ["../escape", "a/b", "", "a.b"])
def test_keys_are_no_paths(cache: MapCache, key: str) -> None:
    with pytest.raises(AssertionError):
        cache.get(key)


def test_the_folder_is_that_of_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "bicyclegan" / "maps"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path.home() / ".cache" / "bicyclegan" / "maps"

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert default_cache().parts[-2:] == ("bicyclegan", "maps")


def test_what_is_written_is_not_compressed(cache: MapCache) -> None:
    """So that the size of a file tells what it takes to read it."""
    cache.put(KEY, PLACES)
    with zipfile.ZipFile(cache.folder / f"{KEY}.npz") as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
