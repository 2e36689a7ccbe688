"""Sheets of samples at equal updates, within what a page may weigh."""

from __future__ import annotations

import base64
import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from run_example import story, write_run, write_sheet

from bicyclegan.images import webp_bytes
from bicyclegan.training.comparison.runs import Run, read_runs
from bicyclegan.training.comparison.samples import MAX_MOMENTS, Samples, Sheet, collect_samples, find_moments
from bicyclegan.training.run_folder import RunFolder


def runs(tmp_path: Path, *steps: tuple[int, ...]) -> list[Run]:
    return read_runs([write_run(tmp_path / f"run{k}", story(4000), samples=each) for k, each in enumerate(steps)])


def picture(sheet: Sheet) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(sheet.source.partition(",")[2])))


def shown(samples: Samples) -> list[tuple[int, tuple[int | None, ...]]]:
    return [(each.step, each.shown) for each in samples.moments]


def noisy(path: Path, seed: int, side: int = 400) -> None:
    """A sheet of many bytes."""
    pixels = np.random.RandomState(seed).randint(0, 255, (side, side, 3), np.uint8)
    path.write_bytes(webp_bytes(Image.fromarray(pixels)))


def test_equal_updates_side_by_side(tmp_path: Path) -> None:
    samples = collect_samples(runs(tmp_path, (100, 200, 300), (100, 200)))
    assert shown(samples) == [(100, (100, 100)), (200, (200, 200)), (300, (300, 200))]
    assert samples.start == 1, "the last that all have"
    assert [[sheet.step for sheet in sheets] for sheets in samples.sheets] == [[100, 200, 300], [100, 200]]
    assert samples.notes == ()


def test_the_nearest_earlier_sheet_stands_in() -> None:
    moments = find_moments([[200, 400, 600], [250, 500]])
    assert [(each.step, each.shown) for each in moments] == [
        (250, (200, 250)),
        (400, (400, 250)),
        (500, (400, 500)),
        (600, (600, 500)),
    ]


def test_without_a_common_update_it_starts_before_a_run_ends(tmp_path: Path) -> None:
    samples = collect_samples(runs(tmp_path, (200, 400, 600, 800), (250, 500)))
    assert samples.moments[samples.start].step == 500


def test_a_run_without_samples_is_named_and_in_nobodys_way(tmp_path: Path) -> None:
    samples = collect_samples(runs(tmp_path, (100, 200), (), (100,)))
    assert shown(samples) == [(100, (100, None, 100)), (200, (200, None, 100))]
    assert samples.sheets[1] == ()
    assert samples.notes == ("run1 has no samples.",)
    assert samples.start == 0


def test_no_samples_at_all(tmp_path: Path) -> None:
    samples = collect_samples(runs(tmp_path, (), ()))
    assert samples.moments == ()
    assert samples.sheets == ((), ())


def test_a_sheet_is_the_file_itself(tmp_path: Path) -> None:
    found = runs(tmp_path, (100,), (100,))
    data = RunFolder(found[0].folder).samples(100).read_bytes()
    [sheet] = collect_samples(found).sheets[0]
    assert sheet.source == f"data:image/webp;base64,{base64.b64encode(data).decode()}"
    assert sheet.size == (120, 80)


@pytest.mark.parametrize("kept", [20, 0.5], ids=["no header", "half the pixels"])
def test_a_damaged_sheet_is_left_out_and_told(tmp_path: Path, kept: float) -> None:
    found = runs(tmp_path, (100, 200), (100, 200))
    path = RunFolder(found[0].folder).samples(200)
    noisy(path, 0)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept if kept > 1 else kept * len(data))])
    samples = collect_samples(found)
    assert shown(samples) == [(100, (100, 100)), (200, (100, 200))]
    assert samples.notes == ("run0: its sheet after 200 updates is damaged and left out.",)


def test_files_that_are_no_sheets_are_left_out(tmp_path: Path) -> None:
    found = runs(tmp_path, (100,), (100,))
    folder = found[0].folder / "samples"
    (folder / "step-0000200.webp").write_text("no picture", "utf-8")
    (folder / "step-0000300.webp").mkdir()
    write_sheet(folder / "step-.webp", "red")
    write_sheet(folder / ".step-0000400.webp.x1", "red")
    samples = collect_samples(found)
    assert [each.step for each in samples.moments] == [100]
    assert samples.notes == ("run0: its sheet after 200 updates is damaged and left out.",)


def test_sheets_of_updates_that_a_resume_took_back_are_left_out(tmp_path: Path) -> None:
    found = read_runs([write_run(tmp_path / name, story(steps=200), samples=(100, 300)) for name in "ab"])
    assert [each.step for each in collect_samples(found).moments] == [100]


def test_a_picture_in_another_format_is_made_one_that_pages_show(tmp_path: Path) -> None:
    found = runs(tmp_path, (100,), (100,))
    Image.new("RGB", (90, 60), "red").save(RunFolder(found[0].folder).samples(100), "PNG")
    [sheet] = collect_samples(found).sheets[0]
    assert picture(sheet).format == "WEBP"
    assert sheet.size == (90, 60)


def test_many_updates_are_thinned_evenly(tmp_path: Path) -> None:
    steps = tuple(range(100, 4001, 100))
    samples = collect_samples(runs(tmp_path, steps, steps[:25]))
    chosen = [each.step for each in samples.moments]
    assert len(chosen) == MAX_MOMENTS
    assert (chosen[0], chosen[-1]) == (100, 4000)
    assert chosen[samples.start] == 2500, "the one to start with is never left out"
    assert max(after - before for before, after in pairwise(chosen)) <= 400
    assert samples.notes[0].startswith("24 of 40 updates with samples are in this page")


@pytest.mark.parametrize("share", [0.9, 0.4, 0.1, 0.03])
def test_pictures_stay_within_the_budget(tmp_path: Path, share: float) -> None:
    found = runs(tmp_path, tuple(range(100, 1000, 100)), tuple(range(100, 1000, 100)))
    for k, path in enumerate(sorted(tmp_path.glob("run*/samples/*.webp"))):
        noisy(path, k)
    whole = collect_samples(found, budget=10**9)
    everything = sum(len(sheet.source) for sheets in whole.sheets for sheet in sheets)
    samples = collect_samples(found, budget=int(everything * share))
    assert sum(len(sheet.source) for sheets in samples.sheets for sheet in sheets) <= everything * share
    assert samples.moments[samples.start].step == 900
    assert samples.notes, "what was left out is said"
    for sheet in (sheet for sheets in samples.sheets for sheet in sheets):
        assert picture(sheet).size == sheet.size


def test_moments_go_before_sizes(tmp_path: Path) -> None:
    found = runs(tmp_path, tuple(range(100, 1000, 100)), (100,))
    for k, path in enumerate(sorted(tmp_path.glob("run*/samples/*.webp"))):
        noisy(path, k)
    weight = sum(len(sheet.source) for sheets in collect_samples(found).sheets for sheet in sheets)
    samples = collect_samples(found, budget=int(0.8 * weight))
    assert 6 <= len(samples.moments) < 9
    assert {sheet.size for sheets in samples.sheets for sheet in sheets} == {(400, 400)}
    small = collect_samples(found, budget=int(0.3 * weight))
    assert len(small.moments) == 6
    assert all(sheet.size < (400, 400) for sheets in small.sheets for sheet in sheets)
    assert "reduced to" in small.notes[-1]
