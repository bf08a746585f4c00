"""The hash triplane on CUDA; its specification and plain torch twin are in ``splatalk.kernels.hash_triplane``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from splatalk.kernels.cuda import address, extension, stream_of

if TYPE_CHECKING:
    from splatalk.kernels.hash_triplane import HashTriplaneSpec


class _HashTriplane(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, tables: Tensor, spec: HashTriplaneSpec) -> Tensor:
        out = torch.empty((x.shape[0], spec.width), device=x.device)
        extension(x.device).hash_forward(
            address(x), x.shape[0], address(tables), *_shape(spec), address(out), stream_of(x)
        )
        ctx.save_for_backward(x, tables)
        ctx.spec = spec
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor):
        x, tables = ctx.saved_tensors
        d_out, kernels = d_out.contiguous(), extension(x.device)
        d_x = d_tables = None
        if ctx.needs_input_grad[0]:
            d_x = torch.empty_like(x)
            kernels.hash_backward_positions(
                address(x), x.shape[0], address(tables), address(d_out), *_shape(ctx.spec), address(d_x),
                stream_of(x),
            )  # fmt: skip
        if ctx.needs_input_grad[1]:
            d_tables = torch.empty_like(tables)
            kernels.hash_backward_tables(
                address(x), x.shape[0], address(d_out), *_shape(ctx.spec), address(d_tables), stream_of(x)
            )
        return d_x, d_tables, None


def _shape(spec: HashTriplaneSpec) -> tuple[Any, int, int]:
    return spec.level_table, spec.entries, spec.features


def hash_triplane_cuda(x: Tensor, tables: Tensor, spec: HashTriplaneSpec) -> Tensor:
    """``hash_triplane`` of contiguous float32 tensors on one device; on the CPU it runs through the host shim.

    The gradient of the tables is summed atomically: its last bits may differ from run to run.
    """
    return _HashTriplane.apply(x, tables, spec)
