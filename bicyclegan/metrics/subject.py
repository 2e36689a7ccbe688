"""What an evaluation measures: one checkpoint, the photos it is measured on, and what it makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from bicyclegan import images
from bicyclegan.checkpoints import Checkpoint
from bicyclegan.latent import MAX_SEED
from bicyclegan.metrics.distance import Distance
from bicyclegan.metrics.outputs import draw_codes, encode, paint, paint_each

BATCH = 16
INPUTS, SAMPLES = 100, 20
"""Sketches, and photos of each, for diversity (paper, section 5.2)."""
Progress = Callable[[str, float], None]
"""Called with what is being done and the share of it that is done, 0 to 1."""


def quiet(what: str, share: float) -> None:
    """Progress that nobody wants to see."""


@dataclass(frozen=True)
class Protocol:
    """How much is measured. The defaults are the paper's; fewer are for tests and quick looks, and are said."""

    seed: int = 0
    """Of every random code and every choice, 0 to 2**32 - 1."""
    inputs: int = INPUTS
    samples: int = SAMPLES
    draws: int = 5
    """How often sets of pictures are drawn and compared (FID and its kin)."""

    @property
    def floor_draws(self) -> int:
        """How many sets of training photos stand beside them: they vary less, and cost as much to look at."""
        return min(2, self.draws)


@dataclass(frozen=True, eq=False)
class Photos:
    """Pictures of one data set at one size, uint8 and channels last."""

    sketches: np.ndarray
    """(N, H, W, C) validation sketches."""
    photos: np.ndarray
    """(N, H, W, 3) their photos."""
    names: tuple[str, ...]
    train: np.ndarray
    """(M, H, W, 3) training photos, M at most `Protocol.floor_draws` times N; M is 0 where there are none."""


@dataclass(frozen=True, eq=False)
class Sampled:
    """What the random samples of K sketches, S of each, tell. Pictures are painted, measured and dropped."""

    distances: np.ndarray
    """(K, S - 1) distances of consecutive samples of one sketch."""
    same_code: np.ndarray
    """(K - 1,) distances of consecutive sketches painted with one code."""
    errors: np.ndarray
    """(K, S, D) |z - E(G(A, z))|; without an encoder D is 0."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A checkpoint in front of its examiners. What several metrics need is computed once, when it is asked for."""

    checkpoint: Checkpoint
    """Its networks are where they compute."""
    data: Photos
    distance: Distance
    """How pictures are compared."""
    protocol: Protocol = field(default_factory=Protocol)
    progress: Progress = quiet

    @property
    def latent_dim(self) -> int:
        return self.checkpoint.config.model.latent_dim

    @cached_property
    def inputs(self) -> list[int]:
        """The sketches of `sampled`, evenly spread over all of them."""
        count = len(self.data.photos)
        return np.linspace(0, count - 1, min(count, self.protocol.inputs)).round().astype(int).tolist()

    @cached_property
    def sampled(self) -> Sampled:
        """One pass over `inputs` with independent codes for each. A model without code gives every sample alike."""
        generator, encoder = self.checkpoint.generator, self.checkpoint.encoder
        sketches = self.sketches(self.inputs)
        samples = self.protocol.samples if self.latent_dim else 2
        z = draw_codes(self.protocol.seed, len(sketches), samples, self.latent_dim)
        distances, across, errors = [], [], []
        before: Tensor | None = None
        for k, sketch in enumerate(sketches):
            pictures = paint_each(generator, sketch[None], z[k], BATCH)[0]
            distances.append(self.distance.measure(pictures[:-1], pictures[1:]).numpy())
            if before is not None:
                other = paint(generator, sketch[None], z[k - 1, :1], BATCH)
                across.append(self.distance.measure(before, other).item())
            before = pictures[:1]
            found = encode(encoder, pictures, BATCH)[0] if encoder else z[k, :, :0]
            errors.append((found - z[k, :, : found.shape[1]]).abs().numpy())
            self.progress("sampling", (k + 1) / len(sketches))
        return Sampled(np.stack(distances), np.array(across), np.stack(errors))

    @cached_property
    def codes(self) -> tuple[Tensor, Tensor] | None:
        """mu and logvar of all photos, (N, D) each; None without an encoder."""
        encoder = self.checkpoint.encoder
        if encoder is None:
            return None
        parts = [encode(encoder, images.to_float(self.data.photos[rows]), BATCH) for rows in self.chunks("reading")]
        return torch.cat([mu for mu, _ in parts]), torch.cat([logvar for _, logvar in parts])

    def sketches(self, indices: list[int] | slice) -> Tensor:
        """(n, input_channels, H, W) in [-1, 1]; models of three channels take grey sketches in all of them."""
        a = images.to_float(self.data.sketches[indices])
        return a.expand(-1, self.checkpoint.config.model.input_channels, -1, -1) if a.shape[1] == 1 else a

    def paint_all(self, codes: Tensor, what: str) -> Iterator[tuple[slice, Tensor]]:
        """Every sketch once, sketch k with code k of (N, D): parts of (n, 3, H, W) in [-1, 1], and which they are."""
        for rows in self.chunks(what):
            yield rows, paint(self.checkpoint.generator, self.sketches(rows), codes[rows], BATCH)

    def random_codes(self, draw: int) -> Tensor:
        """A code for every sketch, (N, D): another one in each draw, and none of those of `sampled`."""
        seed = (self.protocol.seed + 1_000_003 * (draw + 1)) % (MAX_SEED + 1)
        return draw_codes(seed, len(self.data.photos), 1, self.latent_dim)[:, 0]

    def chunks(self, what: str) -> Iterator[slice]:
        """All pictures in parts that fit into memory, with progress."""
        count = len(self.data.photos)
        for start in range(0, count, BATCH):
            yield slice(start, min(start + BATCH, count))
            self.progress(what, min(1.0, (start + BATCH) / count))
