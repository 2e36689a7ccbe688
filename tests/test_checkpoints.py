"""Checkpoint folders: what is saved is loaded, every kind of damage has its own message, nothing is unpickled."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from bicyclegan import checkpoints
from bicyclegan.checkpoints import (
    DEFAULT_ROOT,
    content_hash,
    import_official,
    import_official_pair,
    list_checkpoints,
    load_card,
    load_checkpoint,
    load_config,
    load_examples,
    resolve,
    save_checkpoint,
)
from bicyclegan.config import EVENTS_FILE, LOSSES_FILE, THUMBS_FILE, CheckpointConfig, EdgeStyle
from bicyclegan.errors import UserError
from bicyclegan.latents_file import load_latents
from bicyclegan.metrics.latent import active
from bicyclegan.models import Encoder, Generator
from bicyclegan.sketch import Sketch
from bicyclegan.training.events import read_events

FIXTURES = Path(__file__).parent / "fixtures" / "official"
Make = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, tiny_checkpoint: Path) -> Path:
    """A copy that a test may break."""
    return shutil.copytree(tiny_checkpoint, tmp_path / "tiny")


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


def edit_model(folder: Path, **changes: object) -> None:
    edit_config(folder, model={**json.loads((folder / "config.json").read_text("utf-8"))["model"], **changes})


def edit_tensors(folder: Path, edit: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    edit(tensors := {key: value.clone() for key, value in tensors.items()})
    save_file(tensors, folder / "model.safetensors")


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# Round trips


@pytest.mark.parametrize("half", [False, True])
def test_what_is_saved_is_loaded(tmp_path: Path, make_checkpoint: Make, half: bool) -> None:
    folder = make_checkpoint(tmp_path / "a", seed=3, half=half)
    loaded = load_checkpoint(folder)
    torch.manual_seed(3)
    original = Generator(loaded.config.model), Encoder(loaded.config.model)
    for ours, theirs in zip((loaded.generator, loaded.encoder), original, strict=True):
        assert not ours.training
        for key, value in theirs.state_dict().items():
            found = ours.state_dict()[key]
            assert found.dtype == torch.float32
            assert torch.equal(found, value.half().float() if half else value)
    assert loaded.half is half
    assert loaded.folder == folder
    assert loaded.config == load_config(folder)


def test_a_model_without_an_encoder(tmp_path: Path, make_checkpoint: Make) -> None:
    folder = make_checkpoint(tmp_path / "plain", latent_dim=0, encoder="none")
    loaded = load_checkpoint(folder)
    assert loaded.encoder is None
    assert {key.partition(".")[0] for key in load_file(folder / "model.safetensors")} == {"generator"}


def test_half_is_half_the_size(tmp_path: Path, make_checkpoint: Make) -> None:
    full, half = (make_checkpoint(tmp_path / str(half), half=half) / "model.safetensors" for half in (False, True))
    assert half.stat().st_size < 0.6 * full.stat().st_size


def test_files_are_readable_by_everybody(tiny_checkpoint: Path) -> None:
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in tiny_checkpoint.iterdir())


def test_listing_names_folders_with_a_config_only(tmp_path: Path, make_checkpoint: Make) -> None:
    for name in ("b", "a", ".hidden"):
        make_checkpoint(tmp_path / name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert list_checkpoints(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert list_checkpoints(tmp_path / "nowhere") == []


@pytest.mark.parametrize("name", ["edges2clothes", "edges2shoes"])
def test_shipped_checkpoints_are_whole(name: str) -> None:
    folder = DEFAULT_ROOT / name
    assert folder in list_checkpoints()
    loaded = load_checkpoint(folder)
    assert loaded.config.name == name
    assert loaded.half and loaded.encoder is not None
    assert len(load_examples(folder)) >= 8
    assert all(not sketch.is_empty for sketch in load_examples(folder))
    latents = load_latents(folder)
    assert latents is not None and not latents.stale and len(latents.mu) >= 100
    assert sum(active(torch.from_numpy(latents.mu))) >= 6
    assert len(list(read_events(folder / EVENTS_FILE))) > 100
    for picture in (THUMBS_FILE, LOSSES_FILE, "sheet-validation.webp"):
        with Image.open(folder / picture) as opened:
            opened.load()
    assert "Licence" in load_card(folder)
    assert loaded.config.training["command"] in load_card(folder)


def test_shipped_checkpoints_stay_small() -> None:
    assert sum(path.stat().st_size for path in DEFAULT_ROOT.rglob("*") if path.is_file()) < 48 << 20


def test_card_comes_without_its_front_matter(folder: Path) -> None:
    assert load_card(folder) == "# Tiny\n\nRandom weights."
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Title\n---\nrest\n", "utf-8")
    assert load_card(folder) == "# Title\n---\nrest"
    (folder / "README.md").write_text("# Title\n\n![a sheet](sheet.webp)\n\ntext ![inline](a.png)\n", "utf-8")
    assert load_card(folder) == "# Title\n\ntext ![inline](a.png)"
    (folder / "README.md").unlink()
    assert load_card(folder) == ""


def test_examples_are_sketches_or_quickdraw_records(folder: Path, shoe: Sketch) -> None:
    assert load_examples(folder) == []
    record = json.dumps({"word": "shoe", "drawing": [[[0, 10], [0, 20]]]})
    (folder / "examples.ndjson").write_text(f"{shoe.to_json()}\n\n{record}\n", "utf-8")
    assert load_examples(folder) == [shoe, Sketch.from_quickdraw(record)]


def test_loaded_weights_do_not_hang_on_the_file(folder: Path) -> None:
    """Copying another checkpoint over a running one must not change, or kill, what is loaded."""
    loaded = load_checkpoint(folder)
    before = {key: value.clone() for key, value in loaded.generator.state_dict().items()}
    size = (folder / "model.safetensors").stat().st_size
    with (folder / "model.safetensors").open("r+b") as file:
        file.write(b"\x01" * size)
    assert all(torch.equal(value, before[key]) for key, value in loaded.generator.state_dict().items())


# Hash


def test_hash_changes_with_what_decides_a_picture(tmp_path: Path, make_checkpoint: Make) -> None:
    hashes = [
        content_hash(make_checkpoint(tmp_path / "a")),
        content_hash(make_checkpoint(tmp_path / "b", seed=1)),
        content_hash(make_checkpoint(tmp_path / "c", style=EdgeStyle(line_width=2))),
        content_hash(make_checkpoint(tmp_path / "d", half=True)),
        content_hash(make_checkpoint(tmp_path / "e", upsample="transposed")),
    ]
    assert len(set(hashes)) == len(hashes)
    assert all(len(each) == 64 and set(each) <= set("0123456789abcdef") for each in hashes)


def test_hash_stays_when_only_words_change(folder: Path, tiny_checkpoint: Path) -> None:
    (folder / "README.md").write_text("another card", "utf-8")
    (folder / "examples.ndjson").write_text("", "utf-8")
    edit_config(folder, name="renamed", training={"steps": 1}, palette_names=["ink"])
    assert content_hash(folder) == content_hash(tiny_checkpoint) == load_checkpoint(folder).hash


def test_hash_changes_with_one_bit(folder: Path, tiny_checkpoint: Path) -> None:
    def flip(tensors: dict[str, torch.Tensor]) -> None:
        tensors["encoder.mu.bias"][0] += 1e-6

    edit_tensors(folder, flip)
    assert content_hash(folder) != content_hash(tiny_checkpoint)


# Damage


def truncate(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def empty(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def pickled(folder: Path) -> None:
    torch.save({"a": torch.zeros(2)}, folder / "model.safetensors")


def old_pickle(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps({"a": 1}, protocol=2))


def rename(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "weights.safetensors")


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def bad_json(folder: Path) -> None:
    (folder / "config.json").write_text('{"model": ', "utf-8")


def not_text(folder: Path) -> None:
    (folder / "config.json").write_bytes(b"\xff\xfe\x00")


def deep_json(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000, "utf-8")


def long_number(folder: Path) -> None:
    (folder / "config.json").write_text('{"schema_version": ' + "1" * 5000 + "}", "utf-8")


def missing_tensor(folder: Path) -> None:
    edit_tensors(folder, lambda tensors: tensors.pop("generator.down.0.conv.weight"))


def extra_tensor(folder: Path) -> None:
    edit_tensors(folder, lambda tensors: tensors.update({"generator.more": torch.zeros(1)}))


def other_tensor(folder: Path) -> None:
    edit_tensors(folder, lambda tensors: tensors.update({"discriminator.x": torch.zeros(1)}))


def nan_tensor(folder: Path) -> None:
    edit_tensors(folder, lambda tensors: tensors["encoder.mu.bias"].fill_(float("nan")))


def as_pix2pix(folder: Path) -> None:
    edit_model(folder, encoder="none")


DAMAGE = [
    (truncate, "checkpoint_damaged", r"model.safetensors is damaged or incomplete \([\d,]+ bytes; .*download it again"),
    (empty, "checkpoint_damaged", r"damaged or incomplete \(0 bytes"),
    (pickled, "checkpoint_pickle", r"is a PyTorch pickle .* never loaded, since pickles can run code.*import-official"),
    (old_pickle, "checkpoint_pickle", r"is a PyTorch pickle"),
    (rename, "checkpoint_file", r"has no model.safetensors \(it holds: .*weights.safetensors\).*rename it back"),
    (no_config, "checkpoint_file", r"has no config.json \(it holds: .*model.safetensors"),
    (shutil.rmtree, "checkpoint_missing", r"no checkpoint folder .*tiny. Checkpoints beside it: other"),
    (bad_json, "config_json", r"config.json is not valid JSON: .*line 1"),
    (not_text, "config_json", r"config.json is not valid JSON"),
    (deep_json, "config_json", r"config.json is not valid JSON"),
    (long_number, "config_json", r"config.json is not valid JSON"),
    (lambda folder: edit_config(folder, schema_version=9), "config_newer", r"schema version 9; .* up to 1. Update it"),
    (lambda folder: edit_model(folder, base_channels=0), "config_value", r"base_channels is 0; it must be"),
    (
        lambda folder: edit_model(folder, base_channels=8),
        "checkpoint_tensors",
        r"do not fit config.json: generator has 'down.0.conv.weight' of shape \(4, 9, 4, 4\), but .* \(8, 9, 4, 4\)",
    ),
    (lambda folder: edit_model(folder, depth=4), "checkpoint_tensors", "of different models"),
    (missing_tensor, "checkpoint_tensors", r"generator has no tensor 'down.0.conv.weight'"),
    (extra_tensor, "checkpoint_tensors", r"generator has 1 tensors more than config.json asks for, first 'more'"),
    (other_tensor, "checkpoint_tensors", r"tensors that config.json does not ask for, first 'discriminator.x'"),
    (as_pix2pix, "checkpoint_tensors", r"does not ask for, first 'encoder\."),
    (nan_tensor, "checkpoint_nan", r"encoder has NaN or infinite weights in 'mu.bias'"),
]


@pytest.mark.parametrize(("damage", "code", "message"), DAMAGE)
def test_every_damage_has_its_message(
    folder: Path, make_checkpoint: Make, damage: Callable[[Path], object], code: str, message: str
) -> None:
    make_checkpoint(folder.parent / "other")
    damage(folder)
    with pytest.raises(UserError, match=message) as caught:
        load_checkpoint(folder)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


# Saving


def test_an_existing_folder_is_refused(folder: Path) -> None:
    loaded = load_checkpoint(folder)
    with pytest.raises(UserError, match=r"exists already. Choose another name, or pass overwrite"):
        save_checkpoint(folder, loaded.config, loaded.generator, loaded.encoder)


def test_only_a_checkpoint_is_overwritten(tmp_path: Path, folder: Path) -> None:
    loaded = load_checkpoint(folder)
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "day.txt").write_text("dear diary")
    with pytest.raises(UserError, match="exists already"):
        save_checkpoint(tmp_path / "diary", loaded.config, loaded.generator, loaded.encoder, overwrite=True)
    assert everything_in(tmp_path / "diary") == ["day.txt"]
    config = replace(loaded.config, name="newer")
    save_checkpoint(folder, config, loaded.generator, loaded.encoder, overwrite=True)
    assert load_config(folder).name == "newer"
    assert load_card(folder) == "# newer"


def test_extras_are_taken_along_even_from_the_folder_itself(folder: Path) -> None:
    (folder / "examples.ndjson").write_text("", "utf-8")
    (folder / "latents.npz").write_bytes(b"map")
    (folder / "notes.txt").write_text("mine")
    loaded = load_checkpoint(folder)
    save_checkpoint(folder, loaded.config, loaded.generator, loaded.encoder, extras=folder, overwrite=True)
    assert everything_in(folder) == ["README.md", "config.json", "examples.ndjson", "latents.npz", "model.safetensors"]


@pytest.mark.parametrize("existing", [False, True])
def test_a_failure_leaves_nothing_half_written(
    tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, existing: bool
) -> None:
    loaded = load_checkpoint(tiny_checkpoint)
    target = tmp_path / "target"
    if existing:
        shutil.copytree(tiny_checkpoint, target)
    before = everything_in(tmp_path)

    def full_disk(self: Path, *_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)  # the weights are written before it
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(target, loaded.config, loaded.generator, loaded.encoder, overwrite=True)
    monkeypatch.undo()
    assert everything_in(tmp_path) == before
    if existing:
        assert content_hash(target) == loaded.hash


def test_the_old_folder_comes_back_when_the_new_one_cannot_take_its_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_checkpoint(folder)
    move = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError(13, "Permission denied")
        return move(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="Permission"):
        save_checkpoint(folder, loaded.config, loaded.generator, loaded.encoder, overwrite=True)
    assert content_hash(folder) == loaded.hash


# Names, paths, Hub ids


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path) -> list[tuple[str, str | None]]:
    """Hub ids that were asked for."""
    asked: list[tuple[str, str | None]] = []

    def download(repo_id: str, revision: str | None = None) -> Path:
        asked.append((repo_id, revision))
        return tiny_checkpoint

    monkeypatch.setattr(checkpoints, "download", download)
    return asked


def test_paths_and_names_stay_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, downloads: list, shipped_checkpoint: Path, make_checkpoint: Make
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = make_checkpoint(tmp_path / "runs" / "mine")
    assert resolve(mine) == mine
    assert resolve("runs/mine") == Path("runs/mine")
    assert resolve("runs/none") == Path("runs/none")
    assert resolve("edges2shoes") == shipped_checkpoint
    assert resolve("checkpoints/edges2shoes") == shipped_checkpoint
    assert resolve("checkpoints/typo").name == "typo"
    assert resolve("/no/such/place") == Path("/no/such/place")
    assert downloads == []


def test_user_slash_name_is_a_hub_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, downloads: list, tiny_checkpoint: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve("ada/shoes", "v2") == tiny_checkpoint
    assert downloads == [("ada/shoes", "v2")]


def test_the_hub_is_asked_for_known_files_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = {}

    def snapshot(repo_id: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.update(repo=repo_id, revision=revision, files=allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert checkpoints.download("ada/shoes", "main") == tmp_path
    assert asked["repo"] == "ada/shoes"
    assert {"model.safetensors", "config.json", "README.md"} <= set(asked["files"])
    assert not [name for name in asked["files"] if name.endswith((".py", ".pth", ".pkl", ".bin", "*"))]


def test_a_download_that_fails_tells_the_way_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> str:
        raise ConnectionError("Name or service not known\nmore lines")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(UserError, match=r"ada/shoes .*\(Name or service not known\).*ada/shoes/tree/v1") as caught:
        checkpoints.download("ada/shoes", "v1")
    assert "model.safetensors and config.json" in str(caught.value)
    assert "\n" not in str(caught.value)


# Official files

LEGACY = FIXTURES / "g_unet128_all_bilinear_legacy"
RESNET = FIXTURES / "e_resnet128_batch"
CONV = FIXTURES / "e_conv128_instance"


def options(folder: Path) -> dict[str, object]:
    return json.loads((folder / "options.json").read_text("utf-8"))


def weights(folder: Path) -> Path:
    return next(folder.glob("*.pth"))


def test_a_pair_gets_one_config() -> None:
    parts = {"generator": options(LEGACY), "encoder": options(CONV)}
    config, generator, encoder = import_official_pair(weights(LEGACY), weights(CONV), parts)
    assert config is generator.config is encoder.config
    assert (config.encoder, config.encoder_blocks, config.encoder_channels) == ("conv", 4, 8)
    assert (config.image_size, config.depth, config.inject, config.upsample) == (128, 7, "all", "bilinear")
    rebuilt = Generator(config), Encoder(config)
    for fresh, imported in zip(rebuilt, (generator, encoder), strict=True):
        fresh.load_state_dict(imported.state_dict())


def test_a_flat_options_file_describes_both() -> None:
    flat = {**options(CONV), **options(LEGACY)}
    config, _, encoder = import_official_pair(weights(LEGACY), weights(CONV), flat)
    assert encoder is not None
    assert config.latent_dim == 8


def test_a_generator_may_come_alone() -> None:
    config, _, encoder = import_official_pair(weights(LEGACY), None, options(LEGACY))
    assert encoder is None
    assert config.encoder == "none"


def test_networks_that_do_not_belong_together() -> None:
    parts = {"generator": options(LEGACY), "encoder": options(RESNET)}
    with pytest.raises(UserError, match="norm is instance in one and batch in the other"):
        import_official_pair(weights(LEGACY), weights(RESNET), parts)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "critic"}, "Option network is 'critic'; it must be one of generator, encoder, discriminator"),
        ({"netG": "resnet_9blocks"}, "Option netG is 'resnet_9blocks'; it must be one of unet_128, unet_256"),
        ({"netG": ["unet_128"]}, r"Option netG is \['unet_128'\]; it must be one of"),
        ({"netG": None}, "Option netG is None"),
        ({"upsample": "nearest"}, "Option upsample is 'nearest'; it must be one of basic, bilinear"),
        ({"nz": "eight"}, "Option nz is 'eight'; it must be a whole number"),
        ({"ngf": None}, "Option ngf is None; it must be a whole number"),
        ({"ngf": 16}, r"has shape \(8, 11, 4, 4\), but the options ask for \(16, 11, 4, 4\). Check ngf"),
        ({"nz": 4}, r"shape \(8, 11, 4, 4\), but the options ask for \(8, 7, 4, 4\)"),
        ({"netG": "unet_256"}, r"another network than the options say: \d+ missing .* Check netG"),
        ({"where_add": "input"}, r"another network than the options say"),
    ],
)
def test_wrong_options(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        import_official(weights(LEGACY), {**options(LEGACY), **changes})


def test_encoders_without_a_variance_are_refused() -> None:
    with pytest.raises(UserError, match="vaeLike=false give no variance"):
        import_official(weights(CONV), {**options(CONV), "vaeLike": False})


def test_a_part_of_the_options_that_is_no_object() -> None:
    with pytest.raises(UserError, match="part 'generator' of the options is 'unet'"):
        import_official_pair(weights(LEGACY), None, {"generator": "unet"})


def test_a_bias_is_only_optional_before_batch_norm(tmp_path: Path) -> None:
    torch.manual_seed(0)
    described = {"network": "discriminator", "input_nc": 3, "ndf": 4, "netD": "basic_128", "norm": "batch"}
    network = checkpoints.build_official(described)
    state = {key.replace("scales.0", "model"): value for key, value in network.state_dict().items()}
    optional = {"model.2.bias", "model.5.bias", "model.3.num_batches_tracked"}
    torch.save({key: value for key, value in state.items() if key not in optional}, tmp_path / "d.pth")
    loaded = import_official(tmp_path / "d.pth", described)
    assert (loaded.scales[0][2].bias == 0).all()
    torch.save({key: value for key, value in state.items() if key != "model.0.bias"}, tmp_path / "broken.pth")
    with pytest.raises(UserError, match=r"1 missing \(first: model.0.bias\)"):
        import_official(tmp_path / "broken.pth", described)


class Malicious:
    """A pickle that writes a file when it is loaded the usual way."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_a_pickle_that_runs_code_is_not_run(tmp_path: Path) -> None:
    proof, attack = tmp_path / "proof", tmp_path / "latest_net_G.pth"
    torch.save({"model.weight": Malicious(proof)}, attack)
    with pytest.raises(UserError, match=r"cannot be read as a plain state dict .* more than weights") as caught:
        import_official(attack, options(LEGACY))
    assert not proof.exists()
    assert "\n" not in str(caught.value)
    torch.load(attack, weights_only=False)
    assert proof.exists(), "the attack works where pickles are trusted, so the test above means something"


