"""The check of uploaded pictures for a page: what is found out, what is said of it, and the process that does it."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np
import pytest
from code_search import PACKAGE
from picture_sets import beside, drawing, labels, photo, save, save_photos, scene
from PIL import Image

from bicyclegan.config import EdgeStyle, ModelConfig
from bicyclegan.data import open_data
from bicyclegan.errors import UserError
from bicyclegan.training import data_preview
from bicyclegan.training.config import AugmentConfig, DataConfig, TrainConfig
from bicyclegan.training.data_preview import Preview, PreviewProgress, edges_preview
from bicyclegan.training.data_readings import SEVERITIES
from bicyclegan.training.preview_tasks import check
from bicyclegan.training.thumbs import make_thumbs

SEVERITY_WORDS = {"note", "watch", "ill"}
SIZE = 96


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return tmp_path / "secret-place" / "run" / "pictures"


@pytest.fixture
def config(pictures: Path, tiny_config: ModelConfig) -> TrainConfig:
    """What a page's options become, with the paths set by the server."""
    run = pictures.parent
    run.mkdir(parents=True)
    source = DataConfig(cache_dir=str(run / ".cache"))
    return TrainConfig(
        data=str(pictures), out=str(run), source=source, model=tiny_config, batch_size=4, device="cpu", steps=20
    )


def quiet(what: str, done: int, total: int) -> None:
    pass


