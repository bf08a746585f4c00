"""What mouths do with speech, before anything is known of the person.

A small linear model, made once by ``benchmarks/make_speech_prior.py`` from a long recording of a synthetic person,
turns speech features into estimates of a reference face's mouth. They serve as extra features: with eight seconds of
somebody new there is too little to learn from 512 numbers a step, but enough to learn from these eight. They also tell
how far a recording's sound is from its picture (``sync``).
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

ARTICULATION = ("opening", "width", "shape_1", "shape_2", "shape_3", "shape_4", "shape_5", "shape_6")
"""Columns: inner-lip gap, distance of the mouth corners, then principal shapes; in units of their spread over the
reference recording, zero in silence."""

CONTEXT = 2
"""Steps of 40 ms on either side that an estimate hears: a lookahead of 80 ms beside the encoder's own."""

_STRIDE = 2  # feature steps at 50 Hz in 40 ms
_FILE = Path(__file__).with_name("prior.safetensors")


@functools.cache
def _table() -> dict[str, np.ndarray]:
    return {name: array.astype(np.float32) for name, array in load_file(_FILE).items()}


def spread(features: np.ndarray) -> np.ndarray:
    """Triangular average (1/4, 1/2, 1/4) over time, so that every second row together hears everything once."""
    padded = np.pad(features, ((1, 1), (0, 0)))
    return np.asarray(0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:], dtype=np.float32)


def context(features: np.ndarray) -> np.ndarray:
    """(T, D) at 50 Hz -> (T, 5 D): the averaged rows 80 ms before to 80 ms after each."""
    margin = CONTEXT * _STRIDE
    padded = np.pad(spread(features), ((margin, margin), (0, 0)))
    return np.concatenate([padded[k : k + len(features)] for k in range(0, 2 * margin + 1, _STRIDE)], 1)


def articulation(encoder: str, features: np.ndarray) -> np.ndarray:
    """Estimates of the reference face's mouth.

    Args:
        encoder: name of the speech encoder.
        features: (T, D) its features at 50 Hz.

    Returns:
        (T, 8) float32 at 50 Hz, columns as in ``ARTICULATION``.
    """
    table = _table()
    return np.asarray(context(features) @ table[encoder], dtype=np.float32)
