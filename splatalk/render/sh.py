"""Real spherical harmonics to degree 3, in the order and with the signs of 3D Gaussian splatting files.

The basis is Sloan, "Efficient Spherical Harmonic Evaluation", 2013 (Condon-Shortley phase included), so coefficients
read from a PLY of another tool give that tool's colours.
"""

from __future__ import annotations

import torch
from torch import Tensor

C0 = 0.28209479177387814  # 1 / (2 sqrt(pi))
C1 = 0.4886025119029199  # sqrt(3 / (4 pi))
C2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
C3 = (0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277)


def sh_basis(directions: Tensor, count: int) -> Tensor:
    """The first ``count`` (1, 4, 9 or 16) basis functions at unit vectors (N, 3): (N, count)."""
    x, y, z = directions.unbind(-1)
    basis = [torch.full_like(x, C0)]
    if count > 1:
        basis += [-C1 * y, C1 * z, -C1 * x]
    if count > 4:
        xx, yy, zz = x * x, y * y, z * z
        basis += [C2[0] * x * y, -C2[0] * y * z, C2[1] * (2 * zz - xx - yy), -C2[0] * x * z, C2[2] * (xx - yy)]
    if count > 9:
        basis += [
            -C3[0] * y * (3 * xx - yy),
            C3[1] * x * y * z,
            -C3[2] * y * (4 * zz - xx - yy),
            C3[3] * z * (2 * zz - 3 * xx - 3 * yy),
            -C3[2] * x * (4 * zz - xx - yy),
            C3[4] * z * (xx - yy),
            -C3[0] * x * (xx - 3 * yy),
        ]
    return torch.stack(basis, dim=-1)


def sh_to_color(sh: Tensor, directions: Tensor | None = None) -> Tensor:
    """Colour seen along a direction: 0.5 + sum_k Y_k sh_k, not below 0.

    Args:
        sh: (N, K, 3) coefficients, K = 1, 4, 9 or 16.
        directions: (N, 3) from the camera to the Gaussian, any length; not needed when K = 1.

    Returns:
        (N, 3) sRGB.

    Raises:
        ValueError: K is none of these, or directions are missing.
    """
    count = sh.shape[1]
    if count not in (1, 4, 9, 16):
        raise ValueError(f"sh must hold 1, 4, 9 or 16 coefficients per colour, got {count}")
    if count == 1:
        return (0.5 + C0 * sh[:, 0]).clamp(min=0)
    if directions is None:
        raise ValueError("directions are needed to see spherical harmonics of degree 1 and more")
    unit = torch.nn.functional.normalize(directions, dim=-1)
    return (0.5 + (sh_basis(unit, count)[..., None] * sh).sum(dim=1)).clamp(min=0)


def color_to_sh(color: Tensor) -> Tensor:
    """(N, 3) sRGB colours as degree-0 coefficients (N, 1, 3)."""
    return ((color - 0.5) / C0)[:, None, :]
