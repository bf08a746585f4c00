"""A recording drives its own avatar: what ``eval`` and previews use."""

from __future__ import annotations

from typing import Literal

import numpy as np

from splatalk.avatar.controls import Performance
from splatalk.avatar.model import Avatar
from splatalk.capture.dataset import Capture
from splatalk.capture.performance import recorded_performance
from splatalk.speech import speech_windows


def from_capture(
    avatar: Avatar,
    capture: Capture,
    frames: slice | np.ndarray,
    mouth: Literal["audio", "expression", "both"] = "audio",
) -> Performance:
    """The recorded frames' own pose, gaze and upper face, with the mouth from the chosen source.

    Args:
        frames: which frames, as a slice or indices (M,).
        mouth: ``audio`` (sound alone), ``expression`` (tracked mouth alone) or ``both``.
    """
    speech = None
    if mouth != "expression" and avatar.audio_encoder is not None:
        speech = speech_windows(avatar.meta["speech"], capture.audio, capture.fps, capture.n_frames)
    chosen = recorded_performance(capture, avatar.mouth_basis, speech).select(np.arange(capture.n_frames)[frames])
    chosen = avatar.corrected(chosen)
    if mouth == "audio":
        chosen.mouth = None
    return chosen
