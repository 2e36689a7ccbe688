"""The page of a comparison: whole, on its own, the same every time, and deaf to what a run would like it to say."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from run_example import BEGIN, step_line, story, validation, write_run

from bicyclegan.training.comparison.facts import duration, ending, run_facts
from bicyclegan.training.comparison.page import lead, render_page, table_rows, write_page
from bicyclegan.training.comparison.runs import Run, read_runs
from bicyclegan.training.comparison.standings import common_step, standings
from bicyclegan.training.events import Finding, RunEnded, RunStarted

pytest.importorskip("plotly")

HOSTILE = """</script></title></style><script>alert(1)</script><img src=x onerror=alert(1)>"' onload=x {{7*7}} <!--"""


class Page(HTMLParser):
    """Tags, attributes, scripts and words of a page."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside != "style" and data.strip():
            self.words.append(" ".join(data.split()))

    def attributes(self, name: str) -> list[tuple[str, str | None]]:
        return [(tag, attributes[name]) for tag, attributes in self.tags if name in attributes]

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One that was completed, one that was stopped, resumed and has failed."""
    place = tmp_path_factory.mktemp("runs")
    failed = [
        *story(steps=20, end="stopped", reconstruction_l1=0.1, diversity_rgb=0.05),
        RunStarted(step=20, resumed=True, time=BEGIN + 100),
        step_line(30, seconds=110, losses={"l1": None}),
        Finding(
            step=30, name="loss_not_finite", severity="ill", evidence="l1 is not finite.", remedy="Lower the rate."
        ),
        RunEnded(step=30, reason="failed", message="l1 is not finite.", time=BEGIN + 110),
    ]
    return [write_run(place / "good"), write_run(place / "bad", failed, samples=(20,), lambda_l1=99.0)]


@pytest.fixture(scope="module")
def runs(folders: list[Path]) -> list[Run]:
    return read_runs(folders)


@pytest.fixture(scope="module")
def html(runs: list[Run]) -> str:
    return render_page(runs)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


# One file that stands alone


def test_the_page_is_written_whole_in_one_step(tmp_path: Path, runs: list[Run], html: str) -> None:
    path = tmp_path / "new" / "compare.html"
    write_page(path, runs)
    assert path.read_text("utf-8") == html
    assert [each.name for each in path.parent.iterdir()] == ["compare.html"]


def test_the_same_runs_give_the_same_bytes(folders: list[Path], html: str) -> None:
    assert render_page(read_runs(folders)) == html


