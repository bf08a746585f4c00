"""Which mouth shape speech calls for: probabilities of the fifteen visemes, for any voice.

A small linear classifier on Whisper features, made once by ``benchmarks/make_viseme_prior.py`` from synthesised speech
in many voices and languages, whose phoneme times are known exactly. What a person's own recording rarely shows often
enough to learn (lips that close for p, b and m) is heard this way. A hidden layer reads synthesised voices better and
a real one worse (``benchmarks/speech_study.md``).
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
FILE = Path(__file__).with_name("lip_reading.safetensors")


@functools.cache
def _table() -> dict[str, np.ndarray]:
    return {name: array.astype(np.float32) for name, array in load_file(FILE).items()}


def inputs(features: np.ndarray, mean: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """(T, 512) at 50 Hz -> (T, 5 K): principal axes of the features from 80 ms before to 80 ms after each."""
    return context((features - mean) @ axes)


def viseme_probabilities(features: np.ndarray) -> np.ndarray:
    """(T, 512) Whisper features at 50 Hz -> (T, 15) float32, columns as in ``VISEMES``, rows sum to 1."""
    table = _table()
    scores = inputs(features, table["mean"], table["axes"]) @ table["weight"] + table["bias"]
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(scores / scores.sum(1, keepdims=True), dtype=np.float32)
