"""How fast pictures are read, against how fast they are learnt from, in the same run.

    python benchmarks/loader.py [--data FOLDER] [--device cuda] [--workers 0 1 2] [--quick]

The baseline is the training step of the same preset, with its batch size and picture size. Both are measured in
turns, so that a busy machine slows both; the middle of the repetitions counts. A ratio of 1.5 or more means that
reading ahead in other processes keeps the step busy; with 0 processes the step waits for reading.
Without --data the pictures are made up: objects of one colour with seams and shading on white.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bicyclegan.data import PairDataset, make_loader, open_data
from bicyclegan.images import to_float
from bicyclegan.training.config import DataConfig, TrainConfig
from bicyclegan.training.networks import build_networks, make_optimizers
from bicyclegan.training.noise import draw_noise
from bicyclegan.training.presets import PRESETS
from bicyclegan.training.step import TrainStep

AHEAD = 2
"""Batches that each process of a DataLoader prepares in advance."""


def make_photos(folder: Path, count: int = 64, size: int = 256) -> Path:
    """Objects with shading and seams on white: about as many edges as photos of shoes have."""
    import cv2

    folder.mkdir(parents=True)
    y, x = np.mgrid[:size, :size] / size
    for seed in range(count):
        random = np.random.RandomState(seed)
        outline = 0.3 + 0.05 * np.sin(3 * np.arctan2(y - 0.5, x - 0.5) + random.uniform(0, 6))
        inside = (((x - 0.5) ** 2 + 2 * (y - 0.5) ** 2) < outline**2)[..., None]
        grain = cv2.GaussianBlur(random.normal(size=(size, size)), (0, 0), 5)
        seams = np.abs(np.sin(12 * x + 7 * random.uniform() * y)) < 0.04
        shade = (0.7 + 2.0 * grain - 0.3 * seams)[..., None]
        pixels = np.where(inside, random.randint(30, 200, 3) * shade, 255).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{seed}.webp", quality=90)
    return folder


def endless_batches(dataset: PairDataset, config: TrainConfig, workers: int) -> Iterator[int]:
    """Sizes of batches as they are read, the first ones left out: they were prepared in advance."""
    stop = 10**6
    loader = make_loader(dataset, config, start_step=0, stop_step=stop, num_workers=workers, pin_memory=False)
    return (len(a) for a, _ in islice(loader, 1 + AHEAD * workers, None))


def make_step(dataset: PairDataset, config: TrainConfig, device: torch.device) -> Callable[[], int]:
    """One update from a batch that lies ready; returns how many pictures it took."""
    a, b = next(iter(make_loader(dataset, config, start_step=0, stop_step=1, num_workers=0)))
    networks = build_networks(config)
    cuda = device.type == "cuda"
    networks.to(device, torch.channels_last if cuda else torch.contiguous_format)
    autocast = (lambda: torch.autocast("cuda", torch.bfloat16)) if cuda else nullcontext
    step = TrainStep(networks, make_optimizers(networks, config.optim), config.loss, autocast=autocast)
    noise = draw_noise(config.seed, 1, range(len(a) // 2), config.model.latent_dim).to(device)

    def update() -> int:
        step(to_float(a.to(device)), to_float(b.to(device)), noise)
        if cuda:
            torch.cuda.synchronize()
        return len(a)

    return update


def images_per_second(work: Callable[[], int], seconds: float) -> float:
    """Pictures that one function gets through in about this time."""
    count, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        count += work()
    return count / passed


def in_turns(functions: list[Callable[[], int]], turns: int, seconds: float) -> list[float]:
    """Median images/s of each function, measured in turns after one warm-up."""
    speeds: list[list[float]] = [[] for _ in functions]
    for turn in range(turns + 1):
        for function, found in zip(functions, speeds, strict=True):
            speed = images_per_second(function, seconds)
            if turn > 0:
                found.append(speed)
    return [statistics.median(found) for found in speeds]


def measure(preset: str, data: Path, cache: Path, device: torch.device, workers: list[int], turns: int) -> None:
    """Print a row for each number of processes."""
    config = replace(
        PRESETS[preset], data=str(data), out=str(cache / "run"), source=DataConfig(cache_dir=str(cache), max_images=512)
    )
    dataset = open_data(config).train
    update = make_step(dataset, config, device)
    for count in workers:
        batches = endless_batches(dataset, config, count)
        step, read = in_turns([update, lambda batches=batches: next(batches)], turns, seconds=2.0)
        print(
            f"{preset:8} {config.model.image_size:4} px  batch {config.batch_size:3}  {count:2} processes | "
            f"step {step:8.1f} images/s | loader {read:8.1f} images/s | {read / step:6.2f}x | "
            f"{1000 / read:6.2f} ms a pair",
            flush=True,
        )


def main() -> None:
    """Measure both of our presets, or with --quick the small one alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of photos (default: made up)")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where to train (default: cpu)")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[0, 1, 2], help="processes that read (default: 0 1 2)"
    )
    parser.add_argument("--quick", action="store_true", help="128 px only, fewer repetitions")
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {options.device}, {torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        data = options.data or make_photos(cache / "photos")
        for preset in ["fast"] if options.quick else ["fast", "quality"]:
            turns = 3 if options.quick else 5
            measure(preset, data, cache, torch.device(options.device), options.workers, turns)


if __name__ == "__main__":
    main()
