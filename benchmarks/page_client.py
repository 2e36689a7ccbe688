"""What the page says to the server, without a browser: questions of its scripts and events of its components."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 90
"""A busy machine needs long to import PyTorch."""


class PageClient:
    """One open page. Raises `RuntimeError` for every answer that is a mistake."""

    def __init__(self, url: str):
        self._http = httpx.Client(base_url=url, timeout=60)
        self._config = self._http.get("/config").raise_for_status().json()
        self._session = secrets.token_hex(6)
        # Ends with the page: so the server learns that it may forget the session.
        beat = self._http.build_request("GET", f"/gradio_api/heartbeat/{self._session}")
        self._heartbeat = self._http.send(beat, stream=True)

    def ask(self, question: str, /, **wanted: Any) -> dict[str, Any]:
        """`studio.ask(question, wanted)` of static/session.js."""
        body = {"data": wanted, "component_id": self._id("shelf"), "fn_name": question, "session_hash": self._session}
        answer = self._http.post("/gradio_api/component_server/", json=body).raise_for_status().json()
        return _right(question, answer)

    def fire(self, element: str, event: str, values: list[Any], data: dict[str, Any] | None = None) -> list[Any]:
        """An event of the component with this `elem_id`: what comes back for its outputs.

        values: of the inputs of its handler. data: what the event carries.
        """
        target = [self._id(element), event]
        handler = next(each["id"] for each in self._config["dependencies"] if target in each["targets"])
        body = {"data": values, "event_data": data, "fn_index": handler, "trigger_id": target[0]}
        joined = self._http.post("/gradio_api/queue/join", json={**body, "session_hash": self._session})
        joined.raise_for_status()
        done = [message for message in self._messages() if message["msg"] == "process_completed"]
        if not (done and done[-1]["success"]):
            raise RuntimeError(f"{element}.{event}: {done[-1:]!r:.300}")
        return [_right(f"{element}.{event}", each) for each in done[-1]["output"]["data"]]

    def close(self) -> None:
        """Leave the page."""
        self._heartbeat.close()
        self._http.close()

    def _messages(self) -> Iterator[dict[str, Any]]:
        """All that the queue says until nothing of this page waits there."""
        with self._http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self._session}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))

    def _id(self, element: str) -> int:
        return next(each["id"] for each in self._config["components"] if each["props"].get("elem_id") == element)


def _right(name: str, answer: Any) -> Any:
    if isinstance(answer, dict) and answer.get("error"):
        raise RuntimeError(f"{name}: {answer['error']}")
    return answer


@contextmanager
def running_app(temp: Path, **environment: str) -> Iterator[tuple[str, psutil.Process]]:
    """`python app.py` in a process of its own: its address, and the process. temp: where Gradio puts its files."""
    port = free_port()
    env = {**os.environ, "GRADIO_TEMP_DIR": str(temp), "GRADIO_ANALYTICS_ENABLED": "False", **environment}
    command = [sys.executable, str(ROOT / "app.py"), "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, process)
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(url: str, process: subprocess.Popen) -> None:
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            httpx.get(f"{url}/config").raise_for_status()
            return
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError(f"app.py did not start: exit code {process.poll()}")
