"""What the picture of a recording is like: blur, grain, light, and from where the head is seen."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from splatalk.avatar.controls import BLENDSHAPES
from splatalk.capture.geometry import vector_from_rotation
from splatalk.capture.measurements import Measurements

CELL_DEG = 5.0
_SMOOTHINGS = (0.8, 1.2, 1.8)  # pixels; more would melt the features of a face together
_AGAIN = 1.5  # of the smoothing
_STANDS_OUT = 12.0
_EDGES = 0.97  # quantile of the gradient above which there is an edge
_NOISE_BLOCK = 16
_BLINK = 0.5
_CALM_YAW_DEG = 10.0
_GRAIN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


def blur(gray: np.ndarray) -> float | None:
    """How blurred the strongest edges are: standard deviation of a Gaussian, pixels.

    An edge blurred by s loses 1 / sqrt(1 + r²/s²) of its slope when it is blurred by r again (Zhuo and Sim 2011), so
    neither contrast nor light matter. Grain would look sharp: it is smoothed away first, as little as lets edges stand
    out of it, and that smoothing is taken off the result. Of blurs of 2 to 4 pixels in faint, grainy pictures a sixth
    to a quarter is missed.

    Args:
        gray: (H, W) uint8, the face, at least 16 pixels on each side.

    Returns:
        None when edges do not stand out of the grain.
    """
    noise = grain(gray)
    for smoothing in _SMOOTHINGS:
        smooth = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), smoothing)
        first = _slope(smooth)
        least = float(np.quantile(first, _EDGES))
        if least > _STANDS_OUT * noise / (np.sqrt(8 * np.pi) * smoothing**2):  # the slope that noise has left
            break
    else:
        return None
    again = _AGAIN * smoothing
    second = _slope(cv2.GaussianBlur(smooth, (0, 0), again))
    ridge = (first >= least) & (first == cv2.dilate(first, np.ones((3, 3), np.uint8)))
    ratio = np.maximum(first[ridge] / np.maximum(second[ridge], 1e-6), 1.0 + 1e-3)
    total = float(np.median(again**2 / (ratio**2 - 1.0)))
    return float(np.sqrt(max(total - smoothing**2, 0.0)))


def _slope(image: np.ndarray) -> np.ndarray:
    across, down = (cv2.Sobel(image, cv2.CV_32F, *axes, scale=1 / 8) for axes in ((1, 0), (0, 1)))
    return np.hypot(across, down)


def grain(gray: np.ndarray) -> float:
    """Standard deviation of the noise of a picture, grey levels (Immerkær 1996), in its smoothest parts.

    Args:
        gray: (H, W) uint8, at least 16 pixels on each side.
    """
    response = np.abs(cv2.filter2D(gray.astype(np.float32), -1, _GRAIN))
    rows, columns = (side // _NOISE_BLOCK for side in gray.shape)
    blocks = response[: rows * _NOISE_BLOCK, : columns * _NOISE_BLOCK]
    blocks = blocks.reshape(rows, _NOISE_BLOCK, columns, _NOISE_BLOCK).mean(axis=(1, 3))
    return float(np.quantile(blocks, 0.2) * np.sqrt(np.pi / 2) / 6.0)


def light(rows: Measurements, yaw_deg: np.ndarray, fps: float) -> dict[str, float]:
    """Brightness of the face, how far it drifts and flickers against itself, share of it that is black or white.

    Frames with the head turned aside count only when there are no others: the face is lit differently there.
    """
    calm = rows.found & (np.abs(yaw_deg - np.median(yaw_deg)) < _CALM_YAW_DEG)
    shown = rows.brightness[calm if calm.any() else rows.found]
    usual = max(float(np.median(shown)), 1.0)
    length = max(round(2 * fps), 1)
    pieces = np.array_split(shown, max(len(shown) // length, 1))
    slow = np.array([np.median(piece) for piece in pieces])
    low, high = np.percentile(slow, [2, 98])
    flicker = np.median(np.abs(np.diff(shown, n=2))) if len(shown) > 2 else 0.0
    return {
        "brightness": round(usual, 1),
        "drift": round(float(high - low) / usual, 4),
        "flicker": round(float(flicker) / usual, 4),
        "clipped": round(float(np.median(rows.clipped[rows.found])), 4),
    }


def head_angles(head_pose: np.ndarray) -> np.ndarray:
    """(N, 4, 4) → (N, 3) yaw (+ = subject's left), pitch (+ = up), roll (+ = towards the subject's left shoulder),
    rad.
    """
    rotation = head_pose[:, :3, :3]
    forward = -rotation[:, :, 2]
    yaw = np.arctan2(forward[:, 0], -forward[:, 2])
    pitch = -np.arcsin(np.clip(forward[:, 1], -1.0, 1.0))
    side = rotation[:, :, 0]
    roll = np.arctan2(side[:, 1], side[:, 0])
    return np.stack([yaw, pitch, roll], axis=-1)


def reached(angles_deg: np.ndarray, fps: float) -> dict[str, Any]:
    """From where the head is seen.

    Left and right count from looking into the camera, up and down from how the head is usually held, as it is not known
    which of a nod and a high camera is the case. What is reached in less than a fiftieth of the time does not count.

    Args:
        angles_deg: (N, 3) of the frames that are used.

    Returns:
        ranges, the four reaches, and ``coverage``: seconds in each cell of 5 degrees as [yaw, pitch of its middle, s].
    """
    low, high = np.percentile(angles_deg, [2, 98], axis=0)
    middle = float(np.median(angles_deg[:, 1]))
    cells, counts = np.unique(np.floor(angles_deg[:, :2] / CELL_DEG).astype(int), axis=0, return_counts=True)
    ranges = {
        f"{name}_deg": [round(float(low[k]), 1), round(float(high[k]), 1)]
        for k, name in enumerate(("yaw", "pitch", "roll"))
    }
    return {
        **ranges,
        "left_deg": round(max(float(high[0]), 0.0), 1),
        "right_deg": round(max(-float(low[0]), 0.0), 1),
        "up_deg": round(float(high[1]) - middle, 1),
        "down_deg": round(middle - float(low[1]), 1),
        "pitch_middle_deg": round(middle, 1),
        "coverage": [
            [float(cell[0] + 0.5) * CELL_DEG, float(cell[1] + 0.5) * CELL_DEG, round(int(count) / fps, 2)]
            for cell, count in zip(cells, counts)
        ],
    }


def wobble(head_pose: np.ndarray, focal: float) -> dict[str, float]:
    """RMS second difference of the head's rotation (degrees) and place (millimetres, pixels) between frames."""
    turn = np.swapaxes(head_pose[:-1, :3, :3], 1, 2) @ head_pose[1:, :3, :3]
    speed = np.degrees(vector_from_rotation(turn))
    place = np.diff(head_pose[:, :3, 3], n=2, axis=0)
    pixels = np.diff(focal * head_pose[:, :2, 3] / head_pose[:, 2:3, 3], n=2, axis=0)
    return {
        "rotation_deg": round(float(np.sqrt((np.diff(speed, axis=0) ** 2).sum(-1).mean())), 4),
        "translation_mm": round(float(np.sqrt((place**2).sum(-1).mean())) * 1000.0, 4),
        "px": round(float(np.sqrt((pixels**2).sum(-1).mean())), 4),
    }


def blinks(blendshapes: np.ndarray) -> int:
    """How often both eyes close in (N, 52) curves."""
    both = np.minimum(*(blendshapes[:, BLENDSHAPES.index(f"eyeBlink{side}")] for side in ("Left", "Right"))) > _BLINK
    return int((np.diff(np.concatenate([[False], both]).astype(int)) == 1).sum())
