"""The posed Gaussians of one frame, in world space."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor


@dataclasses.dataclass
class Splats:
    """N Gaussians ready to be drawn.

    Args:
        means: (N, 3) world positions, metres.
        quats: (N, 4) rotations wxyz, need not be normalised.
        scales: (N, 3) standard deviations along the local axes, metres (not logarithms).
        opacities: (N,) in 0..1 (not logits).
        sh: (N, K, 3) spherical-harmonic colour coefficients, K = 1, 4, 9 or 16; sRGB colour = 0.5 + sum_k Y_k sh_k.
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    sh: Tensor

    def __post_init__(self) -> None:
        n = self.means.shape[0]
        for name, shape in (("means", (n, 3)), ("quats", (n, 4)), ("scales", (n, 3)), ("opacities", (n,))):
            got = tuple(getattr(self, name).shape)
            if got != shape:
                raise ValueError(f"Splats.{name} must be {shape}, got {got}")
        if self.sh.ndim != 3 or self.sh.shape[0] != n or self.sh.shape[1] not in (1, 4, 9, 16) or self.sh.shape[2] != 3:
            raise ValueError(f"Splats.sh must be ({n}, K, 3) with K in 1, 4, 9, 16, got {tuple(self.sh.shape)}")

    def __len__(self) -> int:
        return self.means.shape[0]

    def map(self, fn) -> Splats:
        """Apply ``fn`` to every tensor."""
        return Splats(**{f.name: fn(getattr(self, f.name)) for f in dataclasses.fields(self)})

    def detach(self) -> Splats:
        return self.map(torch.Tensor.detach)
