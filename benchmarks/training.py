"""How fast a training step is: `TrainStep` against the plain order of the official code, in the same run.

    python benchmarks/training.py [--preset fast] [--image-size 128] [--batch-size 8] [--threads 2]
    python benchmarks/training.py --device cuda         (preset quality: 256 px, batch 16)

The baseline is `official_order.py`: the same networks, first weights, pictures, noise and Adam, but G's random path is
gone through twice, E's weights get gradients that nobody uses, and D scores its fakes anew. On a CPU our step moreover
rearranges layers (`models/rearranged.py`); "official, layers rearranged" tells the two apart. On CUDA the baseline is
float32, ours too and then, as training has it, bfloat16 with channels last.

All are measured in turns, so that a busy machine slows all; the middle of the repetitions counts. "arithmetic" is the
ratio of multiplications, forward and backward: what could be gained if all of them cost the same. Losses of the first
steps must agree; later ones drift apart by rounding, as those of any GAN.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from inference import count_multiplications, in_turns, synchronise
from official_order import OfficialOrder

from bicyclegan.models.rearranged import rearranged
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.networks import Networks, build_networks, make_optimizers
from bicyclegan.training.noise import Noise, draw_noise
from bicyclegan.training.presets import PRESETS, model_for_size
from bicyclegan.training.step import TrainStep

FIRST_STEPS, SHOWN_STEPS = 2, 3
"""Steps in which losses must agree: the second sees what the first has made of every network. From the third on Adam,
which makes full steps of gradients however small, has turned rounding into weights."""
TOLERANCE, FLOOR = 1e-4, 1e-6
"""Largest relative and absolute difference there. KL is at first a sum of ones that cancel: rounding is left."""

KINDS = {
    "convolution": ("conv",),
    "matrix product": ("aten::mm", "aten::bmm", "addmm"),
    "normalisation": ("batch_norm", "instance_norm"),
    "up and down": ("upsample", "pool", "pad"),
    "activation": ("relu", "elu", "tanh"),
    "copy": ("copy_", "cat", "fill_", "zero_"),
    "optimiser": ("_foreach", "sqrt", "lerp", "addc", "Adam"),
}
"""Parts of the names of PyTorch's operations."""


@dataclass
class Contestant:
    """One way to compute an update, with networks of its own that started like all others."""

    name: str
    networks: Networks
    optimizers: dict[str, torch.optim.Optimizer]
    update: Callable[[Tensor, Tensor, Noise], dict[str, Tensor]]
    """Sketches, photos, noise -> unweighted losses."""


def official(config: TrainConfig, device: torch.device, name: str, rearrange: bool) -> Contestant:
    """The baseline, or the baseline with our layers."""
    networks = build_networks(config).to(device)
    optimizers = make_optimizers(networks, config.optim)
    step = OfficialOrder(networks, optimizers, config.loss)

    def update(a: Tensor, b: Tensor, noise: Noise) -> dict[str, Tensor]:
        with rearranged(rearrange):
            return step(a, b, noise)

    return Contestant(name, networks, optimizers, update)


def ours(config: TrainConfig, device: torch.device, name: str, bf16: bool = False) -> Contestant:
    """Our step as training runs it, on CUDA with bf16 or without."""
    networks = build_networks(config)
    networks.to(device, torch.channels_last if bf16 else torch.contiguous_format)
    optimizers = make_optimizers(networks, config.optim)
    autocast: Callable[[], AbstractContextManager] = nullcontext
    if bf16:
        autocast = lambda: torch.autocast("cuda", torch.bfloat16)  # noqa: E731
    step = TrainStep(networks, optimizers, config.loss, autocast=autocast)
    return Contestant(name, networks, optimizers, lambda a, b, noise: step(a, b, noise).losses)


def contestants(config: TrainConfig, device: torch.device) -> list[Contestant]:
    """The baseline first, ours last."""
    cuda = device.type == "cuda"
    between = (
        ours(config, device, "ours, float32")
        if cuda
        else official(config, device, "official, layers rearranged", rearrange=True)
    )
    return [official(config, device, "official", rearrange=False), between, ours(config, device, "ours", bf16=cuda)]


