"""Hearing as the sound comes: what ``speech_windows`` would say of it, concluded from its past and a short lookahead.

Whisper attends over thirty seconds in both directions, so its features cannot be had while somebody is still speaking.
A small causal convolution network was taught, by ``benchmarks/make_listener.py``, to estimate what follows from them,
and what synthesised voices with known phonemes do with their lips: the shapes of ``lip_reading``, prosody and
articulation at times from 120 ms after to 440 ms before the newest sample, and whether that is speech: where music or
knocks are heard, there is no voice activity. Sound is heard in steps of 20 ms that do not
depend on how it arrives, so neither do the estimates. Rumble is cut off; level and long-term spectrum, which are the
microphone's and the room's as much as the speaker's, are followed and taken out.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections import deque
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from scipy.signal import butter, sosfilt

from splatalk.speech.audio import SAMPLE_RATE, TARGET_DB
from splatalk.speech.lip_reading import CLOSED, CURVES, SHAPES
from splatalk.speech.mel import FLOOR_DB, HOP, N_FFT, filterbank
from splatalk.speech.prior import ARTICULATION
from splatalk.speech.prosody import PITCH_MIN_HZ, PROSODY
from splatalk.speech.visemes import VISEMES

STEP = 2 * HOP
"""Samples of one step, 20 ms."""

STEP_RATE = SAMPLE_RATE / STEP
WIDTH = 96
"""C, numbers that are known after each step. ``hear`` gives one more: 1 while there is sound, 0 in silence."""

OUTPUTS = (*VISEMES, *CURVES, *PROSODY, *ARTICULATION, "speaking")
"""What the network says of a moment; visemes, and whether somebody speaks, as logarithms of odds."""
N_ESTIMATES = len(SHAPES) + len(PROSODY) + len(ARTICULATION)
"""E, columns of an estimate: ``SHAPES``, ``PROSODY``, ``ARTICULATION``."""

DILATIONS = (1, 2, 4, 8, 16, 4)
"""Steps between the three taps of each layer; together they reach back 1.4 s."""

OFFSETS = tuple(range(6, -23, -2))
"""Steps after the newest sample (negative: before it) for which there is an estimate."""

SILENCE_DB = -32.0
"""Sound this far below the speaker's level is silence, whatever the network makes of it."""

SILENT_STEPS = (15, 30)
"""After so many steps of it the mouth begins to be, and is, at rest."""

EVEN_STEPS, EVEN_DB = 50, (4.0, 8.0)
"""Sound whose level keeps within so many dB for so long is no speech, and what varies by more may be: hum is even."""

START_LEVEL_DB, MIN_LEVEL_DB, MAX_LEVEL_DB = TARGET_DB, -50.0, 0.0

SPEECH_DB = 20.0
"""Sound less than this below the speaker's level belongs to the speaker."""
RUMBLE = butter(4, PITCH_MIN_HZ, "highpass", fs=SAMPLE_RATE, output="sos")
"""Cuts off what is below any voice, as ``prosody`` does."""

FILE = Path(__file__).with_name("listener.safetensors")
_WINDOW = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
_TAIL = N_FFT - HOP
_ACTIVITY = PROSODY.index("activity")
_SURE = (0.25, 0.75)  # estimated activity that counts as none and as full: a closed mouth must be quite closed
_SPEAKS = (-1.0, 1.0)  # logarithm of odds of speech that counts as none and as full
_CLOSES = (0.05, 0.30)  # probability of closed lips that does nothing, and that closes them; chosen on an enrolment


