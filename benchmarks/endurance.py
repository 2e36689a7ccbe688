"""Whether the studio stays as small as it is after hours of use: many mixed questions, and memory before and after."""

from __future__ import annotations

import base64
import io
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from page_client import PageClient
from PIL import Image

from bicyclegan.pins import check_pin, pins_to_json
from bicyclegan.sketch import Sketch, Stroke

NAME, OTHER = "edges2shoes", "edges2clothes"
DIM = 8
READINGS = 9
"""Of the memory, of which the median counts."""
REST = 1.5
"""Seconds until the memory is read; the studio needs half a second to see that nobody asks anything."""
PER_PAGE = 50
"""Interactions of one visitor, then comes another one."""


@dataclass(frozen=True)
class Endured:
    """What many interactions left behind."""

    before: float
    """Memory of the process in MiB after the warm-up."""
    after: float
    """And at the end."""
    disk: float
    """MiB of files in Gradio's folder."""
    seconds: float
    """From the end of the warm-up on."""

    @property
    def growth(self) -> float:
        """0.05 is 5 %."""
        return self.after / self.before - 1


def endure(url: str, process: psutil.Process, temp: Path, interactions: int, warm_up: int) -> Endured:
    """Work on the page of a running app. temp: its `GRADIO_TEMP_DIR`. Raises `RuntimeError` if anything fails."""
    work(url, range(warm_up))
    before, start = memory(process), time.perf_counter()
    work(url, range(warm_up, warm_up + interactions))
    seconds = time.perf_counter() - start
    return Endured(before, memory(process), size_of(temp), seconds)


def work(url: str, numbers: range) -> None:
    """Interactions of these numbers, one after the other, by one visitor after the other."""
    for start in range(numbers.start, numbers.stop, PER_PAGE):
        page = PageClient(url)
        for number in range(start, min(start + PER_PAGE, numbers.stop)):
            CYCLE[number % len(CYCLE)](page, number)
        page.close()


def memory(process: psutil.Process) -> float:
    """MiB of physical memory that the process holds, once it has nothing to do and gave back what it could."""
    time.sleep(REST)
    readings = []
    for _ in range(READINGS):
        readings.append(process.memory_info().rss / 2**20)
        time.sleep(0.1)
    return statistics.median(readings)