def draw_batch(config: TrainConfig, device: torch.device, number: int) -> tuple[Tensor, Tensor, Noise]:
    """Random pictures and noise of an update."""
    model, generator = config.model, torch.Generator().manual_seed(number)
    side = (config.batch_size, 1, model.image_size, model.image_size)
    a, b = (
        (torch.rand(side, generator=generator) * 2 - 1).repeat(1, channels, 1, 1).to(device)
        for channels in (model.input_channels, model.output_channels)
    )
    return a, b, draw_noise(0, number, range(config.batch_size // 2), model.latent_dim).to(device)


def compare_losses(competitors: list[Contestant], config: TrainConfig, device: torch.device, steps: int) -> None:
    """Take steps, print the last losses of all, and end the program if float32 disagrees in the first ones."""
    history: list[list[dict[str, float]]] = [[] for _ in competitors]
    for number in range(1, steps + 1):
        batch = draw_batch(config, device, number)
        for each, losses in zip(competitors, history, strict=True):
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                losses.append({name: loss.item() for name, loss in each.update(*batch).items()})
    last = max(1, steps // 10)
    print(f"losses, {f'mean of steps {steps - last + 1} to {steps}' if last > 1 else f'step {steps}'}:")
    print(f"    {'':30} " + " ".join(f"{name:>11}" for name in history[0][0]))
    for each, losses in zip(competitors, history, strict=True):
        means = (sum(step[name] for step in losses[-last:]) / last for name in history[0][0])
        print(f"    {each.name:30} " + " ".join(f"{mean:11.4g}" for mean in means))
    for each, losses in zip(competitors[1:], history[1:], strict=True):
        found = [largest_difference(*pair) for pair in zip(losses, history[0], strict=True)]
        shown = [f"{error:.0e} in step {n}" for n, error in enumerate(found, 1) if n <= SHOWN_STEPS or n == steps]
        print(f"  {each.name}: a loss differs by at most {', '.join(shown)}")
        if max(found[:FIRST_STEPS]) > TOLERANCE and not (device.type == "cuda" and each is competitors[-1]):
            sys.exit(f"{each.name} does not compute what the official order computes.")


def largest_difference(losses: dict[str, float], others: dict[str, float]) -> float:
    """Relative; what is below `FLOOR` does not count."""
    return max(max(abs(losses[name] - other) - FLOOR, 0.0) / max(abs(other), FLOOR) for name, other in others.items())


@contextmanager
def phases(contestant: Contestant, device: torch.device) -> Iterator[Counter[str]]:
    """Seconds in the forward passes of networks and in optimisers, from hooks; in here a GPU is waited for at each."""
    seconds: Counter[str] = Counter()
    handles = []

    def watch(name: str, before: Callable, after: Callable) -> None:
        def started(*_: object) -> None:
            synchronise(device)
            seconds[name] -= perf_counter()

        def ended(*_: object) -> None:
            synchronise(device)
            seconds[name] += perf_counter()

        handles.extend((before(started), after(ended)))

    for name, network in contestant.networks.named():
        watch(f"{name[0].upper()} forward", network.register_forward_pre_hook, network.register_forward_hook)
    for optimizer in contestant.optimizers.values():
        watch("optimisers", optimizer.register_step_pre_hook, optimizer.register_step_post_hook)
    try:
        yield seconds
    finally:
        for handle in handles:
            handle.remove()


def time_phases(competitors: list[Contestant], runs: list[Callable[[], None]], device: torch.device) -> None:
    """Print where a step spends its time, side by side."""
    repeats = 3
    columns: list[dict[str, float]] = []
    for each, run in zip(competitors, runs, strict=True):
        with phases(each, device) as seconds:
            start = perf_counter()
            for _ in range(repeats):
                run()
            seconds["backward and the rest"] = perf_counter() - start - sum(seconds.values())
        columns.append({name: time / repeats for name, time in seconds.items()})
    print_columns("milliseconds of a step by phase", competitors, columns, "{:8.1f}", 1000)


def time_operations(competitors: list[Contestant], runs: list[Callable[[], None]], device: torch.device) -> None:
    """Print what kinds of operations take the time, side by side."""
    columns = [shares(run, device) for run in runs]
    print_columns("share of a step by operation", competitors, columns, "{:8.1%}", 1)


def print_columns(
    title: str, competitors: list[Contestant], columns: list[dict[str, float]], form: str, factor: float
) -> None:
    """A row for each name in any column."""
    print(f"{title}: " + " | ".join(each.name for each in competitors))
    for name in dict.fromkeys(name for column in columns for name in column):
        print(f"    {name:22} " + " ".join(form.format(factor * column.get(name, 0.0)) for column in columns))


def shares(run: Callable[[], None], device: torch.device) -> dict[str, float]:
    """Share of the time of each kind of operation."""
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as recorded:
        for _ in range(3):
            run()
    times: Counter[str] = Counter()
    for event in recorded.key_averages():
        if event.device_type != DeviceType.CPU:
            continue  # a kernel: its time is that of the operation that started it
        kind = next((kind for kind, parts in KINDS.items() if any(part in event.key for part in parts)), "the rest")
        times[kind] += event.self_device_time_total if on_gpu else event.self_cpu_time_total
    return {kind: time / times.total() for kind, time in times.most_common()}


def make_run(contestant: Contestant, batch: tuple[Tensor, Tensor, Noise], device: torch.device) -> Callable[[], None]:
    """An update by the same batch again and again: speed does not depend on its values."""

    def run() -> None:
        contestant.update(*batch)
        synchronise(device)

    return run


def compare_speeds(
    competitors: list[Contestant], runs: list[Callable[[], None]], batch_size: int, repeats: int
) -> None:
    """Print pictures per second, measured and as far as multiplications decide."""
    times = in_turns(*runs, repeats=repeats)
    counts = [count_multiplications(run) for run in runs]
    print(f"{'order':34} {'images/s':>9} {'measured':>10} {'arithmetic':>11} {'multiply-adds an image':>24}")
    for each, time, count in zip(competitors, times, counts, strict=True):
        print(
            f"    {each.name:30} {batch_size / time:9.1f} {times[0] / time:9.2f}x {counts[0] / count:10.2f}x "
            f"{count / batch_size / 1e9:22.2f} G"
        )
    last, between = competitors[-1].name, competitors[1].name
    print(
        f"  {last} against {between}: {times[1] / times[2]:.2f}x measured, {counts[1] / counts[2]:.2f}x by arithmetic"
    )


def measure(config: TrainConfig, device: torch.device, steps: int, repeats: int) -> None:
    """Print everything about one configuration."""
    competitors = contestants(config, device)
    compare_losses(competitors, config, device, steps)
    runs = [make_run(each, draw_batch(config, device, 0), device) for each in competitors]
    compare_speeds(competitors, runs, config.batch_size, repeats)
    time_phases(competitors, runs, device)
    time_operations(competitors, runs, device)


def main() -> None:
    """Measure one preset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, help="default: fast; on CUDA quality")
    parser.add_argument("--image-size", type=int, help="side of the pictures in pixels (default: the preset's)")
    parser.add_argument("--batch-size", type=int, help="default: the preset's")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where to compute (default: cpu)")
    parser.add_argument("--steps", type=int, help="steps whose losses are compared (default: 3; on CUDA 200)")
    parser.add_argument("--repeats", type=int, default=9, help="measurements of each (default: 9)")
    parser.add_argument("--threads", type=int, help="threads on a CPU (default: PyTorch's choice)")
    options = parser.parse_args()
    cuda = options.device == "cuda"
    if options.threads:
        torch.set_num_threads(options.threads)
    config = PRESETS[options.preset or ("quality" if cuda else "fast")]
    config = dataclasses.replace(
        config,
        batch_size=options.batch_size or config.batch_size,
        model=model_for_size(config.model, options.image_size or config.model.image_size),
    )
    print(
        f"torch {torch.__version__}, {options.device}, {torch.get_num_threads()} threads; preset {config.preset}, "
        f"{config.model.image_size} px, batch {config.batch_size}"
    )
    measure(config, torch.device(options.device), options.steps or (200 if cuda else SHOWN_STEPS), options.repeats)


if __name__ == "__main__":
    main()
