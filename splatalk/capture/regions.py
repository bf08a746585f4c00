"""Parts of a frame by its landmarks: the inside of the mouth."""

from __future__ import annotations

import cv2
import numpy as np

from splatalk.avatar.face_mesh import LIPS_INNER

_SHIFT = 4  # fractional bits of drawing coordinates


def mouth_region(landmarks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Where teeth, tongue and the dark between them may be seen: the polygon of the inner lips.

    Args:
        landmarks: (478, 2) pixels.
        size: (height, width) of the picture.

    Returns:
        (H, W) float32 0..1, soft by about a pixel at the rim; nearly empty when the lips are closed.
    """
    region = np.zeros(size, np.uint8)
    # Pixel centres lie at integers for cv2 and at halves here.
    loop = np.round((landmarks[list(LIPS_INNER), :2] - 0.5) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(region, [loop], 255, cv2.LINE_AA, _SHIFT)
    return region.astype(np.float32) / 255.0
