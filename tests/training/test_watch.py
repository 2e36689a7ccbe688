"""News of a run: what is told is what was written, once, however the file got there."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image
from run_example import config, step_line, validation

from bicyclegan.checkpoints import DEFAULT_ROOT
from bicyclegan.config import EVENTS_FILE
from bicyclegan.errors import UserError
from bicyclegan.images import webp_bytes
from bicyclegan.metrics import LATENT_CHANCE
from bicyclegan.training import watch as module
from bicyclegan.training.bands import healthy_bands
from bicyclegan.training.events import (
    CheckpointWritten,
    Finding,
    LatentsWritten,
    RunEnded,
    RunStarted,
    SamplesWritten,
    StepLogged,
    Validated,
    read_events,
    to_line,
)
from bicyclegan.training.presets import PRESETS
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.training.watch import MAX_LINE, MAX_POINTS, read_sheet, spread, watch


@pytest.fixture
def run(tmp_path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.root.mkdir()
    folder.save_config(config(steps=200))
    return folder


def write(run: RunFolder, *events, end: str = "") -> None:
    """Append events, as the trainer does, and perhaps the beginning of a line."""
    with run.events_file.open("a") as file:
        file.write("".join(map(to_line, events)) + end)


def numbers(**fields) -> str:
    return json.dumps({"kind": "step", "step": 7, **fields}) + "\n"


# What is told


def test_everything_of_a_run_is_told(run) -> None:
    started = RunStarted(step=0, device="cpu", precision="fp32", parameters={"generator": 3199403})
    write(
        run,
        started,
        step_line(20, losses={"l1": 0.25, "kl": 99.0}, kl_per_dim=[1.0, 2.5], gradient_shares={"l1": 0.75}, eta=30.0),
        replace(step_line(40, losses={"l1": None, "d_encoded": 0.5}, kl_per_dim=[1.0, None]), seconds=12.0),
        validation(40, reconstruction_l1=0.25, encoded_random_l1_gap=0.05),
        SamplesWritten(step=40, path="samples/step-0000040.webp"),
        LatentsWritten(step=40, path="latents/step-0000040.npz"),
        CheckpointWritten(step=40, path="best", role="best", metric="reconstruction_l1", value=0.25),
        RunEnded(step=40, reason="stopped", message="SIGTERM"),
    )
    told = watch(run)
    assert told["reset"]
    assert told["steps"] == [20, 40]
    series = told["series"]
    assert series["l1"] == [0.25, None]
    assert series["d_encoded"] == [None, 0.5]
    assert series["kl"] == [3.5, None], "the sum over dims, not the loss"
    assert series["share.l1"] == [0.75, None]
    assert series["gradient.generator"] == [12.0, 12.0]
    assert series["rate.discriminator"] == [2e-4, 2e-4]
    assert series["score.real_encoded"] == [0.8, 0.8]
    assert told["validations"]["steps"] == [40]
    validated = told["validations"]["series"]
    assert validated["reconstruction_l1"] == [0.25]
    assert validated["random_l1"] == [0.3], "as far from the photo with a random code"
    assert validated["encoded_random_gap"] == [0.02]
    assert "kl_per_dim" not in validated
    assert told["samples"] == [{"step": 40, "path": "samples/step-0000040.webp"}]
    assert told["latents"] == [40]
    assert told["checkpoints"][0] == {
        "step": 40,
        "path": "best",
        "role": "best",
        "metric": "reconstruction_l1",
        "value": 0.25,
    }
    assert (told["started"]["device"], told["started"]["parameters"]) == ("cpu", {"generator": 3199403})
    assert told["ended"] == {"step": 40, "reason": "stopped", "message": "SIGTERM"}
    assert (told["speed"], told["memory_mb"], told["seconds"]) == (8.0, 940.0, 12.0)
    assert told["plan"]["steps"] == 200
    assert told["bands"]["latent"] == [0.0, pytest.approx(LATENT_CHANCE)]
    json.dumps(told, allow_nan=False)


def test_only_news_are_told_after_the_first_look(run) -> None:
    write(run, RunStarted(step=0), step_line(20))
    first = watch(run)
    nothing = watch(run, first["token"])
    assert not nothing["reset"]
    assert nothing["token"] == first["token"]
    assert (nothing["steps"], nothing["series"], nothing["started"], nothing["speed"]) == ([], {}, None, None)
    assert "plan" not in nothing
    write(run, step_line(40), validation(40))
    news = watch(run, nothing["token"])
    assert (news["reset"], news["steps"], news["validations"]["steps"]) == (False, [40], [40])


def test_a_line_is_told_when_it_is_whole(run) -> None:
    line = to_line(step_line(40))
    write(run, step_line(20), end=line[:70])
    first = watch(run)
    assert first["steps"] == [20]
    assert watch(run, first["token"])["steps"] == []
    write(run, end=line[70:])
    assert watch(run, first["token"])["steps"] == [40]


def test_a_resumed_run_is_told_anew(run) -> None:
    write(run, RunStarted(step=0), step_line(20), step_line(40), RunEnded(step=40, reason="stopped"))
    token = watch(run)["token"]
    run.events.rewind(20)
    run.events.append(RunStarted(step=20, resumed=True))
    told = watch(run, token)
    assert told["reset"]
    assert told["steps"] == [20]
    assert told["ended"] is None
    assert told["started"]["resumed"]


def test_an_end_before_a_new_start_is_none(run) -> None:
    write(run, RunStarted(step=0), RunEnded(step=20), RunStarted(step=20, resumed=True))
    assert watch(run)["ended"] is None
    write(run, RunEnded(step=30, reason="failed"))
    assert watch(run)["ended"]["reason"] == "failed"


@pytest.mark.parametrize("change", ["shrunk", "other words", "another file"])
def test_a_file_that_is_another_one_is_told_anew(run, change) -> None:
    write(run, step_line(20), step_line(40))
    token, text = watch(run)["token"], run.events_file.read_text()
    if change == "shrunk":
        os.truncate(run.events_file, len(to_line(step_line(20))))
    elif change == "other words":  # of the same file, as many
        run.events_file.write_text(text.replace("1700000040", "1700000041"))
    else:
        other = run.root / "other"
        other.write_text(text)
        other.replace(run.events_file)
    told = watch(run, token)
    assert told["reset"]
    assert told["steps"] == ([20] if change == "shrunk" else [20, 40])


@pytest.mark.parametrize(
    "token", ["x", "1-2", "f" * 40, "1-ffffffffffffffff-00000000", "-1-5-00000000", "0-0-00000000"]
)
def test_a_foreign_token_is_none(run, token) -> None:
    write(run, step_line(20))
    assert watch(run, token)["steps"] == [20]


def test_a_run_without_events_has_none(run) -> None:
    told = watch(run)
    assert (told["token"], told["reset"], told["steps"]) == ("", True, [])
    assert told["plan"]["log_every"] == 20
    assert watch(RunFolder(run.root / "gone"))["plan"] is None


# A file that is not trusted


@pytest.mark.parametrize(
    "line",
    [
        "nonsense\n",
        "\xff\xfe\0\n",
        "[]\n",
        "[" * 100_000 + "\n",
        '{"kind": "step", "step": 7, "losses": \n',
        numbers(losses=[1, 2], scores=3, kl_per_dim="x", gradient_norms=None, images_per_second="fast", eta={}),
        numbers(losses={"l1": "x", "l2": True, "kl": [1], "a b<script>": 1.0, "": 1.0}),
        numbers(losses={"l1": 10**400, "l2": 1e300}, kl_per_dim=[{}, []]),
        '{"kind": "step", "step": 7, "losses": {"l1": NaN, "l2": Infinity}}\n',
        '{"kind": "step", "step": -5}\n{"kind": "step", "step": 999999999999}\n{"kind": "step", "step": 1.5}\n',
        '{"kind": "validation", "step": 7, "metrics": [1], "encoded_random_gap": "x"}\n',
        '{"kind": "start", "step": 7, "device": {}, "parameters": [], "precision": 3}\n',
        '{"kind": "end", "step": 7, "reason": null, "message": ["x"]}\n',
        '{"kind": "finding", "step": 7, "name": 3, "evidence": {"a": 1}}\n',
        '{"kind": "samples", "step": 7, "path": 5}\n{"kind": "checkpoint", "step": 7, "value": "x", "path": null}\n',
    ],
)
def test_damaged_lines_break_nothing(run, line) -> None:
    write(run, step_line(5))
    with run.events_file.open("ab") as file:
        file.write(line.encode("latin-1"))
    write(run, step_line(20))
    told = watch(run)
    assert {5, 20} <= set(told["steps"])
    assert told["series"]["l1"][0] == pytest.approx(0.6)
    assert set(told["series"]) <= set(watch_names(told))
    json.dumps(told, allow_nan=False)
    assert watch(run, told["token"])["steps"] == []


def watch_names(told: dict) -> set[str]:
    """Names that a chart may have: nothing that is markup."""
    return {name for name in told["series"] if module.NAME.fullmatch(name)}


def test_steps_that_do_not_rise_are_left_out(run) -> None:
    write(run, *map(step_line, (20, 40, 30, 40, 60)))
    assert watch(run)["steps"] == [20, 40, 60]


def test_a_huge_line_is_passed_over(run) -> None:
    write(run, step_line(20), end='{"kind": "finding", "step": 20, "evidence": "' + "x" * (3 * MAX_LINE) + '"}\n')
    write(run, step_line(40))
    told = watch(run)
    assert (told["steps"], told["findings"]) == ([20, 40], [])


def test_machine_paths_and_long_texts_are_not_told(run) -> None:
    place = "/".join(["", "srv", "studio", "runs", "secret", "latest"])
    write(run, Finding(step=20, name="disk", severity="ill", evidence=f"{place} is full" + "!" * 5000))
    [finding] = watch(run)["findings"]
    assert finding["evidence"].startswith("latest is full")
    assert len(finding["evidence"]) <= module.MAX_TEXT


# Long runs


@pytest.fixture(scope="module")
def long_run(tmp_path_factory) -> RunFolder:
    """20,000 lines as long as real ones."""
    folder = RunFolder(tmp_path_factory.mktemp("long"))
    folder.save_config(PRESETS["quality"])
    real = next(
        event for event in read_events(DEFAULT_ROOT / "edges2shoes" / EVENTS_FILE) if isinstance(event, StepLogged)
    )
    with folder.events_file.open("w") as file:
        for k in range(1, 20_001):
            shares = {"l1": 0.5, "kl": 0.5} if k % 40 == 0 else {}
            file.write(to_line(replace(real, step=10 * k, gradient_shares=shares)))
    return folder


def test_a_long_run_is_thinned_evenly(long_run) -> None:
    told = watch(long_run)
    steps = told["steps"]
    assert MAX_POINTS * 0.9 < len(steps) <= MAX_POINTS
    assert (steps[0], steps[-1]) == (10, 200_000)
    gaps = [after - before for before, after in pairwise(steps)]
    assert max(gaps) < 3 * 200_000 / MAX_POINTS
    assert sum(value is not None for value in told["series"]["share.l1"]) == 500, "rare numbers are kept"
    assert len(json.dumps(told)) < 1_000_000


def test_a_look_is_fast(long_run) -> None:
    def seconds(token: str) -> float:
        begin = time.perf_counter()
        watch(long_run, token)
        return time.perf_counter() - begin

    token = watch(long_run)["token"]
    assert min(seconds("") for _ in range(3)) < 1
    assert min(seconds(token) for _ in range(5)) < 0.002


def test_points_are_spread_over_the_steps_not_over_the_lines() -> None:
    steps = [*range(100), *range(100, 1000, 100), 1000]
    chosen = [steps[place] for place in spread(steps, 12)]
    assert chosen[0] == 0
    assert chosen[-1] == 1000
    assert len(chosen) <= 12
    assert len([step for step in chosen if step >= 100]) >= 9
    assert spread([1, 2, 3], 12) == [0, 1, 2]


# Sheets of samples


def test_a_sheet_is_read(run) -> None:
    data = webp_bytes(Image.new("RGB", (8, 8)))
    run.samples(40).parent.mkdir()
    run.samples(40).write_bytes(data)
    assert read_sheet(run, 40) == data


@pytest.mark.parametrize("fault", ["missing", "other file", "outside"])
def test_a_sheet_that_is_none_is_not_read(run, tmp_path, fault) -> None:
    path = run.samples(40)
    path.parent.mkdir()
    if fault == "other file":
        path.write_text("RIFF but no picture")
    elif fault == "outside":
        (tmp_path / "private.webp").write_bytes(webp_bytes(Image.new("RGB", (8, 8))))
        path.symlink_to(tmp_path / "private.webp")
    with pytest.raises(UserError, match="step 40"):
        read_sheet(run, 40)


# Where healthy runs lie

LINES = {
    "pixel": ("l1",),
    "kl": ("kl",),
    "latent": ("latent_l1",),
    "discriminators": ("d_encoded", "d_random"),
    "generator": ("gan_encoded", "gan_random"),
    "gradients": tuple(f"gradient.{name}" for name in ("generator", "encoder", "discriminator", "discriminator2")),
}
DOTS = {"pixel": "reconstruction_l1", "kl": "kl", "latent": "latent_l1", "diversity": "diversity_lpips_alex_v0.1"}


def shipped_values(name: str, folder: Path) -> dict[str, list[float]]:
    """Values by chart after the first tenth of each stage of a shipped model's training, as `watch` tells them."""
    stages: list[list] = []
    for event in read_events(DEFAULT_ROOT / name / EVENTS_FILE):
        if isinstance(event, RunStarted) and not event.resumed:
            stages.append([])
        stages[-1].append(event)
    found: dict[str, list[float]] = {}
    for k, events in enumerate(stages):
        stage = RunFolder(folder / str(k))
        stage.root.mkdir()
        stage.events_file.write_text("".join(map(to_line, events)))
        told, begin = watch(stage), max(event.step for event in events) / 10
        rows = [(chart, told, line) for chart, lines in LINES.items() for line in lines]
        rows += [(chart, told["validations"], metric) for chart, metric in DOTS.items()]
        for chart, table, line in rows:
            known = zip(table["steps"], table["series"].get(line, []), strict=False)
            found.setdefault(chart, []).extend(v for step, v in known if step >= begin and v is not None)
    return found


