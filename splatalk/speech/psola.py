"""The same words from another throat: pitch and formants moved apart, every sound at its own time.

Pitch-synchronous overlap-add (Moulines and Charpentier 1990): the voice is cut into grains of two periods about its
pulses, which are set down closer together or further apart. A grain played faster or slower moves the formants. Where
nothing is voiced, grains stay where they are, so that bursts and closures keep their shape.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import resample_poly

from splatalk.speech.audio import SAMPLE_RATE
from splatalk.speech.mel import HOP
from splatalk.speech.prosody import pitch_track

_VOICED = 0.5
_UNVOICED_STEP = SAMPLE_RATE // 200
_FINER = 4
"""Grains are read between samples, from the sound at this multiple of its rate."""
_MARGIN = 1024
"""Samples of silence around the sound: more than the longest grain reaches."""


def moved_voice(samples: np.ndarray, pitch: float, formants: float) -> np.ndarray:
    """Move a voice.

    Args:
        samples: (S,) at 16 kHz.
        pitch, formants: multiples, 0.5 to 2.

    Returns:
        (S,) float32; sounds begin and end when they did.
    """
    if not (0.5 <= pitch <= 2.0 and 0.5 <= formants <= 2.0):
        raise ValueError(f"pitch and formants move by 0.5 to 2, not by {pitch} and {formants}")
    if len(samples) == 0:
        return np.zeros(0, np.float32)
    places, periods, voiced = _pulses(samples)
    fine = resample_poly(np.pad(_room_above(samples, formants), _MARGIN), _FINER, 1)
    out = np.zeros(len(samples) + 2 * _MARGIN)
    time, nearest = 0.0, 0
    while time < len(samples):
        while nearest + 1 < len(places) and abs(places[nearest + 1] - time) <= abs(places[nearest] - time):
            nearest += 1
        period = periods[nearest]
        _set_down(out, fine, time, int(places[nearest]), period if voiced[nearest] else period * formants, formants)
        time += period / pitch if voiced[nearest] else period
    return out[_MARGIN:-_MARGIN].astype(np.float32)


def _pulses(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One in every period of the voice, every 5 ms elsewhere.

    Within a voiced stretch, each lies where the sound about it is most like that about the one before.

    Returns:
        (M,) places in samples, rising; (M,) samples from one to the next; (M,) bool, whether voiced.
    """
    hertz, voicing = pitch_track(samples)
    places, periods, voiced = [], [], []
    at, last = 0, None
    while at < len(samples):
        k = min(round(at / HOP), len(hertz) - 1)
        period = round(SAMPLE_RATE / hertz[k])
        is_voiced = bool(voicing[k] > _VOICED) and period < at < len(samples) - 2 * period
        if not is_voiced:
            period = _UNVOICED_STEP
        elif last is None:
            at += int(np.argmax(np.abs(samples[at : at + period])))
        else:
            at = _like_the_last(samples, last, at, period)
        places.append(at)
        periods.append(period)
        voiced.append(is_voiced)
        last = at if is_voiced else None
        at += period
    return np.array(places), np.array(periods), np.array(voiced)


def _like_the_last(samples: np.ndarray, last: int, guess: int, period: int) -> int:
    """The place within a fifth of a period of ``guess`` about which the sound is most like that about ``last``."""
    reach = max(period // 5, 2)
    first = guess - reach - period
    pattern, around = samples[max(last - period, 0) : last + period], samples[max(first, 0) : guess + reach + period]
    if last < period or first < 0 or len(around) < len(pattern):
        return guess
    return guess - reach + int(np.argmax(np.correlate(around, pattern, "valid")))


def _room_above(samples: np.ndarray, formants: float) -> np.ndarray:
    """Without what would be moved past half the sample rate."""
    if formants <= 1.0:
        return samples
    spectrum = np.fft.rfft(samples)
    spectrum[int(len(spectrum) / formants) :] = 0.0
    return np.fft.irfft(spectrum, len(samples))


def _set_down(out: np.ndarray, fine: np.ndarray, time: float, place: int, reach: float, formants: float) -> None:
    """Add the grain of ``reach`` samples on either side of ``place`` at ``time``, played ``formants`` times as fast."""
    half = max(round(reach / formants), 1)
    offsets = np.arange(-half, half + 1)
    whole = int(time)
    source = (place + _MARGIN + (offsets - (time - whole)) * formants) * _FINER
    low = np.clip(source.astype(int), 0, len(fine) - 2)
    part = source - low
    grain = fine[low] * (1.0 - part) + fine[low + 1] * part
    window = 0.5 + 0.5 * np.cos(np.pi * offsets / half)
    out[whole + _MARGIN - half : whole + _MARGIN + half + 1] += window * grain
