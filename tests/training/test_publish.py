"""`python -m bicyclegan publish`: what is shared loads, says how it came about, and names no place of this machine."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from bicyclegan import prepare
from bicyclegan.checkpoints import load_checkpoint, load_config, load_discriminators
from bicyclegan.cli import main, parse
from bicyclegan.config import DISCRIMINATORS_FILE, EVENTS_FILE, EXAMPLES_FILE, LATENTS_FILE, LOSSES_FILE, THUMBS_FILE
from bicyclegan.errors import UserError
from bicyclegan.files import replace_folder
from bicyclegan.latents_file import load_latents
from bicyclegan.pipeline import Pipeline
from bicyclegan.sketch import Sketch
from bicyclegan.training import publish as module
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.events import DataChecked, RunStarted, StepLogged, Validated, read_events
from bicyclegan.training.publish import Published, publish
from bicyclegan.training.run_folder import RunFolder

USUAL = [
    *("--image-size", "32", "--base-channels", "4", "--encoder-channels", "4", "--discriminator-channels", "4"),
    *("--batch-size", "4", "--log-every", "1", "--checkpoint-every", "2", "--validate-every", "2"),
    *("--sample-every", "0", "--validation-images", "4", "--device", "cpu", "--log-with", "none"),
]


def train(*words: str) -> None:
    main(["train", *words, "--json"])


@pytest.fixture(scope="module", autouse=True)
def few_pictures() -> Iterator[None]:
    """Effects of sliders are measured on one sketch: what they are does not matter here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "EFFECT_SKETCHES", 1)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A folder with two runs: runs/first, and runs/second at twice the size from it."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("place")
    first, second = place / "runs" / "first", place / "runs" / "second"
    cache = ["--cache-dir", str(place / "cache")]
    train("--data", str(photos), "--out", str(first), *USUAL, *cache, "--steps", "3", "--adaptive")
    start = ["--init-from", str(first / "latest"), "--image-size", "64", "--no-adaptive", "--hue", "0.5"]
    options = ["--batch-size", "2", "--log-every", "1", "--checkpoint-every", "2", "--validate-every", "2"]
    rest = ["--sample-every", "0", "--validation-images", "4", "--device", "cpu", "--log-with", "none"]
    train("--data", str(photos), "--out", str(second), *start, *options, *rest, *cache, "--steps", "4")
    return place


@pytest.fixture
def runs(trained: Path) -> list[Path]:
    return [trained / "runs" / "first", trained / "runs" / "second"]