def size_of(folder: Path) -> float:
    """MiB of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


# What people do: each takes the page and a number that makes it another drawing and another style


def drawing(number: int) -> str:
    """A new drawing for every number."""
    random = np.random.RandomState(number)
    outline = ((30.0, 150.0), (60.0, 110.0), (118.0, 70.0), (225.0, 130.0), (230.0, 165.0), (35.0, 165.0))
    moved = tuple((x + dx, y + dy) for (x, y), (dx, dy) in zip(outline, random.uniform(-12, 12, (6, 2)), strict=True))
    laces = tuple(Stroke(tuple(map(tuple, random.uniform(80, 160, (3, 2))))) for _ in range(number % 5))
    return Sketch((Stroke(moved), *laces)).to_json()


def style(number: int, count: int = 1) -> list[list[float]]:
    """New codes for every number."""
    return np.random.RandomState(number).standard_normal((count, DIM)).tolist()


def subject(number: int) -> dict[str, str]:
    """What every question about pictures starts with. Most people stay with the model that they found."""
    return {"checkpoint": OTHER if number % 7 == 0 else NAME, "sketch": drawing(number)}


def photo(number: int) -> str:
    """A box in some colour on white, as a data URL."""
    picture = np.full((96, 96, 3), 255, np.uint8)
    picture[20:70, 16:80] = np.random.RandomState(number).randint(0, 256, 3)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def question(name: str, make: Callable[[int], dict[str, Any]]) -> Callable[[PageClient, int], None]:
    """A question of a script as an interaction."""

    def interact(page: PageClient, number: int) -> None:
        assert page.ask(name, **make(number)), name

    return interact


def draw(page: PageClient, number: int) -> None:
    """The end of a stroke: eight photos."""
    checkpoint, sketch = subject(number).values()
    [wall] = page.fire("canvas", "input", [True, sketch, checkpoint, 8, number, 1.0])
    assert len(wall["tiles"]) == 8, wall["error"]


def trace(page: PageClient, number: int) -> None:
    """A photo becomes a drawing."""
    traced = page.fire("canvas", "photo", [NAME], {"data_url": photo(number), "name": "photo.png"})
    assert traced[0], "no drawing"


def measure(page: PageClient, number: int) -> None:
    """Numbers of a row in Compare."""
    row = {**subject(number), "z": style(number, 3), "row": 1}
    summary = page.fire("matrix", "measure", [], row)[1]
    assert "<h4>" in summary, summary


def compare(page: PageClient, number: int) -> None:
    """One model against another."""
    pictures, _ = page.fire("ab", "compare", [NAME, OTHER], {"sketch": drawing(number), "z": style(number)[0]})
    assert len(pictures) == 2, pictures


def search_colour(page: PageClient, number: int) -> None:
    """Rare, since it paints 192 pictures; else a slider moves."""
    if number // len(CYCLE) % 4:
        styled(page, number)
        return
    assert page.ask("find_colour", **subject(number), colour="red")["tiles"]


def pins(number: int) -> list[dict[str, Any]]:
    """Two pinned styles."""
    codes = style(number, 2)
    return [{"name": f"{number}", "z": z, "checkpoint": NAME, "checkpoint_hash": "0" * 64} for z in codes]


def pins_file(number: int) -> str:
    """Two pinned styles as a file holds them."""
    return pins_to_json([check_pin(pin) for pin in pins(number)])


def link(number: int) -> dict[str, Any]:
    """The page as a link."""
    knobs = {"seed": number, "count": 8, "truncation": 1.0, "tab": "explore", "z": style(number)[0]}
    return {**subject(number), **knobs, "pins": pins(number)}


def rows(number: int) -> list[dict[str, str]]:
    """Two rows of a table."""
    return [subject(number), subject(number + 7)]


styled = question("paint", lambda k: {**subject(k), "z": style(k)})
"""A slider moves: one picture, the commonest of all questions."""
CYCLE: tuple[Callable[[PageClient, int], None], ...] = (
    draw,
    styled,
    styled,
    question("sweep", lambda k: {**subject(k), "z": style(k)[0], "slider": k % DIM, "steps": 7}),
    draw,
    question("grid", lambda k: {**subject(k), "z": style(k)[0], "across": 0, "down": 1 + k % 7, "side": 3}),
    question("breed", lambda k: {**subject(k), "parents": style(k, 2), "strength": 0.5, "seed": k}),
    styled,
    question("read_photos", lambda k: {**subject(k), "photos": [{"name": "a.png", "data_url": photo(k)}]}),
    draw,
    question("blend_file", lambda k: {**subject(k), "codes": style(k, 2), "frames": 6, "fps": 12, "format": "gif"}),
    styled,
    question("picture", lambda k: {**subject(k), "z": style(k)[0]}),
    question(
        "space_sheet",
        lambda k: {**subject(k), "z": style(k)[0], "shape": "strips", "sliders": [0, k % DIM], "steps": 4},
    ),
    measure,
    question("blend_path", lambda k: {"checkpoint": NAME, "codes": style(k, 3), "frames": 48, "loop": True}),
    draw,
    styled,
    search_colour,
    compare,
    question("matrix_file", lambda k: {"rows": rows(k), "z": style(k, 3), "zip": k % 2 == 0}),
    question("read_drawing", lambda k: {"checkpoint": NAME, "data_url": photo(k), "name": "photo.png"}),
    trace,
    question("export_pins", lambda k: {"pins": pins(k)}),
    question("import_pins", lambda k: {"text": pins_file(k)}),
    question("pack_link", link),
    question("examples", lambda k: {"checkpoint": (NAME, OTHER)[k % 2]}),
    question("spread", lambda k: {**subject(k), "z": style(k, 3)}),
    question("random_styles", lambda k: {"checkpoint": NAME, "count": 6, "seed": k}),
)
"""What is done in turns, all panels in 29 interactions."""
