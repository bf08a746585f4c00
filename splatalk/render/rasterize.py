"""The one function that turns posed Gaussians into pixels, whatever does the work."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from splatalk.kernels.raster import rasterize_cpu
from splatalk.kernels.raster_reference import rasterize_reference
from splatalk.render import backends
from splatalk.render.camera import Camera
from splatalk.render.cuda_adapter import rasterize_on_gpu
from splatalk.render.gsplat_adapter import rasterize_gsplat
from splatalk.render.sh import sh_to_color
from splatalk.render.splats import Splats


@dataclasses.dataclass
class Rendered:
    """A picture and what densification wants to know about it.

    Args:
        image: (H, W, 3) sRGB, the Gaussians in front of the background.
        alpha: (H, W) how much of each pixel the Gaussians cover.
        radii: (N,) half the larger side of each Gaussian's screen ellipse, pixels; 0 when not drawn. No gradient.
        means2d_grad: (N, 2) once the backward pass ran, the gradient of each Gaussian's screen position (loss per pixel
            of shift); zero before, and for Gaussians that were not drawn.
        backend: what drew it.
    """

    image: Tensor
    alpha: Tensor
    radii: Tensor
    means2d_grad: Tensor
    backend: str


_DRAW = {"torch": rasterize_reference, "cpu": rasterize_cpu, "gsplat": rasterize_gsplat, "cuda": rasterize_on_gpu}


def rasterize(splats: Splats, camera: Camera, background: Tensor | None = None, backend: str = "auto") -> Rendered:
    """Draw Gaussians as a camera sees them.

    Differentiable in every tensor of ``splats`` and in ``background``, not in the camera. Gaussians that are not finite
    are skipped.

    Args:
        splats: N Gaussians in world space.
        camera: where from, and the size of the picture.
        background: (3,) colour or (H, W, 3) plate, sRGB 0..1; None is black.
        backend: ``auto``, ``torch``, ``cpu``, ``gsplat`` or ``cuda``.

    Raises:
        BackendError: the backend cannot run on this machine.
        ValueError: the background has another shape than the picture.
    """
    chosen = backends.choose(backend, splats.means.device)
    if background is not None and tuple(background.shape) not in ((3,), (camera.height, camera.width, 3)):
        raise ValueError(
            f"background must be (3,) or ({camera.height}, {camera.width}, 3), got {tuple(background.shape)}"
        )
    viewmat = torch.from_numpy(camera.world_to_camera)
    colors = sh_to_color(splats.sh, _directions(splats, camera) if splats.sh.shape[1] > 1 else None)
    means2d_grad = splats.means.new_zeros(len(splats), 2, dtype=torch.float32)
    image, alpha, radii = _DRAW[chosen](
        splats.means, splats.quats, splats.scales, splats.opacities, colors, viewmat,
        (camera.fx, camera.fy, camera.cx, camera.cy), camera.width, camera.height, background, means2d_grad,
    )  # fmt: skip
    return Rendered(image, alpha, radii, means2d_grad, chosen)


def _directions(splats: Splats, camera: Camera) -> Tensor:
    """(N, 3) from the camera to each Gaussian, world axes, not normalised."""
    rotation, translation = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
    position = torch.from_numpy(-rotation.T @ translation)
    return splats.means - position.to(splats.means)