@pytest.fixture(scope="module")
def shared(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Both stages, published once and never changed."""
    out = tmp_path_factory.mktemp("shared") / "shoes"
    return publish([trained / "runs" / "first", trained / "runs" / "second"], out)


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither maps nor curves matter."""
    monkeypatch.setattr(module, "prepare_from", lambda *args, **options: None)
    monkeypatch.setattr(module, "draw_curves", lambda *args, **options: Image.new("RGB", (3, 2)))


def test_it_paints(shared: Published, shoe: Sketch) -> None:
    pipe = Pipeline.from_pretrained(shared.folder, device="cpu")
    assert (pipe.config.name, pipe.hash) == ("shoes", shared.hash)
    assert pipe(shoe, num_samples=2, seed=0).images[0].size == (64, 64)


def test_weights_are_those_of_the_last_run_rounded_to_half_precision(shared: Published, runs: list[Path]) -> None:
    stored = load_file(shared.folder / "model.safetensors")
    trained = load_file(runs[1] / "latest" / "model.safetensors")
    assert stored.keys() == trained.keys()
    assert all(torch.equal(stored[key], trained[key].half()) for key in stored)


def test_everything_is_listed_with_its_size(shared: Published) -> None:
    expected = {"model.safetensors", "config.json", "README.md", LATENTS_FILE, THUMBS_FILE, EVENTS_FILE, LOSSES_FILE}
    assert set(shared.files) == expected == {path.name for path in shared.folder.iterdir()}
    assert all(size == (shared.folder / name).stat().st_size for name, size in shared.files.items())
    assert shared.notes == ()


def test_maps_are_of_the_weights_as_they_are_stored(shared: Published) -> None:
    latents = load_latents(shared.folder)
    assert latents.checkpoint_hash == shared.hash
    assert not latents.stale
    assert latents.thumb_columns and len(latents.names) == 4, "the validation photos"


def test_its_config_tells_all_stages(shared: Published) -> None:
    training = load_config(shared.folder).training
    first, second = training["stages"]
    assert [(stage["run"], stage["image_size"], stage["steps"]) for stage in (first, second)] == [
        ("first", 32, 3),
        ("second", 64, 4),
    ]
    assert (first["batch_size"], second["batch_size"], first["device"]) == (4, 2, "cpu")
    assert (training["steps"], training["images_seen"]) == (7, 3 * 4 + 4 * 2)
    assert training["seconds"] == pytest.approx(first["seconds"] + second["seconds"], abs=0.2)
    assert 0 < first["seconds"] < 600
    assert second["options"]["adaptive"] is False and second["options"]["hue"] == 0.5
    assert "base_channels" not in second["options"], "it comes from the stage before"
    assert training["metrics"]["images"] == 4, "what the run knew is kept"


def test_the_command_repeats_the_training(
    shared: Published, runs: list[Path], trained: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)  # where runs/first/latest is, as it will be once the first half has run
    commands = shared.command.split(" && ")
    assert len(commands) == 2
    for command, run, start in zip(commands, runs, ("", "runs/first/latest"), strict=True):
        words = shlex.split(command)
        assert words[:4] == ["python", "-m", "bicyclegan", "train"]
        made = parse(words[3:]).config
        config = RunFolder(run).load_config()
        assert (made.data, made.out, made.init_from) == (photos.name, f"runs/{run.name}", start)
        places = {"data": made.data, "out": made.out, "init_from": made.init_from}
        assert replace(config, **places, source=replace(config.source, cache_dir="")) == made
    assert load_config(shared.folder).training["command"] == shared.command
    assert f"```\n{shared.command}\n```" in (shared.folder / "README.md").read_text("utf-8")


def test_events_are_those_of_both_runs_in_order(shared: Published, runs: list[Path]) -> None:
    events = list(read_events(shared.folder / EVENTS_FILE))
    assert [event.step for event in events if isinstance(event, StepLogged)] == [1, 2, 3, 1, 2, 3, 4]
    assert [event.step for event in events if isinstance(event, RunStarted)] == [0, 0]
    before = [event for run in runs for event in read_events(run / "events.jsonl") if isinstance(event, Validated)]
    after = [event for event in events if isinstance(event, Validated)]
    assert [event.metrics["latent_l1"] for event in after] == pytest.approx(
        [event.metrics["latent_l1"] for event in before], rel=1e-5
    )
    assert all(event.report["train"] == 14 for event in events if isinstance(event, DataChecked))


def test_the_losses_are_a_picture(shared: Published) -> None:
    picture = Image.open(shared.folder / LOSSES_FILE)
    assert picture.format == "WEBP" and picture.size == (1200, 732)


def test_no_path_of_this_machine_is_shared(shared: Published, trained: Path, photos: Path) -> None:
    for name in ("config.json", EVENTS_FILE, "README.md"):
        text = (shared.folder / name).read_text("utf-8")
        for path in (trained, photos.parent, Path.home(), Path.cwd()):
            assert str(path) not in text, name


def test_discriminators_come_along_when_asked_for(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    published = publish(runs[:1], tmp_path / "shoes", discriminators=True)
    model = load_config(published.folder).model
    assert set(load_discriminators(published.folder, model)) == {"discriminator", "discriminator2"}
    assert DISCRIMINATORS_FILE in published.files


def test_best_can_be_taken(runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    steps = load_config(runs[0] / "best").training["steps"]
    published = publish(runs[:1], tmp_path / "shoes", which="best")
    assert load_config(published.folder).training["steps"] == steps
    weights, expected = (load_checkpoint(each).generator.state_dict() for each in (published.folder, runs[0] / "best"))
    assert all(torch.equal(weights[key], expected[key].half().float()) for key in weights)
    assert bool(published.notes) == (steps != 3)


def test_without_its_data_it_says_how_to_make_the_maps(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(Path(shutil.copytree(trained / "runs" / "first", tmp_path / "first")))
    run.save_config(replace(run.load_config(), data="gone/shoes"))
    published = publish([run.root], tmp_path / "shoes")
    [note] = published.notes
    assert "gone/shoes is not here" in note
    assert f"python -m bicyclegan prepare {tmp_path / 'shoes'} --data DIR" in note
    assert LATENTS_FILE not in published.files


def test_data_that_does_not_fit_costs_the_maps_alone(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(Path(shutil.copytree(trained / "runs" / "first", tmp_path / "first")))
    (tmp_path / "empty").mkdir()
    run.save_config(replace(run.load_config(), data=str(tmp_path / "empty")))
    [note] = publish([run.root], tmp_path / "shoes").notes
    assert "There are no pictures in" in note and "By hand" in note


def test_a_run_without_events_has_no_curves(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    run = Path(shutil.copytree(trained / "runs" / "first", tmp_path / "first"))
    (run / "events.jsonl").unlink()
    published = publish([run], tmp_path / "shoes")
    assert "There are no events" in published.notes[0]
    assert not {EVENTS_FILE, LOSSES_FILE} & published.files.keys()


def test_a_published_checkpoint_is_trained_on(
    trained: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its runs are gone by then; its history goes on."""
    quick(monkeypatch)
    monkeypatch.chdir(tmp_path)
    before = publish([trained / "runs" / "first"], Path("checkpoints/shoes"), discriminators=True)
    rest = [
        "--batch-size",
        "2",
        "--log-every",
        "1",
        "--validate-every",
        "0",
        "--sample-every",
        "0",
        "--log-with",
        "none",
    ]
    train("--data", str(photos), "--out", "runs/later", "--init-from", "checkpoints/shoes", *rest, "--steps", "2")
    after = publish([Path("checkpoints/shoes"), Path("runs/later")], Path("checkpoints/shoes"), overwrite=True)
    training = load_config(after.folder).training
    assert [stage["run"] for stage in training["stages"]] == ["first", "later"]
    assert training["steps"] == 5
    left, right = after.command.split(" && ")
    assert left == before.command
    assert "--init-from runs/first/latest" in right and "--base-channels" not in right
    steps = [event.step for event in read_events(after.folder / EVENTS_FILE) if isinstance(event, StepLogged)]
    assert steps == [1, 2, 3, 1, 2]


def test_a_run_that_goes_on_is_read_of_one_step(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    run = Path(shutil.copytree(trained / "runs" / "first", tmp_path / "first"))
    shutil.rmtree(run / "latest")
    shutil.copytree(run / "best", run / "latest")
    config = json.loads((run / "latest" / "config.json").read_text("utf-8"))
    config["training"]["steps"] = 2
    (run / "latest" / "config.json").write_text(json.dumps(config), "utf-8")
    newer = trained / "runs" / "first" / "latest"
    read = module.load_checkpoint
    times = []

    def read_while_it_is_replaced(folder: Path) -> object:
        result = read(folder)
        if not times:
            with replace_folder(run / "latest") as new:
                shutil.copytree(newer, new, dirs_exist_ok=True)
        times.append(folder)
        return result

    monkeypatch.setattr(module, "load_checkpoint", read_while_it_is_replaced)
    published = publish([run], tmp_path / "shoes")
    assert load_config(published.folder).training["steps"] == 3
    expected = load_file(newer / "model.safetensors")
    assert all(torch.equal(v, expected[k].half()) for k, v in load_file(published.folder / "model.safetensors").items())


# Where it is written


def test_an_existing_folder_is_replaced_only_when_told(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    out = tmp_path / "shoes"
    publish(runs[:1], out, card="# Old\n", examples="")
    (out / "notes.txt").write_text("of the old one")
    with pytest.raises(UserError, match="exists already: choose another --out, or add --overwrite"):
        publish(runs[:1], out)
    assert (out / "README.md").read_text() == "# Old\n"
    publish(runs[:1], out, overwrite=True)
    assert (out / "README.md").read_text().startswith("# shoes\n")
    assert not (out / "notes.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["shoes"], "nothing is left over"


def test_only_a_checkpoint_is_replaced(trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained / "runs" / "first", tmp_path / "first"))
    (tmp_path / "diary").mkdir()
    for out in (run, tmp_path / "diary"):
        with pytest.raises(UserError, match="exists and is no checkpoint"):
            publish([run], out, overwrite=True)
    assert (run / "events.jsonl").is_file()


def test_nothing_is_replaced_when_it_fails(runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    out = tmp_path / "shoes"
    before = publish(runs[:1], out)

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "prepare_from", full)
    with pytest.raises(OSError, match="No space"):
        publish(runs, out, overwrite=True)
    assert Pipeline.from_pretrained(out, device="cpu").hash == before.hash


def test_examples_stay_unless_others_are_given(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shoe: Sketch
) -> None:
    quick(monkeypatch)
    out, line = tmp_path / "shoes", shoe.to_json() + "\n"
    publish(runs[:1], out, examples=line)
    publish(runs[:1], out, overwrite=True)
    assert (out / EXAMPLES_FILE).read_text("utf-8") == line
    publish(runs[:1], out, overwrite=True, examples=line * 2)
    assert (out / EXAMPLES_FILE).read_text("utf-8") == line * 2


# The command


def run_main(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    main(["publish", *map(str, words)])
    return capsys.readouterr().out


def test_people_read_files_sizes_and_the_command(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shoe: Sketch
) -> None:
    quick(monkeypatch)
    (tmp_path / "card.md").write_text("# My shoes\n")
    (tmp_path / "drawn.ndjson").write_text(shoe.to_json() + "\n")
    out = tmp_path / "shoes"
    extras = ["--card", tmp_path / "card.md", "--examples", tmp_path / "drawn.ndjson"]
    text = run_main(capsys, *runs, "--out", out, *extras)
    size = (out / "model.safetensors").stat().st_size
    assert f"{size:,}  model.safetensors" in text
    assert "python -m bicyclegan train --data" in text
    assert text.splitlines()[-1] == str(out)
    assert (out / "README.md").read_text() == "# My shoes\n"
    assert (out / EXAMPLES_FILE).read_text("utf-8") == shoe.to_json() + "\n"


def test_programs_read_json(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick(monkeypatch)
    result = json.loads(run_main(capsys, runs[0], "--out", tmp_path / "shoes", "--which", "best", "--json"))
    assert result["checkpoint"] == "shoes" and len(result["hash"]) == 64
    assert result["files"] == [str(tmp_path / "shoes")]
    assert result["bytes"]["config.json"] > 100


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--out {tmp}/x", "No run was given"),
        ("{run}", "--out"),
        ("{tmp}/nothing --out {tmp}/x", "is no run (it has no config.json)"),
        ("{run} --out {tmp}/x --card {tmp}/card.md", "There is no file {tmp}/card.md"),
        ("{run} --out {tmp}/x --examples {tmp}/no.ndjson", "There is no file {tmp}/no.ndjson"),
        ("{run} --out {tmp}/x --examples {tmp}/bad.ndjson", "{tmp}/bad.ndjson, line 2"),
        ("{run} --out {tmp}/x --which newest", "newest"),
        ("{run} --out {tmp}/a:b", "it must be 1 to 64 letters"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], shoe: Sketch, words: str, message: str
) -> None:
    (tmp_path / "bad.ndjson").write_text(shoe.to_json() + "\n{}\n")
    with pytest.raises(SystemExit) as caught:
        main(["publish", *words.format(run=runs[0], tmp=tmp_path).split()])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert message.format(tmp=tmp_path) in error
    assert [path.name for path in tmp_path.iterdir()] == ["bad.ndjson"]


def test_a_model_without_code_has_no_maps(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--data", str(photos), "--out", str(tmp_path / "runs" / "p2p"), *USUAL, "--objective", "pix2pix"]
    train(*words, "--steps", "2")
    published = publish([tmp_path / "runs" / "p2p"], tmp_path / "p2p")
    assert published.notes == ()
    assert LATENTS_FILE not in published.files
    monkeypatch.chdir(tmp_path)
    made = parse(shlex.split(published.command)[3:]).config
    assert isinstance(made, TrainConfig)
    assert (made.loss.objective, made.model.latent_dim, made.model.encoder) == ("pix2pix", 0, "none")
