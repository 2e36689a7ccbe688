"""Metrics by name, all measured on one shared set of network outputs, so that validation is cheap.

>>> outputs = compute_outputs(generator, encoder, sketches, photos)     # doctest: +SKIP
>>> evaluate(outputs)["latent_l1"], LATENT_CHANCE                       # doctest: +SKIP
(0.735, 0.7978845608028654)
"""

from bicyclegan.metrics import diversity, pictures  # noqa: F401  (importing registers their metrics)
from bicyclegan.metrics.latent import LATENT_CHANCE
from bicyclegan.metrics.outputs import Outputs, compute_outputs
from bicyclegan.metrics.registry import METRICS, Metric, evaluate, rankable, register

__all__ = [
    "LATENT_CHANCE",
    "METRICS",
    "Metric",
    "Outputs",
    "compute_outputs",
    "evaluate",
    "rankable",
    "register",
]
