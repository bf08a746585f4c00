"""The person against the background: a small network's soft mask, steadied in time and drawn to the picture's edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from splatalk import assets
from splatalk.capture.mediapipe_tasks import open_quietly, to_image

_NET_SIZE = 256
_COARSER = 4  # times, than the picture, at which the guided filter is solved


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
    small = (max(width // _COARSER, 1), max(height // _COARSER, 1))
    window = 2 * max(round(radius * max(small)), 1) + 1
    guide = cv2.split(cv2.resize(rgb, small, interpolation=cv2.INTER_AREA).astype(np.float32) * np.float32(1 / 255))
    smaller = max(small) < max(coarse.shape)
    mask = cv2.resize(coarse, small, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    mask = np.clip(mask, 0.0, 1.0)
    *slopes, offset = _local_linear(guide, mask, window, np.float32(epsilon))
    # The coefficients are smooth, so a quarter of the resolution is enough for them (He and Sun 2015).
    alpha = cv2.resize(offset, (width, height), interpolation=cv2.INTER_LINEAR)
    for slope, channel in zip(slopes, cv2.split(rgb)):
        fine = cv2.resize(slope, (width, height), interpolation=cv2.INTER_LINEAR)
        alpha += np.asarray(cv2.multiply(fine, channel, scale=1 / 255, dtype=cv2.CV_32F))
    return _contrast(alpha)


def _contrast(alpha: np.ndarray, low: float = 0.12, high: float = 0.88) -> np.ndarray:
    """Stretch, so that the network's timid ends become certain."""
    return np.clip((alpha - low) / (high - low), 0.0, 1.0)


def _local_linear(
    guide: Sequence[np.ndarray], mask: np.ndarray, window: int, epsilon: np.floating
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Windowed least squares mask ≈ slopes · colour + offset, averaged over windows: four (H, W).

    Planes are kept apart and the 3×3 systems solved by cofactors, which is twice as fast as with pixels together.
    """

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.blur(x, (window, window), borderType=cv2.BORDER_REFLECT)

    r, g, b = guide
    mr, mg, mb, level = mean(r), mean(g), mean(b), mean(mask)
    rr, gg, bb = mean(r * r) - mr * mr + epsilon, mean(g * g) - mg * mg + epsilon, mean(b * b) - mb * mb + epsilon
    rg, rb, gb = mean(r * g) - mr * mg, mean(r * b) - mr * mb, mean(g * b) - mg * mb
    pr, pg, pb = mean(r * mask) - mr * level, mean(g * mask) - mg * level, mean(b * mask) - mb * level
    c_rr, c_rg, c_rb = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    c_gg, c_gb, c_bb = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    scale = 1 / np.maximum(rr * c_rr + rg * c_rg + rb * c_rb, np.float32(1e-12))
    red = (c_rr * pr + c_rg * pg + c_rb * pb) * scale
    green = (c_rg * pr + c_gg * pg + c_gb * pb) * scale
    blue = (c_rb * pr + c_gb * pg + c_bb * pb) * scale
    return mean(red), mean(green), mean(blue), mean(level - red * mr - green * mg - blue * mb)
