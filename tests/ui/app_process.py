"""The studio in a process of its own, to be killed and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_SECONDS = 120
"""A busy machine needs long to import PyTorch."""


class App:
    """The studio, to be killed and started again at the same address."""

    def __init__(self, temp: Path):
        self.temp, self.port = temp, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    @property
    def runs(self) -> Path:
        return self.temp / "runs"

    def start(self) -> None:
        folders = {name: str(self.temp / name.lower()) for name in ("RUNS", "MODELS", "CACHE")}
        env = {**os.environ, **{f"BICYCLEGAN_{name}": folder for name, folder in folders.items()}}
        env |= {"GRADIO_TEMP_DIR": str(self.temp / "gradio"), "GRADIO_ANALYTICS_ENABLED": "False"}
        command = [sys.executable, str(ROOT / "app.py"), "--host", "127.0.0.1", "--port", str(self.port)]
        self.process = subprocess.Popen([*command, "--device", "cpu"], cwd=ROOT, env=env)
        self._wait()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _wait(self) -> None:
        end = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"{self.url}/config", timeout=10):
                    return
            except OSError:
                time.sleep(0.2)
        raise AssertionError("the studio did not start")

    def uploads(self) -> list[Path]:
        """Files that Gradio keeps of uploads."""
        return [path for path in (self.temp / "gradio").rglob("*") if path.is_file()]


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
