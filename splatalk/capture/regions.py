"""Parts of a frame by its landmarks: the inside of the mouth."""

from __future__ import annotations

import cv2
import numpy as np

from splatalk.avatar.face_mesh import LIPS_INNER

_FINER = 6


def mouth_region(landmarks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Where teeth, tongue and the dark between them may be seen: the polygon of the inner lips.

    Args:
        landmarks: (478, 2) pixels.
        size: (height, width) of the picture.

    Returns:
        (H, W) float32 0..1, soft at the rim; nearly empty when the lips are closed.
    """
    region = np.zeros(size, np.float32)
    loop = landmarks[list(LIPS_INNER), :2]
    x0, y0 = np.clip(np.floor(loop.min(axis=0)).astype(int) - 1, 0, size[::-1])
    x1, y1 = np.clip(np.ceil(loop.max(axis=0)).astype(int) + 1, 0, size[::-1])
    if x1 <= x0 or y1 <= y0:
        return region
    # Drawn several times larger, because cv2 draws the outline too, a pixel wide.
    fine = np.zeros(((y1 - y0) * _FINER, (x1 - x0) * _FINER), np.uint8)
    corners = (loop - (x0, y0)) * _FINER - 0.5  # pixel centres lie at integers for cv2 and at halves here
    cv2.fillPoly(fine, [np.round(corners).astype(np.int32)], 255)
    region[y0:y1, x0:x1] = cv2.resize(fine, (int(x1 - x0), int(y1 - y0)), interpolation=cv2.INTER_AREA) / 255.0
    return region
