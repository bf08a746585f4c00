"""The torch twin itself: against finite differences, a picture known in closed form, and gsplat's own torch code."""

from __future__ import annotations

import math

import pytest
import torch
from scenes import NAMES, blob

from splatalk.kernels.raster_reference import project_reference, rasterize_reference


def test_gradients_are_finite_differences():
    scene = blob(12, 14, 11, 20)
    scene.gaussians["scales"].mul_(3)
    scene.gaussians["opacities"].mul_(0.7).add_(0.1)
    arguments = scene.arguments(torch.float64, grad=True)
    weight = torch.randn(11, 14, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def loss() -> torch.Tensor:
        image, alpha, _ = rasterize_reference(**arguments)
        return (image * weight).sum() + alpha.square().sum()

    loss().backward()
    for name in (*NAMES, "background"):
        flat, gradient = arguments[name].detach().view(-1), arguments[name].grad.view(-1)
        for i in range(0, len(flat), max(1, len(flat) // 6)):
            values = []
            for step in (1e-6, -1e-6):
                flat[i] += step
                values.append(float(loss().detach()))
                flat[i] -= step
            # Pixels at the 1/255 cut make the loss jump by up to 1/255 of a weight; those entries say nothing.
            if abs(values[0] - values[1]) < 1e-3:
                assert (values[0] - values[1]) / 2e-6 == pytest.approx(float(gradient[i]), rel=2e-3, abs=2e-5), (
                    name,
                    i,
                )


def test_one_round_gaussian_is_the_formula():
    sigma, depth, focal, opacity = 0.02, 2.0, 200.0, 0.6
    image, alpha, radii = rasterize_reference(
        torch.tensor([[0.0, 0.0, depth]], dtype=torch.float64), torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64),
        torch.full((1, 3), sigma, dtype=torch.float64), torch.tensor([opacity], dtype=torch.float64),
        torch.tensor([[1.0, 0.5, 0.25]], dtype=torch.float64), torch.eye(4), (focal, focal, 10.0, 10.0), 20, 20,
    )  # fmt: skip
    variance = (sigma * focal / depth) ** 2 + 0.3
    expected = opacity * math.exp(-((12.5 - 10) ** 2 + (7.5 - 10) ** 2) / (2 * variance))
    assert float(alpha[7, 12]) == pytest.approx(expected)
    assert image[7, 12].tolist() == pytest.approx([expected, expected / 2, expected / 4])
    assert float(radii) == pytest.approx(math.sqrt(2 * math.log(opacity * 255) * variance))


def test_nearer_gaussians_hide_farther_ones():
    def draw(z_red: float, z_blue: float) -> torch.Tensor:
        image, _, _ = rasterize_reference(
            torch.tensor([[0, 0, z_red], [0, 0, z_blue]]), torch.tensor([[1.0, 0, 0, 0]] * 2), torch.full((2, 3), 0.5),
            torch.tensor([0.9, 0.9]), torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]), torch.eye(4),
            (50.0, 50.0, 4.0, 4.0), 8, 8,
        )  # fmt: skip
        return image[4, 4]

    assert draw(1.0, 2.0)[0] > 0.8 > draw(2.0, 1.0)[0]


def test_projection_agrees_with_gsplat():
    """gsplat's documentation twin is an independent implementation of steps 1 and 2."""
    gsplat = pytest.importorskip("gsplat.cuda._torch_impl", reason="gsplat is not installed: NO INDEPENDENT ORACLE")
    scene = blob(200, 83, 61, 21)
    arguments = scene.arguments(torch.float64)
    ours = project_reference(
        *(arguments[name] for name in NAMES), arguments["viewmat"], scene.intrinsics, scene.width, scene.height
    )
    covariances, _ = gsplat._quat_scale_to_covar_preci(arguments["quats"], arguments["scales"], True, False, False)
    fx, fy, cx, cy = scene.intrinsics
    k = torch.tensor([[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]], dtype=torch.float64)
    _, means2d, _, conics, _ = gsplat._fully_fused_projection(
        arguments["means"], covariances, arguments["viewmat"][None], k, scene.width, scene.height
    )
    assert len(ours.index) > 100
    torch.testing.assert_close(ours.means, means2d[0][ours.index], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours.conics, conics[0][ours.index], rtol=1e-6, atol=1e-9)
