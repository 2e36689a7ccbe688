"""Latent codes: where z comes from, and ways from one z to another."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
MAX_STEPS = 16
"""Places of one slider that are shown side by side."""
MAX_LIMIT = 3.0
"""How far from 0 a slider goes: 99.7 % of the codes that photos are painted from lie within."""
MAX_SIDE = 7
"""Places of each slider in a grid."""
MAX_FRAMES = 240
"""Frames of one way through several codes."""
NO_ANGLE = 1e-7
"""Sine of an angle below which two directions count as one line: the rounding of float32."""
CHILD, CHILD_NOISE = 1, 2
"""Part of a child's random key. Without it, a child would be its parent's own draw again where both share a seed."""


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
        codes = _spread_codes([seed], num_samples, latent_dim)
    else:
        codes = np.stack([np.random.RandomState([seed, k]).standard_normal(latent_dim) for k in range(num_samples)])
    return (float(truncation) * codes).astype(np.float32)


def _spread_codes(key: list[int], count: int, latent_dim: int) -> np.ndarray:
    """Normal codes, every eight of them spread: (count, latent_dim) float64. Row k depends on `key` and k alone."""
    blocks = [_spread_eight([*key, block], latent_dim) for block in range(-(-count // STRATA))]
    return np.concatenate(blocks)[:count]


def _spread_eight(key: list[int], latent_dim: int) -> np.ndarray:
    """Eight normal codes, one in each eighth of probability along every dimension: (8, latent_dim) float64."""
    random = np.random.RandomState(key)
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


def even_steps(count: int, limit: float = MAX_LIMIT) -> np.ndarray:
    """Places of a slider from -limit to +limit: (count,) float64. count: 2 to 16; limit: above 0, up to 3."""
    count = check_integer("steps", count, 2, MAX_STEPS)
    if not (_is_number(limit) and 0 < limit <= MAX_LIMIT):
        raise UserError(
            "limit_range",
            "The limit of a slider is {value!r}; use a number above 0, up to {limit:g}.",
            value=limit,
            limit=MAX_LIMIT,
        )
    return np.linspace(-float(limit), float(limit), count)


def sweep(z: np.ndarray, slider: int, values: Sequence[float], directions: Pca | None = None) -> np.ndarray:
    """One slider moves, the rest stays: (D,) -> (len(values), D) float32.

    slider: 0 to D - 1. directions: principal ones of the same D, to move along instead of the dims of z.
    Raises `UserError`.
    """
    code = _check_one(z)
    return _move_each(code, check_slider(slider, code.shape[1]), _check_values(values), directions).astype(np.float32)


def grid(
    z: np.ndarray,
    sliders: tuple[int, int],
    across: Sequence[float],
    down: Sequence[float],
    directions: Pca | None = None,
) -> np.ndarray:
    """Two sliders move: (D,) -> (len(down) * len(across), D) float32, row by row.

    Args:
        z: the code whose other entries stay.
        sliders: two different ones, 0 to D - 1. The first runs across, the second down.
        across: places of the first, 2 to 7.
        down: places of the second, 2 to 7.
        directions: principal ones of the same D, to move along instead of the dims of z.

    Raises:
        UserError: for anything else.
    """
    code = _check_one(z)
    a, b = (check_slider(slider, code.shape[1]) for slider in sliders)
    if a == b:
        raise UserError("grid_sliders", "A grid needs two different sliders; both are {slider}.", slider=a)
    across, down = _check_values(across), _check_values(down)
    for values in (across, down):
        check_integer("side", len(values), 2, MAX_SIDE)
    rows = _move_each(code, b, down, directions)
    return np.concatenate([_move_each(row[None], a, across, directions) for row in rows]).astype(np.float32)


def _move_each(code: np.ndarray, slider: int, values: np.ndarray, directions: Pca | None) -> np.ndarray:
    """`move_slider` of one code (1, D) to several places: (len(values), D) float64."""
    assert directions is None or len(directions.mean) == code.shape[1], (len(directions.mean), code.shape)
    return np.concatenate([move_slider(code.astype(np.float64), slider, value, directions) for value in values])


def slerp(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """A code on the way from a to b, both (D,), as (D,) float32; t from 0 (exactly a) to 1 (exactly b).

    The direction turns at constant speed (Shoemake, Animating rotation with quaternion curves, 1985) and the length
    changes evenly, so that codes in between are as long as those of the prior, which a straight line cuts short.
    Where the way around is not defined, it is the straight line (from or to zero), or the way over the axis that a
    points to least (opposite codes). Raises `UserError`.
    """
    start, end = _check_one(a)[0], _check_one(b)[0]
    if len(start) != len(end):
        raise UserError(
            "slerp_lengths", "Codes of {a} and {b} entries do not belong together.", a=len(start), b=len(end)
        )
    t = check_number("t", t, 0, 1)
    if t in (0, 1):
        return end if t else start
    return _turn(start.astype(np.float64), end.astype(np.float64), t).astype(np.float32)


def _turn(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """`slerp` in float64: cos(t angle) u + sin(t angle) w, u along a and w at right angles to it, towards b."""
    length_a, length_b = np.linalg.norm(a), np.linalg.norm(b)
    if not length_a or not length_b:
        return (1 - t) * a + t * b
    u, v = a / length_a, b / length_b
    angle = 2 * math.atan2(np.linalg.norm(u - v), np.linalg.norm(u + v))  # exact for small ones, unlike arccos
    w = _right_angle(u, v)
    if not np.linalg.norm(w):
        w = _right_angle(u, np.eye(len(u))[np.abs(u).argmin()])
    if not np.linalg.norm(w):  # there is only one axis
        return (1 - t) * a + t * b
    return ((1 - t) * length_a + t * length_b) * (math.cos(t * angle) * u + math.sin(t * angle) * w)


def _right_angle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The part of the unit vector v at right angles to u, of length 1; zero where both are on one line."""
    rest = v - (u @ v) * u
    length = np.linalg.norm(rest)
    return rest / length if length > NO_ANGLE else np.zeros_like(rest)


