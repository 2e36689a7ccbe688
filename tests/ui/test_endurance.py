"""The app in a process of its own stays as small as it is, whatever is asked of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent.parent / "benchmarks"))

from endurance import CYCLE, endure
from page_client import running_app

pytestmark = pytest.mark.slow

WARM_UP = 10 * len(CYCLE)
"""Fills what the studio keeps on purpose: two models, the last sketches of each."""


def test_hundreds_of_interactions_leave_nothing_behind(tmp_path):
    with running_app(tmp_path) as (url, process):
        endured = endure(url, process, tmp_path, interactions=300, warm_up=WARM_UP)
    assert endured.growth < 0.05, endured
    assert endured.disk < 200, endured
