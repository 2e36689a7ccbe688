"""English and Chinese say the same, and every text that the program asks for exists."""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from string import Formatter

import pytest
from code_search import PACKAGE, calls, imported, literal, package_files

from bicyclegan.metrics.posterior import REMEDIES, SENTENCES

UI = PACKAGE / "ui"
USER_ERRORS = ("bicyclegan.errors.UserError", "bicyclegan.UserError")
TEXTS = "bicyclegan.ui.i18n"
KEY = re.compile(r"[a-z][A-Za-z0-9_]*(\.[a-z][A-Za-z0-9_]*)+")


def load(language: str) -> dict[str, str]:
    return json.loads((UI / "locale" / f"{language}.json").read_text("utf-8"))


EN, ZH = load("en"), load("zh")


def fields(template: str) -> set[str]:
    """Names of the placeholders: "{count:,} of {limit!r}" -> {"count", "limit"}."""
    return {re.split(r"[.[]", name)[0] for _, name, _, _ in Formatter().parse(template) if name is not None}


def is_error(key: str) -> bool:
    return key.startswith("error.")


def is_reading(key: str) -> bool:
    return key.startswith("reading.")


def is_only_chinese(key: str) -> bool:
    """Whether the English is the template in the code."""
    return is_error(key) or is_reading(key)


# Both languages


def test_both_languages_have_the_same_keys() -> None:
    shared = {key for key in ZH if not is_only_chinese(key)}
    assert EN, "en.json is empty"
    assert not set(EN) ^ shared
    assert not [key for key in EN if is_only_chinese(key)], "English of these is the template in the code"


def test_both_languages_have_the_same_placeholders() -> None:
    assert not {key: (EN[key], ZH[key]) for key in EN.keys() & ZH.keys() if fields(EN[key]) != fields(ZH[key])}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_texts_are_lines_with_something_to_read(language: str) -> None:
    texts = load(language)
    assert not {key: text for key, text in texts.items() if not isinstance(text, str) or not text.strip()}
    assert not [key for key in texts if not KEY.fullmatch(key)]


def test_no_key_is_written_twice() -> None:
    def no_repeats(pairs: list[tuple[str, str]]) -> dict[str, str]:
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys)), sorted({key for key in keys if keys.count(key) > 1})
        return dict(pairs)

    for path in (UI / "locale").glob("*.json"):
        json.loads(path.read_text("utf-8"), object_pairs_hook=no_repeats)


# Errors


def user_errors(source: str, module: str = "", is_package: bool = False) -> Iterator[tuple[str, str, set[str] | None]]:
    """(code, template, given values) of every UserError in a module; values None where they come as **values."""
    for call in (call for name in USER_ERRORS for call in calls(source, name, module, is_package)):
        code, template = (literal(arg) for arg in [*call.args, None, None][:2])
        assert code and template, f"line {call.lineno}: code and template of a UserError must be string literals"
        names = {keyword.arg for keyword in call.keywords}
        yield code, template, None if None in names else names


@cache
def all_user_errors() -> list[tuple[str, str, set[str] | None]]:
    return [
        found
        for module, path in package_files().items()
        for found in user_errors(path.read_text("utf-8"), module, path.name == "__init__.py")
    ]


def test_every_error_has_its_chinese_text() -> None:
    missing = sorted({code for code, _, _ in all_user_errors() if f"error.{code}" not in ZH})
    assert not missing, f"zh.json lacks error.<code> for {', '.join(missing)}"


def test_chinese_errors_have_the_placeholders_of_the_english_ones() -> None:
    different = {
        code: (sorted(fields(template)), sorted(fields(ZH[f"error.{code}"])))
        for code, template, _ in all_user_errors()
        if f"error.{code}" in ZH and fields(template) != fields(ZH[f"error.{code}"])
    }
    assert not different


def test_errors_are_given_their_values() -> None:
    wrong = [code for code, template, given in all_user_errors() if given is not None and given != fields(template)]
    assert not wrong


def test_one_code_means_one_mistake() -> None:
    templates: dict[str, set[str]] = defaultdict(set)
    for code, template, _ in all_user_errors():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", code), code
        templates[code].add(template)
    assert not {code: found for code, found in templates.items() if len(found) > 1}


def test_no_error_text_is_left_over() -> None:
    used = {f"error.{code}" for code, _, _ in all_user_errors()}
    assert not sorted({key for key in ZH if is_error(key)} - used)


def test_errors_are_found_in_source() -> None:
    source = (
        "from bicyclegan.errors import UserError as Mistake\n"
        "raise Mistake('seed_range', 'Seed {seed:,} ' 'of ' + '{limit!r}', seed=1, limit=2)"
    )
    assert list(user_errors(source)) == [("seed_range", "Seed {seed:,} of {limit!r}", {"seed", "limit"})]
    with pytest.raises(AssertionError, match="literals"):
        list(user_errors("from bicyclegan.errors import UserError\nUserError(code, f'{x}')"))


# Readings of codes: their English is in the core, which speaks without the UI

READINGS = {
    **{f"reading.{code}": template for code, template in SENTENCES.items()},
    **{f"reading.{code}_remedy": template for code, template in REMEDIES.items()},
}


def test_every_reading_has_its_chinese_text_and_none_is_left_over() -> None:
    assert READINGS.keys() == {key for key in ZH if is_reading(key)}


def test_chinese_readings_have_the_placeholders_of_the_english_ones() -> None:
    known = READINGS.keys() & ZH.keys()
    assert not {key: (READINGS[key], ZH[key]) for key in known if fields(READINGS[key]) != fields(ZH[key])}


