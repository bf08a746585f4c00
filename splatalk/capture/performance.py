"""What was recorded, as a Performance: the person's own controls over time."""

from __future__ import annotations

import numpy as np

from splatalk.avatar.controls import Performance
from splatalk.avatar.mouth_basis import MouthBasis
from splatalk.capture.dataset import Capture


def recorded_performance(capture: Capture, basis: MouthBasis, speech: np.ndarray | None) -> Performance:
    """Controls of every frame of a recording, in the units of an avatar.

    Args:
        basis: turns tracked mouth landmarks into mouth coefficients.
        speech: (N, W, D) features of the recording's sound, or None.
    """
    tracks = capture.tracks
    return Performance(
        fps=capture.fps,
        head_pose=tracks.head_pose,
        torso_pose=tracks.torso_pose,
        expression=tracks.blendshapes,
        gaze=tracks.gaze,
        speech=speech,
        mouth=basis.encode(tracks.landmarks_head),
        audio=capture.audio,
    )
