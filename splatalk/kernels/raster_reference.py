"""Drawing Gaussians in plain torch: the definition the compiled rasterizers are tested against.

Zwicker et al., "EWA Splatting", 2002; Kerbl et al., "3D Gaussian Splatting", 2023. Written for reading, in any
floating-point type on any device. For one Gaussian with mean m, covariance S = R diag(s^2) R^T, opacity o, colour c:

1. Camera coordinates p = V m + t. Screen mean u = (fx p_x / p_z + cx, fy p_y / p_z + cy).
2. Screen covariance C = J V S V^T J^T + 0.3 I, J the Jacobian of step 1 at p, with p_x / p_z and p_y / p_z limited in J
   to 0.15 image sizes outside the view. The 0.3 px^2 keep Gaussians smaller than a pixel from falling between pixels.
3. At a pixel centre x, alpha = min(0.999, o exp(-(x - u)^T C^-1 (x - u) / 2)); below 1/255 it is skipped.
4. Front to back in order of p_z: pixel += T alpha c, T *= 1 - alpha, T starting at 1. A pixel is finished just before
   the Gaussian that would bring T to 1e-4 or less.
5. pixel += T background; the alpha image is 1 - T.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

NEAR = 0.01
LOW_PASS = 0.3
MAX_ALPHA = 0.999
MIN_ALPHA = 1 / 255
MIN_TRANSMITTANCE = 1e-4
TILE = 16


@dataclasses.dataclass
class Projected:
    """M drawable Gaussians on the screen, front to back.

    Args:
        index: (M,) position of each in the input.
        means: (M, 2) pixels.
        conics: (M, 3) entries A, B, C of the inverse covariance [[A, B], [B, C]], 1/px^2.
        opacities: (M,); colors: (M, 3).
        extents: (M, 2) half sides of the axis-aligned box around the ellipse where alpha = 1/255, pixels.
    """

    index: Tensor
    means: Tensor
    conics: Tensor
    opacities: Tensor
    colors: Tensor
    extents: Tensor


def rotation_matrices(quats: Tensor) -> Tensor:
    """(N, 3, 3) rotations of quaternions wxyz (N, 4) of any length."""
    w, x, y, z = torch.unbind(quats / quats.norm(dim=-1, keepdim=True), dim=-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).reshape(-1, 3, 3)


def _screen(means, quats, scales, viewmat, intrinsics, width, height) -> tuple[Tensor, Tensor, Tensor]:
    """Screen means (N, 2), covariances (N, 3) as xx, xy, yy, and depths (N,): steps 1 and 2."""
    fx, fy, cx, cy = intrinsics
    rotation = viewmat[:3, :3]
    p = means @ rotation.T + viewmat[:3, 3]
    x, y, z = p[:, 0] / p[:, 2], p[:, 1] / p[:, 2], p[:, 2]
    margin_x, margin_y = 0.15 * width / fx, 0.15 * height / fy
    limited_x = x.clamp(-cx / fx - margin_x, (width - cx) / fx + margin_x)
    limited_y = y.clamp(-cy / fy - margin_y, (height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    jacobian = torch.stack([fx / z, zero, -fx * limited_x / z, zero, fy / z, -fy * limited_y / z], dim=-1).reshape(
        -1, 2, 3
    )
    half = jacobian @ rotation @ (rotation_matrices(quats) * scales[:, None, :])  # (N, 2, 3), C = half half^T
    covariance = half @ half.transpose(1, 2)
    entries = torch.stack([covariance[:, 0, 0] + LOW_PASS, covariance[:, 0, 1], covariance[:, 1, 1] + LOW_PASS], dim=-1)
    return torch.stack([fx * x + cx, fy * y + cy], dim=-1), entries, z


def project_reference(
    means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor, viewmat: Tensor,
    intrinsics: tuple[float, float, float, float], width: int, height: int,
) -> Projected:  # fmt: skip
    """Screen positions and shapes of the Gaussians that can be seen, by depth (equal depths keep their order)."""
    camera = (viewmat.to(means), intrinsics, width, height)
    with torch.no_grad():  # decide first, so that skipped Gaussians put no NaN into gradients
        u, cov, z = _screen(means, quats, scales, *camera)
        det = cov[:, 0] * cov[:, 2] - cov[:, 1] ** 2
        squared = 2 * torch.log(opacities / MIN_ALPHA)
        finite = torch.isfinite(torch.cat([u, cov, z[:, None], colors, opacities[:, None]], dim=1)).all(1)
        drawable = finite & (z > NEAR) & (squared > 0) & (det > 0)
        extents = torch.sqrt(squared[:, None] * cov[:, [0, 2]])
        size = torch.tensor([width, height], dtype=u.dtype, device=u.device)
        inside = ((u + extents >= 0) & (u - extents < size)).all(1)
        index = torch.nonzero(drawable & inside)[:, 0]
        index = index[torch.sort(z[index], stable=True).indices]
    u, cov, _ = _screen(means[index], quats[index], scales[index], *camera)
    det = cov[:, 0] * cov[:, 2] - cov[:, 1] ** 2
    conics = torch.stack([cov[:, 2], -cov[:, 1], cov[:, 0]], dim=-1) / det[:, None]
    return Projected(index, u, conics, opacities[index], colors[index], extents[index])


def _blend(g: Projected, chosen: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Colours (P, 3) before the background and transmittances (P,) at pixel centres (P, 2): steps 3 and 4."""
    d = pixels[:, None, :] - g.means[chosen]  # (P, G, 2)
    a, b, c = torch.unbind(g.conics[chosen], dim=-1)
    power = 0.5 * (a * d[..., 0] ** 2 + c * d[..., 1] ** 2) + b * d[..., 0] * d[..., 1]
    alpha = (g.opacities[chosen] * torch.exp(-power)).clamp(max=MAX_ALPHA)
    alpha = torch.where(alpha >= MIN_ALPHA, alpha, torch.zeros_like(alpha))
    after = torch.cumprod(1 - alpha, dim=1)
    alpha = torch.where(after > MIN_TRANSMITTANCE, alpha, torch.zeros_like(alpha))
    after = torch.cumprod(1 - alpha, dim=1)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], dim=1)
    return (before * alpha) @ g.colors[chosen], after[:, -1]


