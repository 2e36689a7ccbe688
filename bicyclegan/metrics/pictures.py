"""Whether fakes look like photos to plain signal measures: sharpness, and artefacts along the border."""

from __future__ import annotations

import torch
from torch import Tensor

from bicyclegan.metrics.outputs import Outputs
from bicyclegan.metrics.registry import register

HIGH_BAND = 0.25
"""High frequencies are those above so many cycles a pixel: half of what a picture can hold."""
BORDER_SHARE = 1 / 32
"""Width of the border frame as a share of the side; at least 2 pixels."""
FLOOR = (2 / 255) ** 2
"""Added to both energies: one grey level, squared, in units of [-1, 1]. What nobody can see makes no ratio."""


@register("high_frequency")
def high_frequency(outputs: Outputs) -> float:
    """Energy in the high band of random samples against that of their photos. Blur is below 1, noise above."""
    return _ratio(high_energy(outputs.random.flatten(0, 1)), high_energy(outputs.b[: len(outputs.random)]))


@register("border_energy")
def border_energy(outputs: Outputs) -> float:
    """Energy of edges in the border frame of random samples against that of their photos. Artefacts are above 1."""
    return _ratio(frame_energy(outputs.random.flatten(0, 1)), frame_energy(outputs.b[: len(outputs.random)]))


@register("border_excess")
def border_excess(outputs: Outputs) -> float:
    """Energy of edges in the border frame beyond that of the photos, in units of the edges of whole photos.

    Where photos end in plain white `border_energy` divides by next to nothing; this is near 0 for what nobody sees.
    """
    photos = outputs.b[: len(outputs.random)]
    beyond = frame_energy(outputs.random.flatten(0, 1)) - frame_energy(photos)
    return beyond / (_step_energy(photos) + FLOOR)


def high_energy(pictures: Tensor) -> float:
    """Mean square of what lies above `HIGH_BAND`: (N, C, H, W) -> in squared units of [-1, 1].

    Under a Hann window, so that neither the jump between opposite sides nor the border counts.
    """
    height, width = pictures.shape[2:]
    window = torch.hann_window(height)[:, None] * torch.hann_window(width)
    spectrum = torch.fft.fft2(pictures * window, norm="ortho").abs().square()
    radius = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)[None])
    return (spectrum[..., radius > HIGH_BAND].sum(dim=-1).mean() / window.square().sum()).item()


def frame_energy(pictures: Tensor) -> float:
    """Mean squared step between neighbouring pixels in the border frame: (N, C, H, W) -> squared units of [-1, 1]."""
    height, width = pictures.shape[2:]
    margin = max(2, round(min(height, width) * BORDER_SHARE))
    inside = torch.zeros(height, width, dtype=torch.bool)
    inside[margin:-margin, margin:-margin] = True
    down = (pictures[..., 1:, :] - pictures[..., :-1, :]).square()
    right = (pictures[..., :, 1:] - pictures[..., :, :-1]).square()
    # A step counts where either of its ends lies in the frame: the frame's inner outline shows too.
    framed = torch.cat([down[..., ~(inside[1:] & inside[:-1])], right[..., ~(inside[:, 1:] & inside[:, :-1])]], dim=-1)
    return framed.mean().item()


def _step_energy(pictures: Tensor) -> float:
    """Mean squared step between neighbouring pixels everywhere."""
    down, right = pictures.diff(dim=-2).square(), pictures.diff(dim=-1).square()
    return (down.mean() + right.mean()).item() / 2


def _ratio(fake: float, real: float) -> float:
    return (fake + FLOOR) / (real + FLOOR)
