"""Head and torso poses, refined by what the pictures say while the avatar is trained.

A tracker is off by a degree or a millimetre, partly by chance and partly always in the same way (an open jaw looks like
a nod). Both are learned: a linear part from tracked quantities, which also corrects frames that were never trained on,
and a residual at knots in time, which keeps the rest from blurring the avatar and is thrown away afterwards.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

VISITS = 20


class PoseRefinement(nn.Module):
    """Small rigid corrections of recorded head and torso poses.

    Args:
        inputs: (N, F) tracked quantities of every frame, about -1..1, from which errors may be predicted.
        spacing: frames between two knots of the residual.
    """

    inputs: Tensor

    def __init__(self, inputs: Tensor, spacing: int) -> None:
        super().__init__()
        self.spacing = spacing
        self.register_buffer("inputs", inputs)
        knots = (inputs.shape[0] - 1) // spacing + 2
        self.linear = nn.Parameter(torch.zeros(12, inputs.shape[1]))
        self.residual = nn.Parameter(torch.zeros(knots, 12))

    def correction(self, frame: int, residual: bool = True) -> Tensor:
        """(2, 6): rotation (axis-angle, radians) and translation (metres) of head and torso."""
        total = self.linear @ self.inputs[frame]
        if residual:
            knot, part = divmod(frame, self.spacing)
            total = total + torch.lerp(self.residual[knot], self.residual[knot + 1], part / self.spacing)
        return total.view(2, 6)

    def size(self, frame: int) -> Tensor:
        """Mean square of the residual at the knots around a frame, in (milliradian or millimetre) squared."""
        knot = frame // self.spacing
        return (self.residual[knot : knot + 2] * 1e3).square().mean()


def pose_spacing(steps: int, frames: int) -> int:
    """Frames between knots such that each knot sees about ``VISITS`` of the ``steps``."""
    return max(round(VISITS * frames / max(steps, 1)), 1)
