"""Encoders by name, and the windows of features that drive single frames."""

from __future__ import annotations

import functools
import math
from typing import Protocol

import numpy as np

from splatalk.errors import AssetError
from splatalk.speech.audio import SAMPLE_RATE
from splatalk.speech.lip_reading import CURVES, SHAPES, shapes, speaking, viseme_probabilities
from splatalk.speech.mel import MelEncoder
from splatalk.speech.pretrained import MODELS, PretrainedEncoder
from splatalk.speech.prior import ARTICULATION, articulation
from splatalk.speech.prosody import PROSODY, prosody
from splatalk.speech.visemes import VISEMES
from splatalk.speech.whisper import WhisperEncoder


class SpeechEncoder(Protocol):
    """Turns sound into features. ``rate`` is in Hz; feature t is about the time t / rate; zeros are silence."""

    name: str
    dim: int
    rate: float

    def extract(self, samples: np.ndarray) -> np.ndarray:
        """(S,) float32 at 16 kHz -> (T, dim) float32, T = ceil(S / 16000 * rate)."""
        ...


ENCODERS = ("mel", "whisper", *MODELS)
FEATURES = ("mel", "whisper", "visemes", "lips", *MODELS)
"""What ``speech_windows`` knows: an encoder's features, or Whisper's with probabilities of the visemes, or all of
``lip_reading.SHAPES``, beside them."""

_SHAPES = {"visemes": len(VISEMES), "lips": len(SHAPES)}


@functools.cache
def load(name: str) -> SpeechEncoder:
    """The encoder of that name; one instance a process. ``hubert:0123456789abcdef`` asks for certain weights.

    Raises:
        AssetError: its model could not be fetched, or is another one.
        ValueError: there is none of that name.
    """
    if name == "mel":
        return MelEncoder()
    if name == "whisper":
        return WhisperEncoder()
    kind, _, wanted = name.partition(":")
    if kind in MODELS:
        encoder = PretrainedEncoder(kind)
        if wanted and encoder.fingerprint != wanted:
            raise AssetError(
                f"This avatar was made with another {kind} model than the one in {encoder.folder}.",
                f"Use the one whose weights' SHA-256 begins with {wanted}; this one's with {encoder.fingerprint}.",
            )
        return encoder
    raise ValueError(f"speech encoder {name!r}: use one of {ENCODERS}")


def windows(
    features: np.ndarray,
    rate: float,
    fps: float,
    n_frames: int,
    before: int,
    after: int,
    step_s: float = 0.04,
    *,
    average: bool = True,
) -> np.ndarray:
    """The features around each frame.

    Args:
        features: (T, D) at ``rate`` Hz, zeros being silence.
        rate: Hz.
        fps: frames per second; frame i is at i / fps seconds.
        n_frames: N.
        before, after: steps of ``step_s`` seconds before and after the frame.
        step_s: seconds between two rows of a window.
        average: features in between are averaged into the nearest rows; otherwise rows are what is known at their time.

    Returns:
        (N, before + after + 1, D) float32; silence where a window reaches beyond the sound.
    """
    offsets = np.arange(-before, after + 1) * step_s
    times = (np.arange(n_frames)[:, None] / fps + offsets[None]) * rate
    spread = max(round(step_s * rate), 1) if average else 1
    smooth = _spread(features, spread)
    low = np.floor(times).astype(int)
    part = (times - low)[..., None].astype(np.float32)
    return _rows(smooth, low) * (1.0 - part) + _rows(smooth, low + 1) * part


def _spread(features: np.ndarray, width: int) -> np.ndarray:
    """Triangular average of half-width ``width``, so that rows ``width`` apart together hear everything once."""
    if width == 1:
        return features
    weights = np.concatenate((np.arange(1, width + 1), np.arange(width - 1, 0, -1))).astype(np.float32)
    weights /= weights.sum()
    padded = np.pad(features, ((width - 1, width - 1), (0, 0)))
    out = np.zeros_like(features)
    for k, weight in enumerate(weights):
        out += weight * padded[k : k + len(features)]
    return out


def _rows(features: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Rows by index, zeros outside."""
    padded = np.concatenate((features, np.zeros((1, features.shape[1]), np.float32)))
    outside = (index < 0) | (index >= len(features))
    return np.asarray(padded[np.where(outside, len(features), index)])


BEFORE, AFTER = 6, 6
"""Window rows (40 ms each) before and after a frame in ``speech_windows``."""


def speech_windows(name: str, samples: np.ndarray, fps: float, n_frames: int) -> np.ndarray:
    """What drives an avatar: everything known of the sound around each frame.

    Args:
        name: one of ``FEATURES``, or what ``exact_name`` makes of it.
        samples: (S,) float32 at 16 kHz, its zero that of the frames.
        fps: frames per second.
        n_frames: N.

    Returns:
        (N, 13, D) float32, columns as in ``feature_groups``.
    """
    encoder = load("whisper" if name in _SHAPES else name)
    length = math.ceil(n_frames / fps * SAMPLE_RATE)
    samples = np.pad(samples[:length], (0, max(0, length - len(samples))))
    words = encoder.extract(samples)
    known = [words, prosody(samples, encoder.rate, len(words)), _articulation(encoder, words, samples)]
    if name in _SHAPES:
        known.insert(1, shapes(words) if name == "lips" else viseme_probabilities(words))
    if name == "lips":
        known[2][:, PROSODY.index("activity")] *= speaking(words)
    found = windows(np.concatenate(known, 1), encoder.rate, fps, n_frames, BEFORE, AFTER)
    if name == "lips":  # a closure may last 50 ms: an average would half open it
        column = words.shape[1] + SHAPES.index("closed")
        closed = known[1][:, -1:]
        found[..., column : column + 1] = windows(closed, encoder.rate, fps, n_frames, BEFORE, AFTER, average=False)
    return found


def _articulation(encoder: SpeechEncoder, words: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """What mouths do, from the features themselves, or from mel features where nothing was learned of these."""
    if encoder.name in MODELS:
        return articulation("mel", load("mel").extract(samples))
    return articulation(encoder.name, words)


def exact_name(name: str) -> str:
    """How an avatar remembers its features: with the fingerprint of weights that are not splatalk's."""
    encoder = load(name) if name in MODELS else None
    return f"{name}:{encoder.fingerprint}" if isinstance(encoder, PretrainedEncoder) else name


def n_visemes(name: str) -> int:
    """How many columns of mouth shapes there are in ``speech_windows`` of that name."""
    return _SHAPES.get(name, 0)


def by_visemes(name: str) -> bool:
    """Whether a mouth is best learned from the visemes heard rather than from the encoder's own features."""
    return name == "lips"


def feature_groups(dim: int, visemes: int = 0) -> dict[str, slice]:
    """Which columns of ``speech_windows``, D = ``dim`` in all, hold what.

    Args:
        visemes: columns of mouth shapes, see ``n_visemes``.

    Returns:
        words (the encoder's features), visemes (probabilities), curves and closed (empty unless all of
        ``lip_reading.SHAPES`` are there), prosody (``PROSODY``), articulation (``ARTICULATION``).
    """
    ends = dim - np.cumsum((0, len(ARTICULATION), len(PROSODY), visemes))
    voice, shapes, words = (int(end) for end in ends[1:])
    curves = min(words + len(VISEMES), shapes)
    closed = min(curves + len(CURVES), shapes)
    return {
        "words": slice(0, words),
        "visemes": slice(words, curves),
        "curves": slice(curves, closed),
        "closed": slice(closed, shapes),
        "prosody": slice(shapes, voice),
        "articulation": slice(voice, dim),
    }
