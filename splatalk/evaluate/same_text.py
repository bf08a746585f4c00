"""Synthetic voices say the text of a recording; what they make the lips do is put at the recording's own times."""

from __future__ import annotations

import math
from collections.abc import Sequence

import librosa
import numpy as np

from splatalk.avatar.model import Avatar
from splatalk.evaluate.leakage import predicted_lips
from splatalk.evaluate.mouth import Lips
from splatalk.speech import SAMPLE_RATE, load
from splatalk.speech.synthesis import Mark, say
from splatalk.speech.visemes import viseme

VOICES = ("m3", "f2")
"""Variants of eSpeak NG: a man's and a woman's."""
_SUBSTITUTION, _GAP = 1.2, 0.8
"""Of aligning phonemes: two that look different are left alone rather than matched."""


def synthetic_lips(
    avatar: Avatar, samples: np.ndarray, text: str, voice: str, n: int, phonemes: Sequence[Mark] | None = None
) -> Lips:
    """What the encoder asks for when a synthesiser says the text, at the times of ``samples``; (n,) frames.

    Args:
        samples: (S,) float32, 16 kHz: the person saying it.
        phonemes: when they say what; without them, moments are matched by Whisper features, which errs more.

    Raises:
        UserError: there is no synthesiser, or it has no such voice. AssetError: Whisper is missing.
    """
    said = say(text, voice)
    lips = predicted_lips(avatar, said.samples, math.ceil(len(said.samples) / SAMPLE_RATE * avatar.fps))
    if phonemes is None:
        encoder = load("whisper")
        at = same_moment(encoder.extract(samples), encoder.extract(said.samples), encoder.rate)
        moments = np.interp(np.arange(n) / avatar.fps, np.arange(len(at)) / encoder.rate, at)
    else:
        own, other = same_times(phonemes, said.phonemes)
        moments = np.interp(np.arange(n) / avatar.fps, own, other)
    times = np.arange(len(lips.opening)) / avatar.fps
    return Lips(*(np.interp(moments, times, curve) for curve in (lips.opening, lips.width)))


def same_times(own: Sequence[Mark], other: Sequence[Mark]) -> tuple[np.ndarray, np.ndarray]:
    """Seconds at which two speakers of one text are at the same place, (K,) each and rising, from phonemes that match.

    Phonemes match where they look alike on the lips, in the alignment with the fewest changes (Needleman and Wunsch
    1970); what lies between is at even speed.
    """
    pairs = _aligned([viseme(mark.text) for mark in own], [viseme(mark.text) for mark in other])
    ends = [(own[i].start, other[j].start) for i, j in pairs], [(own[i].end, other[j].end) for i, j in pairs]
    times = np.array([(0.0, 0.0), *(end for pair in zip(*ends, strict=True) for end in pair)])
    # Where one phoneme ends and the next begins at once, what follows counts.
    return np.maximum.accumulate(times[:, 0] + 1e-6 * np.arange(len(times))), np.maximum.accumulate(times[:, 1])


def _aligned(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int]]:
    """Indices of equal items in the cheapest alignment of two sequences."""
    cost = np.zeros((len(a) + 1, len(b) + 1))
    cost[0], cost[:, 0] = _GAP * np.arange(len(b) + 1), _GAP * np.arange(len(a) + 1)
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            change = cost[i - 1, j - 1] + (0.0 if x == y else _SUBSTITUTION)
            cost[i, j] = min(change, cost[i - 1, j] + _GAP, cost[i, j - 1] + _GAP)
    pairs = []
    i, j = len(a), len(b)
    while i > 0 and j > 0:
        if a[i - 1] == b[j - 1] and cost[i, j] == cost[i - 1, j - 1]:
            pairs.append((i - 1, j - 1))
            i, j = i - 1, j - 1
        elif cost[i, j] == cost[i - 1, j] + _GAP:
            i -= 1
        elif cost[i, j] == cost[i, j - 1] + _GAP:
            j -= 1
        else:
            i, j = i - 1, j - 1
    return pairs[::-1]


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
