"""The canonical Gaussians: what an avatar is made of before anything moves it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from splatalk.kernels.posing import Canonical, carried

PARAMETERS = ("means", "quats", "log_scales", "opacity_logits", "sh", "bone_logits")
ATTACHED = ("dynamic", "corners", "corner_weights")
"""What belongs to a Gaussian without being learned."""


class Gaussians(nn.Module):
    """N Gaussians in the canonical (head) frame: x to the subject's left, y down, z into the head, metres.

    Args:
        means: (N, 3) metres.
        quats: (N, 4) wxyz, not necessarily normalised.
        log_scales: (N, 3) natural logarithm of the standard deviations in metres.
        opacity_logits: (N,).
        sh: (N, K, 3) colour coefficients, see ``render.sh``.
        bone_logits: (N,) logit of the head bone's weight; the torso bone has the rest.
        dynamic: (N,) bool, whether the face rig and the deformation network move this Gaussian.
        corners: (N, 3) int64, landmarks of the face surface that carry it.
        corner_weights: (N, 3), which part of each one's displacement it follows: they sum to 1 on the surface, to less
            away from it, to 0 where nothing is known.
    """

    means: Tensor
    quats: Tensor
    log_scales: Tensor
    opacity_logits: Tensor
    sh: Tensor
    bone_logits: Tensor
    dynamic: Tensor
    corners: Tensor
    corner_weights: Tensor

    def __init__(
        self,
        means: Tensor,
        quats: Tensor,
        log_scales: Tensor,
        opacity_logits: Tensor,
        sh: Tensor,
        bone_logits: Tensor,
        dynamic: Tensor,
        corners: Tensor,
        corner_weights: Tensor,
    ) -> None:
        super().__init__()
        values = (means, quats, log_scales, opacity_logits, sh, bone_logits)
        for name, value in zip(PARAMETERS, values, strict=True):
            setattr(self, name, nn.Parameter(value.contiguous().float()))
        self.register_buffer("dynamic", dynamic.bool())
        self.register_buffer("corners", corners.long())
        self.register_buffer("corner_weights", corner_weights.float())

    def __len__(self) -> int:
        return self.means.shape[0]

    @classmethod
    def empty(cls, n: int, sh_coefficients: int) -> Gaussians:
        """Storage for ``n`` Gaussians, to be filled by ``load_state_dict``."""
        z = torch.zeros
        attached = (z(n, dtype=torch.bool), z(n, 3, dtype=torch.int64), z(n, 3))
        return cls(z(n, 3), z(n, 4), z(n, 3), z(n), z(n, sh_coefficients, 3), z(n), *attached)

    def carried(self, surface: Tensor) -> Tensor:
        """Displacement of the M dynamic Gaussians (M, 3) by that of the face surface (478, 3), metres."""
        return carried(self.corners[self.dynamic], self.corner_weights[self.dynamic], surface)

    def canonical(self) -> Canonical:
        """What posing needs: everything but the colours' dependence on direction."""
        return Canonical(
            self.means, self.quats, self.log_scales, self.opacity_logits, self.sh[:, 0], self.bone_logits,
            self.dynamic, self.corners, self.corner_weights,
        )  # fmt: skip
