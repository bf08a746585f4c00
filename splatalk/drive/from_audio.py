"""Sound drives the avatar: the mouth from the words, everything else in the person's own manner."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from splatalk.avatar.controls import Performance
from splatalk.avatar.model import Avatar
from splatalk.drive.manner import STYLES, MannerWalk
from splatalk.errors import UserError
from splatalk.speech import SAMPLE_RATE, speech_windows

Head = Literal["natural", "still"]


def from_audio(
    avatar: Avatar, samples: np.ndarray, *, seed: int = 0, head: Head = "natural", style: str = "natural"
) -> Performance:
    """A performance as long as the sound.

    Args:
        samples: (S,) float32, 16 kHz mono, -1..1.
        seed: where in the recorded manner the performance starts and how it goes on.
        head: ``natural`` (head, blinks and gaze in the person's manner) or ``still`` (looking ahead).
        style: a name in ``drive.manner.STYLES``.

    Raises:
        UserError: the avatar was made from a recording without speech, or there is no sound.
    """
    if avatar.audio_encoder is None:
        raise UserError("This avatar cannot be driven by sound.", "Enrol it again from a recording with speech.")
    n = math.ceil(len(samples) / SAMPLE_RATE * avatar.fps)
    if n < 1:
        raise UserError("The sound is empty.", "Give a file with at least one word in it.")
    speech = speech_windows(avatar.meta["speech"], samples, avatar.fps, n)
    motion = still(avatar, n) if head == "still" else manner_walk(avatar, seed, style).take(n)
    return Performance(avatar.fps, **motion, speech=speech, audio=samples)


def manner_walk(avatar: Avatar, seed: int = 0, style: str = "natural") -> MannerWalk:
    """How this person moves while speaking, without end."""
    return MannerWalk(avatar.manner, avatar.rest_head, avatar.rest_torso, avatar.fps, seed, STYLES[style])


def still(avatar: Avatar, n: int) -> dict[str, np.ndarray]:
    """``n`` frames of looking ahead: everything of a Performance but the mouth."""
    return {
        "head_pose": _repeat(avatar.rest_head, n),
        "torso_pose": _repeat(avatar.rest_torso, n),
        "expression": np.zeros((n, 52), np.float32),
        "gaze": np.repeat(np.median(avatar.manner["gaze"], 0)[None], n, 0),
    }


def _repeat(pose: np.ndarray, n: int) -> np.ndarray:
    return np.repeat(np.asarray(pose, dtype=np.float64)[None], n, 0)