def test_damaged_and_missing_official_files(tmp_path: Path) -> None:
    path = tmp_path / "latest_net_G.pth"
    with pytest.raises(UserError, match=r"There is no file .*latest_net_G.pth"):
        import_official(path, options(LEGACY))
    path.write_bytes(weights(LEGACY).read_bytes()[:1000])
    with pytest.raises(UserError, match=r"cannot be read as a plain state dict .* It is damaged"):
        import_official(path, options(LEGACY))
    for content in ([1, 2], {"epoch": 3}, {1: torch.zeros(1)}):
        torch.save(content, path)
        with pytest.raises(UserError, match="holds no state dict"):
            import_official(path, options(LEGACY))


def test_names_of_saved_checkpoints_are_checked(tiny_checkpoint: Path) -> None:
    config = load_config(tiny_checkpoint)
    with pytest.raises(UserError, match="name is 'my model'"):
        CheckpointConfig(config.model, name="my model")


def test_a_bad_example_is_named_with_its_line(make_checkpoint, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "a")
    (folder / "examples.ndjson").write_text('{"drawing": [[[0, 9], [0, 9]]]}\n{"drawing": 7}\n', "utf-8")
    with pytest.raises(UserError, match=r"examples.ndjson, line 2: "):
        load_examples(folder)


def test_fields_at_their_defaults_leave_the_hash_alone(make_checkpoint, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "a")
    before = content_hash(folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    del config["edge_style"]["adaptive"], config["model"]["dropout"]  # as an older program wrote it
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    assert content_hash(folder) == before
    config["edge_style"]["adaptive"] = True
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    assert content_hash(folder) != before


def test_a_full_disk_is_an_os_error(tmp_path: Path, tiny_checkpoint: Path) -> None:
    resource = pytest.importorskip("resource")
    loaded, before = load_checkpoint(tiny_checkpoint), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            save_checkpoint(tmp_path / "copy", loaded.config, loaded.generator, loaded.encoder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.glob("copy")) and not list(tmp_path.glob(".copy*"))