def morph(codes: np.ndarray, frames: int, loop: bool = False) -> np.ndarray:
    """A way through all codes in their order by `slerp`: (K, D) -> (frames, D) float32.

    The time from one to the next is always the same.

    Args:
        codes: two or more.
        frames: 2 to 240, and at least one a code. The first shows the first code.
        loop: False ends exactly at the last code. True goes on to the first and ends just before it, so that the
            frames can repeat forever and show no code twice in a row.

    Raises:
        UserError: for anything else.
    """
    codes = _check_any(codes)
    count, frames = len(codes), check_integer("frames", frames, 2, MAX_FRAMES)
    if count < 2:
        raise UserError("morph_one", "A way needs two codes or more; there is {count}.", count=count)
    if frames < count:
        raise UserError(
            "morph_frames",
            "{frames} frames cannot show {count} codes; use at least {count} frames, or fewer codes.",
            frames=frames,
            count=count,
        )
    legs, span = (count, frames) if loop else (count - 1, frames - 1)
    places = [
        divmod(frame * legs, span) for frame in range(frames)
    ]  # whole numbers: what is reached is reached exactly
    return np.stack([slerp(codes[leg % count], codes[(leg + 1) % count], rest / span) for leg, rest in places])


def mix(codes: np.ndarray, weights: Sequence[float] | None = None) -> np.ndarray:
    """Weighted mean of codes: (K, D) -> (D,) float32. weights: K numbers from 0 on, not all 0; all equal by default.

    Raises `UserError`.
    """
    codes = _check_any(codes)
    if weights is None:
        return codes.mean(axis=0, dtype=np.float64).astype(np.float32)
    shares = _check_values(weights)
    if len(shares) != len(codes) or shares.min() < 0 or not shares.sum() > 0:
        raise UserError(
            "mix_weights",
            "The weights are {weights}; use {count} numbers, one a code, none below 0 and not all 0.",
            weights=shares.tolist()[:8],
            count=len(codes),
        )
    return (shares / shares.sum() @ codes.astype(np.float64)).astype(np.float32)


