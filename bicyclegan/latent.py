"""Latent codes: where z comes from."""

from __future__ import annotations

from numbers import Real
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from bicyclegan.errors import UserError

if TYPE_CHECKING:
    from bicyclegan.projection import Pca

MAX_SEED = 2**32 - 1
MAX_SAMPLES = 1024
MAX_TRUNCATION = 3.0
MAX_CODE = 100.0
STRATA = 8


def sample_codes(
    seed: int, num_samples: int, latent_dim: int, *, truncation: float = 1.0, stratify: bool = True
) -> np.ndarray:
    """Codes from the prior N(0, I).

    Row k depends on `seed` and k alone: it is the same bits alone, in a batch, on any device and after an
    update of the libraries (NumPy promises that `RandomState` never changes its streams).

    Args:
        seed: 0 to 2**32 - 1.
        num_samples: 1 to 1024.
        latent_dim: length of a code; 0 gives codes without entries.
        truncation: scale of the codes, 0 to 3. Below 1 pictures are safer and more alike.
        stratify: each code is exactly normal either way. True spreads every eight of them (Latin hypercube,
            McKay et al. 1979): along each dimension they take one each of eight equally likely intervals, so
            that no two of a wall of eight look the same. False draws them independently, as metrics need.

    Returns:
        (num_samples, latent_dim) float32.
    """
    seed = check_integer("seed", seed, 0, MAX_SEED)
    num_samples = check_integer("num_samples", num_samples, 1, MAX_SAMPLES)
    if not (isinstance(truncation, Real) and 0 <= truncation <= MAX_TRUNCATION):
        raise UserError(
            "truncation_range",
            "The variety (truncation) is {value}; use a number from 0 to {limit:g}.",
            value=truncation,
            limit=MAX_TRUNCATION,
        )
    if stratify:
        blocks = [_spread_eight(seed, block, latent_dim) for block in range(-(-num_samples // STRATA))]
        codes = np.concatenate(blocks)[:num_samples]
    else:
        codes = np.stack([np.random.RandomState([seed, k]).standard_normal(latent_dim) for k in range(num_samples)])
    return (float(truncation) * codes).astype(np.float32)


def _spread_eight(seed: int, block: int, latent_dim: int) -> np.ndarray:
    """Eight normal codes, one in each eighth of probability along every dimension: (8, latent_dim) float64."""
    random = np.random.RandomState([seed, block])
    # One offset for all eight: neighbours are exactly an eighth apart and never meet at an interval's end.
    columns = [random.permutation(STRATA) + np.clip(random.random_sample(), 1e-9, 1 - 1e-9) for _ in range(latent_dim)]
    inverse = NormalDist().inv_cdf
    codes = [[inverse(u / STRATA) for u in column] for column in columns]
    return np.array(codes, dtype=np.float64).reshape(latent_dim, STRATA).T


def move_slider(codes: np.ndarray, slider: int, value: float, directions: Pca | None = None) -> np.ndarray:
    """Codes (N, D) with one slider at `value`, as a copy: a dim of z, or a coordinate along PCA directions."""
    coords = directions.transform(codes, codes.shape[1]) if directions else codes.copy()
    coords[:, slider] = value
    return directions.inverse(coords) if directions else coords


def check_codes(z: object, latent_dim: int) -> np.ndarray:
    """Codes from outside as (N, latent_dim) float32, a copy. Raises `UserError` for other shapes, NaN, huge values."""
    try:
        with np.errstate(over="ignore"):  # what is too large for float32 is refused below
            codes = np.atleast_2d(np.array(z, dtype=np.float32))
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError("codes_type", "Latent codes must be numbers: {why}.", why=error) from None
    if codes.ndim != 2 or codes.shape[1] != latent_dim or not 1 <= len(codes) <= MAX_SAMPLES:
        raise UserError(
            "codes_shape",
            "Latent codes have shape {shape}; this model takes (N, {dim}) with N from 1 to {limit}.",
            shape=codes.shape,
            dim=latent_dim,
            limit=MAX_SAMPLES,
        )
    if not (np.abs(codes) <= MAX_CODE).all():  # NaN fails too
        raise UserError("codes_value", "Latent codes must be finite and within ±{limit:g}.", limit=MAX_CODE)
    return codes


def check_integer(name: str, value: object, low: int, high: int) -> int:
    """Hold a count or a seed to its range; whole floats, as JSON brings them, count as integers."""
    whole = isinstance(value, (int, np.integer)) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or not low <= value <= high:
        raise UserError(
            "integer_range",
            "{name} is {value!r}; use a whole number from {low} to {high}.",
            name=name,
            value=value,
            low=low,
            high=high,
        )
    return int(value)
