"""Put the studio on a Hugging Face Space: the files that it needs there, in one commit.

The folders of `MIRRORED` end up on the Space as they are here; whatever else lies there is left alone.
Configuration of a Space: https://huggingface.co/docs/hub/spaces-config-reference
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bicyclegan.config import CARD_FILE, CONFIG_FILE, EXAMPLES_FILE, LATENTS_FILE, MODEL_FILE, THUMBS_FILE
from bicyclegan.errors import UserError

TOP_FILES = ("app.py", "requirements.txt", "README.md", "LICENSE")
CODE_TYPES = (".py", ".js", ".css", ".html", ".json")
CHECKPOINT_FILES = (MODEL_FILE, CONFIG_FILE, CARD_FILE, EXAMPLES_FILE, LATENTS_FILE, THUMBS_FILE)
"""Without the discriminators: only training reads them."""
PICTURE_TYPES = (".png", ".webp", ".jpg", ".jpeg", ".gif", ".svg")
LFS_TYPES = (".safetensors", ".npz", ".webp", ".png", ".jpg", ".jpeg", ".gif")
MIRRORED = ("bicyclegan/", "checkpoints/", "docs/")
"""Files of an earlier deployment are removed from these folders when they are gone here."""
SPACE_LIMIT = 10**9
"""Bytes that the repository of a free Space may hold."""

_REPO_ID = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[\w.-]{0,94}\w)?/[A-Za-z0-9_](?:[\w.-]{0,94}\w)?", re.ASCII)
_SECRET_NAME = re.compile(r"(^|[._-])(tokens?|secrets?|credentials?)\.json$", re.IGNORECASE)
_SECRET_TEXT = re.compile(rb"\bhf_[A-Za-z0-9]{30,}")
_README_PICTURE = re.compile(r"""(?:\]\(|src(?:set)?=["'])(?:\./)?(docs/[^)\s"']+)""")


@dataclass(frozen=True)
class SpaceFile:
    """One file as it will lie on the Space."""

    path: str
    """Place in the repository, with '/'."""
    source: Path | bytes
    """File on this machine, or the content where it is generated."""
    size: int
    """Bytes."""


@dataclass(frozen=True)
class Deployment:
    """What was sent, or what a dry run would send."""

    url: str
    files: tuple[SpaceFile, ...]
    bytes: int
    """Sum of the files' sizes."""
    deleted: tuple[str, ...] = ()
    """Files of an earlier deployment that were removed; empty after a dry run, which does not look."""


def files_for_space(root: Path) -> list[SpaceFile]:
    """All that the studio needs on a Space and nothing else, sorted by path.

    Hidden files, caches, runs and whatever is named like a credential stay here. Raises nothing:
    `deploy` checks whether the list is complete.
    """
    found = {path for name in TOP_FILES if (path := root / name).is_file()}
    found |= {path for path in (root / "bicyclegan").rglob("*") if path.suffix in CODE_TYPES and path.is_file()}
    found |= {path for name in CHECKPOINT_FILES for path in root.glob(f"checkpoints/*/{name}") if path.is_file()}
    found |= _readme_pictures(root)
    files = [_space_file(path.relative_to(root).as_posix(), path) for path in found if _is_public(path, root)]
    return sorted([*files, _space_file(".gitattributes", _git_attributes())], key=lambda file: file.path)


def deploy(
    repo_id: str,
    *,
    dry_run: bool = False,
    token: str | None = None,
    private: bool = False,
    root: Path | None = None,
    progress: Callable[[str], Any] = print,
) -> Deployment:
    """Create or update the Space `repo_id` ("USER/SPACE") and say where it runs.

    `dry_run` checks and lists the files and contacts nobody. `token` defaults to HF_TOKEN or the one
    that `hf auth login` keeps; it is handed to huggingface_hub only. `private` counts for a new Space.
    `progress` gets lines for people. Raises `UserError` before anything is sent when a file is missing,
    README and requirements.txt disagree or a token lies in a file, and later for what the Hub refuses.
    """
    if not _REPO_ID.fullmatch(repo_id):
        raise UserError(
            "deploy_repo_id",
            "{repo_id!r} does not name a Space: write USER/SPACE, each of letters, digits, '-', '_' and '.', "
            "for example ada/bicycle-studio.",
            repo_id=repo_id,
        )
    root = root or Path(__file__).resolve().parent.parent
    files = files_for_space(root)
    _check(root, files)
    url, total = f"https://huggingface.co/spaces/{repo_id}", sum(file.size for file in files)
    for line in _warnings(files, total):
        progress(line)
    if dry_run:
        for file in files:
            progress(f"{file.size:>12,}  {file.path}")
        progress(f"{total:>12,}  bytes in {len(files)} files would go to {url}; nothing was sent.")
        return Deployment(url, tuple(files), total)
    progress(f"Sending {len(files)} files, {total:,} bytes, to {url}")
    deleted = _send(repo_id, files, token, private)
    for path in deleted:
        progress(f"Removed {path}, which is no longer part of the studio.")
    progress(f"The Space builds now: {url}")
    return Deployment(url, tuple(files), total, deleted)


def _send(repo_id: str, files: list[SpaceFile], token: str | None, private: bool) -> tuple[str, ...]:
    """One commit with everything; returns the paths that it deletes."""
    import huggingface_hub as hub

    if not (token or hub.get_token()):
        raise UserError(
            "deploy_login",
            "You are not logged in to Hugging Face: run `hf auth login`, or set HF_TOKEN to a token that may write.",
        )
    api, space = hub.HfApi(token=token), {"repo_id": repo_id, "repo_type": "space"}
    with _hub_errors(repo_id):
        api.create_repo(**space, space_sdk="gradio", private=private, exist_ok=True)
        kept = {file.path for file in files}
        there = api.list_repo_files(**space)
        stale = tuple(sorted(path for path in there if path.startswith(MIRRORED) and path not in kept))
        operations = [
            *(hub.CommitOperationAdd(path_in_repo=file.path, path_or_fileobj=file.source) for file in files),
            *(hub.CommitOperationDelete(path_in_repo=path) for path in stale),
        ]
        api.create_commit(**space, operations=operations, commit_message="Deploy BicycleGAN Studio")
    return stale


@contextmanager
def _hub_errors(repo_id: str) -> Iterator[None]:
    """Say what a person can do about a failed request."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            raise UserError(
                "deploy_refused",
                "Hugging Face does not let you write to {repo_id} ({status}): check the user name, and log in with a "
                "token that has write access: hf auth login.",
                repo_id=repo_id,
                status=status,
            ) from error
        raise UserError(
            "deploy_hub",
            "Hugging Face could not take {repo_id} (status {status}): try again in some minutes, and see "
            "https://status.huggingface.co.",
            repo_id=repo_id,
            status=status,
        ) from error
    # Its base classes are those of the HTTP library (requests or httpx, by version): a request without an answer.
    except (*HfHubHTTPError.__bases__, OSError) as error:
        if getattr(error, "filename", None):  # a file of this machine, not the network
            raise
        raise UserError(
            "deploy_offline",
            "huggingface.co cannot be reached. By hand, from a machine that can: git clone "
            "https://huggingface.co/spaces/{repo_id}, git lfs track '*.safetensors' '*.npz' '*.webp' '*.png' in it, "
            "copy the files that --dry-run lists into it, git add -A, git commit, git push.",
            repo_id=repo_id,
        ) from error


def _check(root: Path, files: list[SpaceFile]) -> None:
    """Refuse what would not start on the Space, or must not leave this machine."""
    paths = {file.path for file in files}
    for name in ("app.py", "requirements.txt", "README.md"):
        if name not in paths:
            raise UserError(
                "deploy_missing",
                "{name} is missing in {root}: deploy from a complete checkout.",
                name=name,
                root=root,
            )
    if not any(path.endswith("/model.safetensors") and _config_of(path) in paths for path in paths):
        raise UserError(
            "deploy_no_checkpoint",
            "No checkpoint in {folder}: the Space would have nothing to draw with. It needs one folder with "
            "model.safetensors and config.json.",
            folder=root / "checkpoints",
        )
    _check_readme(root)
    for file in files:
        if Path(file.path).suffix not in LFS_TYPES and _SECRET_TEXT.search(_content(file)):
            raise UserError(
                "deploy_secret",
                "{path} holds what looks like a Hugging Face token: remove it there and revoke it; a Space gets its "
                "secrets in its settings.",
                path=file.path,
            )


def _check_readme(root: Path) -> None:
    """The Space installs the gradio of README's front matter: it must be the one that was tested here."""
    matter = front_matter((root / "README.md").read_text("utf-8"))
    pin = gradio_pin((root / "requirements.txt").read_text("utf-8"))
    for key, expected in (("sdk", "gradio"), ("app_file", "app.py"), ("sdk_version", pin)):
        if str(matter.get(key)) != expected:
            raise UserError(
                "deploy_readme_value",
                "README.md says {key}: {value}; it must be {expected}, as in requirements.txt and app.py.",
                key=key,
                value=matter.get(key),
                expected=expected,
            )


def front_matter(text: str) -> dict[str, Any]:
    """The YAML block between two lines of '---' that a Space's README.md starts with."""
    import yaml

    match = re.match(r"---\r?\n(.*?)\r?\n---\r?(?:\n|$)", text, re.DOTALL)
    try:
        matter = yaml.safe_load(match[1]) if match else None
    except yaml.YAMLError:
        matter = None
    if not isinstance(matter, dict):
        raise UserError(
            "deploy_front_matter",
            "README.md must start with the settings of the Space, YAML between two lines of '---': "
            "restore them: git checkout README.md.",
        )
    return matter


def gradio_pin(requirements: str) -> str:
    """Version of the line `gradio==VERSION`."""
    match = re.search(r"^gradio(?:\[[^]]*\])?\s*==\s*([\w.]+)", requirements, re.MULTILINE)
    if not match:
        raise UserError(
            "deploy_gradio_pin",
            "requirements.txt must name one version of gradio, as in gradio==6.31.0: the Space installs exactly it.",
        )
    return match[1]


def _warnings(files: list[SpaceFile], total: int) -> list[str]:
    advice = f"a free Space holds {SPACE_LIMIT:,} bytes; remove checkpoints that it does not need."
    lines = [f"Warning: {f.path} has {f.size:,} bytes; {advice}" for f in files if f.size > SPACE_LIMIT]
    if total > SPACE_LIMIT and not lines:
        lines = [f"Warning: all files together have {total:,} bytes; {advice}"]
    return lines


def _readme_pictures(root: Path) -> set[Path]:
    """Files under docs/ that README.md shows."""
    readme = root / "README.md"
    names = _README_PICTURE.findall(readme.read_text("utf-8")) if readme.is_file() else []
    inside = (root / name for name in names if ".." not in name.split("/") and name.endswith(PICTURE_TYPES))
    return {path for path in inside if path.is_file()}


def _is_public(path: Path, root: Path) -> bool:
    parts = path.relative_to(root).parts
    hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
    return not hidden and not _SECRET_NAME.search(path.name)


def _git_attributes() -> bytes:
    return "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_TYPES).encode()


def _config_of(weights: str) -> str:
    return weights.removesuffix(MODEL_FILE) + CONFIG_FILE


def _content(file: SpaceFile) -> bytes:
    return file.source if isinstance(file.source, bytes) else file.source.read_bytes()


def _space_file(path: str, source: Path | bytes) -> SpaceFile:
    return SpaceFile(path, source, len(source) if isinstance(source, bytes) else source.stat().st_size)