class Usual:
    """The long-term spectrum of a speaker, as far as it is not everybody's. Any number of speakers at once.

    Args:
        typical: (..., 80) dB, everybody's.
    """

    FIRST, LAST = 100, 400
    """Steps of speech that ``typical`` counts for at first, and that the newest 2/3 of what is known comes from."""
    MOST_DB = 25.0

    def __init__(self, typical: np.ndarray) -> None:
        self.typical, self._offset = typical, np.zeros_like(typical)
        self._heard = np.zeros(typical.shape[:-1])

    def follow(self, bands: np.ndarray, speaks: np.ndarray | bool) -> None:
        """Args: bands: (..., 2, 80) dB of a step, relative to the speaker's level. speaks: (...) whether to learn."""
        self._heard = self._heard + speaks
        rate = speaks / np.minimum(self._heard + self.FIRST, self.LAST)
        self._offset += rate[..., None] * (bands.mean(-2) - self.typical - self._offset)

    @property
    def change(self) -> np.ndarray:
        """(..., 80) dB that a band is louder than usual."""
        return np.clip(self._offset, -self.MOST_DB, self.MOST_DB)


@dataclasses.dataclass
class Hearing:
    """All that is remembered between two steps.

    Args:
        rumble: (2, 2) state of the filter that cuts it off.
        tail: (240,) newest samples, which the next spectrum overlaps.
        level: loudness of the speaker, dB: about the 90th percentile of what is heard.
        levels: loudness of the newest ``EVEN_STEPS`` steps, dB.
        usual: spectrum of the speaker.
        silent: steps since something was heard that may be speech.
        memory: for each layer its newest inputs (C,), oldest first, 2 * dilation of them.
    """

    rumble: np.ndarray
    tail: np.ndarray
    level: float
    levels: deque[float]
    usual: Usual
    silent: int
    memory: list[deque[np.ndarray]]


@functools.cache
def _table() -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(a, dtype=np.float32) for name, a in load_file(FILE).items()}


@functools.cache
def fingerprint() -> str:
    """Of the network: what was fitted to what it says is of no use with another."""
    return hashlib.sha256(FILE.read_bytes()).hexdigest()[:16]


def begin() -> Hearing:
    """Nothing was heard yet."""
    zero = np.zeros(WIDTH, np.float32)
    memory = [deque([zero] * (2 * d), maxlen=2 * d) for d in DILATIONS]
    usual = Usual(_table()["typical"])
    levels = deque([MIN_LEVEL_DB] * EVEN_STEPS, maxlen=EVEN_STEPS)
    return Hearing(
        np.zeros((2, 2)), np.zeros(_TAIL, np.float32), START_LEVEL_DB, levels, usual, SILENT_STEPS[1], memory
    )


def hear(state: Hearing, block: np.ndarray) -> np.ndarray:
    """Hear one more step; changes ``state``.

    Args:
        block: (320,) float32, 16 kHz.

    Returns:
        (C + 1,) float32 what is known of the sound until now, and whether there is any; for ``estimates``.
    """
    table = _table()
    x = table["input.weight"].T @ spectrum(state, block) + table["input.bias"]
    x = np.maximum(x, 0.0)
    for k, (dilation, past) in enumerate(zip(DILATIONS, state.memory, strict=True)):
        taps = np.concatenate((past[0], past[dilation], x))
        past.append(x)
        heard = np.maximum(table[f"conv{k}.weight"].T @ taps + table[f"conv{k}.bias"], 0.0)
        x = x + (table[f"mix{k}.weight"].T @ heard + table[f"mix{k}.bias"])
    first, last = SILENT_STEPS
    sounding = min(max((last - state.silent) / (last - first), 0.0), 1.0)
    sounding *= float(_ramp(np.asarray(max(state.levels) - min(state.levels)), EVEN_DB))
    return np.append(x, np.float32(sounding)).astype(np.float32)


