"""Sounds that are no speech, drawn at random: music of many timbres, knocks, engines, noise that swells, whistles."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from benchmarks.disturb import equalised, in_a_room, noise
from splatalk.speech.audio import SAMPLE_RATE

PEAK = 0.3
_SCALE = np.array([0, 2, 4, 5, 7, 9, 11])
_HIGHEST_HZ = 7500.0


def somewhere(rng: Generator, n: int) -> np.ndarray:
    """(n,) float32 one of ``sound``, as a microphone hears it: its room, its own noise, its level."""
    heard = sound(rng, n)
    if rng.random() < 0.5:
        heard = equalised(heard, rng)
    if rng.random() < 0.5:
        heard = in_a_room(heard, rng, rng.uniform(0.1, 0.6), rng.uniform(0.0, 12.0))
    if rng.random() < 0.5:
        heard = heard + noise(n, int(rng.integers(3)), rng) * 10 ** (rng.uniform(-60.0, -30.0) / 20.0)
    return np.asarray(heard * 10 ** (rng.uniform(-30.0, 6.0) / 20.0), dtype=np.float32)


def sound(rng: Generator, n: int) -> np.ndarray:
    """(n,) float32 at 16 kHz, peak ``PEAK``."""
    kind = int(rng.integers(9))
    if kind <= 3:
        made = _notes(rng, n, chords=kind % 2 == 1)
    elif kind == 8:
        made = np.sum([sound(rng, n) * rng.uniform(0.2, 1.0) for _ in range(2)], 0)
    else:
        made = (_knocks, _engine, _swelling, _whistles)[kind - 4](rng, n)
    return np.asarray(made / (np.abs(made).max() + 1e-9) * PEAK, dtype=np.float32)


def _notes(rng: Generator, n: int, chords: bool) -> np.ndarray:
    """A melody or chords of a major scale, struck or blown, its partials stretched as a stiff string's are."""
    out, at, end = np.zeros(n), 0.0, n / SAMPLE_RATE
    every, decay = rng.uniform(0.12, 1.2), rng.uniform(0.08, 1.2)
    partials, fall = int(rng.integers(1, 12)), rng.uniform(0.5, 2.0)
    stiffness, attack = rng.uniform(0, 4e-4), rng.uniform(0.002, 0.08)
    key = rng.uniform(55, 300)
    vibrato, turns = rng.uniform(0, 0.01) * (rng.random() < 0.4), rng.uniform(4, 7)
    while at < end:
        first = int(at * SAMPLE_RATE)
        length = int(min(n - at * SAMPLE_RATE, (every * rng.uniform(0.8, 1.5) + decay * 3) * SAMPLE_RATE))
        if length < 100:
            break
        time_s = np.arange(length) / SAMPLE_RATE
        for note in rng.choice(21, int(rng.integers(1, 5)) if chords else 1, replace=False):
            pitch = key * 2 ** ((_SCALE[note % 7] + 12 * (note // 7)) / 12)
            loud = np.minimum(time_s / attack, 1) * np.exp(-time_s / decay)
            for k in range(1, partials + 1):
                hertz = pitch * k * np.sqrt(1 + stiffness * k * k)
                if hertz > _HIGHEST_HZ:
                    break
                sway = vibrato * hertz / turns * np.sin(2 * np.pi * turns * time_s)
                phase = 2 * np.pi * hertz * time_s + sway + rng.uniform(0, 6)
                out[first : first + length] += loud ** (1 + 0.15 * k) * np.sin(phase) / k**fall
        at += every * rng.choice([0.5, 1, 1, 2])
    return out


def _knocks(rng: Generator, n: int) -> np.ndarray:
    """Claps, knocks and drums: short noise about some frequency, some with a tone below."""
    out, at, length = np.zeros(n), 0.0, 4800
    time_s = np.arange(length) / SAMPLE_RATE
    hertz = np.linspace(0, SAMPLE_RATE / 2, length // 2 + 1)
    while at < n / SAMPLE_RATE - 0.3:
        centre = rng.uniform(60, 3000)
        burst = noise(length, 0, rng) * np.exp(-time_s / rng.uniform(0.005, 0.08))
        spectrum = np.fft.rfft(burst)
        spectrum *= np.exp(-(((np.log(hertz + 1) - np.log(centre)) / rng.uniform(0.3, 1.5)) ** 2))
        burst = np.fft.irfft(spectrum, length)
        burst *= rng.uniform(0.3, 1) / (np.abs(burst).max() + 1e-9)
        drum = rng.random() < 0.4
        tone = np.sin(2 * np.pi * rng.uniform(50, 200) * time_s) * np.exp(-time_s / 0.06)
        first = int(at * SAMPLE_RATE)
        out[first : first + length] += burst + drum * tone
        at += rng.choice([0.125, 0.25, 0.5, 0.33, 0.8]) * rng.uniform(0.8, 1.2)
    return out


def _engine(rng: Generator, n: int) -> np.ndarray:
    """Harmonics of a low pitch that wanders, loud and soft in turn."""
    time_s = np.arange(n) / SAMPLE_RATE
    end = n / SAMPLE_RATE
    phase = 2 * np.pi * np.cumsum(np.interp(time_s, np.linspace(0, end, 12), rng.uniform(30, 400, 12))) / SAMPLE_RATE
    loud = np.interp(time_s, np.linspace(0, end, 30), rng.uniform(0.05, 1, 30))
    return np.asarray(loud * sum(np.sin(k * phase + k) / k ** rng.uniform(0.3, 1.5) for k in range(1, 15)))


def _swelling(rng: Generator, n: int) -> np.ndarray:
    """Noise of any colour that rises and falls as fast as syllables do."""
    end = n / SAMPLE_RATE
    loud = np.interp(np.arange(n) / SAMPLE_RATE, np.linspace(0, end, 120), rng.uniform(0, 1, 120) ** 2)
    return np.asarray(loud * equalised(noise(n, int(rng.integers(3)), rng), rng, 10.0))


def _whistles(rng: Generator, n: int) -> np.ndarray:
    """Tones that glide: birds, sirens, whistling."""
    out, at = np.zeros(n), 0.0
    while at < n / SAMPLE_RATE - 1:
        length = int(rng.uniform(0.08, 0.9) * SAMPLE_RATE)
        time_s = np.arange(length) / SAMPLE_RATE
        hertz = np.interp(time_s, np.linspace(0, length / SAMPLE_RATE, 4), rng.uniform(400, 4000, 4))
        first = int(at * SAMPLE_RATE)
        out[first : first + length] += np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE) * np.hanning(length)
        at += length / SAMPLE_RATE * rng.uniform(0.6, 3)
    return out
