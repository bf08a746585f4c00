"""What lips speech calls for: visemes, and how wide anybody's lips would be open, for any voice.

Small linear maps on Whisper features, made once by ``benchmarks/make_viseme_prior.py`` from synthesised speech in many
voices, languages and rooms, whose phoneme times are known exactly. What a person's own recording rarely shows often
enough to learn (lips that close for p, b and m) is heard this way. Nobody's face was used: the curves are those of a
model of coarticulation (``benchmarks/dominance.py``). Hidden layers read a real voice no better
(``benchmarks/speech_study.md``).
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from splatalk.speech.prior import context
from splatalk.speech.visemes import VISEMES

ENCODER = "whisper"
"""The features it reads."""
CLOSED = VISEMES.index("PP")
"""Column of closed lips."""
CURVES = ("opening", "width")
"""What the lips of nobody in particular would do, in units of its spread over the lessons."""
SHAPES = (*VISEMES, *CURVES, "closed")
"""Columns of ``shapes``. The last says how surely the lips are closed, 0 to 1: what closes them."""
FILE = Path(__file__).with_name("lip_reading.safetensors")
_UNSURE, _SURE = 0.05, 0.20
"""Probability of closed lips up to which they stay as they are, and from which they are closed. So low because a closed
mouth that was missed is seen, one too many for a frame hardly; chosen on voices left out of the lessons and on a
synthetic person's enrolment."""


@functools.cache
def _table() -> dict[str, np.ndarray]:
    return {name: array.astype(np.float32) for name, array in load_file(FILE).items()}


def inputs(features: np.ndarray, mean: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """(T, 512) at 50 Hz -> (T, 5 K): principal axes of the features from 80 ms before to 80 ms after each."""
    return context((features - mean) @ axes)


def viseme_probabilities(features: np.ndarray) -> np.ndarray:
    """(T, 512) Whisper features at 50 Hz -> (T, 15) float32, columns as in ``VISEMES``, rows sum to 1."""
    return _probabilities(_heard(features))


def shapes(features: np.ndarray) -> np.ndarray:
    """(T, 512) Whisper features at 50 Hz -> (T, 18) float32, columns as in ``SHAPES``."""
    heard = _heard(features)
    chances = _probabilities(heard)
    closed = np.clip((chances[:, CLOSED] - _UNSURE) / (_SURE - _UNSURE), 0.0, 1.0)
    curves = heard @ _table()["curves"] + _table()["curves_bias"]
    return np.concatenate((chances, curves, closed[:, None]), 1, dtype=np.float32)


def _heard(features: np.ndarray) -> np.ndarray:
    return inputs(features, _table()["mean"], _table()["axes"])


def _probabilities(heard: np.ndarray) -> np.ndarray:
    scores = heard @ _table()["weight"] + _table()["bias"]
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(scores / scores.sum(1, keepdims=True), dtype=np.float32)
