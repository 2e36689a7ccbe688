"""The dialog's questions: ids are capabilities, tokens leave no trace, uploads are believed in nothing."""

from __future__ import annotations

import io
import json
import logging
import shutil
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from gradio.utils import get_upload_folder

from bicyclegan.checkpoints import DEFAULT_ROOT, content_hash, load_config
from bicyclegan.errors import UserError
from bicyclegan.link import Session, pack, unpack
from bicyclegan.model_names import without_secret
from bicyclegan.ui import models_answers
from bicyclegan.ui.answers import Answers, server_functions
from bicyclegan.ui.models_answers import MODELS_QUESTIONS, ModelsAnswers
from bicyclegan.ui.models_dialog import ModelsHandlers
from bicyclegan.ui.opening import OpeningHandlers
from bicyclegan.ui.picker import Picker, model_choices
from bicyclegan.ui.settings import Settings
from bicyclegan.ui.studio import Studio, plain_card
from bicyclegan.ui.uploaded import check_uploaded, discard_uploaded
from bicyclegan.ui.wanted import Wanted

NAME = "edges2shoes"
TICKET = "ab" * 16
TOKEN = "hf_" + "x1Y2" * 9
FIXTURES = Path(__file__).parent.parent / "fixtures" / "official"
CONTENT = "0123456789abcdef" * 4


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """One shared checkpoint, and room for models of visitors."""
    shutil.copytree(DEFAULT_ROOT / NAME, tmp_path / "checkpoints" / NAME)
    return Studio(Settings(checkpoints=tmp_path / "checkpoints", models=tmp_path / "models"))


@pytest.fixture
def answers(studio: Studio) -> ModelsAnswers:
    return ModelsAnswers(studio)


@pytest.fixture
def mine(studio: Studio, tiny_checkpoint: Path) -> str:
    return studio.models.add(tiny_checkpoint, "My boots")


@pytest.fixture(autouse=True)
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    assert Path(get_upload_folder()) == tmp_path / "gradio"
    return tmp_path / "gradio"


def ask(answers: ModelsAnswers, question: str, /, **wanted) -> dict:
    return getattr(answers, question)(Wanted(wanted))


def wait(answers: ModelsAnswers, ticket: str = TICKET) -> dict:
    for _ in range(100):
        news = ask(answers, "models_news", ticket=ticket)
        if "answer" in news:
            return news["answer"]
        assert news, "the task is lost"
        time.sleep(0.05)
    raise AssertionError("the task does not end")


def visitor(lang: str = "en") -> SimpleNamespace:
    return SimpleNamespace(headers={"accept-language": lang})


def event(**data) -> gr.EventData:
    return gr.EventData(None, data)


# In the studio


def test_whoever_knows_the_id_can_use_a_model(studio: Studio, mine: str) -> None:
    assert studio.names == [NAME]
    assert studio.folder(mine) == studio.models.root / mine
    assert studio.label(mine) == "My-boots"
    assert studio.pipeline(mine).config.name == "My-boots"
    assert studio.label(NAME) == NAME


@pytest.mark.parametrize("name", ["boots-abcdefghijkl", "../checkpoints/edges2shoes", "", None, 3, "models"])
def test_nobody_else_can(studio: Studio, mine: str, name: object) -> None:
    with pytest.raises(UserError) as caught:
        studio.folder(name)
    assert caught.value.code == "checkpoint_gone"
    assert mine not in str(caught.value), "ids are never listed"
    assert "abcdefghijkl" not in str(caught.value)


def test_a_deleted_model_is_not_served_from_memory(studio: Studio, answers: ModelsAnswers, mine: str) -> None:
    studio.pipeline(mine)
    assert ask(answers, "models_delete", id=mine) == {}
    with pytest.raises(UserError, match="not there any more"):
        studio.pipeline(mine)
    with pytest.raises(UserError, match="not there any more"):
        studio.folder(mine)


