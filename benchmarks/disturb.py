"""Speech as another room, microphone, line or throat would have it: copies of a recording to learn from.

Nothing here moves a sound in time, except ``faster``, which says so.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from splatalk.speech.audio import SAMPLE_RATE, speech_level

_ECHO_S = 0.5
"""Length of a room's response that is computed."""


def noise(n: int, exponent: float, rng: Generator) -> np.ndarray:
    """(n,) float32 of unit power whose power falls with frequency to the ``exponent``: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.normal(size=max(n, 16)))
    spectrum /= np.maximum(np.arange(len(spectrum)), 8) ** (exponent / 2)
    sound = np.fft.irfft(spectrum, max(n, 16))
    return np.asarray(sound[:n] / sound.std(), dtype=np.float32)


def babble(samples: np.ndarray, rng: Generator, voices: int = 6) -> np.ndarray:
    """(S,) float32 of unit power: many voices at once, made of the sound itself, backwards from anywhere."""
    backwards = samples[::-1]
    mixed = np.sum([np.roll(backwards, int(rng.integers(len(samples)))) for _ in range(voices)], 0)
    spread = max(float(mixed.std()), 0.1 * float(np.abs(mixed).max()), 1e-9)
    return np.asarray(mixed / spread, dtype=np.float32)


def beside(samples: np.ndarray, sound: np.ndarray, snr_db: float) -> np.ndarray:
    """Speech with a ``sound`` of unit power beside it, ``snr_db`` below the speech's level."""
    level = 10.0 ** ((speech_level(samples) - snr_db) / 20.0)
    return np.asarray(samples + level * sound, dtype=np.float32)


def equalised(samples: np.ndarray, rng: Generator, spread_db: float = 5.0) -> np.ndarray:
    """Through a microphone that favours some frequencies: seven random gains between 0 and 8 kHz."""
    spectrum = np.fft.rfft(samples)
    knots = np.linspace(0.0, 1.0, 7) ** 2
    gains = np.interp(np.linspace(0.0, 1.0, len(spectrum)), knots, rng.normal(0.0, spread_db, 7))
    return np.asarray(np.fft.irfft(spectrum * 10.0 ** (gains / 20.0), len(samples)), dtype=np.float32)


def in_a_room(samples: np.ndarray, rng: Generator, decay_s: float, direct_db: float = 6.0) -> np.ndarray:
    """With the echo of a room: noise that decays by 60 dB in ``decay_s``, ``direct_db`` below the direct sound."""
    n = round(_ECHO_S * SAMPLE_RATE)
    fall = 10.0 ** (-3.0 * np.arange(n) / (decay_s * SAMPLE_RATE))
    response = rng.normal(size=n) * fall
    response[: round(0.002 * SAMPLE_RATE)] = 0.0
    response *= 10.0 ** (-direct_db / 20.0) / (np.sqrt(np.square(response).sum()) + 1e-12)
    response[0] = 1.0
    length = 1 << math.ceil(math.log2(len(samples) + n))
    wet = np.fft.irfft(np.fft.rfft(samples, length) * np.fft.rfft(response, length), length)
    return np.asarray(wet[: len(samples)], dtype=np.float32)


def by_phone(samples: np.ndarray) -> np.ndarray:
    """Through a telephone: 300 to 3400 Hz, eight bits by the mu-law (ITU-T G.711)."""
    spectrum = np.fft.rfft(samples)
    hertz = np.linspace(0.0, SAMPLE_RATE / 2, len(spectrum))
    steep = 1.0 / (1.0 + (300.0 / np.maximum(hertz, 1.0)) ** 8) / (1.0 + (hertz / 3400.0) ** 16)
    narrow = np.fft.irfft(spectrum * np.sqrt(steep), len(samples))
    peak = max(float(np.abs(narrow).max(initial=0.0)), 1e-6)
    small = np.sign(narrow) * np.log1p(255.0 * np.abs(narrow) / peak) / np.log(256.0)
    coarse = np.round(small * 127.0) / 127.0
    return np.asarray(np.sign(coarse) * np.expm1(np.abs(coarse) * np.log(256.0)) / 255.0 * peak, dtype=np.float32)


def faster(samples: np.ndarray, factor: float) -> np.ndarray:
    """Played ``factor`` times as fast, as a tape is: pitch and formants rise by it. What was at t is at t / factor."""
    n = max(round(len(samples) / factor), 1)
    spectrum = np.fft.rfft(samples)
    kept = np.zeros(n // 2 + 1, dtype=complex)
    common = min(len(kept), len(spectrum))
    kept[:common] = spectrum[:common]
    return np.asarray(np.fft.irfft(kept, n) * (n / len(samples)), dtype=np.float32)


def disturbed(samples: np.ndarray, rng: Generator) -> np.ndarray:
    """(S,) the same speech somewhere else: at random another microphone, room, noise, line and level."""
    if rng.random() < 0.5:
        samples = equalised(samples, rng)
    if rng.random() < 0.4:
        samples = in_a_room(samples, rng, rng.uniform(0.1, 0.6), rng.uniform(0.0, 12.0))
    if rng.random() < 0.6:
        snr_db = rng.uniform(8.0, 40.0)
        sound = babble(samples, rng) if rng.random() < 0.3 else noise(len(samples), int(rng.integers(3)), rng)
        samples = beside(samples, sound, snr_db)
    if rng.random() < 0.15:
        samples = by_phone(samples)
    return np.asarray(samples * 10.0 ** (rng.uniform(-12.0, 6.0) / 20.0), dtype=np.float32)
