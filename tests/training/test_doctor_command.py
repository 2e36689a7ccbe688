"""`python -m bicyclegan doctor`: findings for people and programs, and folders that are not what they should be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_example import story, write_run

from bicyclegan.cli import main
from bicyclegan.training import doctor_report
from bicyclegan.training.doctor_report import LABELS, PROBLEMS, chart_lines
from bicyclegan.training.events import RunStarted, StepLogged, to_line
from bicyclegan.training.health import Chart, Diagnosis, Line, Words
from bicyclegan.training.sparkline import columns, sparkline, wrapped

FIELDS = ["name", "severity", "step", "evidence", "cause", "remedy", "patch"]
SAID = Words("G ignores z", "Diversity is 0.003.", "Nobody asks for it.", "Weigh the latent loss.")
FOUND = Diagnosis(
    "ignores_z",
    "ill",
    40,
    patch={"lambda_z": 0.5},
    chart=Chart((Line("latent_l1", (10, 20), (0.9, 0.8)), Line("rgb", (10, 20, 30), (0.1, None, 0.3))), level=0.798),
)


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]):
    """`doctor(path, ...)` -> what --json prints."""

    def run(*args: object) -> dict:
        main(["doctor", *map(str, args), "--json"])
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def ill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run has the same illness."""
    monkeypatch.setattr(doctor_report, "diagnose", lambda log: [FOUND])
    monkeypatch.setattr(doctor_report, "words", lambda found, language: SAID)


def silent_run(folder: Path) -> Path:
    """A run whose G gets no gradient of D, as far as its lines tell."""
    lines = [
        StepLogged(
            step=step,
            losses={"gan_random": 0.9, "l1": 0.3},
            weights={"gan_random": 1.0, "l1": 10.0},
            gradient_shares={"gan_random": 0.0, "l1": 1.0},
        )
        for step in range(20, 400, 20)
    ]
    return write_run(folder, [RunStarted(step=0), *lines])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_real_finding_in_both_languages(doctor, tmp_path: Path, language: str) -> None:
    result = doctor(silent_run(tmp_path / "x"), "--language", language)
    first = result["findings"][0]
    assert list(first) == FIELDS and (first["name"], first["severity"]) == ("no_adversarial_gradient", "ill")
    assert result["steps"] == 380 and result["problems"] == []
    assert all(first[part] for part in ("evidence", "cause", "remedy"))
    assert ("detach" in first["cause"]) and (language == "en") == first["cause"].isascii()


