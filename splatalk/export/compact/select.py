"""Which Gaussians a compact avatar keeps, and in what order."""

from __future__ import annotations

import dataclasses

import numpy as np

from splatalk.avatar.model import Avatar

LEAST_SEEN = 1e-3
"""Gaussians whose squared coverage, summed over pixels, stays below this in every view are left out."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """Kept Gaussians, the dynamic ones first.

    Args:
        order: (N,) int64 rows of the avatar's Gaussians.
        dynamic: (M,) int64, which of the avatar's dynamic Gaussians the first M are.
    """

    order: np.ndarray
    dynamic: np.ndarray


def select(avatar: Avatar, seen: np.ndarray) -> Selection:
    """Keep what is seen; neighbours in space become neighbours in the file, which packs better.

    Args:
        seen: (N,) of ``Sensitivity``.
    """
    means = avatar.gaussians.means.detach().numpy()
    dynamic = avatar.gaussians.dynamic.numpy()
    order = morton_order(means)
    order = order[seen[order] >= LEAST_SEEN]
    moving, still = order[dynamic[order]], order[~dynamic[order]]
    place = np.cumsum(dynamic) - 1  # row among all -> row among the dynamic ones
    return Selection(np.concatenate((moving, still)), place[moving])


def morton_order(points: np.ndarray) -> np.ndarray:
    """(N, 3) -> (N,) int64 rows along a Z-order curve of 2^10 cells an axis."""
    low, high = points.min(0), points.max(0)
    cells = ((points - low) / np.maximum(high - low, 1e-12) * 1023.0).astype(np.uint64)
    code = np.zeros(len(points), np.uint64)
    for bit in range(10):
        for axis in range(3):
            code |= ((cells[:, axis] >> np.uint64(bit)) & np.uint64(1)) << np.uint64(3 * bit + axis)
    return np.argsort(code, kind="stable")
