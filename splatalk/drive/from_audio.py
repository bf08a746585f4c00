"""Sound drives the avatar: the mouth from the words, everything else in the person's own manner."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from splatalk.avatar.controls import Performance
from splatalk.avatar.model import Avatar
from splatalk.errors import UserError
from splatalk.speech import SAMPLE_RATE, speech_windows

Head = Literal["natural", "still"]


def from_audio(avatar: Avatar, samples: np.ndarray, *, seed: int = 0, head: Head = "natural") -> Performance:
    """A performance as long as the sound.

    Args:
        samples: (S,) float32, 16 kHz mono, -1..1.
        seed: where in the recorded manner the performance starts.
        head: ``natural`` (head, blinks and gaze as recorded) or ``still`` (looking ahead).

    Raises:
        UserError: the avatar was made from a recording without speech, or there is no sound.
    """
    if avatar.audio_encoder is None:
        raise UserError("This avatar cannot be driven by sound.", "Enrol it again from a recording with speech.")
    n = math.ceil(len(samples) / SAMPLE_RATE * avatar.fps)
    if n < 1:
        raise UserError("The sound is empty.", "Give a file with at least one word in it.")
    speech = speech_windows(avatar.meta["speech"], samples, avatar.fps, n)
    manner = avatar.manner
    if head == "still":
        rest = np.zeros((n, 52), np.float32)
        return Performance(
            avatar.fps, _repeat(avatar.rest_head, n), _repeat(avatar.rest_torso, n), rest,
            np.repeat(np.median(manner["gaze"], 0)[None], n, 0), speech=speech, audio=samples,
        )  # fmt: skip
    rows = to_and_fro(len(manner["head_pose"]), n, np.random.default_rng(seed))
    return Performance(
        avatar.fps, manner["head_pose"][rows], manner["torso_pose"][rows], manner["expression"][rows],
        manner["gaze"][rows], speech=speech, audio=samples,
    )  # fmt: skip


def to_and_fro(recorded: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """``n`` rows of ``recorded`` frames, from a random place forwards and back at the ends: no jump, no loop."""
    period = max(2 * (recorded - 1), 1)
    phase = (int(rng.integers(recorded)) + np.arange(n)) % period
    return np.where(phase < recorded, phase, period - phase)


def _repeat(pose: np.ndarray, n: int) -> np.ndarray:
    return np.repeat(np.asarray(pose, dtype=np.float64)[None], n, 0)
