"""Loudness, pitch, voicing and the like: what the voice does beside the words."""

from __future__ import annotations

import librosa
import numpy as np

from splatalk.speech.audio import SAMPLE_RATE, frame_levels, normalise_level
from splatalk.speech.mel import HOP, power_mel

PITCH_MIN_HZ, PITCH_MAX_HZ = 60.0, 500.0
PROSODY = ("energy", "energy_slope", "voicing", "pitch", "tilt", "sibilance", "activity")
"""Columns of ``prosody``."""

_RATE = SAMPLE_RATE // HOP  # 100 Hz inside this file
_PITCH_WINDOW = 1024
_PIECE = 1000  # windows at once: memory does not grow with the sound
_RUMBLE_HZ = PITCH_MIN_HZ


def prosody(samples: np.ndarray, fps: float, n_frames: int) -> np.ndarray:
    """Prosody around every frame.

    Args:
        samples: (S,) float32 at 16 kHz.
        fps: frames per second; frame i is at i / fps seconds.
        n_frames: N.

    Returns:
        (N, 7) float32, columns as in ``PROSODY``: energy 0 (silence) .. 1 (loud speech), its change over 80 ms,
        voicing 0..1, pitch in octaves from the speaker's median (0 when unvoiced), tilt of the spectrum (-1..1, + is
        bright), share of power above 4 kHz (0..1), voice activity 0..1. All zero in silence.
    """
    length = max(len(samples), round(n_frames / fps * SAMPLE_RATE))
    loud = normalise_level(_without_rumble(np.pad(samples, (0, length - len(samples)))))
    table = _table(loud)
    times = np.arange(n_frames) / fps * _RATE
    grid = np.arange(len(table))
    columns = [np.interp(times, grid, table[:, k]) for k in range(table.shape[1])]
    return np.stack(columns, 1).astype(np.float32)


def _without_rumble(samples: np.ndarray) -> np.ndarray:
    """(S,) float32 above any voice's lowest pitch: wind and handling are periodic enough to pass for a voice."""
    if len(samples) == 0:
        return samples
    spectrum = np.fft.rfft(samples)
    hertz = np.arange(len(spectrum)) * (SAMPLE_RATE / len(samples))
    spectrum /= np.sqrt(1.0 + (_RUMBLE_HZ / np.maximum(hertz, 1e-3)) ** 8)
    return np.asarray(np.fft.irfft(spectrum, len(samples)), dtype=np.float32)


def _table(loud: np.ndarray) -> np.ndarray:
    """(T, 7) at 100 Hz."""
    level = frame_levels(loud, HOP)
    energy = _smooth(np.clip((level + 60.0) / 40.0, 0.0, 1.5), 3)
    ahead, behind = np.roll(energy, -4), np.roll(energy, 4)
    ahead[-4:], behind[:4] = energy[-4:], energy[:4]
    mel = power_mel(loud) + 1e-9
    # slaney mel bands: 27 end at 1 kHz, 45 at 2.5 kHz, 60 at 4.1 kHz
    low, high, top = mel[:, :27].sum(1), mel[:, 45:].sum(1), mel[:, 60:].sum(1)
    tilt = np.clip(np.log10(high / low) / 4.0, -1.0, 1.0)
    pitch, voicing = pitch_and_voicing(loud)
    active = np.clip((energy - 0.25) / 0.15, 0.0, 1.0)
    voiced_near = _smooth(voicing * active, 41) > 0.2  # speech has voiced sounds within 200 ms, noise has none
    activity = _smooth(active * voiced_near, 9) * _liveliness(level)
    gate = np.clip(energy / 0.25, 0.0, 1.0)
    columns = (energy, ahead - behind, voicing * gate, pitch * gate, tilt * gate, top / mel.sum(1) * gate, activity)
    return np.stack(columns, 1)


def _liveliness(level: np.ndarray) -> float:
    """0 for a sound of even level, such as a hum or room noise, 1 for one that rises and falls as speech does."""
    low, high = np.percentile(level, (10, 95)) if len(level) else (0.0, 0.0)
    return float(np.clip((high - low - 5.0) / 5.0, 0.0, 1.0))


def pitch_and_voicing(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pitch by YIN (de Cheveigné and Kawahara 2002), and how periodic the sound is at that pitch.

    Returns:
        two (T,) arrays at 100 Hz: octaves from the median pitch of the voiced frames (0 where unvoiced), and the
        normalised correlation of the sound with itself one period later, 0..1.
    """
    hertz, voicing = pitch_track(samples)
    voiced = voicing > 0.5
    median = float(np.median(hertz[voiced])) if voiced.any() else 120.0
    octaves = np.clip(np.log2(hertz / median), -2.0, 2.0) * voiced
    return _smooth(octaves, 3), _smooth(voicing, 3)


def pitch_track(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As ``pitch_and_voicing``, unsmoothed and the pitch in Hz, which means nothing where nothing is voiced."""
    n = -(-len(samples) // HOP)
    if n == 0:
        return np.zeros(0), np.zeros(0)
    padded = np.pad(samples, (_PITCH_WINDOW // 2, _PITCH_WINDOW + HOP)).astype(np.float64)
    padded = padded + 1e-6 * np.sin(np.arange(len(padded)) ** 2)  # YIN divides by the power; digital silence has none
    pieces = [_pitch(padded[begin * HOP :], min(_PIECE, n - begin)) for begin in range(0, n, _PIECE)]
    hertz, voicing = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return hertz, voicing


def _pitch(padded: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(n,) Hz by YIN and (n,) correlation one period later, of the windows that begin at the first ``n`` hops."""
    hertz = librosa.yin(
        padded[: (n - 1) * HOP + _PITCH_WINDOW], fmin=PITCH_MIN_HZ, fmax=PITCH_MAX_HZ, sr=SAMPLE_RATE,
        frame_length=_PITCH_WINDOW, hop_length=HOP, center=False,
    )  # fmt: skip
    return hertz, _correlation(padded, np.round(SAMPLE_RATE / hertz).astype(int), n)


def _correlation(padded: np.ndarray, lag: np.ndarray, n: int) -> np.ndarray:
    half = _PITCH_WINDOW // 2
    begin = np.arange(n)[:, None] * HOP + half // 2 + np.arange(half)[None]
    back = lag[:, None] // 2
    a, b = padded[begin - back], padded[begin - back + lag[:, None]]
    norm = np.sqrt((a * a).sum(1) * (b * b).sum(1)) + 1e-4
    return np.clip((a * b).sum(1) / norm, 0.0, 1.0)


def _smooth(x: np.ndarray, width: int) -> np.ndarray:
    """Moving average over an odd number of steps, edges repeated."""
    padded = np.pad(x.astype(np.float64), (width // 2, width // 2), mode="edge")
    total = np.concatenate(([0.0], np.cumsum(padded)))
    return np.asarray((total[width:] - total[:-width]) / width)
