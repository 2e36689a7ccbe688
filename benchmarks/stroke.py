"""What a person waits for: the end of a stroke until all photos are visible, in real Chromium.

    pip install -r requirements-dev.txt && python benchmarks/stroke.py [--samples 8]

The time is taken in the page, from the request until the last picture is decoded, and compared with painting alone
on the server: the rest is what the browser, the network stack and Gradio add.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from playwright.sync_api import Page, sync_playwright

from bicyclegan.ui.app import build_app, launch_options
from bicyclegan.ui.settings import Settings
from bicyclegan.ui.studio import Studio

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
STROKES = [[(40 + 4 * k, 90 + 3 * k), (80 + 4 * k, 70 + 3 * k), (200, 120 + 4 * k)] for k in range(21)]
RECORD_JS = """() => {
    window.waits = [];
    window.addEventListener("studio:painted", (event) => window.waits.push(event.detail));
}"""


def draw(page: Page, points: list[tuple[float, float]]) -> dict:
    """One stroke; milliseconds until its photos are visible, and those of them that painting took."""
    box = page.locator("#canvas canvas").bounding_box()
    x, y, scale = box["x"], box["y"], box["width"] / 256
    before = page.evaluate("window.waits.length")
    page.mouse.move(x + points[0][0] * scale, y + points[0][1] * scale)
    page.mouse.down()
    for px, py in points[1:]:
        page.mouse.move(x + px * scale, y + py * scale, steps=5)
    page.mouse.up()
    page.wait_for_function("before => window.waits.length > before", arg=before)
    return page.evaluate("window.waits.at(-1)")


def main() -> None:
    """Serve the studio on the shipped checkpoint, draw, print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=8, help="photos in the wall, 1 to 16 (default: 8)")
    samples = parser.parse_args().samples
    settings = Settings()
    studio = Studio(settings)
    studio.warm_up()
    app = build_app(studio)
    app.launch(**launch_options(settings), prevent_thread_lock=True, quiet=True)
    with sync_playwright() as driver:
        path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        page = driver.chromium.launch(executable_path=path, args=FLAGS).new_page(
            viewport={"width": 1280, "height": 900}
        )
        page.goto(app.local_url)
        page.locator("#canvas canvas").wait_for()
        page.locator("#count input[type=number]").fill(str(samples))
        page.wait_for_timeout(1000)
        page.evaluate(RECORD_JS)
        waits = [draw(page, points) for points in STROKES][1:]
    app.close()
    total = statistics.median(wait["milliseconds"] for wait in waits)
    server = statistics.median(wait["server"] for wait in waits)
    slowest = max(wait["milliseconds"] for wait in waits)
    print(f"{len(waits)} strokes, {samples} photos each, checkpoint {studio.names[0]}")
    print(f"stroke end -> photos visible: median {total:.0f} ms, slowest {slowest:.0f} ms")
    print(f"painting on the server: median {server:.0f} ms; all in all {total / server:.2f} times that")


if __name__ == "__main__":
    main()
