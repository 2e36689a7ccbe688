"""The doctor's findings about a run as text for a terminal, and as plain data."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bicyclegan.errors import UserError
from bicyclegan.training.checks import flat_options
from bicyclegan.training.dcgan_config import DcganConfig
from bicyclegan.training.health import RULES, Chart, Diagnosis, Words, diagnose, read_log, words
from bicyclegan.training.run_folder import RunFolder
from bicyclegan.training.run_log import Problem
from bicyclegan.training.sparkline import columns, sparkline, wrapped

Language = Literal["en", "zh"]
MAX_WIDTH, BARS = 100, 40
INDENT = 9
COLOURS = {"ill": "\x1b[1;31m", "watch": "\x1b[1;33m", "note": "\x1b[1;36m"}
PLAIN = "\x1b[0m"


@dataclass(frozen=True)
class _Labels:
    """What is said around the findings."""

    severities: Mapping[str, str]
    step: str
    cause: str
    remedy: str
    change: str
    level: str
    none: str
    nothing: str
    waiting: str
    head: str


LABELS: dict[Language, _Labels] = {
    "en": _Labels(
        severities={"ill": "ILL", "watch": "WATCH", "note": "NOTE"},
        step="step {step:,}",
        cause="Cause",
        remedy="Remedy",
        change="Change",
        level="line at {level}",
        none="Nothing is wrong as far as {steps:,} updates tell.",
        nothing="There is no update to judge yet.",
        waiting=" Rules that need more of them: {count} of {all}.",
        head="{run}: {steps:,} updates",
    ),
    "zh": _Labels(
        severities={"ill": "异常", "watch": "注意", "note": "提示"},
        step="第 {step:,} 步",
        cause="原因",
        remedy="办法",
        change="改动",
        level="参考线 {level}",
        none="就 {steps:,} 步来看，没有发现问题。",
        nothing="还没有可供判断的步骤。",
        waiting="{all} 条规则中有 {count} 条需要更多步数。",
        head="{run}：{steps:,} 步",
    ),
}
PROBLEMS: dict[Language, dict[str, str]] = {
    "en": {
        "no_events": "Nothing in the file is an event of a run.",
        "cut_off": "The last line ({line}) is cut off: it was left out.",
        "damaged": "Damaged lines that were left out: {count}, the first is line {line}.",
        "unknown_kinds": "Lines of a newer program that were left out: {count}, the first is line {line}.",
        "other_program": "Lines of another program that were left out: {count}, the first is line {line}.",
    },
    "zh": {
        "no_events": "文件中没有任何训练事件。",
        "cut_off": "最后一行（第 {line} 行）不完整，已略过。",
        "damaged": "已略过 {count} 行损坏的内容，首处在第 {line} 行。",
        "unknown_kinds": "已略过 {count} 行较新程序写入的内容，首处在第 {line} 行。",
        "other_program": "已略过 {count} 行其他程序写入的内容，首处在第 {line} 行。",
    },
}
"""What could not be read of a file of events, by the codes of `run_log.Problem`."""


@dataclass(frozen=True)
class Report:
    """What the doctor found in one run."""

    path: Path
    findings: tuple[tuple[Diagnosis, Words], ...]
    """Worst and likeliest first."""
    steps: int
    """Updates that were looked at."""
    problems: tuple[str, ...]
    """What could not be read, a line each."""
    options: Mapping[str, Any]
    """Settings of the run as they are."""
    waiting: int = 0
    """Rules that have not seen enough updates."""
    language: Language = "en"

    def to_json(self) -> dict[str, Any]:
        """Plain data: findings, run, steps, problems."""
        return {
            "findings": [
                {
                    "name": found.name,
                    "severity": found.severity,
                    "step": found.step,
                    "evidence": said.evidence,
                    "cause": said.cause,
                    "remedy": said.remedy,
                    "patch": found.patch,
                }
                for found, said in self.findings
            ],
            "run": str(self.path),
            "steps": self.steps,
            "problems": list(self.problems),
        }

    def lines(self, head: bool = True) -> list[str]:
        """For a terminal.

        head: begin with the name of the run.
        """
        labels, width = LABELS[self.language], min(MAX_WIDTH, shutil.get_terminal_size().columns)
        lines = [labels.head.format(run=self.path, steps=self.steps)] if head else []
        lines += [f"! {problem}" for problem in self.problems]
        if not self.findings:
            lines.append(self._nothing(labels))
        for found, said in self.findings:
            lines += (
                ["", *self._finding(found, said, labels, width)] if lines else self._finding(found, said, labels, width)
            )
        return lines

    def _nothing(self, labels: _Labels) -> str:
        said = (labels.none if self.steps else labels.nothing).format(steps=self.steps)
        return said + (labels.waiting.format(count=self.waiting, all=len(RULES)) if self.steps and self.waiting else "")

    def _finding(self, found: Diagnosis, said: Words, labels: _Labels, width: int) -> list[str]:
        word = labels.severities[found.severity]
        step = labels.step.format(step=found.step)
        free = width - INDENT - columns(said.title) - columns(step)
        first = f"{_coloured(word, found.severity)}{' ' * (INDENT - columns(word))}{said.title}"
        lines = [f"{first}{' ' * max(2, free)}{step}", *_indented(said.evidence, width)]
        if found.chart:
            lines += [" " * INDENT + line for line in chart_lines(found.chart, labels)]
        parts = {labels.cause: said.cause, labels.remedy: said.remedy, labels.change: ", ".join(self.changes(found))}
        wide = max(map(columns, parts))
        for label, text in parts.items():
            lines += _labelled(label, text, wide, width)
        return lines

    def changes(self, found: Diagnosis) -> Iterator[str]:
        """What its remedy changes: "lambda_z 0 → 0.5"."""
        for name, value in found.patch.items():
            before = f" {value_text(self.options[name])}" if name in self.options else ""
            yield f"{name}{before} → {value_text(value)}"


def examine(path: Path, language: Language = "en") -> Report:
    """What the doctor finds in a run folder, the folder of a checkpoint, or a file of events.

    Raises:
        UserError: when there is nothing to read.
    """
    log = read_log(path)
    options, problems = settings(path, log.options)
    problems = [*(problem_text(each, language) for each in log.problems), *problems]
    findings = tuple((found, words(found, language)) for found in diagnose(log))
    waiting = sum(each.least > log.young for each in RULES)
    return Report(path, findings, log.last, tuple(problems), options, waiting, language)


def problem_text(problem: Problem, language: Language) -> str:
    """What could not be read of a file, as a sentence."""
    template = PROBLEMS[language].get(problem.code, problem.code)
    return template.format(count=problem.count, line=problem.line)


def settings(path: Path, told: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[str]]:
    """Settings of a run by name, and what is wrong with its config.json. told: what its events say of them."""
    run = RunFolder(path)
    if not run.config_file.is_file() or not run.events_file.is_file():  # a file alone, or a published checkpoint
        return told, []
    try:
        config = run.load_any_config()
    except UserError as error:
        return told, [str(error)]
    except OSError as error:
        return told, [f"{run.config_file}: {error.strerror}"]
    found = config.options() if isinstance(config, DcganConfig) else flat_options(config)
    return found, []


def value_text(value: object) -> str:
    """A setting as people write it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def chart_lines(chart: Chart, labels: _Labels) -> list[str]:
    """A sparkline for each line of a chart, with its name and range."""
    width = max((columns(line.name) for line in chart.lines), default=0)
    lines = []
    for line in chart.lines:
        known = [value for value in line.values if value is not None]
        if known:
            ends = dict.fromkeys(value_text(float(value)) for value in (known[0], known[-1]))
            padding = " " * (width - columns(line.name))
            lines.append(f"{line.name}{padding}  {sparkline(line.values, BARS)}  {' … '.join(ends)}")
    if lines and chart.level is not None:
        lines[-1] += f"  ({labels.level.format(level=value_text(chart.level))})"
    return lines


def _labelled(label: str, text: str, wide: int, width: int) -> list[str]:
    """A paragraph with a word before it, in a column of its own. Nothing without text."""
    lines = _indented(text, width, INDENT + wide + 2)
    word = label + " " * (wide - columns(label))
    return [f"{' ' * INDENT}{word}  {lines[0].lstrip()}", *lines[1:]] if lines else []


def _indented(text: str, width: int, by: int = INDENT) -> list[str]:
    return [" " * by + line for line in wrapped(text, max(20, width - by))]


def _coloured(word: str, severity: str) -> str:
    """For terminals that show colours, of people who want them (no-color.org)."""
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        return f"{COLOURS[severity]}{word}{PLAIN}"
    return word
