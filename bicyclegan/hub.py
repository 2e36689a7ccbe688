"""To and from the Hugging Face Hub."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bicyclegan.config import CARD_FILE, CONFIG_FILE, MODEL_FILE, OPTIONAL_FILES
from bicyclegan.errors import UserError

if TYPE_CHECKING:
    from bicyclegan.pipeline import Pipeline


def download(repo_id: str, revision: str | None = None, **options: Any) -> Path:
    """Fetch a checkpoint's files into the Hub's cache, with progress bars, and return their folder.

    options: what else `snapshot_download` is told: where the cache is, and as whom to ask.
    Raises:
        UserError: without a network or when there is no such repository, with the way to do it by hand.
    """
    from huggingface_hub import snapshot_download

    files = [MODEL_FILE, CONFIG_FILE, CARD_FILE, *OPTIONAL_FILES]
    try:
        return Path(snapshot_download(repo_id, revision=revision, allow_patterns=files, **options))
    except Exception as error:  # the Hub client raises its own, httpx's and OSError
        raise UserError(
            "hub_download",
            "Could not fetch {repo} from the Hugging Face Hub ({why}). By hand: download {files} from "
            "https://huggingface.co/{repo}/tree/{revision} into a folder and give that folder.",
            repo=repo_id,
            why=_first_line(error),
            files=f"{MODEL_FILE} and {CONFIG_FILE}",
            revision=revision or "main",
        ) from error


def upload_checkpoint(pipe: Pipeline, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
    """Create or update the model repository `user/name` in one commit and return its address.

    Raises `UserError` when the Hub refuses, with the way to do it by hand.
    """
    from huggingface_hub import HfApi

    with tempfile.TemporaryDirectory() as temporary:
        folder = pipe.save_pretrained(Path(temporary) / pipe.config.name)
        try:
            api = HfApi(token=token)
            api.create_repo(repo_id, private=private, exist_ok=True)
            api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=f"Upload {pipe.config.name}")
        except Exception as error:  # the Hub client raises its own, httpx's and OSError
            raise UserError(
                "hub_upload",
                "Could not upload to {repo} ({why}). Log in with: hf auth login. By hand: save_pretrained a folder "
                "and upload its files at https://huggingface.co/new.",
                repo=repo_id,
                why=_first_line(error),
            ) from error
    return f"https://huggingface.co/{repo_id}"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