def spectrum(state: Hearing, block: np.ndarray) -> np.ndarray:
    """(320,) samples -> (160,) two log-mel spectra of the last 25 ms each, 0 silence, 1 about the loudest speech."""
    block, state.rumble = sosfilt(RUMBLE, block.astype(np.float64), zi=state.rumble)
    sound = np.concatenate((state.tail, block)).astype(np.float32)
    state.tail = sound[-_TAIL:]
    power = float(np.mean(np.square(block, dtype=np.float64)))
    heard = 10.0 * np.log10(power + 1e-12)
    state.level = follow(state.level, heard)
    state.levels.append(heard)
    state.silent = 0 if heard > state.level + SILENCE_DB else state.silent + 1
    frames = np.stack((sound[:N_FFT], sound[HOP : HOP + N_FFT]))
    mel = np.square(np.abs(np.fft.rfft(frames * _WINDOW, axis=1)).astype(np.float32)) @ filterbank().T
    bands = 10.0 * np.log10(mel + 1e-10) + (TARGET_DB - state.level)
    state.usual.follow(bands, heard > state.level - SPEECH_DB)
    return np.clip((bands - state.usual.change - FLOOR_DB) / -FLOOR_DB, 0.0, 1.5).astype(np.float32).ravel()


def follow(level: float, heard: float) -> float:
    """The speaker's loudness after 20 ms more: quick to rise, slow to fall, unmoved by pauses. All in dB."""
    if heard > level:
        level += min(0.45, heard - level)
    elif heard > level - 20.0:
        level -= 0.05
    elif heard > level - 45.0:
        level -= 0.01
    return min(max(level, MIN_LEVEL_DB), MAX_LEVEL_DB)


def listen(samples: np.ndarray, steps: int) -> np.ndarray:
    """A whole sound, as if it came bit by bit.

    Args:
        samples: (S,) float32, 16 kHz; silence follows.
        steps: T.

    Returns:
        (T + 1, C + 1): row k is what is known after k steps, that is k / 50 s; row 0 is nothing, zeros.
    """
    sound = np.zeros(steps * STEP, np.float32)
    sound[: min(len(samples), len(sound))] = samples[: len(sound)]
    state = begin()
    rows = [np.zeros(WIDTH + 1, np.float32)]
    rows += [hear(state, sound[k * STEP : (k + 1) * STEP]) for k in range(steps)]
    return np.stack(rows)


def estimates(known: np.ndarray, lookahead: int, context: int) -> np.ndarray:
    """Lips, prosody and articulation around a moment of the past.

    Args:
        known: (..., C + 1) from ``hear`` or ``listen``.
        lookahead: steps between the moment and the newest sample, even, 0 to 16.
        context: rows of 40 ms on either side of the moment, at most 3.

    Returns:
        (..., 2 * context + 1, E) float32; zeros in silence.
    """
    weight, bias = _head(lookahead, context)
    said = (known[..., :WIDTH] @ weight + bias).reshape(*known.shape[:-1], -1, len(OUTPUTS))
    n = len(VISEMES)
    chances = np.exp(said[..., :n] - said[..., :n].max(-1, keepdims=True))
    chances /= chances.sum(-1, keepdims=True)
    curves, voice = said[..., n : n + len(CURVES)], said[..., n + len(CURVES) : -1]
    closed = _ramp(chances[..., CLOSED : CLOSED + 1], _CLOSES)
    voice[..., _ACTIVITY] = _ramp(voice[..., _ACTIVITY], _SURE) * _ramp(said[..., -1], _SPEAKS)
    found = np.concatenate((chances, curves, closed, voice), -1)
    return np.asarray(found * known[..., None, WIDTH:], dtype=np.float32)


@functools.cache
def _head(lookahead: int, context: int) -> tuple[np.ndarray, np.ndarray]:
    """Last layer for those rows: (C, rows * outputs) and (rows * outputs,)."""
    table = _table()
    rows = [OFFSETS.index(2 * k - lookahead) for k in range(-context, context + 1)]
    weight = np.ascontiguousarray(table["head.weight"][:, rows]).reshape(WIDTH, -1)
    return weight, table["head.bias"][rows].ravel()


def _ramp(x: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    return np.clip((x - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)
