"""What lips speech calls for: visemes, how wide anybody's lips would be open, and whether it is speech, for any voice.

A small network on Whisper features, made once by ``benchmarks/make_viseme_prior.py`` from synthesised speech in many
voices, languages and rooms, whose phoneme times are known exactly, and from sounds that are no speech. What a person's
own recording rarely shows often enough to learn (lips that close for p, b and m) is heard this way. Nobody's face was
used: the curves are those of a model of coarticulation (``benchmarks/dominance.py``). A ridge regression says them too,
and the mean of both is taken: the network knows synthesised voices better, the regression a real one.
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
HEARD = (-8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8)
"""Steps of 20 ms about a moment that are heard for it."""
REACH = max(HEARD)
FILE = Path(__file__).with_name("lip_reading.safetensors")
_UNSURE, _SURE = 0.05, 0.15
"""Probability of closed lips up to which they stay as they are, and from which they are closed. So low because a closed
mouth that was missed is seen, one too many for a frame hardly; chosen on voices left out of the lessons and on a
synthetic person's enrolment."""
_BRIEF = 0.7
"""Of a closure at one step, how much is at the next ones: else a brief one might fall between two frames."""
_SPEECH_S = 0.6
_NO_SPEECH, _SPEECH = 0.2, 0.4
"""Seconds over which the probability of speech is averaged, what counts as none and what as speech: at its first and
last moment half of what is heard around is speech."""


@functools.cache
def _table() -> dict[str, np.ndarray]:
    return {name: array.astype(np.float32) for name, array in load_file(FILE).items()}


def viseme_probabilities(features: np.ndarray) -> np.ndarray:
    """(T, 512) Whisper features at 50 Hz -> (T, 15) float32, columns as in ``VISEMES``, rows sum to 1."""
    return _probabilities(_scores(features))


def shapes(features: np.ndarray) -> np.ndarray:
    """(T, 512) Whisper features at 50 Hz -> (T, 18) float32, columns as in ``SHAPES``."""
    scores = _scores(features)
    chances = _probabilities(scores)
    closed = np.clip((chances[:, CLOSED] - _UNSURE) / (_SURE - _UNSURE), 0.0, 1.0)
    before, after = np.pad(closed, 1)[:-2], np.pad(closed, 1)[2:]
    closed = np.maximum(closed, _BRIEF * np.maximum(before, after))
    linear = context(features) @ _table()["linear"] + _table()["linear_bias"]
    curves = 0.5 * (scores[:, len(VISEMES) : len(VISEMES) + len(CURVES)] + linear)
    return np.concatenate((chances, curves, closed[:, None]), 1, dtype=np.float32)


def speaking(features: np.ndarray) -> np.ndarray:
    """(T, 512) Whisper features at 50 Hz -> (T,) float32: 1 where somebody speaks, 0 for music, knocks and the like."""
    chance = 1.0 / (1.0 + np.exp(-np.clip(_scores(features)[:, -1], -30.0, 30.0)))
    half = round(_SPEECH_S * 50 / 2)
    total = np.cumsum(np.pad(chance, (half + 1, half)))
    around = (total[2 * half + 1 :] - total[: -2 * half - 1]) / (2 * half + 1)
    return np.asarray(np.clip((around - _NO_SPEECH) / (_SPEECH - _NO_SPEECH), 0.0, 1.0), dtype=np.float32)


def _scores(features: np.ndarray) -> np.ndarray:
    """(T, 512) -> (T, 18): log-odds of the visemes, the curves, log-odds of speech."""
    table = _table()
    first = _silu(np.pad(features, ((REACH, REACH), (0, 0))) @ table["first"] + table["first_bias"])
    near = np.concatenate([first[REACH + k : REACH + k + len(features)] for k in HEARD], 1)
    second = _silu(near @ table["second"] + table["second_bias"])
    return np.asarray(second @ table["last"] + table["last_bias"])


def _silu(x: np.ndarray) -> np.ndarray:
    return np.asarray(x / (1.0 + np.exp(-np.clip(x, -30.0, 30.0))))


def _probabilities(scores: np.ndarray) -> np.ndarray:
    scores = scores[:, : len(VISEMES)]
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(scores / scores.sum(1, keepdims=True), dtype=np.float32)
