"""Quaternions and the two bones that carry Gaussians: in torch, and for the compiled kernels as sixteen numbers a bone.

Quaternions are wxyz throughout.
"""

from __future__ import annotations

import dataclasses

import numpy as np
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
    products = torch.from_numpy(_PRODUCTS).to(r) @ r.flatten() + torch.eye(4).to(r)
    q = products[torch.diagonal(products).argmax()]
    q = q / q.norm()
    return torch.where(q[0] < 0, -q, q)


def blend_bones(
    means: Tensor, quats: Tensor, weight: Tensor, head_pose: Tensor, torso_pose: Tensor
) -> tuple[Tensor, Tensor]:
    """Linear blend skinning of positions, normalised linear blend of rotations.

    Args:
        means: (N, 3) canonical.
        quats: (N, 4) wxyz.
        weight: (N,) weight of the head bone, 0..1.
        head_pose, torso_pose: (4, 4) canonical to world; better on the CPU also when the Gaussians are on a GPU, which
            is slow at such small mathematics.

    Returns:
        world means (N, 3) and quats (N, 4).
    """
    w = weight[:, None]
    q_head, q_torso = quat_from_matrix(head_pose[:3, :3]), quat_from_matrix(torso_pose[:3, :3])
    q_torso = torch.where((q_head * q_torso).sum() < 0, -q_torso, q_torso)
    bones = torch.cat((head_pose[:3].flatten(), torso_pose[:3].flatten(), q_head, q_torso)).to(means.device)
    head, torso, q_head, q_torso = bones.split((12, 12, 4, 4))
    head, torso = head.view(3, 4), torso.view(3, 4)
    by_head = means @ head[:, :3].T + head[:, 3]
    by_torso = means @ torso[:, :3].T + torso[:, 3]
    bone = w * q_head + (1 - w) * q_torso
    return torch.lerp(by_torso, by_head, w), quat_multiply(bone, quats)


@dataclasses.dataclass(frozen=True)
class Bone:
    """A bone as the compiled kernels take it, and the way back from their gradient to its pose.

    Args:
        numbers: (16,) float32: rotation row by row, translation, quaternion.
        row: of the table `_PRODUCTS` that the quaternion comes from.
        scale: what that row is multiplied by.
    """

    numbers: np.ndarray
    row: int
    scale: float

    @classmethod
    def pair(cls, head_pose: np.ndarray, torso_pose: np.ndarray) -> tuple[Bone, Bone]:
        """Bones of two poses (4, 4), their quaternions on the same side, so that a blend takes the short way."""
        head, torso = cls._of(head_pose, 1.0), cls._of(torso_pose, 1.0)
        if head.numbers[12] < 0:
            head = cls._of(head_pose, -1.0)
        if float(head.numbers[12:] @ torso.numbers[12:]) < 0:
            torso = cls._of(torso_pose, -1.0)
        return head, torso

    @classmethod
    def _of(cls, pose: np.ndarray, sign: float) -> Bone:
        rotation = pose[:3, :3].astype(np.float64).ravel()
        products = _PRODUCTS @ rotation + np.eye(4)
        row = int(np.diagonal(products).argmax())
        scale = sign / float(np.linalg.norm(products[row]))
        numbers = np.concatenate((rotation, pose[:3, 3], products[row] * scale))
        return cls(numbers.astype(np.float32), row, scale)

    def pose_gradient(self, d: np.ndarray) -> np.ndarray:
        """Gradient of ``numbers`` (16,) -> gradient of the pose (4, 4), float32."""
        quat, d_quat = self.numbers[12:].astype(np.float64), d[12:].astype(np.float64)
        d_row = (d_quat - quat * (quat @ d_quat)) * self.scale  # the quaternion is that row at length 1
        out = np.zeros((4, 4), np.float32)
        out[:3, :3] = d[:9].reshape(3, 3) + (_PRODUCTS[self.row].T @ d_row).reshape(3, 3)
        out[:3, 3] = d[9:12]
        return out


def _products() -> np.ndarray:
    """(4, 4, 9): 4 q q^T is the identity matrix plus this times the nine numbers of the rotation matrix of q."""
    table = np.zeros((4, 4, 3, 3))
    for k, signs in enumerate(((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))):
        table[k, k] = np.diag(signs)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        table[0, k + 1, j, i] = table[k + 1, 0, j, i] = 1
        table[0, k + 1, i, j] = table[k + 1, 0, i, j] = -1
        for a, b in ((i, j), (j, i)):
            table[a + 1, b + 1, i, j] = table[a + 1, b + 1, j, i] = 1
    return table.reshape(4, 4, 9)


_PRODUCTS = _products()
