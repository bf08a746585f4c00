"""From where the recording saw the head."""

from __future__ import annotations

import numpy as np

from splatalk.render.camera import Camera

Range = tuple[float, float]


def seen_range(head_poses: np.ndarray, rest_head: np.ndarray, camera: Camera) -> tuple[Range, Range]:
    """Yaw and pitch that the camera would need around a head at rest to see what the recording saw.

    Args:
        head_poses: (F, 4, 4) canonical to world, recorded.
        rest_head: (4, 4).
        camera: that recorded.

    Returns:
        (least, most) yaw and pitch, degrees, signs as in ``Camera.orbited``; each includes 0.
    """
    poses = np.concatenate((np.asarray(rest_head, np.float64)[None], np.asarray(head_poses, np.float64)))
    position = -camera.world_to_camera[:3, :3].T @ camera.world_to_camera[:3, 3]
    from_head = np.einsum("fji,fj->fi", poses[:, :3, :3], position - poses[:, :3, 3])  # canonical axes
    yaw = np.arctan2(from_head[:, 0], -from_head[:, 2])
    pitch = np.arctan2(-from_head[:, 1], np.hypot(from_head[:, 0], from_head[:, 2]))
    yaw, pitch = (np.degrees(angle - angle[0]) for angle in (yaw, pitch))
    return (float(yaw.min()), float(yaw.max())), (float(pitch.min()), float(pitch.max()))
