"""A made-up evaluation: two models of which one uses its code and one does not. For tests of what shows it."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from bicyclegan.metrics.charts import Codes
from bicyclegan.metrics.measurement import CheckpointFacts, EvaluationResult, Measurement, Skipped
from bicyclegan.metrics.report import ReportPictures

OURS, THEIRS = "a1b2c3d4e5f60718293a4b5c6d7e8f90", "0f9e8d7c6b5a49382716050403020100"
KL = [3.1, 2.4, 1.9, 1.2, 0.8, 0.4, 0.004, 0.001]
LATENT_L1 = [0.12, 0.18, 0.22, 0.31, 0.38, 0.47, 0.79, 0.81]
MU_VARIANCE = [0.99, 0.97, 0.94, 0.88, 0.76, 0.52, 0.004, 0.001]
MU_MEAN = [0.03, -0.05, 0.11, 0.02, -0.14, 0.06, 0.001, -0.002]
PROTOCOL = {
    "lpips_diversity_alex_v0.1": "100 sketches x 20 samples with independent codes: LPIPS of the 19 consecutive pairs "
    "of each, mean over all; standard error over sketches.",
    "fid768": "5 draws of 500 pictures, each sketch with one random code, against the 500 validation photos at 128 px; "
    "Fréchet distance between Gaussians fitted to 768 features of a cut Inception v3; biased upwards by the number of "
    "pictures, so only comparable at the same number. Mean and standard error over draws.",
    "edge_f1": "Edges of one result of each sketch against the sketch, 2 px tolerance.",
}


def measured(name: str, group: str, value: float, hash: str = OURS, **fields: Any) -> Measurement:
    """A measurement on 500 pictures."""
    protocol = PROTOCOL.get(name, f"{name} on 500 validation pictures.")
    return Measurement(name, group, value, **{"protocol": protocol, "count": 500, "checkpoint_hash": hash, **fields})


def realism(fid: float, kid: float, precision: float, recall: float, hash: str) -> list[Measurement]:
    """FID, KID, precision and recall beside those of training photos."""
    return [
        measured("fid768", "fid", fid, hash, better="lower", standard_error=0.31, references={"train_photos": 14.2}),
        measured(
            "kid768", "kid", kid, hash, better="lower", standard_error=0.0004, references={"train_photos": 0.0011}
        ),
        measured(
            "pr768_precision", "precision_recall", precision, hash, better="higher", references={"train_photos": 0.88}
        ),
        measured("pr768_recall", "precision_recall", recall, hash, better="higher", references={"train_photos": 0.86}),
    ]


def latent() -> list[Measurement]:
    """What only a model with an encoder has."""
    return [
        measured("latent_l1", "latent", 0.41, better="lower", references={"chance": 0.7979}, per_dim=LATENT_L1),
        measured("kl", "latent", sum(KL), per_dim=KL),
        measured("active_dims", "latent", 6.0, better="higher", references={"all": 8.0}),
        measured("posterior_wasserstein", "latent", 0.21, better="lower", references={"prior_samples": 0.04}),
        measured("mu_mean", "latent", 0.003, per_dim=MU_MEAN),
        measured("mu_variance", "latent", 0.63, per_dim=MU_VARIANCE),
    ]


def ours(**fields: Any) -> CheckpointFacts:
    """A model whose code works."""
    diversity = measured(
        "lpips_diversity_alex_v0.1",
        "lpips_diversity",
        0.1523,
        better="higher",
        count=1900,
        standard_error=0.0021,
        references={"real_pairs": 0.4212, "same_code": 0.2874},
    )
    edges = measured(
        "edge_f1", "faithfulness", 0.713, better="higher", references={"real_photos": 0.83, "other_sketch": 0.21}
    )
    reconstruction = measured("reconstruction_l1", "reconstruction", 0.118, better="lower", standard_error=0.0015)
    training = {
        "data": "edges2shoes",
        "training_images": 11773,
        "steps": 60000,
        "batch_size": 8,
        "preset": "quality",
        "options": {"loss": {"lambda_kl": 0.01, "lambda_z": 0.5}},
        "metrics": {"images": 64, "latent_l1": 0.43},
    }
    measurements = [diversity, *realism(41.7, 0.0123, 0.71, 0.48, OURS), reconstruction, *latent(), edges]
    skipped = [Skipped("fid", "The weights of Inception v3 are not here: download them, or measure fid768.")]
    facts = {"parameters": 14_600_000, "training": training, "measurements": measurements, "skipped": skipped}
    return CheckpointFacts(
        **{"name": "edges2shoes", "hash": OURS, "image_size": 128, "latent_dim": 8, **facts, **fields}
    )


def without_code(**fields: Any) -> CheckpointFacts:
    """A pix2pix: neither code nor encoder."""
    measurements = [
        *realism(58.3, 0.0249, 0.74, 0.22, THEIRS),
        measured("reconstruction_l1", "reconstruction", 0.162, THEIRS, better="lower", protocol="B against G(A)."),
        measured("edge_f1", "faithfulness", 0.741, THEIRS, better="higher", references={"real_photos": 0.83}),
    ]
    skipped = [Skipped("lpips_diversity", "The model has no code: all its samples of a sketch are the same.")]
    training = {"data": "edges2shoes", "steps": 60000, "preset": "quality", "objective": "pix2pix"}
    facts = {"parameters": 13_900_000, "training": training, "measurements": measurements, "skipped": skipped}
    return CheckpointFacts(**{"name": "pix2pix", "hash": THEIRS, "image_size": 128, "latent_dim": 0, **facts, **fields})


def example_result(**fields: Any) -> EvaluationResult:
    """The first model, compared with the second unless `compared` says otherwise."""
    standard = {"checkpoint": ours(), "compared": [without_code()], "validation_images": 500, "training_images": 11773}
    return EvaluationResult(**{"data": "edges2shoes", "seed": 0, **standard, **fields})


def example_codes(count: int = 200) -> Codes:
    """mu and logvar of (count, 8) as `MU_VARIANCE` has them."""
    variance = np.array(MU_VARIANCE, np.float32)
    mu = np.random.default_rng(0).standard_normal((count, 8)).astype(np.float32) * np.sqrt(variance) + MU_MEAN
    logvar = np.log(np.maximum(1 - variance, 1e-3)) * np.ones((count, 1))
    return Codes(mu.astype(np.float32), logvar.astype(np.float32))


def example_pictures() -> ReportPictures:
    """Two sheets of plain colour, one much wider than a phone."""
    sheets = [
        ("10 validation edges x 8 styles", "Codes from seed 0.", (1200, 300)),
        ("Drawings x 8 styles", "", (300, 200)),
    ]
    return ReportPictures([(title, caption, Image.new("RGB", size, (90, 80, 200))) for title, caption, size in sheets])
