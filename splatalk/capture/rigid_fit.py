"""Rigid poses from points seen in the picture: robust Gauss-Newton on many frames at once."""

from __future__ import annotations

import numpy as np

from splatalk.capture.geometry import nearest_rotation, rotation_from_vector

_CHUNK = 256


def fit_poses(
    shapes: np.ndarray,
    seen: np.ndarray,
    weights: np.ndarray,
    focal: float,
    rotation: np.ndarray,
    translation: np.ndarray,
    *,
    noise: float,
    steps: int,
    depth: np.ndarray | None = None,
    depth_weight: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Minimise Σ weight · ρ(|projection - seen| / noise) for every frame, ρ being Cauchy's with scale 2.

    Args:
        shapes: (N, P, 3) or (1, P, 3) points before the motion, metres.
        seen: (N, P, 2) pixels from the principal point.
        weights: (N, P) or (P,).
        focal: pixels.
        rotation, translation: (N, 3, 3), (N, 3) to start from.
        noise: pixels.
        depth: (N, P) depths along the line of sight in pixels at the face's distance, from any zero: what a network
            guesses.
        depth_weight: trust in ``depth`` against ``seen``.

    Returns:
        rotation, translation and the (N,) weighted RMS residual in pixels.
    """
    n = len(seen)
    rotation, translation, residual = rotation.copy(), translation.copy(), np.zeros(n)
    weights = np.broadcast_to(weights, seen.shape[:2])
    for begin in range(0, n, _CHUNK):
        part = slice(begin, begin + _CHUNK)
        shape = shapes if len(shapes) == 1 else shapes[part]
        rotation[part], translation[part], residual[part] = _fit(
            shape, seen[part], weights[part], focal, rotation[part], translation[part], noise, steps,
            None if depth is None else depth[part], depth_weight,
        )  # fmt: skip
    return rotation, translation, residual


def _fit(
    shape: np.ndarray,
    seen: np.ndarray,
    weights: np.ndarray,
    focal: float,
    rotation: np.ndarray,
    translation: np.ndarray,
    noise: float,
    steps: int,
    depth: np.ndarray | None,
    depth_weight: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    robust, error = weights, np.zeros_like(seen)
    for step in range(steps + 1):
        turned = shape @ np.swapaxes(rotation, 1, 2)
        camera = turned + translation[:, None, :]
        inverse = 1.0 / np.maximum(camera[..., 2], 1e-3)
        slope = camera[..., :2] * inverse[..., None]
        error = focal * slope - seen
        robust = weights / (1.0 + (error**2).sum(axis=-1) / (2.0 * noise) ** 2)
        if step == steps:
            break
        jacobian = _jacobian(turned, slope, focal * inverse)  # (n, P, 2, 6)
        rows = jacobian.reshape(len(seen), -1, 6)
        scaled = (jacobian * (robust / noise**2)[..., None, None]).reshape(len(seen), -1, 6)
        normal = np.swapaxes(rows, 1, 2) @ scaled
        normal += (1e-7 * np.trace(normal, axis1=1, axis2=2) + 1e-9)[:, None, None] * np.eye(6)
        gradient = (np.swapaxes(scaled, 1, 2) @ error.reshape(len(seen), -1, 1))[..., 0]
        if depth is not None:
            more_normal, more_gradient = _depth_terms(turned, translation, depth, robust / noise**2, focal)
            normal[:, :3, :3] += depth_weight * more_normal
            gradient[:, :3] += depth_weight * more_gradient
        change = -np.linalg.solve(normal, gradient[..., None])[..., 0]
        rotation = nearest_rotation(rotation_from_vector(np.clip(change[:, :3], -0.3, 0.3)) @ rotation)
        translation = translation + np.clip(change[:, 3:], -0.2, 0.2)
        translation[:, 2] = np.maximum(translation[:, 2], 0.05)
    total = np.maximum(robust.sum(axis=-1), 1e-9)
    return rotation, translation, np.sqrt((robust * (error**2).sum(axis=-1)).sum(axis=-1) / total / 2.0)


def _jacobian(turned: np.ndarray, slope: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """(n, P, 2, 6) derivative of the pixels by a turn on the left and a shift.

    Args:
        turned: (n, P, 3) rotated points before the shift.
        slope: (n, P, 2) x / z and y / z in the camera.
        gain: (n, P) focal / z.
    """
    x, y, z = (turned[..., k] for k in range(3))
    u, v = slope[..., 0], slope[..., 1]
    out = np.zeros((*gain.shape, 2, 6))
    out[..., 0, 0], out[..., 0, 1], out[..., 0, 2] = -u * y, z + u * x, -y
    out[..., 1, 0], out[..., 1, 1], out[..., 1, 2] = -z - v * y, v * x, x
    out[..., 0, 3] = out[..., 1, 4] = 1.0
    out[..., 0, 5], out[..., 1, 5] = -u, -v
    return out * gain[..., None, None]


def _depth_terms(
    turned: np.ndarray, translation: np.ndarray, depth: np.ndarray, weights: np.ndarray, focal: float
) -> tuple[np.ndarray, np.ndarray]:
    """What the guessed depths add to the turn's normal matrix (n, 3, 3) and gradient (n, 3)."""
    distance = np.linalg.norm(translation, axis=1, keepdims=True)
    sight = translation / distance
    gain = focal / distance  # (n, 1)
    total = np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)

    def centred(x: np.ndarray) -> np.ndarray:
        return x - (weights * x).sum(axis=1, keepdims=True) / total

    error = centred(gain * np.einsum("npi,ni->np", turned, sight)) - centred(depth)
    slope = gain[..., None] * np.cross(turned, sight[:, None, :])  # (n, P, 3)
    slope -= (weights[..., None] * slope).sum(axis=1, keepdims=True) / total[..., None]
    scaled = slope * weights[..., None]
    return np.swapaxes(slope, 1, 2) @ scaled, np.einsum("npi,np->ni", scaled, error)
