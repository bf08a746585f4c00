"""The cuda backend behind rasterize(): moves what is elsewhere, and is chosen when it should be.

Runs through the host shim; tests/render/test_rasterize.py compares the backend with the reference wherever a GPU is.
"""

from __future__ import annotations

import pytest
import torch

from splatalk.kernels import cuda
from splatalk.render import Camera, Splats, backends, cuda_adapter, rasterize


@pytest.fixture
def on_the_shim(monkeypatch):
    monkeypatch.setattr(backends, "_problem", lambda name: "not now" if name == "gsplat" else None)
    monkeypatch.setattr(cuda_adapter, "_cuda_device", lambda means: torch.device("cpu"))


def ball(n: int = 60) -> Splats:
    g = torch.Generator().manual_seed(0)
    means = torch.randn(n, 3, generator=g) * 0.05 + torch.tensor([0.0, 0.0, 0.8])
    quats, sh = torch.randn(n, 4, generator=g), torch.randn(n, 1, 3, generator=g) * 0.3
    return Splats(means, quats, torch.rand(n, 3, generator=g) * 0.02, torch.rand(n, generator=g), sh)


@pytest.mark.usefixtures("on_the_shim")
@pytest.mark.parametrize("move", [False, True])
def test_the_backend_draws_like_the_reference(monkeypatch, move):
    if move:  # as if the buffer lay on another device than the kernels
        monkeypatch.setattr(cuda_adapter, "_cuda_device", lambda means: torch.device("cpu", 0))
    results = []
    for backend in ("cuda", "torch"):
        splats = ball().map(lambda t: t.requires_grad_())
        drawn = rasterize(splats, Camera(40, 30, 60.0, 60.0, 20.0, 15.0), torch.full((3,), 0.3), backend=backend)
        drawn.image.square().sum().backward()
        results.append((drawn.image.detach(), splats.means.grad, drawn.means2d_grad))
    for value, truth in zip(*results):
        torch.testing.assert_close(value, truth, rtol=1e-3, atol=1e-3 * float(truth.abs().max()))


def test_gsplat_comes_first_on_a_gpu_then_the_own_kernels(monkeypatch):
    for usable, expected in (({"gsplat", "cuda"}, "gsplat"), ({"cuda"}, "cuda"), (set(), "torch")):
        monkeypatch.setattr(backends, "_problem", lambda name, usable=usable: None if name in usable else "missing")
        assert backends.choose("auto", torch.device("cuda", 0)) == expected


@pytest.mark.skipif(cuda.problem() is None, reason="there is a GPU here")
def test_without_a_gpu_the_status_says_why():
    status = backends.available()["cuda"]
    assert status == f"unavailable: {cuda.problem()}"
