"""The hash triplane through NVIDIA's tinycudann, with the tables as they are.

tinycudann's multi-level HashGrid cannot hold them: its level l scales coordinates by ``base * growth^l - 1``, no whole
number, where ours has R_l whole cells. A HashGrid of one level can: with ``base_resolution`` R + 1 it scales by
R, has (R + 1)^2 vertices row by row where they fit and the same hash (primes 1 and 2654435761, modulo the table size)
where they do not, and pads dense tables to a multiple of eight entries. It adds half a cell to a position, which is
taken off before. So every plane and level is an encoding of its own, in single precision, and features are equal up to
rounding. At coordinates of exactly 1 the value is ours, the derivative by position is not.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from splatalk.kernels.hash_triplane import HashTriplaneSpec


@functools.lru_cache(maxsize=1)
def problem() -> str | None:
    """Why tinycudann cannot be used here; None when it can."""
    if importlib.util.find_spec("tinycudann") is None:
        return "tinycudann is not installed"
    try:
        importlib.import_module("tinycudann")
    except Exception as error:  # noqa: BLE001 (it raises what it likes without a suitable GPU)
        return f"tinycudann does not load: {error}"
    return None


@functools.lru_cache(maxsize=8)
def _encodings(spec: HashTriplaneSpec) -> list[Any]:
    """One encoding a level; the planes share it, because its parameters are handed in with every call."""
    tcnn = importlib.import_module("tinycudann")
    encodings = []
    for resolution, size, _, _ in spec.level_table.tolist():
        config = {
            "otype": "Grid", "type": "Hash", "n_levels": 1, "n_features_per_level": spec.features,
            "log2_hashmap_size": spec.log2_table_size, "base_resolution": resolution + 1, "per_level_scale": 1.0,
            "interpolation": "Linear",
        }  # fmt: skip
        encoding = tcnn.Encoding(2, config, dtype=torch.float32)
        if encoding.params.numel() < size * spec.features:
            raise RuntimeError(f"this tinycudann stores a grid of {resolution + 1} vertices a side in another way")
        encodings.append(encoding)
    return encodings


def hash_triplane_tcnn(x: Tensor, tables: Tensor, spec: HashTriplaneSpec) -> Tensor:
    """``hash_triplane`` of contiguous float32 CUDA tensors; differentiable in both."""
    from splatalk.kernels.hash_triplane import PLANES

    x = torch.where(torch.isnan(x), torch.zeros_like(x), x).clamp(0, 1)
    out = []
    for plane, axes in enumerate(PLANES):
        position = x[:, axes]
        for (resolution, size, first, _), encoding in zip(spec.level_table.tolist(), _encodings(spec), strict=True):
            entries = tables[plane, first : first + size].flatten()
            params = F.pad(entries, (0, encoding.params.numel() - entries.numel()))
            shifted = position - 0.5 / resolution
            out.append(torch.func.functional_call(encoding, {"params": params}, (shifted,)))
    return torch.cat(out, 1)