def mutate(parents: np.ndarray, count: int = 8, strength: float = 0.5, seed: int = 0) -> np.ndarray:
    """Children of codes: (K, D) -> (count, D) float32. Child k depends on seed and k, not on count.

    Each takes one parent or a blend of two by `slerp`, p, and steps towards fresh noise n from the prior:
    sqrt(1 - s^2) p + s n, which is normal again if p is. Noise is spread as in `sample_codes`, so that no two of
    eight children are alike.

    Args:
        parents: one or more.
        count: 1 to 1024.
        strength: s, from 0 (p itself) to 1 (a fresh code that has nothing of its parents).
        seed: 0 to 2**32 - 1.

    Raises:
        UserError: for anything else.
    """
    parents = _check_any(parents)
    count = check_integer("count", count, 1, MAX_SAMPLES)
    strength = check_number("strength", strength, 0, 1)
    seed = check_integer("seed", seed, 0, MAX_SEED)
    origins = np.stack([_pick(parents, np.random.RandomState([seed, k, CHILD])) for k in range(count)])
    noise = _spread_codes([seed, CHILD_NOISE], count, parents.shape[1])
    return (math.sqrt(1 - strength**2) * origins + strength * noise).astype(np.float32)


def _pick(parents: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """One of the parents or, every other time, a blend of two: (D,)."""
    first, blend = random.randint(len(parents)), random.random_sample() < 0.5
    if len(parents) == 1 or not blend:
        return parents[first]
    second = (first + random.randint(1, len(parents))) % len(parents)
    return slerp(parents[first], parents[second], random.uniform(0.25, 0.75))


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


def check_number(name: str, value: object, low: float, high: float) -> float:
    """Hold a number to its range, both ends included. Raises `UserError`, for NaN too."""
    if not (_is_number(value) and low <= value <= high):
        raise UserError(
            "number_range",
            "{name} is {value!r}; use a number from {low:g} to {high:g}.",
            name=name,
            value=value,
            low=low,
            high=high,
        )
    return float(value)


def check_slider(slider: object, latent_dim: int) -> int:
    """Hold the number of a slider to those that a code of `latent_dim` entries has. Raises `UserError`."""
    check_has_code(latent_dim)
    return check_integer("slider", slider, 0, latent_dim - 1)


def check_has_code(latent_dim: int) -> None:
    """Raise `UserError` for a model without latent code."""
    if not latent_dim:
        raise UserError(
            "no_code", "This model has no latent code (latent_dim 0): it paints in one style, without sliders."
        )


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _check_any(codes: object) -> np.ndarray:
    """`check_codes` for codes of any length."""
    try:
        dim = np.shape(codes)[-1]
    except (ValueError, IndexError):
        dim = 0  # rows of different lengths, or no rows: refused below
    return check_codes(codes, dim)


def _check_one(z: object) -> np.ndarray:
    """One code of any length, as (1, D) float32. Raises `UserError`."""
    codes = _check_any(z)
    if len(codes) != 1:
        raise UserError("one_code", "One latent code is needed here; there are {count}.", count=len(codes))
    return codes


def _check_values(values: object) -> np.ndarray:
    """A list of numbers from outside as (N,) float64, N from 1. Raises `UserError`."""
    try:
        numbers = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError("values_type", "A list of numbers is needed: {why}.", why=error) from None
    if numbers.ndim != 1 or not 1 <= len(numbers) <= MAX_SAMPLES:
        raise UserError(
            "values_shape",
            "The numbers have shape {shape}; use one list of 1 to {limit}.",
            shape=numbers.shape,
            limit=MAX_SAMPLES,
        )
    if not (np.abs(numbers) <= MAX_CODE).all():  # NaN fails too
        raise UserError("values_range", "The numbers must be finite and within ±{limit:g}.", limit=MAX_CODE)
    return numbers