def test_a_report_for_people(
    ill: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    main(["doctor", str(write_run(tmp_path / "x", lambda_z=0.0))])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("x: 40 updates") and lines[1] == ""
    assert lines[2:] == [
        "ILL      G ignores z" + " " * 53 + "step 40",
        "         Diversity is 0.003.",
        "         latent_l1  █▁  0.9 … 0.8",
        "         rgb        ▁ █  0.1 … 0.3  (line at 0.798)",
        "         Cause   Nobody asks for it.",
        "         Remedy  Weigh the latent loss.",
        "         Change  lambda_z 0 → 0.5",
    ]


def test_all_that_programs_get(ill: None, doctor, tmp_path: Path) -> None:
    run = write_run(tmp_path / "x")
    result = doctor(run)
    assert result == {
        "findings": [
            {
                "name": "ignores_z",
                "severity": "ill",
                "step": 40,
                "evidence": SAID.evidence,
                "cause": SAID.cause,
                "remedy": SAID.remedy,
                "patch": {"lambda_z": 0.5},
            }
        ],
        "run": str(run),
        "steps": 40,
        "problems": [],
    }


def test_nothing_found_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", str(write_run(tmp_path / "x"))])
    assert "Nothing is wrong as far as 40 updates tell. Rules that need more" in capsys.readouterr().out
    main(["doctor", str(write_run(tmp_path / "y", [RunStarted(step=0)]))])
    assert "no update to judge yet" in capsys.readouterr().out


# What is not as it should be


def text(*events: object) -> str:
    return "".join(map(to_line, events))


GOOD = text(*story())
STRANGE = {
    "empty": ("", 0, ["Nothing in the file"]),
    "cut off": (GOOD[:-20], 40, ["The last line (9) is cut off"]),
    "cut off in a line of losses": (GOOD + '{"kind": "step", "step": 50, "losses": {"l1"', 40, ["(10) is cut off"]),
    "damaged": ('{"kind": "ste\x00\n' + GOOD, 40, ["Damaged lines that were left out: 1, the first is line 1"]),
    "newer": (GOOD + '{"kind": "dream", "step": 41}\n', 40, ["Lines of a newer program that were left out: 1"]),
    "newer fields": (GOOD.replace('"losses"', '"mood": [1], "losses"'), 40, []),
    "other program": ('{"event": "loss", "value": 1}\n' * 3, 0, ["another program that were left out: 3", "Nothing"]),
    "not even JSON": ("epoch,loss\n1,0.5\n2,0.4\n", 0, ["Damaged lines that were left out: 3", "Nothing"]),
    "binary": ("\x00\ufffd\x01" * 999, 0, ["(1) is cut off", "Nothing"]),
}


@pytest.mark.parametrize("case", STRANGE)
def test_strange_events_are_told_and_the_rest_is_read(doctor, tmp_path: Path, case: str) -> None:
    content, steps, problems = STRANGE[case]
    run = write_run(tmp_path / "x")
    (run / "events.jsonl").write_text(content, "utf-8")
    for path in (run, run / "events.jsonl"):
        result = doctor(path)
        assert result["steps"] == steps
        assert len(result["problems"]) == len(problems)
        for told, expected in zip(result["problems"], problems, strict=True):
            assert expected in told and "\n" not in told


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ('{"schema_version": 99}', "has schema_version 99; this program reads 1"),
        ('{"model_type": "llama"}', "has schema_version None"),
        ("{", "is not valid JSON"),
        ("[]", "has schema_version 'list'"),
        (None, ""),
    ],
)
def test_a_strange_config_is_told_and_the_events_are_read(
    doctor, tmp_path: Path, config: str | None, problem: str
) -> None:
    run = write_run(tmp_path / "x")
    (run / "config.json").unlink()
    if config is not None:
        (run / "config.json").write_text(config)
    result = doctor(run)
    assert result["steps"] == 40
    assert len(result["problems"]) == bool(problem) and all(problem in each for each in result["problems"])


def test_a_published_checkpoint_is_read(doctor, tmp_path: Path) -> None:
    (tmp_path / "training.jsonl").write_text(GOOD)
    (tmp_path / "config.json").write_text('{"schema_version": 1, "model": {}}')
    for path in (tmp_path, tmp_path / "training.jsonl"):
        assert doctor(path) == {"findings": [], "run": str(path), "steps": 40, "problems": []}


@pytest.mark.parametrize("where", ["nothing", "empty"])
def test_where_there_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as caught:
        main(["doctor", str(tmp_path / where)])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: There is no run in ") and error.count("\n") == 1


# Text


def test_sparklines() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([2, 2, 2]) == "▁▁▁" and sparkline([]) == "" and sparkline([None]) == " "
    assert sparkline([0, None, 1]) == "▁ █"
    assert sparkline([*range(1000)], width=8) == "▁▂▃▄▅▆▇█"


@pytest.mark.parametrize("width", [8, 20, 41])
def test_wrapped_lines_fit_and_lose_nothing(width: int) -> None:
    english = "The code says less and less of the photo as training goes on"
    chinese = "判别器几乎总是正确，得分为 0.98，生成器得不到有用的梯度。请降低 lambda_z！"
    for said in (english, chinese):
        lines = wrapped(said, width)
        assert all(columns(line) <= width + 2 for line in lines)
        assert "".join("".join(lines).split()) == "".join(said.split())
        assert not [line for line in lines if line[0] in "，。！"]
    assert " ".join(wrapped(english, width)) == english and wrapped("", 8) == []


def test_both_languages_say_the_same() -> None:
    assert PROBLEMS["en"].keys() == PROBLEMS["zh"].keys()
    assert LABELS["en"].severities.keys() == LABELS["zh"].severities.keys()
    even = Chart((Line("share", (1, 2), (0.0, 0.0)),))
    assert chart_lines(even, LABELS["en"]) == ["share  ▁▁  0"]
