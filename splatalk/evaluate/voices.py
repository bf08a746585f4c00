"""Sounds that a mouth should treat rightly: the same words in another voice, and a room in which nobody speaks."""

from __future__ import annotations

import librosa
import numpy as np

from splatalk.speech import SAMPLE_RATE
from splatalk.speech.prosody import pitch_and_voicing

N_FFT, HOP = 1024, 256
LIFTER = 30
"""Cepstral coefficients that make the envelope: the vocal tract's formants without the pitch's harmonics."""
HIGHER, LOWER = (1.6, 1.16), (0.62, 0.86)
"""Pitch and formants of the other voice as multiples: about from a man's to a woman's, and back."""
MIDDLE_HZ = 165.0
"""Voices above this become lower, those below higher."""
ROOM_DB = (-60.0, -50.0, -40.0)
"""Levels of room noise, dB of full scale; speech is recorded at about -20."""


def another_voice(samples: np.ndarray) -> np.ndarray:
    """The same words, at the same times, from another throat: pitch and formants moved by different amounts.

    A phase vocoder moves everything, then the spectral envelope (Oppenheim and Schafer's cepstral smoothing) is moved
    on to where the new throat has it.

    Args:
        samples: (S,) float32, 16 kHz.

    Returns:
        (S,) float32 at the same level.
    """
    if len(samples) < N_FFT:
        return samples.copy()
    pitch, formants = LOWER if median_pitch(samples) > MIDDLE_HZ else HIGHER
    moved = moved_voice(samples, pitch, formants)
    loudness = np.sqrt(np.mean(np.square(samples, dtype=np.float64)) / (np.mean(np.square(moved)) + 1e-12))
    return np.asarray(np.clip(moved * loudness, -1.0, 1.0), dtype=np.float32)


def moved_voice(samples: np.ndarray, pitch: float, formants: float) -> np.ndarray:
    """(S,) float32 with pitch and formants ``pitch`` and ``formants`` times as high, at the same times."""
    moved = librosa.effects.pitch_shift(
        samples, sr=SAMPLE_RATE, n_steps=12.0 * np.log2(pitch), n_fft=N_FFT, hop_length=HOP
    )
    return np.asarray(_formants_moved(moved, formants / pitch), dtype=np.float32)


def median_pitch(samples: np.ndarray) -> float:
    """Hertz over the voiced parts; ``MIDDLE_HZ`` where nothing is voiced."""
    hertz = librosa.yin(samples, fmin=60.0, fmax=400.0, sr=SAMPLE_RATE, frame_length=N_FFT, hop_length=160)
    _, voicing = pitch_and_voicing(samples)
    n = min(len(hertz), len(voicing))
    voiced = hertz[:n][voicing[:n] > 0.6]
    return float(np.median(voiced)) if len(voiced) else MIDDLE_HZ


def _formants_moved(samples: np.ndarray, factor: float) -> np.ndarray:
    """Every frame's envelope E(f) becomes E(f / factor); the harmonics stay where they are."""
    spectrum = librosa.stft(samples, n_fft=N_FFT, hop_length=HOP)
    envelope = _envelope(np.log(np.abs(spectrum) + 1e-6))
    bins = np.arange(len(envelope))
    source = np.minimum(bins / factor, len(bins) - 1)
    low = np.floor(source).astype(int)
    part = (source - low)[:, None]
    wanted = envelope[low] * (1.0 - part) + envelope[np.minimum(low + 1, len(bins) - 1)] * part
    gain = np.exp(np.clip(wanted - envelope, -4.0, 4.0))
    return np.asarray(librosa.istft(spectrum * gain, hop_length=HOP, n_fft=N_FFT, length=len(samples)))


def _envelope(log_magnitude: np.ndarray) -> np.ndarray:
    """(F, T) smooth in frequency: what is left of the cepstrum's first coefficients."""
    cepstrum = np.fft.irfft(log_magnitude, axis=0)
    cepstrum[LIFTER:-LIFTER] = 0.0
    return np.asarray(np.fft.rfft(cepstrum, axis=0).real)


def room_noise(seconds: float, level_db: float, seed: int = 0) -> np.ndarray:
    """A quiet room as a microphone hears it: pink noise that swells and falls by a few dB, and the hum of the mains.

    Args:
        level_db: mean power, dB of full scale.

    Returns:
        (S,) float32, 16 kHz.
    """
    rng = np.random.default_rng(seed)
    n = round(seconds * SAMPLE_RATE)
    spectrum = np.fft.rfft(rng.normal(size=n)) / np.sqrt(np.maximum(np.fft.rfftfreq(n, 1.0 / SAMPLE_RATE), 30.0))
    pink = np.fft.irfft(spectrum, n)
    t = np.arange(n) / SAMPLE_RATE
    swell = 10.0 ** (3.0 * np.sin(2 * np.pi * 0.31 * t + rng.uniform(0, 6)) / 20.0)
    hum = sum(np.sin(2 * np.pi * 50.0 * k * t + k) / k for k in (1, 2, 3))
    sound = pink / pink.std() * swell + 0.5 * hum
    return np.asarray(sound / sound.std() * 10.0 ** (level_db / 20.0), dtype=np.float32)


def same_moment(own: np.ndarray, other: np.ndarray, rate: float) -> np.ndarray:
    """Where another speaker of the same words is when this one is at each step: dynamic time warping (Sakoe and Chiba
    1978) of features of the words, by their angle.

    Args:
        own, other: (T, D) and (U, D) features at ``rate`` Hz, zeros in silence.

    Returns:
        (T,) seconds in the other's time, never going back.
    """
    a, b = (x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-6) for x in (own, other))
    _, path = librosa.sequence.dtw(C=np.maximum(1.0 - a @ b.T, 0.0))
    path = path[::-1]
    at = np.zeros(len(own))
    count = np.bincount(path[:, 0], minlength=len(own))
    np.add.at(at, path[:, 0], path[:, 1])
    return at / np.maximum(count, 1) / rate
