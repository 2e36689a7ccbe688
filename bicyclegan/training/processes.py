"""What the processes of one run tell each other: gradients, the numbers of a step, and that one of them has failed.

Gradients travel between devices. All else is a few bytes that travel between CPUs, so that nothing waits for a GPU.
Every function here but the context managers must be called by all processes, or by none; with one nothing is sent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor, nn

from bicyclegan.errors import UserError
from bicyclegan.training.networks import Networks

if TYPE_CHECKING:
    from accelerate import Accelerator

TIMEOUT = timedelta(hours=12)
"""How long processes wait for one that decodes pictures or measures. The launcher ends them when it dies."""


class StoppedError(Exception):
    """A process was stopped before it had its part of a batch: the update cannot be made."""


def average(tensors: Sequence[Tensor], accelerator: Accelerator) -> None:
    """Replace tensors, of the same shapes in all processes, by their means over processes, in place."""
    if accelerator.num_processes == 1 or not tensors:
        return
    flat = torch.cat([each.flatten() for each in tensors])
    with _heard():
        dist.all_reduce(flat)
    flat /= accelerator.num_processes
    for each, mean in zip(tensors, flat.split([each.numel() for each in tensors]), strict=True):
        each.copy_(mean.view_as(each))


def average_gradients(networks: Networks, accelerator: Accelerator) -> None:
    """Replace every gradient by its mean over all processes. Raises what has failed in one since they last met."""
    if accelerator.num_processes == 1:
        return
    agree(None, accelerator)
    for _, network in networks.named():
        average([weight.grad for weight in network.parameters() if weight.grad is not None], accelerator)


def average_statistics(networks: Networks, accelerator: Accelerator) -> None:
    """Replace what batch norms have seen, each a part of the batches, by its mean over all processes."""
    for _, network in networks.named():
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        average([value for norm in norms for value in (norm.running_mean, norm.running_var)], accelerator)


def equalise(networks: Networks, accelerator: Accelerator) -> None:
    """Give all processes the weights and buffers of the main one, in place."""
    if accelerator.num_processes == 1:
        return
    for value in _state(networks):
        sent = value.contiguous()
        with _heard():
            dist.broadcast(sent, src=0)
        value.copy_(sent)


def digest(networks: Networks) -> int:
    """Stands for all weights and buffers, bit for bit."""
    found = hashlib.blake2b(digest_size=7)
    for value in _state(networks):
        found.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return int.from_bytes(found.digest(), "big")


def gather(numbers: Tensor, accelerator: Accelerator) -> Tensor:
    """(K,) of each process -> (processes, K) on the CPU."""
    mine = numbers.cpu()
    if accelerator.num_processes == 1:
        return mine[None]
    rows = [torch.empty_like(mine) for _ in range(accelerator.num_processes)]
    with _heard():
        dist.all_gather(rows, mine, group=_between_cpus())
    return torch.stack(rows)


def broadcast(value: float, accelerator: Accelerator) -> float:
    """The main process's number, in all."""
    return float(gather(torch.tensor([value], dtype=torch.float64), accelerator)[0])


def mean(value: float, accelerator: Accelerator) -> float:
    """Mean over processes."""
    return float(gather(torch.tensor([value], dtype=torch.float64), accelerator).mean())


def total(value: float, accelerator: Accelerator) -> float:
    """Sum over processes."""
    return mean(value, accelerator) * accelerator.num_processes


def any_of(value: bool, accelerator: Accelerator) -> bool:
    """Whether it holds in a process."""
    return bool(gather(torch.tensor([value]), accelerator).any())


def alike(number: int, accelerator: Accelerator) -> bool:
    """Whether it is the same in all processes; up to 2^63."""
    return len(gather(torch.tensor([number]), accelerator).unique()) == 1


def agree(error: Exception | None, accelerator: Accelerator) -> None:
    """Ask whether a process has failed, and raise its error in those that have not. The first counts."""
    if accelerator.num_processes == 1:
        return
    failed = gather(torch.tensor([error is not None]), accelerator)[:, 0]
    if not failed.any():
        return
    first = int(failed.int().argmax())
    told = _tell(_as_text(error) if accelerator.process_index == first else "", first)
    if error is None:
        raise _known(_as_error(told, first))


@contextmanager
def together(accelerator: Accelerator) -> Iterator[None]:
    """What a process does on its own: after it all go on, or all fail.

    Whoever fails tells the others where they wait for it: at the end, or in an `agree` on the way there, as in
    `average_gradients`. Nothing else may be sent inside.
    """
    try:
        yield
    except Exception as error:
        if not getattr(error, "known_to_all", False):
            with suppress(UserError):  # the others are gone: what happened here says more
                agree(error, accelerator)
            _known(error)
        raise
    agree(None, accelerator)


@contextmanager
def first_alone(accelerator: Accelerator) -> Iterator[None]:
    """What one process of each machine does first, so that the others find it done. All go on, or all fail."""
    if not accelerator.is_local_main_process:
        agree(None, accelerator)
    with together(accelerator):
        yield
        if accelerator.is_local_main_process:
            agree(None, accelerator)


def leave() -> None:
    """Take leave of the other processes, at the very end."""
    if dist.is_available() and dist.is_initialized():
        _between_cpus.cache_clear()
        dist.destroy_process_group()


@cache
def _between_cpus() -> dist.ProcessGroup:
    return dist.group.WORLD if dist.get_backend() == "gloo" else dist.new_group(backend="gloo", timeout=TIMEOUT)


def _state(networks: Networks) -> Iterator[Tensor]:
    for _, network in networks.named():
        for value in (*network.parameters(), *network.buffers()):
            yield value.detach()


@contextmanager
def _heard() -> Iterator[None]:
    """Raise `UserError` when another process no longer answers."""
    try:
        yield
    except RuntimeError as error:
        raise UserError(
            "process_lost",
            "Another process of this run has ended, and the others cannot go on without it. The launcher's report "
            "names it; when the cause is mended, go on with --resume.",
        ) from error


def _tell(text: str, sender: int) -> str:
    """The sender's text, in all processes."""
    length = torch.tensor([len(text.encode())])
    with _heard():
        dist.broadcast(length, src=sender, group=_between_cpus())
        content = torch.zeros(int(length), dtype=torch.uint8)
        content[: len(text.encode())] = torch.tensor(list(text.encode()), dtype=torch.uint8)
        dist.broadcast(content, src=sender, group=_between_cpus())
    return bytes(content.tolist()).decode()


def _as_text(error: Exception) -> str:
    if isinstance(error, UserError):
        content = {"kind": "user", "code": error.code, "text": str(error)}
    elif isinstance(error, OSError):
        named = None if error.filename is None else str(error.filename)
        content = {"kind": "system", "number": error.errno, "text": error.strerror or str(error), "file": named}
    elif isinstance(error, StoppedError):
        content = {"kind": "stopped"}
    else:
        content = {"kind": "other", "text": f"{type(error).__name__}: {str(error).strip()[:300]}"}
    return json.dumps(content)


def _as_error(text: str, sender: int) -> Exception:
    content = json.loads(text)
    if content["kind"] == "user":
        return UserError.retold(content["code"], content["text"])
    if content["kind"] == "system":
        return OSError(content["number"], content["text"], content["file"])
    if content["kind"] == "stopped":
        return StoppedError()
    return UserError(
        "process_failed",
        "Process {number} of this run has failed: {why}. Its own report says where; when the cause is mended, go on "
        "with --resume.",
        number=sender,
        why=content["text"],
    )


def _known(error: Exception) -> Exception:
    error.known_to_all = True
    return error
