"""What the map's script may ask: places, codes, readings and runs; one clear line for everything else."""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bicyclegan.checkpoints import DEFAULT_ROOT
from bicyclegan.config import LATENTS_FILE
from bicyclegan.latents_file import load_latents
from bicyclegan.projection import MapSettings, Pca, prior_codes
from bicyclegan.ui.answers import server_functions
from bicyclegan.ui.map_answers import MAP_QUESTIONS, MapAnswers, pack_floats
from bicyclegan.ui.settings import Settings
from bicyclegan.ui.studio import Studio

NAME = "edges2shoes"
LATENTS = load_latents(DEFAULT_ROOT / NAME)
PCA = {"checkpoint": NAME, "method": "pca", "dims": 2, "ticket": "me"}
OWN = np.random.RandomState(0).randn(12, 8).astype(np.float32)


@pytest.fixture(scope="module")
def studio(tmp_path_factory) -> Studio:
    root = tmp_path_factory.mktemp("checkpoints")
    for name in (NAME, "bare"):
        shutil.copytree(DEFAULT_ROOT / NAME, root / name)
    (root / "bare" / LATENTS_FILE).unlink()
    return Studio(Settings(device="cpu", checkpoints=root, runs=tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="module")
def functions(studio) -> dict:
    return {function.__name__: function for function in server_functions((MapAnswers(studio), MAP_QUESTIONS))}


@pytest.fixture
def ask(functions):
    def ask(question: str, /, lang: str = "en", **wanted) -> dict:
        answer = functions[question](wanted, SimpleNamespace(headers={"accept-language": lang}))
        json.dumps(answer, allow_nan=False)  # what the browser gets
        return answer

    return ask


def unpack(packed: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["data"]), "<f4").reshape(packed["rows"], packed["columns"])


def wait_for_places(ask, **wanted) -> dict:
    for _ in range(300):
        answer = ask("map_places", **wanted)
        if "waiting" not in answer:
            return answer
        assert 0 <= answer["waiting"]["share"] <= 1
        time.sleep(0.1)
    raise AssertionError("the map never came")


def test_points_are_those_of_the_models_file(ask) -> None:
    answer = ask("map_points", checkpoint=NAME)
    assert answer["count"] == 500
    assert answer["names"] == list(LATENTS.names)
    assert np.array_equal(unpack(answer["codes"]), LATENTS.mu)
    assert unpack(answer["prior"]) == pytest.approx(prior_codes(1000, 8), abs=1e-6)
    assert answer["sprite"] == {"columns": LATENTS.thumb_columns, "size": 64}
    kinds = {each["key"]: each for each in answer["colourings"]}
    assert list(kinds) == ["photo", "kl"]
    assert kinds["photo"]["values"][3] == "#{:02x}{:02x}{:02x}".format(*LATENTS.photo_colours[3])
    assert {(each["method"], each["dims"]) for each in answer["shipped"]} == {
        (method, dims) for method in ("umap", "tsne") for dims in (2, 3)
    }
    assert answer["runs"] == []


def test_clusters_are_those_of_the_codes(ask) -> None:
    found = ask("map_clusters", checkpoint=NAME)["clusters"]
    assert found == ask("map_clusters", checkpoint=NAME)["clusters"]
    assert len(found["values"]) == 500
    counts = np.bincount(found["values"])
    assert len(counts) == len(found["groups"]) == 8
    assert (np.diff(counts) <= 0).all(), "the largest first"
    assert ask("map_clusters", checkpoint="bare")["clusters"] is None


def test_the_sprite_is_the_models(ask, studio) -> None:
    url = ask("map_sprite", checkpoint=NAME)["url"]
    sprite = base64.b64decode(url.removeprefix("data:image/webp;base64,"))
    assert sprite == (studio.folder(NAME) / "thumbs.webp").read_bytes()


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("method", ["pca", "umap", "tsne"])
def test_maps_that_come_with_the_model_are_there_at_once(ask, method: str, dims: int) -> None:
    answer = ask("map_places", **{**PCA, "method": method, "dims": dims, "neighbours": 15, "perplexity": 30.0})
    stored = LATENTS.map_for(MapSettings(method, dims))
    assert np.array_equal(unpack(answer["coords"]), stored.coords)
    assert np.array_equal(unpack(answer["prior"]), stored.prior_coords)
    assert unpack(answer["own"]).shape[0] == 0
    assert answer["exact"] == (method == "pca")
    assert (answer["centre"] is None) == (method != "pca")


