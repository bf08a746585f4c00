"""The gsplat adapter against a stand-in with gsplat's call signature and result shapes.

The real library needs a GPU; tests/render/test_rasterize.py compares it with the reference wherever it runs.
"""

from __future__ import annotations

import inspect
import sys
import types

import pytest
import torch

from splatalk.kernels.raster_reference import project_reference, rasterize_reference
from splatalk.render import gsplat_adapter


def stand_in(means, quats, scales, opacities, colors, viewmats, Ks, width, height, **options):
    """gsplat.rasterization for one camera, by the reference."""
    assert viewmats.shape == (1, 4, 4) and Ks.shape == (1, 3, 3)
    assert options == {"near_plane": 0.01, "eps2d": 0.3, "packed": False, "render_mode": "RGB"}
    assert (
        all(torch.isfinite(t).all() for t in (means, quats, scales, opacities, colors))
        and (quats.norm(dim=1) > 0).all()
    )
    k = Ks[0]
    camera = (viewmats[0], (float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2])), width, height)
    gradient = torch.zeros(len(means), 2)
    image, alpha, radii = rasterize_reference(means, quats, scales, opacities, colors, *camera, None, gradient)
    means2d = torch.zeros(1, len(means), 2, requires_grad=True)
    projected = project_reference(means, quats, scales, opacities, colors, *camera)
    # Ties a leaf to the picture, so that its hook runs with a known gradient.
    image = image + (means2d[0, projected.index] * 2).sum() * 0.5 - (means2d.detach().sum())
    info = {"means2d": means2d, "radii": radii.ceil().int()[None, :, None].expand(1, -1, 2)}
    return image[None], alpha[None, ..., None], info


@pytest.fixture
def fake_gsplat(monkeypatch):
    module = types.ModuleType("gsplat")
    module.rasterization = stand_in
    monkeypatch.setitem(sys.modules, "gsplat", module)
    monkeypatch.setattr(gsplat_adapter, "_cuda_device", lambda means: means.device)


def gaussians(n: int = 50) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    means = torch.randn(n, 3, generator=g) * 0.2 + torch.tensor([0.0, 0.0, 1.0])
    return [
        means, torch.randn(n, 4, generator=g), torch.rand(n, 3, generator=g) * 0.05,
        torch.rand(n, generator=g), torch.rand(n, 3, generator=g),
    ]  # fmt: skip


def test_result_is_the_references(fake_gsplat):
    view, camera, plate = torch.eye(4), ((30.0, 31.0, 9.0, 8.0), 20, 16), torch.rand(16, 20, 3)
    inputs = gaussians()
    inputs[0][:3] = float("nan")
    leaves = [t.clone().requires_grad_() for t in inputs]
    means2d_grad = torch.zeros(50, 2)
    image, alpha, radii = gsplat_adapter.rasterize_gsplat(*leaves, view, *camera, plate, means2d_grad)
    truth, true_alpha, true_radii = rasterize_reference(*inputs, view, *camera, plate)
    torch.testing.assert_close(image, truth)
    torch.testing.assert_close(alpha, true_alpha)
    assert ((radii - true_radii).abs() < 1).all() and not radii[:3].any()
    image.sum().backward()
    drawn = true_radii > 0
    assert (means2d_grad[drawn] == 16 * 20 * 3).all() and not means2d_grad[~drawn].any()
    assert all(torch.isfinite(leaf.grad).all() and not leaf.grad[:3].any() for leaf in leaves)


def test_gsplat_takes_these_arguments():
    rendering = pytest.importorskip("gsplat.rendering", reason="gsplat is not installed: SIGNATURE NOT CHECKED")
    parameters = list(inspect.signature(rendering.rasterization).parameters)
    assert parameters[:9] == list(inspect.signature(stand_in).parameters)[:9]
    assert {"near_plane", "eps2d", "packed", "render_mode"} <= set(parameters)
