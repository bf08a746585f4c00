"""Poses and gaze as numbers that people read: degrees and centimetres from rest, by column name."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

POSE_COLUMNS = ("yaw", "pitch", "roll", "right", "up", "back")
"""Yaw turns the face to the subject's left, pitch up, roll tips the head to the subject's left shoulder (degrees);
the rest is movement in the picture, centimetres."""
GAZE_COLUMNS = ("left_yaw", "left_pitch", "right_yaw", "right_pitch")
"""Of each eye, degrees; positive to the subject's left and up."""
_SIGNS = np.array([-1.0, -1.0, 1.0])  # y down and z forward turn yaw and pitch round
_MOVES = np.array([100.0, -100.0, 100.0])


def pose_columns(poses: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Poses (N, 4, 4), canonical to world, as (N, 6) in ``POSE_COLUMNS``."""
    turned = poses[:, :3, :3] @ rest[:3, :3].T
    angles = Rotation.from_matrix(turned).as_euler("YXZ", degrees=True) * _SIGNS
    return np.concatenate((angles, (poses[:, :3, 3] - rest[:3, 3]) * _MOVES), 1)


def poses_of(columns: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """The inverse of ``pose_columns``: (N, 6) to (N, 4, 4) float64."""
    poses = np.tile(np.asarray(rest, np.float64), (len(columns), 1, 1))
    if len(columns):
        turned = Rotation.from_euler("YXZ", columns[:, :3] * _SIGNS, degrees=True).as_matrix()
        poses[:, :3, :3] = turned @ rest[:3, :3]
    poses[:, :3, 3] += columns[:, 3:] / _MOVES
    return poses
