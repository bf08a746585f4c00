"""Bone poses as seven numbers: a quaternion wxyz, then a translation in metres, canonical to world."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

_STEP = 2.0**-17
"""Poses are rounded to this, 8 µm and 1/1000 of a degree: the zeros behind it let gzip pack them."""


def pack(poses: np.ndarray) -> np.ndarray:
    """(F, 4, 4) -> (F, 7) float32. Neighbouring quaternions have the same sign, so that a player may blend them."""
    quats = np.roll(Rotation.from_matrix(np.asarray(poses)[:, :3, :3]).as_quat(), 1, axis=1)
    if len(quats):
        quats[0] *= 1.0 if quats[0, 0] >= 0 else -1.0
        turned = np.sign((quats[1:] * quats[:-1]).sum(1))
        quats[1:] *= np.cumprod(np.where(turned < 0, -1.0, 1.0))[:, None]
    packed = np.concatenate((quats, np.asarray(poses)[:, :3, 3]), 1)
    return np.asarray(np.rint(packed / _STEP) * _STEP, np.float32)


def unpack(packed: np.ndarray) -> np.ndarray:
    """(F, 7) -> (F, 4, 4) float64. ValueError when a quaternion has no length."""
    quats = packed[:, :4].astype(np.float64)
    if (np.linalg.norm(quats, axis=1) < 1e-3).any():
        raise ValueError("a pose without rotation")
    poses = np.tile(np.eye(4), (len(packed), 1, 1))
    poses[:, :3, :3] = Rotation.from_quat(np.roll(quats, -1, axis=1)).as_matrix()
    poses[:, :3, 3] = packed[:, 4:]
    return poses
