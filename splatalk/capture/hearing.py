"""What the sound of a recording is like and what it teaches: levels, noise, hum, mouth shapes, lips predicted."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from splatalk.avatar.mouth_basis import mouth_opening_and_width
from splatalk.speech.lip_reading import viseme_probabilities
from splatalk.speech.prior import articulation, context
from splatalk.speech.sync import Offset
from splatalk.speech.visemes import VISEMES

SILENT_DB = -55.0
FEATURE_RATE = 50.0
_RATE = 16000
_BLOCK = 320  # 20 ms
_FLOOR_DB = -96.0  # of 16 bits
_FULL = 0.985
_SHORTEST_RUN = 2  # steps of 20 ms for which a viseme must be the likeliest to count as heard
_PENALTIES = (30.0, 300.0, 1000.0, 3000.0)
_FOLDS, _GAP = 5, 8
_HUM_BAND_HZ, _HARMONICS, _PROMINENT_DB = 420, 6, 12.0


@dataclasses.dataclass(frozen=True)
class Heard:
    """The sound of a recording, against the zero of its frames.

    Args:
        samples: (S,) float32 in -1..1, 16 kHz.
        features: (T, 512) Whisper features at 50 Hz, or None when the model cannot be had.
        offset: how far sound and picture were apart; None when it was not checked.
        moved: by how many seconds the sound was moved for that.
    """

    samples: np.ndarray
    features: np.ndarray | None = None
    offset: Offset | None = None
    moved: float = 0.0


@dataclasses.dataclass(frozen=True)
class Shape:
    """A group of visemes that a recording should hold.

    Args:
        name, sounds: for people.
        visemes: the classes that belong to it.
        wanted: times it should be heard in a recording of a minute: a good third of what ordinary speech holds.
    """

    name: str
    sounds: str
    visemes: tuple[str, ...]
    wanted: int


SHAPES = (
    Shape("closed lips", "p, b, m", ("PP",), 20),
    Shape("lip on teeth", "f, v", ("FF",), 10),
    Shape("open vowels", "a as in “father”", ("aa",), 30),
    Shape("spread vowels", "e, i as in “see”", ("E", "ih"), 40),
    Shape("round vowels", "o, u as in “too”", ("oh", "ou"), 20),
    Shape("lips forward", "sh, ch", ("CH",), 6),
    Shape("tongue and teeth", "d, n, s, th", ("TH", "DD", "SS", "nn"), 50),
)


def levels(samples: np.ndarray) -> dict[str, Any]:
    """Loudness of speech and noise in dB below full scale, their distance, share of overdriven samples, share of time
    with sound, and hum.
    """
    level = block_levels(samples, _BLOCK)
    loud, quiet = (float(v) for v in np.percentile(level, [90, 10]))
    noise = max(quiet, _FLOOR_DB)
    return {
        "speech_db": round(loud, 1),
        "noise_db": round(noise, 1),
        "snr_db": round(loud - noise, 1),
        "clipped": round(float((np.abs(samples) > _FULL).mean()), 5),
        "active": round(float((level > max(loud - 25.0, SILENT_DB, min(noise + 6.0, loud - 3.0))).mean()), 3),
        "silent": loud < SILENT_DB,
        "hum": hum(samples),
    }


def block_levels(samples: np.ndarray, block: int) -> np.ndarray:
    """(S // block,) level of each block in dB below full scale (a full-scale sine is at -3)."""
    count = max(len(samples) // block, 1)
    blocks = np.resize(samples, block) if len(samples) < block else samples[: count * block]
    power = (blocks.reshape(count, block).astype(np.float64) ** 2).mean(axis=1)
    return np.asarray(10.0 * np.log10(power + 1e-14))


def hum(samples: np.ndarray) -> dict[str, float] | None:
    """Mains hum: steady lines at multiples of 50 or 60 Hz that stand out of what is around them.

    Speech comes and goes while hum stays, so each bin of 1 Hz is judged by its quieter seconds.

    Returns:
        ``hz`` (50 or 60) and ``level_db`` below full scale of all lines together; None when there is no hum.
    """
    window = np.hanning(_RATE)
    begins = range(0, len(samples) - _RATE + 1, _RATE)
    if len(begins) < 2:
        return None
    spectra = [np.abs(np.fft.rfft(samples[b : b + _RATE] * window)[:_HUM_BAND_HZ]) ** 2 for b in begins]
    power = np.percentile(spectra, 25, axis=0) * 2.0 / window.sum() ** 2 + 1e-14  # a sine of amplitude A has A²/2
    found: dict[str, float] | None = None
    for mains in (50, 60):
        lines = [k * mains for k in range(1, _HARMONICS + 1) if k * mains + 13 < _HUM_BAND_HZ]
        out = [f for f in lines if _prominence(power, f) > _PROMINENT_DB]
        level = 10.0 * np.log10(sum(power[f - 1 : f + 2].max() for f in out)) if len(out) >= 2 else -np.inf
        if level > (found["level_db"] if found else -90.0):
            found = {"hz": mains, "level_db": round(float(level), 1)}
    return found


def _prominence(power: np.ndarray, f: int) -> float:
    around = np.concatenate([power[f - 12 : f - 3], power[f + 4 : f + 13]])
    return float(10.0 * np.log10(power[f - 1 : f + 2].max() / np.median(around)))


def visemes_heard(features: np.ndarray) -> dict[str, int]:
    """How often each viseme is the likeliest for 40 ms or longer, by name, silence left out.

    Args:
        features: (T, 512) Whisper features at 50 Hz.
    """
    likeliest = viseme_probabilities(features).argmax(axis=1)
    edges = np.flatnonzero(np.diff(likeliest)) + 1
    begins, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(likeliest)]])
    lasting = likeliest[begins[ends - begins >= _SHORTEST_RUN]]
    counts = np.bincount(lasting, minlength=len(VISEMES))
    return {name: int(counts[k]) for k, name in enumerate(VISEMES) if name != "sil"}


