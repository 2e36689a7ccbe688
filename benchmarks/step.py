"""Where the time of a training step goes, and what its order of computation is worth, in the same run.

    python benchmarks/step.py [--preset fast] [--batch-size 8] [--device cuda]

The baseline is the order of the official code: the latent loss goes through G a second time, and D scores its fakes
anew. Both are measured in turns on random pictures; the middle of the repetitions counts.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from inference import in_turns, synchronise

from bicyclegan.config import ModelConfig
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.networks import build_networks, make_optimizers
from bicyclegan.training.noise import draw_noise
from bicyclegan.training.presets import PRESETS
from bicyclegan.training.step import TrainStep

KINDS = {
    "convolution": ("conv",),
    "normalisation": ("batch_norm", "instance_norm"),
    "up and down": ("upsample", "pool", "pad", "cat"),
    "activation": ("relu", "elu", "tanh", "clamp"),
    "optimiser": ("_foreach", "sqrt", "lerp", "addc", "Adam"),
}
"""Parts of the names of PyTorch's operations."""


def make_step(config: TrainConfig, device: torch.device) -> Callable[[], None]:
    """One update of fresh networks by a batch of random pictures."""
    model: ModelConfig = config.model
    networks = build_networks(config).to(device)
    step = TrainStep(networks, make_optimizers(networks, config.optim), config.loss)
    size = (config.batch_size, 1, model.image_size, model.image_size)
    a = torch.rand(size, device=device) * 2 - 1
    b = a.repeat(1, 3, 1, 1)
    noise = draw_noise(0, 1, range(config.batch_size // 2), model.latent_dim).to(device)

    def run() -> None:
        step(a, b, noise)
        synchronise(device)

    return run


def shares(run: Callable[[], None], device: torch.device) -> dict[str, float]:
    """Share of the time of each kind of operation."""
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as recorded:
        for _ in range(3):
            run()
    times: Counter[str] = Counter()
    for event in recorded.key_averages():
        kind = next((kind for kind, parts in KINDS.items() if any(part in event.key for part in parts)), "the rest")
        times[kind] += event.self_device_time_total if on_gpu else event.self_cpu_time_total
    return {kind: time / times.total() for kind, time in times.most_common()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=PRESETS, default="fast")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    device = torch.device(options.device)
    config = dataclasses.replace(PRESETS[options.preset], batch_size=options.batch_size)
    ours, official = (
        make_step(dataclasses.replace(config, loss=dataclasses.replace(config.loss, reduction=reduction)), device)
        for reduction in ("sample", "official")
    )
    fast, slow = in_turns(ours, official, repeats=options.repeats)
    print(f"{options.preset}, batch {config.batch_size}, {device}, {torch.get_num_threads()} threads")
    print(f"  official order  {config.batch_size / slow:7.1f} images/s   1.00x")
    print(f"  one pass        {config.batch_size / fast:7.1f} images/s   {slow / fast:.2f}x")
    print("  time of a step by operation:")
    for kind, share in shares(ours, device).items():
        print(f"    {kind:15} {share:6.1%}")


if __name__ == "__main__":
    main()
