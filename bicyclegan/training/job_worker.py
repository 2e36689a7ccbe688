"""The process of one training: waits for its turn, trains, and outlives the studio that started it.

python -m bicyclegan.training.job_worker FOLDER [--resume]

Torch is loaded when the turn has come: many may wait at little cost. The folder's files say how it is, and SIGTERM
ends it in good order at any moment: while it waits or starts there is nothing to lose, later with a checkpoint.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from bicyclegan.errors import UserError
from bicyclegan.training.dcgan_config import DcganConfig, read_config
from bicyclegan.training.job_files import JobFiles, JobNotes, read_json
from bicyclegan.training.job_queue import TRAINS, WAITS, await_turn
from bicyclegan.training.process_lock import adopt, introduce, take
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.training.stop import StopRequest

NICENESS = 19
"""Whoever draws goes first."""
NO_MEMORY = ("OutOfMemoryError", "MemoryError")
MEMORY_WORDS = ("out of memory", "can't allocate memory")
FAILED, MISTAKE = 1, 2


def main(args: list[str] | None = None) -> int:
    """Train, and return the exit code: 0, or 2 for a person's mistake, 1 for any other."""
    parser = argparse.ArgumentParser(prog="python -m bicyclegan.training.job_worker")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--lock", type=int, help="descriptor of the job's lock, which the parent process holds")
    options = parser.parse_args(args)
    files = JobFiles(options.folder.absolute())
    stop = StopRequest()
    _listen(stop)
    faulthandler.enable()
    try:
        lock = _hold(files, options.lock)
        if hasattr(os, "nice"):
            os.nice(NICENESS)
        await_turn(files.root)
        introduce(lock, os.getpid(), TRAINS)
        _train(files, options.resume, stop)
    except SystemExit:  # a signal came while there was nothing to save yet
        files.mark_stopping(os.getpid())
        return 0
    except UserError as error:
        files.save_error(error)
        _say(f"error: {error}")
        return MISTAKE
    except Exception as error:
        files.save_error(_told(error))
        traceback.print_exc()
        return FAILED
    return 0


def _listen(stop: StopRequest) -> None:
    """Until the run listens itself: the first signal ends the process, later ones change nothing.

    The exception may go lost, where a library catches all or Python is just tidying up. The run then finds `stop` set
    and ends before its first update.
    """

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if not stop.signal:
            stop.signal = signal.Signals(number).name
            raise SystemExit(0)

    for number in StopRequest.SIGNALS:
        signal.signal(number, on_signal)


def _hold(files: JobFiles, given: int | None) -> int:
    """The job's lock, from the parent or taken here."""
    if given is not None:
        adopt(given, WAITS)
        return given
    lock = take(files.lock_file, word=WAITS)
    if lock is None:
        raise UserError("job_running", "This training is under way already.")
    return lock


def _train(files: JobFiles, resume: bool, stop: StopRequest) -> None:
    run = RunFolder(files.root)
    resume = resume and run.config_file.exists()  # it may have been stopped before it made any
    if resume:
        config = replace(run.load_any_config(), out=str(files.root))
    else:
        config = read_config(read_json(files.notes_file).get("config"))
    if isinstance(config, DcganConfig):
        from bicyclegan.training.dcgan import train_dcgan as train
    else:
        from bicyclegan.training.loop import train

    if stop.signal:
        raise SystemExit(0)
    pitfall = (files.notes() or JobNotes()).pitfall
    result = train(config, resume=resume, report=_say, stop=stop, prepare=_planting(pitfall))
    _say(f"{result.reason} after step {result.step}")


def _planting(pitfall: str) -> Callable[[Any], None] | None:
    """Plants what a lesson of the lab is about; nothing for all other runs."""
    if not pitfall:
        return None
    from bicyclegan.training.pitfalls import plant

    return partial(plant, pitfall)


def _say(line: str) -> None:
    print(line, flush=True)


def _told(error: Exception) -> UserError:
    """An error that is no person's mistake, with what helps."""
    text = (str(error).splitlines() or [""])[0]
    if type(error).__name__ in NO_MEMORY or any(words in text for words in MEMORY_WORDS):
        return UserError(
            "job_memory",
            "The training ran out of memory. Start a new one with a smaller batch_size, image_size or base_channels.",
        )
    return UserError(
        "job_crashed",
        "The training ended with an error of the program ({why}). It can go on from its last checkpoint.",
        why=f"{type(error).__name__}: {text}" if text else type(error).__name__,
    )


if __name__ == "__main__":
    sys.exit(main())
