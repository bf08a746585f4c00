"""How the tracked face surface carries Gaussians: barycentric bindings to the landmark mesh.

Training uses it twice: in the static stage it moves the face in place of the network, and it teaches the network its
first motion. A trained avatar no longer needs it.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor


@dataclasses.dataclass
class Binding:
    """For each of N Gaussians three landmarks and what part of each one's displacement it follows.

    Args:
        corners: (N, 3) int64 landmark rows.
        weights: (N, 3) float32; they sum to 1 on the face surface, to less away from it, to 0 where nothing is known.
    """

    corners: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return self.corners.shape[0]

    def select(self, rows: Tensor) -> Binding:
        """The bindings of ``rows`` (indices or mask)."""
        return Binding(self.corners[rows], self.weights[rows])

    def displacement(self, motion: Tensor) -> Tensor:
        """Landmark displacements (478, 3) metres -> (N, 3)."""
        return (motion[self.corners] * self.weights[..., None]).sum(1)

    @classmethod
    def joined(cls, parts: list[Binding]) -> Binding:
        return cls(torch.cat([p.corners for p in parts]), torch.cat([p.weights for p in parts]))
