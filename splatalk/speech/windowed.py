"""Networks that look at sound of one fixed length, in both directions: longer sound goes through in windows."""

from __future__ import annotations

import abc
import functools

import numpy as np

from splatalk.speech.audio import SAMPLE_RATE, normalise_level

STEP = 320
"""Samples between two features."""
MARGIN_S = 2
"""Sound at either end of a window that is seen by the network but whose features come from the neighbour window."""
_MARGIN = MARGIN_S * SAMPLE_RATE


class WindowedEncoder(abc.ABC):
    """Features at 50 Hz; a vector of zeros is silence.

    The network always sees a whole window, silence-padded: the same in enrolment and in use, since a shorter one
    changes its features. They depend on all sound in the window, also on what comes later.

    Args:
        window_s: length of the window, seconds.
    """

    dim: int
    rate = SAMPLE_RATE / STEP

    def __init__(self, window_s: int) -> None:
        self.window = window_s * SAMPLE_RATE
        """Samples."""

    @abc.abstractmethod
    def _encode(self, window: np.ndarray) -> np.ndarray:
        """Samples of a window -> (window / 320, dim)."""

    @functools.cached_property
    def silence(self) -> np.ndarray:
        """(dim,) what the network says about silence."""
        return np.asarray(self._encode(np.zeros(self.window, np.float32))[50:-50].mean(0))

    def extract(self, samples: np.ndarray) -> np.ndarray:
        """(S,) float32 at 16 kHz -> (T, dim) float32, T = ceil(S / 320)."""
        n = -(-len(samples) // STEP)
        if n == 0:
            return np.zeros((0, self.dim), np.float32)
        loud = normalise_level(samples)
        out = np.empty((n, self.dim), np.float32)
        stride, margin = self.window - 2 * _MARGIN, _MARGIN // STEP
        for begin in range(0, max(len(samples) - 2 * _MARGIN, 1), stride):
            window = loud[begin : begin + self.window]
            features = self._encode(np.pad(window, (0, self.window - len(window))))
            first = begin // STEP + (margin if begin else 0)
            last = min(n, (begin + self.window) // STEP)
            out[first:last] = features[first - begin // STEP : last - begin // STEP]
        return out - self.silence
