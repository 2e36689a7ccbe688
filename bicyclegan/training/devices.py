"""Where a run computes: Hugging Face accelerate behind a few plain functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from bicyclegan.errors import UserError
from bicyclegan.pipeline import choose_device
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.networks import Networks

if TYPE_CHECKING:
    from accelerate import Accelerator


def make_accelerator(config: TrainConfig, trackers: str = "") -> Accelerator:
    """Device, precision, processes and trackers of a run.

    Raises `UserError` when CUDA is asked for and absent, bf16 is asked for on a CPU, or W&B is not installed.
    """
    from accelerate import Accelerator
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
    return Accelerator(
        cpu=on_cpu,
        mixed_precision="bf16" if bf16 else "no",
        log_with=config.record.log_with if trackers and config.record.log_with != "none" else None,
        project_dir=trackers or None,
    )


def place(networks: Networks, accelerator: Accelerator) -> None:
    """Move networks to the run's device, in the memory layout that is fast there."""
    cuda = accelerator.device.type == "cuda"
    networks.to(accelerator.device, torch.channels_last if cuda else torch.contiguous_format)


def average_gradients(networks: Networks, accelerator: Accelerator) -> None:
    """Replace every gradient by its mean over all processes."""
    if accelerator.num_processes == 1:
        return
    for _, network in networks.named():
        gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
        if gradients:
            flat = accelerator.reduce(torch.cat([each.flatten() for each in gradients]), reduction="mean")
            for each, mean in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):
                each.copy_(mean.view_as(each))


def memory_mb(device: torch.device) -> float:
    """Peak memory of a CUDA device, or what this process holds now on a CPU, in MB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    import psutil

    return psutil.Process().memory_info().rss / 1e6


def _require_wandb() -> None:
    try:
        import wandb  # noqa: F401
    except ImportError:
        raise UserError(
            "no_wandb", "--log-with wandb needs the package wandb: pip install wandb, or use tensorboard."
        ) from None
