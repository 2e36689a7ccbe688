"""Does the doctor name what was planted, and leave healthy runs in peace? A table, from real small trainings.

    python benchmarks/doctor.py --out doctor-runs [--seeds 3] [--only sick|healthy] [--photos DIR] [--pairs DIR]

Every pitfall of `bicyclegan.training.pitfalls` is planted into a small run with each seed; healthy runs differ in
preset, objective, pictures and seed. Each run is a process with one thread; `--jobs` of them run at the same time.
Runs that are in the folder already are not trained again. One line a run: what the doctor called ill, and when first.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bicyclegan.training.config import LossConfig, OptimConfig, RecordConfig, RegularConfig, TrainConfig
from bicyclegan.training.events import Finding, read_events
from bicyclegan.training.health import RULES, diagnose, read_log
from bicyclegan.training.lab import OPTIM, healthy, healthy_dcgan
from bicyclegan.training.lab_data import write_pictures
from bicyclegan.training.pitfalls import PITFALLS, plant, sick_config, with_fields
from bicyclegan.training.presets import PRESETS, model_for_objective, model_for_size
from bicyclegan.training.run_log import make_log

STEPS = 300
WGAN = {"loss": LossConfig(adversarial="wgan"), "optim": replace(OPTIM, discriminator_rate=1.0)}
RULE_NAMES = {rule.name for rule in RULES}
FIRST = 2
"""What was planted must be among so many findings at the top."""


def sick_base(pitfall: str) -> Any:
    """The healthy run that a pitfall is planted into."""
    if pitfall.startswith("dcgan"):
        return healthy_dcgan(steps=200), "shapes"
    if pitfall == "wgan-no-clipping":
        return healthy("shapes", steps=STEPS, regular=RegularConfig(), **WGAN), "shapes"
    data = "garments" if pitfall in ("unit-range", "blur") else "shapes"
    return healthy(data, steps=STEPS), data


def small(preset: str, size: int, **fields: Any) -> TrainConfig:
    """A preset with networks for small pictures, and few steps."""
    config = PRESETS[preset]
    model = replace(config.model, base_channels=16, encoder_channels=16, discriminator_channels=16)
    every = RecordConfig(20, 40, 100, 100, 200, validation_images=16, log_with="none")
    config = replace(config, model=model_for_size(model, size), record=every, steps=STEPS, batch_size=8)
    return with_fields(config, fields)


def objective(name: str, **fields: Any) -> TrainConfig:
    config = healthy("shapes", steps=STEPS)
    loss = replace(config.loss, objective=name)
    return with_fields(replace(config, model=model_for_objective(config.model, name), loss=loss), fields)


def healthy_runs(photos: str, pairs: str) -> dict[str, tuple[Any, str]]:
    """Configs of runs that go well, with their pictures: a kind of the lab's, or a folder."""
    real = photos or "garments"
    side = {"layout": "side-by-side"}
    facades = (
        (small("fast", 64, **side, direction="BtoA", input_channels=3), pairs)
        if pairs
        else (healthy("garments", size=64), "garments")
    )
    return {
        "lab shapes": (healthy("shapes", steps=STEPS), "shapes"),
        "lab shapes, longer": (healthy("shapes", steps=3 * STEPS), "shapes"),
        "lab garments": (healthy("garments", steps=STEPS), "garments"),
        "lab garments 64 px": (healthy("garments", size=64, steps=STEPS), "garments"),
        "preset fast, photos": (small("fast", 64), real),
        "preset quality, photos": (small("quality", 64), real),
        "preset official, photos": (small("official", 64, batch_size=2), real),
        "preset fast, label maps": facades,
        "hinge, shapes": (healthy("shapes", steps=STEPS, loss=LossConfig(adversarial="hinge")), "shapes"),
        "wgan-gp, shapes": (healthy("shapes", steps=STEPS, loss=LossConfig(adversarial="wgan-gp")), "shapes"),
        "cvae-gan, shapes": (objective("cvae-gan"), "shapes"),
        "pix2pix, shapes": (objective("pix2pix"), "shapes"),
        "clr-gan, shapes": (objective("clr-gan"), "shapes"),
        "slow steps, shapes": (
            healthy("shapes", steps=STEPS, optim=OptimConfig(learning_rate=5e-4, discriminator_rate=0.4)),
            "shapes",
        ),
        "dcgan, garments": (healthy_dcgan(steps=STEPS), "garments"),
        "dcgan, photos": (healthy_dcgan(size=64, steps=STEPS, max_images=2000), real),
    }


