"""Sounds that a mouth should treat rightly: the same words in another voice, and a room in which nobody speaks."""

from __future__ import annotations

import numpy as np

from splatalk.speech import SAMPLE_RATE
from splatalk.speech.prosody import pitch_track
from splatalk.speech.psola import moved_voice

HIGHER, LOWER = (1.6, 1.16), (0.62, 0.86)
"""Pitch and formants of the other voice as multiples: about from a man's to a woman's, and back."""
MIDDLE_HZ = 165.0
"""Voices above this become lower, those below higher."""
ROOM_DB = (-60.0, -50.0, -40.0)
"""Levels of room noise, dB of full scale; speech is recorded at about -20."""


def another_voice(samples: np.ndarray) -> np.ndarray:
    """The same words, at the same times, from another throat: ``speech.psola``.

    Args:
        samples: (S,) float32, 16 kHz.

    Returns:
        (S,) float32 at the same level.
    """
    if not np.any(samples):
        return samples.copy()
    pitch, formants = LOWER if median_pitch(samples) > MIDDLE_HZ else HIGHER
    moved = moved_voice(samples, pitch, formants)
    loudness = np.sqrt(np.mean(np.square(samples, dtype=np.float64)) / (np.mean(np.square(moved)) + 1e-12))
    return np.asarray(np.clip(moved * loudness, -1.0, 1.0), dtype=np.float32)


def median_pitch(samples: np.ndarray) -> float:
    """Hertz over the voiced parts; ``MIDDLE_HZ`` where nothing is voiced."""
    hertz, voicing = pitch_track(samples)
    voiced = hertz[voicing > 0.6]
    return float(np.median(voiced)) if len(voiced) else MIDDLE_HZ


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
