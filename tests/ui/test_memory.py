"""Memory is given back after many pictures, and when nobody asks for any."""

from __future__ import annotations

import platform
import threading

import pytest

from bicyclegan.ui import memory


def test_after_many_pictures_even_if_more_are_wanted():
    given_back = threading.Semaphore(0)
    trimmer = memory.Trimmer(given_back.release, idle=60)
    for _ in range(memory.TRIM_EVERY // 8):
        assert not given_back.acquire(blocking=False)
        trimmer.count(8)
    assert given_back.acquire(blocking=False)


def test_when_nobody_asks_for_pictures_and_again_after_the_next():
    given_back = threading.Semaphore(0)
    trimmer = memory.Trimmer(given_back.release, idle=0.02)
    assert not given_back.acquire(timeout=0.2)  # nothing was painted
    for _ in range(2):
        trimmer.count(1)
        assert given_back.acquire(timeout=10)
        assert not given_back.acquire(timeout=0.2)  # once is enough


@pytest.mark.parametrize("library", [object(), None])
def test_another_c_library_is_left_alone(monkeypatch, library):
    def open_library(_name):
        if library is None:
            raise OSError("there is none")
        return library

    monkeypatch.setattr(memory.ctypes, "CDLL", open_library)
    memory._malloc_trim.cache_clear()
    try:
        assert memory._malloc_trim() is None
        memory.give_back_memory()
    finally:
        memory._malloc_trim.cache_clear()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked")
def test_glibc_is_asked():
    assert memory._malloc_trim() is not None
    memory.give_back_memory()
