"""Spherical harmonics: orthonormal, of the degree they claim, with the signs of other tools' PLY files."""

from __future__ import annotations

import math

import pytest
import torch

from splatalk.render.sh import C0, color_to_sh, sh_basis, sh_to_color


def sphere(n: int) -> torch.Tensor:
    """A Fibonacci lattice of unit vectors (n, 3), float64."""
    i = torch.arange(n, dtype=torch.float64) + 0.5
    z, angle = 1 - 2 * i / n, i * math.pi * (1 + 5**0.5)
    radius = torch.sqrt(1 - z * z)
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle), z], dim=1)


def test_basis_is_orthonormal():
    basis = sh_basis(sphere(20000), 16)
    gram = basis.T @ basis * (4 * math.pi / 20000)
    torch.testing.assert_close(gram, torch.eye(16, dtype=torch.float64), rtol=0, atol=1e-4)


def test_signs_are_those_of_splat_files():
    """Degree 1 in the order -y, z, -x."""
    x, y, z = sh_basis(torch.eye(3), 4).unbind(0)
    c1 = math.sqrt(3 / (4 * math.pi))
    torch.testing.assert_close(x, torch.tensor([C0, 0, 0, -c1]))
    torch.testing.assert_close(y, torch.tensor([C0, -c1, 0, 0]))
    torch.testing.assert_close(z, torch.tensor([C0, 0, c1, 0]))


def test_basis_agrees_with_gsplat():
    gsplat = pytest.importorskip("gsplat.cuda._torch_impl", reason="gsplat is not installed: NO INDEPENDENT ORACLE")
    directions = sphere(50).float()
    sh = torch.randn(50, 16, 3)
    for degree in range(4):
        k = (degree + 1) ** 2
        theirs = (gsplat._spherical_harmonics(degree, directions, sh) + 0.5).clamp(min=0)
        torch.testing.assert_close(sh_to_color(sh[:, :k], directions), theirs, rtol=1e-5, atol=1e-5)


def test_flat_colour_there_and_back():
    color = torch.rand(10, 3)
    torch.testing.assert_close(sh_to_color(color_to_sh(color)), color)
    padded = torch.cat([color_to_sh(color), torch.zeros(10, 15, 3)], dim=1)
    torch.testing.assert_close(sh_to_color(padded, torch.randn(10, 3)), color)


def test_wrong_input():
    with pytest.raises(ValueError, match="1, 4, 9 or 16"):
        sh_to_color(torch.zeros(2, 5, 3), torch.zeros(2, 3))
    with pytest.raises(ValueError, match="directions"):
        sh_to_color(torch.zeros(2, 4, 3))
