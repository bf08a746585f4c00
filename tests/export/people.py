"""Gaussians that look a little like a head, a camera before them, and how far apart two pictures of them are."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

from splatalk.render import Camera, Splats, rasterize

_BEFORE = np.eye(4) + np.outer([0, 0, 1, 0], [0, 0, 0, 0.6])
CAMERA = Camera(160, 160, 400.0, 400.0, 80.0, 80.0, _BEFORE)
"""60 cm before the face, which looks along -z."""


def head(n: int = 1500, coefficients: int = 1, seed: int = 0) -> Splats:
    """An ellipsoid shell, coloured by direction, with turned and flattened Gaussians; y down, metres."""
    g = torch.Generator().manual_seed(seed)
    direction = torch.nn.functional.normalize(torch.randn(n, 3, generator=g), dim=-1)
    sh = torch.zeros(n, coefficients, 3)
    sh[:, 0] = 1.5 * direction + 0.3 * torch.randn(n, 3, generator=g)
    sh[:, 1:] = 0.2 * torch.randn(n, coefficients - 1, 3, generator=g)
    return Splats(
        means=direction * torch.tensor([0.07, 0.10, 0.08]),
        quats=torch.randn(n, 4, generator=g),
        scales=torch.exp(torch.randn(n, 3, generator=g) * 0.5 - 5.3),
        opacities=torch.sigmoid(torch.randn(n, generator=g) + 1.0),
        sh=sh,
    )


def nodding(n_frames: int, n: int = 300, coefficients: int = 1):
    """The head moving, turning, and changing its shape, colour and opacity a little, before the world's origin."""
    still = head(n, coefficients)
    for i in range(n_frames):
        turn = torch.tensor([1.0, 0.02 * i, 0.0, 0.01 * i])
        yield dataclasses.replace(
            still,
            means=still.means + torch.tensor([0.002 * i, 0.001 * i, 0.6]),
            quats=still.quats * turn,
            scales=still.scales * (1 + 0.01 * i),
            opacities=(still.opacities * (1 - 0.02 * i)),
            sh=still.sh + 0.02 * i,
        )


def picture(splats: Splats, camera: Camera = CAMERA) -> np.ndarray:
    """(H, W, 3) float32 on grey."""
    with torch.no_grad():
        return rasterize(splats, camera, torch.full((3,), 0.5)).image.clamp(0, 1).numpy()


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = float(((a - b) ** 2).mean())
    return math.inf if error == 0 else -10 * math.log10(error)
