"""`python -m bicyclegan train`: every field of `TrainConfig` is an option, and the preset sets their defaults."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bicyclegan.errors import UserError
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.launched import is_main
from bicyclegan.training.objectives import OBJECTIVES
from bicyclegan.training.presets import PRESETS, model_for_objective, model_for_size
from bicyclegan.training.run_folder import RunFolder


@dataclass(frozen=True)
class Train:
    """Train a model on your own pictures, or go on with one.

    What an option is for, when it is advised and what it costs: --explain lambda-kl, --explain loss, --explain all.
    Example: python -m bicyclegan train --data photos --out runs/shoes --steps 20000
    """

    config: TrainConfig = field(default_factory=TrainConfig)
    resume: bool = False
    """Go on with the run in --out from its newest checkpoint, as if it had never stopped."""
    dry_run: bool = False
    """Print the plan (steps, epochs, memory, time from 10 measured steps) and train nothing."""
    explain: str = ""
    """Name of an option, of a group of them, or all: tell what it is for, when it is advised and what it costs, and
    train nothing."""
    json: bool = False
    """Print machine-readable JSON instead of lines for people."""

    def run(self) -> dict[str, Any]:
        if self.explain:
            return self._explain()
        from tqdm import tqdm

        def report(line: str) -> None:
            if not is_main():
                return
            tqdm.write(line, file=sys.stderr if self.json else sys.stdout)  # leaves a progress bar whole
            sys.stdout.flush()

        # Before torch is loaded. Its threads wait for each other in a busy loop, by default so long that beside other
        # work on two cores a step took 3 to 13 s in place of 1.1; with this 2.3, and 1.15 on a quiet machine.
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
        if self.dry_run and self.resume:
            raise UserError("train_dry_resume", "--dry-run and --resume exclude each other: leave one of them out.")
        from bicyclegan.training.processes import leave

        if self.dry_run:
            from bicyclegan.training.plan import make_plan

            plan = make_plan(self.config, report)
            leave()
            if not self.json:
                report("\n".join(plan.lines()))
            return asdict(plan)
        from bicyclegan.training.loop import train

        result = train(self.config, resume=self.resume, report=report, bar=sys.stderr.isatty())
        leave()
        if result.reason == "stopped":
            report(f"Stopped after step {result.step}. Go on: train --out {result.folder} --resume")
        return {
            "run": str(result.folder),
            "step": result.step,
            "reason": result.reason,
            "files": [str(result.checkpoint)],
        }

    def _explain(self) -> dict[str, Any]:
        from bicyclegan.training.advice_page import explain, explained

        if not self.json:
            print(explain(self.explain))
        return explained(self.explain)


def with_topic(args: list[str]) -> list[str]:
    """The arguments with what --explain is asked for written behind it, as the parser needs it where that is itself an
    option: --explain --lambda-kl becomes --explain=--lambda-kl, and --explain alone --explain=all."""
    if "--explain" not in args:
        return args
    place = args.index("--explain")
    topic = args[place + 1 : place + 2]
    if not topic or topic == ["--json"]:
        return [*args[:place], "--explain=all", *args[place + 1 :]]
    return [*args[:place], f"--explain={topic[0]}", *args[place + 2 :]]


def train_defaults(args: list[str]) -> TrainConfig:
    """Defaults of all options, as far as some options decide about them.

    --resume takes those of the run in --out; else --preset, then --init-from (networks, edge style), --image-size
    and --objective (networks that fit). Raises `UserError` for values of these that cannot be.
    """
    given = _given(args)
    if given.resume:
        return _resumed(given.out)
    if given.preset not in PRESETS:
        raise UserError(
            "train_preset",
            "There is no preset {preset!r}; use one of {known}.",
            preset=given.preset,
            known=", ".join(PRESETS),
        )
    config = PRESETS[given.preset]
    if given.init_from:
        return _from_checkpoint(config, given.init_from)
    model = config.model
    if given.image_size is not None:
        model = model_for_size(model, _whole_number("image_size", given.image_size))
    if given.objective not in OBJECTIVES:  # none, or one that is refused with all the rest
        return replace(config, model=model)
    loss = replace(config.loss, objective=given.objective)
    return replace(config, model=model_for_objective(model, given.objective), loss=loss)


def _given(args: list[str]) -> argparse.Namespace:
    """The options that decide about defaults, whatever else is there."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name, default in (("preset", "fast"), ("out", ""), ("init_from", ""), ("image_size", None), ("objective", "")):
        parser.add_argument(f"--{name}", default=default)
    parser.add_argument("--resume", action="store_true")
    try:
        return parser.parse_known_args([_with_underscores(arg) for arg in args])[0]
    except argparse.ArgumentError as error:
        raise UserError("cli_syntax", "{problem} See --help.", problem=f"{error}.") from None


def _with_underscores(arg: str) -> str:
    """--image-size=64 -> --image_size=64; both spellings are allowed. Values stay as they are."""
    name, equals, value = arg.partition("=")
    return f"--{name[2:].replace('-', '_')}{equals}{value}" if arg.startswith("--") else arg


def _resumed(out: str) -> TrainConfig:
    if not out:
        raise UserError("train_missing", "--{name} is missing: name a folder.", name="out")
    return replace(RunFolder(Path(out)).load_config(), out=out)


def _from_checkpoint(config: TrainConfig, source: str) -> TrainConfig:
    from bicyclegan.checkpoints import load_config, resolve
    from bicyclegan.training.start import config_from_checkpoint

    return replace(config_from_checkpoint(config, load_config(resolve(source))), init_from=source)


def _whole_number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(
            "train_number", "--{name} is {text!r}; it must be a whole number.", name=name, text=text
        ) from None
