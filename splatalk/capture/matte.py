"""The person against the background: a small network's soft mask, steadied in time and drawn to the picture's edges."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from splatalk import assets
from splatalk.capture.mediapipe_tasks import open_quietly, to_image

_NET_SIZE = 256


class Segmenter:
    """Soft person masks. One instance a thread.

    Raises:
        AssetError: the network's file is missing and cannot be fetched.
    """

    def __init__(self) -> None:
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.ImageSegmenterOptions(
            base_options=BaseOptions(model_asset_path=str(assets.fetch("selfie_segmenter"))),
            running_mode=vision.RunningMode.IMAGE,
            output_confidence_masks=True,
        )
        blank = to_image(np.zeros((_NET_SIZE, _NET_SIZE, 3), dtype=np.uint8))
        self._task: Any = open_quietly(
            lambda: vision.ImageSegmenter.create_from_options(options), lambda task: task.segment(blank)
        )

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._task.close()

    def coarse(self, rgb: np.ndarray) -> np.ndarray:
        """The network's own answer.

        Args:
            rgb: (H, W, 3) uint8.

        Returns:
            (256, 256) float32 0..1, the whole picture squeezed to a square.
        """
        small = cv2.resize(rgb, (_NET_SIZE, _NET_SIZE), interpolation=cv2.INTER_AREA)
        result = self._task.segment(to_image(small))
        return np.array(result.confidence_masks[0].numpy_view(), dtype=np.float32).reshape(_NET_SIZE, _NET_SIZE)


def steady(before: np.ndarray, now: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Coarse masks of three frames → the middle one with flicker removed: the median, softened."""
    middle = np.maximum(np.minimum(before, now), np.minimum(np.maximum(before, now), after))
    return 0.5 * middle + 0.5 * now


def refine(rgb: np.ndarray, coarse: np.ndarray, *, radius: float = 0.016, epsilon: float = 4e-4) -> np.ndarray:
    """Draw a coarse mask to the edges of the picture with a guided filter (He, Sun, Tang 2013, equations 14-16).

    Args:
        rgb: (H, W, 3) uint8.
        coarse: (h, w) float32 0..1.
        radius: of the filter's window, as a share of the longer side.
        epsilon: variance of colour (0..1) below which the picture counts as flat.

    Returns:
        (H, W) float32 0..1, sharp where the picture has an edge.
    """
    height, width = rgb.shape[:2]
    half = (max(width // 2, 1), max(height // 2, 1))
    window = 2 * max(round(radius * max(half)), 1) + 1
    small = cv2.resize(rgb, half, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    mask = np.clip(cv2.resize(coarse, half, interpolation=cv2.INTER_CUBIC), 0.0, 1.0)
    slope, offset = _local_linear(small, mask, window, epsilon)
    # The coefficients are smooth, so half of the resolution is enough for them (He and Sun 2015).
    slope, offset = (cv2.resize(x, (width, height), interpolation=cv2.INTER_LINEAR) for x in (slope, offset))
    alpha = np.einsum("hwc,hwc->hw", slope, rgb.astype(np.float32)) / 255.0 + offset
    return _contrast(alpha)


def _contrast(alpha: np.ndarray, low: float = 0.12, high: float = 0.88) -> np.ndarray:
    """Stretch, so that the network's timid ends become certain."""
    return np.clip((alpha - low) / (high - low), 0.0, 1.0)


def _local_linear(guide: np.ndarray, mask: np.ndarray, window: int, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """Windowed least squares mask ≈ slope · colour + offset, averaged over windows: (H, W, 3), (H, W)."""

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.blur(x, (window, window), borderType=cv2.BORDER_REFLECT)

    colour, level = mean(guide), mean(mask)
    cross = mean(guide * mask[..., None]) - colour * level[..., None]
    r, g, b = (guide[..., i] for i in range(3))
    second = mean(np.stack([r * r, g * g, b * b], axis=-1)) - colour * colour + epsilon
    mixed = mean(np.stack([r * g, r * b, g * b], axis=-1)) - colour[..., [0, 0, 1]] * colour[..., [1, 2, 2]]
    slope = _solve_symmetric(second, mixed, cross)
    offset = level - np.einsum("hwc,hwc->hw", slope, colour)
    return mean(slope), mean(offset)


def _solve_symmetric(diagonal: np.ndarray, mixed: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a 3×3 symmetric system in every pixel by cofactors; all arguments (H, W, 3), mixed = 01, 02, 12."""
    a, d, f = (diagonal[..., i] for i in range(3))
    b, c, e = (mixed[..., i] for i in range(3))
    aa, ab, ac = d * f - e * e, c * e - b * f, b * e - c * d
    bb, bc, cc = a * f - c * c, b * c - a * e, a * d - b * b
    determinant = a * aa + b * ab + c * ac
    x, y, z = (right[..., i] for i in range(3))
    solution = np.stack([aa * x + ab * y + ac * z, ab * x + bb * y + bc * z, ac * x + bc * y + cc * z], axis=-1)
    return solution / np.maximum(determinant, 1e-12)[..., None]
