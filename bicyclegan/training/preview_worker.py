"""A process that looks through the pictures of a run, or tries some steps of it, beside the studio.

Decoding thousands of pictures and training would slow down every stroke of others; a process of its own, with low
priority, disturbs nobody and can be ended at any moment.

Standard input: one line of JSON, {"task": "check" | "plan", "config": {...}, "fixed": ["direction"]}. Standard output:
lines {"what": "reading", "done": 3, "total": 20}, then {"result": {...}}, or {"error": {...}} for what a person can
mend, or {"failed": "...", "trace": "..."}. The process ends when its input does.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bicyclegan.errors import UserError
from bicyclegan.map_worker import NICENESS, read_message, write_message
from bicyclegan.training.config import TrainConfig

if TYPE_CHECKING:
    from bicyclegan.training.preview_tasks import Tell


def main() -> None:
    """Answer one question."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    message = read_message(sys.stdin.buffer, item_size=1)
    if message is None:
        return
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def tell(what: str, done: int, total: int) -> None:
        write_message(output, {"what": what, "done": done, "total": total})

    write_message(output, _answer(message[0], tell))
    os._exit(0)  # threads of libraries may wait for ever


def _answer(request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    config = TrainConfig()
    try:
        from bicyclegan.training.preview_tasks import check, plan  # loads torch, with the low priority

        config = TrainConfig.from_json(request["config"])
        result = plan(config, tell) if request["task"] == "plan" else check(config, tell, request.get("fixed", ()))
        return {"result": _without_paths(config, result)}
    except UserError as error:
        return {"error": _without_paths(config, error.to_json())}
    except Exception as error:  # it is told to whoever asked, and logged there
        return {"failed": _without_paths(config, f"{type(error).__name__}: {error}"), "trace": traceback.format_exc()}


def _without_paths(config: TrainConfig, value: Any) -> Any:
    """What is told, without where things lie on this machine."""
    if isinstance(value, dict):
        return {key: _without_paths(config, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_paths(config, item) for item in value]
    if isinstance(value, str):
        places = (config.source.cache_dir, config.data, config.init_from, config.out)
        for place in sorted(filter(None, places), key=len, reverse=True):
            value = value.replace(place + os.sep, "").replace(place, Path(place).name)
    return value


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
