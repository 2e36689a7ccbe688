"""What `evaluate --metrics` can be asked for: each group turns a `Subject` into measurements with their protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from bicyclegan import images
from bicyclegan.losses import kl_per_dim, pixel_l1
from bicyclegan.metrics.distance import RGB
from bicyclegan.metrics.faithfulness import TOLERANCE, edge_f1
from bicyclegan.metrics.latent import ACTIVE_VARIANCE, LATENT_CHANCE, active, sliced_wasserstein
from bicyclegan.metrics.measurement import Measurement
from bicyclegan.metrics.outputs import draw_codes
from bicyclegan.metrics.subject import Subject
from bicyclegan.sketch import photo_to_edges

REAL_PAIRS = 1900
"""Pairs of photos that the ceiling of diversity is measured on: as many as the paper's pairs of samples."""


@dataclass(frozen=True)
class Group:
    """Measurements that belong together."""

    name: str
    measure: Callable[[Subject], list[Measurement]]
    needs: Callable[[Subject], str]
    """What is missing here, as half a sentence; empty if nothing is."""


def lpips_diversity(subject: Subject) -> list[Measurement]:
    """Mean distance of consecutive samples of one sketch (paper, section 5.2), by LPIPS where its weights are here."""
    found = subject.sampled.distances
    inputs, pairs = found.shape
    name = "rgb_diversity" if subject.distance is RGB else f"lpips_diversity_{subject.distance.name.partition('_')[2]}"
    value = Measurement(
        name=name,
        group="lpips_diversity",
        value=float(found.mean()),
        standard_error=_standard_error(found.mean(axis=1)),
        count=found.size,
        protocol=f"{inputs} sketches x {pairs + 1} samples with independent codes from N(0, I): distance of the "
        f"{pairs} consecutive pairs of each, mean over all; standard error over sketches. Distance: "
        f"{subject.distance.name} at {_side(subject)} px. References: {REAL_PAIRS} random pairs of different "
        "validation photos; consecutive sketches of those above, painted with one code.",
        checkpoint_hash=subject.checkpoint.hash,
        better="higher",
        references={"real_pairs": _real_pairs(subject), "same_code": float(subject.sampled.same_code.mean())},
    )
    return [value]


def reconstruction(subject: Subject) -> list[Measurement]:
    """How close G(A, E(B)) comes to B; without an encoder G(A) or G(A, z) with one code for all."""
    codes = subject.codes
    if codes is None:
        code = draw_codes(subject.protocol.seed, 1, 1, subject.latent_dim)[0]
        z, made = code.expand(len(subject.data.photos), -1), "G(A)" if not subject.latent_dim else "G(A, z), one z"
    else:
        z, made = codes[0], "G(A, E(B)), the code being the posterior's mean"
    l1, distance = [], []
    for rows, pictures in subject.paint_all(z, "reconstructing"):
        real = images.to_float(subject.data.photos[rows])
        l1 += [pixel_l1(*pair).item() for pair in zip(pictures, real, strict=True)]
        distance += subject.distance.measure(pictures, real).tolist()
    protocol = f"Every validation photo B against {made}; "
    common = {"group": "reconstruction", "better": "lower", "count": len(l1)}
    return [
        _mean(subject, "reconstruction_l1", l1, protocol + "mean |difference| in units of [-1, 1].", **common),
        _mean(
            subject,
            f"reconstruction_{subject.distance.name}",
            distance,
            f"{protocol}{subject.distance.name} at {_side(subject)} px.",
            **common,
        ),
    ]


def latent(subject: Subject) -> list[Measurement]:
    """What the code holds: recovered from pictures, told by photos, and how all of it lies against the prior."""
    return [_recovered(subject), *_posterior(subject), _aggregate(subject)]


