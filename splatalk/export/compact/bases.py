"""Principal motions of each attribute, as the picture sees them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from splatalk.export.compact import quantise
from splatalk.export.compact.model import ATTRIBUTES, WIDTHS, Projection

MAX_RANK = 48
"""Most bases of one attribute that are considered."""
PROJECTION_ROWS = 4096
_FLOOR = 1e-3  # of the mean sensitivity: a Gaussian that no probe saw still follows the others
_RIDGE = 1e-6
_COARSEST = 1.0 / 32.0  # step of a coefficient, which is about 1 in size


@dataclasses.dataclass(frozen=True)
class Bases:
    """Bases of one attribute in falling order of what they do to the picture.

    Args:
        mean: (M * width,) float32, the offset where coefficients are 0.
        vectors: (K, M * width) float32, as int8 will give them back; a coefficient is about 1 in size.
        energy: (K,) mean squared change of the picture that each one explains.
        weights: (M * width,) float32, square root of the sensitivity.
        gram: (K, K) float64, weighted products of the vectors.
    """

    mean: np.ndarray
    vectors: np.ndarray
    energy: np.ndarray
    weights: np.ndarray
    gram: np.ndarray

    def solve(self, offsets: np.ndarray, rank: int) -> np.ndarray:
        """Weighted least squares: offsets (M * width,) -> (rank,) float64 coefficients of the first bases."""
        target = self.vectors[:rank] @ ((offsets - self.mean) * self.weights**2)
        return np.linalg.solve(_regular(self.gram[:rank, :rank]), target.astype(np.float64))

    def resting(self, offsets: np.ndarray, rank: int) -> Bases:
        """The same motion with coefficients of 0 where ``offsets`` (M * width,) are, as near as ``rank`` bases come."""
        shift = self.solve(offsets, rank) @ self.vectors[:rank]
        return dataclasses.replace(self, mean=np.asarray(self.mean + shift, np.float32))


def principal(offsets: np.ndarray, sensitivity: np.ndarray) -> Bases:
    """Bases of one attribute.

    Args:
        offsets: (S, M, width) float32 in S states; overwritten.
        sensitivity: (M,) of ``sensitivity``.
    """
    s, m, width = offsets.shape
    weights = np.repeat(np.sqrt(sensitivity + _FLOOR * sensitivity.mean() + 1e-20), width).astype(np.float32)
    x = offsets.reshape(s, m * width)
    mean = x.mean(0)
    x -= mean
    weighted = x * weights
    values, axes = np.linalg.eigh((weighted @ weighted.T).astype(np.float64) / s)
    count = min(MAX_RANK, s)
    values, axes = values[::-1][:count], axes[:, ::-1][:, :count]
    kept = values > 1e-12 * max(float(values[0]), 1e-30)
    directions = (axes[:, kept].T.astype(np.float32) @ x) / np.float32(np.sqrt(s))
    vectors = quantise.scaled(directions, np.int8).values()
    scaled = (vectors * weights).astype(np.float32)
    return Bases(mean, vectors, values[kept], weights, (scaled @ scaled.T).astype(np.float64))


def _regular(gram: np.ndarray) -> np.ndarray:
    return gram + (_RIDGE * np.trace(gram) / max(len(gram), 1) + 1e-30) * np.eye(len(gram))


def order(bases: Mapping[str, Bases], bytes_per_coefficient: float) -> list[str]:
    """Attributes in the order in which their next basis is worth most picture for its bytes.

    Args:
        bytes_per_coefficient: what a coefficient costs over the whole track.
    """
    worth = [
        (float(energy) / (len(basis.mean) + bytes_per_coefficient), name)
        for name, basis in bases.items()
        for energy in basis.energy
    ]
    return [name for _, name in sorted(worth, reverse=True)]


def projection(bases: Mapping[str, Bases], ranks: Mapping[str, int], visible_error: float, seed: int) -> Projection:
    """Least squares on some of the Gaussians, drawn with a chance that follows their motion in the picture.

    Args:
        visible_error: squared change of the picture that rounding all coefficients may add.
    """
    energy = np.sum([_row_energy(bases[name], ranks[name], WIDTHS[name]) for name in ATTRIBUTES], 0)
    m = len(energy)
    chance = 0.5 / m + 0.5 * energy / max(float(energy.sum()), 1e-30)
    rng = np.random.default_rng(seed)
    count = min(PROJECTION_ROWS, m)
    rows = np.sort(rng.choice(m, count, replace=False, p=chance / chance.sum()))
    correction = 1.0 if count == m else 1.0 / np.maximum(chance[rows] * count, 1e-12)
    matrices, constants, steps = {}, {}, []
    total = max(sum(ranks.values()), 1)
    for name in ATTRIBUTES:
        basis, rank, width = bases[name], ranks[name], WIDTHS[name]
        columns = (rows[:, None] * width + np.arange(width)).ravel()
        weights = basis.weights[columns].astype(np.float64) ** 2 * np.repeat(np.broadcast_to(correction, count), width)
        part = basis.vectors[:rank, columns].astype(np.float64)
        matrix = np.linalg.solve(_regular((part * weights) @ part.T), part * weights) if rank else part * weights
        matrices[name] = matrix.astype(np.float32)
        constants[name] = (matrix @ basis.mean[columns]).astype(np.float32)
        step = np.sqrt(12.0 * visible_error / total / np.maximum(np.diagonal(basis.gram)[:rank], 1e-30))
        steps.append(np.minimum(step, _COARSEST))
    return Projection(rows.astype(np.int64), matrices, constants, np.concatenate(steps).astype(np.float32))


def _row_energy(basis: Bases, rank: int, width: int) -> np.ndarray:
    """(M,) float64, how much each Gaussian changes the picture, summed over the first bases."""
    moved = (basis.vectors[:rank] * basis.weights).astype(np.float64) ** 2
    return np.asarray(moved.sum(0).reshape(-1, width).sum(1))