def test_codes_are_placed_and_places_have_codes(ask) -> None:
    z = LATENTS.mu[:3]
    places = ask("map_place", **PCA, z=z.tolist())["places"]
    assert np.array(places) == pytest.approx(LATENTS.map_pca[:3, :2], abs=1e-5)
    code = np.array(ask("map_code", **PCA, place=[1.5, -0.5])["z"])
    assert LATENTS.pca.transform(code[None], 8)[0] == pytest.approx([1.5, -0.5, 0, 0, 0, 0, 0, 0], abs=1e-5)
    tsne = {**PCA, "method": "tsne"}
    coords = LATENTS.map_for(MapSettings("tsne")).coords
    assert np.array(ask("map_place", **tsne, z=z.tolist())["places"]) == pytest.approx(coords[:3], abs=1e-3)
    assert np.array(ask("map_code", **tsne, place=coords[7].tolist())["z"]) == pytest.approx(LATENTS.mu[7], abs=1e-3)


def test_own_photos_are_placed_on_the_models_map(ask) -> None:
    answer = ask("map_places", **PCA, own=pack_floats(OWN))
    assert unpack(answer["own"]) == pytest.approx(LATENTS.pca.transform(OWN, 2), abs=1e-5)
    assert np.array_equal(unpack(answer["coords"]), LATENTS.map_for(MapSettings()).coords), "the others stay"
    between = ask("map_places", **{**PCA, "method": "tsne"}, own=pack_floats(OWN))
    assert unpack(between["own"]).shape == (12, 2)
    assert len(unpack(between["coords"])) == 500


def test_a_model_without_codes_shows_own_photos_alone(ask) -> None:
    bare = {**PCA, "checkpoint": "bare"}
    assert ask("map_points", checkpoint="bare")["count"] == 0
    answer = ask("map_places", **bare, own=pack_floats(OWN))
    assert len(unpack(answer["coords"])) == 0
    assert unpack(answer["own"]) == pytest.approx(Pca.fit(OWN).transform(OWN, 2), abs=1e-5)
    tsne = wait_for_places(ask, **{**bare, "method": "tsne", "perplexity": 3}, own=pack_floats(OWN))
    assert unpack(tsne["own"]).shape == (12, 2)
    assert "at least one" in ask("map_places", **bare)["error"]
    assert "no thumbnails with bare" in ask("map_sprite", checkpoint="bare")["error"]


def test_another_map_takes_its_time_and_is_kept(ask, studio) -> None:
    wanted = {**PCA, "method": "tsne", "perplexity": 5}
    first = ask("map_places", **wanted)
    assert first["waiting"]["what"] == "waiting"
    assert "not laid out yet" in ask("map_code", **wanted, place=[0, 0])["error"]
    answer = wait_for_places(ask, **wanted)
    assert unpack(answer["coords"]).shape == (500, 2)
    assert "z" in ask("map_code", **wanted, place=[0, 0])
    again = {function.__name__: function for function in server_functions((MapAnswers(studio), MAP_QUESTIONS))}
    kept = again["map_places"](wanted, SimpleNamespace(headers={}))
    assert np.array_equal(unpack(kept["coords"]), unpack(answer["coords"])), "from the disk"


def test_own_photos_can_be_laid_out_with_the_others(ask) -> None:
    wanted = {**PCA, "method": "tsne", "perplexity": 4, "own": pack_floats(OWN), "joint": True}
    assert ask("map_places", **wanted)["waiting"]["ahead"] == 0
    ask("map_cancel", ticket="me")
    answer = wait_for_places(ask, **wanted)
    assert unpack(answer["coords"]).shape == (500, 2)
    assert unpack(answer["own"]).shape == (12, 2)


def test_readings_are_sentences_in_the_readers_language(ask) -> None:
    report = ask("map_readings", checkpoint=NAME)["report"]
    assert report["photos"] == 500
    assert {each["name"] for each in report["readings"]} >= {"kl", "active_dims", "mean", "variance", "overlap"}
    chinese = ask("map_readings", lang="zh", checkpoint=NAME)["report"]
    for english, other in zip(report["readings"], chinese["readings"], strict=True):
        assert english["verdict"] == other["verdict"]
        assert any("\u4e00" <= letter <= "\u9fff" for letter in other["sentence"])
        assert bool(english["remedy"]) == bool(other["remedy"])
    collapsed = np.zeros((40, 8), np.float32)
    mine = ask("map_readings", checkpoint=NAME, own=pack_floats(collapsed), logvar=pack_floats(collapsed))["report"]
    assert mine["verdict"] == "collapsed"
    few = ask("map_readings", checkpoint=NAME, own=pack_floats(OWN), logvar=pack_floats(OWN))
    assert "30" in few["error"]


