"""What the Train tab's script may ask: pictures, options, start and steering; one clear line for everything else."""

from __future__ import annotations

import io
import json
import secrets
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gradio.utils import get_upload_folder
from PIL import Image

from bicyclegan.config import EdgeStyle
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.ui.answers import server_functions
from bicyclegan.ui.i18n import LOCALES
from bicyclegan.ui.settings import Settings
from bicyclegan.ui.studio import Studio
from bicyclegan.ui.train_answers import TRAIN_QUESTIONS, TrainAnswers

HERE, ELSEWHERE = "127.0.0.1", "8.8.8.8"
SCRATCH = {"start": "", "size": 32, "preset": "fast"}


@pytest.fixture
def studio(tmp_path) -> Studio:
    return Studio(Settings(device="cpu", runs=tmp_path / "runs", models=tmp_path / "models"))


@pytest.fixture
def ask(studio):
    functions = {each.__name__: each for each in server_functions((TrainAnswers(studio), TRAIN_QUESTIONS))}

    def ask(question: str, /, lang: str = "en", visitor: str = HERE, **wanted) -> dict:
        request = SimpleNamespace(headers={"accept-language": lang}, client=SimpleNamespace(host=visitor))
        answer = functions[question](wanted, request)
        json.dumps(answer, allow_nan=False)  # what the browser gets
        return answer

    return ask


@pytest.fixture
def draft(ask) -> str:
    return ask("train_new", title="my shapes")["id"]


def sent(data: bytes, name: str = "photos.zip") -> dict:
    """As if the page had uploaded it."""
    folder = Path(get_upload_folder()) / secrets.token_hex(32)
    folder.mkdir(parents=True)
    path = folder / (secrets.token_hex(16) + Path(name).suffix)
    path.write_bytes(data)
    return {"paths": [str(path)], "names": [name]}


def shapes(count: int = 16) -> bytes:
    """A ZIP of squares on white."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for k in range(count):
            random = np.random.RandomState(k)
            pixels = np.full((48, 48, 3), 255, np.uint8)
            top, left = random.randint(5, 15, 2)
            pixels[top : top + 20 + k % 9, left : left + 25] = random.randint(0, 200, 3)
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "png")
            archive.writestr(f"shapes/{k}.png", file.getvalue())
    return packed.getvalue()


def news(ask, draft: str, **wanted) -> dict:
    """What comes of a run's task."""
    for _ in range(600):
        answer = ask("train_news", id=draft, **wanted)
        if "progress" not in answer:
            return answer
    raise AssertionError("the task does not end")


def bring(ask, draft: str) -> None:
    ask("train_receive", id=draft, **sent(shapes()))
    news(ask, draft)


def command_line_run(studio: Studio, name: str) -> RunFolder:
    run = RunFolder(studio.settings.runs / name)
    run.root.mkdir(parents=True)
    run.save_config(TrainConfig(data="photos", out=str(run.root)))
    return run


def test_pictures_come_in_are_checked_and_thrown_away(ask, draft, studio):
    upload = sent(shapes())
    assert ask("train_receive", id=draft, **upload) == {}
    got = news(ask, draft)["answer"]
    assert (got["kept"], got["left_out"]) == (16, 0)
    assert not Path(upload["paths"][0]).exists()
    [about] = ask("train_runs", ids=[draft])["runs"]
    assert (about["state"], about["pictures"], about["title"]) == ("draft", 16, "my shapes")

    assert ask("train_check", id=draft, options={}, fixed=[], **SCRATCH) == {}
    found = news(ask, draft)["answer"]
    assert found["report"]["train"] + found["report"]["validation"] == 16
    assert found["report"]["sketches"] == "computed"
    assert found["thumbs"]["sprite"].startswith("data:image/webp")
    few = found["readings"][0]
    assert few["sentence"].startswith(f"There are only {found['report']['train']} pictures")
    assert few["severity"] == "watch"
    told = news(ask, draft, lang="zh")["answer"]["readings"][0]
    assert told["sentence"] == LOCALES["zh"]["check.few_pictures"].format(count=found["report"]["train"])

    assert ask("train_empty", id=draft) == {}
    assert ask("train_runs", ids=[draft])["runs"][0]["pictures"] == 0


