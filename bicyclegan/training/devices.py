"""Where a run computes: Hugging Face accelerate behind a few plain functions."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import torch

from bicyclegan.data.pairs import check_shared
from bicyclegan.errors import UserError
from bicyclegan.pipeline import choose_device
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.launched import processes_here
from bicyclegan.training.networks import Networks
from bicyclegan.training.objectives import OBJECTIVES
from bicyclegan.training.processes import TIMEOUT, gather

if TYPE_CHECKING:
    from accelerate import Accelerator


def make_accelerator(config: TrainConfig, trackers: str = "") -> Accelerator:
    """Device, precision, processes and trackers of a run.

    Raises `UserError` when CUDA is asked for and absent or there are more processes than GPUs, bf16 is asked for on a
    CPU, W&B is not installed, or the processes cannot share a batch.
    """
    from accelerate import Accelerator, InitProcessGroupKwargs
    from accelerate.state import AcceleratorState

    on_cpu = choose_device(config.device).type == "cpu"
    if config.precision == "bf16" and on_cpu:
        raise UserError(
            "bf16_cpu", "bf16 is many times slower than fp32 on a CPU. Use --precision fp32 or auto, or a CUDA device."
        )
    bf16 = not on_cpu and config.precision != "fp32"
    if config.record.log_with == "wandb":
        _require_wandb()
    AcceleratorState._reset_state(reset_partial_state=False)  # another precision than an earlier run in this process
    accelerator = Accelerator(
        cpu=on_cpu,
        mixed_precision="bf16" if bf16 else "no",
        log_with=config.record.log_with if trackers and config.record.log_with != "none" else None,
        project_dir=trackers or None,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=TIMEOUT)],
    )
    _check_shared(config, accelerator.num_processes)
    if not on_cpu:
        _check_gpus(accelerator)
    return accelerator


def place(networks: Networks, accelerator: Accelerator) -> None:
    """Move networks to the run's device, in the memory layout that is fast there."""
    cuda = accelerator.device.type == "cuda"
    networks.to(accelerator.device, torch.channels_last if cuda else torch.contiguous_format)


def device_name(accelerator: Accelerator) -> str:
    """As events tell it: cpu, cuda or cuda:1."""
    device = accelerator.device
    return device.type if device.type == "cpu" else str(device)


def count_readers(num_workers: int, device: torch.device) -> int:
    """Processes that read pictures for this one: `num_workers`, and if that is -1 its share of the cores up to 8."""
    if num_workers >= 0:
        return num_workers
    return max(1, min(8, _cores() // processes_here())) if device.type == "cuda" else 0


def idle_cores(accelerator: Accelerator) -> str:
    """What to do when processes compute on a CPU and leave cores idle, as launchers have them do; else empty."""
    cores, count, threads = _cores(), processes_here(), torch.get_num_threads()
    if accelerator.device.type != "cpu" or count == 1 or count * threads * 2 > cores:
        return ""
    return (
        f"{count} processes with {threads} thread(s) each run on {cores} cores. All cores compute with "
        f"OMP_NUM_THREADS={cores // count} in front of the command."
    )


def memory_mb(device: torch.device) -> float:
    """Peak memory of a CUDA device, or what this process holds now on a CPU, in MB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    import psutil

    return psutil.Process().memory_info().rss / 1e6


def _check_shared(config: TrainConfig, processes: int) -> None:
    """Raise `UserError` when the processes cannot compute a batch as one process would."""
    two_paths, parts = OBJECTIVES[config.loss.objective].two_paths, config.optim.accumulate
    check_shared(config.batch_size, processes, two_paths)
    if processes == 1:
        return
    multiple = (2 if two_paths else 1) * processes * parts
    if config.batch_size % multiple:
        raise UserError(
            "processes_accumulate",
            "batch_size {batch_size} cannot be shared by {processes} processes that compute in {parts} parts each: use "
            "a multiple of {multiple}, or a smaller --accumulate.",
            batch_size=config.batch_size,
            processes=processes,
            parts=parts,
            multiple=multiple,
        )
    if config.loss.reduction == "official":
        raise UserError(
            "processes_official",
            "--reduction official adds losses up over the samples of a batch, which {processes} processes would take "
            "the mean of: use --reduction sample, or one process.",
            processes=processes,
        )


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_gpus(accelerator: Accelerator) -> None:
    """Raise `UserError`, in all processes, when two of them have the same GPU, which nccl refuses."""
    name = str(torch.cuda.get_device_properties(accelerator.device).uuid)
    number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest(), "big")
    gpus = len(gather(torch.tensor([number]), accelerator).unique())
    if gpus < accelerator.num_processes:
        raise UserError(
            "processes_gpus",
            "{processes} processes were started for {gpus} GPU(s): start one for each GPU, or train with --device cpu.",
            processes=accelerator.num_processes,
            gpus=gpus,
        )


def _require_wandb() -> None:
    try:
        import wandb  # noqa: F401
    except ImportError:
        raise UserError(
            "no_wandb", "--log-with wandb needs the package wandb: pip install wandb, or use tensorboard."
        ) from None
