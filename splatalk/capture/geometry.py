"""Rotations and rigid motions, vectorised over frames."""

from __future__ import annotations

import numpy as np


def rotation_from_vector(vector: np.ndarray) -> np.ndarray:
    """(..., 3) axis times angle in radians → (..., 3, 3) (Rodrigues)."""
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    cross = skew(vector)
    small = angle < 1e-8
    safe = np.where(small, 1.0, angle)
    a = np.where(small, 1.0, np.sin(safe) / safe)
    b = np.where(small, 0.5, (1.0 - np.cos(safe)) / safe**2)
    return np.eye(3) + a * cross + b * (cross @ cross)


def vector_from_rotation(rotation: np.ndarray) -> np.ndarray:
    """(..., 3, 3) → (..., 3) axis times angle, angle below pi."""
    trace = np.trace(rotation, axis1=-2, axis2=-1)
    angle = np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0))[..., None]
    axis = np.stack(
        [
            rotation[..., 2, 1] - rotation[..., 1, 2],
            rotation[..., 0, 2] - rotation[..., 2, 0],
            rotation[..., 1, 0] - rotation[..., 0, 1],
        ],
        axis=-1,
    )
    return axis * np.where(angle < 1e-6, 0.5, angle / np.maximum(2.0 * np.sin(angle), 1e-12))


def skew(vector: np.ndarray) -> np.ndarray:
    """(..., 3) → (..., 3, 3) with skew(v) @ u = v × u."""
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    zero = np.zeros_like(x)
    rows = [np.stack(r, axis=-1) for r in ((zero, -z, y), (z, zero, -x), (-y, x, zero))]
    return np.stack(rows, axis=-2)


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """(..., 3, 3) → the rotation closest to it in the Frobenius norm."""
    u, _, vt = np.linalg.svd(matrix)
    sign = np.ones((*matrix.shape[:-2], 3))
    sign[..., 2] = np.sign(np.linalg.det(u @ vt))
    return (u * sign[..., None, :]) @ vt


def rigid(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """(..., 3, 3), (..., 3) → (..., 4, 4)."""
    out = np.zeros((*rotation.shape[:-2], 4, 4))
    out[..., :3, :3] = rotation
    out[..., :3, 3] = translation
    out[..., 3, 3] = 1.0
    return out


def mean_rotation(rotations: np.ndarray) -> np.ndarray:
    """(N, 3, 3) → the chordal mean."""
    return nearest_rotation(rotations.mean(axis=0))


def align(source: np.ndarray, target: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted similarity target ≈ scale · rotation @ source + shift (Umeyama 1991), vectorised.

    Args:
        source, target: (..., P, 3).
        weights: (P,) non-negative.

    Returns:
        scale (...), rotation (..., 3, 3), shift (..., 3).
    """
    w = weights / weights.sum()
    source_mean = np.einsum("p,...pi->...i", w, source)
    target_mean = np.einsum("p,...pi->...i", w, target)
    s, t = source - source_mean[..., None, :], target - target_mean[..., None, :]
    covariance = np.einsum("p,...pi,...pj->...ij", w, t, s)
    rotation = nearest_rotation(covariance)
    spread = np.einsum("p,...pi,...pi->...", w, s, s)
    scale = np.einsum("...ij,...ij->...", rotation, covariance) / np.maximum(spread, 1e-12)
    shift = target_mean - scale[..., None] * np.einsum("...ij,...j->...i", rotation, source_mean)
    return scale, rotation, shift
