"""Smoothing without lag: every filter here looks as far ahead as back, so nothing moves in time."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.fft import dct
from scipy.linalg import solveh_banded

from splatalk.capture.geometry import mean_rotation, rotation_from_vector, vector_from_rotation

_TURN, _DIRECTION, _DISTANCE = (1.2, 6.0), (1.5, 8.0), (0.5, 4.0)  # Hz, bounds of the cutoffs
_BOUNDS = (_TURN, _TURN, _TURN, _DIRECTION, _DIRECTION, _DISTANCE)
_SIGNAL = 2.0  # times the noise's power in a band, from which it counts as motion
_LIVELIER = 2.0  # times the mean power of motion across the view, above which motion along it is noise


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


def choose_distance_cutoff(distance: np.ndarray, direction: np.ndarray, fps: float, highest: float) -> float:
    """The frequency in Hz above which a head seems to move along the view more than it does across.

    Distance comes from the size of the picture and is twenty times less sure than direction; its noise reaches down
    to slow changes, where ``choose_cutoff`` cannot tell it from motion. But people sway forth and back about as much
    as from side to side, and that is known well. How much livelier it may be was chosen by looking at one synthetic
    clip, which asks for less, and one real clip, which asks for more.

    Args:
        distance: (N, 1) logarithm of metres.
        direction: (N, 2) places across the view over the distance.
        fps: frames per second.
        highest: bound of the answer, Hz.
    """
    n = len(distance)
    if n < 32:
        return _DISTANCE[0]
    both = np.concatenate([distance, direction], axis=1)
    trend = np.linspace(0.0, 1.0, n)[:, None] * (both[-1] - both[0]) + both[0]
    power = dct(both - trend, axis=0, norm="ortho") ** 2
    frequency = np.arange(n) * fps / (2 * n)
    edges = np.geomspace(_DISTANCE[0], highest, max(2, round(np.log(highest / _DISTANCE[0]) / np.log(1.3)) + 1))
    for low, high in itertools.pairwise(edges):
        band = (frequency >= low) & (frequency < high)
        if band.any() and power[band, 0].mean() > _LIVELIER * power[band, 1:].mean():
            return float(low)
    return highest


def smooth_poses(
    rotation: np.ndarray,
    translation: np.ndarray,
    pivot: np.ndarray,
    weights: np.ndarray,
    fps: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Smooth head poses: the turn, the direction in which the face is seen, and its distance, each as its noise asks
    for.

    Errors of turn and place go together: a face nodded too far is also shifted, so that the picture still fits. Where
    the middle of the face is seen is free of that and known to a fraction of a pixel, so it keeps fast motion.
    Up and down it only does so as far as the head also nods or sways that fast: a talking jaw pulls the skin up and
    down at the rate of syllables, and that is not the head's.

    Args:
        rotation, translation: (N, 3, 3), (N, 3) head frame to camera.
        pivot: (3,) middle of the face in the head frame, metres.
        weights: (N,) trust in each frame, 0 for none.
        fps: frames per second.
    """
    valid = weights > 0
    middle = mean_rotation(rotation[valid])
    place = translation + rotation @ pivot
    seen = np.concatenate([place[:, :2] / place[:, 2:], np.log(place[:, 2:])], axis=1)
    columns = fill_gaps(np.concatenate([vector_from_rotation(middle.T @ rotation), seen], axis=1), valid)
    cutoffs = [choose_cutoff(columns[:, k : k + 1], fps, *_BOUNDS[k]) for k in range(columns.shape[1])]
    cutoffs[4] = min(cutoffs[4], max(cutoffs[0], cutoffs[3]))
    most = max(cutoffs[5], _DISTANCE[0] * 1.01)
    cutoffs[5] = choose_distance_cutoff(columns[:, 5:], columns[:, 3:5], fps, most)
    smoothed = [low_pass(columns[:, k : k + 1], weights, cutoff, fps) for k, cutoff in enumerate(cutoffs)]
    smooth = np.concatenate(smoothed, axis=1)
    rotation = middle @ rotation_from_vector(smooth[:, :3])
    distance = np.exp(smooth[:, 5:])
    place = np.concatenate([smooth[:, 3:5] * distance, distance], axis=1)
    return rotation, place - rotation @ pivot
