"""The report file: whole, on its own, the same every time, and deaf to what a checkpoint would like it to say."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from evaluation_example import (
    OURS,
    example_codes,
    example_pictures,
    example_result,
    measured,
    ours,
    without_code,
)
from PIL import Image

from bicyclegan.metrics.measurement import Skipped
from bicyclegan.metrics.report import ReportPictures, model_facts, render_report, training_record, write_report

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
        elif data.strip():
            self.words.append(" ".join(data.split()))

    def attributes(self, name: str) -> list[tuple[str, str | None]]:
        return [(tag, attributes[name]) for tag, attributes in self.tags if name in attributes]

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture(scope="module")
def html() -> str:
    return render_report(example_result(), example_pictures(), example_codes())


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def render(**fields: object) -> Page:
    return Page(render_report(example_result(**fields), ReportPictures()))


def test_report_is_written_whole_into_a_new_folder(tmp_path: Path, html: str) -> None:
    path = write_report(tmp_path / "a" / "b", example_result(), example_pictures(), example_codes())
    assert path == tmp_path / "a" / "b" / "report.html"
    assert path.read_text("utf-8") == html
    write_report(path.parent, example_result(checkpoint=ours(name="other")), example_pictures())
    assert "<h1>other</h1>" in path.read_text("utf-8")
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]


def test_the_same_input_gives_the_same_bytes(html: str) -> None:
    assert render_report(example_result(), example_pictures(), example_codes()) == html


def test_nothing_is_loaded_from_anywhere(page: Page) -> None:
    assert {tag for tag, _ in page.attributes("src")} == {"img"}
    assert all(value.startswith("data:image/webp;base64,") for _, value in page.attributes("src"))
    links = page.attributes("href")
    assert {value.split("/")[2] for tag, value in links if tag == "a"} == {"arxiv.org"}
    assert [value for tag, value in links if tag != "a"] == ["data:,"]
    assert not {"iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
    for attribute in ("srcset", "poster", "background", "ping", "action", "data"):
        assert not page.attributes(attribute)


def test_style_loads_nothing(html: str) -> None:
    [style] = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert not re.search(r"url\(|@import|https?:", style)


def test_the_policy_allows_the_scripts_of_the_page_and_no_other(page: Page) -> None:
    [policy] = [tag["content"] for name, tag in page.tags if tag.get("http-equiv") == "Content-Security-Policy"]
    figures, *scripts = page.scripts
    json.loads(figures)
    assert len(scripts) == 2
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert set(re.findall(r"'sha256-(.*?)'", policy)) == set(digests)
    assert "default-src 'none'" in policy
    assert not re.search(r"https?:|script-src[^;]*(unsafe|\*)", policy)


def hostile_result():
    training = {"data": HOSTILE, HOSTILE: {HOSTILE: HOSTILE}, "steps": HOSTILE, "list": [HOSTILE], "deep": {"a": {}}}
    one = measured(HOSTILE, HOSTILE, 1.0, better="lower", references={HOSTILE: 2.0}, protocol=HOSTILE, per_dim=[1.0])
    facts = {"name": HOSTILE, "hash": HOSTILE, "training": training, "skipped": [Skipped(HOSTILE, HOSTILE)]}
    result = example_result()
    return replace(
        result,
        data=HOSTILE,
        checkpoint=replace(result.checkpoint, **facts, measurements=[*result.checkpoint.measurements, one]),
        compared=[replace(result.compared[0], **facts, measurements=[*result.compared[0].measurements, one])],
    )


def harmless(value):
    """The same result with a plain word wherever the hostile text stands."""
    return json.loads(json.dumps(value).replace(json.dumps(HOSTILE)[1:-1], "word"))


def test_texts_of_a_checkpoint_stay_text() -> None:
    from bicyclegan.metrics.measurement import CheckpointFacts, EvaluationResult, Measurement

    def facts(data: dict) -> CheckpointFacts:
        measurements = [Measurement(**each) for each in data.pop("measurements")]
        skipped = [Skipped(**each) for each in data.pop("skipped")]
        return CheckpointFacts(**data, measurements=measurements, skipped=skipped)

    hostile = hostile_result()
    data = harmless(hostile.to_json())
    del data["schema_version"]
    plain = EvaluationResult(
        **{**data, "checkpoint": facts(data["checkpoint"]), "compared": [facts(each) for each in data["compared"]]}
    )
    square = Image.new("RGB", (32, 32))
    bad, good = (
        Page(render_report(result, ReportPictures([(word, word, square)]), example_codes()))
        for result, word in ((hostile, HOSTILE), (plain, "word"))
    )
    assert Counter(tag for tag, _ in bad.tags) == Counter(tag for tag, _ in good.tags)
    assert bad.scripts[1:] == good.scripts[1:]
    assert "<" not in bad.scripts[0]
    assert not [name for _, tag in bad.tags for name in tag if name.startswith("on")]
    assert "{{7*7}}" in bad.text  # and no template either


def test_characters_without_utf8_do_no_harm(tmp_path: Path) -> None:
    facts = ours(name="a\ud800b", skipped=[Skipped("fid", "no \udcff file")])
    path = write_report(tmp_path, example_result(checkpoint=facts, data="\udc80"), ReportPictures())
    assert "<h1>ab</h1>" in path.read_text("utf-8")


def test_the_top_says_what_was_measured(page: Page) -> None:
    assert "Measured on 500 validation pictures of edges2shoes , with 11,773 training photos" in page.text
    assert "seed 0" in page.text
    assert "Compared with pix2pix" in page.text
    for words in ("128 × 128 px", "14.6 million", OURS[:12], "60,000"):
        assert words in page.words
    assert OURS[:13] not in page.text


def test_every_measurement_is_in_the_table(page: Page) -> None:
    for facts in (ours(), without_code()):
        for measurement in facts.measurements:
            assert measurement.name in page.words
            assert measurement.protocol in page.words
    for words in ("0.1523", "± 0.0021", "58.30", "6 of 8", "measured in another way"):
        assert words in page.words


def test_what_was_not_measured_is_said_with_its_reason(page: Page) -> None:
    assert "edges2shoes , fid : The weights of Inception v3 are not here" in page.text
    assert "pix2pix , lpips_diversity : The model has no code" in page.text


def test_one_reason_of_several_models_is_told_once() -> None:
    why = [Skipped("fid", "needs weights"), Skipped("kid", "needs weights"), Skipped("latent", "needs an encoder")]
    found = render(checkpoint=ours(skipped=why[:2]), compared=[without_code(skipped=why)])
    assert "edges2shoes, pix2pix , fid , kid : needs weights" in found.text
    assert found.text.count("needs weights") == 1
    assert "pix2pix , latent : needs an encoder" in found.text


def test_charts_have_a_place_each_and_their_figures(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("class") == "plot"]
    figures = json.loads(page.scripts[0])["charts"]
    assert [figure["id"] for figure in figures] == ids
    assert len(ids) == 8
    assert all(figure["data"] and figure["layout"]["height"] for figure in figures)


def test_pictures_travel_in_the_file(page: Page) -> None:
    sources = [attributes for tag, attributes in page.tags if tag == "img" and "src" in attributes]
    sizes = [sheet.size for _, _, sheet in example_pictures().sheets]
    for attributes, size in zip(sources, sizes, strict=True):
        with Image.open(io.BytesIO(base64.b64decode(attributes["src"].partition(",")[2]))) as picture:
            assert (picture.format, picture.size) == ("WEBP", size)
        assert (int(attributes["width"]), int(attributes["height"])) == size
    assert "10 validation edges x 8 styles" in page.words
    assert "Codes from seed 0." in page.words


def test_a_model_without_code_alone() -> None:
    found = render(checkpoint=without_code(), compared=[], training_images=0)
    assert "Compared with" not in found.text
    assert "as a floor" not in found.text
    assert "none" in found.words  # latent dim
    assert "Numbers of each dim" not in found.words
    assert [chart["id"] for chart in json.loads(found.scripts[0])["charts"]] == ["chart-fid768", "chart-kid768"]


def test_nothing_measured_is_still_a_page_and_a_small_one() -> None:
    html = render_report(example_result(checkpoint=ours(measurements=[]), compared=[]), ReportPictures())
    assert "Nothing was measured." in html
    assert len(html) < 60_000  # no Plotly without charts
    assert len(Page(html).scripts) == 2


def test_numbers_that_are_none_are_said() -> None:
    broken = [measured("fid", "fid", math.nan, better="lower"), measured("kl", "latent", math.inf, per_dim=[math.nan])]
    found = render(checkpoint=ours(measurements=broken), compared=[])
    assert "not a number" in found.words
    assert "infinite" in found.words
    json.loads(found.scripts[0], parse_constant=lambda name: pytest.fail(name))


def test_each_paper_is_named(page: Page) -> None:
    for paper in ("Zhu", "Zhang", "Heusel", "Bińkowski", "Kynkäänniemi", "Burda"):
        assert re.search(rf"{paper} et al\. 20\d\d", page.text)


def test_facts_show_only_what_some_model_has() -> None:
    rows = dict(model_facts([ours(), without_code()]))
    assert rows["batch size"] == ["8", "–"]
    assert rows["objective"] == ["–", "pix2pix"]
    assert rows["latent dim"] == ["8", "none"]
    assert "hardware" not in rows


def test_the_rest_of_a_training_record_is_flat() -> None:
    record = training_record(
        {
            "steps": 5,
            "data": {"name": "shoes"},
            "options": {"loss": {"lambda_kl": 0.01, "on": True}},
            "styles": ["a", 2],
            "empty": "",
            "deep": {"a": {"b": {"c": 1}}},
        }
    )
    assert record == [
        ("data · name", "shoes"),
        ("options · loss · lambda_kl", "0.01"),
        ("options · loss · on", "yes"),
        ("styles", "a, 2"),
        ("deep · a · b", "(1 more)"),
    ]


def test_a_training_record_of_any_size_stays_short() -> None:
    record = training_record({"steps of another": 10**400, **{f"key {k}": "x" * 10_000 for k in range(5000)}})
    assert len(record) == 80
    assert max(len(text) for _, text in record) == 400
