"""The face's coarse motion: a linear map from mouth, upper face and gaze to the tracked surface, carried to Gaussians.

What a few curves say about 478 landmarks is nearly linear, and a linear map fitted to seconds of recording still holds
on the next second, where a network has learned the recording by heart. The network adds what is left.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

N_LANDMARKS = 478
OTHER_INPUTS = 27
"""Inputs besides the mouth code: 23 upper-face curves and 4 gaze angles."""
PENALTY = 3e-3
"""Of the ridge regression, as a share of the number of frames."""


class FaceRig(nn.Module):
    """Displacement of the face surface from its mean.

    Args:
        inputs: F = mouth coefficients + ``OTHER_INPUTS``.
    """

    basis: Tensor
    offset: Tensor

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.register_buffer("basis", torch.zeros(inputs, N_LANDMARKS, 3))
        self.register_buffer("offset", torch.zeros(N_LANDMARKS, 3))

    def forward(self, mouth: Tensor, upper: Tensor, gaze: Tensor) -> Tensor:
        """mouth (C,), upper (23,), gaze (4,) radians -> displacement of every landmark (478, 3), metres, head frame."""
        return torch.tensordot(torch.cat((mouth, upper, gaze)), self.basis, 1) + self.offset

    @classmethod
    def fit(cls, inputs: np.ndarray, displacement: np.ndarray) -> FaceRig:
        """Ridge regression over recorded frames.

        Args:
            inputs: (N, F) mouth code, upper face and gaze of each frame.
            displacement: (N, 478, 3) metres, measured from the mean face.
        """
        scale = np.maximum(inputs.std(0), 0.02)
        mean, target_mean = inputs.mean(0), displacement.mean(0)
        x = (inputs - mean) / scale
        y = (displacement - target_mean).reshape(len(x), -1)
        penalty = PENALTY * len(x) * np.eye(x.shape[1])
        weights = np.linalg.solve(x.T @ x + penalty, x.T @ y) / scale[:, None]
        rig = cls(inputs.shape[1])
        rig.basis.copy_(torch.from_numpy(weights.reshape(-1, N_LANDMARKS, 3)))
        rig.offset.copy_(torch.from_numpy(target_mean - np.tensordot(mean, weights.reshape(-1, N_LANDMARKS, 3), 1)))
        return rig
