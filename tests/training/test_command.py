"""`python -m bicyclegan train`: defaults, options, one line for every mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bicyclegan.cli import main, parse
from bicyclegan.config import ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.pipeline import Pipeline
from bicyclegan.training.advice import advice
from bicyclegan.training.advice_page import explain, explained
from bicyclegan.training.command import Train
from bicyclegan.training.presets import PRESETS
from bicyclegan.training.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]
TINY = [
    *("--image-size", "32", "--depth", "4", "--base-channels", "4", "--encoder-channels", "4"),
    *("--discriminator-channels", "4", "--batch-size", "4", "--steps", "2", "--log-every", "2"),
    *("--checkpoint-every", "2", "--validate-every", "2", "--sample-every", "2", "--validation-images", "4"),
    *("--device", "cpu", "--log-with", "none"),
]


def options(*args: str) -> Train:
    command = parse(["train", *args])
    assert isinstance(command, Train)
    return command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_sets_all_defaults(preset: str) -> None:
    assert options("--preset", preset).config == PRESETS[preset]


def test_the_presets_are_fast_by_default() -> None:
    assert options().config == PRESETS["fast"]


def test_options_change_single_fields() -> None:
    config = options("--preset", "quality", "--lambda-kl", "0.5", "--steps=7", "--flip", "0").config
    assert (config.loss.lambda_kl, config.steps, config.augment.flip) == (0.5, 7, 0)
    assert config.model == PRESETS["quality"].model


@pytest.mark.parametrize("spelling", ["--image-size 64", "--image-size=64", "--image_size 64"])
def test_networks_fit_the_size(spelling: str) -> None:
    model = options(*spelling.split()).config.model
    assert (model.image_size, 64 >> model.depth, model.encoder_blocks) == (64, 2, 3)
    assert model.base_channels == PRESETS["fast"].model.base_channels


def test_networks_fit_the_objective() -> None:
    assert options("--objective", "pix2pix").config.model.latent_dim == 0
    assert options("--objective", "pix2pix+noise").config.model.encoder == "none"


def test_a_checkpoint_brings_its_networks(tiny_checkpoint: Path, tiny_config: ModelConfig) -> None:
    config = options("--init-from", str(tiny_checkpoint), "--preset", "quality", "--input-channels", "3").config
    assert config.model.base_channels == tiny_config.base_channels
    assert config.model.input_channels == 3
    assert config.batch_size == PRESETS["quality"].batch_size


def test_a_resumed_run_brings_all_options(tmp_path: Path) -> None:
    from dataclasses import replace

    stored = replace(PRESETS["official"], data="photos", out="elsewhere", seed=5)
    RunFolder(tmp_path / "run").save_config(stored)
    command = options("--resume", "--out", str(tmp_path / "run"))
    assert command.resume
    assert command.config == replace(stored, out=str(tmp_path / "run"))
    assert options("--resume", "--out", str(tmp_path / "run"), "--steps", "9").config.steps == 9


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--colour red", "Unrecognized options: --colour, red"),
        ("--preset slow", "no preset 'slow'; use one of fast, quality, official"),
        ("--preset", "--preset"),
        ("--image-size 100", "image_size is 100; it must be a multiple of 32. Nearest: 96."),
        ("--image-size big", "--image_size is 'big'; it must be a whole number"),
        ("--image-size 64 --depth 9", "image_size is 64; it must be a multiple of 512"),
        ("--batch-size 7", "batch_size is 7; it must be even for bicyclegan"),
        ("--batch-size 8.5", "--batch-size: invalid literal for int()"),
        ("--lambda-kl -1", "lambda_kl is -1.0; it must be from 0"),
        ("--objective gan", "'--objective'. Expected one of"),
        ("--objective clr-gan --lambda-z 0", "lambda_z is 0.0; it must be over 0 for clr-gan"),
        ("--share-discriminator --lambda-gan2 0", "share_discriminator"),
        ("--latent-dim 0 --encoder none", "latent_dim is 0; it must be over 0 for bicyclegan"),
        ("--resume", "--out is missing"),
        ("--resume --out nothing", "There is no run in nothing"),
        ("--dry-run --resume --out run", "There is no run in run"),
        ("--init-from nothing", "There is no checkpoint folder"),
        ("--explain lamda-kl", "no option 'lamda-kl' to explain; try lambda_kl"),
        ("--explain lambda kl", "Unrecognized options: kl"),
        ("--data photos", "--out is missing"),
        ("--out run", "--data is missing"),
        ("--data photos --out run", "photos"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], args: str, message: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", *args.split()])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert message in error
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    "args",
    [
        ["--explain", "lambda_kl"],
        ["--explain", "lambda-kl"],
        ["--explain", "--lambda-kl"],
        ["--explain=--lambda-kl"],
        ["--preset", "official", "--explain", "lambda_kl"],
        ["--explain", "--lambda-kl", "--preset", "quality"],
    ],
)
def test_an_option_is_explained_without_data(here: Path, capsys: pytest.CaptureFixture[str], args: list[str]) -> None:
    main(["train", *args])
    shown = capsys.readouterr()
    assert shown.out == explain("lambda_kl") + "\n" and shown.err == ""
    assert "posterior collapse" in shown.out and "0.01 (in all presets)" in " ".join(shown.out.split())
    main(["train", *args, "--json"])
    assert json.loads(capsys.readouterr().out)["price"] == advice("lambda_kl").price
    assert not list(here.iterdir())


@pytest.mark.parametrize(("args", "topic"), [(["regular"], "regular"), (["all"], "all"), ([], "all")])
def test_groups_and_all_are_explained(capsys: pytest.CaptureFixture[str], args: list[str], topic: str) -> None:
    main(["train", "--explain", *args])
    assert capsys.readouterr().out == explain(topic) + "\n"
    main(["train", "--explain", *args, "--json"])
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(explained(topic)))


def test_help_mentions_the_explanations(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["train", "--help"])
    assert not end.value.code
    assert "costs: --explain" in " ".join(capsys.readouterr().out.split())


def test_explaining_does_not_wait_for_torch() -> None:
    code = "import sys\nfrom bicyclegan.cli import main\nmain(sys.argv[1:])\nprint('torch' in sys.modules)"
    args = [sys.executable, "-c", code, "train", "--explain", "mix"]
    run = subprocess.run(args, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("--mix ") and run.stdout.endswith("\nFalse\n")


def test_dry_run_and_resume_exclude_each_other(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run").save_config(PRESETS["fast"])
    with pytest.raises(UserError, match="exclude each other"):
        options("--dry-run", "--resume", "--out", str(tmp_path / "run")).run()


def test_a_run_from_the_command_line(here: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "--data", str(photos), "--out", "run", *TINY, "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result == {"run": "run", "step": 2, "reason": "completed", "files": ["run/best"]}
    assert Pipeline.from_pretrained("run/best", device="cpu").config.name == "run"

    main(["train", "--out", "run", "--resume", "--steps", "4"])
    out = capsys.readouterr().out
    assert "step 4/4" in out and "images/s" in out and "left" in out
    assert out.splitlines()[-1] == "run/best"


def test_the_plan_for_people_and_for_programs(here: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "--data", str(photos), "--out", "run", *TINY, "--dry-run"])
    assert "14 to train, 4 to validate" in capsys.readouterr().out
    main(["train", "--data", str(photos), "--out", "run", *TINY, "--dry-run", "--json"])
    assert json.loads(capsys.readouterr().out)["training_images"] == 14
    assert not (here / "run").exists()


def test_it_starts_where_gradio_umap_and_lpips_are_not_installed(here: Path, photos: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('gradio', 'gradio_client', 'umap', 'lpips', 'torchvision', 'tensorboard', 'wandb'):\n"
        "    sys.modules[name] = None\n"
        "from bicyclegan.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    args = ["train", "--data", str(photos), "--out", "run", *TINY, "--log-with", "tensorboard"]
    run = subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=here,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert (here / "run" / "best" / "model.safetensors").is_file()