def test_nothing_is_loaded_from_anywhere(page: Page, html: str) -> None:
    assert {tag for tag, _ in page.attributes("src")} == {"img"}
    assert all(value.startswith("data:image/webp;base64,") for _, value in page.attributes("src"))
    links = page.attributes("href")
    assert {value.split("/")[2] for tag, value in links if tag == "a"} == {"arxiv.org"}
    assert [value for tag, value in links if tag != "a"] == ["data:,"]
    assert not {"iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
    [style] = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert not re.search(r"url\(|@import|https?:", style)


def test_the_policy_allows_the_scripts_of_the_page_and_no_other(page: Page) -> None:
    [policy] = [tag["content"] for name, tag in page.tags if tag.get("http-equiv") == "Content-Security-Policy"]
    data, *scripts = page.scripts
    json.loads(data)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(digests) == 2
    assert set(re.findall(r"'sha256-(.*?)'", policy)) == set(digests)
    assert "default-src 'none'" in policy
    assert not re.search(r"https?:|script-src[^;]*(unsafe|\*)", policy)


def test_texts_of_runs_stay_text(tmp_path: Path) -> None:
    name = HOSTILE.replace("/", "|")
    events = [
        RunStarted(step=0, device=HOSTILE, parameters={HOSTILE: 3}),
        step_line(10, losses={HOSTILE: 1.0}, gradient_norms={HOSTILE: 1.0}, learning_rates={HOSTILE: 1.0}),
        validation(10, **{HOSTILE: 1.0}),
        Finding(step=10, name=HOSTILE, severity=HOSTILE, evidence=HOSTILE, cause=HOSTILE, remedy=HOSTILE),
        RunEnded(step=10, reason="failed", message=HOSTILE),
    ]
    folders = [write_run(tmp_path / name, events, (10,)), write_run(tmp_path / "plain", events, (10,))]
    data = json.loads((folders[0] / "config.json").read_text("utf-8"))
    (folders[0] / "config.json").write_text(json.dumps({**data, "data": HOSTILE, HOSTILE: HOSTILE}), "utf-8")
    page = Page(render_page(read_runs(folders)))
    assert len(page.scripts) == 3
    assert page.text.count("alert(1)") > 8, "it is shown"
    assert {tag for tag, _ in page.attributes("src")} == {"img"}
    assert all(value.startswith("data:") for _, value in page.attributes("src"))
    assert not page.attributes("onerror") and not page.attributes("onload")
    assert "49" not in [word for word in page.words if "7*7" in word]


def test_a_long_run_does_not_make_a_large_page(tmp_path: Path) -> None:
    long = [step_line(step) for step in range(1, 3001)]
    pages = [
        render_page(read_runs([write_run(tmp_path / str(k) / name, events, ()) for name in "ab"]))
        for k, events in enumerate((long[:400], long))
    ]
    assert len(pages[1]) < 1.1 * len(pages[0])


# What it says


def test_how_each_run_ended_is_said(page: Page, runs: list[Run]) -> None:
    assert ending(runs[0]) == "Completed: all 40 updates."
    assert ending(runs[1]) == "Failed: 30 of 40 updates. l1 is not finite."
    for words in (*map(ending, runs), "loss_not_finite", "l1 is not finite. Lower the rate.", "after 20 updates"):
        assert words in page.text


def test_other_ends(tmp_path: Path) -> None:
    def told(name: str, *events: object) -> str:
        return ending(read_runs([write_run(tmp_path / name, events), write_run(tmp_path / f"{name}-other")])[0])

    stopped = RunEnded(step=10, reason="stopped", message="SIGTERM")
    assert told("stopped", step_line(10), stopped) == "Stopped early, on request (SIGTERM): 10 of 40 updates."
    assert told("killed", step_line(10)) == (
        "10 of 40 updates, then no line about its end: its process was killed, or runs on another machine."
    )
    assert told("late", step_line(40)) == "All 40 updates, then no line about its end: cut off in its last work."


def test_facts_of_a_run(runs: list[Run]) -> None:
    facts = dict(run_facts(runs))
    assert facts["images seen"] == ["160", "120"]
    assert facts["time of training"] == ["40 s", "30 s"]
    assert facts["images per second"] == ["8", "8"]
    assert facts["memory, at most"] == ["940 MB", "930 MB"]
    assert facts["data"] == ["shoes: 14 to train on, 4 to validate"] * 2
    assert facts["resumed"] == ["–", "after 20 updates"]
    assert facts["weights"] == ["G 5", "G 5"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (0, "0 s"), (59.4, "59 s"), (60, "1 min"), (7500, "2 h 05 min"), (200_000, "2 d 7 h")],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_settings_that_differ_stand_apart_from_those_that_do_not(page: Page) -> None:
    assert "One setting differs" in page.text
    assert page.text.index("99.0") < page.text.index("settings are the same") < page.text.rindex("batch_size")


def test_the_best_is_marked_in_the_direction_of_the_metric(runs: list[Run]) -> None:
    found = {each.name: each for each in standings(runs)}
    for name, best in (("reconstruction_l1", 1), ("diversity_rgb", 0)):
        bars = lead(found[name]).bars
        assert [bar.run for bar in bars] == [best, 1 - best], "the best on top"
        assert [bar.best for bar in bars] == [True, False]
        for row in table_rows(found[name], common_step(runs)):
            assert [cell.best for cell in row.cells] == [best == 0, best == 1], row.what


def test_rows_of_the_table(runs: list[Run]) -> None:
    [standing] = [each for each in standings(runs) if each.name == "reconstruction_l1"]
    rows = table_rows(standing, common_step(runs))
    assert [(row.what, [cell.note for cell in row.cells]) for row in rows] == [
        ("best", ["update 20, 20 s", "update 10, 10 s"]),
        ("newest", ["update 40, 40 s", "update 20, 20 s"]),
        ("after 20 updates, which all have", ["update 20, 20 s", "update 20, 20 s"]),
    ]


def test_rows_that_would_say_the_same_are_one(tmp_path: Path) -> None:
    runs = read_runs([write_run(tmp_path / name, samples=()) for name in "ab"])
    [standing] = [each for each in standings(runs) if each.name == "reconstruction_l1"]
    assert [row.what for row in table_rows(standing, common_step(runs))] == [
        "best",
        "newest, after 40 updates, which all have",
    ]


def test_what_cannot_be_compared_is_said_and_not_marked(tmp_path: Path) -> None:
    runs = read_runs([write_run(tmp_path / name, samples=(), data=f"photos/{name}") for name in ("shoes", "bags")])
    page = Page(render_page(runs))
    assert "validated on different data (shoes, bags): their numbers are not on one scale" in page.text
    assert "mark" not in [tag for tag, _ in page.tags]


def test_sheets_are_there_once_with_the_common_update_shown(page: Page) -> None:
    sheets = [attributes for tag, attributes in page.tags if tag == "img" and "data-step" in attributes]
    assert [(each["data-step"], "hidden" in each) for each in sheets] == [("20", False), ("40", True), ("20", False)]
    moments = json.loads(page.scripts[0])["moments"]
    assert [moment["told"] for moment in moments] == [
        ["after 20 updates, 80 images"] * 2,
        ["after 40 updates, 160 images", "after 20 updates, 80 images: its nearest before 40"],
    ]


def test_runs_that_have_only_begun(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, [], samples=()) for name in "ab"]
    page = Page(render_page(read_runs(folders)))
    for words in (
        "None of the runs has written samples.",
        "None of the runs was validated yet.",
        "No losses were logged",
    ):
        assert words in page.text
    assert len(page.scripts) == 2, "no Plotly without charts"


def test_axes_that_are_not_known_are_not_offered(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, [step_line(10, time=0.0)], samples=()) for name in "ab"]
    for folder in folders:
        (folder / "config.json").unlink()
    page = Page(render_page(read_runs(folders)))
    assert [value["value"] for _, value in page.tags if value.get("name") == "axis"] == ["updates"]
    assert "Their settings are not known." in page.text
