"""Log-mel features: no model, no download."""

from __future__ import annotations

import functools

import librosa
import numpy as np

from splatalk.speech.audio import SAMPLE_RATE, normalise_level

N_BANDS = 80
HOP = 160
N_FFT = 400
FLOOR_DB = -60.0
"""Power this far below that of loud speech, and anything fainter, counts as silence."""


@functools.cache
def filterbank() -> np.ndarray:
    """(80, 201) triangular mel filters, slaney scale and area."""
    return np.asarray(librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_BANDS), dtype=np.float32)


def power_mel(samples: np.ndarray) -> np.ndarray:
    """Mel power, (T, 80), T = ceil(S / 160); row t is centred on sample 160 t."""
    n = -(-len(samples) // HOP)
    padded = np.pad(samples, (N_FFT // 2, N_FFT))
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP][:n]
    window = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
    spectrum = np.abs(np.fft.rfft(frames * window, axis=1)).astype(np.float32) ** 2
    return np.asarray(spectrum @ filterbank().T)


class MelEncoder:
    """80 log-mel bands at 50 Hz; 0 is silence, 1 about the loudest speech.

    Each step averages two 10 ms frames. Depends on 12.5 ms of sound after it; the level is taken over the whole sound.
    """

    name = "mel"
    dim = N_BANDS
    rate = 50.0

    def extract(self, samples: np.ndarray) -> np.ndarray:
        """(S,) float32 at 16 kHz -> (T, 80) float32, T = ceil(S / 320)."""
        n = -(-len(samples) // 320)
        mel = power_mel(normalise_level(samples))
        around = np.pad(mel, ((1, 3), (0, 0)))[: 2 * n + 2]
        smooth = 0.25 * around[0 : 2 * n : 2] + 0.5 * around[1 : 2 * n + 1 : 2] + 0.25 * around[2 : 2 * n + 2 : 2]
        level = 10.0 * np.log10(smooth + 1e-10)
        return np.clip((level - FLOOR_DB) / -FLOOR_DB, 0.0, 1.5).astype(np.float32)
