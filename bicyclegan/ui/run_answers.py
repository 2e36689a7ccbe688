"""What the view of a run may ask: news of its curves, sheets of samples, how its codes moved."""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any

from bicyclegan.training.code_history import history_coords, read_code_history
from bicyclegan.training.config import MAX_STEPS
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.training.watch import read_sheet, watch
from bicyclegan.ui.map_answers import pack_floats
from bicyclegan.ui.wanted import Wanted

RUN_QUESTIONS = ("run_watch", "run_sample", "run_codes")
"""Methods that scripts may call."""
KEPT_CODES = 8
"""Runs whose codes are kept: every page that watches one asks for the same."""


class RunAnswers:
    """Every method raises `UserError` for what cannot be answered. Nothing of a run is changed."""

    def __init__(self, folder_of: Callable[[str], RunFolder]):
        """folder_of: the folder of a run by its id; raises `UserError` for one that is not there."""
        self.folder_of = folder_of
        self._codes: OrderedDict[tuple[str, int], dict[str, Any]] = OrderedDict()
        self._lock = Lock()

    def run_watch(self, wanted: Wanted) -> dict[str, Any]:
        """News since the last look: see `watch`."""
        return watch(self.folder_of(wanted.text("run")), wanted.text("token", ""))

    def run_sample(self, wanted: Wanted) -> dict[str, Any]:
        """The sheet of samples of a step."""
        step = wanted.integer("step", 0, MAX_STEPS)
        data = read_sheet(self.folder_of(wanted.text("run")), step)
        return {"step": step, "url": f"data:image/webp;base64,{base64.b64encode(data).decode('ascii')}"}

    def run_codes(self, wanted: Wanted) -> dict[str, Any]:
        """Where the codes of the validation photos lay at each step: steps, count of photos, coords (S * N, 2)."""
        folder = self.folder_of(wanted.text("run"))
        latest = max((path.stat().st_mtime_ns for path in folder.root.glob("latents/*.npz")), default=0)
        key = (str(folder.root), latest)
        with self._lock:
            if key in self._codes:
                self._codes.move_to_end(key)
                return self._codes[key]
        history = read_code_history(folder.root)
        coords = history_coords(history)
        answer = {
            "steps": history.steps.tolist(),
            "count": len(history.names),
            "coords": pack_floats(coords.reshape(-1, coords.shape[2])),
        }
        with self._lock:
            self._codes[key] = answer
            while len(self._codes) > KEPT_CODES:
                self._codes.popitem(last=False)
        return answer