def shapes_heard(visemes: dict[str, int]) -> list[dict[str, Any]]:
    """``SHAPES`` with how often each was heard."""
    return [
        {"name": s.name, "sounds": s.sounds, "heard": sum(visemes[v] for v in s.visemes), "wanted": s.wanted}
        for s in SHAPES
    ]


def lips_predicted(
    features: np.ndarray, landmarks_head: np.ndarray, valid: np.ndarray, fps: float
) -> dict[str, float] | None:
    """How well the opening of the lips follows from the sound, on parts of the recording that were not learned from.

    Ridge regression from what anybody's lips would do and which visemes are heard, learned on four fifths of the
    recording and tried on the rest, five times over. The avatar hears more than that and is a little better or,
    with a few seconds of recording, alike.

    Args:
        features: (T, 512) Whisper features at 50 Hz.
        landmarks_head: (N, 478, 3) tracked landmarks.
        valid: (N,) frames to use.
        fps: of the frames.

    Returns:
        ``correlation``, and ``correlation_half`` with every other stretch of the learned part left out; None with less
        than two seconds.
    """
    frames = np.flatnonzero(valid)
    rows = np.minimum((frames / fps * FEATURE_RATE).astype(int), len(features) - 1)
    known = np.concatenate([articulation("whisper", features), viseme_probabilities(features)], axis=1)
    x = context(known.astype(np.float32))[rows].astype(np.float64)
    y = mouth_opening_and_width(landmarks_head[frames])[:, 0] * 1000.0
    if len(y) < 2 * fps or np.std(y) < 1e-6:
        return None
    whole, half = (_held_out_correlation(x, y, share) for share in (1, 2))
    return {"correlation": round(whole, 3), "correlation_half": round(half, 3)}


def _held_out_correlation(x: np.ndarray, y: np.ndarray, part: int) -> float:
    """Best over the penalties of the correlation of (N,) with its prediction from held-out fifths.

    Args:
        part: learn from one in ``part`` of eight stretches.
    """
    fold = np.arange(len(y)) * _FOLDS // len(y)
    predicted = np.zeros((len(_PENALTIES), len(y)))
    for k in range(_FOLDS):
        held = fold == k
        learned = np.flatnonzero(np.convolve(held, np.ones(2 * _GAP + 1), "same") == 0)
        learned = learned[(np.arange(len(learned)) * 8 // len(learned)) % part == 0]
        mean, spread = x[learned].mean(axis=0), x[learned].std(axis=0) + 1e-3
        a, middle = (x[learned] - mean) / spread, y[learned].mean()
        square, target = a.T @ a, a.T @ (y[learned] - middle)
        for i, penalty in enumerate(_PENALTIES):
            weights = np.linalg.solve(square + penalty * np.eye(len(square)), target)
            predicted[i, held] = (x[held] - mean) / spread @ weights + middle
    best = predicted[np.argmin(((predicted - y) ** 2).mean(axis=1))]
    return float(np.corrcoef(best, y)[0, 1]) if best.std() > 1e-9 else 0.0


def sync_figures(heard: Heard) -> dict[str, Any]:
    """The offset of sound and picture as plain data."""
    offset = heard.offset
    if offset is None:
        return {"checked": False, "moved_s": 0.0}
    return {
        "checked": True,
        "moved_s": round(heard.moved, 3),
        "agreement": round(offset.score if heard.moved else offset.score_at_zero, 3),
        "score": round(offset.score, 3),
        "score_at_zero": round(offset.score_at_zero, 3),
        "clear": offset.clear,
        "curve": [[round(lag, 3), round(score, 3)] for lag, score in offset.curve],
    }
