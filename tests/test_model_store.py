"""Models of visitors: nobody guesses an id, nothing half made is seen, and what comes from anywhere is looked at."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from official_parity import GOLDEN
from PIL import Image, ImageDraw
from run_example import config as run_config

from bicyclegan import model_files, model_store, model_worker
from bicyclegan.checkpoints import content_hash, load_card, load_config, load_discriminators, load_examples
from bicyclegan.config import CheckpointConfig, ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.latents_file import load_latents
from bicyclegan.model_names import MODEL_ID, is_id, model_name, new_id, without_secret
from bicyclegan.model_store import ModelStore
from bicyclegan.models import Discriminator, Encoder, Generator
from bicyclegan.sketch import Sketch
from bicyclegan.training.run_folder import RunFolder

FIXTURES = Path(__file__).parent / "fixtures" / "official"
RUN_ID = "night-run-abcdefghijkl"


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


class raises:  # noqa: N801  reads as pytest's
    """`with raises("code") as caught`: a `UserError` of this kind, `caught.error`."""

    def __init__(self, code: str):
        self.code, self.error = code, None

    def __enter__(self) -> raises:
        return self

    def __exit__(self, kind, error, trace) -> bool:
        assert isinstance(error, UserError), f"expected a UserError {self.code}, got {error!r}"
        assert error.code == self.code, error
        self.error = error
        return True


def left_in(store: ModelStore) -> list[str]:
    """All names below the store, hidden ones too."""
    return sorted(path.name for path in store.root.iterdir()) if store.root.is_dir() else []


# Names and ids


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("boots", "boots"),
        ("My boots (2nd try)", "My-boots-2nd-try"),
        ("冬天的 靴子", "冬天的-靴子"),
        ("../../etc", "etc"),
        (".hidden", "hidden"),
        ("a" * 100, "a" * 64),
        ("ＡＢＣ", "ABC"),
        ("v1.2_b", "v1.2_b"),
    ],
)
def test_titles_become_names_that_a_checkpoint_may_have(title: str, name: str) -> None:
    assert model_name(title) == name
    CheckpointConfig(ModelConfig(), name=name)


@pytest.mark.parametrize("title", ["", "  ", "...", "!?", "/"])
def test_titles_without_letters_are_refused(title: str) -> None:
    with raises("model_name"):
        model_name(title)


def test_ids_are_new_each_time_and_tell_no_secret() -> None:
    ids = {new_id("冬天") for _ in range(50)} | {new_id("My boots")}
    assert len(ids) == 51
    assert all(MODEL_ID.fullmatch(id) for id in ids)
    assert without_secret(new_id("My boots")) == "my-boots"
    assert without_secret("edges2shoes") == "edges2shoes"


@pytest.mark.parametrize("text", ["../boots-abcdefghijkl", "boots", "boots-ABCDEFGHIJKL", "-abcdefghijkl", None, 3, ""])
def test_other_texts_are_no_ids(text: object, store: ModelStore) -> None:
    assert not is_id(text)
    assert not store.has(text)
    with raises("model_gone"):
        store.folder(text)


# Copies


def test_a_copy_is_the_same_model_under_another_name(store: ModelStore, tiny_checkpoint: Path) -> None:
    id = store.add(tiny_checkpoint, "My boots", [Sketch()])
    folder = store.folder(id)
    assert load_config(folder).name == "My-boots"
    assert load_card(folder) == "# My-boots\n\nRandom weights."
    assert content_hash(folder) == content_hash(tiny_checkpoint)
    assert load_examples(folder) == [Sketch()]
    assert store.about(id).source == "copy"
    assert abs(store.about(id).created - time.time()) < 60
    assert left_in(store) == [id]


def test_nothing_is_left_of_a_broken_one(store: ModelStore, tiny_checkpoint: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(tiny_checkpoint, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"\x80\x02 a pickle")
    with raises("checkpoint_pickle"):
        store.add(broken, "broken")
    assert left_in(store) == []


def test_only_known_files_are_taken_and_bad_examples_are_not(
    store: ModelStore, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "tiny2")
    (folder / "script.py").write_text("print()")
    (folder / "examples.ndjson").write_text("no sketch\n")
    (folder / "training.jsonl").write_text("x" * 100)
    monkeypatch.setattr(model_files, "MAX_EXTRA", 50)
    names = {path.name for path in store.folder(store.add(folder, "x")).iterdir()}
    assert names == {"model.safetensors", "config.json", "README.md", "model.json"}


def test_a_large_model_is_refused(
    store: ModelStore, tiny_checkpoint: Path, make_checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with raises("model_side"):
        store.add(make_checkpoint(tmp_path / "wide", image_size=1024), "wide")
    monkeypatch.setattr(model_files, "MAX_BYTES", 100)
    with raises("model_large"):
        store.add(tiny_checkpoint, "heavy")


def test_there_is_room_for_so_many_and_a_quota(tmp_path: Path, tiny_checkpoint: Path) -> None:
    asked = []
    store = ModelStore(tmp_path / "models", check_room=asked.append, max_models=2)
    first = store.add(tiny_checkpoint, "a")
    store.add(tiny_checkpoint, "b")
    with raises("models_full"):
        store.add(tiny_checkpoint, "c")
    assert asked[0] == model_files.bytes_of(tiny_checkpoint)
    store.delete(first)
    store.add(tiny_checkpoint, "c")

    def full(extra: int) -> None:
        raise UserError("busy", "No room.")

    store.max_models, store.check_room = 9, full
    with raises("busy"):
        store.add(tiny_checkpoint, "d")
    store.check_room = asked.append
    store.add(tiny_checkpoint, "d")  # a refused one takes no place


# Rename, delete, export


def test_renaming_changes_the_name_everywhere_but_not_the_hash(store: ModelStore, tiny_checkpoint: Path) -> None:
    id = store.add(tiny_checkpoint, "before")
    folder = store.folder(id)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# before\n\n# Another heading\n", "utf-8")
    old = content_hash(folder)
    assert store.rename(id, "after all") == "after-all"
    assert load_config(folder).name == "after-all"
    assert (folder / "README.md").read_text("utf-8") == "---\nlicense: mit\n---\n# after-all\n\n# Another heading\n"
    assert content_hash(folder) == old
    with raises("model_name"):
        store.rename(id, "///")
    assert load_config(folder).name == "after-all"


def test_a_deleted_model_is_gone(store: ModelStore, tiny_checkpoint: Path) -> None:
    id = store.add(tiny_checkpoint, "boots")
    store.delete(id)
    assert not store.has(id)
    assert left_in(store) == []
    with raises("model_gone") as caught:
        store.delete(id)
    assert id not in str(caught.error)
    assert "'boots'" in str(caught.error)


def test_a_link_out_of_the_store_is_no_model(store: ModelStore, tiny_checkpoint: Path) -> None:
    store.root.mkdir()
    (store.root / "boots-abcdefghijkl").symlink_to(tiny_checkpoint)
    assert not store.has("boots-abcdefghijkl")


def test_a_zip_holds_the_model_and_nothing_of_the_studio(
    store: ModelStore, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    id = store.add(tiny_checkpoint, "boots")
    out = store.export_zip(id, tmp_path / "out" / "boots.zip")
    with zipfile.ZipFile(out) as packed:
        assert sorted(packed.namelist()) == ["boots/README.md", "boots/config.json", "boots/model.safetensors"]
        packed.extractall(tmp_path / "there")
    assert content_hash(tmp_path / "there" / "boots") == content_hash(tiny_checkpoint)
    assert [path.name for path in out.parent.iterdir()] == ["boots.zip"]


def test_what_ended_processes_left_is_removed_after_a_day(store: ModelStore, tiny_checkpoint: Path) -> None:
    id = store.add(tiny_checkpoint, "boots")
    fresh = ".boots-abcdefghijkm.new"
    for name, days in ((f".{id}.x1y2", 2), (".boots-abcdefghijkl.gone", 2), (fresh, 0), (".git", 9)):
        (store.root / name).mkdir()
        os.utime(store.root / name, times=(time.time() - days * 86400 - 10,) * 2)
    ModelStore(store.root)
    assert left_in(store) == sorted([id, ".git", fresh])


# From runs


def draw_shoe(path: Path, k: int) -> None:
    image = Image.new("RGB", (48, 48), "white")
    ImageDraw.Draw(image).ellipse((8, 12, 36 + k % 8, 36), fill=(40 + 9 * k, 90, 200 - 9 * k))
    image.save(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of the studio that was trained on photos, whose checkpoints were never measured."""
    from bicyclegan.checkpoints import save_checkpoint

    root = tmp_path_factory.mktemp("runs") / RUN_ID
    for k in range(16):
        part = root / "pictures" / ("val" if k < 5 else "train")
        part.mkdir(parents=True, exist_ok=True)
        draw_shoe(part / f"{k}.png", k)
    base = run_config(data=str(root / "pictures"), out=str(root), init_from="models/old-boots-abcdefghijkm")
    config = replace(base, source=replace(base.source, cache_dir=str(root / ".cache")))
    run = RunFolder(root)
    run.save_config(config)
    torch.manual_seed(0)
    model, training = config.model, {"data": "pictures", "steps": 40, "init_from": "old-boots-abcdefghijkm"}
    described = CheckpointConfig(model, name=RUN_ID, training=training)
    save_checkpoint(
        run.best,
        described,
        Generator(model),
        Encoder(model),
        discriminators={"discriminator": Discriminator(model)},
        card=f"# {RUN_ID}\n",
    )
    return run


