"""Deployment to a Space: what is sent, what is refused before, what a person reads when the Hub says no."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from bicyclegan.deploy import SPACE_LIMIT, deploy, files_for_space, front_matter
from bicyclegan.errors import UserError

README = """---
title: Studio
sdk: gradio
sdk_version: 6.31.0
app_file: app.py
---
![wall](docs/wall.png "A wall") <img src="./docs/dark.webp"> <source srcset='docs/wide.webp'>
![elsewhere](https://example.org/docs/far.png) ![up](docs/../secret.png) [text](docs/guide.md)
"""
SENT = {
    ".gitattributes",
    "LICENSE",
    "README.md",
    "app.py",
    "bicyclegan/cli.py",
    "bicyclegan/ui/locale/en.json",
    "bicyclegan/ui/static/canvas.css",
    "bicyclegan/ui/static/canvas.js",
    "checkpoints/shoes/README.md",
    "checkpoints/shoes/config.json",
    "checkpoints/shoes/latents.npz",
    "checkpoints/shoes/model.safetensors",
    "checkpoints/shoes/thumbs.webp",
    "docs/dark.webp",
    "docs/wall.png",
    "docs/wide.webp",
    "requirements.txt",
}
STAYS = {
    ".env",
    "bicyclegan/.env.json",
    "bicyclegan/__pycache__/deploy.py",
    "bicyclegan/notes.txt",
    "bicyclegan/ui/hf_token.json",
    "checkpoints/.shoes.partial/model.safetensors",
    "checkpoints/shoes/discriminators.safetensors",
    "checkpoints/shoes/model.pth",
    "docs/guide.md",
    "docs/unused.png",
    "requirements-dev.txt",
    "runs/a/best/model.safetensors",
    "secret.png",
    "tests/test_app.py",
}
FAKE_TOKEN = "hf_" + "a1B2" * 9


class FakeHub:
    """Stands in for HfApi: remembers what was asked, answers like a Space with older files."""

    remote = ("README.md", "packages.txt", "bicyclegan/old.py", "checkpoints/gone/config.json", "bicyclegan/cli.py")

    def __init__(self, error: Exception | None = None):
        self.error, self.tokens, self.created, self.commits = error, [], [], []

    def __call__(self, token: str | None = None) -> FakeHub:
        self.tokens.append(token)
        return self

    def create_repo(self, repo_id: str, **options: object) -> None:
        if self.error:
            raise self.error
        self.created.append((repo_id, options))

    def list_repo_files(self, repo_id: str, *, repo_type: str) -> list[str]:
        assert repo_type == "space"
        return list(self.remote)

    def create_commit(self, repo_id: str, operations: list, *, repo_type: str, commit_message: str) -> None:
        assert repo_type == "space"
        assert commit_message
        self.commits.append((repo_id, list(operations)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small checkout, with many files that a Space must not get."""
    for name in (SENT | STAYS) - {".gitattributes"}:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}\n")
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "requirements.txt").write_text("torch>=2\ngradio==6.31.0\n")
    return tmp_path


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub()
    monkeypatch.setattr(huggingface_hub, "HfApi", fake)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "kept-token")
    return fake


def refusal(root: Path, repo_id: str = "ada/studio", **options: object) -> UserError:
    with pytest.raises(UserError) as caught:
        deploy(repo_id, root=root, progress=lambda line: None, **options)
    assert "\n" not in str(caught.value)
    return caught.value


def test_exactly_the_files_of_the_studio(root: Path) -> None:
    files = files_for_space(root)
    assert [file.path for file in files] == sorted(SENT)
    sizes = {file.path: file.size for file in files}
    assert sizes["README.md"] == len(README)
    attributes = next(file.source for file in files if file.path == ".gitattributes").decode()
    for suffix in ("safetensors", "npz", "webp", "png"):
        assert f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n" in attributes


def test_dry_run_lists_all_files_and_contacts_nobody(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*args: object, **options: object) -> None:
        raise AssertionError("a dry run made a client")

    monkeypatch.setattr(huggingface_hub, "HfApi", no_network)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    lines: list[str] = []
    result = deploy("ada/studio", dry_run=True, root=root, progress=lines.append)
    assert {line.split()[-1] for line in lines[:-1]} == SENT
    assert result.url == "https://huggingface.co/spaces/ada/studio"
    assert result.bytes == sum(file.size for file in result.files) > len(README)
    assert "nothing was sent" in lines[-1]


def test_one_commit_with_all_files_and_without_stale_ones(root: Path, hub: FakeHub) -> None:
    lines: list[str] = []
    result = deploy("ada/studio", root=root, private=True, progress=lines.append)
    [(repo_id, options)] = hub.created
    assert repo_id == "ada/studio"
    assert options == {"repo_type": "space", "space_sdk": "gradio", "private": True, "exist_ok": True}
    [(repo_id, operations)] = hub.commits
    assert repo_id == "ada/studio"
    added = {op.path_in_repo: op for op in operations if isinstance(op, CommitOperationAdd)}
    assert set(added) == SENT
    with added["README.md"].as_file() as content:
        assert content.read().decode() == README
    deleted = [op.path_in_repo for op in operations if isinstance(op, CommitOperationDelete)]
    assert deleted == ["bicyclegan/old.py", "checkpoints/gone/config.json"], "packages.txt is the user's own"
    assert result.deleted == tuple(deleted)
    assert len(operations) == len(added) + len(deleted)
    assert any("bicyclegan/old.py" in line for line in lines)


