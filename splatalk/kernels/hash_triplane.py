"""Features of 3D points from three planes of a multi-resolution hash grid; differentiable.

A point's coordinates are dropped one at a time: (x, y), (y, z) and (x, z) each look into their own 2D grid of L levels
(the triplane of Chan et al., "EG3D", 2022, with the hash encoding of Müller et al., "Instant Neural Graphics
Primitives", 2022, in place of dense planes, as in Li et al., "ER-NeRF", 2023). Level l has R_l cells along a side,
growing geometrically; the four vertices around the point are read and interpolated bilinearly. A level whose
(R_l + 1)^2 vertices fit into the table is stored densely, row by row; a finer one maps vertex (i, j) to entry
(i xor j * 2654435761) mod table size (equation 4 of that paper), and collisions are left to training.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from splatalk.kernels import compiled, cuda, native, tcnn_adapter
from splatalk.kernels.checks import checked, where
from splatalk.kernels.cuda.hash_triplane import hash_triplane_cuda

PLANES = ((0, 1), (1, 2), (0, 2))
_HASH_PRIME = 2654435761


@dataclasses.dataclass(frozen=True)
class HashTriplaneSpec:
    """Shape of a hash triplane.

    Args:
        levels: L, number of resolutions.
        features: F, numbers per table entry: 1, 2, 4 or 8.
        base_resolution: cells along a side at the coarsest level.
        finest_resolution: the same at the finest level.
        log2_table_size: entries of a hashed level, as a power of two.
    """

    levels: int = 12
    features: int = 2
    base_resolution: int = 16
    finest_resolution: int = 512
    log2_table_size: int = 14

    def __post_init__(self) -> None:
        if not 1 <= self.levels <= 32:
            raise ValueError(f"levels must be 1..32, got {self.levels}")
        if self.features not in (1, 2, 4, 8):
            raise ValueError(f"features must be 1, 2, 4 or 8, got {self.features}")
        if not 1 <= self.base_resolution <= self.finest_resolution < 2**20:
            raise ValueError(
                f"resolutions must be 1 <= base <= finest < 2^20, got {self.base_resolution}, {self.finest_resolution}"
            )
        if not 1 <= self.log2_table_size <= 24:
            raise ValueError(f"log2_table_size must be 1..24, got {self.log2_table_size}")

    @property
    def width(self) -> int:
        """Features of a point: plane-major, then level, then feature."""
        return len(PLANES) * self.levels * self.features

    @property
    def entries(self) -> int:
        """Table entries of one plane, over all levels."""
        return int(self.level_table[-1, 1] + self.level_table[-1, 2])

    @property
    def level_table(self) -> np.ndarray:
        """(L, 4) int32: resolution, entries, first entry, 1 if dense or 0 if hashed."""
        return _level_table(self)

    def init_tables(self, generator: torch.Generator | None = None) -> Tensor:
        """Fresh tables (3, entries, F), uniform in ±1e-4 as in Instant-NGP section 4."""
        return (torch.rand(len(PLANES), self.entries, self.features, generator=generator) * 2 - 1) * 1e-4


@functools.lru_cache(maxsize=64)
def _level_table(spec: HashTriplaneSpec) -> np.ndarray:
    growth = math.log(spec.finest_resolution / spec.base_resolution) / max(spec.levels - 1, 1)
    rows, first = [], 0
    for level in range(spec.levels):
        # The small addend keeps rounding from turning the finest resolution into one less.
        resolution = int(spec.base_resolution * math.exp(level * growth) + 1e-6)
        dense = (resolution + 1) ** 2 <= 2**spec.log2_table_size
        size = (resolution + 1) ** 2 if dense else 2**spec.log2_table_size
        rows.append((resolution, size, first, int(dense)))
        first += size
    table = np.array(rows, dtype=np.int32)
    table.setflags(write=False)
    return table


class _HashTriplane(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, tables: Tensor, spec: HashTriplaneSpec) -> Tensor:
        out = torch.empty(x.shape[0], spec.width)
        compiled().hash_forward(
            x.detach().numpy(), tables.detach().numpy(), spec.level_table, out.numpy(), torch.get_num_threads()
        )
        ctx.save_for_backward(x, tables)
        ctx.spec = spec
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor):
        x, tables = ctx.saved_tensors
        d_out_array, level_table, threads = d_out.contiguous().numpy(), ctx.spec.level_table, torch.get_num_threads()
        points, d_x, d_tables = x.detach().numpy(), None, None
        if ctx.needs_input_grad[0]:
            d_x = torch.empty_like(x)
            compiled().hash_backward_positions(
                points, tables.detach().numpy(), d_out_array, level_table, d_x.numpy(), threads
            )
        if ctx.needs_input_grad[1]:
            d_tables = torch.empty_like(tables)
            compiled().hash_backward_tables(points, d_out_array, level_table, d_tables.numpy(), threads)
        return d_x, d_tables, None


def hash_triplane(x: Tensor, tables: Tensor, spec: HashTriplaneSpec) -> Tensor:
    """Look points up, with the fastest kernels that run where the tensors are.

    Args:
        x: (N, 3) in 0..1; values outside are moved to the border and have no gradient, NaN counts as 0.
        tables: (3, spec.entries, spec.features).

    Returns:
        (N, spec.width).

    Raises:
        ValueError: wrong shapes, types or devices.
    """
    x = checked("x", x, (None, 3), where(x))
    tables = checked("tables", tables, (len(PLANES), spec.entries, spec.features), x.device)
    if x.device.type == "cuda" and cuda.problem() is None:
        return hash_triplane_cuda(x, tables, spec)
    if x.device.type == "cuda" and tcnn_adapter.problem() is None:
        return tcnn_adapter.hash_triplane_tcnn(x, tables, spec)
    if x.device.type == "cpu" and native() is not None:
        return _HashTriplane.apply(x, tables, spec)
    return hash_triplane_reference(x, tables, spec)


def hash_triplane_reference(x: Tensor, tables: Tensor, spec: HashTriplaneSpec) -> Tensor:
    """`hash_triplane` in plain torch, in any floating-point type on any device."""
    x = torch.where(torch.isnan(x), torch.zeros_like(x), x).clamp(0, 1)
    out = []
    for plane, axes in enumerate(PLANES):
        for resolution, size, first, dense in spec.level_table.tolist():
            position = x[:, axes] * resolution
            cell = position.detach().floor().clamp(max=resolution - 1).long()
            fraction = position - cell
            total = torch.zeros_like(tables[plane, :1])
            for du, dv in ((0, 0), (1, 0), (0, 1), (1, 1)):
                i, j = cell[:, 0] + du, cell[:, 1] + dv
                entry = j * (resolution + 1) + i if dense else (i ^ (j * _HASH_PRIME)) & (size - 1)
                weight_u = fraction[:, 0] if du else 1 - fraction[:, 0]
                weight_v = fraction[:, 1] if dv else 1 - fraction[:, 1]
                total = total + (weight_u * weight_v)[:, None] * tables[plane, first + entry]
            out.append(total)
    return torch.cat(out, dim=1)
