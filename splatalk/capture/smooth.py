"""Smoothing without lag: every filter here looks as far ahead as back, so nothing moves in time."""

from __future__ import annotations

import numpy as np
from scipy.fft import dct
from scipy.linalg import solveh_banded

from splatalk.capture.geometry import mean_rotation, rotation_from_vector, vector_from_rotation


def fill_gaps(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(N, ...) with invalid frames replaced by straight lines between valid ones; the ends repeat the nearest."""
    if valid.all() or not valid.any():
        return values
    flat = values.reshape(len(values), -1).astype(np.float64)
    index, known = np.arange(len(flat)), np.flatnonzero(valid)
    after = np.clip(np.searchsorted(known, index), 0, len(known) - 1)
    before = np.maximum(after - 1, 0)
    left, right = known[before], known[after]
    share = np.clip((index - left) / np.maximum(right - left, 1), 0.0, 1.0)
    share[index <= known[0]] = 1.0
    filled = flat[left] * (1.0 - share[:, None]) + flat[right] * share[:, None]
    filled[valid] = flat[valid]
    return filled.reshape(values.shape)


def low_pass(values: np.ndarray, weights: np.ndarray, cutoff: float, fps: float) -> np.ndarray:
    """Whittaker-Henderson smoother with third differences (Whittaker 1923): weighted least squares plus roughness.

    Args:
        values: (N, D).
        weights: (N,) trust in each frame, 0 for none.
        cutoff: Hz at which half of the amplitude remains; cubics in time pass unchanged.
        fps: frames per second.

    Returns:
        (N, D).
    """
    n = len(values)
    if n < 8:
        return values
    strength = (2.0 * np.sin(np.pi * min(cutoff / fps, 0.49))) ** -6
    taps = np.array([-1.0, 3.0, -3.0, 1.0])
    bands = np.zeros((4, n))  # upper form: row 3 is the diagonal, row 3 - k the k-th superdiagonal
    for k in range(4):
        for a in range(4 - k):
            bands[3 - k, a + k : n - 3 + a + k] += strength * taps[a] * taps[a + k]
    bands[3] += np.maximum(weights, 1e-9)
    return solveh_banded(bands, np.maximum(weights, 1e-9)[:, None] * values)


def choose_cutoff(values: np.ndarray, fps: float, lowest: float, highest: float) -> float:
    """The cutoff in Hz for ``low_pass`` by generalised cross-validation (Craven and Wahba 1979), common to all columns.

    Args:
        values: (N, D), columns in units in which noise is alike.
    """
    n = len(values)
    if n < 16:
        return highest
    trend = np.linspace(0.0, 1.0, n)[:, None] * (values[-1] - values[0]) + values[0]
    power = (dct(values - trend, axis=0, norm="ortho") ** 2).sum(axis=1)
    roughness = (2.0 * np.sin(np.pi * np.arange(n) / (2 * n))) ** 6
    candidates = np.geomspace(lowest, highest, 25)
    scores = []
    for cutoff in candidates:
        lost = 1.0 - 1.0 / (1.0 + (2.0 * np.sin(np.pi * cutoff / fps)) ** -6 * roughness)
        scores.append((lost**2 * power).sum() / max(lost.sum(), 1e-9) ** 2)
    return float(candidates[int(np.argmin(scores))])


def smooth_poses(
    rotation: np.ndarray, translation: np.ndarray, weights: np.ndarray, fps: float, lowest: float, highest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Smooth (N, 3, 3), (N, 3) in the tangent space at the mean rotation; depth on its own, being noisier."""
    valid = weights > 0
    middle = mean_rotation(rotation[valid])
    turn = fill_gaps(vector_from_rotation(middle.T @ rotation), valid)
    place = fill_gaps(translation, valid)
    out = []
    for part in (turn, place[:, :2], place[:, 2:]):
        cutoff = choose_cutoff(part, fps, lowest, highest)
        out.append(low_pass(part, weights, cutoff, fps))
    return middle @ rotation_from_vector(out[0]), np.concatenate(out[1:], axis=1)
