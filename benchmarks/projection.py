"""What a person waits for at the map, in real Chromium: 2,000 and 10,000 codes laid out, drawn, pressed; and what
everybody else waits for meanwhile.

    pip install -r requirements-dev.txt && python benchmarks/projection.py [--codes 2000 10000] [--quick]

The app runs in a process of its own, with copies of the shipped model whose codes are many, without any map. Ratios
compare a map with the same map out of the cache, many points with few, a press with painting the same code alone on
the server, and a studio that computes a map with one that does not.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from bystander import Bystander, Waits
from endurance import NAME, drawing
from explore import FLAGS, paint_alone
from map_visitor import MAPS, WATCH_JS, Draw, MapVisitor, Opened, Press, far_apart
from page_client import running_app
from PIL import Image
from playwright.sync_api import BrowserContext, sync_playwright

from bicyclegan.checkpoints import DEFAULT_ROOT
from bicyclegan.latents_file import Latents, load_latents, save_latents
from bicyclegan.photo_codes import make_sprite, sprite_columns
from bicyclegan.projection import Pca
from bicyclegan.sketch import Sketch

NOISE = 0.1
"""Of codes around those of the shipped photos, as a share of how much these vary."""
APART = 24
"""Pixels between points that are pressed, so that none hides under the mark of the one before."""
SEED = 20_17


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    codes: tuple[int, ...] = (2000, 10_000)
    rounds: int = 6
    """In each, the map is opened anew, shown in other methods and colours, in turns for all numbers of codes."""
    changes: int = 3
    recolourings: int = 4
    presses: int = 20
    rest_seconds: float = 40
    """For which somebody paints while nothing is computed, before and after the maps of others."""
    map_seconds: float = 120
    """After which others give up their map: enough painting was measured beside it."""


QUICK = Plan((2000,), rounds=2, recolourings=2, presses=6, rest_seconds=6, map_seconds=20)


@dataclass(frozen=True)
class Drawn:
    """One number of codes: how long each way of drawing them took."""

    opened: list[Opened]
    changed: list[Draw]
    """Another method, whose map is in the cache."""
    recoloured: list[Draw]
    presses: list[Press]


# Models with many codes


def many_codes(shipped: Latents, count: int, seed: int = SEED) -> Latents:
    """`count` codes around those of the shipped photos, with a sprite's layout, without maps."""
    random = np.random.RandomState(seed)
    photos = random.randint(0, len(shipped.mu), count)
    near = NOISE * shipped.mu.std(axis=0) * random.standard_normal((count, shipped.mu.shape[1]))
    mu = (shipped.mu[photos] + near).astype(np.float32)
    pca = Pca.fit(mu)
    return replace(
        shipped,
        names=tuple(f"{number:05d}.webp" for number in range(count)),
        mu=mu,
        logvar=shipped.logvar[photos],
        pca=pca,
        map_pca=pca.transform(mu, shipped.map_pca.shape[1]).astype(np.float32),
        photo_colours=shipped.photo_colours[photos],
        thumb_columns=sprite_columns(count),
        maps=(),
    )


def write_model(root: Path, count: int) -> None:
    """The shipped model with many codes, and a plain tile in the colour of each photo, in a folder of its own."""
    shutil.copytree(DEFAULT_ROOT / NAME, root / NAME)
    latents = many_codes(load_latents(root / NAME), count)
    side = (latents.thumb_size, latents.thumb_size)
    tiles = [Image.new("RGB", side, tuple(colour)) for colour in latents.photo_colours.tolist()]
    save_latents(root / NAME, latents, make_sprite(tiles))


@contextmanager
def studio(temp: Path, count: int, cache: str) -> Iterator[str]:
    """The address of an app with a model of `count` codes, which `write_model` made. cache: name of its folder."""
    folders = {"CHECKPOINTS": temp / f"{count}", "CACHE": temp / cache, "RUNS": temp / "runs"}
    environment = {f"BICYCLEGAN_{name}": str(folder) for name, folder in folders.items()}
    with running_app(temp / "gradio", **environment) as (url, _):
        yield url


