"""The training objectives that the paper compares (section 4), as data: one step runs them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ObjectiveName = Literal["bicyclegan", "cvae-gan", "clr-gan", "cae-gan", "pix2pix", "pix2pix+noise"]


@dataclass(frozen=True)
class CodePath:
    """One way from a sketch to a photo: where its code comes from and what judges the result."""

    name: Literal["encoded", "random"]
    code: Literal["posterior", "mean", "prior", "none"]
    """posterior: sampled from E(B). mean: mu of E(B). prior: N(0, I). none: no code at all."""
    pixel: bool
    """Whether the result must look like B."""


@dataclass(frozen=True)
class Objective:
    """A training objective of the paper, as the paths and terms it has. All run through the same step."""

    name: ObjectiveName
    paths: tuple[CodePath, ...]
    kl: bool = False
    """Pull E(B) towards N(0, I)."""
    latent: bool = False
    """Recover the random code from the result."""
    latent_trains_encoder: bool = False
    """Whether that reaches E. Not where another term trains E: E and G could agree to hide the code."""

    @property
    def two_paths(self) -> bool:
        """Whether the batch is split into halves, one for each path (official `forward`)."""
        return len(self.paths) == 2

    @property
    def needs_code(self) -> bool:
        """Whether there is a z at all."""
        return any(path.code != "none" for path in self.paths)

    @property
    def needs_encoder(self) -> bool:
        """Whether photos are read."""
        return self.latent or any(path.code in ("posterior", "mean") for path in self.paths)


_ENCODED = CodePath("encoded", "posterior", pixel=True)
_RANDOM = CodePath("random", "prior", pixel=False)
OBJECTIVES: dict[str, Objective] = {
    each.name: each
    for each in (
        Objective("bicyclegan", (_ENCODED, _RANDOM), kl=True, latent=True),
        Objective("cvae-gan", (_ENCODED,), kl=True),
        Objective("cae-gan", (CodePath("encoded", "mean", pixel=True),)),
        Objective("clr-gan", (_RANDOM,), latent=True, latent_trains_encoder=True),
        Objective("pix2pix", (CodePath("encoded", "none", pixel=True),)),
        Objective("pix2pix+noise", (CodePath("random", "prior", pixel=True),)),
    )
}
"""All objectives by name."""
