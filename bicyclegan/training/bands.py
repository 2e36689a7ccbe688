"""Where the curves of a healthy run lie: the shaded part of a chart."""

from __future__ import annotations

import math
from typing import NamedTuple

from bicyclegan.training.config import TrainConfig

BALANCE = 0.5
"""What a least squares discriminator loses per scale when it cannot tell: it says 1/2 everywhere, so real and fake cost
1/4 each (Mao et al. 2017). Both at no cost: it wins."""
LATENT_CHANCE = math.sqrt(2 / math.pi)
"""E|z| = 0.798: the latent L1 of an encoder that recovers nothing."""


class Band(NamedTuple):
    """Between which values healthy runs lie, after the first tenth of their steps."""

    low: float
    high: float


def healthy_bands(config: TrainConfig) -> dict[str, Band]:
    """Bands by chart, for least squares BicycleGANs; none for other objectives, whose curves mean something else.

    Figures in brackets are where 90 % of the values of the shipped models lie; bands are wider, as other pictures are
    harder or easier, and by theory where there is one.

    - pixel [0.1 to 0.18]: pictures learnt by heart come near 0. A flat grey misses photos that
      fill their frame by 0.4 to 0.5; shoes and clothes on white are far easier than those.
    - kl [2.5 to 12 nats with 8 dims]: below half a nat the code tells nothing (posterior collapse). More than 3 nats
      in every dim is a code far from N(0, I): random codes then paint what photos never look like.
    - latent [0.55 to 0.92]: below chance, or the pictures do not show their code. It may be near 0.
    - discriminators [0.66 to 0.99 with two scales]: at most a little over `BALANCE` per scale, where it cannot tell;
      far below it wins, and its verdicts teach nothing.
    - generator [0.56 to 1 with two scales]: 1/4 per scale where D says 1/2 of fakes; 1 where D is sure of all.
    - gradients [2.5 to 39]: of every network, before clipping. Those of dead networks are near 0, and thousands come
      before numbers that are none.
    - diversity [0.15 to 0.32, LPIPS]: below 0.1 all codes paint the same picture. Photos of different things are
      about 0.5 apart or more, which one sketch should not paint.
    """
    loss, scales = config.loss, config.model.num_discriminators
    if (loss.objective, loss.adversarial) != ("bicyclegan", "lsgan"):
        return {}
    bands = {
        "pixel": Band(0.03, 0.4),
        "kl": Band(0.5, 3.0 * config.model.latent_dim),
        "latent": Band(0.0, LATENT_CHANCE),
        "gradients": Band(0.5, 150.0),
        "diversity": Band(0.1, 0.5),
    }
    summed = loss.reduction == "official" and scales == 1  # over samples: see `losses.over_scales`
    if not summed:
        bands["discriminators"] = Band(0.4 * BALANCE * scales, 1.2 * BALANCE * scales)
        bands["generator"] = Band(0.2 * scales, 0.6 * scales)
    return bands
