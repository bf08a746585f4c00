"""Structural similarity of two images; differentiable in both.

Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004, with their 11x11 Gaussian
window of sigma 1.5 px and constants 0.01^2, 0.03^2 for values in 0..1. As is usual in training, every pixel counts and
outside the image both pictures are zero, so the border is a little too optimistic; an evaluation that wants the paper's
measure averages the map over pixels at least 5 px from the border (``weight`` can say so).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from splatalk.kernels import compiled, cuda, native
from splatalk.kernels.checks import checked, where
from splatalk.kernels.cuda.ssim import l1_ssim_cuda, ssim_cuda

WINDOW = 11
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2


class _Ssim(torch.autograd.Function):
    """The graph node. ``wanted`` says for which image a gradient may be asked."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, weight: Tensor | None, wanted: tuple[bool, bool]) -> Tensor:
        first, second = a.detach().numpy(), b.detach().numpy()
        pixels = None if weight is None else weight.detach().numpy()
        threads, count = torch.get_num_threads(), float(a.numel())
        if weight is not None:
            count = max(float(weight.sum()), 1e-12) * a.shape[2]
        total, ctx.partials = 0.0, []
        for needed, one, other in ((wanted[0], first, second), (wanted[1], second, first)):
            partials = torch.empty(3, *a.shape) if needed else None
            if needed or not ctx.partials:
                total, _ = compiled().ssim_forward(one, other, pixels, None, _array(partials), threads)
            ctx.partials.append(partials)
        ctx.save_for_backward(a, b)
        ctx.scale = 1.0 / count
        return a.new_tensor(total / count)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d: Tensor):
        a, b = ctx.saved_tensors
        scale, threads, gradients = float(d) * ctx.scale, torch.get_num_threads(), []
        for partials, one, other in ((ctx.partials[0], a, b), (ctx.partials[1], b, a)):
            gradient = None if partials is None else torch.empty_like(one)
            if partials is not None:
                compiled().ssim_backward(
                    _array(one), _array(other), None, partials.numpy(), scale, 0.0, _array(gradient), threads
                )
            gradients.append(gradient)
        return gradients[0], gradients[1], None, None


class _L1Ssim(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, l1_weight: Tensor, ssim_weight: float, graph: bool) -> Tensor:
        partials = torch.empty(3, *a.shape) if graph else None
        similarity, difference = compiled().ssim_forward(
            _array(a), _array(b), None, _array(l1_weight), _array(partials), torch.get_num_threads()
        )
        ctx.save_for_backward(a, b, l1_weight)
        ctx.partials, ctx.ssim_weight = partials, ssim_weight
        return a.new_tensor(difference / a.numel() + ssim_weight * (1.0 - similarity / a.numel()))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d: Tensor):
        a, b, l1_weight = ctx.saved_tensors
        gradient, scale = torch.empty_like(a), float(d) / a.numel()
        compiled().ssim_backward(
            _array(a), _array(b), _array(l1_weight), ctx.partials.numpy(), -ctx.ssim_weight * scale, scale,
            gradient.numpy(), torch.get_num_threads(),
        )  # fmt: skip
        return gradient, None, None, None, None


def _array(tensor: Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.detach().numpy()


def ssim(a: Tensor, b: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean structural similarity, 1 for equal images.

    Args:
        a, b: (H, W, C) in 0..1.
        weight: (H, W) not negative; the mean over pixels is weighted by it (no gradient). None weighs all alike.

    Returns:
        scalar.

    Raises:
        ValueError: wrong shapes, types or devices, or an empty image.
    """
    a, b = _checked_pair(a, b)
    if weight is not None:
        weight = checked("weight", weight, (a.shape[0], a.shape[1]), a.device)
    if _on_gpu(a):
        return ssim_cuda(a, b, weight)
    if _on_cpu(a):
        graph = torch.is_grad_enabled()
        return _Ssim.apply(a, b, weight, (graph and a.requires_grad, graph and b.requires_grad))
    return ssim_reference(a, b, weight)


def l1_ssim(a: Tensor, b: Tensor, l1_weight: Tensor | float, ssim_weight: float) -> Tensor:
    """A weighted mean absolute difference and dissimilarity in one pass.

    This is the photometric loss of Kerbl et al., "3D Gaussian Splatting", 2023, equation 7, with a map in place of the
    first factor, so that parts of the picture can count more.

    Args:
        a: (H, W, C) in 0..1; the gradient goes here.
        b: (H, W, C) in 0..1; no gradient.
        l1_weight: (H, W) or a number; no gradient.
        ssim_weight: a number.

    Returns:
        scalar: mean of l1_weight * |a - b| over pixels and channels + ssim_weight * (1 - ssim(a, b)).

    Raises:
        ValueError: wrong shapes, types or devices, an empty image, or a gradient wanted where there is none.
    """
    a, b = _checked_pair(a, b)
    if not isinstance(l1_weight, Tensor):
        l1_weight = a.new_full((a.shape[0], a.shape[1]), float(l1_weight))
    l1_weight = checked("l1_weight", l1_weight, (a.shape[0], a.shape[1]), a.device)
    if b.requires_grad or l1_weight.requires_grad:
        raise ValueError("l1_ssim has a gradient for its first image only")
    if _on_gpu(a):
        return l1_ssim_cuda(a, b, l1_weight, float(ssim_weight))
    if _on_cpu(a):
        return _L1Ssim.apply(a, b, l1_weight, float(ssim_weight), torch.is_grad_enabled() and a.requires_grad)
    return (l1_weight[..., None] * (a - b).abs()).mean() + ssim_weight * (1.0 - ssim_reference(a, b))


def _on_gpu(a: Tensor) -> bool:
    return a.device.type == "cuda" and cuda.problem() is None


def _on_cpu(a: Tensor) -> bool:
    return a.device.type == "cpu" and native() is not None


def _checked_pair(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    a = checked("a", a, (None, None, None), where(a))
    b = checked("b", b, tuple(a.shape), a.device)
    if a.numel() == 0:
        raise ValueError(f"the images are empty: {tuple(a.shape)}")
    return a, b


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """SSIM around every pixel, per channel: (H, W, C), in plain torch, any floating-point type and device."""
    offsets = torch.arange(WINDOW, dtype=a.dtype, device=a.device) - WINDOW // 2
    taps = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    taps = taps / taps.sum()
    channels = a.shape[2]
    a, b = (image.permute(2, 0, 1)[None] for image in (a, b))
    stack = torch.cat([a, b, a * a, b * b, a * b])  # (5, C, H, W)
    kernel = taps.expand(channels, 1, WINDOW)
    stack = F.conv2d(stack, kernel[..., None, :], padding=(0, WINDOW // 2), groups=channels)
    stack = F.conv2d(stack, kernel[..., None], padding=(WINDOW // 2, 0), groups=channels)
    mean_a, mean_b, aa, bb, ab = stack
    var_a, var_b, covariance = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    structure = (2 * covariance + C2) / (var_a + var_b + C2)
    return (luminance * structure).permute(1, 2, 0)


def ssim_reference(a: Tensor, b: Tensor, weight: Tensor | None = None) -> Tensor:
    """`ssim` in plain torch, in any floating-point type on any device."""
    values = ssim_map(a, b)
    if weight is None:
        return values.mean()
    return (values * weight[..., None]).sum() / (weight.sum().clamp(min=1e-12) * a.shape[2])
