"""Drawing Gaussians on the CPU with the compiled tile rasterizer; differentiable.

The mathematics is documented, step by step, in the twin `raster_reference`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from splatalk.kernels import compiled, native
from splatalk.kernels.checks import checked, same_length
from splatalk.kernels.raster_reference import rasterize_reference

Intrinsics = tuple[float, float, float, float]


class _Rasterize(torch.autograd.Function):
    """The graph node. ``setting`` = (viewmat, intrinsics, width, height, means2d_grad)."""

    @staticmethod
    def forward(ctx: Any, means, quats, scales, opacities, colors, background, setting):
        viewmat, intrinsics, width, height, means2d_grad = setting
        image, alpha, radii = torch.empty(height, width, 3), torch.empty(height, width), torch.empty(means.shape[0])
        gaussians = [t.detach().numpy() for t in (means, quats, scales, opacities, colors)]
        state = compiled().raster_forward(
            *gaussians, viewmat, *intrinsics, width, height, background.detach().reshape(-1).numpy(),
            image.numpy(), alpha.numpy(), radii.numpy(), torch.get_num_threads(),
        )  # fmt: skip
        ctx.save_for_backward(means, quats, scales, opacities, colors, image, alpha)
        ctx.state, ctx.means2d_grad, ctx.plate = state, means2d_grad, background.ndim == 3
        ctx.mark_non_differentiable(radii)
        ctx.set_materialize_grads(False)
        return image, alpha, radii

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_image: Tensor | None, d_alpha: Tensor | None, _d_radii: None):
        *gaussians, image, alpha = ctx.saved_tensors
        d_image = torch.zeros_like(image) if d_image is None else d_image.contiguous()
        gradients = [torch.empty_like(t) for t in gaussians]
        n = gaussians[0].shape[0]
        means2d_grad = ctx.means2d_grad if ctx.means2d_grad is not None else torch.empty(n, 2)
        compiled().raster_backward(
            ctx.state,
            *(t.detach().numpy() for t in (*gaussians, image, alpha)),
            d_image.numpy(),
            None if d_alpha is None else d_alpha.contiguous().numpy(),
            *(t.numpy() for t in (*gradients, means2d_grad)),
            torch.get_num_threads(),
        )
        d_background = None
        if ctx.needs_input_grad[5]:
            d_background = d_image * (1 - alpha)[..., None]
            if not ctx.plate:
                d_background = d_background.sum((0, 1))
        return (*gradients, d_background, None)


def rasterize_cpu(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmat: Tensor | np.ndarray,
    intrinsics: Intrinsics,
    width: int,
    height: int,
    background: Tensor | None = None,
    means2d_grad: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw Gaussians in front of a background.

    Gaussians that are not finite, behind the camera, nearer than 1 cm, or everywhere fainter than 1/255 are skipped
    and get zero gradients. Differentiable in everything but the camera.

    Args:
        means: (N, 3) world positions, metres.
        quats: (N, 4) rotations wxyz, need not be normalised.
        scales: (N, 3) standard deviations, metres.
        opacities: (N,) in 0..1.
        colors: (N, 3).
        viewmat: (4, 4) rigid world-to-camera, OpenCV axes.
        intrinsics: fx, fy, cx, cy in pixels.
        width, height: of the image, pixels.
        background: (3,) colour or (height, width, 3) plate; None is black.
        means2d_grad: (N, 2) contiguous float32 that the backward pass overwrites with the gradient of each Gaussian's
            position on the screen (loss per pixel of shift), for densification.

    Returns:
        image (height, width, 3) = colour + (1 - alpha) * background, alpha (height, width), and
        radii (N,): half the larger side of the screen ellipse where alpha falls to 1/255, pixels; 0 when not drawn.

    Raises:
        ValueError: wrong shapes, types or devices.
    """
    means, quats = checked("means", means, (None, 3)), checked("quats", quats, (None, 4))
    scales, opacities = checked("scales", scales, (None, 3)), checked("opacities", opacities, (None,))
    colors = checked("colors", colors, (None, 3))
    n = same_length(means=means, quats=quats, scales=scales, opacities=opacities, colors=colors)
    if not (0 < width <= 65536 and 0 < height <= 65536):
        raise ValueError(f"the image must be 1 to 65536 pixels wide and high, got {width}x{height}")
    view = view_matrix(viewmat)
    if background is None:
        background = torch.zeros(3)
    plate = isinstance(background, Tensor) and background.ndim == 3
    background = checked("background", background, (height, width, 3) if plate else (3,))
    if means2d_grad is not None:
        check_means2d_grad(means2d_grad, n, means.device)
    if native() is None:
        return rasterize_reference(
            means, quats, scales, opacities, colors, torch.from_numpy(view), intrinsics, width, height, background,
            means2d_grad,
        )  # fmt: skip
    fx, fy, cx, cy = (float(value) for value in intrinsics)
    setting = (view, (fx, fy, cx, cy), int(width), int(height), means2d_grad)
    return _Rasterize.apply(means, quats, scales, opacities, colors, background, setting)


def check_means2d_grad(value: Tensor, n: int, device: torch.device) -> None:
    """Raises ValueError unless kernels can write N screen gradients into it."""
    fits = tuple(value.shape) == (n, 2) and value.dtype == torch.float32 and value.is_contiguous()
    if not fits or value.device != device:
        raise ValueError(f"means2d_grad must be contiguous float32 of shape ({n}, 2) on {device}")


def view_matrix(viewmat: Tensor | np.ndarray) -> np.ndarray:
    """(4, 4) float32 world-to-camera in host memory.

    Raises:
        ValueError: another shape, or a gradient is wanted.
    """
    if isinstance(viewmat, Tensor):
        if viewmat.requires_grad:
            raise ValueError("viewmat has no gradient here: move the Gaussians instead of the camera")
        viewmat = viewmat.cpu().numpy()
    view = np.ascontiguousarray(viewmat, dtype=np.float32)
    if view.shape != (4, 4):
        raise ValueError(f"viewmat must have shape (4, 4), got {view.shape}")
    return view