# Keys that the program asks for


def python_keys(source: str, module: str = "", is_package: bool = False) -> Iterator[str]:
    """Keys asked for in Python; "draw.*" for a whole section or a key that is put together."""
    for function, position in (("i18n", 0), ("text", 1)):
        for call in calls(source, f"{TEXTS}.{function}", module, is_package):
            yield from _key(call.args[position] if len(call.args) > position else _keyword(call, "key"))
    for call in calls(source, f"{TEXTS}.for_js", module, is_package):
        yield from (f"{key}.*" for key in _key(call.args[0] if call.args else _keyword(call, "prefix")))


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _key(node: ast.expr | None) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from (*_key(node.body), *_key(node.orelse))
    elif isinstance(node, ast.JoinedStr) and node.values and (start := literal(node.values[0])):
        yield start + "*"
    elif key := literal(node):
        yield key


def exists(key: str) -> bool:
    if key.endswith("*"):
        return any(known.startswith(key[:-1]) for known in EN)
    return key in EN


def test_every_key_in_python_exists() -> None:
    found = {
        module: sorted(key for key in python_keys(path.read_text("utf-8"), module) if not exists(key))
        for module, path in package_files().items()
        if any(name.startswith(TEXTS) for name in imported(path.read_text("utf-8"), module))
    }
    assert found, "no module uses the texts"
    assert not {module: keys for module, keys in found.items() if keys}


def key_like(source: str) -> set[str]:
    """String literals that look like the key of a section there is, wherever they stand: tables of keys, arguments."""
    sections = {key.split(".")[0] for key in EN}
    words = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    keys = {word for word in words if isinstance(word, str) and KEY.fullmatch(word)}
    return {key for key in keys if key.split(".")[0] in sections and not key.endswith((".js", ".css", ".html"))}


def test_every_word_in_the_ui_that_looks_like_a_key_exists() -> None:
    unknown = {path.name: key_like(path.read_text("utf-8")) - EN.keys() for path in UI.rglob("*.py")}
    assert not {name: keys for name, keys in unknown.items() if keys}


def test_keys_are_found_in_python() -> None:
    source = (
        "from bicyclegan.ui.i18n import for_js, i18n, text as say\nfrom bicyclegan.ui import i18n as texts\n"
        "i18n('draw.seed'), say(lang, 'draw.busy', n=1), texts.text(lang, key='draw.late'), for_js('canvas')\n"
        "say(lang, f'tool.{name}'), i18n('draw.on' if live else 'draw.off'), i18n(variable), other.text(1, 'no')"
    )
    expected = ["draw.seed", "draw.busy", "draw.late", "canvas.*", "tool.*", "draw.on", "draw.off"]
    assert sorted(python_keys(source)) == sorted(expected)


# Keys that our scripts ask for: `texts.pen`, `texts["pen"]`, `say("cleared")`, and data-text="pen" in the markup

SCRIPT_KEY = re.compile(r"""\btexts\??\.(\w+)|\btexts\[["'](\w+)["']\]|\b(?:say|t)\(\s*["'](\w+)["']""")
MARKUP_KEY = re.compile(r"""data-(?:text|label)=["'](\w+)["']""")


def script_keys(script: str, markup: str = "") -> set[str]:
    asked = [next(filter(None, groups)) for groups in SCRIPT_KEY.findall(re.sub(r"\bprops\.texts\S*", "", script))]
    return {*asked, *MARKUP_KEY.findall(script), *MARKUP_KEY.findall(markup)}


def components() -> dict[str, tuple[set[str], str, str]]:
    """Module that names scripts -> (its sections of the locale files, all keys asked for, all source text)."""
    found = {}
    for path in UI.rglob("*.py"):
        python = path.read_text("utf-8")
        scripts, pages = (
            "\n".join(file.read_text("utf-8") for file in (UI / "static").glob(pattern) if f'"{file.name}"' in python)
            for pattern in ("*.js", "*.html")
        )
        if scripts:
            sections = {key[:-1] for key in python_keys(python) if key.endswith(".*")}
            found[path.name] = (sections, script_keys(scripts, pages), python + scripts + pages)
    return found


def test_every_script_belongs_to_a_module() -> None:
    """So that the tests below see it."""
    named = "\n".join(path.read_text("utf-8") for path in UI.rglob("*.py"))
    assert not [file.name for file in (UI / "static").glob("*.js") if f'"{file.name}"' not in named]


def test_every_key_in_scripts_exists() -> None:
    assert components(), "there are no scripts"
    for name, (sections, asked, _) in components().items():
        known = {key.removeprefix(section) for section in sections for key in EN if key.startswith(section)}
        assert not asked - known, f"scripts of {name} ask {sorted(sections)} for {sorted(asked - known)}"


def test_no_text_of_a_script_is_left_over() -> None:
    for name, (sections, _, source) in components().items():
        words = set(re.findall(r"\w+", source))
        keys = [(key, key.removeprefix(section)) for section in sections for key in EN if key.startswith(section)]
        unused = sorted(key for key, word in keys if word not in words)
        assert not unused, f"{name} and its scripts never ask for {unused}"


def test_keys_are_found_in_scripts() -> None:
    script = (
        "const texts = { ...props.texts?.en, ...props.texts?.[language] };\n"
        'say(\'cleared\', true); slider.ariaLabel = texts.width; t( "busy" ); x = texts["late"] + texts[key];\n'
        "const context = contexts.best; format('no');"
    )
    expected = {"cleared", "width", "busy", "late", "pen", "photo"}
    assert script_keys(script, '<b data-text="pen" data-label="photo">') == expected
