"""A process that measures a model of a run beside the studio: its maps, its sliders, drawings to start from.

Painting hundreds of pictures would slow down every stroke of others; a process of its own, with low priority, disturbs
nobody and can be stopped at any moment.

Standard input: one line of JSON, {"checkpoint": folder, "run": folder, "device": "cpu"}. Standard output: lines
{"what": "reading", "done": 3, "total": 20}, then {"done": true} or {"error": "..."}. The process ends when its input
does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from bicyclegan.errors import UserError
from bicyclegan.map_worker import NICENESS, read_message, write_message

Tell = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is. What it raises stops the work."""

LIMIT = 500
"""Validation pictures whose codes are read."""
MAX_EXAMPLES = 8
ASK_SECONDS = 0.5
"""After which `tell` is called again, so that whoever waits can leave."""


def measure(checkpoint: Path, run: Path, device: str, tell: Tell) -> None:
    """Give a run's checkpoint what the studio shows of it, where it is missing, in a process of its own.

    Raises `UserError` when that fails, and what `tell` raises; then the process is ended.
    """
    worker = _start()
    told: Queue[dict[str, Any] | None] = Queue()
    threading.Thread(target=_read, args=(worker, told), daemon=True).start()
    news: dict[str, Any] | None = {"what": "loading", "done": 0, "total": 0}
    try:
        write_message(worker.stdin, {"checkpoint": str(checkpoint), "run": str(run), "device": device})
        while news and "what" in news:
            tell(news["what"], news["done"], news["total"])
            with suppress(Empty):
                news = told.get(timeout=ASK_SECONDS)
    except BrokenPipeError:
        news = None
    finally:
        worker.kill()
        worker.wait()
    why = "its process was ended, perhaps for want of memory" if news is None else news.get("error")
    if why:
        raise UserError("model_measure", "The model could not be measured: {why}.", why=why)


def _start() -> subprocess.Popen:
    root = str(Path(__file__).parents[1])
    threads = str(max(1, (os.cpu_count() or 2) // 2))
    return subprocess.Popen(
        [sys.executable, "-m", "bicyclegan.model_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), threads),
            "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
        },
    )


def _read(worker: subprocess.Popen, told: Queue) -> None:
    """All that the worker says, then None."""
    with suppress(Exception):  # of a worker that ends, or says what is no message
        while message := read_message(worker.stdout, item_size=1):
            told.put(message[0])
    told.put(None)


# In the process


def main() -> None:
    """Do what the first line of the input asks for."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no news
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    message = read_message(sys.stdin.buffer, item_size=1)
    threading.Thread(target=_end_with_input, daemon=True).start()
    if message is None:
        return

    def tell(what: str, done: int, total: int) -> None:
        write_message(output, {"what": what, "done": done, "total": total})

    wanted, _ = message
    try:
        complete(Path(wanted["checkpoint"]), Path(wanted["run"]), wanted["device"], tell)
    except Exception as error:  # told to whoever asked
        why = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        write_message(output, {"error": why})
        return
    write_message(output, {"done": True})


def complete(checkpoint: Path, run: Path, device: str, tell: Tell) -> None:
    """Add examples, and what `prepare` measures, as far as the folder lacks them.

    Args:
        checkpoint: folder of the model, made by the run.
        run: the run's folder, whose validation pictures are read.

    Raises:
        UserError: when the pictures are gone or do not fit.
    """
    from bicyclegan.checkpoints import load_config
    from bicyclegan.config import EXAMPLES_FILE, LATENTS_FILE, THUMBS_FILE
    from bicyclegan.data import open_data
    from bicyclegan.photo_codes import PlainPairs
    from bicyclegan.prepare import prepare
    from bicyclegan.training.run_folder import RunFolder

    config = load_config(checkpoint)
    measured = all((checkpoint / name).is_file() for name in (LATENTS_FILE, THUMBS_FILE))
    if (measured or not config.model.latent_dim) and (checkpoint / EXAMPLES_FILE).is_file():
        return
    tell("reading", 0, 0)
    data = open_data(RunFolder(run).load_config(), lambda what, done, total: tell("reading", done, total))
    pairs = PlainPairs(data.validation)
    if not (checkpoint / EXAMPLES_FILE).is_file():
        write_examples(checkpoint, pairs, lines=config.edge_style is not None)
    if config.model.latent_dim and not measured:
        share = lambda share, what: tell("measuring", round(100 * share), 100)  # noqa: E731
        prepare(checkpoint, pairs, pairs.names, limit=LIMIT, device=device, progress=share)


def write_examples(checkpoint: Path, pairs: Any, *, lines: bool) -> None:
    """Sketches of some of the pairs, evenly chosen, as the checkpoint's examples. lines: not those of label maps."""
    from bicyclegan.config import EXAMPLES_FILE
    from bicyclegan.files import write_atomic
    from bicyclegan.photo_codes import spread
    from bicyclegan.sketch import Sketch

    rasters = [pairs[index][0] for index in spread(len(pairs), MAX_EXAMPLES)]
    plain = [raster[..., 0] if lines or raster.shape[-1] == 1 else raster for raster in rasters]
    text = "".join(Sketch.from_raster(raster.copy()).to_json() + "\n" for raster in plain)
    write_atomic(checkpoint / EXAMPLES_FILE, text.encode("utf-8"))


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)  # whoever asked is gone


if __name__ == "__main__":
    main()
