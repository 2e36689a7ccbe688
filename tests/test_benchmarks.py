"""The order that training is measured against is that of the official code, and our step computes the same; what is
measured in the page is counted rightly."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bicyclegan.checkpoints import DEFAULT_ROOT
from bicyclegan.config import ModelConfig
from bicyclegan.latents_file import load_latents
from bicyclegan.projection import MapSettings
from bicyclegan.training.config import LossConfig, OptimConfig, TrainConfig
from bicyclegan.training.networks import Networks, build_networks, make_optimizers
from bicyclegan.training.step import TrainStep

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

import bystander
import endurance
import training as benchmark
from official_order import OfficialOrder

CPU = torch.device("cpu")
STEPS = 2


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def config(tiny_config: ModelConfig) -> TrainConfig:
    """Bilinear, so that there is something to rearrange; depth 4, so that no level is a single dead pixel."""
    weights = LossConfig(lambda_gan=0.7, lambda_gan2=1.3, lambda_l1=5.0, lambda_z=2.0, lambda_kl=0.5)
    return TrainConfig(
        model=replace(tiny_config, depth=4), loss=weights, optim=OptimConfig(init="kaiming"), batch_size=4
    )


def learnt(networks: Networks) -> dict[str, dict[str, Tensor]]:
    """Weights, gradients and statistics of every network."""
    found = {}
    for name, network in networks.named():
        found[f"{name}, weights"] = {key: value.clone() for key, value in network.state_dict().items()}
        found[f"{name}, gradients"] = {key: value.grad.clone() for key, value in network.named_parameters()}
    return found


@pytest.mark.parametrize(
    "model",
    [{}, {"norm": "batch", "encoder": "conv"}, {"conditional_discriminator": True}],
    ids=["default", "batch norm", "conditional"],
)
def test_in_the_official_order_our_step_is_the_plain_one_to_the_last_bit(
    config: TrainConfig, model: dict[str, object]
) -> None:
    loss = replace(config.loss, reduction="official")
    config = replace(config, model=replace(config.model, **model), loss=loss)
    plain, ours = build_networks(config), build_networks(config)
    official = OfficialOrder(plain, make_optimizers(plain, config.optim), config.loss)
    step = TrainStep(ours, make_optimizers(ours, config.optim), config.loss)
    for number in range(STEPS):
        batch = benchmark.draw_batch(config, CPU, number)
        expected, record = official(*batch), step(*batch)
        assert record.losses.keys() == expected.keys()
        assert all(torch.equal(loss, expected[name]) for name, loss in record.losses.items())
        for (name, one), other in zip(learnt(ours).items(), learnt(plain).values(), strict=True):
            assert all(torch.equal(one[key], other[key]) for key in other), name


def test_our_own_order_learns_the_same(config: TrainConfig) -> None:
    """Plain descent, since Adam makes steps of rounding where a norm leaves no gradient."""
    plain, ours = build_networks(config), build_networks(config)
    descents = (
        {name: torch.optim.SGD(network.parameters(), lr=0.02) for name, network in networks.named()}
        for networks in (plain, ours)
    )
    official, step = OfficialOrder(plain, next(descents), config.loss), TrainStep(ours, next(descents), config.loss)
    first = learnt_weights(plain)
    for number in range(STEPS):
        batch = benchmark.draw_batch(config, CPU, number)
        torch.testing.assert_close(step(*batch).losses, official(*batch), rtol=1e-4, atol=1e-6)
    for (name, one), other in zip(learnt(ours).items(), learnt(plain).values(), strict=True):
        scale = max(value.abs().max().item() for value in other.values())
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * scale, msg=lambda m, name=name: f"{name}: {m}")
    for name, network in learnt_weights(ours).items():
        assert max((network[key] - first[name][key]).abs().max() for key in network) > 1e-3, "nothing was learnt here"


def learnt_weights(networks: Networks) -> dict[str, dict[str, Tensor]]:
    return {name: {k: v.detach().clone() for k, v in network.named_parameters()} for name, network in networks.named()}


@pytest.mark.parametrize("fields", [{"adversarial": "hinge"}, {"objective": "cvae-gan"}, {"share_discriminator": True}])
def test_other_objectives_are_refused(config: TrainConfig, fields: dict[str, object]) -> None:
    networks = build_networks(config)
    with pytest.raises(ValueError, match="bicyclegan, lsgan and two discriminators"):
        OfficialOrder(networks, make_optimizers(networks, config.optim), LossConfig(**fields))


def test_speeds_are_printed_beside_what_multiplications_allow(
    config: TrainConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    competitors = benchmark.contestants(config, CPU)
    runs = [benchmark.make_run(each, benchmark.draw_batch(config, CPU, 0), CPU) for each in competitors]
    benchmark.compare_speeds(competitors, runs, config.batch_size, repeats=1)
    _, *rows, last = capsys.readouterr().out.splitlines()
    assert [row.split("  ")[2] for row in rows] == [each.name for each in competitors]
    official, layers, ours = (float(row.split("x")[-2]) for row in rows)
    assert official == 1 < layers < ours, "layers save something, and the order something more"
    assert float(last.split()[-3].removesuffix("x")) == pytest.approx(ours / layers, rel=0.02)
    benchmark.time_phases(competitors, runs, CPU)
    _, *rows = capsys.readouterr().out.splitlines()
    assert [row[4:26].strip() for row in rows] == [
        "E forward",
        "G forward",
        "D forward",
        "optimisers",
        "backward and the rest",
    ]
    assert all(float(time) > 0 for row in rows for time in row[26:].split())


def test_operations_are_sorted_into_kinds() -> None:
    conv, x = torch.nn.Conv2d(16, 16, 3), torch.randn(4, 16, 32, 32)
    shares = benchmark.shares(lambda: conv(x).relu().sum().backward(), CPU)
    assert sum(shares.values()) == pytest.approx(1)
    assert max(shares, key=shares.get) == "convolution"
    assert shares["activation"] > 0


def test_the_benchmark_ends_when_losses_disagree(config: TrainConfig) -> None:
    right, *_, wrong = benchmark.contestants(config, CPU)
    benchmark.compare_losses([right, wrong], config, CPU, steps=1)
    update = wrong.update
    wrong.update = lambda *batch: {name: loss * 1.001 for name, loss in update(*batch).items()}
    with pytest.raises(SystemExit, match="ours does not compute what the official order computes"):
        benchmark.compare_losses([right, wrong], config, CPU, steps=1)


def test_endurance_asks_every_question_of_the_page() -> None:
    from bicyclegan.ui.answers import QUESTIONS

    class Page:
        def __init__(self) -> None:
            self.asked: set[str] = set()

        def ask(self, question: str, /, **wanted: object) -> dict[str, object]:
            self.asked.add(question)
            return {"tiles": ["a"]}

        def fire(self, element: str, event: str, values: list, data: object = None) -> list:
            self.asked.add(f"{element}.{event}")
            return {
                "canvas": [{"tiles": ["a"] * 8, "error": None}],
                "matrix": [None, "<h4>"],
                "ab": [["a", "b"], None],
            }[element]

    page = Page()
    for number, interact in enumerate(endurance.CYCLE):
        interact(page, number)
    assert page.asked == {*QUESTIONS, "canvas.input", "canvas.photo", "matrix.measure", "ab.compare"}


def test_endurance_never_draws_the_same_twice() -> None:
    drawings = [endurance.drawing(number) for number in range(400)]
    assert len(set(drawings)) == 400
    assert endurance.Endured(before=200, after=210, disk=0, seconds=1).growth == pytest.approx(0.05)


def test_files_are_counted_in_all_folders(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for path in (tmp_path / "one", tmp_path / "a" / "two"):
        path.write_bytes(b"x" * 2**19)
    assert endurance.size_of(tmp_path) == 1


def test_pictures_a_second_stand_beside_painting_alone(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("playwright.sync_api")
    import explore

    explore.report_drag(explore.Drag(2.0, [30.0, 40.0, 50.0, 40.0], []), alone=20.0)
    explore.report_table({"first": 120.0, "all": 500.0}, [40.0, 80.0, 80.0])
    lines = capsys.readouterr().out
    assert "2.0 pictures a second" in lines
    assert "50.0 a second; shown are 4% of that" in lines
    assert "first row visible: 120 ms; painting alone 40 ms; 3.00 times that" in lines
    assert "all visible: 500 ms; painting alone 200 ms; 2.50 times that" in lines


def test_codes_are_read_from_questions_about_pictures_only() -> None:
    pytest.importorskip("playwright.sync_api")
    import explore

    body = {"data": {"z": [[1, 2]]}, "component_id": 1, "fn_name": "paint", "session_hash": "a"}
    assert explore.codes_of(json.dumps(body, separators=(",", ":"))) == [[1, 2]]
    assert explore.codes_of(json.dumps({**body, "fn_name": "sweep"}, separators=(",", ":"))) == []
    assert explore.codes_of(None) == []


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_wishes_that_nobody_could_voice_meanwhile_count_as_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(bystander, "time", clock)
    needed = iter([0.1, 1.0, 0.1, 0.1, 0.1, 0.1])
    found = list(bystander.waits(lambda: clock.sleep(next(needed)), lambda: clock.now > 1.8, pace=0.5))
    assert found == pytest.approx([100, 1000, 600, 200])  # due at 0, 0.5, 1, 1.5; the second one held up two
    waits = bystander.Waits(tuple(map(float, range(101))))
    assert (waits.median, waits.p95, waits.slowest) == (50, 95, 100)


def test_maps_are_measured_with_many_codes_around_those_of_the_model(tmp_path: Path) -> None:
    pytest.importorskip("playwright.sync_api")
    import projection

    projection.write_model(tmp_path, 700)
    shipped, latents = (load_latents(folder / "edges2shoes") for folder in (DEFAULT_ROOT, tmp_path))
    assert not latents.stale
    assert latents.mu.shape == (700, 8)
    assert latents.thumb_columns == 27, "there are thumbnails"
    assert (latents.maps, latents.map_for(MapSettings("umap"))) == ((), None)
    assert len(np.unique(latents.mu, axis=0)) == 700
    assert latents.mu.std(axis=0) == pytest.approx(shipped.mu.std(axis=0), rel=0.2)
    assert np.array_equal(latents.mu, projection.many_codes(shipped, 700).mu)


def test_points_to_press_do_not_hide_each_other() -> None:
    pytest.importorskip("playwright.sync_api")
    from map_visitor import far_apart

    places = np.random.RandomState(0).uniform(0, 100, (500, 2))
    kept = places[far_apart(places, 5, distance=20)]
    apart = np.linalg.norm(kept[:, None] - kept, axis=2)[~np.eye(5, dtype=bool)]
    assert apart.min() >= 20
    assert len(far_apart(places, 500, distance=20)) < 30, "as many as there is room for"


def test_times_of_the_map_stand_beside_what_they_are_measured_against(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("playwright.sync_api")
    from map_visitor import Draw, Opened, Press
    from projection import Drawn, report_drawing, report_maps, report_others, report_presses

    def drawn(scale: float) -> Drawn:
        draw = Draw(pressed=0, answered=100, begun=200, drawn=200 + 10 * scale, shown=200 + 30 * scale, points=1)
        presses = [Press(visible=80 * scale * k, asked=50 * scale, z=[0.0]) for k in (1, 2, 4)]
        return Drawn([Opened(1000, draw)], [draw], [draw], presses)

    many = {2000: drawn(1), 10_000: drawn(2)}
    report_maps({2000: {"UMAP": 24.0}}, {2000: {"UMAP": 0.5}})
    report_drawing(many)
    report_presses(many, {2000: 40.0, 10_000: 32.0})
    idle, slow = bystander.Waits((30.0, 40.0)), bystander.Waits((60.0, 80.0, 80.0))
    report_others(10_000, idle, {"t-SNE": (slow, 90.0)})
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "2,000 UMAP 24.00 0.50 48.0" in rows
    assert "first: Plotly begins -> on screen 30 60 2.00" in rows
    assert "first: answer -> on screen 130 160 1.23" in rows
    assert "another map: answer -> on screen 130 160 1.23" in rows
    assert "coloured: wish -> on screen 230 260 1.13" in rows
    assert "tab opened -> all is there 1000 1000 1.00" in rows
    assert "2,000 3 160 320 50 40 4.0" in rows
    assert "10,000 3 320 640 100 32 10.0" in rows
    assert "nothing is computed 2 35 40 40 1.00" in rows
    assert "t-SNE (90 s) 3 80 80 80 2.03" in rows
