"""Drawing on CUDA with gsplat (Ye et al., "gsplat: An Open-Source Library for Gaussian Splatting", 2024)."""

from __future__ import annotations

import functools

import torch
from torch import Tensor


def rasterize_gsplat(
    means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor, viewmat: Tensor,
    intrinsics: tuple[float, float, float, float], width: int, height: int, background: Tensor | None,
    means2d_grad: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Like `splatalk.kernels.raster.rasterize_cpu`, on the CUDA device the inputs are moved to.

    gsplat's screen radius reaches to the same alpha (1/255) but is rounded up to whole pixels.
    """
    import gsplat  # compiles its kernels at first use, so only when asked for

    device = means.device if means.is_cuda else torch.device("cuda")
    fx, fy, cx, cy = intrinsics
    k = torch.tensor([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]], device=device)
    gaussians = (t.to(device, torch.float32) for t in (means, quats, scales, opacities, colors))
    image, alpha, info = gsplat.rasterization(
        *gaussians, viewmats=viewmat.to(device, torch.float32)[None], Ks=k[None], width=width, height=height,
        near_plane=0.01, eps2d=0.3, packed=False, render_mode="RGB",
    )  # fmt: skip
    if means2d_grad is not None and info["means2d"].requires_grad:
        info["means2d"].register_hook(functools.partial(_fill, means2d_grad))
    image, alpha = image[0], alpha[0, ..., 0]
    if background is not None:
        image = image + (1 - alpha)[..., None] * background.to(image)
    radii = info["radii"][0].float()
    return image, alpha, radii.amax(dim=-1) if radii.ndim == 2 else radii


def _fill(means2d_grad: Tensor, gradient: Tensor) -> None:
    means2d_grad.copy_(gradient.detach()[0])