def test_thresholds_change_the_edges_at_once(ask, draft):
    bring(ask, draft)
    some, none = (
        ask("train_edges", id=draft, options={"low_threshold": low, "high_threshold": high}, **SCRATCH)
        for low, high in ((40, 120), (9000, 9000))
    )
    assert (some["count"], none["count"]) == (8, 8)
    assert some["sprite"] != none["sprite"]


def test_options_come_with_limits_defaults_and_advice_in_both_languages(ask):
    english, chinese = (ask("train_options", language=language, start="edges2shoes") for language in ("en", "zh"))
    fields = {field["name"]: field for group in english["groups"] for field in group["fields"]}
    assert english["main"][0] == "steps"
    assert set(english["main"]) <= set(fields)
    assert fields["lambda_z"]["limits"][0] == 0
    assert fields["low_threshold"]["value"] == EdgeStyle().low_threshold
    assert not {"data", "out", "device", "init_from"} & set(fields)
    assert english["groups"][0]["about"] != chinese["groups"][0]["about"]


def test_a_run_begins_with_its_own_pictures_and_nothing_of_the_page(ask, draft, studio, monkeypatch):
    begun = {}
    monkeypatch.setattr(studio.jobs, "start", lambda run, config, **words: begun.update(config=config, **words))
    bring(ask, draft)
    options = {"steps": 60, "lambda_z": 2.0}
    assert ask("train_start", visitor=ELSEWHERE, id=draft, options=options, title="Ünï 鞋", **SCRATCH) == {}
    config, root = begun["config"], studio.settings.runs.absolute() / draft
    assert (config.steps, config.loss.lambda_z, config.model.image_size) == (60, 2.0, 32)
    assert Path(config.data) == root / "pictures"
    assert Path(config.source.cache_dir) == root / ".cache"
    assert config.init_from == ""
    assert begun["owner"] == ELSEWHERE
    assert begun["bytes_needed"] > 10_000_000
    assert studio.jobs.status(draft).title == "Ünï 鞋"
    ask("train_start", id=draft, options=options, **SCRATCH)
    assert begun["owner"] == ""  # the studio's own machine has no share to keep


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"options": {"data": "/etc"}}, "'data' is no option"),
        ({"options": {"steps": 10**9}}, "at most 1000000"),
        ({"options": [1]}, "cannot be read"),
        ({"options": {f"x{k}": k for k in range(500)}}, "cannot be read"),
        ({"start": "../../etc", "options": {}}, "not there any more"),
        ({"start": "", "size": 33, "options": {}}, "multiple of 32"),
        ({"start": "", "size": 10**6, "options": {}}, "size"),
        ({"preset": "best", "options": {}}, "no preset"),
        ({"options": {"batch_size": 128, "image_size": 512}}, "batch_size is 128"),
        ({"start": "", "size": 512, "options": {"base_channels": 128}}, "base_channels"),
        ({"options": {"steps": 100_000, "sample_every": 1}}, "at least 100"),
    ],
)
def test_impossible_starts_are_refused(ask, draft, wanted, message):
    bring(ask, draft)
    answer = ask("train_start", id=draft, **wanted)
    assert message in answer["error"]
    assert ask("train_runs", ids=[draft])["runs"][0]["state"] == "draft"


@pytest.mark.parametrize("run", ["../runs", "/etc", "", ".", "no-such-run", "a/b", "x" * 199])
@pytest.mark.parametrize("question", ["train_check", "train_delete", "train_stop", "train_news", "train_use"])
def test_ids_of_no_run_are_refused(ask, question, run):
    words = {"paths": ["/etc/passwd"], "names": ["a.png"], "name": "x", "which": "latest"}
    assert "not here any more" in ask(question, id=run, **words)["error"]


def test_files_that_were_not_uploaded_are_refused_and_left_alone(ask, draft, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"mine")
    assert "did not arrive" in ask("train_receive", id=draft, paths=[str(secret)], names=["a.png"])["error"]
    assert secret.read_bytes() == b"mine"