def test_files_are_named_by_what_people_call_the_model(studio: Studio, mine: str) -> None:
    sketch = studio.examples(NAME)[0].to_json()
    asked = Wanted({"checkpoint": mine, "sketch": sketch, "z": [0.0] * 8})
    name = Answers(studio).picture(asked)["name"]
    assert name.startswith("My-boots-")
    assert mine not in name


def test_links_carry_the_id(studio: Studio, mine: str) -> None:
    wanted = Wanted({"checkpoint": mine, "sketch": "", "seed": 1, "count": 1, "truncation": 1, "tab": "draw"})
    assert unpack(Answers(studio).pack_link(wanted)["text"]).checkpoint == mine


def test_a_link_opens_somebodys_model(studio: Studio, mine: str) -> None:
    session = Session(mine, sketch=None, seed=0, count=1, truncation=1.0, tab="draw")
    picker, *_, shelf, _, _, _ = OpeningHandlers(studio).open_link(NAME, event(text=pack(session), mine=[]), visitor())
    assert picker.value == mine
    assert ("My-boots", mine) in picker.choices
    assert (shelf["model"]["name"], shelf["model"]["label"]) == (mine, "My-boots")
    assert shelf["models"] == [NAME]


def test_a_link_to_a_deleted_model(studio: Studio, mine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr(gr, "Warning", lambda message, title: told.append(message))
    session = Session(mine, sketch=None, seed=0, count=1, truncation=1.0, tab="draw")
    studio.models.delete(mine)
    picker, *_ = OpeningHandlers(studio).open_link(NAME, event(text=pack(session)), visitor())
    assert picker.value == NAME
    assert "my-boots, which is not here" in told[0]


def test_using_a_model_switches_the_page(studio: Studio, mine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr(gr, "Warning", lambda message, title: told.append(message))
    handlers = OpeningHandlers(studio)
    picker, _, _, card, shelf = handlers.use(event(checkpoint=mine, mine=[mine]), visitor())
    assert picker.value == shelf["model"]["name"] == mine
    assert card.startswith("# My-boots")
    studio.models.delete(mine)
    studio.forget(mine)
    picker, *_, shelf = handlers.use(event(checkpoint=mine, mine=[mine]), visitor())
    assert picker.value == shelf["model"]["name"] == NAME
    assert len(told) == 1


def test_cards_from_anywhere_show_no_pictures_and_no_html() -> None:
    card = "# A\n\ntext ![x](https://e.org/a.png) <img src='https://e.org/b.png'> <b>c</b> 1 < 2 ![r][y]\n<!-- d -->"
    shown = plain_card(card)
    assert "![" not in shown
    assert "<img" not in shown
    assert "<b>" not in shown
    assert "1 < 2" in shown
    assert len(plain_card("x" * 10**6)) < 10**5


# Pickers


def test_pickers_show_names_and_take_ids(studio: Studio, mine: str, tiny_checkpoint: Path) -> None:
    twin = studio.models.add(tiny_checkpoint, "My boots")
    named = studio.models.add(tiny_checkpoint, NAME)
    choices = model_choices(studio, [mine, twin, named, "boots-abcdefghijkl", None, mine])
    assert choices == [(NAME, NAME), ("My-boots", mine), ("My-boots (2)", twin), (f"{NAME} (2)", named)]
    picker = Picker(choices=[NAME], value=NAME)
    assert picker.preprocess(mine) == mine, "a restart makes Gradio forget the choices"
    assert picker.preprocess({"no": "text"}) is None


def test_choices_follow_what_the_browser_knows(studio: Studio, mine: str) -> None:
    handlers = ModelsHandlers(studio)
    page, a, b, told = handlers.refresh(NAME, mine, "gone-abcdefghijkl", event(mine=[mine, "gone-abcdefghijkl"]))
    assert page.choices == a.choices == b.choices == [(NAME, NAME), ("My-boots", mine)]
    assert b.value == NAME, "a picker of a deleted model falls back"
    assert "value" not in a.constructor_args
    assert told["labels"] == {mine: "My-boots"}
    with pytest.raises(UserError):
        handlers.refresh(NAME, NAME, NAME, event(mine="all"))


# What there is


def test_the_list_holds_shared_models_and_the_named_ones(studio: Studio, answers: ModelsAnswers, mine: str) -> None:
    assert ask(answers, "models_list", ids=[])["mine"] == []
    found = ask(answers, "models_list", ids=[mine, mine, "boots-abcdefghijkl", 7])
    [own], [shared] = found["mine"], found["shared"]
    assert own["id"] == mine
    assert (own["name"], own["source"], own["size"], own["dim"]) == ("My-boots", "copy", 32, 8)
    assert own["hash"] == content_hash(studio.folder(mine))
    assert abs(own["created"] - time.time()) < 60
    assert (shared["id"], shared["source"], shared["measured"]) == (NAME, "shipped", True)
    assert shared["steps"] > 0
    assert shared["thumb"].startswith("data:image/webp")
    json.dumps(found, allow_nan=False)


def test_the_list_follows_changes(answers: ModelsAnswers, studio: Studio, mine: str) -> None:
    ask(answers, "models_list", ids=[mine])
    ask(answers, "models_rename", id=mine, name="new name")
    assert ask(answers, "models_list", ids=[mine])["mine"][0]["name"] == "new-name"
    (studio.folder(mine) / "config.json").write_text("{")
    assert ask(answers, "models_list", ids=[mine])["mine"] == [], "a broken one is left out"


def test_too_many_ids_are_refused(answers: ModelsAnswers) -> None:
    with pytest.raises(UserError):
        ask(answers, "models_list", ids=["x"] * 101)


# What can be done


def test_renaming_loads_the_model_anew(studio: Studio, answers: ModelsAnswers, mine: str) -> None:
    old = studio.pipeline(mine)
    assert ask(answers, "models_rename", id=mine, name="冬 靴") == {"name": "冬-靴"}
    assert studio.pipeline(mine).config.name == "冬-靴"
    assert studio.pipeline(mine).hash == old.hash


@pytest.mark.parametrize("question", ["models_rename", "models_delete"])
def test_shared_models_cannot_be_changed(studio: Studio, answers: ModelsAnswers, question: str) -> None:
    with pytest.raises(UserError) as caught:
        ask(answers, question, id=NAME, name="x")
    assert caught.value.code == "model_gone"
    assert load_config(studio.folder(NAME)).name == NAME


def test_an_export_is_served_by_gradio_and_removed_later(
    answers: ModelsAnswers, mine: str, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask(answers, "models_export", id=mine)
    assert first["name"] == "My-boots.zip"
    assert mine not in first["path"]
    with zipfile.ZipFile(first["path"]) as packed:
        assert "My-boots/model.safetensors" in packed.namelist()
    assert Path(first["path"]).is_relative_to(uploads)
    monkeypatch.setattr(models_answers, "EXPORT_SECONDS", -1)
    ask(answers, "models_export", id=mine)
    assert not Path(first["path"]).exists()


def test_a_card_is_text(answers: ModelsAnswers, mine: str) -> None:
    assert ask(answers, "models_card", id=mine)["text"].startswith("# My-boots")


# The Hub


class FakeApi:
    """Remembers tokens; refuses with what `error` says."""

    tokens: list = []  # noqa: RUF012
    error: Exception | None = None

    def __init__(self, token=None):
        self.tokens.append(token)

    def create_repo(self, repo_id: str, **options) -> None:
        if self.error:
            raise self.error

    def upload_folder(self, repo_id: str, folder_path: Path, **options) -> None:
        FakeApi.sent = sorted(path.name for path in Path(folder_path).iterdir())


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> type[FakeApi]:
    monkeypatch.setattr("huggingface_hub.HfApi", FakeApi)
    monkeypatch.setattr(FakeApi, "tokens", [])
    monkeypatch.setattr(FakeApi, "error", None)
    return FakeApi


def test_pushing_uses_the_visitors_token(answers: ModelsAnswers, mine: str, hub: type[FakeApi], caplog) -> None:
    caplog.set_level(logging.DEBUG)
    begun = ask(answers, "models_push", id=mine, repo="ada/boots", token=TOKEN, private=True, ticket=TICKET)
    answer = wait(answers)
    assert answer == {"url": "https://huggingface.co/ada/boots"}
    assert hub.tokens == [TOKEN]
    assert "model.json" not in hub.sent
    assert TOKEN not in json.dumps([begun, answer]) + caplog.text


@pytest.mark.parametrize("error", [OSError(f"401 for {TOKEN}"), RuntimeError(f"{TOKEN} is bad"), ValueError(TOKEN)])
def test_no_token_in_what_goes_wrong(
    answers: ModelsAnswers, mine: str, hub: type[FakeApi], monkeypatch: pytest.MonkeyPatch, caplog, error: Exception
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(FakeApi, "error", error)
    [news] = [each for each in server_functions((answers, MODELS_QUESTIONS)) if each.__name__ == "models_news"]
    ask(answers, "models_push", id=mine, repo="ada/boots", token=TOKEN, private=False, ticket=TICKET)
    told: dict = {}
    while "error" not in told:
        told = news({"ticket": TICKET}, visitor())
    assert TOKEN not in json.dumps(told) + caplog.text
    assert "***" in told["error"]


def test_an_unexpected_fault_keeps_the_token_to_itself(
    answers: ModelsAnswers, mine: str, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    def push(*_, token: str, **__) -> str:
        raise KeyError(token)

    monkeypatch.setattr("bicyclegan.pipeline.Pipeline.push_to_hub", push)
    ask(answers, "models_push", id=mine, repo="ada/boots", token=TOKEN, ticket=TICKET)
    with pytest.raises(UserError) as caught:
        wait(answers)
    assert TOKEN not in str(caught.value) + caplog.text
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("token", ["", "  ", None, "a b c d e f g h", "short", "x\ny" * 9])
def test_without_a_token_of_ones_own_nothing_is_uploaded(
    answers: ModelsAnswers, mine: str, hub: type[FakeApi], token: object
) -> None:
    with pytest.raises(UserError):
        ask(answers, "models_push", id=mine, repo="ada/boots", token=token, ticket=TICKET)
    assert not hub.tokens


@pytest.mark.parametrize(("repo", "ticket"), [("boots", TICKET), ("ada/boots", "x"), ("ada/boots", "../etc")])
def test_bad_wishes_start_nothing(
    answers: ModelsAnswers, mine: str, hub: type[FakeApi], repo: str, ticket: str
) -> None:
    with pytest.raises(UserError):
        ask(answers, "models_push", id=mine, repo=repo, token=TOKEN, ticket=ticket)
    assert not hub.tokens


def test_fetching_from_the_hub_is_a_task(
    answers: ModelsAnswers, studio: Studio, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studio.models, "from_hub", lambda repo: studio.models.add(tiny_checkpoint, repo.split("/")[1]))
    assert ask(answers, "models_hub", repo=" ada/boots ", ticket=TICKET) == {}
    answer = wait(answers)
    assert answer["name"] == "boots"
    assert studio.models.has(answer["id"])
    ask(answers, "models_hub", repo="no name", ticket=TICKET)
    ask(answers, "models_cancel", ticket=TICKET)
    assert ask(answers, "models_news", ticket=TICKET) == {}


# Uploads


def uploaded(uploads: Path, data: bytes, name: str = "ab" * 16 + ".pth") -> str:
    path = uploads / CONTENT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


def fixture(name: str) -> tuple[bytes, str]:
    folder = FIXTURES / name
    return next(folder.glob("*.pth")).read_bytes(), (folder / "options.json").read_text("utf-8")


def test_uploaded_official_weights_become_a_model(answers: ModelsAnswers, studio: Studio, uploads: Path) -> None:
    data, options = fixture("g_unet128_all_bilinear_legacy")
    path = uploaded(uploads, data)
    wanted = {"paths": [path], "names": ["latest_net_G.pth"], "options": options, "name": "paper", "ticket": TICKET}
    ask(answers, "models_import", **wanted)
    answer = wait(answers)
    assert studio.label(answer["id"]) == answer["name"] == "paper"
    assert not Path(path).exists(), "deleted once it is read"


def test_damaged_weights_are_told_by_their_own_name(answers: ModelsAnswers, uploads: Path) -> None:
    path = uploaded(uploads, b"no weights")
    _, options = fixture("g_unet128_all_bilinear_legacy")
    ask(answers, "models_import", paths=[path], names=["my.pth"], options=options, name="paper", ticket=TICKET)
    with pytest.raises(UserError, match=r"^my\.pth cannot be read") as caught:
        wait(answers)
    assert str(uploads) not in str(caught.value)
    assert not Path(path).exists()


@pytest.mark.parametrize("options", ["{", "[]", "[" * 100_000, '"x"'])
def test_bad_options_delete_the_upload_too(answers: ModelsAnswers, uploads: Path, options: str) -> None:
    path = uploaded(uploads, b"x")
    with pytest.raises(UserError):
        ask(answers, "models_import", paths=[path], names=["a.pth"], options=options, name="x", ticket=TICKET)
    assert not Path(path).exists()


def test_uploads_come_with_their_names(uploads: Path) -> None:
    path = uploaded(uploads, b"x", "cd" * 16 + ".zip")
    [file] = check_uploaded([path], ["my folder/shoes.zip"])
    assert (file.path, file.name) == (Path(path), "my folder/shoes.zip")
    discard_uploaded([file])
    assert not Path(path).parent.exists()
    with pytest.raises(UserError, match=r"my folder/shoes\.zip did not arrive"):
        check_uploaded([path], ["my folder/shoes.zip"])


def test_only_uploads_can_be_named(uploads: Path, tmp_path: Path) -> None:
    good = uploaded(uploads, b"x")
    (tmp_path / "secret").write_text("x")
    link = Path(good).with_name("ef" * 16)
    link.symlink_to(tmp_path / "secret")
    cached = uploaded(uploads, b"x", "image.webp")
    bad = [
        str(tmp_path / "secret"),
        f"{good}/../../../secret",
        str(link),
        str(Path(good).parent),
        cached,
        "/etc/passwd",
        str(Path(good).relative_to(uploads)),
        "",
        None,
        7,
        "a\0b",
    ]
    for path in bad:
        with pytest.raises(UserError) as caught:
            check_uploaded([path], ["name"])
        assert caught.value.code == "upload_gone", path
    for paths, names in (([good], []), ([good, good], ["a", "b"]), ([good], [3]), ([], ["a"])):
        with pytest.raises(UserError) as caught:
            check_uploaded(paths, names)
        assert caught.value.code == "upload_list"


def test_the_list_of_questions_is_that_of_methods(answers: ModelsAnswers) -> None:
    methods = {name for name in dir(answers) if name.startswith("models_")}
    assert methods == set(MODELS_QUESTIONS)


def test_models_of_others_are_not_in_what_the_page_gets(studio: Studio, answers: ModelsAnswers, mine: str) -> None:
    page = io.StringIO()
    print(ask(answers, "models_list", ids=[]), studio.names, model_choices(studio), file=page)
    assert mine not in page.getvalue()
    assert without_secret(mine) not in page.getvalue()


def test_codes_of_another_length_name_the_model_as_people_do(studio: Studio, mine: str) -> None:
    from bicyclegan.ui.tabs.compare import CompareHandlers

    _, told = CompareHandlers(studio).compare(mine, mine, event(z=np.zeros(3).tolist(), sketch=""), visitor())
    assert "My-boots takes styles of 8 numbers" in told["error"]