def test_a_run_shows_how_its_codes_moved(ask, studio) -> None:
    run = studio.settings.runs / "walk"
    (run / "latents").mkdir(parents=True)
    random = np.random.RandomState(1)
    start, end = np.zeros((9, 3), np.float32), random.randn(9, 3).astype(np.float32)
    lines = []
    for step, mu in ((0, start), (10, end)):
        path = f"latents/step-{step:07d}.npz"
        np.savez(run / path, mu=mu, logvar=np.full_like(mu, -1), names=np.array([f"{k}.webp" for k in range(9)]))
        lines.append(json.dumps({"kind": "latents", "step": step, "path": path, "picture": ""}))
    write_events(run, lines)
    assert ask("map_points", checkpoint=NAME)["runs"] == ["walk"]
    answer = ask("map_run", checkpoint=NAME, run="walk", dims=2)
    assert answer["steps"] == [0, 10]
    coords = unpack(answer["coords"]).reshape(2, 9, 2)
    assert coords[1] == pytest.approx(Pca.fit(end).transform(end, 2), abs=1e-5)
    assert np.ptp(coords[0], axis=0) == pytest.approx([0, 0], abs=1e-6)
    assert answer["numbers"][0]["active"] == 0
    kl = 0.5 * (end.astype(float) ** 2 + np.exp(-1) - 1 + 1).sum(axis=1).mean()  # logvar is -1
    assert answer["numbers"][1] == {"kl": pytest.approx(kl, rel=1e-5), "active": 3, "dims": 3}
    for name in ("../walk", "gone", "", "/etc"):
        assert "no run" in ask("map_run", checkpoint=NAME, run=name, dims=2)["error"]


def write_events(run: Path, lines: list[str]) -> None:
    (run / "events.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")


NAN = np.full((3, 8), np.nan, np.float32)


@pytest.mark.parametrize(
    ("question", "wanted", "match"),
    [
        ("map_places", {"method": "magic"}, "no map by 'magic'"),
        ("map_places", {"method": ["pca"]}, "method"),
        ("map_places", {"dims": 9}, "dims"),
        ("map_places", {"method": "umap", "neighbours": 1e9}, "Neighbours"),
        ("map_places", {"method": "umap", "neighbours": "15"}, "Neighbours"),
        ("map_places", {"method": "tsne", "perplexity": -1}, "Perplexity"),
        (
            "map_places",
            {"method": "tsne", "perplexity": 99.5, "checkpoint": "bare", "own": pack_floats(OWN)},
            "too few",
        ),
        ("map_places", {"ticket": None}, "ticket"),
        ("map_places", {"ticket": "x" * 500}, "ticket"),
        ("map_places", {"checkpoint": "gone"}, "not there any more"),
        ("map_places", {"own": "codes"}, "JSON object"),
        ("map_places", {"own": {"rows": 3, "columns": 8, "data": "AAAA"}}, "must be numbers"),
        ("map_places", {"own": {"rows": 10**9, "columns": 8, "data": ""}}, "(?i)rows"),
        ("map_places", {"own": {"rows": 1, "columns": 8, "data": "?"}}, "must be numbers"),
        ("map_places", {"own": pack_floats(NAN)}, "NaN"),
        ("map_place", {"z": [[0.0] * 7]}, "shape"),
        ("map_place", {"z": [[0.0] * 8] * 65}, "64"),
        ("map_code", {"place": [0, 0, 0]}, "place"),
        ("map_code", {"place": [float("nan"), 0]}, "Place is nan|place is nan"),
        ("map_code", {"place": [1e6, 1e6]}, "finite"),
        ("map_code", {"place": "here"}, "place"),
        ("map_readings", {"own": pack_floats(NAN), "logvar": pack_floats(NAN)}, "NaN"),
        ("map_readings", {"own": pack_floats(np.tile(OWN, (3, 1)))}, "shape|logvar"),
        ("map_readings", {"own": pack_floats(OWN), "logvar": pack_floats(OWN)}, "Too few photos"),
    ],
)
def test_what_no_honest_page_would_ask(ask, question: str, wanted: dict, match: str) -> None:
    error = ask(question, **{**PCA, **wanted})["error"]
    assert re.search(match, error), error
