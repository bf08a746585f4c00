"""Arrays over time in few bytes: whole steps, differences between frames, bytes of equal weight together.

What changes little from frame to frame leaves mostly zeros in the upper bytes, which the file's compression takes away.
"""

from __future__ import annotations

import numpy as np

_LARGEST = 2**31 - 1


def pack(values: np.ndarray, step: float) -> np.ndarray:
    """(N, ...) → (B, N, ...) uint8: the B bytes, lowest first, of each difference from the frame before.

    Signs stand in the lowest bit, so that small differences of either sign are small numbers.

    Args:
        values: finite, below ``step`` · 2³⁰ in size.
        step: values are rounded to whole multiples of it.

    Raises:
        ValueError: values are larger or not finite.
    """
    if not np.isfinite(values).all() or np.abs(values).max(initial=0.0) >= step * 2**30:
        raise ValueError("values that cannot be packed")
    whole = np.round(values / step).astype(np.int64)
    change = np.diff(whole, axis=0, prepend=np.zeros_like(whole[:1]))
    folded = np.where(change < 0, -2 * change - 1, 2 * change)
    count = max((int(folded.max(initial=0)).bit_length() + 7) // 8, 1)
    return np.stack([(folded >> 8 * k & 255).astype(np.uint8) for k in range(count)])


def unpack(packed: np.ndarray, step: float) -> np.ndarray:
    """(B, N, ...) uint8 → (N, ...) float32, what ``pack`` was given to half a step.

    Raises:
        ValueError: this is nothing that ``pack`` made.
    """
    if packed.dtype != np.uint8 or packed.ndim < 2 or not 1 <= len(packed) <= 4:
        raise ValueError(f"{packed.dtype} {packed.shape} is not packed")
    folded = np.zeros(packed.shape[1:], np.int64)
    for k, plane in enumerate(packed):
        folded += plane.astype(np.int64) << 8 * k
    change = np.where(folded & 1, -(folded + 1) // 2, folded // 2)
    whole = np.cumsum(change, axis=0)
    if np.abs(whole).max(initial=0) > _LARGEST:
        raise ValueError("packed values are out of range")
    return (whole * step).astype(np.float32)
