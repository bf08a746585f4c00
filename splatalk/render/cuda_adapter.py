"""Drawing on CUDA with the project's own kernels, wherever the tensors are."""

from __future__ import annotations

import torch
from torch import Tensor

from splatalk.kernels.cuda.raster import rasterize_cuda


def rasterize_on_gpu(
    means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor, viewmat: Tensor,
    intrinsics: tuple[float, float, float, float], width: int, height: int, background: Tensor | None,
    means2d_grad: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Like `splatalk.kernels.raster.rasterize_cpu`; results are on the device of ``means``, CUDA or not."""
    home, device = means.device, _cuda_device(means)
    means, quats, scales, opacities, colors = (t.to(device) for t in (means, quats, scales, opacities, colors))
    background = None if background is None else background.to(device)
    there = means2d_grad
    if means2d_grad is not None and means2d_grad.device != device:
        there = torch.zeros_like(means2d_grad, device=device)
        _carry_home(there, means2d_grad, means)
    drawn = rasterize_cuda(
        means, quats, scales, opacities, colors, viewmat, intrinsics, width, height, background, there
    )
    image, alpha, radii = (t.to(home) for t in drawn)
    return image, alpha, radii


def _carry_home(there: Tensor, here: Tensor, means: Tensor) -> None:
    """Copies ``there`` to ``here`` once the backward pass has filled it, which is when ``means`` gets its gradient."""
    if means.requires_grad:

        def carry(_gradient: Tensor) -> None:
            here.copy_(there)

        means.register_hook(carry)


def _cuda_device(means: Tensor) -> torch.device:
    return means.device if means.is_cuda else torch.device("cuda", torch.cuda.current_device())
