"""The background without the person: what each pixel shows when the person is not in front of it, the rest filled
smoothly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

_CLEAR = 0.05  # matte below which a pixel shows background
_MOVING = 12.0  # spread of a background pixel's brightness (of 255) that counts as movement
_BAND = 64  # rows worked on together, to bound memory


@dataclasses.dataclass
class Plate:
    """A background.

    Args:
        image: (H, W, 3) uint8.
        seen: share of the picture that the person uncovers at some time.
        moving: share of the seen background that moves.
    """

    image: np.ndarray
    seen: float
    moving: float


def build(frames: Sequence[np.ndarray], mattes: Sequence[np.ndarray]) -> Plate:
    """Combine frames spread over the clip.

    Args:
        frames: (H, W, 3) uint8 each.
        mattes: (H, W) float32 0..1 each.
    """
    height, width = frames[0].shape[:2]
    margin = max(2, round(0.02 * max(height, width)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1,) * 2)
    clear = np.stack([cv2.dilate(matte, kernel) < _CLEAR for matte in mattes])
    enough = max(1, min(3, len(frames) // 8))
    image = np.zeros((height, width, 3), dtype=np.uint8)
    spread = np.zeros((height, width), dtype=np.float32)
    for top in range(0, height, _BAND):
        rows = slice(top, top + _BAND)
        image[rows], spread[rows] = _median(np.stack([frame[rows] for frame in frames]), clear[:, rows])
    seen = clear.sum(axis=0) >= enough
    moving = float((spread[seen] > _MOVING).mean()) if seen.any() else 0.0
    return Plate(fill(image, seen), float(seen.mean()), moving)


def fill(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill unknown pixels smoothly from around them (push-pull over an image pyramid, Gortler et al. 1996, section
    3.3).

    Args:
        image: (H, W, 3) uint8.
        known: (H, W) bool.
    """
    if known.all():
        return image
    if not known.any():
        return np.full_like(image, 128)
    weight = known.astype(np.float32)
    filled = _push_pull(image.astype(np.float32) * weight[..., None], weight)
    soft = cv2.GaussianBlur(weight, (0, 0), 2.0)[..., None] * weight[..., None]
    blended = np.where(known[..., None], soft * image + (1.0 - soft) * filled, filled)
    return np.clip(blended + 0.5, 0, 255).astype(np.uint8)


def _push_pull(colour: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``colour`` is premultiplied by ``weight``."""
    if min(weight.shape) <= 2 or weight.min() >= 1.0:
        total = np.maximum(weight, 1e-6)[..., None]
        mean = colour.sum((0, 1)) / max(float(weight.sum()), 1e-6)
        return np.where(weight[..., None] > 0, colour / total, mean)
    size = (weight.shape[1], weight.shape[0])
    half = (max(size[0] // 2, 1), max(size[1] // 2, 1))
    small_weight = cv2.resize(cv2.GaussianBlur(weight, (5, 5), 0), half, interpolation=cv2.INTER_AREA)
    small_colour = cv2.resize(cv2.GaussianBlur(colour, (5, 5), 0), half, interpolation=cv2.INTER_AREA)
    gain = 1.0 / np.maximum(small_weight, 0.25)  # what is well known stays itself; weak knowledge grows with each level
    coarse = _push_pull(small_colour * gain[..., None], small_weight * gain)
    up = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)
    certainty = np.minimum(weight, 1.0)[..., None]
    return colour + (1.0 - certainty) * up


def _median(stack: np.ndarray, clear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(F, h, W, 3), (F, h, W) → median over the clear frames (h, W, 3), and the spread of brightness (h, W)."""
    count = clear.sum(axis=0)
    ordered = np.where(clear[..., None], stack, 255)
    ordered = np.sort(ordered, axis=0)
    middle = np.maximum(count - 1, 0) // 2
    image = np.take_along_axis(ordered, middle[None, ..., None], axis=0)[0]
    low = np.take_along_axis(ordered, (count // 6)[None, ..., None], axis=0)[0].astype(np.float32)
    high_index = np.maximum(count - 1 - count // 6, 0)
    high = np.take_along_axis(ordered, high_index[None, ..., None], axis=0)[0].astype(np.float32)
    return image, np.where(count > 3, (high - low).mean(axis=-1), 0.0)