def test_a_run_becomes_a_model_with_all_that_the_studio_shows(tmp_path: Path, run: RunFolder) -> None:
    told = []
    store = ModelStore(tmp_path / "models")
    id = store.add_from_run(run, "Night shoes", progress=lambda *news: told.append(news))
    folder = store.folder(id)
    config = load_config(folder)
    assert config.name == "Night-shoes"
    assert load_card(folder).startswith("# Night-shoes\n")
    assert content_hash(folder) == content_hash(run.best)
    assert load_discriminators(folder, config.model), "to be trained on with"
    latents = load_latents(folder, content_hash(folder))
    assert latents is not None
    assert len(latents.names) == 5
    assert latents.colours is not None
    assert (folder / "thumbs.webp").is_file()
    examples = load_examples(folder)
    assert len(examples) == 5
    assert examples[0].rasterise(32).min() == 0, "lines are drawn"
    assert {"waiting", "reading", "measuring"} <= {what for what, _, _ in told}
    assert not (run.best / "latents.npz").exists(), "the run itself stays as it is"
    assert store.about(id).source == "run"


def test_no_secret_of_the_run_is_in_the_model(tmp_path: Path, run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_store, "measure", lambda *_: None)
    store = ModelStore(tmp_path / "models")
    folder = store.folder(store.add_from_run(run, "x"))
    texts = [path.read_text("utf-8") for path in folder.iterdir() if path.suffix in (".json", ".md", ".jsonl")]
    assert len(texts) >= 3
    for secret in ("abcdefghijkl", "abcdefghijkm", str(run.root)):
        assert not [text for text in texts if secret in text]
    assert load_config(folder).training["init_from"] == "old-boots"