def test_token_is_handed_over_and_never_shown(root: Path, hub: FakeHub) -> None:
    lines: list[str] = []
    result = deploy("ada/studio", root=root, token=FAKE_TOKEN, progress=lines.append)
    assert hub.tokens == [FAKE_TOKEN]
    assert FAKE_TOKEN not in "".join(lines) + repr(result) + repr(hub.commits)


@pytest.mark.parametrize(
    "repo_id", ["studio", "ada/", "/studio", "a/b/c", "ada/my studio", "ada/a--b", "ada/..", "ada/-x", "ада/студия", ""]
)
def test_bad_names_are_refused(root: Path, hub: FakeHub, repo_id: str) -> None:
    error = refusal(root, repo_id)
    assert error.code == "deploy_repo_id"
    assert repr(repo_id) in str(error)
    assert "USER/SPACE" in str(error)
    assert not hub.tokens


def test_good_names(root: Path, hub: FakeHub) -> None:
    for repo_id in ("a/b", "Ada-L/bicycle_gan.studio-2"):
        assert deploy(repo_id, root=root, progress=lambda line: None).url.endswith(f"/spaces/{repo_id}")


def _edit(name: str, old: str, new: str):
    def change(root: Path) -> None:
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new))

    return change


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (_edit("README.md", "6.31.0", "6.30.0"), "deploy_readme_value", ["sdk_version", "6.30.0", "6.31.0"]),
        (_edit("README.md", "sdk: gradio", "sdk: static"), "deploy_readme_value", ["sdk", "static", "gradio"]),
        (_edit("README.md", "app_file: app.py\n", ""), "deploy_readme_value", ["app_file", "app.py"]),
        (_edit("README.md", "---\n", ""), "deploy_front_matter", ["README.md", "---"]),
        (_edit("README.md", "title: Studio", "title: [Studio"), "deploy_front_matter", ["README.md", "YAML"]),
        (_edit("requirements.txt", "==", ">="), "deploy_gradio_pin", ["requirements.txt", "gradio=="]),
        (lambda root: (root / "app.py").unlink(), "deploy_missing", ["app.py"]),
        (lambda root: (root / "README.md").unlink(), "deploy_missing", ["README.md"]),
        (lambda root: (root / "checkpoints/shoes/config.json").unlink(), "deploy_no_checkpoint", ["config.json"]),
        (_edit("app.py", "content", f"TOKEN = '{FAKE_TOKEN}'"), "deploy_secret", ["app.py", "token"]),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_what_would_not_start_is_refused_before_anything_is_sent(
    root: Path, hub: FakeHub, change, code: str, words: list[str], dry_run: bool
) -> None:
    change(root)
    error = refusal(root, dry_run=dry_run)
    assert error.code == code
    assert all(word in str(error) for word in words), str(error)
    assert FAKE_TOKEN not in str(error)
    assert not hub.tokens


def test_too_big_is_a_warning(root: Path) -> None:
    with (root / "checkpoints/shoes/model.safetensors").open("wb") as file:
        file.truncate(SPACE_LIMIT + 1)  # sparse: takes no room on the disk
    lines: list[str] = []
    deploy("ada/studio", dry_run=True, root=root, progress=lines.append)
    [warning] = [line for line in lines if line.startswith("Warning")]
    assert "checkpoints/shoes/model.safetensors" in warning
    assert "1,000,000,001" in warning


def _answer(status: int) -> HfHubHTTPError:
    response = SimpleNamespace(status_code=status, headers={}, request=None)
    return HfHubHTTPError("server text", response=response)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (_answer(401), "deploy_refused", ["ada/studio", "401", "hf auth login"]),
        (_answer(403), "deploy_refused", ["ada/studio", "403", "write access"]),
        (_answer(503), "deploy_hub", ["503", "try again"]),
        (ConnectionError("no route"), "deploy_offline", ["git clone https://huggingface.co/spaces/ada/studio"]),
        (HfHubHTTPError.__bases__[0]("no route"), "deploy_offline", ["git push", "--dry-run"]),
        (OfflineModeIsEnabled("HF_HUB_OFFLINE"), "deploy_offline", ["cannot be reached"]),
    ],
)
def test_what_the_hub_refuses_is_explained(root: Path, hub: FakeHub, error: Exception, code: str, words) -> None:
    hub.error = error
    caught = refusal(root, token=FAKE_TOKEN)
    assert caught.code == code
    assert all(word in str(caught) for word in words), str(caught)
    assert FAKE_TOKEN not in str(caught)
    assert not hub.commits


def test_a_missing_file_is_not_called_a_network_fault(root: Path, hub: FakeHub) -> None:
    hub.error = FileNotFoundError(2, "No such file", "model.safetensors")
    with pytest.raises(FileNotFoundError):
        deploy("ada/studio", root=root, progress=lambda line: None)


def test_without_a_login_nothing_is_asked(root: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    error = refusal(root)
    assert error.code == "deploy_login"
    assert "hf auth login" in str(error)
    assert "HF_TOKEN" in str(error)
    assert not hub.tokens


def test_front_matter_reads_both_line_ends() -> None:
    assert front_matter("---\r\nsdk: gradio\r\n---\r\ntext") == {"sdk": "gradio"}
    assert front_matter("---\nsdk_version: 6.31.0\n---") == {"sdk_version": "6.31.0"}
