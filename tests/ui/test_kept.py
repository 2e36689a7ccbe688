"""What was computed last: bounded in bytes, the one unused for longest goes first."""

from __future__ import annotations

import numpy as np
import pytest

from bicyclegan.ui.kept import Kept


def test_the_one_unused_for_longest_goes_first() -> None:
    kept = Kept(3000)
    for key in "abc":
        kept.put(key, np.zeros(1000, np.uint8))
    assert kept.get("a") is not None
    kept.put("d", np.zeros(1500, np.uint8))
    assert [key for key in "abcd" if kept.get(key) is not None] == ["a", "d"]
    assert kept.bytes == 2500


def test_the_same_again_counts_once() -> None:
    kept = Kept(3000)
    for level in (1, 2):
        kept.put("a", np.full(1000, level, np.uint8))
    assert kept.bytes == 1000
    assert kept.get("a")[0] == 2


def test_what_is_larger_than_all_room_drives_nothing_out() -> None:
    kept = Kept(3000)
    kept.put("a", np.zeros(1000, np.uint8))
    kept.put("b", np.zeros(4000, np.uint8))
    assert kept.get("b") is None
    assert kept.get("a") is not None


def test_nobody_writes_to_what_is_shared() -> None:
    kept = Kept(3000)
    kept.put("a", np.zeros(10, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        kept.get("a")[0] = 1
