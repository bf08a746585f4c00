"""How a mouth moves while it speaks, against how it should: opening and width of the lips over time.

Opening and width are counted in the face's own size (``tracking.Faces.opening``, ``width``), so that neither distance
nor a nod or turn of the head counts as speech.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from splatalk.evaluate import motion
from splatalk.evaluate.tracking import Faces

CLOSED = 0.15
"""Lips are closed when they are open by less than this share of the person's recorded range of opening."""


@dataclasses.dataclass(frozen=True)
class Lips:
    """Opening and width of N frames, NaN where no face was found. Units cancel out in everything but ``Range``."""

    opening: np.ndarray
    width: np.ndarray

    @classmethod
    def of(cls, faces: Faces) -> Lips:
        return cls(faces.opening(), faces.width())

    def first(self, n: int) -> Lips:
        return Lips(self.opening[:n], self.width[:n])


@dataclasses.dataclass(frozen=True)
class Range:
    """The person's recorded opening, 5th and 95th percentile: what is closed, and the scale of all movement."""

    low: float
    high: float

    @classmethod
    def of(cls, opening: np.ndarray) -> Range:
        return cls(*motion.spread(opening))

    @property
    def span(self) -> float:
        return self.high - self.low

    @property
    def closed_below(self) -> float:
        return self.low + CLOSED * self.span


def figures(lips: Lips, truth: Lips, frames: np.ndarray, fps: float) -> dict[str, float]:
    """How well lips follow other lips.

    Args:
        lips, truth: N frames each.
        frames: (N,) frame numbers, gaps allowed.
        fps: frames per second.

    Returns:
        ``opening_correlation``, ``width_correlation``, ``opening_best`` at the delay ``opening_lag_ms`` (positive:
        ``lips`` are late), ``opening_range``.
    """
    lag, best = motion.fine_lag(lips.opening, truth.opening, frames)
    span = Range.of(truth.opening).span
    return {
        "opening_correlation": motion.correlation(lips.opening, truth.opening),
        "opening_best": best,
        "opening_lag_ms": 1000.0 * lag / fps,
        "opening_range": Range.of(lips.opening).span / span if span > 0 else np.nan,
        "width_correlation": motion.correlation(lips.width, truth.width),
    }


def closed_share(opening: np.ndarray, closures: np.ndarray, frames: np.ndarray, fps: float, below: float) -> float:
    """Share of p, b and m during which the lips close.

    Args:
        opening: (N,) of the frames.
        closures: (K, 2) start and end, seconds on the clock of frame 0.
        frames: (N,) frame numbers.
        fps: frames per second. A closure a frame early or late still counts.
        below: opening of closed lips, see ``Range.closed_below``.

    Returns:
        Percent; NaN when no closure falls on frames with a face.
    """
    times = frames / fps
    seen = []
    for start, end in closures:
        near = opening[(times >= start - 1.0 / fps) & (times <= end + 1.0 / fps)]
        near = near[np.isfinite(near)]
        if len(near):
            seen.append(bool(near.min() <= below))
    return 100.0 * float(np.mean(seen)) if seen else np.nan
