"""Uploads to the Hugging Face Hub."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bicyclegan.errors import UserError

if TYPE_CHECKING:
    from bicyclegan.pipeline import Pipeline


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
                why=str(error).splitlines()[0] if str(error) else type(error).__name__,
            ) from error
    return f"https://huggingface.co/{repo_id}"