# Measuring


def lay_out_all(context: BrowserContext, url: str) -> dict[str, float]:
    """Seconds until each of `MAPS` is there; the first one comes with the tab."""
    visitor = MapVisitor(context, url)
    first, *others = MAPS
    draws = {name: visitor.lay_out(name) for name in others}
    visitor.close()
    times = {first: visitor.opened.milliseconds} | {name: draw.shown - draw.pressed for name, draw in draws.items()}
    return {name: milliseconds / 1000 for name, milliseconds in times.items()}


def draw_often(context: BrowserContext, urls: dict[int, str], plan: Plan) -> dict[int, Drawn]:
    """Every way of drawing, in turns: what else the machine does meets few and many codes alike."""
    drawn = {count: Drawn([], [], [], []) for count in urls}
    for number in range(plan.rounds):
        for count, url in urls.items():
            visitor, found = MapVisitor(context, url), drawn[count]
            found.opened.append(visitor.opened)
            found.changed.extend(visitor.lay_out(("UMAP", "t-SNE", "PCA")[k % 3]) for k in range(plan.changes))
            found.recoloured.extend(visitor.recolour(1 + k) for k in range(plan.recolourings))
            if number == plan.rounds - 1:
                found.presses.extend(press_points(visitor, plan.presses))
            visitor.close()
    for count, found in drawn.items():
        draws = [*found.changed, *found.recoloured, *(each.draw for each in found.opened)]
        assert {draw.points for draw in draws} == {count}, "not all photos were drawn"
    return drawn


def press_points(visitor: MapVisitor, count: int) -> list[Press]:
    """Press points all over the map, each once."""
    pixels = visitor.pixels()
    return [visitor.press(*pixels[index, 1:]) for index in far_apart(pixels[:, 1:], count, APART, SEED)]


# Tables


def report_maps(cold: dict[int, dict[str, float]], kept: dict[int, dict[str, float]]) -> None:
    """Seconds by number of codes and name of the map, computed and out of the cache."""
    print("seconds until the map is on the screen")
    print(f"  {'codes':>6}  {'':20}{'computed':>10}{'out of the cache':>18}{'ratio':>8}")
    for count, maps in cold.items():
        for name, seconds in maps.items():
            again = kept[count][name]
            print(f"  {count:>6,}  {name:20}{seconds:10.2f}{again:18.2f}{seconds / again:8.1f}")
    print("  PCA is computed each time, and Plotly loaded; UMAP is the first map of its process, which compiles it;")
    print("  it makes 500 steps for up to 10,000 points, random codes among them, 200 for more")


def report_drawing(drawn: dict[int, Drawn]) -> None:
    """Medians; the last column is the largest number of codes against the smallest."""
    ways: dict[str, Callable[[Drawn], list[float]]] = {
        "first: Plotly begins -> is done": lambda d: [each.draw.drawn - each.draw.begun for each in d.opened],
        "first: Plotly begins -> on screen": lambda d: [each.draw.shown - each.draw.begun for each in d.opened],
        "first: answer -> on screen": lambda d: [each.draw.shown - each.draw.answered for each in d.opened],
        "another map: answer -> on screen": lambda d: [each.shown - each.answered for each in d.changed],
        "coloured: wish -> Plotly is done": lambda d: [each.drawn - each.pressed for each in d.recoloured],
        "coloured: wish -> on screen": lambda d: [each.shown - each.pressed for each in d.recoloured],
        "tab opened -> all is there": lambda d: [each.milliseconds for each in d.opened],
    }
    print("milliseconds of drawing, medians")
    print(f"  {'codes':34}" + "".join(f"{count:>10,}" for count in drawn) + f"{'ratio':>8}")
    for name, times in ways.items():
        medians = [statistics.median(times(each)) for each in drawn.values()]
        cells = "".join(f"{median:10.0f}" for median in medians)
        print(f"  {name:34}{cells}{medians[-1] / medians[0]:8.2f}")
    print("  first: in a new page, which loads Plotly between the answer and its drawing")


