"""Two bones, head and torso: each Gaussian follows a blend of both, so the neck bends without a seam."""

from __future__ import annotations

import torch
from torch import Tensor


def quat_multiply(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton product of wxyz quaternions, (..., 4) x (..., 4) -> (..., 4)."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        (
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ),
        -1,
    )


def quat_from_matrix(r: Tensor) -> Tensor:
    """Rotation matrix (3, 3) -> wxyz quaternion (4,) with w >= 0."""
    m = r.unbind(-2)
    (m00, m01, m02), (m10, m11, m12), (m20, m21, m22) = (row.unbind(-1) for row in m)
    candidates = torch.stack(
        (
            torch.stack((1 + m00 + m11 + m22, m21 - m12, m02 - m20, m10 - m01)),
            torch.stack((m21 - m12, 1 + m00 - m11 - m22, m01 + m10, m02 + m20)),
            torch.stack((m02 - m20, m01 + m10, 1 - m00 + m11 - m22, m12 + m21)),
            torch.stack((m10 - m01, m02 + m20, m12 + m21, 1 - m00 - m11 + m22)),
        )
    )
    q = candidates[torch.diagonal(candidates).argmax()]
    q = q / q.norm()
    return torch.where(q[0] < 0, -q, q)


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


def blend_bones(
    means: Tensor, quats: Tensor, weight: Tensor, head_pose: Tensor, torso_pose: Tensor
) -> tuple[Tensor, Tensor]:
    """Linear blend skinning of positions, normalised linear blend of rotations.

    Args:
        means: (N, 3) canonical.
        quats: (N, 4) wxyz.
        weight: (N,) weight of the head bone, 0..1.
        head_pose, torso_pose: (4, 4) canonical to world.

    Returns:
        world means (N, 3) and quats (N, 4).
    """
    w = weight[:, None]
    by_head = means @ head_pose[:3, :3].T + head_pose[:3, 3]
    by_torso = means @ torso_pose[:3, :3].T + torso_pose[:3, 3]
    q_head, q_torso = quat_from_matrix(head_pose[:3, :3]), quat_from_matrix(torso_pose[:3, :3])
    q_torso = torch.where((q_head * q_torso).sum() < 0, -q_torso, q_torso)
    bone = w * q_head + (1 - w) * q_torso
    return torch.lerp(by_torso, by_head, w), quat_multiply(bone, quats)
