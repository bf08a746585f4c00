"""How far the sound of a recording is from its picture."""

from __future__ import annotations

import dataclasses

import numpy as np

from splatalk.speech.audio import SAMPLE_RATE
from splatalk.speech.features import load
from splatalk.speech.prior import articulation

MAX_LAG_S = 0.32
_RATE = 50.0
# Eight seconds of unrelated lips and sound reach a score of 0.33 at their best delay.
_EVIDENCE = 0.35
_GAIN = 0.15


@dataclasses.dataclass(frozen=True)
class Offset:
    """Delay of a recording's sound.

    Args:
        seconds: by how much the sound comes late (+) or early (-) against the picture; 0 without clear evidence.
        score: mean correlation of lips and sound at that delay.
        score_at_zero: the same as recorded.
        clear: whether the evidence is enough to move the sound by ``seconds``.
        curve: (delay in seconds, score) of every delay tried.
    """

    seconds: float
    score: float
    score_at_zero: float
    clear: bool
    curve: tuple[tuple[float, float], ...] = ()


def estimate_offset(
    samples: np.ndarray, opening: np.ndarray, width: np.ndarray, fps: float, *, encoder: str = "whisper"
) -> Offset:
    """Compare what the lips do with what anybody's lips would do for this sound, over delays up to 0.32 s.

    Args:
        samples: (S,) float32, 16 kHz, with the zero of the frames.
        opening: (N,) inner-lip gap of each frame, any unit.
        width: (N,) distance of the mouth corners, any unit.
        fps: frames per second.
        encoder: speech features to use.
    """
    return offset_of(load(encoder).extract(samples), opening, width, fps, encoder=encoder)


def offset_of(
    features: np.ndarray, opening: np.ndarray, width: np.ndarray, fps: float, *, encoder: str = "whisper"
) -> Offset:
    """``estimate_offset`` from the encoder's features (T, D) at 50 Hz."""
    expected = articulation(encoder, features)[:, :2]
    n = min(round(len(opening) / fps * _RATE), len(expected))
    times = np.arange(n) / _RATE * fps
    seen = np.stack([np.interp(times, np.arange(len(opening)), np.asarray(x, float)) for x in (opening, width)], 1)
    reach = round(MAX_LAG_S * _RATE)
    if n < 4 * reach:
        return Offset(0.0, 0.0, 0.0, False)
    inner = seen[reach : n - reach]
    scores = np.array([_score(inner, expected[reach + k : n - reach + k]) for k in range(-reach, reach + 1)])
    best = int(np.argmax(scores))
    score, zero = float(scores[best]), float(scores[reach])
    at_edge = best in (0, len(scores) - 1)
    clear = score > _EVIDENCE and score - zero > _GAIN and not at_edge
    curve = tuple(((k - reach) / _RATE, float(value)) for k, value in enumerate(scores))
    return Offset((best - reach) / _RATE if clear else 0.0, score, zero, clear, curve)


def moved(samples: np.ndarray, seconds: float) -> np.ndarray:
    """(S,) sound made earlier by ``seconds`` (later when negative), as long as before, the gap silent."""
    shift = round(seconds * SAMPLE_RATE)
    if shift >= 0:
        return np.concatenate((samples[shift:], np.zeros(min(shift, len(samples)), samples.dtype)))
    return np.concatenate((np.zeros(min(-shift, len(samples)), samples.dtype), samples[:shift]))


def _score(seen: np.ndarray, expected: np.ndarray) -> float:
    """Mean over opening and width of their correlations."""
    a, b = seen - seen.mean(0), expected - expected.mean(0)
    return float(np.mean((a * b).sum(0) / np.sqrt((a * a).sum(0) * (b * b).sum(0) + 1e-12)))
