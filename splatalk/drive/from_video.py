"""Another face on a video drives the avatar: its expression, gaze and head motion, fitted to the person's range."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from splatalk.avatar.controls import MOUTH_SHAPES, UPPER_SHAPES, Performance
from splatalk.avatar.model import Avatar
from splatalk.capture.record import record
from splatalk.drive.adjust import mouth_of_curves
from splatalk.drive.edit import retime_to
from splatalk.drive.motion_columns import pose_columns, poses_of

TRACKING_SIZE = 320
"""Pixels along the longer side: enough for the face, half the time of enrolment."""
HEAD_RANGE = np.array([1.0, 1.0, 1.0, 0.6, 0.6, 0.6])
"""How much of the other person's turning and moving is copied."""
_BIAS_QUANTILE = 0.1


def from_video(avatar: Avatar, video: Path) -> Performance:
    """A performance that copies the face in a video, with the video's sound if it has any.

    Everything is counted from how the other person usually holds the head and face, so that neither another seat nor a
    habitual frown is copied.

    Raises:
        CaptureError: no face, several, or too short; see ``capture.record``.
    """
    with tempfile.TemporaryDirectory(prefix="splatalk_video_") as folder:
        capture = record(video, Path(folder) / "driving.capture", size=TRACKING_SIZE)
        tracks, audio, fps = capture.tracks, capture.audio, capture.fps
    expression = retargeted(tracks.blendshapes, avatar.manner["expression"])
    performance = Performance(
        fps,
        poses_of(_moved(tracks.head_pose) * HEAD_RANGE, avatar.rest_head),
        poses_of(_moved(tracks.torso_pose) * HEAD_RANGE, avatar.rest_torso),
        expression,
        (tracks.gaze - np.median(tracks.gaze, 0) + np.median(avatar.manner["gaze"], 0)).astype(np.float32),
        mouth=mouth_of_curves(avatar, expression),
        audio=audio if np.abs(audio).max(initial=0.0) > 0 else None,
    )
    return retime_to(performance, avatar.fps)


def retargeted(curves: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Curves (N, 52) of one face for another.

    What the face never lets go of is taken off; upper-face curves are then stretched or shrunk to the range that the
    avatar's own recording ``own`` (M, 52) shows, within a factor of two. Mouth curves keep their range: the avatar's
    recording holds none to compare with.
    """
    bias = np.quantile(curves, _BIAS_QUANTILE, axis=0)
    free = np.maximum(curves - bias, 0.0) / np.maximum(1.0 - bias, 0.2)
    reached = np.quantile(free, 0.99, axis=0)
    wanted = np.quantile(own, 0.99, axis=0)
    factor = np.clip(np.where(reached > 0.05, wanted / np.maximum(reached, 1e-6), 1.0), 0.5, 2.0)
    scale = np.ones(curves.shape[1])
    scale[list(UPPER_SHAPES)] = factor[list(UPPER_SHAPES)]
    scale[list(MOUTH_SHAPES)] = 1.0
    return np.clip(free * scale, 0.0, 1.0).astype(np.float32)


def _moved(poses: np.ndarray) -> np.ndarray:
    """(N, 6) columns from the usual pose: the one nearest to the middle of all."""
    first = pose_columns(poses, poses[0])
    usual = poses[np.abs(first - np.median(first, 0)).sum(1).argmin()]
    return pose_columns(poses, usual)
