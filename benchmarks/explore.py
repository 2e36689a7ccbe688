"""What a person waits for in Explore and Compare, in real Chromium: pictures under a moving slider, a table filling.

    pip install -r requirements-dev.txt && python benchmarks/explore.py [--seconds 5] [--interactions 1000]

Each time is taken in the page, until pictures are decoded, and compared with painting the same codes alone on the
server in the same run: the rest is what the browser, the network stack and Gradio add. With --interactions, the app
also runs in a process of its own and answers that many mixed questions: memory and files before and after.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from endurance import endure
from page_client import running_app
from playwright.sync_api import Page, sync_playwright

from bicyclegan.latent import sample_codes
from bicyclegan.sketch import Sketch
from bicyclegan.ui.app import build_app, launch_options
from bicyclegan.ui.settings import Settings
from bicyclegan.ui.studio import Studio

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
ROWS, STYLES = 6, 8
WARM_UP = 300
"""Interactions before memory is read for the first time."""
START_JS = """sketch => {
    window.shown = [];
    window.addEventListener("studio:styled", ({ detail }) => window.shown.push({ ...detail, at: performance.now() }));
    studio.set("sketch", sketch);
    document.querySelectorAll("#tabs > .tab-wrapper [role=tab]")[1].click();
}"""
FILL_JS = """count => new Promise((done) => {
    const since = performance.now();
    const times = {}; // milliseconds from now to `first` row and `all`; how many `pictures` these are
    const images = (rows) => rows.flatMap((row) => [...row.querySelectorAll("td .tile:not(.waiting) img")]);
    const look = async () => {
        const rows = [...document.querySelectorAll("#matrix tbody tr")];
        if (!times.first && rows.length && images(rows.slice(0, 1)).length === count) {
            times.first = performance.now(); // asked again below, when it is decoded
            await Promise.all(images(rows.slice(0, 1)).map((image) => image.decode()));
            times.first = performance.now() - since;
        }
        if (!times.first) requestAnimationFrame(look);
    };
    window.addEventListener("studio:filled", async () => {
        const all = images([...document.querySelectorAll("#matrix tbody tr")]);
        await Promise.all(all.map((image) => image.decode()));
        times.all = performance.now() - since;
        times.pictures = all.length;
        done(times);
    }, { once: true });
    document.querySelectorAll("#tabs > .tab-wrapper [role=tab]")[2].click();
    requestAnimationFrame(look);
})"""


@dataclass(frozen=True)
class Drag:
    """Pictures that were shown while a slider moved."""

    seconds: float
    waits: list[float]
    """Milliseconds from the question to each decoded picture."""
    codes: list[list[float]]
    """What was painted."""

    @property
    def rate(self) -> float:
        """Pictures a second."""
        return len(self.waits) / self.seconds


def drag_slider(page: Page, seconds: float) -> Drag:
    """Move a slider of Explore to and fro."""
    codes: list[list[float]] = []
    page.on("request", lambda request: codes.extend(codes_of(request.post_data)))
    box = page.locator("#sliders .knob input[type=range]").nth(1).bounding_box()
    left, width, y = box["x"] + 10, box["width"] - 20, box["y"] + box["height"] / 2
    page.mouse.move(left + width / 2, y)
    page.mouse.down()
    page.evaluate("window.shown.length = 0")
    start = time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        page.mouse.move(left + width * (0.5 + 0.5 * np.sin(2 * passed)), y)
        page.wait_for_timeout(10)
    waits = page.evaluate("window.shown.map(({ milliseconds }) => milliseconds)")
    page.mouse.up()
    return Drag(passed, waits, codes)


def codes_of(body: str | None) -> list[list[float]]:
    """The codes that a request asks to have painted; none for other requests."""
    asked = json.loads(body) if body and '"fn_name":"paint"' in body else None
    return asked["data"]["z"] if asked else []


def fill_table(page: Page) -> dict[str, float]:
    """Milliseconds from opening Compare to the first row and to all of them."""
    times = page.evaluate(FILL_JS, STYLES)
    assert times["pictures"] == ROWS * STYLES, times
    return times


def table(sketches: Sequence[Sketch], codes: np.ndarray, model: str) -> dict[str, Any]:
    """What the page would have stored of such a table. model: hash."""
    rows = [{"id": f"row{k}", "sketch": sketch.to_json()} for k, sketch in enumerate(sketches)]
    columns = [{"id": f"style{k}", "name": f"{k + 1}", "z": z} for k, z in enumerate(codes.tolist())]
    return {"rows": rows, "columns": columns, "hash": model}


def paint_alone(sketches: Sequence[Sketch], batches: Sequence[Any]) -> list[float]:
    """Milliseconds of painting each sketch in its codes, by a studio that met none of them before."""
    studio = Studio(Settings())
    studio.warm_up()
    times = []
    for sketch, codes in zip(sketches, batches, strict=True):
        start = time.perf_counter()
        studio.paint_codes(studio.names[0], sketch, np.asarray(codes, np.float32))
        times.append(1000 * (time.perf_counter() - start))
    return times


def report_drag(drag: Drag, alone: float) -> None:
    """alone: median milliseconds of painting one of its pictures on the server."""
    wait = statistics.median(drag.waits)
    print(f"slider dragged for {drag.seconds:.1f} s: {drag.rate:.1f} pictures a second")
    print(f"  question -> picture visible: median {wait:.0f} ms, slowest {max(drag.waits):.0f} ms")
    share = drag.rate * alone / 1000
    print(f"  painting alone: {alone:.0f} ms, {1000 / alone:.1f} a second; shown are {share:.0%} of that")


def report_table(times: dict[str, float], alone: Sequence[float]) -> None:
    """alone: milliseconds of painting each row on the server."""
    print(f"table of {len(alone)} drawings and {STYLES} styles, from opening Compare")
    for name, found, painted in (("first row", times["first"], alone[0]), ("all", times["all"], sum(alone))):
        print(f"  {name} visible: {found:.0f} ms; painting alone {painted:.0f} ms; {found / painted:.2f} times that")


def report_endurance(interactions: int) -> None:
    """Many mixed questions to the app in a process of its own."""
    with tempfile.TemporaryDirectory() as temp, running_app(Path(temp)) as (url, process):
        found = endure(url, process, Path(temp), interactions, WARM_UP)
    print(f"{interactions} interactions after {WARM_UP} of warm-up, {interactions / found.seconds:.1f} a second")
    print(f"  memory {found.before:.0f} -> {found.after:.0f} MiB ({found.growth:+.1%}), files {found.disk:.1f} MiB")


def main() -> None:
    """Serve the studio on the shipped checkpoint, drag, fill, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="how long the slider is dragged (default: 5)")
    parser.add_argument(
        "--interactions", type=int, default=0, help="mixed questions while memory is watched (default: 0)"
    )
    options = parser.parse_args()
    settings = Settings()
    studio = Studio(settings)
    studio.warm_up()
    sketches, codes = studio.examples(studio.names[0])[:ROWS], sample_codes(3, STYLES, 8)
    app = build_app(studio)
    app.launch(**launch_options(settings), prevent_thread_lock=True, quiet=True)
    with sync_playwright() as driver:
        path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        page = driver.chromium.launch(executable_path=path, args=FLAGS).new_page(
            viewport={"width": 1280, "height": 900}
        )
        page.goto(app.local_url)
        page.wait_for_function("() => window.studioReady && studio.get('model')")
        plan = table(sketches, codes, studio.pipeline(studio.names[0]).hash)
        page.evaluate("plan => studio.keepTable(plan)", plan)
        page.evaluate(START_JS, sketches[-1].mirrored().to_json())
        page.wait_for_function("() => window.shown.length")
        drag = drag_slider(page, options.seconds)
        page.wait_for_timeout(1000)
        times = fill_table(page)
    app.close()
    asked = [[code] for code in drag.codes]
    report_drag(drag, statistics.median(paint_alone([sketches[-1].mirrored()] * len(asked), asked)))
    report_table(times, paint_alone(sketches, [codes] * len(sketches)))
    if options.interactions:
        report_endurance(options.interactions)


if __name__ == "__main__":
    main()
