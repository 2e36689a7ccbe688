"""Where a run computes, and what it asks of a machine."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from bicyclegan.training import devices

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 1)


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_cores", lambda: 8)


def share_with(monkeypatch: pytest.MonkeyPatch, processes: int, threads: int = 1) -> None:
    monkeypatch.setattr(devices, "processes_here", lambda: processes)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)


@pytest.mark.parametrize(("processes", "readers"), [(1, 8), (2, 4), (3, 2), (16, 1)])
def test_processes_share_the_cores_that_read(monkeypatch: pytest.MonkeyPatch, processes: int, readers: int) -> None:
    share_with(monkeypatch, processes)
    assert devices.count_readers(-1, CUDA) == readers
    assert devices.count_readers(-1, CPU) == 0
    assert devices.count_readers(5, CUDA) == devices.count_readers(5, CPU) == 5


@pytest.mark.parametrize(
    ("processes", "threads", "advice"), [(1, 1, ""), (2, 4, ""), (2, 3, ""), (2, 1, "NUM_THREADS=4")]
)
def test_idle_cores_are_told(monkeypatch: pytest.MonkeyPatch, processes: int, threads: int, advice: str) -> None:
    share_with(monkeypatch, processes, threads)
    told = devices.idle_cores(SimpleNamespace(device=CPU))
    assert advice in told and bool(told) == bool(advice)
    assert not devices.idle_cores(SimpleNamespace(device=CUDA))


def test_a_device_has_one_name_whatever_the_process() -> None:
    assert devices.device_name(SimpleNamespace(device=torch.device("cpu", 1))) == "cpu"
    assert devices.device_name(SimpleNamespace(device=CUDA)) == "cuda:1"
