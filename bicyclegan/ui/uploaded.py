"""Files that a script sent to Gradio's own upload endpoint (static/upload.js), and now names by their paths.

Gradio keeps an upload below a folder named by its content. The script calls each file by a number that nobody can
guess, so nobody can name the upload of somebody else, even one of the same content.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder

from bicyclegan.errors import UserError

MAX_UPLOAD_BYTES = 2 << 30
"""Of one file; what Gradio is told when the studio is launched, too."""
MAX_UPLOAD_NAME = 300
"""Characters of what a file was called, folders included."""
CONTENT = re.compile(r"[0-9a-f]{64}")
SECRET_NAME = re.compile(r"[0-9a-f]{32}(\.[A-Za-z0-9]{1,10})?")


@dataclass(frozen=True)
class Uploaded:
    """A file that was sent. Whoever takes it deletes it: Gradio's own cleaning takes hours."""

    path: Path
    name: str
    """What it was called where it came from; may hold folders, and anything else."""


def check_uploaded(paths: Sequence[Any], names: Sequence[Any]) -> list[Uploaded]:
    """Uploads by their paths, in the order of these.

    Args:
        paths: what `uploadFiles` gave, as it came back from the browser.
        names: what each file was called.

    Raises:
        UserError: for a path that is no upload, or one that was used and deleted, and where the lists do not fit.
    """
    sound = len(paths) == len(names) == len({*map(str, paths)}) and all(isinstance(name, str) for name in names)
    found: list[Uploaded] = []
    wrong: UserError | None = None
    for path, name in zip(paths, names if sound else ["?"] * len(paths), strict=True):
        try:
            found.append(Uploaded(_checked(path, name), name[-MAX_UPLOAD_NAME:]))
        except UserError as error:
            wrong = wrong or error
    if sound and wrong is None:
        return found
    discard_uploaded(found)  # nobody will ask for them again
    if wrong is not None and sound:
        raise wrong
    raise UserError("upload_list", "The list of files cannot be read. Reload the page and choose them again.")


def discard_uploaded(files: Sequence[Uploaded]) -> None:
    """Delete uploads, and the folders that Gradio made for them."""
    for file in files:
        with suppress(OSError):
            file.path.unlink(missing_ok=True)
            file.path.parent.rmdir()


def _checked(path: Any, name: str) -> Path:
    folder = Path(get_upload_folder()).resolve()
    found = Path(path) if isinstance(path, str) and "\0" not in path else folder
    ours = found.parent.parent.resolve() == folder and CONTENT.fullmatch(found.parent.name)
    if not (ours and SECRET_NAME.fullmatch(found.name)) or found.is_symlink() or not found.is_file():
        raise UserError(
            "upload_gone", "{name} did not arrive, or was used already. Choose it again.", name=name[-80:] or "?"
        )
    return found
