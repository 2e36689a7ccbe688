"""A process that lays out maps beside the studio, which goes on painting meanwhile.

Compiling UMAP takes 20 s in which no other thread of its process runs; a process of its own, with one thread and low
priority, disturbs nobody, can be stopped at any moment, and stays compiled for the next map.

Standard input: for each map one line of JSON, {"settings": {...}, "shape": [N, D]}, then N * D float64. Standard
output: lines {"share": 0.5, "what": "layout"}, then {"shape": [N + P, dims]} and as many float32, or
{"error": "..."}. The process ends when its input does.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from typing import Any, BinaryIO

NICENESS = 10


def main() -> None:
    """Answer until the input ends."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    wanted: queue.Queue[tuple[dict[str, Any], bytes]] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, wanted), daemon=True).start()
    while True:
        _answer(output, *wanted.get())


def read_message(stream: BinaryIO, item_size: int) -> tuple[dict[str, Any], bytes] | None:
    """A line of JSON and the numbers that its `shape` tells of; None at the end of the stream."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    head = json.loads(line)
    rows, columns = head.get("shape", (0, 0))
    size = rows * columns * item_size
    data = stream.read(size)
    return (head, data) if len(data) == size else None


def write_message(stream: BinaryIO, head: dict[str, Any], data: bytes = b"") -> None:
    """What `read_message` reads."""
    stream.write(json.dumps(head).encode() + b"\n" + data)
    stream.flush()


def _listen(stream: BinaryIO, wanted: queue.Queue) -> None:
    try:
        while message := read_message(stream, item_size=8):
            wanted.put(message)
    finally:
        os._exit(0)  # whoever asked is gone, and so is the use of what is being computed


def _answer(output: BinaryIO, head: dict[str, Any], data: bytes) -> None:
    import numpy as np

    from bicyclegan.projection import MapSettings, fit_map

    def progress(share: float, what: str) -> None:
        write_message(output, {"share": share, "what": what})

    try:
        codes = np.frombuffer(data, np.float64).reshape(head["shape"])
        found = fit_map(codes, MapSettings(**head["settings"]), progress)
    except Exception as error:  # libraries raise many kinds; the next map may be fine
        write_message(output, {"error": f"{type(error).__name__}: {error}"})
        return
    coords = np.concatenate([found.coords, found.prior_coords]).astype(np.float32)
    write_message(output, {"shape": list(coords.shape)}, coords.tobytes())


if __name__ == "__main__":
    main()