def rasterize_reference(
    means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor, viewmat: Tensor,
    intrinsics: tuple[float, float, float, float], width: int, height: int, background: Tensor | None = None,
    means2d_grad: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Like `raster.rasterize_cpu`, in the floating-point type and on the device of ``means``."""
    g = project_reference(means, quats, scales, opacities, colors, viewmat, intrinsics, width, height)
    if means2d_grad is not None and g.means.requires_grad:
        _fill_on_backward(means2d_grad, g)
    if background is None:
        background = means.new_zeros(3)
    background = background.to(means).expand(height, width, 3)
    rows = []
    for y0 in range(0, height, TILE):
        y1 = min(y0 + TILE, height)
        tiles = [_tile(g, background, x0, min(x0 + TILE, width), y0, y1) for x0 in range(0, width, TILE)]
        rows.append((torch.cat([t[0] for t in tiles], dim=1), torch.cat([t[1] for t in tiles], dim=1)))
    radii = means.new_zeros(means.shape[0])
    radii[g.index] = g.extents.amax(dim=1)
    return torch.cat([r[0] for r in rows]), torch.cat([r[1] for r in rows]), radii


def _fill_on_backward(means2d_grad: Tensor, g: Projected) -> None:
    def fill(gradient: Tensor) -> None:
        means2d_grad.zero_().index_copy_(0, g.index, gradient.detach().to(means2d_grad))

    g.means.register_hook(fill)


def _tile(g: Projected, background: Tensor, x0: int, x1: int, y0: int, y1: int) -> tuple[Tensor, Tensor]:
    """Image (h, w, 3) and alpha (h, w) of a rectangle of pixels."""
    low = g.means.detach() - g.extents
    high = g.means.detach() + g.extents
    hit = (high[:, 0] >= x0) & (low[:, 0] <= x1) & (high[:, 1] >= y0) & (low[:, 1] <= y1)
    chosen = torch.nonzero(hit)[:, 0]
    behind = background[y0:y1, x0:x1]
    if len(chosen) == 0:
        return behind + g.colors.sum() * 0, behind[..., 0].detach() * 0 + g.opacities.sum() * 0
    xs = torch.arange(x0, x1, dtype=g.means.dtype, device=g.means.device) + 0.5
    ys = torch.arange(y0, y1, dtype=g.means.dtype, device=g.means.device) + 0.5
    pixels = torch.stack(torch.meshgrid(ys, xs, indexing="ij")[::-1], dim=-1).reshape(-1, 2)
    colour, transmittance = _blend(g, chosen, pixels)
    transmittance = transmittance.reshape(y1 - y0, x1 - x0)
    return colour.reshape(y1 - y0, x1 - x0, 3) + transmittance[..., None] * behind, 1 - transmittance