def test_a_model_that_cannot_be_measured_is_added_all_the_same(tmp_path: Path, run: RunFolder) -> None:
    copy = RunFolder(shutil.copytree(run.root, tmp_path / "bare-run"))
    copy.save_config(replace(copy.load_config(), data=str(tmp_path / "gone")))
    store = ModelStore(tmp_path / "models")
    folder = store.folder(store.add_from_run(copy, "x"))
    assert not (folder / "latents.npz").exists()
    assert (folder / "model.safetensors").is_file()


def test_a_run_without_that_checkpoint(store: ModelStore, run: RunFolder) -> None:
    with raises("run_no_model"):
        store.add_from_run(run, "x", "latest")
    assert left_in(store) == []


class Left(Exception):  # noqa: N818  no mistake
    """Nobody waits any more."""


def test_who_leaves_ends_the_process_and_leaves_nothing(
    store: ModelStore, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    start = model_worker._start
    monkeypatch.setattr(model_worker, "_start", lambda: started.append(start()) or started[-1])

    def leave(what: str, done: int, total: int) -> None:
        if what != "waiting":
            raise Left

    with pytest.raises(Left):
        store.add_from_run(run, "x", progress=leave)
    assert started[0].poll() is not None
    assert left_in(store) == []


def test_models_of_runs_are_measured_one_after_the_other(
    store: ModelStore, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most, told = [], [], []

    def slow(*_) -> None:
        running.append(True)
        most.append(len(running))
        time.sleep(0.2)
        running.pop()

    monkeypatch.setattr(model_store, "measure", slow)
    monkeypatch.setattr(model_store, "WAIT_SECONDS", 0.05)
    adding = [
        threading.Thread(target=store.add_from_run, args=(run, "x"), kwargs={"progress": lambda *n: told.append(n)})
        for _ in range(3)
    ]
    for thread in adding:
        thread.start()
    for thread in adding:
        thread.join()
    assert most == [1, 1, 1]
    assert len(told) > 3
    assert len(left_in(store)) == 3


def test_a_checkpoint_that_is_replaced_while_it_is_copied(
    tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, copied = shutil.copytree(tiny_checkpoint, tmp_path / "best"), []

    def copy(folder: Path, new: Path) -> None:
        copied.append(True)
        if len(copied) == 1:
            folder.rename(tmp_path / "old")
            shutil.copytree(tmp_path / "old", folder)

    monkeypatch.setattr(model_files, "copy_files", copy)
    model_files.copy_steady(source, tmp_path)
    assert len(copied) == 2


# Official files


def official(kind: str) -> tuple[Path, dict]:
    """Weights and options of the first recording of this kind: shared ones where they are, else those in the tests."""
    roots = [root for root in (GOLDEN, FIXTURES) if root.is_dir()]
    folder = next(folder for root in roots for folder in sorted(root.glob(f"{kind}_*")) if any(folder.glob("*.pth")))
    return next(folder.glob("*.pth")), json.loads((folder / "options.json").read_text("utf-8"))


def fixture(name: str) -> tuple[Path, dict]:
    folder = FIXTURES / name
    return next(folder.glob("*.pth")), json.loads((folder / "options.json").read_text("utf-8"))


def test_official_files_become_a_model(store: ModelStore) -> None:
    weights, options = official("g")
    id = store.import_official(weights, None, options, "from the paper")
    config = load_config(store.folder(id))
    assert config.name == "from-the-paper"
    assert config.model.encoder == "none"
    assert config.edge_style is not None
    assert store.about(id).source == "official"
    assert left_in(store) == [id]


def test_a_generator_with_its_encoder(store: ModelStore) -> None:
    (weights, generator), (reader, encoder) = fixture("g_unet128_all_bilinear_legacy"), fixture("e_conv128_instance")
    options = {"generator": generator, "encoder": encoder, "edge_style": {"low_threshold": 20.0}}
    id = store.import_official(weights, reader, options, "pair")
    config = load_config(store.folder(id))
    assert config.model.encoder == "conv"
    assert config.edge_style.low_threshold == 20.0


def test_official_files_that_do_not_fit_leave_nothing(store: ModelStore, tmp_path: Path) -> None:
    weights, options = fixture("g_unet128_all_bilinear_legacy")
    with raises("official_unreadable"):
        (tmp_path / "x.pth").write_bytes(b"no weights")
        store.import_official(tmp_path / "x.pth", None, options, "x")
    with pytest.raises(UserError):
        store.import_official(weights, None, {**options, "netG": "unet_512"}, "x")
    assert left_in(store) == []


def test_weights_that_unpack_to_too_much(store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "MAX_BYTES", 10_000)
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("archive/data.pkl", b"\0" * 1_000_000)
    assert (tmp_path / "bomb.pth").stat().st_size < 10_000
    with raises("model_large"):
        store.import_official(tmp_path / "bomb.pth", None, {}, "x")


# The Hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path) -> SimpleNamespace:
    """A Hub that holds one model; remembers how it was asked."""
    asked = SimpleNamespace(downloads=[], tokens=[], size=1000, error=None)

    class Api:
        def __init__(self, token=None):
            asked.tokens.append(token)

        def model_info(self, repo_id: str, files_metadata: bool) -> SimpleNamespace:
            assert files_metadata
            return SimpleNamespace(siblings=[SimpleNamespace(rfilename="model.safetensors", size=asked.size)])

    def snapshot(repo_id: str, **options) -> str:
        asked.downloads.append((repo_id, options))
        if asked.error:
            raise asked.error
        Path(options["cache_dir"]).mkdir(exist_ok=True)
        return str(shutil.copytree(tiny_checkpoint, Path(options["cache_dir"]) / "snapshot"))

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    return asked


def test_a_model_from_the_hub(store: ModelStore, hub: SimpleNamespace, tiny_checkpoint: Path) -> None:
    id = store.from_hub("ada/shoes")
    assert content_hash(store.folder(id)) == content_hash(tiny_checkpoint)
    assert load_config(store.folder(id)).name == "tiny"
    assert (store.about(id).source, store.about(id).origin) == ("hub", "ada/shoes")
    [(repo, options)] = hub.downloads
    assert repo == "ada/shoes"
    assert hub.tokens == [False], "visitors never read as the one who runs the studio"
    assert options["token"] is False
    assert not Path(options["cache_dir"]).exists(), "it lies here once"


@pytest.mark.parametrize("name", ["shoes", "ada/../x", "ada/shoes/x", "https://x/y", "", "a b/c", "../x"])
def test_what_names_no_repository(store: ModelStore, hub: SimpleNamespace, name: str) -> None:
    with raises("hub_name"):
        store.from_hub(name)
    assert not hub.downloads


def test_a_large_repository_is_not_fetched(store: ModelStore, hub: SimpleNamespace) -> None:
    hub.size = 5 << 30
    with raises("model_large"):
        store.from_hub("ada/shoes")
    assert not hub.downloads


def test_the_hub_cannot_be_reached(store: ModelStore, hub: SimpleNamespace) -> None:
    hub.error = OSError("Name or service not known")
    with raises("hub_download") as caught:
        store.from_hub("ada/shoes")
    assert re.search("Name or service not known", str(caught.error))
    assert left_in(store) == []