def report_presses(drawn: dict[int, Drawn], alone: dict[int, float]) -> None:
    """alone: median milliseconds of painting one of the pictures on the server."""
    print("press on a point -> picture visible, milliseconds")
    print(f"  {'codes':>6}{'presses':>9}{'median':>8}{'slowest':>9}{'asked':>8}{'painting alone':>16}{'ratio':>8}")
    for count, each in drawn.items():
        visible = [press.visible for press in each.presses]
        median, asked = statistics.median(visible), statistics.median(press.asked for press in each.presses)
        row = f"  {count:>6,}{len(visible):>9}{median:8.0f}{max(visible):9.0f}{asked:8.0f}{alone[count]:16.0f}"
        print(f"{row}{median / alone[count]:8.1f}")
    print("  asked: of the median, from the question to the decoded picture")


def report_others(count: int, idle: Waits, beside: dict[str, tuple[Waits, float | None]]) -> None:
    """What somebody else waits for a picture; ratios against nothing being computed."""
    print(f"somebody else's picture while a map of {count:,} codes is computed, milliseconds")
    print(f"  {'':24}{'pictures':>9}{'median':>8}{'p95':>8}{'slowest':>9}{'p95 ratio':>11}")
    for name, (waits, seconds) in {"nothing is computed": (idle, None), **beside}.items():
        title = name if seconds is None else f"{name} ({seconds:.0f} s)"
        row = f"  {title:24}{len(waits.each):>9}{waits.median:8.0f}{waits.p95:8.0f}{waits.slowest:9.0f}"
        print(f"{row}{waits.p95 / idle.p95:11.2f}")


def measure_others(url: str, plan: Plan) -> tuple[Waits, dict[str, tuple[Waits, float | None]]]:
    """Somebody paints while nothing is computed, and while maps are."""
    somebody = Bystander(url)
    idle = somebody.rest(plan.rest_seconds)
    beside: dict[str, tuple[Waits, float | None]] = {
        name: somebody.beside_map(url, plan.map_seconds, method=MAPS[name], dims=2) for name in ("UMAP", "t-SNE")
    }
    beside["nothing any more"] = somebody.rest(plan.rest_seconds), None
    somebody.close()
    return idle, beside


def main() -> None:
    """Make models, work on them, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--codes", type=int, nargs="+", help="numbers of codes, the smallest first (default: 2000 10000)"
    )
    parser.add_argument("--quick", action="store_true", help="2,000 codes and few repetitions: whether it runs")
    options = parser.parse_args()
    plan = QUICK if options.quick else Plan()
    if options.codes:
        plan = replace(plan, codes=tuple(options.codes))
    with tempfile.TemporaryDirectory(prefix="bicyclegan-") as folder, sync_playwright() as driver:
        run(plan, Path(folder), driver)


def run(plan: Plan, temp: Path, driver: Any) -> None:
    """temp: an empty folder."""
    cold = {}
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    browser = driver.chromium.launch(executable_path=path, args=FLAGS)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(path=WATCH_JS)
    for count in plan.codes:
        write_model(temp / f"{count}", count)
        with studio(temp, count, cache=f"cache-{count}") as url:
            cold[count] = lay_out_all(context, url)
    with ExitStack() as running:  # other processes than before: there are maps in the cache alone
        urls = {count: running.enter_context(studio(temp, count, cache=f"cache-{count}")) for count in plan.codes}
        kept = {count: lay_out_all(context, url) for count, url in urls.items()}
        drawn = draw_often(context, urls, plan)
    browser.close()
    report_maps(cold, kept)
    report_drawing(drawn)
    report_presses(drawn, {count: paint_presses(each.presses) for count, each in drawn.items()})
    with studio(temp, plan.codes[-1], cache="cache-of-others") as url:
        report_others(plan.codes[-1], *measure_others(url, plan))


def paint_presses(presses: Sequence[Press]) -> float:
    """Median milliseconds of painting what was pressed, on the server alone."""
    sketch = Sketch.from_json(drawing(0))
    return statistics.median(paint_alone([sketch] * len(presses), [[press.z] for press in presses]))


if __name__ == "__main__":
    main()
