"""How far one moving face is from another: landmarks, mouth opening, blendshapes, wobble.

Landmarks are (N, P, 2) pixels of N frames; a frame in which no face was found is NaN throughout and is left out.
Pixels are scaled to an image of 512 pixels' height, so that figures of other sizes compare (``to_512``).
"""

from __future__ import annotations

import math

import numpy as np

FOREHEAD_TOP, BELOW_NOSE = 10, 2
LEFT_EYE_OUTER, RIGHT_EYE_OUTER = 263, 33
RIGID = (10, 67, 297, 109, 338, 168, 6, 197, 195, 5, 33, 133, 263, 362)
"""Landmarks of forehead, nose bridge and eye corners: they move with the skull, hardly with speech."""


def to_512(landmarks: np.ndarray, height: int) -> np.ndarray:
    """Scale pixel landmarks of an image of this height to one of 512."""
    return landmarks * (512.0 / height)


def eye_distance(landmarks: np.ndarray) -> np.ndarray:
    """(N,) distance between the outer corners of the eyes."""
    return np.linalg.norm(landmarks[:, LEFT_EYE_OUTER, :2] - landmarks[:, RIGHT_EYE_OUTER, :2], axis=-1)


def face_height(landmarks: np.ndarray) -> np.ndarray:
    """(N,) distance from the top of the forehead to below the nose.

    The skull carries both ends, and a nod foreshortens it as it does the gap between the lips.
    """
    return np.linalg.norm(landmarks[:, FOREHEAD_TOP, :2] - landmarks[:, BELOW_NOSE, :2], axis=-1)


def landmark_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """LMD: mean distance of corresponding points after each set's own mean is taken off (after Chen et al. 2018).

    Args:
        a, b: (N, P, 2) pixels.

    Returns:
        (N,) pixels; NaN where either face was not found.
    """
    centred = (a - a.mean(axis=1, keepdims=True)) - (b - b.mean(axis=1, keepdims=True))
    return np.linalg.norm(centred, axis=-1).mean(axis=-1)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation over the frames in which both are numbers; NaN when either hardly varies."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 3:
        return math.nan
    x, y = a[both] - a[both].mean(), b[both] - b[both].mean()
    scale = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / scale if scale > 1e-12 else math.nan


def best_lag(a: np.ndarray, b: np.ndarray, frames: np.ndarray, reach: int = 10) -> tuple[int, float]:
    """The delay of ``a`` behind ``b`` at which they correlate best.

    Args:
        a, b: (N,) curves.
        frames: (N,) increasing frame numbers of the samples, gaps allowed.
        reach: largest delay tried, frames.

    Returns:
        Delay in frames (positive: ``a`` is late) and the correlation there; (0, NaN) when there is none.
    """
    span = int(frames[-1] - frames[0]) + 1 if len(frames) else 0
    best = (0, math.nan)
    for lag in sorted(range(-reach, reach + 1), key=abs):
        value = correlation_at(a, b, frames, lag) if abs(lag) <= span // 2 else math.nan
        if math.isfinite(value) and not value <= best[1]:
            best = (lag, value)
    return best


def fine_lag(a: np.ndarray, b: np.ndarray, frames: np.ndarray, reach: int = 10) -> tuple[float, float]:
    """``best_lag`` between frames: the vertex of the parabola through the best correlation and its two neighbours.

    Returns:
        Delay in frames (positive: ``a`` is late) and the correlation there; (NaN, NaN) when there is none.
    """
    lag, best = best_lag(a, b, frames, reach)
    if not math.isfinite(best):
        return math.nan, math.nan
    before, after = (correlation_at(a, b, frames, lag + step) for step in (-1, 1))
    bend = before - 2.0 * best + after
    if not math.isfinite(bend) or bend >= 0.0:
        return float(lag), best
    shift = float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5))
    return lag + shift, best - 0.25 * (before - after) * shift


def correlation_at(a: np.ndarray, b: np.ndarray, frames: np.ndarray, lag: int) -> float:
    """Correlation of ``a`` with ``b`` ``lag`` frames earlier; arguments as in ``best_lag``."""
    span = int(frames[-1] - frames[0]) + 1 if len(frames) else 0
    if abs(lag) >= span:
        return math.nan
    dense = np.full((2, span), np.nan)
    dense[:, frames - frames[0]] = a, b
    return correlation(dense[0, max(lag, 0) : span + min(lag, 0)], dense[1, max(-lag, 0) : span + min(-lag, 0)])


def spread(curve: np.ndarray) -> tuple[float, float]:
    """The 5th and 95th percentile of a curve's numbers; NaN when there are none."""
    numbers = curve[np.isfinite(curve)]
    low, high = np.percentile(numbers, (5, 95)) if len(numbers) else (math.nan, math.nan)
    return float(low), float(high)


def wobble(landmarks: np.ndarray, frames: np.ndarray) -> float:
    """Mean length of the second difference of the rigid landmarks, pixels a frame squared.

    Args:
        landmarks: (N, 478, 2) pixels.
        frames: (N,) frame numbers; only runs of three consecutive ones count.
    """
    if len(frames) < 3:
        return math.nan
    points = landmarks[:, RIGID, :2]
    change = np.linalg.norm(points[2:] - 2 * points[1:-1] + points[:-2], axis=-1).mean(axis=-1)
    return mean(change[(frames[2:] - frames[:-2]) == 2])


def aligned(landmarks: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Every frame turned, scaled and moved in the image so that its rigid landmarks lie best on the reference's.

    A head turned out of the image plane stays turned: only a similarity is taken off.

    Args:
        landmarks, reference: (N, 478, 2) pixels.

    Returns:
        (N, 478, 2) pixels.
    """
    # As complex numbers a similarity is z -> a z + b, and least squares has a closed form.
    z, w = (points[..., 0] + 1j * points[..., 1] for points in (landmarks, reference))
    rigid = list(RIGID)
    middle_z, middle_w = (v[:, rigid].mean(1, keepdims=True) for v in (z, w))
    zr, wr = z[:, rigid] - middle_z, w[:, rigid] - middle_w
    turn = (zr.conj() * wr).sum(1, keepdims=True) / np.maximum((np.abs(zr) ** 2).sum(1, keepdims=True), 1e-12)
    out = turn * (z - middle_z) + middle_w
    return np.stack((out.real, out.imag), -1)


def shape_error(a: np.ndarray, b: np.ndarray, columns: tuple[int, ...] | None = None) -> float:
    """Mean absolute difference of blendshapes (N, 52) in the given columns, over frames where both are numbers."""
    difference = np.abs(a - b)
    return mean(difference if columns is None else difference[:, list(columns)])


def moving_share(opening: np.ndarray, span: float, rest: float | None = None, threshold: float = 0.1) -> float:
    """Share of frames in which a mouth that should rest does not.

    Args:
        opening: (N,) mouth opening of the face that should be still.
        span: range of opening of the person speaking, 5th to 95th percentile; gives the scale.
        rest: opening at rest; None takes the median.
        threshold: how far from rest the mouth may go, as a share of ``span``.

    Returns:
        0..1; NaN when the person does not move or no face was found.
    """
    numbers = opening[np.isfinite(opening)]
    if not len(numbers) or not span > 0:
        return math.nan
    return float((np.abs(numbers - (np.median(numbers) if rest is None else rest)) > threshold * span).mean())


def mean(values: np.ndarray) -> float:
    """Mean of what is a number; NaN when nothing is."""
    numbers = values[np.isfinite(values)]
    return float(numbers.mean()) if len(numbers) else math.nan
