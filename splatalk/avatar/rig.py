"""Two bones, head and torso: each Gaussian follows a blend of both, so the neck bends without a seam."""

from __future__ import annotations

import torch
from torch import Tensor

from splatalk.kernels.bones import blend_bones, quat_from_matrix, quat_multiply

__all__ = ["blend_bones", "corrected", "quat_from_matrix", "quat_multiply", "rotation_matrix"]


def rotation_matrix(rotvec: Tensor) -> Tensor:
    """Rodrigues' formula, axis-angle (3,) radians -> (3, 3); exact and differentiable at zero."""
    zero = torch.zeros_like(rotvec[0])
    x, y, z = rotvec.unbind(0)
    skew = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero)).view(3, 3)
    return torch.matrix_exp(skew)


def corrected(pose: Tensor, correction: Tensor) -> Tensor:
    """(4, 4) pose turned about its own origin and moved by a correction (6,)."""
    rotation = rotation_matrix(correction[:3]) @ pose[:3, :3]
    translation = pose[:3, 3] + correction[3:]
    return torch.cat((torch.cat((rotation, translation[:, None]), 1), pose[3:]))
