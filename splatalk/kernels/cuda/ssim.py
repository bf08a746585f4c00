"""Structural similarity on CUDA; its specification and plain torch twin are in ``splatalk.kernels.ssim``.

Nothing waits for the GPU: sums stay on the device, and the gradient that comes in is read there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from splatalk.kernels.cuda import address, extension, stream_of


class _Ssim(torch.autograd.Function):
    """The graph node. ``wanted`` says for which image a gradient may be asked."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, weight: Tensor | None, wanted: tuple[bool, bool]) -> Tensor:
        count = a.numel() if weight is None else weight.sum().clamp(min=1e-12) * a.shape[2]
        ctx.partials = [None, None]
        sums = None
        for i, (one, other) in enumerate(((a, b), (b, a))):
            if wanted[i] or sums is None:
                ctx.partials[i] = a.new_empty((3, *a.shape)) if wanted[i] else None
                sums = _sums(one, other, weight, None, ctx.partials[i])
        assert sums is not None
        ctx.save_for_backward(a, b)
        ctx.count = count
        return sums[0] / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d: Tensor):
        a, b = ctx.saved_tensors
        d = d / ctx.count
        gradients = [
            None if partials is None else _gradient(one, other, None, partials, d, 1.0, 0.0)
            for partials, one, other in ((ctx.partials[0], a, b), (ctx.partials[1], b, a))
        ]
        return gradients[0], gradients[1], None, None


class _L1Ssim(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, l1_weight: Tensor, ssim_weight: float, graph: bool) -> Tensor:
        partials = a.new_empty((3, *a.shape)) if graph else None
        similarity, difference = (_sums(a, b, None, l1_weight, partials) / a.numel()).unbind()
        ctx.save_for_backward(a, b, l1_weight)
        ctx.partials, ctx.ssim_weight = partials, ssim_weight
        return difference + ssim_weight * (1.0 - similarity)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d: Tensor):
        a, b, l1_weight = ctx.saved_tensors
        scale = 1.0 / a.numel()
        return (
            _gradient(a, b, l1_weight, ctx.partials, d, -ctx.ssim_weight * scale, scale), None, None, None, None,
        )  # fmt: skip


def _sums(a: Tensor, b: Tensor, weight: Tensor | None, l1_weight: Tensor | None, partials: Tensor | None) -> Tensor:
    """(2,) sums over pixels and channels: SSIM times ``weight``, and |a - b| times ``l1_weight``."""
    kernels = extension(a.device)
    block_sums = a.new_empty((2, kernels.ssim_blocks(*a.shape)))
    kernels.ssim_forward(
        address(a), address(b), *a.shape, address(weight), address(l1_weight), address(partials),
        address(block_sums), stream_of(a),
    )  # fmt: skip
    return block_sums.sum(1)


def _gradient(
    a: Tensor, b: Tensor, l1_weight: Tensor | None, partials: Tensor, d: Tensor, ssim_scale: float, l1_scale: float
) -> Tensor:
    d, gradient = d.contiguous(), torch.empty_like(a)
    extension(a.device).ssim_backward(
        address(a), address(b), *a.shape, address(l1_weight), address(partials), address(d), ssim_scale,
        l1_scale, address(gradient), stream_of(a),
    )  # fmt: skip
    return gradient


def ssim_cuda(a: Tensor, b: Tensor, weight: Tensor | None) -> Tensor:
    """``ssim`` of contiguous float32 images on one device; on the CPU it runs through the host shim."""
    graph = torch.is_grad_enabled()
    return _Ssim.apply(a, b, weight, (graph and a.requires_grad, graph and b.requires_grad))


def l1_ssim_cuda(a: Tensor, b: Tensor, l1_weight: Tensor, ssim_weight: float) -> Tensor:
    """``l1_ssim`` of contiguous float32 images on one device; on the CPU it runs through the host shim."""
    return _L1Ssim.apply(a, b, l1_weight, ssim_weight, torch.is_grad_enabled() and a.requires_grad)
