"""Small seeded scenes for the kernel tests."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

NAMES = ("means", "quats", "scales", "opacities", "colors")


@dataclasses.dataclass
class Scene:
    """Gaussians, a camera that is neither centred nor axis-aligned, and an odd picture size."""

    gaussians: dict[str, Tensor]
    viewmat: Tensor
    intrinsics: tuple[float, float, float, float]
    width: int
    height: int
    background: Tensor

    def arguments(self, dtype: torch.dtype = torch.float32, grad: bool = False) -> dict[str, Any]:
        """Fresh leaves for a rasterizer call."""
        leaves = {name: g.to(dtype).clone().requires_grad_(grad) for name, g in self.gaussians.items()}
        background = self.background.to(dtype).clone().requires_grad_(grad)
        camera = {"intrinsics": self.intrinsics, "width": self.width, "height": self.height}
        return {**leaves, "viewmat": self.viewmat.to(dtype), **camera, "background": background}


def blob(n: int = 400, width: int = 83, height: int = 61, seed: int = 0, plate: bool = False) -> Scene:
    """A cloud about 2 m ahead: mixed opacities, elongated shapes, some Gaussians off screen and some behind."""
    r = np.random.default_rng(seed)
    means = r.normal(size=(n, 3)) * [0.7, 0.5, 0.4] + [0, 0, 2.0]
    means[: n // 20, 2] *= -1
    scales = np.exp(r.normal(np.log(0.03), 0.6, size=(n, 3)))
    gaussians = {
        "means": means,
        "quats": r.normal(size=(n, 4)) * r.uniform(0.2, 5, size=(n, 1)),
        "scales": scales,
        "opacities": r.uniform(0.0, 1.0, size=n),
        "colors": r.uniform(size=(n, 3)),
    }
    turn, _ = np.linalg.qr(np.eye(3) + 0.05 * r.normal(size=(3, 3)))
    view = np.eye(4)
    view[:3, :3] = turn * np.sign(np.diag(turn))
    view[:3, 3] = [0.05, -0.03, 0.1]
    if np.linalg.det(view[:3, :3]) < 0:
        raise AssertionError("not a rotation")
    background = r.uniform(size=(height, width, 3) if plate else 3)
    as_tensor = lambda a: torch.from_numpy(np.asarray(a, dtype=np.float32))  # noqa: E731
    return Scene(
        {name: as_tensor(g) for name, g in gaussians.items()}, as_tensor(view),
        (90.0, 95.0, 0.45 * width, 0.55 * height), width, height, as_tensor(background),
    )  # fmt: skip


def relative_error(value: Tensor, truth: Tensor) -> float:
    """|value - truth| / |truth| over all entries."""
    return float((value.double() - truth.double()).norm() / truth.double().norm().clamp(min=1e-30))