@pytest.mark.parametrize("name", ["edges2shoes", "edges2clothes"])
def test_shipped_models_were_healthy(name, tmp_path) -> None:
    values, bands = shipped_values(name, tmp_path), healthy_bands(PRESETS["fast"])
    assert values.keys() == bands.keys()
    inside = {
        chart: sum(band.low <= value <= band.high for value in values[chart]) / len(values[chart])
        for chart, band in bands.items()
    }
    assert {chart: share for chart, share in inside.items() if share < 0.85} == {}


def test_bands_follow_theory() -> None:
    fast = PRESETS["fast"]
    one = healthy_bands(replace(fast, model=replace(fast.model, num_discriminators=1)))
    two = healthy_bands(fast)
    assert two["discriminators"] == pytest.approx([2 * value for value in one["discriminators"]])
    assert one["discriminators"].low < 0.5 < one["discriminators"].high, "a D that cannot tell"
    assert one["generator"].low < 0.25 < one["generator"].high < 1, "at 1 D is sure of all fakes"
    assert two["latent"].high == pytest.approx(math.sqrt(2 / math.pi))
    assert two["kl"].low > 0, "a dead code is not healthy"


@pytest.mark.parametrize("fields", [{"objective": "cvae-gan"}, {"adversarial": "hinge"}])
def test_other_objectives_have_no_bands(fields) -> None:
    fast = PRESETS["fast"]
    assert healthy_bands(replace(fast, loss=replace(fast.loss, **fields))) == {}


def test_sums_over_samples_have_no_bands() -> None:
    model = replace(PRESETS["official"].model, num_discriminators=1)
    assert "discriminators" not in healthy_bands(replace(PRESETS["official"], model=model))


def test_all_kinds_of_events_are_told_of() -> None:
    """Of a new kind somebody should decide whether a page shows it."""
    from bicyclegan.training.events import KINDS

    told = {RunStarted, StepLogged, Validated, SamplesWritten, LatentsWritten, CheckpointWritten, Finding, RunEnded}
    assert {kind.kind for kind in told} == KINDS.keys() - {"data"}
