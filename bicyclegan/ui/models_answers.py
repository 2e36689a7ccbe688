"""What the dialog with models may ask: what there is, cards, names, files to keep, and models from elsewhere.

Whoever names the id of a visitor's model may do all this with it; nobody is told the ids of others. What takes longer
than a moment is a task: the question begins it under a ticket of the page's, and `models_news` tells of it.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import shutil
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

from gradio.utils import get_upload_folder

from bicyclegan.checkpoints import content_hash, load_config
from bicyclegan.config import CONFIG_FILE, LATENTS_FILE, MODEL_FILE, THUMBS_FILE
from bicyclegan.errors import UserError
from bicyclegan.images import encode_data_url, load_image
from bicyclegan.model_files import bytes_of, zip_checkpoint
from bicyclegan.model_store import check_hub_name
from bicyclegan.photo_codes import THUMB_SIZE
from bicyclegan.ui.picker import MAX_IDS
from bicyclegan.ui.strip import thumbnail
from bicyclegan.ui.studio import Studio
from bicyclegan.ui.train_tasks import Progress, Tell, TrainTasks
from bicyclegan.ui.uploaded import Uploaded, check_uploaded, discard_uploaded
from bicyclegan.ui.wanted import Wanted

MODELS_QUESTIONS = (
    "models_list",
    "models_card",
    "models_rename",
    "models_delete",
    "models_export",
    "models_push",
    "models_hub",
    "models_import",
    "models_news",
    "models_cancel",
)
"""Methods that scripts may call."""
MAX_OPTIONS = 1 << 20
"""Characters of an official options file."""
MAX_KEPT = 200
"""Models whose facts are kept."""
EXPORT_SECONDS = 2 * 3600.0
"""For which an exported ZIP can be fetched."""
NEWS_SECONDS = 0.3
"""For which news are waited for: short work is answered at once."""
TOKEN = re.compile(r"[A-Za-z0-9_.-]{8,200}")
TICKET = re.compile(r"[0-9a-f]{32}")

log = logging.getLogger(__name__)


class ModelsAnswers:
    """Every method raises `UserError` for what cannot be done."""

    def __init__(self, studio: Studio):
        self.studio = studio
        self.tasks = TrainTasks()
        self._facts: OrderedDict[tuple, dict[str, Any]] = OrderedDict()
        self._lock = Lock()
        self._exports = f"exports-{secrets.token_hex(16)}"

    # What there is

    def models_list(self, wanted: Wanted) -> dict[str, Any]:
        """Facts of the studio's checkpoints, and of those visitors' models that the page names. Broken ones are left
        out."""
        mine = [id for id in wanted.items("ids", MAX_IDS, least=0) if self.studio.models.has(id)]
        return {
            "mine": [facts for id in dict.fromkeys(mine) if (facts := self._about(id))],
            "shared": [facts for name in self.studio.names if (facts := self._about(name))],
        }

    def models_card(self, wanted: Wanted) -> dict[str, Any]:
        """A model's card, Markdown without front matter and pictures."""
        return {"text": self.studio.card(wanted.text("id"))}

    # What can be done with one

    def models_rename(self, wanted: Wanted) -> dict[str, Any]:
        """Call it something else. The name may come out another one than was typed."""
        id = wanted.text("id")
        name = self.studio.models.rename(id, wanted.text("name"))
        self.studio.forget(id)
        return {"name": name}

    def models_delete(self, wanted: Wanted) -> dict[str, Any]:
        """Remove it for good. The page has asked whether that is meant."""
        id = wanted.text("id")
        self.studio.models.delete(id)
        self.studio.forget(id)
        return {}

    def models_export(self, wanted: Wanted) -> dict[str, Any]:
        """A ZIP of its files, which Gradio serves to whoever knows its path."""
        name = wanted.text("id")
        folder, root = self.studio.folder(name), Path(get_upload_folder()) / self._exports
        _remove_old(root)
        out = root / secrets.token_hex(16) / f"{self.studio.label(name)}.zip"
        with self.studio.beside.turn():
            zip_checkpoint(folder, out)
        return {"path": str(out), "name": out.name, "bytes": out.stat().st_size}

    def models_push(self, wanted: Wanted) -> dict[str, Any]:
        """Task: upload it to the Hub as whoever the token belongs to. The token is used once and kept nowhere."""
        name, repo = wanted.text("id"), check_hub_name(wanted.text("repo").strip())
        token, private = _token(wanted), wanted.flag("private")
        self.studio.folder(name)

        def work(tell: Tell) -> dict[str, Any]:
            tell(Progress("uploading"))
            with _without(token):
                return {"url": self.studio.pipeline(name).push_to_hub(repo, private=private, token=token)}

        return self._begin(wanted, "push", work)

    # New ones

    def models_hub(self, wanted: Wanted) -> dict[str, Any]:
        """Task: fetch a model from the Hub. Its answer is the id."""
        repo = wanted.text("repo").strip()

        def work(tell: Tell) -> dict[str, Any]:
            tell(Progress("downloading"))
            return self._made(self.studio.models.from_hub(repo))

        return self._begin(wanted, "hub", work)

    def models_import(self, wanted: Wanted) -> dict[str, Any]:
        """Task: make a model of uploaded official weights. Its answer is the id."""
        files = check_uploaded(wanted.items("paths", 2), wanted.items("names", 2))
        try:
            name, options = wanted.text("name"), _options(wanted)

            def work(tell: Tell) -> dict[str, Any]:
                return self._made(self._imported(files, options, name, tell))

            return self._begin(wanted, "import", work)
        except BaseException:
            discard_uploaded(files)
            raise

    def _imported(self, files: list[Uploaded], options: dict[str, Any], name: str, tell: Tell) -> str:
        """The id of a model made of one or two files, which are deleted. Messages name files as people do."""
        try:
            tell(Progress("converting"))
            generator, encoder = files[0].path, files[1].path if len(files) > 1 else None
            return self.studio.models.import_official(generator, encoder, options, name)
        except UserError as error:
            raise _with_values(error, lambda text: _as_called(files, text)) from None
        finally:
            discard_uploaded(files)

    def _made(self, id: str) -> dict[str, Any]:
        return {"id": id, "name": self.studio.label(id)}

    # Tasks

    def models_news(self, wanted: Wanted) -> dict[str, Any]:
        """How far a task is; what came out of it; nothing where there is none."""
        return self.tasks.news(_ticket(wanted), NEWS_SECONDS)

    def models_cancel(self, wanted: Wanted) -> dict[str, Any]:
        """Forget a task: it ends as soon as it can, and its answer is dropped."""
        self.tasks.stop(_ticket(wanted))
        return {}

    def _begin(self, wanted: Wanted, what: str, work: Callable[[Tell], dict[str, Any]]) -> dict[str, Any]:
        self.tasks.start(_ticket(wanted), what, work)
        return {}

    # Facts

    def _about(self, name: str) -> dict[str, Any] | None:
        """None for a model that is gone or broken. Files are read again only when they have changed."""
        try:
            folder = self.studio.folder(name)
            key = (name, *(_stamp(folder / file) for file in (CONFIG_FILE, MODEL_FILE, LATENTS_FILE)))
            with self._lock:
                known = self._facts.get(key)
            facts = known or self._read(name, folder)
        except (UserError, OSError) as error:
            log.warning("a model is left out of the list: %s", error)
            return None
        with self._lock:
            self._facts[key] = facts
            self._facts.move_to_end(key)
            while len(self._facts) > MAX_KEPT:
                self._facts.popitem(last=False)
        return facts

    def _read(self, name: str, folder: Path) -> dict[str, Any]:
        config, own = load_config(folder), self.studio.models.has(name)
        about = self.studio.models.about(name) if own else None
        steps, data = config.training.get("steps"), config.training.get("data")
        return {
            "id": name,
            "name": self.studio.label(name),
            "size": config.model.image_size,
            "dim": config.model.latent_dim,
            "encoder": config.model.encoder != "none",
            "steps": steps if isinstance(steps, int) else None,
            "data": data[:80] if isinstance(data, str) else "",
            "hash": content_hash(folder),
            "bytes": bytes_of(folder),
            "measured": (folder / LATENTS_FILE).is_file(),
            "created": about.created if about else None,
            "source": about.source if about else "shipped",
            "origin": about.origin if about else "",
            "thumb": self._thumb(name, folder),
        }

    def _thumb(self, name: str, folder: Path) -> str:
        """The first of the model's own pictures, else a drawing to start from, else nothing."""
        with suppress(UserError, OSError):
            sprite = load_image((folder / THUMBS_FILE).read_bytes())
            return encode_data_url(sprite.crop((0, 0, THUMB_SIZE, THUMB_SIZE)))
        examples = self.studio.examples(name)
        with suppress(UserError):
            return thumbnail(examples[0]) if examples else ""
        return ""


