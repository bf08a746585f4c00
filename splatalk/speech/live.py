"""Feature windows of frames while the sound is still coming."""

from __future__ import annotations

import math

import numpy as np

from splatalk.speech import listener
from splatalk.speech.lip_reading import SHAPES
from splatalk.speech.listener import STEP_RATE

LOOKAHEADS_S = (0.0, 0.08, 0.16, 0.32)
"""Seconds of sound after a frame that may be waited for. More is truer, and later."""

DEFAULT_LOOKAHEAD_S = 0.16
CONTEXT = 3
"""Rows of 40 ms on either side of a frame in its window."""

ROWS = 2 * CONTEXT + 1
SPAN = 2 * ROWS - 1
"""Newest steps of ``listener.hear`` that a window is made of."""

DIM = listener.WIDTH + listener.N_ESTIMATES
"""D, columns of a window, in groups as in ``features.feature_groups``: what the listener knows, then its estimates."""

VISEMES = len(SHAPES)
"""How many of them are mouth shapes, see ``features.n_visemes``."""


def steps_until(frame: int, fps: float, lookahead_s: float) -> int:
    """Steps of 20 ms that are heard before ``frame`` of a sound can be shown."""
    return math.floor((frame / fps + lookahead_s) * STEP_RATE + 1e-6)


def key(lookahead_s: float) -> str:
    """Name of a lookahead in an avatar: milliseconds."""
    return str(round(lookahead_s * 1000))


def lookahead_steps(lookahead_s: float) -> int:
    """Steps of 20 ms. ValueError when it is none of ``LOOKAHEADS_S``."""
    if lookahead_s not in LOOKAHEADS_S:
        raise ValueError(f"a lookahead of {lookahead_s} s: use one of {LOOKAHEADS_S}")
    return round(lookahead_s * STEP_RATE)


def heard(samples: np.ndarray, fps: float, n_frames: int) -> np.ndarray:
    """What is known of a sound after every step, for ``live_windows`` at any lookahead: (T + 1, C + 1)."""
    return listener.listen(samples, steps_until(n_frames, fps, LOOKAHEADS_S[-1]))


def live_windows(known: np.ndarray, fps: float, n_frames: int, lookahead_s: float) -> np.ndarray:
    """The windows that live driving sees.

    Args:
        known: (T + 1, C + 1) from ``heard``.
        fps: frames per second; frame i is at i / fps seconds.
        n_frames: N.

    Returns:
        (N, 7, D) float32, see ``window``.
    """
    newest = np.array([steps_until(i, fps, lookahead_s) for i in range(n_frames)], dtype=int)
    padded = np.concatenate((np.zeros((SPAN - 1, listener.WIDTH + 1), np.float32), known))
    return window(padded[newest[:, None] + np.arange(SPAN)], lookahead_steps(lookahead_s))


def window(recent: np.ndarray, lookahead: int) -> np.ndarray:
    """What drives a frame.

    Args:
        recent: (..., SPAN, C + 1) newest steps, oldest first; zeros before the sound.
        lookahead: steps that the frame lies before the newest.

    Returns:
        (..., 7, D) float32. What is known: of the newest 240 ms, rows 40 ms apart. The rest: rows 40 ms apart with the
        frame in the middle, each what holds at its own time; those later than the newest sample are guessed.
    """
    found = listener.estimates(recent[..., -1, :], lookahead, CONTEXT)
    return np.concatenate((recent[..., ::2, : listener.WIDTH], found), -1)
