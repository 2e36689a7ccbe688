"""What holds for the repository as a whole: the Space's settings, the entry point, paths, the Makefile."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from code_search import ROOT

HF_COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


# README and app.py


@pytest.fixture(scope="module")
def settings() -> dict:
    """Front matter of README.md, which configures the Space."""
    _, matter, _ = re.split(r"^---$", (ROOT / "README.md").read_text("utf-8"), maxsplit=2, flags=re.MULTILINE)
    return yaml.safe_load(matter)


def test_space_runs_the_gradio_of_requirements(settings: dict) -> None:
    [pin] = re.findall(r"^gradio==([\d.]+)$", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    assert settings["sdk_version"] == pin
    assert settings["sdk"] == "gradio"
    assert settings["app_file"] == "app.py"


def test_space_settings_are_complete(settings: dict) -> None:
    assert settings["title"]
    assert settings["emoji"]
    assert {settings["colorFrom"], settings["colorTo"]} <= HF_COLOURS
    assert str(settings["python_version"]) in {"3.10", "3.11", "3.12"}
    assert settings["license"] == "mit"
    assert 0 < len(settings["short_description"]) <= 60


def test_licence_is_mit() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert text.startswith("MIT License\n")
    assert "BicycleGAN Studio contributors" in text


def test_app_only_starts_the_studio() -> None:
    assert len((ROOT / "app.py").read_text("utf-8").splitlines()) < 40


# Nothing of one machine

MACHINE_PATH = re.compile(rb"(?<![\w.~}/-])/(?:(?:work|root)/|(?:home|Users)/\w+/)|\b[A-Z]:\\+Users\\+\w")


def repository_files() -> list[Path]:
    """Files that are tracked or would be; without git all files outside hidden folders and virtual environments."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        run = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, timeout=60)
        names = [name for name in run.stdout.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*")]
        names = [name for name in names if not re.search(r"(^|/)(\.|__pycache__/|venv/|out/|runs/)", name)]
    return [path for name in names if (path := ROOT / name).is_file()]


def test_no_file_names_a_path_of_one_machine() -> None:
    files = repository_files()
    assert ROOT / "Makefile" in files
    found = {path.name: match[0] for path in files if (match := MACHINE_PATH.search(path.read_bytes()))}
    assert not found


@pytest.mark.parametrize("text", ["'/{}/x'", "open(/{}/a.py)", "at /{}/.venv"])
@pytest.mark.parametrize("place", ["work", "root", "home/ada", "Users/ada"])
def test_the_search_sees_machine_paths(text: str, place: str) -> None:
    assert MACHINE_PATH.search(text.format(place).encode())


@pytest.mark.parametrize("text", ["../work/x", "https://example.org/root/x", "network/root/x", "/home", "a/homework/b"])
def test_the_search_lets_other_paths_pass(text: str) -> None:
    assert not MACHINE_PATH.search(text.encode())


# Makefile: it is run with a Python that only writes down what it is asked for

FROM_MAKE = {"MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS", "PYTHON", "VENV", "ARGS"}
needs_make = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
FAKE_PYTHON = """#!/bin/sh
case "$*" in
  "-c "*) exec {python} -c 'import sys; sys.version_info = {version}; exec(sys.argv[1])' "$2" ;;
  "-m venv"*) rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python; echo "venv" >> log ;;
  *) echo "$*" >> log ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def fake_python(folder: Path, name: str, version: tuple[int, int]) -> None:
    path = folder / name
    path.write_text(FAKE_PYTHON.format(python=sys.executable, version=version))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in FROM_MAKE}
    environment = {**clean, "PATH": f"{folder}:{clean['PATH']}"}
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def asked(folder: Path) -> list[str]:
    """What the Python was asked for since the last look, without the questions whether pip is there."""
    log = folder / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return [line for line in lines if line != "-m pip --version"]


@needs_make
def test_make_run_installs_once(checkout: Path) -> None:
    fake_python(checkout, "python3", (3, 11))
    first = make(checkout, "run", "ARGS=--port 7861")
    assert first.returncode == 0, first.stderr
    assert "some minutes" in first.stdout
    venv, install, app = asked(checkout)
    assert venv == "venv"
    assert install.startswith("-m pip install")
    assert install.endswith("-r requirements.txt")
    assert app == "app.py --port 7861"

    assert make(checkout, "run").stdout == ""
    assert asked(checkout) == ["app.py"], "a second start installs nothing"

    newer = (checkout / ".venv/.installed").stat().st_mtime + 10
    os.utime(checkout / "requirements.txt", (newer, newer))
    make(checkout, "run")
    assert [line.split()[1] for line in asked(checkout)[:-1]] == ["pip"], "new requirements are installed"


@needs_make
def test_make_test_checks_style_and_runs_everything(checkout: Path) -> None:
    fake_python(checkout, "python3", (3, 11))
    fake_python(checkout, "chromium", (3, 11))
    assert make(checkout, "test").returncode == 0
    lines = asked(checkout)
    assert lines[-3:] == ["-m ruff check .", "-m ruff format --check .", "-m pytest"]
    assert [line.split()[-1] for line in lines[1:-3]] == ["requirements.txt", "requirements-dev.txt"]


@needs_make
def test_another_python_gets_another_environment_only_when_named(checkout: Path) -> None:
    fake_python(checkout, "python3", (3, 11))
    fake_python(checkout, "python3.12", (3, 12))
    make(checkout, "run", "PYTHON=python3.12")
    assert (checkout / ".venv/.python").read_text() == "3.12\n"
    asked(checkout)
    make(checkout, "run")
    assert asked(checkout) == ["app.py"], "what works is kept"
    make(checkout, "run", "PYTHON=python3")
    assert (checkout / ".venv/.python").read_text() == "3.11\n"
    assert asked(checkout)[0] == "venv"


@needs_make
@pytest.mark.parametrize(("version", "words"), [((3, 9), "Python 3.9"), ((2, 7), "Python 2.7")])
def test_make_refuses_an_old_python(checkout: Path, version: tuple[int, int], words: str) -> None:
    fake_python(checkout, "python3", version)
    run = make(checkout, "run")
    assert run.returncode
    assert words in run.stderr
    assert "3.10 to 3.13" in run.stderr
    assert "PYTHON=" in run.stderr
    assert not asked(checkout)


@needs_make
def test_make_says_when_there_is_no_python(checkout: Path) -> None:
    run = make(checkout, "run", "PYTHON=python3.99")
    assert run.returncode
    assert "There is no python3.99" in run.stderr


@needs_make
def test_make_alone_lists_what_there_is(checkout: Path) -> None:
    targets = re.search(r"^\.PHONY: (.*)$", (checkout / "Makefile").read_text(), re.MULTILINE)[1].split()
    run = make(checkout)
    assert [line.split()[1] for line in run.stdout.splitlines()] == [name for name in targets if name != "FORCE"]


# What README shows


def test_python_of_the_readme_runs(tmp_path, monkeypatch) -> None:
    """Its first Python block, word for word, in a folder of its own that has the checkpoints."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "checkpoints").symlink_to(ROOT / "checkpoints")
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    exec(blocks[0], scope)
    assert (tmp_path / "shoe-0.png").is_file()
    assert scope["z"].shape == (1, 8)
    assert scope["edges"].shape == (128, 128)


def test_commands_of_the_readme_exist() -> None:
    shown = set(re.findall(r"python -m bicyclegan ([a-z-]+)", (ROOT / "README.md").read_text("utf-8")))
    run = subprocess.run(
        [sys.executable, "-m", "bicyclegan", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {"translate", "render", "deploy"} <= shown
    assert all(command in run.stdout for command in shown)


def test_app_says_in_one_line_what_is_wrong(tmp_path) -> None:
    command = [sys.executable, str(ROOT / "app.py"), "--checkpoints", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 2
    [line] = run.stderr.strip().splitlines()
    assert line.startswith("error: There is no checkpoint in ")
