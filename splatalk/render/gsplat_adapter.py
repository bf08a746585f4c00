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
    """Like `splatalk.kernels.raster.rasterize_cpu`; results are on the device of ``means``, CUDA or not.

    gsplat's screen radius reaches to the same alpha (1/255) but is rounded up to whole pixels.
    """
    import gsplat  # compiles its kernels at first use, so only when asked for

    home, device = means.device, _cuda_device(means)
    fx, fy, cx, cy = intrinsics
    k = torch.tensor([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]], device=device)
    gaussians = _finite([t.to(device, torch.float32) for t in (means, quats, scales, opacities, colors)])
    image, alpha, info = gsplat.rasterization(
        *gaussians, viewmats=viewmat.to(device, torch.float32)[None], Ks=k[None], width=width, height=height,
        near_plane=0.01, eps2d=0.3, packed=False, render_mode="RGB",
    )  # fmt: skip
    if means2d_grad is not None and info["means2d"].requires_grad:
        info["means2d"].register_hook(functools.partial(_fill, means2d_grad))
    image, alpha = image[0], alpha[0, ..., 0]
    if background is not None:
        image = image + (1 - alpha)[..., None] * background.to(image)
    return image.to(home), alpha.to(home), info["radii"][0].amax(dim=-1).to(home, torch.float32)


def _cuda_device(means: Tensor) -> torch.device:
    return means.device if means.is_cuda else torch.device("cuda")


def _finite(gaussians: list[Tensor]) -> list[Tensor]:
    """Gaussians with a number that is not finite become transparent points of colour 0, without gradient."""
    fine = torch.stack([torch.isfinite(t).reshape(len(t), -1).all(1) for t in gaussians]).all(0)
    out = [torch.where(fine.reshape(-1, *[1] * (t.ndim - 1)), t, torch.zeros_like(t)) for t in gaussians]
    out[1] = torch.where(fine[:, None], out[1], torch.ones_like(out[1]))  # a quaternion must have a length
    return out


def _fill(means2d_grad: Tensor, gradient: Tensor) -> None:
    means2d_grad.copy_(gradient.detach()[0])