def codes(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {reading["code"]: reading["values"] for reading in found["readings"]}


def tiles(thumbs: dict[str, Any]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Sketch and photo of each pair, as a page cuts them out of the picture."""
    head, data = thumbs["sprite"].split(",", 1)
    assert head == "data:image/webp;base64"
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
    count, columns, size = thumbs["count"], thumbs["columns"], thumbs["size"]
    rows = -(-count // columns)
    assert picture.shape == (2 * rows * size, columns * size, 3)
    found = []
    for index in range(count):
        x, y = index % columns * size, 2 * (index // columns) * size
        found.append((picture[y : y + size, x : x + size], picture[y + size : y + 2 * size, x : x + size]))
    return found


def close_to(one: np.ndarray, other: np.ndarray) -> bool:
    return float(np.abs(one.astype(int) - other).mean()) < 12


# What is found out


def test_photos_are_found_and_shown_as_the_networks_see_them(config: TrainConfig, pictures: Path) -> None:
    save_photos(pictures, 60, width=64, height=64)
    told: list[tuple[str, int, int]] = []
    found = check(replace(config, augment=AugmentConfig(crop=0.25)), lambda *news: told.append(news))
    report = found["report"]
    assert (report["layout"], report["sketches"], report["direction"]) == ("photos", "computed", "")
    assert (report["train"] + report["validation"], found["input_channels"], found["suggest"]) == (60, 1, {})
    assert found["palette"] == ["#000000"]
    assert found["readings"] == []
    assert {what for what, _, _ in told} == {"reading", "checking"}
    assert all(0 <= done <= total for _, done, total in told)
    thumbs = found["thumbs"]
    assert (thumbs["count"], thumbs["columns"], len(thumbs["names"])) == (24, 8, 24)
    for name, (sketch, shown) in zip(thumbs["names"], tiles(thumbs), strict=True):
        assert close_to(shown, np.asarray(Image.open(pictures / name).resize((SIZE, SIZE))))
        assert 0.005 < np.mean(sketch < 128) < 0.25
    json.dumps(found)


def test_fewer_pairs_than_a_row(config: TrainConfig, pictures: Path) -> None:
    save_photos(pictures, 4)
    thumbs = check(config, quiet)["thumbs"]
    assert (thumbs["count"], thumbs["columns"], len(tiles(thumbs))) == (3, 3, 3)


def test_last_row_may_be_short() -> None:
    pairs = [(np.full((32, 32), 0, np.uint8), np.full((32, 32, 3), 10 * k, np.uint8)) for k in range(11)]
    thumbs = dataclasses.asdict(make_thumbs(pairs, [str(k) for k in range(11)], "lines", EdgeStyle()))
    assert [round(shown.mean(), -1) for _, shown in tiles(thumbs)] == [10 * k for k in range(11)]
    assert all(sketch.max() < 40 for sketch, _ in tiles(thumbs))


def test_two_folders_of_pairs(config: TrainConfig, pictures: Path) -> None:
    """5 sketches, 3 photos, one of them of another shape."""
    for k in range(5):
        save(drawing(k), pictures / "trainA" / f"{k}.png")
    for k in range(2):
        save(photo(k), pictures / "trainB" / f"{k}.jpg")
    save(photo(2, 60, 30), pictures / "trainB" / "2.jpg")
    save(drawing(7), pictures / "valA" / "7.png")
    save(photo(7), pictures / "valB" / "7.png")
    found = check(config, quiet)
    report = found["report"]
    assert (report["layout"], report["sketches"], report["direction"]) == ("folders", "lines", "AtoB")
    assert (report["train"], report["validation"], found["suggest"]) == (2, 1, {})
    assert codes(found).keys() == {"unpaired", "unreadable", "few_pictures"}
    assert codes(found)["unpaired"] == {"count": 2, "examples": "trainA/3; trainA/4"}
    assert codes(found)["unreadable"]["count"] == 1
    assert "differ in shape" in codes(found)["unreadable"]["examples"]


def test_label_maps_ask_for_colours(config: TrainConfig, pictures: Path) -> None:
    for k in range(6):
        save(beside(labels(k), scene(k)), pictures / f"{k}.png")
    found = check(config, quiet)
    assert (found["report"]["layout"], found["report"]["sketches"]) == ("side-by-side", "labels")
    assert (found["suggest"], found["input_channels"]) == ({"input_channels": 3}, 3)
    assert {"#0000c8", "#dc0000", "#00dc00"} <= set(found["palette"])
    assert "coloured" in codes(found)
    sketch, _ = tiles(found["thumbs"])[0]
    assert np.ptp(sketch.reshape(-1, 3), axis=0).min() > 100, "in colour"


@pytest.mark.parametrize("given", ["AtoB", "BtoA"])
def test_sides_that_are_exchanged_are_turned_round(config: TrainConfig, pictures: Path, given: str) -> None:
    sides = [(scene(k), drawing(k)) for k in range(6)]
    for k, pair in enumerate(sides):
        save(beside(*(pair if given == "AtoB" else pair[::-1])), pictures / f"{k}.png")
    asked = replace(config, source=replace(config.source, direction=given))
    other = "BtoA" if given == "AtoB" else "AtoB"
    found = check(asked, quiet)
    assert (found["suggest"], found["report"]["direction"]) == ({"direction": other}, other)
    assert "flipped" in codes(found)
    sketch, shown = tiles(found["thumbs"])[0]
    assert np.ptp(sketch.astype(int), axis=2).max() < 40 < np.ptp(shown.astype(int), axis=2).max()
    again = check(replace(config, source=replace(config.source, direction=other)), quiet)
    assert again["suggest"] == {}, "what was suggested fits"
    assert not {"flipped", "exchanged"} & codes(again).keys()


def test_who_has_chosen_a_side_gets_it(config: TrainConfig, pictures: Path) -> None:
    for k in range(6):
        save(beside(scene(k), drawing(k)), pictures / f"{k}.png")
    found = check(config, quiet, fixed=["direction"])
    assert (found["report"]["direction"], found["suggest"]) == ("AtoB", {"input_channels": 3})
    assert "exchanged" in codes(found)


def test_channels_of_other_pictures_count_no_more(config: TrainConfig, pictures: Path) -> None:
    for k in range(6):
        save(beside(drawing(k), photo(k)), pictures / f"{k}.png")
    asked = replace(config, model=replace(config.model, input_channels=3))
    assert check(asked, quiet)["suggest"] == {"input_channels": 1}
    assert check(asked, quiet, fixed=["input_channels"])["suggest"] == {}


def test_a_start_that_reads_something_else_is_told(config: TrainConfig, pictures: Path, make_checkpoint) -> None:
    for k in range(6):
        save(beside(labels(k), scene(k)), pictures / f"{k}.png")
    lines = make_checkpoint(pictures.parent / "lines")
    found = check(replace(config, init_from=str(lines)), quiet)
    assert codes(found).keys() >= {"coloured_start"}
    for path in pictures.glob("*.png"):
        path.unlink()
    save_photos(pictures)
    areas = make_checkpoint(pictures.parent / "areas", input_channels=3)
    found = check(replace(config, init_from=str(areas)), quiet, fixed=["input_channels"])
    assert codes(found).keys() >= {"lines_start"}


# What is said of them


def test_edges_that_show_nothing_are_told(config: TrainConfig, pictures: Path) -> None:
    save_photos(pictures, 8, paper=None)
    few = replace(config, edge_style=EdgeStyle(low_threshold=9000, high_threshold=9000))
    assert codes(check(few, quiet))["few_edges"] == {"count": 7, "total": 7}
    many = replace(config, edge_style=EdgeStyle(low_threshold=0, high_threshold=0, bilateral_diameter=0))
    assert codes(check(many, quiet))["many_edges"] == {"count": 7, "total": 7}


def test_lines_that_show_nothing_are_told(config: TrainConfig, pictures: Path) -> None:
    for k in range(6):
        dark = Image.fromarray(np.where(np.arange(48)[:, None] < 12, 255, 0).repeat(48, 1).astype(np.uint8).T)
        blank = Image.new("RGB", (48, 48), (255, 255, 255))
        save(photo(k), pictures / "B" / f"{k}.png")
        save(blank if k % 2 else dark, pictures / "A" / f"{k}.png")
    found = codes(check(config, quiet))
    assert found["few_lines"]["total"] == 5
    assert found["few_lines"]["count"] >= 2


def test_pictures_that_do_not_help_are_told(config: TrainConfig, pictures: Path) -> None:
    save_photos(pictures / "train", 6, width=24, height=24)
    save_photos(pictures / "val", 3, first=2, width=24, height=24)
    save(photo(0, 24, 24), pictures / "train" / "twin.png")
    save(Image.new("RGB", (40, 40), (9, 9, 9)), pictures / "train" / "blank.png")
    (pictures / "train" / "cut.png").write_bytes((pictures / "train" / "0.png").read_bytes()[:90])
    save(photo(50), pictures / "beside.png")
    found = codes(check(config, quiet))
    assert found["few_pictures"] == {"count": 8}
    assert found["small_pictures"] == {"count": 10, "total": 11, "size": 32}
    assert found["leaks"] == {"count": 3}
    assert found["duplicates"]["count"] == 1
    assert found["constant"] == {"count": 1, "examples": "blank.png"}
    assert found["unused"] == {"count": 1, "examples": "beside.png"}
    assert found["unreadable"]["count"] == 1
    assert "cut.png" in found["unreadable"]["examples"]


def test_pictures_that_are_all_kept_aside_say_so(config: TrainConfig, pictures: Path) -> None:
    save_photos(pictures / "Test")
    with pytest.raises(UserError, match="in a folder called Test") as caught:
        check(config, quiet)
    assert caught.value.code == "data_only_validation"


def test_examples_are_few_and_short(config: TrainConfig, pictures: Path) -> None:
    save_photos(pictures, 5)
    for k in range(6):
        (pictures / f"{'x' * 200}{k}.png").write_bytes(b"no")
    values = codes(check(config, quiet))["unreadable"]
    assert values["count"] == 6
    assert values["examples"].endswith(" …")
    assert len(values["examples"]) < 500


def test_every_reading_has_its_texts_in_both_languages() -> None:
    assert set(SEVERITIES.values()) <= SEVERITY_WORDS
    for language in ("en", "zh"):
        texts = json.loads((PACKAGE / "ui" / "locale" / f"{language}.json").read_text("utf-8"))
        known = {key for key in texts if key.startswith("check.")}
        assert known == {f"check.{code}{suffix}" for code in SEVERITIES for suffix in ("", "_remedy")}
        wanted = {name for key in known for _, name, _, _ in Formatter().parse(texts[key]) if name}
        assert wanted == {"count", "total", "size", "examples"}


def test_texts_are_given_their_values(config: TrainConfig, pictures: Path) -> None:
    test_pictures_that_do_not_help_are_told(config, pictures)
    texts = json.loads((PACKAGE / "ui" / "locale" / "en.json").read_text("utf-8"))
    for code, values in codes(check(config, quiet)).items():
        assert texts[f"check.{code}"].format(**values)
        assert texts[f"check.{code}_remedy"].format(**values)


# Decoded pictures


def test_decoded_pictures_that_no_longer_count_go(config: TrainConfig, pictures: Path) -> None:
    save_photos(pictures)
    cache = pictures.parent / ".cache"
    check(config, quiet)
    first = {path.name for path in cache.iterdir()}
    (cache / ".half.npy.abc").write_bytes(b"half")
    check(replace(config, edge_style=EdgeStyle(low_threshold=10)), quiet)
    second = {path.name for path in cache.iterdir()}
    assert len(second) == len(first) == 4
    assert not first & second


def test_decoded_pictures_of_others_stay(config: TrainConfig, pictures: Path, tmp_path: Path) -> None:
    save_photos(pictures)
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "other.npy").write_bytes(b"other")
    check(replace(config, source=replace(config.source, cache_dir=str(shared))), quiet)
    assert (shared / "other.npy").exists()
    cache = pictures.parent / ".cache"
    check(config, quiet)
    (cache / "old.npy").write_bytes(b"old")
    (pictures.parent / "config.json").write_text("{}")  # the run has begun
    check(config, quiet)
    assert (cache / "old.npy").exists()


# Edges at once


def test_edges_are_those_of_training(config: TrainConfig, pictures: Path) -> None:
    save_photos(pictures, 12, width=80, height=50)
    save_photos(pictures, 3, first=20, width=80, height=50, paper=None)
    style = EdgeStyle(low_threshold=20, high_threshold=60)
    thumbs = dataclasses.asdict(edges_preview(pictures, style, 32))
    assert (thumbs["count"], thumbs["columns"]) == (8, 8)
    data = open_data(replace(config, edge_style=style)).train
    kept = [index for index, name in enumerate(data.names) if name in thumbs["names"]]
    assert len(kept) >= 6
    pairs = [data.plain(index) for index in kept]
    expected = tiles(dataclasses.asdict(make_thumbs(pairs, kept, "computed", style)))
    shown = dict(zip(thumbs["names"], tiles(thumbs), strict=True))
    for index, (sketch, picture) in zip(kept, expected, strict=True):
        assert close_to(shown[data.names[index]][0], sketch)
        assert close_to(shown[data.names[index]][1], picture)


def test_edges_follow_the_thresholds_and_the_files(pictures: Path) -> None:
    save_photos(pictures, 3, paper=None)
    few, many = (
        sum(np.sum(sketch < 128) for sketch, _ in tiles(dataclasses.asdict(edges_preview(pictures, style, 32))))
        for style in (EdgeStyle(low_threshold=400, high_threshold=900), EdgeStyle(low_threshold=5, high_threshold=10))
    )
    assert few < many
    before = edges_preview(pictures, EdgeStyle(), 32)
    save_photos(pictures, 3, first=30)
    for k in range(3):
        os.utime(save(photo(90 + k), pictures / f"{k}.png"), (k + 1, k + 1))
    assert edges_preview(pictures, EdgeStyle(), 32).sprite != before.sprite


def test_edges_pass_over_what_cannot_be_read(pictures: Path) -> None:
    save_photos(pictures, 2)
    (pictures / "0.png").write_bytes(b"no")
    assert edges_preview(pictures, EdgeStyle(), 32).names == ("1.png",)
    (pictures / "1.png").write_bytes(b"no")
    with pytest.raises(UserError, match="not a picture"):
        edges_preview(pictures, EdgeStyle(), 32)


# The process


def ask(preview: Preview, task: str, config: TrainConfig, **options: Any) -> tuple[list[PreviewProgress], dict]:
    with closing(preview.run(task, config, **options)) as words:
        *news, answer = words
    return news, answer


def test_the_process_answers_as_this_one_would(config: TrainConfig, pictures: Path) -> None:
    save_photos(pictures)
    news, answer = ask(Preview(), "check", config)
    assert news[0] == PreviewProgress("starting")
    assert {"reading", "checking"} <= {word.what for word in news}
    here = check(config, quiet)
    assert answer["thumbs"]["names"] == list(here["thumbs"]["names"])
    assert answer["report"]["train"] == here["report"]["train"]
    assert "secret-place" not in json.dumps(answer), "where things lie is nobody's business"


def test_a_plan_is_measured(config: TrainConfig, pictures: Path) -> None:
    save_photos(pictures)
    (pictures.parent / "job.json").write_text("{}")
    news, answer = ask(Preview(), "plan", config)
    assert "measuring" in {word.what for word in news}
    assert answer["steps"] == 20
    assert answer["seconds"] == pytest.approx(20 * answer["seconds_per_step"])
    assert {"memory_mb", "disk_mb", "images_per_second", "epochs", "device", "parameters"} <= answer.keys()
    assert {path.name for path in pictures.parent.iterdir()} == {"pictures", ".cache", "job.json"}


def test_mistakes_come_through_without_paths(config: TrainConfig, pictures: Path) -> None:
    save_photos(pictures, 1)
    with pytest.raises(UserError) as caught:
        ask(Preview(), "check", config)
    assert caught.value.code == "data_too_few"
    assert str(caught.value).startswith("pictures gives ")
    assert caught.value.values["train"] + caught.value.values["validation"] == 1
    assert "secret-place" not in str(caught.value)


FAKES = {
    "hangs": 'import time\nprint(\'{"what": "reading", "done": 1, "total": 2}\', flush=True)\ntime.sleep(60)',
    "dies": "import os\nos._exit(9)",
    "babbles": "print('hello', flush=True)",
    "fails": "import json\nprint(json.dumps({'failed': 'ValueError: no luck', 'trace': 'Traceback'}), flush=True)",
}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list]:
    """`fake(name)`: previews run this in place of the worker; returns the processes."""
    real = data_preview.subprocess.Popen

    def install(name: str) -> list:
        started = []

        def popen(args: list[str], **options: Any) -> Any:
            started.append(real([sys.executable, "-c", FAKES[name]], **options))
            return started[-1]

        monkeypatch.setattr(data_preview.subprocess, "Popen", popen)
        return started

    return install


@pytest.mark.parametrize(("name", "why"), [("dies", "ended"), ("babbles", "ended"), ("fails", "ValueError: no luck")])
def test_a_process_that_fails_is_told(fake, config: TrainConfig, name: str, why: str) -> None:
    fake(name)
    with pytest.raises(UserError, match=why) as caught:
        ask(Preview(), "check", config)
    assert caught.value.code == "preview_failed"


def test_whoever_leaves_ends_the_process(fake, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_preview, "HEARTBEAT", 0.05)
    started = fake("hangs")
    preview = Preview(most=1)
    words = preview.run("check", config)
    seen = [next(words)]
    end = time.monotonic() + 20
    while seen[-3:] != [PreviewProgress("reading", 1, 2)] * 3:  # told again, so that whoever waits can leave
        seen.append(next(words))
        assert time.monotonic() < end
    assert started[0].poll() is None
    words.close()
    assert started[0].poll() is not None
    with closing(preview.run("check", config)) as again:
        assert next(again) == PreviewProgress("starting"), "its place is free"


def test_a_process_that_takes_too_long_is_ended(fake, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_preview, "HEARTBEAT", 0.05)
    started = fake("hangs")
    with pytest.raises(UserError) as caught:
        ask(Preview(seconds=0.2), "check", config)
    assert caught.value.code == "preview_slow"
    assert started[0].poll() is not None


def test_only_a_few_run_at_once(fake, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_preview, "HEARTBEAT", 0.05)
    started = fake("hangs")
    preview = Preview(most=2)
    with closing(preview.run("check", config)) as third:
        with closing(preview.run("check", config)) as one, closing(preview.run("plan", config)) as other:
            next(one)
            next(other)
            assert next(third) == PreviewProgress("waiting")
            assert len(started) == 2
        assert next(third) == PreviewProgress("starting")
    impatient = Preview(most=0, seconds=0.2)
    with pytest.raises(UserError, match="busy"):
        list(impatient.run("check", config))


def test_the_worker_ends_with_its_input() -> None:
    """When the studio dies, nobody is left to end it."""
    worker = data_preview._start()
    worker.stdin.close()
    assert worker.wait(30) == 0
    worker.stdout.close()