def _ticket(wanted: Wanted) -> str:
    """What nobody can guess: it stands for a task."""
    ticket = wanted.text("ticket")
    if not TICKET.fullmatch(ticket):
        raise UserError("models_ticket", "The page asked in a way that cannot be answered. Reload it.")
    return ticket


def _token(wanted: Wanted) -> str:
    """An access token of the Hub. Never the studio's own: without one nothing is uploaded."""
    token = wanted.text("token", "").strip()
    if not TOKEN.fullmatch(token):
        raise UserError(
            "hub_token",
            "An access token of the Hub is needed, one that may write: make it at huggingface.co/settings/tokens.",
        )
    return token


def _options(wanted: Wanted) -> dict[str, Any]:
    """Official option names, from the text of a JSON file."""
    try:
        options = json.loads(wanted.text("options", limit=MAX_OPTIONS))
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError("official_json", "The options are not valid JSON: {why}.", why=error) from None
    if not isinstance(options, dict):
        raise UserError("official_object", "The options must be a JSON object with the official option names.")
    return options


@contextmanager
def _without(token: str) -> Iterator[None]:
    """Whatever is raised inside comes out as a `UserError` that the token does not stand in, cut off from its cause."""
    try:
        yield
    except UserError as error:
        if error.code != "hub_upload":
            raise _with_values(error, lambda text: text.replace(token, "***")) from None
        why = str(error.values["why"])  # the rest is for whoever sits at the server
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    else:
        return
    raise UserError(
        "hub_push",
        "The Hub did not take it ({why}). Look whether the token may write to this repository.",
        why=why.replace(token, "***"),
    )


def _as_called(files: list[Uploaded], text: str) -> str:
    for file in files:
        text = text.replace(str(file.path), file.name)
    return text


def _with_values(error: UserError, change: Callable[[str], str]) -> UserError:
    """The same mistake with its values changed, as texts."""
    told = error.to_json()
    values = {key: change(str(value)) if isinstance(value, str) else value for key, value in told["values"].items()}
    return UserError.from_json({**told, "values": values})


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_size


def _remove_old(root: Path) -> None:
    """Exports that nobody fetches any more."""
    for folder in root.iterdir() if root.is_dir() else ():
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > EXPORT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
