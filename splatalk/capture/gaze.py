"""Where the eyes look, from the irises in the head frame."""

from __future__ import annotations

import numpy as np

from splatalk.avatar.face_mesh import EYE_LEFT, EYE_RIGHT, IRIS_LEFT, IRIS_RIGHT

EYE_RADIUS = 0.0115
"""From the centre of the eyeball to the middle of the iris, metres, an average adult."""


def gaze_angles(landmarks_head: np.ndarray, to_camera: np.ndarray) -> np.ndarray:
    """Yaw and pitch of both eyes.

    The iris rides on a ball; its offset from the middle of the lid corners gives the angle. Yaw is unbiased when both
    eyes are averaged, being mirrored; pitch has no such anchor, so the usual gaze is taken to be at the camera.

    Args:
        landmarks_head: (N, 478, 3) metres, head frame.
        to_camera: (N, 3) unit vectors from the head to the camera in the head frame.

    Returns:
        (N, 4) yaw and pitch of the left, then the right eye, radians; + = subject's left, up.
    """
    out = []
    for loop, iris in ((EYE_LEFT, IRIS_LEFT), (EYE_RIGHT, IRIS_RIGHT)):
        corners = (landmarks_head[:, loop[0]] + landmarks_head[:, loop[8]]) / 2
        # Corners open and close little; the iris centre and its rim together are steadier than the centre alone.
        centre = landmarks_head[:, list(iris)].mean(axis=1)
        offset = np.clip((centre - corners) / EYE_RADIUS, -0.9, 0.9)
        out.append(np.stack([np.arcsin(offset[:, 0]), -np.arcsin(offset[:, 1])], axis=-1))
    angles = np.stack(out, axis=1)  # (N, 2, 2)
    camera_pitch = -np.arctan2(to_camera[:, 1], -to_camera[:, 2])
    angles[..., 1] -= np.median(angles[..., 1] - camera_pitch[:, None], axis=0)
    bias = (np.median(angles[:, 0, 0]) - np.median(angles[:, 1, 0])) / 2
    angles[..., 0] -= np.array([bias, -bias])  # the eyes look the same way on the whole
    return angles.reshape(len(angles), 4)