def faithfulness(subject: Subject) -> list[Measurement]:
    """Whether pictures have their edges where the sketch has its lines."""
    style = subject.checkpoint.config.edge_style
    drawn = subject.data.sketches[..., 0]
    found: list[np.ndarray] = []
    for _, pictures in subject.paint_all(subject.random_codes(0), "finding edges"):
        found += [photo_to_edges(picture, style) for picture in images.to_pil(pictures)]
    scores = _scores(found, drawn)
    references = {"real_photos": float(np.mean(_scores(_edges_of_photos(subject), drawn)))}
    if len(drawn) > 1:  # from the other half: neighbours by name are often of a kind
        references["other_sketch"] = float(np.mean(_scores(found, np.roll(drawn, len(drawn) // 2, axis=0))))
    return [
        _mean(
            subject,
            "edge_f1",
            scores,
            f"Every validation sketch painted with one random code; edges of the picture, found as the sketch's own "
            f"were, against the sketch: F1 with {TOLERANCE} px tolerance at {_side(subject)} px. References: edges of "
            "the real photos against their sketches; edges of the pictures against other sketches.",
            group="faithfulness",
            better="higher",
            references=references,
        )
    ]


def _scores(edges: Iterable[np.ndarray], drawn: Iterable[np.ndarray]) -> list[float]:
    return [edge_f1(*pair) for pair in zip(edges, drawn, strict=True)]


def _edges_of_photos(subject: Subject) -> list[np.ndarray]:
    """1 where sketches are computed from photos; less for pairs, whose sketches come from elsewhere."""
    style = subject.checkpoint.config.edge_style
    parts = (images.to_pil(images.to_float(subject.data.photos[rows])) for rows in subject.chunks("finding edges"))
    return [photo_to_edges(photo, style) for part in parts for photo in part]


def _recovered(subject: Subject) -> Measurement:
    errors = subject.sampled.errors
    inputs, samples, _ = errors.shape
    return Measurement(
        name="latent_l1",
        group="latent",
        value=float(errors.mean()),
        standard_error=_standard_error(errors.mean(axis=(1, 2))),
        count=inputs * samples,
        protocol=f"{inputs} sketches x {samples} samples with independent codes z from N(0, I): mean |z - mu of "
        "E(G(A, z))|; standard error over sketches. Knowing nothing scores sqrt(2 / pi) = 0.798.",
        checkpoint_hash=subject.checkpoint.hash,
        better="lower",
        references={"chance": LATENT_CHANCE},
        per_dim=errors.mean(axis=(0, 1)).tolist(),
    )


def _posterior(subject: Subject) -> list[Measurement]:
    """Statistics of what E reads from the validation photos, per dim."""
    mu, logvar = subject.codes
    kl = kl_per_dim(mu, logvar)
    common = {"group": "latent", "count": len(mu)}
    every = "E on every validation photo: "
    return [
        _mean(
            subject,
            "kl",
            kl.sum(dim=1).tolist(),
            f"{every}KL(N(mu, exp(logvar)) || N(0, I)) in nats, sum over dims, mean over photos.",
            per_dim=kl.mean(dim=0).tolist(),
            **common,
        ),
        Measurement(
            name="active_dims",
            value=float(sum(active(mu))),
            protocol=f"{every}dims in which the variance of mu over photos is above {ACTIVE_VARIANCE:g}.",
            checkpoint_hash=subject.checkpoint.hash,
            better="higher",
            references={"all": float(subject.latent_dim)},
            **common,
        ),
        Measurement(
            name="mu_mean",
            value=float(mu.mean(dim=0).abs().mean()),
            protocol=f"{every}mean of mu per dim; the number is the mean size of them. The prior has 0.",
            checkpoint_hash=subject.checkpoint.hash,
            better="lower",
            per_dim=mu.mean(dim=0).tolist(),
            **common,
        ),
        Measurement(
            name="mu_variance",
            value=float(mu.var(dim=0, correction=0).mean()),
            protocol=f"{every}variance of mu per dim, and its mean. 1 would leave no room for doubt, 0 is a dead dim.",
            checkpoint_hash=subject.checkpoint.hash,
            per_dim=mu.var(dim=0, correction=0).tolist(),
            **common,
        ),
    ]


def _aggregate(subject: Subject) -> Measurement:
    """Distance of the aggregate posterior from the prior."""
    mu, logvar = subject.codes
    noise = draw_codes(subject.protocol.seed, len(mu), 2, subject.latent_dim).unbind(dim=1)
    drawn = mu + (logvar / 2).exp() * noise[0]
    return Measurement(
        name="posterior_wasserstein",
        group="latent",
        value=sliced_wasserstein(drawn),
        count=len(mu),
        protocol="One code drawn from the posterior of every validation photo, all of them against N(0, I): sliced "
        "2-Wasserstein distance over 256 fixed directions. The reference has as many codes from the prior itself.",
        checkpoint_hash=subject.checkpoint.hash,
        better="lower",
        references={"prior_samples": sliced_wasserstein(noise[1])},
    )


def _real_pairs(subject: Subject) -> float:
    """Mean distance of random pairs of different validation photos."""
    photos, total = subject.data.photos, 0.0
    random = np.random.RandomState([subject.protocol.seed, REAL_PAIRS])
    first = random.randint(len(photos), size=REAL_PAIRS)
    second = (first + random.randint(1, len(photos), size=REAL_PAIRS)) % len(photos)
    for rows in np.array_split(np.arange(REAL_PAIRS), 20):
        pair = (images.to_float(photos[side[rows]]) for side in (first, second))
        total += subject.distance.measure(*pair).sum().item()
        subject.progress("comparing photos", float(rows[-1] + 1) / REAL_PAIRS)
    return total / REAL_PAIRS


def _mean(subject: Subject, name: str, values: list[float], protocol: str, **fields: object) -> Measurement:
    """The mean of one value a picture, with its standard error."""
    return Measurement(
        name=name,
        value=float(np.mean(values)),
        standard_error=_standard_error(np.asarray(values)),
        protocol=protocol,
        checkpoint_hash=subject.checkpoint.hash,
        **{"count": len(values), **fields},
    )


def _standard_error(values: np.ndarray) -> float | None:
    """Of the mean of independent values; None for a single one, and for infinite ones of a model that diverged."""
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _side(subject: Subject) -> int:
    return subject.data.photos.shape[1]


def _no_pairs(subject: Subject) -> str:
    return "" if len(subject.data.photos) > 1 else "at least 2 validation photos"


def _no_encoder(subject: Subject) -> str:
    return "" if subject.checkpoint.encoder else "an encoder, which this model does not have"


def _no_edges(subject: Subject) -> str:
    return "" if subject.checkpoint.config.edge_style else "sketches made of edges, not label maps"


def _nothing(subject: Subject) -> str:
    return ""


GROUPS = {
    group.name: group
    for group in (
        Group("lpips_diversity", lpips_diversity, _no_pairs),
        Group("reconstruction", reconstruction, _nothing),
        Group("latent", latent, _no_encoder),
        Group("faithfulness", faithfulness, _no_edges),
    )
}
"""What is measured without comparing sets of pictures, by name, in this order."""
