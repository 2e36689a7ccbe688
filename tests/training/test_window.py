"""The numbers between two lines of the log."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from bicyclegan.errors import UserError
from bicyclegan.training import window as window_module
from bicyclegan.training.step import StepRecord
from bicyclegan.training.window import Window


def record(l1: float = 0.5, low: float = -1.0, high: float = 1.0, mu: list[list[float]] | None = None) -> StepRecord:
    codes = None if mu is None else torch.tensor(mu)
    return StepRecord(
        losses={"l1": torch.tensor(l1), "kl": torch.tensor(1.0)},
        scores={"real_encoded": torch.tensor(l1)},
        inputs={
            f"{side}_{name}": torch.tensor(value)
            for side in "ab"
            for name, value in (("min", low), ("max", high), ("mean", (low + high) / 2))
        },
        mu=codes,
        logvar=None if codes is None else torch.zeros_like(codes),
    )


def test_means_over_the_steps() -> None:
    window = Window()
    window.add(1, record(l1=0.2, low=0.0), 0.5, 0.1)
    window.add(2, record(l1=0.4, high=0.5), 0.7, 0.2)
    assert window.mean("losses") == pytest.approx({"l1": 0.3, "kl": 1.0})
    assert window.mean("scores") == pytest.approx({"real_encoded": 0.3})
    inputs = window.inputs()
    assert (inputs["a_min"], inputs["b_max"]) == (-1, 1)
    assert inputs["a_mean"] == pytest.approx((0.5 - 0.25) / 2)
    assert (window.timed, window.seconds, window.waiting) == (2, 1.2, pytest.approx(0.3))


def test_codes_over_all_photos_of_the_window() -> None:
    window = Window()
    window.add(1, record(mu=[[1.0, 0.0], [3.0, 0.0]]), 1, 0)
    window.add(2, record(mu=[[5.0, 0.0]]), 1, 0)
    codes = window.codes()
    assert codes["mu_mean"] == pytest.approx([3, 0])
    assert codes["mu_variance"] == pytest.approx([8 / 3, 0])
    assert codes["kl_per_dim"] == pytest.approx([35 / 6, 0])  # mean of mu^2 / 2
    assert Window().codes() == {}


def test_the_first_bad_step_and_loss_are_named() -> None:
    window = Window()
    window.add(41, record(), 1, 0)
    window.add(42, record(l1=float("nan")), 1, 0)
    window.add(43, record(l1=float("inf")), 1, 0)
    with pytest.raises(UserError, match=r"Step 42: the loss l1 is NaN or infinite") as caught:
        window.check()
    assert caught.value.code == "train_nan"


def test_pictures_out_of_range_are_found() -> None:
    window = Window()
    window.add(1, record(high=255.0), 1, 0)
    with pytest.raises(UserError, match=r"from -1 to 255"):
        window.check()


def test_each_step_is_checked_once() -> None:
    window = Window()
    window.add(1, record(), 1, 0)
    window.check()
    window.records[0].losses["l1"].fill_(float("nan"))
    window.check()
    window.add(2, record(l1=float("nan")), 1, 0)
    with pytest.raises(UserError, match="Step 2"):
        window.check()


def test_shares_add_up_to_one_and_norms_stay_norms() -> None:
    window, measured = Window(), record()
    measured.gradient_shares = {"l1": torch.tensor(3.0), "gan_encoded": torch.tensor(0.0), "kl": torch.tensor(1.0)}
    measured.gradient_norms = {"generator": torch.tensor(12.0)}
    window.add(1, measured, 1, 0)
    window.add(2, record(), 1, 0)
    gradients = window.gradients()
    assert gradients["gradient_shares"] == {"l1": 0.75, "gan_encoded": 0.0, "kl": 0.25}
    assert gradients["gradient_norms"] == {"generator": 12.0}
    assert Window().gradients() == {"gradient_norms": {}, "gradient_shares": {}}


def test_a_window_survives_a_checkpoint(tmp_path) -> None:
    window = Window()
    window.add(1, record(l1=0.2, mu=[[1.0]]), 1, 0)
    torch.save(window.state(), tmp_path / "window.pt")
    again = Window.from_state(torch.load(tmp_path / "window.pt", weights_only=True), torch.device("cpu"))
    for both in (window, again):
        both.add(2, record(l1=0.4, mu=[[2.0]]), 1, 0)
    assert again.mean("losses") == window.mean("losses")
    assert again.codes() == window.codes()
    assert again.timed == 1, "time before the break does not count"


def test_a_window_goes_on_where_the_next_steps_are(tmp_path) -> None:
    window = Window()
    window.add(1, record(mu=[[1.0]]), 1, 0)
    again = Window.from_state(window.state(), torch.device("meta"))
    [moved] = again.records
    tensors = [*moved.losses.values(), *moved.scores.values(), *moved.inputs.values(), moved.mu, moved.logvar]
    assert {tensor.device.type for tensor in tensors} == {"meta"}


def join_both(monkeypatch: pytest.MonkeyPatch, *windows: Window) -> list[int]:
    """Join the windows of two processes, here threads; returns how many numbers each message had."""
    rows: dict[int, Tensor] = {}
    met, sizes = threading.Barrier(2), []

    def listen(numbers: Tensor, accelerator: SimpleNamespace) -> Tensor:
        rows[accelerator.process_index] = numbers
        sizes.append(len(numbers))
        met.wait(10)
        return torch.stack([rows[0], rows[1]])

    monkeypatch.setattr(window_module, "gather", listen)
    with ThreadPoolExecutor(2) as pool:
        accelerators = [SimpleNamespace(num_processes=2, process_index=rank) for rank in range(2)]
        list(pool.map(Window.join, windows, accelerators))
    return sizes


def test_two_processes_join_to_what_one_would_have_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, whole = Window(), Window(), Window()
    for step in (1, 2):
        first.add(step, record(l1=0.2, low=-0.5, mu=[[1.0, 0.0], [2.0, 0.5]]), 1, 0)
        second.add(step, record(l1=0.6, high=0.75, mu=[[3.0, 4.0], [5.0, 1.0]]), 1, 0)
        together = record(l1=0.4, mu=[[1.0, 0.0], [2.0, 0.5], [3.0, 4.0], [5.0, 1.0]])
        together.inputs["a_mean"] = together.inputs["b_mean"] = torch.tensor(0.0625)  # of 0.25 and -0.125
        whole.add(step, together, 1, 0)
    assert len(join_both(monkeypatch, first, second)) == 2, "one message of each"
    for joined in (first, second):
        assert joined.mean("losses") == pytest.approx(whole.mean("losses"))
        assert joined.mean("scores") == pytest.approx(whole.mean("scores"))
        assert joined.inputs() == pytest.approx(whole.inputs())
        assert joined.codes() == {name: pytest.approx(values) for name, values in whole.codes().items()}
        assert {value.dtype for value in joined.records[0].losses.values()} == {torch.float32}


def test_what_was_joined_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Window(), Window()
    sizes = []
    for step in (1, 2):
        for window in (first, second):
            window.add(step, record(mu=[[1.0]]), 1, 0)
        sizes += join_both(monkeypatch, first, second)
    assert len(set(sizes)) == 1, "the second message held the first record again"
    assert [len(each.mu) for each in first.records] == [2, 2]


def test_a_state_holds_whole_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Window(), Window()
    for window in (first, second):
        window.add(1, record(mu=[[1.0]]), 1, 0)
    join_both(monkeypatch, first, second)
    monkeypatch.setattr(window_module, "gather", lambda *_: pytest.fail("it was sent again"))
    resumed = Window.from_state(first.state(), torch.device("cpu"))
    resumed.join(SimpleNamespace(num_processes=2, process_index=0))
    assert len(resumed.records[0].mu) == 2


def test_a_bad_number_of_one_process_is_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Window(), Window()
    first.add(3, record(), 1, 0)
    second.add(3, record(l1=float("nan"), high=255.0), 1, 0)
    join_both(monkeypatch, first, second)
    for window in (first, second):
        with pytest.raises(UserError, match="Step 3: the loss l1"):
            window.check()


def test_one_process_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_module, "gather", lambda *_: pytest.fail("it spoke"))
    window, told = Window(), record()
    window.add(1, told, 1, 0)
    window.join(SimpleNamespace(num_processes=1))
    assert window.records == [told]
