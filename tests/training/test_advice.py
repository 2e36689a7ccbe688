"""Advice on every option: complete in both languages, true to the config, fit for a terminal."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from bicyclegan.config import ModelConfig, from_json
from bicyclegan.errors import UserError
from bicyclegan.metrics import METRICS
from bicyclegan.training.advice import RUN, TEXTS, about_group, advice, fields, find
from bicyclegan.training.advice_page import explain, explained, option
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.presets import PRESETS
from bicyclegan.training.weights import read_schedule

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("en", "zh")
NAMES = [name for names in fields().values() for name in names]
PARTS = {"purpose", "advised", "price"}
LENGTHS = {"en": (25, 260), "zh": (10, 160)}
"""Fewest and most characters of a text: what fits beside a control."""
CHINESE = re.compile(r"[\u4e00-\u9fff]")
NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?(?:e-\d+)?"
WORD = r"[a-z]+(?:_[a-z0-9]+)+"
"""An option, a choice or a metric of several words."""
NO_RANGE = {"dropout", "attention"}
"""Numbers with other limits than a smallest and a largest."""


def load(language: str) -> dict[str, Any]:
    def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(pairs) == len(dict(pairs)), f"twice in {[key for key, _ in pairs]}"
        return dict(pairs)

    return json.loads((TEXTS / f"{language}.json").read_text("utf-8"), object_pairs_hook=no_repeats)


EN, ZH = load("en"), load("zh")


def texts(language: str) -> dict[str, str]:
    """Every text by its place: "lambda_kl.price"."""
    found = {"en": EN, "zh": ZH}[language]["fields"]
    return {f"{name}.{part}": text for name, parts in found.items() for part, text in parts.items()}


def owner(name: str) -> type:
    group = advice(name).group
    return TrainConfig if group == RUN else get_type_hints(TrainConfig)[group]


# The texts


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_has_advice_and_no_other(language: str) -> None:
    found = {"en": EN, "zh": ZH}[language]
    assert set(found["fields"]) ^ set(NAMES) == set()
    assert set(found["groups"]) ^ set(fields()) == set()
    assert [name for name, parts in found["fields"].items() if set(parts) != PARTS] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_short_whole_sentences(language: str) -> None:
    low, high = LENGTHS[language]
    for place, text in texts(language).items():
        assert low <= len(text) <= high, (place, len(text))
        assert text.endswith({"en": ".", "zh": "。"}[language]), place
        assert text == " ".join(text.split()), place
        assert not re.search(r"[{}<>\[\]*`]", text), f"{place}: nothing is filled in or set in type"


def test_chinese_is_chinese() -> None:
    for place, text in texts("zh").items():
        assert len(CHINESE.findall(text)) >= 5, place
        assert not re.search(r"[\u4e00-\u9fff](\.| ?[,;:!?])|[,;:!?] ?[\u4e00-\u9fff]", text), f"{place}: punctuation"
        assert not CHINESE.search(texts("en")[place]), place
    assert all(CHINESE.search(about_group(group, "zh")) for group in fields())


@pytest.mark.parametrize("pattern", [NUMBER, WORD], ids=["numbers", "options"])
def test_both_languages_name_the_same(pattern: str) -> None:
    named = {
        language: {place: set(re.findall(pattern, text)) for place, text in texts(language).items()}
        for language in LANGUAGES
    }
    assert named["en"] == named["zh"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_name_only_what_there_is(language: str) -> None:
    known = {*NAMES, *METRICS, *(choice for name in NAMES for choice in advice(name).choices)}
    for place, text in texts(language).items():
        assert set(re.findall(WORD, text)) <= known, place


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_choice_is_explained(language: str) -> None:
    for name in NAMES:
        about = advice(name, language)
        said = f"{about.purpose} {about.advised} {about.price}".lower()
        assert not [choice for choice in about.choices if choice.lower() not in said], name


def test_values_that_are_advised_are_allowed() -> None:
    """A number at the beginning is one for the field itself, one behind a name is for that."""
    tried = 0
    for name in NAMES:
        advised = advice(name).advised
        own = re.findall(rf"^({NUMBER})(?: to ({NUMBER}))?", advised)
        others = re.findall(rf"\b({'|'.join(NAMES)}) ({NUMBER})(?![\w.])", advised)
        given = [(name, value) for pair in own for value in pair if value]
        for field, value in [*given, *others]:
            limits = advice(field).limits
            assert limits is None or limits[0] <= float(value) <= limits[1], (name, field, value)
            tried += limits is not None
    assert tried > 60


def test_the_example_of_a_schedule_can_be_read() -> None:
    for language in LANGUAGES:
        example = re.findall(r"\w+=\S+@[\w%-]+", advice("weight_schedule", language).purpose)
        assert [(change.name, change.value) for change in read_schedule(" ".join(example))] == [
            ("lambda_l1", 5),
            ("lambda_kl", 0),
            ("lambda_kl", 0.01),
        ]


# What is asked of the config


def test_fields_come_in_groups_in_the_order_of_the_config() -> None:
    assert next(iter(fields())) == RUN
    assert fields()[RUN][:3] == ("data", "out", "preset")
    assert fields()["model"][0] == "image_size" and "lambda_kl" in fields()["loss"]
    assert len(NAMES) == len(set(NAMES))


def test_advice_knows_field_group_and_language() -> None:
    english, chinese = advice("lambda_kl"), advice("lambda_kl", "zh")
    assert (english.field, english.group, english.kind, english.choices) == ("lambda_kl", "loss", "number", ())
    assert english.what == chinese.what == "Weight of KL(E(B) || N(0, I))."
    assert english.purpose == EN["fields"]["lambda_kl"]["purpose"]
    assert chinese.price == ZH["fields"]["lambda_kl"]["price"]
    assert advice("steps").group == RUN and advice("steps").kind == "whole number"


def test_every_field_tells_its_docstring_in_one_line() -> None:
    for name in NAMES:
        source = " ".join(inspect.getsource(owner(name)).split())
        told = rf"\b{name}: .{{1,120}}? \"\"\"{re.escape(advice(name).what)}\"\"\""
        assert re.search(told, source), name


@pytest.mark.parametrize("spelling", ["lambda_kl", "lambda-kl", "--lambda-kl", "--lambda_kl=3", " LAMBDA-KL "])
def test_any_spelling_finds_the_field(spelling: str) -> None:
    assert find(spelling) == "lambda_kl"
    assert advice(spelling) == advice("lambda_kl")


def test_numbers_have_the_limits_of_the_config() -> None:
    numbers = {name: advice(name) for name in NAMES if advice(name).kind in ("number", "whole number")}
    assert {name for name, about in numbers.items() if about.limits is None} == NO_RANGE
    for name, about in numbers.items():
        for beyond in () if about.limits is None else (about.limits[0] - 1, about.limits[1] + 1):
            with pytest.raises(UserError, match=rf"\.{name} is "):
                from_json(owner(name), {name: int(beyond) if about.kind == "whole number" else beyond})


def test_limits_and_choices_by_example() -> None:
    assert advice("free_bits").limits == (0, 10) and advice("free_bits").allowed == "a number from 0 to 10"
    assert advice("steps").allowed == "a whole number from 1 to 100,000,000"
    assert advice("dropout").allowed == "0 up to, not including, 1"
    assert advice("attention").allowed.startswith("one of 0, 4, 8")
    assert advice("inject").choices == ("all", "input", "adain") and advice("inject").allowed == "all | input | adain"
    assert advice("map_code").kind == "flag" and advice("map_code").limits is None
    assert advice("data").allowed == "text"


def test_defaults_are_those_of_each_preset() -> None:
    assert advice("base_channels").defaults == {"fast": 32, "quality": 40, "official": 64}
    assert advice("steps").defaults == {name: preset.steps for name, preset in PRESETS.items()}
    assert advice("reduction").defaults["official"] == "official"
    assert set(advice("preset").defaults.values()) == {"fast"}


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("lamda_kl", "lambda_kl"),
        ("noise", "instance_noise, condition_noise"),
        ("--learning", "learning_rate"),
        ("Optimizer", "optim"),
        ("xyz", "run, source, augment"),
        ("", "run, source, augment"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"no option {name!r} to explain; try {near}")) as error:
        advice(name)
    assert error.value.code == "advice_unknown"
    assert str(error.value).endswith("--explain all.")


def test_a_group_is_no_field() -> None:
    assert find("model") == "model"
    with pytest.raises(UserError, match="no option 'model'"):
        advice("model")


# For people and for programs


@pytest.mark.parametrize("width", [40, 60, 100])
@pytest.mark.parametrize("topic", ["all", "loss", "model", "lambda_mode_seeking", "adversarial", "weight_schedule"])
def test_pages_fit_the_width(topic: str, width: int) -> None:
    lines = explain(topic, width).splitlines()
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if line != line.rstrip()]


def test_the_terminal_decides_about_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    assert explain("lambda_kl") == explain("lambda_kl", 50) != explain("lambda_kl", 90)
    monkeypatch.setenv("COLUMNS", "500")
    assert max(map(len, explain("lambda_kl").splitlines())) <= 100, "lines that long cannot be read"


def test_a_page_says_everything() -> None:
    for name in NAMES:
        about, page = advice(name), " ".join(explain(name, 80).split())
        assert page.startswith(f"{option(name)} (group {about.group})")
        for text in (about.what, about.purpose, about.advised, about.price, about.allowed):
            assert text in page


def test_defaults_are_told_shortly() -> None:
    assert "Default  0.01 (in all presets)" in explain("lambda_kl", 100)
    assert "Default  32 in fast, 40 in quality, 64 in official" in explain("base_channels", 100)
    assert "Default  off (in all presets)" in explain("spectral_norm", 100)
    assert "Default  empty (in all presets)" in explain("init_from", 100)
    assert "Default  0.0002 (in all presets)" in explain("learning_rate", 100)


def test_names_are_never_parted() -> None:
    assert all("wgan-\n" not in explain("adversarial", width) for width in range(40, 100))


def test_a_group_has_a_line_for_each_of_its_fields() -> None:
    for group, names in fields().items():
        lines = explain(group, 100).splitlines()
        found = [line.split()[0] for line in lines if line.startswith("--") and not line.startswith("--explain")]
        assert found == [option(name) for name in names]
        assert lines[0].startswith(f"{group}: ")


def test_the_overview_names_every_field() -> None:
    words = set(re.findall(r"\w+", explain("all", 80)))
    assert not {*NAMES, *fields()} - words


def test_programs_get_the_same() -> None:
    assert explained("--lambda-kl") == asdict(advice("lambda_kl"))
    assert [each["field"] for each in explained("optim")["fields"]] == list(fields()["optim"])
    assert explained("optim")["purpose"] == about_group("optim")
    assert explained("all") == {"groups": {group: list(names) for group, names in fields().items()}}
    assert json.loads(json.dumps(explained("model")))["fields"][0]["limits"] == list(advice("image_size").limits)


def test_the_model_of_a_preset_is_shown_not_the_class_default() -> None:
    assert advice("image_size").defaults["fast"] != ModelConfig().image_size


def test_it_is_light() -> None:
    code = (
        "import sys\nfor name in ('torch', 'numpy', 'cv2'): sys.modules[name] = None\n"
        "from bicyclegan.training.advice_page import explain\nprint(explain('lambda_kl', 80))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.startswith("--lambda-kl")
