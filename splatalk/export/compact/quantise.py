"""Numbers in few bits, and back."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Linear:
    """Integers that stand for evenly spaced values, 0 for ``low`` and the type's largest for ``high``, by column.

    Args:
        q: (N, C) or (N,) unsigned integers.
        low, high: (C,) or () float64.
    """

    q: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def values(self) -> np.ndarray:
        """(N, C) or (N,) float32."""
        step = (self.high - self.low) / np.iinfo(self.q.dtype).max
        return np.asarray(self.low + self.q * step, np.float32)


def linear(values: np.ndarray, dtype: type[np.unsignedinteger]) -> Linear:
    """``values`` (N, C) or (N,) over their own range."""
    x = values.astype(np.float64)
    low, high = (x.min(0), x.max(0)) if len(x) else (np.zeros(x.shape[1:]), np.zeros(x.shape[1:]))
    top = np.iinfo(dtype).max
    return Linear(np.rint((x - low) / np.maximum(high - low, 1e-12) * top).astype(dtype), low, high)


@dataclasses.dataclass(frozen=True)
class Scaled:
    """Signed integers with a step each: value = q * scale.

    Args:
        q: (K, …) int8 or int16.
        scale: (K,) float64.
    """

    q: np.ndarray
    scale: np.ndarray

    def values(self) -> np.ndarray:
        """(K, …) float32."""
        return np.asarray(self.q * self.scale.reshape(-1, *[1] * (self.q.ndim - 1)), np.float32)


def scaled(values: np.ndarray, dtype: type[np.signedinteger], least: np.ndarray | None = None) -> Scaled:
    """``values`` (K, …), each row over its own range around zero.

    Args:
        least: (K,) steps that are fine enough; coarser than the range asks for, they make numbers that gzip packs well.
    """
    x = values.astype(np.float64)
    size = np.abs(x).max(tuple(range(1, x.ndim)), initial=0.0)
    scale = np.maximum(size / np.iinfo(dtype).max, 1e-12)
    if least is not None:
        scale = np.maximum(scale, least)
    return Scaled(np.rint(x / scale.reshape(-1, *[1] * (x.ndim - 1))).astype(dtype), scale)


def quaternions(quats: np.ndarray) -> np.ndarray:
    """(N, 4) wxyz of any length -> int8 of a length that makes the largest part 127 or -127."""
    x = quats.astype(np.float64)
    return np.asarray(np.rint(x / np.maximum(np.abs(x).max(1, keepdims=True), 1e-12) * 127.0), np.int8)


def unit_quaternions(q: np.ndarray) -> np.ndarray:
    """(N, 4) int8 -> float32 of unit length; the identity where all four are zero."""
    x = q.astype(np.float64)
    x[np.abs(x).max(1, initial=0.0) == 0] = (1.0, 0.0, 0.0, 0.0)
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True), np.float32)
