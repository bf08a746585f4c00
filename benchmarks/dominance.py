"""How lips would move for a row of phonemes: targets that blend, after Cohen and Massaro (1993).

Every phoneme wants the lips at some opening and width, with a dominance that falls off exponentially outside its time;
the lips follow the weighted mean. Targets are what phonetics says of the sounds (height and rounding of vowels, place
of consonants), guessed once in round numbers and fitted to nobody.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from splatalk.speech.synthesis import Mark
from splatalk.speech.visemes import viseme

FALL_S = (0.045, 0.090)
"""Seconds in which a dominance over opening and over width falls to 1/e: lips round longer ahead than they open."""

CONSONANT_FALL_S = 0.020
"""The same for a consonant's dominance over the opening: it is strong and short."""


@dataclasses.dataclass(frozen=True)
class Target:
    """What a sound wants.

    Args:
        opening: of the lips, 0 sealed to 1 wide open.
        width: -1 rounded to 1 spread.
        insists: (2,) dominance over opening and width.
    """

    opening: float
    width: float
    insists: tuple[float, float]


_VOWELS = {
    "a": (0.90, 0.1), "ɐ": (0.75, 0.0), "æ": (0.90, 0.3), "ɑ": (1.00, -0.1), "ʌ": (0.70, 0.0), "ɶ": (0.8, -0.3),
    "ɛ": (0.60, 0.4), "e": (0.50, 0.5), "ə": (0.35, 0.0), "ɚ": (0.35, -0.2), "ɜ": (0.40, -0.2), "ɝ": (0.40, -0.2),
    "ɪ": (0.35, 0.4), "i": (0.25, 0.8), "ɨ": (0.25, 0.3), "y": (0.20, -0.7), "ʏ": (0.3, -0.6), "ø": (0.40, -0.6),
    "œ": (0.50, -0.5), "ɔ": (0.65, -0.6), "o": (0.50, -0.8), "ɒ": (0.75, -0.4), "ʊ": (0.30, -0.6), "u": (0.20, -1.0),
    "ʉ": (0.20, -0.9), "ɯ": (0.20, 0.2), "ɵ": (0.35, -0.5), "ɘ": (0.40, 0.1), "ɤ": (0.45, 0.1),
}  # fmt: skip
_GLIDES = {"w": Target(0.10, -1.0, (2.0, 2.0)), "ʍ": Target(0.10, -1.0, (2.0, 2.0)), "j": Target(0.2, 0.6, (1.0, 1.0))}
_BREATH = Target(0.35, 0.0, (0.05, 0.05))
_CONSONANTS = {
    "PP": Target(0.00, 0.0, (8.0, 0.2)), "FF": Target(0.08, 0.1, (4.0, 0.5)), "TH": Target(0.20, 0.1, (1.2, 0.4)),
    "DD": Target(0.20, 0.1, (1.2, 0.3)), "kk": Target(0.30, 0.0, (0.6, 0.2)), "CH": Target(0.20, -0.5, (2.0, 1.5)),
    "SS": Target(0.12, 0.3, (2.5, 0.8)), "nn": Target(0.25, 0.1, (1.0, 0.3)), "RR": Target(0.25, -0.4, (1.0, 1.0)),
    "sil": Target(0.00, 0.0, (0.7, 0.4)),
}  # fmt: skip


def target(phoneme: str) -> Target:
    """What an IPA phoneme wants; a diphthong wants the mean of its parts, which ``lips`` takes in turn."""
    if phoneme[:1] in ("h", "ɦ", "ʔ"):
        return _BREATH
    for sign in phoneme:
        if sign in _GLIDES:
            return _GLIDES[sign]
        if sign in _VOWELS:
            return Target(*_VOWELS[sign], (1.0, 1.0))
    return _CONSONANTS.get(viseme(phoneme), _CONSONANTS["sil"])


def lips(phonemes: list[Mark], n: int, rate: float) -> np.ndarray:
    """(n, 2) float32 opening and width at step / ``rate`` seconds; closed and neutral where nothing is said."""
    parts = [part for mark in phonemes for part in _parts(mark)]
    ends = parts[-1].end if parts else 0.0
    first = parts[0].start if parts else 0.0
    parts = [Mark("", first - 60.0, first), *parts, Mark("", ends, ends + 60.0)]
    wants = [target(part.text) for part in parts]
    aims = np.array([(want.opening, want.width) for want in wants])
    strength = np.array([want.insists for want in wants])
    vowel = np.array([any(sign in _VOWELS for sign in part.text) or not part.text for part in parts])
    falls = (np.where(vowel, FALL_S[0], CONSONANT_FALL_S), FALL_S[1])
    times = np.arange(n)[:, None] / rate
    begin, end = (np.array([getattr(part, name) for part in parts]) for name in ("start", "end"))
    away = np.maximum(np.maximum(begin - times, times - end), 0.0)
    out = np.zeros((n, 2), np.float32)
    for k in (0, 1):
        weight = strength[:, k] * np.exp(-away / falls[k])
        out[:, k] = (weight * aims[:, k]).sum(1) / weight.sum(1)
    return out


def _parts(mark: Mark) -> list[Mark]:
    """A diphthong as its vowels, each half of the time; anything else as it is."""
    vowels = [sign for sign in mark.text if sign in _VOWELS]
    if len(vowels) < 2:
        return [mark]
    step = (mark.end - mark.start) / len(vowels)
    return [Mark(v, mark.start + k * step, mark.start + (k + 1) * step) for k, v in enumerate(vowels)]
