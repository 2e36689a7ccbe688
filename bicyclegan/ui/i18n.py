"""English and Chinese from one source: `locale/en.json` and `locale/zh.json`.

Labels of Gradio components are translated in the browser (`i18n("draw.seed")`), our own JavaScript gets
its texts as a prop (`for_js("canvas")`), and messages made on the server ask `language(request)` and
`text(...)`. Mistakes that the core raises carry a code; `error_text` finds their Chinese wording.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gradio as gr

from bicyclegan.errors import UserError
from bicyclegan.metrics.posterior import PosteriorReport
from bicyclegan.training.data_readings import SEVERITIES, DataReading

LOCALES: dict[str, dict[str, str]] = {
    language: json.loads((Path(__file__).parent / "locale" / f"{language}.json").read_text("utf-8"))
    for language in ("en", "zh")
}
i18n = gr.I18n(
    **{"en": LOCALES["en"], "zh": LOCALES["zh"], "zh-CN": LOCALES["zh"], "zh-TW": LOCALES["zh"]},
)
"""Hand this to `launch(i18n=...)`; call it with a key to label a component."""


def joined(*texts: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Texts of several prefixes, for a component whose scripts are not its own alone."""
    return {language: {key: value for part in texts for key, value in part[language].items()} for language in LOCALES}


def for_js(prefix: str) -> dict[str, dict[str, str]]:
    """Texts below one prefix for a component's script: {"en": {"pen": ...}, "zh": {...}}."""
    start = prefix + "."
    return {
        language: {key.removeprefix(start): value for key, value in texts.items() if key.startswith(start)}
        for language, texts in LOCALES.items()
    }


def language(request: gr.Request | None) -> str:
    """The reader's language, "en" or "zh": the first one in Accept-Language, as the browser itself would choose."""
    header = (request.headers.get("accept-language") or "") if request else ""
    return "zh" if header.strip().lower().startswith("zh") else "en"


def text(lang: str, key: str, **values: object) -> str:
    """A message made on the server, its placeholders filled in. An unknown key is our own bug: KeyError."""
    return LOCALES[lang][key].format(**values)


def error_text(lang: str, error: UserError) -> str:
    """What a person reads of a mistake, in their language. English stands in the exception itself.

    Names of settings among its values are those on the page: `name.seed` and the like.
    """
    template = LOCALES[lang].get(f"error.{error.code}", error.template)
    values = {key: _value_text(lang, value) for key, value in error.values.items()}
    return template.format(**values)


def _value_text(lang: str, value: object) -> object:
    return error_text(lang, value) if isinstance(value, UserError) else LOCALES[lang].get(f"name.{value}", value)


def report_text(lang: str, report: PosteriorReport) -> dict[str, Any]:
    """What a person reads of all codes together, as plain data: see `PosteriorReport.to_json`."""
    words = report.to_json()
    for told, reading in zip(words["readings"], report.readings, strict=True):
        for name, suffix in (("sentence", ""), ("remedy", "_remedy")):
            template = LOCALES[lang].get(f"reading.{reading.code}{suffix}")
            if template and told[name]:
                told[name] = template.format(**reading.values)
    return words


def reading_text(lang: str, reading: DataReading) -> dict[str, str]:
    """What a person reads of one thing that the check of pictures found."""
    sentence, remedy = (
        LOCALES[lang].get(f"check.{reading.code}{suffix}", "").format(**reading.values) for suffix in ("", "_remedy")
    )
    return {"sentence": sentence, "remedy": remedy, "severity": SEVERITIES[reading.code]}


def plain_message(error: gr.Error) -> str:
    """What a platform's own message says, as text: those of a Space's shared GPU are HTML."""
    return " ".join(re.sub(r"<[^>]*>", " ", error.message).split())
