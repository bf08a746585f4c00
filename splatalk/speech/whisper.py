"""Features of the Whisper base encoder (Radford et al., arXiv 2212.04356), run by CTranslate2 on the CPU."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from splatalk import assets
from splatalk.errors import AssetError
from splatalk.speech.audio import SAMPLE_RATE, normalise_level
from splatalk.speech.mel import power_mel

WINDOW_S = 30
MARGIN_S = 2
"""Sound at either end of a window that is seen by the network but whose features come from the neighbour window."""

_WINDOW = WINDOW_S * SAMPLE_RATE
_MARGIN = MARGIN_S * SAMPLE_RATE
_STEP = 320  # samples between two features


class WhisperEncoder:
    """512 features at 50 Hz; a vector of zeros is silence.

    The network always sees 30 s, silence-padded: the same in enrolment and in use, since a shorter window changes its
    features. It attends in both directions, so a feature depends on sound up to 28 s later.
    """

    name = "whisper"
    dim = 512
    rate = 50.0

    def __init__(self, folder: Path | None = None) -> None:
        """Args: folder: CTranslate2 model; None takes the asset ``whisper_base``."""
        self.folder = folder or assets.fetch("whisper_base")

    @functools.cached_property
    def model(self) -> Any:
        import ctranslate2

        try:
            return ctranslate2.models.Whisper(str(self.folder), device="cpu", compute_type="float32")
        except (RuntimeError, ValueError) as error:
            raise AssetError(
                f"The Whisper model in {self.folder} cannot be loaded: {error}.", "Delete the folder and run again."
            ) from error

    @functools.cached_property
    def silence(self) -> np.ndarray:
        """(512,) what the network says about silence."""
        return self._encode(np.zeros(_WINDOW, np.float32))[50:-50].mean(0)

    def extract(self, samples: np.ndarray) -> np.ndarray:
        """(S,) float32 at 16 kHz -> (T, 512) float32, T = ceil(S / 320)."""
        n = -(-len(samples) // _STEP)
        if n == 0:
            return np.zeros((0, self.dim), np.float32)
        loud = normalise_level(samples)
        out = np.empty((n, self.dim), np.float32)
        stride, margin = _WINDOW - 2 * _MARGIN, _MARGIN // _STEP
        for begin in range(0, max(len(samples) - 2 * _MARGIN, 1), stride):
            window = loud[begin : begin + _WINDOW]
            features = self._encode(np.pad(window, (0, _WINDOW - len(window))))
            first = begin // _STEP + (margin if begin else 0)
            last = min(n, (begin + _WINDOW) // _STEP)
            out[first:last] = features[first - begin // _STEP : last - begin // _STEP]
        return out - self.silence

    def _encode(self, window: np.ndarray) -> np.ndarray:
        """30 s of samples -> (1500, 512)."""
        import ctranslate2

        level = np.log10(np.maximum(power_mel(window), 1e-10))
        level = (np.maximum(level, level.max() - 8.0) + 4.0) / 4.0
        features = np.ascontiguousarray(level.T[None], dtype=np.float32)
        encoded = self.model.encode(ctranslate2.StorageView.from_array(features), to_cpu=True)
        return np.array(encoded, dtype=np.float32)[0]