def test_runs_of_the_command_line_are_for_all_those_of_visitors_for_nobody_else(ask, draft, studio):
    command_line_run(studio, "plain")
    assert [each["id"] for each in ask("train_runs", ids=[])["runs"]] == ["plain"]
    both = ask("train_runs", ids=[draft, "gone", 5, None])["runs"]
    assert [(each["id"], each["yours"]) for each in both] == [(draft, True), ("plain", False)]


def test_runs_of_the_command_line_are_steered_on_their_own_machine_only(ask, studio):
    command_line_run(studio, "plain")
    assert ask("train_runs", ids=[])["runs"][0]["may"]
    assert not ask("train_runs", visitor=ELSEWHERE, ids=[])["runs"][0]["may"]
    for question in ("train_stop", "train_resume"):
        assert "own machine" in ask(question, visitor=ELSEWHERE, id="plain")["error"]
    assert ask("train_stop", id="plain") == {}
    for question in ("train_delete", "train_rename"):
        assert "command line" in ask(question, id="plain", title="x")["error"]
    assert (studio.settings.runs / "plain").is_dir()


def test_where_a_gpu_is_only_lent_nothing_is_trained(ask, draft, monkeypatch):
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert ask("train_runs", ids=[])["elsewhere"]
    assert "machine of your own" in ask("train_start", id=draft, options={})["error"]


def test_a_run_without_a_checkpoint_cannot_be_used_yet(ask, draft):
    ask("train_use", id=draft, name="mine", which="latest")
    assert "no latest checkpoint yet" in news(ask, draft)["error"]
    assert "'newest'" in ask("train_use", id=draft, name="mine", which="newest")["error"]


def test_a_start_without_pictures_is_refused_and_tells_no_path(ask, draft, tmp_path):
    answer = ask("train_start", id=draft, options={}, **SCRATCH)
    assert "no pictures" in answer["error"]
    assert str(tmp_path) not in json.dumps(answer)


@pytest.mark.parametrize("question", ["train_receive", "train_empty", "train_check", "train_edges", "train_plan"])
def test_pictures_of_a_run_that_has_begun_stay_as_they_are(ask, studio, question):
    run = command_line_run(studio, "plain")
    upload = sent(shapes(2))
    answer = ask(question, visitor=ELSEWHERE, id="plain", options={}, fixed=[], **upload, **SCRATCH)
    assert "has begun with its pictures" in answer["error"]
    assert not (run.root / "pictures").exists()
    if question == "train_receive":
        assert not Path(upload["paths"][0]).exists()


def test_one_wrong_upload_leaves_none_of_the_others_behind(ask, draft):
    good, other = sent(shapes(2)), sent(shapes(3))
    paths, names = [*good["paths"], "/etc/passwd", *other["paths"]], ["a.zip", "b.zip", "c.zip"]
    assert "did not arrive" in ask("train_receive", id=draft, paths=paths, names=names)["error"]
    assert not Path(good["paths"][0]).exists()
    assert not Path(other["paths"][0]).exists()


def test_tasks_with_public_runs_are_known_to_their_page_alone(ask, studio):
    command_line_run(studio, "plain")
    ask("train_use", id="plain", name="mine", which="latest", ticket="one")
    assert ask("train_news", visitor=ELSEWHERE, id="plain", ticket="two") == {}
    assert "no latest checkpoint yet" in news(ask, "plain", ticket="one")["error"]


def test_nobody_poses_as_the_owner_of_the_machine(ask, studio):
    command_line_run(studio, "plain")
    request = SimpleNamespace(headers={"x-forwarded-for": "127.0.0.1"}, client=SimpleNamespace(host=ELSEWHERE))
    [stop] = server_functions((TrainAnswers(studio), ("train_stop",)))
    assert "own machine" in stop({"id": "plain"}, request)["error"]


def test_drafts_of_a_stranger_are_limited(ask):
    answers = [ask("train_new", visitor=ELSEWHERE, title="x") for _ in range(11)]
    assert all("id" in each for each in answers[:10])
    assert "within an hour" in answers[10]["error"]
    assert "id" in ask("train_new", title="x")
