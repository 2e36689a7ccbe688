"""How fast sketches become photos: `Pipeline.render` against a plain forward pass, in the same run.

    python benchmarks/inference.py [--device cuda] [--quick]

The baseline is the generator as it stands in the paper, eager float32, called once per sample with sketch and code.
Both are measured in turns, so that a busy machine slows both; the middle of the repetitions counts. "arithmetic" is
the ratio of multiplications: what the rearranged generator could gain if all of them cost the same.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bicyclegan.checkpoints import Checkpoint
from bicyclegan.config import CheckpointConfig, ModelConfig
from bicyclegan.latent import sample_codes
from bicyclegan.models import Generator
from bicyclegan.pipeline import Pipeline, PreparedSketch
from bicyclegan.sketch import Sketch, Stroke

SHOE = Sketch((Stroke(((30.0, 150.0), (60.0, 110.0), (118.0, 70.0), (225.0, 130.0), (230.0, 165.0), (35.0, 165.0))),))


def make_pipeline(size: int, channels: int, device: str) -> Pipeline:
    """A pipeline with random weights: speed does not depend on their values."""
    torch.manual_seed(0)
    depth = 7 if size == 128 else 8
    model = ModelConfig(image_size=size, depth=depth, base_channels=channels, encoder="none", discriminator_layers=2)
    checkpoint = Checkpoint(CheckpointConfig(model), Generator(model).eval(), None, "0" * 64, Path())
    return Pipeline(checkpoint, device=device)


def eager_samples(pipe: Pipeline, prepared: PreparedSketch, z: torch.Tensor) -> None:
    """The baseline: one plain forward pass a sample."""
    from bicyclegan.images import to_float

    x = to_float(prepared.raster).to(pipe.device)
    with torch.inference_mode():
        for code in z:
            pipe.generator(x, code[None])
    synchronise(pipe.device)


def synchronise(device: torch.device) -> None:
    """Wait for a GPU; nothing to wait for on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def in_turns(*functions: Callable[[], None], repeats: int) -> list[float]:
    """Median seconds of each function, measured in turns after one warm-up."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(repeats + 1):
        for function, seconds in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            if turn > 0:
                seconds.append(time.perf_counter() - start)
    return [statistics.median(seconds) for seconds in times]


def count_multiplications(function: Callable[[], object]) -> int:
    """Multiply-adds in convolutions and matrix products, as PyTorch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops() // 2


def measure(size: int, channels: int, device: str, counts: list[int], repeats: int) -> None:
    """Print one row for each number of samples."""
    pipe = make_pipeline(size, channels, device)
    prepared = pipe.prepare(SHOE)
    for count in counts:
        z = sample_codes(0, count, 8)
        codes = torch.from_numpy(z).to(pipe.device)
        few = codes[: min(count, 8)]  # the baseline's time is proportional to the number of samples
        eager, ours = in_turns(
            lambda few=few: eager_samples(pipe, prepared, few), lambda z=z: prepared.render(z), repeats=repeats
        )
        eager *= count / len(few)
        limit = count_multiplications(lambda few=few: eager_samples(pipe, prepared, few)) * count / len(few)
        limit /= count_multiplications(lambda z=z: pipe.prepare(SHOE).render(z))
        print(
            f"{size:4} px  {channels:3} ch  {count:3} samples | eager {count / eager:7.1f}/s | "
            f"render {count / ours:7.1f}/s | {eager / ours:5.2f}x | arithmetic {limit:5.2f}x | "
            f"{1000 * ours:7.0f} ms in all",
            flush=True,
        )


def main() -> None:
    """Measure all sizes, or with --quick the shipped checkpoint's alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where to compute (default: cpu)")
    parser.add_argument("--quick", action="store_true", help="128 px and 32 channels only")
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {options.device}, {torch.get_num_threads()} threads")
    sizes = [(128, 32)] if options.quick else [(128, 32), (128, 64), (256, 32), (256, 64)]
    for size, channels in sizes:
        measure(size, channels, options.device, [1, 8, 64], repeats=5 if size == 128 else 3)


if __name__ == "__main__":
    main()
