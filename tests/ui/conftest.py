"""Fixtures for tests that drive the real interface in Chromium.

`open_page(url)` gives a page that is watched: at the end of the test there must have been no error in its console
and no request that leaves this machine.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from studio_visitor import NAME, OTHER, Visitor

from bicyclegan.checkpoints import DEFAULT_ROOT

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before anything imports gradio

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOCAL = ("http://127.0.0.1:", "http://localhost:", "data:", "blob:")


def chromium_path() -> str | None:
    """An installed Chromium or Chrome; None to leave the search to Playwright's own download."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def chromium():
    """One headless browser for the whole run."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        path = chromium_path()
        if path is None and not Path(driver.chromium.executable_path).exists():
            pytest.skip("no Chromium here: install it, or name one in the environment variable CHROMIUM")
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def contexts(chromium) -> dict:
    """Browser contexts by their options. Kept, because a warm cache halves the time that the app takes to load."""
    return {}


@pytest.fixture
def open_page(chromium, contexts) -> Iterator[Callable]:
    """`open_page(url, width, height, **context_options)`: a watched page, with no storage left by earlier tests."""
    pages, problems = [], []

    def open_page(url: str, width: int = 1280, height: int = 900, **options):
        key = repr((width, height, sorted(options.items())))
        if key not in contexts:
            contexts[key] = chromium.new_context(viewport={"width": width, "height": height}, **options)
            contexts[key].set_default_timeout(10_000)
        page = contexts[key].new_page()
        pages.append(page)
        watch(page, problems)
        page.goto(url)
        return page

    open_page.problems = problems
    yield open_page
    for page in pages:
        page.evaluate("localStorage.clear()")
        page.context.clear_cookies()
        page.close()
    assert not problems, "the page complained or went online:\n" + "\n".join(problems)


def watch(page, problems: list[str]) -> None:
    """Note console errors, uncaught exceptions and requests to anything but this machine."""
    page.on("console", lambda m: problems.append(f"console: {m.text[:300]}") if m.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(f"exception: {str(error)[:300]}"))
    page.on("request", lambda r: None if r.url.startswith(LOCAL) else problems.append(f"request: {r.url[:300]}"))


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def serve(tmp_path_factory) -> Iterator[Callable]:
    """`serve(blocks, **launch_options)`: start an app in this process, on a free port, and give its address."""
    running = []

    def serve(blocks, **options) -> str:
        options = {"quiet": True, "run_history": False, "share": False, **options}
        blocks.GRADIO_CACHE = str(tmp_path_factory.mktemp("gradio"))
        running.append(blocks)
        blocks.launch(server_name="127.0.0.1", server_port=free_port(), prevent_thread_lock=True, **options)
        return blocks.local_url

    yield serve
    for blocks in running:
        blocks.close()


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    for name in (NAME, "other"):
        shutil.copytree(DEFAULT_ROOT / NAME, root / name)
    return root


@pytest.fixture(scope="module")
def three_models(tmp_path_factory, make_checkpoint) -> Path:
    """The shipped models, and a small one, called short, whose codes have 3 numbers."""
    root = tmp_path_factory.mktemp("checkpoints")
    for name in (NAME, OTHER):
        shutil.copytree(DEFAULT_ROOT / name, root / name)
    make_checkpoint(root / "short", latent_dim=3)
    return root


@pytest.fixture(scope="module")
def url(checkpoints, serve) -> str:
    from bicyclegan.ui.app import build_app, launch_options
    from bicyclegan.ui.settings import Settings
    from bicyclegan.ui.studio import Studio

    settings = Settings(checkpoints=checkpoints)
    options = {key: value for key, value in launch_options(settings).items() if not key.startswith("server_")}
    return serve(build_app(Studio(settings)), **options)


@pytest.fixture
def visitor(open_page, url) -> Visitor:
    visitor = Visitor(open_page(url))
    visitor.problems = open_page.problems
    return visitor
