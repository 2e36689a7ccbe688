"""Codes seen in few dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bicyclegan.errors import UserError


@dataclass(frozen=True, eq=False)
class Pca:
    """Principal components: directions in which codes vary most, orthonormal, all D of them. float64."""

    mean: np.ndarray
    """(D,) centre of the codes."""
    components: np.ndarray
    """(D, D), one direction a row, by falling variance. Each points to where its largest entry is positive."""
    variances: np.ndarray
    """(D,) variance of the codes along each direction, divided by N."""

    @classmethod
    def fit(cls, codes: np.ndarray) -> Pca:
        """Find the directions of (N, D) codes, N and D at least 1. Raises `UserError` for anything else, or NaN."""
        codes = _check(codes)
        mean = codes.mean(axis=0)
        # The triangle R of codes = QR has the same right singular vectors, and needs no N x N matrix beside it.
        triangle = np.linalg.qr(codes - mean, mode="r")
        _, singular, components = np.linalg.svd(triangle, full_matrices=True)
        variances = np.zeros(codes.shape[1])
        variances[: len(singular)] = singular**2 / len(codes)
        largest = np.abs(components).argmax(axis=1)
        signs = np.sign(components[np.arange(len(components)), largest])
        return cls(mean, components * signs[:, None], variances)

    @property
    def shares(self) -> np.ndarray:
        """(D,) share of the whole variance along each direction; zeros when all codes are equal."""
        total = self.variances.sum()
        return self.variances / total if total > 0 else np.zeros_like(self.variances)

    def transform(self, codes: np.ndarray, dims: int = 2) -> np.ndarray:
        """Coordinates along the first directions: (N, D) -> (N, dims), dims at most D."""
        assert 1 <= dims <= len(self.mean), (dims, len(self.mean))
        return (_check(codes) - self.mean) @ self.components[:dims].T

    def inverse(self, coords: np.ndarray) -> np.ndarray:
        """Codes at coordinates: (N, d) -> (N, D); exact when d is D, else in the plane of the first d directions."""
        coords = _check(coords)
        return self.mean + coords @ self.components[: coords.shape[1]]


def _check(codes: np.ndarray) -> np.ndarray:
    codes = np.asarray(codes, dtype=np.float64)
    if codes.ndim != 2 or 0 in codes.shape:
        raise UserError(
            "projection_shape",
            "Codes to project have shape {shape}; expected (N, latent_dim) with at least one of each.",
            shape=codes.shape,
        )
    if not np.isfinite(codes).all():
        raise UserError("projection_value", "Codes to project hold NaN or infinite values: the encoder has failed.")
    return codes