def train_one(job: dict[str, Any], out: Path) -> None:
    """In a process of its own: make the pictures, plant, train."""
    import torch

    from bicyclegan.training.dcgan_config import DcganConfig

    torch.set_num_threads(1)
    config, data = sick_base(job["name"]) if job["sick"] else healthy_runs(job["photos"], job["pairs"])[job["name"]]
    size = config.image_size if isinstance(config, DcganConfig) else config.model.image_size
    with tempfile.TemporaryDirectory() as pictures:
        if data in ("shapes", "garments"):
            write_pictures(data, Path(pictures), size)
            data = pictures
        _train(job, replace(config, data=data, out=str(out / job["folder"]), seed=job["seed"], device="cpu"))


def _train(job: dict[str, Any], config: Any) -> None:
    from bicyclegan.errors import UserError
    from bicyclegan.training.dcgan import train_dcgan
    from bicyclegan.training.dcgan_config import DcganConfig
    from bicyclegan.training.loop import train

    pitfall = job["name"] if job["sick"] else ""
    trainer = train_dcgan if isinstance(config, DcganConfig) else train
    if pitfall:
        config = sick_config(pitfall, config)
    try:
        trainer(config, report=lambda line: None, prepare=(lambda run: plant(pitfall, run)) if pitfall else None)
    except UserError as error:
        print(f"{job['folder']}: {error}", file=sys.stderr)


def jobs_of(options: argparse.Namespace) -> list[dict[str, Any]]:
    jobs = []
    if options.only != "healthy":
        for seed in range(options.seeds):
            jobs += [{"name": name, "sick": True, "seed": seed} for name in PITFALLS]
    if options.only != "sick":
        names = healthy_runs(options.photos, options.pairs)
        jobs += [{"name": name, "sick": False, "seed": 10 + place} for place, name in enumerate(names)]
    pictures = {"photos": options.photos, "pairs": options.pairs}
    return [
        {**job, **pictures, "folder": f"{job['name'].replace(' ', '-').replace(',', '')}-{job['seed']}"} for job in jobs
    ]


def run_job(job: dict[str, Any], out: Path) -> str:
    """Train, unless that was done before, and return a line of the table."""
    folder = out / job["folder"]
    if not (folder / "events.jsonl").exists():
        subprocess.run([sys.executable, __file__, "--job", json.dumps(job), "--out", out], check=False)
    if not (folder / "events.jsonl").exists():
        return f"| {job['name']} | {job['seed']} | 0 | DID NOT BEGIN | |"
    log = read_log(folder)
    end = diagnose(log)
    first: dict[str, int] = {}
    for event in read_events(folder / "events.jsonl"):
        if isinstance(event, Finding) and event.severity == "ill":
            first.setdefault(event.name, event.step)
    ills = [each.name for each in end if each.severity == "ill"]
    told = ", ".join(f"{name} ({step})" for name, step in first.items() if name in RULE_NAMES) or "-"
    if not job["sick"]:
        once = [name for name in first if name not in ills]
        fine = not ills and not once
        return (
            f"| {job['name']} | {job['seed']} | {log.last} | {'fine' if fine else 'CALLED ILL'} | {told} {once or ''} |"
        )
    wanted = PITFALLS[job["name"]].finding
    fine = wanted in first and wanted in _top(folder, wanted)
    return f"| {job['name']} | {job['seed']} | {log.last} | {'named' if fine else 'MISSED ' + wanted} | {told} |"


def _top(folder: Path, name: str) -> list[str]:
    """The first of all findings that were ill when this one was first said to be."""
    events = [*read_events(folder / "events.jsonl")]
    end = next(
        place
        for place, event in enumerate(events)
        if isinstance(event, Finding) and (event.name, event.severity) == (name, "ill")
    )
    return [each.name for each in diagnose(make_log(events[:end])) if each.severity == "ill"][:FIRST]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=("sick", "healthy"), default=None)
    parser.add_argument("--photos", default="", help="photos for the presets; by default the shipped garments")
    parser.add_argument("--pairs", default="", help="side-by-side pairs, photo left")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        train_one(json.loads(options.job), options.out)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    print(
        "| run | seed | steps | doctor | called ill (first at step) |\n| --- | --- | --- | --- | --- |",
        flush=True,
    )
    with ThreadPoolExecutor(options.jobs) as pool:
        lines = []
        for line in pool.map(lambda job: run_job(job, options.out), jobs_of(options)):
            print(line, flush=True)
            lines.append(line)
    good = sum("| named |" in line or "| fine |" in line for line in lines)
    print(f"\n{good} of {len(lines)} as they should be")


if __name__ == "__main__":
    main()
