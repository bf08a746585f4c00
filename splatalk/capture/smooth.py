"""Smoothing without lag: every filter here looks as far ahead as back, so nothing moves in time."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.fft import dct
from scipy.linalg import solveh_banded

from splatalk.capture.geometry import mean_rotation, rotation_from_vector, vector_from_rotation

_SIGNAL = 3.0  # times the noise's power in a band, from which it counts as motion


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
    """The frequency in Hz at which motion sinks into noise (Wiener's rule).

    The level of the noise is read off the fastest changes. Its power is taken to fall with the square of the
    frequency, as that of poses from landmarks does: besides jitter it holds traces of speech.

    Args:
        values: (N, D), columns in units in which noise is alike.
        fps: frames per second.
        lowest, highest: bounds of the answer.
    """
    n = len(values)
    if n < 32:
        return highest
    trend = np.linspace(0.0, 1.0, n)[:, None] * (values[-1] - values[0]) + values[0]
    power = (dct(values - trend, axis=0, norm="ortho") ** 2).sum(axis=1)
    frequency = np.arange(n) * fps / (2 * n)
    fast = frequency > 0.32 * fps
    noise = np.mean(power[fast] * frequency[fast] ** 2)
    edges = np.geomspace(lowest, highest, max(2, round(np.log(highest / lowest) / np.log(1.4)) + 1))
    for low, high in reversed(list(itertools.pairwise(edges))):
        band = (frequency >= low) & (frequency < high)
        if band.any() and np.mean(power[band] * frequency[band] ** 2) > _SIGNAL * noise:
            return float(high)
    return lowest


def smooth_poses(
    rotation: np.ndarray, translation: np.ndarray, weights: np.ndarray, fps: float, lowest: float, highest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Smooth (N, 3, 3), (N, 3) in the tangent space at the mean rotation, each axis as much as its noise asks for."""
    valid = weights > 0
    middle = mean_rotation(rotation[valid])
    turn = fill_gaps(vector_from_rotation(middle.T @ rotation), valid)
    place = fill_gaps(translation, valid)
    out = []
    columns = np.concatenate([turn, place], axis=1)
    for part in np.split(columns, columns.shape[1], axis=1):
        cutoff = choose_cutoff(part, fps, lowest, highest)
        out.append(low_pass(part, weights, cutoff, fps))
    smooth = np.concatenate(out, axis=1)
    return middle @ rotation_from_vector(smooth[:, :3]), smooth[:, 3:]
